"""Ops that take more than one PTX instruction: 8- and 16-bit work, defined division, saturating conversions, bf16.

An i8 lives sign-extended in a 16-bit register; whatever may leave its range is brought back by `cvt.s16.s8`.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...ir.instr import Instr, Value
from ...ir.types import F16, F32, F64, I1, I8, I32, I64
from .rows.writing import ICMP, ROWS


class Expand:
    """Mixin of the writer: a method per op that has no single row for all types."""

    facts: Any
    const: dict[int, Any]

    if TYPE_CHECKING:
        put: Callable[..., None]
        into: Callable[[str, str], str]
        dest: Callable[[Value], str]
        use: Callable[[Value], str]
        register: Callable[[Value], str]
        fill: Callable[[Instr, str], None]
        lacks: Callable[[Instr, str], Exception]

    # ---- 8-bit integers

    def byte(self, i: Instr, pattern: str, unsigned: bool = False, wraps: bool = True) -> None:
        """A 16-bit instruction on bytes; `$` is its result, `a` and `b` its operands."""
        ops = [self.register(v) for v in i.args]
        if unsigned:
            ops = [self.into("rs", f"and.b16 $, {o}, 0xff") for o in ops]
        text = pattern
        for name, o in zip("ab", ops):
            text = text.replace(f"<{name}>", o)
        if wraps:
            r = self.into("rs", text)
            self.put(f"cvt.s16.s8 {self.dest(i.result)}, {r}")
        else:
            self.put(text.replace("$", self.dest(i.result)))

    def small(self, i: Instr, signed: str, unsigned: bool = False, wraps: bool = True) -> None:
        if i.args[0].type.elem is I8:
            self.byte(i, signed, unsigned, wraps)
        else:
            self.fill(i, ROWS[i.op.name][i.args[0].type.elem.name])

    def _iadd(self, i: Instr) -> None:
        self.small(i, "add.s16 $, <a>, <b>")

    def _isub(self, i: Instr) -> None:
        self.small(i, "sub.s16 $, <a>, <b>")

    def _imul(self, i: Instr) -> None:
        self.small(i, "mul.lo.s16 $, <a>, <b>")

    def _ineg(self, i: Instr) -> None:
        self.small(i, "neg.s16 $, <a>")

    def _iabs(self, i: Instr) -> None:
        self.small(i, "abs.s16 $, <a>")

    def _imin_s(self, i: Instr) -> None:
        self.small(i, "min.s16 $, <a>, <b>", wraps=False)

    def _imax_s(self, i: Instr) -> None:
        self.small(i, "max.s16 $, <a>, <b>", wraps=False)

    def _imin_u(self, i: Instr) -> None:
        self.small(i, "min.u16 $, <a>, <b>", unsigned=True)

    def _imax_u(self, i: Instr) -> None:
        self.small(i, "max.u16 $, <a>, <b>", unsigned=True)

    def _imulhi_s(self, i: Instr) -> None:
        self.high(i, False)

    def _imulhi_u(self, i: Instr) -> None:
        self.high(i, True)

    def high(self, i: Instr, unsigned: bool) -> None:
        if i.args[0].type.elem is not I8:
            self.fill(i, ROWS[i.op.name][i.args[0].type.elem.name])
            return
        a, b = (self.register(v) for v in i.args)
        if unsigned:
            a, b = (self.into("rs", f"and.b16 $, {o}, 0xff") for o in (a, b))
        p = self.into("rs", f"mul.lo.u16 $, {a}, {b}")
        h = self.into("rs", f"shr.{'u' if unsigned else 's'}16 $, {p}, 8")
        self.put(f"cvt.s16.s8 {self.dest(i.result)}, {h}")

    def _dot4(self, i: Instr) -> None:
        t, u = (f"{s}32" for s in i.attr("signs", "ss"))
        a, b, c = self.register(i.args[0]), *(self.use(v) for v in i.args[1:])
        self.put(f"dp4a.{t}.{u} {self.dest(i.result)}, {a}, {b}, {c}")

    # ---- division: defined for zero and for the smallest integer by −1

    def _idiv_s(self, i: Instr) -> None:
        self.division(i, "div", True)

    def _idiv_u(self, i: Instr) -> None:
        self.division(i, "div", False)

    def _irem_s(self, i: Instr) -> None:
        self.division(i, "rem", True)

    def _irem_u(self, i: Instr) -> None:
        self.division(i, "rem", False)

    def division(self, i: Instr, name: str, signed: bool) -> None:
        elem = i.args[0].type.elem
        bits = max(elem.bits, 16)
        cls, t = {16: "rs", 32: "r", 64: "rd"}[bits], f"{'s' if signed else 'u'}{bits}"
        a, b = self.register(i.args[0]), self.use(i.args[1])
        if elem is I8 and not signed:
            a = self.into("rs", f"and.b16 $, {a}, 0xff")
            b = self.into("rs", f"and.b16 $, {self.register(i.args[1])}, 0xff")
        known = self.const.get(i.args[1].id)
        if known is not None and known not in (0, -1):
            if elem is not I8:
                self.put(f"{name}.{t} {self.dest(i.result)}, {a}, {b}")
                return
            r = self.into(cls, f"{name}.{t} $, {a}, {b}")
        else:
            b = self.register(i.args[1]) if b == self.use(i.args[1]) else b
            zero = self.into("p", f"setp.eq.{t} $, {b}, 0")
            safe = self.into(cls, f"selp.b{bits} $, 1, {b}, {zero}")
            if signed:
                minus = self.into("p", f"setp.eq.{t} $, {b}, -1")
                safe = self.into(cls, f"selp.b{bits} $, 1, {safe}, {minus}")
            r = self.into(cls, f"{name}.{t} $, {a}, {safe}")
            if signed:
                other = "0" if name == "rem" else self.into(cls, f"neg.{t} $, {a}")
                r = self.into(cls, f"selp.b{bits} $, {other}, {r}, {minus}")
            r = self.into(cls, f"selp.b{bits} $, {a if name == 'rem' else -1}, {r}, {zero}")
        if elem is I8:
            self.put(f"cvt.s16.s8 {self.dest(i.result)}, {r}")
        else:
            self.put(f"mov.b{bits} {self.dest(i.result)}, {r}")

    # ---- shifts: PTX clamps the count, read as u32, at the width

    def _shl(self, i: Instr) -> None:
        self.shift(i, "shl.b")

    def _shr_s(self, i: Instr) -> None:
        self.shift(i, "shr.s")

    def _shr_u(self, i: Instr) -> None:
        self.shift(i, "shr.u")

    def shift(self, i: Instr, name: str) -> None:
        elem = i.args[0].type.elem
        bits = max(elem.bits, 16)
        cls = {16: "rs", 32: "r", 64: "rd"}[bits]
        a = self.register(i.args[0])
        n = self.count_of(i.args[1])
        if elem is I8 and name == "shr.u":
            a = self.into("rs", f"and.b16 $, {a}, 0xff")
        if elem is I8:
            r = self.into(cls, f"{name}16 $, {a}, {n}")
            self.put(f"cvt.s16.s8 {self.dest(i.result)}, {r}")
        else:
            self.put(f"{name}{bits} {self.dest(i.result)}, {a}, {n}")

    def count_of(self, v: Value) -> str:
        """A shift count as u32; counts beyond the width stay beyond it."""
        known, elem = self.const.get(v.id), v.type.elem
        if known is not None:
            return str(min(known % (1 << elem.bits), 255))
        x = self.register(v)
        if elem is I64:
            low = self.into("rd", f"min.u64 $, {x}, 255")
            return self.into("r", f"cvt.u32.u64 $, {low}")
        if elem is I32:
            return x
        if elem is I8:
            x = self.into("rs", f"and.b16 $, {x}, 0xff")
        return self.into("r", f"cvt.u32.u16 $, {x}")

    # ---- bit counts

    def word(self, v: Value) -> tuple[str, int]:
        """The value zero-extended to a 32- or 64-bit register, and that width."""
        elem, x = v.type.elem, self.register(v)
        if elem.bits >= 32:
            return x, elem.bits
        if elem is I8:
            x = self.into("rs", f"and.b16 $, {x}, 0xff")
        return self.into("r", f"cvt.u32.u16 $, {x}"), 32

    def counted(self, i: Instr, r: str) -> None:
        """A 32-bit count as the result's type."""
        bits = i.result.type.elem.bits
        d = self.dest(i.result)
        if bits == 64:
            self.put(f"cvt.u64.u32 {d}, {r}")
        elif bits == 32:
            self.put(f"mov.b32 {d}, {r}")
        else:
            self.put(f"cvt.u16.u32 {d}, {r}")

    def _popc(self, i: Instr) -> None:
        x, w = self.word(i.args[0])
        self.counted(i, self.into("r", f"popc.b{w} $, {x}"))

    def _clz(self, i: Instr) -> None:
        x, w = self.word(i.args[0])
        r = self.into("r", f"clz.b{w} $, {x}")
        narrow = w - i.args[0].type.elem.bits
        self.counted(i, self.into("r", f"sub.s32 $, {r}, {narrow}") if narrow else r)

    def _ctz(self, i: Instr) -> None:
        x, w = self.word(i.args[0])
        bits = i.args[0].type.elem.bits
        if bits < 32:
            x = self.into("r", f"or.b32 $, {x}, {1 << bits}")
        r = self.into("rd" if w == 64 else "r", f"brev.b{w} $, {x}")
        self.counted(i, self.into("r", f"clz.b{w} $, {r}"))

    def _brev(self, i: Instr) -> None:
        bits = i.args[0].type.elem.bits
        if bits >= 32:
            self.fill(i, ROWS["brev"][i.args[0].type.elem.name])
            return
        x, _ = self.word(i.args[0])
        r = self.into("r", f"brev.b32 $, {x}")
        r = self.into("r", f"shr.u32 $, {r}, {32 - bits}")
        h = self.into("rs", f"cvt.u16.u32 $, {r}")
        self.put(f"cvt.s16.s8 {self.dest(i.result)}, {h}" if bits == 8 else f"mov.b16 {self.dest(i.result)}, {h}")

    # ---- comparison and selection

    def _icmp(self, i: Instr) -> None:
        elem, pred = i.args[0].type.elem, i.attr("pred", "eq")
        if elem is I1:
            self.compare_bits(i, pred)
        elif elem is I8:
            a, b = (self.register(v) for v in i.args)
            t = "s16"
            if pred[0] == "u":
                a, b = (self.into("rs", f"and.b16 $, {o}, 0xff") for o in (a, b))
                t = "u16"
            self.put(f"setp.{ICMP[pred]}.{t} {self.dest(i.result)}, {a}, {b}")
        else:
            self.fill(i, ROWS["icmp"][elem.name])

    def compare_bits(self, i: Instr, pred: str) -> None:
        """Predicates compared: true is 1, or −1 where signed."""
        a, b = (self.use(v) for v in i.args)
        d = self.dest(i.result)
        if pred in ("eq", "ne"):
            x = self.into("p", f"xor.pred $, {a}, {b}")
            self.put(f"not.pred {d}, {x}" if pred == "eq" else f"mov.pred {d}, {x}")
            return
        if pred in ("ult", "ule", "sgt", "sge"):  # a below b: b ∧ ¬a, or b ∨ ¬a with equality
            a, b = b, a
        n = self.into("p", f"not.pred $, {b}")
        self.put(f"{'or' if pred[1:] in ('ge', 'le') else 'and'}.pred {d}, {a}, {n}")

    def _select(self, i: Instr) -> None:
        if i.args[1].type.elem is not I1:
            self.fill(i, ROWS["select"][i.args[1].type.elem.name])
            return
        p, a, b = (self.use(v) for v in i.args)
        x = self.into("p", f"and.pred $, {p}, {a}")
        n = self.into("p", f"not.pred $, {p}")
        y = self.into("p", f"and.pred $, {n}, {b}")
        self.put(f"or.pred {self.dest(i.result)}, {x}, {y}")

    def _fmin(self, i: Instr) -> None:
        self.extreme(i, "min")

    def _fmax(self, i: Instr) -> None:
        self.extreme(i, "max")

    def extreme(self, i: Instr, name: str) -> None:
        """A NaN wins: `.NaN` from sm_80 on for f32, else the sum (a NaN) where the operands are unordered."""
        t = i.args[0].type.elem
        a, b = self.register(i.args[0]), self.register(i.args[1])
        d = self.dest(i.result)
        if t is F32 and self.facts.version >= 80:
            self.put(f"{name}.NaN.f32 {d}, {a}, {b}")
            return
        cls = "f" if t is F32 else "fd"
        m = self.into(cls, f"{name}.{t} $, {a}, {b}")
        s = self.into(cls, f"add.rn.{t} $, {a}, {b}")
        p = self.into("p", f"setp.nan.{t} $, {a}, {b}")
        self.put(f"selp.{t} {d}, {s}, {m}, {p}")

    # ---- conversions

    def _zext(self, i: Instr) -> None:
        self.extend(i, False)

    def _sext(self, i: Instr) -> None:
        self.extend(i, True)

    def extend(self, i: Instr, signed: bool) -> None:
        old, new, d = i.args[0].type.elem, i.result.type.elem, self.dest(i.result)
        if old is I1:
            bits = max(new.bits, 16)
            self.put(f"selp.b{bits} {d}, {-1 if signed else 1}, 0, {self.use(i.args[0])}")
            return
        x = self.register(i.args[0])
        if old is I8 and not signed:
            x = self.into("rs", f"and.b16 $, {x}, 0xff")
        a, b = max(old.bits, 16), max(new.bits, 16)
        s = "s" if signed else "u"
        self.put(f"mov.b16 {d}, {x}" if a == b else f"cvt.{s}{b}.{s}{a} {d}, {x}")

    def _itrunc(self, i: Instr) -> None:
        old, new, d = i.args[0].type.elem, i.result.type.elem, self.dest(i.result)
        x = self.register(i.args[0])
        if new is I1:
            bits = max(old.bits, 16)
            one = self.into({16: "rs", 32: "r", 64: "rd"}[bits], f"and.b{bits} $, {x}, 1")
            self.put(f"setp.ne.s{bits} {d}, {one}, 0")
            return
        a, b = max(old.bits, 16), max(new.bits, 16)
        if new is I8:
            h = x if a == 16 else self.into("rs", f"cvt.u16.u{a} $, {x}")
            self.put(f"cvt.s16.s8 {d}, {h}")
        else:
            self.put(f"mov.b{a} {d}, {x}" if a == b else f"cvt.u{b}.u{a} {d}, {x}")

    def _stof(self, i: Instr) -> None:
        self.to_float(i, True)

    def _utof(self, i: Instr) -> None:
        self.to_float(i, False)

    def to_float(self, i: Instr, signed: bool) -> None:
        old, new = i.args[0].type.elem, i.result.type.elem
        rnd = i.attr("rnd", "rn")
        if old is I1:
            x, t = self.into("r", f"selp.b32 $, 1, 0, {self.use(i.args[0])}"), "u32"
        else:
            x = self.register(i.args[0])
            if old is I8 and not signed:
                x = self.into("rs", f"and.b16 $, {x}, 0xff")
            t = f"{'s' if signed else 'u'}{max(old.bits, 16)}"
        self.put(f"cvt.{rnd}.{new}.{t} {self.dest(i.result)}, {x}")

    def _ftos(self, i: Instr) -> None:
        self.to_int(i, True)

    def _ftou(self, i: Instr) -> None:
        self.to_int(i, False)

    def to_int(self, i: Instr, signed: bool) -> None:
        """`cvt` clamps to the range; a NaN is made 0 explicitly."""
        old, new = i.args[0].type.elem, i.result.type.elem
        x = self.register(i.args[0])
        bits = max(new.bits, 16)
        cls = {16: "rs", 32: "r", 64: "rd"}[bits]
        rnd = {"rn": "rni", "rm": "rmi", "rp": "rpi"}.get(i.attr("rnd", "rz"), "rzi")
        s = "s" if signed else "u"
        if i.attr("ftz"):
            if old is not F32:
                raise self.lacks(i, "ftz")
            rnd += ".ftz"
        if new is I8:
            wide = self.into("r", f"cvt.{rnd}.s32.{old} $, {x}")
            lo, hi = (-128, 127) if signed else (0, 255)
            wide = self.into("r", f"max.s32 $, {wide}, {lo}")
            wide = self.into("r", f"min.s32 $, {wide}, {hi}")
            r = self.into("rs", f"cvt.u16.u32 $, {wide}")
            r = self.into("rs", f"cvt.s16.s8 $, {r}")
        else:
            r = self.into(cls, f"cvt.{rnd}.{s}{bits}.{old} $, {x}")
        p = self.into("p", f"setp.nan.{old} $, {x}, {x}")
        self.put(f"selp.b{bits} {self.dest(i.result)}, 0, {r}, {p}")

    def _bitcast(self, i: Instr) -> None:
        if i.result.type.elem is I1:
            self.put(f"mov.pred {self.dest(i.result)}, {self.use(i.args[0])}")
            return
        bits = max(i.result.type.elem.bits, 16)
        self.put(f"mov.b{bits} {self.dest(i.result)}, {self.register(i.args[0])}")

    def _fcvt(self, i: Instr) -> None:
        old, new, d = i.args[0].type.elem, i.result.type.elem, self.dest(i.result)
        x = self.register(i.args[0])
        formats = {old.name, new.name}
        plain = old is new or "bf16" in formats
        for k, here in (("rnd", not plain), ("sat", not plain), ("ftz", formats == {"f32", "f64"})):  # with 16 bits, PTX flushes the f32 only
            if i.attr(k, "rn") != "rn" and not here:
                raise self.lacks(i, k)
        flags = (".ftz" if i.attr("ftz") else "") + (".sat" if i.attr("sat") else "")
        if old is new:
            self.put(f"mov.b{old.bits} {d}, {x}")
        elif old.name == "bf16":
            f = self.from_bf16(x)
            self.put(f"mov.f32 {d}, {f}" if new is F32 else f"cvt.f64.f32 {d}, {f}" if new is F64 else f"cvt.rn.f16.f32 {d}, {f}")
        elif new.name == "bf16":
            if old is F64:
                x = self.odd(x)
            elif old is F16:
                x = self.into("f", f"cvt.f32.f16 $, {x}")
            self.to_bf16(d, x)
        elif new.bits > old.bits:
            self.put(f"cvt{flags}.{new}.{old} {d}, {x}")
        else:
            self.put(f"cvt.{i.attr('rnd', 'rn')}{flags}.{new}.{old} {d}, {x}")

    def from_bf16(self, x: str) -> str:
        wide = self.into("r", f"cvt.u32.u16 $, {x}")
        up = self.into("r", f"shl.b32 $, {wide}, 16")
        return self.into("f", f"mov.b32 $, {up}")

    def to_bf16(self, d: str, x: str) -> None:
        if self.facts.version >= 80:
            self.put(f"cvt.rn.bf16.f32 {d}, {x}")
            return
        bits = self.into("r", f"mov.b32 $, {x}")
        high = self.into("r", f"shr.u32 $, {bits}, 16")
        lsb = self.into("r", f"and.b32 $, {high}, 1")
        up = self.into("r", f"add.s32 $, {bits}, {lsb}")
        up = self.into("r", f"add.s32 $, {up}, 0x7fff")
        up = self.into("r", f"shr.u32 $, {up}, 16")
        quiet = self.into("r", f"or.b32 $, {high}, 64")
        p = self.into("p", f"setp.nan.f32 $, {x}, {x}")
        r = self.into("r", f"selp.b32 $, {quiet}, {up}, {p}")
        self.put(f"cvt.u16.u32 {d}, {r}")

    def odd(self, x: str) -> str:
        """f64 → f32 rounded to odd: towards zero, with a sticky last bit."""
        t = self.into("f", f"cvt.rz.f32.f64 $, {x}")
        back = self.into("fd", f"cvt.f64.f32 $, {t}")
        p = self.into("p", f"setp.ne.f64 $, {back}, {x}")
        bits = self.into("r", f"mov.b32 $, {t}")
        sticky = self.into("r", f"selp.b32 $, 1, 0, {p}")
        r = self.into("r", f"or.b32 $, {bits}, {sticky}")
        return self.into("f", f"mov.b32 $, {r}")
