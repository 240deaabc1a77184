"""The canonical orders of reductions, scans and contractions.  Functions of the logical shape only; every schedule matches them.

**Reduction that includes the last axis.**  The reduced axes (moved last, in order, and flattened) are cut into chunks of 4096.  In
a chunk, element j goes to accumulator j mod 64, ascending, each starting from the identity (−0.0 for add).  The 64 are combined by
halving: i with i + 32, then 16, 8, 4, 2, 1.  Chunk partials are reduced by the same rule; absent elements are the identity.

**Other axes.**  The reduced axes, flattened in C order, are cut into chunks of 256: one ascending chain each, from the identity.
The partials are combined as a row (above).

**Scan.**  Groups of 16 by Kogge–Stone (offsets 1, 2, 4, 8: x[i] = x[i−d] ∘ x[i]); in a chunk of 256, the totals of the 16 groups are
scanned the same way and the one before is combined in front (prefix ∘ x); chunks in sequence: elements are carry ∘ x, and
carry = carry ∘ total.

**Contraction.**  Panels of 256: fma(a, b, acc) with k ascending from 0; panel sums are added in order.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..op import Op, op
from ..types import I1, Scalar
from .values import eval_lane

Array = Any
CHUNK, COLUMN_CHUNK, ACCUMULATORS, GROUP, SCAN_CHUNK, PANEL = 4096, 256, 64, 16, 256, 256


def _identity(fn: Op, elem: Scalar) -> Array:
    assert fn.identity is not None
    with np.errstate(over="ignore"):
        return np.array(fn.identity(elem)).astype(elem.np)


def _combine(fn: Op, elem: Scalar, a: Array, b: Array) -> Array:
    return eval_lane(fn, elem, [np.ascontiguousarray(x).reshape(np.shape(x)) for x in (a, b)])  # which makes 0-d arrays 1-d


def _chunk(fn: Op, elem: Scalar, x: Array) -> Array:
    """[…, n ≤ 4096] → […]."""
    n = x.shape[-1]
    pad = -n % ACCUMULATORS
    identity = _identity(fn, elem)
    if pad or not n:
        pad = pad or ACCUMULATORS
        x = np.concatenate([x, np.broadcast_to(identity, (*x.shape[:-1], pad)).astype(elem.np)], axis=-1)
    acc = np.broadcast_to(identity, (*x.shape[:-1], ACCUMULATORS)).astype(elem.np)
    for j in range(0, x.shape[-1], ACCUMULATORS):
        acc = _combine(fn, elem, acc, x[..., j : j + ACCUMULATORS])
    while acc.shape[-1] > 1:
        half = acc.shape[-1] // 2
        acc = _combine(fn, elem, acc[..., :half], acc[..., half:])
    return acc[..., 0]


def reduce_row(fn: Op, elem: Scalar, x: Array) -> Array:
    """Over the last axis."""
    n = x.shape[-1]
    if n <= CHUNK:
        return _chunk(fn, elem, x)
    partials = [_chunk(fn, elem, x[..., c : c + CHUNK]) for c in range(0, n, CHUNK)]
    return reduce_row(fn, elem, np.stack(partials, axis=-1))


def reduce_canonical(name: str, elem: Scalar, x: Array, axes: Sequence[int]) -> Array:
    """A reduction over `axes` with the lane op `name`."""
    fn = op(name)
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = [x.shape[a] for a in kept]
    count = math.prod(x.shape[a] for a in axes)
    if not axes:
        return x
    moved = np.transpose(x, [*kept, *sorted(axes)]).reshape(*shape, count)
    if count == 0:
        zero = 0.0 if name == "fadd" else _identity(fn, elem)
        return np.broadcast_to(np.array(zero, elem.np), shape).copy()
    if count == 1:
        return moved[..., 0]
    if x.ndim - 1 in axes:
        return reduce_row(fn, elem, moved)
    partials = []
    for c in range(0, count, COLUMN_CHUNK):
        part = moved[..., c : c + COLUMN_CHUNK]
        acc = np.broadcast_to(_identity(fn, elem), shape).astype(elem.np)
        if part.shape[-1] == 1:
            acc = part[..., 0]
        else:
            for k in range(part.shape[-1]):
                acc = _combine(fn, elem, acc, part[..., k])
        partials.append(acc)
    return partials[0] if len(partials) == 1 else reduce_row(fn, elem, np.stack(partials, axis=-1))


def _kogge_stone(fn: Op, elem: Scalar, x: Array) -> Array:
    """Inclusive scan over a last axis of 16."""
    for d in (1, 2, 4, 8):
        x = np.concatenate([x[..., :d], _combine(fn, elem, x[..., :-d], x[..., d:])], axis=-1)
    return x


def scan_chunk(fn: Op, elem: Scalar, x: Array) -> Array:
    """[…, 256] scanned."""
    groups = _kogge_stone(fn, elem, x.reshape(*x.shape[:-1], SCAN_CHUNK // GROUP, GROUP))
    totals = _kogge_stone(fn, elem, groups[..., -1])
    before = np.broadcast_to(totals[..., :-1, None], groups[..., 1:, :].shape)
    return np.concatenate([groups[..., :1, :], _combine(fn, elem, before, groups[..., 1:, :])], axis=-2).reshape(x.shape)


def scan_canonical(name: str, elem: Scalar, x: Array, axis: int) -> Array:
    fn = op(name)
    moved = np.moveaxis(x, axis, -1)
    n = moved.shape[-1]
    if n <= 1 or moved.size == 0:
        return x
    pad = -n % SCAN_CHUNK
    identity = _identity(fn, elem)
    wide = np.concatenate([moved, np.broadcast_to(identity, (*moved.shape[:-1], pad)).astype(elem.np)], axis=-1)
    carry = np.broadcast_to(identity, moved.shape[:-1]).astype(elem.np)
    out = []
    for c in range(0, n, SCAN_CHUNK):
        done = scan_chunk(fn, elem, wide[..., c : c + SCAN_CHUNK])
        out.append(_combine(fn, elem, np.broadcast_to(carry[..., None], done.shape), done))
        carry = _combine(fn, elem, carry, done[..., -1])
    return np.moveaxis(np.concatenate(out, axis=-1)[..., :n], -1, axis)


def contract_canonical(acc: Scalar, x: Array, y: Array, batch: Any, lhs: Sequence[int], rhs: Sequence[int]) -> Array:
    """Sum of products; operands are converted to the accumulator's type first."""
    (bx, by) = batch
    free_x = [a for a in range(x.ndim) if a not in bx and a not in lhs]
    free_y = [a for a in range(y.ndim) if a not in by and a not in rhs]

    def size(v: Array, axes: Sequence[int]) -> list[int]:
        return [v.shape[a] for a in axes]

    b, m, k, n = (math.prod(s) for s in (size(x, bx), size(x, free_x), size(x, lhs), size(y, free_y)))
    left = np.transpose(x, [*bx, *free_x, *lhs]).reshape(b, m, k).astype(acc.np)
    right = np.transpose(y, [*by, *rhs, *free_y]).reshape(b, k, n).astype(acc.np)
    total: Array = None
    add = op("fadd") if acc.is_float else op("or") if acc is I1 else op("iadd")
    for start in range(0, max(k, 1), PANEL):
        part = np.zeros((b, m, n), acc.np)
        for j in range(start, min(start + PANEL, k)):
            u, v = np.broadcast_to(left[:, :, j, None], part.shape), np.broadcast_to(right[:, None, j, :], part.shape)
            u, v = np.ascontiguousarray(u), np.ascontiguousarray(v)
            if acc.is_float:
                part = eval_lane(op("ffma"), acc, (u, v, part))
            else:
                part = eval_lane(add, acc, (part, eval_lane(op("and") if acc is I1 else op("imul"), acc, (u, v))))
        total = part if total is None else eval_lane(add, acc, (total, part))
    return total.reshape((*size(x, bx), *size(x, free_x), *size(y, free_y)))
