"""Kernels of numba-cuda; an array is seven parameters: two objects, its size, the size of an element, the data, shape, strides."""
import math

import numpy as np

from ..corpus import Case, case
from ..reference import each, fma

ZERO = np.uint64(0)


def flat(a):
    """The parameters of an array."""
    return [ZERO, ZERO, np.int64(a.size), np.int64(a.itemsize), a, *map(np.int64, a.shape), *map(np.int64, a.strides)]


@case("numba_saxpy", file="numba_saxpy", grid=4, block=128)
def numba_saxpy(rng):
    """y = a·x + y"""
    a, x, y = np.float32(1.7), rng.standard_normal(500, np.float32), rng.standard_normal(500, np.float32)
    return Case([a, *flat(x), *flat(y)], {12: each(lambda u, v: fma(float(a), u, v), x, y)})


@case("numba_reduce", file="numba_reduce", grid=4, block=64)
def numba_reduce(rng):
    """Sums of blocks; integral."""
    x = rng.integers(-99, 99, 250).astype(np.float32)
    padded = np.zeros(256, np.float32)
    padded[:250] = x
    return Case([*flat(x), *flat(np.zeros(4, np.float32))], {11: padded.reshape(4, 64).sum(1)})


@case("numba_matmul", file="numba_matmul", grid=(3, 2), block=(8, 8))
def numba_matmul(rng):
    """Rows by columns; integral."""
    a, b = rng.integers(-99, 99, (20, 13)).astype(np.float64), rng.integers(-99, 99, (13, 15)).astype(np.float64)
    return Case([*flat(a), *flat(b), *flat(np.zeros((20, 15)))], {22: a @ b})


@case("numba_histogram", file="numba_histogram", grid=2, block=64)
def numba_histogram(rng):
    """Atomic additions."""
    x = rng.integers(-1000, 1000, 701, np.int32)
    return Case([*flat(x), *flat(np.zeros(11, np.int32))], {11: np.bincount(np.abs(x) % 11, minlength=11).astype(np.int32)})


@case("numba_local", file="numba_local", grid=2, block=64)
def numba_local(rng):
    """A local array; the root of the least positive of eight."""
    x = rng.integers(-100, 60, 90, np.int32)

    def value(i):
        v = [int(w) for w in x[(i + np.arange(8) ** 2) % 90] if w > 0]
        return math.sqrt(min(v)) if v else -1.0
    return Case([*flat(x), *flat(np.zeros(100))], {11: each(value, np.arange(100), dtype=np.float64)})
