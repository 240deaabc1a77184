"""Which row an instruction follows, and what is wrong with one that follows none.

A matched opcode is remembered with the kinds of its operands, so that an instruction costs one look into a dictionary.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..syntax import Address, Element, Imm, Instruction, Neg, Not, Pair, Plus, Reg, Sink, Sym, Vec
from .table import VERSION, Line, Need, Operand, holds, lines_of, opcodes


class Match(NamedTuple):
    """An instruction's line, the place of each word, what it needs, and why it is not executed ('' if it is)."""

    line: Line
    places: tuple[str, ...]
    need: Need
    later: str


class Mismatch(Exception):
    """What the table does not have: the message and the hint of the error."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


_SEEN: dict[Any, Match] = {}
_VALUES = frozenset((Reg, Imm, Sym, Sink, Plus))
_ADDRESSES = frozenset((Address, Element))


def match(i: Instruction) -> Match:
    """The line that an instruction follows; `Mismatch` where there is none."""
    key = (i.opcode, i.mods, *[len(o.items) if type(o) is Vec else type(o) for o in i.operands])
    found = _SEEN.get(key)
    if found is None:
        found = _SEEN[key] = _search(i.opcode, i.mods, key[2:])
    return found


def _search(opcode: str, words: tuple[str, ...], kinds: tuple[Any, ...]) -> Match:
    found: list[Match] = []
    for line in lines_of(opcode):
        places = line.assign(words)
        if places is not None and line.allows(words) and not _misfit(line, words, places, kinds):
            names = frozenset((*words, opcode, *(o.name for o in line.operands[: len(kinds)])))
            found.append(Match(line, places, line.need_of(names), line.later(names)))
    if found:  # where several lines have it, the one that asks for least
        return min(found, key=lambda m: (bool(m.later), m.line.until, m.need.arch, m.need.isa))
    raise _explained(opcode, words, kinds)


def _misfit(line: Line, words: tuple[str, ...], places: tuple[str, ...], kinds: tuple[Any, ...]) -> str:
    """What is wrong with the operands, or ''."""
    if line.opcode == "call":  # results, callee, arguments and prototype come and go
        return "" if kinds else "a callee is expected"
    if not line.least <= len(kinds) <= len(line.operands):
        names = ", ".join(o.name for o in line.operands if not o.optional) or "none"
        count = f"{line.least} to {len(line.operands)}" if line.least < len(line.operands) else str(line.least)
        return f"{count} operands are expected ({names}), not {len(kinds)}"
    given = list(line.operands)
    for k in range(len(given) - 1, -1, -1):  # of the optional operands the last are left out
        if len(given) > len(kinds) and given[k].optional:
            del given[k]
    for n, (o, kind) in enumerate(zip(given, kinds)):
        wrong = _wrong(line, o, kind, words, places)
        if wrong:
            return f"operand {n + 1} ({o.name}) {wrong}"
    return ""


def _wrong(line: Line, o: Operand, kind: Any, words: tuple[str, ...], places: tuple[str, ...]) -> str:
    if o.kind == "address":
        return "" if kind in _ADDRESSES else "must be an address"
    if o.kind == "vector":
        return "" if kind == len(o.items) else f"must be a vector of {len(o.items)}"
    if kind is Pair or o.second and o.second[0] != "?":
        return "" if kind is Pair and o.second else "must be a pair" if o.second else "must be one register"
    if kind in _VALUES:
        count = count_of(line, o.name, words, places)
        return f"must have {count} registers" if count and count > 1 else ""
    if isinstance(kind, int):
        count = count_of(line, o.name, words, places)
        if count == 0 or count == kind or kind == 1 and not count:
            return ""
        return f"must have {count} registers, not {kind}" if count else "must be a register or a constant"
    if kind is Not:
        return "" if o.sign == "!" else "cannot be negated"
    if kind is Neg:
        return "" if o.sign == "-" else "cannot be negated"
    if kind in _ADDRESSES:
        return "" if "var" in line.where.get(o.name, "") or kind is Element else "must be a register or a constant"
    return "must be a register or a constant"


_SOME = ("{}", "lanes", "offset", "grad", "im2col")  # vectors whose length is not checked
_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
_BITS = {"f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "f64": 64, "s32": 32, "s8": 8, "u8": 8, "s4": 4, "u4": 4, "b1": 1}
_WIDTH = {"16x64b": 1, "16x128b": 2, "16x256b": 4, "32x32b": 1, "16x32bx2": 1, "m16n16": 2}


def count_of(line: Line, name: str, words: Sequence[str], places: Sequence[str]) -> int | None:
    """How many registers the vector of an operand has: None where it is no vector, 0 where any number will do."""
    what = line.where.get(name, "")
    head = what.partition(".")[0]
    if fixed := re.match(r"(\d+)x", what):
        return int(fixed[1])
    if re.fullmatch(r"[MNKW]x?[MNK](/2)?", head):
        t = what.partition(".")[2]
        return _fragment(line, head, word_of(t, words, places) or t, words)
    if what.startswith(".vec"):
        vec = word_of("vec", words, places) or word_of("vec_32_bit", words, places) or word_of("vec_16_bit", words, places)
        return int(vec[1:]) if vec else None
    if what.startswith(".num"):
        number = word_of("num", words, places)
        factor = next((_WIDTH[w] for w in words if w in _WIDTH), 1)
        return factor * int(number[1:])
    if what in _SOME:
        return 0
    return None


def word_of(place: str, words: Sequence[str], places: Sequence[str]) -> str:
    """The word at a place ('' if it is not filled); a name that is no place stands for itself."""
    return next((w for w, p in zip(words, places) if p == place), "")


def _fragment(line: Line, sides: str, t: str, words: Sequence[str]) -> int:
    """Registers of a matrix fragment: `MxK` of a warp's 32 lanes, `WxK` in the layout of wmma."""
    shape = next((found for w in words if (found := _SHAPE.fullmatch(w))), None)
    if shape is None or not t:
        return 0
    m, n, k = map(int, shape.groups())
    size = {"M": m, "N": n, "K": k, "W": m if "a" in words else n}
    total = size[sides[0]] * size[sides[2]] // (2 if sides.endswith("/2") else 1)
    if line.opcode == "wgmma":
        total //= 4
    elif line.opcode == "wmma" and t == "f16" and "K" in sides:
        total = 512
    elif line.opcode == "mma" and (m, n, k) == (8, 8, 4) and "f64" not in words:
        total *= 4
    bits = _BITS.get(t, 4 if any(w.startswith("kind::mxf4") for w in words) else 8)
    return max(1, total * bits // (32 * 64 if bits == 64 else 32 * 32))


# ---- what is wrong --------------------------------------------------------------------------------------------------


def _listed(words: Sequence[str]) -> str:
    return ", ".join("." + w for w in words)


def _explained(opcode: str, words: tuple[str, ...], kinds: tuple[Any, ...]) -> Mismatch:
    """The error of an instruction that no line has, with the nearest line."""
    name = ".".join((opcode, *words))
    lines = lines_of(opcode)
    if not lines:
        import difflib

        near = difflib.get_close_matches(opcode, opcodes(), 3)
        return Mismatch(f"{name} is not an instruction that this version knows (PTX ISA {VERSION})", "did you mean " + " or ".join(near) + "?" if near else "")
    best: tuple[int, str, Line] | None = None
    for line in lines:
        cost, message = _distance(line, words, kinds)
        if best is None or cost < best[0]:
            best = cost, message, line
    assert best is not None
    line = best[2]
    sets = "; ".join(f".{s} = {_listed([w for w in members])}" for s, members in _sets(line).items())
    return Mismatch(f"{name}: {best[1]}", f"PTX ISA {line.section.number}: {line.text}" + (f"  ({sets})" if sets else ""))


def _sets(line: Line) -> dict[str, list[str]]:
    return {n: [".".join(m) for m in members] for n, members in line.section.sets.items() if f".{n}" in re.findall(r"\.[\w:]+", line.head)}


def _distance(line: Line, words: tuple[str, ...], kinds: tuple[Any, ...]) -> tuple[int, str]:
    """How far an instruction is from a line, and the first thing that is wrong."""
    places = line.assign(words)
    if places is not None:
        if not line.allows(words):
            have = frozenset((*words, line.opcode))
            found = [c for c in line.section.never if holds(c, have)] or [c for c, need in line.section.only if holds(c, have) and not holds(need, have)]
            both = [w for w in words if any(w in some for every in found[0] if holds((every,), have) for some in every)]
            return 4, f"{_listed(both)} do not go together" if len(both) > 1 else f"{_listed(both)} does not go with the rest"
        wrong = _misfit(line, words, places, kinds)
        return (2 if "operands are expected" in wrong else 1) + 0, wrong
    for n, w in enumerate(words):
        if line.assign(words[:n] + words[n + 1 :]) is not None:
            return 10, f".{w} is not known here"
    best = 12, "its types do not go together, or not in this order"
    for slots in line.variants:
        left, open_slots = [], list(slots)
        for w in words:
            slot = next((s for s in open_slots if w in s.words), None)
            if slot is None:
                left.append(w)
            else:
                open_slots.remove(slot)
        missing = [s for s in open_slots if not s.optional]
        cost = 10 * len(left) + 9 * len(missing) + (not line.least <= len(kinds) <= len(line.operands))
        said = [f"one of {_listed(s.words)} is missing" if len(s.words) > 1 else f".{s.words[0]} is missing" for s in missing[:1]]
        said += [f".{left[0]} is not known here"] if left else []
        if said and (cost < best[0] or best[0] == 12):
            best = cost, " and ".join(said)
    return best
