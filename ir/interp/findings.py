"""What is wrong with a kernel's run: `Finding`, and the watchers that the machine tells what it does."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DeviceError
from ..instr import Instr

Array = Any
KINDS = ("out-of-bounds", "misaligned", "uninitialised", "race", "barrier-divergence", "deadlock", "sync-mask", "missing-wait")


class Watch:
    """Hears of every access and every meeting of lanes; does nothing."""

    def __init__(self, machine: Any) -> None:
        self.m = machine

    def begin(self) -> None:
        """A wave of blocks begins."""

    def end(self) -> None:
        """… is done."""

    def fault(self, kind: str, i: Instr, lane: int, address: int, message: str) -> None:
        raise DeviceError(message, place=i.loc)

    def read(self, i: Instr, g: Any, at: Array, size: int, count: int, strong: bool) -> None: ...
    def write(self, i: Instr, g: Any, at: Array, size: int, count: int, strong: bool) -> None: ...
    def atomic(self, i: Instr, g: Any, at: Array, size: int) -> None: ...
    def fence(self, g: Any, scope: str) -> None: ...
    def meet(self, ids: Array) -> None: ...
    def mask(self, i: Instr, g: Any, masks: Array) -> None: ...
    def arrive(self, g: Any, slot: Array, number: Array) -> None: ...
    def opened(self, ids: Array, slot: int, number: int) -> None: ...
    def cluster_arrive(self, g: Any, cluster: Array) -> None: ...
    def cluster_open(self, cluster: int) -> None: ...
    def cluster_wait(self, ids: Array, cluster: int) -> None: ...
    def mbarrier(self, i: Instr, fn: str, g: Any, at: Array, done: Array | None) -> None: ...
    def flipped(self, at: int) -> None: ...
    def async_wait(self, i: Instr, g: Any) -> None: ...
    def leave(self, g: Any, warps: Array) -> None: ...

    def copy(self, i: Instr, lane: int, piece: tuple[int, int, int, int]) -> bool:
        """Whether it is kept for later."""
        return False

    def stuck(self) -> bool:
        """Nobody can move; whether that has been helped."""
        return False


class Strict(Watch):
    """For compiled kernels, which must have no fault: the first one is an error."""

    def fault(self, kind: str, i: Instr, lane: int, address: int, message: str) -> None:
        words = {"out-of-bounds": "out of bounds", "misaligned": "misaligned"}[kind]
        outside = f"outside of the shared memory of {self.m.arena} bytes" if i.attr("space") == "shared" else f"{words} at address {address:#x}"
        raise DeviceError(f"{i.op} {outside}", place=i.loc)

    def read(self, i: Instr, g: Any, at: Array, size: int, count: int, strong: bool) -> None:
        if i.attr("space") == "shared" and not self.m.memory.known[at[:, None] + np.arange(size * count)].all():
            raise DeviceError("a load from shared memory that nobody has written", place=i.loc)
