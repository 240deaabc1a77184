"""Eight-bit floating point."""
from functools import partial

import ml_dtypes
import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import specials
from .matrices import words

case = partial(_case, file="fp8", grid=4, block=128)
N = 500
E4M3, E5M2 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2


def to8(x, kind, relu=False):
    """The byte of a number: finite after saturation, NaN is 7f."""
    x = x.astype(np.float64)
    top = float(ml_dtypes.finfo(kind).max)
    clipped = np.clip(np.where(np.isnan(x), 0, np.where(relu & (x < 0), 0.0, x)), -top, top)
    narrow = np.abs(clipped).astype(np.float32).astype(kind).view(np.uint8) | (np.signbit(clipped) * 128).astype(np.uint8)
    return np.where(np.isnan(x), 0x7f, narrow).astype(np.uint8)


def numbers(rng):
    """Numbers around the limits of both formats; no zero or tiny number is negative."""
    a = specials(rng, N, np.float32, 10.0)
    a[:20] = [448, 464, 465, 480, -500, 57344, 61440, -70000, 2**-9, 2**-10, 3 * 2.0**-10, 2**-16, 2**-17, 3 * 2.0**-17, 1.0625, 1.1875, 1.125, 240, 17, 19]
    small = np.abs(a) <= 2.0 ** -9
    a[small] = np.abs(a[small])
    return a


@case("to_fp8")
def to_fp8(rng):
    """From binary32 and pairs of binary16."""
    a, b = numbers(rng), numbers(rng)
    h = np.stack([rng.permutation(numbers(rng)), numbers(rng)], 1).astype(np.float16)

    def pair(high, low, kind, relu=False):
        return to8(high, kind, relu).astype(np.uint16) << np.uint16(8) | to8(low, kind, relu)
    want = [pair(a, b, E4M3), pair(a, b, E5M2), pair(a, b, E4M3, True), pair(a, b, E5M2, True),
            pair(h[:, 1], h[:, 0], E4M3), pair(h[:, 1], h[:, 0], E5M2), pair(h[:, 1], h[:, 0], E4M3, True)]
    return Case([a, b, np.ascontiguousarray(h).view(np.uint32).ravel(), np.zeros((7, N), np.uint16), np.int32(N)], {3: np.stack(want).astype(np.uint16)})


@case("from_fp8", grid=2)
def from_fp8(rng):
    """Every byte to binary16."""
    low = np.arange(256, dtype=np.uint8)
    both = np.stack([low, rng.permutation(low)], 1)

    def half(kind, relu=False):
        x = both.view(kind).astype(np.float16)
        if relu:
            x = np.where(x < 0, np.float16(0), x)
        return x
    want = np.stack([half(E4M3), half(E5M2), half(E4M3, True)])

    def same(got):
        x = got.view(np.float16).reshape(want.shape)
        assert np.array_equal(x, want, equal_nan=True)
        return np.array_equal(np.signbit(x[:2])[~np.isnan(x[:2])], np.signbit(want[:2])[~np.isnan(want[:2])])
    return Case([both.view(np.uint16).ravel(), np.zeros((3, 256), np.uint32), np.int32(256)], {1: same})


def product(name, kind):
    """Register a case of D = A·B + C."""
    @case(name, grid=1, block=32)
    def make(rng):
        """D = A·B + C; small integers."""
        a, b, c = rng.integers(-4, 5, (16, 32)), rng.integers(-8, 9, (32, 8)), rng.integers(-99, 99, (16, 8)).astype(np.float32)
        return Case([words(a.astype(kind), 8), words(b.T.astype(E4M3), 8), c, np.zeros((16, 8), np.float32)], {3: (a @ b + c).astype(np.float32)})


product("mma_e4m3", E4M3)
product("mma_e5m2", E5M2)
