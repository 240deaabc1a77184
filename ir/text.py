"""One text for all levels: `dump` writes it, `parse` reads it back, and both agree.

    ptxjit.ir 1
    kernel @axpy lanes=16 warps=1 (%x: i64 pointer f32 r align=4, %y: i64 pointer f32 w align=16) {
    ^0 entry():
      %2: i32 = sreg {name="laneid"}
      %3: f32 = ld %x, %2 {scale=4, space="global", to=!f32}
      st %y, %2, %3 {scale=4, space="global", to=!f32}
      return
    }

A value is `%name`; names are the user's where they are unique, numbers elsewhere.  Attribute values: integers, `true`, `"text"`,
floats in hexadecimal (`0x1.8p+0`, `inf`, `nan`), types `!f32[3]`, extents `<n*4+1>`, tuples `(1, 2)`, bytes `x"00ff"`, graphs `@name`.  A guard is
`if %p else (%fill)`, jumps are `-> ^1(%a)`, regions follow in braces.  A text may hold several functions; the last one is the result.
Locations are printed as comments (`locs=True`) and are not read back.
"""
from __future__ import annotations

import math
import re
from typing import Any

from .errors import ReadError
from .extent import Dim, parse_extent
from .graph import Graph, Node
from .instr import Block, Edge, Instr, Param, Region, Value
from .kernel import Kernel
from .op import Attrs, find
from .program import Buffer, Check, Copy, Fill, Launch, Loop, Program, Step
from .tile import TileProgram
from .types import Array, Type, parse_type

VERSION = "ptxjit.ir 1"
Origin = tuple[tuple[Any, ...], Any]  # (locations of a line, the node, instruction or step that it prints or None)


# ---- writing --------------------------------------------------------------------------------------------------------


def dump(x: Any, *, locs: bool = False, origins: list[Origin] | None = None, functions: bool = True) -> str:
    """A graph, program, tile program or kernel as text.  `origins` gets an entry per line: where the line comes from, and what it prints.
    Without `functions` a program stands alone (and cannot be read back)."""
    w = _Writer(locs)
    w.functions = functions
    text = w.module(x)
    if origins is not None:
        origins.extend(w.origins)
    return text


class _Writer:
    def __init__(self, locs: bool) -> None:
        self.locs, self.functions = locs, True
        self.out: list[str] = []
        self.origins: list[Origin] = []
        self.graphs: dict[int, str] = {}
        self.done: set[int] = set()

    def put(self, text: str, locs: tuple[Any, ...] = (), node: Any = None) -> None:
        self.out.append(text)
        self.origins.append((locs, node))

    def module(self, x: Any) -> str:
        self.put(VERSION)
        self.function(x)
        return "\n".join(self.out) + "\n"

    def function(self, x: Any) -> None:
        if id(x) in self.done:
            return
        self.done.add(id(x))
        if isinstance(x, Graph):
            self.graph(x)
        elif isinstance(x, Kernel):
            self.kernel(x)
        elif isinstance(x, TileProgram):
            self.tile(x)
        else:
            self.program(x)

    def attr(self, v: Any) -> str:
        if v is True or v is False:
            return "true" if v else "false"
        if isinstance(v, int):
            return str(v)
        if isinstance(v, float):
            return v.hex() if math.isfinite(v) else ("nan" if v != v else "inf" if v > 0 else "-inf")
        if isinstance(v, str):
            return '"' + v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        if isinstance(v, Dim):
            return f"<{v.text}>"
        if isinstance(v, Type):
            return f"!{v}"
        if isinstance(v, bytes):
            return f'x"{v.hex()}"'
        if isinstance(v, tuple):
            return "(" + ", ".join(self.attr(e) for e in v) + ("," if len(v) == 1 else "") + ")"
        if isinstance(v, Graph):
            return f"@{self.graphs[id(v)]}"
        raise TypeError(f"an attribute of type {type(v).__name__} has no text")

    def attrs(self, attrs: Attrs) -> str:
        return " {" + ", ".join(f"{k}={self.attr(v)}" for k, v in attrs) + "}" if attrs else ""

    def names(self, values: list[Any]) -> dict[int, str]:
        """The text of every value: its name hint where nobody else has it, else a number."""
        count: dict[str, int] = {}
        for v in values:
            if v.name:
                count[v.name] = count.get(v.name, 0) + 1
        out, n = {}, 0
        for v in values:
            if v.name and count[v.name] == 1 and re.fullmatch(r"[A-Za-z_]\w*", v.name):
                out[v.id] = "%" + v.name
            else:
                out[v.id] = f"%{n}"
                n += 1
        return out

    # graph
    def graph(self, g: Graph) -> None:
        for n in g.nodes:
            for _, v in n.attrs:
                if isinstance(v, Graph) and id(v) not in self.graphs:
                    text, k = v.name, 2
                    while text in self.graphs.values() or text == g.name:
                        text, k = f"{v.name}_{k}", k + 1
                    self.graphs[id(v)] = text
                    self.done.add(id(v))
                    self.graph(v)
        name = self.names(list(g.nodes))
        self.put(f"graph @{self.graphs.get(id(g), g.name)} ({', '.join(name[i.id] for i in g.inputs)}) {{")
        for n in g.nodes:
            types = ", ".join(map(str, n.types))
            args = " " + ", ".join(name[a.id] for a in n.args) if n.args else ""
            where = f"  // {n.loc}" if self.locs and n.loc else ""
            self.put(f"  {name[n.id]}: {types} = {n.op.name}{args}{self.attrs(n.attrs)}{where}", (n.loc,) if n.loc else (), n)
        self.put(f"  outputs {', '.join(name[o.id] for o in g.outputs)}")
        self.put("}")

    # kernel and tile
    def params(self, params: tuple[Param, ...], name: dict[int, str]) -> str:
        out = []
        for p in params:
            text = f"{name[p.value.id]}: {p.value.type} {p.role}"
            if p.role == "pointer":
                text += f" {p.elem} {p.access}"
            text += f" align={p.align}" + (" noalias" if p.noalias else "")
            out.append(text)
        return ", ".join(out)

    def instr(self, i: Instr, name: dict[int, str], indent: str) -> None:
        left = ", ".join(f"{name[r.id]}: {r.type}" for r in i.results)
        text = f"{indent}{left + ' = ' if left else ''}{i.op.name}"
        if i.args:
            text += " " + ", ".join(name[a.id] for a in i.args)
        text += self.attrs(i.attrs)
        if i.guard is not None:
            text += f" if {name[i.guard.id]}"
            if i.passthrough:
                text += f" else ({', '.join(name[p.id] for p in i.passthrough)})"
        if i.edges:
            text += " -> " + ", ".join(f"^{e.target}({', '.join(name[a.id] for a in e.args)})" for e in i.edges)
        if self.locs and i.loc:
            text += f"  // {i.loc}"
        self.put(text, (i.loc,) if i.loc else (), i)
        for r in i.regions:
            self.put(f"{indent}region ({', '.join(f'{name[p.id]}: {p.type}' for p in r.params)}) {{")
            for inner in r.instrs:
                self.instr(inner, name, indent + "  ")
            self.put(f"{indent}  yield {', '.join(name[y.id] for y in r.yields)}".rstrip())
            self.put(f"{indent}}}")

    def kernel(self, k: Kernel) -> None:
        values = [p.value for p in k.params]
        for b in k.blocks:
            values += b.params
            for i in b.instrs:
                values += i.results
        name = self.names(values)
        facts = "".join(f" {n}={v}" for n, v in (("warps", k.warps), ("lanes", k.lanes), ("shared", k.shared or None), ("local", k.local or None)) if v is not None)
        self.put(f"kernel @{k.name}{facts}{self.attrs(_plain(k.meta))} ({self.params(k.params, name)}) {{")
        for n, b in enumerate(k.blocks):
            self.put(f"^{n} {b.name}({', '.join(f'{name[p.id]}: {p.type}' for p in b.params)}):")
            for i in b.instrs:
                self.instr(i, name, "  ")
        self.put("}")

    def tile(self, t: TileProgram) -> None:
        values = [p.value for p in t.params]
        for i in t.instrs():
            values += i.results
            for r in i.regions:
                values += r.params
        name = self.names(values)
        self.put(f"tile @{t.name} warps={t.warps} lanes={t.lanes}{self.attrs(_plain(t.meta))} ({self.params(t.params, name)}) {{")
        for i in t.body.instrs:
            self.instr(i, name, "  ")
        self.put("}")

    # program
    def program(self, p: Program) -> None:
        for launch in p.launches() if self.functions else ():
            self.function(launch.fn)
        self.put(f"program @{p.name}{self.attrs(_plain(p.meta))} {{")
        for b in p.buffers:
            data = f' x"{b.data.hex()}"' if b.data is not None else ""
            self.put(f"  buffer @{b.name} {b.kind} {b.type}{data}")
        self.put(f"  inputs {', '.join('@' + b.name for b in p.inputs)}".rstrip())
        self.put(f"  outputs {', '.join('@' + b.name for b in p.outputs)}".rstrip())
        for s in p.steps:
            self.step(s, "  ")
        self.put("}")

    def step(self, s: Step, indent: str) -> None:
        if isinstance(s, Launch):
            args = ", ".join(f"@{a.name}" if isinstance(a, Buffer) else self.attr(a) for a in s.args)
            self.put(f"{indent}launch @{s.fn.name} ({', '.join(map(self.attr, s.grid))}) ({args})", tuple(dict.fromkeys(i.loc for i in s.fn.instrs() if i.loc)), s)
        elif isinstance(s, Copy):
            self.put(f"{indent}copy @{s.dst.name}, @{s.src.name}")
        elif isinstance(s, Fill):
            self.put(f"{indent}fill @{s.dst.name}, {self.attr(s.value)}")
        elif isinstance(s, Check):
            self.put(f"{indent}check @{s.flag.name}, {self.attr(s.message)}, {self.attr(s.place or '')}")
        else:
            facts = f" count={s.count}" if s.count is not None else ""
            facts += f" counter=@{s.counter.name}" if s.counter else ""
            facts += f" cond=@{s.cond.name}" if s.cond else ""
            self.put(f"{indent}loop{facts} {{")
            for b in s.before:
                self.step(b, indent + "  ")
            self.put(f"{indent}}} do {{")
            for b in s.body:
                self.step(b, indent + "  ")
            self.put(f"{indent}}}")


def _plain(meta: Attrs) -> Attrs:
    return tuple(sorted(meta))


# ---- reading --------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"""(?:\s+|//[^\n]*)*(?:
    (?P<value>%\w+)
  | (?P<mark>[(){},:=])
  | (?P<bytes>x"[0-9a-f]*")
  | (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<type>!?(?:tile|ptr|view)<[^>]*>(?:\[[^\]]*\])?|!?(?:[iuf]\d\w*|bf16\w*)(?:\[[^\]]*\])?)(?![\w%])
  | (?P<extent><[^<>]*>)
  | (?P<float>-?0x[01]\.?[0-9a-f]*p[+-]\d+|-?inf\b|nan\b)
  | (?P<int>-?\d+)
  | (?P<global>@\w+)
  | (?P<block>\^\d+)
  | (?P<arrow>->)
  | (?P<word>[A-Za-z_][\w.]*)
  | (?P<end>\Z)
  | (?P<wrong>.)
)""", re.X | re.S)  # fmt: skip


def parse(text: str, file: str = "<string>") -> Any:
    """Reads what `dump` wrote.  ReadError with line, column and a caret for anything else."""
    return _Reader(text, file).module()


class _Name(str):
    """A name, and the number of its token."""

    __slots__ = ("at",)
    at: int


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        first, _, rest = text.partition("\n")
        if first.strip() != VERSION:
            raise ReadError.at(f"the first line must be {VERSION!r}", text, 0, file=file)
        self.tokens: list[tuple[str, str]] = []
        self.places: list[int] = []
        for m in _TOKEN.finditer(text, min(len(first) + 1, len(text))):
            kind = m.lastgroup or ""
            self.tokens.append((kind, m[kind]))
            self.places.append(m.start(kind))
            if kind == "wrong":
                raise ReadError.at("this is not a token", text, self.places[-1], file=file)
        self.tokens += [("end", "")] * 3  # as far as is looked ahead
        self.at = 0
        self.functions: dict[str, Any] = {}
        self._next = 0
        self._block = 0
        self._body = -1  # the first token of the kernel's blocks
        self._ahead: dict[str, tuple[Type, int]] | None = None  # found where a value is used that is not yet defined
        self._early: dict[str, Value] = {}  # used, not yet defined

    def fail(self, message: str, back: int = 0, name: str = "") -> ReadError:
        """An error at the next token, some tokens before it, or at a name."""
        k = name.at if isinstance(name, _Name) else self.at - back
        where = min(self.places[min(k, len(self.places) - 1)], max(len(self.text) - 1, 0))
        return ReadError.at(message, self.text, where, file=self.file)

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        return self.tokens[self.at + ahead]

    def take(self, kind: str, what: str = "") -> str:
        k, t = self.tokens[self.at]
        if k != kind or what and t != what:
            raise self.fail(f"expected {what or kind}, found {t or 'the end'}")
        name = _Name(t)
        name.at = self.at
        self.at += 1
        return name

    def data(self) -> bytes:
        try:
            return bytes.fromhex(self.take("bytes")[2:-1])
        except ValueError:
            raise self.fail("an odd number of hexadecimal digits", back=1) from None

    def mark(self, t: str) -> None:
        self.take("mark", t)

    def maybe(self, t: str) -> bool:
        kind, found = self.tokens[self.at]
        if found == t and kind in ("mark", "word", "arrow"):
            self.at += 1
            return True
        return False

    def module(self) -> Any:
        last: Any = None
        while self.peek()[0] != "end":
            kind = self.take("word")
            rule = {"graph": self.graph, "kernel": self.kernel, "tile": self.tile, "program": self.program}.get(kind)
            if rule is None:
                raise self.fail(f"expected graph, program, tile or kernel, found {kind}", back=1)
            name = self.take("global")
            last = self.functions[name] = rule(name[1:])
        if last is None:
            raise self.fail("nothing here")
        return last

    def type(self) -> Type:
        t = self.take("type")
        try:
            return parse_type(t.lstrip("!"))
        except ValueError as e:
            raise self.fail(str(e), back=1) from None

    def attr(self) -> Any:
        kind, t = self.peek()
        if kind == "bytes":
            return self.data()
        self.at += 1
        if kind == "int":
            return int(t)
        if kind == "float":
            return float.fromhex(t)
        if kind == "string":
            return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], t[1:-1])
        if kind == "extent":
            try:
                return parse_extent(t[1:-1])
            except ValueError as e:
                raise self.fail(str(e), back=1) from None
        if kind == "type" and t.startswith("!"):
            self.at -= 1
            return self.type()
        if kind == "word" and t in ("true", "false"):
            return t == "true"
        if kind == "global":
            if t not in self.functions:
                raise self.fail(f"{t} is not defined above", back=1)
            return self.functions[t]
        if t == "(":
            out = []
            while not self.maybe(")"):
                out.append(self.attr())
                if not self.maybe(","):
                    self.mark(")")
                    break
            return tuple(out)
        raise self.fail(f"expected an attribute's value, found {t}", back=1)

    def attrs(self) -> Attrs:
        out = []
        if self.peek()[1] == "{" and self.peek(2)[1] == "=":
            self.mark("{")
            while True:
                key = self.take("word")
                self.mark("=")
                out.append((key, self.attr()))
                if not self.maybe(","):
                    break
            self.mark("}")
        return tuple(sorted(out, key=lambda kv: kv[0]))

    def op(self) -> Any:
        name = self.take("word")
        found = find(name)
        if found is None:
            raise self.fail(f"there is no op {name!r}", back=1)
        return found

    # graph
    def graph(self, name: str) -> Graph:
        inputs = self.listed("value", "(", ")")
        nodes: dict[str, Node] = {}
        self.mark("{")
        outputs: list[Node] = []
        while not self.maybe("}"):
            if self.maybe("outputs"):
                outputs = [self.known(nodes, v) for v in self.listed("value")]
                continue
            left = self.take("value")
            self.mark(":")
            types = [self.type()]
            while self.maybe(","):
                types.append(self.type())
            self.mark("=")
            o = self.op()
            args = tuple(self.known(nodes, v) for v in (self.listed("value") if self.peek()[0] == "value" and self.peek(1)[1] != ":" else []))
            hint = left[1:] if not left[1:].isdigit() else ""
            nodes[left] = Node(o, args, self.attrs(), tuple(types), len(nodes), None, hint)
        return Graph(name, [self.known(nodes, v) for v in inputs], outputs)

    def ahead(self) -> dict[str, tuple[Type, int]]:
        """Type and block of each value that the kernel's instructions and blocks define: a block may use what one further down defines."""
        out: dict[str, tuple[Type, int]] = {}
        at, depth, block = self.at, 1, -1
        self.at = self._body
        try:
            while depth and self.peek()[0] != "end":
                kind, text = self.peek()
                depth += {"{": 1, "}": -1}.get(text, 0) if kind == "mark" else 0
                if kind == "block" and self.peek(1)[0] == "word":
                    block += 1
                self.at += 1
                if kind == "value" and self.peek()[1] == ":" and self.peek(1)[0] == "type":
                    self.at += 1
                    out.setdefault(text, (self.type(), block))
        finally:
            self.at = at
        return out

    def known(self, table: dict[str, Any], v: str) -> Any:
        found = table.get(v)
        if found is not None:
            return found
        if self._ahead is None and self._body >= 0:
            self._ahead = self.ahead()
        later = (self._ahead or {}).get(v)
        if later is None or later[1] <= self._block:
            raise self.fail(f"{v} is not defined", name=v)
        self._early[v] = table[v] = Value(self._next, later[0], v[1:] if not v[1:].isdigit() else "")
        self._next += 1
        return table[v]

    def listed(self, kind: str, start: str = "", end: str = "") -> list[str]:
        out: list[str] = []
        if start:
            self.mark(start)
            if self.maybe(end):
                return out
        if self.peek()[0] == kind:
            out.append(self.take(kind))
            while self.maybe(","):
                out.append(self.take(kind))
        if end:
            self.mark(end)
        return out

    # kernel and tile
    def value(self, table: dict[str, Value], text: str, ty: Type) -> Value:
        early = self._early.pop(text, None)
        if early is not None:
            if early.type != ty:
                raise self.fail(f"{text} is used as {early.type}", name=text)
            return early
        if text in table and table[text].type is not None and getattr(table[text], "name", "") != "?":
            raise self.fail(f"{text} is defined twice", name=text)
        v = Value(self._next, ty, text[1:] if not text[1:].isdigit() else "")
        self._next += 1
        table[text] = v
        return v

    def typed(self, table: dict[str, Value]) -> tuple[Value, ...]:
        """(%a: f32, %b: i1) in parentheses."""
        out: list[Value] = []
        self.mark("(")
        while not self.maybe(")"):
            text = self.take("value")
            self.mark(":")
            out.append(self.value(table, text, self.type()))
            if not self.maybe(","):
                self.mark(")")
                break
        return tuple(out)

    def facts(self) -> dict[str, int]:
        out = {}
        while self.peek()[0] == "word" and self.peek(1)[1] == "=":
            key = self.take("word")
            self.mark("=")
            out[key] = int(self.take("int"))
        return out

    def params(self, table: dict[str, Value]) -> tuple[Param, ...]:
        out = []
        self.mark("(")
        while not self.maybe(")"):
            text = self.take("value")
            self.mark(":")
            v = self.value(table, text, self.type())
            role = self.take("word")
            elem, access = None, "rw"
            if role == "pointer":
                elem, access = self.type(), self.take("word")
            align = self.facts().get("align", 1)
            out.append(Param(v, role, elem, access, align, self.maybe("noalias")))
            if not self.maybe(","):
                self.mark(")")
                break
        return tuple(out)

    def instr(self, table: dict[str, Value], later: list[Any] | None) -> Instr:
        results: list[tuple[str, Type]] = []
        while self.peek()[0] == "value":
            text = self.take("value")
            self.mark(":")
            results.append((text, self.type()))
            if not self.maybe(","):
                self.mark("=")
                break
        o = self.op()
        args = tuple(self.known(table, v) for v in (self.listed("value") if self.peek()[0] == "value" and self.peek(1)[1] != ":" else []))
        attrs = self.attrs()
        guard, through = None, ()
        if self.peek(2)[1] not in ("{", "region") and self.maybe("if"):  # else it is the op of that name: the next instruction
            guard = self.known(table, self.take("value"))
            if self.maybe("else"):
                through = tuple(self.known(table, v) for v in self.listed("value", "(", ")"))
        edges = []
        if self.maybe("->"):
            while True:
                target = int(self.take("block")[1:])
                edges.append((target, self.listed("value", "(", ")")))
                if not self.maybe(","):
                    break
        regions = []
        while self.peek() == ("word", "region"):
            self.at += 1
            regions.append(self.region(table))
        made = tuple(self.value(table, text, ty) for text, ty in results)
        if later is not None and edges:
            later.append(edges)
        found = tuple(Edge(t, tuple(self.known(table, v) for v in a)) for t, a in edges)
        return Instr(o, args, attrs, made, guard, through, found, tuple(regions))

    def region(self, table: dict[str, Value]) -> Region:
        params = self.typed(table)
        self.mark("{")
        instrs = []
        while not self.maybe("yield"):
            instrs.append(self.instr(table, None))
        yields = tuple(self.known(table, v) for v in self.listed("value"))
        self.mark("}")
        return Region(params, tuple(instrs), yields)

    def kernel(self, name: str) -> Kernel:
        self._next = 0
        table: dict[str, Value] = {}
        facts, meta = self.facts(), self.attrs()
        params = self.params(table)
        self.mark("{")
        self._body, self._ahead = self.at, None
        blocks: list[Block] = []
        while not self.maybe("}"):
            self.take("block")
            self._block = len(blocks)
            label = self.take("word")
            inner = self.typed(table)
            self.mark(":")
            instrs = []
            while self.peek()[0] != "block" and self.peek()[1] != "}":
                instrs.append(self.instr(table, None))
            blocks.append(Block(label, inner, tuple(instrs)))
        self._body, self._ahead = -1, None
        return Kernel(name, params, tuple(blocks), warps=facts.get("warps"), lanes=facts.get("lanes"), shared=facts.get("shared", 0),
                      local=facts.get("local", 0), meta=meta)  # fmt: skip

    def tile(self, name: str) -> TileProgram:
        self._next = 0
        table: dict[str, Value] = {}
        facts, meta = self.facts(), self.attrs()
        params = self.params(table)
        self.mark("{")
        instrs = []
        while not self.maybe("}"):
            instrs.append(self.instr(table, None))
        return TileProgram(name, params, Region((), tuple(instrs), ()), warps=facts.get("warps", 1), lanes=facts.get("lanes", 32), meta=meta)

    # program
    def program(self, name: str) -> Program:
        meta = self.attrs()
        self.mark("{")
        buffers: dict[str, Buffer] = {}
        inputs: list[str] = []
        outputs: list[str] = []
        steps: list[Step] = []
        while not self.maybe("}"):
            if self.maybe("buffer"):
                b, kind, ty = self.take("global"), self.take("word"), self.type()
                if not isinstance(ty, Array):
                    from .types import array

                    ty = array(ty.elem, ())
                buffers[b] = Buffer(b[1:], ty, kind, self.data() if self.peek()[0] == "bytes" else None)
            elif self.maybe("inputs"):
                inputs = self.listed("global")
            elif self.maybe("outputs"):
                outputs = self.listed("global")
            else:
                steps.append(self.step(buffers))
        ins, outs = (tuple(self.known(buffers, n) for n in names) for names in (inputs, outputs))
        return Program(name, tuple(buffers.values()), ins, outs, tuple(steps), meta)

    def buffer(self, buffers: dict[str, Buffer]) -> Buffer:
        return self.known(buffers, self.take("global"))  # type: ignore[no-any-return]

    def step(self, buffers: dict[str, Buffer]) -> Step:
        kind = self.take("word")
        if kind == "launch":
            fn = self.known(self.functions, self.take("global"))
            grid = self.attr()
            args: list[Any] = []
            self.mark("(")
            while not self.maybe(")"):
                args.append(self.buffer(buffers) if self.peek()[0] == "global" else self.attr())
                if not self.maybe(","):
                    self.mark(")")
                    break
            return Launch(fn, grid, tuple(args))
        if kind == "copy":
            dst = self.buffer(buffers)
            self.mark(",")
            return Copy(dst, self.buffer(buffers))
        if kind == "fill":
            dst = self.buffer(buffers)
            self.mark(",")
            return Fill(dst, self.attr())
        if kind == "check":
            flag = self.buffer(buffers)
            self.mark(",")
            message = self.attr()
            self.mark(",")
            return Check(flag, message, self.attr() or None)
        if kind == "loop":
            return self.loop(buffers)
        raise self.fail(f"there is no step {kind!r}", back=1)

    def loop(self, buffers: dict[str, Buffer]) -> Loop:
        facts: dict[str, Any] = {}
        while self.peek()[0] == "word" and self.peek(1)[1] == "=":
            key = self.take("word")
            self.mark("=")
            facts[key] = int(self.take("int")) if key == "count" else self.buffer(buffers)
        before, body = [], []
        self.mark("{")
        while not self.maybe("}"):
            before.append(self.step(buffers))
        self.take("word", "do")
        self.mark("{")
        while not self.maybe("}"):
            body.append(self.step(buffers))
        return Loop(tuple(body), count=facts.get("count"), counter=facts.get("counter"), cond=facts.get("cond"), before=tuple(before))
