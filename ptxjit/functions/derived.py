"""Functions made of others: short definitions, as NumPy's documentation gives them."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir.errors import DTypeError, ShapeError, TraceError
from ..trace import Tracer, here, lift, scalar, trace_of, user_error
from . import reductions
from .creation import full, zeros
from .elementwise import apply, promote, where
from .reductions import normal_axes, normal_axis
from .registry import register
from .shape import broadcast_to, concatenate, part, reshape, static_int


def _lift(x: Any) -> Tracer:
    t = lift(x, trace_of([x]))
    here(t.trace)
    return t


def _float(t: Tracer) -> bool:
    return scalar(t.dtype).is_float


# ---- differences and averages ---------------------------------------------------------------------------------------


@register("diff")
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """The n-th difference of neighbours along an axis."""
    t = _lift(a)
    if t.ndim == 0:
        raise user_error(ShapeError, "diff needs at least one dimension")
    ax = normal_axis(axis, t.ndim)
    if static_int(n) < 0:
        raise user_error(ShapeError, f"diff: the order must not be negative, but is {n}")
    for _ in range(static_int(n)):
        size = t.shape[ax]
        hi, lo = part(t, ax, min(1, size), size), part(t, ax, 0, max(size - 1, 0))
        t = apply("not_equal", hi, lo) if t.dtype == np.bool_ else apply("subtract", hi, lo)
    return t


@register("ptp")
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """Largest minus smallest."""
    return apply("subtract", reductions.max(a, axis, out, keepdims), reductions.min(a, axis, out, keepdims))


@register("average")
def average(a: Any, axis: Any = None, weights: Any = None, *, keepdims: Any = False) -> Any:
    """The mean, or the weighted one."""
    t = _lift(a)
    if weights is None:
        return reductions.mean(t, axis, keepdims=keepdims)
    w = lift(weights, t.trace)
    if w.shape != t.shape:
        if axis is None or isinstance(axis, (tuple, list)) or w.shape != (t.shape[normal_axis(axis, t.ndim)],):
            raise user_error(ShapeError, f"average: the weights have shape {w.shape}, the array {t.shape}")
        w = broadcast_to(reshape(w, tuple(n if k == normal_axis(axis, t.ndim) else 1 for k, n in enumerate(t.shape))), t.shape)
    dtype = promote(t, w) if _float(t) or _float(w) else np.dtype(np.float64)
    t, w = t.astype(dtype), w.astype(dtype)
    return apply("divide", reductions.sum(apply("multiply", t, w), axis, keepdims=keepdims), reductions.sum(w, axis, keepdims=keepdims))


def _without_nan(name: str, of: str, neutral: float) -> None:
    def run(a: Any, axis: Any = None, *args: Any, **kw: Any) -> Any:
        t = _lift(a)
        return getattr(reductions, of)(where(apply("isnan", t), t.dtype.type(neutral), t) if _float(t) else t, axis, *args, **kw)

    run.__name__, run.__doc__ = name, getattr(np, name).__doc__
    register(name)(run)


_without_nan("nansum", "sum", 0.0)
_without_nan("nanprod", "prod", 1.0)


def _nan_extreme(name: str, f: str, other: float) -> None:
    def run(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
        t = _lift(a)
        if not _float(t):
            return getattr(reductions, name[3:])(t, axis, out, keepdims)
        return reductions.reduce_ufunc(f, t, axis=axis, out=out, keepdims=keepdims)

    run.__name__, run.__doc__ = name, getattr(np, name).__doc__
    register(name)(run)


_nan_extreme("nanmax", "fmax", -math.inf)
_nan_extreme("nanmin", "fmin", math.inf)


@register("nanmean")
def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    """The mean of what is not NaN."""
    t = _lift(a)
    if not _float(t):
        return reductions.mean(t, axis, dtype, out, keepdims)
    return reductions.mean(t, axis, dtype, out, keepdims, where=apply("logical_not", apply("isnan", t)))


# ---- tests ----------------------------------------------------------------------------------------------------------


@register("isclose")
def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """|a − b| ≤ atol + rtol·|b|, or equal; infinities only if equal."""
    x, y = _lift(a), _lift(b)
    if not _float(y):
        y = y.astype(np.result_type(y.dtype, 1.0))
    near = apply("less_equal", apply("absolute", apply("subtract", x, y)), apply("add", atol, apply("multiply", rtol, apply("absolute", y))))
    near = apply("logical_or", apply("logical_and", near, apply("isfinite", y)), apply("equal", x, y))
    if equal_nan:
        near = apply("logical_or", near, apply("logical_and", apply("isnan", x), apply("isnan", y)))
    return near


@register("allclose")
def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all are close: a boolean array without dimensions."""
    return reductions.all(isclose(a, b, rtol, atol, equal_nan))


@register("array_equal")
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether shapes and elements are equal: a boolean array without dimensions."""
    x, y = _lift(a1), _lift(a2)
    if x.shape != y.shape:
        return lift(False, x.trace)
    same = apply("equal", x, y)
    if equal_nan and _float(x) and _float(y):
        same = apply("logical_or", same, apply("logical_and", apply("isnan", x), apply("isnan", y)))
    return reductions.all(same)


@register("isposinf")
def isposinf(x: Any) -> Any:
    return apply("equal", _lift(x), math.inf) if _float(_lift(x)) else _lift(x).astype(np.bool_) & False


@register("isneginf")
def isneginf(x: Any) -> Any:
    return apply("equal", _lift(x), -math.inf) if _float(_lift(x)) else _lift(x).astype(np.bool_) & False


@register("isreal")
def isreal(x: Any) -> Any:
    return full(_lift(x).shape, True)


@register("iscomplex")
def iscomplex(x: Any) -> Any:
    return full(_lift(x).shape, False)


@register("iscomplexobj")
def iscomplexobj(x: Any) -> bool:
    return False


@register("isrealobj")
def isrealobj(x: Any) -> bool:
    return True


# ---- what is known while tracing ------------------------------------------------------------------------------------


@register("shape")
def shape(a: Any) -> tuple[int, ...]:
    """A tuple of ints, known while tracing."""
    return _lift(a).shape


@register("ndim")
def ndim(a: Any) -> int:
    return _lift(a).ndim


@register("size")
def size(a: Any, axis: Any = None) -> int:
    t = _lift(a)
    return t.size if axis is None else math.prod(t.shape[k] for k in normal_axes(axis, t.ndim))


@register("result_type")
def result_type(*arrays_and_dtypes: Any) -> Any:
    """NumPy's result dtype; Python scalars are weak."""
    out: list[Any] = []
    for x in arrays_and_dtypes:
        out.append((x.dtype if not x.weak else 0.0 if x.dtype.kind == "f" else 0) if isinstance(x, Tracer) else x)
    return np.result_type(*out)


# ---- choice and arithmetic ------------------------------------------------------------------------------------------


@register("select")
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The choice of the first condition that holds."""
    if len(condlist) != len(choicelist) or not condlist:
        raise user_error(ShapeError, f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    trace = trace_of([*condlist, *choicelist, default])
    choices = [lift(c, trace) for c in (*choicelist, default)]
    dtype = promote(*choices)
    out = choices[-1].astype(dtype)
    for c, v in zip(reversed(condlist), reversed(choices[:-1])):
        if lift(c, trace).dtype != np.bool_:
            raise user_error(DTypeError, "select: conditions must be boolean")
        out = where(c, v.astype(dtype), out)
    return out


@register("fix")
def fix(x: Any) -> Any:
    """Towards zero."""
    t = _lift(x)
    return apply("trunc", t)


@register("sinc")
def sinc(x: Any) -> Any:
    """sin(πx)/(πx), 1 at 0."""
    t = _lift(x)
    if not _float(t):
        t = t.astype(np.float64)
    y = apply("multiply", math.pi, where(apply("equal", t, 0), 1.0e-20 if t.dtype.itemsize > 2 else 1e-7, t))
    return apply("divide", apply("sin", y), y)


@register("polyval")
def polyval(p: Any, x: Any) -> Any:
    """A polynomial by Horner's rule, the highest power first."""
    trace = trace_of([p, x])
    coefficients, t = lift(p, trace), lift(x, trace)
    if coefficients.ndim != 1:
        raise user_error(ShapeError, "polyval needs the coefficients as a 1-d array")
    y = apply("multiply", t, 0)
    for k in range(coefficients.shape[0]):
        y = apply("add", apply("multiply", y, t), coefficients[k])
    return y


@register("trapezoid")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by trapezoids."""
    t = _lift(y)
    ax, n = normal_axis(axis, t.ndim), t.shape[normal_axis(axis, t.ndim)]
    if x is not None:
        dx = diff(x, axis=-1 if lift(x, t.trace).ndim == 1 else ax)
        if dx.ndim == 1:
            dx = reshape(dx, tuple(dx.size if k == ax else 1 for k in range(t.ndim)))
    pair = apply("add", part(t, ax, min(1, n), n), part(t, ax, 0, max(n - 1, 0)))
    return reductions.sum(apply("divide", apply("multiply", dx, pair), 2.0), ax)


@register("append")
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    trace = trace_of([arr, values])
    x, y = lift(arr, trace), lift(values, trace)
    if axis is None:
        x, y, axis = reshape(x, (x.size,)), reshape(y, (y.size,)), 0
    return concatenate([x, y], axis=axis)


@register("convolve")
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Discrete convolution, by one product for each element of the shorter operand (at most 64)."""
    trace = trace_of([a, v])
    x, y = lift(a, trace), lift(v, trace)
    if x.ndim > 1 or y.ndim > 1 or not x.size or not y.size:
        raise user_error(ShapeError, "convolve needs two 1-d arrays that are not empty")
    x, y = reshape(x, (x.size,)), reshape(y, (y.size,))
    if y.size > x.size:
        x, y = y, x
    n, k = x.size, y.size
    if k > 64:
        raise user_error(TraceError, f"convolve under @jit takes a shorter operand of at most 64 elements, not {k}", "use a loop over blocks")
    dtype = promote(x, y)
    wide = concatenate([zeros((k - 1,), dtype), x.astype(dtype), zeros((k - 1,), dtype)]) if k > 1 else x.astype(dtype)
    total: Any = None
    for j in range(k):
        term = apply("multiply", part(wide, 0, k - 1 - j, k - 1 - j + n + k - 1), y[j].astype(dtype))
        total = term if total is None else apply("add", total, term)
    if mode == "full":
        return total
    if mode == "same":
        return part(total, 0, (k - 1) // 2, (k - 1) // 2 + n)
    if mode == "valid":
        return part(total, 0, k - 1, n)
    raise user_error(TraceError, f"convolve: mode {mode!r} is not one of full, same, valid")


# ---- small linear algebra -------------------------------------------------------------------------------------------


@register("trace")
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    from .shape import diagonal

    return reductions.sum(diagonal(a, offset, axis1, axis2), -1, dtype, out)


@register("norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The 2-norm of all elements, or a vector norm along one axis, or the Frobenius norm along two."""
    t = _lift(x)
    if not _float(t):
        t = t.astype(np.float64)
    axes = normal_axes(axis, t.ndim)
    if ord is None or ord == 2 and len(axes) == 1 or ord == "fro" and len(axes) == 2:
        return apply("sqrt", reductions.sum(apply("square", t), axes, keepdims=keepdims))
    if len(axes) != 1:
        raise user_error(TraceError, f"matrix norms with ord={ord!r} are not supported under @jit", "use ord=None or 'fro'")
    return _vector_norm(t, ord, axes, keepdims)


def _vector_norm(t: Tracer, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    size = apply("absolute", t)
    if ord == math.inf:
        return reductions.max(size, axes, keepdims=keepdims)
    if ord == -math.inf:
        return reductions.min(size, axes, keepdims=keepdims)
    if ord == 0:
        return reductions.sum(apply("not_equal", t, 0).astype(t.dtype), axes, keepdims=keepdims)
    if ord == 1:
        return reductions.sum(size, axes, keepdims=keepdims)
    return apply("power", reductions.sum(size**ord, axes, keepdims=keepdims), 1.0 / ord)


@register("vector_norm")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    t = _lift(x)
    if not _float(t):
        t = t.astype(np.float64)
    axes = normal_axes(axis, t.ndim)
    if ord == 2:
        return apply("sqrt", reductions.sum(apply("square", t), axes, keepdims=keepdims))
    return _vector_norm(t, ord, axes, keepdims)


@register("cross")
def cross(a: Any, b: Any, axis: int = -1) -> Any:
    """The product of vectors of three elements."""
    from .shape import moveaxis, stack

    x, y = moveaxis(_lift(a), axis, -1), moveaxis(_lift(b), axis, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise user_error(ShapeError, f"cross needs vectors of three elements, not {x.shape[-1]} and {y.shape[-1]}")
    (a0, a1, a2), (b0, b1, b2) = ([v[..., k] for k in range(3)] for v in (x, y))
    return moveaxis(stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], -1), -1, axis)


@register("kron")
def kron(a: Any, b: Any) -> Any:
    x, y = _lift(a), _lift(b)
    rank = max(x.ndim, y.ndim)
    sx, sy = (1,) * (rank - x.ndim) + x.shape, (1,) * (rank - y.ndim) + y.shape
    left = reshape(x, tuple(v for n in sx for v in (n, 1)))
    right = reshape(y, tuple(v for n in sy for v in (1, n)))
    return reshape(apply("multiply", left, right), tuple(m * n for m, n in zip(sx, sy)))


