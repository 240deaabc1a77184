"""Floating point of all widths (PTX ISA 9.7.3, 9.7.4, 9.7.5, 9.7.6, 9.7.7): exact rounding against dyadic numbers, `.approx` within the manual's bounds."""
from __future__ import annotations

import math
import sys
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.unit.ptx import harness as h  # noqa: E402
from tests.unit.ptx.harness import FORMATS, Form, assert_forms, by_halves, compute, flush, is_nan, num, pack, to_float  # noqa: E402

RND = ("", ".rn", ".rz", ".rm", ".rp")
MASK32 = 0xFFFFFFFF


def flags(*names):
    return ["".join(c) for c in product(*(("", n) for n in names))]


def fma(rnd):
    return lambda x, y, z: h.add(h.mul(x, y), z, rnd)


OPS = {"add": (2, h.adder), "sub": (2, lambda r: lambda x, y: h.add(x, h.minus(y), r)), "mul": (2, lambda r: h.mul), "fma": (3, fma), "mad": (3, fma)}


def exact():
    out = []
    for op, (n, fn) in OPS.items():
        args = "{d}, " + ", ".join(("{a}", "{b}", "{c}")[:n])
        for rnd in RND[(1 if n == 3 else 0) :]:
            r = rnd[1:] or "rn"
            for ftz, sat in product(("", ".ftz"), ("", ".sat")):
                ref = compute(fn(r), "f32", r, bool(ftz), bool(sat))
                out.append(Form(f"{op}{rnd}{ftz}{sat}.f32 {args}", "f32", ("f32",) * n, ref, nan="f32"))
            out.append(Form(f"{op}{rnd}.f64 {args}", "f64", ("f64",) * n, compute(fn(r), "f64", r), nan="f64"))
    return out


def pairs32(ref, t="f32"):
    """On both halves of f32x2: a NaN is any NaN."""
    def judge(*args):
        want = [ref(*(a >> s & MASK32 for a in args)) for s in (0, 32)]
        return lambda got: all(is_nan(g, t) if is_nan(w, t) else g == w for g, w in zip((got & MASK32, got >> 32), want))

    return judge


def wide():
    """f32x2, and the additions that widen one operand."""
    out = []
    for op in ("add", "sub", "mul", "fma"):
        n, fn = OPS[op]
        args = "{d}, " + ", ".join(("{a}", "{b}", "{c}")[:n])
        for rnd, ftz in product(RND[(1 if n == 3 else 0) :], ("", ".ftz")):
            r = rnd[1:] or "rn"
            out.append(Form(f"{op}{rnd}{ftz}.f32x2 {args}", "f32x2", ("f32x2",) * n, pairs32(compute(fn(r), "f32", r, bool(ftz)))))
    for t, rnd, sat in product(("f16", "bf16"), RND, ("", ".sat")):
        r = rnd[1:] or "rn"
        for op in ("add", "sub"):
            fn = OPS[op][1](r)
            ref = lambda a, b, t=t, r=r, s=bool(sat), f=fn: compute(lambda y: f(num(a, t), y), "f32", r, False, s)(b)  # noqa: E731
            out.append(Form(f"{op}{rnd}{sat}.f32.{t} {{d}}, {{a}}, {{b}}", "f32", (t, "f32"), ref, nan="f32"))
        if rnd:
            ref = lambda a, b, c, t=t, r=r, s=bool(sat): compute(lambda z: fma(r)(num(a, t), num(b, t), z), "f32", r, False, s)(c)  # noqa: E731
            out.append(Form(f"fma{rnd}{sat}.f32.{t} {{d}}, {{a}}, {{b}}, {{c}}", "f32", (t, t, "f32"), ref, nan="f32"))
    return out


def division():
    out = []
    for t in ("f32", "f64"):
        for rnd in RND[1:]:
            r = rnd[1:]
            for ftz in ("", ".ftz") if t == "f32" else ("",):
                z = bool(ftz)
                out.append(Form(f"div{rnd}{ftz}.{t} {{d}}, {{a}}, {{b}}", t, (t, t), compute(h.div, t, r, z), nan=t))
                one = h.Num("n", 0, 1, 0)
                out.append(Form(f"rcp{rnd}{ftz}.{t} {{d}}, {{a}}", t, (t,), compute(lambda x: h.div(h.Num("n", 0, 1, 0), x), t, r, z), nan=t))
                out.append(Form(f"sqrt{rnd}{ftz}.{t} {{d}}, {{a}}", t, (t,), compute(h.sqrt, t, r, z), nan=t))
    _ = one
    return out


def order(bits, t):
    """Numbers in order, one apart where they are neighbours."""
    top = 1 << (FORMATS[t].bits - 1)
    return bits if bits < top else top - bits


def within(t, ulps, exact, ftz=False):
    """At most so many units of the last place from the exactly rounded result; special results to the bit."""
    f = FORMATS[t]

    def ref(*args):
        want = exact(*args)
        if is_nan(want, t):
            return lambda got: is_nan(got, t)
        magnitude = want & ((1 << (f.bits - 1)) - 1)
        if magnitude in (0, f.inf):
            return lambda got: got == want or (magnitude and abs(order(got, t) - order(want, t)) <= ulps)
        return lambda got: abs(order(got, t) - order(want, t)) <= ulps or (ftz and got == flush(got, t) and magnitude < 1 << (f.mant + 1) and not got << 1 & MASK32)

    return ref


def near(fn, relative=0.0, absolute=0.0, lo=-math.inf, hi=math.inf, ftz=False, t="f32", table=None, ulps=0):
    """A real function within an error bound; `table` gives special results by bits."""

    def ref(a):
        a = flush(a, t) if ftz else a
        if table and a in table:
            return (lambda got: is_nan(got, t)) if table[a] is None else table[a]
        x = to_float(a, t)
        if math.isnan(x):
            return lambda got: is_nan(got, t)
        if not lo <= x <= hi:
            return None
        want = fn(x)
        if want is None:
            return lambda got: is_nan(got, t)
        least = math.ldexp(1.0, 1 - FORMATS[t].bias)
        biggest = to_float(FORMATS[t].inf - 1, t)

        def judge(got):
            v = to_float(got, t)
            if is_nan(got, t):
                return False
            if abs(want) > biggest:
                return math.isinf(v) or abs(v) >= biggest * (1 - 1e-5)
            if ftz and abs(want) < least * 1.01 and v == 0:
                return True
            unit = max(abs(want), least) * 2.0 ** -FORMATS[t].mant
            return abs(v - want) <= max(relative * abs(want), absolute, ulps * unit, 0.51 * least * 2.0 ** -FORMATS[t].mant)

        return judge

    return ref


def log2(x):
    return None if x < 0 else -math.inf if x == 0 else math.inf if x == math.inf else math.log2(x)


def exp2(x):
    return 0.0 if x < -2000 else math.inf if x > 1000 else 2.0**x


def approximate():
    out = []
    Z, M, INF, NINF = 0, 1 << 31, 0x7F800000, 0xFF800000
    exact_div = {z: compute(h.div, "f32", "rn", z) for z in (False, True)}
    for ftz in ("", ".ftz"):
        z = bool(ftz)

        def div(a, b, z=z):
            exponent = b >> 23 & 255
            if not 1 <= exponent < 253 and exponent != 255 and b << 1 & MASK32:  # outside of [2^-126, 2^126]
                return None
            return within("f32", 2, exact_div[z], z)(a, b)

        out.append(Form(f"div.approx{ftz}.f32 {{d}}, {{a}}, {{b}}", "f32", ("f32", "f32"), div))
        out.append(Form(f"div.full{ftz}.f32 {{d}}, {{a}}, {{b}}", "f32", ("f32", "f32"), within("f32", 2, exact_div[z], z)))
        rcp = compute(lambda x: h.div(h.Num("n", 0, 1, 0), x), "f32", "rn", z)
        out.append(Form(f"rcp.approx{ftz}.f32 {{d}}, {{a}}", "f32", ("f32",), within("f32", 1, rcp, z)))
        out.append(Form(f"sqrt.approx{ftz}.f32 {{d}}, {{a}}", "f32", ("f32",), within("f32", 1, compute(h.sqrt, "f32", "rn", z), z)))
        rsqrt = near(lambda x: None if x < 0 else 0.0 if x == math.inf else x**-0.5, 2**-22.9, ftz=z, table={Z: INF, M: NINF, INF: 0})
        out.append(Form(f"rsqrt.approx{ftz}.f32 {{d}}, {{a}}", "f32", ("f32",), rsqrt))
        period = {INF: None, NINF: None}
        for op, fn, more in (("sin", math.sin, {Z: Z, M: M}), ("cos", math.cos, {Z: 0x3F800000, M: 0x3F800000})):
            for angles in (2, 100):
                span = angles * math.pi
                ref = near(fn, absolute=2**-20.5 if angles == 2 else 2**-14.7, lo=-span, hi=span, ftz=z, table={**period, **more})
                angle = [*h.SPECIAL["f32"], *(pack(num(h.FORMATS["f64"].inf and _f64(k * span / 160), "f64"), "f32") for k in range(-160, 160))]
                out.append(Form(f"{op}.approx{ftz}.f32 {{d}}, {{a}}", "f32", ("f32",), ref, {0: angle}))
        lg2 = near(log2, 2**-22, 0.0, ftz=z, table={Z: NINF, M: NINF, INF: INF})
        close = [_f32(0.5 + k / 200) for k in range(1, 300)]
        out.append(Form(f"lg2.approx{ftz}.f32 {{d}}, {{a}}", "f32", ("f32",), lg2))
        out.append(Form(f"lg2.approx{ftz}.f32 {{d}}, {{a}}", "f32", ("f32",), near(log2, 0.0, 2**-22, ftz=z), {0: close}))
        powers = [*h.SPECIAL["f32"], *(_f32(k * 0.97) for k in range(-155, 140))]
        ex2 = near(exp2, ftz=z, ulps=2.6, table={INF: INF, NINF: 0, Z: 0x3F800000, M: 0x3F800000})
        out.append(Form(f"ex2.approx{ftz}.f32 {{d}}, {{a}}", "f32", ("f32",), ex2, {0: powers}))
    out.append(Form("tanh.approx.f32 {d}, {a}", "f32", ("f32",), near(math.tanh, 2**-11, table={Z: Z, M: M})))
    out.append(Form("rsqrt.approx.f64 {d}, {a}", "f64", ("f64",), near(
        lambda x: None if x < 0 else 0.0 if x == math.inf else x**-0.5, 2**-50, t="f64", table={0: 0x7FF << 52, 1 << 63: 0xFFF << 52})))  # fmt: skip

    def coarse(fn, bound):
        def ref(a):
            a = flush(a >> 32 << 32, "f64")
            x = to_float(a, "f64")
            if math.isnan(x):
                return 0x7FFFFFFF00000000
            want = fn(a, x)
            if isinstance(want, int):
                return want
            if abs(want) < 2.3e-308:
                return lambda got: got & MASK32 == 0 and abs(to_float(got, "f64")) < 2.3e-308
            return lambda got: got & MASK32 == 0 and abs(to_float(got, "f64") - want) <= bound * abs(want)

        return ref

    NAN = 0x7FFFFFFF00000000
    sign = lambda a: a >> 63 << 63  # noqa: E731
    inf = 0x7FF << 52
    out.append(Form("rcp.approx.ftz.f64 {d}, {a}", "f64", ("f64",), coarse(
        lambda a, x: sign(a) | inf if x == 0 else sign(a) if math.isinf(x) else 1 / x, 2**-19)))  # fmt: skip
    out.append(Form("rsqrt.approx.ftz.f64 {d}, {a}", "f64", ("f64",), coarse(
        lambda a, x: sign(a) | inf if x == 0 else NAN if x < 0 else 0 if math.isinf(x) else x**-0.5, 2**-19)))  # fmt: skip
    return out


def _f64(x):
    import struct

    return struct.unpack("<Q", struct.pack("<d", x))[0]


def _f32(x):
    return pack(num(_f64(x), "f64"), "f32")


# ---- sign, minimum and maximum --------------------------------------------------------------------------------------


def key(bits, t):
    return order(bits, t) - (bits >> (FORMATS[t].bits - 1))  # −0 below +0


def extreme(op, t, ftz=False, nan=False, xorsign=False, magnitude=False, relu=False):
    f = FORMATS[t]
    top = 1 << (f.bits - 1)

    def two(a, b):
        if is_nan(a, t) and is_nan(b, t) or (nan and (is_nan(a, t) or is_nan(b, t))):
            return f.nan
        if is_nan(a, t):
            return b
        if is_nan(b, t):
            return a
        return (min if op == "min" else max)(a, b, key=lambda v: key(v, t))

    def ref(*args):
        if ftz:
            args = [flush(a, t) for a in args]
        sign = (args[0] ^ args[1]) & top
        if xorsign or magnitude:
            args = [a & ~top for a in args]
        d = two(args[0], args[1])
        for a in args[2:]:
            d = two(d, a)
        if is_nan(d, t):
            return f.nan
        if xorsign:
            d = d & ~top | sign
        return 0 if relu and d & top else d

    return ref


def extremes():
    out = []
    for op in ("min", "max"):
        for ftz, nan, xs in product(("", ".ftz"), ("", ".NaN"), ("", ".xorsign.abs")):
            ref = extreme(op, "f32", bool(ftz), bool(nan), bool(xs))
            out.append(Form(f"{op}{ftz}{nan}{xs}.f32 {{d}}, {{a}}, {{b}}", "f32", ("f32", "f32"), ref, nan="" if nan else "f32"))
        for ftz, nan, mag in product(("", ".ftz"), ("", ".NaN"), ("", ".abs")):
            ref = extreme(op, "f32", bool(ftz), bool(nan), magnitude=bool(mag))
            out.append(Form(f"{op}{ftz}{nan}{mag}.f32 {{d}}, {{a}}, {{b}}, {{c}}", "f32", ("f32",) * 3, ref, nan="" if nan else "f32"))
        out.append(Form(f"{op}.f64 {{d}}, {{a}}, {{b}}", "f64", ("f64", "f64"), extreme(op, "f64"), nan="f64"))
        for t in ("f16", "bf16"):
            for ftz, nan, xs in product(("", ".ftz") if t == "f16" else ("",), ("", ".NaN"), ("", ".xorsign.abs")):
                ref = extreme(op, t, bool(ftz), bool(nan), bool(xs))
                out.append(Form(f"{op}{ftz}{nan}{xs}.{t} {{d}}, {{a}}, {{b}}", t, (t, t), ref))
                out.append(Form(f"{op}{ftz}{nan}{xs}.{t}x2 {{d}}, {{a}}, {{b}}", t + "x2", (t + "x2",) * 2, by_halves(ref)))
    return out


def signs():
    out = []
    for t in ("f32", "f64"):
        top = 1 << (FORMATS[t].bits - 1)
        for ftz in ("", ".ftz") if t == "f32" else ("",):
            z = (lambda a, t=t: flush(a, t)) if ftz else (lambda a: a)
            out.append(Form(f"abs{ftz}.{t} {{d}}, {{a}}", t, (t,), lambda a, z=z, m=top: z(a) & ~m, nan=t))
            out.append(Form(f"neg{ftz}.{t} {{d}}, {{a}}", t, (t,), lambda a, z=z, m=top: z(a) ^ m, nan=t))
        out.append(Form(f"copysign.{t} {{d}}, {{a}}, {{b}}", t, (t, t), lambda a, b, m=top: b & ~m | a & m, nan=t))
        inf, normal = FORMATS[t].inf, 1 << FORMATS[t].mant
        tests = {"finite": lambda m, i=inf: m < i, "infinite": lambda m, i=inf: m == i, "number": lambda m, i=inf: m <= i, "notanumber": lambda m, i=inf: m > i,
                 "normal": lambda m, i=inf, n=normal: m == 0 or n <= m < i, "subnormal": lambda m, n=normal: 0 < m < n}  # fmt: skip
        for name, fn in tests.items():
            out.append(Form(f"testp.{name}.{t} {{d}}, {{a}}", "pred", (t,), lambda a, f=fn, m=top: int(f(a & ~m))))
    for t in ("f16", "bf16"):
        for ftz in ("", ".ftz") if t == "f16" else ("",):
            z = (lambda a, t=t: flush(a, t)) if ftz else (lambda a: a)
            for op, fn in (("abs", lambda v: v & 0x7FFF), ("neg", lambda v: v ^ 0x8000)):
                def ref(a, z=z, fn=fn, t=t):
                    return (lambda got, t=t: all(is_nan(got, t) for _ in (0,))) if is_nan(a, t) else fn(z(a))

                def both(a, z=z, fn=fn, t=t):
                    parts = [a & 0xFFFF, a >> 16]
                    return lambda got: all(is_nan(g, t) if is_nan(v, t) else g == fn(z(v)) for v, g in zip(parts, (got & 0xFFFF, got >> 16)))

                out.append(Form(f"{op}{ftz}.{t} {{d}}, {{a}}", t, (t,), ref))
                out.append(Form(f"{op}{ftz}.{t}x2 {{d}}, {{a}}", t + "x2", (t + "x2",), both))
    return out


# ---- halves ---------------------------------------------------------------------------------------------------------


def halves():
    out = []
    for t, op in product(("f16", "bf16"), ("add", "sub", "mul", "fma")):
        n, fn = OPS[op]
        args = "{d}, " + ", ".join(("{a}", "{b}", "{c}")[:n])
        rnds = (".rn",) if n == 3 else ("", ".rn")
        mods = flags(".ftz", ".sat") if t == "f16" else [""]
        for rnd, mod in product(rnds, mods):
            ref = compute(fn("rn"), t, "rn", "ftz" in mod, "sat" in mod)
            out += [Form(f"{op}{rnd}{mod}.{t} {args}", t, (t,) * n, ref), Form(f"{op}{rnd}{mod}.{t}x2 {args}", t + "x2", (t + "x2",) * n, by_halves(ref))]
        if op == "fma":
            for ftz, oob, relu in product(("", ".ftz") if t == "f16" else ("",), ("", ".oob"), ("", ".relu")):
                if ftz and oob or not (oob or relu):
                    continue
                plain = compute(fn("rn"), t, "rn", bool(ftz))

                def ref(a, b, c, f=plain, oob=oob, relu=relu, t=t):
                    if oob and 0x7FFF in (a, b):
                        return 0
                    r = f(a, b, c)
                    return 0 if relu and r >> 15 and not is_nan(r, t) else r

                out += [Form(f"fma.rn{ftz}{oob}{relu}.{t} {args}", t, (t,) * 3, ref),
                        Form(f"fma.rn{ftz}{oob}{relu}.{t}x2 {args}", t + "x2", (t + "x2",) * 3, by_halves(ref))]  # fmt: skip
        # tanh and ex2
    for t, ftz in (("f16", ""), ("bf16", ".ftz")):
        one = FORMATS[t].bias << FORMATS[t].mant
        inf = FORMATS[t].inf
        tanh = near(math.tanh, absolute=2**-10.987 if t == "f16" else 2**-8, t=t, table={0: 0, 0x8000: 0x8000, inf: one, inf | 0x8000: one | 0x8000})
        ex2 = near(exp2, 2**-9.9 if t == "f16" else 2**-7, t=t, ftz=bool(ftz), table={0: one, 0x8000: one, inf: inf, inf | 0x8000: 0})
        for op, ref, mod in (("tanh", tanh, ""), ("ex2", ex2, ftz)):
            def canonical(a, f=ref, t=t):
                return 0x7FFF if is_nan(a, t) else f(a)

            def both(a, f=canonical):
                want = [f(a & 0xFFFF), f(a >> 16)]
                return lambda got: all(w is None or (w(g) if callable(w) else w == g) for w, g in zip(want, (got & 0xFFFF, got >> 16)))

            small = [*h.SPECIAL[t], *(pack(num(_f64(k / 7), "f64"), t) for k in range(-150, 130))]
            out.append(Form(f"{op}.approx{mod}.{t} {{d}}, {{a}}", t, (t,), canonical, {0: small}))
            out.append(Form(f"{op}.approx{mod}.{t}x2 {{d}}, {{a}}", t + "x2", (t + "x2",), both, {0: [a | b << 16 for a, b in zip(small, small[::-1])]}))
    return out


# ---- comparison -----------------------------------------------------------------------------------------------------

CMP = {"eq": lambda c: c == 0, "ne": lambda c: c != 0, "lt": lambda c: c < 0, "le": lambda c: c <= 0, "gt": lambda c: c > 0, "ge": lambda c: c >= 0}


def relation(name, t, ftz):
    def ref(a, b):
        a, b = (flush(v, t) if ftz else v for v in (a, b))
        nan = is_nan(a, t) or is_nan(b, t)
        if name in ("num", "nan"):
            return int(nan == (name == "nan"))
        if nan:
            return int(name.endswith("u"))
        return int(CMP[name.rstrip("u")](order(a, t) - order(b, t)))

    return ref


NAMES = [*CMP, *(n + "u" for n in CMP), "num", "nan"]
BOOLOP = {"and": lambda p, q: p & q, "or": lambda p, q: p | q, "xor": lambda p, q: p ^ q}


def comparisons():
    out = []
    for t in ("f32", "f64", "f16", "bf16"):
        for name, ftz in product(NAMES, ("", ".ftz") if t in ("f32", "f16") else ("",)):
            ref = relation(name, t, bool(ftz))
            out.append(Form(f"setp.{name}{ftz}.{t} {{d}}, {{a}}, {{b}}", "pred", (t, t), ref))
            out.append(Form(f"set.{name}{ftz}.u32.{t} {{d}}, {{a}}, {{b}}", "u32", (t, t), lambda a, b, f=ref: -f(a, b) & MASK32))
            op = list(BOOLOP)[len(out) % 3]
            g = BOOLOP[op]
            out.append(Form(f"setp.{name}.{op}{ftz}.{t} {{d}}|{{p}}, {{a}}, {{b}}, {{c}}" if t[-2:] != "16" else f"setp.{name}.{op}{ftz}.{t} {{d}}, {{a}}, {{b}}, {{c}}",
                            "pred", (t, t, "pred"), (lambda a, b, q, f=ref, g=g: (g(f(a, b), q), g(1 - f(a, b), q))) if t[-2:] != "16" else
                            (lambda a, b, q, f=ref, g=g: g(f(a, b), q)), second=t[-2:] != "16"))  # fmt: skip
            if t in ("f32", "f64"):
                out.append(Form(f"set.{name}.{op}{ftz}.f32.{t} {{d}}, {{a}}, {{b}}, {{c}}", "f32", (t, t, "pred"),
                                lambda a, b, q, f=ref, g=g: 0x3F800000 * g(f(a, b), q)))  # fmt: skip
            else:
                one = FORMATS[t].bias << FORMATS[t].mant
                out.append(Form(f"set.{name}{ftz}.{t}.{t} {{d}}, {{a}}, {{b}}", t, (t, t), lambda a, b, f=ref, one=one: one * f(a, b)))
                x2 = (t + "x2",) * 2
                pair = by_halves(lambda a, b, f=ref, one=one: one * f(a, b))
                out.append(Form(f"set.{name}{ftz}.{t}x2.{t}x2 {{d}}, {{a}}, {{b}}", t + "x2", x2, pair))
                out.append(Form(f"set.{name}.{op}{ftz}.{t}x2.{t}x2 {{d}}, {{a}}, {{b}}, {{c}}", t + "x2", (*x2, "pred"),
                                lambda a, b, q, f=ref, g=g, one=one: by_halves(lambda x, y: one * g(f(x, y), q))(a, b)))  # fmt: skip
                ones = by_halves(lambda a, b, f=ref: 0xFFFF * f(a, b))
                out.append(Form(f"set.{name}{ftz}.{'us'[len(out) % 2]}32.{t}x2 {{d}}, {{a}}, {{b}}", "u32", x2, ones))
                out.append(Form(f"set.{name}{ftz}.{'us'[len(out) % 2]}16.{t} {{d}}, {{a}}, {{b}}", "u16", (t, t), lambda a, b, f=ref: 0xFFFF * f(a, b)))
                both = lambda a, b, q, f=ref, g=g: (g(f(a & 0xFFFF, b & 0xFFFF), q), g(f(a >> 16, b >> 16), q))  # noqa: E731
                out.append(Form(f"setp.{name}.{op}{ftz}.{t}x2 {{d}}|{{p}}, {{a}}, {{b}}, {{c}}", "pred", (*x2, "pred"), both, second=True))
    for to, t in product(("f16", "bf16"), ("b16", "u32", "s64", "f32", "f64")):  # halves from comparisons of other types
        one = FORMATS[to].bias << FORMATS[to].mant
        if t[0] == "f":
            out.append(Form(f"set.ltu.{to}.{t} {{d}}, {{a}}, {{b}}", to, (t, t), lambda a, b, f=relation("ltu", t, False), one=one: one * f(a, b)))
        elif t[0] == "b":
            out.append(Form(f"set.ne.xor.{to}.{t} {{d}}, {{a}}, {{b}}, {{c}}", to, (t, t, "pred"), lambda a, b, q, one=one: one * ((a != b) ^ q)))
        else:
            out.append(Form(f"set.gt.{to}.{t} {{d}}, {{a}}, {{b}}", to, (t, t), lambda a, b, t=t, one=one: one * (h.value(a, t) > h.value(b, t))))
    return out


GROUPS = {"exact": exact(), "wide": wide(), "division": division(), "approximate": approximate(), "extremes": extremes(), "signs": signs(),
          "halves": halves(), "comparisons": comparisons()}  # fmt: skip


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
@pytest.mark.parametrize("group", GROUPS)
def test_floats(group, mode):
    assert_forms(GROUPS[group], mode)
