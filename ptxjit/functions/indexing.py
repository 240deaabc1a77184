"""x[…]: integers, slices, None, Ellipsis, integer arrays (known or traced), and boolean masks that are known while tracing."""
from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..ir.errors import ShapeError, TraceError
from ..ir.extent import Dim, cdiv
from ..ir.extent import same as same_extent
from ..trace import Tracer, _leaves, broadcast_shapes, emit, here, lift, spread, user_error
from .shape import IndexUserError, index_node, reshape, same, static_int, transpose


def getitem(t: Tracer, index: Any) -> Any:
    t = lift(t)
    here(t.trace)
    items = _expanded(t, index if isinstance(index, tuple) else (index,))
    start: list[Any] = []
    step: list[Any] = []
    shape: list[Any] = []
    out: list[Any] = []
    arrays: list[Any] = []
    d = 0
    for item in items:
        if item is None:
            out.append(1)
            continue
        if isinstance(item, _Once):
            arrays.append((len(out), d, item.places))
            out.append(1)
            continue
        n = t.shape[d]
        if isinstance(item, slice):
            if any(isinstance(v, Tracer) for v in (item.start, item.stop, item.step)):
                raise user_error(TraceError, "the bounds of a slice must be known while tracing", "use np.take with pj-made indices, or make them static")
            if item.step is not None and static_int(item.step) == 0:
                raise user_error(ShapeError, "the step of a slice cannot be zero")
            lo, hi, k = item.indices(n) if n.__class__ is int else _ends(item, n)
            count = len(range(lo, hi, k)) if n.__class__ is int else max(cdiv(hi - lo, k) if k > 0 else cdiv(lo - hi, -k), 0)
            start.append(lo if count else 0)
            step.append(k)
            shape.append(count)
            out.append(count)
        elif isinstance(item, (int, np.integer, Dim)) and not isinstance(item, bool):
            i: Any = item if item.__class__ is Dim else int(item)
            if not -n <= i < n:
                raise user_error(IndexUserError, f"index {i!r} is out of bounds for axis {d} of size {n!r}")
            start.append(i if i >= 0 else i + n)
            step.append(1)
            shape.append(1)
        else:
            arrays.append((len(out), d, item))
            start.append(0)
            step.append(1)
            shape.append(n)
            out.append(n)
        d += 1
    plain = all(map(same_extent, shape, t.shape)) and all(k == 1 for k in step)
    x = t if plain else same(t, emit(t.trace, "slice", [t.node], start=tuple(start), step=tuple(step), shape=tuple(shape)))
    x = reshape(x, tuple(out))
    if not arrays:
        return x
    advanced = [k for k, i in enumerate(items) if i is not None and not isinstance(i, slice)]
    together = advanced[-1] - advanced[0] < len(advanced)  # NumPy counts integers, too
    return _advanced(x, [(place, item) for place, _, item in arrays], together)


def _ends(item: slice, n: Any) -> tuple[Any, Any, int]:
    """`slice.indices` for a size that is an extent."""
    k = 1 if item.step is None else operator.index(item.step)

    def end(v: Any, default: Any) -> Any:
        if v is None:
            return default
        v = static_int(v)
        v = v if v >= 0 else v + n
        least, most = (0, n) if k > 0 else (-1, n - 1)
        return least if v < least else most if v > most else v

    return end(item.start, 0 if k > 0 else n - 1), end(item.stop, n if k > 0 else -1), k


class _Once:
    """x[True] and x[False]: places in a new dimension of one element."""

    def __init__(self, flag: Any) -> None:
        self.places = np.zeros(int(flag), np.int64)


def _mask(i: Any) -> np.ndarray[Any, Any] | None:
    """A boolean index whose values are known, as an array."""
    if isinstance(i, (bool, np.bool_)) or isinstance(i, np.ndarray) and i.dtype == np.bool_:
        return np.asarray(i)
    if isinstance(i, (list, tuple)) and i and not any(isinstance(v, Tracer) for v in _leaves(i)) and all(isinstance(v, (bool, np.bool_)) for v in _leaves(i)):
        return np.asarray(i)
    return None


def _expanded(t: Tracer, items: tuple[Any, ...]) -> list[Any]:
    """Ellipsis written out; a list becomes an array, a mask the places where it is true."""
    masks = [_mask(i) for i in items]
    used = sum(m.ndim if m is not None else i is not None and i is not Ellipsis for i, m in zip(items, masks))
    if used > t.ndim:
        raise user_error(IndexUserError, f"too many indices: {used} for an array of {t.ndim} dimensions")
    if sum(i is Ellipsis for i in items) > 1:
        raise user_error(IndexUserError, "an index may have one ellipsis")
    out: list[Any] = []
    d = 0
    for i, m in zip(items, masks):
        if m is not None:
            for k, (size, n) in enumerate(zip(m.shape, t.shape[d:])):
                if size != n:
                    raise user_error(IndexUserError, f"a boolean mask of {size} elements for axis {d + k} of size {n}")
            out.extend(m.nonzero() if m.ndim else [_Once(m)])
            d += m.ndim
            continue
        d += t.ndim - used if i is Ellipsis else i is not None
        if i is Ellipsis:
            out.extend([slice(None)] * (t.ndim - used))
        elif getattr(i, "dtype", None) == np.bool_ or isinstance(i, list) and any(isinstance(v, bool) for v in i):
            raise user_error(TraceError, "a boolean mask has a result of unknown size", "use pj.where(mask, x, other), or x * mask")
        else:
            out.append(np.asarray(i, np.int64) if isinstance(i, list) and not any(isinstance(v, Tracer) for v in i) else i)
    if not any(i is Ellipsis for i in items):
        out.extend([slice(None)] * (t.ndim - used))
    return out


def _advanced(x: Tracer, arrays: list[tuple[int, Any]], together: bool) -> Any:
    """Index arrays at dimensions of x: they are broadcast together; the result stands at the first if they are neighbours, else in front."""
    trace = x.trace
    nodes = [index_node(x, item, x.shape[place]) for place, item in arrays]
    shape = broadcast_shapes(*(n.shape for n in nodes))
    places = [place for place, _ in arrays]
    if len(arrays) == 1 and together:
        return same(x, emit(trace, "take", [x.node, nodes[0]], axis=places[0]))
    b = trace.builder
    total = None
    for node, place in zip(nodes, places):
        n = x.shape[place]
        wide = spread(node, trace, shape)
        wide = b.imax_s(b.imin_s(wide, b.like(wide, n - 1)), b.like(wide, 0))
        total = wide if total is None else b.iadd(b.imul(total, b.like(total, n)), wide)
    rest = [d for d in range(x.ndim) if d not in places]
    at = places[0] if together else 0
    order = rest[:at] + places + rest[at:]
    moved = transpose(x, order)
    size = math.prod(x.shape[p] for p in places)
    flat = reshape(moved, (*(x.shape[d] for d in rest[:at]), size, *(x.shape[d] for d in rest[at:])))
    return same(x, emit(trace, "take", [flat.node, total], axis=at))  # type: ignore[list-item]
