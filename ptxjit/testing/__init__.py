"""Property-testing kernels, on Hypothesis.

    strategies    arrays(…), shapes(…), scalars(…), programs()      inputs that like trouble, and random programs
    agreement     assert_targets_agree(fn, *args)                    the same function on several targets
    search        check(fn, reference, …)                            looks for a difference, shrinks it, and says which step broke it
"""
from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {"arrays": "strategies", "shapes": "strategies", "scalars": "strategies", "programs": "programs", "assert_targets_agree": "agreement",
         "check": "agreement", "Report": "agreement", "which_step": "agreement"}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ptxjit.testing' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_HOME)
