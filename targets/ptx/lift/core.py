"""One entry with everything that it calls, as a kernel.

Blocks are lifted in order.  A register that a block reads before it writes it becomes a block parameter; when all blocks are there the
parameters' arguments are gathered from the predecessors, and parameters that only ever get one value go away.  Calls are inlined, except of
functions that call themselves or whose address is taken: these become functions of the kernel, which get the addresses of their results
and parameters.  `.param` variables of a call are values where both sides agree on the pieces, else memory of the lane.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ....ir.errors import BugError, PtxjitError, ReadError, UnsupportedError
from ....ir.instr import Block, Edge, Instr, Param, Value
from ....ir.kernel import Kernel
from ....ir.op import Attrs, LaneOps, Op, freeze_attrs, op
from ....ir.ops.memory import SREGS
from ....ir.types import BF16, F16, F32, F64, I1, I8, I16, I32, I64, I128, Scalar, Type
from ..lex import Source
from ..rows.matching import Mismatch, match
from ..rows.table import VERSION, version_of
from ..syntax import (
    Address,
    Directive,
    Element,
    Function,
    Group,
    Imm,
    Instruction,
    Item,
    Label,
    Module,
    Neg,
    Not,
    Pair,
    Plus,
    Position,
    Prototype,
    Reg,
    Scope,
    Sink,
    Sym,
    Targets,
    Variable,
    Vec,
)  # fmt: skip

BYTES = {"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "bf16": 2, "b32": 4, "u32": 4, "s32": 4, "f32": 4, "f16x2": 4,
         "bf16x2": 4, "b64": 8, "u64": 8, "s64": 8, "f64": 8, "b128": 16, "pred": 1, "tf32": 4, "e4m3x2": 2, "e5m2x2": 2, "texref": 8,
         "samplerref": 8, "surfref": 8, "e4m3x4": 4, "e5m2x4": 4, "e2m1x2": 1, "e2m1x4": 2, "e2m3x2": 2,
         "e3m2x2": 2, "e2m3x4": 4, "e3m2x4": 4, "ue8m0x2": 2, "s2f6x2": 2, "u16x2": 4, "s16x2": 4, "f32x2": 8, "b1": 1}  # fmt: skip
TYPES: dict[str, Scalar] = {"pred": I1, "f16": F16, "bf16": BF16, "f32": F32, "f64": F64, "b128": I128}
_INT = {1: I8, 2: I16, 4: I32, 8: I64, 16: I128}
RESERVED, RESERVED_SIZE = "%reserved", 1024  # the region of shared memory that belongs to the system, as its own variable
WORKSPACE = "grid.workspace"  # the hidden parameter: words of the system for a cooperative launch, else null
MASK_SREGS = ("lanemask_eq", "lanemask_le", "lanemask_lt", "lanemask_ge", "lanemask_gt")


def ir_type(t: str) -> Scalar:
    """The IR's type of an instruction's or a variable's PTX type; packed types are integers."""
    found = TYPES.get(t)
    return found if found is not None else _INT[BYTES[t]]


def reg_type(t: str) -> Scalar:
    """Of a register: 16-bit floats are held as bits."""
    return {"pred": I1, "f32": F32, "f64": F64}.get(t) or _INT[BYTES[t]]


class Place(NamedTuple):
    """Where an instruction stands in the PTX; prints as `file.ptx:12:5`."""

    file: str
    line: int
    column: int
    position: Position | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Entry(NamedTuple):
    """A lifted entry.

    kernel    its kernel: declared parameters first, then one i64 per name in `symbols`
    params    (name, PTX type, bytes, by_address) of each declared parameter: `by_address` ones are passed as the address of their bytes
    symbols   module variables whose addresses are the hidden parameters     dynamic   offset at which dynamic shared memory begins, or None
    facts     ('maxntid', …), ('reqntid', …) …                              numbers   function → its number, for tables of function pointers
    """

    kernel: Kernel
    params: tuple[tuple[str, str, int, bool], ...]
    symbols: tuple[str, ...]
    dynamic: int | None
    facts: dict[str, tuple[Any, ...]]
    numbers: dict[str, int]


class _Block:
    __slots__ = ("name", "instrs", "entry", "defs", "term", "targets", "args")

    def __init__(self, name: str) -> None:
        self.name = name
        self.instrs: list[Instr] = []
        self.entry: dict[Any, Value] = {}  # variable → block parameter
        self.defs: dict[Any, Value] = {}
        self.term: tuple[Op, tuple[Value, ...], Attrs, Any] | None = None
        self.targets: list[int] = []


class _Frame:
    """One activation of a function that is being lifted in line."""

    __slots__ = ("fn", "labels", "after", "params", "tables", "protos", "parent", "site", "positions")

    def __init__(self, fn: Function, after: int, params: dict[int, Any], parent: _Frame | None, site: Position | None = None) -> None:
        self.fn, self.after, self.params, self.parent, self.site = fn, after, params, parent, site
        self.positions: dict[int, Position] = {}
        self.labels: dict[tuple[int, str], int] = {}
        self.tables: dict[str, tuple[str, ...]] = {}
        self.protos: dict[str, Prototype] = {}


class _Slot:
    """A `.param` variable: values of pieces (offset → bytes), or memory (`address`, in `space`)."""

    __slots__ = ("pieces", "space", "address", "key")

    def __init__(self, key: Any, pieces: dict[int, int] | None, space: str = "", address: Value | None = None) -> None:
        self.key, self.pieces, self.space, self.address = key, pieces, space, address


class Body(LaneOps):
    """A kernel under construction, and the builder that lifters write through."""

    def __init__(self, module: Module, name: str, program: _Program) -> None:
        self.module, self.name, self.program = module, name, program
        self.version = version_of(module.version)
        self.blocks: list[_Block] = [_Block("entry")]
        self.at = self.blocks[0]
        self.next = 0
        self.loc: Place | None = None
        self.doing = ""  # the instruction at `loc`
        self.consts: dict[Any, Value] = {}
        self.const_instrs: list[Instr] = []
        self.casts: dict[int, Value] = {}
        self.frames: list[_Frame] = []
        self.params: list[Param] = []
        self.local = 0
        self.local_at: dict[Any, int] = {}
        self.shared_at: dict[Any, int] = {}
        self.shared = 0
        self.dynamic: Value | None = None
        self.symbols: dict[str, Value] = {}
        self.frame: _Frame = None  # type: ignore[assignment]
        self.scope: list[int] = [0]

    # ---- values

    def value(self, ty: Type, name: str = "") -> Value:
        v = Value(self.next, ty, name)
        self.next += 1
        return v

    def emit(self, o: Op, args: Sequence[Value], attrs: Attrs = (), guard: Value | None = None, old: Sequence[Value] = ()) -> Any:
        args = tuple(args)
        results = tuple([self.value(t) for t in o.infer(tuple([a.type for a in args]), attrs)])
        self.at.instrs.append(Instr(o, args, attrs, results, guard, tuple(old), (), (), self.loc))  # type: ignore[arg-type]
        return results[0] if len(results) == 1 else results

    def make(self, name: str, /, *args: Value, guard: Value | None = None, old: Sequence[Value] = (), **attrs: Any) -> Any:
        return self.emit(op(name), args, freeze_attrs(attrs), guard, old)

    def const(self, ty: Type, value: Any) -> Value:
        assert isinstance(ty, Scalar)
        if ty.is_float:
            value = float(value)
        elif ty is I1:
            value = bool(value)
        else:
            m = 1 << ty.bits
            value = (int(value) + m // 2) % m - m // 2
        key = (ty, value.hex() if ty.is_float else value)
        found = self.consts.get(key)
        if found is None:
            found = self.consts[key] = self.value(ty)
            self.const_instrs.append(Instr(op("constant"), (), (("type", ty), ("value", value)), (found,)))
        return found

    def constant_of(self, v: Value) -> Any:
        """The Python value of a constant, or None."""
        for i in self.const_instrs:
            if i.results[0] is v:
                return i.attr("value")
        return None

    def both(self, a: Value, b: Value) -> Value:
        return self.make("and", a, b)  # type: ignore[no-any-return]

    def either(self, a: Value, b: Value) -> Value:
        return self.make("or", a, b)  # type: ignore[no-any-return]

    def invert(self, a: Value) -> Value:
        return self.make("not", a)  # type: ignore[no-any-return]

    def cast(self, v: Value, ty: Scalar) -> Value:
        """The same bits as another type of the same width."""
        if v.type is ty:
            return v
        back = self.casts.get(v.id)
        if back is not None and back.type is ty:
            return back
        out: Value = self.make("bitcast", v, to=ty)
        self.casts[out.id] = v
        return out

    def bits(self, v: Value) -> Value:
        """Any value as an integer of its width."""
        ty = v.type.elem
        return self.cast(v, _INT[ty.bits // 8]) if ty.is_float else v

    def resize(self, v: Value, ty: Scalar, signed: bool = False) -> Value:
        """An integer widened or cut to another width."""
        have = v.type.elem
        if have.bits == ty.bits:
            return v
        if have.bits > ty.bits:
            return self.make("itrunc", v, to=ty)  # type: ignore[no-any-return]
        return self.make("sext" if signed else "zext", v, to=ty)  # type: ignore[no-any-return]

    # ---- variables

    def read(self, key: Any, ty: Scalar, name: str = "") -> Value:
        found = self.at.defs.get(key)
        if found is None:
            found = self.at.entry.get(key)
        if found is None:
            found = self.at.entry[key] = self.value(ty, name)
        return found

    def write(self, key: Any, v: Value) -> None:
        self.at.defs[key] = v

    # ---- blocks

    def block(self, name: str) -> int:
        self.blocks.append(_Block(name))
        return len(self.blocks) - 1

    def start(self, n: int) -> None:
        self.at = self.blocks[n]

    def end(self, name: str, args: tuple[Value, ...] = (), targets: Sequence[int] = (), **attrs: Any) -> None:
        if self.at.term is None:
            self.at.term = (op(name), args, freeze_attrs(attrs), self.loc)
            self.at.targets = list(targets)

    def fall_into(self, n: int) -> None:
        self.end("jump", (), (n,))
        self.start(n)

    # ---- the end

    def finish(self, results_meta: tuple[tuple[str, Any], ...] = (), functions: tuple[Kernel, ...] = ()) -> Kernel:
        order = self._reachable()
        before: dict[int, list[int]] = {n: [] for n in order}
        for n in order:
            for t in self.blocks[n].targets:
                before[t].append(n)
        self._complete(order, before)
        same = self._trivial(order, before)

        def look(v: Value) -> Value:
            while v.id in same:
                v = same[v.id]
            return v

        number = {n: k for k, n in enumerate(order)}
        out = []
        kept = {n: [(k, p) for k, p in self.blocks[n].entry.items() if p.id not in same] for n in order}
        for n in order:
            b = self.blocks[n]
            instrs = list(self.const_instrs) if n == 0 else []
            for i in b.instrs:
                guard = None if i.guard is None else look(i.guard)
                instrs.append(Instr(i.op, tuple([look(a) for a in i.args]), i.attrs, i.results, guard,
                                    tuple([look(p) for p in i.passthrough]), (), (), i.loc))  # fmt: skip
            assert b.term is not None
            o, args, attrs, loc = b.term
            edges = tuple(Edge(number[t], tuple(look(self._out(n, k, p)) for k, p in kept[t])) for t in b.targets)
            instrs.append(Instr(o, tuple(look(a) for a in args), attrs, (), None, (), edges, (), loc))
            out.append(Block(b.name, tuple(p for _, p in kept[n]), tuple(instrs)))
        return Kernel(self.name, tuple(self.params), tuple(out), shared=self.shared, local=self.local, functions=functions, meta=results_meta)

    def _reachable(self) -> list[int]:
        seen, order, stack = {0}, [], [0]
        while stack:
            n = stack.pop()
            order.append(n)
            b = self.blocks[n]
            if b.term is None:  # fell off the end
                b.term = (op("return"), (), (), None)
            for t in b.targets:
                if t not in seen:
                    seen.add(t)
                    stack.append(t)
        return sorted(order)

    def _out(self, n: int, key: Any, like: Value) -> Value:
        b = self.blocks[n]
        found = b.defs.get(key)
        if found is None:
            found = b.entry.get(key)
        if found is None:
            assert n == 0
            found = b.defs[key] = self.value(like.type)
            b.instrs.insert(0, Instr(op("undef"), (), (("to", like.type),), (found,)))
        return found

    def _complete(self, order: list[int], before: dict[int, list[int]]) -> None:
        """Every predecessor of a block passes what the block reads: those that do not have it read it too."""
        entry = self.blocks[0]
        for key, v in list(entry.entry.items()):
            entry.instrs.insert(0, Instr(op("undef"), (), (("to", v.type),), (v,)))
            entry.defs.setdefault(key, v)
        entry.entry = {}
        work = [(n, k) for n in order for k in self.blocks[n].entry]
        while work:
            n, key = work.pop()
            like = self.blocks[n].entry[key]
            for p in before[n]:
                b = self.blocks[p]
                if key in b.defs or key in b.entry:
                    continue
                if p == 0:
                    self._out(0, key, like)
                    continue
                b.entry[key] = self.value(like.type, like.name)
                work.append((p, key))

    def _trivial(self, order: list[int], before: dict[int, list[int]]) -> dict[int, Value]:
        same: dict[int, Value] = {}

        def look(v: Value) -> Value:
            while v.id in same:
                v = same[v.id]
            return v

        changed = True
        while changed:
            changed = False
            for n in order:
                for key, p in self.blocks[n].entry.items():
                    if p.id in same:
                        continue
                    only: Value | None = None
                    for m in before[n]:
                        v = look(self._out(m, key, p))
                        if v is p or v is only:
                            continue
                        if only is not None:
                            only = None
                            break
                        only = v
                    else:
                        if only is not None:
                            same[p.id] = only
                            changed = True
        return same

    # ---- operands

    def fail(self, message: str, hint: str | None = None) -> UnsupportedError:
        """The error that names the instruction and its place."""
        return UnsupportedError(message if self.doing in message else f"{self.doing}: {message}", place=self.loc, hint=hint)

    def mismatch(self, i: Instruction, e: Mismatch) -> PtxjitError:
        """The error of an instruction that is not in the table: the file's fault, unless it is of a newer PTX ISA than the table."""
        if self.version > version_of(VERSION):
            return UnsupportedError(f"{e.message} (the rows are those of PTX ISA {VERSION}, this module is of {self.module.version})", place=self.loc, hint=e.hint)
        return Source(self.module.text, self.module.name).error(e.message, i.start, e.hint or None)

    def source(self, o: Any, t: str) -> Value:
        """An operand as a value of PTX type `t`."""
        ty = ir_type(t)
        if isinstance(o, Imm):
            return self.immediate(o, ty)
        if isinstance(o, Not):
            return self.invert(self.source(o.item, t))
        if isinstance(o, Reg):
            v = self.register(o)
        elif isinstance(o, Sym):
            v = self.address_of(o)
        elif isinstance(o, Vec) and len(o.items) == 1:
            return self.source(o.items[0], t)
        elif isinstance(o, Address) and isinstance(o.base, Sym):  # mov %rd1, table+8
            v = self.address_of(o.base)
            v = self.make("iadd", v, self.const(v.type, o.offset)) if o.offset else v
        elif isinstance(o, Neg):
            return self.make("ineg", self.source(o.item, t))  # type: ignore[no-any-return]
        elif isinstance(o, Plus) and not (v := self.register(o.item)).type.elem.is_float and v.type is not I1 and not ty.is_float:
            v = self.make("iadd", v, self.const(v.type, o.offset))
        elif isinstance(o, Address):
            raise self.fail(f"{o!r} cannot be an operand here")
        else:
            raise self.fail(f"an operand of this form ({type(o).__name__}) cannot be read here")
        have = v.type.elem
        if have is ty:
            return v
        if have.bits == ty.bits:
            return self.cast(v, ty)
        if ty is I1 or have is I1:
            raise self.fail(f"{o!r} is a {have} where {t} is needed")
        if have.bits > ty.bits:  # wider registers give their low bits
            return self.cast(self.resize(self.bits(v), _INT[ty.bits // 8]), ty)
        return self.cast(self.resize(self.bits(v), _INT[ty.bits // 8], t[0] == "s"), ty)

    def immediate(self, o: Imm, ty: Scalar) -> Value:
        if ty.is_float:
            if o.kind == "f32":
                x = struct.unpack("<f", struct.pack("<I", o.value))[0]
                if ty is F32 and x != x:
                    return self.cast(self.const(I32, o.value), F32)
            elif o.kind == "f64":
                x = struct.unpack("<d", struct.pack("<Q", o.value))[0]
                if ty is F64 and x != x:
                    return self.cast(self.const(I64, o.value), F64)
            elif ty.bits == 16:  # f16 and bf16 immediates are bits
                return self.cast(self.const(I16, o.value), ty)
            else:
                x = float(o.value)
            return self.const(ty, x)
        if ty is I1:
            return self.const(I1, o.value != 0)
        if o.kind == "f64" and ty.bits == 32:  # a decimal float where 32 bits are wanted
            return self.const(ty, struct.unpack("<I", struct.pack("<f", struct.unpack("<d", struct.pack("<Q", o.value))[0]))[0])
        return self.const(ty, o.value)

    def register(self, o: Reg) -> Value:
        if o.decl is None:
            return self.special(o.name)
        return self.read(self.reg_key(o), reg_type(o.decl.type), o.name.lstrip("%"))

    def reg_key(self, o: Reg) -> Any:
        return (id(self.frame), id(o.decl), o.name, o.part)

    def special(self, name: str) -> Value:
        word = name.lstrip("%")
        if word == "WARP_SZ":
            return self.const(I32, 32)
        if word in SREGS:
            if word.startswith(("clock", "globaltimer")):
                v = self.make("read_clock", name="globaltimer" if word.startswith("global") else "clock64")
                if word.endswith("_hi"):
                    v = self.make("shr_u", v, self.const(I64, 32))
                return v if word in ("clock64", "globaltimer") else self.resize(v, I32)
            v = self.make("sreg", name=word)
            return self.make("icmp", v, self.const(I32, 0), pred="ne") if word == "is_explicit_cluster" else v  # type: ignore[no-any-return]
        if word.startswith("reserved_smem_offset_"):
            return self.const(I32, self.reserved(word.rpartition("_")[2]))
        if word in ("envreg1", "envreg2"):  # where cooperative groups find the barrier of the grid: the upper and the lower half of an address
            v = self.symbol(WORKSPACE)
            return self.resize(self.make("shr_u", v, self.const(I64, 32)) if word == "envreg1" else v, I32)
        if word.startswith(("envreg", "pm")):
            return self.const(I64 if word.endswith("_64") else I32, 0)
        if word == "current_graph_exec":
            return self.const(I64, 0)
        raise self.fail(f"the special register {name} is not known")

    def reserved(self, what: str) -> int:
        """What %reserved_smem_offset_… says.  Cooperative groups keep the barriers and results of tiles of several warps in the second half of that region,
        so it is memory of its own, beside the kernel's variables."""
        if RESERVED not in self.shared_at:
            self.shared = -(-self.shared // 128) * 128
            self.shared_at[RESERVED] = self.shared
            self.shared += RESERVED_SIZE
        at = self.shared_at[RESERVED]
        return {"begin": at, "end": at + RESERVED_SIZE, "cap": RESERVED_SIZE, "0": at, "1": at + RESERVED_SIZE // 2}[what]

    def store_result(self, o: Any, v: Value, signed: bool = False) -> None:
        """Writes a destination operand; narrower values are extended to the register."""
        if isinstance(o, Sink):
            return
        if isinstance(o, Vec) and len(o.items) == 1:
            o = o.items[0]
        if not isinstance(o, Reg) or o.decl is None:
            raise self.fail(f"{o!r} cannot be a destination")
        ty = reg_type(o.decl.type)
        have = v.type.elem
        if have is not ty:
            if (have is I1) != (ty is I1):
                raise self.fail(f"a {have} result does not fit the register {o!r} of type {o.decl.type}")
            v = self.bits(v)
            v = self.cast(self.resize(v, _INT[ty.bits // 8] if ty.is_float else ty, signed), ty)
        self.write(self.reg_key(o), v)

    # ---- addresses

    def address_of(self, o: Sym) -> Value:
        """The address of a name in its own space (generic, where it says so)."""
        if o.decl is None:
            number = self.program.number_of(o.name)
            if number is None:
                raise ReadError(f"{o.name} is not declared", place=self.loc)
            return self.const(I64, number)
        space, v = self.variable(o.decl)
        if o.wrap == "generic" and space not in ("global", "const"):
            return self.make("to_generic", v, space=space)  # type: ignore[no-any-return]
        return v

    def variable(self, d: Variable) -> tuple[str, Value]:
        """(space, address) of a declared variable."""
        if d.space == "shared":
            if d.linkage == "extern" and (not d.shape or d.shape[0] is None):
                if self.dynamic is None:
                    self.dynamic = self.value(I32)
                return "shared", self.dynamic
            key = (d.name, id(d)) if self.in_body(d) else d.name
            if key not in self.shared_at:
                self.shared = -(-self.shared // self.align_of(d)) * self.align_of(d)
                self.shared_at[key] = self.shared
                self.shared += self.size_of(d)
            return "shared", self.const(I32, self.shared_at[key])
        if d.space == "local":
            return "local", self.const(I32, self.local_place((id(self.frame), id(d)), self.size_of(d), self.align_of(d)))
        if d.space in ("global", "const", "tex"):
            return ("const" if d.space == "const" else "global"), self.symbol(f"{d.name}@{d.start}" if self.in_body(d) else d.name)
        if d.space == "param":
            slot = self.slot(d)
            if slot.pieces is not None:
                raise self.fail(f"the address of the parameter {d.name} is taken here, but it is held in registers")
            assert slot.address is not None
            return slot.space, slot.address
        raise self.fail(f"a variable of space {d.space} has no address")

    def loaded(self, d: Variable, address: Value, space: str) -> Value:
        """A register's value from memory in which it was passed."""
        ty = reg_type(d.type)
        v: Value = self.make("ld", address, to=I8 if ty is I1 else _INT[ty.bits // 8], space=space)
        return self.make("icmp", v, self.const(I8, 0), pred="ne") if ty is I1 else self.cast(v, ty)

    def in_body(self, d: Variable) -> bool:
        """Whether a variable is declared in the function, not at module level."""
        return self.frame.fn.start <= d.start < self.frame.fn.end

    def symbol(self, name: str) -> Value:
        found = self.symbols.get(name)
        if found is None:
            found = self.symbols[name] = self.value(I64, name)
        return found

    def local_place(self, key: Any, size: int, align: int) -> int:
        if key not in self.local_at:
            self.local = -(-self.local // align) * align
            self.local_at[key] = self.local
            self.local += size
        return self.local_at[key]

    @staticmethod
    def size_of(d: Variable) -> int:
        if d.type not in BYTES:
            raise ReadError(f"{d.name} is declared with .{d.type}, which is not a type", place=f"{d.line}:{d.column}")
        n = BYTES[d.type] * d.vector
        for s in d.shape:
            n *= s or 0
        return n

    @staticmethod
    def align_of(d: Variable) -> int:
        return max(d.align, BYTES[d.type] * d.vector, 1)

    def slot(self, d: Variable) -> _Slot:
        frame: _Frame | None = self.frame
        found = self.frame.params.get(id(d))
        if found is None:
            assert frame is not None
            found = self.frame.params[id(d)] = self.program.call_slot(self, frame.fn, d)
        return found

    def memory(self, o: Any, space: str) -> tuple[str, Value, int]:
        """(space, base, displacement) of an address operand; `space` is the instruction's, '' for generic."""
        if isinstance(o, Vec) and len(o.items) == 1:
            o = o.items[0]
        if isinstance(o, (Reg, Sym)):
            o = Address(o, 0)
        if isinstance(o, Element) and o.index is None and o.array.decl is not None:
            o = Address(o.array, o.offset * BYTES[o.array.decl.type])
        if not isinstance(o, Address):
            raise self.fail("an address is expected here")
        if o.base is None:
            return space or "generic", self.const(I64, o.offset), 0
        if isinstance(o.base, Sym):
            if o.base.decl is None:
                raise ReadError(f"{o.base.name} is not declared", place=self.loc)
            own, v = self.variable(o.base.decl)
            if not space and own in ("shared", "local"):  # a generic access names a variable of another space
                return own, v, o.offset
            if space == "cluster" and own == "shared":
                return "cluster", v, o.offset
            if own == "generic" or space in ("", "param"):
                return own, v, o.offset
            return (own if space != "global" or own != "const" else own), v, o.offset
        v = self.register(o.base)
        if v.type.elem not in (I32, I64):
            v = self.source(o.base, "u64" if v.type.elem.bits == 64 else "u32")
        if space == "param":
            space = "generic"
        return space or "generic", v, o.offset

    # ---- statements

    def position(self, p: Position | None) -> Position | None:
        """A source position with the calls that were lifted in line behind its own."""
        site = self.frame.site
        if site is None or p is None:
            return site or p
        found = self.frame.positions.get(id(p))
        if found is None:
            found = self.frame.positions[id(p)] = _behind(p, site)
        return found

    def statement(self, i: Instruction) -> None:
        self.loc, self.doing = Place(self.module.name, i.line, i.column, self.position(i.position)), i.name
        from . import table

        i = _spread(i)

        try:
            found = match(i)
            if found.line.until and self.version > found.line.until:
                raise Mismatch(f"{i.name}: PTX ISA has this form until {'.'.join(map(str, found.line.until))} only", f"this module is of {self.module.version}")
        except Mismatch as e:
            raise self.mismatch(i, e) from None
        handler = table().get(i.opcode)
        if found.later or handler is None:
            raise self.fail(f"{i.name} is not executed yet" + (f": {found.later}" if found.later else ""), "see `ptxjit doctor --ptx-coverage`")
        guard = None
        if i.guard is not None:
            guard = self.source(i.guard, "pred")
            if i.negated:
                guard = self.invert(guard)
        x = X(self, i, guard)
        if guard is not None and i.opcode in SPLIT:
            then, after = self.block("guarded"), self.block("after")
            self.end("branch", (guard,), (then, after))
            self.start(then)
            x.guard = None
            x.perform(handler)
            self.fall_into(after)
            return
        x.perform(handler)

    def run(self, frame: _Frame) -> None:
        """Lifts the body of a function; continues in block `frame.after`."""
        outer, self.frame = getattr(self, "frame", None), frame
        self.frames.append(frame)  # keys hold their identity
        body = frame.fn.body
        self._declare(body.items, 0, frame)
        self._items(body.items)
        self.loc = None
        if frame.after >= 0:
            self.end("jump", (), (frame.after,))
        else:
            self.end("return")
        self.frame = outer  # type: ignore[assignment]

    def _declare(self, items: Sequence[Item], number: int, frame: _Frame) -> None:
        for item in items:
            if isinstance(item, Label):
                frame.labels[(number, item.name)] = self.block(item.name.lstrip("$"))
            elif isinstance(item, Scope):
                self._declare(item.items, item.number, frame)
            elif isinstance(item, Targets):
                frame.tables[item.name] = item.labels
            elif isinstance(item, Prototype):
                frame.protos[item.name] = item

    def _items(self, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, Instruction):
                if self.at.term is not None:
                    self.start(self.block("unreachable"))
                self.statement(item)
            elif isinstance(item, Label):
                self.fall_into(self.frame.labels[(self.scope[-1], item.name)])
            elif isinstance(item, Scope):
                self.scope.append(item.number)
                self._items(item.items)
                self.scope.pop()
            elif isinstance(item, (Variable, Targets, Prototype, Directive)):
                continue

    def label(self, name: str) -> int:
        for number in reversed(self.scope):
            found = self.frame.labels.get((number, name))
            if found is not None:
                return found
        for (_, have), block in self.frame.labels.items():
            if have == name:
                return block
        raise ReadError(f"there is no label {name}", place=self.loc)


def _spread(i: Instruction) -> Instruction:
    """An instruction with vector registers, as it would be with vectors of their parts."""
    def parts(o: Any) -> Any:
        if isinstance(o, Group):
            return Group(tuple(parts(x) for x in o.items))
        if isinstance(o, Reg) and o.decl is not None and o.decl.vector > 1 and not o.part:
            return Vec(tuple(Reg(o.name, o.decl, p) for p in "xyzw"[: o.decl.vector]))
        return o

    operands = tuple([parts(o) if type(o) is Reg or type(o) is Group else o for o in i.operands])
    if all(a is b for a, b in zip(operands, i.operands)) or all(type(o) is not Vec and type(o) is not Group for o in operands):
        return i
    return Instruction(i.start, i.end, i.line, i.column, i.opcode, i.mods, i.guard, i.negated, operands, i.position)


def _behind(p: Position, site: Position) -> Position:
    after = site if p.inlined_at is None else _behind(p.inlined_at, site)
    return Position(p.file, p.line, p.column, p.function, after)


class X:
    """One instruction on its way into the kernel: modifiers that are left, operands, guard."""

    __slots__ = ("b", "i", "words", "guard")

    def __init__(self, b: Body, i: Instruction, guard: Value | None) -> None:
        self.b, self.i, self.words, self.guard = b, i, list(i.mods), guard

    @property
    def name(self) -> str:
        return self.i.opcode

    def perform(self, handler: Handler) -> None:
        """Lifts it.  Handlers check what well-formed PTX leaves open; whatever else an odd operand or modifier breaks is said here."""
        try:
            handler(self)
            self.done()
        except (ReadError, UnsupportedError, BugError):
            raise
        except (PtxjitError, LookupError, AttributeError, TypeError, ValueError, AssertionError, ArithmeticError, StopIteration, struct.error) as e:
            raise self.bad("its modifiers and operands do not fit together") from e

    def flag(self, *names: str) -> bool:
        """Whether one of the modifiers is there; takes it."""
        for n in names:
            if n in self.words:
                self.words.remove(n)
                return True
        return False

    def pick(self, *names: str) -> str:
        """The one of these modifiers that is there ('' if none); takes it."""
        for n in names:
            if n in self.words:
                self.words.remove(n)
                return n
        return ""

    def need(self, *names: str) -> str:
        """The one of these modifiers that is there; one must be."""
        found = self.pick(*names)
        if not found:
            raise self.bad("one of " + ", ".join("." + n for n in names) + " is missing")
        return found

    def number(self, n: int) -> int:
        """Operand n, which must be an integer constant."""
        o = self.operand(n)
        if not isinstance(o, Imm) or o.kind != "int":
            raise self.bad(f"operand {n + 1} must be an integer constant")
        return int(o.value)

    def types(self) -> list[str]:
        """Takes all modifiers that are types, in order."""
        found = [w for w in self.words if w in BYTES]
        self.words = [w for w in self.words if w not in BYTES]
        return found

    def type(self) -> str:
        found = self.types()
        if len(found) != 1:
            raise self.bad(f"one type is expected, not {len(found)}")
        return found[0]

    def bad(self, message: str) -> UnsupportedError:
        return self.b.fail(f"{self.i.name}: {message}")

    def done(self) -> None:
        if self.words:
            raise self.b.fail(f"{self.i.name}: the modifier .{self.words[0]} is not known here")

    @property
    def count(self) -> int:
        return len(self.i.operands)

    def operand(self, n: int) -> Any:
        if n >= len(self.i.operands):
            raise self.bad(f"operand {n + 1} is missing")
        return self.i.operands[n]

    def src(self, n: int, t: str) -> Value:
        return self.b.source(self.operand(n), t)

    def dst(self, n: int, v: Value, signed: bool = False) -> None:
        """Writes operand n; under a guard the old value stays elsewhere."""
        self.put(self.operand(n), v, signed)

    def put(self, o: Any, v: Value, signed: bool = False) -> None:
        if isinstance(o, Sink):
            return
        if isinstance(o, Vec) and len(o.items) == 1:
            o = o.items[0]
        b = self.b
        if self.guard is None or not isinstance(o, Reg) or o.decl is None:
            b.store_result(o, v, signed)
            return
        old = b.register(o)
        b.store_result(o, v, signed)
        key = b.reg_key(o)
        b.write(key, b.make("select", self.guard, b.at.defs[key], old))

    def old(self, o: Any, ty: Scalar) -> Value:
        """What a guarded instruction leaves in a destination, as a value of the result's type."""
        b = self.b
        if not isinstance(o, Reg) or o.decl is None:
            return b.const(ty, 0)
        v = b.register(o)
        if v.type.elem is ty:
            return v
        if ty is I1 or v.type.elem is I1:
            raise self.bad("a predicate and a number do not mix")
        v = b.bits(v)
        return b.cast(b.resize(v, _INT[ty.bits // 8]), ty)


# Instructions that are put into a block of their own when guarded.
SPLIT = frozenset("bra brx call ret exit trap bar barrier shfl vote match redux activemask elect mma wmma ldmatrix stmatrix movmatrix mbarrier "
                  "cp nanosleep alloca setmaxnreg griddepcontrol brkpt stackrestore stacksave fence membar clusterlaunchcontrol".split())  # fmt: skip


class _Program:
    """What the bodies of one entry share: which functions are inlined, which are functions of the kernel, and their numbers."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.calls: dict[str, set[str]] = {}
        self.numbers = {f.name: n + 1 for n, f in enumerate(f for f in module.functions.values() if not f.is_entry)}
        self.wanted: list[str] = []
        self._pieces: dict[tuple[str, int], dict[int, int] | None] = {}
        self._recursive: dict[str, bool] = {}

    def resolve(self, name: str) -> str:
        return self.module.aliases.get(name, name)

    def number_of(self, name: str) -> int | None:
        """The number that stands for a function's address."""
        name = self.resolve(name)
        n = self.numbers.get(name)
        if n is not None and name not in self.wanted and self.module.functions[name].defined:
            self.wanted.append(name)
        return n

    def callees(self, name: str) -> set[str]:
        found = self.calls.get(name)
        if found is None:
            found = self.calls[name] = set()
            f = self.module.functions.get(name)
            if f is not None and f.defined:
                for i in instructions(f.body.items):
                    if i.opcode == "call":
                        for o in i.operands:
                            if isinstance(o, Sym) and self.resolve(o.name) in self.module.functions:
                                found.add(self.resolve(o.name))
        return found

    def recursive(self, name: str) -> bool:
        known = self._recursive.get(name)
        if known is None:
            seen: set[str] = set()
            stack = list(self.callees(name))
            while stack:
                n = stack.pop()
                if n not in seen:
                    seen.add(n)
                    stack.extend(self.callees(n))
            known = self._recursive[name] = name in seen
        return known

    def pieces(self, f: Function, d: Variable) -> dict[int, int] | None:
        """offset → bytes of the accesses to a `.param` variable in a function; None if they overlap or its address is taken."""
        key = (f.name, id(d))
        if key not in self._pieces:
            self._pieces[key] = _pieces(f, d)
        return self._pieces[key]

    def call_slot(self, body: Body, f: Function, d: Variable) -> _Slot:
        """Storage of a `.param` variable that a body declares for its calls."""
        key = ("param", id(body.frame), id(d))
        pieces = self.pieces(f, d)
        for name, place, n in _uses(f, d):
            g = self.module.functions.get(self.resolve(name))
            outlined = g is None or not g.defined or self.recursive(g.name)
            mine = None if outlined or g is None else (g.params if place == "param" else g.results)
            if mine is None or n >= len(mine):
                pieces = None
            elif pieces is not None:
                pieces = _merged(pieces, self.pieces(g, mine[n]))  # type: ignore[arg-type]
        if pieces is None:
            size = max(Body.size_of(d), 1)
            return _Slot(key, None, "local", body.const(I32, body.local_place(key, size, max(Body.align_of(d), 8))))
        return _Slot(key, pieces)


def instructions(items: Sequence[Item]) -> list[Instruction]:
    """All instructions of a body, scopes included."""
    out: list[Instruction] = []
    stack: list[Any] = list(reversed(items))
    while stack:
        item = stack.pop()
        if isinstance(item, Instruction):
            out.append(item)
        elif isinstance(item, Scope):
            stack.extend(reversed(item.items))
    return out


def _walk(o: Any) -> list[Any]:
    out, stack = [], [o]
    while stack:
        x = stack.pop()
        out.append(x)
        if isinstance(x, (Vec, Group)):
            stack.extend(x.items)
        elif isinstance(x, Pair):
            stack.extend((x.first, x.second))
        elif isinstance(x, Address):
            stack.extend(x.rest)
            if x.base is not None:
                stack.append(x.base)
        elif isinstance(x, (Not, Neg, Plus)):
            stack.append(x.item)
        elif isinstance(x, Element):
            stack.append(x.array)
    return out


def _vector(i: Instruction) -> int:
    return next((int(m[1:]) for m in i.mods if m in ("v2", "v4", "v8")), 1)


def _pieces(f: Function, d: Variable) -> dict[int, int] | None:
    found: dict[int, int] = {}
    for i in instructions(f.body.items):
        for o in i.operands:
            if isinstance(o, Address) and isinstance(o.base, Sym) and o.base.decl is d and i.opcode in ("ld", "st"):
                size = next((BYTES[m] for m in reversed(i.mods) if m in BYTES), 0)
                if not size:
                    return None
                for k in range(_vector(i)):
                    if found.setdefault(o.offset + k * size, size) != size:
                        return None
            elif i.opcode != "call" and any(isinstance(x, Sym) and x.decl is d for x in _walk(o)):
                return None
    return _merged(found, {})


def _merged(a: dict[int, int], b: dict[int, int] | None) -> dict[int, int] | None:
    """The union of two divisions into pieces, if they do not overlap."""
    if b is None:
        return None
    union = dict(a)
    for offset, size in b.items():
        if union.setdefault(offset, size) != size:
            return None
    end = -1
    for offset, size in sorted(union.items()):
        if offset < end:
            return None
        end = offset + size
    return union


def _uses(f: Function, d: Variable) -> list[tuple[str, str, int]]:
    """(callee, 'param' | 'result', position) of each call that passes a `.param` variable."""
    out = []
    for i in instructions(f.body.items):
        if i.opcode != "call":
            continue
        callee, results, args = call_parts(i)
        name = callee.name if isinstance(callee, Sym) and callee.decl is None else ""
        for word, group in (("result", results), ("param", args)):
            for n, o in enumerate(group):
                if isinstance(o, Sym) and o.decl is d:
                    out.append((name, word, n))
    return out


def call_parts(i: Instruction) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """(callee, results, arguments) of a call."""
    ops: list[Any] = list(i.operands)
    results: tuple[Any, ...] = ()
    if ops and isinstance(ops[0], Group):
        results = ops[0].items
        ops.pop(0)
    callee = ops.pop(0) if ops else None
    args: tuple[Any, ...] = ()
    if ops and isinstance(ops[0], Group):
        args = ops[0].items
    return callee, results, args


Handler = Callable[[X], None]
_HANDLERS: dict[str, Handler] = {}


def lifts(*names: str) -> Callable[[Handler], Handler]:
    """Registers the lifter of some opcodes."""

    def add(fn: Handler) -> Handler:
        for n in names:
            _HANDLERS[n] = fn
        return fn

    return add


def lift(module: Module, name: str) -> Entry:
    """The kernel of an entry.  ReadError, UnsupportedError with the line and column of what cannot be lifted."""
    try:
        return _lifted(module, module.functions[name])
    except ReadError as e:
        if e.place and e.place[0].isdigit():  # of a declaration, which does not know its file
            e.place = f"{module.name}:{e.place}"
        raise


def _lifted(module: Module, f: Function) -> Entry:
    program = _Program(module)
    body = Body(module, _safe(f.name), program)
    frame = _Frame(f, -1, {}, None)
    params = []
    for d in f.params:
        size = Body.size_of(d)
        pieces = program.pieces(f, d)
        by_address = bool(d.shape) or d.vector > 1 or pieces is None or any(k != 0 or v != size for k, v in pieces.items())
        ty = I64 if by_address else reg_type(d.type)
        v = body.value(ty, d.name)
        body.params.append(Param(v, role="bytes" if by_address else "scalar", elem=None))
        params.append((d.name, d.type, size, by_address))
        if by_address:
            frame.params[id(d)] = _Slot(None, None, "param", v)
        else:
            slot = frame.params[id(d)] = _Slot(("entry", id(d)), {0: size})
            body.write((slot.key, 0), v if v.type is I1 else body.bits(v))
    body.run(frame)
    return _finish(module, f, program, body, params)


def _finish(module: Module, f: Function, program: _Program, body: Body, params: list[Any]) -> Entry:
    functions: dict[str, Kernel] = {}
    made: list[tuple[str, Body]] = []
    k = 0
    while k < len(program.wanted):
        made.append((program.wanted[k], _outlined(module, program, program.wanted[k], body)))
        k += 1
    symbols = tuple(dict.fromkeys([*body.symbols, *(s for _, b in made for s in b.symbols)]))
    body.shared = -(-body.shared // 16) * 16
    for b in (body, *(b for _, b in made)):
        for s in symbols:
            b.params.append(Param(b.symbol(s), role="symbol"))
        if b.dynamic is not None:
            b.const_instrs.append(Instr(op("constant"), (), (("type", I32), ("value", body.shared)), (b.dynamic,)))
    for name, b in made:
        functions[name] = b.finish((("number", program.numbers[name]),))
    facts = dict(f.directives)
    kernel = body.finish((), tuple(functions.values()))
    dynamic = body.shared if any(b.dynamic is not None for b in (body, *(b for _, b in made))) else None
    return Entry(kernel, tuple(params), symbols, dynamic, facts, program.numbers)


def _outlined(module: Module, program: _Program, name: str, main: Body) -> Body:
    """A function of the kernel: its parameters are the generic addresses of results and parameters."""
    f = module.functions[name]
    body = Body(module, "fn_" + _safe(name), program)
    body.shared_at = main.shared_at
    given = [(d, body.value(I64, d.name)) for d in f.results if d.space == "reg"]
    frame = body.frame = _Frame(f, body.block("leave") if given else -1, {}, None)
    results = dict((id(d), v) for d, v in given)
    for d in (*f.results, *f.params):
        v = results.get(id(d)) or body.value(I64, d.name)
        body.params.append(Param(v))
        if d.space != "reg":
            frame.params[id(d)] = _Slot(None, None, "generic", v)
        elif d.vector > 1:
            raise UnsupportedError(f"{name} passes vector registers and calls itself or is called by address", place=Place(module.name, d.line, d.column))
        elif id(d) not in results:
            body.write(body.reg_key(Reg(d.name, d)), body.loaded(d, v, "generic"))
    body.shared = main.shared
    body.run(frame)
    if given:
        body.frame = frame
        body.start(frame.after)
        for d, v in given:
            out = body.bits(body.read(body.reg_key(Reg(d.name, d)), reg_type(d.type)))
            out = body.resize(out, I8) if out.type is I1 else out
            body.make("st", v, out, to=out.type, space="generic")
        body.end("return")
    main.shared = max(main.shared, body.shared)
    return body


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in name)


__all__ = ["Body", "Entry", "X", "lift", "lifts", "F16", "BF16"]
