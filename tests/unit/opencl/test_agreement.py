"""Every OpenCL device gives the bits of the oracle."""
from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import ptxjit as pj
from ptxjit.testing import assert_targets_agree
from ptxjit.testing.fuzz import fuzz
from tests.properties.cases import CASES as LEVELS

F8 = ("float8_e4m3fn", "float8_e5m2")


CASES = {
    **LEVELS,
    "while": (lambda x: pj.while_loop(lambda s: s.sum() < 100, lambda s: s * 2 + 1, x * x), [(8,)]),
    "quotients": (lambda x, y: (x / y, np.sqrt(np.abs(x)), 1 / x), [(500,), (500,)]),
    "remainders": (lambda x, y: (np.fmod(x, y), x % y, x // y), [(200,), (200,)]),
}  # fmt: skip


def agree(fn, *args, devices):
    assert_targets_agree(fn, *args, targets=["interp", "cpu", *devices], bitwise=True)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("name", CASES)
def test_the_same_bits(name, dtype, opencl):
    fn, shapes = CASES[name]
    if dtype == "f2" and name in ("matmul", "long softmax", "all"):
        shapes = [tuple(min(n, 70) for n in s) for s in shapes]
    rng = np.random.default_rng(1)
    agree(fn, *(rng.standard_normal(s).astype(dtype) for s in shapes), devices=opencl)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u4", "i8", "u8"])
def test_integers(dtype, opencl):
    rng = np.random.default_rng(2)
    t = np.dtype(dtype)
    x, y = (rng.integers(0, 2, 45).astype(dtype) if t.kind == "b" else rng.integers(np.iinfo(t).min, np.iinfo(t).max, 45, dtype=t, endpoint=True) for _ in range(2))
    if t.kind == "b":
        agree(lambda a, b: (a & b, a | b, a ^ b, ~a, a < b, np.where(a, b, ~b)), x, y, devices=opencl)
        return
    y[:5], x[:2] = (0, 1, -1 if t.kind == "i" else 2, 7, 3), np.iinfo(t).min
    agree(lambda a, b: (a + b, a * b, a // b, a % b, a >> 1, a << 3, a < b, np.maximum(a, b), np.minimum(a, b), a.astype("f4"), a.astype("f2"),
                        a.astype("f8"), a ^ b, ~a, -a, a == b), x, y, devices=opencl)  # fmt: skip
    agree(lambda a, b: (a >> (b & 63), a << (b & 63), np.cumsum(a), a.sum(), a.max()), x, y, devices=opencl)


SPECIAL = [0.0, -0.0, 1.0, -1.5, 2.5, 1e30, -1e30, 3e38, 1e-45, -1e-40, 65504.0, 65520.0, 6e-8, 2.9e-8, 449.0, 464.0, 0.001953125, 0.0009,
           255.5, 256.0, -128.5, 2147483648.0, -2147483904.0, 9.3e18, 1.9e19, np.inf, -np.inf, np.nan]  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", ml_dtypes.bfloat16, *(getattr(ml_dtypes, n) for n in F8)])
def test_conversions_and_special_values(dtype, opencl):
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL).astype(dtype)
    y = x[::-1].copy()
    others = ["f4", "f8", "f2", ml_dtypes.bfloat16, "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"] + [getattr(ml_dtypes, n) for n in F8]
    agree(lambda a: tuple(a.astype(t) for t in others), x, devices=opencl)
    agree(lambda a, b: (np.maximum(a, b), np.minimum(a, b), np.fmax(a, b), np.fmin(a, b), a < b, a != b, np.floor(a), np.rint(a), np.abs(a), -a,
                        np.copysign(a, b), a * b, a / b, a - b), x, y, devices=opencl)  # fmt: skip


@pytest.mark.parametrize("dtype", ["f2", ml_dtypes.bfloat16, *(getattr(ml_dtypes, n) for n in F8)])
def test_all_numbers_of_narrow_formats(dtype, opencl):
    t = np.dtype(dtype)
    x = np.arange(1 << 8 * t.itemsize).astype(f"u{t.itemsize}").view(t)
    agree(lambda a: (a.astype("f4"), (a.astype("f4") * 1.0009765625).astype(dtype), (a.astype("f8") * 1.001).astype(dtype)), x, devices=opencl)


def test_scattered_updates(opencl):
    x, i = np.zeros(50, "i4"), np.random.default_rng(0).integers(0, 50, 1000)
    agree(lambda x, i: np.bincount(i, minlength=50) + x, x, i, devices=opencl)


def test_random_programs(opencl):
    for name in opencl:
        counts, failures = fuzz(12, seed=3, device=name)
        assert failures == [] and counts["programs"] >= 12


def test_results_do_not_share_memory(opencl):
    for name in opencl:
        f = pj.jit(lambda x: x + 1, device=name)
        a, b = f(np.zeros(4)), f(np.ones(4))
        assert (a == 1).all() and (b == 2).all()
        x = np.arange(10.0)
        x.flags.writeable = False
        assert (f(x) == x + 1).all() and (f(np.arange(20.0)[1::2]) == np.arange(20.0)[1::2] + 1).all()

