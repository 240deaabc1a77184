"""How many lanes run together: a warp, or a part of one where no instruction can tell.

What a loop keeps for its lanes should lie in registers: 13 values of f32 and 32 lanes are 52 registers of AVX2, which has 16.  So the lanes are as
many as about fit, by the most bytes that a loop reads and that are alive where one of its blocks begins.  Narrower lanes have their price: what is
done once for all lanes is done more often, and independent work that hides latencies is less.  Milliseconds with 32, 16 and 8 lanes on a Zen 5,
the chosen one in brackets, behind the bytes per lane:

    AVX2, 512 bytes of registers: 12 sums of f32, 52: 1.19  1.08 [0.74]   mandelbrot of f32, 28: 3.19 [2.78] 4.12   of f64, 48: 1.81  1.76 [1.65]
                                  softmax, 24: [5.3] 6.3  8.8             product by tiles, 4: [12.4] 13.4 23       no loop, 0: [0.30] 0.38  0.49
    AVX-512, 2048 bytes:          24 sums of f32, 96: 0.95 [0.33] 0.62    of f64, 12, 100: 1.07 [0.33] 0.40   20, 164: 1.89  1.26 [0.53]
                                  32 lanes are best in all of the first two lines, and fit.
"""
from __future__ import annotations

from collections.abc import Iterator

from ...ir.analysis.warps import warp_needs
from ...ir.instr import Value
from ...ir.kernel import Kernel
from .chunks import chunked
from .exits import leaving, loops
from .lanes import W
from .regions import Plan, Refused

WIDTHS = (32, 16, 8)
MEMORY = frozenset("ld st atom red copy".split())
SPILLED = 1.5  # in a loop that waits for memory, registers that are not there cost less than scalars twice as often


def planned(k: Kernel, form: str, room: int, forced: int = 0) -> Plan:
    """How the lanes go through a kernel, and how many; `room` is what the vector registers hold, in bytes, `forced` asks for a width where that is
    possible, of the kernel or of its loops."""
    k = leaving(k)
    plan = Plan(k, form)
    if parts(plan):
        w = forced or fitting(max(alive(plan).values(), default=0), room)
        try:
            return plan if w == W else Plan(k, form, w)
        except Refused:
            return plan
    kept = {} if forced else alive(plan)
    cut = chunked(plan, lambda part: forced or fitting(max(kept[n] for n in part), room))
    return plan if cut is k else Plan(cut, form)


def fitting(size: float, room: int) -> int:
    """For how many lanes there is room."""
    return next((w for w in WIDTHS if w * size <= room), WIDTHS[-1])


def parts(plan: Plan) -> bool:
    """Whether a part of a warp may run without the rest: nothing crosses its lanes or asks for their numbers, none waits for another in a loop,
    no volatile access is there (code from before __syncwarp relies on a warp in step), and nothing is printed (the lines of a warp lie together)."""
    if plan.polls or plan.spins or warp_needs(plan.k) is not None:
        return False
    if any(i.op.name == "sreg" and str(i.attr("name")).startswith("lane") for i in plan.k.instrs()):
        return False
    return not any(i.attr("volatile") or i.op.name == "printf" for f in (plan.k, *plan.k.functions) for i in f.instrs())


def alive(plan: Plan) -> dict[int, float]:
    """For each block of a loop: the bytes of vectors that a lane keeps where it begins and that the loop reads, the mask included."""
    k = plan.k
    around = {n: part for part in loops(k, plan.order) for n in part}  # the innermost
    if not around:
        return {}
    size = {v.id: max(v.type.elem.bytes, 4) for v in _values(k) if v.id in plan.varying and v.id not in plan.shapes}
    reads: list[set[int]] = []
    makes: list[set[int]] = []
    for b in k.blocks:
        have, need = {v.id for v in b.params}, set[int]()
        for i in b.instrs:
            need.update(v.id for v in i.operands() if v.id in size and v.id not in have)
            have.update(v.id for v in i.results)
        reads.append(need)
        makes.append(have)
    into = [set(r) for r in reads]
    changed = True
    while changed:
        changed = False
        for n in reversed(plan.order):
            new = set[int]().union(*(into[e.target] for e in k.blocks[n].terminator.edges)) - makes[n]
            if not new <= into[n]:
                into[n] |= new
                changed = True
    out: dict[int, float] = {}
    known: dict[int, tuple[set[int], bool]] = {}  # of each loop: what it reads, whether it waits for memory
    for n, part in around.items():
        if id(part) not in known:
            instrs = [i for m in part for i in k.blocks[m].instrs]
            known[id(part)] = {v.id for i in instrs for v in i.operands()}, any(i.op.name in MEMORY for i in instrs)
        read, memory = known[id(part)]
        kept = into[n] & read | {v.id for v in k.blocks[n].params if v.id in size}
        out[n] = (sum(size[v] for v in kept) + (4 if n in plan.inside else 0)) / (SPILLED if memory else 1)
    return out


def _values(k: Kernel) -> Iterator[Value]:
    for b in k.blocks:
        yield from b.params
        for i in b.instrs:
            yield from i.results
