"""Runs single PTX instructions on arrays of operands, and rounds exactly.

A `Form` is one statement with its operand types and a reference on raw bits (Python ints); many forms make one kernel, one thread per test
vector.  References use Python integers and the dyadic numbers below (sign, mantissa, exponent), never this package's own arithmetic.
"""
from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import ptxjit as pj

THREADS = 320
MARK = ""  # a comment behind the line of each form: for tests/mutants.py
BITS = {"pred": 1, "f16x2": 32, "bf16x2": 32, "f32x2": 64, "u16x2": 32, "s16x2": 32, "bf16": 16}
Reference = Callable[..., Any]


def bits_of(t: str) -> int:
    return BITS.get(t) or int("".join(c for c in t if c.isdigit()))


class Form(NamedTuple):
    """`text` has {d} (and {p}, a second, predicate result), {a}, {b}, {c}, {e}; `out` and `ins` are types of the registers.

    ref    raw bits of the operands → raw bits of the result; None where any result is right; a callable which judges
    regs   operands that differ from the default vectors: position → list of raw bits
    """

    text: str
    out: str
    ins: tuple[str, ...]
    ref: Reference
    regs: dict[int, Sequence[int]] = {}
    pre: str = ""
    second: bool = False
    nan: str = ""  # 'f32', 'f64': results that are NaN are equal whatever their bits

    @property
    def opcode(self) -> str:
        return re.sub(r"^@!?\S+\s+", "", self.text.replace("{{", "").strip()).split()[0].split(".")[0]


# ---- operands -------------------------------------------------------------------------------------------------------


def _ints(n: int) -> list[int]:
    top = (1 << n) - 1
    return [0, 1, 2, 3, 7, n - 1, n, n + 1, 31 & top, 32 & top, top, top - 1, top >> 1, (top >> 1) + 1, 0x80 & top, 0x5A5A5A5A5A5A5A5A & top]


SPECIAL = {
    "f16": [0, 0x8000, 1, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x3C01, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7E00, 0x3555, 0xC500, 0x7FFF],
    "bf16": [0, 0x8000, 1, 0x807F, 0x0080, 0x3F80, 0xBF80, 0x3F81, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0, 0x3EAB, 0xC0A0, 0x7FFF],
    "f32": [0, 1 << 31, 1, 0x807FFFFF, 0x00800000, 0x3F800000, 0xBF800000, 0x3F800001, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000,
            0x3EAAAAAB, 0xC2F6E979, 0x3F000000],
    "f64": [0, 1 << 63, 1, 0x800FFFFFFFFFFFFF, 0x0010000000000000, 0x3FF0000000000000, 0xBFF0000000000000, 0x3FF0000000000001, 0x7FEFFFFFFFFFFFFF,
            0xFFEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0x3FD5555555555555, 0xC05EDD2F1A9FBE77, 0x3FE0000000000000],
}  # fmt: skip


def special(t: str) -> list[int]:
    """Sixteen operands of a type that go wrong first."""
    if t in SPECIAL:
        return SPECIAL[t]
    if t in ("f16x2", "bf16x2"):
        s = SPECIAL[t[:-2]]
        return [lo | hi << 16 for lo, hi in zip(s, s[5:] + s[:5])]
    if t == "f32x2":
        s = SPECIAL["f32"]
        return [lo | hi << 32 for lo, hi in zip(s, s[5:] + s[:5])]
    if t == "pred":
        return [0, 1] * 8
    return _ints(bits_of(t))


def _random(t: str, r: random.Random) -> int:
    n = bits_of(t)
    w = r.getrandbits(n)
    if t in ("f32", "f64") and r.random() < 0.7:  # near each other, so that sums round
        v = np.float64(r.uniform(-4, 4))
        return int(v.astype(np.float32).view(np.uint32)) if t == "f32" else int(v.view(np.uint64))
    if t == "f16" and r.random() < 0.7:
        return int(np.float16(r.uniform(-4, 4)).view(np.uint16))
    if t == "bf16" and r.random() < 0.7:
        return int(np.float32(r.uniform(-4, 4)).view(np.uint32)) >> 16
    if r.random() < 0.3:
        w &= (1 << r.randint(0, n)) - 1
    return w


def vectors(t: str, position: int, n: int = THREADS) -> list[int]:
    """Operands of one position: all pairs of special values in positions 0 and 1, mixtures elsewhere, then random ones."""
    r = random.Random(f"{t} {position}")
    s = special(t)
    if position == 0:
        head = [s[k // 16 % 16] for k in range(256)]
    elif position == 1:
        head = [s[k % 16] for k in range(256)]
    else:
        head = [s[(5 * k + k // 16 * (position + 2)) % 16] if r.random() < 0.8 else _random(t, r) for k in range(256)]
    return (head + [_random(t, r) for _ in range(n - 256)])[:n]


# ---- running --------------------------------------------------------------------------------------------------------

REG = {"pred": "pred", 8: "b16", 16: "b16", 32: "b32", 64: "b64"}
HEAD = ".version 9.1\n.target sm_100a\n.address_size 64\n.const .align 8 .b64 konst[2] = {0x0123456789ABCDEF, 0xFEDCBA9876543210};\n"
CELLS = f"""	.shared .align 16 .b8 scells[{16 * 64}];
	.local .align 16 .b8 lcell[16];
	.reg .b32 cs, cl;  .reg .b64 cg, gs, gl;
	mov.u32 cl, %tid.x;  mov.u32 cs, scells;  mad.lo.u32 cs, cl, 16, cs;  mov.u32 cl, lcell;
	mul.wide.u32 cg, tid, 16;  mov.u64 gs, gcells;  add.u64 cg, cg, gs;
	cvt.u64.u32 gs, cs;  cvta.shared.u64 gs, gs;  cvt.u64.u32 gl, cl;  cvta.local.u64 gl, gl;
"""
HEAD += f".global .align 16 .b8 gcells[{16 * THREADS}];\n"


def kernel_text(forms: Sequence[Form], name: str, columns: dict[Any, int]) -> str:
    """One kernel with all forms; `columns` numbers the operand arrays that it needs."""
    lines = [f".visible .entry {name}(.param .u64 pi, .param .u64 po)", "{", "\t.reg .b64 in, out, t64;", "\t.reg .b32 tid, ctaid, n;",
             "\tld.param.u64 in, [pi];", "\tld.param.u64 out, [po];", "\tmov.u32 tid, %tid.x;", "\tmov.u32 ctaid, %ctaid.x;", "\tmov.u32 n, %ntid.x;",
             "\tmad.lo.u32 tid, ctaid, n, tid;", "\tmul.wide.u32 t64, tid, 8;", "\tadd.u64 in, in, t64;", "\tadd.u64 out, out, t64;"]  # fmt: skip
    if any(re.search(r"\[(c[gsl]|g[sl])\b", f.pre + f.text) for f in forms):  # cells of 16 bytes: global, shared, local, and generic addresses of these
        lines.append(CELLS)
    for k, f in enumerate(forms):
        lines.append("\t{")
        names = {}
        for at, (letter, t) in enumerate(zip("abce", f.ins)):
            key = (t, at, tuple(f.regs[at])) if at in f.regs else (t, at)
            offset = 8 * THREADS * columns.setdefault(key, len(columns))
            names[letter] = letter
            w = bits_of(t)
            lines.append(f"\t\t.reg .{'f' + str(w) if t in ('f32', 'f64') else REG.get(t) or REG[w]} {letter};")
            if t == "pred":
                lines.append(f"\t\t.reg .b16 {letter}w; ld.global.u8 {letter}w, [in+{offset}]; setp.ne.u16 {letter}, {letter}w, 0;")
            else:
                lines.append(f"\t\tld.global.{'f' if t in ('f32', 'f64') else 'b'}{w} {letter}, [in+{offset}];")
        w = bits_of(f.out)
        at = 8 * THREADS * k
        lines.append(f"\t\t.reg .{'f' + str(w) if f.out in ('f32', 'f64') else REG.get(f.out) or REG[w]} d; .reg .pred p; .reg .b32 w;")
        if f.pre:
            lines.append("\t\t" + f.pre.format(d="d", p="p", **names))
        lines.append("\t\t" + f.text.format(d="d", p="p", **names) + ";" + MARK)
        if f.out == "pred":
            lines.append(f"\t\tselp.u32 w, 1, 0, d; st.global.u32 [out+{at}], w;")
        else:
            lines.append(f"\t\tst.global.{'f' if f.out in ('f32', 'f64') else 'b'}{w} [out+{at}], d;")
        if f.second:
            lines.append(f"\t\tselp.u32 w, 1, 0, p; st.global.u32 [out+{at + 4}], w;")
        lines.append("\t}")
    return "\n".join([*lines, "\tret;", "}", ""])


def results(forms: Sequence[Form], mode: str = "auto", head: str = HEAD, grid: int = THREADS // 64, block: int = 64, device: str = "cpu") -> tuple[Any, Any]:
    """(operands, results): arrays of raw bits, one row per column and per form."""
    columns: dict[Any, int] = {}
    text = head + kernel_text(forms, "k", columns)
    operands = np.zeros((max(1, len(columns)), THREADS), np.uint64)
    for key, row in columns.items():
        values = list(key[2]) if len(key) > 2 else vectors(key[0], key[1])
        operands[row] = np.array([v for v, _ in zip(itertools.cycle(values), range(THREADS))], np.uint64)
    out = np.zeros((len(forms), THREADS), np.uint64)
    module = pj.load_ptx(text, device=device)
    module.mode = mode
    module["k"][grid, block](operands, out)
    return {key: operands[row].tolist() for key, row in columns.items()}, out.tolist()


def is_nan(bits: int, t: str) -> bool:
    f = FORMATS[t]
    return bits & ((1 << (f.bits - 1)) - 1) > f.inf


def check(forms: Sequence[Form], mode: str = "auto", per: int = 40) -> list[str]:
    """What differs, by form: empty if nothing."""
    wrong = []
    for at in range(0, len(forms), per):
        part = list(forms[at : at + per])
        operands, out = results(part, mode)
        for f, row in zip(part, out):
            wrong += _judge(f, operands, row)
    return wrong


def _judge(f: Form, operands: dict[Any, list[int]], row: list[int]) -> list[str]:
    args = [operands[(t, k, tuple(f.regs[k])) if k in f.regs else (t, k)] for k, t in enumerate(f.ins)]
    bad, first = 0, ""
    for k, got in enumerate(row):
        mine = [a[k] for a in args]
        want = f.ref(*mine)
        if want is None:
            continue
        if f.second and isinstance(want, tuple):
            want = want[0] | want[1] << 32
        if callable(want):
            ok = want(got)
        elif f.nan and is_nan(want, f.nan):
            ok = is_nan(got, f.nan)
        else:
            ok = got == want
        if not ok:
            bad += 1
            first = first or f"{', '.join(f'{m:#x}' for m in mine)} → {got:#x}, expected {want if callable(want) else hex(want)}"
    return [f"{f.text}: {bad} of {len(row)} differ; {first}"] if bad else []


def check_lanes(forms: Sequence[Form], threads: int, mode: str, head: str = HEAD, device: str = "cpu") -> list[str]:
    """Like `check` for instructions of a warp: one block of `threads`; references take lists of operands and give a list, None where undefined."""
    wrong = []
    operands, out = results(forms, mode, head, 1, threads, device)
    for f, row in zip(forms, out):
        args = [operands[(t, k, tuple(f.regs[k])) if k in f.regs else (t, k)][:threads] for k, t in enumerate(f.ins)]
        for lane, (want, got) in enumerate(zip(f.ref(*args), row[:threads])):
            if isinstance(want, tuple):
                want = want[0] | want[1] << 32
            if want is None or want == got or (f.nan and is_nan(want, f.nan) and is_nan(got, f.nan)):
                continue
            wrong.append(f"{f.text}: lane {lane} of {threads}: {got:#x}, expected {want:#x}")
            break
    return wrong


def assert_forms(forms: Sequence[Form], mode: str) -> None:
    wrong = check(forms, mode)
    assert not wrong, f"{len(wrong)} of {len(forms)} forms\n" + "\n".join(wrong[:20])


# ---- integers -------------------------------------------------------------------------------------------------------


def signed(v: int, n: int) -> int:
    v &= (1 << n) - 1
    return v - (1 << n) if v >> (n - 1) else v


def value(v: int, t: str) -> int:
    """Raw bits as the integer that a type makes of them."""
    n = bits_of(t)
    return signed(v, n) if t[0] == "s" else v & ((1 << n) - 1)


def wrap(v: int, t: str) -> int:
    return v & ((1 << bits_of(t)) - 1)


def saturate(v: int, t: str) -> int:
    n = bits_of(t)
    lo, hi = (-(1 << (n - 1)), (1 << (n - 1)) - 1) if t[0] == "s" else (0, (1 << n) - 1)
    return min(max(v, lo), hi) & ((1 << n) - 1)


# ---- floats ---------------------------------------------------------------------------------------------------------


class Format(NamedTuple):
    ebits: int
    mant: int

    @property
    def bits(self) -> int:
        return 1 + self.ebits + self.mant

    @property
    def bias(self) -> int:
        return (1 << (self.ebits - 1)) - 1

    @property
    def inf(self) -> int:
        return ((1 << self.ebits) - 1) << self.mant

    @property
    def nan(self) -> int:
        return (1 << (self.bits - 1)) - 1


FORMATS = {"f16": Format(5, 10), "bf16": Format(8, 7), "f32": Format(8, 23), "f64": Format(11, 52), "tf32": Format(8, 10)}


class Num(NamedTuple):
    """±m·2^e; kind 'n' (m may be 0), 'i' infinite, 'q' NaN."""

    kind: str
    neg: int
    m: int = 0
    e: int = 0


NAN = Num("q", 0)


def num(bits: int, t: str) -> Num:
    f = FORMATS[t]
    neg, e, m = bits >> (f.bits - 1) & 1, bits >> f.mant & ((1 << f.ebits) - 1), bits & ((1 << f.mant) - 1)
    if e == (1 << f.ebits) - 1:
        return NAN if m else Num("i", neg)
    return Num("n", neg, m | (1 << f.mant) * (e > 0), max(e, 1) - f.bias - f.mant)


def pack(x: Num, t: str, rnd: str = "rn", ftz: bool = False) -> int:
    """Rounds to a format: rn, rna, rz, rm, rp."""
    f = FORMATS[t]
    top = x.neg << (f.bits - 1)
    if x.kind == "q":
        return f.nan
    if x.kind == "i":
        return top | f.inf
    if x.m == 0:
        return top
    e = max(x.m.bit_length() + x.e - 1, 1 - f.bias)  # exponent of the leading bit
    shift = e - f.mant - x.e
    if shift <= 0:
        q, rest, half = x.m << -shift, 0, 1
    else:
        q, rest, half = x.m >> shift, x.m & ((1 << shift) - 1), 1 << (shift - 1)
    up = {"rn": rest > half or (rest == half and q & 1), "rna": rest >= half, "rz": False, "rm": bool(rest) and x.neg, "rp": bool(rest) and not x.neg}[rnd]
    if shift <= 0:
        up = False
    q += bool(up)
    code = ((e + f.bias - 1) << f.mant) + q if q >> f.mant else q
    if code >= f.inf:
        toward = rnd in ("rn", "rna") or (rnd == "rm" and x.neg) or (rnd == "rp" and not x.neg)
        code = f.inf if toward else f.inf - 1
    if ftz and code < 1 << f.mant:
        code = 0
    return top | code


def flush(bits: int, t: str) -> int:
    f = FORMATS[t]
    return bits & (1 << (f.bits - 1)) if not bits >> f.mant & ((1 << f.ebits) - 1) else bits


def add(x: Num, y: Num, rnd: str = "rn") -> Num:
    if "q" in (x.kind, y.kind):
        return NAN
    if x.kind == "i" or y.kind == "i":
        if x.kind == y.kind and x.neg != y.neg:
            return NAN
        return x if x.kind == "i" else y
    e = min(x.e, y.e)
    s = (-x.m if x.neg else x.m) * (1 << (x.e - e)) + (-y.m if y.neg else y.m) * (1 << (y.e - e))
    if s == 0:
        neg = x.neg if x.neg == y.neg else int(rnd == "rm")
        return Num("n", neg)
    return Num("n", int(s < 0), abs(s), e)


def mul(x: Num, y: Num) -> Num:
    neg = x.neg ^ y.neg
    if "q" in (x.kind, y.kind):
        return NAN
    if "i" in (x.kind, y.kind):
        return NAN if (x.kind == "n" and not x.m) or (y.kind == "n" and not y.m) else Num("i", neg)
    return Num("n", neg, x.m * y.m, x.e + y.e)


def div(x: Num, y: Num) -> Num:
    neg = x.neg ^ y.neg
    if "q" in (x.kind, y.kind) or (x.kind == "i" and y.kind == "i"):
        return NAN
    if x.kind == "i" or (y.kind == "n" and not y.m):
        return NAN if y.kind == "n" and not y.m and x.kind == "n" and not x.m else Num("i", neg)
    if y.kind == "i" or not x.m:
        return Num("n", neg)
    q, r = divmod(x.m << 140, y.m)
    return Num("n", neg, q << 1 | bool(r), x.e - y.e - 141)


def sqrt(x: Num) -> Num:
    if x.kind == "q" or (x.neg and (x.kind == "i" or x.m)):
        return NAN
    if x.kind == "i" or not x.m:
        return x
    m, e = x.m << 200, x.e - 200
    if e & 1:
        m, e = m << 1, e - 1
    r = math.isqrt(m)
    return Num("n", 0, r << 1 | (r * r != m), e // 2 - 1)


def to_float(bits: int, t: str) -> float:
    """As a Python float, exactly."""
    x = num(bits, t)
    if x.kind == "q":
        return math.nan
    v = math.inf if x.kind == "i" else math.ldexp(x.m, x.e) if x.m.bit_length() <= 53 else 0.0
    return -v if x.neg else v


def compute(fn: Callable[..., Num], t: str, rnd: str = "rn", ftz: bool = False, sat: bool = False) -> Reference:
    """A reference on bits of one type: flush, compute exactly, round, clamp."""

    def ref(*args: int) -> int:
        xs = [num(flush(a, t) if ftz else a, t) for a in args]
        r = fn(*xs)
        out = pack(r, t, rnd or "rn", ftz)
        if sat:
            one = FORMATS[t].bias << FORMATS[t].mant
            if r.kind == "q" or out >> (FORMATS[t].bits - 1):
                return 0
            out = min(out, one)
        return out

    return ref


def adder(rnd: str) -> Callable[[Num, Num], Num]:
    return lambda x, y: add(x, y, rnd)


def minus(x: Num) -> Num:
    return x._replace(neg=1 - x.neg) if x.kind != "q" else x


def by_halves(ref: Reference, n: int = 16) -> Reference:
    """A reference on both halves of packed operands."""
    mask = (1 << n) - 1
    return lambda *args: ref(*(a & mask for a in args)) | ref(*(a >> n for a in args)) << n
