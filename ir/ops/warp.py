"""Ops across the lanes of a warp.  Meaning: fn(result type, mask, lane-axis operands …) on arrays whose axis 0 is the lane.

`mask` is the boolean array of lanes that execute the op.  Reading a lane that does not execute gives that lane's own value.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError
from ..op import Effect, warp_op
from ..types import I1, I32, Type

Types = Sequence[Type]


def _shfl_rule(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if len(types) != 2 or types[1] is not I32:
        raise DTypeError("shfl takes a value and an i32 lane operand")
    return (types[0],)


def _shfl(ty: Any, mask: Any, a: Any, b: Any, mode: str = "bfly") -> Any:
    lane = np.arange(a.shape[0])
    b = b.astype(np.int64)
    source = {"bfly": lane ^ b, "down": lane + b, "up": lane - b, "idx": b}[mode]
    ok = (source >= 0) & (source < a.shape[0])
    source = np.where(ok, source, lane)
    return a[np.where(mask[source], source, lane)]


def _pred(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if list(types) != [I1]:
        raise DTypeError("a vote takes one i1")
    return (I1,)


warp_op("shfl", _shfl_rule, _shfl, attrs={"mode": ("bfly", "down", "up", "idx")}, doc="value of another lane: lane^b, lane+b, lane−b or b")
warp_op("vote_any", _pred, lambda ty, mask, p: np.full_like(p, bool((p & mask).any())), doc="true in all lanes if true in any executing lane")
warp_op("vote_all", _pred, lambda ty, mask, p: np.full_like(p, bool((p | ~mask).all())), doc="true in all lanes if true in every executing lane")


# ---- collectives of an explicit set of lanes (`.sync`) ---------------------------------------------------------------
#
# Operand 0 is the member mask (i32).  All lanes that it names and that have not exited arrive before any goes on.  Meanings get the lanes
# that take part as `mask`; the operand itself is not passed on.


def _member(types: Types, rest: Types | None = None) -> tuple[Type, ...]:
    if not types or types[0] is not I32 or rest is not None and list(types[1:]) != list(rest):
        raise DTypeError("takes a member mask (i32)" + (f" and {', '.join(map(str, rest))}" if rest else ""))
    return tuple(types[1:])


def _lanes_of(mask: Any) -> int:
    return sum(1 << int(k) for k in np.flatnonzero(mask))


def _signed32(x: int) -> int:
    return (x & 0xFFFFFFFF) - ((x & 0x80000000) << 1)


def _shfl_sync(ty: Any, mask: Any, a: Any, b: Any, c: Any, mode: str = "bfly") -> Any:
    """PTX ISA 9.7.9.6: c holds the clamp (bits 0–4) and the segment mask (bits 8–12)."""
    lane = np.arange(a.shape[0])
    b, c = b.astype(np.int64) & 31, c.astype(np.int64)
    clamp, segment = c & 31, (c >> 8) & 31
    top, low = (lane & segment) | (clamp & ~segment), lane & segment
    if mode == "up":
        j = lane - b
        ok = j >= top
    elif mode == "down":
        j = lane + b
        ok = j <= top
    elif mode == "bfly":
        j = lane ^ b
        ok = j <= top
    else:
        j = low | (b & ~segment)
        ok = j <= top
    return a[np.where(ok, j, lane)], ok


def _match_any(ty: Any, mask: Any, v: Any) -> Any:
    return np.array([_signed32(_lanes_of(mask & (v == x))) for x in v], np.int32)


def _match_all(ty: Any, mask: Any, v: Any) -> Any:
    same = len({int(x) for x in v[mask]}) == 1
    return np.full(v.shape, _signed32(_lanes_of(mask)) if same else 0, np.int32), np.full(v.shape, same)


def _redux(ty: Any, mask: Any, v: Any, fn: str = "iadd") -> Any:
    from ..op import op

    parts = v[mask]
    out = parts[:1]
    for k in range(1, len(parts)):
        meaning = op(fn).meaning
        assert meaning is not None
        out = meaning(ty, out, parts[k : k + 1])
    return np.full(v.shape, out[0], v.dtype)


def _first(mask: Any) -> int:
    return int(np.flatnonzero(mask)[0])


_B = {"effect": Effect(convergent=True, may_suspend=True)}
warp_op("shfl_sync", lambda t, a: (_member(t)[0], I1) if list(t[2:]) == [I32, I32] else _member(()), _shfl_sync, **_B,
        attrs={"mode": ("bfly", "down", "up", "idx")}, doc="mask, value, lane operand, clamp and segments → value, in range")  # fmt: skip
warp_op("vote_sync", lambda t, a: (_member(t, [I1]), (I1,))[1], lambda ty, mask, p, mode="any": np.full_like(
    p, {"any": p[mask].any(), "all": p[mask].all(), "uni": len(set(p[mask].tolist())) < 2}[mode]), attrs={"mode": ("any", "all", "uni")}, **_B,
    doc="mask, predicate → any, all or uniform over the members")  # fmt: skip
warp_op("ballot_sync", lambda t, a: (_member(t, [I1]), (I32,))[1], lambda ty, mask, p: np.full(p.shape, _signed32(_lanes_of(mask & p)), np.int32),
        **_B, doc="mask, predicate → one bit per member")  # fmt: skip
warp_op("match_any_sync", lambda t, a: (_member(t), (I32,))[1], _match_any, **_B, doc="mask, value → members with the same value")
warp_op("match_all_sync", lambda t, a: (_member(t), (I32, I1))[1], _match_all, **_B, doc="mask, value → the members if all agree, else 0; agree")
warp_op("redux_sync", lambda t, a: _member(t), _redux, attrs={"fn": str}, **_B, doc="mask, value → reduction by a lane op over the members")
warp_op("warp_sync", lambda t, a: (_member(t, []), ())[1], lambda ty, mask: (), **_B, doc="the members meet; orders their memory accesses")
warp_op("elect_sync", lambda t, a: (_member(t, []), (I32, I1))[1], lambda ty, mask: (
    np.full(mask.shape, _first(mask), np.int32), np.arange(mask.size) == _first(mask)), **_B, doc="mask → the leader's lane, am I it")  # fmt: skip
warp_op("activemask", lambda t, a: (I32,), lambda ty, mask: np.full(mask.shape, _signed32(_lanes_of(mask)), np.int32),
        effect=Effect(convergent=True, may_suspend=True), doc="the lanes that execute this together")  # fmt: skip
