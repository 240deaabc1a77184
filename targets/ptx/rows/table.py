"""Syntax lines of the PTX manual as data.

A chapter is sections; a section's text is the manual's, line by line:

    section("9.7.3.3", "add", '''
        add{.rnd}{.ftz}{.sat}.f32  d, a, b;
        add{.rnd}.f64              d, a, b;
        .rnd = { .rn, .rz, .rm, .rp };
    ''')

    .word   a modifier, or the name of a set that a line `.name = { … };` of the section declares; `.shared{::cta, ::cluster}` is three words
    {.a.b}  may be left out, together        `a{, b}`  an operand that may        d[|p]  with or without a second destination
    {!}c    a predicate, negated or not      {-}a      a register, negated or not   a{.asel}, d.dsel   with a selector, optional or not
    [a]     an address; [a, b] with more     {a, b}    a vector                   (a)   a list of a call

What the manual says in prose stands behind a line or on a line of its own:

    …;  where d u32, b .vec.type       types of operands that are not the instruction's (its last type): a type, a modifier, `wide` (twice as
                                       wide), a state space for an address, a count (`4xb32`, `.num.b32`, `MxK.atype` for a fragment), a literal
    operands d u32                     the same for all lines of the section
    …;  needs sm_90 8.0                lowest architecture and PTX ISA of the line
    …;  until 3.1                      the last PTX ISA that has the line
    needs sm_90 8.0: .relu & .s32, .u16x2      … of the section, or of forms that have these words (`&` and, `,` or, a blank: any of)
    not .v8 & .b8 .b16                 forms that do not exist
    only .ftz: .f32                    words that need one of others
    later .cp_mask: a byte mask        forms that are read and refused, and what is missing; without words, the whole section

Modifiers may stand in any order, except that types, state spaces and layouts keep theirs (`cvt.u32.f32`).
"""
from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from ....ir.errors import BugError

VERSION = "9.1"  # of the manual that the rows mirror


def version_of(text: str) -> tuple[int, ...]:
    """'8.3' → (8, 3)."""
    return tuple(int(p) for p in text.split("."))


class Need(NamedTuple):
    """The least that a form asks for: architecture ((90, 'a') is sm_90a) and PTX ISA."""

    arch: tuple[int, str] = (0, "")
    isa: tuple[int, ...] = (1, 0)

    @staticmethod
    def read(arch: str, isa: str) -> Need:
        suffix = arch[-1] if arch[-1].isalpha() else ""
        return Need((int(arch[3:].rstrip("af")), suffix), version_of(isa))

    def __or__(self, other: Need) -> Need:
        return Need(max(self.arch, other.arch), max(self.isa, other.isa))

    def met_by(self, target: str) -> bool:
        """Whether `sm_80` has it; what belongs to one architecture (sm_90a) or family (sm_100f) is on none without the letter."""
        have = Need.read(target, "1.0").arch
        return self.arch[0] <= have[0] and (not self.arch[1] or bool(have[1]))

    @property
    def target(self) -> str:
        return f"sm_{self.arch[0]}{self.arch[1]}"

    @property
    def version(self) -> str:
        return ".".join(map(str, self.isa))


class Slot(NamedTuple):
    """A place for one modifier."""

    name: str
    words: tuple[str, ...]
    optional: bool


class Operand(NamedTuple):
    """kind: 'value' 'address' 'vector' 'group'; `second` is the q of `p|q` ('' if none, '?q' where it may be absent)."""

    kind: str
    name: str
    optional: bool = False
    items: tuple[str, ...] = ()  # of a vector; what follows the comma inside of an address
    second: str = ""
    sign: str = ""  # '!' or '-' where the operand may have it
    part: str = ""  # the selector's set; '?name' where it may be absent


# words that mean something by their order: types, state spaces, layouts
ORDERED = dict.fromkeys(
    "pred b1 b8 b16 b32 b64 b128 u4 u8 u16 u32 u64 s4 s8 s16 s32 s64 f16 bf16 tf32 f32 f64 u16x2 s16x2 f16x2 bf16x2 f32x2 e4m3 e5m2 e2m3 e3m2 e2m1 e4m3x2 "
    "e5m2x2 e2m3x2 e3m2x2 e2m1x2 e4m3x4 e5m2x4 e2m3x4 e3m2x4 e2m1x4 ue8m0x2 s2f6x2 u2 s2".split(), 0
)  # fmt: skip
ORDERED.update(dict.fromkeys("global shared shared::cta shared::cluster".split(), 1), row=2, col=2)
Condition = tuple[tuple[frozenset[str], ...], ...]  # any of these: each of these: one of these words (or operands)


# ---- reading the notation -------------------------------------------------------------------------------------------

_WORD = re.compile(r"\.?([\w:]+)(?:\{((?:\s*::\w+,?)+)\})?")
_SUB = re.compile(r"::\w+")


def _spread(text: str) -> list[tuple[str, ...]]:
    """`.a.b` → [(a, b)]; `.shared{::cta}` → [(shared,), (shared::cta,)]; spaces and commas separate alternatives elsewhere."""
    parts: list[tuple[str, ...]] = []
    for m in re.finditer(_WORD, text):
        subs = _SUB.findall(m[2] or "")
        parts.append((m[1], *(m[1] + s for s in subs)))
    return list(itertools.product(*parts))


def _alternatives(text: str) -> list[tuple[str, ...]]:
    """The members of `{ .a, .b.c, .shared{::cta} }`."""
    out: list[tuple[str, ...]] = []
    depth = at = 0
    for k, c in enumerate(text + ","):
        depth += (c == "{") - (c == "}")
        if c == "," and depth == 0:
            out += _spread(text[at:k].strip()) if text[at:k].strip() else []
            at = k + 1
    return out


_OPERAND = re.compile(r"""(?P<sign>\{[!-]\})?(?P<name>[\w-]+)(?P<second>\[\|\w+\]|\|\w+)?(?P<part>\{\.\w+\}|\.\w+)?""")


def _operands(text: str) -> tuple[list[Operand], list[str]]:
    """Operands of a line, and the words that stand behind an address (`{.unified}`)."""
    out: list[Operand] = []
    late: list[str] = []
    at, optional = 0, False
    while at < len(text):
        c = text[at]
        if c in " ,":
            at += 1
        elif text.startswith("{,", at) or text.startswith("{ ,", at):
            optional, at = True, text.index(",", at) + 1
        elif c == "}":
            optional, at = False, at + 1
        elif c in "[(" or c == "{" and not re.match(r"\{[!.-]", text[at:]):
            end = text.index({"[": "]", "(": ")", "{": "}"}[c], at)
            names = [n.strip() for n in text[at + 1 : end].split(",")]
            kind = {"[": "address", "(": "group", "{": "vector"}[c]
            out.append(Operand(kind, names[0], optional, tuple(names if kind == "vector" else names[1:])))
            at = end + 1
        elif text.startswith("{.", at):
            end = text.index("}", at)
            late.append(text[at : end + 1])
            at = end + 1
        else:
            m = _OPERAND.match(text, at)
            if m is None:
                raise BugError(f"a row's operands cannot be read: {text[at:]}")
            second = m["second"] or ""
            part = m["part"] or ""
            out.append(Operand("value", m["name"], optional, (), second.strip("[]|") if second[:1] != "[" else "?" + second.strip("[]|"),
                               (m["sign"] or "")[1:2], ("?" if part[:1] == "{" else "") + part.strip("{}.")))  # fmt: skip
            at = m.end()
    return out, late


def _pairs(text: str) -> dict[str, str]:
    """`d u32, b .vec.type`."""
    return {name: what for name, _, what in (pair.strip().partition(" ") for pair in text.split(","))}


class Line:
    """One syntax line: a row of the table."""

    def __init__(self, section: Section, text: str) -> None:
        self.section = section
        syntax, *clauses = (part.strip() for part in text.split(";"))
        head, _, rest = syntax.partition(" ")
        self.text = f"{head} {' '.join(rest.split())}".strip()
        self.opcode = re.split(r"[.{]", head)[0]
        self.head = head[len(self.opcode) :]
        self.where = dict(section.operands)
        self.need = Need()
        self.until: tuple[int, ...] = ()
        for clause in clauses:
            word, _, more = clause.partition(" ")
            if word == "where":
                self.where.update(_pairs(more))
            elif word == "needs":
                self.need |= Need.read(*more.split())
            elif word == "until":
                self.until = version_of(more)
            elif word:
                raise BugError(f"a clause that rows do not have: {clause}")
        self.operands, late = _operands(rest.strip())
        self.head += "".join(late)
        self.least = sum(not o.optional for o in self.operands)

    @cached_property
    def variants(self) -> list[tuple[Slot, ...]]:
        """The line with its groups written out: each a sequence of places for one word."""
        parts: list[list[tuple[Slot, ...]]] = []
        for group, single in re.findall(r"\{((?:[^{}]|\{[^{}]*\})+)\}|(\.[\w:]+(?:\{\s*::[^{}]*\})?)", self.head):
            items = re.findall(r"\.[\w:]+(?:\{\s*::[^{}]*\})?", group or single)
            choices: list[list[tuple[Slot, ...]]] = []
            for item in items:
                name = item[1:]
                members = self.section.sets.get(name) or _spread(item)
                if all(len(m) == 1 for m in members):
                    choices.append([(Slot(name, tuple(m[0] for m in members), bool(group) and len(items) == 1),)])
                else:
                    choices.append([tuple(Slot(name, (w,), False) for w in m) for m in members])
            made = [tuple(itertools.chain(*c)) for c in itertools.product(*choices)]
            if group and not (len(made) == 1 and len(made[0]) == 1):
                made.append(())
            parts.append(made)
        return [tuple(itertools.chain(*v)) for v in itertools.product(*parts)]

    def assign(self, words: Sequence[str]) -> tuple[str, ...] | None:
        """For each word the name of the place that it fills, or None where the line does not have these words."""
        for slots in self.variants:
            found = _fill(slots, words)
            if found is not None:
                return tuple(slots[k].name for k in found)
        return None

    def allows(self, words: Sequence[str]) -> bool:
        """Whether the section's `not` and `only` admit these words together."""
        have = frozenset((*words, self.opcode))
        s = self.section
        return not any(holds(c, have) for c in s.never) and all(holds(need, have) for c, need in s.only if holds(c, have))

    def need_of(self, words: frozenset[str]) -> Need:
        need = self.need | self.section.need
        for condition, more in self.section.needs:
            if holds(condition, words):
                need |= more
        return need

    def later(self, words: frozenset[str]) -> str:
        """Why a form is not executed, or ''."""
        return next((why for condition, why in self.section.later if holds(condition, words)), "")

    def __repr__(self) -> str:
        return self.text


def _fill(slots: Sequence[Slot], words: Sequence[str]) -> list[int] | None:
    """A place for each word, and a word for each place that must have one."""
    if len(words) > len(slots):
        return None
    places = [[k for k, s in enumerate(slots) if w in s.words] for w in words]
    if not all(places):
        return None
    required = {k for k, s in enumerate(slots) if not s.optional}
    taken: list[int] = []

    last = [-1, -1, -1]  # place of the word before, of each ordered kind

    def go(n: int) -> bool:
        if n == len(words):
            return required <= set(taken)
        kind = ORDERED.get(words[n])
        for k in places[n]:
            if k not in taken and (kind is None or k > last[kind]):
                taken.append(k)
                before = 0 if kind is None else last[kind]
                if kind is not None:
                    last[kind] = k
                if go(n + 1):
                    return True
                taken.pop()
                if kind is not None:
                    last[kind] = before
        return False

    return taken if go(0) else None


def holds(condition: Condition, words: frozenset[str]) -> bool:
    return any(all(words & some for some in every) for every in condition)


def _condition_text(condition: Condition) -> str:
    return ", ".join(" & ".join(" ".join("." + w for w in sorted(some)) for some in every) for every in condition)


_SYNTAX = re.compile(r"\s*(?!needs |not |only |later |where |operands )([a-z]\w*)(?=[.{;\s]|$)")


class Section:
    """An instruction of the manual: its lines and what is said about them.  Read when it is first asked for."""

    def __init__(self, number: str, name: str, text: str) -> None:
        self.number, self.name, self.source = number, name, text
        self.lines: list[Line] = []
        self.sets: dict[str, list[tuple[str, ...]]] = {}
        self.operands: dict[str, str] = {}
        self.need = Need()
        self.needs: list[tuple[Condition, Need]] = []
        self.never: list[Condition] = []
        self.only: list[tuple[Condition, Condition]] = []
        self.later: list[tuple[Condition, str]] = []

    @property
    def chapter(self) -> int:
        return int(self.number.split(".")[2])

    @cached_property
    def opcodes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(m[1] for m in map(_SYNTAX.match, self.source.splitlines()) if m))

    def rows(self) -> list[Line]:
        with _LOCK:
            if not self.lines:
                self._read()
        return self.lines

    def _read(self) -> None:
        joined: list[str] = []
        for t in filter(None, (re.sub(r"\s*//.*", "", t).strip() for t in self.source.splitlines())):
            before = joined[-1] if joined else ""
            if t.startswith("where ") or before.count("{") > before.count("}") or _SYNTAX.match(before) and ";" not in before:
                joined[-1] += " " + t
            else:
                joined.append(t)
        for t in joined:
            if t[0] == ".":
                self._set(t)
            elif t.startswith("operands "):
                self.operands.update(_pairs(t[9:]))
        for t in joined:
            if t[0] != "." and not t.startswith("operands "):
                self._line(t)

    def _set(self, text: str) -> None:
        *names, members = (part.strip() for part in text.rstrip(";").split("="))
        inside = members[1:-1] if members[:1] == "{" else members
        for name in names:
            self.sets[name.lstrip(".")] = _alternatives(inside)

    def _line(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        if word == "needs":
            what, _, condition = rest.partition(": ")
            need = Need.read(*what.split())
            if condition:
                self.needs.append((self.condition(condition), need))
            else:
                self.need |= need
        elif word == "not":
            self.never.append(self.condition(rest))
        elif word == "only":
            what, _, condition = rest.partition(": ")
            self.only.append((self.condition(what), self.condition(condition)))
        elif word == "later":
            condition, colon, why = rest.rpartition(": ")
            self.later.append((self.condition(condition) if colon else ((),), why))
        else:
            self.lines.append(Line(self, text))

    @property
    def partly(self) -> str:
        """Which forms of an instruction that is executed are not, or ''."""
        return "; ".join(f"{_condition_text(c)}: {why}" for c, why in self.later if c != ((),))

    def condition(self, text: str) -> Condition:
        return tuple(tuple(frozenset(itertools.chain(*(self._named(w) for w in some.split()))) for some in every.split("&")) for every in text.split(","))

    def _named(self, word: str) -> list[str]:
        if word[0] != ".":
            return [word]  # an operand, or the opcode
        return [w for m in self.sets.get(word[1:], [(word[1:],)]) for w in m]

    def __repr__(self) -> str:
        return f"{self.number} {self.name}"


SECTIONS: list[Section] = []
_LOCK = threading.RLock()
_INDEX: dict[str, list[Section]] = {}


def section(number: str, name: str, text: str) -> Section:
    """Adds an instruction to the table."""
    made = Section(number, name, text)
    SECTIONS.append(made)
    for opcode in made.opcodes:
        _INDEX.setdefault(opcode, []).append(made)
    return made


def sections() -> list[Section]:
    """The whole table, in the order of the manual."""
    from . import load

    with _LOCK:
        load()
    return SECTIONS


@lru_cache(maxsize=None)
def lines_of(opcode: str) -> tuple[Line, ...]:
    sections()
    return tuple(line for s in _INDEX.get(opcode, ()) for line in s.rows() if line.opcode == opcode)


def opcodes() -> list[str]:
    sections()
    return list(_INDEX)


def forms(line: Line) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every (words, places) that a line has, those left out that `not` excludes."""
    for slots in line.variants:
        choices = [(*((None,) if s.optional else ()), *s.words) for s in slots]
        for chosen in itertools.product(*choices):
            words = tuple(w for w in chosen if w is not None)
            if line.allows(words):
                yield words, tuple(s.name for s, w in zip(slots, chosen) if w is not None)
