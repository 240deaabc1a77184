"""Comparisons."""
import math
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import anyint, each, ftz, specials

case = partial(_case, file="compare", grid=4, block=128)
N = 500


def floats(rng, dtype=np.float32):
    """Two arrays with many equal elements."""
    a, b = specials(rng, N, dtype), specials(rng, N, dtype)
    b[::3] = a[::3]
    b[1::12] = -a[1::12]
    return a, b


def bits(flags):
    """Booleans as a word."""
    return sum(bool(f) << k for k, f in enumerate(flags))


@case("setp_float")
def setp_float(rng):
    """Every comparison of floating-point numbers."""
    (a, b), (c, d) = floats(rng), floats(rng, np.float64)

    def word(x, y, z, w):
        un, un64, u, v = x != x or y != y, z != z or w != w, ftz(x), ftz(y)
        ordered = [x == y, x != y and not un, x < y, x <= y, x > y, x >= y]
        return bits([*ordered, *[o or un for o in ordered], not un, un, u == v, u < v, z < w, z >= w or un64, z != w and not un64, un64])
    return Case([a, b, c, d, np.zeros(N, np.uint32), np.int32(N)], {4: each(word, a, b, c, d, dtype=np.uint32)})


@case("setp_int")
def setp_int(rng):
    """Signed, unsigned and untyped, 16 to 64 bits."""
    a, b, c, d = anyint(rng, N), anyint(rng, N), anyint(rng, N, np.int64), anyint(rng, N, np.int64)
    b[::3], d[::3] = a[::3], c[::3]
    ua, ub, uc, ud, sa, sb = a.view(np.uint32), b.view(np.uint32), c.view(np.uint64), d.view(np.uint64), a.astype(np.int16), b.astype(np.int16)
    flags = [a == b, a < b, a >= b, ua < ub, ua <= ub, ua > ub, ua >= ub, a != b, c < d, uc > ud, c == d, sa <= sb, sa.view(np.uint16) < sb.view(np.uint16), sa != sb]
    return Case([a, b, c, d, np.zeros(N, np.uint32), np.int32(N)], {4: sum(f.astype(np.uint32) << np.uint32(k) for k, f in enumerate(flags))})


@case("setp_boolean")
def setp_boolean(rng):
    """Two destinations and a third predicate."""
    (a, b), c = floats(rng), anyint(rng, N)

    def word(x, y, z):
        un, t = math.isnan(x) or math.isnan(y), z < 0
        pairs = [(x < y, t, "and"), (x < y, not t, "or"), (x >= y or un, t, "xor"), (un, not t, "and"), (not un, not t, "xor"), (x == y, t, "or")]
        do = {"and": lambda p, q: p and q, "or": lambda p, q: p or q, "xor": lambda p, q: p != q}
        flags = [f for p, t, op in pairs for f in (do[op](p, t), do[op](not p, t))]
        return bits([*flags, True])
    return Case([a, b, c, np.zeros(N, np.uint32), np.int32(N)], {3: each(word, a, b, c, dtype=np.uint32)})


@case("set_slct")
def set_slct(rng):
    """set with integer and float results; slct."""
    (a, b), c = floats(rng), rng.integers(-200, 300, N, np.int32)
    c[::7] = 0
    x, y, z, uz = a.astype(np.float64), b.astype(np.float64), c, c.view(np.uint32)
    un, ones, f1 = np.isnan(a) | np.isnan(b), 0xffffffff, 0x3f800000
    rows = [np.where(x < y, ones, 0), np.where((x >= y) | un, f1, 0), np.where(z <= 100, ones, 0), np.where(uz > 100, f1, 0),
            np.where((x == y) & (z == 0), ones, 0), np.where(z >= 0, 7, uz), np.where(y >= 0, a.view(np.uint32), f1), np.where(y >= 0, uz, 5),
            np.where(x < y, np.where(z > 3, 1, 2), np.where((y == y) & (x != y), 3, 4))]
    return Case([a, b, c, np.zeros((9, N), np.uint32), np.int32(N)], {3: np.stack(rows).astype(np.uint32)})
