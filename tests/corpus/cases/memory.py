"""State spaces and parameters."""
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import each

case = partial(_case, file="memory")
N = 500


@case("vectors", grid=4, block=128)
def vectors(rng):
    """Loads and stores of two and four elements."""
    a, b = rng.standard_normal((N, 2), np.float32), rng.standard_normal((N, 4), np.float32)
    c, d, e = rng.integers(-32768, 32767, (N, 4), np.int16), rng.integers(0, 255, (N, 4), np.uint8), rng.standard_normal((N, 2))
    out = np.stack([a[:, 0] + b[:, 0], a[:, 1] - b[:, 1], b[:, 2], b[:, 3] * 2], 1)
    wide = np.stack([e[:, 1], e[:, 0] + a[:, 0]], 1)
    p, q = c.astype(np.int32), d.astype(np.int32)
    ints = np.stack([p[:, 0] + q[:, 0], p[:, 1] - q[:, 1], p[:, 2] * q[:, 2], p[:, 3] ^ q[:, 3]], 1)
    return Case([a, b, c, d, e, np.zeros((N, 4), np.float32), np.zeros((N, 2)), np.zeros((N, 4), np.int32), np.int32(N)], {5: out, 6: wide, 7: ints})


@case("constants", grid=2, block=64)
def constants(rng):
    """Constant arrays, initialised variables, pointers to other variables."""
    n = 100
    at = rng.integers(0, 8, n, np.int32)
    primes, numbers = [2, 3, 5, 7, 11, 13, 17, 19], [10, -20, 30, -40, 50]
    coefficients = [[1.5, -2], [0.25, 8], [-1, 3]]

    def value(k):
        half, real, to = [(1, 3.0, 10), (-1, -3.0, 50)][k & 1]
        return (primes[k] * coefficients[k % 3][k & 1] + numbers[1 + (k & 1)] + ord("x") - 7 + 123456 * 2.5 + numbers[3] + b"ptx\0"[k & 3]
                + (0x123456789abcdef0 >> k * 8 & 255) + half * real + to)
    return Case([at, np.zeros(n), np.int32(n)], {1: each(value, at, dtype=np.float64)})


@case("variables", block=70)
def variables(rng):
    """Variables of the module written and read."""
    return Case([np.zeros(70, np.int32), np.zeros(4, np.float32)], {0: np.arange(41, 111, dtype=np.int32), 1: np.array([4.5, 3, 1.5, 0], np.float32)})


@case("transpose", grid=(4, 3), block=(16, 16))
def transpose(rng):
    """A tile with a pad column; ragged edges."""
    a = rng.standard_normal((45, 50), np.float32)
    return Case([a, np.zeros((50, 45), np.float32), np.int32(45), np.int32(50)], {1: a.T.copy()})


@case("matmul_tile", grid=(3, 4), block=(8, 8))
def matmul_tile(rng):
    """Tiles of 8 × 8, ragged; small integers, so exact."""
    m, n, k = 27, 19, 21
    a, b = rng.integers(-9, 9, (m, k)).astype(np.float32), rng.integers(-9, 9, (k, n)).astype(np.float32)
    return Case([a, b, np.zeros((m, n), np.float32), np.int32(m), np.int32(n), np.int32(k)], {2: a @ b})


@case("dynamic_shared", grid=4, block=96, shared=96 * 6)
def dynamic_shared(rng):
    """extern __shared__ split in two arrays."""
    n, block = 350, 96
    a = rng.integers(-1000, 1000, n, np.int32)
    padded = np.concatenate([a, np.full(4 * block - n, -1, np.int32)]).reshape(4, block)
    other = (np.arange(4 * block) * 3).astype(np.int16).astype(np.int32).reshape(4, block)
    want = (padded + other)[:, ::-1].ravel()[:n].astype(np.int32)
    return Case([a, np.zeros(n, np.int32), np.int32(n)], {1: want})


@case("local_array", grid=2, block=64)
def local_array(rng):
    """Sorting in local memory with dynamic indices."""
    a = rng.integers(-50, 50, (100, 9), np.int32)
    return Case([a, np.zeros((100, 9), np.int32), np.int32(100)], {1: np.sort(a, 1)})


@case("dynamic_stack", grid=2, block=64)
def dynamic_stack(rng):
    """alloca of 1 to 20 elements."""
    size = rng.integers(1, 21, 100, np.int32)

    def value(m):
        v = [1]
        for k in range(1, m):
            v.append(v[-1] * 3 + k)
        s = 0
        for x in reversed(v):
            s = s * 7 + x
        return s
    return Case([size, np.zeros(100, np.int32), np.int32(100)], {1: each(value, size, dtype=np.int32)})


@case("struct_parameter", grid=2, block=64)
def struct_parameter(rng):
    """A nested struct with padding, a char and a bool by value."""
    pair = np.dtype([("a", np.int32), ("b", np.float64)], align=True)
    v = np.zeros((), np.dtype([("c", np.int8), ("p", pair, 2), ("s", np.uint16, 3), ("f", np.float32)], align=True))
    v["c"], v["p"]["a"], v["p"]["b"], v["s"], v["f"] = -3, [5, -7], [0.5, 1.25], [1, 65535, 300], 0.75
    at = rng.integers(0, 60, 100, np.int32)
    want = each(lambda k: -3 + [5, -7][k & 1] * [0.5, 1.25][~k & 1] + [1, 65535, 300][k % 3] + 0.75 - 100 + 1000, at, dtype=np.float64)
    return Case([v[()], np.int8(-100), np.bool_(True), at, np.zeros(100), np.int32(100)], {4: want}, rtol=1e-7)


@case("large_parameter", grid=2, block=64)
def large_parameter(rng):
    """4800 bytes by value."""
    v, at = rng.integers(-10**6, 10**6, 1200, np.int32), rng.integers(0, 1200, 100, np.int32)
    return Case([v.tobytes(), at, np.zeros(100, np.int32), np.int32(100)], {2: v[at] + v[::-1][:100]})


@case("grid3", grid=(2, 3, 2), block=(4, 2, 3))
def grid3(rng):
    """Three dimensions of blocks and threads."""
    z, y, x = np.indices((6, 6, 8))
    return Case([np.zeros((6, 6, 8), np.int32)], {0: (x + 100 * y + 10000 * z + 1000000 * (x // 4 + 2 * (y // 2) + 4 * (z // 3))).astype(np.int32)})


@case("unions", grid=2, block=64)
def unions(rng):
    """One word seen as a float, halves and bytes."""
    a = rng.standard_normal(100, np.float32)
    c, s = a.view(np.uint8).reshape(100, 4), a.view(np.int16).reshape(100, 2)
    i = np.arange(100)
    v = np.stack([c[i, (k + i) & 3] for k in range(4)], 1).copy().view(np.uint32).ravel()
    return Case([a, np.zeros(100, np.uint32), np.int32(100)], {1: v ^ s[i, i & 1].astype(np.int32).view(np.uint32)})


@case("small_types", grid=4, block=128)
def small_types(rng):
    """bool, char and short."""
    a, b = rng.integers(0, 2, N).astype(bool), rng.integers(-128, 128, N, np.int8)
    c, d = rng.integers(0, 256, N, np.uint8), rng.integers(0, 65536, N, np.uint16)
    w = b.astype(np.int32)
    narrow = np.where(a, -w, np.trunc(w / 2)).astype(np.int32).astype(np.int8)
    return Case([a, b, c, d, np.zeros(N, bool), np.zeros(N, np.int8), np.zeros(N, np.uint16), np.int32(N)],
                {4: a != (b > 0), 5: narrow, 6: (d.astype(np.int32) * 3 + c).astype(np.uint16)})


@case("spaces")
def spaces(rng):
    """isspacep of pointers chosen at run time; loads from generic addresses."""
    data = rng.integers(0, 1000, 32, np.int32)
    want = [[1 | int(data[t]) << 4, 2 | (t ^ 1) << 4, 4 | (2 * t if t & 1 else t) << 4][t % 3] for t in range(32)]
    return Case([data, np.zeros(32, np.int32)], {1: np.array(want, np.int32)})


@case("misaligned_copy", grid=2, block=64)
def misaligned_copy(rng):
    """memcpy and memset of odd lengths."""
    a = rng.integers(0, 256, (100, 13), np.uint8)
    want = a.copy()
    want[:, 3:8] = np.arange(100, dtype=np.uint8)[:, None]
    return Case([a, np.zeros((100, 13), np.uint8), np.int32(100)], {1: want})
