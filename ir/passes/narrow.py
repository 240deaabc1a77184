"""Index arithmetic in 32 bits where every number in it is proven to fit (`ir/analysis/ranges.py`), for devices that have no 64-bit integer units.

An i64 op whose operands and result are all between −2³¹ and 2³¹ is made in i32, and its result is extended for whoever wants 64 bits; loads and stores
take the 32-bit index itself.  Division is what this is about: of 64 bits it is a subroutine of a hundred instructions, of 32 a few.
"""
from __future__ import annotations

from ..analysis.ranges import ranges
from ..instr import Block, Instr, Value
from ..kernel import Kernel
from ..op import op
from ..types import I32, I64

OPS = frozenset("iadd isub imul idiv_u idiv_s irem_u irem_s imin_s imax_s imin_u imax_u and or xor shl shr_u shr_s select icmp".split())
UNSIGNED = frozenset("idiv_u irem_u imin_u imax_u shr_u".split())
LOW, HIGH = -(1 << 31), (1 << 31) - 1


def narrow(k: Kernel) -> Kernel:
    """The kernel with such arithmetic; the same object if there is none."""
    from .cleanup import reverse_post_order

    if not any(i.op.name in OPS and i.args[-1].type is I64 for i in k.instrs()):
        return k
    found = ranges(k)
    fresh = k.next_id()
    short: dict[int, Value] = {}  # i64 value → its i32 twin
    constants: dict[int, int] = {}
    head: list[Instr] = []
    for i in k.instrs():
        if i.op.name == "sext" and i.args[0].type is I32 and i.result.type is I64:
            short[i.result.id] = i.args[0]
        elif i.op.name == "constant" and i.result.type is I64:
            constants[i.result.id] = i.attr("value")
    changed = False

    def fits(v: Value, least: int = LOW) -> bool:
        r = found.get(v.id)
        return v.type is not I64 or r is not None and least <= r[0] and r[1] <= HIGH

    def twin(v: Value, out: list[Instr], like: Instr) -> Value:
        nonlocal fresh
        if v.type is not I64:
            return v
        if v.id not in short:
            made = short[v.id] = Value(fresh, I32, v.name)
            fresh += 1
            if v.id in constants:
                head.append(Instr(op("constant"), (), (("type", I32), ("value", constants[v.id])), (made,)))
            else:
                out.append(Instr(op("itrunc"), (v,), (("to", I32),), (made,), loc=like.loc))
                local.append(v.id)
        return short[v.id]

    blocks: dict[int, Block] = {}
    for n in reverse_post_order(k):
        b = k.blocks[n]
        out: list[Instr] = []
        local: list[int] = []  # truncated in this block: other blocks need not be dominated by it
        for i in b.instrs:
            least = 0 if i.op.name in UNSIGNED or i.op.name == "icmp" and i.attr("pred")[0] == "u" else LOW
            if i.op.name in OPS and any(a.type is I64 for a in i.args) and i.guard is None and all(fits(a, least) for a in i.args) and fits(i.result):
                args = tuple(twin(a, out, i) for a in i.args)
                changed = True
                if i.result.type is not I64:
                    out.append(i.replace(args=args))
                    continue
                r = short[i.result.id] = Value(fresh, I32, i.result.name)
                fresh += 1
                out.append(Instr(i.op, args, i.attrs, (r,), loc=i.loc))
                out.append(Instr(op("sext"), (r,), (("to", I64),), i.results, loc=i.loc))
                continue
            if i.op.name in ("ld", "st", "red", "atom") and i.attr("space") != "shared":
                count = len(i.args) - {"ld": 0, "st": i.attr("count", 1), "red": 1, "atom": 1}[i.op.name] - (i.attr("fn") == "cas")
                if count == 2 and i.args[1].type is I64 and i.args[1].id in short:
                    changed = True
                    i = i.replace(args=(i.args[0], short[i.args[1].id], *i.args[2:]))
            out.append(i)
        for v in local:
            del short[v]
        blocks[n] = Block(b.name, b.params, tuple(out))
    if not changed:
        return k
    first = blocks[0]
    blocks[0] = Block(first.name, first.params, (*head, *first.instrs))
    return k.with_blocks(tuple(blocks.get(n, b) for n, b in enumerate(k.blocks)))
