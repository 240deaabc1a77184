"""Mathematics: a spec (mpmath's name for it, and the bound on the error in units of the last place) and a definition.

The definition (`ir/mathdefs`) is a graph of exactly rounded ops of the same precision: interpreter, constant folding and every target
use it, so the bits are the same everywhere.  f16 and bf16 go through f32 and are rounded once.  `approx`, which only `fast_math` writes, admits
the device's own instruction, whose error its maker states; the meaning is still the definition.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..mathdefs import definition
from ..op import Op, math_op


class Spec(NamedTuple):
    """`reference` names the mpmath function; `domain` is where tests draw from; bounds in ulp for f32 and f64."""

    reference: str
    domain: tuple[float, float]
    ulp32: float
    ulp64: float


_UNARY = "T:float -> T"
_BINARY = "T:float T -> T"

#         name     signature                 reference            domain    ulp32 ulp64
_TABLE = [
    ("exp",    _UNARY,  Spec("exp",     (-750.0, 750.0), 1.5, 1.5)),
    ("exp2",   _UNARY,  Spec("exp2",  (-1100.0, 1100.0), 1.5, 1.5)),
    ("expm1",  _UNARY,  Spec("expm1",   (-750.0, 750.0), 2.0, 2.0)),
    ("log",    _UNARY,  Spec("log",      (0.0, 1e300), 1.5, 1.5)),
    ("log2",   _UNARY,  Spec("log2",     (0.0, 1e300), 2.0, 2.0)),
    ("log10",  _UNARY,  Spec("log10",    (0.0, 1e300), 2.0, 2.0)),
    ("log1p",  _UNARY,  Spec("log1p",   (-1.0, 1e300), 2.0, 2.0)),
    ("sin",    _UNARY,  Spec("sin",   (-1e300, 1e300), 1.5, 1.5)),
    ("cos",    _UNARY,  Spec("cos",   (-1e300, 1e300), 1.5, 1.5)),
    ("tan",    _UNARY,  Spec("tan",   (-1e300, 1e300), 3.0, 3.0)),
    ("asin",   _UNARY,  Spec("asin",      (-1.0, 1.0), 2.0, 2.0)),
    ("acos",   _UNARY,  Spec("acos",      (-1.0, 1.0), 2.0, 2.0)),
    ("atan",   _UNARY,  Spec("atan",  (-1e300, 1e300), 2.0, 2.0)),
    ("atan2",  _BINARY, Spec("atan2", (-1e300, 1e300), 2.5, 2.5)),
    ("sinh",   _UNARY,  Spec("sinh",    (-750.0, 750.0), 3.0, 3.0)),
    ("cosh",   _UNARY,  Spec("cosh",    (-750.0, 750.0), 3.0, 3.0)),
    ("tanh",   _UNARY,  Spec("tanh",    (-750.0, 750.0), 3.0, 3.0)),
    ("asinh",  _UNARY,  Spec("asinh", (-1e300, 1e300), 3.0, 3.0)),
    ("acosh",  _UNARY,  Spec("acosh",    (1.0, 1e300), 3.0, 3.0)),
    ("atanh",  _UNARY,  Spec("atanh",     (-1.0, 1.0), 3.0, 3.0)),
    ("pow",    _BINARY, Spec("power",   (0.0, 1e300), 2.0, 2.0)),
    ("cbrt",   _UNARY,  Spec("cbrt",  (-1e300, 1e300), 1.0, 1.0)),
    ("hypot",  _BINARY, Spec("hypot", (-1e300, 1e300), 1.0, 1.0)),
    ("rsqrt",  _UNARY,  Spec("rsqrt",     (0.0, 1e300), 1.5, 1.5)),
    ("erf",    _UNARY,  Spec("erf",     (-10.0, 10.0), 2.0, 2.0)),
    ("erfc",   _UNARY,  Spec("erfc",    (-10.0, 27.0), 6.0, 6.0)),
]  # fmt: skip

for _name, _signature, _spec in _TABLE:
    math_op(_name, _signature, _spec, attrs={"approx": (True,)}, doc=f"{_name}, within {_spec.ulp32} ulp (f32), {_spec.ulp64} ulp (f64)")


def definition_of(op: Op) -> Callable[..., Any]:
    """The definition of a math op: call it with a builder and the operands."""
    return definition(op.name)
