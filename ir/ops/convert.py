"""Conversions.  The result type is the attribute `to`.

Float → integer saturates and NaN gives 0, on every target; that differs from NumPy's undefined results on purpose.
Integer → float and float → float round once, to nearest even unless `rnd` says otherwise.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import softfloat
from ..op import lane_op
from ..types import Scalar
from .arith import RND, _s, _u

TO: dict[str, Any] = {"to": Scalar}


def _zext(ty: Scalar, a: Any, **_: Any) -> Any:
    if ty.bits == 128:
        return np.vectorize(int, otypes=[object])(_u(a) if a.dtype != bool else a)
    return a.astype(ty.np) if a.dtype == bool else _s(_u(a).astype(f"u{ty.bytes}"))


def _sext(ty: Scalar, a: Any, **_: Any) -> Any:
    return -a.astype(ty.np) if a.dtype == bool else a.astype(ty.np)


def _itrunc(ty: Scalar, a: Any, **_: Any) -> Any:
    if ty.bits == 1:
        return (a & 1).astype(bool)
    if a.dtype == object:
        m = 1 << ty.bits
        return np.vectorize(lambda v: ((int(v) + m // 2) % m) - m // 2, otypes=[object])(a).astype(ty.np)
    return a.astype(ty.np)


lane_op("zext", "T:bits -> to:int", _zext, attrs=TO, width="wider", doc="widen, upper bits zero")
lane_op("sext", "T:bits -> to:int", _sext, attrs=TO, width="wider", doc="widen, upper bits the sign")
lane_op("itrunc", "T:int -> to:bits", _itrunc, attrs=TO, width="narrower", doc="keep the low bits")
lane_op("stof", "T:bits -> to:float", softfloat.stof, attrs={**TO, "rnd": RND}, doc="signed integer to float")
lane_op("utof", "T:bits -> to:float", softfloat.utof, attrs={**TO, "rnd": RND}, doc="unsigned integer to float")
lane_op("ftos", "T:float -> to:int", softfloat.ftos, attrs={**TO, "rnd": RND, "ftz": (True,)},
        doc="float to signed integer; towards zero unless `rnd`; saturates; NaN → 0")  # fmt: skip
lane_op("ftou", "T:float -> to:int", softfloat.ftou, attrs={**TO, "rnd": RND, "ftz": (True,)},
        doc="float to unsigned integer; towards zero unless `rnd`; saturates; NaN → 0")  # fmt: skip
lane_op("fcvt", "T:float -> to:float", softfloat.fcvt, attrs={**TO, "rnd": RND, "ftz": (True,), "sat": (True,)},
        doc="between float types, one rounding")  # fmt: skip


def _bitcast(ty: Scalar, a: Any, **_: Any) -> Any:
    return np.ascontiguousarray(a).view(ty.np)


lane_op("bitcast", "T:any -> to:any", _bitcast, attrs=TO, width="equally wide", doc="the same bits read as a type of the same width")
