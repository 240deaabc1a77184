"""Products: matmul and its kin, tensordot, einsum.  All are one op, `contract`."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.errors import ShapeError, TraceError
from ..trace import Tracer, broadcast_shapes, cast_node, emit, here, lift, make, scalar, spread, trace_of, user_error
from .elementwise import apply, promote
from .registry import method, register
from .shape import reshape, transpose


def _operands(*xs: Any) -> tuple[list[Tracer], Any]:
    trace = trace_of(xs)
    here(trace)
    ts = [lift(x, trace) for x in xs]
    dtype = promote(*ts)
    return [make(trace, cast_node(trace, t.node, t.dtype, dtype), dtype) for t in ts], dtype


def contract(x: Tracer, y: Tracer, batch: tuple[Sequence[int], Sequence[int]], lhs: Sequence[int], rhs: Sequence[int]) -> Tracer:
    """Sum of products over the named axes; 16-bit floats are accumulated in f32."""
    dtype = x.dtype
    s = scalar(dtype)
    acc = scalar(np.float32) if s.is_float and s.bits == 16 else s
    node = emit(x.trace, "contract", [x.node, y.node], batch=(tuple(batch[0]), tuple(batch[1])), lhs=tuple(lhs), rhs=tuple(rhs), acc=acc)
    return make(x.trace, cast_node(x.trace, node, acc.np, dtype), dtype)


@register("matmul")
def matmul(a: Any, b: Any, **_: Any) -> Any:
    [x, y], _d = _operands(a, b)
    if x.ndim == 0 or y.ndim == 0:
        raise user_error(ShapeError, "matmul does not take scalars", "use *")
    if x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise user_error(ShapeError, f"matmul: {x.shape} and {y.shape} do not fit: {x.shape[-1]} against {y.shape[-2 if y.ndim > 1 else 0]}")
    if x.ndim == 1 or y.ndim == 1:
        if x.ndim <= 2 and y.ndim <= 2:
            return contract(x, y, ((), ()), (x.ndim - 1,), (0 if y.ndim == 1 else y.ndim - 2,))
        if x.ndim == 1:
            return _squeezed(matmul(reshape(x, (1, *x.shape)), y), -2)
        return _squeezed(matmul(x, reshape(y, (*y.shape, 1))), -1)
    lead = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    if not lead:
        return contract(x, y, ((), ()), (1,), (0,))
    if all(n == 1 for n in y.shape[:-2]) and x.ndim >= y.ndim:  # one right matrix for all: the batch joins the rows
        flat = reshape(x, (-1 if x.size else 0, x.shape[-1]))
        return reshape(contract(flat, reshape(y, y.shape[-2:]), ((), ()), (1,), (0,)), (*x.shape[:-1], y.shape[-1]))
    n = len(lead)
    wide_x = make(x.trace, spread(x.node, x.trace, (*lead, *x.shape[-2:])), x.dtype)
    wide_y = make(y.trace, spread(y.node, y.trace, (*lead, *y.shape[-2:])), y.dtype)
    axes = tuple(range(n))
    return contract(wide_x, wide_y, (axes, axes), (n + 1,), (n,))


def _squeezed(t: Tracer, axis: int) -> Tracer:
    shape = list(t.shape)
    shape.pop(axis)
    return reshape(t, tuple(shape))  # type: ignore[no-any-return]


@register("dot")
@method("dot")
def dot(a: Any, b: Any, **_: Any) -> Any:
    x, y = lift(a, trace_of([a, b])), lift(b, trace_of([a, b]))
    if x.ndim == 0 or y.ndim == 0:
        return apply("multiply", x, y)
    if x.ndim <= 2 and y.ndim <= 2:
        return matmul(x, y)
    return tensordot(x, y, axes=((x.ndim - 1,), (y.ndim - 2 if y.ndim > 1 else 0,)))


@register("vecdot")
def vecdot(x1: Any, x2: Any, axis: int = -1, **_: Any) -> Any:
    from .reductions import normal_axis
    from .shape import moveaxis

    [x, y], _d = _operands(x1, x2)
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    del normal_axis
    if x.shape[-1] != y.shape[-1]:
        raise user_error(ShapeError, f"vecdot: {x.shape[-1]} against {y.shape[-1]} elements")
    return _squeezed(_squeezed(matmul(reshape(x, (*x.shape[:-1], 1, x.shape[-1])), reshape(y, (*y.shape, 1))), -1), -1)


@register("matvec")
def matvec(x1: Any, x2: Any, **_: Any) -> Any:
    y = lift(x2, trace_of([x1, x2]))
    return _squeezed(matmul(x1, reshape(y, (*y.shape, 1))), -1)


@register("vecmat")
def vecmat(x1: Any, x2: Any, **_: Any) -> Any:
    x = lift(x1, trace_of([x1, x2]))
    return _squeezed(matmul(reshape(x, (*x.shape[:-1], 1, x.shape[-1])), x2), -2)


@register("outer")
def outer(a: Any, b: Any, **_: Any) -> Any:
    x, y = lift(a, trace_of([a, b])), lift(b, trace_of([a, b]))
    return apply("multiply", reshape(x, (x.size, 1)), reshape(y, (1, y.size)))


@register("inner")
def inner(a: Any, b: Any) -> Any:
    x, y = lift(a, trace_of([a, b])), lift(b, trace_of([a, b]))
    if x.ndim == 0 or y.ndim == 0:
        return apply("multiply", x, y)
    return tensordot(x, y, axes=((x.ndim - 1,), (y.ndim - 1,)))


@register("tensordot")
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    from .reductions import normal_axis

    [x, y], _d = _operands(a, b)
    if isinstance(axes, int):
        lhs, rhs = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        left, right = axes
        lhs = [normal_axis(v, x.ndim) for v in (left if isinstance(left, (tuple, list)) else (left,))]
        rhs = [normal_axis(v, y.ndim) for v in (right if isinstance(right, (tuple, list)) else (right,))]
    if len(lhs) != len(rhs) or [x.shape[i] for i in lhs] != [y.shape[i] for i in rhs]:
        raise user_error(ShapeError, f"tensordot: axes {axes} of {x.shape} and {y.shape} do not fit")
    return contract(x, y, ((), ()), lhs, rhs)


@register("einsum")
def einsum(subscripts: Any, *operands: Any, optimize: Any = False, **kw: Any) -> Any:
    """Einstein summation.  `optimize` lets NumPy's path finder choose the order; otherwise from left to right."""
    if not isinstance(subscripts, str):
        raise user_error(TraceError, "einsum takes its subscripts as a string under @jit")
    if kw:
        raise user_error(TraceError, f"einsum(…, {', '.join(kw)}=…) is not supported under @jit")
    ts, dtype = _operands(*operands)
    inputs, output = _parse(subscripts, ts)
    terms = list(zip(inputs, ts))
    if optimize and len(terms) > 2:
        shapes = [np.broadcast_to(np.zeros((), np.float32), t.shape) for t in ts]
        path = np.einsum_path(",".join(inputs) + "->" + output, *shapes, optimize=optimize)[0][1:]
        steps = [sorted(p, reverse=True) for p in path]
    else:
        steps = [[1, 0]] * (len(terms) - 1)
    for step in steps:
        picked = [terms.pop(i) for i in step]
        while len(picked) > 1:
            (la, x), (lb, y) = picked.pop(), picked.pop()
            others = "".join(s for s, _ in terms) + output + "".join(s for s, _ in picked)
            picked.append(_pair(la, x, lb, y, others))
        terms.append(picked[0])
    letters, t = terms[0]
    letters, t = _single(letters, t, output)
    return transpose(t, [letters.index(c) for c in output]) if letters != output else t


def _parse(subscripts: str, ts: list[Tracer]) -> tuple[list[str], str]:
    text = subscripts.replace(" ", "")
    for c in text.replace("...", "").replace("->", "", 1):
        if not (c.isascii() and c.isalpha() or c == ","):
            raise user_error(ShapeError, f"einsum: {c!r} in {subscripts!r} is not a subscript", "letters, ',', '->', '...' and blanks")
    left, arrow, right = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ts):
        raise user_error(ShapeError, f"einsum: {len(inputs)} subscripts for {len(ts)} operands")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in text]
    dots = 0
    for s, t in zip(inputs, ts):
        if "..." in s:
            dots = max(dots, t.ndim - len(s.replace("...", "")))
    ellipsis = "".join(spare[:dots])
    full = []
    for s, t in zip(inputs, ts):
        if "..." in s:
            k = t.ndim - len(s.replace("...", ""))
            s = s.replace("...", ellipsis[dots - k :] if k else "")
        if len(s) != t.ndim:
            raise user_error(ShapeError, f"einsum: {s!r} names {len(s)} dimensions of an array with {t.ndim}")
        full.append(s)
    sizes: dict[str, int] = {}
    for s, t in zip(full, ts):
        for c, n in zip(s, t.shape):
            if sizes.setdefault(c, n) != n and 1 not in (sizes[c], n):
                raise user_error(ShapeError, f"einsum: dimension {c!r} is {sizes[c]} and {n}")
            sizes[c] = max(sizes[c], n)
    if arrow:
        output = right.replace("...", ellipsis)
    else:
        output = ellipsis + "".join(sorted(c for c in set("".join(full)) if "".join(full).count(c) == 1 and c not in ellipsis))
    if any(c not in sizes for c in output) or len(set(output)) != len(output):
        raise user_error(ShapeError, f"einsum: the output {output!r} does not fit the operands")
    return full, output


def _single(letters: str, t: Tracer, keep: str) -> tuple[str, Tracer]:
    """Diagonals taken, and dimensions that nobody needs summed away."""
    for c in sorted(set(letters)):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            order = [k for k in range(t.ndim) if k not in (i, j)] + [i, j]
            t = transpose(t, order)
            n = t.shape[-1]
            index = np.arange(n)
            t = t[(..., index, index)]
            letters = "".join(letters[k] for k in order[:-1])
    drop = tuple(i for i, c in enumerate(letters) if c not in keep)
    if drop:
        from .reductions import sum as sum_

        t = sum_(t, axis=drop, dtype=t.dtype)
        letters = "".join(c for c in letters if c in keep)
    return letters, t


def _pair(la: str, x: Tracer, lb: str, y: Tracer, others: str) -> tuple[str, Tracer]:
    la, x = _single(la, x, lb + others)
    lb, y = _single(lb, y, la + others)
    shared = [c for c in la if c in lb]
    for c in shared:  # sizes of 1 against n: repeated
        nx, ny = x.shape[la.index(c)], y.shape[lb.index(c)]
        if nx != ny:
            if nx == 1:
                x = make(x.trace, spread(x.node, x.trace, tuple(ny if k == c else s for k, s in zip(la, x.shape))), x.dtype)
            else:
                y = make(y.trace, spread(y.node, y.trace, tuple(nx if k == c else s for k, s in zip(lb, y.shape))), y.dtype)
    batch = [c for c in shared if c in others]
    summed = [c for c in shared if c not in others]
    out = contract(x, y, ([la.index(c) for c in batch], [lb.index(c) for c in batch]), [la.index(c) for c in summed], [lb.index(c) for c in summed])
    return "".join(batch) + "".join(c for c in la if c not in shared) + "".join(c for c in lb if c not in shared), out


