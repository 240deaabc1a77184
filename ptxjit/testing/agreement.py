"""The same function on several targets: `assert_targets_agree`."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.graph import Graph
from ..ir.kernel import Kernel
from ..jitted import Jit, _argument
from .compare import bits_difference, describe, results, ulps

TARGETS = ("interp", "cpu", "ptx:sm_80")
DEVICES = ("cpu", "interp", "opencl", "cuda", "rocm")  # families whose names are devices; `cpu:x86-64-v3` is a code target


def jitted(fn: Any) -> Jit:
    return fn if isinstance(fn, Jit) else Jit(fn)


def traced(j: Jit, args: Sequence[Any]) -> tuple[Graph, list[Any]]:
    """The graph of a call, and its inputs: the arguments' leaves, then what the function captured."""
    leaves, structure, static = j._bound(tuple(args), {})
    pairs = [_argument(x) for x in leaves]
    graph, _, captured = j.trace(structure, static, [spec for _, spec in pairs])
    return graph, [x for x, _ in pairs] + [np.ascontiguousarray(c) for c in captured]


def run_on(fn: Any, target: str, args: Sequence[Any]) -> list[Any]:
    """Results on a device (`cpu`, `interp`, `opencl:0`), or of the kernels for any code target (`ptx:sm_90`) on the kernel interpreter; `ptx:sm_90 on cpu`
    is what our own PTX gives when `load_ptx` reads it back; `cpu:x86-64-v3 on cpu` is that CPU's machine code, on a host that can run it."""
    j = jitted(fn)
    name, _, reader = target.partition(" on ")
    if name.partition(":")[0] in DEVICES and (not name.startswith("cpu:") or reader == "cpu"):
        return results(Jit(j.fn, device=name, fast_math=j.options.fast_math, reproducible=j.options.reproducible)(*args))
    from ..ir.interp.program import run_program
    from ..ir.lower import lower
    from ..targets import target as find_target

    graph, leaves = traced(j, args)
    found = find_target(name)
    low = lower(graph, found.facts, fast_math=j.options.fast_math, reproducible=j.options.reproducible)
    if not reader:
        return [np.asarray(x) for x in run_program(low.program, leaves, low.kernels)]
    return [np.asarray(x) for x in run_program(low.program, leaves, read_back(found, low.kernels, reader))]


def read_back(target: Any, kernels: dict[str, Kernel], device: str) -> Callable[[str, Sequence[int], list[Any]], None]:
    """Launches of kernels by way of their PTX, which `load_ptx` reads and runs on a device."""
    from ..ptx import load_ptx

    module = load_ptx(str(target.emit(list(kernels.values()), "ptx")) + "\n", device=device)

    def launch(kernel: str, grid: Sequence[int], args: list[Any]) -> None:
        module[kernel].launch(*args, grid=tuple(grid), block=(kernels[kernel].lanes or 32) * (kernels[kernel].warps or 1))

    return launch


def assert_targets_agree(fn: Any, *args: Any, targets: Sequence[str] | None = None, ulp: float | None = None, bitwise: bool = False) -> None:
    """Runs a function on several targets and compares each with the first.  AssertionError where they differ.

    Targets are devices (`cpu`, `interp`, `opencl:0`), code targets (`ptx:sm_90`, `cpu:x86-64-v3`), whose kernels run on the kernel interpreter, our PTX
    read back and run (`ptx:sm_90 on cpu`), or the machine code of a CPU that this one can stand for (`cpu:x86-64-v3 on cpu`); by default interp, cpu and ptx:sm_80.  `ulp` admits a distance.  Without it the bits must be the same, unless the function was made
    with `fast_math`, which admits 64 ulp; `bitwise` asks for the same bits even then.
    """
    j = jitted(fn)
    names = list(targets or TARGETS)
    admitted = 0.0 if bitwise else ulp if ulp is not None else 64.0 if j.options.fast_math else 0.0
    first = run_on(j, names[0], args)
    for name in names[1:]:
        got = run_on(j, name, args)
        why = bits_difference(first, got) if admitted == 0 else _too_far(first, got, admitted)
        if why is not None:
            raise AssertionError(f"{name} and {names[0]} disagree: {why}")


def _too_far(want: Sequence[Any], got: Sequence[Any], admitted: float) -> str | None:
    for k, (w, g) in enumerate(zip(want, got)):
        if ulps(w, g) > admitted:
            if w.shape != g.shape or w.dtype != g.dtype:
                return f"result {k}: {g.dtype}{list(g.shape)} instead of {w.dtype}{list(w.shape)}"
            bad = np.array([ulps(a, b) > admitted for a, b in zip(w.ravel(), g.ravel())]).reshape(w.shape)
            return f"result {k} {describe(w, g, bad)}, admitted are {admitted:g}"
    return None
