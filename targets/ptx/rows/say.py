"""How ops of the kernel level are said in PTX: which syntax line, and what fills its places.

    say("imulhi_u", "mul.mode.type", UNSIGNED, mode="hi")

gives `PATTERNS["imulhi_u"]["i32"] == "mul.hi.u32 d, a, b"`.  The line is named by its opcode with its places, as it stands in the table.  `.type`
(or whichever place holds the type) gets the type's word, `mode=` fixes a place, and a place that has the name of an attribute (`rnd`, `ftz`, `sat`)
stays open as `{.rnd}`: the writer fills it (`rnd` is written as `.rn` if the op has none, since ptxas may contract a bare `add.f32`), and refuses an
attribute that has no place.  `args` names the operands that the op's arguments go to, `a b c` if not said.
"""
from __future__ import annotations

import re
from typing import NamedTuple

from ....ir.errors import BugError
from .table import Line, lines_of

SIGNED = "i16 s16, i32 s32, i64 s64"
UNSIGNED = "i16 u16, i32 u32, i64 u64"
BITS = "i32 b32, i64 b64"
FLOATS = "f32, f64"
OPEN = {"rnd": "rnd", "ftz": "ftz", "sat": "sat", "sCmp": "cmp", "fCmp": "cmp"}


class Saying(NamedTuple):
    op: str
    line: str
    types: str
    fixed: dict[str, str]
    args: str
    approx: bool


_SAID: list[Saying] = []


def say(op: str, line: str, types: str, *, args: str = "a b c", approx: bool = False, **fixed: str) -> None:
    _SAID.append(Saying(op, line, types, fixed, args, approx))


def _line(said: Saying, word: str) -> Line:
    """The line that is named, or another of the opcode with the same place for the type that has the word (`min{.relu}.btype`)."""
    opcode = re.split(r"[.{]", said.line)[0]
    lines = [line for line in lines_of(opcode) if line.opcode + line.head == said.line]
    if not lines:
        raise BugError(f"no syntax line of {opcode} reads {said.line}")
    for line in lines:
        if any(word in s.words for slots in line.variants for s in slots):
            return line
    raise BugError(f"{said.line} does not have .{word}")


def patterns(approx: bool = False) -> dict[str, dict[str, str]]:
    """op → type → what the writer fills."""
    out: dict[str, dict[str, str]] = {}
    for said in _SAID:
        if said.approx == approx:
            for pair in said.types.split(","):
                t, _, word = pair.strip().partition(" ")
                out.setdefault(said.op, {})[t] = _pattern(said, word or t)
    return out


def _pattern(said: Saying, word: str) -> str:
    line = _line(said, word)
    text = line.opcode
    for s in line.variants[0]:
        if s.name in OPEN:
            if not s.optional or line.allows((word, s.words[0])):
                text += f"{{.{OPEN[s.name]}}}"
        elif s.name in said.fixed:
            text += "." + said.fixed[s.name]
        elif not s.optional:
            text += "." + (word if word in s.words else s.words[0])
    sources = [o.name for o in line.operands[1:]]
    given = dict(zip(said.args.split(), "abc"))
    return f"{text} {', '.join(['d', *(given[n] for n in sources)])}"
