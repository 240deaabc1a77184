"""Every environment variable, in one place.  Passes never read the environment: they see `Options`.

    PTXJIT_DEVICE        the default device             PTXJIT_NUM_THREADS   threads of the CPU pool (read by its pool)
    PTXJIT_CACHE_DIR     where compiled code is kept     PTXJIT_DISABLE=1     jitted functions run as plain Python
    PTXJIT_CACHE         off | readonly                  PTXJIT_DUMP=folder   every stage is written there
    PTXJIT_PERF=1        names of compiled code for perf
"""
from __future__ import annotations

import os
from pathlib import Path

from .ir.errors import UserError


def device() -> str | None:
    return os.environ.get("PTXJIT_DEVICE") or None


def disabled() -> bool:
    return os.environ.get("PTXJIT_DISABLE") == "1"


def dump() -> Path | None:
    folder = os.environ.get("PTXJIT_DUMP")
    return Path(folder) if folder else None


def cache_mode() -> str:
    """'on', 'readonly' or 'off'."""
    mode = os.environ.get("PTXJIT_CACHE", "on").lower()
    if mode in ("", "on", "1"):
        return "on"
    if mode in ("off", "0"):
        return "off"
    if mode == "readonly":
        return mode
    raise UserError(f"PTXJIT_CACHE={mode!r}", hint="it is one of: on, readonly, off")


def cache_dir() -> Path | None:
    """The cache's folder; None where there is neither the variable nor a home folder."""
    named = os.environ.get("PTXJIT_CACHE_DIR")
    if named:
        return Path(named)
    try:
        from platformdirs import user_cache_path

        return Path(user_cache_path("ptxjit", appauthor=False))
    except (RuntimeError, OSError):
        return None
