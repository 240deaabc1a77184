"""Property-testing kernels, on Hypothesis.

    strategies   arrays(…), shapes(…), scalars(…)                    inputs that like trouble
    grammar      programs()                                          random functions of the DSL
    compare      bits, units of the last place, and what rounding explains
    agreement    assert_targets_agree(fn, *args)                     the same function on several targets
    search       check(fn, reference, …)                             looks for a difference, shrinks it, and says which step broke it
    steps        which_step(fn, args)                                the levels of one compilation, interpreted and compared
    fuzz         `make fuzz`                                         random programs against NumPy

Names are imported when they are first used; Hypothesis is needed only for the strategies and the search.
"""
from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "arrays": "strategies", "shapes": "strategies", "scalars": "strategies", "programs": "grammar", "Program": "grammar",
    "assert_targets_agree": "agreement", "run_on": "agreement", "check": "search", "Report": "search", "which_step": "steps", "Step": "steps",
    "ulps": "compare", "bits_equal": "compare",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ptxjit.testing' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
