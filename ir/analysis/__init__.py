"""Analyses of frozen kernels: facts that are derived, never stored in the IR."""
from __future__ import annotations

from .flow import written_params
from .warps import warp_needs

__all__ = ["warp_needs", "written_params"]
