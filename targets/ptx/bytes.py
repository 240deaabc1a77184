"""Words that are put together from bytes of other words, as `prmt` (PTX ISA §9.7.9.7).

A matrix unit's operands come in words, and what is contiguous in memory along another dimension than k has to be transposed in registers.  The kernel level says
so by shifts, masks and `or`; here each word of an `mma` that such a tree makes is traced to the bytes that it takes, and becomes one `prmt` of two words, or three of
four, of which the first two serve their neighbours too.
"""
from __future__ import annotations

from typing import Any

from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.types import I32

TREE = frozenset("and or shl shr_u".split())
Byte = tuple[int, int]  # value, number of the byte from the low end
Sources = tuple["Byte | None", ...]  # of the four bytes of a word, the lowest first; None is zero


class Bytes:
    """Of one kernel: `plan`, words that are written by `prmt`, and `dead`, what only they needed."""

    def __init__(self, k: Kernel) -> None:
        self.made: dict[int, Instr] = {}
        self.const: dict[int, int] = {}
        self.known: dict[int, Sources] = {}
        users: dict[int, list[Instr | None]] = {}
        operands: list[Value] = []
        for i in k.instrs():
            if i.op.name in TREE and i.result.type is I32:
                self.made[i.result.id] = i
            elif i.op.name == "zext" and i.result.type is I32:
                self.known[i.result.id] = tuple((i.result.id, n) if 8 * n < i.args[0].type.elem.bits else None for n in range(4))
            elif i.op.name == "constant":
                self.const[i.result.id] = i.attr("value")
            elif i.op.name == "mma":
                operands += i.args
            for v in i.operands():
                users.setdefault(v.id, []).append(i if i.results else None)
        self.plan: dict[int, tuple[Byte, ...]] = {}
        for v in operands:
            if v.id in self.made and v.id not in self.plan:
                found = [b for b in self.sources(v) if b is not None]
                if len(found) == 4 and all(b[0] != v.id and b[0] not in self.const for b in found):
                    self.plan[v.id] = tuple(found)
        self.dead: set[int] = set()
        read = {word for taken in self.plan.values() for word, _ in taken}
        for i in reversed(list(self.made.values())):  # users come later
            n = i.result.id
            if n not in self.plan and n not in read and all(u is not None and (u.result.id in self.plan or u.result.id in self.dead) for u in users.get(n, [None])):
                self.dead.add(n)

    def sources(self, v: Value) -> Sources:
        """Where a word's bytes come from; a tree is a few ops deep."""
        found = self.known.get(v.id)
        if found is None:
            i = self.made.get(v.id)
            found = self.known[v.id] = (self.through(i) if i is not None else None) or tuple((v.id, n) for n in range(4))
        return found

    def through(self, i: Instr) -> Sources | None:
        a, c = self.sources(i.args[0]), self.const.get(i.args[1].id)
        if i.op.name == "or":
            b = self.sources(i.args[1])
            return None if any(x and y for x, y in zip(a, b)) else tuple(x or y for x, y in zip(a, b))
        if c is None:
            return None
        if i.op.name == "and":
            mask = [c >> 8 * n & 0xFF for n in range(4)]
            return tuple(x if m else None for x, m in zip(a, mask)) if set(mask) <= {0, 0xFF} else None
        if c % 8 or not 0 <= c < 32:
            return None
        n = c // 8
        return (None,) * n + a[: 4 - n] if i.op.name == "shl" else a[n:] + (None,) * n

    # ---- writing

    def write(self, w: Any, i: Instr) -> bool:
        """Whether an instruction has been dealt with; `w` is the `Writer`."""
        if not i.results or i.result.id not in self.plan:
            return bool(i.results) and i.result.id in self.dead
        wanted = self.plan[i.result.id]
        words = list(dict.fromkeys(word for word, _ in wanted))
        if len(words) <= 2:
            self.permute(w, w.dest(i.result), words[0], words[-1], [n + 4 * (len(words) > 1 and word == words[1]) for word, n in wanted])
            return True
        halves = [self.half(w, *wanted[:2]), self.half(w, *wanted[2:])]
        select = [at + 4 * n for n, (_, first) in enumerate(halves) for at in (first, first + 1)]
        w.put(f"prmt.b32 {w.dest(i.result)}, {halves[0][0]}, {halves[1][0]}, {_selector(select)}")
        return True

    def permute(self, w: Any, d: str, x: int, y: int, select: list[int]) -> None:
        w.put(f"prmt.b32 {d}, {w.reg[x]}, {w.reg[y]}, {_selector(select)}")

    def half(self, w: Any, x: Byte, y: Byte) -> tuple[str, int]:
        """A register with two bytes beside each other, and the number of the first."""
        even = x[1] & ~1 if x[1] == y[1] else -1
        select = [even, even + 4, even + 1, even + 5] if even >= 0 else [x[1], y[1] + 4] * 2
        key = ("prmt", x[0], y[0], *select)
        if key not in w.addresses:  # forgotten at the end of the block
            w.addresses[key] = w.fresh("r")
            self.permute(w, w.addresses[key], x[0], y[0], select)
        return w.addresses[key], 2 * (x[1] & 1) if even >= 0 else 0


def _selector(numbers: list[int]) -> str:
    return f"0x{sum(n << 4 * k for k, n in enumerate(numbers)):04x}"
