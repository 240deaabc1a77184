"""From graph to kernels, step by step, specialised by the device record alone.

    prepare → fuse + schedules → Program of tile programs → to_kernel → kernel passes

`lower` runs it all and keeps every level, so that each can be looked at.  A graph with symbols is lowered for the active `Sizes`, or, where there are
none, for a hint of 1024 each; what the schedules assumed of them is the program's `guards`.
"""
from __future__ import annotations

from contextlib import nullcontext

from ..device import DeviceFacts
from ..extent import HINT, Dim, active
from ..graph import Graph
from ..guards import Sizes
from ..kernel import Kernel
from ..program import Program
from ..tile import TileProgram


class Lowered:
    """Every level of one compilation: `graph`, `program` (whose launches hold the tile programs), `kernels` by name."""

    __slots__ = ("graph", "program", "kernels", "facts")

    def __init__(self, graph: Graph, program: Program, kernels: dict[str, Kernel], facts: DeviceFacts) -> None:
        self.graph, self.program, self.kernels, self.facts = graph, program, kernels, facts


def lower(graph: Graph, facts: DeviceFacts, *, fast_math: bool = False, reproducible: bool = False) -> Lowered:
    """Lowers a graph for a device."""
    from ..passes import kernel_pipeline
    from .schedule import schedule
    from .to_kernel import to_kernel

    symbols = sorted({s for n in graph.inputs for e in n.shape if isinstance(e, Dim) for s in e.symbols()})
    with (active() or Sizes(dict.fromkeys(symbols, HINT))).active(tracing=False) if symbols else nullcontext() as sizes:
        program = schedule(graph, facts, fast_math)
        pipeline = kernel_pipeline(facts, fast_math)
        programs = {s.fn.name: s.fn for s in program.launches() if isinstance(s.fn, TileProgram)}
        kernels = {name: pipeline.run(to_kernel(fn, facts)) for name, fn in programs.items()}
        if sizes is not None:
            meta = (*program.meta, ("guards", tuple(sizes.guards())), ("hints", tuple(sorted(sizes.hints.items()))))
            program = Program(program.name, program.buffers, program.inputs, program.outputs, program.steps, meta)
    return Lowered(graph, program, kernels, facts)
