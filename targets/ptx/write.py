"""Kernels to PTX text.  Readable: values keep their names, each group of instructions shows the Python line that it comes from.

Registers by class: %p predicates, %rs 16 bits (also i8, kept sign-extended, and the bits of f16 and bf16), %r and %rd integers, %f and %fd
floats.  Block parameters are registers that every edge writes by a parallel copy.  Constants are immediates.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from ...ir.device import DeviceFacts
from ...ir.errors import UnsupportedError
from ...ir.instr import Block, Edge, Instr, Value
from ...ir.kernel import Kernel
from ...ir.loc import Loc
from ...ir.types import F32, F64, I1, I8, I32, I64, Scalar
from .bytes import Bytes
from .expand import Expand
from .facts import ARCHS
from .products import SINCE, mma
from .rows import APPROX, FCMP, ICMP, ROWS, UNSUPPORTED

CLASS = {"i1": "p", "i8": "rs", "i16": "rs", "f16": "rs", "bf16": "rs", "i32": "r", "i64": "rd", "f32": "f", "f64": "fd"}
DECLARE = {"p": ".pred", "rs": ".b16", "r": ".b32", "rd": ".b64", "f": ".f32", "fd": ".f64"}
MOVE = {"p": "pred", "rs": "b16", "r": "b32", "rd": "b64", "f": "f32", "fd": "f64"}
MEMORY = {"i1": "u8", "i8": "s8", "i16": "b16", "f16": "b16", "bf16": "b16", "i32": "b32", "i64": "b64", "f32": "f32", "f64": "f64"}
RED = {"iadd": "add", "imin_s": "min", "imax_s": "max", "imin_u": "min", "imax_u": "max", "and": "and", "or": "or", "xor": "xor", "fadd": "add",
       "inc": "inc", "dec": "dec"}  # fmt: skip
ATOM = {**RED, "exch": "exch", "cas": "cas"}

SPACES = {"generic": "", "global": ".global", "shared": ".shared", "const": ".const", "local": ".local"}

Source = Callable[[Loc], "str | None"]


def source_line(loc: Loc) -> str | None:
    """The text of a line, if its file can be read."""
    import linecache

    return linecache.getline(loc.file, loc.line).strip() or None


class Writer(Expand):
    """One kernel."""

    def __init__(self, kernel: Kernel, facts: DeviceFacts, source: Source) -> None:
        self.k, self.facts, self.source = kernel, facts, source
        self.lines: list[str] = []
        self.count = dict.fromkeys(DECLARE, 0)
        self.named: set[str] = set()
        self.extra: list[tuple[str, str]] = []  # (class, name) of registers with names of their own
        self.reg: dict[int, str] = {}
        self.const: dict[int, Any] = {}
        self.addresses: dict[Any, str] = {}
        self.files: dict[str, int] = {}
        self.last: Loc | None = None
        self.origins: list[tuple[int, Loc]] = []  # from which of `lines` on a location holds
        self.where: list[Loc | None] = []  # of each line of the result
        self.uses_error = False
        self.bytes = Bytes(kernel) if any(i.op.name == "mma" for i in kernel.instrs()) else None

    # ---- registers and text

    def fresh(self, cls: str, name: str = "") -> str:
        if name:
            clean = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
            text = f"%{cls}_{clean}"
            n = 2
            while text in self.named:
                text, n = f"%{cls}_{clean}_{n}", n + 1
            self.named.add(text)
            self.extra.append((cls, text))
            return text
        self.count[cls] += 1
        return f"%{cls}{self.count[cls]}"

    def put(self, text: str, guard: str = "") -> None:
        self.lines.append(f"    {guard + ' ' if guard else ''}{text};")

    def into(self, cls: str, text: str) -> str:
        """An instruction whose result goes to a new register: `text` has `$` for it."""
        d = self.fresh(cls)
        self.put(text.replace("$", d))
        return d

    def cls(self, t: Any) -> str:
        found = CLASS.get(t.elem.name)
        if found is None:
            raise UnsupportedError(f"{t} has no PTX register in {self.k.name}")
        return found

    def dest(self, v: Value) -> str:
        found = self.reg.get(v.id)
        if found is None:
            found = self.reg[v.id] = self.fresh(self.cls(v.type), v.name)
        return found

    def imm(self, t: Scalar, value: Any) -> str:
        if t is F32:
            import numpy as np

            with np.errstate(over="ignore"):
                return f"0f{np.float32(value).view(np.uint32):08X}"
        if t is F64:
            return f"0d{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
        if t.is_float:
            import numpy as np

            return f"0x{np.array(value).astype(t.np).view(np.uint16):04X}"
        return str(int(value))

    def use(self, v: Value) -> str:
        """The register, or the immediate of a constant."""
        if v.id in self.const:
            t = v.type.elem
            if t is I1:
                return self.into("p", f"setp.{'eq' if self.const[v.id] else 'ne'}.s32 $, 0, 0")
            return self.imm(t, self.const[v.id])
        return self.reg[v.id]

    def register(self, v: Value) -> str:
        """The value in a register, also if it is a constant."""
        if v.id in self.const and v.type.elem is not I1:
            cls = self.cls(v.type)
            return self.into(cls, f"mov.{MOVE[cls]} $, {self.use(v)}")
        return self.use(v)

    # ---- the kernel

    def run(self) -> list[str]:
        k = self.k
        for i in k.instrs():
            if i.op.name == "constant":
                self.const[i.result.id] = i.attr("value")
        pointers = {i.args[0].id for i in k.instrs() if i.op.name in ("ld", "st", "red", "atom")}
        params = []
        for n, p in enumerate(k.params):
            name = f"{k.name}_{self.clean(p.value.name) or n}"
            t = "u64" if p.role == "pointer" else MEMORY[p.value.type.elem.name]
            hint = f" .ptr .global .align {max(p.align, 1)}" if p.role == "pointer" else ""
            params.append(f"    .param .{t}{hint} {name}")
        self.load_params(pointers)
        for n, b in enumerate(k.blocks):
            for v in b.params:
                self.reg[v.id] = self.fresh(self.cls(v.type), v.name)
        from ...ir.passes.cleanup import reverse_post_order

        order = reverse_post_order(k)
        for at, n in enumerate(order):
            self.block(n, k.blocks[n], order[at + 1] if at + 1 < len(order) else -1)
        threads = (k.warps or 1) * 32
        head = [f".visible .entry {k.name}(", ",\n".join(params), ")", f".reqntid {threads}", "{"]
        for cls, count in self.count.items():
            if count:
                head.append(f"    .reg {DECLARE[cls]:6} %{cls}<{count + 1}>;")
        by_class: dict[str, list[str]] = {}
        for cls, name in self.extra:
            by_class.setdefault(cls, []).append(name)
        for cls, names in by_class.items():
            for at in range(0, len(names), 8):
                head.append(f"    .reg {DECLARE[cls]:6} {', '.join(names[at : at + 8])};")
        if k.shared:
            head.append(f"    .shared .align 64 .b8 {k.name}_shared[{k.shared}];")
        before = sum(part.count("\n") + 1 for part in head) + 1
        self.where = [None] * (before + len(self.lines) + 1)
        for (at, loc), end in zip(self.origins, [*(at for at, _ in self.origins[1:]), len(self.lines)]):
            self.where[before + at : before + end] = [loc] * (end - at)
        return [*head, "", *self.lines, "}"]

    @staticmethod
    def clean(name: str) -> str:
        return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)

    def load_params(self, pointers: set[int]) -> None:
        for n, p in enumerate(self.k.params):
            name = f"{self.k.name}_{self.clean(p.value.name) or n}"
            cls = self.cls(p.value.type)
            if p.role == "pointer":
                raw = self.into("rd", f"ld.param.u64 $, [{name}]")
                d = self.reg[p.value.id] = self.fresh("rd", p.value.name)
                self.put(f"cvta.to.global.u64 {d}, {raw}")
            else:
                d = self.reg[p.value.id] = self.fresh(cls, p.value.name)
                self.put(f"ld.param.{MEMORY[p.value.type.elem.name]} {d}, [{name}]")

    def label(self, n: int) -> str:
        return f"${self.k.name}_{n}"

    def block(self, n: int, b: Block, following: int) -> None:
        if n:
            self.lines.append(f"{self.label(n)}:")
        self.addresses = {}
        for i in b.instrs[:-1]:
            self.comment(i.loc)
            self.instr(i)
        self.comment(b.terminator.loc)
        self.terminator(b.terminator, following)

    def comment(self, loc: Loc | None) -> None:
        if loc is None or loc == self.last:
            return
        self.last = loc
        text = self.source(loc)
        name = loc.file.replace("\\", "/").rpartition("/")[2]
        number = self.files.setdefault(name, len(self.files) + 1)
        self.origins.append((len(self.lines), loc))
        self.lines.append(f"    // {name}:{loc.line}{'  ' + text if text else ''}")
        if loc.line > 0:
            self.lines.append(f"    .loc {number} {loc.line} 0")

    # ---- instructions

    def instr(self, i: Instr) -> None:
        if self.bytes is not None and self.bytes.write(self, i):
            return
        rule = getattr(self, "_" + i.op.name, None)
        if rule is not None:
            rule(i)
            return
        if i.op.name in UNSUPPORTED:
            raise UnsupportedError(f"{i.op} for {self.facts.target}: {UNSUPPORTED[i.op.name]}", place=i.loc)
        t = i.args[0].type.elem if i.op.name != "select" else i.args[1].type.elem
        pattern = APPROX.get(i.op.name) if i.attr("approx") and t is F32 else ROWS.get(i.op.name, {}).get(t.name)
        if pattern is None:
            raise UnsupportedError(f"{i.op} on {t} for {self.facts.target}", place=i.loc)
        self.fill(i, pattern)

    def fill(self, i: Instr, pattern: str) -> None:
        attrs = dict(i.attrs)
        for k in ("rnd", "ftz", "sat"):
            if attrs.get(k, "rn") != "rn" and f"{{.{k}}}" not in pattern:
                raise self.lacks(i, k)
        text = pattern.replace("{.rnd}", "." + attrs.get("rnd", "rn"))
        text = text.replace("{.ftz}", ".ftz" if attrs.get("ftz") else "").replace("{.sat}", ".sat" if attrs.get("sat") else "")
        if "CMP" in text:
            pred = attrs.get("pred", "oeq" if i.op.name == "fcmp" else "eq")
            if i.op.name == "icmp":
                if pred[0] == "u":
                    text = text.replace(".s", ".u")
                text = text.replace("CMP", ICMP[pred])
            else:
                text = text.replace("CMP", FCMP[pred])
        name, _, operands = text.partition(" ")
        given = dict(zip("abc", i.args))
        first = True
        out = []
        for o in operands.split(", "):
            if o == "d":
                out.append(self.dest(i.result))
            else:
                v = given[o]
                # the manual allows constants anywhere; a first operand in a register reads better and always assembles
                out.append(self.register(v) if first and len(i.args) > 1 and i.op.name not in ("select",) else self.use(v))
                first = False
        self.put(f"{name} {', '.join(out)}")

    def lacks(self, i: Instr, attribute: str) -> UnsupportedError:
        types = " to ".join(dict.fromkeys(str(v.type) for v in (*i.args[:1], i.result)))
        return UnsupportedError(f"{i.op} of {types} with {attribute}={i.attr(attribute)} for {self.facts.target}", place=i.loc)

    # ---- memory

    def address(self, i: Instr, values: int) -> str:
        n = len(i.args) - values
        base, index = i.args[0], i.args[1] if n == 2 else None
        disp, scale = i.attr("disp", 0), i.attr("scale", 1)
        if i.attr("space") == "shared":
            return self.shared_address(base, index, scale, disp)
        key = (base.id, None if index is None else index.id, scale)
        found = self.addresses.get(key)
        if found is None:
            if index is None:
                found = self.register(base)
            elif index.id in self.const:
                disp += self.const[index.id] * scale
                return f"[{self.register(base)}{disp:+}]"
            elif index.type is I32:
                found = self.into("rd", f"mad.wide.s32 $, {self.use(index)}, {scale}, {self.register(base)}")
            else:
                found = self.into("rd", f"mad.lo.s64 $, {self.use(index)}, {scale}, {self.register(base)}")
            self.addresses[key] = found
        return f"[{found}{disp:+}]" if disp else f"[{found}]"

    def shared_address(self, base: Value, index: Value | None, scale: int, disp: int) -> str:
        key = ("shared", base.id, None if index is None else index.id, scale)
        found = self.addresses.get(key)
        if found is None:
            start = self.into("r", f"mov.u32 $, {self.k.name}_shared")
            found = start if self.const.get(base.id) == 0 else self.into("r", f"add.s32 $, {start}, {self.use(base)}")
            if index is not None:
                if index.type is I64:
                    low = self.into("r", f"cvt.u32.u64 $, {self.register(index)}")
                    found = self.into("r", f"mad.lo.s32 $, {low}, {scale}, {found}")
                else:
                    found = self.into("r", f"mad.lo.s32 $, {self.use(index)}, {scale}, {found}")
            self.addresses[key] = found
        return f"[{found}{disp:+}]" if disp else f"[{found}]"

    def guard(self, i: Instr) -> str:
        return "" if i.guard is None else f"@{self.use(i.guard)}"

    def _ld(self, i: Instr) -> None:
        elem, count = i.attr("to"), i.attr("count", 1)
        at, guard = self.address(i, 0), self.guard(i)
        dests = [self.fresh("rs") if elem is I1 else self.dest(r) for r in i.results]
        for k, p in enumerate(i.passthrough):
            if elem is I1:
                self.put(f"selp.u16 {dests[k]}, 1, 0, {self.use(p)}")
            else:
                self.put(f"mov.{MOVE[self.cls(elem)]} {dests[k]}, {self.use(p)}")
        name = f"ld{self.order(i)}"
        if count == 1:
            self.put(f"{name}.{MEMORY[elem.name]} {dests[0]}, {at}", guard)
        else:
            self.put(f"{name}.v{count}.{MEMORY[elem.name]} {{{', '.join(dests)}}}, {at}", guard)
        if elem is I1:
            for d, r in zip(dests, i.results):
                self.put(f"setp.ne.s16 {self.dest(r)}, {d}, 0")

    def _st(self, i: Instr) -> None:
        elem, count = i.attr("to"), i.attr("count", 1)
        at, guard = self.address(i, count), self.guard(i)
        values = []
        for v in i.args[len(i.args) - count :]:
            values.append(self.into("rs", f"selp.u16 $, 1, 0, {self.use(v)}") if elem is I1 else self.register(v))
        memory = "u8" if elem in (I1, I8) else MEMORY[elem.name]
        if count == 1:
            self.put(f"st{self.order(i)}.{memory} {at}, {values[0]}", guard)
        else:
            self.put(f"st{self.order(i)}.v{count}.{memory} {at}, {{{', '.join(values)}}}", guard)

    def order(self, i: Instr, usual: str = "weak") -> str:
        """`.volatile`, or order and scope, and the state space, of an access."""
        order, space = i.attr("order", usual), i.attr("space", "global")
        if order == "sc" or space not in SPACES:
            raise UnsupportedError(f"{i.op} in {space} memory, order {order}, for {self.facts.target}", place=i.loc)
        how = ".volatile" if i.attr("volatile") else "" if order == "weak" else f".{order}.{i.attr('scope', 'gpu')}"
        return how + SPACES[space]

    def _red(self, i: Instr) -> None:
        self.atomic(i, "red", RED)

    def _atom(self, i: Instr) -> None:
        self.atomic(i, "atom", ATOM)

    def atomic(self, i: Instr, name: str, known: dict[str, str]) -> None:
        elem, fn = i.attr("to"), i.attr("fn")
        if fn not in known or elem.bits < 32 or elem.is_float and fn not in ("fadd", "exch", "cas") or fn in ("inc", "dec") and elem is not I32:
            raise UnsupportedError(f"atomic {fn} on {elem} for {self.facts.target}", place=i.loc)
        letter = "b" if fn in ("and", "or", "xor", "exch", "cas") else "u" if fn in ("iadd", "inc", "dec") or fn.endswith("_u") else "s"
        t = elem.name if fn == "fadd" else f"{letter}{elem.bits}"
        values = i.args[-2:] if fn == "cas" else i.args[-1:]
        at, guard = self.address(i, len(values)), self.guard(i)
        operands = [at, *(self.register(v) for v in values)]
        if name == "atom":
            d = self.dest(i.result)
            operands.insert(0, d)
            for p in i.passthrough:
                self.put(f"mov.{MOVE[self.cls(elem)]} {d}, {self.use(p)}")
        self.put(f"{name}{self.order(i, 'relaxed')}.{known[fn]}.{t} {', '.join(operands)}", guard)

    def _bar(self, i: Instr) -> None:
        self.put(f"bar.sync {i.attr('id', 0)}")

    def _fence(self, i: Instr) -> None:
        self.put(f"fence.{i.attr('order', 'acq_rel')}.{i.attr('scope', 'gpu')}")

    def _report(self, i: Instr) -> None:
        self.uses_error = True
        code = self.into("r", f"mov.u32 $, {i.attr('code', 1)}")
        self.put(f"st.global.u32 [ptxjit_error], {code}", f"@{self.use(i.args[0])}")

    # ---- special values

    def _constant(self, i: Instr) -> None:
        pass  # used as an immediate

    def _undef(self, i: Instr) -> None:
        self.put(f"mov.{MOVE[self.cls(i.result.type)]} {self.dest(i.result)}, {self.imm(i.result.type.elem, 0)}")

    def _sreg(self, i: Instr) -> None:
        name, d = i.attr("name"), self.dest(i.result)
        if name == "warpid":
            tid = self.into("r", "mov.u32 $, %tid.x")
            self.put(f"shr.u32 {d}, {tid}, 5")
        elif name == "nwarpid":  # the register of that name is what a multiprocessor can hold
            x = self.into("r", "mov.u32 $, %ntid.x")
            for axis in "yz":
                n = self.into("r", f"mov.u32 $, %ntid.{axis}")
                x = self.into("r", f"mul.lo.u32 $, {x}, {n}")
            x = self.into("r", f"add.u32 $, {x}, 31")
            self.put(f"shr.u32 {d}, {x}, 5")
        elif name == "is_explicit_cluster":
            self.put(f"selp.u32 {d}, 1, 0, {self.into('p', 'mov.pred $, %is_explicit_cluster')}")
        else:
            self.put(f"mov.{'u64' if i.result.type is I64 else 'u32'} {d}, %{name}")

    # ---- across lanes

    def _shfl(self, i: Instr) -> None:
        v, by = i.args
        mode, t = i.attr("mode"), v.type.elem
        clamp = "0" if mode == "up" else "31"
        tail = f"{self.use(by)}, {clamp}, 0xffffffff"
        if t.bits == 64:
            x = self.register(v)
            lo, hi = self.fresh("r"), self.fresh("r")
            self.put(f"mov.b64 {{{lo}, {hi}}}, {x}")
            lo2, hi2 = (self.into("r", f"shfl.sync.{mode}.b32 $, {h}, {tail}") for h in (lo, hi))
            self.put(f"mov.b64 {self.dest(i.result)}, {{{lo2}, {hi2}}}")
        elif t.bits == 32:
            self.put(f"shfl.sync.{mode}.b32 {self.dest(i.result)}, {self.register(v)}, {tail}")
        elif t is I1:
            wide = self.into("r", f"selp.u32 $, 1, 0, {self.use(v)}")
            got = self.into("r", f"shfl.sync.{mode}.b32 $, {wide}, {tail}")
            self.put(f"setp.ne.u32 {self.dest(i.result)}, {got}, 0")
        else:
            wide = self.into("r", f"cvt.u32.u16 $, {self.register(v)}")
            got = self.into("r", f"shfl.sync.{mode}.b32 $, {wide}, {tail}")
            self.put(f"cvt.u16.u32 {self.dest(i.result)}, {got}")

    def _vote_any(self, i: Instr) -> None:
        self.put(f"vote.sync.any.pred {self.dest(i.result)}, {self.use(i.args[0])}, 0xffffffff")

    def _vote_all(self, i: Instr) -> None:
        self.put(f"vote.sync.all.pred {self.dest(i.result)}, {self.use(i.args[0])}, 0xffffffff")

    def _mma(self, i: Instr) -> None:
        mma(self, i)

    # ---- control

    def terminator(self, t: Instr, following: int) -> None:
        if t.op.name == "return":
            self.put("ret")
        elif t.op.name == "trap":
            self.put("trap")
        elif t.op.name == "jump":
            self.copies(t.edges[0])
            if t.edges[0].target != following:
                self.put(f"bra.uni {self.label(t.edges[0].target)}")
        elif t.op.name == "branch":
            self.branch(t, following)
        else:
            raise UnsupportedError(f"{t.op} for {self.facts.target}", place=t.loc)

    def branch(self, t: Instr, following: int) -> None:
        yes, no = t.edges
        p = self.use(t.args[0])
        if not self.moves(yes):
            self.put(f"bra {self.label(yes.target)}", f"@{p}")
            self.copies(no)
            if no.target != following:
                self.put(f"bra.uni {self.label(no.target)}")
            return
        if not self.moves(no):
            self.put(f"bra {self.label(no.target)}", f"@!{p}")
            self.copies(yes)
            if yes.target != following:
                self.put(f"bra.uni {self.label(yes.target)}")
            return
        self.count_edges = getattr(self, "count_edges", 0) + 1
        other = f"${self.k.name}_e{self.count_edges}"
        self.put(f"bra {other}", f"@!{p}")
        self.copies(yes)
        self.put(f"bra.uni {self.label(yes.target)}")
        self.lines.append(f"{other}:")
        self.copies(no)
        if no.target != following:
            self.put(f"bra.uni {self.label(no.target)}")

    def moves(self, e: Edge) -> list[tuple[str, str, str]]:
        """(class, to, from) of the copies that an edge needs."""
        out = []
        for a, p in zip(e.args, self.k.blocks[e.target].params):
            d = self.reg[p.id]
            s = self.use(a)
            if s != d:
                out.append((self.cls(p.type), d, s))
        return out

    def copies(self, e: Edge) -> None:
        """The parallel copy of an edge, in an order that overwrites nothing still needed; a cycle goes through a temporary."""
        for cls, d, s in sequential(self.moves(e), self.fresh):
            self.put(f"mov.{MOVE[cls]} {d}, {s}")


def sequential(moves: Sequence[tuple[str, str, str]], fresh: Callable[[str], str]) -> list[tuple[str, str, str]]:
    """A parallel copy as a sequence of single ones."""
    pending = list(moves)
    out: list[tuple[str, str, str]] = []
    while pending:
        read = {s for _, _, s in pending}
        ready = [m for m in pending if m[1] not in read]
        if ready:
            out.extend(ready)
            pending = [m for m in pending if m[1] in read]
            continue
        cls, d, s = pending[0]  # all destinations are still read: a cycle
        t = fresh(cls)
        out.append((cls, t, d))
        pending = [(c, to, t if frm == d else frm) for c, to, frm in pending]
    return out


def write_module(kernels: Sequence[Kernel], facts: DeviceFacts, *, source: Source = source_line, origins: list[Loc | None] | None = None) -> str:
    """A PTX module with one entry per kernel.  `origins` gets the location of each line."""
    arch = facts.target.partition(":")[2]
    isa = ARCHS[arch].isa
    if any(i.op.name == "mma" for k in kernels for i in k.instrs()):
        isa = max(isa, SINCE, key=lambda v: [int(x) for x in v.split(".")])
    bodies: list[str] = []
    files: dict[str, int] = {}
    error = False
    where: list[Loc | None] = []
    for k in kernels:
        w = Writer(k, facts, source)
        w.files = files
        bodies.append("\n".join(w.run()))
        where += [None, *w.where]
        error |= w.uses_error
    head = ["//", "// Generated by ptxjit", "//", "", f".version {isa}", f".target {arch}", ".address_size 64", ""]
    head += [f'.file {n} "{name}"' for name, n in files.items()]
    if error:
        head.append(".visible .global .u32 ptxjit_error;")
    if origins is not None:
        origins += [None] * len(head) + where
    return "\n".join(head) + "\n\n" + "\n\n".join(bodies) + "\n"


