"""Our code objects, run by an emulator of RDNA3, RDNA4 and CDNA3, give the bits of the oracle."""
from __future__ import annotations

import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings

from ptxjit.ir.lower import lower
from ptxjit.testing import programs
from ptxjit.testing.agreement import jitted, run_on, traced
from ptxjit.testing.compare import bits_difference, results
from tests.properties.test_levels import CASES as LEVELS
from tests.unit.amdgpu import emulator
from tests.unit.opencl.test_agreement import CASES as MORE
from tests.unit.opencl.test_agreement import F8, SPECIAL

CASES = {**LEVELS, **MORE}
ARCHS = emulator.archs("gfx1100", "gfx1201", "gfx942")  # warps of 32, 32 and 64
OTHERS = emulator.archs("gfx1151", "gfx950", "gfx11-generic", "gfx12-generic", "gfx9-4-generic")


def agree(fn, *args, arch):
    target = emulator.EmulatedTarget(f"amdemu:{arch}")
    graph, leaves = traced(jitted(fn), args)
    low = lower(graph, target.facts)
    got = results(target.build(low.program, low.kernels)(*(np.ascontiguousarray(x).reshape(np.shape(x)) for x in leaves)))
    assert bits_difference(run_on(fn, "interp", args), got) is None


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
def test_the_same_bits(arch, name, dtype):
    fn, shapes = CASES[name]
    if dtype == "f2" and name in ("matmul", "long softmax", "all"):
        shapes = [tuple(min(n, 70) for n in s) for s in shapes]
    rng = np.random.default_rng(1)
    agree(fn, *(rng.standard_normal(s).astype(dtype) for s in shapes), arch=arch)


@pytest.mark.slow
@pytest.mark.parametrize("arch", OTHERS)
def test_their_relatives(arch):
    rng = np.random.default_rng(1)
    for name in ("softmax", "matmul", "scan", "argmax"):
        fn, shapes = CASES[name]
        agree(fn, *(rng.standard_normal(s).astype("f4") for s in shapes), arch=arch)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
def test_integers(arch, dtype):
    rng = np.random.default_rng(2)
    t = np.dtype(dtype)
    x, y = (rng.integers(0, 2, 45).astype(dtype) if t.kind == "b" else rng.integers(np.iinfo(t).min, np.iinfo(t).max, 45, dtype=t, endpoint=True) for _ in range(2))
    if t.kind == "b":
        agree(lambda a, b: (a & b, a | b, a ^ b, ~a, a < b, np.where(a, b, ~b)), x, y, arch=arch)
        return
    y[:5], x[:2] = (0, 1, -1 if t.kind == "i" else 2, 7, 3), np.iinfo(t).min
    agree(lambda a, b: (a + b, a * b, a // b, a % b, a >> 1, a << 3, a < b, np.maximum(a, b), np.minimum(a, b)), x, y, arch=arch)
    agree(lambda a, b: (a.astype("f4"), a.astype("f2"), a.astype("f8"), a ^ b, ~a, -a, a == b), x, y, arch=arch)
    agree(lambda a, b: (a >> (b & 63), a << (b & 63), np.cumsum(a), a.sum(), a.max()), x, y, arch=arch)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ml_dtypes.bfloat16, *(getattr(ml_dtypes, n) for n in F8)])
@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
def test_conversions_and_special_values(arch, dtype):
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL).astype(dtype)
    y = x[::-1].copy()
    for t in ["f4", "f8", "f2", ml_dtypes.bfloat16, "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"] + [getattr(ml_dtypes, n) for n in F8]:
        agree(lambda a: a.astype(t), x, arch=arch)
    agree(lambda a, b: (np.maximum(a, b), np.minimum(a, b), np.fmax(a, b), np.fmin(a, b), a < b, a != b), x, y, arch=arch)
    agree(lambda a, b: (np.floor(a), np.rint(a), np.abs(a), -a, np.copysign(a, b), a * b, a / b, a - b), x, y, arch=arch)


@pytest.mark.parametrize("dtype", ["f2", ml_dtypes.bfloat16, *(getattr(ml_dtypes, n) for n in F8)])
@pytest.mark.parametrize("arch", ARCHS[:1])
def test_all_numbers_of_narrow_formats(arch, dtype):
    t = np.dtype(dtype)
    x = np.arange(1 << min(8 * t.itemsize, 13)).astype(f"u{t.itemsize}") * (8 if t.itemsize == 2 else 1)
    x = x.astype(f"u{t.itemsize}").view(t)
    agree(lambda a: (a.astype("f4"), (a.astype("f4") * 1.0009765625).astype(dtype), (a.astype("f8") * 1.001).astype(dtype)), x, arch=arch)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
def test_scattered_updates(arch):
    x, i = np.zeros(50, "i4"), np.random.default_rng(0).integers(0, 50, 300)
    agree(lambda x, i: np.bincount(i, minlength=50) + x, x, i, arch=arch)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
def test_random_programs(arch):
    @settings(max_examples=12, derandomize=True)
    @given(programs())
    def same(p):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            agree(p.fn, *p.inputs, arch=arch)

    same()
