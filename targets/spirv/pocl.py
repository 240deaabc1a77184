"""PoCL on a processor that is newer than PoCL's LLVM.

PoCL asks its LLVM for the name of the processor.  LLVM 14 (PoCL 3.0, the wheel) knows none later than Zen 3 and says `generic`, a word which
its own clang then refuses ("unknown target CPU 'generic'"), so nothing can be built at all, and no option or variable of PoCL 3.0 names another.
The name is a string that PoCL's device record points to, behind the one of the target triple; `name_processor` has it point to the name of
the processor for which PoCL's own library of kernels was compiled.  Memory is looked at through the kernel, which refuses instead of faulting,
and nothing is written unless both strings stand where they should.
"""
from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path
from typing import Any

UNKNOWN = "generic"
RECORD = 4096  # bytes of the device record that are looked at
_TRIPLE = re.compile(rb"x86_64-[a-z0-9_-]+")
_named: dict[int, Any] = {}  # device record → the name that it points to, which lives as long as the process


def name_processor(device: Any) -> str | None:
    """Gives a nameless processor of PoCL a name.  Returns why the device cannot be used, or None."""
    version, record = device.version.strip(), int(device.int_ptr)
    if record in _named or "PoCL" not in version or not re.search(rf"x86_64-[a-z0-9_-]+-{UNKNOWN}$", version):
        return None
    at = _place(record)
    if at is None:
        return f"{device.platform.version.strip()} does not know this processor (its LLVM calls it '{UNKNOWN}'); a newer PoCL may"
    _named[record] = name = ctypes.create_string_buffer(_library().encode())
    ctypes.c_void_p.from_address(at).value = ctypes.addressof(name)
    return None


def _library() -> str:
    """The processor for which the fitting one of PoCL's kernel libraries was compiled."""
    flags: set[str] = set()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            flags = set(line.split(":", 1)[1].split())
            break
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"} <= flags:
        return "skylake-avx512"
    return "haswell" if {"avx2", "fma", "bmi2", "f16c"} <= flags else "x86-64"


def _place(record: int) -> int | None:
    """Where in the device record the pointer to the processor's name lies."""
    try:
        memory = os.open("/proc/self/mem", os.O_RDONLY)
    except OSError:
        return None
    try:
        words = memoryview(os.pread(memory, RECORD, record)).cast("Q")

        def string(address: int) -> bytes:
            try:
                return os.pread(memory, 64, address).split(b"\0")[0]
            except (OSError, OverflowError):
                return b""

        found = [i for i in range(len(words) - 1) if string(words[i + 1]) == UNKNOWN.encode() and _TRIPLE.fullmatch(string(words[i]))]
        return record + 8 * (found[0] + 1) if len(found) == 1 else None
    except OSError:
        return None
    finally:
        os.close(memory)
