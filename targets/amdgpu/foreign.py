"""Kernels of other origin on a card: their code object, and launches.

Addresses in such kernels are integers.  The card has memory of its own: before a launch every array, variable and by-value structure that the kernel
may reach is copied there, words that point into one are changed to its place there, and what the kernel changed is copied back.  (Addresses
that lie *in* arrays stay what they are.)  Arrays that overlap share memory there as they do here.
"""
from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.errors import DeviceError, ResourceError, UnsupportedError
from ...ir.interp.memory import host_bytes
from ..driver import Driver
from .facts import BLOCK_LDS, GROUP

REPORTS = {1: "trap", 2: "assertion failed"}


class Code:
    """A kernel of threads for one architecture.  `head` is JSON: the signature, the architecture, the owner's facts."""

    def __init__(self, driver: Driver, head: dict[str, Any], binary: bytes) -> None:
        self.driver, self.head, self.binary = driver, head, binary
        self.signature, self.facts, self.mode = head["signature"], head["facts"], head["mode"]
        self.name, self.shared = self.signature["name"], self.signature["shared"]
        self.per, self.frame, self.points = 1, 0, ()
        with driver.guarded():
            self.module, _ = driver.load({"arch": head["arch"], "kernels": {self.name: self.signature}}, binary)

    def to_bytes(self) -> bytes:
        head = json.dumps(self.head).encode()
        return struct.pack("<Q", len(head)) + head + self.binary

    @staticmethod
    def from_bytes(driver: Driver, data: bytes) -> Code:
        """Raises ValueError if the bytes are not what `to_bytes` made."""
        if len(data) < 8:
            raise ValueError("too short")
        n = struct.unpack_from("<Q", data)[0]
        return Code(driver, json.loads(data[8 : 8 + n]), data[8 + n :])

    def launch(self, values: Sequence[int], grid: Sequence[int], block: Sequence[int], shared: int, cooperative: bool,
               regions: Sequence[tuple[int, int]]) -> None:  # fmt: skip
        """Runs a grid and returns when it is done.  `regions`: (address, bytes) of all that the kernel may reach."""
        d, threads, arena = self.driver, block[0] * block[1] * block[2], self.shared + shared
        if not 1 <= threads <= GROUP:
            raise ResourceError(f"a block has 1 to {GROUP} threads on {d.name}, not {threads}", hint="use more, smaller blocks")
        if arena > BLOCK_LDS:
            raise ResourceError(f"{self.name} asks for {arena} bytes of shared memory; {d.name} has {BLOCK_LDS}")
        if not all(grid):
            return
        word = np.zeros(1, np.uint32)
        with d.guarded():
            here = [(start, host_bytes(start, size)) for start, size in joined(regions)]
            there = [d.from_host(a) for _, a in here]
            places = [(start, start + len(a), int(m.raw)) for (start, a), m in zip(here, there)]
            words: list[Any] = [_moved(v, places) for v in values]
            error = d.from_host(word)
            launch = d.prepare(self.module, {**self.signature, "block": tuple(block), "dynamic": arena, "cooperative": cooperative}, grid)
            launch([*words, *[error.raw] * bool(self.signature["reports"])])
            d.download(word, error.raw)
            for (_, a), m in zip(here, there):
                after = np.empty_like(a)
                d.download(after, m.raw)
                changed = after != a
                if changed.any():  # only then: the array may be read-only
                    a[changed] = after[changed]
        if word[0]:
            raise DeviceError(f"{self.name}: {REPORTS.get(int(word[0]), f'error {int(word[0])}')} on {d.name}", hint="device='cpu' names the block and the thread")


def joined(regions: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping ranges as one, in order."""
    out: list[tuple[int, int]] = []
    for start, size in sorted(r for r in regions if r[1]):
        if out and start < out[-1][0] + out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], start + size - out[-1][0])
        else:
            out.append((start, size))
    return out


def _moved(value: int, places: Sequence[tuple[int, int, int]]) -> int:
    """An address of the host's as that of its copy; any other word as it is.  (The end of an array is an address of it too.)"""
    for low, high, there in places:
        if low <= value < high:
            return value - low + there
    return next((value - low + there for low, high, there in places if value == high), value)


def refuse_launch(name: str, where: str, cluster: Sequence[int]) -> None:
    if tuple(cluster) != (1, 1, 1):
        raise UnsupportedError(f"{name}: a cluster of blocks on {where}, which has none", hint="device='cpu'")
