"""The number of a thread in its block is one register: laneid + warpid · lanes becomes tid.x, which compilers for SIMD machines see through."""
from __future__ import annotations

from ..instr import Instr
from ..kernel import Kernel
from ..op import op


def thread_numbers(k: Kernel) -> Kernel:
    """The kernel (of fixed lanes, blocks of one dimension) with such sums replaced; the same object if it has none."""
    if k.lanes is None:
        return k
    made = {r.id: i for i in k.instrs() for r in i.results}
    const = {i.result.id: i.attr("value") for i in k.instrs() if i.op.name == "constant"}

    def register(v: int, name: str) -> bool:
        i = made.get(v)
        return i is not None and i.op.name == "sreg" and i.attr("name") == name

    def rows(v: int) -> bool:
        i = made.get(v)
        if i is None or len(i.args) != 2:
            return False
        a, b = i.args
        if i.op.name == "shl":
            return register(a.id, "warpid") and const.get(b.id) == (k.lanes or 0).bit_length() - 1
        return i.op.name == "imul" and any(register(x.id, "warpid") and const.get(y.id) == k.lanes for x, y in ((a, b), (b, a)))

    changed = False
    blocks = []
    for b in k.blocks:
        instrs: list[Instr] = []
        for i in b.instrs:
            if i.op.name == "iadd" and any(register(x.id, "laneid") and rows(y.id) for x, y in (i.args, i.args[::-1])):
                i, changed = Instr(op("sreg"), (), (("name", "tid.x"),), i.results, loc=i.loc), True
            instrs.append(i)
        blocks.append(type(b)(b.name, b.params, tuple(instrs)))
    return k.with_blocks(tuple(blocks)) if changed else k
