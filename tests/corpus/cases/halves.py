"""Binary16 and bfloat16."""
import math
from functools import partial

import ml_dtypes
import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import BF16, F16, add, each, fma, ftz, mul, specials
from .floats import greater, lesser, rows, sat

case = partial(_case, file="halves", grid=4, block=128)
N = 500
BF = ml_dtypes.bfloat16


def relu(x):
    """Zero when negative; NaN stays."""
    return x if math.isnan(x) or x > 0 else 0.0


def nan_min(x, y):
    """min where a NaN wins."""
    return math.nan if math.isnan(x) or math.isnan(y) else lesser(x, y)


def nan_max(x, y):
    """max where a NaN wins."""
    return -nan_min(-x, -y)


def triple(rng, fmt, shape):
    """Three arrays with cancellations and equal elements; relu never sees a negative zero."""
    n = math.prod(shape)
    a, b, c = (specials(rng, n, fmt.dtype) for _ in range(3))
    b[::6] = a[::6]
    with np.errstate(all="ignore"):
        c[1::9] = -(a[1::9] * b[1::9])
    for k in range(n):
        r = fma(float(a[k]), float(b[k]), float(c[k]), fmt)
        if r == 0 or (r < 0 and abs(r) < 2.0 ** (fmt.emin - fmt.p + 1)):
            c[k] = fmt.dtype(1.0)
            if fma(float(a[k]), float(b[k]), 1.0, fmt) == 0:
                c[k] = fmt.dtype(3.0)
    return a.reshape(shape), b.reshape(shape), c.reshape(shape)


def scalar(rng, fmt):
    """The eleven scalar operations."""
    a, b, c = triple(rng, fmt, (N,))
    fns = [lambda x, y, z: add(x, y, fmt), lambda x, y, z: add(x, -y, fmt), lambda x, y, z: mul(x, y, fmt), lambda x, y, z: fma(x, y, z, fmt),
           lambda x, y, z: relu(fma(x, y, z, fmt)), lambda x, y, z: lesser(x, y), lambda x, y, z: greater(x, y), lambda x, y, z: nan_min(x, y),
           lambda x, y, z: nan_max(x, y), lambda x, y, z: abs(x), lambda x, y, z: -x]
    return Case([a, b, c, np.zeros((11, N), fmt.dtype), np.int32(N)], {3: rows(fmt.dtype, fns, a, b, c)})


@case("half_ops")
def half_ops(rng):
    """Binary16."""
    return scalar(rng, F16)


@case("bf16_ops")
def bf16_ops(rng):
    """bfloat16."""
    return scalar(rng, BF16)


def pairs(rng, fmt):
    """The ten operations on pairs."""
    a, b, c = triple(rng, fmt, (N, 2))
    fns = [lambda x, y, z: add(x, y, fmt), lambda x, y, z: add(x, -y, fmt), lambda x, y, z: mul(x, y, fmt), lambda x, y, z: fma(x, y, z, fmt),
           lambda x, y, z: relu(fma(x, y, z, fmt)), lambda x, y, z: lesser(x, y), lambda x, y, z: nan_max(x, y), lambda x, y, z: abs(x), lambda x, y, z: -x]
    want = rows(fmt.dtype, fns, a.ravel(), b.ravel(), c.ravel()).reshape(9, N, 2)
    swapped = np.where((a[:, 0] > b[:, 0])[:, None], a[:, ::-1], np.stack([a[:, 1], b[:, 1]], 1))
    return Case([a, b, c, np.zeros((10, N, 2), fmt.dtype), np.int32(N)], {3: np.concatenate([want, swapped[None]])})


@case("half2_ops")
def half2_ops(rng):
    """Pairs of binary16."""
    return pairs(rng, F16)


@case("bf162_ops")
def bf162_ops(rng):
    """Pairs of bfloat16."""
    return pairs(rng, BF16)


@case("half_extra")
def half_extra(rng):
    """Flushing and saturation."""
    a, b, c = triple(rng, F16, (N,))
    a[::5] *= np.float16(2.0 ** -14)
    fns = [lambda x, y, z: add(x, y, F16, flush=True), lambda x, y, z: fl(mul(fl(x), fl(y), F16)), lambda x, y, z: fma(x, y, z, F16, flush=True),
           lambda x, y, z: sat(fma(x, y, z, F16)), lambda x, y, z: lesser(fl(x), fl(y)), lambda x, y, z: nan_max(fl(x), fl(y))]
    return Case([a, b, c, np.zeros((6, N), np.float16), np.int32(N)], {3: rows(np.float16, fns, a, b, c)})


def fl(x):
    """Flushed as binary16."""
    return ftz(x, F16)


def compare(rng, fmt):
    """Scalar comparisons as bits, masks and numbers for pairs."""
    a, b, c, d = (specials(rng, m, fmt.dtype) for m in (N, N, 2 * N, 2 * N))
    b[::3] = a[::3]
    d[::2] = c[::2]
    d[::3] = c[::3]
    x, y, p, q = (v.astype(np.float64) for v in (a, b, c, d))
    un, pun = np.isnan(x) | np.isnan(y), (np.isnan(p) | np.isnan(q)).reshape(N, 2)
    p, q = p.reshape(N, 2), q.reshape(N, 2)
    ordered = [x == y, (x != y) & ~un, x < y, x <= y, x > y, x >= y]
    bits = [*ordered, *[o | un for o in ordered], np.isnan(x), np.isinf(x), (p == q).all(1), ((p < q) | pun).all(1)]
    word = sum(b.astype(np.uint32) << np.uint32(k) for k, b in enumerate(bits))

    def join(low_high, one):
        return (low_high[:, 0] * np.uint32(one) | low_high[:, 1] * np.uint32(one) << np.uint32(16)).astype(np.uint32)
    one = int(np.array(1, fmt.dtype).view(np.uint16))
    want = np.stack([word, join(p <= q, 0xffff), join((p != q) | pun, 0xffff), join(p > q, one)])
    return Case([a, b, c.reshape(N, 2), d.reshape(N, 2), np.zeros((4, N), np.uint32), np.int32(N)], {4: want})


@case("half_compare")
def half_compare(rng):
    """Binary16."""
    return compare(rng, F16)


@case("bf16_compare")
def bf16_compare(rng):
    """bfloat16."""
    return compare(rng, BF16)


@case("half_approximate")
def half_approximate(rng):
    """tanh (2^-10.987 absolute), ex2 (2^-9.9 relative), sqrt and division (within a unit of the last place)."""
    a = (rng.standard_normal(N) * 3).astype(np.float16)
    a[:2] = [0, 1]
    x = a.astype(np.float64)
    want = np.stack([np.tanh(x), np.exp2(x), np.exp2(x), np.sqrt(np.abs(x)), x / 3])
    return Case([a, np.zeros((5, N), np.float16), np.int32(N)], {1: want.astype(np.float16)}, rtol=2.0 ** -9.4, atol=2.0 ** -10.5)


@case("bf16_approximate", archs=("sm_90", "sm_100"))
def bf16_approximate(rng):
    """tanh and ex2 of pairs within 2^-7 and a rounding."""
    a = (rng.standard_normal((N, 2)) * 2).astype(BF)
    x = a.astype(np.float64)
    want = np.stack([np.tanh(x), np.exp2(x)])

    def near(got):
        return np.allclose(got.view(BF).reshape(want.shape).astype(np.float64), want, rtol=2.0 ** -6.5, atol=2.0 ** -7.5)
    return Case([a.view(np.uint32).ravel(), np.zeros((2, N), np.uint32), np.int32(N)], {1: near})


@case("axpy_half2", grid=3, block=96)
def axpy_half2(rng):
    """A half passed by value."""
    n = 250
    a = np.float16(rng.standard_normal())
    x, y = rng.standard_normal((n, 2)).astype(np.float16), rng.standard_normal((n, 2)).astype(np.float16)
    want = each(lambda u, v: fma(float(a), u, v, F16), x.ravel(), y.ravel(), dtype=np.float16).reshape(n, 2)
    return Case([a, x, y, np.int32(n)], {2: want})
