"""Between which numbers the integers of a kernel lie.

Intervals go forward from constants, from registers that the launch bounds (lane, warp, block: `meta` may say how many blocks there are) and through the
arithmetic; what would leave its type is anything.  Where a branch goes on a comparison, the arguments of its edge are bounded by it: so a counter that
is compared with its end has one.  A block parameter that keeps growing is set to the bounds of its edges, and to anything if that does not hold.
"""
from __future__ import annotations

from collections.abc import Callable

from ..instr import Edge, Instr, Value
from ..kernel import Kernel
from ..types import I1, Scalar

Range = tuple[int, int]
BLOCKS = (1 << 31) - 1  # of a grid along x
ROUNDS = 4


def full(t: Scalar) -> Range:
    return (0, 1) if t is I1 else (-(1 << (t.bits - 1)), (1 << (t.bits - 1)) - 1)


def ranges(k: Kernel) -> dict[int, Range]:
    """value id → (least, greatest), both included, as signed numbers.  Values that are not integers are not there."""
    from ..passes.cleanup import reverse_post_order

    order = reverse_post_order(k)
    made = {r.id: i for i in k.instrs() for r in i.results}
    meta = dict(k.meta)
    threads = (k.lanes or 1024) * (k.warps or 1 if k.lanes else 1)
    registers = {"laneid": (0, (k.lanes or 32) - 1), "warpid": (0, (k.warps or 32) - 1), "tid.x": (0, threads - 1), "ctaid.x": (0, meta.get("blocks", BLOCKS) - 1)}
    found: dict[int, Range] = {}
    for q in k.params:
        if isinstance(q.value.type, Scalar) and q.value.type.is_int:
            found[q.value.id] = full(q.value.type)

    def of(v: Value) -> Range | None:
        return found.get(v.id)

    def visit() -> bool:
        changed = False
        for n in order:
            for i in k.blocks[n].instrs:
                for r in i.results:
                    t = r.type
                    if not isinstance(t, Scalar) or not (t.is_int or t is I1):
                        continue
                    new = _result(i, t, of, registers)
                    if new is not None and found.get(r.id) != new:
                        found[r.id], changed = new, True
            t2 = k.blocks[n].terminator
            for side, e in enumerate(t2.edges):
                for p, a in zip(k.blocks[e.target].params, e.args):
                    r2 = _on_edge(t2, side, e, a, of, made)
                    old = found.get(p.id)
                    if r2 is None:
                        continue
                    joined = r2 if old is None else (min(old[0], r2[0]), max(old[1], r2[1]))
                    if joined != old:
                        found[p.id], changed = joined, True
        return changed

    for _ in range(ROUNDS):
        if not visit():
            return found
    # what still grows: first to what its edges allow, then, if that is not enough, to anything
    for limit in (_allowed, None):
        for n in order:
            for j, p in enumerate(k.blocks[n].params):
                if isinstance(p.type, Scalar) and p.type.is_int and p.id in found:
                    edges = [(k.blocks[m].terminator, s, e) for m in order for s, e in enumerate(k.blocks[m].terminator.edges) if e.target == n]
                    found[p.id] = full(p.type) if limit is None else limit(found[p.id], p.type, [_bound(t, s, e.args[j], of, made) for t, s, e in edges])
        if not visit() or not visit():
            return found
    return {v: r for v, r in found.items() if v in made and made[v].op.name in ("constant", "sreg")}


def _allowed(now: Range, t: Scalar, bounds: list[Range]) -> Range:
    """From where it began to the widest of what the conditions on its edges say."""
    limits = [b for b in bounds if b != full(t)]
    low = min([now[0], *(b[0] for b in limits if b[0] != full(t)[0])])
    high = max([now[1], *(b[1] for b in limits if b[1] != full(t)[1])])
    return low, high


def _bound(t: Instr, side: int, v: Value, of: Callable[[Value], Range | None], made: dict[int, Instr]) -> Range:
    """What the condition of a branch says of a value on one of its sides."""
    everything = full(v.type.elem)
    if t.op.name != "branch" or len(t.edges) != 2:
        return everything
    c = made.get(t.args[0].id)
    if c is None or c.op.name != "icmp":
        return everything
    pred = c.attr("pred")
    if side == 1:
        pred = {"slt": "sge", "sge": "slt", "sle": "sgt", "sgt": "sle", "eq": "ne", "ne": "eq"}.get(pred)
    a, b = c.args
    if b is v:
        a, b = b, a
        pred = {"slt": "sgt", "sgt": "slt", "sle": "sge", "sge": "sle"}.get(pred, pred)
    other = of(b)
    if a is not v or other is None:
        return everything
    low, high = everything
    return {"slt": (low, other[1] - 1), "sle": (low, other[1]), "sgt": (other[0] + 1, high), "sge": (other[0], high), "eq": other}.get(pred, everything)


def _on_edge(t: Instr, side: int, e: Edge, v: Value, of: Callable[[Value], Range | None], made: dict[int, Instr]) -> Range | None:
    r = of(v)
    if r is None:
        return None
    low, high = _bound(t, side, v, of, made)
    return (max(r[0], low), min(r[1], high)) if max(r[0], low) <= min(r[1], high) else r


def _result(i: Instr, t: Scalar, of: Callable[[Value], Range | None], registers: dict[str, Range]) -> Range | None:
    name = i.op.name
    everything = full(t)
    if name == "constant":
        return int(i.attr("value")), int(i.attr("value"))
    if name == "sreg":
        return registers.get(i.attr("name"), everything)
    rule = RULES.get(name)
    if rule is None:
        return everything
    args = [of(a) for a in (i.args[1:] if name == "select" else i.args)]
    if any(a is None for a in args):
        return None  # not reached yet
    low, high = rule(*args)
    if name == "itrunc" or name == "zext":  # what does not fit is another number
        a = args[0]
        assert a is not None
        if name == "zext" and a[0] < 0:
            return 0, (1 << i.args[0].type.elem.bits) - 1
    return (low, high) if everything[0] <= low and high <= everything[1] else everything


EVERYTHING = -(1 << 200), 1 << 200  # leaves every type


def _mul(a: Range, b: Range) -> Range:
    p = [x * y for x in a for y in b]
    return min(p), max(p)


def _div(a: Range, b: Range) -> Range:
    return (a[0] // b[1], a[1] // b[0]) if a[0] >= 0 and b[0] > 0 else EVERYTHING


def _rem(a: Range, b: Range) -> Range:
    return (0, min(a[1], b[1] - 1)) if a[0] >= 0 and b[0] > 0 else EVERYTHING


def _shl(a: Range, b: Range) -> Range:
    return _mul(a, (1 << b[0], 1 << b[1])) if 0 <= b[0] and b[1] < 64 else EVERYTHING


def _shr(a: Range, b: Range) -> Range:
    return (a[0] >> b[1], a[1] >> b[0]) if a[0] >= 0 and 0 <= b[0] and b[1] < 64 else EVERYTHING


def _and(a: Range, b: Range) -> Range:
    limits = [x[1] for x in (a, b) if x[0] >= 0]
    return (0, min(limits)) if limits else EVERYTHING


def _or(a: Range, b: Range) -> Range:
    return (0, (1 << max(a[1], b[1]).bit_length()) - 1) if a[0] >= 0 and b[0] >= 0 else EVERYTHING


def _unsigned(fn: Callable[[Range, Range], Range]) -> Callable[[Range, Range], Range]:
    return lambda a, b: fn(a, b) if a[0] >= 0 and b[0] >= 0 else EVERYTHING


def _min(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), min(a[1], b[1])


def _max(a: Range, b: Range) -> Range:
    return max(a[0], b[0]), max(a[1], b[1])


RULES: dict[str, Callable[..., Range]] = {
    "iadd": lambda a, b: (a[0] + b[0], a[1] + b[1]), "isub": lambda a, b: (a[0] - b[1], a[1] - b[0]), "imul": _mul, "ineg": lambda a: (-a[1], -a[0]),
    "idiv_u": _div, "idiv_s": _div, "irem_u": _rem, "irem_s": _rem, "imin_s": _min, "imax_s": _max, "imin_u": _unsigned(_min), "imax_u": _unsigned(_max),
    "and": _and, "or": _or, "xor": _or, "shl": _shl, "shr_u": _shr, "shr_s": _shr, "sext": lambda a: a, "zext": lambda a: a, "itrunc": lambda a: a,
    "select": lambda a, b: (min(a[0], b[0]), max(a[1], b[1])), "icmp": lambda a, b: (0, 1)}  # fmt: skip
