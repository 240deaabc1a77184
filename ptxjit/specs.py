"""Argument specs as text: `f32[1024,1000]`, `i32` (a scalar), `f32[n,1000]` (a symbolic size).

A name is a symbol, the same one in all specs of a call; `n=50` says for which value schedules that depend on the size are chosen (else 1024).
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arguments import Spec, argument
from .ir.errors import UserError
from .ir.extent import HINT, LEAST, Dim, Extent
from .ir.guards import Sizes
from .ir.types import SCALARS
from .trace import lift

_ALIASES = {"bool": "i1", "float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64", "int8": "i8", "int16": "i16", "int32": "i32",
            "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64"}  # fmt: skip
_SIZE = r"(?:\d+|[A-Za-z_]\w*(?:\s*=\s*\d+)?)"
_FORM = re.compile(rf"\s*(\w+)\s*(?:\[\s*((?:{_SIZE}\s*(?:,\s*{_SIZE}\s*)*)?)\])?\s*$")


def parse_spec(text: str, symbols: bool = False) -> Spec:
    """`f32[3,4]` → Spec, and with `symbols` also `f32[n,4]`.  UserError for anything else."""
    m = _FORM.match(text)
    name = _ALIASES.get(m[1], m[1]) if m else ""
    if m is None or name not in SCALARS or name in ("i128", "f8e4m3", "f8e5m2"):
        raise UserError(f"{text!r} is not a spec", hint="write dtype[shape], for example f32[1024,1000]" + ", f32[n,1000]" * symbols + ", or i32 for a scalar")
    if not symbols and re.search(r"\[[^\]]*[A-Za-z_]", text):
        raise UserError(f"{text!r} is not a spec for this: it has a symbolic size", hint="write numbers, for example f32[1024,1000]")
    hints: dict[str, int] = {}
    shape = tuple(_size(n.strip(), hints) for n in m[2].split(",")) if m[2] and m[2].strip() else ()
    return Spec(SCALARS[name].np, shape, hints=hints)


def _size(text: str, hints: dict[str, int]) -> Extent:
    if text.isdigit():
        return int(text)
    name, _, hint = (part.strip() for part in text.partition("="))
    hints[name] = max(int(hint or HINT), LEAST) if hint or name not in hints else hints[name]
    return Dim.symbol(name)


def sizes_of(specs: Sequence[Spec]) -> Sizes | None:
    """The symbols of these specs with their hints; None if there are none."""
    hints: dict[str, int] = {}
    for s in specs:
        for name, n in s.hints.items():
            if n != HINT or name not in hints:
                hints[name] = n
    return Sizes(hints, traced=lift) if hints else None


def as_spec(x: Any) -> Spec:
    """The spec of an argument: an array, a number, or a spec's text."""
    if isinstance(x, str):
        return parse_spec(x, symbols=True)
    if isinstance(x, Spec):
        return x
    if isinstance(x, np.ndarray):
        return Spec(x.dtype.newbyteorder("="), x.shape)
    return argument(x)[1]
