"""Warps."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import anyint

case = partial(_case, file="warps", grid=2, block=96)
N, W = 192, 6
L = np.arange(32)


@case("shuffles")
def shuffles(rng):
    """Four modes, widths, predicates, two halves of a warp."""
    a = rng.integers(-10**6, 10**6, N, np.int32)
    x = a.reshape(W, 32)

    def take(source, ok=True):
        return np.where(ok, x[:, source & 31], x)
    up4, down7 = L >= 4, L + 7 <= 31
    idx = (L & 24) | (35 & 7)
    odd = np.where(L & 1, x[:, (L + 4) & 31], -x[:, L ^ 2])
    rows = [take(L * 5 + 3), take(L - 3, L >= 3), take(L + 5, L + 5 < 32), take(L ^ 9), take(L & 24 | 6), take(L - 2, L % 16 >= 2), take(L + 1, L % 4 < 3), take(L ^ 3),
            take(L - 4, up4) * 2 + up4, take(L + 7, down7) * 2 + down7, take(idx) * 2 + 1, odd]
    return Case([a, np.zeros((12, N), np.int32), np.int32(N)], {1: np.stack([r.ravel() for r in rows]).astype(np.int32)})


@case("shuffles_wide")
def shuffles_wide(rng):
    """64 bits in two halves."""
    a, b = anyint(rng, N, np.int64), rng.standard_normal(N)
    x, y = a.reshape(W, 32), b.reshape(W, 32)
    out = np.stack([x[:, L ^ 1].ravel(), np.where(L >= 1, x[:, L - 1], x).ravel()])
    real = np.stack([np.where(L < 30, y[:, (L + 2) & 31], y).ravel(), y[:, ::-1].ravel()])
    return Case([a, b, np.zeros((2, N), np.int64), np.zeros((2, N)), np.int32(N)], {2: out, 3: real})


def ballot(flags):
    """One word per warp, repeated for each lane."""
    return np.repeat((flags.astype(np.uint64) << L.astype(np.uint64)).sum(1).astype(np.uint32), 32)


@case("votes")
def votes(rng):
    """all, any, uni, ballot."""
    a = rng.integers(-99, 100, N, np.int32)
    a[32:64] = rng.integers(1, 90, 32)
    a[64:96] = rng.integers(-80, 0, 32)
    x = a.reshape(W, 32)

    def same(v):
        return np.repeat(v.astype(np.uint32), 32)
    odd = x > 99
    uni = x < -90
    uni = (uni | odd)
    low = (1 << L) - 1
    four = ballot((x & 4) != 0).reshape(W, 32)
    rows = [same((x > -90).all(1)), same((x > 95).any(1)), ballot(x > 0), same(uni.all(1) | ~uni.any(1)), same((x <= 0).all(1)), np.zeros(N, np.uint32),
            np.array([int(v).bit_count() for v in (four & low).ravel()], np.uint32)]
    return Case([a, np.zeros((7, N), np.uint32), np.int32(N)], {1: np.stack(rows)})


@case("active", grid=1, block=32)
def active(rng):
    """Ballots of two disjoint groups."""
    a = rng.integers(-99, 100, 32, np.int32)
    odd = (a & 1) != 0
    both = [sum(1 << int(t) for t in L[odd & (a > 0)]), sum(1 << int(t) for t in L[~odd & (a > 50)])]
    return Case([a, np.zeros(32, np.uint32)], {1: np.where(odd, both[0], both[1]).astype(np.uint32)})


@case("matches")
def matches(rng):
    """match.any and match.all, 32 and 64 bits."""
    a, b = rng.integers(0, 6, N, np.int32), rng.integers(0, 3, N) * (1 << 40)
    b[:32] = 5 << 33
    a[64:96] += 100
    x, y = a.reshape(W, 32), b.reshape(W, 32)

    def any_(v):
        return np.array([[sum(1 << k for k in range(32) if w[k] == w[t]) for t in range(32)] for w in v], np.uint32).ravel()

    def all_(v):
        return np.repeat((v == v[:, :1]).all(1), 32)
    rows = [any_(x), any_(y), np.where(all_(x // 100), 0xffffffff, 0), all_(x // 100), np.where(all_(y), 0xffffffff, 0), all_(y)]
    return Case([a, b, np.zeros((6, N), np.uint32), np.int32(N)], {2: np.stack(rows).astype(np.uint32)})


@case("reductions")
def reductions(rng):
    """redux.sync of whole and half warps."""
    a = anyint(rng, N)
    x, u = a.reshape(W, 32), a.view(np.uint32).reshape(W, 32)

    def same(v):
        return np.repeat(v.astype(np.int64).astype(np.uint32).view(np.int32), 32)
    low, high = x[:, :16].max(1), x[:, 16:].sum(1, dtype=np.int64).astype(np.int32)
    rows = [same(x.sum(1, dtype=np.int64)), same(x.min(1)), same(x.max(1)), same(u.min(1)), same(u.max(1)), same(np.bitwise_and.reduce(u, 1)),
            same(np.bitwise_or.reduce(u, 1)), same(np.bitwise_xor.reduce(u, 1)), np.where(L < 16, low[:, None], high[:, None]).astype(np.int32).ravel()]
    return Case([a, np.zeros((9, N), np.int32), np.int32(N)], {1: np.stack(rows)})


@case("warp_sum", grid=4, block=128)
def warp_sum(rng):
    """A butterfly sum with its order of roundings."""
    n = 500
    a = rng.standard_normal(n, np.float32)
    x = np.zeros(512, np.float32)
    x[:n] = a
    x = x.reshape(16, 32)
    for d in (16, 8, 4, 2, 1):
        x = x + x[:, L ^ d]
    return Case([a, np.zeros(16, np.float32), np.int32(n)], {1: x[:, 0].copy()})


@case("warp_scan", grid=4, block=128)
def warp_scan(rng):
    """Inclusive sums of each warp."""
    n = 500
    a = rng.integers(-1000, 1000, n, np.int32)
    x = np.zeros(512, np.int64)
    x[:n] = a
    return Case([a, np.zeros(n, np.int32), np.int32(n)], {1: x.reshape(16, 32).cumsum(1).ravel()[:n].astype(np.int32)})


@case("syncwarp_masks", grid=1, block=32)
def syncwarp_masks(rng):
    """Two halves of a warp, each with its own barrier."""
    a = rng.integers(-1000, 1000, 32, np.int32)
    return Case([a, np.zeros(32, np.int32)], {1: np.concatenate([a[15::-1], a[:15:-1] * 2])})


@case("registers", grid=1, block=96)
def registers(rng):
    """laneid and the lane masks; smid and warpid only within their bounds."""
    e = np.array([1 << (t & 31) for t in range(96)], np.int64)
    ones = 0xffffffff
    rows = [np.arange(96) & 31, e, e - 1, e * 2 - 1, ones & ~(e * 2 - 1), ones & ~(e - 1), np.full(96, 32), np.ones(96)]
    return Case([np.zeros((96, 8), np.uint32)], {0: np.stack(rows, 1).astype(np.uint32)})
