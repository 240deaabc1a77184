"""Ops of the graph level: what only whole arrays can say.  Elementwise ops are those of `arith`, `convert` and `math`.

    input      an argument; attrs index, name                       const      a splat or small literal; attr value (bytes), data kept as bytes
    broadcast  to a larger shape, NumPy's rule; attr shape           reshape    same elements in C order; attr shape
    permute    attr axes                                             slice      attr start, step, shape: element i is start + i·step (step may be < 0 or 0)
    concat     along attr axis                                       pad        args x, fill; attr low, shape
    iota       0, 1, 2 … along attr axis; attr type                  take       args x, index: along attr axis, out of range clamps
    reduce     attr fn (name of a lane op), axes                     argreduce  attr fn ('max' | 'min'), axis → i64; lowest index wins, NaN wins
    scan       inclusive; attr fn, axis                              contract   sum of products; attr batch, lhs, rhs (axes), acc (scalar type)
    scatter    args x, index, updates: x[index] fn= updates along axis 0; attr fn ('set' or a lane op); out of range is dropped
    loop       attr body (Graph), kind 'fori' | 'while' | 'scan'      item       result number attr index of a loop
    check      args i1 scalar, …: raise when false; attr message     extent     an extent as a 0-d i64; attr value

Reductions and scans follow the canonical orders of ARCHITECTURE.md: functions of the logical shape only.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DTypeError, ShapeError
from ..op import EXTENT, combines, form_op
from ..types import I1, I64, Array, Scalar, Type, array

Types = Sequence[Type]


def _axes(t: Type, *axes: int) -> None:
    if any(not 0 <= a < len(t.shape) for a in axes) or len(set(axes)) < len(axes):
        raise ShapeError(f"{t} does not have the axes {', '.join(map(str, axes))}")


def _given(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    return (attrs["type"],)


def _literal(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    t, size = attrs["type"], len(attrs["data"])
    if size != t.elem.bytes and (any(not isinstance(e, int) for e in t.shape) or size != t.size * t.elem.bytes):
        raise ShapeError(f"{size} bytes are no elements of {t}")
    return (t,)


def _iota(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    _axes(attrs["type"], attrs["axis"])
    return (attrs["type"],)


def _slice(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    t, shape = types[0], attrs["shape"]
    if not len(t.shape) == len(shape) == len(attrs["start"]) == len(attrs["step"]):
        raise ShapeError(f"slice of {t} with {len(shape)} dimensions")
    for n, start, step, size in zip(t.shape, attrs["start"], attrs["step"], shape):
        if isinstance(n, int) and isinstance(size, int) and size and not (0 <= start < n and 0 <= start + (size - 1) * step < n):
            raise ShapeError(f"slice {start} + i·{step}, {size} elements, leaves {t}")
    return (array(t.elem, shape),)


def _pad(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    t, fill = types
    if fill.elem is not t.elem or fill.shape:
        raise DTypeError(f"pad of {t} with {fill}")
    if not len(t.shape) == len(attrs["shape"]) == len(attrs["low"]):
        raise ShapeError(f"pad of {t} to {len(attrs['shape'])} dimensions")
    for n, low, size in zip(t.shape, attrs["low"], attrs["shape"]):
        if isinstance(n, int) and isinstance(size, int) and not 0 <= low <= low + n <= size:
            raise ShapeError(f"pad of {t} at {attrs['low']} does not fit into {attrs['shape']}")
    return (array(t.elem, attrs["shape"]),)


def _broadcast(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    old, new = types[0].shape, attrs["shape"]
    if len(old) > len(new) or any(a != 1 and a != b for a, b in zip(old[::-1], new[::-1])):
        raise ShapeError(f"cannot broadcast {types[0]} to shape {new}")
    return (array(types[0].elem, new),)


def _reshape(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    out = array(types[0].elem, attrs["shape"])
    if all(isinstance(e, int) for e in out.shape + types[0].shape) and out.size != types[0].size:  # type: ignore[attr-defined]
        raise ShapeError(f"cannot reshape {types[0]} to {list(out.shape)}")
    return (out,)


def _permute(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    axes = attrs["axes"]
    if sorted(axes) != list(range(len(types[0].shape))):
        raise ShapeError(f"axes {axes} do not permute {types[0]}")
    return (array(types[0].elem, [types[0].shape[a] for a in axes]),)


def _concat(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    axis, first = attrs["axis"], types[0]
    _axes(first, axis)
    total: Any = 0
    for t in types:
        if t.elem is not first.elem:
            raise DTypeError(f"concat: {t} beside {first}")
        if t.shape[:axis] + t.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ShapeError(f"concat along axis {axis}: {t} beside {first}")
        total = total + t.shape[axis]
    return (array(first.elem, first.shape[:axis] + (total,) + first.shape[axis + 1 :]),)


def _take(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    x, index, axis = types[0], types[1], attrs["axis"]
    _axes(x, axis)
    if not index.elem.is_int:
        raise DTypeError(f"take: the index is {index}, not an integer array")
    return (array(x.elem, x.shape[:axis] + index.shape + x.shape[axis + 1 :]),)


def _reduce(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    combines(attrs["fn"], types[0].elem)
    _axes(types[0], *attrs["axes"])
    return (array(types[0].elem, [s for i, s in enumerate(types[0].shape) if i not in attrs["axes"]]),)


def _argreduce(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    _axes(types[0], attrs["axis"])
    return (array(I64, [s for i, s in enumerate(types[0].shape) if i != attrs["axis"]]),)


def _contract(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    a, b = types
    (ba, bb), la, lb = attrs["batch"], attrs["lhs"], attrs["rhs"]
    _axes(a, *ba, *la)
    _axes(b, *bb, *lb)
    if [a.shape[i] for i in ba] != [b.shape[i] for i in bb] or [a.shape[i] for i in la] != [b.shape[i] for i in lb]:
        raise ShapeError(f"contract: {a} and {b} do not fit")
    free_a = [s for i, s in enumerate(a.shape) if i not in ba and i not in la]
    free_b = [s for i, s in enumerate(b.shape) if i not in bb and i not in lb]
    return (array(attrs["acc"], [a.shape[i] for i in ba] + free_a + free_b),)


def _scan(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    combines(attrs["fn"], types[0].elem)
    _axes(types[0], attrs["axis"])
    return (types[0],)


def _scatter(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    x, index, updates = types
    if attrs["fn"] != "set":
        combines(attrs["fn"], x.elem)
    if not index.elem.is_int or updates.elem is not x.elem or index.shape != updates.shape:
        raise DTypeError(f"scatter of {updates} at {index} into {x}")
    return (x,)


def _take_elements(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    x, index = types
    _axes(x, attrs["axis"])
    if not index.elem.is_int or len(x.shape) != len(index.shape):
        raise DTypeError(f"take_elements: the index of {x} is {index}")
    return (array(x.elem, index.shape),)


def _item(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    return (attrs["type"],)


def _check(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if types[0].elem is not I1 or types[0].shape:
        raise DTypeError(f"check: the condition is {types[0]}")
    return (types[1],)


_G = {"levels": "graph"}
form_op("input", _given, attrs={"type": Array, "index": int, "name": str}, **_G, doc="argument number `index`")
form_op("literal", _literal, attrs={"type": Array, "data": bytes}, **_G, doc="a constant array; `data` holds its elements in C order, or one element for a splat")
form_op("broadcast", _broadcast, attrs={"shape": tuple}, **_G, doc="NumPy's broadcasting to `shape`")
form_op("reshape", _reshape, attrs={"shape": tuple}, **_G, doc="the same elements in C order")
form_op("permute", _permute, attrs={"axes": tuple}, **_G, doc="dimension i of the result is dimension axes[i]")
form_op("slice", _slice, attrs={"start": tuple, "step": tuple, "shape": tuple}, **_G, doc="element i along a dimension is start + i·step")
form_op("concat", _concat, attrs={"axis": int}, **_G, doc="one after another along `axis`")
form_op("pad", _pad, attrs={"low": tuple, "shape": tuple}, **_G, doc="operand 1, a 0-d array, around operand 0, which starts at `low`")
form_op("extent", lambda t, a: (array(I64, ()),), attrs={"value": EXTENT}, **_G, doc="an extent as a number")
form_op("iota", _iota, attrs={"type": Array, "axis": int}, **_G, doc="0, 1, 2 … along `axis`")
form_op("take", _take, attrs={"axis": int}, **_G, doc="elements of operand 0 along `axis` at the indices; clamped to the range")
form_op("take_elements", _take_elements, attrs={"axis": int}, **_G,
        doc="out[i,j,k] = x[i,index[i,j,k],k] along `axis`; shapes agree elsewhere; clamped to the range")  # fmt: skip
form_op("reduce", _reduce, attrs={"fn": str, "axes": tuple}, **_G, doc="combine along `axes` with lane op `fn`, canonical order")
form_op("argreduce", _argreduce, attrs={"fn": ("max", "min"), "axis": int, "unsigned": (True,)}, **_G, doc="index of the first extreme along `axis`; a NaN is extreme")
form_op("scan", _scan, attrs={"fn": str, "axis": int}, **_G, doc="inclusive scan along `axis` with lane op `fn`, canonical order")
form_op("contract", _contract, attrs={"batch": tuple, "lhs": tuple, "rhs": tuple, "acc": Scalar}, **_G, doc="sum of products over lhs/rhs axes; result batch + free lhs + free rhs")
form_op("scatter", _scatter, attrs={"fn": str}, **_G, doc="operand 0 with operand 2 combined in at flat index operand 1 (1-d); out of range is dropped")
form_op("loop", lambda t, a: tuple(a["types"]), attrs={"kind": ("fori", "while", "scan"), "body": object, "cond": object, "types": tuple,
        "carried": int, "xs": int, "length": int}, **_G, doc="a loop whose body is a closed graph")  # fmt: skip
form_op("item", _item, attrs={"index": int, "type": Type}, **_G, doc="one result of a loop")
form_op("check", _check, attrs={"message": str, "place": str}, **_G, doc="operand 1, after an error has been raised if operand 0 is false")
