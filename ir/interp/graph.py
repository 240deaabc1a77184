"""Graphs on whole NumPy arrays, node by node.

Integers inside are signed (`Scalar.np` of the signless type); arrays enter and leave with the graph's own dtypes.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import BugError, CheckError
from ..graph import Graph, Node, at, literal_value
from ..program import numbers
from ..types import Scalar
from .orders import contract_canonical, reduce_canonical, scan_canonical
from .values import eval_lane

Array = Any


def run_graph(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Fresh results of a graph on arrays of its inputs' dtypes and shapes."""
    graph = at(graph, numbers([n.shape for n in graph.inputs], [np.shape(x) for x in inputs]))
    values = run_nodes(graph, [_inside(np.asarray(x), n.elem) for x, n in zip(inputs, graph.inputs)])
    return [np.array(_outside(values[o.id], o.elem), copy=True, order="C").reshape(o.shape) for o in graph.outputs]


def _inside(x: Array, elem: Scalar) -> Array:
    return np.ascontiguousarray(x).view(elem.signless.np).reshape(x.shape)


def _outside(x: Array, elem: Scalar) -> Array:
    return np.ascontiguousarray(x).view(elem.np)


def run_nodes(graph: Graph, inputs: Sequence[Array]) -> dict[int, Any]:
    """The value of every node, integers signed."""
    values: dict[int, Any] = {n.id: x for n, x in zip(graph.inputs, inputs)}
    for n in graph.nodes:
        if n.id not in values:
            args = [values[a.id] for a in n.args]
            if n.op.kind in ("lane", "math"):
                attrs = tuple((k, v.signless if isinstance(v, Scalar) else v) for k, v in n.attrs)
                values[n.id] = np.asarray(eval_lane(n.op, n.elem.signless, args, attrs)).reshape(n.shape)
            else:
                rule = _RULES.get(n.op.name)
                if rule is None:
                    raise BugError(f"the graph interpreter does not know {n.op}", place=n.loc)
                values[n.id] = rule(n, args)
    return values


def _literal(n: Node, args: list[Array]) -> Array:
    return np.broadcast_to(_inside(literal_value(n), n.elem), n.shape)


def _iota(n: Node, args: list[Array]) -> Array:
    axis = n.attr("axis")
    line = np.arange(n.shape[axis]).astype(n.elem.signless.np)
    return np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(len(n.shape))]), n.shape)


def _slice(n: Node, args: list[Array]) -> Array:
    x = args[0]
    for axis, (start, step, size) in enumerate(zip(n.attr("start"), n.attr("step"), n.shape)):
        x = np.take(x, start + step * np.arange(size), axis=axis)
    return x


def _pad(n: Node, args: list[Array]) -> Array:
    x, fill = args
    out = np.broadcast_to(fill, n.shape).copy()
    out[tuple(slice(lo, lo + s) for lo, s in zip(n.attr("low"), x.shape))] = x
    return out


def _take(n: Node, args: list[Array]) -> Array:
    x, index = args
    axis = n.attr("axis")
    return np.take(x, np.clip(index, 0, max(x.shape[axis] - 1, 0)), axis=axis)


def _take_elements(n: Node, args: list[Array]) -> Array:
    x, index = args
    axis = n.attr("axis")
    return np.take_along_axis(x, np.clip(index, 0, x.shape[axis] - 1).astype(np.int64), axis=axis)


def _argreduce(n: Node, args: list[Array]) -> Array:
    x, best = args[0], n.attr("fn")
    if n.attr("unsigned"):
        x = x.view(f"u{x.dtype.itemsize}")
    if x.dtype.kind not in "fiub":
        x = x.astype(np.float32)
    return (np.argmax if best == "max" else np.argmin)(x, axis=n.attr("axis")).astype(np.int64)


def _scatter(n: Node, args: list[Array]) -> Array:
    from ..op import op

    out = args[0].copy().reshape(-1)
    fn = n.attr("fn")
    for i, v in zip(args[1].ravel(), args[2].ravel()):
        if 0 <= i < out.size:
            out[i] = v if fn == "set" else eval_lane(op(fn), n.elem.signless, (out[i : i + 1], np.array([v])))[0]
    return out.reshape(n.shape)


def _check(n: Node, args: list[Array]) -> Array:
    if not args[0]:
        raise CheckError(n.attr("message"), place=n.attr("place"))
    return args[1]


def _run(graph: Graph, inputs: list[Array]) -> list[Array]:
    values = run_nodes(graph, inputs)
    return [values[o.id] for o in graph.outputs]


def _loop(n: Node, args: list[Array]) -> list[Array]:
    kind, carried, body = n.attr("kind"), n.attr("carried"), n.attr("body")
    if kind == "fori":
        lo, hi, *rest = args
        state, captured = rest[:carried], rest[carried:]
        for i in range(int(lo), int(hi)):
            state = _run(body, [np.array(i, np.int64), *state, *captured])
        return state
    if kind == "while":
        state, captured = args[:carried], args[carried:]
        while bool(_run(n.attr("cond"), [*state, *captured])[0]):
            state = _run(body, [*state, *captured])
        return state
    count = n.attr("xs", 0)
    state, xs, captured = args[:carried], args[carried : carried + count], args[carried + count :]
    ys: list[list[Array]] = []
    for t in range(n.attr("length")):
        results = _run(body, [*state, *(x[t] for x in xs), *captured])
        state = results[:carried]
        ys.append(results[carried:])
    shapes = n.types[carried:]
    stacked = [np.stack([y[k] for y in ys]) if ys else np.zeros(ty.shape, ty.elem.signless.np) for k, ty in enumerate(shapes)]
    return [*state, *stacked]


_RULES: dict[str, Any] = {
    "literal": _literal, "extent": lambda n, a: np.array(n.attr("value"), np.int64), "iota": _iota, "slice": _slice, "pad": _pad, "take": _take, "take_elements": _take_elements,
    "broadcast": lambda n, a: np.broadcast_to(a[0], n.shape),
    "reshape": lambda n, a: np.reshape(a[0], n.shape),
    "permute": lambda n, a: np.transpose(a[0], n.attr("axes")),
    "concat": lambda n, a: np.concatenate(a, axis=n.attr("axis")),
    "reduce": lambda n, a: np.asarray(reduce_canonical(n.attr("fn"), n.elem.signless, a[0], n.attr("axes"))),
    "argreduce": _argreduce,
    "scan": lambda n, a: scan_canonical(n.attr("fn"), n.elem.signless, a[0], n.attr("axis")),
    "contract": lambda n, a: contract_canonical(n.attr("acc").signless, a[0], a[1], n.attr("batch"), n.attr("lhs"), n.attr("rhs")),
    "scatter": _scatter, "check": _check, "loop": _loop, "item": lambda n, a: a[0][n.attr("index")],
}  # fmt: skip
