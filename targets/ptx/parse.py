"""The PTX reader: text to the tree of `syntax.py`.

`read` goes over a module once and steps over the bodies; `Function.body` reads its own when it is asked for (`body.py`).  The reader
knows syntax and names, not instructions: an opcode is any word.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from .body import read_body
from .declare import DECLARES, LINKAGE, SPACES, Context, Declarations
from .lex import NAMED, Source, literal, outline
from .syntax import Directive, Function, Module, Node, Scope, Variable

DATA = frozenset(("b8", "b16", "b32", "b64"))
TOP = frozenset("." + w for w in LINKAGE | SPACES | DATA | {"entry", "func", "version", "target", "address_size", "file", "section", "loc", "alias"})


def read(text: str | bytes, name: str = "<ptx>") -> Module:
    """A module.  ReadError for what is wrong outside of bodies; each body is read, and judged, at its first use."""
    return _Module(Source(text if isinstance(text, str) else _decoded(text), name)).module()


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:  # only comments and strings can hold such bytes
        return raw.decode("latin-1")


def pieces(module: Module) -> Iterator[tuple[Node | None, str]]:
    """See `Module.pieces`."""
    text, at = module.text, 0
    for node, start, end in _leaves(module.items):
        if start > at:
            yield None, text[at:start]
        yield node, text[start:end]
        at = end
    if at < len(text):
        yield None, text[at:]


def _leaves(items: tuple[Any, ...]) -> Iterator[tuple[Node, int, int]]:
    stack: list[Any] = [*reversed(items)]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            yield node
        elif isinstance(node, Scope) or isinstance(node, Function) and node.defined:
            scope = node.body if isinstance(node, Function) else node
            yield node, node.start, scope.start + 1
            stack += [(node, node.end - 1, node.end), *reversed(scope.items)]
        else:
            yield node, node.start, node.end


class _Module(Declarations):
    def __init__(self, source: Source) -> None:
        super().__init__(Context(source), *outline(source))
        self.items: list[Any] = []
        self.functions: dict[str, Function] = {}
        self.variables: dict[str, Variable] = {}
        self.aliases: dict[str, str] = {}
        self.version, self.address_size = "", 32
        self.target: tuple[str, ...] = ()

    def module(self) -> Module:
        while self.words[self.i]:
            self.item()
        if not self.version:
            raise self.expected(".version")
        source = self.source
        return Module(source.text, source.name, self.version, self.target, self.address_size, tuple(self.items), self.functions,
                      self.variables, self.aliases, self.context.files)  # fmt: skip

    def item(self) -> None:
        word, start = self.words[self.i], self.i
        if word[0] == "#" or word[:2] == "@@":
            self.items.append(self.verbatim())
        elif word == ".version":
            self.items.append(self.take_version())
        elif not self.version:
            raise self.expected(".version")
        elif word == ".target":
            self.items.append(self.take_target())
        elif word == ".file":
            self.items.append(self.file())
        elif word == ".loc":
            self.items.append(self.loc()[0])
        elif word == ".pragma":
            self.items.append(self.pragma())
        elif word == ".section":
            self.items.append(self.section())
        elif word[0] == "." and word[1:] in DATA:
            self.items.append(self.data())
        elif word[0] in NAMED and self.words[self.i + 1] == ":":
            self.i += 2
            self.items.append(Directive(*self.at(start), "label", (word,)))
        elif not self.target:
            raise self.expected(".target")
        elif word == ".address_size":
            self.i += 1
            if self.words[self.i] not in ("32", "64"):
                raise self.expected("32 or 64")
            self.address_size = self.integer()
            self.items.append(self.directive(start, "address_size"))
        elif word == ".alias":
            self.i += 1
            name = self.identifier("a function")
            self.take(",")
            self.aliases[name] = self.identifier("a function")
            self.take(";")
            self.items.append(self.directive(start, "alias"))
        elif self.is_function():
            self.function()
        elif word[0] == "." and word[1:] in DECLARES:
            for variable in self.declaration():
                self.variable(variable)
        else:
            raise self.expected("a directive")

    def take_version(self) -> Directive:
        if self.version:
            raise self.error("a second .version")
        self.i += 1
        self.version = self.words[self.i]
        if not re.fullmatch(r"\d+\.\d+", self.version, re.A):
            raise self.expected("a version like 8.3")
        self.i += 1
        return self.directive(self.i - 2, "version")

    def take_target(self) -> Directive:
        start = self.i
        self.i += 1
        words = [self.identifier("an architecture like sm_80")]
        while self.taken(","):
            words.append(self.identifier("an option of .target"))
        self.target = self.target or tuple(words)  # a later one only widens what may be used
        return self.directive(start, "target")

    def section(self) -> Directive:
        """`.section .debug_str { … }`, or its head alone: then its lines follow as data and labels."""
        start = self.i
        self.i += 1
        first = self.i
        while self.words[self.i][:1] == "." and self.words[self.i] not in TOP:
            self.i += 1
        if self.i == first:
            self.identifier("the name of a section")
        name, last = "".join(self.words[first : self.i]), self.i
        if self.taken("{"):
            self.context.sections[name] = self.starts[self.i - 1] + 1, self.starts[self.i]
            self.take("}")
        return self.directive(start, "section", last)

    def data(self) -> Directive:
        """`.b8 1, 2`, `.b32 label+4`, `.b64 end-begin`, `.b32 .debug_info`."""
        start = self.i
        self.i += 1
        while True:
            self.taken("-")
            while True:
                word = self.words[self.i]
                if not (word[:1] in NAMED and word or word[:1] == "." and word not in TOP or literal(word)):
                    raise self.expected("a number or a label")
                self.i += 1
                if not (self.taken("+") or self.taken("-")):
                    break
            if not self.taken(","):
                return self.directive(start, self.words[start][1:])

    def variable(self, variable: Variable) -> None:
        self.items.append(variable)
        before = self.variables.get(variable.name)
        if before is None or before.linkage == "extern":
            self.variables[variable.name] = variable
            self.context.names.declare(variable)
        elif variable.linkage not in ("extern", "common", "weak"):
            raise self.source.error(f"{variable.name} is declared twice", variable.start, f"first in line {before.line}")

    def is_function(self) -> bool:
        i = self.i
        while (word := self.words[i]) not in (".entry", ".func", ";", "{", "") and word[1:] not in SPACES:
            i += 1
        return word in (".entry", ".func")

    def function(self) -> None:
        start, kind, linkage = self.i, "", ""
        attrs: list[str] = []
        while (word := self.words[self.i])[:1] == ".":
            self.i += 1
            if word == ".attribute":
                attrs += self.attributes()
            elif word in (".entry", ".func") and not kind:
                kind = word[1:]
            elif word[1:] in LINKAGE and not linkage:
                linkage = word[1:]
            else:
                self.i -= 1
                raise self.expected("the name of a function")
        results = self.parameters() if self.words[self.i] == "(" and kind == "func" else ()
        at_name = self.i
        name = self.identifier("the name of a function")
        params = self.parameters() if self.words[self.i] == "(" else ()
        directives = self.function_directives(attrs)
        reader = None
        if self.taken("{"):
            reader = partial(read_body, self.context, (*results, *params), self.starts[self.i - 1], self.starts[self.i])
            self.take("}")
        else:
            self.taken(";")
        made = Function(*self.at(start), kind=kind, name=name, results=results, params=params, linkage=linkage, directives=directives,
                        read=reader, attrs=tuple(attrs))  # fmt: skip
        self.items.append(made)
        before = self.functions.get(name)
        if before is not None and before.defined and made.defined:
            raise self.error(f"{name} is defined twice", at_name, f"first in line {before.line}")
        if before is None or made.defined:
            self.functions[name] = made

    def function_directives(self, attrs: list[str]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """`.maxntid 128, 1, 1 .pragma "…";` before a body."""
        out = []
        while (word := self.words[self.i])[:1] == "." and word not in TOP:
            self.i += 1
            if word == ".attribute":
                attrs += self.attributes()
                continue
            values: list[Any] = []
            c = self.words[self.i][:1]
            if c == '"' or c == "(" or c.isdigit():
                values.append(self.value())
                while self.taken(","):
                    values.append(self.value())
            if word == ".pragma":
                self.take(";", " after .pragma")
            out.append((word[1:], tuple(values)))
        return tuple(out)

    def value(self) -> int | str:
        return self.string("a string") if self.words[self.i][:1] == '"' else self.offset()
