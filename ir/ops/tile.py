"""Ops of the tile level: views, loads and stores, shape of tiles, reductions, structured control.

A **view** is pointer, extents and strides (in elements).  `load` and `store` address it with one *offset* (an i64 scalar) per view
dimension plus an integer matrix `index` (view dims × tile dims): tile coordinate c reads view coordinate
`offset + index · c`.  Strides, dilation and halo are entries of that matrix.  Coordinates outside [0, extent) of the dimensions
listed in `check` read `fill` (operand after the offsets) and are not written; other dimensions are promised to be inside.  `low` names
those of the checked dimensions whose coordinate may be negative (for the rest only the upper end needs a test).

Control flow is structured: `for` (lo, hi, step, *carried), `while`, `if`; regions end in their yields.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DTypeError, ShapeError
from ..fragments import UNITS
from ..op import Effect, combines, form_op, machine_op
from ..types import BF16, F16, F32, F64, I1, I8, I32, I64, Pointer, Scalar, Tile, Type, View, pointer, tile, view

Types = Sequence[Type]
_T = {"levels": "tile"}
READ, WRITE, RMW = Effect(reads=True), Effect(writes=True), Effect(reads=True, writes=True)
OPERAND: dict[str, Scalar] = {"f16": F16, "bf16": BF16, "tf32": F32, "f32": F32, "f64": F64, "i8": I8, "s32": I32}  # of a unit → of its tiles


def _view(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    rank = (len(types) - 1) // 2
    if not isinstance(types[0], Pointer) or any(t is not I64 for t in types[1:]) or len(types) != 1 + 2 * rank:
        raise DTypeError("view takes a pointer, then i64 extents, then as many i64 strides")
    return (view(types[0].elem, rank, types[0].space),)


def _is_view(t: Type) -> View:
    if not isinstance(t, View):
        raise DTypeError(f"a view is needed, not {t}")
    return t


def _matrix(v: View, index: Any, shape: Any) -> None:
    if len(index) != v.rank or any(len(row) != len(shape) for row in index):
        raise ShapeError(f"index matrix {index} does not map a tile of rank {len(shape)} into {v}")


def _load(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    v = _is_view(types[0])
    _matrix(v, attrs["index"], attrs["shape"])
    if len(types) != v.rank + 2 or types[-1] is not v.elem or any(t is not I64 for t in types[1:-1]):
        raise DTypeError(f"load takes {v.rank} i64 offsets and a fill of type {v.elem}")
    return (tile(v.elem, attrs["shape"]) if attrs["shape"] else v.elem,)


def _store(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    v = _is_view(types[0])
    _matrix(v, attrs["index"], types[-1].shape)
    if types[-1].elem is not v.elem or len(types) != v.rank + 2 or any(t is not I64 for t in types[1:-1]):
        raise DTypeError(f"store of {types[-1]} into {v}")
    return ()


def _gather(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    p, index, mask, fill = types
    if not isinstance(p, Pointer) or index.elem is not I64 or mask.elem is not I1 or fill is not p.elem or mask.shape != index.shape:
        raise DTypeError("gather takes a pointer, an i64 index, an i1 mask of its shape, and a fill")
    return (index.with_elem(p.elem),)


def _scatter(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    p, index, mask, value = types
    if not isinstance(p, Pointer) or index.elem is not I64 or mask.elem is not I1 or value.elem is not p.elem or not (
            mask.shape == index.shape == value.shape):  # fmt: skip
        raise DTypeError("scatter takes a pointer, an i64 index, an i1 mask and a value of one shape")
    return ()


def _reduce(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    t = types[0]
    if not isinstance(t, Tile):
        raise DTypeError(f"reduce takes a tile, not {t}")
    combines(attrs["fn"], t.elem)
    if not 0 <= attrs["axis"] < len(t.shape):
        raise ShapeError(f"{t} has no axis {attrs['axis']}")
    if len(t.shape) == 1:
        return (t.elem,)
    return (tile(t.elem, [1 if i == attrs["axis"] else s for i, s in enumerate(t.shape)]),)


def _dot(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    u = UNITS.get(attrs["unit"])
    if u is None or len(types) != 3 or not all(isinstance(t, Tile) and len(t.shape) == 2 for t in types):
        raise DTypeError("dot takes A, B and C, tiles of rank 2, and the name of a unit")
    sizes: dict[str, int] = {}
    for t, letters, name in zip(types, (attrs["left"], attrs["right"], "mn"), (u.operand, u.operand, u.acc)):
        if t.elem is not OPERAND[name]:
            raise DTypeError(f"dot by {u.name} takes {OPERAND[name]}, not {t}")
        for x, n in zip(letters, t.shape):
            if sizes.setdefault(x, n) != n or n % dict(zip("mnk", u.shape))[x]:
                raise ShapeError(f"dot by {u.name} of {', '.join(map(str, types))}")
    return (types[2],)


def _splat(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if not isinstance(types[0], Scalar):
        raise DTypeError(f"splat takes a scalar, not {types[0]}")
    return (tile(types[0], attrs["shape"]),)


def _broadcast(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    t = types[0]
    if not isinstance(t, Tile) or len(t.shape) != len(attrs["shape"]) or any(a not in (1, b) for a, b in zip(t.shape, attrs["shape"])):
        raise ShapeError(f"cannot broadcast {t} to {attrs['shape']}")
    return (tile(t.elem, attrs["shape"]),)


def _reshape(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    out = tile(types[0].elem, attrs["shape"])
    if not isinstance(types[0], Tile) or out.size != types[0].size:
        raise ShapeError(f"cannot reshape {types[0]} to {attrs['shape']}")
    return (out,)


def _permute(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    return (tile(types[0].elem, [types[0].shape[a] for a in attrs["axes"]]),)


def _constant(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    elem, value = attrs["type"].elem, attrs["value"]
    if not isinstance(value, float if elem.is_float else int):
        raise DTypeError(f"constant {value!r} of {attrs['type']}")
    return (attrs["type"],)


def _for(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if len(types) < 3 or types[0] not in (I32, I64) or any(t is not types[0] for t in types[:3]):
        raise DTypeError("for takes lo, hi and step of one integer type")
    return tuple(types[3:])


def _if(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if list(types) != [I1]:
        raise DTypeError("if takes one i1")
    return tuple(attrs["types"])


form_op("program_id", lambda t, a: (I32,), attrs={"axis": (0, 1, 2)}, **_T, doc="number of this program along `axis` of the grid")
form_op("num_programs", lambda t, a: (I32,), attrs={"axis": (0, 1, 2)}, **_T, doc="size of the grid along `axis`")
form_op("view", _view, attrs={"offset": int}, **_T, doc="pointer (+ `offset` elements), extents, strides")
form_op("constant", _constant, attrs={"type": Type, "value": object}, levels="tile kernel", doc="a number, or a tile of equal numbers")
form_op("arange", lambda t, a: (tile(a["to"], a["shape"]),), attrs={"to": Scalar, "shape": tuple, "axis": int}, **_T, doc="coordinate along `axis`")
form_op("splat", _splat, attrs={"shape": tuple}, **_T, doc="a tile of equal elements")
form_op("expand", _broadcast, attrs={"shape": tuple}, **_T, doc="dimensions of size 1 repeated")
form_op("tile_reshape", _reshape, attrs={"shape": tuple}, **_T, doc="same elements in C order")
form_op("tile_permute", _permute, attrs={"axes": tuple}, **_T, doc="dimension i is axes[i]")
form_op("tile_reduce", _reduce, attrs={"fn": str, "axis": int}, **_T,
        doc="combine along `axis` by halving: element i with i + n/2 (n padded to a power of two with the identity); the axis stays "
            "with size 1, a tile of rank 1 gives a scalar")  # fmt: skip
form_op("tile_scan", lambda t, a: (t[0],), attrs={"fn": str, "axis": int}, **_T, doc="inclusive Kogge–Stone scan along `axis`")
form_op("dot", _dot, **_T, attrs={"unit": str, "a": str, "b": str, "left": ("mk", "km"), "right": ("kn", "nk"), "packed": (True,)},
        doc="A·B + C by a matrix unit, one step of it after the other along k; `a` and `b` are the element types, left and right the dimensions of the "
            "tiles; with `packed` a step takes those places along k that make each lane's elements neighbours (`layout.depths`)")  # fmt: skip
machine_op("load", _load, READ, attrs={"index": tuple, "shape": tuple, "check": tuple, "low": tuple}, **_T, doc="tile of a view; see the chapter's text")
machine_op("store", _store, WRITE, attrs={"index": tuple, "check": tuple, "low": tuple, "nt": (True,)}, **_T, doc="tile into a view")
machine_op("gather", _gather, READ, **_T, doc="p[index] where the mask holds, else fill")
machine_op("scatter_to", _scatter, WRITE, **_T, doc="p[index] = value where the mask holds")
machine_op("atomic", _scatter, RMW, attrs={"fn": str}, **_T, doc="p[index] = fn(p[index], value) atomically, relaxed, where the mask holds")
machine_op("alloc", lambda t, a: (pointer(a["to"], "shared"),), None, attrs={"to": Scalar, "size": int, "id": int}, **_T, doc="`size` elements of shared memory of this program")
machine_op("barrier", lambda t, a: (), Effect(reads=True, writes=True, convergent=True, may_suspend=True), **_T, doc="all lanes of the program; orders shared memory")
machine_op("assert_that", lambda t, a: (), Effect(writes=True), attrs={"message": str, "code": int}, **_T, doc="record error `code` if the i1 operand is false")
form_op("for", _for, attrs={"unroll": int}, regions=1, **_T, doc="lo, hi, step, *carried; region (iv, *carried) yields the next carried")
form_op("while", lambda t, a: tuple(t), regions=2, **_T, doc="regions: condition (yields i1, *values), body")
form_op("if", _if, attrs={"types": tuple}, regions=2, **_T, doc="regions: then, else; both yield the results")

