"""Arithmetic, logic, comparison, selection: the ops that exist unchanged at every level.

Conventions of the meanings.  Integers arrive and leave as *signed* NumPy arrays (`Scalar.np`), predicates as bool; `_u` gives
the unsigned reading of the same bits.  Arithmetic wraps.  A shift count is read unsigned; counts of the width or more give 0, or
the sign for `shr_s`.  Division by zero gives all ones (quotient) and the dividend (remainder), the smallest integer divided by
−1 wraps: the ops never trap.  f16 and bf16 arithmetic rounds once from exact; `rnd` is one of `rn rz rm rp`, and *absent* means
"to nearest, and may be contracted into an fma by a target that admits it under `fast_math`".  `ftz`: subnormal operands and results
become zeros of their sign; `sat`: the result is clamped to [0, 1], a NaN to 0.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import softfloat
from ..op import lane_op
from ..types import Scalar

RND = ("rn", "rz", "rm", "rp")
FLOAT_ATTRS: dict[str, Any] = {"rnd": RND, "ftz": (True,), "sat": (True,)}
APPROX_ATTRS: dict[str, Any] = {**FLOAT_ATTRS, "approx": (True,)}
FCMP = ("oeq", "one", "olt", "ole", "ogt", "oge", "ord", "ueq", "une", "ult", "ule", "ugt", "uge", "uno")
SIGNS = ("ss", "su", "us", "uu")  # of the bytes of the first and of the second word
ICMP = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")


def _u(a: Any) -> Any:
    return a.view(f"u{a.dtype.itemsize}") if a.dtype.kind == "i" else a


def _s(a: Any) -> Any:
    return a.view(f"i{a.dtype.itemsize}") if a.dtype.kind == "u" else a


def _largest(t: Scalar) -> float:
    return 448.0 if t.name == "f8e4m3" else np.inf  # which has no infinities


def _but_approx(meaning: Any) -> Any:
    """`approx` admits the device's own error; the meaning is still the rounded result."""
    return lambda *a, approx=None, **kw: meaning(*a, **kw)


# ---- float ----------------------------------------------------------------------------------------------------------

lane_op("fadd", "T:float T -> T", softfloat.fadd, attrs=FLOAT_ATTRS, commutative=True, identity=lambda t: -0.0, doc="a + b")
lane_op("fsub", "T:float T -> T", softfloat.fsub, attrs=FLOAT_ATTRS, doc="a − b")
lane_op("fmul", "T:float T -> T", softfloat.fmul, attrs=FLOAT_ATTRS, commutative=True, identity=lambda t: 1.0, doc="a · b")
lane_op("fdiv", "T:float T -> T", _but_approx(softfloat.fdiv), attrs=APPROX_ATTRS, doc="a / b, correctly rounded")
lane_op("ffma", "T:float T T -> T", softfloat.ffma, attrs=FLOAT_ATTRS, doc="a · b + c with one rounding")
lane_op("fsqrt", "T:float -> T", _but_approx(softfloat.fsqrt), attrs=APPROX_ATTRS, doc="√a, correctly rounded")
lane_op("fneg", "T:float -> T", softfloat.fneg, doc="the sign bit flipped, also of NaN")
lane_op("fabs", "T:float -> T", softfloat.fabs, doc="the sign bit cleared, also of NaN")
lane_op("copysign", "T:float T -> T", softfloat.copysign, doc="magnitude of a with the sign bit of b")
lane_op("fmin", "T:float T -> T", softfloat.fmin, commutative=True, associative=True, idempotent=True,
        identity=_largest, doc="smaller; NaN if either is NaN; −0 < +0 (IEEE 754-2019 minimum)")  # fmt: skip
lane_op("fmax", "T:float T -> T", softfloat.fmax, commutative=True, associative=True, idempotent=True,
        identity=lambda t: -_largest(t), doc="larger; NaN if either is NaN; −0 < +0 (IEEE 754-2019 maximum)")  # fmt: skip
lane_op("fminnum", "T:float T -> T", softfloat.fminnum, commutative=True, associative=True, idempotent=True,
        identity=lambda t: np.nan, doc="smaller; a NaN loses; −0 < +0 (minimumNumber)")  # fmt: skip
lane_op("fmaxnum", "T:float T -> T", softfloat.fmaxnum, commutative=True, associative=True, idempotent=True,
        identity=lambda t: np.nan, doc="larger; a NaN loses; −0 < +0 (maximumNumber)")  # fmt: skip
lane_op("ffloor", "T:float -> T", softfloat.ffloor, doc="towards −∞ to an integer")
lane_op("fceil", "T:float -> T", softfloat.fceil, doc="towards +∞ to an integer")
lane_op("ftrunc", "T:float -> T", softfloat.ftrunc, doc="towards zero to an integer")
lane_op("frint", "T:float -> T", softfloat.frint, doc="to the nearest integer, ties to even")
lane_op("frem", "T:float T -> T", softfloat.frem, doc="C's fmod: a − b·trunc(a/b), exact, sign of a")


lane_op("fscale", "T:float U:int -> T", softfloat.fscale, doc="a · 2^b, rounded once")


def _fcmp(ty: Scalar, a: Any, b: Any, pred: str = "oeq") -> Any:
    if a.dtype.kind != "f":  # ml_dtypes: compare in f32, exactly
        a, b = a.astype(np.float32), b.astype(np.float32)
    unordered = (a != a) | (b != b)
    if pred in ("ord", "uno"):
        return unordered if pred == "uno" else ~unordered
    with np.errstate(invalid="ignore"):
        r = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
             "ge": np.greater_equal}[pred[1:]](a, b)  # fmt: skip
    return (r & ~unordered) if pred[0] == "o" else (r | unordered)


lane_op("fcmp", "T:float T -> i1", _fcmp, attrs={"pred": FCMP}, doc="ordered (o…) or unordered (u…) comparison")

# ---- integer --------------------------------------------------------------------------------------------------------


def _wrap(fn: Any) -> Any:
    def meaning(ty: Scalar, *args: Any) -> Any:
        if ty.bits == 128:
            return _wrap128(fn(*args))
        with np.errstate(over="ignore"):
            return np.asarray(fn(*args)).astype(ty.np)

    return meaning


def _wrap128(a: Any) -> Any:
    return np.vectorize(lambda v: ((int(v) + (1 << 127)) & ((1 << 128) - 1)) - (1 << 127), otypes=[object])(a)


def _mulhi(signed: bool) -> Any:
    def meaning(ty: Scalar, a: Any, b: Any) -> Any:
        if not signed:
            a, b = _u(a), _u(b)
        if ty.bits <= 32:
            wide = np.int64 if signed else np.uint64
            return _s((a.astype(wide) * b.astype(wide)) >> wide(ty.bits)).astype(ty.np)
        # 64 bits by 32-bit halves: the carry of the low products is kept
        lo, m32 = _u(a.view(np.int64) if signed else a), np.uint64(0xFFFFFFFF)
        x, y = lo, _u(b.view(np.int64) if signed else b)
        x0, x1, y0, y1 = x & m32, x >> np.uint64(32), y & m32, y >> np.uint64(32)
        with np.errstate(over="ignore"):
            mid = x1 * y0 + ((x0 * y0) >> np.uint64(32))
            mid2 = x0 * y1 + (mid & m32)
            hi = x1 * y1 + (mid >> np.uint64(32)) + (mid2 >> np.uint64(32))
            if signed:
                hi = hi - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
        return hi.view(np.int64)

    return meaning


def _div(signed: bool, rem: bool) -> Any:
    def meaning(ty: Scalar, a: Any, b: Any) -> Any:
        if ty.bits == 128:
            return _wrap128(np.vectorize(lambda x, y: _div_int(int(x), int(y), signed, rem), otypes=[object])(a, b))
        x, y = (a, b) if signed else (_u(a), _u(b))
        zero = y == 0
        minus = (y == -1) if signed else np.zeros_like(zero)
        safe = np.where(zero | minus, np.ones_like(y), y)
        with np.errstate(over="ignore"):
            q = x // safe
            if signed:
                q = q + ((x % safe != 0) & ((x < 0) != (safe < 0)))  # floor → truncation
                q = np.where(minus, -x, q)
            q = np.where(zero, np.array(-1).astype(q.dtype) if signed else np.iinfo(q.dtype).max, q)
            r = np.where(minus, 0, np.where(zero, x, x - q * safe))
        return _s(np.asarray(r if rem else q)).astype(ty.np)

    return meaning


def _div_int(x: int, y: int, signed: bool, rem: bool) -> int:
    if not signed:
        x, y = x % (1 << 128), y % (1 << 128)
    if y == 0:
        return x if rem else -1
    q = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    return x - q * y if rem else q


def _shift(kind: str) -> Any:
    def meaning(ty: Scalar, a: Any, n: Any) -> Any:
        n = _u(n) if n.dtype != object else n
        big = n >= ty.bits
        if ty.bits == 128:
            k = np.where(big, 0, n).astype(object)
            src = a if kind != "shr_u" else np.vectorize(lambda v: int(v) % (1 << 128), otypes=[object])(a)
            r = _wrap128(src * 2**k if kind == "shl" else src // 2**k)
            return np.where(big, np.where(a < 0, -1, 0) if kind == "shr_s" else 0, r)
        src = a if kind == "shr_s" else _u(a)
        k = np.where(big, ty.bits - 1 if kind == "shr_s" else 0, n).astype(src.dtype)
        r = src << k if kind == "shl" else src >> k
        return _s(np.asarray(r if kind == "shr_s" else np.where(big, np.zeros_like(r), r))).astype(ty.np)

    return meaning


def _minmax(fn: Any, signed: bool) -> Any:
    def meaning(ty: Scalar, a: Any, b: Any) -> Any:
        return fn(a, b) if signed else _s(fn(_u(a), _u(b)))

    return meaning


def _imin(t: Scalar) -> int:
    return -(1 << (t.bits - 1))


def _imax(t: Scalar) -> int:
    return (1 << (t.bits - 1)) - 1


_CA: dict[str, Any] = {"commutative": True, "associative": True}
lane_op("iadd", "T:int T -> T", _wrap(lambda a, b: a + b), identity=lambda t: 0, **_CA, doc="a + b, wraps")
lane_op("isub", "T:int T -> T", _wrap(lambda a, b: a - b), doc="a − b, wraps")
lane_op("imul", "T:int T -> T", _wrap(lambda a, b: a * b), identity=lambda t: 1, **_CA, doc="low half of a · b")
lane_op("imulhi_s", "T:int T -> T", _mulhi(True), commutative=True, doc="high half of the signed product")
lane_op("imulhi_u", "T:int T -> T", _mulhi(False), commutative=True, doc="high half of the unsigned product")
lane_op("idiv_s", "T:int T -> T", _div(True, False), doc="signed quotient, towards zero")
lane_op("idiv_u", "T:int T -> T", _div(False, False), doc="unsigned quotient")
lane_op("irem_s", "T:int T -> T", _div(True, True), doc="signed remainder, sign of a")
lane_op("irem_u", "T:int T -> T", _div(False, True), doc="unsigned remainder")
lane_op("ineg", "T:int -> T", _wrap(lambda a: -a), doc="−a, wraps")
lane_op("iabs", "T:int -> T", _wrap(np.abs), doc="|a|, wraps at the smallest integer")
lane_op("imin_s", "T:int T -> T", _minmax(np.minimum, True), idempotent=True, identity=_imax, **_CA, doc="signed minimum")
lane_op("imax_s", "T:int T -> T", _minmax(np.maximum, True), idempotent=True, identity=_imin, **_CA, doc="signed maximum")
lane_op("imin_u", "T:int T -> T", _minmax(np.minimum, False), idempotent=True, identity=lambda t: -1, **_CA, doc="unsigned minimum")
lane_op("imax_u", "T:int T -> T", _minmax(np.maximum, False), idempotent=True, identity=lambda t: 0, **_CA, doc="unsigned maximum")
lane_op("and", "T:bits T -> T", lambda ty, a, b: a & b, idempotent=True, identity=lambda t: t.bits == 1 or -1, **_CA, doc="bitwise and")
lane_op("or", "T:bits T -> T", lambda ty, a, b: a | b, idempotent=True, identity=lambda t: 0, **_CA, doc="bitwise or")
lane_op("xor", "T:bits T -> T", lambda ty, a, b: a ^ b, identity=lambda t: 0, **_CA, doc="bitwise exclusive or")
lane_op("not", "T:bits -> T", lambda ty, a: ~a, doc="bitwise complement")
lane_op("shl", "T:int T -> T", _shift("shl"), doc="shift left; 0 from the width on")
lane_op("shr_s", "T:int T -> T", _shift("shr_s"), doc="arithmetic shift right; the sign from the width on")
lane_op("shr_u", "T:int T -> T", _shift("shr_u"), doc="logical shift right; 0 from the width on")


def _byte(a: Any, k: int, signed: bool) -> Any:
    v = (a >> a.dtype.type(8 * k)) & a.dtype.type(0xFF)
    return (v ^ v.dtype.type(0x80)) - v.dtype.type(0x80) if signed else v


def _dot4(ty: Scalar, a: Any, b: Any, c: Any, signs: str = "ss") -> Any:
    return _wrap(lambda: c + sum(_byte(a, k, signs[0] == "s") * _byte(b, k, signs[1] == "s") for k in range(4)))(ty)


lane_op("dot4", "i32 i32 i32 -> i32", _dot4, attrs={"signs": SIGNS}, doc="c + the products of the four bytes of a and b, wraps; `signs` says whose bytes are signed")


def _popc(ty: Scalar, a: Any) -> Any:
    return np.bitwise_count(_u(a)).astype(ty.np)


def _smear(a: Any, bits: int) -> Any:
    x, k = _u(a).copy(), 1
    while k < bits:
        x |= x >> x.dtype.type(k)
        k *= 2
    return x


def _clz(ty: Scalar, a: Any) -> Any:
    return (ty.bits - np.bitwise_count(_smear(a, ty.bits)).astype(np.int64)).astype(ty.np)


def _ctz(ty: Scalar, a: Any) -> Any:
    x = _u(a)
    return np.bitwise_count(~x & (x - x.dtype.type(1))).astype(ty.np)


def _brev(ty: Scalar, a: Any) -> Any:
    x, out = _u(a), np.zeros_like(_u(a))
    for i in range(ty.bits):
        out |= ((x >> x.dtype.type(i)) & x.dtype.type(1)) << x.dtype.type(ty.bits - 1 - i)
    return _s(out)


lane_op("popc", "T:int -> T", _popc, doc="number of one bits")
lane_op("clz", "T:int -> T", _clz, doc="number of leading zero bits; the width for 0")
lane_op("ctz", "T:int -> T", _ctz, doc="number of trailing zero bits; the width for 0")
lane_op("brev", "T:int -> T", _brev, doc="bits in reverse order")


def _icmp(ty: Scalar, a: Any, b: Any, pred: str = "eq") -> Any:
    if pred[0] == "u":
        a, b = _u(a), _u(b)
    elif pred[0] == "s" and a.dtype == bool:  # one bit, signed: true is −1
        a, b = b, a
    return {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
            "ge": np.greater_equal}[pred[-2:]](a, b)  # fmt: skip


lane_op("icmp", "T:bits T -> i1", _icmp, attrs={"pred": ICMP}, doc="comparison; s… signed (a true i1 is −1), u… unsigned")
lane_op("select", "i1 T:any T -> T", lambda ty, p, a, b: np.where(p, a, b), doc="a where p, else b")

