"""Our products as WMMA and MFMA: the instructions of each family, and on the emulator the numbers of the interpreter."""
from __future__ import annotations

import re

import ml_dtypes
import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.interp.program import run_program
from ptxjit.ir.lower import lower
from ptxjit.testing.agreement import jitted, traced
from ptxjit.testing.compare import results
from tests.unit.amdgpu import emulator

BF = ml_dtypes.bfloat16
RNG = np.random.default_rng(9)
ARCHS = emulator.archs("gfx1100", "gfx1201", "gfx942", "gfx950")
INSTRUCTIONS = {
    "gfx908": {"f2": "v_mfma_f32_16x16x16f16", "bf16": "v_mfma_f32_16x16x8bf16", "f4": "v_mfma_f32_16x16x4f32", "i1": "v_mfma_i32_16x16x16i8"},
    "gfx90a": {"f2": "v_mfma_f32_16x16x16f16", "bf16": "v_mfma_f32_16x16x16bf16_1k", "f4": "v_mfma_f32_16x16x4f32", "f8": "v_mfma_f64_16x16x4f64",
               "i1": "v_mfma_i32_16x16x16i8"},
    "gfx942": {"f2": "v_mfma_f32_16x16x16_f16", "bf16": "v_mfma_f32_16x16x16_bf16", "f4": "v_mfma_f32_16x16x4_f32", "f8": "v_mfma_f64_16x16x4_f64",
               "i1": "v_mfma_i32_16x16x32_i8"},
    "gfx950": {"f2": "v_mfma_f32_16x16x32_f16", "bf16": "v_mfma_f32_16x16x32_bf16", "i1": "v_mfma_i32_16x16x64_i8"},
    "gfx9-4-generic": {"f2": "v_mfma_f32_16x16x16_f16", "i1": "v_mfma_i32_16x16x32_i8"},
    "gfx1030": {"f2": None, "i1": None},
    "gfx1100": {"f2": "v_wmma_f32_16x16x16_f16", "bf16": "v_wmma_f32_16x16x16_bf16", "f4": None, "f8": None, "i1": "v_wmma_i32_16x16x16_iu8"},
    "gfx1151": {"f2": "v_wmma_f32_16x16x16_f16", "i1": "v_wmma_i32_16x16x16_iu8"},
    "gfx11-generic": {"f2": "v_wmma_f32_16x16x16_f16", "i1": "v_wmma_i32_16x16x16_iu8"},
    "gfx1201": {"f2": "v_wmma_f32_16x16x16_f16", "bf16": "v_wmma_f32_16x16x16_bf16", "i1": "v_wmma_i32_16x16x16_iu8"},
    "gfx12-generic": {"f2": "v_wmma_f32_16x16x16_f16", "i1": "v_wmma_i32_16x16x16_iu8"},
}  # fmt: skip


def layer(x, y):
    wide = (x.astype("i4"), y.astype("i4")) if x.dtype.kind in "iu" else (x, y)
    return np.maximum(wide[0] @ wide[1] + 1, 0)


def of(dtype):
    return pj.jit(layer, fast_math=dtype[0] not in "iu")


def matrices(dtype, m, n, k):
    if dtype in ("i1", "u1"):
        i = np.iinfo(dtype)
        return RNG.integers(i.min, i.max, (m, k), dtype, endpoint=True), RNG.integers(i.min, i.max, (k, n), dtype, endpoint=True)
    # whole quarters: every order of sums gives the same f32, and no number is subnormal, which the emulator's MFMA drops
    return tuple((RNG.integers(-12, 13, s) / 4).astype(BF if dtype == "bf16" else dtype) for s in ((m, k), (k, n)))


@pytest.mark.parametrize("arch", INSTRUCTIONS)
def test_instructions(arch):
    for dtype, name in INSTRUCTIONS[arch].items():
        text = of(dtype).lower(*matrices(dtype, 40, 40, 64), target=f"amdgpu:{arch}").as_text("asm")
        assert set(re.findall(r"v_(?:wmma|mfma)_\w+", text)) == ({name} if name else set()), dtype


def test_signs_of_bytes():
    """`neg_lo` says which of A and B are signed."""
    for dtypes, bits in ((("i1", "i1"), "[1,1,0]"), (("i1", "u1"), "[1,0,0]"), (("u1", "i1"), "[0,1,0]"), (("u1", "u1"), None)):
        x, y = (np.zeros((16, 16), t) for t in dtypes)
        for arch in ("gfx1100", "gfx1201"):
            text = pj.jit(layer).lower(x, y, target=f"amdgpu:{arch}").as_text("asm")
            [line] = re.findall(r"v_wmma_i32_16x16x16_iu8.*", text)
            assert (f"neg_lo:{bits}" in line) if bits else "neg_lo" not in line


def test_no_scratch_and_no_spills():
    for arch, dtypes in INSTRUCTIONS.items():
        for dtype in dtypes:
            [s] = of(dtype).lower(*matrices(dtype, 256, 256, 64), target=f"amdgpu:{arch}").stats()
            assert s["spills"] == 0 and s["scratch bytes"] == 0, (arch, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["i1", "f2", "bf16", "f4"])
@pytest.mark.parametrize("arch", ARCHS)
def test_emulated(arch, dtype):
    """f16 and bf16 with an even number of columns: stores of words at odd halves are legal, but not to the emulator."""
    target = emulator.EmulatedTarget(f"amdemu:{arch}")
    for m, n, k in ((2, 2, 1), (16, 16, 16), (17, 14, 31), (64, 48, 80), (37, 46, 67)):
        args = matrices(dtype, m, n, k)
        graph, leaves = traced(jitted(of(dtype)), args)
        low = lower(graph, target.facts, fast_math=dtype != "i1")
        used = any(i.op.name == "mma" for k in low.kernels.values() for i in k.instrs())
        assert used or dtype == "f4" and arch in ("gfx1100", "gfx1201")
        [got] = results(target.build(low.program, low.kernels)(*leaves))
        [want] = run_program(low.program, leaves, low.kernels)
        assert np.array_equal(got.view("u1"), want.view("u1")), (m, n, k)
        exact = np.maximum(args[0].astype("f8") @ args[1].astype("f8") + 1, 0)
        assert np.allclose(want.astype("f8"), exact, rtol={"bf16": 2**-7, "f2": 2**-9}.get(dtype, 0), atol=0)
