"""Which step broke it: every level of one compilation is interpreted and compared with the one before.

    python     the function by NumPy           against the reference      (then the function is wrong, not its compilation)
    graph      the traced graph                against the function by NumPy
    program    tile programs over buffers      against the graph           fusion and schedules
    kernel     kernels as they were lowered    against the tile programs   tile → kernel
    pass …     kernels after each pass         against the pass before
    device     the compiled program            against the last kernels    the target's writer, compiler and runtime

From the graph on, levels must agree bit for bit (within rounding under `fast_math`).  Then the op is sought: the graph is cut off after
each of its nodes in turn, and the first cut for which the guilty step differs ends in the guilty op.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ir.errors import PtxjitError
from ..ir.graph import Graph, Node
from ..ir.kernel import Kernel
from .agreement import jitted, traced
from .compare import Expectation, bits_difference, expect, results

Array = Any
Run = Callable[[Graph], list[Array]]
MOST_CUTS = 400  # nodes that are tried when the guilty op is sought


class Step(NamedTuple):
    """What broke: `level`, the `step` in words, `op` and `place` (the user's file:line) where they were found, and the `difference`."""

    level: str
    step: str
    op: str | None
    place: str | None
    difference: str

    def __str__(self) -> str:
        if self.level == "none":
            return self.step
        where = f", at {self.op}" if self.op else ""
        return f"{self.step}{where}{f' ({self.place})' if self.place else ''}\n  {self.difference}"


class _Levels:
    """Runs a graph at each level, for one target."""

    def __init__(self, inputs: list[Array], facts: Any, options: Any) -> None:
        self.inputs, self.facts, self.options = inputs, facts, options

    def graph(self, g: Graph) -> list[Array]:
        from ..ir.interp.graph import run_graph

        return run_graph(g, self.inputs)

    def _lowered(self, g: Graph) -> Any:
        from ..ir.lower import lower

        return lower(g, self.facts, fast_math=self.options.fast_math, reproducible=self.options.reproducible)

    def program(self, g: Graph) -> list[Array]:
        return self._run(self._lowered(g).program, None)

    def kernel(self, g: Graph, passes: int) -> list[Array]:
        """Kernels after that many passes of the pipeline."""
        from ..ir.lower.to_kernel import to_kernel

        program = self._lowered(g).program
        kernels: dict[str, Kernel] = {}
        for fn in {id(s.fn): s.fn for s in program.launches()}.values():
            k = to_kernel(fn, self.facts)
            for p in self.pipeline()[:passes]:
                k = p.fn(k)
            kernels[fn.name] = k
        return self._run(program, kernels)

    def pipeline(self) -> Sequence[Any]:
        from ..ir.passes import kernel_pipeline

        return kernel_pipeline(self.facts).passes

    def _run(self, program: Any, kernels: Any) -> list[Array]:
        from ..ir.interp.program import run_program

        return [np.asarray(x) for x in run_program(program, self.inputs, kernels)]


def which_step(fn: Any, args: Sequence[Any], reference: Callable[..., Any] | None = None, *, device: str | None = None,
               ulp: float | None = None) -> Step:  # fmt: skip
    """Names the first level that differs from the one before; see the module docstring.  `device` may be a code target (`ptx:sm_90`)."""
    from ..hardware import default_device
    from ..hardware import device as find_device
    from ..targets import target

    j = jitted(fn)
    expected: Expectation | None = None
    try:
        expected = expect(j.fn, args, ulp)
    except Exception as e:  # noqa: BLE001  the user's function may need tracing
        if reference is None:
            return Step("python", f"NumPy cannot run the function: {type(e).__name__}: {e}", None, None, "")
    if reference is not None:
        wanted = expect(reference, args, ulp)
        why = wanted.difference(expected.want) if expected is not None else None
        if why is not None:
            return Step("python", "the function itself differs from the reference, run by NumPy without compilation", None, None, why)
        expected = expected or wanted
    assert expected is not None
    try:
        graph, inputs = traced(j, args)
    except PtxjitError as e:
        return Step("trace", "the function is refused", None, e.place, str(e))
    runs_here = device is None or ":" not in device
    name = find_device(device or default_device().name).target if runs_here else str(device)
    t = target(name)
    levels = _Levels(inputs, t.facts, j.options)
    try:
        why = expected.difference(_shaped(levels.graph(graph), expected))
    except PtxjitError as e:
        return Step("graph", "the graph cannot be interpreted", None, e.place, str(e))
    if why is not None:
        op, place = _differing_line(j, args, graph, inputs)
        return Step("graph", "the traced graph differs from the function run by NumPy", op, place, why)
    chain: list[tuple[str, str, Run]] = [
        ("program", "the step from graph to program (fusion, schedules) broke it", levels.program),
        ("kernel", "the step from tile programs to kernels broke it", lambda g: levels.kernel(g, 0)),
    ]
    for n, p in enumerate(levels.pipeline(), 1):
        chain.append(("kernel", f"kernel pass {n}, `{p.name}` ({p.help}), broke it", lambda g, n=n: levels.kernel(g, n)))  # type: ignore[misc]
    if runs_here and not hasattr(t, "run_graph"):
        chain.append(("device", f"the step from kernels to {name} (writer, compiler, runtime) broke it", lambda g: _on_device(g, t, inputs, j.options)))
    if hasattr(t, "run_graph"):
        chain = []
    before: Run = levels.graph
    for level, words, run in chain:
        why = _differs(graph, before, run, j.options.fast_math)
        if why is not None:
            op, place = _culprit(graph, before, run, j.options.fast_math)
            return Step(level, words, op, place, why)
        before = run
    return Step("none", "every level agrees with the one before it and with NumPy: no step of this compilation breaks this call", None, None, "")


def _shaped(got: list[Array], expected: Expectation) -> list[Array]:
    return [np.asarray(g).reshape(w.shape) if g.size == w.size else g for g, w in zip(got, expected.want)]


def _on_device(graph: Graph, t: Any, inputs: list[Array], options: Any) -> list[Array]:
    from ..ir.lower import lower

    low = lower(graph, t.facts, fast_math=options.fast_math, reproducible=options.reproducible)
    return results(tuple(t.build(low.program, low.kernels)(*inputs)))


def _differs(graph: Graph, good: Run, bad: Run, fast_math: bool) -> str | None:
    want = good(graph)
    try:
        got = bad(graph)
    except Exception as e:  # noqa: BLE001  whatever a broken step raises is what we look for
        return f"{type(e).__name__}: {e}"
    if fast_math:
        slack = [np.full(w.shape, np.inf) if not np.isfinite(w).all() else 1e-3 * (1 + np.abs(w.astype(np.float64))) for w in want]
        return Expectation(want, slack, [np.ones(w.shape, np.bool_) for w in want]).difference(got)
    return bits_difference(want, got)


def _culprit(graph: Graph, good: Run, bad: Run, fast_math: bool) -> tuple[str | None, str | None]:
    """Op and place of the first node at which the graph, cut off there, differs."""
    nodes = [n for n in graph.nodes if n.op.name not in ("input", "literal") and len(n.types) == 1]
    for n in nodes[:MOST_CUTS]:
        try:
            if _differs(Graph(graph.name, graph.inputs, [n]), good, bad, fast_math) is not None:
                return str(n.op), None if n.loc is None else str(n.loc)
        except Exception:  # noqa: BLE001  a node that cannot stand alone (part of a loop) tells nothing
            continue
    return None, None


# ---- the line at which NumPy and the graph part ---------------------------------------------------------------------


class _Recorder(np.ndarray[Any, Any]):
    """An array that notes the result of every NumPy call on it, with the user's line."""

    notes: list[tuple[str, str, Array]] = []

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        kw = {k: _plain(v) for k, v in kw.items()}
        return _noted(ufunc.__name__, getattr(ufunc, method)(*(_plain(i) for i in inputs), **kw))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return _noted(func.__name__, func(*_plain(args), **_plain(kwargs)))


def _plain(x: Any) -> Any:
    if isinstance(x, _Recorder):
        return x.view(np.ndarray)
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return type(x)(_plain(v) for v in x)
    if isinstance(x, dict):
        return {k: _plain(v) for k, v in x.items()}
    return x


def _noted(name: str, result: Any) -> Any:
    from ..trace import user_loc

    if isinstance(result, (np.ndarray, np.generic)):
        value = np.asarray(result)
        _Recorder.notes.append((name, str(user_loc()), value))
        return value.view(_Recorder)
    if isinstance(result, (list, tuple)) and not hasattr(result, "_fields"):
        return type(result)(_noted(name, r) for r in result)
    return result


def _differing_line(j: Any, args: Sequence[Any], graph: Graph, inputs: list[Array]) -> tuple[str | None, str | None]:
    """The first NumPy call of the function whose result no node of that line has."""
    from ..ir.interp.graph import run_nodes

    _Recorder.notes = []
    try:
        with np.errstate(all="ignore"):
            j.fn(*(np.asarray(a).view(_Recorder) if isinstance(a, (np.ndarray, np.generic)) else a for a in args))
    except Exception:  # noqa: BLE001  what NumPy does with a subclass is its own affair
        return None, None
    values = run_nodes(graph, [np.ascontiguousarray(x).view(n.elem.signless.np).reshape(n.shape) for x, n in zip(inputs, graph.inputs)])
    for name, place, value in _Recorder.notes:
        here = [n for n in graph.nodes if n.loc is not None and str(n.loc) == place and n.shape == value.shape and n.elem.np == value.dtype]
        if here and not any(_close(_typed(values[n.id], n), value) for n in here):
            return name, place
    return None, None


def _typed(value: Array, n: Node) -> Array:
    return np.ascontiguousarray(value).view(n.elem.np).reshape(n.shape)


def _close(a: Array, b: Array) -> bool:
    if a.dtype.kind in "biu":
        return bool((a == b).all())
    with np.errstate(all="ignore"):
        x, y = a.astype(np.float64), b.astype(np.float64)
        return bool(np.isclose(x, y, rtol=1e-2 if a.itemsize == 2 else 1e-4, atol=0, equal_nan=True).all())


