"""Our products as `mma.sync`: ptxas makes tensor-core instructions of them, and read back they give the numbers of the interpreter."""
from __future__ import annotations

import re

import ml_dtypes
import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import UnsupportedError
from ptxjit.ir.interp.machine import run_kernel
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.types import F32, I32, I64
from ptxjit.targets import target
from ptxjit.testing import assert_targets_agree

BF = ml_dtypes.bfloat16
RNG = np.random.default_rng(5)
CASES = {  # element type → accumulator, the instruction before and from sm_80, what ptxas makes of it
    "f2": ("f32", "m16n8k8.row.col.f32.f16.f16.f32", "m16n8k16.row.col.f32.f16.f16.f32", "HMMA.16816.F32"),
    "bf16": ("f32", None, "m16n8k16.row.col.f32.bf16.bf16.f32", "HMMA.16816.F32.BF16"),
    "f4": ("f32", None, "m16n8k8.row.col.f32.tf32.tf32.f32", "HMMA.1688.F32.TF32"),
    "i1": ("s32", "m8n8k16.row.col.s32.s8.s8.s32", "m16n8k32.row.col.s32.s8.s8.s32", "IMMA.16832.S8.S8"),
    "u1": ("s32", "m8n8k16.row.col.s32.u8.u8.s32", "m16n8k32.row.col.s32.u8.u8.s32", "IMMA.16832.U8.U8"),
}  # fmt: skip


def matrices(dtype, m, n, k):
    if dtype in ("i1", "u1"):
        i = np.iinfo(dtype)
        return RNG.integers(i.min, i.max, (m, k), dtype, endpoint=True), RNG.integers(i.min, i.max, (k, n), dtype, endpoint=True)
    return tuple(RNG.standard_normal(s).astype(BF if dtype == "bf16" else dtype) for s in ((m, k), (k, n)))


def layer(x, y):
    wide = (x.astype("i4"), y.astype("i4")) if x.dtype.kind in "iu" else (x, y)
    return np.maximum(wide[0] @ wide[1] + 1, 0)


def of(dtype):
    return pj.jit(layer, fast_math=dtype not in ("i1", "u1"))


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"])
@pytest.mark.parametrize("dtype", CASES)
def test_tensor_cores(dtype, arch, ptxas, nvdisasm):
    _, old, new, sass = CASES[dtype]
    low = of(dtype).lower(*matrices(dtype, 70, 50, 96), target=f"ptx:{arch}")
    found = set(re.findall(r"mma\.sync\.aligned\.([\w.]+)", low.as_text("ptx")))
    if arch == "sm_75":
        assert found == ({old} if old else set())
        assert (".version 6.5" in low.as_text("ptx")) == bool(old)  # `mma` needs more than the architecture does
        assert bool(re.search(r"\b[HI]MMA\.", low.as_text("sass"))) == bool(old)
        return
    assert found == {new}
    assert sass + " " in low.as_text("sass")


def test_double_precision(ptxas, nvdisasm):
    x, y = np.ones((33, 20)), np.ones((20, 9))
    for arch, has in (("sm_80", True), ("sm_86", False), ("sm_90", True), ("sm_120", False)):
        low = pj.jit(lambda a, b: a @ b, fast_math=True).lower(x, y, target=f"ptx:{arch}")
        assert ("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64" in low.as_text("ptx")) == has
        assert ("DMMA" in low.as_text("sass")) == has


@pytest.mark.parametrize("dtype", [*CASES, "f8"])
def test_read_back_the_numbers_are_the_same(dtype):
    """On the CPU our own PTX gives the interpreter's bits: fragments are written and read by the same tables."""
    for m, n, k in ((2, 3, 5), (17, 13, 31), (64, 48, 80)):
        assert_targets_agree(of(dtype), *matrices(dtype, m, n, k), targets=["ptx:sm_80", "ptx:sm_80 on cpu"], bitwise=True)
        assert_targets_agree(of(dtype), *matrices(dtype, m, n, k), targets=["ptx:sm_75", "ptx:sm_75 on cpu"], bitwise=True)


@pytest.mark.parametrize("dtype", ["i1", "u1"])
def test_integers_agree_with_every_other_target(dtype):
    assert_targets_agree(of(dtype), *matrices(dtype, 37, 29, 67), targets=["interp", "cpu", "ptx:sm_75", "ptx:sm_90", "ptx:sm_90 on cpu"], bitwise=True)


def test_wide_accesses():
    """Operands that are contiguous along k or n come 16 bytes at a time, the result is stored four elements at a time."""
    low = of("f2").lower(np.zeros((512, 512), "f2"), np.zeros((512, 512), "f2"), target="ptx:sm_80")
    text = low.as_text("ptx")
    assert re.findall(r"\bld\.global\.(\S+)", text) == ["v4.b32"] * text.count("ld.global") and "st.global.v4.b16" in text


def test_bytes_are_transposed_by_permutations(ptxas, nvdisasm):
    """Of a right matrix that is contiguous along n: one `prmt` makes a word of halves, two a word of bytes."""
    for dtype, each in (("f2", 1), ("i1", 2)):
        low = of(dtype).lower(*(np.zeros((512, 512), dtype) for _ in range(2)), target="ptx:sm_80")
        text = low.as_text("ptx")
        loop = text[text.index("$layer_1:") : text.index("$layer_2:")]
        assert loop.count("prmt.b32") == each * 2 * loop.count("mma.sync") // 2  # two words of B for each product, of which two share one
        assert not re.search(r"\b(or|shl)\.b32", loop)
    turned = pj.jit(lambda x, y: x @ y.T, fast_math=True).lower(*(np.zeros((512, 512), "f2") for _ in range(2)), target="ptx:sm_80")
    assert "prmt" not in turned.as_text("ptx")  # along k: the words are what the unit wants


def test_shifts_that_are_no_bytes_stay_what_they_are():
    """A word of a product is traced to bytes where it is made of such; here one comes from the middle of bytes, and one mask is none."""
    b = KernelBuilder("k", lanes=32, warps=1)
    out = b.param("out", I64, role="pointer", elem=I32)
    lane = b.sreg(name="laneid")
    x = b.imul(lane, b.const(I32, 0x01234567))
    odd = b.shr_u(x, b.const(I32, 3))
    first = getattr(b, "or")(getattr(b, "and")(odd, b.const(I32, 0xFFFF)), b.shl(x, b.const(I32, 16)))
    second = getattr(b, "or")(getattr(b, "and")(x, b.const(I32, 0x0FF0)), b.shl(odd, b.const(I32, 24)))
    zero = b.const(I32, 0)
    d = b.mma(b.const(I32, -1), first, second, first, x, second, odd, zero, zero, zero, zero, shape="m16n8k32", a="s8", b="s8", c="s32", d="s32")
    for n, v in enumerate(d):
        b.emit(op("st"), (out, lane, v), (("disp", 128 * n), ("scale", 4), ("space", "global"), ("to", I32)))
    b.ret()
    kernel = b.finish()
    text = str(target("ptx:sm_80").emit([kernel], "ptx"))
    assert "prmt" in text and "shr.u32" in text
    want, got = np.zeros(128, "i4"), np.zeros(128, "i4")
    run_kernel(kernel, (1, 1, 1), [want])
    pj.load_ptx(text, device="cpu")["k"][1, 32](got)
    assert want.any() and np.array_equal(want, got)


def test_products_that_are_no_plain_mma_are_refused():
    b = KernelBuilder("k", lanes=32, warps=1)
    one = b.const(I32, 1)
    zero = b.const(F32, 0)
    b.mma(one, *[one] * 8, *[one] * 8, *[zero] * 8, shape="m16n16k16", a="f16", b="f16", c="f32", d="f32", wmma=True)
    b.ret()
    with pytest.raises(UnsupportedError, match="wmma"):
        target("ptx:sm_80").emit([b.finish()], "ptx")
