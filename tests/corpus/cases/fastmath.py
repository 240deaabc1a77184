"""Approximations by a compiler option."""
import numpy as np

from ..corpus import Case, case


@case("fast_math", file="fastmath", grid=4, block=128)
def fast_math(rng):
    """Approximate division, roots and functions, flushed subnormals."""
    n = 500
    a, b = rng.uniform(-3, 3, n).astype(np.float32), np.exp2(rng.uniform(-5, 5, n)).astype(np.float32)
    x, y = a.astype(np.float64), b.astype(np.float64)
    want = [x / y, np.sqrt(y), np.exp(x), np.log(y), np.sin(x), y ** 0.75, 1 / np.sqrt(y) + np.clip(x, 0, 1), np.tanh(x)]
    return Case([a, b, np.zeros((8, n), np.float32), np.int32(n)], {2: np.stack(want).astype(np.float32)}, rtol=1e-3, atol=2e-6)
