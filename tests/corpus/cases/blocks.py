"""Blocks."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import signed

case = partial(_case, file="blocks", grid=4, block=128)
N = 500


def by_block(a, fill=0):
    """Padded to four blocks of 128."""
    x = np.full(512, fill, a.dtype)
    x[:len(a)] = a
    return x.reshape(4, 128)


@case("barrier_votes")
def barrier_votes(rng):
    """__syncthreads_count, _and, _or."""
    a = rng.integers(-60, 98, N, np.int32)
    a[:256] = np.maximum(a[:256], -49)
    a[128:] = np.minimum(a[128:], 95)
    x = by_block(a)
    each = (x > 0).sum(1) * 4 + (x > -50).all(1) * 2 + (x > 95).any(1)
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: np.repeat(each, 128)[:N].astype(np.int32)})


@case("block_reduce")
def block_reduce(rng):
    """Sums by shuffles and shared memory."""
    a = rng.integers(-2**31, 2**31, 1100, np.int32)
    x = np.zeros(1536, np.int64)
    x[:1100] = a
    return Case([a, np.zeros(4, np.int64), np.int32(1100)], {1: x.reshape(3, 4, 128).sum((0, 2))})


@case("block_max_tree")
def block_max_tree(rng):
    """A tree in shared memory."""
    a = rng.standard_normal(N, np.float32)
    return Case([a, np.zeros(4, np.float32), np.int32(N)], {1: by_block(a, -np.inf).max(1)})


@case("block_scan")
def block_scan(rng):
    """Inclusive sums of each block."""
    a = rng.integers(-1000, 1000, N, np.int32)
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: by_block(a).cumsum(1).ravel()[:N].astype(np.int32)})


@case("blelloch", grid=3)
def blelloch(rng):
    """Exclusive sums, up and down a tree."""
    a = rng.integers(-1000, 1000, (3, 256), np.int32)
    return Case([a], {0: (a.cumsum(1) - a).astype(np.int32)})


@case("histogram")
def histogram(rng):
    """Atomics in shared and global memory."""
    a = rng.integers(0, 256, 3001, np.uint8)
    a[::2] &= 3
    start = rng.integers(0, 10, 64, np.uint32)
    return Case([a, start, np.int32(3001)], {1: start + np.bincount(a & 63, minlength=64).astype(np.uint32)})


@case("compact", grid=1, block=256)
def compact(rng):
    """The positive numbers, in order."""
    a = rng.integers(-100, 100, 1000, np.int32)
    kept = a[a > 0]
    return Case([a, np.full(1000, -7, np.int32), np.zeros(1, np.int32), np.int32(1000)],
                {1: np.concatenate([kept, np.full(1000 - len(kept), -7)]).astype(np.int32), 2: np.array([len(kept)], np.int32)})


@case("producer_consumer", grid=1, block=64)
def producer_consumer(rng):
    """bar.arrive and bar.sync between two warps."""
    a = rng.integers(-1000, 1000, (9, 32), np.int32)
    s = np.zeros(32, object)
    for r in range(9):
        s = s * 3 + (a[r, ::-1] + r)
    return Case([a, np.zeros(32, np.int32), np.int32(9)], {1: np.array([signed(int(v), 32) for v in s], np.int32)})


@case("named_barriers", grid=1)
def named_barriers(rng):
    """Barriers 3 and 4 of 64 threads, then one of all, then a counting one."""
    a = rng.integers(-1000, 1000, 128, np.int32)
    t = np.arange(128)
    x = a[t ^ 63]
    return Case([a, np.zeros(128, np.int32)], {1: ((x + t)[::-1] * 256 + (x > 0).sum()).astype(np.int32)})


@case("bitonic", grid=1)
def bitonic(rng):
    """A sorting network."""
    a = rng.integers(-500, 500, 256, np.int32)
    return Case([a], {0: np.sort(a)})


@case("early_exit", grid=1)
def early_exit(rng):
    """A barrier of the warps that stay."""
    a = rng.integers(-1000, 1000, 50, np.int32)
    x = np.zeros(64, np.int32)
    x[:50] = a
    return Case([a, np.zeros(64, np.int32), np.int32(50)], {1: x + x[::-1]})
