"""The oracle as a target: programs run on the interpreters of `ptxjit.ir.interp`, graph level first."""
from __future__ import annotations

from typing import Any

from ..ir.device import interp_facts
from ..ir.graph import Graph
from . import Target


class InterpTarget(Target):
    """`run_graph` executes the graph itself; it needs no lowering."""

    def __init__(self, name: str) -> None:
        self.name, self.facts = name, interp_facts()

    def run_graph(self, graph: Graph, inputs: list[Any]) -> list[Any]:
        from ..ir.interp.graph import run_graph

        return run_graph(graph, inputs)


def make(name: str) -> InterpTarget:
    return InterpTarget(name)
