"""Tokens, literals and constant expressions of PTX (PTX ISA chapter 4).

One regular expression takes the blanks and comments before a token together with the token, so that the text is passed over once and in
C.  An opcode with its modifiers is one token, a name or number is one, and so is each `.word` of a directive.  Function bodies are not
tokenised with the module: `outline` steps over them by their braces.
"""
from __future__ import annotations

import re
import struct
from bisect import bisect_right
from functools import lru_cache

from ...ir.errors import ReadError
from .syntax import Imm

TOKEN = re.compile(
    r"""(?:[\s\0]+|//[^\n]*|/\*[\s\S]*?\*/)*(
      [A-Za-z_$][\w$]*(?:\.const\[\d+\]|(?:\.|::)[\w$]+)*   # a name; an opcode with its words
    | %[\w$]+(?:\.\w+)?                                     # a register, maybe a component of it
    | 0[xXbBfFdD]\w*
    | \d+\.?\d*(?:[eE][+-]?\d+)?[\w$]*
    | \.\d+(?:[eE][+-]?\d+)?(?![\w$])
    | \.[\w$]+(?:::[\w$]+)*
    | "(?:[^"\\\n]|\\.)*"
    | <<|>>|<=|>=|==|!=|&&|\|\||/\*
    | (?:@@DWARF|\#)[^\n]*
    | \Z | [\s\S]                                           # always matches: nothing is ever tried twice
    )""",
    re.X | re.A,
)
BRACE = re.compile(r'\{|\}|"(?:[^"\\\n]|\\.)*"|"|//[^\n]*|/\*[\s\S]*?\*/|/\*')
INTEGER = re.compile(r"(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|(?P<o>0[0-7]*)|(?P<d>[1-9]\d*))(?P<u>U?)", re.A)
FLOAT = re.compile(r"(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+", re.A)
EXACT = re.compile(r"0[fF][0-9a-fA-F]{8}|0[dD][0-9a-fA-F]{16}")

BINARY = {op: level for level, ops in enumerate("|| && | ^ & ==,!= <,>,<=,>= <<,>> +,- *,/,%".split(), 1) for op in ops.split(",")}
ENDS = frozenset((",", ";", "]", "}", ")", ""))
NAMED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_$%")
MASK = (1 << 64) - 1
DEEP = 100  # nesting of operands, expressions, initialisers

Value = tuple[str, "int | float"]  # ('s', signed 64-bit), ('u', unsigned 64-bit), ('f', double), ('f32', bits)


class Source:
    """A text, its name, and where its lines begin."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.lines = [0, *(m.end() for m in re.finditer("\n", text))]

    def place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.lines, offset)
        return line, offset - self.lines[line - 1] + 1

    def error(self, message: str, offset: int, hint: str | None = None) -> ReadError:
        error = ReadError.at(message, self.text, offset, file=self.name, hint=hint)
        line, column = self.place(offset)
        source = self.text[self.lines[line - 1] :].partition("\n")[0].rstrip("\r\0")
        blanks = re.sub(r"[^\t]", " ", source[: column - 1]).ljust(column - 1)  # tabs stay, so that the caret stands right
        error.excerpt = f"    {source}\n    {blanks}^"
        return error


def scan(source: Source, start: int, end: int) -> tuple[list[str], list[int]]:
    """The tokens of a stretch and where each begins.  Two empty ones close the list."""
    found = list(TOKEN.finditer(source.text, start, end))
    return [m[1] for m in found] + ["", ""], [m.start(1) for m in found] + [end, end]


def outline(source: Source) -> tuple[list[str], list[int]]:
    """The tokens of a module, with `{` and `}` alone of what stands in braces, except in initialisers."""
    words: list[str] = []
    starts: list[int] = []
    opened: list[int] = []
    previous, at = "", 0
    while True:
        for m in TOKEN.finditer(source.text, at):
            word, at = m[1], m.start(1)
            words.append(word)
            starts.append(at)
            if word == "{":
                if not opened and previous != "=":
                    at = closing(source, at)
                    words.append("}")
                    starts.append(at)
                    previous, at = "}", at + 1
                    break
                opened.append(at)
            elif word == "}":
                if not opened:
                    raise source.error("this '}' closes nothing", at)
                opened.pop()
            elif word == '"' or word == "/*":
                raise unterminated(source, at)
            previous = word
        else:
            if opened:
                raise source.error("this '{' is never closed", opened[0])
            return [*words, "", ""], [*starts, len(source.text), len(source.text)]


def closing(source: Source, start: int) -> int:
    """Where the brace that opens at `start` is closed."""
    depth = 0
    for m in BRACE.finditer(source.text, start):
        found = m[0]
        if found == "{":
            depth += 1
        elif found == "}":
            depth -= 1
            if not depth:
                return m.start()
        elif found == '"' or found == "/*":
            raise unterminated(source, m.start())
    raise source.error("this '{' is never closed", start)


def unterminated(source: Source, offset: int) -> ReadError:
    return source.error("this string has no end" if source.text[offset] == '"' else "this comment has no end", offset)


def bits64(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def double(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


@lru_cache(8192)
def literal(word: str) -> Imm | None:
    """The value of one literal; None where the word is none, or does not fit 64 bits."""
    if m := INTEGER.fullmatch(word):
        digits = m["x"] or m["b"] or m["o"] or m["d"]
        value = int(digits, 16 if m["x"] else 2 if m["b"] else 8 if m["o"] else 10) if len(digits) < 100 else MASK + 1
        return Imm("int", value, word) if value <= MASK else None
    if FLOAT.fullmatch(word):
        return Imm("f64", bits64(float(word)), word)
    if EXACT.fullmatch(word):
        return Imm("f32" if word[1] in "fF" else "f64", int(word[2:], 16), word)
    return None


def wrap(kind: str, value: int) -> int:
    value &= MASK
    return value - (MASK + 1) if kind == "s" and value >> 63 else value


def divide(x: float, y: float) -> float:
    if y:
        return x / y
    return float("nan") if not x or x != x else float("inf") if (bits64(x) ^ bits64(y)) >> 63 == 0 else float("-inf")


def apply_float(op: str, x: float, y: float) -> Value | None:
    if op in COMPARE:
        return "s", int(COMPARE[op](x, y))
    try:
        return {"+": ("f", x + y), "-": ("f", x - y), "*": ("f", x * y), "/": ("f", divide(x, y))}.get(op)
    except OverflowError:
        return None


COMPARE = {"<": lambda x, y: x < y, ">": lambda x, y: x > y, "<=": lambda x, y: x <= y, ">=": lambda x, y: x >= y,
           "==": lambda x, y: x == y, "!=": lambda x, y: x != y}  # fmt: skip


def apply(op: str, a: Value, b: Value) -> Value | None:
    """Two operands and an operator by the rules of "Integer Constant Expression Evaluation"; None where there is no value."""
    (ka, x), (kb, y) = a, b
    if isinstance(x, float) and isinstance(y, float):
        return apply_float(op, x, y)
    if not isinstance(x, int) or not isinstance(y, int) or "f32" in (ka, kb):
        return None
    if op == "&&" or op == "||":
        return "s", int(bool(x and y) if op == "&&" else bool(x or y))
    if op == "<<" or op == ">>":
        count = min(y & MASK, 64)
        return ka, wrap(ka, x << count if op == "<<" else x >> count)
    kind = "u" if "u" in (ka, kb) else "s"
    if op == "%":
        return ("s", wrap("s", (x & MASK) % (y & MASK))) if y else None
    x, y = wrap(kind, x), wrap(kind, y)
    if op in COMPARE:
        return "s", int(COMPARE[op](x, y))
    if op == "/":
        return (kind, wrap(kind, abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1))) if y else None
    value = {"+": x + y, "-": x - y, "*": x * y, "&": x & y, "|": x | y, "^": x ^ y}[op]
    return kind, wrap(kind, value)


class Tokens:
    """A list of tokens, a place `i` in it, and the reading of names, numbers and constant expressions."""

    def __init__(self, source: Source, words: list[str], starts: list[int]) -> None:
        self.source, self.words, self.starts = source, words, starts
        self.i = self.depth = 0

    def error(self, message: str, i: int | None = None, hint: str | None = None) -> ReadError:
        return self.source.error(message, self.starts[self.i if i is None else i], hint)

    def expected(self, what: str) -> ReadError:
        word = self.words[self.i]
        if word == '"' or word == "/*":
            return unterminated(self.source, self.starts[self.i])
        if word[:1].isdigit() and literal(word) is None:
            return self.error(f"{word[:40]} is not a number of PTX")
        return self.error(f"expected {what}, found " + (repr(word[:40]) if word else "the end"))

    def end(self) -> int:
        """Where the token before this place ends."""
        return self.starts[self.i - 1] + len(self.words[self.i - 1])

    def at(self, start: int) -> tuple[int, int, int, int]:
        """Span, line and column of a node from token `start` up to here."""
        offset = self.starts[start]
        return offset, self.end(), *self.source.place(offset)

    def take(self, word: str, why: str = "") -> None:
        if self.words[self.i] != word:
            raise self.expected(repr(word) + why)
        self.i += 1

    def taken(self, word: str) -> bool:
        if self.words[self.i] == word:
            self.i += 1
            return True
        return False

    def identifier(self, what: str) -> str:
        word = self.words[self.i]
        if word[:1] not in NAMED or not word or "." in word or ":" in word or word == "%":
            raise self.expected(what)
        self.i += 1
        return word

    def integer(self, what: str = "an integer") -> int:
        """One plain integer literal."""
        found = literal(self.words[self.i])
        if found is None or found.kind != "int":
            raise self.expected(what)
        self.i += 1
        return found.value

    def offset(self) -> int:
        """An integer expression."""
        start = self.i
        found = self.constant()
        if found.kind != "int":
            raise self.error("expected an integer, found a floating-point number", start)
        return found.value

    def constant(self) -> Imm:
        start = self.i
        if self.words[start + 1] in ENDS and (plain := literal(self.words[start])):
            self.i += 1
            return plain
        kind, value = self.conditional()
        text = self.source.text[self.starts[start] : self.end()]
        if isinstance(value, float):
            return Imm("f64", bits64(value), text)
        return Imm("f32" if kind == "f32" else "int", value, text)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEP:
            raise self.error("nested too deeply")

    def conditional(self) -> Value:
        self.deeper()
        start = self.i
        value = self.binary(1)
        if self.taken("?"):
            if not isinstance(value[1], int) or value[0] == "f32":
                raise self.error("the condition of '?' is not an integer", start)
            first = self.conditional()
            self.take(":")
            second = self.conditional()
            kinds = {first[0], second[0]}
            if kinds == {"s", "u"}:
                first, second = ("u", int(first[1]) & MASK), ("u", int(second[1]) & MASK)
            elif len(kinds) > 1 or "f32" in kinds:
                raise self.error("'?:' mixes integers and floating-point numbers", start)
            value = first if value[1] else second
        self.depth -= 1
        return value

    def binary(self, level: int) -> Value:
        value = self.unary()
        while (own := BINARY.get(op := self.words[self.i], 0)) >= level:
            place = self.i
            self.i += 1
            found = apply(op, value, self.binary(own + 1))
            if found is None:
                raise self.error(f"'{op}' has no value for these operands", place)
            value = found
        return value

    def unary(self) -> Value:
        op, start = self.words[self.i], self.i
        self.i += 1
        if op == "(":
            if (cast := self.words[self.i]) in (".s64", ".u64"):
                self.i += 1
                self.take(")")
                kind, value = self.nested()
                if isinstance(value, float) or kind == "f32":
                    raise self.error(f"a cast to {cast} is for integers", start)
                return cast[1], wrap(cast[1], value)
            inner = self.conditional()
            self.take(")")
            return inner
        if op in ("-", "+", "!", "~"):
            kind, value = self.nested()
            if kind == "f32" or isinstance(value, float) and op in "!~":
                raise self.error(f"'{op}' is not for this operand", start)
            if isinstance(value, float):
                return kind, -value if op == "-" else value
            if op == "!":
                return "s", int(not value)
            return ("u", ~value & MASK) if op == "~" else (kind, wrap(kind, -value if op == "-" else value))
        if op == "WARP_SZ":
            return "s", 32
        found = literal(op)
        if found is None:
            self.i = start
            raise self.expected("a constant")
        if found.kind == "int":
            return "u" if op[-1] == "U" or found.value >> 63 else "s", found.value
        return ("f32", found.value) if found.kind == "f32" else ("f", double(found.value))

    def nested(self) -> Value:
        self.deeper()
        value = self.unary()
        self.depth -= 1
        return value
