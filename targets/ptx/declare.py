"""What modules and bodies of PTX have in common: scopes of names, declarations, directives (PTX ISA chapters 5, 10, 11)."""
from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from .lex import ENDS, NAMED, Source, Tokens, literal, scan
from .syntax import Directive, Operand, Reg, Sink, Sym, Variable

LINKAGE = frozenset(("extern", "visible", "weak", "common"))
SPACES = frozenset(("reg", "param", "local", "shared", "const", "global", "tex"))
DECLARES = SPACES | LINKAGE | {"align", "attribute"}
VECTOR = {"v1": 1, "v2": 2, "v4": 4, "v8": 8}
TYPE = re.compile(r"[busf]\d+(?:x\d+)?|(?:bf|tf)\d+(?:x\d+)?|u?e\dm\d(?:x\d+)?|pred|texref|samplerref|surfref", re.A)
TAIL = re.compile(r"\d{1,10}\Z", re.A)

TRIPLES = "tid ntid ctaid nctaid clusterid nclusterid cluster_ctaid cluster_nctaid".split()
SINGLES = """laneid warpid nwarpid smid nsmid gridid is_explicit_cluster cluster_ctarank cluster_nctarank lanemask_eq lanemask_le lanemask_lt
    lanemask_ge lanemask_gt clock clock_hi clock64 globaltimer globaltimer_lo globaltimer_hi reserved_smem_offset_begin
    reserved_smem_offset_end reserved_smem_offset_cap reserved_smem_offset_0 reserved_smem_offset_1 total_smem_size aggr_smem_size
    dynamic_smem_size current_graph_exec""".split()
SPECIAL = [
    *(f"%{n}{part}" for n in TRIPLES for part in ("", ".x", ".y", ".z", ".w")),
    *(f"%{n}" for n in SINGLES),
    *(f"%pm{i}{wide}" for i in range(8) for wide in ("", "_64")),
    *(f"%envreg{i}" for i in range(32)),
    "WARP_SZ",
]


class Names:
    """The names of one scope: `known` holds operands ready for use, `ranges` the declarations like `%r<10>` by their prefix."""

    __slots__ = ("known", "ranges", "declared")

    def __init__(self) -> None:
        self.known: dict[str, Operand] = {}
        self.ranges: dict[str, Variable] = {}
        self.declared: set[str] = set()

    def declare(self, variable: Variable) -> None:
        self.declared.add(variable.name)
        if variable.count is None:
            self.known[variable.name] = use(variable, variable.name)
        else:
            self.ranges[variable.name] = variable

    def has(self, variable: Variable) -> bool:
        """Whether this scope has the same name already, or the number of a range that it would be."""
        name = variable.name
        if variable.count is not None:
            return name in self.ranges
        return name in self.declared and name not in self.ranges or any(n < (v.count or 0) for v, n in self.split(name))

    def split(self, name: str) -> Iterator[tuple[Variable, int]]:
        """The ranges that a name could be from, and its number there."""
        if tail := TAIL.search(name):
            for at in range(tail.start(), len(name)):
                if variable := self.ranges.get(name[:at]):
                    yield variable, int(name[at:])

    def find(self, name: str) -> Operand | None:
        found = self.known.get(name)
        if found is None and self.ranges:
            for variable, number in self.split(name):
                if number < (variable.count or 0):
                    found = self.known[name] = use(variable, f"{variable.name}{number}")  # `%r07` is %r7
                    break
        return found


def use(variable: Variable, name: str) -> Operand:
    return Reg(name, variable) if variable.space == "reg" else Sym(name, variable)


class Context:
    """What the bodies of a module need of it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.files: dict[int, str] = {}
        self.sections: dict[str, tuple[int, int]] = {}
        self.names = Names()
        self.names.known.update({n: Reg(n, None) for n in SPECIAL}, _=Sink())

    def debug_string(self, label: str, offset: int) -> str:
        """What stands at a label of `.debug_str`: the name of an inlined function."""
        labels, data = self.debug_strings
        at = labels.get(label, len(data)) + offset
        return data[at : data.find(0, at)].decode("latin-1") if 0 <= at < len(data) else ""

    @cached_property
    def debug_strings(self) -> tuple[dict[str, int], bytes]:
        labels, data = {".debug_str": 0}, bytearray()
        words, _ = scan(self.source, *self.sections.get(".debug_str", (0, 0)))
        for word, after in zip(words, words[1:]):
            if after == ":":
                labels[word] = len(data)
            elif (number := literal(word)) and number.kind == "int":
                data.append(number.value & 255)
        return labels, bytes(data)


class Declarations(Tokens):
    """What stands both in modules and in bodies."""

    def __init__(self, context: Context, words: list[str], starts: list[int]) -> None:
        super().__init__(context.source, words, starts)
        self.context = context

    def find(self, name: str) -> Operand | None:
        return self.context.names.find(name)

    def unique(self, name: str) -> int:
        return 0

    def declaration(self) -> Iterator[Variable]:
        """`.space .type a, b[4] = …;`: a node for each name; the first has the words, each its comma or semicolon."""
        start = self.i
        words = self.declared_words()
        while True:
            variable = self.declarator(words, start)
            last = not self.taken(",")
            if last:
                self.take(";", " after a declaration")
            variable.end = self.end()
            yield variable
            if last:
                return
            start = self.i

    def parameters(self) -> tuple[Variable, ...]:
        """`(.param .u64 a, .reg .b32 b)`."""
        self.take("(")
        out: list[Variable] = []
        while not self.taken(")"):
            if out:
                self.take(",", " or ')'")
            start = self.i
            out.append(self.declarator(self.declared_words(), start))
        return tuple(out)

    def declared_words(self) -> dict[str, Any]:
        """The words before the names of a declaration, in any order."""
        found: dict[str, Any] = {}
        attrs: list[str] = []
        start = self.i
        while (dotted := self.words[self.i])[:1] == ".":
            self.i += 1
            word, key = dotted[1:], ""
            if word == "align":
                n = self.integer("an alignment")
                if "ptr" not in attrs:
                    found["align"] = n
                else:
                    attrs.append(f"align {n}")
            elif "ptr" in attrs and word in SPACES:
                attrs.append(word)
                key = "address_space"
            elif word in SPACES:
                key = "space"
                if word == "const" and self.taken("["):
                    attrs.append(f"bank {self.integer('a bank')}")
                    self.take("]")
            elif word in LINKAGE:
                key = "linkage"
            elif word == "attribute":
                attrs += self.attributes()
            elif word == "ptr":
                attrs.append(word)
            elif word in VECTOR:
                found["vector"] = VECTOR[word]
            elif TYPE.fullmatch(word):
                key = "type"
            else:
                self.i -= 1
                raise self.expected("a word of a declaration")
            if key and found.setdefault(key, word) != word:
                self.i -= 1
                raise self.error(f"{dotted} after .{found[key]}")
        for key in ("space", "type"):
            if key not in found:
                raise self.expected(f"a state space like .{'global' if start == self.i else 'reg'}" if key == "space" else "a type like .b32")
        found["attrs"] = tuple(attrs)
        return found

    def attributes(self) -> list[str]:
        """`(.managed, .unified(1, 2))` after `.attribute`."""
        out: list[str] = []
        self.take("(")
        while True:
            word = self.words[self.i]
            if word[:1] != ".":
                raise self.expected("an attribute")
            self.i += 1
            if self.taken("("):
                values = [self.offset()]
                while self.taken(","):
                    values.append(self.offset())
                self.take(")")
                word += f"({', '.join(map(str, values))})"
            out.append(word[1:])
            if not self.taken(","):
                self.take(")")
                return out

    def declarator(self, words: dict[str, Any], start: int) -> Variable:
        name = self.identifier("a name")
        count: int | None = None
        shape: list[int | None] = []
        init = None
        if self.taken("<"):
            count = self.integer("the number of registers")
            self.take(">")
        while self.taken("["):
            shape.append(None if self.words[self.i] == "]" else self.offset())
            self.take("]")
        if self.taken("="):
            init = self.initialiser()
        return Variable(*self.at(start), name=name, count=count, shape=tuple(shape), init=init, unique=self.unique(name), **words)

    def initialiser(self) -> Any:
        word = self.words[self.i]
        if word == "{":
            return self.initialisers()
        if word[:1] in NAMED and word and word != "WARP_SZ":
            if self.words[self.i + 1] == "=":  # a field of a sampler or texture
                self.i += 2
                return "field", word, self.initialiser()
            return self.symbol()
        if self.words[self.i + 1] == "(" and word not in ENDS and literal(word):
            mask = self.integer("a mask")
            self.take("(")
            item = self.symbol() if self.words[self.i][:1] in NAMED else self.constant()
            self.take(")")
            return "mask", mask, item
        return self.constant()

    def initialisers(self) -> tuple[Any, ...]:
        self.take("{")
        self.deeper()
        out: list[Any] = []
        while not self.taken("}"):
            if out:
                self.take(",", " or '}'")
            out.append(self.initialiser())
        self.depth -= 1
        return tuple(out)

    def symbol(self) -> Any:
        """`sym`, `generic(sym)`, each with or without an offset."""
        name, wrap = self.identifier("a symbol"), ""
        if name == "generic" and self.taken("("):
            name, wrap = self.identifier("a symbol"), name
            self.take(")")
        known = self.find(name)
        found = Sym(name, known.decl if isinstance(known, Sym) else None, wrap)
        return (found, self.displacement()) if self.words[self.i] in ("+", "-") else found

    def displacement(self) -> int:
        """`+ 4` or `- 4` after a base; `+-4` too."""
        self.taken("+")
        return self.offset()

    def directive(self, start: int, name: str, last: int | None = None) -> Directive:
        """From token `start` up to here; the words, up to token `last`, are what blanks, comments and commas set apart."""
        words: list[str] = []
        glued = -1
        for word, at in zip(self.words[start : last or self.i], self.starts[start : last or self.i]):
            if word not in (",", ";"):
                if at == glued:
                    words[-1] += word
                else:
                    words.append(word)
                glued = at + len(word)
        return Directive(*self.at(start), name, (words[0].lstrip("."), *words[1:]))

    def pragma(self) -> Directive:
        start = self.i
        self.i += 1
        while True:
            self.string("the text of a pragma")
            if not self.taken(","):
                break
        self.take(";", " after .pragma")
        return self.directive(start, "pragma")

    def string(self, what: str) -> str:
        word = self.words[self.i]
        if len(word) < 2 or word[0] != '"':
            raise self.expected(what)
        self.i += 1
        return word[1:-1]

    def file(self) -> Directive:
        start = self.i
        self.i += 1
        number = self.integer("the number of a file")
        self.context.files[number] = self.string("the name of a file")
        while self.taken(","):
            self.integer()
        return self.directive(start, "file")

    def loc(self) -> tuple[Directive, tuple[int, int, int], tuple[int, int, int] | None, tuple[str, int]]:
        """`.loc`: the node, its place, the place it is inlined at, and where the name of its function is."""
        start = self.i
        self.i += 1
        here, caller, function = self.triple(), None, ("", 0)
        while self.words[self.i] == "," or self.words[self.i] in ("function_name", "inlined_at"):
            self.taken(",")
            if self.taken("inlined_at"):
                caller = self.triple()
            elif self.taken("function_name"):
                label = self.words[self.i]
                self.i += 1
                if label[:1] != "." and label[:1] not in NAMED or not label:
                    self.i -= 1
                    raise self.expected("a label")
                function = (label, self.displacement() if self.words[self.i] in ("+", "-") else 0)
            else:
                raise self.expected("function_name or inlined_at")
        return self.directive(start, "loc"), here, caller, function

    def triple(self) -> tuple[int, int, int]:
        return self.integer("the number of a file"), self.integer("a line"), self.integer("a column")

    def verbatim(self) -> Directive:
        """A line of `#` or `@@DWARF`."""
        word = self.words[self.i]
        self.i += 1
        return Directive(*self.at(self.i - 1), "#" if word[0] == "#" else "DWARF", tuple(word.split()))
