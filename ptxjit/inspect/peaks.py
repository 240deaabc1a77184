"""What a target can do at most, for the roofline.

Graphics processors: nominal figures of a typical card of the architecture, f32 without matrix units, from their makers' data sheets.  The host: two fused
multiply-adds per cycle and core at the clock that the system states, and the speed of a copy measured here.  Others have no roof.
"""
from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple


class Peak(NamedTuple):
    """Operations and bytes per second, and where the figures come from."""

    flops: float
    bandwidth: float
    source: str


CARDS = {  # architecture: (TFLOP/s, GB/s, card)
    "sm_75": (8.1, 320, "T4"), "sm_80": (19.5, 1555, "A100 40 GB"), "sm_86": (35.6, 936, "RTX 3090"), "sm_89": (82.6, 1008, "RTX 4090"),
    "sm_90": (66.9, 3350, "H100 SXM"), "sm_100": (80.0, 8000, "B200"), "sm_120": (104.8, 1792, "RTX 5090"),
    "gfx90a": (23.9, 1638, "one die of an MI250X"), "gfx942": (163.4, 5300, "MI300X"), "gfx950": (157.3, 8000, "MI355X"),
    "gfx1030": (23.0, 512, "RX 6900 XT"), "gfx1100": (61.4, 960, "RX 7900 XTX"), "gfx1201": (48.7, 640, "RX 9070 XT"),
}  # fmt: skip


def peak(facts: Any) -> Peak | None:
    """The roof of a device record, where it is known."""
    family, _, arch = facts.target.partition(":")
    if family in ("ptx", "amdgpu"):
        found = CARDS.get(arch.rstrip("af") if family == "ptx" else arch)
        return Peak(found[0] * 1e12, found[1] * 1e9, f"nominal figures of {found[2]}") if found else None
    if facts.target == "cpu:host":
        clock, rate = _clock(), _copy()
        if clock:
            return Peak(facts.cores * facts.lanes * 4 * clock, rate, f"{facts.cores} cores at {clock / 1e9:.1f} GHz; the speed of a copy measured here")
    return None


@lru_cache(maxsize=None)
def _clock() -> float:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return 0.0
    return max((float(line.partition(":")[2]) * 1e6 for line in text.splitlines() if line.startswith("cpu MHz")), default=0.0)


@lru_cache(maxsize=None)
def _copy() -> float:
    """Bytes read and written per second by one thread: the best of three copies of 32 MiB."""
    import numpy as np

    a, b, best = np.zeros(8 << 20, np.float32), np.ones(8 << 20, np.float32), 1e9
    for _ in range(3):
        start = time.perf_counter()
        np.copyto(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * a.nbytes / best
