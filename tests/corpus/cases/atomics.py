"""Atomics."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import anyint, signed

case = partial(_case, file="atomics", grid=4, block=128)
N = 500
M64 = (1 << 64) - 1


@case("atomics32")
def atomics32(rng):
    """Every operation of 32 bits."""
    a = anyint(rng, N)
    u = a.view(np.uint32)
    start = np.array([5, 6, 7, 8, 0xffffffff, 9, 0xffffffff, 1 << 20, 3, 50, 40, 0, 0], np.uint32)

    def word(x):
        return int(x) & 0xffffffff
    dec = 40
    for _ in range(N):
        dec = 77 if dec == 0 or dec > 77 else dec - 1
    inc = 50
    for _ in range(N):
        inc = 0 if inc >= 100 else inc + 1
    total = int(a.sum(dtype=np.int64))
    want = [word(5 + total), word(6 - total), word(min(7, a.min())), word(max(8, a.max())), u.min(), max(9, u.max()), np.bitwise_and.reduce(u | np.uint32(0xff)),
            np.bitwise_or.reduce(u & np.uint32(0xff0f)) | np.uint32(1 << 20), np.bitwise_xor.reduce(u) ^ np.uint32(3), inc, dec,
            np.float32((a & 15).sum()).view(np.uint32), N]
    return Case([a, start.view(np.int32), np.int32(N)], {1: np.array(want, np.uint32).view(np.int32)})


@case("atomics64")
def atomics64(rng):
    """Every operation of 64 bits."""
    a = anyint(rng, N, np.int64)
    u = a.view(np.uint64)
    start = np.array([1, 2, 3, M64, 4, M64, 1 << 60, 5, 0, 0], np.uint64)
    total = sum(int(x) for x in a)
    want = [(1 + total) & M64, min(2, int(a.min())) & M64, max(3, int(a.max())), int(u.min()), max(4, int(u.max())), int(np.bitwise_and.reduce(u | np.uint64(0xffff))),
            int(np.bitwise_or.reduce(u & np.uint64(0xff00ff))) | 1 << 60, int(np.bitwise_xor.reduce(u)) ^ 5,
            int(np.float64((a & 1023).sum() * 0.5).view(np.uint64)), 3 * N]
    return Case([a, start, np.int32(N)], {1: np.array(want, np.uint64)})


@case("atomic_tickets")
def atomic_tickets(rng):
    """A permutation comes out."""
    return Case([np.zeros(1, np.int32), np.full(N, -1, np.int32), np.int32(N)],
                {0: np.array([N], np.int32), 1: lambda got: np.array_equal(np.sort(got), np.arange(N))})


@case("atomic_exchange", grid=2, block=64)
def atomic_exchange(rng):
    """All but one of the values put in come out again; that is what stays in the cell."""
    def chain(got, shift=0):
        put = set(range(129))
        return len(set(got.tolist())) == 128 and {int(x) >> shift for x in got} < put and 0 in got
    return Case([np.zeros(1, np.int32), np.zeros(128, np.int32), np.zeros(1, np.int64), np.zeros(128, np.int64)],
                {0: lambda got: 1 <= got[0] <= 128, 1: chain, 2: lambda got: 1 <= got[0] >> 32 <= 128, 3: lambda got: chain(got, 32)})


@case("atomic_halves")
def atomic_halves(rng):
    """Sums of pairs of halves; exact."""
    import ml_dtypes
    bf = ml_dtypes.bfloat16
    return Case([np.zeros(2, np.float16), np.zeros(2, bf), np.zeros(1, np.float16), np.int32(100)],
                {0: np.array([100, 200], np.float16), 1: np.array([100, 50], bf), 2: np.array([25], np.float16)})


@case("cas_loops")
def cas_loops(rng):
    """A maximum, a product and a count by compare and swap."""
    a = rng.standard_normal(N, np.float32)
    return Case([a, np.full(1, -9, np.float32), np.array([3.0]), np.array([65000, 7], np.uint16), np.int32(N)],
                {1: a.max(keepdims=True), 2: np.array([3.0]), 3: np.array([(65000 + N) & 0xffff, 7], np.uint16)})


@case("shared_atomics")
def shared_atomics(rng):
    """Atomics in shared memory."""
    a = rng.integers(-2**20, 2**20, N, np.int32)
    want = np.zeros((4, 8), np.int32)
    for b in range(4):
        x = a[128 * b:128 * b + 128]
        bits = np.bitwise_or.reduce(np.left_shift(1, (x & 31).astype(np.int64)))
        want[b, :6] = [x.sum(), min(x.min(), 1 << 30), signed(int(bits), 32), (x & 0xfff).max(), (x & 0xffff).sum(), (x & 7).sum()]
    return Case([a, np.zeros((4, 8), np.int32), np.int32(N)], {1: want})


@case("lock_per_warp", grid=3, block=64)
def lock_per_warp(rng):
    """A counter under a spin lock."""
    x = 0
    for k in range(1, 61):
        x ^= k
    return Case([np.zeros(1, np.int32), np.zeros(2, np.int32), np.int32(10)], {0: np.zeros(1, np.int32), 1: np.array([60, x], np.int32)})


@case("lock_divergent", grid=2, block=32)
def lock_divergent(rng):
    """Lanes of one warp take the lock in turn: needs independent progress of threads."""
    return Case([np.zeros(1, np.int32), np.zeros(2, np.int32)], {0: np.zeros(1, np.int32), 1: np.array([2 * 496, 64], np.int32)})


@case("last_block")
def last_block(rng):
    """The last block adds up."""
    a = rng.integers(-1000, 1000, N, np.int32)
    parts = np.array([a[k:k + 128].sum() for k in range(0, 512, 128)], np.int32)
    return Case([a, np.zeros(4, np.int32), np.zeros(1, np.uint32), np.zeros(1, np.int32), np.int32(N)],
                {1: parts, 2: np.array([4], np.uint32), 3: np.array([a.sum()], np.int32)})


@case("look_back", grid=6)
def look_back(rng):
    """A scan in one pass over blocks which wait for those before them."""
    n = 700
    a = rng.integers(-1000, 1000, n, np.int32)
    x = np.zeros(768, np.int32)
    x[:n] = a
    prefix = x.cumsum()[127::128].astype(np.int32).view(np.uint32)
    return Case([a, np.zeros(n, np.int32), np.zeros(1, np.uint32), np.zeros(6, np.uint64), np.int32(n)],
                {1: a.cumsum().astype(np.int32), 2: np.array([6], np.uint32), 3: prefix.astype(np.uint64) | np.uint64(2 << 32)})


@case("grid_barrier", grid=4, block=64)
def grid_barrier(rng):
    """Blocks meet at a counter in global memory."""
    n, rounds = 256, 5
    data = rng.integers(-100, 100, (2, n), np.int32)
    x = data.copy()
    for r in range(rounds):
        x[~r & 1] = x[r & 1][(np.arange(n) + 37) % n] * 3 + np.arange(n, dtype=np.int32)
    return Case([data, np.zeros(1, np.uint32), np.int32(rounds)], {0: x, 1: np.array([4 * rounds], np.uint32)}, cooperative=True)


@case("atomic_refs", grid=3, block=64)
def atomic_refs(rng):
    """Release and acquire between blocks, in C++."""
    return Case([np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(3, np.int32), np.zeros(1, np.uint64)],
                {0: np.array([384], np.int32), 1: np.ones(1, np.int32), 2: np.array([42], np.int32), 3: np.array([42, 43, 44], np.int32), 4: np.array([191], np.uint64)},
                cooperative=True)


@case("orders", grid=1, block=64)
def orders(rng):
    """Orders, scopes and fences."""
    a = rng.integers(-100, 100, 64, np.int32)
    s = 3 * a
    r = s
    s = s + r
    s = s + (r + 5)
    return Case([a, np.zeros(64, np.int32)], {0: s, 1: s})
