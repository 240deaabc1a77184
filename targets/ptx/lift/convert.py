"""Moves and conversions (PTX ISA 9.7.9.3–7, 9.7.9.20–22): mov, prmt, cvt, cvt.pack, cvta, isspacep, mapa.

The small float formats are written as integer arithmetic: a value is n·2^(E−m) with n below 2^(m+1), and (E−emin)·2^m + n is its encoding,
also where rounding carries n up to 2^(m+1).
"""
from __future__ import annotations

from typing import NamedTuple

from ....ir.instr import Value
from ....ir.types import BF16, F16, F32, I1, I8, I16, I32, I64, I128, Scalar
from ..syntax import Imm, Reg, Sym, Vec
from .alu import field, halves, joined
from .core import _INT, BYTES, Body, X, ir_type, lifts
from .floats import RND, canonical, clamped, flushed, relu

ROUND = {"rni": "rn", "rzi": "rz", "rmi": "rm", "rpi": "rp"}
INTEGRAL = {"rni": "frint", "rzi": "ftrunc", "rmi": "ffloor", "rpi": "fceil"}


# ---- mov ------------------------------------------------------------------------------------------------------------


@lifts("mov")
def mov(x: X) -> None:
    b = x.b
    vec, t = x.pick("v2", "v4"), x.type()
    d, s = x.operand(0), x.operand(1)
    if vec:
        values = [b.source(o, t) for o in s.items]
        for o, v in zip(d.items, values):
            x.put(o, v)
    elif isinstance(s, Vec) and len(s.items) > 1:  # pack
        total = BYTES[t]
        part = total // len(s.items)
        if part * len(s.items) != total or part not in _INT:
            raise x.bad(f"{len(s.items)} parts do not make {8 * total} bits")
        wide = _INT[total]
        out = None
        for k, o in enumerate(s.items):
            v = b.make("zext", b.bits(b.source(o, f"b{8 * part}")), to=wide)
            v = b.make("shl", v, b.const(wide, 8 * part * k)) if k else v
            out = v if out is None else b.either(out, v)
        assert out is not None
        x.put(d, out)
    elif isinstance(d, Vec) and len(d.items) > 1:  # unpack
        v = b.bits(b.source(s, t))
        part = BYTES[t] // len(d.items)
        if part * len(d.items) != BYTES[t] or part not in _INT:
            raise x.bad(f"{8 * BYTES[t]} bits do not make {len(d.items)} parts")
        for k, o in enumerate(d.items):
            w = b.make("shr_u", v, b.const(v.type, 8 * part * k)) if k else v
            x.put(o, b.resize(w, _INT[part]))
    elif isinstance(s, Sym) and s.decl is not None and s.decl.space == "param":
        space, v = b.variable(s.decl)
        x.put(d, b.make("to_generic", v, space=space) if space in ("local", "shared") else b.resize(v, ir_type(t)))
    else:
        x.put(d, b.source(s, t))


@lifts("prmt")
def prmt(x: X) -> None:
    b = x.b
    mode = x.pick("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
    x.type()
    a, c, s = x.src(1, "b32"), x.src(2, "b32"), x.src(3, "b32")
    known = x.operand(3)
    if not mode and isinstance(known, Imm):
        x.dst(0, _bytes(b, a, c, [(known.value >> (4 * k)) & 15 for k in range(4)]))
        return
    w = joined(b, a, c)
    r = b.const(I32, 0)
    for k in range(4):
        if mode:
            table = TABLE[mode]
            index = b.const(I32, 0)
            low = b.both(s, b.const(I32, 3))
            for n in range(4):
                index = b.make("select", b.make("icmp", low, b.const(I32, n), pred="eq"), b.const(I32, table[n][k]), index)
            sel = index
        else:
            sel = b.both(b.make("shr_u", s, b.const(I32, 4 * k)), b.const(I32, 15))
        at = b.resize(b.make("shl", b.both(sel, b.const(I32, 7)), b.const(I32, 3)), I64)
        byte = b.both(b.resize(b.make("shr_u", w, at), I32), b.const(I32, 255))
        if not mode:
            sign = b.make("shr_s", b.make("shl", byte, b.const(I32, 24)), b.const(I32, 31))
            replicate = b.make("icmp", b.both(sel, b.const(I32, 8)), b.const(I32, 0), pred="ne")
            byte = b.make("select", replicate, b.both(sign, b.const(I32, 255)), byte)
        r = b.either(r, b.make("shl", byte, b.const(I32, 8 * k)))
    x.dst(0, r)


# mode → for each selector, the source of bytes 0 … 3
TABLE = {"f4e": [(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 6)], "b4e": [(0, 7, 6, 5), (1, 0, 7, 6), (2, 1, 0, 7), (3, 2, 1, 0)],
         "rc8": [(k,) * 4 for k in range(4)], "ecl": [(0, 1, 2, 3), (1, 1, 2, 3), (2, 2, 2, 3), (3, 3, 3, 3)],
         "ecr": [(0, 0, 0, 0), (0, 1, 1, 1), (0, 1, 2, 2), (0, 1, 2, 3)], "rc16": [(0, 1, 0, 1), (2, 3, 2, 3)] * 2}  # fmt: skip


def _bytes(b: Body, a: Value, c: Value, selectors: list[int]) -> Value:
    r: Value | None = None
    for k, s in enumerate(selectors):
        v = a if s & 7 < 4 else c
        at = 8 * (s & 3)
        if s & 8:
            byte = b.both(b.make("shr_s", b.make("shl", v, b.const(I32, 24 - at)), b.const(I32, 31)), b.const(I32, 255 << (8 * k)))
        else:
            moved = v
            if 8 * k > at:
                moved = b.make("shl", v, b.const(I32, 8 * k - at))
            elif at > 8 * k:
                moved = b.make("shr_u", v, b.const(I32, at - 8 * k))
            byte = b.both(moved, b.const(I32, 255 << (8 * k)))
        r = byte if r is None else b.either(r, byte)
    assert r is not None
    return r


# ---- address spaces -------------------------------------------------------------------------------------------------


def space_of(x: X) -> str:
    """The state space among the modifiers, or ''."""
    for word in list(x.words):
        head = word.partition("::")[0]
        if head in ("global", "shared", "local", "const", "param"):
            x.words.remove(word)
            return "cluster" if word == "shared::cluster" else head
    return ""


def stated(x: X) -> str:
    found = space_of(x)
    if not found:
        raise x.bad("one of .global, .shared, .local, .const, .param is missing")
    return found


@lifts("cvta")
def cvta(x: X) -> None:
    b = x.b
    back, o = x.flag("to"), x.operand(1)
    space = space_of(x) if not back and isinstance(o, Sym) and o.decl is not None else stated(x)
    t = x.type()
    if back:
        v = b.source(o, t)
        x.dst(0, b.resize(b.make("from_generic", b.resize(v, I64), space=space), ir_type(t)))
        return
    if isinstance(o, Sym) and o.decl is not None:
        space, v = b.variable(o.decl)
        if space == "generic":
            x.dst(0, v)
            return
    else:
        v = b.source(o, t)
    x.dst(0, b.resize(b.make("to_generic", v, space=space), ir_type(t)))


@lifts("isspacep")
def isspacep(x: X) -> None:
    space = stated(x)
    x.dst(0, x.b.make("is_space", x.b.resize(x.b.source(x.operand(1), "u64"), I64), space=space))


@lifts("mapa")
def mapa(x: X) -> None:
    """The address of the same place in another block of the cluster."""
    b, shared = x.b, space_of(x)
    t = x.type()
    o = x.operand(1)
    own = isinstance(o, Sym) and o.decl is not None and o.decl.space == "shared"
    v = b.source(o, t)
    rank = b.make("iadd", x.src(2, "u32"), b.const(I32, 1))
    if not shared and not own:
        v = b.make("from_generic", v, space="cluster")
    low = b.both(b.resize(v, I32), b.const(I32, 0xFFFFFF))
    r = b.either(low, b.make("shl", rank, b.const(I32, 24)))
    x.dst(0, b.resize(r, ir_type(t)) if shared else b.make("to_generic", r, space="cluster"))


@lifts("getctarank")
def getctarank(x: X) -> None:
    b, shared = x.b, space_of(x)
    t = x.type()
    v = x.src(1, t)
    if not shared:
        v = b.make("from_generic", v, space="cluster")
    rank = b.make("shr_u", b.resize(v, I32), b.const(I32, 24))
    mine = b.make("sreg", name="cluster_ctarank")
    x.dst(0, b.make("select", b.make("icmp", rank, b.const(I32, 0), pred="eq"), mine, b.make("isub", rank, b.const(I32, 1))))


# ---- cvt ------------------------------------------------------------------------------------------------------------


class Small(NamedTuple):
    """A float format of up to 8 bits: exponent and mantissa bits, largest finite encoding, NaN (None: becomes the largest)."""

    ebits: int
    mant: int
    top: int
    nan: int | None

    @property
    def emin(self) -> int:
        return 2 - (1 << (self.ebits - 1)) if self.ebits > 2 else 0

    @property
    def bits(self) -> int:
        return 1 + self.ebits + self.mant


SMALL = {"e4m3": Small(4, 3, 0x7E, 0x7F), "e5m2": Small(5, 2, 0x7B, 0x7F), "e2m3": Small(2, 3, 0x1F, None), "e3m2": Small(3, 2, 0x1F, None),
         "e2m1": Small(2, 1, 0x7, None)}  # fmt: skip
HALF = Small(5, 10, 0x7BFF, 0x7FFF)


def encode(b: Body, v: Value, f: Small, rel: bool = False, random: tuple[Value, int] | None = None, saturate: bool = True) -> Value:
    """f32 → encoding in the low bits of an i32; to nearest even, or by adding `random` (value, bits) to what is cut off."""
    if rel:
        v = relu(b, v)
    bits = b.bits(v)
    sign = b.both(b.make("shr_u", bits, b.const(I32, 32 - f.bits)), b.const(I32, 1 << (f.bits - 1)))
    a = b.make("fabs", v)
    e = b.make("isub", b.make("shr_u", b.bits(a), b.const(I32, 23)), b.const(I32, 127))
    e = b.make("imax_s", e, b.const(I32, f.emin))
    scale = b.cast(b.make("shl", b.make("isub", b.const(I32, 127 + f.mant), e), b.const(I32, 23)), F32)
    q = b.make("fmul", a, scale, rnd="rn")
    if random is None:
        n = b.make("ftos", b.make("frint", q), to=I32)
    else:
        r, k = random
        fine = b.make("ftos", b.make("fmul", q, b.const(F32, float(1 << k)), rnd="rn"), to=I32)
        n = b.make("shr_u", b.make("iadd", fine, r), b.const(I32, k))
    code = b.make("iadd", b.make("shl", b.make("isub", e, b.const(I32, f.emin)), b.const(I32, f.mant)), n)
    over = b.make("icmp", code, b.const(I32, f.top), pred="ugt")
    over = b.either(over, b.make("fcmp", a, b.const(F32, float("inf")), pred="oeq"))
    code = b.make("select", over, b.const(I32, f.top if saturate else ((1 << f.ebits) - 1) << f.mant), code)
    nan = b.make("fcmp", v, v, pred="uno")
    out = b.either(code, sign)
    return b.make("select", nan, b.const(I32, f.top if f.nan is None else f.nan), out)  # type: ignore[no-any-return]


def decode(b: Body, code: Value, f: Small) -> Value:
    """The low bits of an i32 → f32."""
    mag = b.both(code, b.const(I32, (1 << (f.bits - 1)) - 1))
    sign = b.make("shl", b.both(code, b.const(I32, 1 << (f.bits - 1))), b.const(I32, 32 - f.bits))
    bias = (1 << (f.ebits - 1)) - 1
    small = b.cast(b.make("shl", mag, b.const(I32, 23 - f.mant)), F32)
    r = b.make("fmul", small, b.const(F32, 2.0 ** (127 - bias)), rnd="rn")
    if f.nan is not None:
        r = b.make("select", b.make("icmp", mag, b.const(I32, f.top), pred="ugt"), b.const(F32, float("nan")), r)
        if f.ebits == 5:
            r = b.make("select", b.make("icmp", mag, b.const(I32, 0x7C), pred="eq"), b.const(F32, float("inf")), r)
    return b.cast(b.either(b.bits(r), sign), F32)


def narrow(b: Body, v: Value, t: str, rnd: str, rel: bool, finite: bool) -> Value:
    """f32 → f16 or bf16 (as bits)."""
    ty = ir_type(t)
    r = b.make("fcvt", v, to=ty, rnd=None if rnd == "rn" else rnd)
    if rel:
        r = b.make("fcvt", relu(b, b.make("fcvt", r, to=F32)), to=ty)
    if finite:
        top = 0x7BFF if ty is F16 else 0x7F7F
        w = b.bits(r)
        mag, sign = b.both(w, b.const(I16, 0x7FFF)), b.both(w, b.const(I16, -0x8000))
        inf = b.make("icmp", mag, b.const(I16, top + 1), pred="eq")
        r = b.cast(b.make("select", inf, b.either(sign, b.const(I16, top)), w), ty)
    return b.bits(canonical(b, r))


def tf32(b: Body, v: Value, rnd: str, rel: bool, finite: bool) -> Value:
    """f32 with its mantissa rounded to 10 bits (the low 13 become zero)."""
    if rel:
        v = relu(b, v)
    w = b.bits(v)
    if rnd == "rna":
        up = b.make("iadd", w, b.const(I32, 0x1000))
    elif rnd == "rz":
        up = w
    else:
        lsb = b.both(b.make("shr_u", w, b.const(I32, 13)), b.const(I32, 1))
        up = b.make("iadd", b.make("iadd", w, b.const(I32, 0xFFF)), lsb)
    r = b.both(up, b.const(I32, ~0x1FFF))
    if finite:
        mag = b.both(r, b.const(I32, 0x7FFFFFFF))
        big = b.make("icmp", mag, b.const(I32, 0x7F7FE000), pred="ugt")
        r = b.make("select", big, b.either(b.both(w, b.const(I32, -0x80000000)), b.const(I32, 0x7F7FE000)), r)
    special = b.make("icmp", b.both(w, b.const(I32, 0x7F800000)), b.const(I32, 0x7F800000), pred="eq")
    nan = b.make("fcmp", v, v, pred="uno")
    kept = w if not finite else b.make("select", nan, w, r)
    r = b.make("select", special, kept, r)
    return b.make("select", nan, b.const(I32, 0x7FFFFFFF), r)  # type: ignore[no-any-return]


@lifts("cvt")
def cvt(x: X) -> None:
    if x.flag("pack"):
        _pack(x)
        return
    b = x.b
    integral = x.pick(*ROUND)
    rnd = x.pick(*RND, "rna", "rs")
    ftz, sat, finite, rel = x.flag("ftz"), x.flag("sat"), x.flag("satfinite"), x.flag("relu")
    to, t = x.types()
    if to in ("f16x2", "bf16x2") and t == "f32":
        _two(x, to, rnd, rel, finite)
        return
    if to[-2:] in ("x2", "x4") or t[-2:] in ("x2", "x4"):
        _small(x, to, t, rnd, rel, finite)
        return
    if to == "tf32":
        x.dst(0, tf32(b, x.src(1, "f32"), rnd, rel, finite))
        return
    v = x.src(1, t)
    if to in ("f16", "bf16") and t == "f32" and (rel or finite):
        x.dst(0, narrow(b, v, to, rnd, rel, finite))
        return
    have, want = ir_type(t), ir_type(to)
    if have.is_float and want.is_float:
        if integral:
            r = b.make(INTEGRAL[integral], flushed(b, v) if ftz else v)
            r = canonical(b, b.make("fcvt", r, to=want) if want is not have else r)
        elif want is have:
            r = flushed(b, v) if ftz else v
        else:
            v = flushed(b, v) if ftz and have is F32 else v
            if have.bits == want.bits == 16:
                v = b.make("fcvt", v, to=F32)  # exact
            r = b.make("fcvt", v, to=want, rnd=directed(rnd))
            r = flushed(b, r) if ftz and want is F32 else canonical(b, r)
        x.dst(0, clamped(b, r) if sat else r)
    elif have.is_float:
        r = b.make("ftos" if to[0] == "s" else "ftou", flushed(b, v) if ftz else v, to=want, rnd=ROUND.get(integral, "rz"))
        if t == "f64" or want.bits == 64:  # NaN: zero in 32 bits and below, else the top bit alone
            nan = b.make("fcmp", v, v, pred="uno")
            r = b.make("select", nan, b.const(want, 1 << (want.bits - 1)), r)
        x.dst(0, r, to[0] == "s")
    elif want.is_float:
        name = "stof" if t[0] == "s" else "utof"
        if directed(rnd) and want.bits == 16:  # two steps in the same direction are one
            r = b.make("fcvt", b.make(name, v, to=F32, rnd=rnd), to=want, rnd=rnd)
        else:
            r = b.make(name, v, to=want, rnd=directed(rnd))
        x.dst(0, clamped(b, r) if sat else r)
    else:
        x.dst(0, _integer(b, v, t, to, sat), to[0] == "s")


def directed(rnd: str) -> str | None:
    return rnd if rnd in ("rz", "rm", "rp") else None


def _integer(b: Body, v: Value, t: str, to: str, sat: bool) -> Value:
    want = ir_type(to)
    if not sat:
        return b.resize(v, want, t[0] == "s")
    w = b.resize(v, I128 if I64 in (v.type, want) else I64, t[0] == "s")
    lo, hi = (-(1 << (want.bits - 1)), (1 << (want.bits - 1)) - 1) if to[0] == "s" else (0, (1 << want.bits) - 1)
    w = b.make("imin_s", b.make("imax_s", w, b.const(w.type, lo)), b.const(w.type, hi))
    return b.resize(w, want)


def _two(x: X, to: str, rnd: str, rel: bool, finite: bool) -> None:
    """Two f32 into a pair: the first operand goes into the upper half."""
    b, t = x.b, to[:-2]
    hi, lo = x.src(1, "f32"), x.src(2, "f32")
    if rnd == "rs":
        random = x.src(3, "b32")
        k = 13 if t == "f16" else 16
        parts = []
        for v, at in ((lo, 0), (hi, 16)):
            r = b.both(b.make("shr_u", random, b.const(I32, at)), b.const(I32, (1 << k) - 1))
            if t == "f16":
                parts.append(b.resize(encode(b, v, HALF, rel, (r, k), finite), I16))
            else:
                v = relu(b, v) if rel else v
                w = b.bits(v)
                special = b.make("icmp", b.both(w, b.const(I32, 0x7F800000)), b.const(I32, 0x7F800000), pred="eq")
                up = b.make("select", special, w, b.make("iadd", w, r))
                h = b.make("shr_u", up, b.const(I32, 16))
                if finite:
                    big = b.make("icmp", b.both(h, b.const(I32, 0x7FFF)), b.const(I32, 0x7F80), pred="eq")
                    h = b.make("select", big, b.either(b.both(h, b.const(I32, 0x8000)), b.const(I32, 0x7F7F)), h)
                h = b.make("select", b.make("fcmp", v, v, pred="uno"), b.const(I32, 0x7FFF), h)
                parts.append(b.resize(h, I16))
        x.dst(0, joined(b, parts[0], parts[1]))
        return
    x.dst(0, joined(b, narrow(b, lo, t, rnd, rel, finite), narrow(b, hi, t, rnd, rel, finite)))


def _small(x: X, to: str, t: str, rnd: str, rel: bool, finite: bool) -> None:
    b = x.b
    if "s2f6x2" in (to, t):
        _fixed(x, to, t, rel, finite)
        return
    if to == "ue8m0x2":
        x.dst(0, _ue8m0(x, t, rnd, finite))
        return
    if t == "ue8m0x2":
        code = x.src(1, "b16")
        parts = []
        for k in (0, 8):
            e = b.both(b.make("shr_u", code, b.const(I16, k)), b.const(I16, 255))
            w = b.make("shl", e, b.const(I16, 7))
            w = b.make("select", b.make("icmp", e, b.const(I16, 0), pred="eq"), b.const(I16, 0x40), w)
            parts.append(b.make("select", b.make("icmp", e, b.const(I16, 255), pred="eq"), b.const(I16, 0x7FFF), w))
        x.dst(0, joined(b, *parts))
        return
    name = (to if to[:4] in SMALL else t)[:4]
    f, count = SMALL[name], int(to[-1])
    width = 4 if name == "e2m1" else 8
    if t[:4] in SMALL:  # → f16x2
        code = b.resize(b.source(x.operand(1), "b8" if width == 4 else "b16"), I32)
        parts = []
        for k in range(2):
            v = decode(b, b.both(b.make("shr_u", code, b.const(I32, width * k)), b.const(I32, (1 << width) - 1)), f)
            v = relu(b, v) if rel else v
            parts.append(b.bits(canonical(b, b.make("fcvt", v, to=F16 if to == "f16x2" else BF16))))
        x.dst(0, joined(b, *parts))
        return
    if t == "f32":
        o = x.operand(1)
        sources = [b.source(i, "f32") for i in o.items] if isinstance(o, Vec) else [x.src(n, "f32") for n in range(1, 1 + count)]
        sources.reverse()  # the last operand goes into the lowest part
    else:
        low, high = halves(b, x.src(1, "b32"))
        sources = [b.make("fcvt", b.cast(v, ir_type(t[:-2])), to=F32) for v in (low, high)]
    random = x.src(2, "b32") if rnd == "rs" else None
    r = b.const(I32, 0)
    for k, v in enumerate(sources):
        extra = None
        if random is not None:
            at, bits = (16 * (k % 2) + 8 * (k >= 2), 8) if width == 4 else (16 * (k >= 2), 16)
            extra = (b.both(b.make("shr_u", random, b.const(I32, at)), b.const(I32, (1 << bits) - 1)), bits)
        r = b.either(r, b.make("shl", encode(b, v, f, rel, extra), b.const(I32, width * k)))
    x.dst(0, b.resize(r, _INT[max(1, width * count // 8)]))


def _fixed(x: X, to: str, t: str, rel: bool, finite: bool) -> None:
    """s2f6: a byte of two's complement counts 64ths.  Down, a number is divided by its scale, rounded once and saturates, NaN to the greatest; up, it is
    multiplied by it.  A scale is a power of two, so only what is far below half a 64th loses bits on the way."""
    b = x.b
    scaled = x.flag("scaled::n2::ue8m0")
    at = 3 if t == "f32" else 2
    if x.count != at + scaled:
        raise x.bad(f"{at + scaled} operands are expected, not {x.count}")
    codes = x.src(at, "b16") if scaled else b.const(I16, 0x7F7F)

    def factor(k: int, down: bool) -> Value:
        """2 to the power of the exponent, or of minus it, as f32."""
        e = b.both(b.resize(b.make("shr_u", codes, b.const(I16, 8 * k)) if k else codes, I32), b.const(I32, 255))
        p = b.make("isub", b.const(I32, 254), e) if down else e
        w = b.make("select", b.make("icmp", p, b.const(I32, 0), pred="eq"), b.const(I32, 1 << 22), b.make("shl", p, b.const(I32, 23)))  # 2^-127 is subnormal
        return b.cast(b.make("select", b.make("icmp", e, b.const(I32, 255), pred="eq"), b.const(I32, 0x7FC00000), w), F32)

    parts: list[Value] = []
    if t == "s2f6x2":
        code = x.src(1, "b16")
        for k in (0, 1):
            low = b.make("itrunc", b.make("shr_u", code, b.const(I16, 8 * k)) if k else code, to=I8)
            v = b.make("fmul", b.make("stof", low, to=F32), b.const(F32, 1 / 64))
            parts.append(narrow(b, b.make("fmul", v, factor(k, False)), "bf16", "rn", rel, finite))
        x.dst(0, joined(b, *parts))
        return
    if not finite:
        raise x.bad(".satfinite is missing")
    sources = [x.src(2, "f32"), x.src(1, "f32")] if t == "f32" else [b.make("fcvt", b.cast(v, BF16), to=F32) for v in halves(b, x.src(1, "b32"))]
    for k, v in enumerate(sources):
        v = b.make("fmul", b.make("fmul", v, factor(k, True)), b.const(F32, 64.0))
        r = b.make("ftos", relu(b, v) if rel else v, to=I8, rnd="rn")
        parts.append(b.make("select", b.make("fcmp", v, v, pred="uno"), b.const(I8, 127), r))
    x.dst(0, joined(b, *parts))


def _ue8m0(x: X, t: str, rnd: str, finite: bool) -> Value:
    """Exponents only: rz takes the power of two below, rp the one above; the least is 2^-127, and 255 is NaN."""
    b = x.b
    if t == "f32":
        sources = [x.src(2, "f32"), x.src(1, "f32")]
    else:
        sources = [b.make("fcvt", b.cast(v, BF16), to=F32) for v in halves(b, x.src(1, "b32"))]
    parts = []
    for v in sources:
        w = b.both(b.bits(v), b.const(I32, 0x7FFFFFFF))
        if rnd == "rp":
            least = b.make("icmp", w, b.const(I32, 0x400000), pred="ule")
            w = b.make("select", least, b.const(I32, 0), b.make("iadd", w, b.const(I32, 0x7FFFFF)))
        e = b.make("imin_u", b.make("shr_u", w, b.const(I32, 23)), b.const(I32, 254 if finite else 255))
        e = b.make("select", b.make("fcmp", v, v, pred="uno"), b.const(I32, 255), e)
        parts.append(b.resize(e, I8))
    return joined(b, *parts)


def _pack(x: X) -> None:
    """cvt.pack.sat: two integers saturated to 2, 4, 8 or 16 bits, packed above the bits of c."""
    b = x.b
    x.flag("sat")
    small = x.pick("u2", "s2", "u4", "s4")
    ts = x.types()
    to = small or ts.pop(0)
    source = ts[0]
    a, c = x.src(1, source), x.src(2, source)
    width = int(to[1:])
    lo, hi = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if to[0] == "s" else (0, (1 << width) - 1)
    parts = []
    for v in (a, c):
        w = b.resize(v, I64, source[0] == "s")
        w = b.make("imin_s", b.make("imax_s", w, b.const(I64, lo)), b.const(I64, hi))
        parts.append(b.both(b.resize(w, I32), b.const(I32, (1 << width) - 1)))
    r = b.either(parts[1], b.make("shl", parts[0], b.const(I32, width)))
    if len(ts) > 1:
        r = b.either(r, b.make("shl", x.src(3, "b32"), b.const(I32, 2 * width)))
    x.dst(0, r)


_ = (I1, Reg, Scalar, field)
