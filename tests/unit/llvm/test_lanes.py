"""Every lane op × every type, compiled for this machine and run: the interpreter's bits, as vectors and as scalars."""
from __future__ import annotations

import ctypes
from typing import NamedTuple

import ml_dtypes
import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.errors import DTypeError, PtxjitError, UnsupportedError
from ptxjit.ir.interp.machine import run_kernel
from ptxjit.ir.interp.values import eval_lane
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import Op, all_ops, op
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.softfloat import narrow as narrow_rounded
from ptxjit.ir.types import BF16, F8E4M3, F8E5M2, F16, F32, F64, I1, I32, I64, SCALARS, Scalar
from ptxjit.ir.verify import verify
from ptxjit.targets import target
from ptxjit.targets.cpu.link import link
from ptxjit.targets.cpu.load import LINUX_X86, load
from ptxjit.targets.cpu.pool import RUN
from ptxjit.targets.llvm.dispatch import SUSPENDS, Lane
from ptxjit.targets.llvm.emit import Function, emit_module
from ptxjit.testing import assert_targets_agree

pytestmark = pytest.mark.skipif(not LINUX_X86, reason="runs what the x86-64 Linux linker made: run it on such a machine")
TYPES = "i1 i8 i16 i32 i64 f16 bf16 f32 f64".split()
LANES, COUNT = 16, 512
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 127.5, -128.5, 255.5, 1e5, -1e10, 3e38, 1e300, np.inf, -np.inf, np.nan, 1e-40, 6e-8, 65504.0, 65520.0, 2147483648.0]
WHOLE = [0, 1, -1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, -128, -2]


def inputs(t, seed):
    """Random bits, ordinary numbers, and those that like trouble."""
    rng = np.random.default_rng(seed)
    if t is I1:
        return rng.random(COUNT) > 0.5
    bits = np.frombuffer(rng.bytes(COUNT * t.bytes), t.np).copy()
    with np.errstate(all="ignore"):
        special = rng.choice(np.array(SPECIAL if t.is_float else WHOLE).astype(t.np), COUNT)
        ordinary = (rng.standard_normal(COUNT) * 50).astype(t.np)
    kind = rng.integers(0, 3, COUNT)
    return np.where(kind == 0, bits, np.where(kind == 1, special, ordinary))


def kernel(name, c, scalar):
    """out[k] = op(in[k]…): a lane per element, or (scalar) a block per element."""
    b = KernelBuilder(name, lanes=LANES, warps=1)
    ins = [b.param(f"p{k}", I64, role="pointer", elem=t, access="r") for k, t in enumerate(c.types)]
    out = b.param("out", I64, role="pointer", elem=c.result, access="w")
    at = b.sreg(name="ctaid.x")
    if not scalar:
        at = b.iadd(b.imul(at, b.const(I32, LANES)), b.sreg(name="laneid"))
    args = [b.ld(p, at, space="global", to=t, scale=t.bytes) for p, t in zip(ins, c.types)]
    b.st(out, at, b.emit(c.op, args, c.attrs), space="global", to=c.result, scale=c.result.bytes)
    b.ret()
    return kernel_pipeline(target("cpu:host").facts).run(b.finish(), check=True)


def run(code, name, arrays, blocks):
    grid = (ctypes.c_int64 * 3)(blocks, 1, 1)
    slots = (ctypes.c_uint64 * (len(arrays) + 1))(*[a.ctypes.data for a in arrays], 0)
    RUN(code.address(name))(ctypes.addressof(slots), 0, blocks, ctypes.addressof(grid))


def difference(c, args, got):
    """A description of where the bits differ; NaNs are equal unless the op only moves bits."""
    want = np.ascontiguousarray(np.broadcast_to(eval_lane(c.op, c.result, args, c.attrs), (COUNT,)))
    same = want.view(f"u{want.itemsize}") == got.view(f"u{got.itemsize}")
    if c.result.is_float and c.op.name not in ("fneg", "fabs", "copysign", "bitcast", "select"):
        same |= (want != want) & (got != got)
    if same.all():
        return None
    k = int(np.flatnonzero(~same)[0])
    return f"{c.name}({', '.join(repr(a[k]) for a in args)}) gives {got[k]!r}, not {want[k]!r}; {int((~same).sum())} of {COUNT} differ"


def differences(cases):
    """Compiles the cases as one module, runs each as vectors and as scalars, and describes where the bits differ."""
    kernels = [kernel(f"{c.name}_{s}", c, s == "s") for c in cases for s in "vs"]
    code = load(link(target("cpu:host").emit(kernels, "obj")))
    wrong = []
    for c in cases:
        args = [inputs(t, k) for k, t in enumerate(c.types)]
        for s in "vs":
            got = np.zeros(COUNT, c.result.np)
            run(code, f"{c.name}_{s}", [*args, got], COUNT if s == "s" else COUNT // LANES)
            wrong.append(difference(c, args, got))
    return [w for w in wrong if w]


def signed_predicates(c):
    return c.op.name == "icmp" and c.types[0] is I1 and dict(c.attrs)["pred"][0] == "s"


@pytest.mark.parametrize("name", TYPES)
def test_lane_ops(name, lane_cases):
    wrong = differences([c for c in lane_cases() if c.types[-1].name == name and not signed_predicates(c)])
    assert not wrong, "\n".join(wrong)


def test_signed_comparison_of_predicates(lane_cases):
    wrong = differences([c for c in lane_cases() if signed_predicates(c)])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("flag", ["rnd", "ftz", "sat"])
def test_attributes_are_right_or_refused(flag, lane_cases):
    good = []
    for c in lane_cases(attributes=True):
        if flag not in dict(c.attrs):
            continue
        try:
            emit_module([kernel(f"{c.name}_v", c, False)])
        except UnsupportedError:
            continue
        good.append(c)
    wrong = differences(good)
    assert not wrong, "\n".join(wrong)


def test_float_to_int_with_directed_rounding(lane_cases):
    wrong = differences([c for c in lane_cases(attributes=True) if c.op.name in ("ftos", "ftou") and dict(c.attrs).get("rnd") in ("rm", "rp")])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("to", ["float8_e4m3fn", "float8_e5m2"])
def test_narrow_floats_are_right_or_refused(to):
    """Values that every format holds exactly."""
    x = np.array([1.0, -2.5, 448.0, 0.0], "f4")
    narrow = getattr(ml_dtypes, to)
    try:
        got = pj.jit(lambda x: x.astype(narrow))(x), pj.jit(lambda x: x.astype("f4"))(x.astype(narrow))
    except (UnsupportedError, DTypeError):
        return
    np.testing.assert_array_equal(got[0].astype("f4"), x)
    np.testing.assert_array_equal(got[1], x)


class Narrow(NamedTuple):
    """A case on 8-bit floats (the shared table stops at 16 bits)."""

    op: Op
    types: tuple[Scalar, ...]
    attrs: tuple[tuple[str, object], ...]
    result: Scalar

    @property
    def name(self):
        return "_".join([self.op.name, *(t.name for t in self.types), *(f"{k}_{v}" for k, v in self.attrs)])


def narrow_cases(t):
    for o in all_ops():
        words = o.signature.partition("->")[0].split()
        if o.kind != "lane" or not words or not any(w in ("T:float", "T:any") for w in words):
            continue
        others = [SCALARS[n] for n in (*TYPES, "f8e4m3", "f8e5m2")]
        ways = [{"pred": p} for p in o.attrs["pred"]] if "pred" in o.attrs else [{"to": u} for u in others if u is not t] if "to" in o.attrs else [{}]
        ways += [{**w, f: True} for w in ways for f in ("ftz", "sat") if f in o.attrs] + [{"rnd": "rn"}] * ("rnd" in o.attrs and "to" not in o.attrs)
        for w in ways:
            types, attrs = tuple(I1 if w == "i1" else t for w in words), tuple(sorted(w.items()))
            try:
                [result] = o.infer(types, attrs)
            except PtxjitError:
                continue
            yield Narrow(o, types, attrs, result)
    for u in others:
        if u is not t:
            yield Narrow(op("fcvt" if u.is_float else "stof"), (u,), (("to", t),), t)
            if u.is_int:
                yield Narrow(op("utof"), (u,), (("to", t),), t)


@pytest.mark.parametrize("t", [F8E4M3, F8E5M2], ids=str)
def test_every_op_on_8_bit_floats(t):
    cases = list(narrow_cases(t))
    assert len(cases) > 60
    wrong = differences(cases)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("to", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("wide", ["f4", "f8", "f2", "bfloat16"])
def test_conversions_of_8_bit_floats(to, wide):
    """Every value of the format, all halfway points between neighbours and what lies next to them; then overflow, NaN, infinities."""
    narrow, wide = getattr(ml_dtypes, to), np.dtype(getattr(ml_dtypes, wide, wide))
    every = np.arange(256, dtype=np.uint8).view(narrow)
    finite = np.unique(every.astype("f8")[np.isfinite(every.astype("f8"))])
    middle = (finite[1:] + finite[:-1]) / 2
    x = np.concatenate([finite, middle, np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf), [464, 465, 61440, 1e5, 1e30, 1e300, np.inf, np.nan, -0.0]])
    with np.errstate(all="ignore"):
        x = np.concatenate([x, -x]).astype(wide)
        want = narrow_rounded(x.astype("f8"), SCALARS[{"float8_e4m3fn": "f8e4m3", "float8_e5m2": "f8e5m2"}[to]])
    got = pj.jit(lambda x: x.astype(narrow))(x)
    same = (got.view("u1") == want.view("u1")) | np.isnan(got.astype("f4")) & np.isnan(want.astype("f4"))
    assert same.all(), list(zip(x[~same][:5], got[~same][:5], want[~same][:5]))
    back = pj.jit(lambda x: x.astype(wide))(every)
    np.testing.assert_array_equal(back.astype("f8"), every.astype(wide).astype("f8"))


@pytest.mark.parametrize("to", ["float8_e4m3fn", "float8_e5m2"])
def test_programs_on_8_bit_floats(to):
    narrow = getattr(ml_dtypes, to)
    x = (np.random.default_rng(0).standard_normal((6, 50)) * 3).astype(narrow)

    def fn(x):
        return np.exp(x), x.max(1), np.argmin(x, 1), x.sum(0), np.cumsum(x, 1), x @ x.T, x % x[::-1], x + x * narrow(0.3), -x, np.maximum(x, narrow(1)), np.where(x > 0, x, narrow(0.1)), x.astype("f4").sum(0), np.concatenate([x, x]).T

    assert_targets_agree(fn, x, targets=["interp", "cpu"], bitwise=True)


def test_constants_are_rounded_to_nearest():
    for t in (F16, BF16, F32, F8E4M3, F8E5M2):
        b = KernelBuilder("k", lanes=4, warps=1)
        out = b.param("out", I64, role="pointer", elem=t, access="w")
        b.st(out, b.sreg(name="laneid"), b.const(t, 0.1), space="global", to=t, scale=t.bytes)
        b.ret()
        k, got, want = b.finish(), np.zeros(4, t.np), np.zeros(4, t.np)
        run(load(link(target("cpu:host").emit([k], "obj"))), "k", [got], 1)
        run_kernel(k, (1, 1, 1), [want])
        assert got.tobytes() == want.tobytes(), t


@pytest.mark.parametrize("elem", [F32, F64, F16, BF16], ids=str)
def test_random_kernels(elem, random_kernel):
    """Loops, side branches, guarded accesses: the same bits as on the interpreter."""
    facts = target("cpu:host").facts
    for seed in range(8):
        k = random_kernel(seed, elem)
        want, got = random_kernel.inputs(elem, seed), random_kernel.inputs(elem, seed)
        with np.errstate(all="ignore"):
            run_kernel(k, (3, 1, 1), want)
        run(load(link(target("cpu:host").emit([kernel_pipeline(facts).run(k, check=True)], "obj"))), k.name, got, 3)
        for w, g in zip(want[1:], got[1:]):
            same = w.view(f"u{w.itemsize}") == g.view(f"u{g.itemsize}")
            assert (same | (w != w) & (g != g)).all(), (seed, w, g)


def test_a_block_whose_number_is_below_that_of_its_operands():
    """As `decompose` leaves them: the blocks of a rare branch come last."""
    b = KernelBuilder("k", lanes=8, warps=1)
    x = b.param("x", I64, role="pointer", elem=I32, access="w")
    lane = b.sreg(name="laneid")
    use, make = b.block("use"), b.block("make")
    b.jump(make)
    b.start(make)
    square = b.imul(lane, lane)
    b.jump(use)
    b.start(use)
    b.st(x, lane, b.ineg(square), space="global", to=I32, scale=4)
    b.ret()
    k = verify(b.finish())
    got = np.zeros(8, np.int32)
    run(load(link(target("cpu:host").emit([k], "obj"))), "k", [got], 1)
    np.testing.assert_array_equal(got, -(np.arange(8) ** 2))


def test_every_lane_op_is_spelled():
    """The op table's lane ops are what the tests above compiled: none is left out for want of a type."""
    from ptxjit.ir.op import CLASSES

    for o in all_ops():
        if o.kind == "lane":
            cls = next((w.partition(":")[2] for w in o.signature.split() if ":" in w), "")
            assert any(CLASSES[cls](SCALARS[t]) if cls else t == o.signature.split()[0] for t in TYPES), o.name
        elif "kernel" in o.levels and o.kind in ("machine", "warp"):
            assert hasattr(Lane, f"_{o.name}") or o.name in SUSPENDS, o.name
    for name in "ld st red bar fence report shfl vote_any vote_all".split():
        assert hasattr(Function, f"_{name}"), name


def test_atom_is_refused_with_its_name():
    b = KernelBuilder("k", lanes=4, warps=1)
    x = b.param("x", I64, role="pointer", elem=I32)
    b.atom(x, b.const(I32, 1), space="global", to=I32, fn="iadd")
    b.ret()
    with pytest.raises(UnsupportedError, match="atom on the CPU"):
        emit_module([b.finish()])


@pytest.mark.parametrize("columns", [3, 5, 20])
def test_bytes_of_short_rows(columns):
    """Neighbours on a torus: contiguous accesses by fewer lanes, or gathers through one function; never LLVM's masked gather of bytes."""
    def step(b):
        n = sum(np.roll(b, (dy, dx), axis=(0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
        return ((n == 3) | (b == 1) & (n == 2)).astype(b.dtype)

    for name in ("cpu:x86-64-v3", "cpu:x86-64-v4"):
        text = pj.jit(step).lower(f"u8[16,{columns}]", target=name).as_text("ll")
        assert "masked.gather" not in text and text.count("define internal") <= (columns == 3)
    board = np.random.default_rng(0).integers(0, 2, (16, columns)).astype("u1")
    np.testing.assert_array_equal(pj.jit(step)(board), step(board))
