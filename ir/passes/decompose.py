"""Ops that a device lacks become ops that it has.

Math ops become their definitions (`ir/mathdefs`).  Arithmetic of 8 and 16 bits is computed in f32 and rounded once more, which changes
nothing for these formats (24 ≥ 2·11 + 2 bits), nor does rounding twice in one direction; fma goes through f64 rounded to odd.  Narrowing
in a direction is narrowing to nearest and a step back where that went too far.  `frem` becomes exact steps of division, `dot4` shifts,
products and sums (features: `dot4` has it for bytes that are all signed or all unsigned, `dot4mixed` for one word of each).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..device import DeviceFacts
from ..errors import UnsupportedError
from ..instr import Instr, Value
from ..kernel import Kernel, KernelBuilder
from ..op import Attrs, LaneOps, Op, op
from ..ops.math import definition_of
from ..types import F32, F64, I1, I64, INT_OF_BITS, Scalar
from . import rounding

IN_F32 = frozenset("fadd fsub fmul fdiv fsqrt fmin fmax fminnum fmaxnum ffloor fceil ftrunc frint fcmp frem".split())
ON_BITS = frozenset("fneg fabs copysign".split())
DIRECTED = ("rz", "rm", "rp")
Rule = Callable[[LaneOps, Instr, Sequence[Value]], Value]


class _Builder(KernelBuilder):
    """Definitions are written through it: what they use and the device lacks is said otherwise at once."""

    scales = True
    directs = True  # whether the device rounds in any direction

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.renamed: dict[int, Value] = {}  # what replaced a value

    def emit(self, op: Op, args: Sequence[Value], attrs: Attrs = (), **rest: Any) -> Any:
        if not self.directs and attrs and rounding.wants(op, [a.type for a in args], attrs):
            return rounding.expand(self, op, args, attrs)
        return super().emit(op, args, attrs, **rest)

    def fscale(self, x: Any, n: Any) -> Any:
        return self.emit(op("fscale"), (x, n)) if self.scales else _in_steps(self, x, n)


def decompose(k: Kernel, facts: DeviceFacts) -> Kernel:
    """The kernel over ops that a device of those facts has; the same object if it had nothing else."""
    native = frozenset(facts.features)
    ptx = facts.kind == "ptx"
    if facts.kind == "cpu" and facts.vector_bits == 512:  # vscalef
        native |= {"fscale"}
    directs = facts.kind not in ("opencl", "amdgpu")

    def rule_of(i: Instr) -> Rule | None:
        rule = _rule(i, native, ptx)
        if rule is None and not directs and rounding.wants(i.op, [a.type for a in i.args], i.attrs):
            return lambda b, i, args: rounding.expand(b, i.op, args, i.attrs)
        return rule

    return rewrite(k, rule_of, scales="fscale" in native, directs=directs)


def rewrite(k: Kernel, rule_of: Callable[[Instr], Rule | None], scales: bool = True, directs: bool = True) -> Kernel:
    """The kernel with each instruction that has a rule replaced by what the rule builds; the same object where none has."""
    if not any(rule_of(i) for i in k.instrs()):
        return k
    b = _Builder(k.name, warps=k.warps, lanes=k.lanes, first_id=k.next_id())
    b.scales, b.directs = scales, directs
    b.params, b.shared, b.local, b.functions = list(k.params), k.shared, k.local, k.functions
    for block in k.blocks[1:]:
        b.adopt(block)
    new = b.renamed
    for n in definitions_first(k):
        b.start(n)
        for i in k.blocks[n].instrs:
            b.loc = i.loc
            rule = rule_of(i)
            if rule is None:
                b.append(_renamed(i, new))
            else:
                v = rule(b, i, [new.get(a.id, a) for a in i.args])
                new[i.result.id] = v
    return b.finish(k.meta)


def definitions_first(k: Kernel) -> list[int]:
    """Blocks in an order in which a definition is met before its uses; the text's order need not be one."""
    from .cleanup import reverse_post_order

    order = reverse_post_order(k)
    return order + sorted(set(range(len(k.blocks))) - set(order))


def _renamed(i: Instr, new: dict[int, Value]) -> Instr:
    from .cleanup import _with

    if not new:
        return i
    return _with(i, tuple(new.get(a.id, a) for a in i.args), lambda v: new.get(v.id, v))


def _rule(i: Instr, native: frozenset[str], ptx: bool) -> Rule | None:
    if i.op.kind == "math":
        if ptx and i.attr("approx"):
            return None
        return lambda b, i, args: definition_of(i.op)(b, *args)
    if i.op.kind != "lane" or not i.args:
        return None
    name = i.op.name
    elem = i.args[0].type.elem
    if name == "frem":
        return _frem if "frem" not in native else None if elem.bits >= 32 else _in_f32
    if name == "fscale":
        return None if name in native and elem.bits >= 32 else _scaled
    if name == "dot4":
        return None if ("dot4" if i.attr("signs", "ss") in ("ss", "uu") else "dot4mixed") in native else _four_products
    out = i.result.type.elem
    if name in ("stof", "utof") and out.bits <= 16:
        return _to_narrow
    if name == "fcvt" and i.attr("rnd") in DIRECTED and not (ptx and out.name != "bf16" and elem.name != "bf16"):
        return _directed
    if name in ("ftos", "ftou") and elem.bits <= 16 and elem.name not in native:
        return _to_int
    if not elem.is_float or elem.bits > 16 or elem.name in native:
        return None
    if name in IN_F32:
        return _in_f32
    if name in ON_BITS:
        return _on_bits
    if name == "ffma":
        return _narrow_fma
    return None


def _in_f32(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    wide = [b.fcvt(_flushed(b, a) if i.attr("ftz") else a, to=F32) for a in args]
    r = b.emit(i.op, wide, tuple((k, v) for k, v in i.attrs if k not in ("ftz", "sat")))
    return r if i.op.name == "fcmp" else _narrowed(b, i, r)


def _narrowed(b: LaneOps, i: Instr, r: Any) -> Value:
    """The wide result as that of the instruction: converted, flushed, clamped to [0, 1] as its attributes say."""
    elem = i.result.type.elem
    if i.attr("sat"):  # 0 and 1 are numbers of every format: clamping and rounding may change places, unless overflow is NaN
        if elem.name == "f8e4m3":
            r = b.fcvt(b.fcvt(r, to=elem), to=F32)
        r = b.fminnum(b.fmaxnum(r, b.like(r, 0.0)), b.like(r, 1.0))
    r = _narrow(b, r, elem, i.attr("rnd"))
    return _flushed(b, r) if i.attr("ftz") else r  # type: ignore[no-any-return]


def _flushed(b: LaneOps, x: Any) -> Any:
    """Subnormal numbers as zeros of their sign."""
    elem = b.type_of(x).elem
    bits = b.bitcast(x, to=INT_OF_BITS[elem.bits])
    both = getattr(b, "and")
    exponent = both(bits, b.like(bits, ((1 << elem.ebits) - 1) << elem.mant))
    zero = both(bits, b.like(bits, -1 << (elem.bits - 1)))
    return b.bitcast(b.select(b.icmp(exponent, b.like(bits, 0), pred="eq"), zero, bits), to=elem)


def _narrow(b: LaneOps, x: Any, elem: Scalar, rnd: str | None) -> Any:
    """x as a number of a narrower format.  In a direction: the nearest one, and its neighbour where that lies on the other side.
    (e4m3 has no infinity: what is too large for it is no number, and has no neighbour.)"""
    near = b.fcvt(x, to=elem)
    if rnd not in DIRECTED:
        return near
    if elem.name == "f8e4m3":
        raise UnsupportedError(f"rounding {rnd} to {elem}", place=getattr(b, "loc", None))
    back = b.fcvt(near, to=b.type_of(x).elem)
    bits = b.bitcast(near, to=INT_OF_BITS[elem.bits])
    one, zero = b.like(bits, 1), b.like(bits, 0)
    if rnd == "rz":
        far, step = b.fcmp(b.fabs(back), b.fabs(x), pred="ogt"), b.like(bits, -1)
    else:
        negative = b.icmp(bits, zero, pred="slt")
        far = b.fcmp(back, x, pred="ogt" if rnd == "rm" else "olt")
        step = b.select(negative, one, b.ineg(one)) if rnd == "rm" else b.select(negative, b.ineg(one), one)
    return b.bitcast(b.iadd(bits, b.select(far, step, zero)), to=elem)


def _directed(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    x, elem, out = args[0], i.args[0].type.elem, i.result.type.elem
    if out.mant >= elem.mant and out.ebits >= elem.ebits:  # exact
        return b.emit(i.op, (x,), tuple((k, v) for k, v in i.attrs if k != "rnd"))  # type: ignore[no-any-return]
    x = _flushed(b, x) if i.attr("ftz") else x
    return _narrowed(b, i, b.fcvt(x, to=F32) if elem.bits <= 16 else x)


def _to_int(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    x = b.fcvt(_flushed(b, args[0]) if i.attr("ftz") else args[0], to=F32)
    return b.emit(i.op, (x,), tuple((k, v) for k, v in i.attrs if k != "ftz"))  # type: ignore[no-any-return]


def _scaled(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    x, n = args
    elem, word = i.result.type.elem, n.type.elem
    if elem.bits < 32 or word.bits != elem.bits:
        raise UnsupportedError(f"fscale of {elem} by {word}", place=getattr(b, "loc", None))
    return _in_steps(b, x, n)  # type: ignore[no-any-return]


def _in_steps(b: LaneOps, x: Any, n: Any) -> Any:
    """x · 2^n for x near 1: the first of two products is exact, so the second rounds once."""
    elem = b.type_of(x).elem
    half = b.shr_s(n, b.like(n, 1))
    bias = (1 << (elem.ebits - 1)) - 1

    def power(k: Any) -> Any:
        return b.bitcast(b.shl(b.iadd(k, b.like(k, bias)), b.like(k, elem.mant)), to=elem)

    return b.fmul(b.fmul(x, power(half)), power(b.isub(n, half)))


def _on_bits(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    elem = i.result.type.elem
    bits = [b.bitcast(a, to=INT_OF_BITS[elem.bits]) for a in args]
    sign = b.like(bits[0], -1 << (elem.bits - 1))
    rest = b.like(bits[0], (1 << (elem.bits - 1)) - 1)
    both, either = getattr(b, "and"), getattr(b, "or")
    if i.op.name == "fneg":
        r = b.xor(bits[0], sign)
    elif i.op.name == "fabs":
        r = both(bits[0], rest)
    else:
        r = either(both(bits[0], rest), both(bits[1], sign))
    return b.bitcast(r, to=elem)  # type: ignore[no-any-return]


def _narrow_fma(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    """The product is exact in f64; the sum is rounded to odd there, so that the last rounding is the only one."""
    x, y, z = (b.fcvt(b.fcvt(_flushed(b, a) if i.attr("ftz") else a, to=F32), to=F64) for a in args)
    p = b.fmul(x, y)
    if i.attr("rnd") in DIRECTED:
        return _narrowed(b, i, b.fadd(p, z, rnd=i.attr("rnd")))
    s = b.fadd(p, z, rnd="rn")
    v = b.fsub(s, p, rnd="rn")
    err = b.fadd(b.fsub(p, b.fsub(s, v, rnd="rn"), rnd="rn"), b.fsub(z, v, rnd="rn"), rnd="rn")
    bits, zero = b.bitcast(s, to=I64), b.like(s, 0, I64)
    one = b.like(s, 1, I64)
    even = b.icmp(getattr(b, "and")(bits, one), zero, pred="eq")
    inexact = b.fcmp(err, b.like(err, 0.0), pred="one")
    away = b.icmp(b.icmp(b.bitcast(err, to=I64), zero, pred="slt"), b.icmp(bits, zero, pred="slt"), pred="eq")
    moved = b.select(away, b.iadd(bits, one), b.isub(bits, one))
    odd = b.bitcast(b.select(getattr(b, "and")(even, inexact), moved, bits), to=F64)
    return _narrowed(b, i, odd)


def _to_narrow(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    """An integer to 8 or 16 bits with one rounding: exact in f32 or f64 where it fits, else with its low bits made sticky."""
    x, elem = args[0], i.args[0].type.elem
    signed = i.op.name == "stof" and elem is not I1
    attrs = (("to", F32 if elem.bits <= 16 else F64),)
    name = op("stof" if signed else "utof")
    if elem.bits <= 32:
        return _narrowed(b, i, b.emit(name, (x,), attrs))
    low = getattr(b, "and")(x, b.like(x, 0x7FF))
    sticky = b.zext(b.icmp(low, b.like(x, 0), pred="ne"), to=I64)
    high = (b.shr_s if signed else b.shr_u)(x, b.like(x, 11))
    big = b.fmul(b.emit(name, (getattr(b, "or")(high, sticky),), attrs), b.like(x, 2048.0, F64))
    small = b.emit(name, (x,), attrs)
    exact = b.icmp(b.iadd(x, b.like(x, 1 << 53)) if signed else x, b.like(x, 1 << (54 if signed else 53)), pred="ult")
    return _narrowed(b, i, b.select(exact, small, big))


def _four_products(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    """Each byte moved to the top of its word and back, which several results share."""
    def byte(v: Value, k: int, sign: str) -> Value:
        up = b.shl(v, b.like(v, 24 - 8 * k)) if k < 3 else v
        return (b.shr_s if sign == "s" else b.shr_u)(up, b.like(v, 24))  # type: ignore[no-any-return]

    x, y, total = args
    for k in range(4):
        total = b.iadd(total, b.imul(*(byte(v, k, sign) for v, sign in zip((x, y), i.attr("signs", "ss")))))
    return total


def _frem(b: LaneOps, i: Instr, args: Sequence[Value]) -> Value:
    """fmod, exact: r − trunc(r/d)·d for d = |b|·2^k, k falling; a quotient below 2^step is at most one too large."""
    elem = i.result.type.elem
    if elem.bits <= 16:
        return b.fcvt(_frem32(b, F32, *(b.fcvt(a, to=F32) for a in args)), to=elem)  # type: ignore[no-any-return]
    return _frem32(b, elem, *args)  # type: ignore[no-any-return]


def _frem32(b: LaneOps, elem: Scalar, x: Any, y: Any) -> Any:
    step = elem.mant - 1
    a, d = b.fabs(x), b.fabs(y)
    bias = (1 << (elem.ebits - 1)) - 1

    def once(r: Any, unit: Any) -> Any:
        q = b.ftrunc(b.fdiv(r, unit))
        s = b.ffma(b.fneg(q), unit, r)
        s = b.select(b.fcmp(s, b.like(s, 0.0), pred="olt"), b.fadd(s, unit), s)
        return b.select(b.fcmp(r, unit, pred="oge"), s, r)

    def many() -> list[Any]:
        r = a
        for k in range((2 * bias + elem.mant) // step, 0, -1):
            unit, left = d, k * step
            while left > 0:  # 2^left by factors that are numbers of the format
                part = min(left, bias)
                unit = b.fmul(unit, b.like(unit, 2.0**part))
                left -= part
            r = b.select(b.fcmp(unit, b.like(unit, float("inf")), pred="olt"), once(r, unit), r)
        return [once(r, d)]

    far = b.fcmp(b.fdiv(a, d), b.like(a, 2.0**step), pred="uge")
    [r] = b.cond(far, many, [once(a, d)])
    bad = getattr(b, "or")(b.fcmp(a, b.like(a, float("inf")), pred="uge"), b.fcmp(d, b.like(d, 0.0), pred="ueq"))
    r = b.select(bad, b.like(r, float("nan")), r)
    return b.copysign(r, x)
