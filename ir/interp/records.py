"""Accesses and races under `check`, and the list of what was found.

Races are found by happens-before (`clocks`), whatever order the machine chose.  Two accesses race if they touch the same bytes from different
lanes, one writes (also if it writes what is there), they are not both strong, and neither happened before the other.  Two exceptions: lanes of a
warp may write one value to one place with one instruction; and a weak load is no race with compare-and-swaps if its lane then swaps the same
bytes, since it was a first guess.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..instr import Instr
from ..kernel import Kernel
from ..types import I128
from .clocks import Clocks, Shadow
from .findings import Finding, Three, Watch, spot
from .state import Group

Array = Any
WORDS = {"ld": "load", "st": "store", "atom": "atomic", "red": "atomic", "copy": "asynchronous copy", "mbarrier": "mbarrier"}
LIMIT = 100  # findings


class Records(Watch):
    def __init__(self, machine: Any) -> None:
        super().__init__(machine)
        self.findings: list[Finding] = []
        self.seen: dict[Any, Finding] = {}
        self.clocks = Clocks(machine)
        self.shadow = Shadow(machine, self.clocks)
        self.pending = 0  # asynchronous copies
        self.fields = {id(i) for f in machine.functions for i in _fields(f.k)}
        self.guesses: list[tuple[tuple[int, int], Finding, Finding]] = []  # (lane, granule) of a weak load, and its race with a compare-and-swap
        self.swaps: set[tuple[int, int]] = set()

    def begin(self) -> None:
        self.clocks.begin()
        self.shadow.begin()

    def finish(self) -> None:
        """The launch is over: weak loads that were a lane's first guess for its compare-and-swap are no races."""
        for key, mine, theirs in self.guesses:
            if key not in self.swaps:
                self.both(mine, theirs)

    # ---- findings

    def note(self, kind: str, i: Instr, lane: int, message: str, address: int | None = None, other: Finding | None = None) -> Finding:
        block, thread = self.m.who(lane)
        return self.add(Finding(kind, i, block, thread, message, address), other)

    def add(self, f: Finding, other: Finding | None = None) -> Finding:
        f.other = other
        key = (f.kind, f.spot, other.spot if other is not None else None)
        old = self.seen.get(key)
        if old is not None:
            old.count += 1
            return old
        self.seen[key] = f
        if len(self.findings) < LIMIT:
            self.findings.append(f)
        return f

    def fault(self, kind: str, i: Instr, lane: int, address: int, message: str) -> None:
        self.note(kind, i, lane, message, address)

    def party(self, kind: str, i: Instr, gid: int, message: str, address: int) -> Finding:
        """A finding at a lane that may belong to a block that is gone."""
        number, t = divmod(gid, self.clocks.size)
        bx, by, _ = self.m.shape.block
        thread: Three = (t % bx, t // bx % by, t // bx // by)
        return Finding(kind, i, self.m.shape.place(number), thread, message, address)

    def races(self, i: Instr, found: list[tuple[int, int, int, int]]) -> None:
        for lane, g, other, site in found:
            at = g * self.shadow.granule
            address = self.m.memory.address_of(at)
            j = self.m.sites[site >> 1]
            old = self.seen.get(("race", spot(i), spot(j)))
            if old is not None:
                old.count += 1
                continue
            where = f"{self.m.memory.name(address)} ({self.value(i, at)})"
            a, b = WORDS.get(i.op.name, i.op.name), WORDS.get(j.op.name, j.op.name)
            block, thread = self.m.who(lane)
            mine = Finding("race", i, block, thread, f"{a} and another thread's {b} of {where}: nothing orders them", address)
            theirs = self.party("race", j, other, f"{b} and another thread's {a} of {where}: nothing orders them", address)
            if i.op.name == "ld" and j.attr("fn") == "cas":
                self.guesses.append(((int(self.clocks.gid[lane]), g), mine, theirs))
            elif j.op.name == "ld" and i.attr("fn") == "cas":
                self.guesses.append(((other, g), mine, theirs))
            else:
                self.both(mine, theirs)

    def both(self, a: Finding, b: Finding) -> None:
        """A race is a finding at each of its places."""
        if a.spot == b.spot:
            b.other = a
        else:
            self.add(b, a)
        self.add(a, b)

    def value(self, i: Instr, at: int) -> str:
        """What the bytes hold, for messages."""
        elem = i.attr("elem") if i.op.name == "copy" else i.attr("to")
        if elem is None or at % elem.bytes:
            raw: bytes = self.m.memory.flat[at : at + self.shadow.granule][::-1].tobytes()
            return "holds 0x" + raw.hex()
        return f"holds {self.m.memory.load(np.array([at]), elem)[0]}"

    # ---- accesses

    def read(self, i: Instr, g: Group, at: Array, size: int, count: int, strong: bool) -> None:
        total = size * count
        if self.pending:
            g, at = self.early(i, g, at, total, False)
        if id(i) not in self.fields:
            self.initialised(i, g, at, total)
        site = self.m.site(i)
        self.races(i, self.shadow.read(g.ids, at, total, site, strong))
        if strong:
            self.clocks.read(g.ids, at, i.attr("order") in ("acquire", "sc"))

    def write(self, i: Instr, g: Group, at: Array, size: int, count: int, strong: bool) -> None:
        total = size * count
        if self.pending:
            g, at = self.early(i, g, at, total, True)
        self.races(i, self.shadow.write(g.ids, at, total, self.m.site(i), strong))
        if strong or self.clocks.held:
            if strong:
                self.clocks.write(g.ids, at, i.attr("order") in ("release", "sc"), i.attr("scope", "sys"), False)
            else:
                for p in at.tolist():
                    self.clocks.held.pop(p, None)

    def wrote(self, i: Instr, g: Group, at: Array, elem: Any, data: Array) -> None:
        """Lanes of a warp wrote to one place together: their values must be the same."""
        pair = self.shadow.together
        if pair is not None:
            now, bits = self.m.memory.load(at, elem), np.dtype(f"u{elem.np.itemsize}")
            differ = now != data if elem is I128 else now.view(bits) != np.ascontiguousarray(data).view(bits)
            if differ.any():
                k = int(np.argmax(differ))
                granule = int(at[k]) // self.shadow.granule
                self.races(i, [(int(g.ids[k]), granule, int(self.shadow.w[0][granule]), pair[3])])

    def atomic(self, i: Instr, g: Group, at: Array, size: int) -> None:
        self.initialised(i, g, at, size)
        if self.pending:
            self.early(i, g, at, size, True)
        self.races(i, self.shadow.write(g.ids, at, size, self.m.site(i), True))
        if i.attr("fn") == "cas":
            self.swaps.update(zip(self.clocks.gid[g.ids].tolist(), (at // self.shadow.granule).tolist()))
        order = i.attr("order")
        acquire, release = order in ("acquire", "acq_rel", "sc"), order in ("release", "acq_rel", "sc")
        c = self.clocks
        if not (release or c.offer or c.held):
            return
        for k in range(g.size):
            one, p = g.ids[k : k + 1], at[k : k + 1]
            c.read(one, p, acquire)
            c.write(one, p, release, i.attr("scope", "gpu"), True)

    def initialised(self, i: Instr, g: Group, at: Array, size: int) -> None:
        m = self.m.memory
        own = at >= m.shared_at
        if not own.any():
            return
        bad = np.zeros(at.size, bool)
        for k in range(size):
            bad |= ~m.known[at + k]
        bad &= own
        if bad.any():
            k = int(np.argmax(bad))
            address = m.address_of(int(at[k]))
            self.note("uninitialised", i, int(g.ids[k]), f"{WORDS.get(i.op.name, i.op.name)} of {m.name(address)}, which nobody has written", address)

    def early(self, i: Instr, g: Group, at: Array, size: int, writes: bool) -> tuple[Group, Array]:
        """Tells of accesses to what a copy is about to write, or that overwrite what it is about to read; the others are left."""
        return g, at


def _fields(k: Kernel) -> list[Instr]:
    """Loads of a word of which a part is replaced before it is stored where it was: how a compiler sets a bit field."""
    made = {r.id: i for i in k.instrs() for r in i.results}
    out: list[Instr] = []
    for st in k.instrs():
        if st.op.name != "st" or len(st.args) != 2:
            continue
        stack, masked = [(st.args[-1], False)], False
        while stack:
            v, masked = stack.pop()
            i = made.get(v.id)
            if i is None:
                continue
            if i.op.name == "ld":
                if masked and i.args == st.args[:1] and i.attr("disp") == st.attr("disp"):
                    out.append(i)
            elif i.op.name in ("and", "or", "bitcast", "itrunc", "zext"):
                stack += [(a, masked or i.op.name == "and") for a in i.args]
    return out
