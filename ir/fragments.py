"""Fragments of matrix instructions: which lane holds which element (PTX ISA 9.7.14; AMD's instruction-set manuals of RDNA 3, RDNA 4 and CDNA).

A fragment is a mixed-radix map, outermost digit first: digits of the lane's number, then digits of the register's.  A digit is (size, axis, stride):
one step of it advances the element along `axis` ('m', 'n' or 'k') by `stride`; on axis '' it repeats.  `table` makes the two integer arrays of
shape (lanes, n) that say row and column of the n elements that each lane holds, in register order.  The same maps serve the schedule, the interpreter,
the CPU, the reader and the writers.

`UNITS` are the instructions that schedules use, by the name that a device record lists.
"""
from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

LANE = np.arange(32)
Fragment = tuple[Any, Any]
Digit = tuple[int, str, int]
# element type → bits in a register; narrow floats stand in containers of 8 bits, but `e2m1x8` is e2m1 eight to a register
BITS = {"f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "f64": 64, "s32": 32, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "b1": 1, "e4m3": 8, "e5m2": 8,
        "e2m3": 8, "e3m2": 8, "e2m1": 8, "e2m1x8": 4}  # fmt: skip


def shape_of(text: str) -> tuple[int, int, int]:
    """'m16n8k32' → (16, 8, 32)."""
    m, rest = text[1:].split("n")
    n, k = rest.split("k")
    return int(m), int(n), int(k)


class Map(NamedTuple):
    """A fragment: digits of the lane, digits of the register."""

    lanes: tuple[Digit, ...]
    regs: tuple[Digit, ...]

    def along(self, axis: str) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        """The digits along an axis: of the lane as (bits below it, size, stride), of the register as (place in `regs`, size, stride)."""
        of_lane, below = [], 1
        for size, a, stride in reversed(self.lanes):
            if a == axis:
                of_lane.append((below.bit_length() - 1, size, stride))
            below *= size
        return of_lane[::-1], [(n, size, stride) for n, (size, a, stride) in enumerate(self.regs) if a == axis]


def _numbers(digits: Sequence[Digit], axis: str) -> Any:
    out = np.zeros(1, np.int64)
    for size, a, stride in digits:
        out = (out[:, None] + np.arange(size)[None, :] * (stride if a == axis else 0)).reshape(-1)
    return out


def table(f: Map, row: str, col: str) -> Fragment:
    """Row and column of each lane's elements."""
    rows, cols = (_numbers(f.lanes, a)[:, None] + _numbers(f.regs, a)[None, :] for a in (row, col))
    return rows, cols


def mma_maps(m: int, n: int, k: int, t: str) -> tuple[Map, Map, Map]:
    """A, B and C of `mma.sync` with n = 8: rows go down by 8 first, then along k."""
    per = max(1, 32 // BITS[t])
    deep = -(-k // (4 * per))
    inner: tuple[Digit, ...] = ((deep, "k", 4 * per), (per, "k", 1))
    a = Map(((8, "m", 1), (4, "k", per)), (inner[0], (m // 8, "m", 8), inner[1]))
    b = Map(((8, "n", 1), (4, "k", per)), inner)
    return a, b, Map(((8, "m", 1), (4, "n", 2)), ((m // 8, "m", 8), (2, "n", 1)))


@lru_cache(maxsize=None)
def fragment_a(m: int, k: int, t: str) -> Fragment:
    """Of the m × k matrix A."""
    return table(mma_maps(m, 8, k, t)[0], "m", "k")


@lru_cache(maxsize=None)
def fragment_b(k: int, n: int, t: str) -> Fragment:
    """Of the k × n matrix B, n = 8."""
    return table(mma_maps(16, n, k, t)[1], "k", "n")


@lru_cache(maxsize=None)
def fragment_c(m: int, n: int) -> Fragment:
    """Of the m × n accumulator, n = 8."""
    return table(mma_maps(m, n, 8, "f16")[2], "m", "n")


@lru_cache(maxsize=None)
def quad_pair(which: str, layout: str, wide: bool) -> Fragment:
    """`mma.m8n8k4` of f16: four products side by side, of lanes 4q … 4q+3 and 16 above; rows (A, C) and columns (B) count through them."""
    low, quad, high = LANE & 3, (LANE & 15) >> 2, LANE >> 4
    rows, cols = [], []
    for i in range(8 if which == "c" else 4):
        if which == "a":
            r, c = (low + 4 * high, low * 0 + i) if layout == "row" else (i + 4 * high, low)
            rows.append(r + 8 * quad)
            cols.append(c)
        elif which == "b":
            r, c = (low, i + 4 * high) if layout == "row" else (low * 0 + i, low + 4 * high)
            rows.append(r)
            cols.append(c + 8 * quad)
        elif wide:
            rows.append((LANE & 1) + (i & 2) + 4 * high + 8 * quad)
            cols.append((i & 4) + (LANE & 2) + (i & 1))
        else:
            rows.append(low + 4 * high + 8 * quad)
            cols.append(low * 0 + i)
    return np.stack(rows, 1).astype(np.int64), np.stack(cols, 1).astype(np.int64)


@lru_cache(maxsize=None)
def wmma(rows: int, cols: int, elements: int) -> Fragment:
    """Ours for `wmma`, whose layout the manual leaves open: lanes take consecutive elements in row-major order.  Where a fragment has more
    room than the matrix (f16 A and B of 16 × 16), the rest repeats it."""
    total = rows * cols
    own = min(elements, total // 32)
    e = (LANE[:, None] * own + np.arange(elements)[None, :] % own) % total
    return e // cols, e % cols


# ---- units: the instructions that schedules use


class Unit(NamedTuple):
    """One matrix instruction D = A·B + C.

    family   'mma' (PTX), 'rdna3' and 'rdna4' (WMMA), 'mfma' (CDNA)
    operand  element type of A and B; 'i8' is s8 or u8, of each operand on its own, unless `signed`: then s8 only
    acc      element type of C and D
    """

    name: str
    family: str
    shape: tuple[int, int, int]
    operand: str
    acc: str
    a: Map
    b: Map
    c: Map
    signed: bool = False

    @property
    def lanes(self) -> int:
        return int(np.prod([size for size, _, _ in self.c.lanes]))

    @property
    def text(self) -> str:
        return "m{}n{}k{}".format(*self.shape)

    @property
    def order(self) -> tuple[list[int], list[int]]:
        """For each k of the instruction: which lanes hold it (a number), and which of their registers."""
        lanes, regs = self.a.along("k")
        place = {}
        for i, at in enumerate(_numbers([(size, "k", stride) for _, size, stride in lanes], "k").tolist()):
            for r, more in enumerate(_numbers([(size, "k", stride) for _, size, stride in regs], "k").tolist()):
                place[at + more] = i, r
        return [place[k][0] for k in range(self.shape[2])], [place[k][1] for k in range(self.shape[2])]


def _mma(m: int, n: int, k: int, t: str, acc: str) -> Unit:
    return Unit(f"mma.m{m}n{n}k{k}.{t}", "mma", (m, n, k), t, acc, *mma_maps(m, n, k, "s8" if t == "i8" else t))


def _wmma(t: str, acc: str, family: str) -> Unit:
    """16 × 16 × 16.  RDNA 3 wants A and B in both halves of the wave.  On RDNA 4 each half has 8 values of k; which ones is free, since the
    instruction sums over all and A and B are held alike."""
    if family == "rdna3":
        both: tuple[tuple[Digit, ...], tuple[Digit, ...]] = ((2, "", 0),), ((16, "k", 1),)
        c = Map(((2, "m", 1), (16, "n", 1)), ((8, "m", 2),))
    else:
        both = ((2, "k", 8),), ((8, "k", 1),)
        c = Map(((2, "m", 8), (16, "n", 1)), ((8, "m", 1),))
    a, b = (Map((*both[0], (16, x, 1)), both[1]) for x in "mn")
    return Unit(f"wmma.{family}.{t}", family, (16, 16, 16), t, acc, a, b, c)


def _mfma(k: int, t: str, acc: str) -> Unit:
    """16 × 16 × k over a wave of 64: four groups of 16 lanes, each with a quarter of k and, of the result, four rows."""
    a, b = (Map(((4, "k", k // 4), (16, x, 1)), ((k // 4, "k", 1),)) for x in "mn")
    c = Map(((4, "m", 1), (16, "n", 1)), ((4, "m", 4),)) if t == "f64" else Map(((4, "m", 4), (16, "n", 1)), ((4, "m", 1),))
    return Unit(f"mfma.16x16x{k}.{t}", "mfma", (16, 16, k), t, acc, a, b, c, signed=t == "i8")


UNITS = {u.name: u for u in (
    _mma(16, 8, 16, "f16", "f32"), _mma(16, 8, 16, "bf16", "f32"), _mma(16, 8, 8, "tf32", "f32"), _mma(16, 8, 32, "i8", "s32"),
    _mma(8, 8, 4, "f64", "f64"), _mma(16, 8, 8, "f16", "f32"), _mma(8, 8, 16, "i8", "s32"),
    *(_wmma(t, acc, family) for family in ("rdna3", "rdna4") for t, acc in (("f16", "f32"), ("bf16", "f32"), ("i8", "s32"))),
    *(_mfma(k, t, acc) for k, t, acc in ((16, "f16", "f32"), (8, "bf16", "f32"), (16, "bf16", "f32"), (32, "f16", "f32"), (32, "bf16", "f32"),
                                         (16, "i8", "s32"), (32, "i8", "s32"), (64, "i8", "s32"), (4, "f32", "f32"), (4, "f64", "f64"))),
)}  # fmt: skip


@lru_cache(maxsize=None)
def tables(unit: str) -> dict[str, Fragment]:
    u = UNITS[unit]
    c = table(u.c, "m", "n")
    return {"a": table(u.a, "m", "k"), "b": table(u.b, "k", "n"), "c": c, "d": c}


class Nibble(NamedTuple):
    """Four bits of the metadata of a sparse A: in which lane's word they stand, and the row, first stored element and first column of their chunk."""

    lane: int
    shift: int
    row: int
    stored: int
    column: int


SPARSE = {32: (8, 16), 16: (16, 32), 8: (32, 64), 4: (64, 128)}  # bits of an element → depths of sparse products
CHUNK = {32: 2, 16: 4, 8: 4, 4: 8}  # columns of A that one nibble is about; half of them are stored, those of 4 bits in pairs


def selectors(k: int, t: str) -> int:
    """How many sparsity selectors there are: the fewer lanes of a quad hold the metadata, the more."""
    return (1024 if BITS[t] >= 16 else 512) // BITS[t] // k


@lru_cache(maxsize=None)
def metadata(k: int, t: str, selector: int) -> tuple[Nibble, ...]:
    """Where the positions of the stored elements of a 16 × k matrix A stand.  A word of 16-bit types and tf32 covers four chunks of row g (its low
    half) and of row g + 8; one of 8- and 4-bit types covers eight chunks of one row, even lanes that of g and odd lanes that of g + 8."""
    chunk, wide, out = CHUNK[BITS[t]], BITS[t] >= 16, []
    for row in range(16):
        lane, lower = 4 * (row % 8), row // 8
        for n in range(k // chunk):
            word, c = divmod(n, 4 if wide else 8)
            if wide:
                lane_of, shift = lane + selector * max(1, k // chunk // 4) + word, 16 * lower + 4 * c
            else:
                lane_of, shift = lane + 2 * (selector + word) + lower, 4 * c
            out.append(Nibble(lane_of, shift, row, n * chunk // 2, n * chunk))
    return tuple(out)
