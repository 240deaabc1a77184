"""Shuffles of what was computed from shuffles become computations on shuffles of the roots, so that lanes meet once instead of at every step.

A lane op does the same in every lane: another lane's f(a, b) is f of that lane's a and b.  So each step of a butterfly can be computed
again from values that all lanes wrote at once.  Where lanes meet through memory and barriers that is far cheaper, although a tree over
16 lanes computes 15 more ops.  All lanes execute the canonical shuffles, which is what makes this hold.
"""
from __future__ import annotations

from typing import Any

from ..instr import Instr, Value
from ..kernel import Kernel, KernelBuilder
from ..types import I32

MOST = 64  # ops that may be added to a kernel: beyond, barriers are the smaller cost


def one_exchange(k: Kernel) -> Kernel:
    """The kernel (of fixed lanes) with chains of butterflies taken apart; the same object if it has none, or if that would make it large."""
    if k.lanes is None or sum(i.op.name == "shfl" and i.attr("mode") == "bfly" for i in k.instrs()) < 2:
        return k
    from .decompose import _renamed, definitions_first

    b = KernelBuilder(k.name, warps=k.warps, lanes=k.lanes, first_id=k.next_id())
    b.params, b.shared, b.local, b.functions = list(k.params), k.shared, k.local, k.functions
    for block in k.blocks[1:]:
        b.adopt(block)
    const = {i.result.id: i.attr("value") for i in k.instrs() if i.op.name == "constant"}
    new: dict[int, Value] = {}
    added = 0
    for n in definitions_first(k):
        b.start(n)
        pushed = _Block(b, const)
        for i in k.blocks[n].instrs:
            b.loc = i.loc
            i = _renamed(i, new)
            by = const.get(i.args[1].id) if i.op.name == "shfl" and i.attr("mode") == "bfly" else None
            if by is None or not 0 <= by < k.lanes:
                b.append(i)
                pushed.note(i)
                continue
            v = new[i.result.id] = pushed.read(i.args[0], int(by))
            pushed.depth[v.id] = pushed.depth.get(i.args[0].id, 0) + 1
            pushed.shuffled.setdefault(v.id, (i.args[0], int(by)))
        added += pushed.added
        if added > MOST:
            return k
    return b.finish(k.meta)


class _Block:
    """What a block made so far."""

    def __init__(self, b: KernelBuilder, const: dict[int, Any]) -> None:
        self.b, self.const = b, const
        self.made: dict[int, Instr] = {}
        self.depth: dict[int, int] = {}  # shuffles on the way to a value
        self.shuffled: dict[int, tuple[Value, int]] = {}
        self.have: dict[tuple[int, int], Value] = {}
        self.added = 0

    def note(self, i: Instr) -> None:
        if i.op.kind == "lane":
            self.made[i.result.id] = i
            self.depth[i.result.id] = max((self.depth.get(a.id, 0) for a in i.args), default=0)

    def read(self, v: Value, by: int) -> Value:
        """v as lane ^ by has it."""
        if not by or v.id in self.const:
            return v
        key = v.id, by
        if key not in self.have:
            source, i = self.shuffled.get(v.id), self.made.get(v.id)
            if source is not None:
                self.have[key] = self.read(source[0], source[1] ^ by)
            elif i is not None and self.depth.get(v.id, 0) and self.added <= MOST:
                args = [self.read(a, by) for a in i.args]
                self.added += 1
                self.have[key] = self.b.emit(i.op, args, i.attrs)
            else:
                self.have[key] = self.b.shfl(v, self.b.const(I32, by), mode="bfly")
        return self.have[key]
