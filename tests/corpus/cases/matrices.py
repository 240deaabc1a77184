"""mma.sync and its loads: small integers, so every order of sums gives the same."""
from functools import partial

import ml_dtypes
import numpy as np

from ..corpus import Case
from ..corpus import case as _case

case = partial(_case, file="matrices", grid=1, block=32)
BF = ml_dtypes.bfloat16


def words(x, bits):
    """Rows of numbers packed to words along k, the first lowest."""
    if bits == 32:
        return np.ascontiguousarray(x).view(np.uint32)
    if bits >= 8:
        return np.ascontiguousarray(x).view(np.uint32)
    per = 32 // bits
    v = (x.astype(np.int64) & ((1 << bits) - 1)).reshape(*x.shape[:-1], -1, per)
    return (v << (np.arange(per) * bits)).sum(-1).astype(np.uint32, order="C")


def product(name, k, kind, other=None, m=16, bits=None, acc=np.float32, low=-8, high=9, bt_low=None):
    """Register a case of D = A·B + C."""
    other = other or kind
    bits = bits or 8 * np.dtype(kind).itemsize

    @case(name)
    def make(rng):
        """D = A·B + C"""
        a = rng.integers(low, high, (m, k))
        b = rng.integers(low if bt_low is None else bt_low[0], high if bt_low is None else bt_low[1], (k, 8))
        c = rng.integers(-100, 100, (m, 8)).astype(acc)
        want = (a @ b + c.astype(np.int64)).astype(acc)

        def pack(x, kind):
            return x.astype(kind, order="C") if acc == np.float64 else words(x.astype(kind), bits)
        return Case([pack(a, kind), pack(b.T, other), c, np.zeros((m, 8), acc)], {3: want})
    return make


product("mma_f16_k16", 16, np.float16)
product("mma_bf16_k16", 16, BF)
product("mma_tf32_k8", 8, np.float32)
product("mma_f16_k8", 8, np.float16)
product("mma_bf16_k8", 8, BF)
product("mma_tf32_k4", 4, np.float32)
product("mma_s8_k32", 32, np.int8, acc=np.int32, low=-128, high=128)
product("mma_u8s8_k32", 32, np.uint8, np.int8, acc=np.int32, low=0, high=256, bt_low=(-128, 128))
product("mma_s8_k16", 16, np.int8, acc=np.int32, low=-128, high=128)
product("mma_s8_k16_m8", 16, np.int8, acc=np.int32, m=8, low=-128, high=128)
product("mma_s4_k64", 64, np.int8, bits=4, acc=np.int32, low=-8, high=8, bt_low=(0, 16))
product("mma_f64", 4, np.float64, m=8, acc=np.float64)


def binary(op):
    """Bits combined and counted."""
    def make(rng):
        """D = Σ popc(a op b) + C"""
        a, b = rng.integers(0, 2, (16, 256)), rng.integers(0, 2, (8, 256))
        c = rng.integers(-100, 100, (16, 8), np.int32)
        want = c + op(a[:, None], b[None]).sum(-1).astype(np.int32)
        return Case([words(a, 1), words(b, 1), c, np.zeros((16, 8), np.int32)], {3: want})
    return make


case("mma_b1_xor")(binary(np.bitwise_xor))
case("mma_b1_and")(binary(np.bitwise_and))


@case("mma_f16_f16")
def mma_f16_f16(rng):
    """Halves everywhere."""
    a, b, c = rng.integers(-5, 6, (16, 16)), rng.integers(-5, 6, (16, 8)), rng.integers(-100, 100, (16, 8))
    return Case([words(a.astype(np.float16), 16), words(b.T.astype(np.float16), 16), words(c.astype(np.float16), 16), np.zeros((16, 4), np.uint32)],
                {3: words((a @ b + c).astype(np.float16), 16)})


@case("mma_sparse")
def mma_sparse(rng):
    """Of every four elements of a row of A the second and the fourth stay."""
    a, b, c = rng.integers(-8, 9, (16, 16)), rng.integers(-8, 9, (32, 8)), rng.integers(-100, 100, (16, 8)).astype(np.float32)
    full = np.zeros((16, 8, 4), np.int64)
    full[:, :, [1, 3]] = a.reshape(16, 8, 2)
    want = (full.reshape(16, 32) @ b + c).astype(np.float32)
    return Case([words(a.astype(np.float16), 16), words(b.T.astype(np.float16), 16), c, np.zeros((16, 8), np.float32), np.uint32(0xdddddddd)], {3: want})


def transposed(tiles):
    """Each 8 × 8 matrix of halves across its diagonal."""
    return np.ascontiguousarray(tiles.view(np.uint16).reshape(-1, 8, 8).transpose(0, 2, 1)).view(np.uint32).reshape(-1, 32)


@case("ldmatrix_all")
def ldmatrix_all(rng):
    """x1, x2 (the last two matrices), x4, then all transposed."""
    a = rng.integers(0, 2**32, (4, 32), np.uint32)
    t = transposed(a)
    return Case([a, np.zeros((14, 32), np.uint32)], {1: np.concatenate([a[:1], a[2:], a, t[:1], t[2:], t])})


@case("movmatrix_trans")
def movmatrix_trans(rng):
    """One matrix transposed in registers."""
    a = rng.integers(0, 2**32, 32, np.uint32)
    return Case([a, np.zeros(32, np.uint32)], {1: transposed(a)[0]})


@case("matmul_mma", block=128)
def matmul_mma(rng):
    """64 × 48 by 48 × 32."""
    a, b = rng.integers(-8, 9, (64, 48)).astype(np.float16), rng.integers(-8, 9, (48, 32)).astype(np.float16)
    return Case([a.view(np.uint16), b.view(np.uint16), np.zeros((64, 32), np.float32), np.int32(32), np.int32(48)], {2: a.astype(np.float32) @ b.astype(np.float32)})
