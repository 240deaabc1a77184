"""The device record: frozen, hashable facts.  No driver call hides in it: one can compile for a card that one does not have.

The CPU is such a device: a block is one warp of SIMD lanes, its registers are the vector registers, its shared memory the L1/L2.
"""
from __future__ import annotations

from typing import NamedTuple


class DeviceFacts(NamedTuple):
    """What schedules, layouts and writers may know.

    target        'cpu:x86-64-v4', 'ptx:sm_90' …           kind         'cpu', 'ptx', 'interp'
    lanes         lanes per warp (CPU: f32 per vector)     max_warps    warps per block
    registers     per lane, 32 bits (CPU: vector registers)
    vector_bits   width of a register (CPU) or of the widest access (GPU: 128)
    shared_bytes  shared memory per block (CPU: L1 data)   l2_bytes     per core (CPU) or device
    cores         cores or multiprocessors                 fma          fused multiply-add in hardware
    version       compute capability × 10, or 0            features     sorted names
    units         matrix instructions, best first: names of `fragments.UNITS`
    """

    target: str
    kind: str
    lanes: int
    max_warps: int
    registers: int
    vector_bits: int
    shared_bytes: int
    l2_bytes: int
    cores: int
    fma: bool = True
    version: int = 0
    features: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


def interp_facts() -> DeviceFacts:
    """The oracle pretends to be a small GPU with warps of 32."""
    return DeviceFacts("interp", "interp", 32, 4, 255, 128, 48 << 10, 1 << 20, 1)
