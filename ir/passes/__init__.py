"""Passes over kernels, one file each, named by effect; and the pipeline of every target.

    decompose  math ops become their definitions; narrow floats are computed in f32 where the device lacks them
    cleanup    common subexpressions, dead code, unreachable and trivial blocks
"""
from __future__ import annotations

from functools import lru_cache

from ..device import DeviceFacts
from ..rewrite import Pass, Pipeline
from .cleanup import cleanup
from .decompose import decompose


@lru_cache(maxsize=None)
def kernel_pipeline(facts: DeviceFacts) -> Pipeline:
    """What a kernel goes through before a target writes it."""
    return Pipeline([
        Pass("merge", "the lowering repeats addresses and constants: share them before they are multiplied", cleanup),
        Pass("decompose", "only ops that the device has", lambda k: decompose(k, facts)),
        Pass("cleanup", "definitions share constants and bit views", cleanup),
    ], facts.target)  # fmt: skip
