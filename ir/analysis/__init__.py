"""Analyses of frozen kernels: facts that are derived, never stored in the IR."""
from __future__ import annotations

from .flow import written_params

__all__ = ["written_params"]
