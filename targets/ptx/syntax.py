"""The syntax tree of a PTX module (PTX ISA chapters 4, 5, 7, 10, 11).

Every node knows its span in the source, and the spans leave out nothing but blanks and comments: `str(module)` is the source, byte for
byte, put together from the nodes and the trivia between them.  Names are resolved by scope when a body is read: an operand that names a
register holds that register's declaration, so nested `{ }` that redeclare a name need no further care.

A body is read when it is asked for (`Function.body`); a mistake inside it is raised then, and only for that function.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Union


class Node:
    """`start` and `end` are offsets into the module's text; `line` and `column` count from 1 and stand for `start`."""

    __slots__ = ("start", "end", "line", "column")

    def __init__(self, start: int, end: int, line: int, column: int) -> None:
        self.start, self.end, self.line, self.column = start, end, line, column


class Position:
    """A source position of the program that PTX was made from (`.loc`).  `inlined_at` is the call site, outward."""

    __slots__ = ("file", "line", "column", "function", "inlined_at")

    def __init__(self, file: str, line: int, column: int, function: str = "", inlined_at: Position | None = None) -> None:
        self.file, self.line, self.column, self.function, self.inlined_at = file, line, column, function, inlined_at

    def __repr__(self) -> str:
        return f"{self.file}:{self.line}"


# ---- operands -------------------------------------------------------------------------------------------------------


class Reg:
    """A use of a declared register (`decl` is its `Variable`, `name` the full name: `%r7` of `%r<10>`) or of a special register
    (`decl` is None: `%tid.x`, `%laneid`, `WARP_SZ`).  Component selectors of vector registers (`%v.x`) stay in `name` of special
    registers and are `part` ('x' 'y' 'z' 'w') of declared ones."""

    __slots__ = ("name", "decl", "part")

    def __init__(self, name: str, decl: Variable | None, part: str = "") -> None:
        self.name, self.decl, self.part = name, decl, part

    def __repr__(self) -> str:
        return self.name + (f".{self.part}" if self.part else "")


class Sym:
    """A name that is not a register: variable (`decl` is its `Variable`), function, label, prototype (`decl` is None).
    `wrap` is 'generic' for `generic(sym)`."""

    __slots__ = ("name", "decl", "wrap")

    def __init__(self, name: str, decl: Variable | None = None, wrap: str = "") -> None:
        self.name, self.decl, self.wrap = name, decl, wrap

    def __repr__(self) -> str:
        return self.name


class Imm:
    """A literal or constant expression.  kind 'int': `value` is the Python int (as written, sign included); 'f32' and 'f64'
    (`0f…`, `0d…`, decimal floats are f64): `value` is the bit pattern."""

    __slots__ = ("kind", "value", "text")

    def __init__(self, kind: str, value: int, text: str) -> None:
        self.kind, self.value, self.text = kind, value, text

    def __repr__(self) -> str:
        return self.text


class Address:
    """`[base + offset]`.  `base` is Reg, Sym, or None for an absolute address.  `rest` holds what follows a comma inside the brackets
    (`[tex, {x, y}]`, `[map, {c0, c1}]`).  The `sym+4` of `mov` is an Address too."""

    __slots__ = ("base", "offset", "rest")

    def __init__(self, base: Reg | Sym | None, offset: int, rest: tuple[Any, ...] = ()) -> None:
        self.base, self.offset, self.rest = base, offset, rest

    def __repr__(self) -> str:
        return f"[{self.base or ''}+{self.offset}]"


class Vec:
    """`{a, b}`."""

    __slots__ = ("items",)

    def __init__(self, items: tuple[Any, ...]) -> None:
        self.items = items

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self.items)) + "}"


class Group:
    """`(a, b)`: results or arguments of a call."""

    __slots__ = ("items",)

    def __init__(self, items: tuple[Any, ...]) -> None:
        self.items = items


class Pair:
    """`p|q`: two destinations."""

    __slots__ = ("first", "second")

    def __init__(self, first: Any, second: Any) -> None:
        self.first, self.second = first, second


class Not:
    """`!p`."""

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item


class Neg:
    """`-r`, as the video instructions have it."""

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item


class Plus:
    """`r+4`: a register and a constant where a value stands; the manual does not have it, ptxas takes it."""

    __slots__ = ("item", "offset")

    def __init__(self, item: Reg, offset: int) -> None:
        self.item, self.offset = item, offset

    def __repr__(self) -> str:
        return f"{self.item}+{self.offset}"


class Element:
    """`array[index + offset]`: an element of a declared array.  `offset` counts elements, not bytes; `index` may be None."""

    __slots__ = ("array", "index", "offset")

    def __init__(self, array: Sym, index: Reg | None, offset: int) -> None:
        self.array, self.index, self.offset = array, index, offset

    def __repr__(self) -> str:
        return f"{self.array}[{self.index or ''}+{self.offset}]"


class Sink:
    """`_`."""

    __slots__ = ()


Operand = Union[Reg, Sym, Imm, Address, Vec, Group, Pair, Not, Neg, Plus, Element, Sink]

# ---- what a body consists of ----------------------------------------------------------------------------------------


class Instruction(Node):
    """`@!p opcode.mod.mod operands ;`.  `mods` are the words after each dot, in the order written: `ld.global.v2.f32` has
    ('global', 'v2', 'f32'), `shared::cta` and `L2::128B` are one word.  `position` is the `.loc` in force, or None."""

    __slots__ = ("opcode", "mods", "guard", "negated", "operands", "position")

    def __init__(self, start: int, end: int, line: int, column: int, opcode: str, mods: tuple[str, ...], guard: Reg | None,
                 negated: bool, operands: tuple[Operand, ...], position: Position | None) -> None:  # fmt: skip
        super().__init__(start, end, line, column)
        self.opcode, self.mods, self.guard, self.negated = opcode, mods, guard, negated
        self.operands, self.position = operands, position

    @property
    def name(self) -> str:
        return ".".join((self.opcode, *self.mods))

    def __repr__(self) -> str:
        return f"{self.name} {self.operands}"


class Label(Node):
    """`name:`.  `scope` is the number of the `{ }` that holds it, since labels may be redeclared."""

    __slots__ = ("name", "scope")

    def __init__(self, start: int, end: int, line: int, column: int, name: str, scope: int) -> None:
        super().__init__(start, end, line, column)
        self.name, self.scope = name, scope


class Variable(Node):
    """A declaration: `.reg .b32 %r<10>`, `.shared .align 4 .b8 tile[1024]`, `.param .u64 x`, `.global .u32 t[2] = {1, 2}` …

    space    'reg' 'param' 'local' 'shared' 'const' 'global' 'tex'        name     without the range
    count    of `%r<10>`: 10 (registers %r0 … %r9); else None             type     'b8' 'u32' 'f64' 'pred' 'texref' …
    vector   1, 2 or 4 (`.v2`)                                            shape    () for a scalar; None stands for `[]`
    align    bytes; 0 if not given                                        init     None or nested tuples of Imm | Sym | (Sym, offset) |
    linkage  '' 'extern' 'visible' 'weak' 'common'                                 ('mask', m, operand)
    attrs    other words: 'managed', 'unified(…)'; for parameters 'ptr', 'global', 'align 16' …
    address_space  of `.ptr .global`: 'global' …, or ''                   unique   a number that tells apart equal names of different scopes
    """

    __slots__ = ("space", "name", "count", "type", "vector", "shape", "align", "init", "linkage", "attrs", "address_space", "unique")

    def __init__(self, start: int, end: int, line: int, column: int, *, space: str, name: str, type: str, count: int | None = None,
                 vector: int = 1, shape: tuple[int | None, ...] = (), align: int = 0, init: Any = None, linkage: str = "",
                 attrs: tuple[str, ...] = (), address_space: str = "", unique: int = 0) -> None:  # fmt: skip
        super().__init__(start, end, line, column)
        self.space, self.name, self.count, self.type, self.vector, self.shape = space, name, count, type, vector, shape
        self.align, self.init, self.linkage, self.attrs = align, init, linkage, attrs
        self.address_space, self.unique = address_space, unique

    def __repr__(self) -> str:
        return f".{self.space} .{self.type} {self.name}"


class Prototype(Node):
    """`name: .callprototype (results) _ (params) …;`"""

    __slots__ = ("name", "results", "params")

    def __init__(self, start: int, end: int, line: int, column: int, name: str, results: tuple[Variable, ...],
                 params: tuple[Variable, ...]) -> None:  # fmt: skip
        super().__init__(start, end, line, column)
        self.name, self.results, self.params = name, results, params


class Targets(Node):
    """`name: .branchtargets a, b;` or `.calltargets`."""

    __slots__ = ("name", "kind", "labels")

    def __init__(self, start: int, end: int, line: int, column: int, name: str, kind: str, labels: tuple[str, ...]) -> None:
        super().__init__(start, end, line, column)
        self.name, self.kind, self.labels = name, kind, labels


class Directive(Node):
    """Anything else that is kept as it is: `.loc` `.pragma` `.file` `.section` `.version` `.maxntid` `.alias` …  `words` is its text
    without the dot of the first word, split at blanks and commas."""

    __slots__ = ("name", "words")

    def __init__(self, start: int, end: int, line: int, column: int, name: str, words: tuple[str, ...]) -> None:
        super().__init__(start, end, line, column)
        self.name, self.words = name, words


class Scope(Node):
    """`{ … }` inside a body.  `number` is unique in the function (0 is the body itself), `parent` the enclosing one's."""

    __slots__ = ("items", "number", "parent")

    def __init__(self, start: int, end: int, line: int, column: int, items: tuple[Item, ...], number: int, parent: int) -> None:
        super().__init__(start, end, line, column)
        self.items, self.number, self.parent = items, number, parent


Item = Union[Instruction, Label, Variable, Prototype, Targets, Directive, Scope]


class Function(Node):
    """`.entry` or `.func`.  `results` are `.func`'s return parameters; `directives` stand between `)` and `{`: (name, integers) pairs
    as ('maxntid', (128, 1, 1)).  A declaration has no body (`defined` is False)."""

    __slots__ = ("kind", "name", "results", "params", "linkage", "directives", "defined", "attrs", "_read", "_body")

    def __init__(self, start: int, end: int, line: int, column: int, *, kind: str, name: str, results: tuple[Variable, ...],
                 params: tuple[Variable, ...], linkage: str, directives: tuple[tuple[str, tuple[Any, ...]], ...],
                 read: Callable[[], Scope] | None, attrs: tuple[str, ...] = ()) -> None:  # fmt: skip
        super().__init__(start, end, line, column)
        self.kind, self.name, self.results, self.params, self.linkage = kind, name, results, params, linkage
        self.directives, self.defined, self.attrs = directives, read is not None, attrs
        self._read = read
        self._body: Scope | None = None

    @property
    def body(self) -> Scope:
        """The body, read at the first use.  ReadError where it cannot be read."""
        if self._body is None:
            assert self._read is not None, f"{self.name} is only declared"
            self._body = self._read()
        return self._body

    @property
    def is_entry(self) -> bool:
        return self.kind == "entry"

    def __repr__(self) -> str:
        return f"<.{self.kind} {self.name}>"


class Module(Node):
    """A whole file.

    version, target, address_size   '8.3', ('sm_80', 'debug'), 64
    items        top-level nodes in order (Function, Variable, Directive)
    functions    by name, definitions before declarations      variables   module-level, by name
    aliases      `.alias a, b`: a → b                          files       of `.file`: number → name
    """

    __slots__ = ("text", "name", "version", "target", "address_size", "items", "functions", "variables", "aliases", "files")

    def __init__(self, text: str, name: str, version: str, target: tuple[str, ...], address_size: int, items: tuple[Any, ...],
                 functions: dict[str, Function], variables: dict[str, Variable], aliases: dict[str, str], files: dict[int, str]) -> None:  # fmt: skip
        super().__init__(0, len(text), 1, 1)
        self.text, self.name, self.version, self.target, self.address_size = text, name, version, target, address_size
        self.items, self.functions, self.variables, self.aliases, self.files = items, functions, variables, aliases, files

    @property
    def entries(self) -> dict[str, Function]:
        return {n: f for n, f in self.functions.items() if f.is_entry}

    def line_text(self, line: int) -> str:
        return self.text.split("\n")[line - 1].rstrip("\r") if line > 0 else ""

    def pieces(self) -> Iterator[tuple[Node | None, str]]:
        """(leaf node, its text), and (None, blanks and comments) between them, to the last byte.  A `Scope` or `Function` gives its
        head, its items and its closing brace."""
        from .parse import pieces

        return pieces(self)

    def __str__(self) -> str:
        return "".join(text for _, text in self.pieces())

    def __repr__(self) -> str:
        return f"<PTX {self.name}: {', '.join(self.entries) or 'no entries'}>"
