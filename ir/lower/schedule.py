"""Graph → program: prepare, fuse, and write each cluster with its schedule.

Buffers of nodes in memory, launches in cluster order, loops over the steps of their bodies.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..device import DeviceFacts
from ..errors import UnsupportedError
from ..graph import Graph, Node
from ..program import Buffer, Check, Copy, Fill, Program, Step
from ..types import Array, Scalar
from .expr import Expr
from .fuse import Cluster, Fuser
from .prepare import prepare


class _Scheduler:
    def __init__(self, graph: Graph, facts: DeviceFacts, fast_math: bool) -> None:
        self.graph, self.facts, self.fast_math = graph, facts, fast_math
        self.buffers: list[Buffer] = []
        self.names: set[str] = set()
        self.constants: dict[bytes, Buffer] = {}
        self.why: list[str] = []
        self.kernels = 0

    def new(self, hint: str, ty: Array, kind: str, data: bytes | None = None) -> Buffer:
        name, k = hint, 2
        while name in self.names:
            name, k = f"{hint}_{k}", k + 1
        self.names.add(name)
        b = Buffer(name, ty, kind, data)
        self.buffers.append(b)
        return b

    def const(self, n: Node) -> Buffer:
        key = n.attr("data") + str(n.type).encode()
        found = self.constants.get(key)
        if found is None:
            found = self.constants[key] = self.new("const", n.type, "const", n.attr("data"))
        return found

    def run(self) -> Program:
        inputs = [self.new(n.name or f"arg{i}", n.type, "input") for i, n in enumerate(self.graph.inputs)]
        outputs = [self.new("out" if i == 0 else f"out{i + 1}", o.type, "output") for i, o in enumerate(self.graph.outputs)]
        steps = self.graph_steps(self.graph, inputs, outputs)
        return Program(self.graph.name, tuple(self.buffers), tuple(inputs), tuple(outputs), tuple(steps), (("why", tuple(self.why)),))

    def graph_steps(self, graph: Graph, inputs: list[Buffer], outputs: list[Buffer]) -> list[Step]:
        """Steps that compute a graph from buffers into buffers.  No output buffer may be an input buffer."""
        graph = prepare(graph, parallel=2 * self.facts.cores)
        memory = {n.id: b for n, b in zip(graph.inputs, inputs)}
        fuser = Fuser(graph, memory, lambda n: self.new(n.name or n.op.name, n.type, "temp"), self.const, self.unit)
        late: list[Step] = []
        for o, b in zip(graph.outputs, outputs):
            if 0 in o.shape:
                continue
            if o.id in memory or o.id in fuser.buffers:
                late.append(Copy(b, memory.get(o.id) or fuser.buffers[o.id]))
            else:
                fuser.buffers[o.id] = b
        steps: list[Step] = []
        for c in fuser.run():
            steps.extend(self.cluster(c))
        return steps + late

    def unit(self, acc: Scalar, operands: Sequence[Expr], sizes: Sequence[Any]) -> Any:
        """The matrix unit for a product, or None."""
        from ..schedules.matrix_units import choose

        return choose(self.facts, self.fast_math, acc, operands, sizes)

    def cluster(self, c: Cluster) -> list[Step]:
        from ..schedules import contraction, loops, matrix_units, pointwise, reduction, scan, scatter

        if c.kind == "check":
            assert c.node is not None
            return [Check(c.fuser.buffer(c.node.args[0]), c.node.attr("message"), c.node.attr("place"))]
        if c.kind == "loop":
            return loops.loop(self, c)
        if 0 in c.sizes:
            if c.kind == "contract" and c.node is not None:
                return [Fill(c.fuser.buffer(c.node), 0)]
            return []
        self.kernels += 1
        name = f"{self.graph.name}_{self.kernels}" if self.kernels > 1 else self.graph.name
        build = {"pointwise": pointwise.pointwise, "row": reduction.rows, "column": reduction.columns,
                 "contract": contraction.contraction, "scan": scan.scan, "scatter": scatter.scatter}.get(c.kind)  # fmt: skip
        if build is None:
            raise UnsupportedError(f"no schedule for {c.kind}")
        self.why.extend(f"{name}: {w}" for w in c.why)
        made: Any = matrix_units.matrix_unit(name, c, c.unit, self.facts) if c.unit is not None else build(name, c, self.facts)
        return list(made) if isinstance(made, (list, tuple)) else [made]


def schedule(graph: Graph, facts: DeviceFacts, fast_math: bool = False) -> Program:
    """The program of a graph for a device."""
    return _Scheduler(graph, facts, fast_math).run()
