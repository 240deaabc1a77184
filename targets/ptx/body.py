"""Bodies of PTX functions: statements, operands and the names in them (PTX ISA chapters 4, 6, 9, 11).

Operands without a place of their own (registers, symbols, literals) are shared between instructions.
"""
from __future__ import annotations

import re
from functools import lru_cache

from .declare import DECLARES, Context, Declarations, Names
from .lex import DEEP, ENDS, NAMED, literal, scan
from .syntax import (
    Address,
    Directive,
    Element,
    Group,
    Instruction,
    Item,
    Label,
    Neg,
    Not,
    Operand,
    Pair,
    Plus,
    Position,
    Prototype,
    Reg,
    Scope,
    Sym,
    Targets,
    Variable,
    Vec,
)

PART = re.compile(r"[xyzwrgba]|[bh]\d{1,4}", re.A)
COLOUR = {"r": "x", "g": "y", "b": "z", "a": "w"}
MANY = 1 << 16  # labels of one `.branchtargets N<…>`


def read_body(context: Context, params: tuple[Variable, ...], start: int, end: int) -> Scope:
    return Body(context, params, start, end).body(start, end)


@lru_cache(4096)
def split_opcode(word: str) -> tuple[str, tuple[str, ...]]:
    first, *rest = word.split(".")
    return first, tuple(rest)


class Body(Declarations):
    def __init__(self, context: Context, params: tuple[Variable, ...], start: int, end: int) -> None:
        super().__init__(context, *scan(context.source, start + 1, end))
        self.uses: dict[str, int] = {}
        self.scopes = [context.names, Names()]
        for variable in params:
            self.uses[variable.name] = 1
            self.scopes[1].declare(variable)
        self.position: Position | None = None
        self.sites: dict[tuple[int, int, int], Position] = {}
        self.group = False  # whether '(' opens the arguments of a call
        self.late: tuple[str, ...] = ()  # modifiers after an operand: `[a].unified`
        self.number = 0

    def unique(self, name: str) -> int:
        n = self.uses.get(name)
        if n is None:
            n = int(name in self.context.names.declared)
        self.uses[name] = n + 1
        return n

    # names

    def find(self, name: str) -> Operand | None:
        for names in reversed(self.scopes):
            if (found := names.find(name)) is not None:
                return found
        return None

    def name(self) -> Operand:
        """The operand that the name at this place stands for."""
        word = self.words[self.i]
        found = self.find(word)
        if found is None:
            base, dot, part = word.partition(".")
            if dot:
                found = self.component(base, part)
            elif word[0] == "%":
                raise self.undeclared(word)
            elif ":" in word:
                raise self.expected("an operand")
            else:
                found = Sym(word)
        self.i += 1
        return found

    def component(self, base: str, part: str) -> Reg:
        found = self.find(base)
        if found is None and base[0] == "%":
            raise self.undeclared(base)
        if not isinstance(found, Reg) or found.decl is None or not PART.fullmatch(part):
            raise self.error(f"{base} has no component .{part}")
        return Reg(found.name, found.decl, COLOUR.get(part, part))

    def undeclared(self, word: str) -> Exception:
        for names in reversed(self.scopes):
            for variable, _ in names.split(word):
                return self.error(f"register {word} is not declared", hint=f"{variable.name}<{variable.count}> in line {variable.line} "
                                  + (f"ends at {variable.name}{variable.count - 1}" if variable.count else "is empty"))  # fmt: skip
        return self.error(f"register {word} is not declared")

    # operands

    def operand(self) -> Operand:
        first = self.primary()
        if not self.taken("|"):
            return first
        return Pair(first, self.primary())

    def primary(self) -> Operand:
        word = self.words[self.i]
        c, follow = word[:1], self.words[self.i + 1]
        if c in NAMED and word and word != "%":
            if word == "WARP_SZ" and follow not in ENDS and follow != "|":
                return self.constant()
            return self.suffixed(self.name())
        if c == "[":
            return self.address()
        if c == "{":
            return Vec(self.listed("{", "}"))
        if c == "(" and self.group:
            return Group(self.listed("(", ")"))
        if c and c in "!-" and follow[:1] in NAMED and follow not in ("", "%", "WARP_SZ"):
            self.i += 1
            return Not(self.name()) if c == "!" else Neg(self.name())
        if c.isdigit() or c and c in "-+~!(" and word != "!=" or c == "." and literal(word):
            return self.constant()
        raise self.expected("an operand")

    def suffixed(self, found: Operand) -> Operand:
        """`sym+4`, `%r1+4`, `array[3]`, `array[%r1+2]`; anything else is as it was."""
        word = self.words[self.i]
        if word == "+" and isinstance(found, Reg) and found.decl is not None:
            return Plus(found, self.displacement())
        if not isinstance(found, Sym) or word not in ("+", "-", "["):
            return found
        if word != "[":
            return Address(found, self.displacement())
        self.i += 1
        index, offset = self.based()
        if index is not None and not isinstance(index, Reg):
            raise self.error("an index is a register or a constant", self.i - 1)
        self.take("]")
        return Element(found, index, offset)

    def based(self) -> tuple[Reg | Sym | None, int]:
        """`%r1 + 4`, `sym`, `1024`."""
        word = self.words[self.i]
        if word[:1] not in NAMED or not word or word == "%":
            return None, self.offset()
        base = self.name()
        if not isinstance(base, (Reg, Sym)):
            self.i -= 1
            raise self.expected("an address")
        return base, self.displacement() if self.words[self.i] in ("+", "-") else 0

    def address(self) -> Address:
        self.take("[")
        self.deeper()
        base, offset = self.based()
        rest: list[Operand] = []
        while self.taken(","):
            rest.append(self.operand())
        self.take("]", " after an address")
        if self.taken(".unified"):
            self.late = (*self.late, "unified")
        self.depth -= 1
        return Address(base, offset, tuple(rest))

    def listed(self, opening: str, closing: str) -> tuple[Operand, ...]:
        self.take(opening)
        self.deeper()
        group, self.group = self.group, False
        out: list[Operand] = []
        if opening == "{" or self.words[self.i] != closing:
            out.append(self.operand())
            while self.taken(","):
                out.append(self.operand())
        self.take(closing, " or ','")
        self.group = group
        self.depth -= 1
        return tuple(out)

    # statements

    def body(self, start: int, end: int) -> Scope:
        items: list[Item] = []
        stack: list[tuple[list[Item], int, int]] = []  # of the enclosing scopes: items, first token, number
        current = 0
        while word := self.words[self.i]:
            if word == "{":
                if len(stack) == DEEP:
                    raise self.error("nested too deeply")
                stack.append((items, self.i, current))
                self.number += 1
                items, current = [], self.number
                self.scopes.append(Names())
                self.i += 1
            elif word == "}" and stack:
                outer, first, parent = stack.pop()
                self.scopes.pop()
                self.i += 1
                outer.append(Scope(*self.at(first), tuple(items), current, parent))
                items, current = outer, parent
            elif word[0] in NAMED and self.words[self.i + 1] != ":":
                items.append(self.instruction(self.i, None, False))
            else:
                items += self.statement(word, current)
        if stack:
            raise self.expected("'}'")
        return Scope(start, end + 1, *self.source.place(start), tuple(items), 0, -1)

    def statement(self, word: str, scope: int) -> list[Item]:
        """Whatever is neither a plain instruction nor a brace."""
        start = self.i
        if word == "@":
            self.i += 1
            negated = self.taken("!")
            if self.words[self.i][:1] not in NAMED or not isinstance(guard := self.name(), Reg):
                raise self.error("a guard is a predicate register", start + 1 + negated)
            return [self.instruction(start, guard, negated)]
        if word[0] == "#" or word[:2] == "@@":
            return [self.verbatim()]
        if word == ".loc":
            return [self.located()]
        if word == ".pragma":
            return [self.pragma()]
        if word == ".file":
            return [self.file()]
        if word[0] == "." and word[1:] in DECLARES:
            return [*map(self.declared, self.declaration())]
        if word[0] in NAMED:
            name = self.identifier("a label")
            self.i += 1
            after = self.words[self.i]
            if after == ".callprototype":
                return [self.prototype(start, name)]
            if after in (".branchtargets", ".calltargets"):
                return [self.targets(start, name, after[1:])]
            return [Label(*self.at(start), name, scope)]
        raise self.expected("an instruction")

    def declared(self, variable: Variable) -> Variable:
        names = self.scopes[-1]
        if names.has(variable):
            raise self.source.error(f"{variable.name} is declared twice", variable.start)
        names.declare(variable)
        return variable

    def located(self) -> Directive:
        node, here, caller, function = self.loc()
        files = self.context.files
        outer = None
        if caller:
            outer = self.sites.get(caller) or Position(files.get(caller[0], ""), *caller[1:])
        name = self.context.debug_string(*function) if function[0] else ""
        self.position = self.sites[here] = Position(files.get(here[0], ""), here[1], here[2], name, outer)
        return node

    def prototype(self, start: int, name: str) -> Prototype:
        self.i += 1
        results = self.parameters() if self.words[self.i] == "(" else ()
        self.take("_")
        params = self.parameters() if self.words[self.i] == "(" else ()
        while self.words[self.i][:1] == ".":
            self.i += 1
            if self.words[self.i] != ";" and self.words[self.i][:1] != ".":
                self.offset()
        self.take(";")
        return Prototype(*self.at(start), name, results, params)

    def targets(self, start: int, name: str, kind: str) -> Targets:
        self.i += 1
        labels: list[str] = []
        while True:
            label = self.identifier("a label")
            if self.taken("<"):
                at = self.i
                count = self.integer()
                if count > MANY:
                    raise self.error("too many labels", at)
                labels += [f"{label}{i}" for i in range(count)]
                self.take(">")
            else:
                labels.append(label)
            if not self.taken(","):
                break
        self.take(";")
        return Targets(*self.at(start), name, kind, tuple(labels))

    def blank_modifiers(self) -> tuple[str, ...]:
        """Modifiers that blanks set off from their opcode."""
        found: list[str] = []
        while (word := self.words[self.i])[:1] == "." and len(word) > 1 and not literal(word):
            found.append(word[1:])
            self.i += 1
        return tuple(found)

    def instruction(self, start: int, guard: Reg | None, negated: bool) -> Instruction:
        words, i = self.words, self.i
        word = words[i]
        if word[:1] not in NAMED or not word or word[0] == "%":
            raise self.expected("an instruction")
        opcode, mods = split_opcode(word)
        i += 1
        if words[i][:1] == ".":
            self.i = i
            mods += self.blank_modifiers()
            i = self.i
        known = self.scopes[-1].known
        self.group = opcode == "call"
        operands: list[Operand] = []
        if words[i] != ";":
            while True:
                follow = words[i + 1]
                if (follow == "," or follow == ";") and (operand := known.get(words[i])) is not None:
                    i += 1
                else:
                    self.i = i
                    operand = self.operand()
                    i = self.i
                operands.append(operand)
                if words[i] == ",":
                    i += 1
                elif words[i] == ";":
                    break
                else:
                    self.i = i
                    raise self.expected("',' or ';'")
        self.i = i + 1
        if self.late:
            mods, self.late = mods + self.late, ()
        offset = self.starts[start]
        line, column = self.source.place(offset)
        return Instruction(offset, self.starts[i] + 1, line, column, opcode, mods, guard, negated, tuple(operands), self.position)
