"""Reductions and scans, with NumPy's accumulator dtypes."""
from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..ir.errors import DTypeError, ShapeError, TraceError
from ..ir.graph import Node
from ..trace import Trace, Tracer, cast_node, emit, here, lift, make, scalar, trace_of, user_error, user_loc
from .elementwise import apply
from .registry import method, register
from .shape import reshape


def normal_axis(axis: Any, ndim: int) -> int:
    try:
        a = operator.index(axis)
    except TypeError:
        raise user_error(TraceError, f"an axis must be an integer, not {type(axis).__name__}") from None
    if not -ndim <= a < ndim:
        raise user_error(ShapeError, f"axis {a} is out of bounds for an array of {ndim} dimensions")
    return a % ndim


def normal_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    if ndim == 0 and axis in (0, -1):  # NumPy takes a 0-d array for one element
        return ()
    axes = tuple(normal_axis(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(set(axes)) != len(axes):
        raise user_error(ShapeError, f"an axis is named twice in {axis}")
    return tuple(sorted(axes))


def reduce_node(trace: Trace, node: Node, fn: str, axes: tuple[int, ...]) -> Node:
    return emit(trace, "reduce", [node], fn=fn, axes=axes) if axes else node


def _kept(t: Tracer, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> Tracer:
    if not keepdims:
        return t
    full: list[int] = []
    rest = iter(t.shape)
    for i in range(len(shape)):
        full.append(1 if i in axes else next(rest))
    return reshape(t, tuple(full))  # type: ignore[no-any-return]


def _reduced(x: Any, fn: str, axis: Any, keepdims: bool, dtype: Any) -> Tracer:
    t = lift(x, trace_of([x]))
    here(t.trace)
    axes = normal_axes(axis, t.ndim)
    node = cast_node(t.trace, t.node, t.dtype, dtype)
    wide = dtype
    if fn in ("fadd", "fmul") and _is_float(dtype) and np.dtype(dtype).itemsize == 2:  # 16-bit floats are accumulated in f32, rounded once
        node, wide = cast_node(t.trace, node, dtype, np.float32), np.float32
    r = make(t.trace, reduce_node(t.trace, node, fn, axes), wide)
    return _kept(r.astype(dtype), t.shape, axes, keepdims)


def _sum_dtype(t: Tracer, dtype: Any) -> Any:
    """NumPy's accumulator: small integers become the platform's (unsigned) integer."""
    if dtype is not None:
        scalar(dtype)
        return np.dtype(dtype)
    if t.dtype.kind == "b" or t.dtype.kind == "i" and t.dtype.itemsize < 8:
        return np.dtype(np.int64)
    if t.dtype.kind == "u" and t.dtype.itemsize < 8:
        return np.dtype(np.uint64)
    return t.dtype


def _is_float(dtype: Any) -> bool:
    return scalar(dtype).is_float


def _plain(name: str, **kw: Any) -> None:
    for key, value in kw.items():
        if value is not None and value is not np._NoValue and not (key == "where" and value is True):
            raise user_error(TraceError, f"{name}(…, {key}=…) is not supported under @jit")


@register("sum")
@method("sum")
def sum(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None) -> Any:
    _plain("sum", out=out, initial=initial, where=where)
    t = lift(x, trace_of([x]))
    d = _sum_dtype(t, dtype)
    if d == np.bool_:
        return _reduced(t, "or", axis, keepdims is True, d)
    return _reduced(t, "fadd" if _is_float(d) else "iadd", axis, keepdims is True, d)


@register("prod")
@method("prod")
def prod(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None) -> Any:
    _plain("prod", out=out, initial=initial, where=where)
    t = lift(x, trace_of([x]))
    d = _sum_dtype(t, dtype)
    if d == np.bool_:
        return _reduced(t, "and", axis, keepdims is True, d)
    return _reduced(t, "fmul" if _is_float(d) else "imul", axis, keepdims is True, d)


def _extreme(name: str) -> Any:
    def fn(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None) -> Any:
        _plain(name, out=out, initial=initial, where=where)
        t = lift(x, trace_of([x]))
        axes = normal_axes(axis, t.ndim)
        if any(t.shape[a] == 0 for a in axes):
            raise user_error(ShapeError, f"{name} of no elements has no value")
        s = scalar(t.dtype)
        fn = f"f{name}" if s.is_float else ("or" if name == "max" else "and") if t.dtype == np.bool_ else f"i{name}_{'u' if s.is_unsigned else 's'}"
        return _reduced(t, fn, axis, keepdims is True, t.dtype)

    fn.__name__, fn.__doc__ = name, getattr(np, name).__doc__
    return fn


max = register("max", "amax")(method("max")(_extreme("max")))
min = register("min", "amin")(method("min")(_extreme("min")))


@register("mean")
@method("mean")
def mean(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, where: Any = None) -> Any:
    _plain("mean", out=out, where=where)
    t = lift(x, trace_of([x]))
    d = np.dtype(dtype) if dtype is not None else t.dtype if _is_float(t.dtype) else np.dtype(np.float64)
    wide = np.dtype(np.float32) if d.itemsize == 2 else d
    axes = normal_axes(axis, t.ndim)
    total = sum(t.astype(wide), axis=axes, dtype=wide, keepdims=keepdims)
    return apply("divide", total, wide.type(math.prod(t.shape[a] for a in axes))).astype(d)


@register("var")
@method("var")
def var(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, where: Any = None,
        mean: Any = None, correction: Any = None) -> Any:  # fmt: skip
    none = getattr(np, "_NoValue", None)
    _plain("var", out=out, where=where)
    correction = ddof if correction is None or correction is none else correction
    t = lift(x, trace_of([x]))
    d = np.dtype(dtype) if dtype is not None else t.dtype if _is_float(t.dtype) else np.dtype(np.float64)
    wide = np.dtype(np.float32) if d.itemsize == 2 else d
    axes = normal_axes(axis, t.ndim)
    y = t.astype(wide)
    centre = globals()["mean"](y, axis=axes, keepdims=True) if mean is None or mean is none else lift(mean)
    n = math.prod(t.shape[a] for a in axes)
    total = sum(apply("square", apply("subtract", y, centre)), axis=axes, keepdims=keepdims)
    return apply("divide", total, wide.type(builtin_max(n - correction, 0))).astype(d)


builtin_max = __builtins__["max"] if isinstance(__builtins__, dict) else __builtins__.max


@register("std")
@method("std")
def std(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, where: Any = None,
        mean: Any = None, correction: Any = None) -> Any:  # fmt: skip
    return apply("sqrt", var(x, axis, dtype, out, ddof, keepdims, where, mean, correction))


def _truth(name: str, fn: str) -> Any:
    def run(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False, where: Any = None) -> Any:
        _plain(name, out=out, where=where)
        t = lift(x, trace_of([x]))
        return _reduced(t.astype(np.bool_), fn, axis, keepdims is True, np.dtype(np.bool_))

    run.__name__, run.__doc__ = name, getattr(np, name).__doc__
    return run


register("all")(method("all")(_truth("all", "and")))
register("any")(method("any")(_truth("any", "or")))


@register("count_nonzero")
def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return sum(lift(x, trace_of([x])).astype(np.bool_), axis=axis, keepdims=keepdims)


def _arg(name: str, best: str) -> Any:
    def run(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        _plain(name, out=out)
        t = lift(x, trace_of([x]))
        axis = None if t.ndim == 0 and axis in (0, -1) else axis
        flat = reshape(t, (-1,)) if axis is None else t
        a = 0 if axis is None else normal_axis(axis, t.ndim)
        if flat.shape[a] == 0:
            raise user_error(ShapeError, f"{name} of no elements has no value")
        here(t.trace)
        unsigned = True if scalar(t.dtype).is_unsigned else None
        r = make(t.trace, emit(t.trace, "argreduce", [flat.node], fn=best, axis=a, unsigned=unsigned), np.int64)
        axes = tuple(range(t.ndim)) if axis is None else (a,)
        return _kept(r, t.shape, axes, keepdims is True)

    run.__name__, run.__doc__ = name, getattr(np, name).__doc__
    return run


register("argmax")(method("argmax")(_arg("argmax", "max")))
register("argmin")(method("argmin")(_arg("argmin", "min")))


def _scan(name: str, of_float: str, of_int: str) -> Any:
    def run(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False) -> Any:
        _plain(name, out=out)
        t = lift(x, trace_of([x]))
        d = _sum_dtype(t, dtype)
        if d == np.bool_:
            raise user_error(DTypeError, f"{name} as bool")
        if axis is None or t.ndim == 0 and axis in (0, -1):
            if t.ndim != 1:
                t = reshape(t, (-1,))
            axis = 0
        a = normal_axis(axis, t.ndim)
        here(t.trace)
        wide = np.dtype(np.float32) if _is_float(d) and d.itemsize == 2 else d
        node = cast_node(t.trace, t.node, t.dtype, wide)
        done = make(t.trace, emit(t.trace, "scan", [node], fn=of_float if _is_float(d) else of_int, axis=a), wide).astype(d)
        if include_initial:
            from .creation import full
            from .shape import concatenate

            start = full((*t.shape[:a], 1, *t.shape[a + 1 :]), 0 if of_int == "iadd" else 1, dtype=d)
            done = concatenate([start, done], axis=a)
        return done

    run.__name__, run.__doc__ = name, getattr(np, name).__doc__
    return run


register("cumsum", "cumulative_sum")(method("cumsum")(_scan("cumsum", "fadd", "iadd")))
register("cumprod", "cumulative_prod")(method("cumprod")(_scan("cumprod", "fmul", "imul")))


@register("bincount")
def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Counts of 0 … minlength−1: exactly `minlength` entries; a larger or negative value is an error."""
    if weights is not None:
        raise user_error(TraceError, "bincount(…, weights=…) is not supported under @jit")
    t = lift(x, trace_of([x]))
    if t.ndim != 1 or t.dtype.kind not in "iub":
        raise user_error(DTypeError, f"bincount needs a 1-d array of integers, not {t!r}")
    n = operator.index(minlength)
    if n < 1:
        raise user_error(TraceError, "bincount needs minlength=n under @jit: the size of the result must be known", "pass minlength")
    trace, b = t.trace, t.trace.builder
    i = cast_node(trace, t.node, t.dtype, np.int64)
    inside = b.icmp(i, b.like(i, n), pred="ult")
    if t.shape[0]:
        good = emit(trace, "reduce", [inside], fn="and", axes=(0,))
        i = emit(trace, "check", [good, i], message=f"bincount: a value is negative or not below minlength={n}", place=str(user_loc()))
    zeros = b.literal(0, scalar(np.int64), (n,))
    ones = b.like(i, 1)
    return make(trace, emit(trace, "scatter", [zeros, i, ones], fn="iadd"), np.int64)


@register("softmax")
def _softmax(x: Any, axis: Any = -1) -> Any:
    t = lift(x, trace_of([x]))
    e = apply("exp", apply("subtract", t, max(t, axis=axis, keepdims=True)))
    return apply("divide", e, sum(e, axis=axis, keepdims=True))


