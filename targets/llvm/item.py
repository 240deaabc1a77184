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
from ...ir.types import I1, I32, I64, Scalar
from .access import RMW, Access
from .collective import Request
from .debug import Locations
from .ops import NAMES, Val

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

    def dot4(self, e: Item, a: str, b: str, total: str, signs: str) -> str | None:
        """`total` (i32) and the four products of the bytes of two words, whose signs are the op's; None where the device has no such instruction."""
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


class Item(Access):
    """One kernel."""

    d: Dialect

    def __init__(self, kernel: Kernel, dialect: Dialect, declared: set[str], helpers: dict[str, str]) -> None:
        super().__init__(kernel, 1, declared, helpers)
        self.d = dialect
        self.name = dialect.symbol(kernel)
        self.foreign = kernel.lanes is None
        self.lanes, self.warps = kernel.lanes or 32, kernel.warps or 1
        self.apart = not self.foreign and dialect.apart(kernel)
        self.buffers: dict[int, str] = {}  # values that are addresses in a buffer: the pointer, with its type
        self.allocas: list[str] = []
        self.globals: list[str] = []
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
            self.const[i.result.id] = i.attr("value")

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
        if name == "dot4":
            text = self.d.dot4(self, a[0], a[1], a[2], i.attr("signs", "ss"))
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

    # ---- what ends a launch, and what needs nothing

    def _report(self, i: Instr) -> None:
        place = f"{self.pointer_type('global')} %report"
        self.when(self.val(i.args[0]).text, f"store atomic i32 {i.attr('code', 1)}, {place} {self.d.scope('gpu')}monotonic, align 4")

    def _pause(self, i: Instr) -> None:
        """Nothing: others run by themselves."""

    def _async_wait(self, i: Instr) -> None:
        """Copies are complete when they are issued."""


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

