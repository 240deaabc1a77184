"""sm_90: clusters, bulk copies, transactions, wide atomics."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from .matrices import transposed

case = partial(_case, file="hopper")
M64 = (1 << 64) - 1


@case("bulk_copy", block=128)
def bulk_copy(rng):
    """Two tiles through shared memory, reversed and doubled."""
    a = rng.integers(-1000, 1000, (2, 128), np.int32)
    return Case([a, np.zeros((2, 128), np.int32)], {1: a[:, ::-1] * 2 + np.array([[0], [1]], np.int32)})


@case("bulk_reduce", grid=5, block=64)
def bulk_reduce(rng):
    """Sums and minima of five tiles."""
    a, start = rng.integers(-1000, 1000, (5, 64), np.int32), rng.integers(-5, 5, 64, np.int32)
    least = rng.integers(0, 2**32, 64, np.uint32)
    return Case([a, start, least], {1: start + a.sum(0, dtype=np.int32), 2: np.minimum(least, a.view(np.uint32).min(0))})


@case("transactions", block=64)
def transactions(rng):
    """Bytes expected and completed by hand."""
    a = rng.integers(-1000, 1000, 64, np.int32)
    return Case([a, np.zeros(64, np.int32)], {1: a[::-1].copy()})


@case("cluster_exchange", grid=8, block=32)
def cluster_exchange(rng):
    """Clusters of four: what block b writes lands in block b - 1."""
    a, t = rng.integers(-1000, 1000, (2, 4, 32), np.int32), np.arange(32)
    sent = np.roll(a, -1, 1)[:, :, t ^ 1] * 10 + np.arange(4, dtype=np.int32)[None, :, None]
    return Case([a, np.zeros((2, 4, 32), np.int32)], {1: np.roll(sent, -1, 1).astype(np.int32)}, cluster=(4, 1, 1))


@case("cluster_histogram", grid=4, block=64)
def cluster_histogram(rng):
    """A histogram over the shared memory of two blocks."""
    a, start = rng.integers(0, 256, 1500, np.uint8), rng.integers(0, 9, 32, np.int32)
    return Case([a, start, np.int32(1500)], {1: start + np.bincount(a % 32, minlength=32).astype(np.int32)}, cluster=(2, 1, 1))


@case("cluster_registers", grid=(4, 2), block=32)
def cluster_registers(rng):
    """Special registers of clusters of 2 × 2; ranks from addresses."""
    rows = [[x % 2, y % 2, 0, 2, 2, 1, x % 2 + 2 * (y % 2), 4, x // 2, y // 2, 2, 1, 1, 3, 2, 1] for y in range(2) for x in range(4)]
    return Case([np.zeros((8, 16), np.uint32)], {0: np.array(rows, np.uint32)}, cluster=(2, 2, 1))


@case("cluster_mbarrier", grid=4, block=32)
def cluster_mbarrier(rng):
    """st.async to the other block of a pair."""
    a = rng.integers(-1000, 1000, (2, 2, 32), np.int32)
    return Case([a, np.zeros((2, 2, 32), np.int32)], {1: a[:, ::-1, ::-1] * 3}, cluster=(2, 1, 1))


@case("vector_atomics", grid=2, block=32)
def vector_atomics(rng):
    """red and atom on two and four elements."""
    one = np.array([1.0], np.float16).view(np.uint16).astype(np.uint32)[0]
    start = np.array([1, 2, 3, 4, 5, 6, 0, 0], np.float32)
    want = np.array([65, 130, 3 + 2 * 496, 4 - 64, 5 + 32, 6 + 256, 64, 128], np.float32)
    assert one == 0x3c00
    return Case([start, np.zeros(2, np.uint32), np.ones(64, np.float32)], {0: want, 1: np.full(4, 64, np.float16).view(np.uint32), 2: lambda got: np.isfinite(got).all()})


@case("atomics128", grid=2, block=32)
def atomics128(rng):
    """A chain of exchanges and a counter of 128 bits."""
    pairs = {(0, 0)} | {(k, ~k & M64) for k in range(1, 65)}

    def chain(got):
        seen = {tuple(map(int, p)) for p in got}
        return len(seen) == 64 and seen < pairs and (0, 0) in seen
    total = 64 << 63
    return Case([np.zeros(2, np.uint64), np.zeros((64, 2), np.uint64), np.zeros(2, np.uint64)],
                {0: lambda got: (int(got[0]), int(got[1])) in pairs - {(0, 0)}, 1: chain, 2: np.array([total & M64, total >> 64], np.uint64)})


@case("elect", grid=1, block=64)
def elect(rng):
    """One lane of each warp, and every lane knows which."""
    def one_each(got):
        return (got[:64].reshape(2, 32).sum(1) == 1).all() and (got[64:] == 1).all()
    return Case([np.zeros(128, np.int32)], {0: one_each})


@case("stmatrix_all", block=32)
def stmatrix_all(rng):
    """x4, then x2 and x1 transposed."""
    a = rng.integers(0, 2**32, (4, 32), np.uint32)
    t = transposed(a)
    return Case([a, np.zeros((7, 32), np.uint32)], {1: np.concatenate([a, t[:2], t[3:]])})


@case("mma_f64_k8", block=32)
def mma_f64_k8(rng):
    """D = A·B + C in binary64."""
    a, b, c = (rng.integers(-99, 99, s).astype(np.float64) for s in ((16, 8), (8, 8), (16, 8)))
    return Case([a, b.T.copy(), c, np.zeros((16, 8))], {3: a @ b + c})


@case("dependents", grid=4, block=64)
def dependents(rng):
    """griddepcontrol without a dependent grid."""
    a = rng.integers(-1000, 1000, 250, np.int32)
    return Case([a, np.zeros(250, np.int32), np.int32(250)], {1: a + 1})


@_case("register_counts", file="hopper_a", grid=1, block=256)
def register_counts(rng):
    """setmaxnreg."""
    a = rng.integers(-1000, 1000, 256, np.int32)
    x = a[128:]
    for k in range(5):
        x = x * 2 + k
    return Case([a, np.zeros(256, np.int32)], {1: np.concatenate([a[:128] * 3, x]).astype(np.int32)})
