"""Hypothesis strategies for arrays that like trouble."""
from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

DTYPES = tuple(np.dtype(d) for d in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))
SIZES = (0, 1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 64, 65, 127, 257)


def scalars(dtype: Any) -> st.SearchStrategy[Any]:
    """One value of a dtype: extremes, zeros, infinities, NaN, subnormals, and ordinary ones."""
    d = np.dtype(dtype)
    if d.kind == "b":
        return st.booleans().map(d.type)
    if d.kind in "iu":
        info = np.iinfo(d)
        special = st.sampled_from([info.min, info.max, 0, 1, max(info.min, -1), info.max - 1])
        return st.one_of(special, st.integers(max(info.min, -100), min(info.max, 100)), st.integers(info.min, info.max)).map(d.type)
    finfo = np.finfo(d)
    tiny, small = float(finfo.smallest_subnormal), float(finfo.smallest_normal)
    special = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, float("inf"), float("-inf"), float("nan"), tiny, -tiny, small, float(finfo.max), float(finfo.min)])
    return st.one_of(special, st.floats(-100, 100, width=16 if d.itemsize == 2 else 32).map(float)).map(d.type)


def shapes(min_dims: int = 0, max_dims: int = 3, max_elements: int = 2000) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes with 0, 1, primes and powers of two next to each other."""
    return (
        st.lists(st.sampled_from(SIZES), min_size=min_dims, max_size=max_dims).map(tuple)
        .filter(lambda s: int(np.prod(s, dtype=np.int64)) <= max_elements)
    )  # fmt: skip


@st.composite
def arrays(draw: Any, dtype: Any = None, shape: Any = None, *, special: bool = True, layouts: bool = True) -> Any:
    """An array: contents from `scalars` (mixed into a random bulk), layout C, Fortran, strided, reversed, or read-only."""
    d = np.dtype(draw(st.sampled_from(DTYPES)) if dtype is None else dtype)
    size = tuple(draw(shapes()) if shape is None else shape)
    count = int(np.prod(size, dtype=np.int64))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if d.kind == "b":
        flat = rng.random(count) > 0.5
    elif d.kind in "iu":
        flat = rng.integers(0 if d.kind == "u" else -50, 50, count).astype(d)
    else:
        flat = (rng.standard_normal(count) * 3).astype(d)
    if special and count:
        for value in draw(st.lists(scalars(d), max_size=4)):
            flat[draw(st.integers(0, count - 1))] = value
    x = flat.astype(d).reshape(size)
    if not layouts:
        return x
    layout = draw(st.sampled_from(("c", "c", "fortran", "strided", "reversed", "readonly")))
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "strided" and x.ndim:
        wide = np.zeros((*x.shape[:-1], x.shape[-1] * 2), d)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "reversed" and x.ndim:
        return np.ascontiguousarray(x[::-1])[::-1]
    if layout == "readonly":
        x.setflags(write=False)
    return x
