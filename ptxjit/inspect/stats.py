"""Numbers per kernel of a lowered program.  What a kernel moves and computes is defined in `ir/analysis/counts.py`.

    kernel, grid                  registers, spill stores, spill loads, shared bytes, occupancy, limit: the target's words, where it knows
    live words                    most 32-bit words of values alive in a lane at once, before allocation
    instructions, classes, mix    of the target's text, `mix of` says which
    bytes read, bytes written, flops, intensity, exact
    missing                       what could not be found out, and the command that brings it
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..ir.analysis.counts import program_counts
from ..ir.analysis.live import peak
from ..ir.errors import ToolError
from ..ir.kernel import Kernel
from ..ir.program import Program


def kernel_stats(target: Any, program: Program, kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
    """One entry per kernel, in the program's order."""
    rows: dict[str, dict[str, Any]] = {k.name: {"kernel": k.name} for k in kernels}
    counts = program_counts(program)
    for k in kernels:
        if k.name in counts:
            rows[k.name]["grid"] = list(counts[k.name].grid)
    add_target(rows, target, kernels)
    for k in kernels:
        row = rows[k.name]
        row.setdefault("shared bytes", k.shared)
        row["live words"] = peak(k)
        c = counts.get(k.name)
        if c is not None:
            row.update({"bytes read": c.read, "bytes written": c.written, "flops": c.flops, "intensity": round(c.intensity, 3), "exact": c.exact})
            if "occupancy" not in row and target.facts.kind in ("cpu", "opencl"):  # a block is what a core takes: too few of them leave cores idle
                blocks = math.prod(c.grid)
                row["occupancy"] = round(min(1.0, blocks / target.facts.cores), 3)
                row["limit"] = "cores" if blocks >= target.facts.cores else "blocks"
    return list(rows.values())


def add_target(rows: dict[str, dict[str, Any]], target: Any, kernels: Sequence[Kernel]) -> None:
    """What the target itself knows, and the mix of its text."""
    try:
        for entry in target.stats(kernels):
            rows[entry["kernel"]].update(entry)
    except ToolError as e:
        for row in rows.values():
            row["missing"] = f"registers, spills, occupancy: {e.message}" + (f" ({e.hint})" if e.hint else "")
    for entry in target.mix(kernels):
        row = rows[entry["kernel"]]
        row.update({key: value for key, value in entry.items() if key not in row})
