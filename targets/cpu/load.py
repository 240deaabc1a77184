"""Loads linked code: anonymous memory, written once, then made executable and never writable again.  No LLVM.

Where that is refused, or on another platform, `Loaded` comes from LLVM's own loader behind the same interface.
"""
from __future__ import annotations

import ctypes
import mmap
import os
import platform
import sys
from typing import Any

from ...ir.errors import DeviceError
from .link import Artifact

LINUX_X86 = sys.platform == "linux" and platform.machine() == "x86_64"


class Loaded:
    """Executable code; `address(name)` is valid as long as this object lives."""

    def __init__(self, entries: dict[str, int], base: int, keep: Any) -> None:
        self._entries, self._base, self._keep = entries, base, keep

    def address(self, name: str) -> int:
        return self._base + self._entries[name]


def load(artifact: Artifact) -> Loaded:
    """Maps an artifact.  DeviceError where this system refuses executable memory."""
    if artifact.kind != "linked":
        return _by_llvm(artifact)
    size = -(-len(artifact.code) // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, size, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    memory.write(artifact.code)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise DeviceError(f"this system refuses executable memory: {os.strerror(ctypes.get_errno())}",
                          hint="allow anonymous executable mappings for this process, or use device='interp'")  # fmt: skip
    if os.environ.get("PTXJIT_PERF") == "1":
        _perf_map(artifact, base)
    return Loaded(artifact.entries, base, memory)


def _perf_map(artifact: Artifact, base: int) -> None:
    """Names for `perf`: /tmp/perf-PID.map, as perf defines it."""
    import tempfile

    order = sorted(artifact.entries.items(), key=lambda e: e[1])
    ends = [offset for _, offset in order[1:]] + [len(artifact.code)]
    with open(os.path.join(tempfile.gettempdir(), f"perf-{os.getpid()}.map"), "a") as f:
        for (name, offset), end in zip(order, ends):
            f.write(f"{base + offset:x} {end - offset:x} ptxjit::{name}\n")


def _by_llvm(artifact: Artifact) -> Loaded:
    from ..llvm.compile import load_object

    engine, addresses = load_object(artifact.code, list(artifact.entries))
    return Loaded(addresses, 0, engine)
