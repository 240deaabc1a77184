"""Who holds what: the thread–value map of a tile.

Along one dimension of size T, element e is held by

    e = ((high · warps + warp) · lanes + lane) · vec + v            register number  r = high · vec + v

where a dimension that is not spread over warps (or lanes) has that factor 1.  `Spread` says which dimensions of a program's
tiles those are; it is one choice per program, so all its tiles of equal rank agree and no conversion is needed.  A dimension of
size 1 is not spread: every lane holds its element.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Factors(NamedTuple):
    """One dimension: registers, and what one step of warp and lane advances the element by (0: not spread)."""

    size: int
    regs: int
    vec: int
    lane_stride: int
    warp_stride: int
    high_stride: int

    def constant(self, reg: int) -> int:
        """The part of the element number that the register gives."""
        return reg // self.vec * self.high_stride + reg % self.vec


class Spread(NamedTuple):
    """How a program's tiles lie: lanes along the last dimension; warps along 'first' or 'last'; `vec` neighbours per lane."""

    lanes: int
    warps: int = 1
    warp_axis: str = "last"
    vec: int = 1

    def factors(self, shape: tuple[int, ...], axis: int) -> Factors:
        size, last = shape[axis], len(shape) - 1
        if size == 1:
            return Factors(1, 1, 1, 0, 0, 1)
        lanes = self.lanes if axis == last else 1
        vec = self.vec if axis == last else 1
        on_warps = self.warps > 1 and axis == (0 if self.warp_axis == "first" and len(shape) > 1 else last if self.warp_axis == "last" else -1)
        warps = self.warps if on_warps else 1
        step = warps * lanes * vec
        if size % step:
            raise ValueError(f"a tile of {shape} does not spread over {warps} warps of {lanes} lanes with {vec} neighbours each")
        return Factors(size, size // step * vec, vec, vec if axis == last else 0, lanes * vec if on_warps else 0, step)

    def table(self, shape: tuple[int, ...]) -> np.ndarray:
        """(warp, lane, register) → flat element number; the meaning of this layout."""
        per_axis = [self.factors(shape, a) for a in range(len(shape))]
        out = np.zeros((self.warps, self.lanes, *(f.regs for f in per_axis)), dtype=np.int64)
        stride = 1
        for a in reversed(range(len(shape))):
            f = per_axis[a]
            const = np.array([f.constant(r) for r in range(f.regs)]).reshape([-1 if i == a else 1 for i in range(len(shape))])
            warp = np.arange(self.warps).reshape(-1, *[1] * (1 + len(shape))) * f.warp_stride
            lane = np.arange(self.lanes).reshape(-1, *[1] * len(shape)) * f.lane_stride
            out += (const + warp + lane) * stride
            stride *= shape[a]
        return out.reshape(self.warps, self.lanes, -1)
