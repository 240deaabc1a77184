"""Ops across the lanes of a warp.  Meaning: fn(result type, mask, lane-axis operands …) on arrays whose axis 0 is the lane.

`mask` is the boolean array of lanes that execute the op.  Reading a lane that does not execute gives that lane's own value.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError
from ..op import warp_op
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
