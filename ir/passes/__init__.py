"""Passes over kernels, one file each, named by effect; and the pipeline of every target.

    simplify   constants are folded, algebra, constants into the displacement of addresses
    narrow     index arithmetic in 32 bits, where that is proven to be enough
    fast       what fast_math admits: contraction, reciprocals, the hardware's approximations
    decompose  math ops become their definitions; narrow floats are computed in f32 where the device lacks them
    cleanup    common subexpressions, dead code, unreachable and trivial blocks
"""
from __future__ import annotations

from functools import lru_cache

from ..device import DeviceFacts
from ..rewrite import Pass, Pipeline
from .cleanup import cleanup
from .decompose import decompose
from .fast import fast
from .narrow import narrow
from .simplify import simplify


@lru_cache(maxsize=None)
def kernel_pipeline(facts: DeviceFacts, fast_math: bool = False) -> Pipeline:
    """What a kernel goes through before a target writes it."""
    return Pipeline([
        Pass("merge", "the lowering repeats addresses and constants: share them before they are multiplied", cleanup),
        Pass("simplify", "and adds zeros and constants to indices, once they are shared", simplify),
        *([Pass("narrow", "cards divide 64 bits by a subroutine", narrow)] if facts.kind in ("ptx", "amdgpu") else []),
        *([Pass("fast", "what fast_math admits", lambda k: fast(k, facts))] if fast_math else []),
        Pass("decompose", "only ops that the device has", lambda k: decompose(k, facts)),
        Pass("cleanup", "definitions share constants and bit views, the rules leave dead code", cleanup),
    ], facts.target)  # fmt: skip
