"""Arrays made inside a traced function."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.errors import ShapeError
from ..ir.extent import Dim, cdiv, same
from ..ir.op import op
from ..ir.types import array
from ..trace import Tracer, current, emit, here, lift, make, operand, scalar, spread, trace_of, user_error
from .registry import register
from .shape import ints


def _trace() -> Any:
    t = current()
    if t is None:
        trace_of([])
    assert t is not None
    here(t)
    return t


@register("full")
def full(shape: Any, fill_value: Any, dtype: Any = None, **_: Any) -> Any:
    trace = _trace()
    v = lift(fill_value, trace)
    d = np.dtype(dtype) if dtype is not None else v.dtype
    from .shape import broadcast_to

    return broadcast_to(make(trace, operand(v, d), d), _sizes(shape))


@register("zeros")
def zeros(shape: Any, dtype: Any = np.float64, **_: Any) -> Any:
    return _constant(0, shape, dtype)


@register("ones")
def ones(shape: Any, dtype: Any = np.float64, **_: Any) -> Any:
    return _constant(1, shape, dtype)


@register("empty")
def empty(shape: Any, dtype: Any = np.float64, **_: Any) -> Any:
    """Zeros: a pure function has no arbitrary content."""
    return _constant(0, shape, dtype)


def _constant(value: int, shape: Any, dtype: Any) -> Tracer:
    trace = _trace()
    dtype = np.float64 if dtype is None else dtype
    s = scalar(dtype)
    return make(trace, trace.builder.literal(np.array(value).astype(s.np), s, _sizes(shape)), dtype)


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = ints(shape)
    if any(n < 0 for n in sizes):
        raise user_error(ShapeError, f"negative dimensions are not allowed: {sizes}")
    return sizes


def _like(name: str, value: int) -> Any:
    def run(x: Any, dtype: Any = None, shape: Any = None, **_: Any) -> Any:
        t = lift(x, trace_of([x]))
        return _constant(value, t.shape if shape is None else shape, t.dtype if dtype is None else dtype)

    run.__name__, run.__doc__ = name, getattr(np, name).__doc__
    return run


zeros_like = register("zeros_like")(_like("zeros_like", 0))
ones_like = register("ones_like")(_like("ones_like", 1))
register("empty_like")(_like("empty_like", 0))


@register("full_like")
def full_like(x: Any, fill_value: Any, dtype: Any = None, **_: Any) -> Any:
    t = lift(x, trace_of([x]))
    return full(t.shape, fill_value, t.dtype if dtype is None else dtype)


def _known(*values: Any) -> None:
    if any(isinstance(v, Tracer) for v in values):
        from ..ir.errors import TraceError

        raise user_error(TraceError, "the size of the result must be known while tracing", "make the arguments static (static_argnames=…)")


@register("arange")
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, **_: Any) -> Any:
    _known(start, stop, step)
    if any(v.__class__ is Dim for v in (start, stop, step)) and all(isinstance(v, (int, Dim)) for v in (start, stop, step) if v is not None):
        return _range(0, start, step, dtype) if stop is None else _range(start, stop, step, dtype)
    sample = np.arange(start, stop, step, dtype=dtype) if stop is not None else np.arange(0, start, step, dtype=dtype)
    trace = _trace()
    lo = 0 if stop is None else start
    if sample.dtype.kind in "iu":
        node = emit(trace, "iota", [], axis=0, type=array(scalar(sample.dtype), sample.shape))
        b = trace.builder
        if step != 1:
            node = b.imul(node, b.like(node, int(step)))
        if lo != 0:
            node = b.iadd(node, b.like(node, int(lo)))
        return make(trace, node, sample.dtype)
    return _literal(sample)


def _range(start: Any, stop: Any, step: Any, dtype: Any) -> Any:
    """`arange` of integers of which some are extents."""
    trace = _trace()
    count = max(cdiv(stop - start, step) if step > 0 else cdiv(start - stop, -step), 0)
    wide = np.dtype(np.int64 if dtype is None else dtype)
    s = scalar(np.int64 if wide.kind == "f" else wide)
    if wide.kind != "f" and not np.iinfo(wide).max >= stop:
        raise user_error(ShapeError, f"arange: {stop!r} does not fit {wide}")
    node = emit(trace, "iota", [], axis=0, type=array(s, (count,)))
    b = trace.builder
    for k, name in ((step, "imul"), (start, "iadd")):
        if not same(k, 1 if name == "imul" else 0):
            other = operand(lift(k, trace), s.np)
            node = b.emit(op(name), (node, spread(other, trace, node.shape)))
    return make(trace, node, s.np).astype(wide)


def _literal(value: Any) -> Tracer:
    trace = _trace()
    return make(trace, trace.builder.literal(value, scalar(value.dtype)), value.dtype) if value.size > 1 else make(
        trace, trace.builder.literal(value.reshape(()) if value.size else np.zeros((), value.dtype), scalar(value.dtype), value.shape), value.dtype)  # fmt: skip


@register("linspace")
def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0, **_: Any) -> Any:
    _known(start, stop, num)
    return _literal(np.linspace(start, stop, num, endpoint=endpoint, dtype=dtype, axis=axis))


@register("eye", "identity")
def eye(N: int, M: Any = None, k: int = 0, dtype: Any = np.float64, **_: Any) -> Any:
    trace = _trace()
    shape = _sizes((N, N if M is None else M))
    from ..ir.types import I64

    rows = emit(trace, "iota", [], axis=0, type=array(I64, shape))
    cols = emit(trace, "iota", [], axis=1, type=array(I64, shape))
    b = trace.builder
    hit = b.icmp(cols, b.iadd(rows, b.like(rows, k)), pred="eq")
    return make(trace, hit, np.bool_).astype(dtype)


@register("asarray", "array", "ascontiguousarray")
def asarray(x: Any, dtype: Any = None, copy: Any = None, **_: Any) -> Any:
    t = lift(x, _trace())
    if dtype is not None and t.dtype != np.dtype(dtype):
        return t.astype(dtype)
    return make(t.trace, t.node, t.dtype)


@register("meshgrid")
def meshgrid(*xs: Any, indexing: str = "xy", **_: Any) -> Any:
    from .shape import broadcast_to, reshape, swapaxes

    ts = [lift(x, trace_of(xs)) for x in xs]
    shape = tuple(t.size for t in ts)
    out = [broadcast_to(reshape(t, tuple(t.size if i == k else 1 for i in range(len(ts)))), shape) for k, t in enumerate(ts)]
    return [swapaxes(o, 0, 1) for o in out] if indexing == "xy" and len(out) > 1 else out
