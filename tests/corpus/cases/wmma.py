"""The C++ interface to matrix multiplication."""
from functools import partial

import ml_dtypes
import numpy as np

from ..corpus import Case
from ..corpus import case as _case

case = partial(_case, file="wmma", grid=1, block=32)
BF = ml_dtypes.bfloat16


def product(name, m, n, k, kind, acc, a_rows=True, b_rows=True, low=-8, high=9):
    """Register a case of D = A·B + C; the operands by rows or by columns."""
    @case(name)
    def make(rng):
        """D = A·B + C"""
        a, b, c = rng.integers(low, high, (m, k)), rng.integers(low, high, (k, n)), rng.integers(-50, 50, (m, n))
        return Case([(a if a_rows else a.T).astype(kind, order="C"), (b if b_rows else b.T).astype(kind, order="C"), c.astype(acc), np.zeros((m, n), acc)],
                    {3: (a @ b + c).astype(acc)})
    return make


product("wmma_f16_f32", 16, 16, 16, np.float16, np.float32)
product("wmma_f16_f16", 32, 8, 16, np.float16, np.float16, True, False)
product("wmma_bf16", 8, 32, 16, BF, np.float32, False, True)
product("wmma_tf32", 16, 16, 8, np.float32, np.float32, True, False)
product("wmma_f64", 8, 8, 4, np.float64, np.float64)
product("wmma_s8", 16, 16, 16, np.int8, np.int32, True, False, -128, 128)
product("wmma_u8", 16, 16, 16, np.uint8, np.int32, False, True, 0, 256)


@case("wmma_tiles", grid=(3, 2), block=128)
def wmma_tiles(rng):
    """64 × 48 by 48 × 96, halved."""
    a, b = rng.integers(-8, 9, (64, 48)).astype(np.float16), rng.integers(-8, 9, (48, 96)).astype(np.float16)
    return Case([a, b, np.zeros((64, 96), np.float32), np.int32(96), np.int32(48)], {2: a.astype(np.float32) @ b.astype(np.float32) * np.float32(0.5)})
