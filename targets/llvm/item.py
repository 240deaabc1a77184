"""Kernels to LLVM IR for targets where a lane is a work-item: one function per kernel, scalar code, no widening, no scheduler.

`Item` spells the ops; a `Dialect`, one per target, says what differs: triple, calling convention, address spaces, special registers, barriers,
exchange between lanes, and which of LLVM's intrinsics the back end does not have.  A value is a scalar (bf16 and 8-bit floats are integers of
their bits), block parameters are phis.  A kernel with `lanes` belongs to the DSL: its block is lanes × warps work-items, its shuffles are the
canonical ones, a pointer parameter is a real pointer and stays one through additions, so that what it reaches is known.  A kernel without is
foreign: blocks of any size, warps of 32, every address an integer.

Rules, tested on the output: no call that leaves the module except those of the dialect; division selects a divisor of 1 for zero; no `nsw`,
`nuw`, `inbounds`, `fast`; every memory access names its address space; what a target cannot do is an `UnsupportedError` with the op.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ir.errors import UnsupportedError
from ...ir.instr import Block, Edge, Instr, Param, Value
from ...ir.kernel import Kernel
from ...ir.passes.cleanup import reverse_post_order
from ...ir.types import F32, F64, I1, I32, I64, Scalar
from .collective import Collective, Request
from .debug import Locations
from .emit import NAMES, SUFFIX, Val

ORDER = {"relaxed": "monotonic", "acquire": "acquire", "release": "release", "acq_rel": "acq_rel"}
RMW = {"iadd": "add", "and": "and", "or": "or", "xor": "xor", "imin_s": "min", "imax_s": "max", "imin_u": "umin", "imax_u": "umax", "exch": "xchg"}
HEAP = 16 << 10  # bytes for alloca, in kernels that use it
OFF = {"stof", "utof", "fcvt", "fadd", "fsub", "fmul", "fdiv", "ffma", "fsqrt"}  # what `rnd` directs


class Dialect:
    """What differs between targets.  Methods get the `Item` that is written and use its `put`; they answer with texts."""

    name = "LLVM"  # for messages
    triple = ""
    layout = ""
    spaces: dict[str, int] = {"global": 1, "const": 1, "param": 1, "shared": 3, "local": 5, "generic": 0}
    rmw: frozenset[str] = frozenset(RMW)  # read-modify-write that the back end has, on i32 and i64
    narrow_cas = False  # compare-and-swap of 8 and 16 bits
    atomic_notes = ""  # metadata of read-modify-write in global memory
    batch = 1  # shuffles that are exchanged at once

    # ---- the module

    def symbol(self, kernel: Kernel) -> str:
        """The name of a kernel in the module."""
        return kernel.name

    def define(self, e: Item, params: Sequence[str]) -> str:
        """The line that opens a kernel, up to the brace."""
        return f"define void @{e.name}({', '.join(params)}) #0"

    def globals(self, e: Item) -> list[str]:
        """Variables of the module that a kernel needs, once it is written."""
        return []

    def tail(self, items: Sequence[Item]) -> list[str]:
        """Attributes and metadata after the functions."""
        return ['attributes #0 = { nounwind "no-builtins" }']

    def apart(self, kernel: Kernel) -> bool:
        """Whether a work-group may hold several blocks of a kernel that exchanges nothing, side by side in dimension 1."""
        return False

    def arena(self, e: Item) -> tuple[str, str]:
        """Shared memory of a block: (parameter or '', module text or '').  Its name is `e.arena`."""
        e.arena = f"@{e.name}.arena"
        space = self.spaces["shared"]
        return "", f"{e.arena} = internal addrspace({space}) global [{max(e.k.shared, 1)} x i8] undef, align 16"

    def arena_size(self, e: Item) -> str:
        """Bytes of shared memory of a block as i32, the dynamic ones included."""
        raise self.lacks("the size of dynamic shared memory")

    # ---- arithmetic

    def plain(self, e: Item, i: Instr, name: str, elem: Scalar, out: Scalar, a: list[str]) -> str | None:
        """A lane op that is not spelled as elsewhere; None where it is."""
        return None

    def clamped(self, e: Item, a: str, elem: Scalar) -> str | None:
        """`a` in [0, 1] with NaN and −0 as 0, for f16, f32 and f64; None where maximum and minimum do that."""
        return None

    def intrinsic(self, e: Item, name: str, result: str, args: Sequence[tuple[str, str]]) -> str | None:
        """Another right-hand side for a call of LLVM's intrinsic; None where the back end has it."""
        return None

    def line(self, e: Item, rhs: str) -> str:
        """A right-hand side as it is written."""
        return rhs

    # ---- the launch

    def thread(self, e: Item, name: str, axis: str) -> str:
        """tid, ntid, ctaid or nctaid of an axis, as i32."""
        raise self.lacks(name)

    def sreg(self, e: Item, name: str) -> str | None:
        """A special register with an own spelling, else None."""
        return None

    def clock(self, e: Item, name: str) -> str:
        raise self.lacks(f"the register {name}")

    # ---- across lanes

    def barrier(self, e: Item) -> None:
        """All work-items of the block arrive; shared and global memory of the block are in order."""
        raise self.lacks("bar")

    def named_barrier(self, e: Item, i: Instr) -> None:
        """A barrier other than number 0 of all threads."""
        raise self.lacks("a barrier that is not the block's", i)

    def read_lane(self, e: Item, text: str, lane: str) -> str:
        """The i32 of another executing lane of the warp."""
        raise self.lacks("shuffles")

    def read_lanes(self, e: Item, wanted: Sequence[Request]) -> list[str]:
        """Words of other lanes."""
        out = []
        for word, text, lane in wanted:
            if word == "i32":
                out.append(self.read_lane(e, text, lane))
                continue
            low = e.put(f"trunc i64 {text} to i32")
            high = e.put(f"trunc i64 {e.put(f'lshr i64 {text}, 32')} to i32")
            low, high = (e.put(f"zext i32 {self.read_lane(e, x, lane)} to i64") for x in (low, high))
            out.append(e.put(f"or i64 {e.put(f'shl i64 {high}, 32')}, {low}"))
        return out

    def ballot(self, e: Item, text: str) -> str:
        """One bit (i32) per executing lane of the warp where the i1 holds."""
        raise self.lacks("votes")

    def dot4(self, e: Item, a: str, b: str, total: str, signs: tuple[bool, bool]) -> str | None:
        """`total` (i32) and the four products of the bytes of two words, each word's signed or not; None where the device has no such instruction."""
        return None

    def warp_barrier(self, e: Item) -> None:
        """The executing lanes of the warp meet; their memory accesses are in order."""
        raise self.lacks("warp_sync")

    def collective(self, e: Item, i: Instr) -> list[str] | None:
        """A warp op with an own spelling (result texts), else None."""
        return None

    # ---- memory

    def scope(self, name: str) -> str:
        """`syncscope("…") ` for cta, cluster, gpu, sys."""
        return ""

    def finish(self, e: Item) -> str:
        """What ends the work-item after a trap was recorded."""
        return "ret void"

    def lacks(self, what: str, i: Instr | None = None) -> UnsupportedError:
        return UnsupportedError(f"{what} on {self.name}", place=i.loc if i is not None else None)


class _Constants:
    def __init__(self) -> None:
        self.const: dict[int, Any] = {}


class Item(Collective):
    """One kernel."""

    d: Dialect

    def __init__(self, kernel: Kernel, dialect: Dialect, declared: set[str], helpers: dict[str, str]) -> None:
        self.k, self.w, self.d = kernel, 1, dialect
        self.name = dialect.symbol(kernel)
        self.foreign = kernel.lanes is None
        self.lanes, self.warps = kernel.lanes or 32, kernel.warps or 1
        self.apart = not self.foreign and dialect.apart(kernel)
        self.shapes = _Constants()  # type: ignore[assignment]
        self.declared, self.helpers, self.features = declared, helpers, frozenset()
        self.vals: dict[int, Val] = {}
        self.buffers: dict[int, str] = {}  # values that are addresses in a buffer: the pointer, with its type
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self.globals: list[str] = []
        self.n = 0
        self.label = "entry"
        self.phis: dict[int, list[tuple[str, list[str]]]] = {}
        self.arena = ""
        self.scratch: dict[str, int] = {}  # the dialect's: memory for exchange
        self.wides: dict[str, str] = {}  # texts of i32 registers that are never negative → the same in i64, where the dialect has it
        self.affine = {} if self.foreign else _affine(kernel)
        names = {i.op.name for i in kernel.instrs()}
        self.reports = bool(names & {"report", "trap"})
        self.local = kernel.local + (HEAP if "alloca" in names else 0)
        self.uses_arena = bool(kernel.shared) or any(i.attr("space") in ("shared", "cluster") or i.attr("from") == "shared" or i.attr("to") == "shared"
                                                     or i.op.name == "mbarrier" for i in kernel.instrs())  # fmt: skip

    def signature(self) -> dict[str, Any]:
        """What who launches must know (JSON): parameters ('pointer' or a type), work-items of a block (0: any), bytes of static shared memory,
        whether blocks are side by side, and whether the arena and the error word are parameters, in this order after the others."""
        params = ["pointer" if self.is_pointer(p) else p.value.type.elem.name for p in self.k.params]
        return {"name": self.name, "params": params, "local": 0 if self.foreign else self.lanes * self.warps, "shared": self.k.shared,
                "apart": self.apart, "arena": bool(self.arena.startswith("%")), "reports": self.reports}  # fmt: skip

    @staticmethod
    def is_pointer(p: Param) -> bool:
        return bool(p.role == "pointer")

    # ---- the function

    def run(self) -> str:
        params, head = [], []
        for n, p in enumerate(self.k.params):
            elem = p.value.type.elem
            if self.is_pointer(p):
                flags = " noalias" * p.noalias + " readonly" * (p.access == "r") + (f" align {p.align}" if p.align > 1 else "")
                t = self.pointer_type("global")
                params.append(f"{t}{flags} %p{n}")
                self.buffers[p.value.id] = f"{t} %p{n}"
                continue
            if elem is I1:
                params.append(f"i8 %pb{n}")
                head.append(f"  %p{n} = icmp ne i8 %pb{n}, 0")
            else:
                params.append(f"{NAMES[elem.name]} %p{n}")
            self.vals[p.value.id] = Val(f"%p{n}", elem, 0)
        if self.uses_arena:
            param, made = self.d.arena(self)
            params += [param] * bool(param)
            self.globals += [made] * bool(made)
        if self.reports:
            params.append(f"{self.pointer_type('global')} %report")
        if self.local:
            self.allocas.append(f"  %local = alloca [{self.local} x i8], align 16, addrspace({self.d.spaces['local']})")
        if self.local > self.k.local:
            self.allocas.append(f"  %heap = alloca i32, align 4, addrspace({self.d.spaces['local']})")
            head.append(f"  store i32 {self.k.local}, {self.pointer_type('local')} %heap")
        marks = self.debug.function(self.k.name) if self.debug else ""
        bodies: list[tuple[int, list[str]]] = []
        for n in reverse_post_order(self.k):
            block = self.k.blocks[n]
            self.lines, self.label = [], f"b{n}"
            for j, v in enumerate(block.params):
                self.vals[v.id] = Val(f"%bp{n}_{j}", v.type.elem, 0)
            self.body(block)
            start = len(self.lines)
            self.terminator(n, block)
            self.mark(start, block.terminator)
            bodies.append((n, self.lines))
        self.globals += self.d.globals(self)
        text = [self.d.define(self, params) + marks + " {", "entry:", *self.allocas, *head, "  br label %b0"]
        for n, lines in bodies:
            text.append(f"b{n}:")
            for j, v in enumerate(self.k.blocks[n].params):
                incoming = ", ".join(f"[ {args[j]}, %{label} ]" for label, args in self.phis.get(n, []))
                text.append(f"  %bp{n}_{j} = phi {NAMES[v.type.elem.name]} {incoming}")
            text.extend(lines)
        return "\n".join([*text, "}"])

    def body(self, block: Block) -> None:
        """A block's instructions; canonical shuffles that do not need one another come together, where the dialect exchanges many at once."""
        if self.d.batch == 1:
            for i in block.instrs[:-1]:
                self.instr(i)
            return
        run: list[Instr] = []
        for i in block.instrs[:-1]:
            if i.op.kind == "lane" or i.op.name in ("constant", "shfl", "sreg"):
                run.append(i)
                continue
            self.pure(run)
            run = []
            self.instr(i)
        self.pure(run)

    def pure(self, run: list[Instr]) -> None:
        if sum(i.op.name == "shfl" for i in run) > 1:
            depth: dict[int, int] = {}
            place: dict[int, int] = {}
            for i in run:
                d = place[id(i)] = max([depth.get(a.id, 0) for a in i.args], default=0)
                depth[i.result.id] = d + (i.op.name == "shfl")
            run = sorted(run, key=lambda i: (place[id(i)], i.op.name == "shfl"))
        waiting: list[Instr] = []
        for i in run:
            if waiting and (i.op.name != "shfl" or len(waiting) == self.d.batch or any(a.id == j.result.id for a in i.args for j in waiting)):
                self.exchange(waiting)
                waiting = []
            if i.op.name == "shfl":
                waiting.append(i)
            else:
                self.instr(i)
        if waiting:
            self.exchange(waiting)

    def exchange(self, waiting: list[Instr]) -> None:
        start = len(self.lines)
        self.shuffles(waiting)
        self.mark(start, waiting[0])

    def instr(self, i: Instr) -> None:
        rule: Callable[[Instr], None] | None = getattr(self, "_" + i.op.name, None)
        start = len(self.lines)
        if rule is not None:
            rule(i)
        elif i.op.kind == "lane":
            self.define(i.result, self.lane(i, False))
        else:
            raise self.d.lacks(i.op.name, i)
        self.mark(start, i)

    # ---- values

    def put(self, rhs: str) -> str:
        return super().put(self.d.line(self, rhs))

    def step(self, v: Value) -> int | None:
        return 0

    def val(self, v: Value) -> Val:
        found = self.vals.get(v.id)
        if found is None:
            return Val(self.put(f"ptrtoint {self.buffers[v.id]} to i64"), I64, 0)
        return found

    def define(self, v: Value, text: str) -> None:
        self.vals[v.id] = Val(text, v.type.elem, 0)

    def _constant(self, i: Instr) -> None:
        elem = i.attr("type").elem
        self.vals[i.result.id] = Val(self.literal(elem, i.attr("value")), elem, 0, i.attr("value"))
        if not elem.is_float:
            self.shapes.const[i.result.id] = i.attr("value")

    def call(self, name: str, result: str, args: Sequence[tuple[str, str]]) -> str:
        other = self.d.intrinsic(self, name, result, args)
        return other if other is not None else super().call(name, result, args)

    def helper(self, name: str, result: str, params: Sequence[str], body: Callable[[Item], str]) -> str:
        """A function of the module, made once: `body` writes it on its own Item with operands %a0, %a1 … and gives the result."""
        if name not in self.helpers:
            self.helpers[name] = ""
            inner = Item(Kernel(name, (), ()), self.d, self.declared, self.helpers)
            r = body(inner)
            names = ", ".join(f"{t} %a{n}" for n, t in enumerate(params))
            self.helpers[name] = "\n".join([f"define internal {result} @{name}({names}) #0 {{", "entry:", *inner.allocas, *inner.lines, f"  ret {result} {r}", "}"])
        return f"@{name}"

    def lane(self, i: Instr, vec: bool) -> str:
        if i.attr("rnd") in ("rz", "rm", "rp") and i.op.name in OFF:
            raise self.d.lacks(f"{i.op.name} of {i.args[0].type.elem} rounded {i.attr('rnd')}", i)
        return super().lane(i, vec)

    def clamped(self, a: str, elem: Scalar, vec: bool) -> str:
        text = self.d.clamped(self, a, elem) if elem.name in ("f16", "f32", "f64") else None
        return text if text is not None else super().clamped(a, elem, vec)

    def plain(self, i: Instr, name: str, elem: Scalar, out: Scalar, vec: bool, a: list[str]) -> str:
        text = self.d.plain(self, i, name, elem, out, a)
        return text if text is not None else super().plain(i, name, elem, out, vec, a)

    def _iadd(self, i: Instr) -> None:
        """Sums with one pointer stay in its buffer."""
        which = [a.id in self.buffers for a in i.args]
        if sum(which) == 1:
            base, by = i.args if which[0] else i.args[::-1]
            p = self.buffers[base.id]
            self.buffers[i.result.id] = self.moved_by(p, f"i64 {self.val(by).text}")
            return
        self.define(i.result, self.lane(i, False))

    # ---- control flow

    def terminator(self, n: int, block: Block) -> None:
        t = block.terminator
        name = t.op.name
        if name == "return":
            self.lines.append("  ret void")
            return
        if name == "trap":
            place = f"{self.pointer_type('global')} %report"
            self.put(f"cmpxchg {place}, i32 0, i32 1 {self.d.scope('gpu')}monotonic monotonic, align 4")
            self.lines.append("  " + self.d.finish(self))
            return
        if name == "jump":
            self.edge(t.edges[0])
            self.lines.append(f"  br label %b{t.edges[0].target}")
            return
        if name not in ("branch", "switch"):
            raise self.d.lacks(name, t)
        cond = self.val(t.args[0]).text
        args = [[self.val(a).text for a in e.args] for e in t.edges]  # before the branch: an address becomes an integer here
        taken: set[int] = set()
        labels, apart = [], []
        for e, texts in zip(t.edges, args):
            if e.target in taken:
                self.n += 1
                labels.append(f"e{self.n}")
                apart.append((labels[-1], e, texts))
                continue
            taken.add(e.target)
            labels.append(f"b{e.target}")
            self.phis.setdefault(e.target, []).append((self.label, texts))
        if name == "branch":
            self.lines.append(f"  br i1 {cond}, label %{labels[0]}, label %{labels[1]}")
        else:
            cases = " ".join(f"i32 {n}, label %{lab}" for n, lab in enumerate(labels[:-1]))
            self.lines.append(f"  switch i32 {cond}, label %{labels[-1]} [ {cases} ]")
        for label, e, texts in apart:
            self.lines += [f"{label}:", f"  br label %b{e.target}"]
            self.phis.setdefault(e.target, []).append((label, texts))

    def edge(self, e: Edge, mask: str | None = None, other: Sequence[str] | None = None) -> None:
        self.phis.setdefault(e.target, []).append((self.label, [self.val(a).text for a in e.args]))

    def open(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def with_guard(self, i: Instr, body: Callable[[], list[str]]) -> None:
        """Runs `body`, which gives the result texts, only where the guard holds."""
        if i.guard is None:
            for r, text in zip(i.results, body()):
                self.define(r, text)
            return
        types = [NAMES[r.type.elem.name] for r in i.results]
        old = [self.val(v).text for v in i.passthrough] or [self.nothing(r.type.elem) for r in i.results]
        self.n += 1
        n, before = self.n, self.label
        self.lines.append(f"  br i1 {self.val(i.guard).text}, label %g{n}, label %n{n}")
        self.open(f"g{n}")
        new = body()
        after = self.label
        self.lines.append(f"  br label %n{n}")
        self.open(f"n{n}")
        for r, t, x, y in zip(i.results, types, new, old):
            self.define(r, self.put(f"phi {t} [ {x}, %{after} ], [ {y}, %{before} ]"))

    # ---- special registers

    def _sreg(self, i: Instr) -> None:
        self.define(i.result, self.sreg(i.attr("name")))

    def linear(self) -> str:
        """The number of the thread in its block."""
        x = self.d.thread(self, "tid", "x")
        if not self.foreign:
            return x
        y, z, nx, ny = (self.d.thread(self, r, a) for r, a in (("tid", "y"), ("tid", "z"), ("ntid", "x"), ("ntid", "y")))
        rows = self.put(f"add i32 {y}, {self.put(f'mul i32 {ny}, {z}')}")
        return self.put(f"add i32 {x}, {self.put(f'mul i32 {rows}, {nx}')}")

    def sreg(self, name: str) -> str:
        own = self.d.sreg(self, name)
        if own is not None:
            return own
        head, _, axis = name.partition(".")
        if head in ("tid", "ntid") and not self.foreign:
            return self.d.thread(self, head, axis) if name == "tid.x" else "0" if head == "tid" else str(self.lanes * self.warps) if axis == "x" else "1"
        if head in ("tid", "ntid", "ctaid", "nctaid"):
            return self.d.thread(self, head, axis)
        if name == "laneid":
            return self.put(f"and i32 {self.linear()}, {self.lanes - 1}")
        if name == "warpid":
            return self.put(f"lshr i32 {self.linear()}, {self.lanes.bit_length() - 1}")
        if name == "nwarpid":
            if not self.foreign:
                return str(self.warps)
            x, y, z = (self.d.thread(self, "ntid", a) for a in "xyz")
            total = self.put(f"mul i32 {x}, {self.put(f'mul i32 {y}, {z}')}")
            return self.put(f"lshr i32 {self.put(f'add i32 {total}, 31')}, 5")
        if head in ("cluster_nctaid", "clusterid", "nclusterid", "cluster_ctaid"):  # clusters of one block: who launches refuses others
            return {"cluster_nctaid": "1", "cluster_ctaid": "0"}.get(head) or self.d.thread(self, "ctaid" if head == "clusterid" else "nctaid", axis)
        if name in ("cluster_nctarank", "nsmid"):
            return "1"
        if name in ("cluster_ctarank", "is_explicit_cluster", "smid"):
            return "0"
        if name in ("total_smem_size", "aggr_smem_size"):
            return self.d.arena_size(self)
        if name == "dynamic_smem_size":
            return self.put(f"sub i32 {self.d.arena_size(self)}, {self.k.shared}")
        if name.startswith("lanemask"):
            bit = self.put(f"shl i32 1, {self.sreg('laneid')}")
            below = self.put(f"sub i32 {bit}, 1")
            kind = name[-2:]
            if kind in ("eq", "lt"):
                return bit if kind == "eq" else below
            upto = self.put(f"or i32 {bit}, {below}")
            return upto if kind == "le" else self.put(f"xor i32 {below if kind == 'ge' else upto}, -1")
        raise self.d.lacks(f"the special register {name}")

    def _read_clock(self, i: Instr) -> None:
        self.define(i.result, self.d.clock(self, i.attr("name")))

    # ---- memory

    def pointer_type(self, space: str) -> str:
        n = self.d.spaces[space]
        return f"ptr addrspace({n})" if n else "ptr"

    def moved_by(self, p: str, offset: str) -> str:
        """A typed pointer, some bytes on."""
        if offset.endswith(" 0"):
            return p
        t = p[: p.rindex(" ")]
        return f"{t} {self.put(f'getelementptr i8, {p}, {offset}')}"

    def wide(self, x: Val) -> str:
        if x.elem is not I32 or not x.text.startswith("%"):
            return x.text
        return self.wides.get(x.text) or self.put(f"sext i32 {x.text} to i64")

    def index(self, v: Value) -> str:
        """An index as i64.  Neighbouring lanes of the DSL's kernels have neighbouring indices, without wrapping: what of it is linear in the lane is
        added in 64 bits, where a compiler for SIMD machines sees that too."""
        i = self.affine.get(v.id)
        if i is None or v.type is not I32:
            return self.wide(self.val(v))
        if i.op.name == "sreg":
            return self.wide(self.val(v))
        a, b = (self.index(x) for x in i.args)
        return self.put(f"{ {'iadd': 'add', 'isub': 'sub', 'imul': 'mul'}[i.op.name]} i64 {a}, {b}")

    def address(self, i: Instr, base: Value, index: Value | None = None) -> str:
        """The typed pointer of an access."""
        space, scale, disp = i.attr("space", "global"), i.attr("scale", 1), i.attr("disp", 0)
        if base.id in self.buffers and space in ("global", "generic", "const"):
            p = self.buffers[base.id]
            if index is not None:
                x = self.index(index)
                p = self.moved_by(p, f"i64 {x if scale == 1 else self.put(f'mul i64 {x}, {scale}')}")
            return self.moved_by(p, f"i64 {disp}")
        return self.place(space, self.val(base), None if index is None else self.val(index), scale, disp, i)

    def place(self, space: str, b: Val, x: Val | None = None, scale: int = 1, disp: int = 0, i: Instr | None = None) -> str:
        """The typed pointer of an address that is an integer; 32 bits wrap before the window is added."""
        window = space in ("shared", "local")
        if space == "cluster":  # clusters of one block: the rank in the upper bits can only be our own
            text = self.put(f"and i{32 if b.elem is I32 else 64} {b.text}, 16777215")
            b, space, window = Val(text, b.elem, 0), "shared", True
        narrow = b.elem is I32
        word, text = ("i32", b.text) if narrow else ("i64", b.text)
        if x is not None:
            part = x.text if x.elem is b.elem else self.put(f"trunc i64 {x.text} to i32") if narrow else self.wide(x)
            if scale != 1:
                part = self.put(f"mul {word} {part}, {scale}")
            text = self.put(f"add {word} {text}, {part}")
        if window:
            if not narrow:
                text = self.put(f"trunc i64 {text} to i32")
            if disp:
                text = self.put(f"add i32 {text}, {disp}")
            base = self.arena if space == "shared" else "%local"
            if space == "local" and not self.local or not base:
                raise self.d.lacks(f"{space} memory that nothing declares", i)
            return self.moved_by(f"{self.pointer_type(space)} {base}", f"i64 {self.put(f'zext i32 {text} to i64')}")
        if narrow:
            text = self.put(f"zext i32 {text} to i64")
        if disp:
            text = self.put(f"add i64 {text}, {disp}")
        t = self.pointer_type(space)
        return f"{t} {self.put(f'inttoptr i64 {text} to {t}')}"

    def memory_of(self, elem: Scalar) -> str:
        return "i8" if elem is I1 else NAMES[elem.name]

    def ordered(self, i: Instr, elem: Scalar) -> tuple[str, str]:
        """(keyword, ordering) of a load or store."""
        order = i.attr("order")
        if order in (None, "weak") or elem.bits < 32 or elem.bits > 64:
            return ("volatile " if i.attr("volatile") or order not in (None, "weak") else ""), ""
        return "atomic ", f" {self.d.scope(i.attr('scope', 'sys'))}{ORDER.get(order, 'seq_cst')}"

    def _ld(self, i: Instr) -> None:
        base, index, _ = self.split(i, 0)
        elem, count = i.attr("to"), len(i.results)
        t = self.memory_of(elem)

        def body() -> list[str]:
            p = self.address(i, base, index)
            keyword, order = self.ordered(i, elem)
            align = max(elem.bytes, i.attr("align", 1))
            if count > 1 and not order and elem is not I1:
                v = self.put(f"load {keyword}<{count} x {t}>, {p}, align {align}")
                return [self.put(f"extractelement <{count} x {t}> {v}, i32 {k}") for k in range(count)]
            at = f"i{elem.bits}" if order else t
            out = []
            for k in range(count):
                x = self.put(f"load {keyword}{at}, {self.moved_by(p, f'i64 {k * elem.bytes}')}{order}, align {elem.bytes}")
                out.append(self.put(f"icmp ne i8 {x}, 0") if elem is I1 else self.put(f"bitcast {at} {x} to {t}") if at != t else x)
            return out

        self.with_guard(i, body)
        if order_after(i):
            self.fence("acq_rel", i.attr("scope", "sys"))

    def _st(self, i: Instr) -> None:
        count = i.attr("count", 1)
        base, index, data = self.split(i, count)
        elem = i.attr("to")
        t = self.memory_of(elem)
        if order_after(i):
            self.fence("acq_rel", i.attr("scope", "sys"))

        def body() -> list[str]:
            texts = [self.val(v).text for v in data]
            p = self.address(i, base, index)
            keyword, order = self.ordered(i, elem)
            align = max(elem.bytes, i.attr("align", 1))
            if count > 1 and not order and elem is not I1:
                v = "poison"
                for k, x in enumerate(texts):
                    v = self.put(f"insertelement <{count} x {t}> {v}, {t} {x}, i32 {k}")
                self.lines.append(f"  store {keyword}<{count} x {t}> {v}, {p}, align {align}")
                return []
            at = f"i{elem.bits}" if order else t
            for k, x in enumerate(texts):
                x = self.put(f"zext i1 {x} to i8") if elem is I1 else self.put(f"bitcast {t} {x} to {at}") if at != t else x
                self.lines.append(f"  store {keyword}{at} {x}, {self.moved_by(p, f'i64 {k * elem.bytes}')}{order}, align {elem.bytes}")
            return []

        self.with_guard(i, body)

    # ---- atomics

    def _atom(self, i: Instr) -> None:
        fn, elem = i.attr("fn"), i.attr("to")
        base, index, data = self.split(i, 2 if fn == "cas" else 1)

        def body() -> list[str]:
            texts = [self.val(v).text for v in data]
            old = self.atomic(i, self.address(i, base, index), fn, elem, texts)
            return [old] if i.results else []

        self.with_guard(i, body)

    _red = _atom

    def atomic(self, i: Instr, p: str, fn: str, elem: Scalar, texts: list[str]) -> str:
        t, w, align = NAMES[elem.name], f"i{elem.bits}", elem.bytes
        if elem.bits > 64:
            raise self.d.lacks(f"atomic {fn} of {elem}", i)
        order = f"{self.d.scope(i.attr('scope', 'gpu'))}{ORDER.get(i.attr('order', 'relaxed'), 'seq_cst')}"
        if fn in ("cas", "exch"):
            texts = [self.put(f"bitcast {t} {x} to {w}") if t != w else x for x in texts]
        small = elem.bits < 32 and not self.d.narrow_cas
        if fn == "cas" and not small:
            failure = {"release": "monotonic", "acq_rel": "acquire"}.get(order.split()[-1], order.split()[-1])
            pair = self.put(f"cmpxchg {p}, {w} {texts[0]}, {w} {texts[1]} {order} {failure}, align {align}")
            old = self.put(f"extractvalue {{ {w}, i1 }} {pair}, 0")
            return self.put(f"bitcast {w} {old} to {t}") if t != w else old
        if elem.bits >= 32 and fn in self.d.rmw and fn in RMW and (fn == "exch" or not elem.is_float):
            old = self.put(f"atomicrmw {RMW[fn]} {p}, {w} {texts[0]} {order}, align {align}{self.d.atomic_notes}")
            return self.put(f"bitcast {w} {old} to {t}") if t != w else old
        if fn == "fadd" and elem in (F32, F64) and f"fadd {elem.name}" in self.d.rmw:
            return self.put(f"atomicrmw fadd {p}, {t} {texts[0]} {order}, align {align}")
        if fn in ("cas", "exch"):
            texts = [self.put(f"bitcast {w} {x} to {t}") if t != w else x for x in texts]
        return self.cas_loop(i, p, fn, elem, texts, small)

    def cas_loop(self, i: Instr, p: str, fn: str, elem: Scalar, texts: list[str], small: bool) -> str:
        """Load, compute, compare and swap, again.  Elements of 8 and 16 bits live in the aligned word around them."""
        t, w = NAMES[elem.name], f"i{elem.bits}"
        word = "i32" if small else w
        size = 4 if small else elem.bytes
        scope, order = self.d.scope(i.attr("scope", "gpu")), ORDER.get(i.attr("order", "relaxed"), "seq_cst")
        pt = p[: p.rindex(" ")]
        name = f"atomic.{fn}.{elem.name}.{pt.replace('ptr', '').replace(' addrspace(', '').replace(')', '') or '0'}"
        name += "".join(c for c in f".{scope}{order}" if c.isalnum() or c == ".")

        def body(e: Item) -> str:
            at, shift = "%a0", "0"
            if small:
                whole = e.put(f"ptrtoint {pt} %a0 to i64")
                at = e.put(f"inttoptr i64 {e.put(f'and i64 {whole}, -4')} to {pt}")
                inside = e.put(f"shl i64 {e.put(f'and i64 {whole}, 3')}, 3")
                shift = e.put(f"trunc i64 {inside} to i32")
            first = e.put(f"load atomic {word}, {pt} {at} {scope}monotonic, align {size}")
            before = e.label
            e.lines.append("  br label %again")
            e.open("again")
            seen = e.fresh()
            have = e.put(f"phi {word} [ {first}, %{before} ], [ {seen}, %AGAIN ]")
            old = e.put(f"trunc i32 {e.put(f'lshr i32 {have}, {shift}')} to {w}") if small else have
            typed = e.put(f"bitcast {w} {old} to {t}") if t != w else old
            new = e.combined(i, fn, elem, typed, [f"%a{n + 1}" for n in range(len(texts))])
            new = e.put(f"bitcast {t} {new} to {w}") if t != w else new
            if small:
                hole = e.put(f"xor i32 {e.put(f'shl i32 {(1 << elem.bits) - 1}, {shift}')}, -1")
                part = e.put(f"shl i32 {e.put(f'zext {w} {new} to i32')}, {shift}")
                new = e.put(f"or i32 {e.put(f'and i32 {have}, {hole}')}, {part}")
            failure = {"release": "monotonic", "acq_rel": "acquire"}.get(order, order)
            pair = e.put(f"cmpxchg {pt} {at}, {word} {have}, {word} {new} {scope}{order} {failure}, align {size}")
            e.lines.append(f"  {seen} = extractvalue {{ {word}, i1 }} {pair}, 0")
            ok = e.put(f"extractvalue {{ {word}, i1 }} {pair}, 1")
            e.lines = [line.replace("%AGAIN", f"%{e.label}") for line in e.lines]
            e.lines.append(f"  br i1 {ok}, label %out, label %again")
            e.open("out")
            return typed

        fn_name = self.helper(name, t, [pt, *[t] * len(texts)], body)
        return self.put(f"call {t} {fn_name}({', '.join([p, *(f'{t} {x}' for x in texts)])})")

    def combined(self, i: Instr, fn: str, elem: Scalar, old: str, texts: list[str]) -> str:
        """What a read-modify-write leaves."""
        t = NAMES[elem.name]
        [x, *rest] = texts
        if fn == "exch":
            return x
        if fn == "cas":
            same = self.put(f"icmp eq i{elem.bits} {self.as_bits(elem, old)}, {self.as_bits(elem, x)}")
            return self.put(f"select i1 {same}, {t} {rest[0]}, {t} {old}")
        if fn in ("inc", "dec"):
            most = self.put(f"icmp {'uge' if fn == 'inc' else 'ugt'} {t} {old}, {x}")
            if fn == "inc":
                return self.put(f"select i1 {most}, {t} 0, {t} {self.put(f'add {t} {old}, 1')}")
            wraps = self.put(f"or i1 {most}, {self.put(f'icmp eq {t} {old}, 0')}")
            return self.put(f"select i1 {wraps}, {t} {x}, {t} {self.put(f'sub {t} {old}, 1')}")
        if not elem.is_float and fn in RMW:
            op = {"imin_s": "smin", "imax_s": "smax", "imin_u": "umin", "imax_u": "umax"}.get(fn)
            return self.put(self.call(f"llvm.{op}.{t}", t, [(t, old), (t, x)]) if op else f"{RMW[fn]} {t} {old}, {x}")
        if not elem.is_float or fn not in ("fadd", "fminnum", "fmaxnum", "fmin", "fmax"):
            raise self.d.lacks(f"atomic {fn} of {elem}", i)
        narrow = elem.bits < 32
        s, f = ("f32", "float") if narrow else (SUFFIX[elem.name], t)
        a, c = (self.to_f32(v, elem, False) if narrow else v for v in (old, x))
        if fn == "fadd":
            r = self.put(f"fadd {f} {a}, {c}")
        else:
            name = {"fminnum": "minimumnum", "fmaxnum": "maximumnum", "fmin": "minimum", "fmax": "maximum"}[fn]
            r = self.put(self.call(f"llvm.{name}.{s}", f, [(f, a), (f, c)]))
        return self.from_f32(r, elem, False) if narrow else r

    def as_bits(self, elem: Scalar, text: str) -> str:
        t = NAMES[elem.name]
        return self.put(f"bitcast {t} {text} to i{elem.bits}") if not t.startswith("i") else text

    def fence(self, order: str, scope: str) -> None:
        self.lines.append(f"  fence {self.d.scope(scope)}{'seq_cst' if order == 'sc' else 'acq_rel'}")

    def _fence(self, i: Instr) -> None:
        self.fence(i.attr("order", "acq_rel"), i.attr("scope", "gpu"))

    # ---- address spaces

    def flat(self, p: str) -> str:
        """A typed pointer as a generic address (i64)."""
        t, g = p[: p.rindex(" ")], self.pointer_type("generic")
        if t != g:
            p = f"{g} {self.put(f'addrspacecast {p} to {g}')}"
        return self.put(f"ptrtoint {p} to i64")

    def _to_generic(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0])
        if space in ("shared", "local", "cluster"):
            self.define(i.result, self.flat(self.place(space, x, i=i)))
        else:
            self.define(i.result, x.text if x.elem is I64 else self.put(f"zext i32 {x.text} to i64"))

    def window(self, space: str) -> tuple[str, str]:
        """(generic address of a window, its bytes as i64)."""
        return self.window_base(space), str(self.local) if space == "local" else self.put(f"zext i32 {self.d.arena_size(self)} to i64")

    def window_base(self, space: str) -> str:
        name = self.arena if space == "shared" else "%local"
        return self.flat(f"{self.pointer_type(space)} {name}")

    def _from_generic(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0]).text
        if space in ("shared", "local", "cluster"):
            space = "local" if space == "local" else "shared"
            x = self.put(f"sub i64 {x}, {self.window_base(space)}")
        self.define(i.result, x)

    def inside(self, x: str, space: str) -> str:
        if space == "shared" and not self.arena or space == "local" and not self.local:
            return "false"
        base, size = self.window(space)
        return self.put(f"icmp ult i64 {self.put(f'sub i64 {x}, {base}')}, {size}")

    def _is_space(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0]).text
        if space in ("shared", "cluster", "local"):
            self.define(i.result, self.inside(x, "local" if space == "local" else "shared"))
        elif space == "global":
            other = self.put(f"or i1 {self.inside(x, 'shared')}, {self.inside(x, 'local')}")
            self.define(i.result, self.put(f"xor i1 {other}, true"))
        else:
            raise self.d.lacks(f"isspacep.{space}", i)

    def _alloca(self, i: Instr) -> None:
        t = self.pointer_type("local")
        have = self.put(f"load i32, {t} %heap")
        align = max(i.attr("align", 8), 8)
        up = self.put(f"and i32 {self.put(f'add i32 {have}, {align - 1}')}, {-align}")
        size = self.put(f"trunc i64 {self.val(i.args[0]).text} to i32")
        self.lines.append(f"  store i32 {self.put(f'add i32 {up}, {size}')}, {t} %heap")
        self.define(i.result, self.flat(self.moved_by(f"{t} %local", f"i64 {self.put(f'zext i32 {up} to i64')}")))

    # ---- what ends a launch, and what needs nothing

    def _report(self, i: Instr) -> None:
        place = f"{self.pointer_type('global')} %report"
        self.when(self.val(i.args[0]).text, f"store atomic i32 {i.attr('code', 1)}, {place} {self.d.scope('gpu')}monotonic, align 4")

    def _pause(self, i: Instr) -> None:
        """Nothing: others run by themselves."""

    def _async_wait(self, i: Instr) -> None:
        """Copies are complete when they are issued."""

    def _copy(self, i: Instr) -> None:
        """Byte by byte, the rest zero; a known small number at once."""

        def body() -> list[str]:
            if i.attr("fn"):
                raise self.d.lacks(f"cp.reduce.async ({i.attr('fn')})", i)
            dst, src = self.place(i.attr("to"), self.val(i.args[0]), i=i), self.place(i.attr("from"), self.val(i.args[1]), i=i)
            known = self.shapes.const.get(i.args[2].id)
            if known in (4, 8, 16) and i.attr("bytes", known) == known and len(i.args) == 3:
                t = {4: "i32", 8: "i64", 16: "<4 x i32>"}[known]
                self.lines.append(f"  store {t} {self.put(f'load {t}, {src}, align 4')}, {dst}, align 4")
                return []
            read = self.put(f"zext i32 {self.val(i.args[2]).text} to i64")
            total = str(i.attr("bytes")) if i.attr("bytes") else self.val(i.args[3]).text if len(i.args) > 3 else read
            types = [x[: x.rindex(" ")] for x in (dst, src)]
            name = "copy.bytes." + ".".join(t.replace("ptr", "").replace(" addrspace(", "").replace(")", "") or "0" for t in types)
            self.lines.append(f"  call i64 {self.helper(name, 'i64', [*types, 'i64', 'i64'], lambda e: _copy_loop(e, *types))}({dst}, {src}, i64 {read}, i64 {total})")
            return []

        self.with_guard(i, body)


def _affine(k: Kernel) -> dict[int, Instr]:
    """i32 values that are a lane's or thread's number, or sums, differences and constant multiples of such with others: id → instruction."""
    found: dict[int, Instr] = {}
    const = {i.result.id for i in k.instrs() if i.op.name == "constant"}
    for n in reverse_post_order(k):
        for i in k.blocks[n].instrs:
            if i.op.name == "sreg" and i.attr("name") in ("tid.x", "laneid"):
                found[i.result.id] = i
            elif i.op.name in ("iadd", "isub", "imul") and i.result.type is I32:
                have = [a.id in found for a in i.args]
                if any(have) and (i.op.name != "imul" or i.args[have[0]].id in const):
                    found[i.result.id] = i
    return found


def order_after(i: Instr) -> bool:
    """Whether a narrow or wide access has an order that its instruction cannot carry."""
    return i.attr("order") in ("acquire", "release", "sc") and not 32 <= i.attr("to").bits <= 64


def _copy_loop(e: Item, dst: str, src: str) -> str:
    e.lines.append("  br label %head")
    e.lines += ["head:", "  %k = phi i64 [ 0, %entry ], [ %k1, %next ]", "  %more = icmp ult i64 %k, %a3", "  br i1 %more, label %body, label %out",
                "body:", f"  %q = getelementptr i8, {dst} %a0, i64 %k", "  %in = icmp ult i64 %k, %a2", "  br i1 %in, label %get, label %zero",
                "get:", f"  %p = getelementptr i8, {src} %a1, i64 %k", f"  %x = load i8, {src} %p", f"  store i8 %x, {dst} %q", "  br label %next",
                "zero:", f"  store i8 0, {dst} %q", "  br label %next", "next:", "  %k1 = add i64 %k, 1", "  br label %head", "out:"]  # fmt: skip
    return "0"


def emit_items(kernels: Sequence[Kernel], dialect: Dialect) -> str:
    """LLVM IR of some kernels as one module."""
    return module_of(kernels, dialect)[0]


def module_of(kernels: Sequence[Kernel], dialect: Dialect, debug: Locations | None = None) -> tuple[str, list[dict[str, Any]]]:
    """The module's text, and the signature of each kernel.  `debug` gets the locations."""
    declared: set[str] = set()
    helpers: dict[str, str] = {}
    items = [Item(k, dialect, declared, helpers) for k in kernels]
    bodies = []
    for e in items:
        if e.k.functions:
            raise dialect.lacks("a function that calls itself or is called by address")
        e.debug = debug
        bodies.append(e.run())
    head = [f'target datalayout = "{dialect.layout}"'] * bool(dialect.layout) + [f'target triple = "{dialect.triple}"'] * bool(dialect.triple)
    parts = ["\n".join(head), "\n".join(g for e in items for g in e.globals), *helpers.values(), *bodies, "\n".join(sorted(declared)),
             "\n".join([*dialect.tail(items), *(debug.metadata() if debug is not None else [])])]  # fmt: skip
    return "\n\n".join(p for p in parts if p) + "\n", [e.signature() for e in items]

