"""Asynchronous copies and barrier objects."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import signed

case = partial(_case, file="copies", grid=1, block=128)


@case("cp_async")
def cp_async(rng):
    """Copies of 16, 8 and 4 bytes; zeros past the end."""
    n = 302
    a = rng.standard_normal(n, np.float32)
    big = np.zeros(512, np.float32)
    big[:n] = a
    k = np.arange(256)
    want = np.concatenate([big[::-1], a[k ^ 3], a[127::-1][np.arange(128) ^ 64]])
    return Case([a, np.zeros(896, np.float32), np.int32(n)], {1: want})


@case("cp_async_pipeline")
def cp_async_pipeline(rng):
    """Two groups in flight."""
    a = rng.integers(-1000, 1000, (7, 128), np.int32)
    s = np.zeros(128, object)
    for row in a:
        s = s * 5 + row[::-1]
    return Case([a, np.zeros(128, np.int32), np.int32(7)], {1: np.array([signed(int(v), 32) for v in s], np.int32)})


@case("mbarrier_states", block=64)
def mbarrier_states(rng):
    """Phases by their states."""
    a, t = rng.integers(-1000, 1000, 64, np.int32), np.arange(64)
    x = np.zeros(64, np.int32)
    for r in range(0, 10, 2):
        x = (a + r + x)[(t + 5) & 63]
    return Case([a, np.zeros(64, np.int32), np.int32(5)], {1: x.astype(np.int32)})


@case("mbarrier_parity", block=64)
def mbarrier_parity(rng):
    """Arrivals with a count, dropped arrivals, two parities."""
    a = rng.integers(-1000, 1000, 64, np.int32)
    x = a[::-1].copy()
    x[:32] += a[32:].sum(dtype=np.int32)
    return Case([a, np.zeros(65, np.int32)], {1: np.append(x, 1).astype(np.int32)})


@case("cp_async_mbarrier", block=64)
def cp_async_mbarrier(rng):
    """The barrier completes when the copies have landed."""
    a = rng.integers(-1000, 1000, (64, 4), np.int32)
    return Case([a, np.zeros((64, 4), np.int32)], {1: a[::-1].copy()})
