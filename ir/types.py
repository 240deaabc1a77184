"""Types: scalars, packed scalars, pointers, views, tiles and arrays.  All interned: equal means identical.

    Scalar   i1 i8 i16 i32 i64 i128 · u8 … u64 (graph level only) · f16 bf16 f32 f64 f8e4m3 f8e5m2
    Packed   f16x2 bf16x2 f32x2 u8x4 …           one register, elementwise ops only
    Pointer  ptr<f32>, ptr<f32, shared>          tile level only; an i64 or i32 below it
    View     view<f32, 2>                        pointer, extents and strides; tile level only
    Tile     tile<f32>[4,64]                     static shape of any size
    Array    f32[1024,n]                         shape of extents: ints, or affine expressions over symbols

Integers are signless below the graph: signedness is in the op.  The graph keeps `u32` and its kin so that a program's
inputs and outputs have NumPy dtypes; `Scalar.signless` is what all lower levels see.  A predicate is `i1`.

Every type answers `elem` (its scalar), `shape` (a tuple; `()` for a scalar) and `with_elem(scalar)`, so that the type rule
of an elementwise op is written once for arrays, tiles, packed values and lanes.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Union

import ml_dtypes
import numpy as np


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


# ---- extents -------------------------------------------------------------------------------------------------------


class Dim:
    """An affine extent `const + Σ coefficient·symbol`; made by arithmetic on `Dim.symbol("n")`.  Immutable."""

    __slots__ = ("terms", "const", "_hash")

    def __init__(self, terms: Mapping[str, int], const: int) -> None:
        self.terms = tuple(sorted((k, v) for k, v in terms.items() if v))
        self.const = const
        self._hash = hash((self.terms, const))

    @staticmethod
    def symbol(name: str) -> Dim:
        return Dim({name: 1}, 0)

    def value(self, bindings: Mapping[str, int]) -> int:
        return self.const + sum(c * bindings[s] for s, c in self.terms)

    def __add__(self, other: Extent) -> Extent:
        o = other if isinstance(other, Dim) else Dim({}, other)
        terms = dict(self.terms)
        for s, c in o.terms:
            terms[s] = terms.get(s, 0) + c
        out = Dim(terms, self.const + o.const)
        return out if out.terms else out.const

    __radd__ = __add__

    def __mul__(self, k: int) -> Extent:
        return Dim({s: c * k for s, c in self.terms}, self.const * k) if k else 0

    __rmul__ = __mul__

    def __sub__(self, other: Extent) -> Extent:
        return self + other * -1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms and self.const == other.const

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        parts = [s if c == 1 else f"{c}*{s}" for s, c in self.terms]
        if self.const or not parts:
            parts.append(str(self.const))
        return "+".join(parts).replace("+-", "-")


Extent = Union[int, Dim]


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
        self.text = f"{elem}[{','.join(map(str, shape))}]"

    def with_elem(self, elem: Scalar) -> Array:
        return array(elem, self.shape)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements; only for static shapes."""
        n = 1
        for s in self.shape:
            n *= s
        return n


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
    return _intern(Array, elem, tuple(shape))  # type: ignore[no-any-return]


# ---- text -----------------------------------------------------------------------------------------------------------


def parse_extent(text: str) -> Extent:
    """`16`, `n`, `2*n+1`, `n-m-1`."""
    total: Extent = 0
    for part in text.replace(" ", "").replace("-", "+-").split("+"):
        if not part:
            continue
        sign, body = (-1, part[1:]) if part[0] == "-" else (1, part)
        coefficient, _, symbol = body.rpartition("*")
        if symbol.isdigit():
            total = total + sign * int(symbol)
        elif symbol.isidentifier() and (not coefficient or coefficient.isdigit()):
            total = total + Dim.symbol(symbol) * (sign * int(coefficient or 1))
        else:
            raise ValueError(f"not an extent: {text!r}")
    return total


def parse_type(text: str) -> Type:
    """Reads what `str(type)` printed.  Raises ValueError for anything else."""
    text = text.strip()
    if text in SCALARS:
        return SCALARS[text]
    if text.endswith("]"):
        head, _, inside = text[:-1].partition("[")
        extents = [parse_extent(s) for s in inside.split(",")] if inside.strip() else []
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
