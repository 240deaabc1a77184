"""x[…]: integers, slices, None, Ellipsis, and integer arrays, known or traced."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.errors import ShapeError, TraceError
from ..trace import Tracer, broadcast_shapes, emit, here, lift, spread, user_error
from .shape import index_node, reshape, same, transpose


class IndexUserError(ShapeError, IndexError):
    """A position outside of the array, known while tracing."""


def getitem(t: Tracer, index: Any) -> Any:
    t = lift(t)
    here(t.trace)
    items = _expanded(t, index if isinstance(index, tuple) else (index,))
    start, step, shape, out, arrays = [], [], [], [], []
    d = 0
    for item in items:
        if item is None:
            out.append(1)
            continue
        n = t.shape[d]
        if isinstance(item, slice):
            if any(isinstance(v, Tracer) for v in (item.start, item.stop, item.step)):
                raise user_error(TraceError, "the bounds of a slice must be known while tracing", "use np.take with pj-made indices, or make them static")
            lo, hi, k = item.indices(n)
            count = len(range(lo, hi, k))
            start.append(lo if count else 0)
            step.append(k)
            shape.append(count)
            out.append(count)
        elif isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            i = int(item)
            if not -n <= i < n:
                raise user_error(IndexUserError, f"index {i} is out of bounds for axis {d} of size {n}")
            start.append(i % n)
            step.append(1)
            shape.append(1)
        else:
            arrays.append((len(out), d, item))
            start.append(0)
            step.append(1)
            shape.append(n)
            out.append(n)
        d += 1
    plain = tuple(shape) == t.shape and all(k == 1 for k in step)
    x = t if plain else same(t, emit(t.trace, "slice", [t.node], start=tuple(start), step=tuple(step), shape=tuple(shape)))
    x = reshape(x, tuple(out))
    return _advanced(x, [(place, item) for place, _, item in arrays], items) if arrays else x


def _expanded(t: Tracer, items: tuple[Any, ...]) -> list[Any]:
    """Ellipsis written out; a list becomes an array."""
    used = sum(i is not None and i is not Ellipsis for i in items)
    if used > t.ndim:
        raise user_error(IndexUserError, f"too many indices: {used} for an array of {t.ndim} dimensions")
    if sum(i is Ellipsis for i in items) > 1:
        raise user_error(IndexUserError, "an index may have one ellipsis")
    out: list[Any] = []
    for i in items:
        if i is Ellipsis:
            out.extend([slice(None)] * (t.ndim - used))
        elif isinstance(i, (bool, np.bool_)) or getattr(i, "dtype", None) == np.bool_ or isinstance(i, list) and any(isinstance(v, bool) for v in i):
            raise user_error(TraceError, "a boolean mask has a result of unknown size", "use pj.where(mask, x, other), or x * mask")
        else:
            out.append(np.asarray(i, np.int64) if isinstance(i, list) and not any(isinstance(v, Tracer) for v in i) else i)
    if not any(i is Ellipsis for i in items):
        out.extend([slice(None)] * (t.ndim - used))
    return out


def _advanced(x: Tracer, arrays: list[tuple[int, Any]], items: list[Any]) -> Any:
    """Index arrays at dimensions of x: they are broadcast together; the result stands at the first if they are neighbours."""
    trace = x.trace
    nodes = [index_node(x, item, x.shape[place]) for place, item in arrays]
    shape = broadcast_shapes(*(n.shape for n in nodes))
    places = [place for place, _ in arrays]
    if len(arrays) == 1:
        return same(x, emit(trace, "take", [x.node, nodes[0]], axis=places[0]))
    b = trace.builder
    total = None
    for node, place in zip(nodes, places):
        n = x.shape[place]
        wide = spread(node, trace, shape)
        wide = b.imax_s(b.imin_s(wide, b.like(wide, n - 1)), b.like(wide, 0))
        total = wide if total is None else b.iadd(b.imul(total, b.like(total, n)), wide)
    rest = [d for d in range(x.ndim) if d not in places]
    neighbours = places == list(range(places[0], places[0] + len(places)))
    at = places[0] if neighbours else 0
    order = rest[:at] + places + rest[at:]
    moved = transpose(x, order)
    size = int(np.prod([x.shape[p] for p in places], dtype=np.int64))
    flat = reshape(moved, (*(x.shape[d] for d in rest[:at]), size, *(x.shape[d] for d in rest[at:])))
    return same(x, emit(trace, "take", [flat.node, total], axis=at))  # type: ignore[list-item]
