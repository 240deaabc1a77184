"""Elementwise functions.  NumPy itself decides the types (`ufunc.resolve_dtypes`); the table below says what each loop computes.

A rule gets the builder, the scalar type of the loop and the operands as nodes of that type and of one shape.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.errors import DTypeError, TraceError, UserError
from ..ir.graph import Node, literal_value
from ..ir.op import op
from ..ir.types import F32, F64, I1, I32, I64, U8, U64, Scalar
from ..trace import Tracer, broadcast_shapes, cast_node, emit, here, lift, make, operand, scalar, spread, trace_of, user_error, user_loc
from .registry import method, prop, register

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
BFLOAT = scalar  # bf16 has no NumPy loops of its own for every function: it follows f32's


def _kind(t: Scalar) -> str:
    return "f" if t.is_float else "b" if t is I1 else "u" if t.is_unsigned else "i"


def rule(*names: str) -> Callable[[Rule], Rule]:
    def add(fn: Rule) -> Rule:
        for n in names:
            RULES[n] = fn
        return fn

    return add


# ---- dispatch -------------------------------------------------------------------------------------------------------


def _resolve(name: str, operands: Sequence[Tracer], dtype: Any = None) -> tuple[list[Any], list[Any]]:
    """(loop input dtypes, output dtypes) of a NumPy ufunc for these operands; `dtype` is what the caller asked for."""
    key = (name, dtype, *[(t.dtype, t.weak) for t in operands])
    found = _RESOLVED.get(key)
    if found is None:
        found = _RESOLVED[key] = _resolve_new(name, operands, dtype)
    return found


_RESOLVED: dict[Any, tuple[list[Any], list[Any]]] = {}


def _resolve_new(name: str, operands: Sequence[Tracer], dtype: Any) -> tuple[list[Any], list[Any]]:
    f = getattr(np, name)
    bf16 = [t for t in operands if not t.weak and t.dtype.name == "bfloat16"]
    given: list[Any] = []
    for t in operands:
        if t.weak:
            given.append(float if t.dtype.kind == "f" else int)
        else:
            given.append(np.dtype(np.float32) if t.dtype.name == "bfloat16" else t.dtype)
    if all(isinstance(g, type) for g in given):  # only Python scalars: they are int64 and float64 then
        given = [np.dtype(np.float64 if g is float else np.int64) for g in given]
    asked = {} if dtype is None else {"signature": (*(None,) * f.nin, *(np.dtype(dtype),) * f.nout)}
    try:
        found = f.resolve_dtypes((*given, *(None for _ in range(f.nout))), **asked)
    except TypeError:
        what = ", ".join(str(t.dtype) for t in operands)
        raise user_error(DTypeError, f"{name} is not defined for {what}" + (f" with dtype={np.dtype(dtype)}" if dtype is not None else ""),
                         "convert with .astype(…)") from None  # fmt: skip
    ins, outs = list(found[: f.nin]), list(found[f.nin :])
    if bf16 and all(t.weak or t.dtype.name == "bfloat16" or t.dtype.kind in "bui" for t in operands):
        narrow = bf16[0].dtype
        ins = [narrow if d == np.float32 else d for d in ins]
        outs = [narrow if d == np.float32 else d for d in outs]
    return ins, outs


def apply(name: str, *operands: Any, dtype: Any = None) -> Any:
    """One ufunc on anything that can be lifted."""
    trace = trace_of(operands)
    ts = [lift(x, trace) for x in operands]
    here(trace)
    if name in _COMPARISONS:
        ts = _comparable(*ts)
    ins, outs = _resolve(name, ts, dtype)
    shape = broadcast_shapes(*[t.shape for t in ts])
    nodes = [spread(operand(t, d), trace, shape) for t, d in zip(ts, ins)]
    loop = scalar(ins[0])
    if loop.bits == 16 and loop.is_float and name in _THROUGH_F32:
        nodes, loop = [trace.builder.fcvt(n, to=F32) if n.elem.is_float else n for n in nodes], F32
    made = RULES[name](trace.builder, loop, *nodes)
    weak = all(t.weak for t in ts)
    results = made if isinstance(made, tuple) else (made,)
    wrapped = tuple(make(trace, cast_node(trace, n, n.elem.np, d), d, weak and d.kind in "if") for n, d in zip(results, outs))
    return wrapped if len(wrapped) > 1 else wrapped[0]


_COMPARISONS = frozenset(("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"))
_THROUGH_F32 = frozenset(("logaddexp", "logaddexp2", "deg2rad", "radians", "rad2deg", "degrees", "divmod", "floor_divide", "remainder"))


def _comparable(x: Tracer, y: Tracer) -> list[Tracer]:
    """Integers are compared as numbers: a Python integer beyond the other side's dtype is moved to where it compares the same."""
    out = []
    for t, other in ((x, y), (y, x)):
        if t.weak and not other.weak and t.dtype.kind in "iu" and other.dtype.kind in "iu":
            if t.node.op.name != "literal":
                t = make(t.trace, t.node, t.dtype)
            else:
                value, info = int(literal_value(t.node)), np.iinfo(other.dtype)
                if not info.min <= value <= info.max:
                    wide = np.dtype(np.int64) if value < 1 << 63 and other.dtype != np.uint64 else t.dtype
                    t = make(t.trace, cast_node(t.trace, t.node, t.dtype, wide), wide)
        out.append(t)
    return out


def _define(name: str, *aliases: str) -> None:
    if name == "power":
        return
    count = getattr(np, name).nin

    def fn(*operands: Any, dtype: Any = None) -> Any:
        if len(operands) != count:
            raise user_error(TraceError, f"{name} takes {count} operand{'s' * (count > 1)}, got {len(operands)}")
        return apply(name, *operands, dtype=dtype)

    fn.__name__, fn.__doc__ = name, getattr(np, name).__doc__
    register(name, *aliases)(fn)


# ---- arithmetic -----------------------------------------------------------------------------------------------------


def _by_kind(f: str | None = None, i: str | None = None, u: str | None = None, b: str | None = None) -> Rule:
    names = {"f": f, "i": i, "u": u or i, "b": b}

    def run(bld: Any, t: Scalar, *xs: Node) -> Node:
        found = names[_kind(t)]
        assert found is not None
        return bld.emit(op(found), xs)  # type: ignore[no-any-return]

    return run


RULES["add"] = _by_kind("fadd", "iadd", b="or")
RULES["subtract"] = _by_kind("fsub", "isub")
RULES["multiply"] = _by_kind("fmul", "imul", b="and")
RULES["divide"] = _by_kind("fdiv")
RULES["negative"] = _by_kind("fneg", "ineg")
RULES["maximum"] = _by_kind("fmax", "imax_s", "imax_u", "or")
RULES["minimum"] = _by_kind("fmin", "imin_s", "imin_u", "and")
RULES["fmax"] = _by_kind("fmaxnum", "imax_s", "imax_u", "or")
RULES["fmin"] = _by_kind("fminnum", "imin_s", "imin_u", "and")
RULES["bitwise_and"] = _by_kind(i="and", b="and")
RULES["bitwise_or"] = _by_kind(i="or", b="or")
RULES["bitwise_xor"] = _by_kind(i="xor", b="xor")
RULES["invert"] = _by_kind(i="not", b="not")
RULES["left_shift"] = _by_kind(i="shl")
RULES["right_shift"] = _by_kind(i="shr_s", u="shr_u")
RULES["copysign"] = _by_kind("copysign")
RULES["sqrt"] = _by_kind("fsqrt")
RULES["fabs"] = _by_kind("fabs")
RULES["rint"] = _by_kind("frint")
for _n, _o in {"exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log", "log2": "log2", "log10": "log10", "log1p": "log1p", "sin": "sin",
               "cos": "cos", "tan": "tan", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "sinh": "sinh",
               "cosh": "cosh", "tanh": "tanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "cbrt": "cbrt",
               "hypot": "hypot", "float_power": "pow"}.items():  # fmt: skip
    RULES[_n] = _by_kind(_o)


@rule("positive", "conjugate")
def _same(b: Any, t: Scalar, x: Node) -> Node:
    return x


@rule("absolute")
def _absolute(b: Any, t: Scalar, x: Node) -> Node:
    return b.fabs(x) if t.is_float else b.iabs(x) if _kind(t) == "i" else x


def _rounding(name: str) -> Rule:
    return lambda b, t, x: b.emit(op(name), (x,)) if t.is_float else x


RULES["floor"], RULES["ceil"], RULES["trunc"] = _rounding("ffloor"), _rounding("fceil"), _rounding("ftrunc")


@rule("square")
def _square(b: Any, t: Scalar, x: Node) -> Node:
    return RULES["multiply"](b, t, x, x)  # type: ignore[no-any-return]


@rule("reciprocal")
def _reciprocal(b: Any, t: Scalar, x: Node) -> Node:
    if t.is_float:
        return b.fdiv(b.like(x, 1), x)  # type: ignore[no-any-return]
    q = b.emit(op("idiv_u" if t.is_unsigned else "idiv_s"), (b.like(x, 1), x))
    return b.select(b.icmp(x, b.like(x, 0), pred="eq"), b.like(x, 0), q)  # type: ignore[no-any-return] # NumPy: undefined for 0


def _and(b: Any, x: Node, y: Node) -> Node:
    return getattr(b, "and")(x, y)  # type: ignore[no-any-return]


def _or(b: Any, x: Node, y: Node) -> Node:
    return getattr(b, "or")(x, y)  # type: ignore[no-any-return]


def _float_divmod(b: Any, x: Node, y: Node) -> tuple[Node, Node]:
    """Python's quotient and remainder of floats: the remainder has the divisor's sign."""
    zero = b.like(x, 0)
    m = b.frem(x, y)
    q = b.fdiv(b.fsub(x, m), y)
    off = _and(b, b.fcmp(m, zero, pred="une"), b.icmp(b.fcmp(y, zero, pred="olt"), b.fcmp(m, zero, pred="olt"), pred="ne"))
    rest = b.select(off, b.fadd(m, y), m)
    q = b.select(off, b.fsub(q, b.like(x, 1)), q)
    rest = b.select(b.fcmp(rest, zero, pred="oeq"), b.copysign(zero, y), rest)
    fl = b.ffloor(q)
    fl = b.select(b.fcmp(b.fsub(q, fl), b.like(x, 0.5), pred="ogt"), b.fadd(fl, b.like(x, 1)), fl)
    ratio = b.fdiv(x, y)
    fl = b.select(b.fcmp(q, zero, pred="oeq"), b.copysign(zero, ratio), fl)
    by_zero = b.fcmp(y, zero, pred="oeq")
    return b.select(by_zero, ratio, fl), b.select(by_zero, b.frem(x, y), rest)


def _int_divmod(b: Any, t: Scalar, x: Node, y: Node) -> tuple[Node, Node]:
    """Python's quotient and remainder of integers; NumPy gives 0 for both where the divisor is 0."""
    zero = b.like(x, 0)
    by_zero = b.icmp(y, zero, pred="eq")
    if t.is_unsigned:
        q, r = b.idiv_u(x, y), b.irem_u(x, y)
    else:
        q, r = b.idiv_s(x, y), b.irem_s(x, y)
        off = _and(b, b.icmp(r, zero, pred="ne"), b.icmp(b.xor(r, y), zero, pred="slt"))
        q = b.select(off, b.isub(q, b.like(x, 1)), q)
        r = b.select(off, b.iadd(r, y), r)
    return b.select(by_zero, zero, q), b.select(by_zero, zero, r)


@rule("divmod")
def _divmod(b: Any, t: Scalar, x: Node, y: Node) -> tuple[Node, Node]:
    return _float_divmod(b, x, y) if t.is_float else _int_divmod(b, t, x, y)


@rule("floor_divide")
def _floor_divide(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    return _divmod(b, t, x, y)[0]  # type: ignore[no-any-return]


@rule("remainder")
def _remainder(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    return _divmod(b, t, x, y)[1]  # type: ignore[no-any-return]


@rule("fmod")
def _fmod(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    if t.is_float:
        return b.frem(x, y)  # type: ignore[no-any-return]
    r = (b.irem_u if t.is_unsigned else b.irem_s)(x, y)
    return b.select(b.icmp(y, b.like(x, 0), pred="eq"), b.like(x, 0), r)  # type: ignore[no-any-return]


@rule("sign")
def _sign(b: Any, t: Scalar, x: Node) -> Node:
    zero, one = b.like(x, 0), b.like(x, 1)
    if t.is_float:
        r = b.select(b.fcmp(x, zero, pred="ogt"), one, b.select(b.fcmp(x, zero, pred="olt"), b.like(x, -1), zero))
        return b.select(b.fcmp(x, x, pred="uno"), x, r)  # type: ignore[no-any-return]
    if t.is_unsigned:
        return b.select(b.icmp(x, zero, pred="eq"), zero, one)  # type: ignore[no-any-return]
    return b.select(b.icmp(x, zero, pred="sgt"), one, b.select(b.icmp(x, zero, pred="slt"), b.like(x, -1), zero))  # type: ignore[no-any-return]


@rule("heaviside")
def _heaviside(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    zero = b.like(x, 0)
    r = b.select(b.fcmp(x, zero, pred="oeq"), y, b.select(b.fcmp(x, zero, pred="olt"), zero, b.like(x, 1)))
    return b.select(b.fcmp(x, x, pred="uno"), x, r)  # type: ignore[no-any-return]


@rule("deg2rad", "radians")
def _deg2rad(b: Any, t: Scalar, x: Node) -> Node:
    return b.fmul(x, b.like(x, math.pi / 180.0))  # type: ignore[no-any-return]


@rule("rad2deg", "degrees")
def _rad2deg(b: Any, t: Scalar, x: Node) -> Node:
    return b.fmul(x, b.like(x, 180.0 / math.pi))  # type: ignore[no-any-return]


@rule("logaddexp")
def _logaddexp(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    return _log_add(b, x, y, "exp", "log1p", math.log(2.0), 1.0)


@rule("logaddexp2")
def _logaddexp2(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    return _log_add(b, x, y, "exp2", "log1p", 1.0, 1.0 / math.log(2.0))


def _log_add(b: Any, x: Node, y: Node, exp: str, log: str, equal: float, scale: float) -> Node:
    d = b.fsub(x, y)
    tail = b.emit(op(log), (b.emit(op(exp), (b.fneg(b.fabs(d)),)),))
    if scale != 1.0:
        tail = b.fmul(tail, b.like(x, scale))
    r = b.fadd(b.fmax(x, y), tail)
    return b.select(b.fcmp(x, y, pred="oeq"), b.fadd(x, b.like(x, equal)), r)  # type: ignore[no-any-return]


# ---- comparison and logic -------------------------------------------------------------------------------------------


def _compare(f: str, s: str, u: str) -> Rule:
    def run(b: Any, t: Scalar, x: Node, y: Node) -> Node:
        if t.is_float:
            return b.fcmp(x, y, pred=f)  # type: ignore[no-any-return]
        if x.elem is not y.elem:  # int64 against uint64: NumPy compares the numbers
            first = not x.elem.is_unsigned
            signed = x if first else y
            below = b.icmp(signed, b.like(signed, 0), pred="slt")
            answer = u in ("ne", "ult", "ule") if first else u in ("ne", "ugt", "uge")
            x, y = (b.bitcast(v, to=U64) if v is signed else v for v in (x, y))
            return b.select(below, b.like(x, answer, I1), b.icmp(x, y, pred=u))  # type: ignore[no-any-return]
        return b.icmp(x, y, pred=s if _kind(t) == "i" else u)  # type: ignore[no-any-return]

    return run


for _n, _f, _s, _v in (("equal", "oeq", "eq", "eq"), ("not_equal", "une", "ne", "ne"), ("less", "olt", "slt", "ult"),
                       ("less_equal", "ole", "sle", "ule"), ("greater", "ogt", "sgt", "ugt"), ("greater_equal", "oge", "sge", "uge")):  # fmt: skip
    RULES[_n] = _compare(_f, _s, _v)


def _truth(b: Any, t: Scalar, x: Node) -> Node:
    if t is I1:
        return x
    return b.fcmp(x, b.like(x, 0), pred="une") if t.is_float else b.icmp(x, b.like(x, 0), pred="ne")  # type: ignore[no-any-return]


def _logical(name: str) -> Rule:
    return lambda b, t, x, y: b.emit(op(name), (_truth(b, t, x), _truth(b, t, y)))


RULES["logical_and"], RULES["logical_or"], RULES["logical_xor"] = _logical("and"), _logical("or"), _logical("xor")
RULES["logical_not"] = lambda b, t, x: getattr(b, "not")(_truth(b, t, x))


@rule("isnan")
def _isnan(b: Any, t: Scalar, x: Node) -> Node:
    return b.fcmp(x, x, pred="uno") if t.is_float else b.like(x, False, I1)  # type: ignore[no-any-return]


@rule("isinf")
def _isinf(b: Any, t: Scalar, x: Node) -> Node:
    return b.fcmp(b.fabs(x), b.like(x, math.inf), pred="oeq") if t.is_float else b.like(x, False, I1)  # type: ignore[no-any-return]


@rule("isfinite")
def _isfinite(b: Any, t: Scalar, x: Node) -> Node:
    return b.fcmp(b.fabs(x), b.like(x, math.inf), pred="olt") if t.is_float else b.like(x, True, I1)  # type: ignore[no-any-return]


def _int_of(t: Scalar) -> Scalar:
    from ..ir.types import INT_OF_BITS

    return INT_OF_BITS[t.bits]


@rule("signbit")
def _signbit(b: Any, t: Scalar, x: Node) -> Node:
    bits = b.bitcast(x, to=_int_of(t))
    return b.icmp(bits, b.like(bits, 0), pred="slt")  # type: ignore[no-any-return]


@rule("bitwise_count")
def _bitwise_count(b: Any, t: Scalar, x: Node) -> Node:
    n = b.popc(b.iabs(x) if _kind(t) == "i" else x)
    return n if t is U8 else b.bitcast(n, to=U8) if t.bits == 8 else b.itrunc(n, to=U8)  # type: ignore[no-any-return]


# ---- parts of floats ------------------------------------------------------------------------------------------------


def _step_bits(b: Any, t: Scalar, x: Node, up: Node) -> Node:
    """The neighbour of a non-zero x away from zero where `up`, else towards it."""
    bits = b.bitcast(x, to=_int_of(t))
    one = b.like(bits, 1)
    return b.bitcast(b.select(up, b.iadd(bits, one), b.isub(bits, one)), to=t)  # type: ignore[no-any-return]


@rule("nextafter")
def _nextafter(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    zero = b.like(x, 0)
    grows = b.icmp(b.fcmp(y, x, pred="ogt"), b.fcmp(x, zero, pred="ogt"), pred="eq")
    tiny = b.bitcast(b.like(b.bitcast(x, to=_int_of(t)), 1), to=t)
    moved = b.select(b.fcmp(x, zero, pred="oeq"), b.copysign(tiny, y), _step_bits(b, t, x, grows))
    r = b.select(b.fcmp(x, y, pred="oeq"), y, moved)
    return b.select(b.fcmp(x, y, pred="uno"), b.fadd(x, y), r)  # type: ignore[no-any-return]


@rule("spacing")
def _spacing(b: Any, t: Scalar, x: Node) -> Node:
    a = b.fabs(x)
    up = _step_bits(b, t, a, b.like(a, True, I1))
    r = b.fsub(up, a)
    r = b.select(b.fcmp(x, b.like(x, 0), pred="oeq"), r, b.copysign(r, x))  # above both zeros
    if t.name == "f16":  # NumPy's half: the next number upwards, so towards zero for negative ones
        bits = b.bitcast(a, to=_int_of(t))
        power = b.icmp(_and(b, bits, b.like(bits, 0x3FF)), b.like(bits, 0), pred="eq")
        halves = _and(b, power, _and(b, b.fcmp(x, b.like(x, 0), pred="olt"), b.icmp(bits, b.like(bits, 0x400), pred="sgt")))
        largest = b.icmp(bits, b.like(bits, 0x7BFF), pred="eq")
        up = b.select(_and(b, largest, b.fcmp(x, b.like(x, 0), pred="olt")), _step_bits(b, t, a, b.like(a, False, I1)), up)
        r = b.fabs(b.fsub(up, a))
        r = b.select(halves, b.fmul(r, b.like(r, 0.5)), r)
    return b.select(b.fcmp(a, b.like(x, math.inf), pred="olt"), r, b.like(x, math.nan))  # type: ignore[no-any-return]


@rule("modf")
def _modf(b: Any, t: Scalar, x: Node) -> tuple[Node, Node]:
    whole = b.ftrunc(x)
    rest = b.fsub(x, whole)
    rest = b.select(b.fcmp(b.fabs(x), b.like(x, math.inf), pred="oeq"), b.like(x, 0), rest)
    return b.copysign(rest, x), whole


@rule("frexp")
def _frexp(b: Any, t: Scalar, x: Node) -> tuple[Node, Node]:
    k = _int_of(t)
    tiny = b.fcmp(b.fabs(x), b.like(x, 2.0 ** (2 - (1 << (t.ebits - 1)))), pred="olt")
    up = t.mant + 2
    y = b.select(tiny, b.fmul(x, b.like(x, 2.0**up)), x)
    bits = b.bitcast(y, to=k)
    bias = (1 << (t.ebits - 1)) - 2
    mask = ((1 << t.ebits) - 1) << t.mant
    e = b.isub(b.shr_u(_and(b, bits, b.like(bits, mask)), b.like(bits, t.mant)), b.like(bits, bias))
    e = b.select(tiny, b.isub(e, b.like(bits, up)), e)
    m = b.bitcast(_or(b, _and(b, bits, b.like(bits, ~mask)), b.like(bits, bias << t.mant)), to=t)
    plain = _or(b, b.fcmp(x, b.like(x, 0), pred="oeq"), getattr(b, "not")(b.fcmp(b.fabs(x), b.like(x, math.inf), pred="olt")))
    e = b.select(plain, b.like(bits, 0), e)
    return b.select(plain, x, m), e if k is I32 else (b.sext(e, to=I32) if k.bits < 32 else b.itrunc(e, to=I32))


@rule("ldexp")
def _ldexp(b: Any, t: Scalar, x: Node, n: Node) -> Node:
    """x · 2^n by three factors, each a normal number; at most one of the products rounds."""
    if n.elem.bits < 32:
        n = b.sext(n, to=I32)
    elif n.elem.bits > 32:
        n = b.itrunc(b.imin_s(b.imax_s(n, b.like(n, -(1 << 30))), b.like(n, 1 << 30)), to=I32)
    wide = F64 if t is F64 else F32
    y = x if t is wide else b.fcvt(x, to=wide)
    ebits, mant = wide.ebits, wide.mant
    bias = (1 << (ebits - 1)) - 1
    k = _int_of(wide)
    limit = b.like(n, 4 * bias)
    n = b.imin_s(b.imax_s(n, b.ineg(limit)), limit)
    # large parts first upwards; downwards only the last factor may leave the normal range
    for _ in range(4):
        part = b.imin_s(b.imax_s(n, b.like(n, -(bias - mant - 3))), b.like(n, bias))
        n = b.isub(n, part)
        e = b.iadd(part, b.like(part, bias))
        e = e if k is I32 else b.sext(e, to=I64)
        y = b.fmul(y, b.bitcast(b.shl(e, b.like(e, mant)), to=wide))
    return y if t is wide else b.fcvt(y, to=t)


# ---- integers -------------------------------------------------------------------------------------------------------


def _gcd_nodes(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    """Euclid's algorithm, unrolled over the longest possible run for the width."""
    if _kind(t) == "i":
        x, y = b.iabs(x), b.iabs(y)
    zero, one = b.like(x, 0), b.like(x, 1)
    for _ in range({8: 12, 16: 24, 32: 47, 64: 93}[t.bits]):
        done = b.icmp(y, zero, pred="eq")
        rest = b.irem_u(x, b.select(done, one, y))
        x, y = b.select(done, x, y), b.select(done, zero, rest)
    return x


@rule("gcd")
def _gcd(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    return _gcd_nodes(b, t, x, y)


@rule("lcm")
def _lcm(b: Any, t: Scalar, x: Node, y: Node) -> Node:
    g = _gcd_nodes(b, t, x, y)
    zero = b.like(x, 0)
    if _kind(t) == "i":
        x, y = b.iabs(x), b.iabs(y)
    none = b.icmp(g, zero, pred="eq")
    q = b.idiv_u(x, b.select(none, b.like(x, 1), g))
    return b.select(none, zero, b.imul(q, y))  # type: ignore[no-any-return]


class NegativePowerError(UserError, ValueError):
    """An integer to a negative integer power."""


def _int_power(b: Any, t: Scalar, x: Node, n: Node) -> Node:
    """Square and multiply over the bits of the exponent."""
    r, one, zero = b.like(x, 1), b.like(n, 1), b.like(n, 0)
    for k in range(t.bits):
        bit = _and(b, b.shr_u(n, b.like(n, k)), one)
        r = b.select(b.icmp(bit, zero, pred="ne"), b.imul(r, x), r)
        if k + 1 < t.bits:
            x = b.imul(x, x)
    return r  # type: ignore[no-any-return]


@register("power", "pow")
def power(x: Any, n: Any, dtype: Any = None) -> Any:
    """x to the n.  A Python number as exponent is expanded where that is exact; integers to negative powers are an error."""
    trace = trace_of([x, n])
    if isinstance(n, (int, float)) and not isinstance(n, (bool, np.generic)):
        base = lift(x, trace)
        if dtype is not None:
            base = base.astype(dtype)
        short = _short_power(base, n)
        if short is not None:
            return short
    t, e = lift(x, trace), lift(n, trace)
    here(trace)
    ins, outs = _resolve("power", [t, e], dtype)
    loop = scalar(ins[0])
    shape = broadcast_shapes(t.shape, e.shape)
    a, c = spread(operand(t, ins[0]), trace, shape), spread(operand(e, ins[1]), trace, shape)
    b = trace.builder
    if loop.is_float:
        return make(trace, b.pow(a, c), outs[0], t.weak and e.weak)
    if _kind(loop) == "i":
        bad = b.icmp(c, b.like(c, 0), pred="slt")
        if shape:
            from .reductions import reduce_node

            bad = reduce_node(trace, bad, "or", tuple(range(len(shape))))
        good = getattr(b, "not")(bad)
        c = emit(trace, "check", [good, c], message="integers to negative integer powers are not allowed", place=str(user_loc()))
    return make(trace, _int_power(b, loop, a, c), outs[0], t.weak and e.weak)


def _short_power(t: Tracer, n: float) -> Any:
    if t.dtype.kind in "iu" and isinstance(n, int):
        if n < 0:
            raise user_error(NegativePowerError, "integers to negative integer powers are not allowed", "convert the base to float first")
        if n > 64:
            return None
        result, base = None, t
        while n:
            if n & 1:
                result = base if result is None else apply("multiply", result, base)
            n >>= 1
            if n:
                base = apply("multiply", base, base)
        from .creation import ones_like

        return result if result is not None else ones_like(t)
    if t.dtype.kind == "b" and n == 2:
        return apply("square", t)
    if t.dtype.kind == "f" or t.dtype.name == "bfloat16":
        if n == 2:
            return apply("square", t)
        if n == 0.5:
            return apply("sqrt", t)
        if n == -1:
            return apply("reciprocal", t)
        if n == 1:
            return apply("positive", t)
        if n == 3:
            return apply("multiply", apply("square", t), t)
        if n == 4:
            return apply("square", apply("square", t))
    return None


# ---- names ----------------------------------------------------------------------------------------------------------

ALIASES = {
    "absolute": ("abs",), "arccos": ("acos",), "arccosh": ("acosh",), "arcsin": ("asin",), "arcsinh": ("asinh",), "arctan": ("atan",),
    "arctan2": ("atan2",), "arctanh": ("atanh",), "invert": ("bitwise_invert", "bitwise_not"), "left_shift": ("bitwise_left_shift",),
    "right_shift": ("bitwise_right_shift",), "conjugate": ("conj",), "remainder": ("mod",), "divide": ("true_divide",),
}  # fmt: skip
for _n in list(RULES):
    _define(_n, *ALIASES.get(_n, ()))


@register("round", "around")
@method("round")
def around(x: Any, decimals: int = 0) -> Any:
    """To the nearest even at `decimals` places, by scaling, as NumPy does."""
    t = lift(x, trace_of([x]))
    if t.dtype.kind in "iub" and decimals >= 0:
        return t
    if decimals == 0:
        return apply("rint", t)
    k = float(10 ** abs(decimals))
    if decimals > 0:
        return apply("divide", apply("rint", apply("multiply", t, k)), k)
    return apply("multiply", apply("rint", apply("divide", t, k)), k).astype(t.dtype)


@register("where")
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """x where the condition holds, y elsewhere; broadcast."""
    if x is None or y is None:
        raise user_error(TraceError, "where(condition) alone has a result of unknown size", "use where(condition, x, y)")
    trace = trace_of([condition, x, y])
    c, a, d = lift(condition, trace), lift(x, trace), lift(y, trace)
    here(trace)
    dtype = promote(a, d)
    shape = broadcast_shapes(c.shape, a.shape, d.shape)
    p = spread(cast_node(trace, c.node, c.dtype, np.bool_), trace, shape)
    left, right = (spread(cast_node(trace, v.node, v.dtype, dtype), trace, shape) for v in (a, d))  # NumPy wraps Python integers here
    return make(trace, trace.builder.select(p, left, right), dtype, a.weak and d.weak)


def promote(*ts: Tracer) -> Any:
    """NumPy's result type: Python scalars are weak (NEP 50)."""
    strong = [t for t in ts if not t.weak]
    if not strong:
        return np.result_type(*(t.dtype for t in ts))
    if any(t.dtype.name == "bfloat16" for t in strong):
        others = [t.dtype for t in strong if t.dtype.name != "bfloat16" and t.dtype.kind == "f"]
        narrow = next(t.dtype for t in strong if t.dtype.name == "bfloat16")
        return np.result_type(np.float32, *others) if others else narrow
    return np.result_type(*(t.dtype if not t.weak else (0.0 if t.dtype.kind == "f" else 0) for t in ts))


@register("clip")
@method("clip")
def clip(x: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, dtype: Any = None) -> Any:
    """Limited to [min, max]; None leaves a side open.  A Python integer beyond an integer array's dtype leaves it open, too."""
    if out is not None:
        raise user_error(TraceError, "clip(…, out=…) cannot write into an array while tracing", "use the result")
    lo, hi = min if min is not None else a_min, max if max is not None else a_max
    r = lift(x, trace_of([x, lo, hi]))
    if r.dtype.kind in "iu":
        info = np.iinfo(r.dtype)
        lo = None if type(lo) is int and lo <= info.min else lo
        hi = None if type(hi) is int and hi >= info.max else hi
    if lo is not None and hi is not None and dtype is None:
        dtype = promote(r, lift(lo, r.trace), lift(hi, r.trace))
        if dtype == np.bool_:
            raise user_error(DTypeError, "clip is not defined for bool")
    if lo is not None:
        r = apply("maximum", r, lo, dtype=dtype)
    if hi is not None:
        r = apply("minimum", r, hi, dtype=dtype)
    return r


@register("astype")
@method("astype")
def astype(x: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True, device: Any = None) -> Any:
    """Another dtype: NumPy's casts, except that float → integer saturates and NaN gives 0."""
    t = lift(x, trace_of([x]))
    here(t.trace)
    scalar(dtype)
    if casting != "unsafe" and not np.can_cast(t.dtype, dtype, casting):  # type: ignore[arg-type]
        raise user_error(DTypeError, f"cannot cast {t.dtype} to {np.dtype(dtype)} by casting={casting!r}")
    return make(t.trace, cast_node(t.trace, t.node, t.dtype, dtype), dtype)


@method("view")
def view(x: Any, dtype: Any) -> Any:
    """The same bits as another dtype of the same width."""
    t = lift(x)
    if np.dtype(dtype).itemsize != t.dtype.itemsize:
        raise user_error(DTypeError, f"view of {t.dtype} as {np.dtype(dtype)}: the widths differ")
    return make(t.trace, t.trace.builder.bitcast(t.node, to=scalar(dtype)), dtype)


def _unary_math(name: str) -> Callable[[Any], Any]:
    def fn(x: Any) -> Any:
        t = lift(x, trace_of([x]))
        if t.dtype.kind in "iub":
            t = t.astype(np.float64)
        dtype = np.dtype(np.float64) if t.weak else t.dtype
        return make(t.trace, t.trace.builder.emit(op(name), (cast_node(t.trace, t.node, t.dtype, dtype),)), dtype)

    fn.__name__, fn.__doc__ = name, op(name).doc
    return fn


register("erf")(_unary_math("erf"))
register("erfc")(_unary_math("erfc"))
register("rsqrt")(_unary_math("rsqrt"))


@register("nan_to_num")
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    t = lift(x, trace_of([x]))
    if t.dtype.kind in "iub":
        return t
    import ml_dtypes

    info = ml_dtypes.finfo(t.dtype)  # type: ignore[no-untyped-call]
    big, small = float(info.max) if posinf is None else posinf, float(info.min) if neginf is None else neginf
    r = where(apply("isnan", t), float(nan), t)
    r = where(apply("equal", t, math.inf), big, r)
    return where(apply("equal", t, -math.inf), small, r).astype(t.dtype)


@register("real")
@prop("real")
def real(x: Any) -> Any:
    """The array itself: there are no complex numbers."""
    return lift(x, trace_of([x]))


@register("imag")
@prop("imag")
def imag(x: Any) -> Any:
    """Zeros."""
    from .creation import zeros_like

    return zeros_like(x)


method("conj", "conjugate")(lambda x: x)
