"""The graph level: an interned, immutable DAG of array values.  Pure: what is computed, not how.

Equal means identical: a `GraphBuilder` owns a dict of its nodes, so common subexpressions cost nothing.  Location and name are
outside the key (the first one wins).
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .extent import Dim, key_of, value_of
from .loc import Loc
from .op import Attrs, LaneOps, Op, op
from .types import I64, Array, Scalar, Type, array


class Node:
    """One array value: op, operands, attributes, result type(s)."""

    __slots__ = ("op", "args", "attrs", "type", "types", "id", "loc", "name")

    def __init__(self, op: Op, args: tuple[Node, ...], attrs: Attrs, types: tuple[Type, ...], id: int, loc: Loc | None,
                 name: str = "") -> None:  # fmt: skip
        self.op, self.args, self.attrs, self.types, self.id, self.loc, self.name = op, args, attrs, types, id, loc, name
        self.type: Array = types[0]  # type: ignore[assignment]

    def attr(self, name: str, default: Any = None) -> Any:
        for k, v in self.attrs:
            if k == name:
                return v
        return default

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.type.shape

    @property
    def elem(self) -> Scalar:
        return self.type.elem

    def __repr__(self) -> str:
        return f"%{self.name or self.id} = {self.op} : {self.type}"


class Graph:
    """Inputs, outputs, and everything between, in an order in which operands come first.

    `inputs` are `input` nodes in argument order; `outputs` may repeat, and may be inputs.
    """

    __slots__ = ("name", "inputs", "outputs", "nodes", "__weakref__")
    level = "graph"

    def __init__(self, name: str, inputs: Sequence[Node], outputs: Sequence[Node]) -> None:
        self.name, self.inputs, self.outputs = name, tuple(inputs), tuple(outputs)
        self.nodes = tuple(reachable(self.outputs, self.inputs))

    def __str__(self) -> str:
        from .text import dump

        return dump(self)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.nodes)} nodes>"


def reachable(outputs: Sequence[Node], inputs: Sequence[Node] = ()) -> list[Node]:
    """All nodes that the outputs need (and the inputs), operands first, in order of creation.  Iterative."""
    seen: set[int] = {n.id for n in inputs}
    nodes = list(inputs)
    stack = list(outputs)
    while stack:
        n = stack.pop()
        if n.id not in seen:
            seen.add(n.id)
            nodes.append(n)
            stack.extend(n.args)
    nodes.sort(key=lambda n: n.id)
    return nodes


class GraphBuilder(LaneOps):
    """Makes interned nodes.  Elementwise ops need equal shapes: broadcasting is an op of its own."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Node] = {}
        self.loc: Loc | None = None

    def emit(self, op: Op, args: Sequence[Node], attrs: Attrs = (), *, name: str = "") -> Node:
        args = tuple(args)
        key = (op, tuple([a.id for a in args]), key_of(attrs) if op.shaped else attrs)
        node = self._nodes.get(key)
        if node is None:
            types = op.infer(tuple([a.type for a in args]), attrs)
            node = self._nodes[key] = Node(op, args, attrs, types, len(self._nodes), self.loc, name)
        return node

    def input(self, index: int, ty: Array, name: str = "") -> Node:
        return self.emit(op("input"), (), (("index", index), ("name", name), ("type", ty)), name=name)

    def literal(self, value: Any, elem: Scalar, shape: tuple[Any, ...] | None = None) -> Node:
        """A constant array.  A 0-d value with a `shape` is a splat."""
        if isinstance(value, int) and elem.is_int:  # a Python integer wraps: the op decides what the bits mean
            value %= 1 << elem.bits
            if not elem.is_unsigned and value >> (elem.bits - 1):
                value -= 1 << elem.bits
        data = np.ascontiguousarray(value, dtype=elem.np)
        ty = array(elem, data.shape if shape is None else shape) if np.ndim(value) else array(elem, shape or ())
        return self.emit(op("literal"), (), (("data", data.tobytes()), ("type", ty)))

    def const(self, ty: Type, value: Any) -> Node:
        if value.__class__ is Dim:
            n, elem = self.extent(value=value), ty.elem
            n = self.stof(n, to=elem) if elem.is_float else n if elem is I64 else self.itrunc(n, to=elem) if elem.bits < 64 else self.bitcast(n, to=elem)
            return self.broadcast(n, shape=ty.shape) if ty.shape else n  # type: ignore[no-any-return]
        return self.literal(value, ty.elem, ty.shape)


def at(graph: Graph, numbers: dict[str, int]) -> Graph:
    """The same graph for these numbers of its symbols; itself if it has none."""
    if not any(t.symbolic for n in graph.nodes for t in n.types if isinstance(t, Array)) and not any(n.op.name == "extent" for n in graph.nodes):
        return graph
    made: dict[int, Node] = {}
    for n in graph.nodes:
        attrs = tuple([(k, _number(v, numbers)) for k, v in n.attrs])
        made[n.id] = Node(n.op, tuple([made[a.id] for a in n.args]), attrs, tuple([_number(t, numbers) for t in n.types]), n.id, n.loc, n.name)
    return Graph(graph.name, [made[i.id] for i in graph.inputs], [made[o.id] for o in graph.outputs])


def _number(v: Any, numbers: dict[str, int]) -> Any:
    """A type or attribute with its symbols replaced."""
    if isinstance(v, Dim):
        return v.value(numbers)
    if isinstance(v, Array):
        return array(v.elem, [value_of(e, numbers) for e in v.shape]) if v.symbolic else v
    if isinstance(v, Graph):
        return at(v, numbers)
    return tuple([_number(e, numbers) for e in v]) if isinstance(v, tuple) else v


def literal_value(node: Node) -> np.ndarray[Any, Any]:
    """The constant of a `literal` node: 0-d for a splat, else of its shape."""
    flat = np.frombuffer(node.attr("data"), dtype=node.elem.np)
    return flat.reshape(()) if flat.size == 1 else flat.reshape(node.shape)
