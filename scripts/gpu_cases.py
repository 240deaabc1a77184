"""What is timed on a card: the benchmark's cases at eight times their size, and the same in PyTorch and Triton."""
from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
TIMES = 8


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _moved(shape: tuple[int, ...], bytes_: int) -> Callable[[tuple[int, ...]], float]:
    """Bytes that a case has to move, for any shape of its kind."""
    whole = 1
    for n in shape:
        whole *= n

    def moved(other: tuple[int, ...]) -> float:
        size = 1
        for n in other:
            size *= n
        return bytes_ * size / whole

    return moved


# name → (function, shape, bytes to move for a shape)
CASES = {name: (fn, (TIMES * shape[0], *shape[1:]), _moved(shape, moved)) for name, fn, shape, moved in _module("run").CASES}


class _Torch:
    """`TORCH[name](torch, x)`: the case in PyTorch."""

    def __getitem__(self, name: str) -> Callable[[Any, Any], Any]:
        cases = _module("torch_cases").CASES
        return lambda torch, x: cases[name](x)


TORCH = _Torch()


def triton_cases() -> dict[str, Callable[[Any], Any]]:
    """The cases that Triton's tutorials have, or nothing where it does not run."""
    try:
        return dict(_module_here("gpu_triton").CASES)
    except Exception as e:  # noqa: BLE001  it may be installed and not run
        print(f"Triton does not run: {type(e).__name__}: {e}", file=sys.stderr)
        return {}


def _module_here(name: str) -> Any:
    return importlib.import_module(name)
