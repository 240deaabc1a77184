"""Loops on traced values: `fori_loop`, `while_loop`, `scan`; and `debug_print`.  States are arrays or containers of them."""
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .ir.errors import DTypeError, ShapeError, TraceError, UnsupportedError
from .ir.extent import Dim
from .ir.graph import Graph
from .pytree import flatten, unflatten
from .trace import Trace, Tracer, current, emit, here, lift, make, user_error, user_loc


def _body(fn: Callable[..., Any], before: list[Tracer], tree: Any, state: list[Tracer], what: str, after: list[Tracer],
          returns: str = "state") -> tuple[Trace, list[Any], Any]:  # fmt: skip
    """Traces fn(*before, state, *after) as a closed graph; returns its trace, output tracers and their structure."""
    with Trace(current()) as inner:
        first = [inner.input(t.dtype, t.shape, "i") for t in before]
        inside = [inner.input(t.dtype, t.shape, f"s{k}") for k, t in enumerate(state)]
        rest = [inner.input(t.dtype, t.shape, f"x{k}") for k, t in enumerate(after)]
        args = [*first, unflatten(tree, inside)] if tree is not None else [*first]
        result = fn(*args, *rest)
        leaves, structure = flatten(result)
        outs = [lift(v, inner) for v in leaves]
        return inner, outs, structure


def _states(state: Any) -> tuple[list[Tracer], Any]:
    leaves, tree = flatten(state)
    trace = current()
    if trace is None:
        raise user_error(TraceError, "loops on traced values belong into a jitted function")
    out = []
    for v in leaves:
        t = lift(v, trace)
        out.append(make(trace, t.node, t.dtype))  # a state is never weak
    return out, tree


def _fit(what: str, outs: list[Tracer], state: list[Tracer], structure: Any, tree: Any) -> list[Any]:
    if structure != tree:
        raise user_error(ShapeError, f"{what}: the body returns another structure than the state has")
    nodes = []
    for o, s in zip(outs, state):
        if o.shape != s.shape:
            raise user_error(ShapeError, f"{what}: the state changes its shape from {s.shape} to {o.shape}")
        if o.dtype != s.dtype:
            if not o.weak:
                raise user_error(DTypeError, f"{what}: the state changes its dtype from {s.dtype} to {o.dtype}", "convert with .astype(…)")
            o = o.astype(s.dtype)
        nodes.append(o.node)
    return nodes


def _captured(trace: Trace, inner: Trace) -> list[Any]:
    return [lift(value, trace).node for value, _ in inner.captured]


def _items(trace: Trace, node: Any, like: list[Tracer]) -> list[Tracer]:
    return [make(trace, emit(trace, "item", [node], index=k, type=t.node.type), t.dtype) for k, t in enumerate(like)]


def _bound(v: Any) -> Any:
    """A bound of `fori_loop`: an integer, the extent of a dimension, or a traced integer without dimensions."""
    if v.__class__ is Dim or isinstance(v, Tracer) and v.dtype.kind in "iub" and v.shape == ():
        return v
    try:
        if not isinstance(v, Tracer):
            return operator.index(v)
    except TypeError:
        pass
    what = f"{v.dtype}{list(v.shape)}" if isinstance(v, (Tracer, np.ndarray, np.generic)) else repr(v)
    raise user_error(DTypeError, f"fori_loop: a bound must be one integer, not {what}", "convert with int(…) or .astype(int)")


def fori_loop(lo: Any, hi: Any, body: Callable[[Any, Any], Any], state: Any) -> Any:
    """`for i in range(lo, hi): state = body(i, state)`.  i is an int64 scalar."""
    lo, hi = (_bound(v) for v in (lo, hi))
    if current() is None:
        for i in range(lo, hi):
            state = body(i, state)
        return state
    leaves, tree = _states(state)
    trace = current()
    assert trace is not None
    low, high = (lift(v, trace).astype(np.int64) for v in (lo, hi))
    inner, outs, structure = _body(body, [low], tree, leaves, "fori_loop", [])
    with _again(inner):
        nodes = _fit("fori_loop", outs, leaves, structure, tree)
    graph = Graph("body", inner.inputs, nodes)
    args = [low.node, high.node, *(t.node for t in leaves), *_captured(trace, inner)]
    here(trace)
    node = emit(trace, "loop", args, kind="fori", body=graph, types=tuple(t.node.type for t in leaves), carried=len(leaves))
    return unflatten(tree, _items(trace, node, leaves))


class _again:
    """Continues a body's trace for the conversion of its results."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> None:
        self.trace.alive = True
        self.trace.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.trace.__exit__(*exc)


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], state: Any) -> Any:
    """`while cond(state): state = body(state)`.  The condition is a boolean scalar."""
    if current() is None:
        while bool(cond(state)):
            state = body(state)
        return state
    leaves, tree = _states(state)
    trace = current()
    assert trace is not None
    inner, outs, structure = _body(body, [], tree, leaves, "while_loop", [])
    with _again(inner):
        nodes = _fit("while_loop", outs, leaves, structure, tree)
    asks, answers, _ = _body(cond, [], tree, leaves, "while_loop", [])
    if len(answers) != 1 or answers[0].shape != ():
        raise user_error(ShapeError, "while_loop: the condition must be a single boolean without dimensions", "use .any() or .all()")
    with _again(asks):
        answer = answers[0].astype(np.bool_).node
    # both graphs take the captured values of either
    captured = [v for v, _ in inner.captured]
    for v, n in asks.captured:
        if not any(v is w for w in captured):
            captured.append(v)
    graphs = [_aligned(t, len(leaves), captured, results) for t, results in ((inner, nodes), (asks, [answer]))]
    args = [*(t.node for t in leaves), *(lift(v, trace).node for v in captured)]
    here(trace)
    node = emit(trace, "loop", args, kind="while", body=graphs[0], cond=graphs[1], types=tuple(t.node.type for t in leaves), carried=len(leaves))
    return unflatten(tree, _items(trace, node, leaves))


def _aligned(t: Trace, own: int, captured: list[Any], results: list[Any]) -> Graph:
    """A body graph whose hidden inputs are all of `captured`, in that order."""
    inputs = list(t.inputs[:own])
    for v in captured:
        found = next((n for w, n in t.captured if w is v), None)
        if found is None:
            from .ir.types import array
            from .trace import scalar

            found = t.builder.input(len(t.inputs) + len(inputs), array(scalar(v.dtype), v.shape), "unused")
        inputs.append(found)
    return Graph("body", inputs, results)


def _length(shapes: list[tuple[int, ...]], length: Any) -> int:
    lengths = {s[0] if s else None for s in shapes}
    if None in lengths or len(lengths) > 1:
        raise user_error(ShapeError, "scan: the scanned arrays must have one common length")
    if length is None and not lengths:
        raise user_error(ShapeError, "scan: without arrays to scan, `length` must be given")
    n = lengths.pop() if lengths else None
    if length is not None:
        try:
            given = operator.index(length)
        except TypeError:
            raise user_error(DTypeError, f"scan: length must be an integer, not {length!r}") from None
        if n not in (None, given) or given < 0:
            raise user_error(ShapeError, f"scan: length={given}, but the scanned arrays have {n} elements" if n is not None else f"scan: length={given}")
        n = given
    assert n is not None
    return operator.index(n)


def scan(f: Callable[[Any, Any], Any], state: Any, xs: Any, length: int | None = None) -> Any:
    """`for x in xs: state, y = f(state, x)`; returns the last state and the stacked ys.  xs may be a container of arrays of one length;
    without any, `length` is the number of turns."""
    x_leaves, x_tree = flatten(xs)
    if current() is None:
        n = _length([np.shape(x) for x in x_leaves], length)
        if n == 0:  # what the ys would be, only a trace can tell
            from .jitted import jit

            return jit(lambda state, xs: scan(f, state, xs, 0), name="scan")(state, xs)
        ys = []
        for i in range(n):
            state, y = f(state, unflatten(x_tree, [x[i] for x in x_leaves]))
            ys.append(flatten(y))
        return state, unflatten(ys[0][1], [np.stack([y[0][k] for y in ys]) for k in range(len(ys[0][0]))])
    leaves, tree = _states(state)
    trace = current()
    assert trace is not None
    arrays = [lift(x, trace) for x in x_leaves]
    n = _length([a.shape for a in arrays], length)
    from .ir.types import array

    with Trace(trace) as inner:
        inside = [inner.input(t.dtype, t.shape, f"s{k}") for k, t in enumerate(leaves)]
        slices = [inner.input(a.dtype, a.shape[1:], f"x{k}") for k, a in enumerate(arrays)]
        result = f(unflatten(tree, inside), unflatten(x_tree, slices))
        if not isinstance(result, tuple) or len(result) != 2:
            raise user_error(TraceError, "scan: the function must return (state, y)")
        s_leaves, s_tree = flatten(result[0])
        y_leaves, y_tree = flatten(result[1])
        nodes = _fit("scan", [lift(v, inner) for v in s_leaves], leaves, s_tree, tree)
        stacked = [lift(v, inner) for v in y_leaves]
        nodes += [y.node for y in stacked]
    graph = Graph("body", inner.inputs, nodes)
    whole = [make(trace, y.node, y.dtype) for y in stacked]
    types = tuple(t.node.type for t in leaves) + tuple(array(y.node.elem, (n, *y.shape)) for y in stacked)
    args = [*(t.node for t in leaves), *(a.node for a in arrays), *_captured(trace, inner)]
    here(trace)
    node = emit(trace, "loop", args, kind="scan", body=graph, types=types, carried=len(leaves), xs=len(arrays), length=n)
    dtypes = [t.dtype for t in leaves] + [y.dtype for y in whole]
    items = [make(trace, emit(trace, "item", [node], index=k, type=ty), d) for k, (ty, d) in enumerate(zip(types, dtypes))]
    return unflatten(tree, items[: len(leaves)]), unflatten(y_tree, items[len(leaves) :])


def debug_print(text: str, *args: Any, **kwargs: Any) -> None:
    """Prints `text.format(*args, **kwargs)`.  In a jitted function the values are copied to the host, and every call prints them in order
    when it has run.  Not in the body of a loop."""
    trace = current()
    if trace is None:
        print(text.format(*args, **kwargs))
        return
    if trace.parent is not None:
        raise UnsupportedError("debug_print in the body of a loop", place=user_loc(), hint="print the state after the loop, or run with PTXJIT_DISABLE=1")
    leaves, tree = flatten((args, dict(kwargs)))
    trace.prints.append((text, tree, [lift(v, trace) if isinstance(v, (Tracer, np.ndarray)) else v for v in leaves]))
