"""Definitions of the mathematics: graphs of exactly rounded ops of the same precision, the same on every target.

`formats` what f32 and f64 differ in · `explog` · `trig` · `special` · `tables` coefficients.  `DEFINITIONS[name](b, *args)` writes the
definition through any builder (`LaneOps`).  f16 and bf16 are computed in f32 and rounded once.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..op import LaneOps
from . import explog, special, trig
from .formats import FORMATS, F

Definition = Callable[..., Any]

_BY_FORMAT: dict[str, Callable[..., Any]] = {**explog.DEFINITIONS, **trig.DEFINITIONS, **special.DEFINITIONS}


def definition(name: str) -> Definition:
    """The definition of a math op: called as `definition(b, *args)`."""
    body = _BY_FORMAT[name]

    def write(b: LaneOps, *args: Any) -> Any:
        elem = b.type_of(args[0]).elem
        if elem.bits <= 16:
            from ..types import F32

            wide = [b.fcvt(a, to=F32) for a in args]
            return b.fcvt(body(F(b, FORMATS["f32"]), *wide), to=elem)
        return body(F(b, FORMATS[elem.name]), *args)

    return write


def names() -> list[str]:
    return sorted(_BY_FORMAT)
