"""What is wrong with a kernel's run: `Finding`, and the watchers that the machine tells what it does."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DeviceError
from ..instr import Instr

Array = Any
Three = tuple[int, int, int]
KINDS = ("out-of-bounds", "misaligned", "uninitialised", "race", "barrier-divergence", "deadlock", "sync-mask", "missing-wait")


def chain(i: Instr) -> list[Any]:
    """Source positions of an instruction, from the innermost call site outward."""
    out, p = [], getattr(i.loc, "position", None)
    while p is not None:
        out.append(p)
        p = p.inlined_at
    return out


def spot(i: Instr) -> tuple[int, str]:
    """(line of the PTX, `file:line` of the user's source)."""
    line = int(i.loc.line) if i.loc is not None else 0
    where = chain(i)[-1:]
    return line, f"{where[0].file}:{where[0].line}" if where else f"{i.loc.file if i.loc is not None else ''}:{line}"


class Finding:
    """One fault.  `kind` is one of `KINDS`; the PTX place is `file`:`line`:`column`, `source` the user's `file:line` (the outermost call site
    where functions were inlined), `stack` the chain from the innermost.  `block` and `thread` are coordinates; `other` is the other party:
    the finding at the other access of a race, or where the copy stands that was not waited for.  `count` is how often it was met."""

    def __init__(self, kind: str, i: Instr, block: Three, thread: Three, message: str, address: int | None = None) -> None:
        self.kind, self.block, self.thread, self.message, self.address = kind, block, thread, message, address
        self.op, self.count = i.op.name, 1
        self.other: Finding | None = None
        loc: Any = i.loc
        self.file, self.line, self.column = (str(loc.file), int(loc.line), int(getattr(loc, "column", 0))) if loc is not None else ("", 0, 0)
        self.stack = [f"{p.file}:{p.line}" + (f" ({p.function})" if p.function else "") for p in chain(i)]
        self.spot = spot(i)
        self.source = self.spot[1]

    def to_json(self, deep: bool = True) -> dict[str, Any]:
        out = {k: getattr(self, k) for k in ("kind", "file", "line", "column", "source", "stack", "block", "thread", "address", "message", "count")}
        out["other"] = self.other.to_json(False) if deep and self.other is not None else None
        return out

    def __repr__(self) -> str:
        return f"<{self.kind} at {self.source} (PTX line {self.line}): {self.message}>"


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
    def wrote(self, i: Instr, g: Any, at: Array, elem: Any, data: Array) -> None: ...
    def atomic(self, i: Instr, g: Any, at: Array, size: int) -> None: ...
    def fence(self, g: Any, scope: str) -> None: ...
    def meet(self, ids: Array) -> None: ...
    def mask(self, i: Instr, g: Any, masks: Array) -> None: ...
    def arrive(self, g: Any, slot: Array, number: Array) -> None: ...
    def opened(self, barriers: Sequence[tuple[Array, int, int]]) -> None: ...
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
