"""Random numbers by counter: Philox4x32-10 (Salmon et al., SC 2011).  The same key gives the same bits on every device.

    key = pj.random.key(0);  k1, k2 = pj.random.split(key);  x = pj.random.normal(k1, (1000,))

A key is a uint32 array of two words.  Functions work traced and outside; each uses its key once: split it for more.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from .ir.errors import DTypeError, UserError
from .trace import current

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85


def key(seed: int) -> Any:
    """A key from an integer seed."""
    seed = int(seed) & (1 << 64) - 1
    return np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32)


def _jitted(fn: Any, k: Any, *static: Any) -> Any:
    if current() is not None:
        return fn(k, *static)
    from .jitted import jit

    found = _CACHE.get((fn, static))
    if found is None:
        found = _CACHE[(fn, static)] = jit(lambda k: fn(k, *static), name=fn.__name__)
    return found(np.asarray(k, np.uint32))


_CACHE: dict[Any, Any] = {}


def _check(k: Any) -> None:
    if getattr(k, "dtype", None) != np.uint32 or tuple(k.shape) != (2,):
        raise DTypeError("a random key is a uint32 array of two words", hint="make one with pj.random.key(seed)")


def _philox(k: Any, count: int) -> list[Any]:
    """Four uint32 arrays of `count` numbers each, from counters 0 … count − 1."""
    _check(k)
    from .functions import registry as r

    full, arange = (lambda v: r.call("full", (count,), v, dtype=np.uint32)), r.call("arange", count, dtype=np.uint32)
    c = [arange, full(0), full(0), full(0)]  # type: ignore[no-untyped-call]
    k0, k1 = k[0], k[1]
    for _ in range(10):
        p0 = c[0].astype(np.uint64) * np.uint64(_M0)
        p1 = c[2].astype(np.uint64) * np.uint64(_M1)
        hi0, lo0 = (p0 >> np.uint64(32)).astype(np.uint32), p0.astype(np.uint32)
        hi1, lo1 = (p1 >> np.uint64(32)).astype(np.uint32), p1.astype(np.uint32)
        c = [hi1 ^ c[1] ^ k0, lo1, hi0 ^ c[3] ^ k1, lo0]
        with np.errstate(over="ignore"):  # a key that is known is a NumPy scalar, and its sum wraps around
            k0, k1 = k0 + np.uint32(_W0), k1 + np.uint32(_W1)
    return c


def _words(k: Any, n: int) -> Any:
    from .functions import registry as r

    four = _philox(k, -(-n // 4))
    return r.call("reshape", r.call("stack", four, axis=1), (-1,))[:n] if n else r.call("zeros", (0,), dtype=np.uint32)


def _bits(k: Any, shape: tuple[int, ...]) -> Any:
    return _words(k, math.prod(shape)).reshape(shape)


def _uniform(k: Any, shape: tuple[int, ...], dtype: str) -> Any:
    n = math.prod(shape)
    if dtype == "float64":
        w = _words(k, 2 * n).reshape((n, 2)).astype(np.uint64)
        whole = ((w[:, 0] << np.uint64(32)) | w[:, 1]) >> np.uint64(11)
        return (whole.astype(np.float64) * 2.0**-53).reshape(shape)
    return ((_words(k, n) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


def _normal(k: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """Box and Muller."""
    n = math.prod(shape)
    half = -(-n // 2)
    u = _uniform(k, (2, half), dtype)
    one = u.dtype.type(1)
    radius = np.sqrt(np.log(one - u[0]) * u.dtype.type(-2))
    angle = u[1] * u.dtype.type(2 * math.pi)
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return both[:n].reshape(shape)


def _randint(k: Any, shape: tuple[int, ...], lo: int, hi: int) -> Any:
    """Multiply and take the high half; the bias is below 2⁻³² of the span."""
    n = math.prod(shape)
    w = _words(k, n).astype(np.uint64)
    return ((w * np.uint64(hi - lo)) >> np.uint64(32)).astype(np.int64).reshape(shape) + lo


def _split(k: Any, count: int) -> Any:
    return _words(k, 2 * count).reshape((count, 2))


def _shape(shape: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in shape) if isinstance(shape, (tuple, list)) else (int(shape),)


def bits(k: Any, shape: Any = ()) -> Any:
    """Uniform uint32."""
    return _jitted(_bits, k, _shape(shape))


def uniform(k: Any, shape: Any = (), dtype: Any = np.float32, low: Any = 0.0, high: Any = 1.0) -> Any:
    """Uniform in [low, high), float32 (24 bits) or float64 (53 bits)."""
    x = _jitted(_uniform, k, _shape(shape), _float(dtype))
    return x if low == 0.0 and high == 1.0 else x * x.dtype.type(high - low) + x.dtype.type(low)


def normal(k: Any, shape: Any = (), dtype: Any = np.float32) -> Any:
    """Standard normal, float32 or float64."""
    return _jitted(_normal, k, _shape(shape), _float(dtype))


def randint(k: Any, shape: Any, low: int, high: int) -> Any:
    """int64 in [low, high), for spans up to 2³²."""
    if not 0 < high - low <= 1 << 32:
        raise UserError(f"randint: the span {high - low} is not in 1 … 2**32")
    return _jitted(_randint, k, _shape(shape), int(low), int(high))


def split(k: Any, num: int = 2) -> Any:
    """`num` new keys, as rows."""
    return _jitted(_split, k, int(num))


def _float(dtype: Any) -> str:
    name = np.dtype(dtype).name
    if name not in ("float32", "float64"):
        raise DTypeError(f"random numbers come as float32 or float64, not {name}")
    return name  # type: ignore[no-any-return]


