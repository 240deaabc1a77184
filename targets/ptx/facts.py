"""NVIDIA architectures as device records, and the lowest PTX ISA version of each (PTX ISA, "Release Notes")."""
from __future__ import annotations

from typing import NamedTuple

from ...ir.device import DeviceFacts
from ...ir.errors import UserError


class Arch(NamedTuple):
    """One `sm_…`.  Sizes are per multiprocessor unless said (CUDA C++ Programming Guide, "Technical Specifications per Compute Capability")."""

    isa: str  # lowest .version
    warps: int  # resident warps
    blocks: int  # resident blocks
    shared: int  # bytes of shared memory
    cores: int  # multiprocessors of the largest product
    l2: int


#            isa   warps blocks   shared    SMs  L2
ARCHS = {
    "sm_75": Arch("6.3", 32, 16,  64 << 10,  72,  6 << 20),
    "sm_80": Arch("7.0", 64, 32, 164 << 10, 108, 40 << 20),
    "sm_86": Arch("7.1", 48, 16, 100 << 10,  84,  6 << 20),
    "sm_87": Arch("7.4", 48, 16, 164 << 10,  16,  4 << 20),
    "sm_89": Arch("7.8", 48, 24, 100 << 10, 128, 72 << 20),
    "sm_90": Arch("7.8", 64, 32, 228 << 10, 132, 50 << 20),
    "sm_90a": Arch("8.0", 64, 32, 228 << 10, 132, 50 << 20),
    "sm_100": Arch("8.6", 64, 32, 228 << 10, 148, 126 << 20),
    "sm_100a": Arch("8.6", 64, 32, 228 << 10, 148, 126 << 20),
    "sm_103": Arch("8.8", 64, 32, 228 << 10, 148, 126 << 20),
    "sm_120": Arch("8.7", 48, 24, 100 << 10, 170, 96 << 20),
    "sm_120a": Arch("8.7", 48, 24, 100 << 10, 170, 96 << 20),
}  # fmt: skip
DEFAULT = "sm_80"
TURING = ("mma.m16n8k8.f16", "mma.m8n8k16.i8")
AMPERE = ("mma.m16n8k16.f16", "mma.m16n8k16.bf16", "mma.m16n8k8.tf32", "mma.m16n8k32.i8")
DOUBLE = ("sm_80", "sm_90", "sm_90a", "sm_100", "sm_100a")  # whose units for f64 are faster than their other cores
STATIC_SHARED = 48 << 10  # bytes that a block may have without opting in


def number(arch: str) -> int:
    return int(arch[3:].rstrip("af"))


def units(arch: str) -> tuple[str, ...]:
    """The matrix instructions of an architecture (PTX ISA, `mma`: target notes)."""
    return TURING if number(arch) < 80 else AMPERE + ("mma.m8n8k4.f64",) * (arch in DOUBLE)


def facts_for(name: str) -> DeviceFacts:
    """The record of `ptx:sm_90`; `ptx` alone means sm_80."""
    arch = name.partition(":")[2] or DEFAULT
    if arch not in ARCHS:
        raise UserError(f"there is no PTX target {name!r}", hint="known: " + ", ".join(f"ptx:{a}" for a in ARCHS))
    a = ARCHS[arch]
    return DeviceFacts(f"ptx:{arch}", "ptx", 32, 32, 255, 128, STATIC_SHARED, a.l2, a.cores, True, number(arch), ("dot4", "dot4mixed"), units(arch))
