"""Asynchronous copies and mbarriers under `check`: data arrive as late as they may.

A copy of a group happens when its group is waited for; one that an mbarrier tracks, when somebody sees that the phase is complete.  Until then its
bytes must not be read, nor its source overwritten.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..instr import Instr
from .records import WORDS, Records
from .state import Group

Array = Any


class Copy:
    """An asynchronous copy that has not arrived: its lane, its bytes, and the clock at which it happens once it has been handed over."""

    __slots__ = ("i", "lane", "piece", "kind", "number", "clock", "done")

    def __init__(self, i: Instr, lane: int, piece: tuple[int, int, int, int], number: int) -> None:
        self.i, self.lane, self.piece, self.number = i, lane, piece, number
        self.kind, self.clock, self.done = i.attr("async"), 0, False


class Copies(Records):
    def __init__(self, machine: Any) -> None:
        super().__init__(machine)
        some = any(i.op.name == "copy" and i.attr("async") for f in machine.functions for i in f.k.instrs())
        words = machine.memory.flat.size // 4 + 1 if some else 0
        self.into, self.out_of = np.zeros(words, np.int32), np.zeros(words, np.int32)
        self.copies: list[Copy] = []

    def begin(self) -> None:
        super().begin()
        self.group: dict[tuple[int, str], list[Copy]] = {}  # open groups
        self.groups: dict[tuple[int, str], list[list[Copy]]] = {}
        self.homeless: dict[int, list[Copy]] = {}  # until their mbarrier is named
        self.phase: dict[int, list[Copy]] = {}  # mbarrier → copies of its phase
        self.landed: dict[int, list[Copy]] = {}  # … of the phase that is complete

    def end(self) -> None:
        for c in self.copies:
            self.complete(c)
        self.copies = []

    def copy(self, i: Instr, lane: int, piece: tuple[int, int, int, int]) -> bool:
        dst, src, n, t = piece
        one, kind = Group(np.array([lane])), i.attr("async")
        if not kind:
            self.transfer(i, lane, piece, None)
            return False
        if self.pending:
            self.early(i, one, np.array([dst]), t, True)
            if n:
                self.early(i, one, np.array([src]), n, False)
        c = Copy(i, lane, piece, len(self.copies) + 1)
        self.copies.append(c)
        self.pending += 1
        self.into[dst // 4 : -(-(dst + t) // 4)] = c.number
        self.out_of[src // 4 : -(-(src + n) // 4)] = c.number
        if kind == "mbarrier":
            self.homeless.setdefault(lane, []).append(c)
        else:
            self.group.setdefault((lane, kind), []).append(c)
        return True

    def transfer(self, i: Instr, lane: int, piece: tuple[int, int, int, int], clock: int | None) -> None:
        dst, src, n, t = piece
        lanes, site, g = np.array([lane]), self.m.site(i), self.shadow.granule
        strong = i.attr("fn") is not None
        if n:
            self.initialised(i, Group(lanes), np.array([src]), n)
            self.races(i, self.shadow.read(lanes, np.array([src]), max(n, g), site, False, clock))
        if t:
            self.races(i, self.shadow.write(lanes, np.array([dst]), max(t, g), site, strong, clock))

    def complete(self, c: Copy) -> None:
        if c.done:
            return
        c.done = True
        self.pending -= 1
        dst, src, n, t = c.piece
        for words, at, size in ((self.into, dst, t), (self.out_of, src, n)):
            part = words[at // 4 : -(-(at + size) // 4)]
            part[part == c.number] = 0
        self.transfer(c.i, c.lane, c.piece, c.clock or None)
        self.m.move(c.i, c.piece)

    def early(self, i: Instr, g: Group, at: Array, size: int, writes: bool) -> tuple[Group, Array]:
        """Accesses to what a copy is about to write, or that overwrite what it is about to read; the others are left."""
        fine = np.ones(at.size, bool)
        for words, what in ((self.into, "has not been waited for"), (self.out_of, "may still read it"))[: 1 + writes]:
            hit = np.zeros(at.size, np.int32)
            for k in range(0, size, 4):
                hit = np.maximum(hit, words[(at + k) // 4])
            hit = np.maximum(hit, words[(at + size - 1) // 4])
            for number in np.unique(hit[hit > 0]).tolist():
                k = int(np.argmax(hit == number))
                c = self.copies[number - 1]
                if c.i.attr("fn") and (i.op.name in ("atom", "red") or i.attr("fn")):  # both are atomic
                    continue
                fine &= hit != number
                address = self.m.memory.address_of(int(at[k]))
                other = self.party("missing-wait", c.i, int(self.clocks.gid[c.lane]), "the copy", address)
                self.note("missing-wait", i, int(g.ids[k]), f"{WORDS.get(i.op.name, i.op.name)} of {self.m.memory.name(address)}: "
                          f"an asynchronous copy {what}", address, other)  # fmt: skip
        return (g, at) if fine.all() else (Group(g.ids[fine]), at[fine])

    def async_wait(self, i: Instr, g: Group) -> None:
        kind = i.attr("kind")
        name = "bulk" if kind.startswith("bulk") else "group"
        for lane in g.ids.tolist():
            key = (lane, name)
            if kind.endswith("commit"):
                self.groups.setdefault(key, []).append(self.group.pop(key, []))
                continue
            have = self.groups.get(key, [])
            n = max(len(have) - int(i.attr("n", 0)), 0)
            for group in have[:n]:
                for c in group:
                    self.complete(c)
            del have[:n]

    # ---- mbarriers

    def mbarrier(self, i: Instr, fn: str, g: Group, at: Array, done: Array | None) -> None:
        c, site = self.clocks, self.m.site(i)
        self.races(i, self.shadow.write(g.ids, at, 8, site, fn not in ("init", "inval")))
        if fn not in ("init", "inval"):
            self.initialised(i, g, at, 8)
        if done is not None:
            for p in np.unique(at[done]).tolist():
                for copy in self.landed.pop(p, ()):
                    self.complete(copy)
            c.passes(g.ids[done], at[done])
        elif fn in ("arrive", "arrive_drop"):
            c.arrived(g.ids, at)
        elif fn in ("complete_tx", "copies"):
            for lane, p in zip(g.ids.tolist(), at.tolist()):
                if fn == "complete_tx":
                    copies = self.homeless.pop(lane, [])
                else:
                    copies = [*self.group.get((lane, "group"), ()), *(x for part in self.groups.get((lane, "group"), ()) for x in part)]
                for copy in copies:
                    copy.clock = copy.clock or int(c.clock[lane])
                self.phase.setdefault(p, []).extend(copies)
                c.arrived(np.array([lane]), np.array([p]))

    def flipped(self, at: int) -> None:
        for copy in self.landed.pop(at, ()):
            self.complete(copy)
        self.landed[at] = self.phase.pop(at, [])
        self.clocks.flipped(at)
