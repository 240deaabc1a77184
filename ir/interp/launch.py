"""Foreign kernels on the machine: parameters from words, printf, and what a launch that went wrong says."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DeviceError, ResourceError, UserError
from ..kernel import Kernel
from ..printf import format_c
from ..types import I1, Scalar
from .machine import Machine, Stopped
from .memory import Region
from .state import RESIDENT, STATES, Shape

MAX_THREADS, MAX_SHARED = 1024, 228 << 10
STEPS = 3_000_000
Three = tuple[int, int, int]


def machine(kernel: Kernel, words: Sequence[int], regions: Sequence[Region], grid: Three, block: Three, shared: int = 0, cluster: Three = (1, 1, 1),
            cooperative: bool = False, const: tuple[int, int] = (0, 0), steps: int = STEPS, make: type[Machine] = Machine) -> Machine:  # fmt: skip
    """The machine of a launch, of the class `make`.  `words` are the parameters as 64-bit words, `const` address and size of the constant bank."""
    threads = block[0] * block[1] * block[2]
    if not 0 < threads <= MAX_THREADS:
        raise ResourceError(f"a block has 1 to {MAX_THREADS} threads, not {threads}", hint="use more, smaller blocks")
    if kernel.shared + shared > MAX_SHARED:
        raise ResourceError(f"{kernel.name} asks for {kernel.shared + shared} bytes of shared memory; a block has {MAX_SHARED}")
    if any(g % c for g, c in zip(grid, cluster)):
        raise UserError(f"the grid {grid} is not a multiple of the cluster {cluster}")
    if cooperative and cluster != (1, 1, 1):
        raise DeviceError("a cooperative launch of clusters is not supported here")
    values = [_value(p.value.type.elem, w) for p, w in zip(kernel.params, words)]
    spins = any(i.op.name == "atom" or i.op.name == "ld" and Machine.strong(i) for f in (kernel, *kernel.functions) for i in f.instrs())
    resident = RESIDENT * (16 if spins else 1)  # blocks may wait for each other: as many threads as a card of 128 multiprocessors holds
    if any(i.op.name == "cancel" for f in (kernel, *kernel.functions) for i in f.instrs()):
        resident = 1  # one cluster at a time, so that there is something to cancel
    return make(kernel, Shape(grid, block, cluster, shared, cooperative, resident=resident), values, regions, const=const, max_steps=steps)


def run(kernel: Kernel, words: Sequence[int], regions: Sequence[Region], grid: Three, block: Three, shared: int = 0, cluster: Three = (1, 1, 1),
        cooperative: bool = False, const: tuple[int, int] = (0, 0)) -> None:  # fmt: skip
    """Runs a launch."""
    m = machine(kernel, words, regions, grid, block, shared, cluster, cooperative, const)
    if m.shape.blocks == 0:
        return
    try:
        m.run()
    except Stopped as e:
        raise failure(m, e) from None
    finally:
        show(m)


def failure(m: Machine, e: Stopped) -> DeviceError:
    """The error of a launch that cannot go on."""
    return DeviceError(f"{m.kernel.name}: deadlock, {e.why}\n  " + "\n  ".join(stands(m, e)), place=m.instr_at(e.stands[0][0]).loc if e.stands else None)


def show(m: Machine) -> None:
    """Writes what the launch printed: by block and thread, as compiled code does, between two points where threads wait."""
    if m.printed:
        sys.stdout.write(b"".join(format_c(fmt, raw, m.memory.text) for _, fmt, raw in sorted(m.printed)).decode("utf-8", "replace"))
        sys.stdout.flush()


def stands(m: Machine, e: Stopped) -> list[str]:
    """Where the lanes of each warp stand."""
    rows = []
    for place, state, lanes in e.stands:
        i = m.instr_at(place)
        for w in np.unique(lanes // m.lanes).tolist():
            mine = lanes[lanes // m.lanes == w]
            slot, warp = divmod(w, m.shape.warps)
            some = "all lanes" if mine.size == m.lanes else "lanes " + ranges((mine % m.lanes).tolist())
            rows.append((slot, warp, int(mine[0]), f"block {m.blocks[slot]}, warp {warp}, {some}: {STATES.get(state, 'runs')} "
                         f"({i.op.name}{f' at {i.loc}' if i.loc else ''})"))  # fmt: skip
    lines = [r[-1] for r in sorted(rows)]
    return lines[:16] + ([f"… and {len(lines) - 16} more"] if len(lines) > 16 else [])


def ranges(lanes: list[int]) -> str:
    out: list[str] = []
    start = previous = lanes[0]
    for n in [*lanes[1:], -1]:
        if n != previous + 1:
            out.append(str(start) if start == previous else f"{start}–{previous}")
            start = n
        previous = n
    return ", ".join(out)


def _value(elem: Scalar, word: int) -> Any:
    """A parameter of that type from its word."""
    if elem is I1:
        return bool(word & 1)
    if elem.bytes > 8:
        return word
    return np.frombuffer((int(word) & (2**64 - 1)).to_bytes(8, "little")[: elem.bytes], elem.np)[0]
