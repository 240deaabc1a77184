"""Functions that move elements without computing."""
from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.errors import ShapeError, TraceError
from ..ir.extent import Dim, cdiv
from ..ir.extent import same as same_extent
from ..trace import Tracer, cast_node, emit, here, lift, make, operand, scalar, spread, trace_of, user_error
from .registry import method, prop, register


class IndexUserError(ShapeError, IndexError):
    """A position outside of the array, known while tracing."""


def _lift(x: Any) -> Tracer:
    t = lift(x, trace_of([x]))
    here(t.trace)
    return t


def static_int(x: Any) -> Any:
    """An integer, or the extent of a dimension."""
    if x.__class__ is Dim:
        return x
    try:
        return operator.index(x)
    except TypeError:
        raise user_error(TraceError, f"a size or position must be an integer known while tracing, not {x!r}") from None


def ints(x: Any) -> tuple[int, ...]:
    return tuple(static_int(v) for v in x) if isinstance(x, (tuple, list, np.ndarray)) else (static_int(x),)


def same(t: Tracer, node: Any) -> Tracer:
    return make(t.trace, node, t.dtype, t.weak)


@register("reshape")
def reshape(x: Any, shape: Any = None, order: str = "C", copy: Any = None, newshape: Any = None) -> Any:
    t = _lift(x)
    if order not in ("C", "K", None):
        raise user_error(TraceError, f"reshape with order={order!r} is not supported", "permute the dimensions first")
    want = list(ints(shape if shape is not None else newshape))
    if want.count(-1) > 1:
        raise user_error(ShapeError, "reshape: only one dimension may be -1")
    if -1 in want:
        known = math.prod(n for n in want if n != -1)
        if known == 0 or t.size % known:
            raise user_error(ShapeError, f"cannot reshape an array of {t.size} elements into shape {tuple(want)}")
        want[want.index(-1)] = t.size // known
    if math.prod(want) != t.size or any(n < 0 for n in want):
        raise user_error(ShapeError, f"cannot reshape an array of {t.size} elements into shape {tuple(want)}")
    return t if tuple(want) == t.shape else same(t, emit(t.trace, "reshape", [t.node], shape=tuple(want)))


@method("reshape")
def _reshape_method(x: Any, *shape: Any, **kw: Any) -> Any:
    return reshape(x, shape[0] if len(shape) == 1 else shape, **kw)


@register("ravel")
@method("ravel", "flatten")
def ravel(x: Any, order: str = "C") -> Any:
    return reshape(x, (-1,) if lift(x).size else (0,), order=order)


@register("transpose", "permute_dims")
def transpose(x: Any, axes: Any = None) -> Any:
    t = _lift(x)
    from .reductions import normal_axis

    order = tuple(reversed(range(t.ndim))) if axes is None else tuple(normal_axis(a, t.ndim) for a in axes)
    if sorted(order) != list(range(t.ndim)):
        raise user_error(ShapeError, f"axes {axes} do not permute {t.ndim} dimensions")
    return t if order == tuple(range(t.ndim)) else same(t, emit(t.trace, "permute", [t.node], axes=order))


@method("transpose")
def _transpose_method(x: Any, *axes: Any) -> Any:
    return transpose(x, None if not axes else axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


@prop("T")
def _t(x: Any) -> Any:
    return transpose(x)


@register("matrix_transpose")
@prop("mT")
def matrix_transpose(x: Any) -> Any:
    t = _lift(x)
    if t.ndim < 2:
        raise user_error(ShapeError, "matrix_transpose needs at least two dimensions")
    return swapaxes(t, -1, -2)


@register("swapaxes")
@method("swapaxes")
def swapaxes(x: Any, axis1: Any, axis2: Any) -> Any:
    t = _lift(x)
    from .reductions import normal_axis

    a, b = normal_axis(axis1, t.ndim), normal_axis(axis2, t.ndim)
    order = list(range(t.ndim))
    order[a], order[b] = b, a
    return transpose(t, order)


@register("moveaxis")
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    t = _lift(x)
    from .reductions import normal_axis

    src = [normal_axis(a, t.ndim) for a in (source if isinstance(source, (tuple, list)) else (source,))]
    dst = [normal_axis(a, t.ndim) for a in (destination if isinstance(destination, (tuple, list)) else (destination,))]
    if len(src) != len(dst):
        raise user_error(ShapeError, "moveaxis: as many destinations as sources are needed")
    order = [a for a in range(t.ndim) if a not in src]
    for d, s in sorted(zip(dst, src)):
        order.insert(d, s)
    return transpose(t, order)


@register("expand_dims")
def expand_dims(x: Any, axis: Any = 0) -> Any:
    t = _lift(x)
    axes = ints(axis)
    rank = t.ndim + len(axes)
    if any(not -rank <= a < rank for a in axes) or len({a % rank for a in axes}) != len(axes):
        raise user_error(ShapeError, f"expand_dims: axis {axis} does not fit a result of {rank} dimensions")
    places = {a % rank for a in axes}
    rest = iter(t.shape)
    return reshape(t, tuple(1 if i in places else next(rest) for i in range(rank)))


@register("squeeze")
@method("squeeze")
def squeeze(x: Any, axis: Any = None) -> Any:
    t = _lift(x)
    from .reductions import normal_axes

    axes = tuple(i for i, n in enumerate(t.shape) if n == 1) if axis is None else normal_axes(axis, t.ndim)
    if any(t.shape[a] != 1 for a in axes):
        raise user_error(ShapeError, f"squeeze: axis {axis} of {t.shape} is not of size 1")
    return reshape(t, tuple(n for i, n in enumerate(t.shape) if i not in axes))


@register("broadcast_to")
def broadcast_to(x: Any, shape: Any, **_: Any) -> Any:
    t = _lift(x)
    want = ints(shape)
    if len(want) < t.ndim or any(a not in (1, b) for a, b in zip(t.shape[::-1], want[::-1])):
        raise user_error(ShapeError, f"cannot broadcast {t.shape} to {want}")
    return same(t, spread(t.node, t.trace, want))


@register("broadcast_arrays")
def broadcast_arrays(*xs: Any) -> Any:
    from ..trace import broadcast_shapes

    ts = [_lift(x) for x in xs]
    shape = broadcast_shapes(*(t.shape for t in ts))
    return [broadcast_to(t, shape) for t in ts]


def _common(xs: Sequence[Any]) -> list[Tracer]:
    from .elementwise import promote

    if not xs:
        raise user_error(ShapeError, "at least one array is needed")
    trace = trace_of(xs)
    ts = [lift(x, trace) for x in xs]
    here(trace)
    dtype = promote(*ts)
    return [make(trace, cast_node(trace, t.node, t.dtype, dtype), dtype) for t in ts]


@register("concatenate", "concat")
def concatenate(arrays: Any, axis: Any = 0, out: Any = None, dtype: Any = None, casting: Any = None) -> Any:
    from .reductions import normal_axis

    ts = _common(list(arrays))
    if dtype is not None:
        ts = [t.astype(dtype) for t in ts]
    if axis is None:
        ts, axis = [ravel(t) for t in ts], 0
    if any(t.ndim == 0 for t in ts):
        raise user_error(ShapeError, "arrays without dimensions cannot be concatenated", "use stack")
    a = normal_axis(axis, ts[0].ndim)
    for t in ts:
        if t.ndim != ts[0].ndim or t.shape[:a] + t.shape[a + 1 :] != ts[0].shape[:a] + ts[0].shape[a + 1 :]:
            raise user_error(ShapeError, f"cannot concatenate shapes {', '.join(str(t.shape) for t in ts)} along axis {a}")
    return ts[0] if len(ts) == 1 else same(ts[0], emit(ts[0].trace, "concat", [t.node for t in ts], axis=a))


@register("stack")
def stack(arrays: Any, axis: int = 0, out: Any = None, dtype: Any = None, casting: Any = None) -> Any:
    ts = _common(list(arrays))
    if any(t.shape != ts[0].shape for t in ts):
        raise user_error(ShapeError, f"stack needs equal shapes, not {', '.join(str(t.shape) for t in ts)}")
    return concatenate([expand_dims(t, axis) for t in ts], axis=axis % (ts[0].ndim + 1), dtype=dtype)


@register("vstack")
def vstack(tup: Any, **_: Any) -> Any:
    return concatenate([reshape(t, (1, *t.shape)) if t.ndim < 2 else t for t in map(atleast, tup)], axis=0)


@register("hstack")
def hstack(tup: Any, **_: Any) -> Any:
    ts = [atleast(t) for t in tup]
    return concatenate(ts, axis=0 if ts[0].ndim == 1 else 1)


def atleast(x: Any) -> Tracer:
    t = _lift(x)
    return reshape(t, (1,)) if t.ndim == 0 else t


@register("flip")
def flip(m: Any, axis: Any = None) -> Any:
    from .reductions import normal_axes

    t = _lift(m)
    axes = normal_axes(axis, t.ndim)
    if not t.size:
        return t
    start = tuple(n - 1 if i in axes else 0 for i, n in enumerate(t.shape))
    step = tuple(-1 if i in axes else 1 for i in range(t.ndim))
    return same(t, emit(t.trace, "slice", [t.node], start=start, step=step, shape=t.shape))


def part(t: Tracer, axis: int, lo: int, hi: int) -> Tracer:
    start = tuple(lo if i == axis else 0 for i in range(t.ndim))
    shape = tuple(hi - lo if i == axis else n for i, n in enumerate(t.shape))
    return same(t, emit(t.trace, "slice", [t.node], start=start, step=(1,) * t.ndim, shape=shape))


@register("roll")
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    t = _lift(a)
    from .reductions import normal_axis

    if axis is None:
        return reshape(roll(ravel(t), shift, 0), t.shape)
    shifts = ints(shift)
    axes = [normal_axis(v, t.ndim) for v in ints(axis)]
    if len(shifts) != len(axes):
        shifts, axes = (shifts * len(axes), axes) if len(shifts) == 1 else (shifts, axes * len(shifts))
    for s, ax in zip(shifts, axes):
        n = t.shape[ax]
        k = s % n if n else 0
        if k:
            t = concatenate([part(t, ax, n - k, n), part(t, ax, 0, n - k)], axis=ax)
    return t


@register("tile")
def tile(A: Any, reps: Any) -> Any:
    t = _lift(A)
    times = list(ints(reps))
    shape = [1] * (len(times) - t.ndim) + list(t.shape)
    times = [1] * (len(shape) - len(times)) + times
    wide = reshape(t, tuple(v for n in shape for v in (1, n)))
    wide = broadcast_to(wide, tuple(v for k, n in zip(times, shape) for v in (k, n)))
    return reshape(wide, tuple(k * n for k, n in zip(times, shape)))


@register("repeat")
@method("repeat")
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    t = _lift(a)
    from .reductions import normal_axis

    if isinstance(repeats, (tuple, list, np.ndarray)) and np.size(repeats) > 1:
        counts = np.asarray(repeats)
        if axis is None:
            t, axis = ravel(t), 0
        return take(t, np.repeat(np.arange(t.shape[axis]), counts), axis=axis)
    k = static_int(repeats if np.ndim(repeats) == 0 else np.asarray(repeats).item())
    if axis is None:
        t, axis = ravel(t), 0
    ax = normal_axis(axis, t.ndim)
    wide = reshape(t, (*t.shape[: ax + 1], 1, *t.shape[ax + 1 :]))
    wide = broadcast_to(wide, (*t.shape[: ax + 1], k, *t.shape[ax + 1 :]))
    return reshape(wide, (*t.shape[:ax], t.shape[ax] * k, *t.shape[ax + 1 :]))


@register("pad")
def pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0, **kw: Any) -> Any:
    """Modes constant, edge, reflect, symmetric, wrap."""
    t = _lift(array)
    widths = np.broadcast_to(np.asarray(pad_width), (t.ndim, 2))
    low, high = [int(w) for w in widths[:, 0]], [int(w) for w in widths[:, 1]]
    if any(w < 0 for w in low + high):
        raise user_error(ShapeError, "pad widths must not be negative")
    if mode in ("edge", "reflect", "symmetric", "wrap") and not kw:
        for ax in range(t.ndim):
            if low[ax] or high[ax]:
                if t.shape[ax] == 0:
                    raise user_error(ShapeError, f"axis {ax} has no element, and pad with mode={mode!r} repeats those that are there")
                t = same(t, emit(t.trace, "take", [t.node, _repeated(t, mode, t.shape[ax], low[ax], high[ax])], axis=ax))
        return t
    if mode != "constant" or kw:
        raise user_error(TraceError, f"pad with mode={mode!r} {', '.join(kw)} is not supported under @jit", "modes: constant, edge, reflect, symmetric, wrap")
    if np.ndim(constant_values) != 0:
        raise user_error(TraceError, "pad takes one constant under @jit")
    fill = lift(constant_values, t.trace)
    node = cast_node(t.trace, fill.node, fill.dtype, t.dtype)
    shape = tuple(a + n + b for a, n, b in zip(low, t.shape, high))
    return same(t, emit(t.trace, "pad", [t.node, node], low=tuple(low), shape=shape)) if t.ndim else t


def _repeated(t: Tracer, mode: str, n: Any, low: int, high: int) -> Any:
    """The element that stands at each place of a padded axis: places beyond the ends are clamped (by `take` itself), or follow a period."""
    b = t.trace.builder
    place = _iota(t, (low + n + high,), 0)

    def number(v: Any) -> Any:
        return spread(operand(lift(v, t.trace), np.dtype(np.int64)), t.trace, (low + n + high,))

    period = n if mode == "wrap" else 2 * n - 2 if mode == "reflect" else 2 * n
    if mode == "edge" or same_extent(period, 0):
        return b.iadd(place, number(-low))
    at = b.irem_u(b.iadd(place, number(cdiv(low, period) * period - low)), number(period))
    return at if mode == "wrap" else b.imin_s(at, b.isub(number(period if mode == "reflect" else period - 1), at))


@register("take")
@method("take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """Elements at indices along an axis.  Negative indices count from the end; beyond the ends they are clamped."""
    from .reductions import normal_axis

    t = _lift(a)
    if axis is None:
        t, axis = ravel(t), 0
    ax = normal_axis(axis, t.ndim)
    i = index_node(t, indices, t.shape[ax])
    return same(t, emit(t.trace, "take", [t.node, i], axis=ax))


def index_node(t: Tracer, indices: Any, n: Any) -> Any:
    """An index array as i64 nodes with negative ones counted from the end."""
    if isinstance(indices, (list, tuple)):
        indices = np.asarray(indices, np.int64) if not any(isinstance(v, Tracer) for v in indices) else indices
    if isinstance(indices, (np.ndarray, int, np.integer)) and not isinstance(indices, bool):
        known = np.asarray(indices)
        if known.dtype.kind not in "iu" and known.size:
            raise user_error(TraceError, f"an index must be of integers, not {known.dtype}")
        if known.size and (int(known.max()) >= n or int(known.min()) < -n):
            raise user_error(IndexUserError, f"index {int(known.max()) if int(known.max()) >= n else int(known.min())} is out of bounds for size {n}")
        if known.size <= 64:
            places = np.where(known < 0, known + n, known) if n.__class__ is int else known
            node = t.trace.builder.literal(places.astype(np.int64), scalar(np.int64), known.shape)
            if n.__class__ is int or not (known < 0).any():
                return node
            indices = Tracer(t.trace, node, np.int64)
    i = lift(indices, t.trace)
    if i.dtype.kind not in "iu":
        if i.dtype == np.bool_:
            raise user_error(TraceError, "a boolean mask has a result of unknown size", "use pj.where(mask, x, other), or x * mask")
        raise user_error(TraceError, f"an index must be of integers, not {i.dtype}")
    b = t.trace.builder
    node = cast_node(t.trace, i.node, i.dtype, np.int64)
    if i.dtype.kind == "u":
        return node
    return b.select(b.icmp(node, b.like(node, 0), pred="slt"), b.iadd(node, b.like(node, n)), node)


@register("take_along_axis")
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    from .reductions import normal_axis

    t = _lift(arr)
    if axis is None:
        t, axis = ravel(t), 0
    ax = normal_axis(axis, t.ndim)
    i = index_node(t, indices, t.shape[ax])
    if len(i.shape) != t.ndim:
        raise user_error(ShapeError, "take_along_axis: the index needs as many dimensions as the array")
    shape = tuple(max(a, b) if k != ax else b for k, (a, b) in enumerate(zip(t.shape, i.shape)))
    i = spread(i, t.trace, shape)
    x = spread(t.node, t.trace, tuple(t.shape[k] if k == ax else n for k, n in enumerate(shape)))
    return same(t, emit(t.trace, "take_elements", [x, i], axis=ax))


def _triangle(name: str) -> Any:
    def run(m: Any, k: int = 0) -> Any:
        t = _lift(m)
        if t.ndim < 2:
            raise user_error(ShapeError, f"{name} needs at least two dimensions")
        b = t.trace.builder
        rows = _iota(t, (t.shape[-2], t.shape[-1]), 0)
        cols = _iota(t, (t.shape[-2], t.shape[-1]), 1)
        below = b.icmp(cols, b.iadd(rows, b.like(rows, k if name == "tril" else k - 1)), pred="sle")
        p = spread(below, t.trace, t.shape)
        zero = b.like(t.node, 0)
        return same(t, b.select(p, t.node, zero) if name == "tril" else b.select(p, zero, t.node))

    run.__name__, run.__doc__ = name, getattr(np, name).__doc__
    return run


def _iota(t: Tracer, shape: tuple[int, ...], axis: int) -> Any:
    from ..ir.types import I64, array

    return emit(t.trace, "iota", [], axis=axis, type=array(I64, shape))


register("tril")(_triangle("tril"))
register("triu")(_triangle("triu"))


@register("split")
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    from .reductions import normal_axis

    t = _lift(ary)
    ax = normal_axis(axis, t.ndim)
    n = t.shape[ax]
    if isinstance(indices_or_sections, int):
        if n % indices_or_sections:
            raise user_error(ShapeError, f"{n} elements do not split into {indices_or_sections} equal parts")
        cuts = [n // indices_or_sections * i for i in range(1, indices_or_sections)]
    else:
        cuts = [min(max(c if c >= 0 else c + n, 0), n) for c in ints(indices_or_sections)]
    ends = [0, *cuts, n]
    return [part(t, ax, lo, max(lo, hi)) for lo, hi in zip(ends, ends[1:])]


@register("unstack")
def unstack(x: Any, axis: int = 0) -> Any:
    t = moveaxis(x, axis, 0)
    return tuple(t[i] for i in range(t.shape[0]))


@register("copy")
@method("copy")
def copy(a: Any, order: str = "K", **_: Any) -> Any:
    return _lift(a)


@register("atleast_1d")
def atleast_1d(*xs: Any) -> Any:
    out = [atleast(x) for x in xs]
    return out[0] if len(out) == 1 else out


@register("diag")
def diag(v: Any, k: int = 0) -> Any:
    """The k-th diagonal of a matrix, or the matrix with v on it."""
    t = _lift(v)
    if t.ndim == 1:
        n = t.shape[0] + abs(k)
        from .creation import zeros
        from .elementwise import where

        spot = np.diag(np.ones(t.shape[0], bool), k)
        rows = np.arange(n)[:, None] - (abs(k) if k < 0 else 0)
        index = np.broadcast_to(np.clip(rows, 0, max(t.shape[0] - 1, 0)), (n, n))
        return where(spot, take(t, index.copy(), axis=0), zeros((), t.dtype)).astype(t.dtype)
    if t.ndim != 2:
        raise user_error(ShapeError, "diag needs one or two dimensions")
    return diagonal(t, k)


@register("diagonal")
@method("diagonal")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of two axes, as the last axis of the result."""
    t = _lift(a)
    if t.ndim < 2:
        raise user_error(ShapeError, f"diagonal needs at least two dimensions, not {t.ndim}")
    t = moveaxis(t, (axis1, axis2), (-2, -1))
    i = np.arange(max(0, min(t.shape[-2] + min(offset, 0), t.shape[-1] - max(offset, 0))))
    return t[..., i + max(-offset, 0), i + max(offset, 0)]
