"""Conversions, moves, byte permutations, video instructions (PTX ISA 9.7.9.3–7, 9.7.9.21–22, 9.7.18)."""
from __future__ import annotations

import random
import sys
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.unit.ptx import harness as h  # noqa: E402
from tests.unit.ptx.harness import FORMATS, Form, Num, assert_forms, bits_of, flush, is_nan, num, pack, saturate, value, wrap  # noqa: E402

MASK32 = 0xFFFFFFFF
INTS = [s + str(n) for n in (8, 16, 32, 64) for s in "us"]
FLOATS = ("f16", "bf16", "f32", "f64")
CUSP = [pack(Num("n", s, m, e), "f64") for s in (0, 1) for m in (1, 3, 5, 7, 255, 257, 511, 0x1FFFFFF, 0xFFFFFFFF, 2**53 - 1) for e in (-2, -1, 0, 7, 11)]


def cusps(t):
    """Floats where integer conversions round and overflow."""
    values = [pack(num(v, "f64"), t) for v in CUSP] + h.SPECIAL[t] + [pack(Num("n", s, 1, e), t) for s in (0, 1) for e in (7, 8, 15, 16, 31, 32, 63, 64)]
    return values + h.vectors(t, 0)[256:]


def extended(v, to):
    """A narrow integer result in the 32-bit register that holds it."""
    n = bits_of(to)
    return h.signed(v, n) & MASK32 if to[0] == "s" and n < 32 else v


def reg(to):
    return "u32" if to in ("u8", "s8", "u16", "s16") else to


def integers():
    out = []
    for to, t in product(INTS, INTS):
        source = "u16" if bits_of(t) == 8 else t  # no 8-bit registers: the low bits are used
        lo, hi = (-(1 << (bits_of(to) - 1)), (1 << (bits_of(to) - 1)) - 1) if to[0] == "s" else (0, (1 << bits_of(to)) - 1)
        own = (-(1 << (bits_of(t) - 1)), (1 << (bits_of(t) - 1)) - 1) if t[0] == "s" else (0, (1 << bits_of(t)) - 1)
        ref = lambda a, t=t, to=to: extended(wrap(value(a, t), to), to)  # noqa: E731
        out.append(Form(f"cvt.{to}.{t} {{d}}, {{a}}", reg(to), (source,), ref))
        if own[0] < lo or own[1] > hi:
            ref = lambda a, t=t, to=to: extended(saturate(value(a, t), to), to)  # noqa: E731
            out.append(Form(f"cvt.sat.{to}.{t} {{d}}, {{a}}", reg(to), (source,), ref))
    return out


def integral(x: Num, mode: str) -> int:
    """A finite number as an integer: rni, rzi, rmi, rpi."""
    m = -x.m if x.neg else x.m
    if x.e >= 0:
        return m << x.e
    q, rest, half = m >> -x.e, m & ((1 << -x.e) - 1), 1 << (-x.e - 1)
    up = {"rni": rest > half or (rest == half and q & 1), "rmi": False, "rpi": rest > 0, "rzi": bool(rest) and m < 0}[mode]
    return q + bool(up)


def to_int(a, t, to, mode, ftz):
    x = num(flush(a, t) if ftz else a, t)
    n = bits_of(to)
    if x.kind == "q":
        return 1 << (n - 1) if t == "f64" or n == 64 else 0
    if x.kind == "i":
        return saturate(-(1 << 80) if x.neg else 1 << 80, to)
    return saturate(integral(x, mode), to)


def floats_to_integers():
    out = []
    for t, to, mode in product(FLOATS, INTS, ("rni", "rzi", "rmi", "rpi")):
        for mods in ("", ".ftz", ".sat") if t == "f32" and to in ("s32", "u8") else ("",):
            ref = lambda a, t=t, to=to, m=mode, z=".ftz" in mods: extended(to_int(a, t, to, m, z), to)  # noqa: E731
            if t == "bf16" and bits_of(to) < 32:  # no wider registers there
                ref = lambda a, t=t, to=to, m=mode: extended(to_int(a, t, to, m, False), to) & 0xFFFF  # noqa: E731
            out.append(Form(f"cvt.{mode}{mods}.{to}.{t} {{d}}, {{a}}", "u16" if t == "bf16" and bits_of(to) < 32 else reg(to), (t,), ref, {0: cusps(t)}))
    return out


def from_int(a, t, to, rnd):
    v = value(a, t)
    return pack(Num("n", int(v < 0), abs(v), 0), to, rnd)


def clamp01(bits, t):
    one = FORMATS[t].bias << FORMATS[t].mant
    return 0 if is_nan(bits, t) or bits >> (FORMATS[t].bits - 1) else min(bits, one)


def integers_to_floats():
    out = []
    for t, to, rnd in product(INTS, FLOATS, ("rn", "rz", "rm", "rp")):
        source = "u16" if bits_of(t) == 8 else t
        n = bits_of(source)
        close = [(s * ((1 << k) + 1)) & ((1 << n) - 1) for k in range(2, n, 3) for s in (1, -1)] + h.vectors(source, 0)
        out.append(Form(f"cvt.{rnd}.{to}.{t} {{d}}, {{a}}", to, (source,), lambda a, t=t, to=to, r=rnd: from_int(a, t, to, r), {0: close}))
    for t, to in (("s32", "f32"), ("u64", "f64"), ("s16", "f16")):
        out.append(Form(f"cvt.rn.sat.{to}.{t} {{d}}, {{a}}", to, (t,), lambda a, t=t, to=to: clamp01(from_int(a, t, to, "rn"), to)))
    return out


def floats():
    out = []
    for t, to in product(FLOATS, FLOATS):
        narrower = FORMATS[to].mant < FORMATS[t].mant or FORMATS[to].ebits < FORMATS[t].ebits
        rounds = ("rn", "rz", "rm", "rp") if narrower else ("",)
        for rnd, ftz, sat in product(rounds, ("", ".ftz") if "f32" in (t, to) else ("",), ("", ".sat") if to != "bf16" else ("",)):
            if t == to and not (ftz or sat) or (sat and t == "bf16"):
                continue

            def ref(a, t=t, to=to, r=rnd, z=bool(ftz), s=bool(sat)):
                if z and t == "f32":
                    a = flush(a, t)
                v = a if t == to else pack(num(a, t), to, r or "rn")
                if z and to == "f32":
                    v = flush(v, to)
                return clamp01(v, to) if s else v

            vectors = {0: cusps(t) + [pack(num(v, "f64"), t) for v in h.vectors("f64", 0)[256:]] + [v << (FORMATS["f64"].mant - 10) for v in ()]}
            out.append(Form(f"cvt{'.' + rnd if rnd else ''}{ftz}{sat}.{to}.{t} {{d}}, {{a}}", to, (t,), ref, vectors, nan=to if to in ("f32", "f64") else ""))
    for t, mode in product(("f16", "f32", "f64"), ("rni", "rzi", "rmi", "rpi")):
        for ftz, sat in product(("", ".ftz") if t == "f32" else ("",), ("", ".sat")):

            def whole(a, t=t, m=mode, z=bool(ftz), s=bool(sat)):
                a = flush(a, t) if z else a
                x = num(a, t)
                if x.kind == "n":
                    v = integral(x, m)
                    a = pack(Num("n", x.neg, abs(v), 0), t)
                elif x.kind == "q":
                    a = FORMATS[t].nan
                return clamp01(a, t) if s else a

            out.append(Form(f"cvt.{mode}{ftz}{sat}.{t}.{t} {{d}}, {{a}}", t, (t,), whole, {0: cusps(t)}, nan=t if t != "f16" else ""))
    return out


# ---- pairs and small formats ----------------------------------------------------------------------------------------


def finite(v, t):
    """±infinity becomes the largest number."""
    f = FORMATS[t]
    return v - 1 if v & ((1 << (f.bits - 1)) - 1) == f.inf else v


def to_half(a, t, rnd, relu, satfinite):
    x = num(a, "f32")
    v = pack(x, t, rnd)
    if relu and x.kind != "q" and v >> 15:
        v = 0
    return finite(v, t) if satfinite and x.kind != "q" else v


def pairs():
    out = []
    for t, rnd, relu, sat in product(("f16", "bf16"), ("rn", "rz"), ("", ".relu"), ("", ".satfinite")):
        one = lambda a, t=t, r=rnd, rel=bool(relu), s=bool(sat): to_half(a, t, r, rel, s)  # noqa: E731
        out.append(Form(f"cvt.{rnd}{relu}{sat}.{t}x2.f32 {{d}}, {{a}}, {{b}}", "u32", ("f32", "f32"), lambda a, b, f=one: f(a) << 16 | f(b)))
        if relu or sat:
            out.append(Form(f"cvt.{rnd}{relu}{sat}.{t}.f32 {{d}}, {{a}}", t, ("f32",), one, {0: cusps("f32")}))
    for rnd, relu, sat in (("rna", "", ""), ("rna", "", ".satfinite"), *product(("rn", "rz"), ("", ".relu"), ("", ".satfinite"))):

        def tf32(a, r=rnd, rel=bool(relu), s=bool(sat)):
            x = num(a, "f32")
            if x.kind == "q":
                return lambda got: is_nan(got, "f32")
            v = pack(x, "tf32", r)
            top = 1 << 18
            if rel and v & top:
                v = 0
            return (finite(v, "tf32") if s else v) << 13

        out.append(Form(f"cvt.{rnd}{sat}{relu}.tf32.f32 {{d}}, {{a}}", "u32", ("f32",), tf32, {0: cusps("f32") + [0x3F801000, 0x3F803000, 0xBF801001, 0x7F7FF000, 0x3F800FFF, 0x3F802FFF]}))
    return out


class Tiny:
    """A format of at most 8 bits by the list of its values."""

    def __init__(self, ebits, mant, top, nan, inf=None):
        self.ebits, self.mant, self.top, self.nan, self.inf = ebits, mant, top, nan, inf
        self.bits = 1 + ebits + mant
        bias = (1 << (ebits - 1)) - 1
        self.values = []
        for c in range(top + 1):
            e, m = c >> mant, c & ((1 << mant) - 1)
            self.values.append(Fraction(m if e == 0 else m + (1 << mant)) * Fraction(2) ** ((e or 1) - bias - mant))

    def encode(self, x: Num, relu=False):
        if x.kind == "q":
            return self.nan if self.nan is not None else self.top
        if relu and x.neg:
            return 0
        sign = x.neg << (self.bits - 1)
        if x.kind == "i":
            return sign | self.top
        v = Fraction(x.m) * Fraction(2) ** x.e
        if v >= self.values[-1]:
            return sign | self.top
        low = max(k for k, w in enumerate(self.values) if w <= v) if v < 2 else next(k for k in range(self.top, -1, -1) if self.values[k] <= v)
        below, above = v - self.values[low], self.values[low + 1] - v
        return sign | (low if below < above or (below == above and low % 2 == 0) else low + 1)

    def decode(self, code) -> Num:
        sign, mag = code >> (self.bits - 1) & 1, code & ((1 << (self.bits - 1)) - 1)
        if mag > self.top:
            return Num("i", sign) if mag == self.inf else h.NAN
        v = self.values[mag]
        return Num("n", sign, v.numerator, -(v.denominator.bit_length() - 1))


TINY = {"e4m3": Tiny(4, 3, 0x7E, 0x7F), "e5m2": Tiny(5, 2, 0x7B, 0x7F, 0x7C), "e2m3": Tiny(2, 3, 0x1F, None), "e3m2": Tiny(3, 2, 0x1F, None),
        "e2m1": Tiny(2, 1, 7, None)}  # fmt: skip


def small_floats():
    r = random.Random(5)
    near = [pack(num(_f64(s * v), "f64"), "f32") for s in (1, -1) for v in (0.0, 0.25, 0.5, 0.75, 1.25, 1.5, 1.75, 2.5, 3.5, 5.0, 7.0, 7.25, 29.0, 30.0, 448.0, 463.9,
            464.0, 480.0, 57344.0, 61440.0, 0.0625, 0.03125, 2**-9, 2**-10, 3 * 2**-11, 2**-16, 2**-17, 3 * 2**-18, 0.1875, 0.0078125)]  # fmt: skip
    near += [pack(num(_f64(r.choice((-1, 1)) * 2 ** r.uniform(-20, 17)), "f64"), "f32") for _ in range(200)] + h.SPECIAL["f32"]
    other = near[::-1]
    halves = [pack(num(a, "f32"), "f16") | pack(num(b, "f32"), "f16") << 16 for a, b in zip(near, other)]
    bhalves = [pack(num(a, "f32"), "bf16") | pack(num(b, "f32"), "bf16") << 16 for a, b in zip(near, other)]
    codes = [(17 * k + 3) % 256 << 8 | k for k in range(256)]
    out = []
    for name, f in TINY.items():
        width = 4 if name == "e2m1" else 8
        for relu in ("", ".relu"):
            one = lambda a, t="f32", f=f, rel=bool(relu): f.encode(num(a, t), rel)  # noqa: E731
            if width == 8:
                out.append(Form(f"cvt.rn.satfinite{relu}.{name}x2.f32 {{d}}, {{a}}, {{b}}", "u16", ("f32", "f32"), lambda a, b, f=one: f(a) << 8 | f(b),
                                {0: near, 1: other}))  # fmt: skip
                back, pre, post, regs, d = "{a}", "", "", {0: codes if f.bits == 8 else [c & 0x3F3F for c in codes]}, "{d}"
            else:
                pre, d, post = ".reg .b8 x8;", "x8", "; cvt.u16.u8 {d}, x8"
                out.append(Form(f"cvt.rn.satfinite{relu}.{name}x2.f32 x8, {{a}}, {{b}}{post}", "u16", ("f32", "f32"), lambda a, b, f=one: f(a) << 4 | f(b),
                                {0: near, 1: other}, pre))  # fmt: skip
                back, regs = "x8", {0: codes}
            for t, words in (("f16", halves), ("bf16", bhalves)):
                ref = lambda a, f=one, w=width, t=t: f(a >> 16, t) << w | f(a & 0xFFFF, t)  # noqa: E731
                out.append(Form(f"cvt.rn.satfinite{relu}.{name}x2.{t}x2 {d}, {{a}}{post}", "u16", (t + "x2",), ref, {0: words}, pre))

            def decode(a, f=f, w=width, rel=bool(relu)):
                parts = []
                for k in (0, 1):
                    x = f.decode(a >> (w * k) & ((1 << w) - 1))
                    v = pack(x, "f16")
                    parts.append(0 if rel and x.kind != "q" and v >> 15 else v)
                return parts[0] | parts[1] << 16

            load = "cvt.u8.u16 x8, {a}; " if width == 4 else ""
            out.append(Form(f"{load}cvt.rn{relu}.f16x2.{name}x2 {{d}}, {back}", "u32", ("u16",), decode, regs, pre))
    for rnd, sat in product(("rz", "rp"), (".satfinite", "")):

        def scale(a, t="f32", r=rnd, top=254 if sat else 255):
            x = num(a, t)
            if x.kind == "q":
                return 255
            if x.kind == "i":
                return top
            if x.m == 0:
                return 0
            e = x.m.bit_length() - 1 + x.e
            if r == "rp" and x.m & (x.m - 1):
                e += 1
            return min(max(e + 127, 0), top)

        edge = [0x00400000, 0x00400001, 0x003FFFFF, 0x00800001, 0x80400000, 0x80400001, *h.vectors("f32", 0)]
        out.append(Form(f"cvt.{rnd}{sat}.ue8m0x2.f32 {{d}}, {{a}}, {{b}}", "u16", ("f32", "f32"), lambda a, b, f=scale: f(a) << 8 | f(b), {0: edge}))
        out.append(Form(f"cvt.{rnd}{sat}.ue8m0x2.bf16x2 {{d}}, {{a}}", "u16", ("bf16x2",), lambda a, f=scale: f(a >> 16, "bf16") << 8 | f(a & 0xFFFF, "bf16")))
    power = lambda c: 0x7FFF if c == 255 else pack(Num("n", 0, 1, c - 127), "bf16")  # noqa: E731
    out.append(Form("cvt.rn.bf16x2.ue8m0x2 {d}, {a}", "u32", ("u16",), lambda a: power(a & 255) | power(a >> 8) << 16, {0: codes}))
    return out


def fixed_point():
    """s2f6: a byte counts 64ths; scales are powers of two by halves of a word."""
    out = []

    def power(code):
        return h.NAN if code == 255 else Num("n", 0, 1, code - 127)

    def down(v, t, code, relu):
        x = num(v, t)
        if x.kind == "q" or code == 255:
            return 127
        if x.neg and relu and (x.m or x.kind == "i"):
            return 0
        if x.kind == "i":
            return 128 if x.neg else 127
        e = x.e + 6 - (code - 127)  # 64 · x / scale = m · 2^e, to the nearest, ties to even
        q, rest = (x.m << min(e, 200), 0) if e >= 0 else (x.m >> min(-e, 1000), x.m & ((1 << min(-e, 1000)) - 1))
        half = 1 << min(-e, 1000) - 1 if e < 0 else 1
        q += rest > half or (rest == half and q & 1)
        return max(-q, -128) & 255 if x.neg else min(q, 127)

    def up(c, code, relu, finite):
        v = h.signed(c, 8)
        x = h.mul(Num("n", int(v < 0), abs(v), -6), power(code))
        if x.kind == "q":
            return 0x7FFF
        r = pack(x, "bf16")
        if r & 0x7FFF == 0x7F80 and finite:
            r -= 1
        return 0 if r >> 15 and relu else r

    scales = [127 | 127 << 8, 0, 0xFEFE, 0xFF7F, 0x7FFF, 126 | 130 << 8, 1 | 253 << 8, 255 | 255 << 8, 120 | 135 << 8, 0xFE00, 0x00FE]
    codes = [c | (c * 37 + 11) % 256 << 8 for c in range(256)]
    exact = [h.pack(Num("n", s, m, e), "f32") for s in (0, 1) for m in (1, 3, 127, 128, 255, 129) for e in (-7, -6, -8, 0, 120, -133)]
    near = [*exact, 0x3FFF0000, 0x3FFEFFFF, 0xBFFF0000, 0xC0000000, 0xC0008000, 0x3C000000, 0xBC000001, 0x7F800000, 0xFF800000, 0x7FC00000, *h.vectors("f32", 0)[::3]]
    for relu, scaled in product((0, 1), (0, 1)):
        words = (".relu" if relu else "") + (".scaled::n2::ue8m0" if scaled else "")
        last, more, regs = (", {c}", ("u16",), {2: scales}) if scaled else ("", (), {})
        out.append(Form(f"cvt.rn.satfinite{words}.s2f6x2.f32 {{d}}, {{a}}, {{b}}{last}", "u16", ("f32", "f32", *more),
                        lambda a, b, s=0x7F7F, r=relu: down(a, "f32", s >> 8, r) << 8 | down(b, "f32", s & 255, r), {0: near, **regs}))  # fmt: skip
        last, regs = (", {b}", {1: scales}) if scaled else ("", {})
        out.append(Form(f"cvt.rn.satfinite{words}.s2f6x2.bf16x2 {{d}}, {{a}}{last}", "u16", ("bf16x2", *more),
                        lambda a, s=0x7F7F, r=relu: down(a >> 16, "bf16", s >> 8, r) << 8 | down(a & 0xFFFF, "bf16", s & 255, r),
                        {0: [a >> 16 | b & 0xFFFF0000 for a, b in zip(near, near[7:] + near)], **regs}))  # fmt: skip
        for finite in ("", ".satfinite"):
            out.append(Form(f"cvt.rn{finite}{words}.bf16x2.s2f6x2 {{d}}, {{a}}{last}", "u32", ("u16", *more),
                            lambda a, s=0x7F7F, r=relu, f=finite: up(a & 255, s & 255, r, f) | up(a >> 8, s >> 8, r, f) << 16, {0: codes, **regs}))  # fmt: skip
    return out


def _f64(x):
    import struct

    return struct.unpack("<Q", struct.pack("<d", x))[0]


def stochastic():
    """Random bits are added to what is cut off; normal results only, since the manual's figures are for these."""
    r = random.Random(9)
    out = []

    def rounded(a, mant, emin, k, rand):
        x = num(a, "f32")
        e = x.m.bit_length() - 1 + x.e
        cut = e - mant - x.e  # bits below the last place
        if x.kind != "n" or e < emin or cut < 0:
            return None
        kept = (x.m >> (cut - k) if cut >= k else x.m << (k - cut)) + rand >> k
        return x.neg, kept, e - mant

    floats = [pack(num(_f64(r.choice((-1, 1)) * 2 ** r.uniform(-5, 5)), "f64"), "f32") for _ in range(320)]
    floats = [0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001, 0x477FEFFF, 0xC77FEFFF, 0x7F7FFFFF, 0xFF7F8001, *floats]
    for (t, k), relu, sat in product((("f16", 13), ("bf16", 16)), ("", ".relu"), ("", ".satfinite")):
        f = FORMATS[t]

        def ref(a, b, c, t=t, k=k, f=f, relu=relu, sat=sat):
            parts = []
            for v, rand in ((b, c & ((1 << k) - 1)), (a, c >> 16 & ((1 << k) - 1))):
                x = num(v, "f32")
                if x.kind == "n":
                    n, m, e = rounded(v, f.mant, -10, k, rand)
                    x = Num("n", n, m, e)
                r = pack(x, t)
                r = 0 if relu and r >> 15 and x.kind != "q" else r
                parts.append(finite(r, t) if sat and x.kind != "q" else r)
            return parts[0] | parts[1] << 16

        bits = [MASK32, *h.vectors("u32", 2)]
        out.append(Form(f"cvt.rs{relu}{sat}.{t}x2.f32 {{d}}, {{a}}, {{b}}, {{c}}", "u32", ("f32", "f32", "u32"), ref, {0: floats, 1: floats[::-1], 2: bits}))
    for name, f in TINY.items():
        ones = {"e2m1": (0.9, 5.0), "e2m3": (1.0, 7.0), "e3m2": (0.5, 24.0)}.get(name, (0.5, 200.0))
        span = [pack(num(_f64(r.choice((-1, 1)) * r.uniform(*ones)), "f64"), "f32") for _ in range(320)]
        width = 4 if name == "e2m1" else 8

        def four(a, b, c, e, rb=0x5A3C96E1, f=f, w=width):
            word = 0
            for k, v in enumerate((e, c, b, a)):
                rand = rb >> (16 * (k >= 2)) & 0xFFFF
                bits = 16
                if w == 4:  # a, b: the upper bytes of both halves; e, f: the lower bytes
                    bits = 8
                    rand = rb >> (16 * (k % 2) + 8 * (k >= 2)) & 0xFF
                got = rounded(v, f.mant, 2 - (1 << (f.ebits - 1)), bits, rand)
                if got is None:
                    return None
                n, m, x = got
                word |= f.encode(Num("n", n, m, x)) << (w * k)
            return word

        out.append(Form(f"cvt.rs.satfinite.{name}x4.f32 {{d}}, {{{{{{a}}, {{b}}, {{c}}, {{e}}}}}}, rb", "u32" if width == 8 else "u16", ("f32",) * 4, four,
                        {0: span, 1: span[3:], 2: span[7:], 3: span[11:]}, ".reg .b32 rb; mov.u32 rb, 0x5A3C96E1;"))  # fmt: skip
    return out


def moves():
    out = []
    for t in ("u16", "b32", "u64", "f32", "f64"):
        out.append(Form(f"mov.{t} {{d}}, {{a}}", t, (t,), lambda a: a))
    out.append(Form("mov.pred {d}, {a}", "pred", ("pred",), lambda a: a))
    out += [Form("mov.b64 {d}, {{{a}, {b}}}", "b64", ("b32", "b32"), lambda a, b: a | b << 32),
            Form("mov.b32 {d}, {{{a}, {b}}}", "b32", ("b16", "b16"), lambda a, b: a | b << 16),
            Form("mov.b64 {d}, {{{a}, {b}, {c}, {e}}}", "b64", ("b16",) * 4, lambda a, b, c, e: a | b << 16 | c << 32 | e << 48),
            Form("mov.b64 {{_, {d}}}, {a}", "b32", ("b64",), lambda a: a >> 32),
            Form("mov.b64 {{x, _, {d}, y}}, {a}", "b16", ("b64",), lambda a: a >> 32 & 0xFFFF, pre=".reg .b16 x, y;"),
            Form("mov.b64 {{x, y, z, {d}}}, {a}", "b16", ("b64",), lambda a: a >> 48, pre=".reg .b16 x, y, z;"),
            Form("mov.b32 {{x, {d}}}, {a}", "b16", ("b32",), lambda a: a >> 16, pre=".reg .b16 x;"),
            Form("mov.b128 q, {{{a}, {b}}}; mov.b128 {{_, {d}}}, q", "b64", ("b64", "b64"), lambda a, b: b, pre=".reg .b128 q;")]  # fmt: skip
    r = random.Random(1)

    def permute(a, b, sel):
        w = b << 32 | a
        out = 0
        for k in range(4):
            s = sel >> (4 * k) & 15
            byte = w >> (8 * (s & 7)) & 255
            out |= (byte if s < 8 else 255 * (byte >> 7)) << (8 * k)
        return out

    selectors = [r.getrandbits(16) for _ in range(320)]
    out.append(Form("prmt.b32 {d}, {a}, {b}, {c}", "u32", ("u32",) * 3, permute, {2: selectors}))
    for sel in (0x3210, 0x7654, 0x3201, 0x7012, 0x5410, 0x0123, 0xFEDC, 0x89AB, 0x1717, 0x9F2D):
        out.append(Form(f"prmt.b32 {{d}}, {{a}}, {{b}}, {sel:#x}", "u32", ("u32", "u32"), lambda a, b, s=sel: permute(a, b, s)))
    modes = {"f4e": ("3210", "4321", "5432", "6543"), "b4e": ("5670", "6701", "7012", "0123"), "rc8": ("0000", "1111", "2222", "3333"),
             "ecl": ("3210", "3211", "3222", "3333"), "ecr": ("0000", "1110", "2210", "3210"), "rc16": ("1010", "3232", "1010", "3232")}  # fmt: skip
    for mode, rows in modes.items():
        out.append(Form(f"prmt.b32.{mode} {{d}}, {{a}}, {{b}}, {{c}}", "u32", ("u32",) * 3, lambda a, b, c, rows=rows: permute(a, b, int(rows[c & 3], 16))))
    for t in ("u16", "s16"):
        out.append(Form(f"cvt.pack.sat.{t}.s32 {{d}}, {{a}}, {{b}}", "u32", ("s32", "s32"),
                        lambda a, b, t=t: saturate(value(b, "s32"), t) | saturate(value(a, "s32"), t) << 16))  # fmt: skip
    for t in ("u2", "s2", "u4", "s4", "u8", "s8"):
        n = int(t[1:])
        ref = lambda a, b, c, t=t, n=n: (saturate(value(b, "s32"), t) | saturate(value(a, "s32"), t) << n | c << (2 * n)) & MASK32  # noqa: E731
        out.append(Form(f"cvt.pack.sat.{t}.s32.b32 {{d}}, {{a}}, {{b}}, {{c}}", "u32", ("s32", "s32", "u32"), ref))
    return out


# ---- video ----------------------------------------------------------------------------------------------------------

PART = {"": (0, 32), ".b0": (0, 8), ".b1": (8, 8), ".b2": (16, 8), ".b3": (24, 8), ".h0": (0, 16), ".h1": (16, 16)}
SIGN = ("u32", "s32")
PRIMARY = {"vadd": lambda a, b: a + b, "vsub": lambda a, b: a - b, "vabsdiff": lambda a, b: abs(a - b), "vmin": min, "vmax": max}
SECOND = {"add": lambda r, c: r + c, "min": min, "max": max}
COMPARE = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b,
           "ge": lambda a, b: a >= b}  # fmt: skip


def part(v, t, sel):
    at, n = PART[sel]
    return value(v >> at, t[0] + str(n))


def final(r, td, sat, dsel, second, c):
    n = PART[dsel][1]
    if sat:
        r = value(saturate(r, td[0] + str(n)), td[0] + str(n))
    if dsel:
        at = PART[dsel][0]
        mask = ((1 << n) - 1) << at
        return (r << at & mask) | (c & ~mask & MASK32)
    if second:
        r = SECOND[second](r, value(c, td))
    return r & MASK32


def video():
    r = random.Random(3)
    out = []

    def tail():
        """A destination part, a second operation, or neither; (text of d, modifier, dsel, second)."""
        kind = r.randrange(3)
        dsel = r.choice(list(PART)[1:]) if kind == 1 else ""
        second = r.choice(list(SECOND)) if kind == 2 else ""
        return dsel, second

    for op, fn in PRIMARY.items():
        for k, (td, ta, tb, sat) in enumerate(product(SIGN, SIGN, SIGN, ("", ".sat"))):
            for dsel, second in ((("", ""), tail()) if k % 2 else (tail(),)):
                asel, bsel = r.choice(list(PART)), r.choice(list(PART))
                ref = lambda a, b, c, fn=fn, td=td, ta=ta, tb=tb, s=sat, x=asel, y=bsel, d=dsel, o=second: (  # noqa: E731
                    final(fn(part(a, ta, x), part(b, tb, y)), td, s, d, o, c))
                extra = ", {c}" if dsel or second else ""
                out.append(Form(f"{op}.{td}.{ta}.{tb}{sat}{'.' + second if second else ''} {{d}}{dsel}, {{a}}{asel}, {{b}}{bsel}{extra}", "u32", ("u32",) * 3, ref))
    for op, td, ta, mode, sat, whole in product(("vshl", "vshr"), SIGN, SIGN, ("clamp", "wrap"), ("", ".sat"), (True, False)):
        dsel, second = ("", "") if whole and r.random() < 0.5 else tail()
        asel, bsel = ("", "") if whole else (r.choice(list(PART)), r.choice(("", "", ".b0", ".h1")))

        def shifted(a, b, c, op=op, td=td, ta=ta, mode=mode, s=sat, x=asel, y=bsel, d=dsel, o=second):
            v, k = part(a, ta, x), part(b, "u32", y)
            k = k & 31 if mode == "wrap" else min(k, 32)
            return final(v << k if op == "vshl" else v >> k, td, s, d, o, c)

        extra = ", {c}" if dsel or second else ""
        out.append(Form(f"{op}.{td}.{ta}.u32{sat}.{mode}{'.' + second if second else ''} {{d}}{dsel}, {{a}}{asel}, {{b}}{bsel}{extra}", "u32", ("u32",) * 3, shifted))
    for k, (ta, tb, cmp) in enumerate(product(SIGN, SIGN, COMPARE)):
        dsel, second = tail() if k % 3 else ("", "")
        asel, bsel = r.choice(list(PART)), r.choice(list(PART))
        ref = lambda a, b, c, ta=ta, tb=tb, f=COMPARE[cmp], x=asel, y=bsel, d=dsel, o=second: (  # noqa: E731
            final(int(f(part(a, ta, x), part(b, tb, y))), "u32", "", d, o, c))
        extra = ", {c}" if dsel or second else ""
        out.append(Form(f"vset.{ta}.{tb}.{cmp}{'.' + second if second else ''} {{d}}{dsel}, {{a}}{asel}, {{b}}{bsel}{extra}", "u32", ("u32",) * 3, ref))
    for ta, tb, (na, nc), sat, scale in product(SIGN, SIGN, (("", ""), ("-", ""), ("", "-"), ("po", "")), ("", ".sat"), ("", ".shr7", ".shr15")):
        asel, bsel = r.choice(list(PART)), r.choice(list(PART))
        signed_ = "s32" in (ta, tb) or na == "-" or nc == "-"

        def vmad(a, b, c, ta=ta, tb=tb, na=na, nc=nc, sat=sat, scale=scale, x=asel, y=bsel, s=signed_):
            p = part(a, ta, x) * part(b, tb, y)
            c = value(c, "s32" if s else "u32")
            v = (-p if na == "-" else p) + (-c if nc else c) + (na == "po")
            v >>= int(scale[4:] or 0)
            return saturate(v, "s32" if s else "u32") if sat else v & MASK32

        minus = "-" if na == "-" else ""
        td = "s32" if signed_ else "u32"
        out.append(Form(f"vmad.{td}.{ta}.{tb}{'.po' if na == 'po' else ''}{sat}{scale} {{d}}, {minus}{{a}}{asel}, {{b}}{bsel}, {nc}{{c}}", "u32", ("u32",) * 3, vmad))
    return out


def simd():
    r = random.Random(4)
    out = []
    for count, letter in ((2, "h"), (4, "b")):
        width = 32 // count

        def lanes(a, b, sel, t, own, w=width, count=count):
            order = [int(c) for c in reversed(sel[2:])] if sel else [own * count + k for k in range(count)]
            word = a | b << 32
            return [value(word >> (w * k), t[0] + str(w)) for k in order]

        def merged(ts, td, sat, add, mask, c, w=width, count=count):
            chosen = [k for k in range(count) if str(k) in mask[2:]] if mask else list(range(count))
            if sat:
                ts = [value(saturate(v, td[0] + str(w)), td[0] + str(w)) for v in ts]
            if add:
                return (c + sum(ts[k] for k in chosen)) & MASK32
            out = 0
            for k in range(count):
                m = ((1 << w) - 1) << (w * k)
                out |= (ts[k] << (w * k) & m) if k in chosen else c & m
            return out

        def pick():
            top = 2 * count
            sel = ["", *("." + letter + "".join(str(r.randrange(top)) for _ in range(count)) for _ in range(2))]
            masks = ["", "." + letter + "0", "." + letter + "10", *((".b3", ".b310", ".b3210") if count == 4 else (".h1",))]
            return r.choice(sel), r.choice(sel), r.choice(masks)

        ops = {**PRIMARY, "vavrg": lambda a, b: (a + b + (a + b >= 0)) >> 1}
        for (op, fn), td, ta, tb, mod in product(ops.items(), SIGN, SIGN, SIGN, ("", ".sat", ".add")):
            asel, bsel, mask = pick()

            def ref(a, b, c, fn=fn, td=td, ta=ta, tb=tb, mod=mod, x=asel, y=bsel, m=mask, lanes=lanes, merged=merged):
                ts = [fn(p, q) for p, q in zip(lanes(a, b, x, ta, 0), lanes(a, b, y, tb, 1))]
                return merged(ts, td, mod == ".sat", mod == ".add", m, c)

            out.append(Form(f"{op}{count}.{td}.{ta}.{tb}{mod} {{d}}{mask}, {{a}}{asel}, {{b}}{bsel}, {{c}}", "u32", ("u32",) * 3, ref))
        for ta, tb, cmp, mod in product(SIGN, SIGN, COMPARE, ("", ".add")):
            asel, bsel, mask = pick()

            def seta(a, b, c, f=COMPARE[cmp], ta=ta, tb=tb, mod=mod, x=asel, y=bsel, m=mask, lanes=lanes, merged=merged):
                ts = [int(f(p, q)) for p, q in zip(lanes(a, b, x, ta, 0), lanes(a, b, y, tb, 1))]
                return merged(ts, "u32", False, mod == ".add", m, c)

            out.append(Form(f"vset{count}.{ta}.{tb}.{cmp}{mod} {{d}}{mask}, {{a}}{asel}, {{b}}{bsel}, {{c}}", "u32", ("u32",) * 3, seta))
    return out


GROUPS = {"integers": integers(), "floats_to_integers": floats_to_integers(), "integers_to_floats": integers_to_floats(), "floats": floats(),
          "pairs": pairs(), "small_floats": small_floats(), "fixed_point": fixed_point(), "stochastic": stochastic(), "moves": moves(), "video": video(), "simd": simd()}  # fmt: skip


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
@pytest.mark.parametrize("group", GROUPS)
def test_conversions(group, mode):
    forms = GROUPS[group]
    assert_forms(forms[::3] if mode == "auto" and group in ("video", "simd") else forms, mode)
