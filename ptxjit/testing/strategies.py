"""Hypothesis strategies for inputs that like trouble.

    scalars   extremes, ±0, ±inf, NaN, subnormals, and ordinary numbers of a dtype
    shapes    0, 1, primes, and powers of two with their neighbours
    arrays    a bulk with such scalars in it, in every layout: strided, reversed, transposed, repeated, misaligned, read-only

A dtype is NumPy's, or a name of `ptxjit.ir.types` (`f32`, `bf16`, `u8`).  Everything shrinks towards small arrays of zeros, with as few
other elements as the failure needs.
"""
from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st

from ..ir.types import SCALARS
from .compare import finfo

SIZES = (1, 2, 3, 0, 5, 7, 8, 9, 13, 16, 17, 31, 32, 33, 61, 64, 65, 127, 128, 129, 257, 1023, 4097)
DTYPES = tuple(np.dtype(d) for d in ("f4", "f8", "f2", ml_dtypes.bfloat16, "i4", "i8", "i2", "i1", "u4", "u8", "u2", "u1", "?"))
LAYOUTS = ("c", "fortran", "strided", "reversed", "transposed", "repeated", "misaligned", "readonly")


def load_all() -> None:
    """Hypothesis tries the numbers that it reads in the source of modules that are loaded; and which of ours are depends on what the disk
    cache knows.  With all of them loaded, a seed means one sequence of examples."""
    from importlib import import_module
    from pkgutil import walk_packages

    import ptxjit

    for m in walk_packages(ptxjit.__path__, "ptxjit."):
        if not m.name.endswith("__main__"):
            import_module(m.name)


def dtype_of(word: Any) -> np.dtype[Any]:
    """The dtype of `f32`, `bf16`, `i1` …, or of anything that NumPy takes.  (`i8`, `i1` and their kin mean what NumPy says for a dtype,
    so a spec's text goes through `parse_spec` instead.)"""
    if isinstance(word, str) and word not in ("i1", "i8", "u1", "u8") and word in SCALARS:
        return SCALARS[word].np
    found: np.dtype[Any] = np.dtype(word)
    return found


def scalars(dtype: Any = "f4") -> st.SearchStrategy[Any]:
    """One NumPy scalar of a dtype."""
    d = dtype_of(dtype)
    if d.kind == "b":
        return st.booleans().map(d.type)
    return _integers(d) if d.kind in "iu" else _floats(d)


def _integers(d: np.dtype[Any]) -> st.SearchStrategy[Any]:
    info = np.iinfo(d)
    special = st.sampled_from([1, info.max, info.min, max(info.min, -1), info.max - 1, 2, info.bits - 1, info.bits, info.bits // 2])
    near = st.integers(max(info.min, -100), min(info.max, 100))
    return st.one_of(st.just(0), near, special, st.integers(info.min, info.max)).map(d.type)


def _floats(d: np.dtype[Any]) -> st.SearchStrategy[Any]:
    info = finfo(d)
    tiny, small, top = (float(v) for v in (info.smallest_subnormal, info.smallest_normal, info.max))
    special = st.sampled_from([1.0, -1.0, -0.0, 0.5, 2.0, math.inf, -math.inf, math.nan, tiny, -tiny, small, -small, small - tiny, top, -top,
                               1.0 + float(info.eps), 1.5, -2.5, math.pi, 1e4])  # fmt: skip
    ordinary = st.floats(-100, 100, width=16 if d.itemsize == 2 else 32)
    wild = st.floats(width=64).map(lambda v: v if abs(v) <= top or not math.isfinite(v) else math.copysign(1.0, v))
    return st.one_of(st.just(0.0), ordinary, special, wild).map(lambda v: np.float64(v).astype(d))


def shapes(min_dims: int = 0, max_dims: int = 3, max_elements: int = 5000, min_side: int = 0) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of at most `max_elements`: 0, 1, primes and powers of two with their neighbours."""

    @st.composite
    def shape(draw: Any) -> tuple[int, ...]:
        out: list[int] = []
        left = max_elements
        for _ in range(draw(st.integers(min_dims, max_dims))):
            n = draw(st.sampled_from([s for s in SIZES if min_side <= s <= left]))
            out.append(n)
            left //= max(n, 1)
        return tuple(out)

    return shape()


@st.composite
def arrays(draw: Any, dtype: Any = None, shape: Any = None, *, special: bool = True, layouts: bool = True, low: float | None = None,
           high: float | None = None) -> Any:  # fmt: skip
    """An array.  `shape` is a tuple or a strategy; `special=False` leaves ordinary numbers; `low` and `high` bound all of them."""
    d = draw(st.sampled_from(DTYPES)) if dtype is None else dtype_of(dtype)
    size = draw(shapes()) if shape is None else draw(shape) if isinstance(shape, st.SearchStrategy) else tuple(shape)
    count = math.prod(size)
    flat = _bulk(draw, d, count)
    if special and count:
        for at, value in draw(st.lists(st.tuples(st.integers(0, count - 1), scalars(d)), max_size=6)):
            flat[at] = value
    if low is not None or high is not None:
        with np.errstate(all="ignore"):
            instead = low if low is not None else high
            flat = np.clip(np.where(flat != flat, instead, flat), low, high).astype(d)
    x = flat.reshape(size)
    return lay_out(x, draw(st.sampled_from(LAYOUTS))) if layouts else x


def _bulk(draw: Any, d: np.dtype[Any], count: int) -> Any:
    kind = draw(st.sampled_from(("zeros", "counting", "random"))) if count else "zeros"
    if kind == "zeros":
        return np.zeros(count, d)
    if kind == "counting":
        return (np.arange(count) % (2 if d.kind == "b" else 100)).astype(d)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if d.kind == "b":
        return rng.random(count) > 0.5
    if d.kind in "iu":
        return rng.integers(0 if d.kind == "u" else -50, 50, count).astype(d)
    return (rng.standard_normal(count) * 3).astype(d)


def lay_out(x: Any, layout: str) -> Any:
    """An array equal to x, with another layout in memory (x itself where the layout does not apply)."""
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], x.shape[-1] * 2 + 1), x.dtype)
        wide[..., 1::2] = x
        return wide[..., 1::2]
    if layout == "reversed" and x.ndim:
        flip = (slice(None, None, -1),) * x.ndim
        return np.ascontiguousarray(x[flip])[flip]
    if layout == "transposed" and x.ndim > 1:
        return np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose([x.ndim - 1, *range(x.ndim - 1)])
    if layout == "repeated" and x.ndim and x.shape[0]:
        return np.broadcast_to(x[:1], x.shape)  # stride 0, read-only; not equal to x, but an array like any other
    if layout == "misaligned":
        memory = bytearray(x.nbytes + 1)
        out = np.frombuffer(memory, x.dtype, x.size, offset=1).reshape(x.shape) if x.size else np.empty(x.shape, x.dtype)
        out[...] = x
        return out
    if layout == "readonly":
        x = x.copy()
        x.setflags(write=False)
    return x
