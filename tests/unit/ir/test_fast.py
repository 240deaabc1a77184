"""`fast_math`: what it admits, and what it does not."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import UserError
from ptxjit.testing import assert_targets_agree

X = np.linspace(-3, 3, 1001).astype("f4")


def ops(fn, *args, target="cpu:host", **options):
    low = pj.jit(fn, **{"fast_math": True, **options}).lower(*args, target=target)
    [k] = low.kernels.values()
    return [i.op.name for i in k.instrs()]


def ptx(fn, *args, **options):
    """The instructions, without the lines of source beside them."""
    text = pj.jit(fn, **{"fast_math": True, **options}).lower(*args, target="ptx:sm_80").as_text("ptx")
    return "\n".join(line.partition("//")[0] for line in text.splitlines())


def test_products_and_sums_are_contracted():
    for fn in (lambda x, y: x * y + 1, lambda x, y: 1 + x * y, lambda x, y: x * y - x, lambda x, y: x - x * y):
        found = ops(fn, X, X)
        assert "ffma" in found and "fmul" not in found and "fadd" not in found
        assert "ffma" not in ops(fn, X, X, fast_math=False)
        got = pj.jit(fn, fast_math=True)(X, X[::-1].copy())
        want = fn(X.astype("f8"), X[::-1].astype("f8"))
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_a_product_with_another_use_stays():
    found = ops(lambda x, y: (x * y + 1, x * y), X, X)
    assert "fmul" in found and "ffma" not in found


def test_constant_divisors_become_factors():
    assert "fdiv" not in ops(lambda x: x / 3, X)
    assert "fdiv" in ops(lambda x: x / np.float32(1e-45), X) and "fdiv" in ops(lambda x: x / np.float32(3e38), X)  # reciprocals that are not normal
    both = lambda x, y, z: (x / z, y / z)
    assert 2 * ops(both, X, X, X).count("fdiv") == ops(both, X, X, X, fast_math=False).count("fdiv") > 0
    np.testing.assert_allclose(pj.jit(lambda x: x / 7, fast_math=True)(X), X / 7, rtol=3e-7)


def test_zeros_and_infinities_stay_what_they_are():
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, 1e-45], "f4")
    for fn in (lambda v: v / 3, lambda v: v * v + v, lambda v: v * 2 - v):
        with np.errstate(all="ignore"):
            got, want = pj.jit(fn, fast_math=True)(x), fn(x)
            assert (np.isnan(got) == np.isnan(want)).all() and (np.isinf(got) == np.isinf(want)).all()


def test_definitions_stay_exact():
    """Contraction inside of a definition would break its error-free steps."""
    x = np.linspace(-20, 20, 4001).astype("f4")
    for f in (np.exp, np.sin, np.log1p, np.tanh):
        v = np.abs(x) if f is np.log1p else x
        assert_targets_agree(pj.jit(lambda a, f=f: f(a), fast_math=True), v, targets=["interp", "cpu"], bitwise=True)


def test_nvidia_gets_its_own_instructions(ptxas):
    text = ptx(lambda x, y: (np.exp(x), np.log(x), np.sin(x), np.cos(y), np.tanh(y), x / y, np.sqrt(x), np.exp2(x), np.log10(y)), X, X)
    for word in ("ex2.approx.f32", "lg2.approx.f32", "sin.approx.f32", "cos.approx.f32", "tanh.approx.f32", "div.approx.f32", "sqrt.approx.f32"):
        assert word in text, word
    assert ".approx." not in ptx(lambda x: np.exp(x) / x, X, fast_math=False)
    assert ".approx." not in ptx(lambda x: np.exp(x) / x, X.astype("f8"))
    assert pj.jit(lambda x: np.exp(x) / (x + 5), fast_math=True).lower(X, target="ptx:sm_75").stage("cubin")


def test_what_they_compute():
    """By the reader, whose values of approximations are the rounded ones."""
    fn = pj.jit(lambda x: np.exp(x) / (1 + np.exp(-x * x)) + np.cosh(x) * np.sqrt(x + 4), fast_math=True)
    assert_targets_agree(fn, X, targets=["interp", "cpu", "ptx:sm_80", "ptx:sm_80 on cpu"], ulp=16)


def test_it_contradicts_reproducible():
    with pytest.raises(UserError, match="contradict"):
        pj.jit(lambda x: x, fast_math=True, reproducible=True)
