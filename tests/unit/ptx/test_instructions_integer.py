"""Integers, carry chains, logic and shifts, comparison (PTX ISA 9.7.1, 9.7.2, 9.7.6, 9.7.8): every type and modifier against Python integers."""
from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.unit.ptx import harness as h  # noqa: E402
from tests.unit.ptx.harness import Form, assert_forms, bits_of, saturate, value, wrap  # noqa: E402

INTS = ("u16", "s16", "u32", "s32", "u64", "s64")
PAIRS = ("u16x2", "s16x2")
MASK32 = 0xFFFFFFFF


def two(op, t, fn, mods="", out=None):
    """op.t d, a, b"""
    return Form(f"{op}{mods}.{t} {{d}}, {{a}}, {{b}}", out or t, (t, t), lambda a, b: wrap(fn(value(a, t), value(b, t)), out or t))


def one(op, t, fn, out=None, mods=""):
    return Form(f"{op}{mods}.{t} {{d}}, {{a}}", out or t, (t,), lambda a: wrap(fn(value(a, t)), out or t))


def each(fn, t):
    """By halves of a packed type."""
    e = t[:-2]
    return lambda a, b: h.by_halves(lambda x, y: wrap(fn(value(x, e), value(y, e)), e))(a, b)


def trunc_div(a, b):
    if b == 0:
        return None
    q = abs(a) // abs(b)
    return -q if (a < 0) != (b < 0) else q


def arithmetic():
    out = []
    for t in INTS:
        n = bits_of(t)
        out += [two("add", t, lambda a, b: a + b), two("sub", t, lambda a, b: a - b), two("min", t, min), two("max", t, max),
                two("mul.lo", t, lambda a, b: a * b), two("mul.hi", t, lambda a, b, n=n: (a * b) >> n)]  # fmt: skip
        sad = f"sad.{t} {{d}}, {{a}}, {{b}}, {{c}}"
        out.append(Form(sad, t, (t,) * 3, lambda a, b, c, t=t: wrap(abs(value(a, t) - value(b, t)) + c, t)))
        for part, shift in (("lo", 0), ("hi", n)):
            ref = lambda a, b, c, t=t, s=shift: wrap(((value(a, t) * value(b, t)) >> s) + c, t)  # noqa: E731
            out.append(Form(f"mad.{part}.{t} {{d}}, {{a}}, {{b}}, {{c}}", t, (t,) * 3, ref))

        def div(a, b, t=t):
            q = trunc_div(value(a, t), value(b, t))
            return None if q is None else wrap(q, t)

        def rem(a, b, t=t):
            x, y = value(a, t), value(b, t)
            return None if y == 0 else wrap(x - y * trunc_div(x, y), t)

        out += [Form(f"div.{t} {{d}}, {{a}}, {{b}}", t, (t, t), div), Form(f"rem.{t} {{d}}, {{a}}, {{b}}", t, (t, t), rem)]
        if n < 64:
            w = t[0] + str(2 * n)
            out.append(two("mul.wide", t, lambda a, b: a * b, out=w))
            ref = lambda a, b, c, t=t, w=w: wrap(value(a, t) * value(b, t) + c, w)  # noqa: E731
            out.append(Form(f"mad.wide.{t} {{d}}, {{a}}, {{b}}, {{c}}", w, (t, t, w), ref))
        if t[0] == "s":
            out += [one("abs", t, abs), one("neg", t, lambda a: -a)]
    out += [two("add.sat", "s32", lambda a, b: saturate(a + b, "s32")), two("sub.sat", "s32", lambda a, b: saturate(a - b, "s32"))]
    ref = lambda a, b, c: saturate((value(a, "s32") * value(b, "s32") >> 32) + value(c, "s32"), "s32")  # noqa: E731
    out.append(Form("mad.hi.sat.s32 {d}, {a}, {b}, {c}", "s32", ("s32",) * 3, ref))
    for t in PAIRS:
        for op, fn in (("add", lambda a, b: a + b), ("min", min), ("max", max)):
            out.append(Form(f"{op}.{t} {{d}}, {{a}}, {{b}}", "u32", ("u32", "u32"), each(fn, t)))
    for op, fn in (("min", min), ("max", max)):
        relu = lambda a, b, f=fn: max(f(a, b), 0)  # noqa: E731
        out.append(two(op + ".relu", "s32", relu))
        out.append(Form(f"{op}.relu.s16x2 {{d}}, {{a}}, {{b}}", "u32", ("u32", "u32"), each(relu, "s16x2")))
    for t in ("u32", "s32"):
        cut = lambda v, t=t: h.signed(v, 24) if t[0] == "s" else v & 0xFFFFFF  # noqa: E731
        for part, shift in (("lo", 0), ("hi", 16)):
            out.append(Form(f"mul24.{part}.{t} {{d}}, {{a}}, {{b}}", t, (t, t), lambda a, b, c=cut, s=shift: (c(a) * c(b)) >> s & MASK32))
            out.append(Form(f"mad24.{part}.{t} {{d}}, {{a}}, {{b}}, {{c}}", t, (t,) * 3, lambda a, b, z, c=cut, s=shift: ((c(a) * c(b) >> s) + z) & MASK32))
    sat = lambda a, b, c: saturate(h.signed(h.signed(a, 24) * h.signed(b, 24) >> 16, 32) + h.signed(c, 32), "s32")  # noqa: E731
    out.append(Form("mad24.hi.sat.s32 {d}, {a}, {b}, {c}", "s32", ("s32",) * 3, sat))
    return out


def bitwise():
    out = []
    for t in ("b16", "b32", "b64"):
        n = bits_of(t)
        out += [two("and", t, lambda a, b: a & b), two("or", t, lambda a, b: a | b), two("xor", t, lambda a, b: a ^ b), one("not", t, lambda a: ~a),
                one("cnot", t, lambda a: a == 0)]  # fmt: skip
        for op, u, fn in (("shl", t, lambda v, k, n=n: v << k if k < n else 0), ("shr", t, lambda v, k: v >> k), ("shr", "u" + t[1:], lambda v, k: v >> k),
                          ("shr", "s" + t[1:], lambda v, k, n=n: h.signed(v, n) >> min(k, n - 1))):  # fmt: skip
            out.append(Form(f"{op}.{u} {{d}}, {{a}}, {{b}}", t, (t, "u32"), lambda a, b, f=fn, t=t: wrap(f(a, min(b, 100)), t)))
            for k in (0, 3, n - 1, n, 77):
                out.append(Form(f"{op}.{u} {{d}}, {{a}}, {k}", t, (t,), lambda a, f=fn, t=t, k=k: wrap(f(a, k), t)))
    for op, fn in (("and", int.__and__), ("or", int.__or__), ("xor", int.__xor__)):
        out.append(Form(f"{op}.pred {{d}}, {{a}}, {{b}}", "pred", ("pred", "pred"), fn))
    out.append(Form("not.pred {d}, {a}", "pred", ("pred",), lambda a: 1 - a))
    for t in ("b32", "b64"):
        n = bits_of(t)
        out += [one("popc", t, lambda a: bin(a).count("1"), "u32"), one("clz", t, lambda a, n=n: n - a.bit_length(), "u32"),
                one("brev", t, lambda a, n=n: int(f"{a:0{n}b}"[::-1], 2))]  # fmt: skip
    for t in ("u32", "s32", "u64", "s64"):
        n = bits_of(t)

        def find(a, t=t, n=n):
            v = value(a, t)
            return (~v if v < 0 else v).bit_length() - 1

        out.append(Form(f"bfind.{t} {{d}}, {{a}}", "u32", (t,), lambda a, f=find: f(a) & MASK32))
        out.append(Form(f"bfind.shiftamt.{t} {{d}}, {{a}}", "u32", (t,), lambda a, f=find, n=n: MASK32 if f(a) < 0 else n - 1 - f(a)))

        def bfe(a, b, c, t=t, n=n):
            pos, length = b & 255, c & 255
            sign = 0 if t[0] == "u" or length == 0 else a >> min(pos + length - 1, n - 1) & 1
            return sum((a >> (pos + k) & 1 if k < length and pos + k < n else sign) << k for k in range(n))

        small = [*range(0, 70, 3), 255, 256, 257, 300, 31, 32, 63, 64]
        more = [*range(0, 40), 64, 63, 255, 128, 256, 511]
        out.append(Form(f"bfe.{t} {{d}}, {{a}}, {{b}}, {{c}}", t, (t, "u32", "u32"), bfe, {1: small, 2: more}))
        if t[0] == "u":

            def bfi(a, b, c, e, n=n):
                pos, length = c & 255, e & 255
                for k in range(length):
                    if pos + k < n:
                        b = b & ~(1 << (pos + k)) | (a >> k & 1) << (pos + k)
                return b

            out.append(Form(f"bfi.b{n} {{d}}, {{a}}, {{b}}, {{c}}, {{e}}", t, (t, t, "u32", "u32"), lambda a, b, c, e, f=bfi, n=n: f(a & ((1 << n) - 1), b, c, e),
                            {2: small, 3: more}))  # fmt: skip
    counts = [*range(36), 63, 64, 100, MASK32, 1 << 31]

    def szext(mode, s):
        def ref(a, b):
            k = b & 31 if mode == "wrap" else min(b, 32)
            low = a & ((1 << k) - 1)
            return (h.signed(low, k) if s == "s" and k else low) & MASK32

        return ref

    def bmsk(mode):
        def ref(a, b):
            if mode == "wrap":
                a, b = a & 31, b & 31
            return sum(1 << k for k in range(32) if a <= k < a + b)

        return ref

    for mode in ("clamp", "wrap"):
        for s in "us":
            out.append(Form(f"szext.{mode}.{s}32 {{d}}, {{a}}, {{b}}", "u32", ("u32", "u32"), szext(mode, s), {1: counts}))
        out.append(Form(f"bmsk.{mode}.b32 {{d}}, {{a}}, {{b}}", "u32", ("u32", "u32"), bmsk(mode), {0: counts[::-1], 1: [*counts, 5, 7]}))

    def fns(mask, base, offset):
        offset = h.signed(offset, 32)
        if base > 31:
            return None
        if offset == 0:
            return base if mask >> base & 1 else MASK32
        order = range(base, 32) if offset > 0 else range(base, -1, -1)
        found = [k for k in order if mask >> k & 1]
        return found[abs(offset) - 1] if len(found) >= abs(offset) else MASK32

    masks = [*(1 << k for k in range(32)), MASK32, 1 << 31, 1, 0x80000001, *h.vectors("u32", 0)]
    steps = [*[1] * 32, 32, 1, 1, MASK32, MASK32 - 31, 0, 1, 2, 3, 5, 9, 17, 32, MASK32, MASK32 - 1, MASK32 - 4, MASK32 - 15, 1 << 31]
    out.append(Form("fns.b32 {d}, {a}, {b}, {c}", "u32", ("u32",) * 3, fns, {0: masks, 1: [*[0] * 32, 0, 0, 31, 31, *range(32), 31, 30], 2: steps}))
    for t, u in product(("u32", "s32"), repeat=2):
        def byte(v, k, t):
            return value(v >> (8 * k), t[0] + "8")

        out.append(Form(f"dp4a.{t}.{u} {{d}}, {{a}}, {{b}}, {{c}}", "u32", ("u32",) * 3,
                        lambda a, b, c, t=t, u=u, f=byte: (c + sum(f(a, k, t) * f(b, k, u) for k in range(4))) & MASK32))  # fmt: skip
        for part, at in (("lo", 0), ("hi", 2)):
            out.append(Form(f"dp2a.{part}.{t}.{u} {{d}}, {{a}}, {{b}}, {{c}}", "u32", ("u32",) * 3, lambda a, b, c, t=t, u=u, f=byte, at=at:
                            (c + sum(value(a >> (16 * k), t[0] + "16") * f(b, k + at, u) for k in range(2))) & MASK32))  # fmt: skip
    for side, mode in product("lr", ("wrap", "clamp")):

        def shf(a, b, c, side=side, mode=mode):
            k = c & 31 if mode == "wrap" else min(c, 32)
            w = b << 32 | a
            return (w << k >> 32 if side == "l" else w >> k) & MASK32

        out.append(Form(f"shf.{side}.{mode}.b32 {{d}}, {{a}}, {{b}}, {{c}}", "u32", ("u32",) * 3, shf, {2: [*range(40), MASK32, 64, 63]}))
    for table in (0, 0xFF, 0xE8, 0x96, 0xCA, 0xF0, 0xCC, 0xAA, 0x80, 0xFE, 0x1B, 0x6A, 0xD8, 0x3C, 0x17):

        def lop(a, b, c, t=table):
            return sum((t >> ((a >> k & 1) * 4 + (b >> k & 1) * 2 + (c >> k & 1)) & 1) << k for k in range(32))

        out.append(Form(f"lop3.b32 {{d}}, {{a}}, {{b}}, {{c}}, {table:#x}", "u32", ("u32",) * 3, lop))
        for op in ("or", "and"):
            ref = lambda a, b, c, q, f=lop, op=op: (f(a, b, c), (f(a, b, c) != 0) | q if op == "or" else (f(a, b, c) != 0) & q)  # noqa: E731
            out.append(Form(f"lop3.{op}.b32 {{d}}|{{p}}, {{a}}, {{b}}, {{c}}, {table:#x}, {{e}}", "u32", ("u32", "u32", "u32", "pred"), ref, second=True))
    return out


def carries():
    """The carry goes in by an add.cc or sub.cc of a constant, and comes out by addc or subc of zeros."""
    out = []
    for t in ("u32", "s32", "u64", "s64"):
        n = bits_of(t)
        m = (1 << n) - 1
        set_carry = f".reg .b{n} z; add.cc.{t} z, {{c}}, {m if t[0] == 'u' else -1};"  # carry = c != 0
        ref_add = lambda a, b, c, m=m: (a + b + (c != 0)) & m  # noqa: E731
        carry_add = lambda a, b, c, m=m: (a + b + (c != 0)) >> m.bit_length()  # noqa: E731
        set_borrow = f".reg .b{n} z; sub.cc.{t} z, 0, {{c}};"  # borrow = c != 0
        ref_sub = lambda a, b, c, m=m: (a - b - (c != 0)) & m  # noqa: E731
        borrow = lambda a, b, c: int(a - b - (c != 0) < 0)  # noqa: E731
        some = {2: [0, 1, 0, 7, m]}
        out += [Form(f"addc.{t} {{d}}, {{a}}, {{b}}", t, (t,) * 3, ref_add, some, set_carry),
                Form(f"addc.cc.{t} z, {{a}}, {{b}}; addc.{t} {{d}}, 0, 0", t, (t,) * 3, carry_add, some, set_carry),
                Form(f"subc.{t} {{d}}, {{a}}, {{b}}", t, (t,) * 3, ref_sub, some, set_borrow),
                Form(f"subc.cc.{t} z, {{a}}, {{b}}; subc.{t} {{d}}, 0, 0", t, (t,) * 3, lambda a, b, c, f=borrow, m=m: -f(a, b, c) & m, some, set_borrow),
                Form(f"add.cc.{t} {{d}}, {{a}}, {{b}}", t, (t,) * 2, lambda a, b, m=m: (a + b) & m),
                Form(f"add.cc.{t} z, {{a}}, {{b}}; addc.{t} {{d}}, 0, 0", t, (t,) * 2, lambda a, b, n=n: (a + b) >> n, pre=f".reg .b{n} z;"),
                Form(f"sub.cc.{t} {{d}}, {{a}}, {{b}}", t, (t,) * 2, lambda a, b, m=m: (a - b) & m),
                Form(f"sub.cc.{t} z, {{a}}, {{b}}; subc.{t} {{d}}, 5, 2", t, (t,) * 2, lambda a, b: 3 - (a < b), pre=f".reg .b{n} z;"),
                # mixed chains see the one flag of the hardware, the carry out of a + ~b + 1 (so ptxas assembles them)
                Form(f"sub.cc.{t} z, {{a}}, {{b}}; addc.{t} {{d}}, 5, 2", t, (t,) * 2, lambda a, b: 7 + (a >= b), pre=f".reg .b{n} z;"),
                Form(f"add.cc.{t} z, {{a}}, {{b}}; subc.{t} {{d}}, 5, 2", t, (t,) * 2, lambda a, b, n=n: 2 + (a + b >> n), pre=f".reg .b{n} z;")]  # fmt: skip
        for part, shift in (("lo", 0), ("hi", n)):
            product_ = lambda a, b, t=t, s=shift, m=m: (value(a, t) * value(b, t)) >> s & m  # noqa: E731
            mad = f"mad.{part}.cc.{t} "
            madc = f"madc.{part}"
            pre = set_carry.replace("{c}", "{e}")
            args = "{a}, {b}, {c}"
            out += [Form(mad + "{d}, " + args, t, (t,) * 3, lambda a, b, c, f=product_, m=m: (f(a, b) + c) & m),
                    Form(mad + "z, " + args + f"; addc.{t} {{d}}, 0, 0", t, (t,) * 3, lambda a, b, c, f=product_, n=n: (f(a, b) + c) >> n, pre=f".reg .b{n} z;"),
                    Form(f"{madc}.{t} {{d}}, {args}", t, (t,) * 4, lambda a, b, c, e, f=product_, m=m: (f(a, b) + c + (e != 0)) & m, {3: some[2]}, pre),
                    Form(f"{madc}.cc.{t} z, {args}; addc.{t} {{d}}, 0, 0", t, (t,) * 4,
                         lambda a, b, c, e, f=product_, n=n: (f(a, b) + c + (e != 0)) >> n, {3: some[2]}, pre)]  # fmt: skip
    return out


COMPARE = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b, "gt": lambda a, b: a > b,
           "ge": lambda a, b: a >= b}  # fmt: skip
UNSIGNED = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
BOOLOP = {"and": lambda p, q: p & q, "or": lambda p, q: p | q, "xor": lambda p, q: p ^ q}


def comparisons():
    out = []
    for t in ("b16", "u16", "s16", "b32", "u32", "s32", "b64", "u64", "s64"):
        names = list(COMPARE)[:2] if t[0] == "b" else [*COMPARE, *(UNSIGNED if t[0] == "u" else ())]
        for name in names:
            fn = COMPARE[UNSIGNED.get(name, name)]
            ref = lambda a, b, f=fn, t=t: int(f(value(a, t), value(b, t)))  # noqa: E731
            out.append(Form(f"setp.{name}.{t} {{d}}, {{a}}, {{b}}", "pred", (t, t), ref))
            if name in ("lt", "eq", "hi"):
                for op, g in BOOLOP.items():
                    both = lambda a, b, q, f=ref, g=g: (g(f(a, b), q), g(1 - f(a, b), q))  # noqa: E731
                    out.append(Form(f"setp.{name}.{op}.{t} {{d}}|{{p}}, {{a}}, {{b}}, {{c}}", "pred", (t, t, "pred"), both, second=True))
                    out.append(Form(f"setp.{name}.{op}.{t} {{d}}, {{a}}, {{b}}, !{{c}}", "pred", (t, t, "pred"), lambda a, b, q, f=ref, g=g: g(f(a, b), 1 - q)))
                    out.append(Form(f"set.{name}.{op}.s32.{t} {{d}}, {{a}}, {{b}}, {{c}}", "u32", (t, t, "pred"),
                                    lambda a, b, q, f=ref, g=g: -g(f(a, b), q) & MASK32))  # fmt: skip
            out.append(Form(f"set.{name}.u32.{t} {{d}}, {{a}}, {{b}}", "u32", (t, t), lambda a, b, f=ref: -f(a, b) & MASK32))
            out.append(Form(f"set.{name}.f32.{t} {{d}}, {{a}}, {{b}}", "f32", (t, t), lambda a, b, f=ref: 0x3F800000 * f(a, b)))
    for t in ("b16", "b32", "u64", "s16", "f32", "f64"):
        out.append(Form(f"selp.{t} {{d}}, {{a}}, {{b}}, {{c}}", t, (t, t, "pred"), lambda a, b, c: a if c else b))
        out.append(Form(f"slct.{t}.s32 {{d}}, {{a}}, {{b}}, {{c}}", t, (t, t, "s32"), lambda a, b, c: a if value(c, "s32") >= 0 else b))
        for ftz in ("", ".ftz"):
            def slct(a, b, c, ftz=ftz):
                x = h.num(h.flush(c, "f32") if ftz else c, "f32")
                return a if x.kind != "q" and (not x.neg or (x.kind == "n" and x.m == 0)) else b

            out.append(Form(f"slct{ftz}.{t}.f32 {{d}}, {{a}}, {{b}}, {{c}}", t, (t, t, "f32"), slct))
    return out


GROUPS = {"arithmetic": arithmetic(), "bitwise": bitwise(), "carries": carries(), "comparisons": comparisons()}


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
@pytest.mark.parametrize("group", GROUPS)
def test_integers(group, mode):
    assert_forms(GROUPS[group], mode)
