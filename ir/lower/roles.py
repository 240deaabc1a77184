"""Tiles that a matrix unit takes: which operand they become, and their elements as registers of its fragments.

A tile that only becomes operand A (or B) of a product lies as A does; all others lie as the accumulator.  A tile that becomes several things has
several roles and is computed for each.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UnsupportedError
from ..instr import Region, Value
from ..kernel import KernelBuilder
from ..ops.matrix import register_type
from ..tile import TileProgram
from ..types import I8, I16, I32, Scalar, Tile


def roles(program: TileProgram) -> dict[int, str]:
    """Value → its roles, letters of `abc`; values that are no tiles have none."""
    found: dict[int, str] = {}

    def use(v: Value, how: str) -> None:
        if isinstance(v.type, Tile):
            found[v.id] = "".join(sorted({*found.get(v.id, ""), *how}))

    def region(r: Region) -> None:
        for y in r.yields:
            use(y, "c")
        for i in reversed(r.instrs):
            for inner in reversed(i.regions):
                region(inner)
            if i.op.name == "dot":
                for v, role in zip(i.args, "abc"):
                    use(v, role)
                continue
            how = found.get(i.results[0].id, "c") if len(i.results) == 1 and not i.regions else "c"
            if i.regions and any(found.get(v.id, "c") != "c" for v in (*i.results, *(p for inner in i.regions for p in inner.params))):
                raise UnsupportedError("an operand of a matrix unit that is carried through a loop or a condition", place=i.loc)
            for v in i.args:
                use(v, how)

    region(program.body)
    return found


class Part:
    """An element that still lies in the word with which it was loaded: number `at` from the low end."""

    __slots__ = ("word", "at", "elem")

    def __init__(self, word: Value, at: int, elem: Scalar) -> None:
        self.word, self.at, self.elem = word, at, elem


def unpacked(b: Any, p: Part) -> Value:
    """The element on its own."""
    narrow = I8 if p.elem.bits == 8 else I16
    v = b.shr_u(p.word, b.const(I32, p.at * p.elem.bits)) if p.at else p.word
    v = b.itrunc(v, to=narrow)
    return v if p.elem is narrow else b.bitcast(v, to=p.elem)  # type: ignore[no-any-return]


def packed(b: KernelBuilder, elements: Sequence[Any], t: str) -> list[Value]:
    """Elements as the registers of a fragment of type `t`."""
    bits = {"f16": 16, "bf16": 16, "s8": 8, "u8": 8}.get(t)
    if bits is None:
        return [b.bitcast(v, to=I32) if register_type(t) is I32 else v for v in elements]
    per = 32 // bits
    return [_word(b, elements[n : n + per], bits) for n in range(0, len(elements), per)]


def _word(b: Any, elements: Sequence[Any], bits: int) -> Value:
    first = elements[0]
    if isinstance(first, Part) and all(isinstance(e, Part) and e.word is first.word and e.at == n for n, e in enumerate(elements)):
        return first.word
    whole: Value | None = None
    for n, e in enumerate(elements):
        there, mask = bits * n, (1 << bits) - 1
        if isinstance(e, Part):
            v, move = e.word, there - bits * e.at
            v = b.shl(v, b.const(I32, move)) if move > 0 else b.shr_u(v, b.const(I32, -move)) if move < 0 else v
            if abs(move) != 32 - bits:  # else what was beside it fell off
                mask <<= there
                v = getattr(b, "and")(v, b.const(I32, mask - (1 << 32) if mask >> 31 else mask))
        else:
            v = b.zext(e if e.type.elem.is_int else b.bitcast(e, to=I16), to=I32)
            v = b.shl(v, b.const(I32, there)) if there else v
        whole = v if whole is None else getattr(b, "or")(whole, v)
    assert whole is not None
    return whole
