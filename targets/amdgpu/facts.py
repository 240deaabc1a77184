"""AMD architectures as device records, and how many waves of a kernel a compute unit holds.

Sources: the instruction-set manuals (AMD, "Vega", "RDNA 1/2/3/3.5/4" and "CDNA 1/2/3/4 Instruction Set Architecture"), the hardware table of ROCm's
documentation ("Accelerator and GPU hardware specifications"), and LLVM's "User Guide for AMDGPU Backend" for the generic targets, which
have the least of what their members have.
"""
from __future__ import annotations

from typing import Any, NamedTuple

from ...ir.device import DeviceFacts
from ...ir.errors import UserError


class Arch(NamedTuple):
    """One `gfx…`."""

    family: str  # cdna1 …, rdna1 …, gcn5
    lanes: int  # of a wave
    vgprs: int  # registers per lane of one SIMD, over all its waves
    unit: int  # they are given out in steps of this
    waves: int  # resident per SIMD
    simds: int  # per compute unit
    lds: int  # bytes per compute unit
    units: int  # compute units of the largest product
    l2: int
    matrix: str  # mfma, wmma or nothing
    cov: int = 5  # code-object version

    @property
    def wide(self) -> bool:
        return self.lanes == 64


#                            family   lanes vgprs unit waves simds  LDS       CUs  L2        matrix
ARCHS = {
    "gfx906": Arch("gcn5", 64, 256, 4, 10, 4, 64 << 10, 64, 4 << 20, ""),
    "gfx908": Arch("cdna1", 64, 256, 4, 10, 4, 64 << 10, 120, 8 << 20, "mfma"),
    "gfx90a": Arch("cdna2", 64, 512, 8, 8, 4, 64 << 10, 110, 8 << 20, "mfma"),
    "gfx942": Arch("cdna3", 64, 512, 8, 8, 4, 64 << 10, 304, 32 << 20, "mfma"),
    "gfx950": Arch("cdna4", 64, 512, 8, 8, 4, 160 << 10, 256, 32 << 20, "mfma"),
    "gfx1010": Arch("rdna1", 32, 1024, 8, 20, 2, 64 << 10, 40, 4 << 20, ""),
    "gfx1030": Arch("rdna2", 32, 1024, 16, 16, 2, 64 << 10, 80, 4 << 20, ""),
    "gfx1031": Arch("rdna2", 32, 1024, 16, 16, 2, 64 << 10, 40, 3 << 20, ""),
    "gfx1032": Arch("rdna2", 32, 1024, 16, 16, 2, 64 << 10, 32, 2 << 20, ""),
    "gfx1100": Arch("rdna3", 32, 1536, 24, 16, 2, 64 << 10, 96, 6 << 20, "wmma"),
    "gfx1101": Arch("rdna3", 32, 1536, 24, 16, 2, 64 << 10, 60, 4 << 20, "wmma"),
    "gfx1102": Arch("rdna3", 32, 1024, 16, 16, 2, 64 << 10, 32, 2 << 20, "wmma"),
    "gfx1103": Arch("rdna3", 32, 1024, 16, 16, 2, 64 << 10, 12, 2 << 20, "wmma"),
    "gfx1150": Arch("rdna3.5", 32, 1024, 16, 16, 2, 64 << 10, 16, 2 << 20, "wmma"),
    "gfx1151": Arch("rdna3.5", 32, 1536, 24, 16, 2, 64 << 10, 40, 2 << 20, "wmma"),
    "gfx1200": Arch("rdna4", 32, 1536, 24, 16, 2, 64 << 10, 32, 4 << 20, "wmma"),
    "gfx1201": Arch("rdna4", 32, 1536, 24, 16, 2, 64 << 10, 64, 8 << 20, "wmma"),
    "gfx9-generic": Arch("gcn5", 64, 256, 4, 10, 4, 64 << 10, 64, 4 << 20, "", 6),
    "gfx9-4-generic": Arch("cdna3", 64, 512, 8, 8, 4, 64 << 10, 256, 32 << 20, "mfma", 6),
    "gfx10-3-generic": Arch("rdna2", 32, 1024, 16, 16, 2, 64 << 10, 80, 4 << 20, "", 6),
    "gfx11-generic": Arch("rdna3", 32, 1024, 16, 16, 2, 64 << 10, 96, 6 << 20, "wmma", 6),
    "gfx12-generic": Arch("rdna4", 32, 1536, 24, 16, 2, 64 << 10, 64, 8 << 20, "wmma", 6),
}  # fmt: skip
# matrix instructions by family, best first; those of waves of 32 or 64 as the family's kernels have them
_SHARED = ("mfma.16x16x16.f16", "mfma.16x16x16.bf16", "mfma.16x16x4.f32", "mfma.16x16x4.f64")
UNITS = {
    "cdna1": ("mfma.16x16x16.f16", "mfma.16x16x8.bf16", "mfma.16x16x4.f32", "mfma.16x16x16.i8"),
    "cdna2": (*_SHARED, "mfma.16x16x16.i8"),
    "cdna3": (*_SHARED, "mfma.16x16x32.i8"),
    "cdna4": ("mfma.16x16x32.f16", "mfma.16x16x32.bf16", *_SHARED, "mfma.16x16x64.i8", "mfma.16x16x32.i8"),
    **dict.fromkeys(("rdna3", "rdna3.5"), tuple(f"wmma.rdna3.{t}" for t in ("f16", "bf16", "i8"))),
    "rdna4": tuple(f"wmma.rdna4.{t}" for t in ("f16", "bf16", "i8")),
}
DEFAULT = "gfx1100"
GROUP = 1024  # work-items of a work-group
BLOCK_LDS = 64 << 10  # bytes that one work-group can have everywhere
LANE_MEMORY = 96 << 10  # bytes of scratch that a kernel may declare for a lane: 131056 are there in waves of 64, spilt registers and `alloca` come to it
REGISTERS = 256  # a lane can name


def arch_of(name: str) -> str:
    """The `gfx…` of `amdgpu:gfx1100`; `amdgpu` alone means gfx1100.  A driver's `gfx90a:sramecc+:xnack-` is gfx90a."""
    arch = name.partition(":")[2].partition(":")[0] or DEFAULT
    if arch not in ARCHS:
        raise UserError(f"there is no AMD target {name!r}", hint="known: " + ", ".join(f"amdgpu:{a}" for a in ARCHS))
    return arch


def dots(arch: str) -> tuple[str, ...]:
    """Which products of four bytes an architecture has (`ir/passes/decompose.py`)."""
    family = ARCHS[arch].family
    if family in ("rdna3", "rdna3.5", "rdna4"):
        return "dot4", "dot4mixed"
    return ("dot4",) if family in ("rdna2", "cdna1", "cdna2", "cdna3", "cdna4") or arch == "gfx906" else ()


def facts_for(name: str) -> DeviceFacts:
    """The record of `amdgpu:gfx1100`."""
    arch = arch_of(name)
    a = ARCHS[arch]
    features = sorted(w for w in (a.family, a.matrix, *dots(arch), f"wave{a.lanes}", "exact", "fp64", "f16", "fscale") if w)
    return DeviceFacts(f"amdgpu:{arch}", "amdgpu", a.lanes, GROUP // a.lanes, REGISTERS, 128, BLOCK_LDS, a.l2, a.units, True, 0, tuple(features), UNITS.get(a.family, ()))


def occupancy(arch: str, vgprs: int, waves: int, lds: int) -> dict[str, Any]:
    """Waves that one SIMD holds of work-groups of `waves` waves with `vgprs` registers per lane and `lds` bytes, and what limits them.

    RDNA counts in pairs of compute units (a work-group processor), which work-groups share unless they ask otherwise.
    """
    a = ARCHS[arch]
    shared = 1 if a.wide else 2  # compute units that one work-group's waves and memory are spread over
    simds, memory = a.simds * shared, a.lds * shared
    each = -(-max(vgprs, 1) // a.unit) * a.unit
    limits = {"waves": a.waves, "VGPRs": min(a.waves, a.vgprs // each)}
    if lds:
        groups = memory // (-(-lds // 512) * 512)
        limits["LDS"] = groups * waves // simds if groups * waves >= simds else 1
    limit = min(limits, key=lambda k: limits[k])
    return {"waves per SIMD": limits[limit], "occupancy": round(limits[limit] / a.waves, 3), "limit": limit}
