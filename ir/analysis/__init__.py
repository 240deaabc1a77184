"""Analyses of frozen kernels: facts that are derived, never stored in the IR."""
from __future__ import annotations

from .flow import in_cycles, written_params
from .uniform import Uniform, post_dominators
from .warps import spins, warp_needs

__all__ = ["Uniform", "in_cycles", "post_dominators", "spins", "warp_needs", "written_params"]
