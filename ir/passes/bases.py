"""Addresses as a base and an offset, for devices whose memory the host reaches only by handles.

A 64-bit parameter of a foreign kernel may be an address or a number; which, the launch knows.  Each becomes two: a pointer (the copy of an array, or
null) and an offset (of the address in that array, or the number itself).  The kernel begins with their sums.
"""
from __future__ import annotations

from ..instr import Block, Instr, Param, Value
from ..kernel import Kernel
from ..op import op
from ..types import I64


def base_and_offset(k: Kernel) -> Kernel:
    """The kernel with two parameters for each 64-bit one; the same object if it has none."""
    fresh = k.next_id()
    params: list[Param] = []
    sums: list[Instr] = []
    for p in k.params:
        if p.value.type.elem is not I64 or p.role == "pointer":
            params.append(p)
            continue
        base = Value(fresh, I64, f"{p.value.name}_base" if p.value.name else "base")
        offset = Value(fresh + 1, I64, f"{p.value.name}_offset" if p.value.name else "offset")
        fresh += 2
        params += [Param(base, "pointer", p.elem), Param(offset, "scalar")]
        sums.append(Instr(op("iadd"), (base, offset), (), (p.value,)))
    if not sums:
        return k
    first = k.blocks[0]
    blocks = (Block(first.name, first.params, (*sums, *first.instrs)), *k.blocks[1:])
    return Kernel(k.name, tuple(params), blocks, warps=k.warps, lanes=k.lanes, shared=k.shared, local=k.local, functions=k.functions, meta=k.meta)
