"""Mathematics against mpmath, and against exhaustive references in 16 bits; exact arithmetic against rationals."""
from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from ptxjit.ir import softfloat
from ptxjit.ir.interp.values import eval_lane
from ptxjit.ir.op import op
from ptxjit.ir.ops.math import _TABLE
from ptxjit.ir.types import BF16, F16, F32, F64, I8

mpmath.mp.prec = 300
REFERENCE = {"exp2": lambda x: mpmath.power(2, x), "log2": lambda x: mpmath.log(x, 2), "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
             "rsqrt": lambda x: 1 / mpmath.sqrt(x), "pow": mpmath.power}  # fmt: skip


def draw(rng, spec, ty, n):
    top = 3e38 if ty is F32 else 1.7e308
    lo, hi = max(spec.domain[0], -top), min(spec.domain[1], top)
    sign = np.where(rng.random(n) < 0.5, -1.0, 1.0) if lo < 0 else 1.0
    wide = sign * 10 ** rng.uniform(-38 if ty is F32 else -300, np.log10(max(abs(lo), abs(hi))), n)
    near = rng.uniform(max(lo, -20), min(hi, 20), n)
    return np.clip(np.where(rng.random(n) < 0.5, wide, near), lo, hi).astype(ty.np)


@pytest.mark.parametrize("name, spec", [(n, s) for n, _, s in _TABLE])
@pytest.mark.parametrize("ty", [F32, F64], ids=str)
def test_within_the_stated_bound(name, spec, ty):
    rng = np.random.default_rng(5)
    o = op(name)
    args = [draw(rng, spec, ty, 150) for _ in o.signature.partition("->")[0].split()]
    if name == "pow":
        args[1] = rng.uniform(-30, 30, 150).astype(ty.np)
    got = eval_lane(o, ty, args)
    f = REFERENCE.get(name) or getattr(mpmath, spec.reference)
    info = np.finfo(ty.np)
    for k in range(150):
        try:
            want = f(*(mpmath.mpf(float(a[k])) for a in args))
        except (ValueError, ZeroDivisionError):
            continue
        if isinstance(want, mpmath.mpc) or mpmath.isnan(want) or mpmath.isinf(want) or abs(want) > float(info.max):
            continue
        with np.errstate(all="ignore"):
            unit = max(float(np.spacing(ty.np.type(float(abs(want))))), float(info.smallest_subnormal))
        error = abs(mpmath.mpf(float(got[k])) - want) / unit
        assert error <= (spec.ulp32 if ty is F32 else spec.ulp64), (name, [a[k] for a in args], got[k])


ENDS = [
    ("exp", [0.0, -math.inf, math.inf, 1e4], [1.0, 0.0, math.inf, math.inf]), ("log", [1.0, 0.0, math.inf, -1.0], [0.0, -math.inf, math.inf, math.nan]),
    ("sin", [0.0, -0.0, math.inf], [0.0, -0.0, math.nan]), ("cos", [0.0, math.inf], [1.0, math.nan]), ("tanh", [-0.0, math.inf, -math.inf], [-0.0, 1.0, -1.0]),
    ("expm1", [-0.0, -math.inf, math.inf], [-0.0, -1.0, math.inf]), ("log1p", [-0.0, -1.0, math.inf], [-0.0, -math.inf, math.inf]),
    ("erf", [-0.0, math.inf, -math.inf], [-0.0, 1.0, -1.0]), ("cbrt", [-8.0, -0.0, math.inf], [-2.0, -0.0, math.inf]), ("atan", [-0.0, math.inf], [-0.0, math.pi / 2]),
    ("asin", [-0.0, 1.5], [-0.0, math.nan]), ("sinh", [-0.0, -math.inf], [-0.0, -math.inf]), ("cosh", [0.0, -math.inf], [1.0, math.inf]),
    ("acosh", [1.0, 0.5, -1e300], [0.0, math.nan, math.nan]), ("exp2", [0.0, 10.0], [1.0, 1024.0]),
]  # fmt: skip


@pytest.mark.parametrize("name, inputs, wants", ENDS)
def test_special_values(name, inputs, wants):
    for ty in (F32, F64):
        with np.errstate(over="ignore"):
            got = eval_lane(op(name), ty, [np.array([*inputs, math.nan]).astype(ty.np)])
        np.testing.assert_array_equal(got, np.array([*wants, math.nan]).astype(ty.np))
        assert (np.signbit(got[:-1]) == np.signbit(wants)).all() or any(math.isnan(w) for w in wants)


def test_pow_and_atan2_special_values():
    values = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -3.0, math.inf, -math.inf, math.nan])
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        for name, f in (("pow", np.power), ("atan2", np.arctan2), ("hypot", np.hypot)):
            got, want = eval_lane(op(name), F64, [x, y]), f(x, y)
            np.testing.assert_allclose(got, want, rtol=1e-15)
            zero = want == 0
            assert (np.signbit(got[zero]) == np.signbit(want[zero])).all(), name


@pytest.mark.parametrize("ty", [F16, BF16], ids=str)
@pytest.mark.parametrize("name", ["exp", "exp2", "log", "sin", "cos", "tanh", "sqrt", "erf", "atan", "expm1", "log1p", "cbrt"])
def test_sixteen_bits_exhaustively(name, ty):
    """Against f64 mathematics rounded once: the nearest, or its neighbour where f32's error sits on a tie."""
    x = np.arange(1 << 16, dtype=np.uint16).view(ty.np)
    wide = x.astype(np.float64)
    with np.errstate(all="ignore"):
        if name == "erf":
            exact = np.vectorize(math.erf)(np.nan_to_num(wide, posinf=9, neginf=-9))
            exact = np.where(np.isnan(wide), np.nan, exact)
        else:
            exact = getattr(np, {"atan": "arctan"}.get(name, name))(wide)
        got = eval_lane(op("fsqrt" if name == "sqrt" else name), ty, [x]).astype(np.float64)
        want = softfloat.narrow(exact, ty).astype(np.float64)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    near = np.abs(got - exact) <= np.abs(want - exact) * 1.001 + np.abs(exact) * 2.0**-22
    assert (same | near).all(), x[~(same | near)][:5]
    assert same.mean() > 0.999


@pytest.mark.parametrize("rnd", ["rn", "rz", "rm", "rp"])
@pytest.mark.parametrize("ty", [F16, F32, F64], ids=str)
def test_arithmetic_against_rationals(ty, rnd):
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 1 << 62, (3, 120)).astype(np.int64)
    a, b, c = (v.astype(f"i{ty.bytes}").view(ty.np) for v in bits)
    near = (rng.standard_normal(120) * 2).astype(ty.np)
    for x, y, z in ((a, b, c), (near, near[::-1].copy(), a)):
        for name, exact in (("fadd", lambda p, q, r: p + q), ("fmul", lambda p, q, r: p * q), ("fdiv", lambda p, q, r: p / q), ("ffma", lambda p, q, r: p * q + r)):
            args = [x, y, z] if name == "ffma" else [x, y]
            got = eval_lane(op(name), ty, args, (("rnd", rnd),))
            for k in range(120):
                v = [float(t[k]) for t in (x, y, z)]
                if not all(map(math.isfinite, v)) or name == "fdiv" and v[1] == 0:
                    continue
                value = exact(*map(Fraction, v))
                if value != 0:
                    assert float(got[k]) == softfloat.round_exact(value, ty, rnd), (name, v, rnd)


def test_conversions_saturate_and_nan_is_zero():
    x = np.array([math.nan, math.inf, -math.inf, 1e30, -1e30, 2.5, -2.5, 300.7])
    assert eval_lane(op("ftos"), I8, [x]).tolist() == [0, 127, -128, 127, -128, 2, -2, 127]
    assert eval_lane(op("ftou"), I8, [x]).view(np.uint8).tolist() == [0, 255, 0, 255, 0, 2, 0, 255]
