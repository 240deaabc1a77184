"""The memory of a launch: one array of bytes, and what addresses mean in it.

Regions (arrays of the launch, variables of the module, parameters) lie at addresses of their own.  The shared memory of the resident blocks and
the local memory of the lanes are two more regions, in pieces of a fixed stride, at addresses that no host array has.  An access is translated
into an index of `flat`; what lies in no region is out of bounds.
"""
from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..types import I1, I128, Scalar

Array = Any
SHARED, LOCAL = 1 << 52, 1 << 53
ALIGN = 256


class Region(NamedTuple):
    """Bytes at an address.  `data` (uint8) is copied in before the launch and, where it changed, back afterwards."""

    name: str
    start: int
    data: Array


class Memory:
    def __init__(self, regions: Sequence[Region], shared: int, slots: int, local: int, lanes: int, const: tuple[int, int] = (0, 0)) -> None:
        self.shared, self.slots, self.local, self.lanes, self.const = shared, slots, local, lanes, const
        self.shared_stride = _up(max(shared, 1), 128)
        self.local_stride = _up(max(local, 1), 16)
        self.regions = _merged(regions)
        rows: list[tuple[int, int, int, int]] = []  # start, total, stride, limit
        offsets, at = [], ALIGN
        for r in self.regions:
            at = _up(at, ALIGN) + r.start % ALIGN
            rows.append((r.start, r.data.size, max(r.data.size, 1), r.data.size))
            offsets.append(at)
            at += r.data.size
        self.shared_at = at = _up(at, ALIGN)
        rows.append((SHARED, self.shared_stride * slots, self.shared_stride, shared))
        self.local_at = at = _up(at + self.shared_stride * slots, ALIGN)
        rows.append((LOCAL, self.local_stride * lanes, self.local_stride, self.local_stride))
        end = at + self.local_stride * lanes
        self.starts = [r[0] for r in rows]
        self.table = np.array(rows, np.int64).T.copy()
        self.offsets = np.array([*offsets, self.shared_at, self.local_at], np.int64)
        self.flat = np.zeros(_up(end, ALIGN) + ALIGN, np.uint8)
        self.known = np.ones(self.flat.size, bool)
        self.views: dict[Any, Array] = {}
        for r, o in zip(self.regions, offsets):
            self.flat[o : o + r.data.size] = r.data
        self.forget()

    def forget(self) -> None:
        """Shared and local memory is nobody's: as before the first block."""
        self.flat[self.shared_at :] = 0
        self.known[self.shared_at : self.local_at + self.local_stride * self.lanes] = False

    def close(self) -> None:
        """Copies what changed back to where it came from."""
        for r, o in zip(self.regions, self.offsets):
            now = self.flat[o : o + r.data.size]
            if not np.array_equal(now, r.data):
                r.data[:] = now

    # ---- addresses

    def find(self, a: Array, size: int) -> tuple[Array, Array | None]:
        """(index in `flat`, which are inside or None for all) of device addresses."""
        low, high = int(a.min()), int(a.max())
        k = bisect_right(self.starts, low) - 1
        if k >= 0:
            start, total, stride, limit = self.table[:, k]
            if total <= stride and high - start + size <= limit:
                return a + (self.offsets[k] - start), None
        ks = np.maximum(np.searchsorted(self.table[0], a, side="right") - 1, 0)
        start, total, stride, limit = self.table[:, ks]
        d = a - start
        ok = (d >= 0) & (d < total) & (d % stride + size <= limit)
        return np.where(ok, self.offsets[ks] + d, 0), None if ok.all() else ok

    def name(self, address: int) -> str:
        """What lies there, for messages."""
        k = bisect_right(self.starts, address) - 1
        n = len(self.regions)
        if address >= LOCAL:
            return f"local memory, byte {(address - LOCAL) % self.local_stride}"
        if address >= SHARED:
            return f"shared memory, byte {(address - SHARED) % self.shared_stride} of {self.shared}"
        if 0 <= k < n:
            r = self.regions[k]
            d = address - r.start
            if d < r.data.size + 65536:
                return f"byte {d} of {r.name} ({r.data.size} bytes)"
        if k + 1 < n and self.regions[k + 1].start - address <= 4096:
            r = self.regions[k + 1]
            return f"{r.start - address} bytes before {r.name}"
        return "null" if address == 0 else "no array of the launch"

    def address_of(self, at: int) -> int:
        """The device address of an index."""
        k = int(np.searchsorted(self.offsets, at, side="right")) - 1
        return int(self.table[0, k] + at - self.offsets[k])

    # ---- contents

    def view(self, dtype: Any) -> Array:
        found = self.views.get(dtype)
        if found is None:
            found = self.views[dtype] = self.flat.view(dtype)
        return found

    def load(self, at: Array, elem: Scalar) -> Array:
        """Elements at indices that are multiples of their size."""
        if elem is I128:
            words = self.view(np.dtype(np.uint64))
            low, high = words[at >> 3].astype(object), words[(at >> 3) + 1].astype(object)
            return np.array([_signed(int(x) | int(y) << 64) for x, y in zip(low, high)], object)
        if elem is I1:
            return self.flat[at] != 0
        size = elem.bytes
        return self.view(elem.np)[at // size if size > 1 else at]

    def store(self, at: Array, elem: Scalar, data: Array) -> None:
        if elem is I128:
            words = self.view(np.dtype(np.uint64))
            words[at >> 3] = np.array([int(x) & (2**64 - 1) for x in data], np.uint64)
            words[(at >> 3) + 1] = np.array([int(x) >> 64 & (2**64 - 1) for x in data], np.uint64)
        elif elem is I1:
            self.flat[at] = data
        else:
            size = elem.bytes
            self.view(elem.np)[at // size if size > 1 else at] = data

    def text(self, address: int) -> bytes:
        """The zero-terminated bytes at a device address."""
        at, ok = self.find(np.array([address], np.int64), 1)
        if ok is not None:
            return b"(invalid)"
        k = int(np.searchsorted(self.offsets, at[0], side="right")) - 1
        end = int(self.offsets[k] + self.table[1, k])
        return bytes(self.flat[int(at[0]) : end].tobytes().split(b"\0", 1)[0])


def host_bytes(address: int, size: int) -> Array:
    """Memory of this process."""
    raw: Any = (ctypes.c_uint8 * size).from_address(address)
    return np.frombuffer(raw, np.uint8)


def _up(n: int, by: int) -> int:
    return -(-n // by) * by


def _signed(x: int) -> int:
    return x - (1 << 128) if x >> 127 else x


def _merged(regions: Sequence[Region]) -> list[Region]:
    """In ascending order; those that overlap are one."""
    out: list[Region] = []
    for r in sorted(regions, key=lambda r: (r.start, -r.data.size)):
        if out and r.start < out[-1].start + out[-1].data.size:
            a = out[-1]
            size = max(a.data.size, r.start + r.data.size - a.start)
            name = a.name if r.name in a.name.split(", ") else f"{a.name}, {r.name}"
            data = a.data if size == a.data.size else host_bytes(a.start, size)
            out[-1] = Region(name, a.start, data)
        else:
            out.append(r)
    return out
