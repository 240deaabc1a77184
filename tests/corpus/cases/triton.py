"""Kernels of Triton; two more parameters are scratch memory that these do not use."""
import numpy as np

from ..corpus import Case, case

NONE = [np.uint64(0), np.uint64(0)]


@case("triton_add", file="triton_add", grid=4, block=128)
def triton_add(rng):
    """x + y"""
    x, y = rng.standard_normal(1000, np.float32), rng.standard_normal(1000, np.float32)
    return Case([x, y, np.zeros(1000, np.float32), np.int32(1000), *NONE], {2: x + y})


@case("triton_softmax", file="triton_softmax", grid=9, block=128, shared=16)
def triton_softmax(rng):
    """Rows of 100 in blocks of 128."""
    x = rng.standard_normal((9, 100), np.float32)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return Case([x, np.zeros((9, 100), np.float32), np.int32(100), *NONE], {1: (e / e.sum(1, keepdims=True)).astype(np.float32)}, rtol=1e-5)


@case("triton_matmul", file="triton_matmul", grid=(2, 3), block=128, shared=4096)
def triton_matmul(rng):
    """50 × 70 × 80, ragged; small integers."""
    a, b = rng.integers(-8, 9, (50, 70)).astype(np.float16), rng.integers(-8, 9, (70, 80)).astype(np.float16)
    return Case([a, b, np.zeros((50, 80), np.float32), np.int32(50), np.int32(80), np.int32(70), *NONE], {2: a.astype(np.float32) @ b.astype(np.float32)})


@case("triton_scan", file="triton_scan", grid=1, block=128, shared=16)
def triton_scan(rng):
    """Inclusive sums of 500."""
    x = rng.integers(-1000, 1000, 500, np.int32)
    return Case([x, np.zeros(500, np.int32), np.int32(500), *NONE], {1: x.cumsum().astype(np.int32)})


@case("triton_histogram", file="triton_histogram", grid=4, block=128)
def triton_histogram(rng):
    """Atomic additions."""
    x = rng.integers(-1000, 1000, 500, np.int32)
    return Case([x, np.zeros(16, np.int32), np.int32(500), *NONE], {1: np.bincount(x & 15, minlength=16).astype(np.int32)})
