"""Loops over arrays: program loops around the steps of the body's own graph.

The state lives in one set of buffers; each turn writes the next state into a second set and copies it over.  A counter buffer
holds the turn.  `scan` reads slice t of its inputs and writes slice t of its results through small graphs of their own.
"""
from __future__ import annotations

from typing import Any

from ..errors import BugError
from ..graph import Graph, GraphBuilder, Node
from ..lower.fuse import Cluster
from ..op import op
from ..program import Buffer, Copy, Fill, Loop, Step
from ..types import I64, Array, array


def loop(s: Any, c: Cluster) -> list[Step]:
    """Steps of the loop node of a cluster; the results are the buffers of its `item` nodes.  `s` is the scheduler."""
    assert c.node is not None
    n = c.node
    kind, body = n.attr("kind"), n.attr("body")
    args = [c.fuser.buffer(a) for a in n.args]
    items = {u.attr("index"): c.fuser.buffer(u) for u in c.fuser.graph.nodes if u.op.name == "item" and u.args[0] is n}
    skip = 2 if kind == "fori" else 0
    carried = n.attr("carried")
    xs_count = n.attr("xs", 0)
    state_in = args[skip : skip + carried]
    xs = args[skip + carried : skip + carried + xs_count]
    captured = args[skip + carried + xs_count :]
    state = [_result(s, items, i, b.type) for i, b in enumerate(state_in)]
    steps: list[Step] = [Copy(new, old) for new, old in zip(state, state_in) if 0 not in new.type.shape]
    following = [s.new("next", b.type, "temp") for b in state]
    advance: list[Step] = [Copy(old, new) for old, new in zip(state, following) if 0 not in old.type.shape]
    counter = s.new("turn", array(I64, ()), "temp")
    if kind == "while":
        cond = s.new("more", n.attr("cond").outputs[0].type, "temp")
        before = s.graph_steps(n.attr("cond"), [*state, *captured], [cond])
        turn = s.graph_steps(body, [*state, *captured], following)
        return [*steps, Loop((*turn, *advance), cond=cond, before=tuple(before))]
    if kind == "fori":
        return [*steps, *_fori(s, n, args[0], args[1], counter, body, state, captured, following, advance)]
    return [*steps, *_scan(s, n, items, carried, counter, body, state, xs, captured, following, advance)]


def _result(s: Any, items: dict[int, Buffer], index: int, ty: Array) -> Buffer:
    found = items.get(index)
    return found if found is not None else s.new("state", ty, "temp")


def _fori(s: Any, n: Node, lo: Buffer, hi: Buffer, counter: Buffer, body: Graph, state: list[Buffer], captured: list[Buffer],
          following: list[Buffer], advance: list[Step]) -> list[Step]:  # fmt: skip
    """Bounds that are known make a counted loop, which a device runs without asking; else `i` runs in its own buffer and the loop asks before each turn."""
    bounds = [_known(a) for a in n.args[:2]]
    if bounds[0] is not None and bounds[1] is not None:
        used = any(body.inputs[0] in x.args for x in body.nodes) or body.inputs[0] in body.outputs
        index, turn = counter, []
        if used and bounds[0]:
            first = bounds[0]
            index = s.new("i", array(I64, ()), "temp")
            turn = s.graph_steps(_small("index", 1, lambda b, x: b.iadd(x[0], b.literal(first, I64, ()))), [counter], [index])
        turn += s.graph_steps(body, [index, *state, *captured], following)
        return [Loop((*turn, *advance), count=max(bounds[1] - bounds[0], 0), counter=counter if used else None)]
    i, after, more = (s.new(h, array(I64, ()), "temp") for h in ("i", "i_next", "i_last"))
    flag = s.new("more", _flag_type(), "temp")
    less = _small("less", 2, lambda b, x: b.icmp(x[0], x[1], pred="slt"))
    bump = _small("bump", 1, lambda b, x: b.iadd(x[0], b.literal(1, I64, ())))
    turn = s.graph_steps(body, [i, *state, *captured], following)
    turn += s.graph_steps(bump, [i], [after])
    before = s.graph_steps(less, [i, more], [flag])
    return [Copy(i, lo), Copy(more, hi), Loop((*turn, *advance, Copy(i, after)), cond=flag, before=tuple(before))]


def _known(n: Node) -> int | None:
    """The value of a literal."""
    return int.from_bytes(n.attr("data"), "little", signed=True) if n.op.name == "literal" else None


def _flag_type() -> Array:
    from ..types import I1

    return array(I1, ())


def _small(name: str, count: int, build: Any) -> Graph:
    b = GraphBuilder()
    inputs = [b.input(i, array(I64, ()), f"a{i}") for i in range(count)]
    return Graph(name, inputs, [build(b, inputs)])


def _scan(s: Any, n: Node, items: dict[int, Buffer], carried: int, counter: Buffer, body: Graph, state: list[Buffer],
          xs: list[Buffer], captured: list[Buffer], following: list[Buffer], advance: list[Step]) -> list[Step]:  # fmt: skip
    length = n.attr("length")
    slices, turn = [], []
    for x in xs:
        row = array(x.type.elem, x.type.shape[1:])
        slices.append(s.new("x_t", row, "temp"))
        turn += s.graph_steps(_row_of(x.type, row), [x, counter], [slices[-1]])
    outs = [s.new("y_t", o.type, "temp") for o in body.outputs[carried:]]
    turn += s.graph_steps(body, [*state, *slices, *captured], [*following, *outs])
    results: list[Step] = []
    for k, y in enumerate(outs):
        ty = n.types[carried + k]
        if not isinstance(ty, Array):
            raise BugError("a scan result is not an array", place=n.loc)
        whole = _result(s, items, carried + k, ty)
        if 0 in ty.shape:
            continue
        # slice t of the result: the array is made anew with that row replaced, in a second buffer, then copied back
        other = s.new("ys", ty, "temp")
        results.append(Fill(whole, 0))
        turn += s.graph_steps(_with_row(ty, y.type), [whole, y, counter], [other])
        turn.append(Copy(whole, other))
    return [*results, Loop((*turn, *advance), count=length, counter=counter)]


def _row_of(whole: Array, row: Array) -> Graph:
    b = GraphBuilder()
    x, t = b.input(0, whole, "xs"), b.input(1, array(I64, ()), "t")
    return Graph("row", [x, t], [b.take(x, t, axis=0)])


def _with_row(whole: Array, row: Array) -> Graph:
    b = GraphBuilder()
    old, new, t = b.input(0, whole, "ys"), b.input(1, row, "y"), b.input(2, array(I64, ()), "t")
    number = b.emit(op("iota"), (), (("axis", 0), ("type", array(I64, whole.shape))))
    here = b.icmp(number, b.broadcast(t, shape=whole.shape), pred="eq")
    wide = b.broadcast(b.reshape(new, shape=(1, *row.shape)), shape=whole.shape)
    return Graph("put", [old, new, t], [b.select(here, wide, old)])
