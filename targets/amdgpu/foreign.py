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
from ..driver import Copies, Driver
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
               regions: Sequence[tuple[int, Any]]) -> None:  # fmt: skip
        """Runs a grid and returns when it is done.  `regions`: (address, bytes) of all that the kernel may reach."""
        d, threads, arena = self.driver, block[0] * block[1] * block[2], self.shared + shared
        if not 1 <= threads <= GROUP:
            raise ResourceError(f"a block has 1 to {GROUP} threads on {d.name}, not {threads}", hint="use more, smaller blocks")
        if arena > BLOCK_LDS:
            raise ResourceError(f"{self.name} asks for {arena} bytes of shared memory; {d.name} has {BLOCK_LDS}")
        if not all(grid):
            return
        word = np.zeros(1, np.uint32)
        with d.guarded(), Copies(d, regions) as copies:
            words: list[Any] = [v if (found := copies.find(v)) is None else int(found[0].raw) + found[1] for v in values]
            error = d.from_host(word)
            launch = d.prepare(self.module, {**self.signature, "block": tuple(block), "dynamic": arena, "cooperative": cooperative}, grid)
            launch([*words, *[error.raw] * bool(self.signature["reports"])])
            d.download(word, error.raw)
        if word[0]:
            raise DeviceError(f"{self.name}: {REPORTS.get(int(word[0]), f'error {int(word[0])}')} on {d.name}", hint="device='cpu' names the block and the thread")


def refuse_launch(name: str, where: str, cluster: Sequence[int]) -> None:
    if tuple(cluster) != (1, 1, 1):
        raise UnsupportedError(f"{name}: a cluster of blocks on {where}, which has none", hint="device='cpu'")
