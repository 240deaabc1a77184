"""How many warps of a kernel a multiprocessor holds, and what limits them (CUDA Occupancy Calculator's rules)."""
from __future__ import annotations

from typing import Any

from .facts import ARCHS

REGISTERS = 65536  # per multiprocessor
REGISTER_UNIT = 256  # allocated per warp in steps of this
SHARED_RESERVED = 1024  # bytes per block, from sm_80 on


def occupancy(arch: str, registers: int, warps: int, shared: int) -> dict[str, Any]:
    """Resident blocks and warps, the share of the possible warps, and the resource that limits them."""
    a = ARCHS[arch]
    per_warp = -(-max(registers, 1) * 32 // REGISTER_UNIT) * REGISTER_UNIT
    limits = {"warps": a.warps // warps, "blocks": a.blocks, "registers": REGISTERS // per_warp // warps}
    if shared:
        reserved = SHARED_RESERVED if arch != "sm_75" else 0
        limits["shared memory"] = a.shared // (-(-(shared + reserved) // 128) * 128)
    blocks = min(limits.values())
    limit = min(limits, key=lambda k: limits[k])
    return {"blocks": blocks, "warps": blocks * warps, "occupancy": round(blocks * warps / a.warps, 3), "limit": limit}
