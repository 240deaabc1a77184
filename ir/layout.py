"""Who holds what: the thread–value map of a tile.

Along one dimension of size T, element e is held by

    e = ((high · warps + warp) · lanes + lane) · vec + v            register number  r = high · vec + v

where a dimension that is not spread over warps (or lanes) has that factor 1.  `Spread` says which dimensions of a program's
tiles those are; it is one choice per program, so all its tiles of equal rank agree and no conversion is needed.  A dimension of
size 1 is not spread: every lane holds its element.

`Fragments` is the layout of programs that work with a matrix unit: its tiles have roles (A, B, or the rest, which lies as the accumulator does), and
along each dimension the digits of the unit's fragments are joined with those of warps and of several fragments side by side.
"""
from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .fragments import UNITS, Unit

Term = tuple[str, int, int, int]


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

    @property
    def terms(self) -> tuple[Term, ...]:
        """What else gives a part: (special register, bits to drop, values of the rest or 0 for all, stride)."""
        return tuple((name, 0, 0, stride) for name, stride in (("laneid", self.lane_stride), ("warpid", self.warp_stride)) if stride)


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


class Line(NamedTuple):
    """`Factors` for a dimension of a fragment: any constants, in ascending order, and any terms."""

    size: int
    constants: tuple[int, ...]
    terms: tuple[Term, ...]
    vec: int
    places: dict[tuple[int, ...], int]  # (fragment, digits of the unit's register along this dimension) → register

    @property
    def regs(self) -> int:
        return len(self.constants)

    def constant(self, reg: int) -> int:
        return self.constants[reg]


ONE = Factors(1, 1, 1, 0, 0, 1)


class Fragments(NamedTuple):
    """Tiles of a program that works with `unit`.

    warps    along m and n (powers of two)             frags    fragments of a warp along m and n
    depth    steps of the unit in one tile along k     packed   letters of the dimensions along which a lane's elements are neighbours: instead of
    a, b     dimensions of the operands' tiles                  fragment after fragment, every lane's elements of all fragments follow one another
    vecs     neighbours that one access may take, of A, B and the rest
    """

    unit: str
    warps: tuple[int, int]
    frags: tuple[int, int]
    depth: int
    packed: str
    a: str
    b: str
    vecs: tuple[int, int, int]

    @property
    def shape(self) -> dict[str, int]:
        """Sizes of the tiles along m, n and k."""
        m, n, k = UNITS[self.unit].shape
        return {"m": m * self.frags[0] * self.warps[0], "n": n * self.frags[1] * self.warps[1], "k": k * self.depth}

    def factors(self, role: str, shape: tuple[int, ...], axis: int) -> Factors | Line:
        if shape[axis] == 1:
            return ONE
        letters = {"a": self.a, "b": self.b, "c": "mn"}[role]
        if len(shape) != len(letters):
            raise ValueError(f"a tile of {shape} is no matrix")
        line = _line(self, role, letters[axis], axis == len(shape) - 1)
        if shape[axis] != line.size:
            raise ValueError(f"a tile of {shape} is not made of fragments of {self.unit}")
        return line


@lru_cache(maxsize=256)
def _line(f: Fragments, role: str, x: str, last: bool) -> Line:
    u: Unit = UNITS[f.unit]
    unit = dict(zip("mnk", u.shape))[x]
    lanes, regs = {"a": u.a, "b": u.b, "c": u.c}[role].along(x)
    count = {"m": f.frags[0], "n": f.frags[1], "k": f.depth}[x]
    packed, terms, places = x in f.packed, [], {}
    if x == "k":
        per = int(np.prod([size for _, size, _ in regs]))
        below = per * count
        for drop, size, stride in reversed(lanes):
            terms.append(("laneid", drop, size, below if packed else stride))
            below *= size
    else:
        terms = [("laneid", drop, size, stride * (count if packed else 1)) for drop, size, stride in lanes]
        many, inner = (f.warps[0], f.warps[1]) if x == "m" else (f.warps[1], 1)
        if many > 1:
            terms.append(("warpid", inner.bit_length() - 1, many, count * unit))
    for digits in itertools.product(range(count), *(range(size) for _, size, _ in regs)):
        if not packed:
            at = digits[0] * unit + sum(d * stride for d, (_, _, stride) in zip(digits[1:], regs))
        elif x == "k":
            at = 0
            for d, size in zip(digits, (count, *(size for _, size, _ in regs))):
                at = at * size + d
        else:
            at = digits[0] + sum(d * stride for d, (_, _, stride) in zip(digits[1:], regs)) * count
        places[digits] = at
    constants = tuple(sorted(places.values()))
    number = {at: n for n, at in enumerate(constants)}
    vec = f.vecs["abc".index(role)] if last else 1
    while vec > 1 and not (len(constants) % vec == 0 and all(stride % vec == 0 for *_, stride in terms) and all(
            c % vec == 0 and constants[n : n + vec] == tuple(range(c, c + vec)) for n, c in list(enumerate(constants))[::vec])):  # fmt: skip
        vec //= 2
    return Line(f.shape[x], constants, tuple(terms), vec, {d: number[at] for d, at in places.items()})


@lru_cache(maxsize=256)
def depths(unit: str, depth: int, packed: bool) -> tuple[tuple[int, ...], ...]:
    """For each step of the unit the places along k of a tile that it takes, in its own order."""
    u = UNITS[unit]
    k = u.shape[2]
    if not packed:
        return tuple(tuple(range(s * k, s * k + k)) for s in range(depth))
    lane, reg = u.order
    per = max(reg) + 1
    return tuple(tuple(i * per * depth + s * per + r for i, r in zip(lane, reg)) for s in range(depth))
