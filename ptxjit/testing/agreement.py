"""Agreement: between targets, with a reference, and, where there is none, the step that broke it."""
from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.errors import PtxjitError
from ..jitted import Jit, jit
from ..pytree import flatten

Levels = ("graph", "program", "kernel", "device")


def ulps(a: Any, b: Any) -> float:
    """Largest distance in units of the last place of the coarser array; 0 for integers that agree, inf for those that do not."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    if a.dtype.kind in "biu":
        return 0.0 if (a == b).all() else float("inf")
    x, y = a.astype(np.float64), b.astype(np.float64)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    if same.all():
        return 0.0
    with np.errstate(all="ignore"):
        unit = np.spacing(np.maximum(np.abs(a), np.abs(b)).astype(a.dtype)).astype(np.float64)
        distance = np.where(same, 0.0, np.abs(x - y) / np.abs(unit))
    return float(np.where(np.isnan(distance), np.inf, distance).max())


def _results(value: Any) -> list[Any]:
    return [np.asarray(v) for v in flatten(value)[0]]


def bits_equal(a: Any, b: Any) -> bool:
    """The same bits; NaNs count as equal."""
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind in "biu":
        return bool((a == b).all())
    kind = f"u{a.dtype.itemsize}"
    return bool(((a.view(kind) == b.view(kind)) | ((a != a) & (b != b))).all())


def run_on(fn: Any, target: str, args: Sequence[Any]) -> list[Any]:
    """Results of a function on a device ('cpu', 'interp'), or of its kernels for any target on the kernel interpreter ('ptx:sm_90')."""
    j = fn if isinstance(fn, Jit) else jit(fn)
    if ":" in target:
        from ..ir.interp.program import run_program

        low = j.lower(*args, target=target)._low
        leaves = [np.asarray(x) for x in flatten(tuple(args))[0]]
        return [np.asarray(x) for x in run_program(low.program, leaves, low.kernels)]
    return _results(Jit(j.fn, device=target)(*args))


def assert_targets_agree(fn: Any, *args: Any, targets: Sequence[str] | None = None, ulp: float | None = None, bitwise: bool = False) -> None:
    """Runs a function on several targets and compares the results with the first.

    Targets are devices (`cpu`, `interp`) or code targets (`ptx:sm_90`, `cpu:x86-64-v3`), whose kernels then run on the kernel interpreter.
    Default: interp, cpu, ptx:sm_80.  `bitwise` asks for the same bits, `ulp` admits a distance (default 0: the same bits).
    """
    names = list(targets or ("interp", "cpu", "ptx:sm_80"))
    first = run_on(fn, names[0], args)
    for name in names[1:]:
        for k, (want, got) in enumerate(zip(first, run_on(fn, name, args))):
            distance = ulps(want, got)
            if bitwise or ulp is None:
                if not bits_equal(want, got):
                    raise AssertionError(f"result {k} differs between {names[0]} and {name} (by {distance:g} ulp)\n{_first_difference(want, got)}")
            elif distance > ulp:
                raise AssertionError(f"result {k} of {name} is {distance:g} ulp from {names[0]}, admitted are {ulp:g}\n{_first_difference(want, got)}")


def _first_difference(want: Any, got: Any) -> str:
    if want.shape != got.shape or want.dtype != got.dtype:
        return f"  {want.dtype}{list(want.shape)} against {got.dtype}{list(got.shape)}"
    bad = np.argwhere(~((want == got) | ((want != want) & (got != got))))
    if not len(bad):
        return "  the sign of a zero"
    at = tuple(int(i) for i in bad[0])
    return f"  at {list(at)}: {want[at]!r} against {got[at]!r} ({len(bad)} of {want.size} elements)"


def which_step(fn: Any, args: Sequence[Any], device: str = "cpu") -> str:
    """Interprets graph, program (tiles) and kernels, and compares each with the one before and with the device: names what broke."""
    from ..ir.interp.graph import run_graph
    from ..ir.interp.program import run_program

    j = fn if isinstance(fn, Jit) else jit(fn)
    leaves = [np.asarray(x) for x in flatten(tuple(args))[0]]
    low = j.lower(*args, target=None)._low
    stages: list[tuple[str, Callable[[], list[Any]]]] = [
        ("graph", lambda: run_graph(low.graph, leaves)),
        ("tile", lambda: run_program(low.program, leaves)),
        ("kernel", lambda: run_program(low.program, leaves, low.kernels)),
        (device, lambda: _results(Jit(j.fn, device=device)(*args))),
    ]
    before: list[Any] | None = None
    last = ""
    for name, run in stages:
        try:
            now = [np.asarray(x) for x in run()]
        except PtxjitError as e:
            return f"{name} level: {e}"
        if before is not None:
            for k, (want, got) in enumerate(zip(before, now)):
                if not bits_equal(want, got):
                    node = low.graph.outputs[k]
                    return (f"the step from {last} to {name} broke result {k} ({node.op} at {node.loc})\n{_first_difference(want, got)}")
        before, last = now, name
    return "every level agrees: the function's meaning differs from the reference at the graph already"


class Report:
    """What a search found: `passed`, the number of `examples`, and the message of a failure."""

    def __init__(self, passed: bool, examples: int, message: str = "") -> None:
        self.passed, self.examples, self.message = passed, examples, message

    def __repr__(self) -> str:
        if self.passed:
            return f"no difference in {self.examples} examples"
        return f"a difference:\n{self.message}"


def check(fn: Any, reference: Callable[..., Any], *, specs: Sequence[str] | None = None, examples: int = 200, seed: int = 0, ulp: float = 64.0,
          progress: bool = False, raise_error: bool = True) -> Report:  # fmt: skip
    """Searches inputs on which a function and its reference differ by more than `ulp`; shrinks them; names the step that broke.

    `specs` fixes dtypes and shapes (`f32[16,8]`); without it one dtype and shape for all arguments is searched.  Raises AssertionError,
    or returns the report with `raise_error=False`.
    """
    import inspect

    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as with_seed
    from hypothesis import strategies as st

    from ..specs import parse_spec
    from .strategies import arrays, shapes

    j = fn if isinstance(fn, Jit) else jit(fn)
    if specs:
        parsed = [parse_spec(s) for s in specs]
        inputs = st.tuples(*(arrays(s.dtype, s.shape) for s in parsed))
    else:
        names = [p for p in inspect.signature(j.fn).parameters.values() if p.default is p.empty]
        kinds = st.tuples(st.sampled_from(("f4", "f8", "i4")), shapes(1, 2, 600).filter(lambda s: 0 not in s))
        inputs = kinds.flatmap(lambda k: st.tuples(*(arrays(k[0], k[1]) for _ in names)))
    count = 0
    found: list[tuple[Any, ...]] = []

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink))
    @with_seed(seed)
    @given(inputs)
    def search(args: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        if progress:
            print(f"\r{count} examples", end="", file=sys.stderr, flush=True)
        with np.errstate(all="ignore"):
            want = _results(reference(*args))
        got = _results(j(*args))
        for w, g in zip(want, got):
            if ulps(w, g) > ulp:
                found.append(args)
                raise AssertionError("differs")

    try:
        search()
    except Exception as e:
        if not found and not isinstance(e, PtxjitError):
            raise
        if progress:
            print(file=sys.stderr)
        if not found:
            report = Report(False, count, str(e))
        else:
            args = found[-1]
            shown = "\n".join(f"  argument {k}: {a.dtype}{list(a.shape)} = {np.array2string(a, threshold=20)}" for k, a in enumerate(args))
            with np.errstate(all="ignore"):
                want, got = _results(reference(*args)), _results(j(*args))
            worst = max(range(len(want)), key=lambda k: ulps(want[k], got[k]))
            report = Report(False, count, f"{shown}\n{_first_difference(want[worst], got[worst])}\n{which_step(j, args)}")
        if raise_error:
            raise AssertionError(repr(report)) from None
        return report
    if progress:
        print(file=sys.stderr)
    return Report(True, count)
