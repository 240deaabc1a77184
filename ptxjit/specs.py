"""Argument specs as text: `f32[1024,1000]`, `i32` (a scalar)."""
from __future__ import annotations

import re
from typing import Any

import numpy as np

from .arguments import Spec, argument
from .ir.errors import UserError
from .ir.types import SCALARS

_ALIASES = {"bool": "i1", "float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64", "int8": "i8", "int16": "i16", "int32": "i32",
            "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64"}  # fmt: skip
_FORM = re.compile(r"\s*(\w+)\s*(?:\[\s*((?:\d+\s*(?:,\s*\d+\s*)*)?)\])?\s*$")


def parse_spec(text: str) -> Spec:
    """`f32[3,4]` → Spec.  UserError for anything else."""
    m = _FORM.match(text)
    name = _ALIASES.get(m[1], m[1]) if m else ""
    if m is None or name not in SCALARS or name in ("i128", "f8e4m3", "f8e5m2"):
        raise UserError(f"{text!r} is not a spec", hint="write dtype[shape], for example f32[1024,1000], or i32 for a scalar")
    shape = tuple(int(n) for n in m[2].split(",")) if m[2] and m[2].strip() else ()
    return Spec(SCALARS[name].np, shape)


def as_spec(x: Any) -> Spec:
    """The spec of an argument: an array, a number, or a spec's text."""
    if isinstance(x, str):
        return parse_spec(x)
    if isinstance(x, Spec):
        return x
    if isinstance(x, np.ndarray):
        return Spec(x.dtype.newbyteorder("="), x.shape)
    return argument(x)[1]
