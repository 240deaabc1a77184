"""Types: scalars, packed scalars, pointers, views, tiles and arrays.  All interned: equal means identical.

    Scalar   i1 i8 i16 i32 i64 i128 · u8 … u64 (graph level only) · f16 bf16 f32 f64 f8e4m3 f8e5m2
    Packed   f16x2 bf16x2 f32x2 u8x4 …           one register, elementwise ops only
    Pointer  ptr<f32>, ptr<f32, shared>          tile level only; an i64 or i32 below it
    View     view<f32, 2>                        pointer, extents and strides; tile level only
    Tile     tile<f32>[4,64]                     static shape of any size
    Array    f32[1024,n]                         shape of extents: ints, or expressions over symbols (`extent.py`)

Integers are signless below the graph: signedness is in the op.  The graph keeps `u32` and its kin so that a program's
inputs and outputs have NumPy dtypes; `Scalar.signless` is what all lower levels see.  A predicate is `i1`.

Every type answers `elem` (its scalar), `shape` (a tuple; `()` for a scalar) and `with_elem(scalar)`, so that the type rule
of an elementwise op is written once for arrays, tiles, packed values and lanes.
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

from .extent import Dim, Extent, parse_extents, text_of


class Type:
    """Base class; see the module docstring."""

    __slots__ = ("__dict__", "text")
    text: str
    elem: Scalar
    shape: tuple[Any, ...] = ()
    group: object = None  # operands of an elementwise op must agree on (group, shape)

    def with_elem(self, elem: Scalar) -> Type:
        raise TypeError(f"{self} has no element")

    def __repr__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return parse_type, (self.text,)


class Scalar(Type):
    """One number.  `kind` is 'int', 'uint' (graph level) or 'float'; `bits` its width."""

    __slots__ = ("name", "kind", "bits", "mant", "ebits")

    def __init__(self, name: str, kind: str, bits: int, mant: int = 0, ebits: int = 0) -> None:
        self.name = self.text = name
        self.kind, self.bits, self.mant, self.ebits = kind, bits, mant, ebits
        self.elem = self

    def with_elem(self, elem: Scalar) -> Scalar:
        return elem

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        """An integer of any signedness; i1 is not one."""
        return self.kind != "float" and self.bits > 1

    @property
    def is_unsigned(self) -> bool:
        return self.kind == "uint"

    @property
    def bytes(self) -> int:
        """Size in memory: a predicate takes one byte."""
        return max(1, self.bits // 8)

    @cached_property
    def signless(self) -> Scalar:
        return SCALARS["i" + self.name[1:]] if self.kind == "uint" else self

    @cached_property
    def np(self) -> np.dtype[Any]:
        """The NumPy dtype that holds it: bool for i1, signed integers for signless ones, object for i128."""
        return np.dtype(_NUMPY[self.name])  # type: ignore[no-any-return]


_NUMPY: dict[str, Any] = {
    "i1": np.bool_, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "i128": object,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
    "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64,
    "f8e4m3": ml_dtypes.float8_e4m3fn, "f8e5m2": ml_dtypes.float8_e5m2,
}  # fmt: skip

#                name      kind    bits mantissa exponent
I1     = Scalar("i1",     "int",     1)          # noqa: E221
I8     = Scalar("i8",     "int",     8)          # noqa: E221
I16    = Scalar("i16",    "int",    16)          # noqa: E221
I32    = Scalar("i32",    "int",    32)          # noqa: E221
I64    = Scalar("i64",    "int",    64)          # noqa: E221
I128   = Scalar("i128",   "int",   128)          # noqa: E221
U8     = Scalar("u8",     "uint",    8)          # noqa: E221
U16    = Scalar("u16",    "uint",   16)          # noqa: E221
U32    = Scalar("u32",    "uint",   32)          # noqa: E221
U64    = Scalar("u64",    "uint",   64)          # noqa: E221
F16    = Scalar("f16",    "float",  16, 10,  5)  # noqa: E221
BF16   = Scalar("bf16",   "float",  16,  7,  8)  # noqa: E221
F32    = Scalar("f32",    "float",  32, 23,  8)  # noqa: E221
F64    = Scalar("f64",    "float",  64, 52, 11)  # noqa: E221
F8E4M3 = Scalar("f8e4m3", "float",   8,  3,  4)
F8E5M2 = Scalar("f8e5m2", "float",   8,  2,  5)

SCALARS: dict[str, Scalar] = {
    t.name: t for t in (I1, I8, I16, I32, I64, I128, U8, U16, U32, U64, F16, BF16, F32, F64, F8E4M3, F8E5M2)
}
INT_OF_BITS = {1: I1, 8: I8, 16: I16, 32: I32, 64: I64, 128: I128}
_FROM_NUMPY = {t.np: t for t in SCALARS.values() if t not in (I128,)}


def scalar_of(dtype: Any) -> Scalar | None:
    """The scalar type of a NumPy dtype, or None where there is none (complex, object, strings)."""
    dt = np.dtype(dtype)
    return _FROM_NUMPY.get(dt if dt.isnative else dt.newbyteorder("="))


# ---- shaped types ---------------------------------------------------------------------------------------------------


class Packed(Type):
    """`count` scalars in one register of at most 64 bits."""

    __slots__ = ("elem", "count", "group")

    def __init__(self, elem: Scalar, count: int) -> None:
        self.elem, self.count = elem, count
        self.text, self.group = f"{elem}x{count}", ("packed", count)

    def with_elem(self, elem: Scalar) -> Packed:
        return packed(elem, self.count)

    @property
    def bits(self) -> int:
        return self.elem.bits * self.count


class Pointer(Type):
    """Address of elements in a memory space; tile level only."""

    __slots__ = ("elem", "space", "group")

    def __init__(self, elem: Scalar, space: str) -> None:
        self.elem, self.space = elem, space
        self.text = f"ptr<{elem}>" if space == "global" else f"ptr<{elem},{space}>"
        self.group = "pointer"


class View(Type):
    """Pointer, extents and strides of `rank` dimensions; tile level only."""

    __slots__ = ("elem", "rank", "space", "group")

    def __init__(self, elem: Scalar, rank: int, space: str) -> None:
        self.elem, self.rank, self.space = elem, rank, space
        self.text = f"view<{elem},{rank}>" if space == "global" else f"view<{elem},{rank},{space}>"
        self.group = "view"


class Tile(Type):
    """A block of elements of static shape, held in registers."""

    __slots__ = ("elem", "shape", "group")

    def __init__(self, elem: Scalar, shape: tuple[int, ...]) -> None:
        self.elem, self.shape, self.group = elem, shape, "tile"
        self.text = f"tile<{elem}>[{','.join(map(str, shape))}]"

    def with_elem(self, elem: Scalar) -> Tile:
        return tile(elem, self.shape)

    @property
    def size(self) -> int:
        n = 1
        for s in self.shape:
            n *= s
        return n


class Array(Type):
    """An array value of the graph level."""

    __slots__ = ("elem", "shape", "group")

    def __init__(self, elem: Scalar, shape: tuple[Extent, ...]) -> None:
        self.elem, self.shape, self.group = elem, shape, "array"
        self.text = f"{elem}[{','.join(map(text_of, shape))}]"

    def with_elem(self, elem: Scalar) -> Array:
        return array(elem, self.shape)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Any:
        """Number of elements, an extent."""
        n: Extent = 1
        for s in self.shape:
            n = n * s
        return n

    @cached_property
    def symbolic(self) -> bool:
        """Whether an extent depends on a symbol."""
        return any(s.__class__ is Dim for s in self.shape)


_INTERNED: dict[Any, Type] = {}


def _intern(cls: Any, *key: Any) -> Any:
    t = _INTERNED.get((cls, key))
    if t is None:
        t = _INTERNED.setdefault((cls, key), cls(*key))
    return t


def packed(elem: Scalar, count: int) -> Packed:
    return _intern(Packed, elem, count)  # type: ignore[no-any-return]


def pointer(elem: Scalar, space: str = "global") -> Pointer:
    return _intern(Pointer, elem, space)  # type: ignore[no-any-return]


def view(elem: Scalar, rank: int, space: str = "global") -> View:
    return _intern(View, elem, rank, space)  # type: ignore[no-any-return]


def tile(elem: Scalar, shape: Iterable[int]) -> Tile:
    return _intern(Tile, elem, tuple(shape))  # type: ignore[no-any-return]


def array(elem: Scalar, shape: Iterable[Extent]) -> Array:
    extents = tuple(shape)
    for s in extents:
        if s.__class__ is Dim:  # under its text: equality of extents may ask, and hashing them may need a number
            return _interned(elem, extents)
    return _intern(Array, elem, extents)  # type: ignore[no-any-return]


def _interned(elem: Scalar, shape: tuple[Extent, ...]) -> Array:
    key = (Array, elem, "symbolic", tuple([s.text if isinstance(s, Dim) else s for s in shape]))
    t = _INTERNED.get(key)
    if t is None:
        t = _INTERNED.setdefault(key, Array(elem, shape))
    return t  # type: ignore[return-value]


# ---- text -----------------------------------------------------------------------------------------------------------


def parse_type(text: str) -> Type:
    """Reads what `str(type)` printed.  Raises ValueError for anything else."""
    text = text.strip()
    if text in SCALARS:
        return SCALARS[text]
    if text.endswith("]"):
        head, _, inside = text[:-1].partition("[")
        extents = parse_extents(inside)
        if head.startswith("tile<") and head.endswith(">") and head[5:-1] in SCALARS:
            if all(isinstance(e, int) for e in extents):
                return tile(SCALARS[head[5:-1]], extents)  # type: ignore[arg-type]
        elif head in SCALARS:
            return array(SCALARS[head], extents)
    elif text.endswith(">"):
        head, _, inside = text[:-1].partition("<")
        parts = [p.strip() for p in inside.split(",")]
        if parts[0] in SCALARS and head == "ptr" and len(parts) <= 2:
            return pointer(SCALARS[parts[0]], *parts[1:])
        if parts[0] in SCALARS and head == "view" and len(parts) in (2, 3) and parts[1].isdigit():
            return view(SCALARS[parts[0]], int(parts[1]), *parts[2:])
    else:
        head, _, count = text.rpartition("x")
        if head in SCALARS and count.isdigit():
            return packed(SCALARS[head], int(count))
    raise ValueError(f"not a type: {text!r}")
