"""Products of narrow types (PTX ISA 9.7.14.5–6): sparse, block-scaled, both, and the matrices of bytes of `ldmatrix` and `stmatrix`.

Fragments are laid out by the manual's formulas, metadata and scales by what hardware libraries state as data: a word of metadata of 8- and 4-bit types
is about one row (g in even lanes, g + 8 in odd ones), the scales of row r stand in lane 4·(r mod 8) + r / 8 of a quad's pair, those of column c in
lane 4·c of a quad.  Numbers are exact (`harness.Num`), rounded to f32 for each product in ascending order.
"""
from __future__ import annotations

import random
import sys
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import ptxjit as pj  # noqa: E402
from ptxjit.ir.errors import PtxjitError, UnsupportedError  # noqa: E402
from tests.unit.ptx.harness import NAN, Num, add, is_nan, mul, num, pack, signed  # noqa: E402

MODES = pytest.mark.parametrize("mode", ["auto", "dispatch", "interp"])
FLOATS = {"e4m3": (4, 3, 7), "e5m2": (5, 2, 15), "e3m2": (3, 2, 3), "e2m3": (2, 3, 1), "e2m1": (2, 1, 1), "ue4m3": (4, 3, 7)}  # exponent, mantissa, bias
ONE = {"e4m3": 0x38, "e5m2": 0x3C, "e3m2": 0x0C, "e2m3": 0x08, "e2m1": 0x02}


class Case(NamedTuple):
    """A product: modifiers behind `mma`, its depth, types of A and B (kept `packed`, eight 4-bit elements to a register, or not), type of the accumulators."""

    text: str
    k: int
    a: str
    b: str
    c: str = "f32"
    packed: bool = False
    sparse: int | None = None  # selector
    scale: str = ""
    vec: int = 0
    ids: tuple[int, int, int, int] = (0, 0, 0, 0)  # byte-id-a, thread-id-a, byte-id-b, thread-id-b

    @property
    def bits(self) -> int:
        return 4 if self.packed or self.a[1:] == "4" else 8

    @property
    def stored(self) -> int:
        return self.k // 2 if self.sparse is not None else self.k


def narrow(code: int, t: str) -> Num:
    """A narrow float, or an integer, as an exact number."""
    if t[0] in "su" and t != "ue4m3" and t != "ue8m0":
        v = signed(code, int(t[1:])) if t[0] == "s" else code
        return Num("n", int(v < 0), abs(v), 0)
    if t == "ue8m0":
        return NAN if code == 255 else Num("n", 0, 1, code - 127)
    ebits, mant, bias = FLOATS[t]
    e, m = code >> mant & ((1 << ebits) - 1), code & ((1 << mant) - 1)
    neg = code >> (ebits + mant) & 1
    if t == "e5m2" and e == 31:
        return NAN if m else Num("i", neg)
    if t in ("e4m3", "ue4m3") and (e, m) == (15, 7):
        return NAN
    return Num("n", neg, m | (1 << mant) * (e > 0), max(e, 1) - bias - mant)


def width(t: str) -> int:
    return sum(FLOATS[t][:2]) + 1 if t in FLOATS else int(t[1:])


def container(code: int, case: Case, t: str) -> int:
    """The bits of an element in a register."""
    return code << 2 if t == "e2m1" and not case.packed else code


def place_a(lane: int, i: int, bits: int) -> tuple[int, int]:
    per = 32 // bits
    return lane // 4 + 8 * (i // per % 2), lane % 4 * per + i % per + 4 * per * (i // (2 * per))


def place_b(lane: int, i: int, bits: int) -> tuple[int, int]:
    per = 32 // bits
    return lane % 4 * per + i % per + 4 * per * (i // per), lane // 4


def place_c(lane: int, i: int) -> tuple[int, int]:
    return lane // 4 + 8 * (i // 2), 2 * (lane % 4) + i % 2


class Data(NamedTuple):
    """Codes of the stored A, of B and C, metadata as two 2-bit indices a chunk, scales of rows and columns by chunk."""

    a: list[list[int]]
    b: list[list[int]]
    c: list[list[int]]
    meta: list[list[tuple[int, int]]]
    sa: list[list[int]]
    sb: list[list[int]]


def chosen(case: Case, seed: int) -> Data:
    r = random.Random(f"{case.text} {seed}")
    ordered = "ordered" in case.text

    def code(t: str) -> int:
        if seed == 0 and t in FLOATS:  # small numbers, whose sums are exact
            return ONE[t] ^ r.choice([0, 0, 1 << (width(t) - 1)]) if r.random() < 0.7 else 0
        if seed == 1 and t in FLOATS:  # no NaN, no infinity
            return r.choice([c for c in range(1 << width(t)) if narrow(c, t).kind == "n"])
        return r.getrandbits(width(t))

    def accumulator() -> int:
        if case.c == "s32":
            return r.choice([r.getrandbits(32), 0x7FFFFF00, 0x80000100, 0])
        if case.c == "f16":
            return int(np.float16(r.randint(-8, 8)).view(np.uint16))
        return int(np.float32(r.uniform(-100, 100) if seed else r.randint(-8, 8)).view(np.uint32))

    def scale() -> int:
        if case.scale == "ue8m0":
            return r.choice([127, 126, 128, 130]) if seed == 0 else r.choice([0, 1, 100, 127, 140, 253, 254] + [255] * (seed > 1))
        return r.choice([0x38, 0x40, 0x30]) if seed == 0 else r.randrange(127 + (seed > 1))

    def indices() -> tuple[int, int]:
        p = r.sample(range(4), 2)
        return (min(p), max(p)) if ordered else (p[0], p[1])

    chunks = case.k // (4 if case.bits == 8 else 8)
    return Data([[code(case.a) for _ in range(case.stored)] for _ in range(16)], [[code(case.b) for _ in range(8)] for _ in range(case.k)],
                [[accumulator() for _ in range(8)] for _ in range(16)], [[indices() for _ in range(chunks)] for _ in range(16)],
                [[scale() for _ in range(case.vec)] for _ in range(16)], [[scale() for _ in range(case.vec)] for _ in range(8)])  # fmt: skip


def spread(case: Case, d: Data) -> list[list[int]]:
    """A with its zeros."""
    if case.sparse is None:
        return d.a
    pair = 1 if case.bits == 8 else 2
    out = [[0] * case.k for _ in range(16)]
    for row in range(16):
        for n, both in enumerate(d.meta[row]):
            for j, index in enumerate(both):
                for p in range(pair):
                    out[row][4 * pair * n + pair * index + p] = d.a[row][2 * pair * n + pair * j + p]
    return out


@lru_cache(maxsize=None)
def expected(case: Case, seed: int) -> list[list[int]]:
    """Raw bits of D."""
    d = chosen(case, seed)
    a = spread(case, d)
    integer, out = case.c == "s32", []
    exact = [[narrow(v, case.a) for v in row] for row in a], [[narrow(v, case.b) for v in row] for row in d.b]
    for i in range(16):
        out.append([])
        for j in range(8):
            if integer:
                total = signed(d.c[i][j], 32) + sum((-1) ** (x.neg ^ y.neg) * x.m * y.m for x, y in ((exact[0][i][k], exact[1][k][j]) for k in range(case.k)))
                total = min(max(total, -(1 << 31)), (1 << 31) - 1) if "satfinite" in case.text else total
                out[-1].append(total & 0xFFFFFFFF)
                continue
            acc = d.c[i][j] if case.c == "f32" else pack(num(d.c[i][j], "f16"), "f32")
            for k in range(case.k):
                p = mul(exact[0][i][k], exact[1][k][j])
                if case.vec:
                    n = k * case.vec // case.k
                    p = mul(p, mul(narrow(d.sa[i][n], case.scale), narrow(d.sb[j][n], case.scale)))
                acc = pack(add(num(acc, "f32"), p), "f32")
            out[-1].append(acc if case.c == "f32" else pack(num(acc, "f32"), "f16"))
    return out


def words(case: Case, d: Data, seed: int) -> np.ndarray:
    """The registers of the lanes: A, B, C, metadata, scales.  What no lane should look at is noise."""
    r = random.Random(seed)
    n_a, n_b = case.stored * 16 // 32, case.k * 8 // 32
    per = 32 // case.bits
    rows = []
    for lane in range(32):
        w = []
        for n, place, matrix, t in ((n_a, place_a, d.a, case.a), (n_b, place_b, d.b, case.b)):
            for at in range(0, n, per):
                word = 0
                for i in range(per):
                    x, y = place(lane, at + i, case.bits)
                    word |= container(matrix[x][y], case, t) << case.bits * i
                w.append(word)
        c = [d.c[x][y] for x, y in (place_c(lane, i) for i in range(4))]
        w += [c[0] | c[1] << 16, c[2] | c[3] << 16] if case.c == "f16" else c
        if case.sparse is not None:
            q, g = lane % 4, lane // 4
            whole = len(d.meta[0]) == 16  # all four lanes of a quad have metadata, else a pair of them
            part = q // 2 if whole else 0
            word = sum((i | j << 2) << 4 * n for n, (i, j) in enumerate(d.meta[g + 8 * (q % 2)][8 * part : 8 * part + 8]))
            w.append(word if whole or q // 2 == case.sparse else r.getrandbits(32))
        if case.vec:
            byte_a, thread_a, byte_b, thread_b = case.ids
            q, g = lane % 4, lane // 4
            noise = [r.getrandbits(32), r.getrandbits(32)]
            if q // 2 == thread_a:
                for n, v in enumerate(d.sa[g + 8 * (q % 2)]):
                    noise[0] = noise[0] & ~(0xFF << 8 * (byte_a + n)) | v << 8 * (byte_a + n)
            if q == thread_b:
                for n, v in enumerate(d.sb[g]):
                    noise[1] = noise[1] & ~(0xFF << 8 * (byte_b + n)) | v << 8 * (byte_b + n)
            w += noise
        rows.append(w)
    return np.array(rows, np.uint32)


def kernel(case: Case, count: int, name: str = "k", registers: bool = False) -> str:
    """One entry with the product; `registers` gives the selectors in registers."""
    n_a, n_b, n_c = case.stored * 16 * case.bits // 1024, case.k * 8 * case.bits // 1024, 2 if case.c == "f16" else 4

    def regs(first: int, n: int, p: str = "x") -> str:
        return "{" + ", ".join(f"{p}{first + i}" for i in range(n)) + "}"

    f = case.c == "f32"
    ops = [regs(0, n_c, "f" if f else "y"), regs(0, n_a), regs(n_a, n_b), regs(0, 4, "g") if f else regs(n_a + n_b, n_c)]
    at = n_a + n_b + n_c
    if case.sparse is not None:
        ops += [f"x{at}", str(case.sparse)]
        at += 1
    if case.vec:
        ids = [f"h{n}" for n in range(4)] if registers else [str(n) for n in case.ids]
        ops += [f"x{at}", "{" + ", ".join(ids[:2]) + "}", f"x{at + 1}", "{" + ", ".join(ids[2:]) + "}"]
    lines = [f".visible .entry {name}(.param .u64 pa, .param .u64 po)", "{", "\t.reg .b32 i, x<32>, y<4>;  .reg .b64 a, o, t;  .reg .f32 f<4>, g<4>;  .reg .b16 h<4>;",
             "\tld.param.u64 a, [pa];  ld.param.u64 o, [po];  mov.u32 i, %tid.x;", f"\tmul.wide.u32 t, i, {4 * count};  add.u64 a, a, t;",
             "\tmul.wide.u32 t, i, 16;  add.u64 o, o, t;"]  # fmt: skip
    lines += [f"\tld.global.b32 x{n}, [a+{4 * n}];" for n in range(count)]
    lines += [f"\tmov.b32 g{n}, x{n_a + n_b + n};" for n in range(4)] if f else []
    lines += [f"\tmov.u16 h{n}, {v};" for n, v in enumerate(case.ids)]
    lines += [f"\tmma{case.text} {', '.join(ops)};"]
    lines += [f"\tst.global.b32 [o+{4 * n}], {'f' if f else 'y'}{n};" for n in range(n_c)]
    return "\n".join([*lines, "\tret;", "}", ""])


HEAD = ".version 9.1\n.target sm_120a\n.address_size 64\n"


def ran(case: Case, data: np.ndarray, mode: str, registers: bool = False) -> np.ndarray:
    """On the CPU in a mode, or on a device."""
    text = HEAD + kernel(case, data.shape[1], registers=registers)
    module = pj.load_ptx(text, device="cpu" if mode in ("auto", "dispatch") else mode)
    if mode == "dispatch":
        module.mode = mode
    out = np.zeros((32, 4), np.uint32)
    module["k"][1, 32](data, out)
    return out


def disagree(case: Case, seed: int, out: np.ndarray) -> list[str]:
    """Where D is not what it should be."""
    want, wrong = expected(case, seed), []
    for lane in range(32):
        for i in range(4):
            x, y = place_c(lane, i)
            got = int(out[lane, i // 2]) >> 16 * (i % 2) & 0xFFFF if case.c == "f16" else int(out[lane, i])
            nan = case.c != "s32" and is_nan(got, case.c) and is_nan(want[x][y], case.c)
            if got != want[x][y] and not nan:
                wrong.append(f"mma{case.text} {seed}: D[{x}][{y}] is {got:#x}, expected {want[x][y]:#x}")
    return wrong[:3]


def differences(case: Case, mode: str, seed: int, registers: bool = False) -> list[str]:
    return disagree(case, seed, ran(case, words(case, chosen(case, seed), seed), mode, registers))


def sparse(kind: str, k: int, a: str, b: str, c: str, selector: int = 0, variant: str = "::ordered_metadata", **more: object) -> Case:
    scale = f".{more['scale']}" if more.get("scale") else ""
    return Case(f".sp{variant}.sync.aligned.m16n8k{k}.row.col{kind}.{c}.{a}.{b}.{c}{scale}", k, a, b, c, sparse=selector, **more)  # type: ignore[arg-type]


def dense(kind: str, k: int, a: str, b: str, c: str = "f32", **more: object) -> Case:
    scale = f".{more['scale']}" if more.get("scale") else ""
    return Case(f".sync.aligned.m16n8k{k}.row.col{kind}.{c}.{a}.{b}.{c}{scale}", k, a, b, c, **more)  # type: ignore[arg-type]


INTEGERS = [sparse(sat, k * per, a + str(bits), b + str(bits), "s32", selector, variant)
            for bits, per in ((8, 1), (4, 2)) for k, selector in ((32, 0), (32, 1), (64, 0)) for variant, sat, a, b in
            (("", "", "s", "u"), ("::ordered_metadata", "", "u", "s"), ("", ".satfinite", "s", "s"), ("::ordered_metadata", ".satfinite", "u", "u"))]  # fmt: skip
F8 = [sparse("", 64, "e4m3", "e5m2", "f32", variant=""), sparse("", 64, "e5m2", "e4m3", "f32"), sparse("", 64, "e4m3", "e4m3", "f16"),
      sparse(".kind::f8f6f4", 64, "e3m2", "e2m1", "f32"), sparse(".kind::f8f6f4", 64, "e2m1", "e2m3", "f16"),
      sparse(".kind::f8f6f4", 64, "e2m3", "e5m2", "f32"), dense(".kind::f8f6f4", 32, "e2m1", "e3m2", "f16"), dense(".kind::f8f6f4", 32, "e5m2", "e2m3"),
      dense(".kind::f8f6f4", 16, "e4m3", "e5m2", "f16"), dense("", 16, "e5m2", "e4m3")]  # fmt: skip
MX8, MX4, NV2, NV4 = (f".kind::{k}.block_scale{v}" for k, v in (("mxf8f6f4", ".scale_vec::1X"), ("mxf4", ".scale_vec::2X"), ("mxf4nvf4", ".scale_vec::2X"),
                                                                ("mxf4nvf4", ".scale_vec::4X")))  # fmt: skip
SCALED = [dense(MX8, 32, "e4m3", "e2m1", scale="ue8m0", vec=1, ids=(3, 1, 2, 3)), dense(MX8, 32, "e5m2", "e5m2", scale="ue8m0", vec=1, ids=(0, 0, 0, 0)),
          dense(".kind::mxf8f6f4.block_scale", 32, "e2m3", "e3m2", scale="ue8m0", vec=1, ids=(1, 0, 3, 1)),
          dense(MX4, 64, "e2m1", "e2m1", packed=True, scale="ue8m0", vec=2, ids=(2, 1, 0, 2)),
          dense(".kind::mxf4.block_scale", 64, "e2m1", "e2m1", packed=True, scale="ue8m0", vec=2, ids=(0, 0, 2, 1)),
          dense(NV2, 64, "e2m1", "e2m1", packed=True, scale="ue8m0", vec=2, ids=(0, 1, 2, 0)),
          dense(NV4, 64, "e2m1", "e2m1", packed=True, scale="ue8m0", vec=4, ids=(0, 0, 0, 3)),
          dense(NV4, 64, "e2m1", "e2m1", packed=True, scale="ue4m3", vec=4, ids=(0, 1, 0, 1)),
          sparse(MX8, 64, "e3m2", "e4m3", "f32", scale="ue8m0", vec=1, ids=(1, 1, 0, 2)), sparse(MX8, 64, "e2m1", "e5m2", "f32", scale="ue8m0", vec=1, ids=(2, 0, 3, 3)),
          sparse(MX4, 128, "e2m1", "e2m1", "f32", packed=True, scale="ue8m0", vec=2, ids=(2, 0, 0, 1)),
          sparse(NV2, 128, "e2m1", "e2m1", "f32", packed=True, scale="ue8m0", vec=2, ids=(0, 1, 2, 2)),
          sparse(NV4, 128, "e2m1", "e2m1", "f32", packed=True, scale="ue4m3", vec=4, ids=(0, 0, 0, 0)),
          sparse(NV4, 128, "e2m1", "e2m1", "f32", packed=True, scale="ue8m0", vec=4, ids=(0, 1, 0, 3))]  # fmt: skip


@MODES
@pytest.mark.parametrize("group", ["integers", "floats", "scaled"])
def test_narrow_products(group: str, mode: str) -> None:
    wrong = []
    for case in {"integers": INTEGERS, "floats": F8, "scaled": SCALED}[group]:
        for seed in (0, 1, 2):
            wrong += differences(case, mode, seed)
    assert not wrong, "\n".join(wrong[:20])


@MODES
def test_scale_selectors_in_registers(mode: str) -> None:
    wrong = [w for case in SCALED[:4] for w in differences(case, mode, 1, registers=True)]
    assert not wrong, "\n".join(wrong)


def test_narrow_products_assemble(ptxas) -> None:  # type: ignore[no-untyped-def]
    from ptxjit.targets.ptx.tools import assemble

    cases = INTEGERS + F8 + SCALED
    assemble(HEAD + "".join(kernel(c, 20, f"k{n}") for n, c in enumerate(cases)), "sm_120a")
    assemble(HEAD + "".join(kernel(c, 20, f"k{n}", registers=True) for n, c in enumerate(SCALED)), "sm_120a")


DOUBLES = """.visible .entry k(.param .u64 pa, .param .u64 po)
{{
	.reg .b32 i, s;  .reg .b64 a, o, t;  .reg .f64 d<16>;
	ld.param.u64 a, [pa];  ld.param.u64 o, [po];  mov.u32 i, %tid.x;
	mul.wide.u32 t, i, 64;  add.u64 a, a, t;  add.u64 o, o, t;
	ld.global.v2.f64 {{d0, d1}}, [a];  ld.global.v2.f64 {{d2, d3}}, [a+16];  ld.global.v2.f64 {{d4, d5}}, [a+32];  ld.global.v2.f64 {{d6, d7}}, [a+48];
	{code}
	st.global.v2.f64 [o], {{d8, d9}};  st.global.v2.f64 [o+16], {{d10, d11}};
	ret;
}}
"""


@MODES
@pytest.mark.parametrize("rnd", ["", ".rn", ".rz", ".rm", ".rp"])
def test_products_of_doubles_round_as_they_say(rnd: str, mode: str) -> None:
    """m16n8k4: rows g and g + 8, columns 2·(lane mod 4) and the next; each step of k is one fused multiplication and addition."""
    a = np.random.default_rng(7).standard_normal((32, 8)) * 1e3
    code = f"mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64{rnd} {{d8, d9, d10, d11}}, {{d0, d1}}, {{d2}}, {{d4, d5, d6, d7}};"
    module = pj.load_ptx(HEAD + DOUBLES.format(code=code), device="interp" if mode == "interp" else "cpu")
    if mode == "dispatch":
        module.mode = mode
    out = np.zeros((32, 8))
    module["k"][1, 32](a, out)
    raw, got = a.view(np.uint64).tolist(), out.view(np.uint64).tolist()
    for lane, i in np.ndindex(32, 4):
        row, column = place_c(lane, i)
        acc = raw[lane][4 + i]
        for k in range(4):
            p = mul(num(raw[4 * (row % 8) + k][row // 8], "f64"), num(raw[4 * column + k][2], "f64"))
            acc = pack(add(num(acc, "f64"), p), "f64", rnd[1:] or "rn")
        assert got[lane][i] == acc, (lane, i)


@MODES
def test_wmma_of_doubles_rounds_as_it_says(mode: str) -> None:
    """The layout is ours, so matrices come from memory: 8 × 4 times 4 × 8, once towards zero and once upwards."""
    code = """mul.wide.u32 t, i, 64;  sub.u64 a, a, t;  sub.u64 o, o, t;
	wmma.load.a.sync.aligned.row.m8n8k4.global.f64 {d0}, [a];
	wmma.load.b.sync.aligned.col.m8n8k4.global.f64 {d1}, [a+256];
	wmma.load.c.sync.aligned.row.m8n8k4.global.f64 {d2, d3}, [a+512];
	wmma.mma.sync.aligned.row.col.m8n8k4.RND.f64.f64.f64.f64 {d4, d5}, {d0}, {d1}, {d2, d3};
	wmma.store.d.sync.aligned.row.m8n8k4.global.f64 [o], {d4, d5};  ret;"""
    data = np.random.default_rng(8).standard_normal(256)
    raw = data.view(np.uint64).tolist()
    for rnd in ("rz", "rp"):
        module = pj.load_ptx(HEAD + DOUBLES.replace("{{", "{").replace("}}", "}").replace("{code}", code.replace("RND", rnd)), device="interp" if mode == "interp" else "cpu")
        if mode == "dispatch":
            module.mode = mode
        out = np.zeros(256)
        module["k"][1, 32](data, out)
        for i, j in np.ndindex(8, 8):
            acc = raw[64 + 8 * i + j]
            for k in range(4):
                acc = pack(add(num(acc, "f64"), mul(num(raw[4 * i + k], "f64"), num(raw[32 + 4 * j + k], "f64"))), "f64", rnd)
            assert int(out.view(np.uint64)[8 * i + j]) == acc, (rnd, i, j)


@pytest.mark.parametrize("statement,words", [
    (".sp.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 <y>, {x0, x1}, {x2, x3}, <x>, x8, 2", "selector"),
    (".sp.sync.aligned.m16n8k64.row.col.s32.s8.s8.s32 <y>, {x0, x1, x2, x3}, {x2, x3, x4, x5}, <x>, x8, 1", "selector"),
    (".sp.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 <y>, {x0, x1}, {x2, x3}, <x>, x8, x9", "constant"),
    (".sp.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 <y>, {x0}, {x2}, <x>, x8, 0", "m16n8k16"),
    (".sp.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 <f>, {x0, x1}, {x2, x3}, <f>, x8, 0", "m16n8k32"),
    (".sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.f32.e2m1.e2m1.f32.ue8m0 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>, x6, {0, 0}, x7, {0, 0}", "scales"),
    (".sync.aligned.m16n8k64.row.col.kind::mxf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue8m0 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>, x6, {0, 0}, x7, {0, 0}",
     "scales"),
    (".sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::2X.f32.e2m1.e2m1.f32.ue4m3 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>, x6, {0, 0}, x7, {0, 0}",
     "scales"),
    (".sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.block_scale.f32.f16.e2m1.f32.ue8m0 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>, x6, {0, 0}, x7, {0, 0}", "f16"),
    (".sync.aligned.m16n8k32.row.col.kind::f8f6f4.block_scale.f32.e4m3.e2m1.f32 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>", "block_scale"),
    (".sync.aligned.m16n8k32.row.col.kind::mxf8f6f4.f32.e4m3.e2m1.f32.ue8m0 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>, x6, {0, 0}, x7, {0, 0}", "block_scale"),
    (".sync.aligned.m16n8k16.row.col.rz.f32.f16.f16.f32 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>", "rounding"),
    (".sync.aligned.m16n8k32.row.col.f32.e2m1x8.e2m1x8.f32 <f>, {x0, x1, x2, x3}, {x4, x5}, <f>", "types"),
])  # fmt: skip
def test_what_no_product_is(statement: str, words: str) -> None:
    statement = statement.replace("<y>", "{y0, y1, y2, y3}").replace("<x>", "{x4, x5, x6, x7}").replace("<f>", "{f0, f1, f2, f3}")
    text = HEAD + ".visible .entry k()\n{\n\t.reg .b32 x<32>, y<4>;  .reg .f32 f<4>;\n\tmma" + statement + ";\n\tret;\n}\n"
    with pytest.raises(UnsupportedError) as e:
        pj.load_ptx(text)["k"].compile()
    assert words in e.value.message and "mma" in e.value.message and str(e.value.place).endswith(":7:2"), e.value


# ---- matrices of bytes ----------------------------------------------------------------------------------------------

COPY = """.visible .entry k(.param .u64 pa, .param .u64 po)
{{
	.reg .b32 i, s, x<8>;  .reg .b64 a, o, t;
	.shared .align 128 .b8 smem[1024];
	ld.param.u64 a, [pa];  ld.param.u64 o, [po];  mov.u32 i, %tid.x;  mov.u32 s, smem;
	mul.wide.u32 t, i, 16;  add.u64 a, a, t;  add.u64 o, o, t;  mad.lo.u32 s, i, 16, s;
	ld.global.v4.b32 {{x0, x1, x2, x3}}, [a];
	{code}
	st.global.v4.b32 [o], {{x4, x5, x6, x7}};
	ret;
}}
"""
LOAD = "st.shared.v4.b32 [s], {{x0, x1, x2, x3}};  mov.b32 x4, 0;  mov.b32 x5, 0;  mov.b32 x6, 0;  mov.b32 x7, 0;\n\tbar.warp.sync -1;\n\tldmatrix.sync.aligned.{} {{{}}}, [s];"
STORE = ("st.shared.v4.b32 [s], {{x0, x1, x2, x3}};\n\tbar.warp.sync -1;\n\tstmatrix.sync.aligned.{} [s], {{{}}};\n\tbar.warp.sync -1;\n\t"
         "ld.shared.v4.b32 {{x4, x5, x6, x7}}, [s];")  # fmt: skip
WIDTHS = {"b8": 8, "b8x16.b6x16_p32": 6, "b8x16.b4x16_p64": 4}


def copied(code: str, a: np.ndarray, mode: str) -> np.ndarray:
    module = pj.load_ptx(HEAD + COPY.format(code=code), device="interp" if mode == "interp" else "cpu")
    if mode == "dispatch":
        module.mode = mode
    out = np.zeros((32, 16), np.uint8)
    module["k"][1, 32](a, out)
    return out


def unpacked(row: np.ndarray, bits: int) -> list[int]:
    v = int.from_bytes(row.tobytes(), "little")
    return [v >> bits * n & ((1 << bits) - 1) for n in range(16)]


@MODES
def test_ldmatrix_of_bytes(mode: str) -> None:
    """Row n of 16 elements is at the address of lane n; matrices follow one another."""
    a = np.random.default_rng(5).integers(0, 256, (32, 16)).astype(np.uint8)
    for fmt, number in ((f, n) for f in WIDTHS for n in (1, 2, 4)):
        m = np.array([unpacked(row, WIDTHS[fmt]) for row in a])
        if fmt != "b8":
            out = copied(LOAD.format(f"m8n16.x{number}.shared.{fmt}", ", ".join(f"x{4 + n}" for n in range(number))), a, mode)
            for lane, n, i in np.ndindex(32, 4, 4):
                assert out[lane, 4 * n + i] == (m[8 * n + lane // 4, 4 * (lane % 4) + i] if n < number else 0), (fmt, number, lane, n, i)
        if number < 4:
            out = copied(LOAD.format(f"m16n16.x{number}.trans.shared::cta.{fmt}", ", ".join(f"x{4 + n}" for n in range(2 * number))), a, mode)
            for lane, n, i in np.ndindex(32, 4, 4):
                want = m[16 * (n // 2) + 4 * (lane % 4) + i, lane // 4 + 8 * (n % 2)] if n < 2 * number else 0
                assert out[lane, 4 * n + i] == want, (fmt, number, lane, n, i)


@MODES
def test_stmatrix_of_bytes(mode: str) -> None:
    """Column c of matrix m, 16 bytes, goes to the address of lane 8·m + c."""
    a = np.random.default_rng(6).integers(0, 256, (32, 16)).astype(np.uint8)
    for number in (1, 2, 4):
        out = copied(STORE.format(f"m16n8.x{number}.trans.shared.b8", ", ".join(f"x{n}" for n in range(number))), a, mode)
        want = a.copy()
        for lane, n, i in np.ndindex(32, number, 4):
            want[8 * n + 2 * (lane % 4) + i % 2, lane // 4 + 8 * (i // 2)] = a[lane, 4 * n + i]
        assert (out == want).all(), number


@pytest.mark.parametrize("statement", [
    "ldmatrix.sync.aligned.m16n16.x4.trans.shared.b8 {x0, x1, x2, x3}, [s]", "ldmatrix.sync.aligned.m16n16.x1.shared.b8 {x0, x1}, [s]",
    "ldmatrix.sync.aligned.m8n16.x1.trans.shared.b8x16.b6x16_p32 {x0}, [s]", "ldmatrix.sync.aligned.m8n16.x1.shared.b8 {x0}, [s]",
    "ldmatrix.sync.aligned.m16n16.x1.trans.shared.b16 {x0, x1}, [s]", "ldmatrix.sync.aligned.m16n16.x1.trans.shared.b8 {x0}, [s]",
    "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {x0}, [s]", "ldmatrix.sync.aligned.m8n8.x1.shared.b8 {x0}, [s]",
    "stmatrix.sync.aligned.m16n8.x1.shared.b8 [s], {x0}", "stmatrix.sync.aligned.m16n8.x1.trans.shared.b16 [s], {x0}",
    "stmatrix.sync.aligned.m8n8.x2.shared.b16 [s], {x0}", "stmatrix.sync.aligned.m8n16.x1.trans.shared.b8 [s], {x0}",
])  # fmt: skip
def test_what_no_copy_of_matrices_is(statement: str) -> None:
    with pytest.raises(PtxjitError, match=statement.split(".")[0]):
        pj.load_ptx(HEAD + COPY.format(code=statement + ";"))["k"].compile()
