"""When two results are the same: bit for bit, within units of the last place, or within what rounding explains.

`expect` runs a reference and says how far each element may lie from it.  Where the caller names no bound, the reference itself is the
measure: it is run again on inputs moved by one unit of the last place, and in the next wider format.  A result may lie as far away as a few
times what that changes (a backward-stable computation does no better), and where it changes the kind of a result (another index, a
NaN, an overflow) that element decides nothing.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from ..pytree import flatten

Array = Any
BASE = 4.0  # ulp that every result may differ by, where no bound is named
CHAIN = 256  # the longest chain of additions in the canonical orders; a quarter ulp is admitted for each
FACTOR = 16.0  # times what one unit of the last place in the inputs changes
WITNESSES = 4
finfo: Any = ml_dtypes.finfo  # NumPy's, and for bfloat16 and 8 bits
_WIDER = {"float8_e4m3fn": np.float32, "float8_e5m2": np.float32, "float16": np.float32, "bfloat16": np.float32, "float32": np.float64,
          "float64": np.longdouble}  # fmt: skip


def results(value: Any) -> list[Array]:
    """The arrays of a result, whatever container holds them."""
    return [np.asarray(v) for v in flatten(value)[0]]


def is_float(dtype: Any) -> bool:
    return str(np.dtype(dtype)) in _WIDER


def unit(x: Array) -> Array:
    """The distance to the next number of x's format, as f64 (subnormals included); NaN and infinities give the largest."""
    info = finfo(x.dtype)
    with np.errstate(all="ignore"):
        wide = np.abs(x.astype(np.float64))
        _, exponent = np.frexp(np.where(np.isfinite(wide), wide, float(info.max)))
    exponent = np.where(wide == 0, info.minexp, exponent - 1)
    return np.ldexp(1.0, np.maximum(exponent, info.minexp) - info.nmant)


def same_bits(a: Array, b: Array) -> Array:
    """Per element: the same bits, or both NaN."""
    a, b = np.ascontiguousarray(a).reshape(a.shape), np.ascontiguousarray(b).reshape(b.shape)
    if not is_float(a.dtype):
        return np.asarray(a == b)
    kind = f"u{a.dtype.itemsize}"
    return np.asarray((a.view(kind) == b.view(kind)) | ((a != a) & (b != b)))


def bits_equal(a: Array, b: Array) -> bool:
    """The same dtype, shape and bits; NaNs count as equal."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and bool(same_bits(a, b).all())


def ulps(a: Array, b: Array) -> float:
    """Largest distance in units of the last place; 0 where all is equal, inf where dtype, shape, an integer or a NaN differs."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    if not a.size:
        return 0.0
    if not is_float(a.dtype):
        return 0.0 if (a == b).all() else float("inf")
    with np.errstate(all="ignore"):
        x, y = a.astype(np.float64), b.astype(np.float64)
        equal = (x == y) | (np.isnan(x) & np.isnan(y))
        distance = np.where(equal, 0.0, np.abs(x - y) / np.maximum(unit(a), unit(b)))
    return float(np.where(np.isnan(distance), np.inf, distance).max())


class Expectation:
    """`want` per result, the `slack` of each element (absolute, f64), and which elements are `decided`."""

    __slots__ = ("want", "slack", "decided")

    def __init__(self, want: list[Array], slack: list[Array], decided: list[Array]) -> None:
        self.want, self.slack, self.decided = want, slack, decided

    def wrong(self, k: int, got: Array) -> Array:
        """Per element of result k: too far away."""
        want, got = self.want[k], np.asarray(got)
        with np.errstate(all="ignore"):
            equal = (want == got) | ((want != want) & (got != got))
            if is_float(want.dtype):
                near = np.abs(want.astype(np.longdouble) - got.astype(np.longdouble)) <= self.slack[k]
                equal = equal | (near & np.isfinite(want.astype(np.float64)) & np.isfinite(got.astype(np.float64)))
        return np.asarray(~equal & self.decided[k])

    def difference(self, got: Sequence[Array]) -> str | None:
        """The first difference in words, or None."""
        if len(got) != len(self.want):
            return f"{len(got)} results instead of {len(self.want)}"
        for k, (want, g) in enumerate(zip(self.want, got)):
            g = np.asarray(g)
            if want.dtype != g.dtype or want.shape != g.shape:
                return f"result {k}: {g.dtype}{list(g.shape)} instead of {want.dtype}{list(want.shape)}"
            bad = self.wrong(k, g)
            if bad.any():
                return f"result {k} {describe(want, g, bad)}"
        return None


def expect(reference: Callable[..., Any], args: Sequence[Any], ulp: float | None = None, *, base: float | None = None) -> Expectation:
    """What `reference(*args)` gives, and how far each element may be away from it.  With `ulp`, exactly that many units; else `base`
    units (more by default where an argument has a long side, along which it may be summed) and what rounding explains."""
    if base is None:
        base = BASE + min(max((n for a in args for n in np.shape(a)), default=1), CHAIN) / 4
    with np.errstate(all="ignore"):
        want = [np.array(w) for w in results(reference(*args))]
        slack = [_admitted(w, base, ulp) * unit(w) if is_float(w.dtype) else np.zeros(w.shape) for w in want]
        decided = [np.ones(w.shape, np.bool_) for w in want]
        if ulp is None:
            for moved, factor in [(wider(args), FACTOR), *((moved_inputs(args, k), FACTOR) for k in range(WITNESSES))]:
                if moved is not None:
                    _witness(reference, moved, factor, want, slack, decided)
    return Expectation(want, slack, decided)


def _admitted(w: Array, base: float, ulp: float | None) -> float:
    return ulp if ulp is not None else base if w.dtype.itemsize > 2 else min(base, BASE)  # 16-bit results are rounded once


def _witness(reference: Callable[..., Any], args: Sequence[Any], factor: float, want: list[Array], slack: list[Array], decided: list[Array]) -> None:
    try:
        seen = results(reference(*args))
    except Exception:  # noqa: BLE001  the user's function may refuse a wider format: then it tells nothing
        return
    if len(seen) != len(want) or any(s.shape != w.shape for s, w in zip(seen, want)):
        return
    for k, (w, s) in enumerate(zip(want, seen)):
        if not is_float(w.dtype):
            decided[k] &= np.asarray(w == s)
            continue
        a, b = w.astype(np.longdouble), s.astype(np.longdouble)
        finite = np.isfinite(a) & np.isfinite(b)
        decided[k] &= finite | (np.isnan(a) & np.isnan(b)) | (a == b)
        top = float(finfo(w.dtype).max)
        decided[k] &= ~(np.isfinite(b) & (np.abs(b) > top))
        slack[k] = np.maximum(slack[k], np.where(finite, factor * np.abs(a - b), 0).astype(np.float64))


def wider(args: Sequence[Any]) -> list[Any] | None:
    """The inputs in the next wider format; None where there is none to widen."""
    changed = [a.astype(_WIDER[str(a.dtype)]) if hasattr(a, "dtype") and is_float(a.dtype) else a for a in args]
    return changed if any(c is not a for c, a in zip(changed, args)) else None


def moved_inputs(args: Sequence[Any], seed: int) -> list[Any] | None:
    """The inputs with every finite nonzero number moved by one unit of the last place, up or down."""
    rng = np.random.default_rng(seed)
    out, any_moved = [], False
    for a in args:
        if hasattr(a, "dtype") and is_float(a.dtype) and np.size(a):
            any_moved = True
            x = np.array(a)
            kind = f"i{x.dtype.itemsize}"
            bits = x.reshape(-1).view(kind)
            wide = x.reshape(-1).astype(np.float64)
            step = rng.integers(0, 2, bits.shape).astype(kind) * np.array(2, kind) - np.array(1, kind)
            moves = np.isfinite(wide) & (wide != 0) & (np.abs(wide) < float(finfo(x.dtype).max))
            out.append(np.where(moves, bits + step, bits).astype(kind).view(x.dtype).reshape(x.shape))
        else:
            out.append(a)
    return out if any_moved else None


def describe(want: Array, got: Array, bad: Array) -> str:
    """The first element that differs, and how many do."""
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    where = f" at [{', '.join(map(str, at))}]" if at else ""
    away = f", {ulps(want[at], got[at]):.4g} ulp away" if is_float(want.dtype) else ""
    return f"differs{where}: {got[at]!s} instead of {want[at]!s}{away} ({int(bad.sum())} of {bad.size} elements)"


def bits_difference(want: Sequence[Array], got: Sequence[Array]) -> str | None:
    """The first element whose bits differ, in words; None where all are the same."""
    if len(want) != len(got):
        return f"{len(got)} results instead of {len(want)}"
    for k, (w, g) in enumerate(zip(want, got)):
        w, g = np.asarray(w), np.asarray(g)
        if w.dtype != g.dtype or w.shape != g.shape:
            return f"result {k}: {g.dtype}{list(g.shape)} instead of {w.dtype}{list(w.shape)}"
        bad = ~same_bits(w, g)
        if bad.any():
            return f"result {k} {describe(w, g, bad)}"
    return None
