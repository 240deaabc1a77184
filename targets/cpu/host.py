"""What CPU this is, without LLVM, and the facts of CPUs that one does not have."""
from __future__ import annotations

import os
import platform
import sys
from functools import lru_cache
from pathlib import Path

from ...ir.device import DeviceFacts
from ...ir.errors import UserError

#                 triple                        LLVM's cpu name   vector registers
NAMED = {
    "x86-64-v2": ("x86_64-unknown-linux-gnu", "x86-64-v2", 128, 16),
    "x86-64-v3": ("x86_64-unknown-linux-gnu", "x86-64-v3", 256, 16),
    "x86-64-v4": ("x86_64-unknown-linux-gnu", "x86-64-v4", 512, 32),
    "aarch64": ("aarch64-unknown-linux-gnu", "generic", 128, 32),
    "apple-m1": ("arm64-apple-macosx12.0.0", "apple-m1", 128, 32),
}
# what /proc/cpuinfo lists where the code of a named CPU runs too (the psABI's levels)
_V3 = frozenset("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave sse4_2 popcnt".split())
RUNS = {"x86-64-v3": _V3, "x86-64-v4": _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}}


@lru_cache(maxsize=1)
def flags() -> frozenset[str]:
    """Feature names as the kernel gives them; empty where there is no /proc/cpuinfo."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.partition(":")[2].split())
    except OSError:
        pass
    return frozenset()


@lru_cache(maxsize=1)
def model() -> str:
    """The maker's name of this CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def why_not(word: str) -> str | None:
    """Why code for a named CPU cannot run on this machine; None where it can."""
    if word not in RUNS:
        return f"code for {word} is lowered, not run" if word in NAMED else f"there is no CPU of that name (known: {', '.join(NAMED)})"
    lacks = sorted(RUNS[word] - flags())
    return f"this machine lacks {', '.join(lacks)}" if lacks else None


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cache(level: int, default: int) -> int:
    for index in range(8):
        folder = Path(f"/sys/devices/system/cpu/cpu0/cache/index{index}")
        try:
            if int((folder / "level").read_text()) == level and (folder / "type").read_text().strip() != "Instruction":
                size = (folder / "size").read_text().strip()
                return int(size[:-1]) * {"K": 1 << 10, "M": 1 << 20}[size[-1]]
        except (OSError, ValueError, KeyError):
            continue
    return default


@lru_cache(maxsize=1)
def host_facts() -> DeviceFacts:
    """This machine's device record."""
    have = flags()
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= have:
        bits, registers = 512, 32
    elif {"avx2", "fma"} <= have:
        bits, registers = 256, 16
    elif platform.machine() in ("aarch64", "arm64"):
        bits, registers = 128, 32
    elif sys.platform != "linux" and platform.machine().lower() in ("x86_64", "amd64"):
        bits, registers = _from_llvm()
    else:
        bits, registers = 128, 16
    fma = "fma" in have or platform.machine() in ("aarch64", "arm64") or bits >= 256
    return DeviceFacts("cpu:host", "cpu", bits // 32, 1, registers, bits, _cache(1, 32 << 10), _cache(2, 512 << 10), cores(), fma,
                       features=tuple(sorted(have)))  # fmt: skip


def _from_llvm() -> tuple[int, int]:
    from ..llvm.compile import host

    features = set(host().features.split(","))
    if "+avx512vl" in features:
        return 512, 32
    return (256, 16) if "+avx2" in features else (128, 16)


def facts_for(name: str) -> DeviceFacts:
    """Facts of `cpu:host`, `cpu:x86-64-v3`, …"""
    word = name.partition(":")[2] or "host"
    if word == "host":
        return host_facts()
    if word not in NAMED:
        raise UserError(f"there is no CPU target {name!r}", hint="known: cpu:host, " + ", ".join(f"cpu:{w}" for w in NAMED))
    _, _, bits, registers = NAMED[word]
    here = why_not(word) is None
    caches = (_cache(1, 32 << 10), _cache(2, 512 << 10), cores()) if here else (32 << 10, 1 << 20, 4)
    return DeviceFacts(f"cpu:{word}", "cpu", bits // 32, 1, registers, bits, *caches, word != "x86-64-v2")
