"""Fragments of matrix instructions: which lane holds which element (PTX ISA 9.7.14).

A fragment is two integer arrays of shape (32, n): row and column of the n elements that each lane holds, in register order.  The same
tables serve the interpreter, the CPU and the reader.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

LANE = np.arange(32)
GROUP, MEMBER = LANE >> 2, LANE & 3
Fragment = tuple[Any, Any]
# element type → bits in a register; narrow floats stand in containers of 8 bits, but `e2m1x8` is e2m1 eight to a register
BITS = {"f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "f64": 64, "s32": 32, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "b1": 1, "e4m3": 8, "e5m2": 8,
        "e2m3": 8, "e3m2": 8, "e2m1": 8, "e2m1x8": 4}  # fmt: skip


def shape_of(text: str) -> tuple[int, int, int]:
    """'m16n8k32' → (16, 8, 32)."""
    m, rest = text[1:].split("n")
    n, k = rest.split("k")
    return int(m), int(n), int(k)


def _table(rows: list[Any], cols: list[Any]) -> Fragment:
    return np.stack(rows, 1).astype(np.int64), np.stack(cols, 1).astype(np.int64)


@lru_cache(maxsize=None)
def fragment_a(m: int, k: int, t: str) -> Fragment:
    """Of the m × k matrix A: registers go down by 8 rows first, then along k."""
    per = max(1, 32 // BITS[t])
    step = 4 * per
    rows, cols = [], []
    for block in range(-(-k // step)):
        for half in range(m // 8):
            for i in range(per):
                rows.append(GROUP + 8 * half)
                cols.append(MEMBER * per + i + step * block)
    return _table(rows, cols)


@lru_cache(maxsize=None)
def fragment_b(k: int, n: int, t: str) -> Fragment:
    """Of the k × n matrix B, n = 8."""
    per = max(1, 32 // BITS[t])
    step = 4 * per
    rows, cols = [], []
    for block in range(-(-k // step)):
        for i in range(per):
            rows.append(MEMBER * per + i + step * block)
            cols.append(GROUP)
    return _table(rows, cols)


@lru_cache(maxsize=None)
def fragment_c(m: int, n: int) -> Fragment:
    """Of the m × n accumulator, n = 8."""
    rows, cols = [], []
    for half in range(m // 8):
        for i in range(2):
            rows.append(GROUP + 8 * half)
            cols.append(MEMBER * 2 + i)
    return _table(rows, cols)


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
    return _table(rows, cols)


@lru_cache(maxsize=None)
def wmma(rows: int, cols: int, elements: int) -> Fragment:
    """Ours for `wmma`, whose layout the manual leaves open: lanes take consecutive elements in row-major order.  Where a fragment has more
    room than the matrix (f16 A and B of 16 × 16), the rest repeats it."""
    total = rows * cols
    own = min(elements, total // 32)
    e = (LANE[:, None] * own + np.arange(elements)[None, :] % own) % total
    return e // cols, e % cols


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
