"""Kernels to LLVM IR text: the one widening step, for any number of lanes.

Every kernel becomes `void @NAME(ptr args, i64 begin, i64 end, ptr grid)`.  `args` points to slots of 8 bytes, one per parameter, then
one with the address of the launch's error word (i32); `grid` to three i64 (nctaid).  It runs blocks `begin … end` (x fastest); a block is
one warp of `kernel.lanes` SIMD lanes.

A value is **uniform** (one LLVM scalar), **affine** (a scalar and a constant step per lane; becomes a vector only where it is used as
one) or **varying** (`<W x T>`).  Accesses with a uniform base and a step of one element are vector loads and stores.  A uniform branch
stays a branch; of divergent control flow there is the side branch (`if any(mask)`), whose results are blended at the join.

Rules, tested on the output: division selects a divisor of 1 for zero; shifts are clamped; float → int by the saturating intrinsics; no
`nsw`, `nuw`, `fast` flags; no call that leaves the object.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from ...ir.errors import BugError, UnsupportedError
from ...ir.instr import Block, Edge, Instr, Value
from ...ir.kernel import Kernel
from ...ir.passes.cleanup import reverse_post_order
from ...ir.softfloat import narrow
from ...ir.types import F16, F32, F64, I1, I16, I32, I64, INT_OF_BITS, Scalar
from .debug import Locations

NAMES = {"i1": "i1", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64", "i128": "i128",
         "f16": "half", "bf16": "i16", "f32": "float", "f64": "double", "f8e4m3": "i8", "f8e5m2": "i8"}  # fmt: skip
SUFFIX = {"i1": "i1", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64", "i128": "i128",
          "f16": "f16", "bf16": "i16", "f32": "f32", "f64": "f64", "f8e4m3": "i8", "f8e5m2": "i8"}  # fmt: skip


class Val:
    """An emitted value: its text, and how it varies over the lanes.

    step None: varying, `text` is a vector.  step 0: uniform, `text` is a scalar.  Other steps: affine, `text` is lane 0's scalar.
    `bound` limits |value| of an affine integer whose scalar part is a constant, so that widening it is exact.
    """

    __slots__ = ("text", "elem", "step", "const", "vector")

    def __init__(self, text: str, elem: Scalar, step: int | None, const: Any = None) -> None:
        self.text, self.elem, self.step, self.const = text, elem, step, const
        self.vector = text if step is None else ""


def float_text(elem: Scalar, value: float) -> str:
    """A number of the format, rounded to nearest: LLVM writes f32 as the f64 of that value, bf16 and 8 bits are integers here."""
    import numpy as np

    if elem is not F64:
        with np.errstate(over="ignore"):
            rounded = narrow(np.array([value], np.float64), elem)
        if elem.bits <= 16:
            bits = int(rounded.view(f"u{elem.bytes}")[0])
            return f"0xH{bits:04X}" if elem is F16 else str(bits)
        value = float(rounded[0])
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


UNARY = {"fsqrt": "sqrt", "fabs": "fabs", "ffloor": "floor", "fceil": "ceil", "ftrunc": "trunc", "frint": "roundeven"}
BINARY = {"fadd": "fadd", "fsub": "fsub", "fmul": "fmul", "fdiv": "fdiv", "iadd": "add", "isub": "sub", "imul": "mul",
          "and": "and", "or": "or", "xor": "xor"}  # fmt: skip
CALL2 = {"fmin": "minimum", "fmax": "maximum", "fminnum": "minimumnum", "fmaxnum": "maximumnum", "copysign": "copysign",
         "imin_s": "smin", "imax_s": "smax", "imin_u": "umin", "imax_u": "umax"}  # fmt: skip
BITS = {"popc": ("ctpop", ""), "clz": ("ctlz", ", i1 false"), "ctz": ("cttz", ", i1 false"), "brev": ("bitreverse", "")}


class Shapes:
    """Which values of a kernel differ between lanes: None varying, 0 uniform, k affine with step k per lane."""

    def __init__(self, kernel: Kernel) -> None:
        self.step: dict[int, int | None] = {}
        self.const: dict[int, Any] = {}
        self.small: set[int] = set()  # affine values whose scalar part is a small constant: widening them is exact
        self.kernel = kernel
        self.side: dict[int, int] = {}  # block of a divergent branch → its join
        self.run()

    def run(self) -> None:
        """To a fixpoint, definitions before uses.  Block parameters start as uniform; one that is found to vary stays so."""
        k = self.kernel
        for param in k.params:
            self.step[param.value.id] = 0
        for i in k.instrs():
            if i.op.name == "constant":
                self.step[i.result.id] = 0
                self.const[i.result.id] = i.attr("value")
        order = reverse_post_order(k)
        varying_params: set[int] = set()
        while True:
            before = len(varying_params)
            self.small.clear()
            for n in order:
                for v in k.blocks[n].params:
                    self.step[v.id] = None if v.id in varying_params else 0
            for n in order:
                for i in k.blocks[n].instrs:
                    self.instr(i)
            for n in order:
                t = k.blocks[n].terminator
                for e in t.edges:
                    for a, p in zip(e.args, k.blocks[e.target].params):
                        if self.step[a.id] != 0:
                            varying_params.add(p.id)
                if t.op.name == "branch" and self.step[t.args[0].id] != 0:
                    join = self.join_of(n, t)
                    varying_params.update(p.id for p in k.blocks[join].params)
            if len(varying_params) == before:
                return

    def join_of(self, n: int, t: Instr) -> int:
        """The block where the sides of a divergent branch meet: its second edge."""
        join = t.edges[1].target
        side = t.edges[0].target
        seen, stack = set(), [side]
        while stack:
            x = stack.pop()
            if x in seen or x == join:
                continue
            seen.add(x)
            end = self.kernel.blocks[x].terminator
            if end.op.name not in ("jump", "branch") or x == n:
                raise UnsupportedError(f"divergent control flow of this form in {self.kernel.name}: {end.op}", place=end.loc,
                                       hint="only side branches that come back to the other edge are widened")  # fmt: skip
            stack.extend(e.target for e in end.edges)
        self.side[n] = join
        return join

    def instr(self, i: Instr) -> None:
        for r in i.results:
            self.step[r.id] = self.of(i)

    def of(self, i: Instr) -> int | None:
        name = i.op.name
        steps = [self.step[a.id] for a in i.operands()]
        if name == "constant":
            return 0
        if name == "sreg":
            lane = i.attr("name") in ("laneid", "tid.x")
            if lane:
                self.small.add(i.result.id)
            return 1 if lane else 0
        if name in ("vote_any", "vote_all") or name == "shfl" and i.attr("mode") == "idx" and steps[1] == 0:
            return 0
        if name in ("shfl", "atom"):
            return None
        if all(s == 0 for s in steps):
            return 0
        if any(s is None for s in steps):
            return None
        ids = [a.id for a in i.args]
        if name in ("iadd", "isub"):
            a, b = steps
            if all(x in self.small or self._small_const(x) for x in ids):
                self.small.add(i.result.id)
            return (a + b if name == "iadd" else a - b) or None  # type: ignore[operator]
        if name == "imul":
            for x, y in ((0, 1), (1, 0)):
                if ids[y] in self.const and steps[y] == 0:
                    if ids[x] in self.small and self._small_const(ids[y]):
                        self.small.add(i.result.id)
                    return steps[x] * self.const[ids[y]] or None
        if name == "sext" and ids[0] in self.small:
            self.small.add(i.result.id)
            return steps[0]
        return None

    def _small_const(self, id_: int) -> bool:
        return id_ in self.const and isinstance(self.const[id_], int) and abs(self.const[id_]) < 1 << 20


class _Emit:
    """One kernel."""

    debug: Locations | None = None  # marks what is written with where it comes from

    def __init__(self, kernel: Kernel, declared: set[str], features: frozenset[str], helpers: dict[str, str]) -> None:
        if kernel.warps not in (None, 1):
            raise UnsupportedError(f"{kernel.name} wants {kernel.warps} warps per block; the CPU runs one")
        self.k, self.w = kernel, kernel.lanes or 1
        self.shapes = Shapes(kernel)
        self.declared, self.features, self.helpers = declared, features, helpers
        self.vals: dict[int, Val] = {}
        self.lines: list[str] = []
        self.n = 0
        self.label = "entry"
        self.phis: dict[int, list[tuple[str, list[str]]]] = {}  # block → (label, argument texts) per incoming edge
        self.masks: list[tuple[int, str]] = []
        self.mask_of_block: dict[int, str | None] = {}

    # ---- text helpers

    def fresh(self) -> str:
        self.n += 1
        return f"%v{self.n}"

    def put(self, rhs: str) -> str:
        name = self.fresh()
        self.lines.append(f"  {name} = {rhs}")
        return name

    def ty(self, elem: Scalar, vec: bool) -> str:
        return f"<{self.w} x {NAMES[elem.name]}>" if vec else NAMES[elem.name]

    def suffix(self, elem: Scalar, vec: bool) -> str:
        return f"v{self.w}{SUFFIX[elem.name]}" if vec else SUFFIX[elem.name]

    def call(self, name: str, result: str, args: Sequence[tuple[str, str]]) -> str:
        """A call of an intrinsic; declared once per module."""
        signature = ", ".join(t for t, _ in args)
        self.declared.add(f"declare {result} @{name}({signature})")
        return f"call {result} @{name}({', '.join(f'{t} {v}' for t, v in args)})"

    def literal(self, elem: Scalar, value: Any) -> str:
        if elem.is_float:
            return float_text(elem, float(value))
        if elem is I1:
            return "true" if value else "false"
        return str(int(value))

    def splat(self, text: str, elem: Scalar) -> str:
        t = NAMES[elem.name]
        if not text.startswith("%"):
            return f"splat ({t} {text})"
        one = self.put(f"insertelement <{self.w} x {t}> poison, {t} {text}, i64 0")
        return self.put(f"shufflevector <{self.w} x {t}> {one}, <{self.w} x {t}> poison, <{self.w} x i32> zeroinitializer")

    def iota(self, elem: Scalar, step: int) -> str:
        t = NAMES[elem.name]
        return "<" + ", ".join(f"{t} {lane * step}" for lane in range(self.w)) + ">"

    def vec(self, v: Value) -> str:
        """The value as a vector."""
        x = self.val(v)
        if x.vector and x.step is None:
            return x.vector
        if x.step == 0:
            return self.splat(x.text, x.elem)
        t = self.ty(x.elem, True)
        base = self.splat(x.text, x.elem)
        assert x.step is not None
        return self.put(f"add {t} {base}, {self.iota(x.elem, x.step)}")

    def val(self, v: Value) -> Val:
        return self.vals[v.id]

    def step(self, v: Value) -> int | None:
        return self.shapes.step[v.id]

    def define(self, v: Value, text: str) -> None:
        self.vals[v.id] = Val(text, v.type.elem, self.step(v), self.shapes.const.get(v.id))

    def operand(self, v: Value, vec: bool) -> str:
        return self.vec(v) if vec else self.val(v).text

    # ---- the function

    def run(self) -> str:
        k = self.k
        marks = self.debug.function(k.name) if self.debug else ""
        head = [f"define void @{k.name}(ptr noalias nocapture readonly %args, i64 %begin, i64 %end, ptr nocapture readonly %grid) #0{marks} {{", "entry:"]
        for n, param in enumerate(k.params):
            t = NAMES[param.value.type.elem.name]
            head.append(f"  %ps{n} = getelementptr i8, ptr %args, i64 {8 * n}")
            head.append(f"  %p{n} = load {t}, ptr %ps{n}, align 8")
            self.vals[param.value.id] = Val(f"%p{n}", param.value.type.elem, 0)
        head.append(f"  %errs = getelementptr i8, ptr %args, i64 {8 * len(k.params)}")
        head.append("  %err = load ptr, ptr %errs, align 8")
        if k.shared:
            head.append(f"  %arena = alloca [{k.shared} x i8], align 64")
        head += [
            "  %gy = getelementptr i8, ptr %grid, i64 8", "  %nx = load i64, ptr %grid", "  %ny = load i64, ptr %gy",
            "  %gz = getelementptr i8, ptr %grid, i64 16", "  %nz = load i64, ptr %gz",
            "  %x0 = urem i64 %begin, %nx", "  %yz0 = udiv i64 %begin, %nx", "  %y0 = urem i64 %yz0, %ny", "  %z0 = udiv i64 %yz0, %ny",
            "  %some = icmp ult i64 %begin, %end", "  br i1 %some, label %block, label %out",
            "block:",
            "  %bid = phi i64 [ %begin, %entry ], [ %bid1, %next ]", "  %cx = phi i64 [ %x0, %entry ], [ %cx1, %next ]",
            "  %cy = phi i64 [ %y0, %entry ], [ %cy1, %next ]", "  %cz = phi i64 [ %z0, %entry ], [ %cz1, %next ]",
            "  %ctx = trunc i64 %cx to i32", "  %cty = trunc i64 %cy to i32", "  %ctz = trunc i64 %cz to i32", "  br label %b0",
        ]  # fmt: skip
        bodies: list[tuple[int, list[str]]] = []
        for n in reverse_post_order(k):
            block = k.blocks[n]
            self.lines = []
            self.label = f"b{n}"
            for j, p in enumerate(block.params):
                self.vals[p.id] = Val(f"%bp{n}_{j}", p.type.elem, self.step(p))
            for i in block.instrs[:-1]:
                start = len(self.lines)
                self.instr(i)
                self.mark(start, i)
            start = len(self.lines)
            self.terminator(n, block)
            self.mark(start, block.terminator)
            bodies.append((n, self.lines))
        text = list(head)
        for n, lines in bodies:
            text.append(f"b{n}:")
            for j, p in enumerate(k.blocks[n].params):
                t = self.ty(p.type.elem, self.step(p) is None)
                incoming = ", ".join(f"[ {args[j]}, %{label} ]" for label, args in self.phis.get(n, []))
                text.append(f"  %bp{n}_{j} = phi {t} {incoming}")
            text.extend(lines)
        text += [
            "next:", "  %bid1 = add i64 %bid, 1", "  %cxa = add i64 %cx, 1", "  %wx = icmp eq i64 %cxa, %nx",
            "  %cx1 = select i1 %wx, i64 0, i64 %cxa", "  %cyi = zext i1 %wx to i64", "  %cya = add i64 %cy, %cyi",
            "  %wy = icmp eq i64 %cya, %ny", "  %cy1 = select i1 %wy, i64 0, i64 %cya", "  %czi = zext i1 %wy to i64",
            "  %cz1 = add i64 %cz, %czi", "  %more = icmp ult i64 %bid1, %end", "  br i1 %more, label %block, label %out",
            "out:", "  ret void", "}",
        ]  # fmt: skip
        return "\n".join(text)

    def mark(self, start: int, i: Instr) -> None:
        """What was written from line `start` on comes from `i`."""
        if self.debug is not None:
            self.debug.mark(self.lines, start, i.loc)

    def edge(self, e: Edge, mask: str | None = None, other: Sequence[str] | None = None) -> None:
        """Records the arguments of an edge that leaves the current label."""
        params = self.k.blocks[e.target].params
        args = [self.operand(a, self.step(p) is None) for a, p in zip(e.args, params)]
        if mask is not None and other is not None:
            for j, p in enumerate(params):
                t = self.ty(p.type.elem, True)
                args[j] = self.put(f"select <{self.w} x i1> {mask}, {t} {args[j]}, {t} {other[j]}")
        self.phis.setdefault(e.target, []).append((self.label, args))

    def terminator(self, n: int, block: Block) -> None:
        t = block.terminator
        name = t.op.name
        if name == "return":
            self.lines.append("  br label %next")
        elif name == "jump":
            self.leave(n, t.edges[0])
            self.lines.append(f"  br label %b{t.edges[0].target}")
        elif name == "branch" and self.step(t.args[0]) == 0:
            for e in t.edges:
                self.leave(n, e)
            cond = self.val(t.args[0]).text
            self.lines.append(f"  br i1 {cond}, label %b{t.edges[0].target}, label %b{t.edges[1].target}")
        elif name == "branch":
            self.divergent(n, t)
        elif name == "trap":
            self.lines.append("  unreachable")
        else:
            raise UnsupportedError(f"{name} in {self.k.name}", place=t.loc)

    def active(self, n: int) -> tuple[str, int, list[str]] | None:
        return self.regions.get(n)

    @property
    def regions(self) -> dict[int, tuple[str, int, list[str]]]:
        """Block inside a side branch → its mask, the join, and the other side's arguments at the join."""
        found = self.__dict__.get("_regions")
        if found is None:
            found = self.__dict__["_regions"] = {}
        return found

    def leave(self, n: int, e: Edge) -> None:
        region = self.active(n)
        if region is not None and e.target == region[1]:
            self.edge(e, region[0], region[2])
            return
        if region is not None:
            self.regions[e.target] = region
        self.edge(e)

    def divergent(self, n: int, t: Instr) -> None:
        side, join = t.edges
        mask = self.vec(t.args[0])
        outer = self.active(n)
        if outer is not None:
            mask = self.put(f"select <{self.w} x i1> {outer[0]}, <{self.w} x i1> {mask}, <{self.w} x i1> zeroinitializer")
            if join.target == outer[1]:
                raise UnsupportedError(f"side branches that share their join in {self.k.name}", place=t.loc)
            self.regions[join.target] = outer
        params = self.k.blocks[join.target].params
        other = [self.operand(a, self.step(p) is None) for a, p in zip(join.args, params)]
        frozen = self.put(f"freeze <{self.w} x i1> {mask}")
        some = self.any(frozen)
        self.edge(side)
        self.phis.setdefault(join.target, []).append((self.label, other))
        self.regions[side.target] = (frozen, join.target, other)
        self.lines.append(f"  br i1 {some}, label %b{side.target}, label %b{join.target}")

    def any(self, mask: str) -> str:
        return self.put(self.call(f"llvm.vector.reduce.or.v{self.w}i1", "i1", [(f"<{self.w} x i1>", mask)]))

    # ---- instructions

    def instr(self, i: Instr) -> None:
        rule: Callable[[Instr], None] | None = getattr(self, "_" + i.op.name, None)
        if rule is not None:
            rule(i)
            return
        if i.op.kind != "lane":
            raise UnsupportedError(f"{i.op} on the CPU", place=i.loc)
        out = i.result
        if self.step(out) not in (0, None):  # affine: on lane 0's scalars
            self.define(out, self.lane(i, False))
            return
        self.define(out, self.lane(i, self.step(out) is None))

    def lane(self, i: Instr, vec: bool) -> str:
        name, out, elem = i.op.name, i.result.type.elem, i.args[0].type.elem
        if i.attr("rnd") not in (None, "rn") and name not in ("ftos", "ftou"):
            raise UnsupportedError(f"{name} with directed rounding on the CPU", place=i.loc)
        a = [self.operand(x, vec) for x in i.args]
        if i.attr("ftz"):
            a = [self.flushed(x, elem, vec) for x in a]
        r = self.plain(i, name, elem, out, vec, a)
        if i.attr("ftz") and out.is_float:
            r = self.flushed(r, out, vec)
        return self.clamped(r, out, vec) if i.attr("sat") else r

    def flushed(self, a: str, elem: Scalar, vec: bool) -> str:
        """Subnormal numbers as zeros of their sign."""
        word = INT_OF_BITS[elem.bits]
        t, w = self.ty(elem, vec), self.ty(word, vec)
        bits = self.put(f"bitcast {t} {a} to {w}") if t != w else a
        exponent = self.put(f"and {w} {bits}, {self.number(word, ((1 << elem.ebits) - 1) << elem.mant, vec)}")
        tiny = self.put(f"icmp eq {w} {exponent}, {self.zero(vec)}")
        zero = self.put(f"and {w} {bits}, {self.number(word, -1 << (elem.bits - 1), vec)}")
        r = self.put(f"select {self.ty(I1, vec)} {tiny}, {w} {zero}, {w} {bits}")
        return self.put(f"bitcast {w} {r} to {t}") if t != w else r

    def clamped(self, a: str, elem: Scalar, vec: bool) -> str:
        """To [0, 1]; a NaN and −0 become 0."""
        if elem.name not in ("f16", "f32", "f64"):  # 0 and 1 are exact: the way through f32 changes nothing
            return self.from_f32(self.clamped(self.to_f32(a, elem, vec), F32, vec), elem, vec)
        t, s = self.ty(elem, vec), self.suffix(elem, vec)
        for name, bound in (("maximumnum", 0.0), ("minimumnum", 1.0)):
            text = float_text(elem, bound)
            a = self.put(self.call(f"llvm.{name}.{s}", t, [(t, a), (t, f"splat ({NAMES[elem.name]} {text})" if vec else text)]))
        return a

    def plain(self, i: Instr, name: str, elem: Scalar, out: Scalar, vec: bool, a: list[str]) -> str:
        """The op without `ftz` and `sat`."""
        t = self.ty(elem, vec)
        if name in BINARY:
            return self.put(f"{BINARY[name]} {t} {a[0]}, {a[1]}")
        if name in CALL2:
            return self.put(self.call(f"llvm.{CALL2[name]}.{self.suffix(elem, vec)}", t, [(t, a[0]), (t, a[1])]))
        if name in UNARY:
            return self.put(self.call(f"llvm.{UNARY[name]}.{self.suffix(elem, vec)}", t, [(t, a[0])]))
        if name in BITS:
            op, flag = BITS[name]
            args = [(t, a[0])] + ([("i1", "false")] if flag else [])
            return self.put(self.call(f"llvm.{op}.{self.suffix(elem, vec)}", t, args))
        if name == "fscale":
            n, word = a[1], i.args[1].type.elem
            if word.bits > 32:
                n = self.put(f"trunc {self.ty(word, vec)} {n} to {self.ty(I32, vec)}")
            kind = f"{self.suffix(elem, vec)}.{self.suffix(I32, vec)}"
            return self.put(self.call(f"llvm.ldexp.{kind}", t, [(t, a[0]), (self.ty(I32, vec), n)]))
        if name == "ffma":
            return self.put(self.call(f"llvm.fma.{self.suffix(elem, vec)}", t, [(t, x) for x in a]))
        if name == "fneg":
            return self.put(f"fneg {t} {a[0]}")
        if name == "ineg":
            return self.put(f"sub {t} {self.zero(vec)}, {a[0]}")
        if name == "iabs":
            return self.put(self.call(f"llvm.abs.{self.suffix(elem, vec)}", t, [(t, a[0]), ("i1", "false")]))
        if name == "not":
            return self.put(f"xor {t} {a[0]}, {self.ones(elem, vec)}")
        if name in ("fcmp", "icmp"):
            return self.put(f"{name} {i.attr('pred', 'oeq' if name == 'fcmp' else 'eq')} {t} {a[0]}, {a[1]}")
        if name == "select":
            if self.step(i.args[0]) == 0:
                a[0], ct = self.val(i.args[0]).text, "i1"
            else:
                ct = self.ty(I1, vec)
            t = self.ty(i.args[1].type.elem, vec)
            return self.put(f"select {ct} {a[0]}, {t} {a[1]}, {t} {a[2]}")
        if name in ("idiv_s", "idiv_u", "irem_s", "irem_u"):
            return self.division(i, name, elem, vec, a)
        if name in ("shl", "shr_s", "shr_u"):
            return self.shift(i, name, elem, vec, a)
        if name in ("imulhi_s", "imulhi_u"):
            return self.mulhi(name, elem, vec, a)
        return self.convert(i, name, elem, out, vec, a[0])

    def zero(self, vec: bool) -> str:
        return "zeroinitializer" if vec else "0"

    def ones(self, elem: Scalar, vec: bool) -> str:
        one = "true" if elem is I1 else "-1"
        return f"splat ({NAMES[elem.name]} {one})" if vec else one

    def number(self, elem: Scalar, value: int, vec: bool) -> str:
        return f"splat ({NAMES[elem.name]} {value})" if vec else str(value)

    def division(self, i: Instr, name: str, elem: Scalar, vec: bool, a: list[str]) -> str:
        t, m = self.ty(elem, vec), self.ty(I1, vec)
        signed, rem = name[-1] == "s", name[1] == "r"
        known = self.shapes.const.get(i.args[1].id)
        op = ("s" if signed else "u") + ("rem" if rem else "div")
        if known is not None and known not in (0, -1):
            return self.put(f"{op} {t} {a[0]}, {a[1]}")
        zero = self.put(f"icmp eq {t} {a[1]}, {self.zero(vec)}")
        bad = zero
        if signed:
            minus = self.put(f"icmp eq {t} {a[1]}, {self.ones(elem, vec)}")
            bad = self.put(f"or {m} {zero}, {minus}")
        safe = self.put(f"select {m} {bad}, {t} {self.number(elem, 1, vec)}, {t} {a[1]}")
        r = self.put(f"{op} {t} {a[0]}, {safe}")
        if signed:
            negated = self.zero(vec) if rem else self.put(f"sub {t} {self.zero(vec)}, {a[0]}")
            r = self.put(f"select {m} {minus}, {t} {negated}, {t} {r}")
        return self.put(f"select {m} {zero}, {t} {a[0] if rem else self.ones(elem, vec)}, {t} {r}")

    def shift(self, i: Instr, name: str, elem: Scalar, vec: bool, a: list[str]) -> str:
        t, m = self.ty(elem, vec), self.ty(I1, vec)
        op = {"shl": "shl", "shr_s": "ashr", "shr_u": "lshr"}[name]
        known = self.shapes.const.get(i.args[1].id)
        if known is not None and 0 <= known < elem.bits:
            return self.put(f"{op} {t} {a[0]}, {a[1]}")
        if name == "shr_s":
            n = self.put(self.call(f"llvm.umin.{self.suffix(elem, vec)}", t, [(t, a[1]), (t, self.number(elem, elem.bits - 1, vec))]))
            return self.put(f"ashr {t} {a[0]}, {n}")
        inside = self.put(f"icmp ult {t} {a[1]}, {self.number(elem, elem.bits, vec)}")
        n = self.put(f"select {m} {inside}, {t} {a[1]}, {t} {self.zero(vec)}")
        r = self.put(f"{op} {t} {a[0]}, {n}")
        return self.put(f"select {m} {inside}, {t} {r}, {t} {self.zero(vec)}")

    def mulhi(self, name: str, elem: Scalar, vec: bool, a: list[str]) -> str:
        wide = f"i{elem.bits * 2}"
        w, t = f"<{self.w} x {wide}>" if vec else wide, self.ty(elem, vec)
        ext = "sext" if name[-1] == "s" else "zext"
        x, y = (self.put(f"{ext} {t} {v} to {w}") for v in a)
        p = self.put(f"mul {w} {x}, {y}")
        count = f"splat ({wide} {elem.bits})" if vec else str(elem.bits)
        h = self.put(f"lshr {w} {p}, {count}")
        return self.put(f"trunc {w} {h} to {t}")

    def convert(self, i: Instr, name: str, elem: Scalar, out: Scalar, vec: bool, a: str) -> str:
        t, u = self.ty(elem, vec), self.ty(out, vec)
        if elem is out or t == u and name == "bitcast":
            return a
        if name in ("zext", "sext"):
            return self.put(f"{name} {t} {a} to {u}")
        if name == "itrunc":
            return self.put(f"trunc {t} {a} to {u}")
        if name == "bitcast":
            return self.put(f"bitcast {t} {a} to {u}")
        if name in ("stof", "utof"):
            if out.bits <= 16:
                raise UnsupportedError(f"{name} to {out} on the CPU must be legalised first", place=i.loc)
            return self.put(f"{'sitofp' if name == 'stof' and elem is not I1 else 'uitofp'} {t} {a} to {u}")
        if name in ("ftos", "ftou"):
            whole = {"rn": "roundeven", "rm": "floor", "rp": "ceil"}.get(i.attr("rnd"))
            if whole:
                a = self.put(self.call(f"llvm.{whole}.{self.suffix(elem, vec)}", t, [(t, a)]))
            kind = "fptosi" if name == "ftos" else "fptoui"
            return self.put(self.call(f"llvm.{kind}.sat.{self.suffix(out, vec)}.{self.suffix(elem, vec)}", u, [(t, a)]))
        if name == "fcvt":
            return self.fcvt(i, elem, out, vec, a)
        raise UnsupportedError(f"{name} on the CPU", place=i.loc)

    def fcvt(self, i: Instr, elem: Scalar, out: Scalar, vec: bool, a: str) -> str:
        if elem is F64 and out is F32:
            return self.put(f"fptrunc {self.ty(elem, vec)} {a} to {self.ty(out, vec)}")
        return self.from_f32(self.odd(a, vec) if elem is F64 else self.to_f32(a, elem, vec), out, vec)

    def to_f32(self, a: str, elem: Scalar, vec: bool) -> str:
        """Exact, from every narrower format."""
        t, f32, i32 = self.ty(elem, vec), self.ty(F32, vec), self.ty(I32, vec)
        if elem is F32:
            return a
        if elem is F16:
            return self.put(f"fpext {t} {a} to {f32}")
        if elem.name == "f8e5m2":  # the upper half of an f16
            i16, f16 = self.ty(I16, vec), self.ty(F16, vec)
            up = self.put(f"shl {i16} {self.put(f'zext {t} {a} to {i16}')}, {self.number(I16, 8, vec)}")
            return self.put(f"fpext {f16} {self.put(f'bitcast {i16} {up} to {f16}')} to {f32}")
        wide = self.put(f"zext {t} {a} to {i32}")
        if elem.name == "bf16":
            up = self.put(f"shl {i32} {wide}, {self.number(I32, 16, vec)}")
            return self.put(f"bitcast {i32} {up} to {f32}")
        # e4m3: its bits in the place of an f32's, times the quotient of the biases; all ones are NaN
        size = self.put(f"and {i32} {wide}, {self.number(I32, 127, vec)}")
        small = self.put(f"bitcast {i32} {self.put(f'shl {i32} {size}, {self.number(I32, 20, vec)}')} to {f32}")
        scale = float_text(F32, 2.0**120)
        x = self.put(f"fmul {f32} {small}, {f'splat (float {scale})' if vec else scale}")
        nan = self.put(f"icmp eq {i32} {size}, {self.number(I32, 127, vec)}")
        bits = self.put(f"select {self.ty(I1, vec)} {nan}, {i32} {self.number(I32, 0x7FC00000, vec)}, {i32} {self.put(f'bitcast {f32} {x} to {i32}')}")
        sign = self.put(f"shl {i32} {self.put(f'lshr {i32} {wide}, {self.number(I32, 7, vec)}')}, {self.number(I32, 31, vec)}")
        return self.put(f"bitcast {i32} {self.put(f'or {i32} {bits}, {sign}')} to {f32}")

    def to_f8(self, a: str, out: Scalar, vec: bool) -> str:
        """To nearest even on the bits; below the normal numbers by an addition that leaves just the bits of the result."""
        f32, i32, m = self.ty(F32, vec), self.ty(I32, vec), self.ty(I1, vec)
        def n(value: int) -> str:
            return self.number(I32, value, vec)

        bias, shift = (1 << (out.ebits - 1)) - 1, 23 - out.mant
        e4m3 = out.name == "f8e4m3"
        bits = self.put(f"bitcast {f32} {a} to {i32}")
        size = self.put(f"and {i32} {bits}, {n(0x7FFFFFFF)}")
        rebased = self.put(f"sub {i32} {size}, {n((127 - bias) << 23)}")
        lsb = self.put(f"and {i32} {self.put(f'lshr {i32} {rebased}, {n(shift)}')}, {n(1)}")
        half = self.put(f"add {i32} {self.put(f'add {i32} {rebased}, {lsb}')}, {n((1 << (shift - 1)) - 1)}")
        normal = self.put(self.call(f"llvm.umin.{self.suffix(I32, vec)}", i32, [
            (i32, self.put(f"lshr {i32} {half}, {n(shift)}")), (i32, n(0x7F if e4m3 else 0x7C))]))  # fmt: skip
        unit = (127 + 24 - bias - out.mant) << 23  # the power of two whose last place is the smallest subnormal
        magnitude = self.put(f"bitcast {i32} {size} to {f32}")
        moved = self.put(f"fadd {f32} {magnitude}, {self.put(f'bitcast {i32} {n(unit)} to {f32}')}")
        low = self.put(f"sub {i32} {self.put(f'bitcast {f32} {moved} to {i32}')}, {n(unit)}")
        small = self.put(f"icmp ult {i32} {size}, {n((128 - bias) << 23)}")
        r = self.put(f"select {m} {small}, {i32} {low}, {i32} {normal}")
        nan = self.put(f"fcmp uno {f32} {a}, {a}")
        r = self.put(f"select {m} {nan}, {i32} {n(0x7F if e4m3 else 0x7E)}, {i32} {r}")
        sign = self.put(f"and {i32} {self.put(f'lshr {i32} {bits}, {n(24)}')}, {n(128)}")
        return self.put(f"trunc {i32} {self.put(f'or {i32} {r}, {sign}')} to {self.ty(out, vec)}")

    def from_f32(self, a: str, out: Scalar, vec: bool) -> str:
        f32, i32, u = self.ty(F32, vec), self.ty(I32, vec), self.ty(out, vec)
        if out is F32:
            return a
        if out is F64:
            return self.put(f"fpext {f32} {a} to {u}")
        if out is F16:
            return self.put(f"fptrunc {f32} {a} to {u}")
        if out.bits == 8:
            return self.to_f8(a, out, vec)
        bits = self.put(f"bitcast {f32} {a} to {i32}")  # bf16: round half to even on the bits, a NaN stays one
        high = self.put(f"lshr {i32} {bits}, {self.number(I32, 16, vec)}")
        lsb = self.put(f"and {i32} {high}, {self.number(I32, 1, vec)}")
        bias = self.put(f"add {i32} {lsb}, {self.number(I32, 0x7FFF, vec)}")
        up = self.put(f"add {i32} {bits}, {bias}")
        rounded = self.put(f"lshr {i32} {up}, {self.number(I32, 16, vec)}")
        nan = self.put(f"fcmp uno {f32} {a}, {a}")
        quiet = self.put(f"or {i32} {high}, {self.number(I32, 64, vec)}")
        r = self.put(f"select {self.ty(I1, vec)} {nan}, {i32} {quiet}, {i32} {rounded}")
        return self.put(f"trunc {i32} {r} to {u}")

    def odd(self, a: str, vec: bool) -> str:
        """f64 → f32 rounded to odd, so that a second rounding to 16 bits is right."""
        f64, f32, i32, m = self.ty(F64, vec), self.ty(F32, vec), self.ty(I32, vec), self.ty(I1, vec)
        near = self.put(f"fptrunc {f64} {a} to {f32}")
        back = self.put(f"fpext {f32} {near} to {f64}")
        inexact = self.put(f"fcmp one {f64} {back}, {a}")
        mag_a = self.put(self.call(f"llvm.fabs.{self.suffix(F64, vec)}", f64, [(f64, a)]))
        mag_b = self.put(self.call(f"llvm.fabs.{self.suffix(F64, vec)}", f64, [(f64, back)]))
        above = self.put(f"fcmp ogt {f64} {mag_b}, {mag_a}")
        bits = self.put(f"bitcast {f32} {near} to {i32}")
        down = self.put(f"sext {m} {above} to {i32}")
        trunc = self.put(f"add {i32} {bits}, {down}")
        sticky = self.put(f"zext {m} {inexact} to {i32}")
        r = self.put(f"or {i32} {trunc}, {sticky}")
        return self.put(f"bitcast {i32} {r} to {f32}")

    # ---- special values

    def _constant(self, i: Instr) -> None:
        elem = i.attr("type").elem
        self.vals[i.result.id] = Val(self.literal(elem, i.attr("value")), elem, 0, i.attr("value"))

    def _undef(self, i: Instr) -> None:
        self.define(i.result, "0" if not i.result.type.elem.is_float else float_text(i.result.type.elem, 0.0))

    def _sreg(self, i: Instr) -> None:
        name = i.attr("name")
        known = {"laneid": "0", "tid.x": "0", "tid.y": "0", "tid.z": "0", "warpid": "0", "nwarpid": "1", "ntid.x": str(self.w), "ntid.y": "1",
                 "ntid.z": "1", "ctaid.x": "%ctx", "ctaid.y": "%cty", "ctaid.z": "%ctz"}  # fmt: skip
        if name in known:
            self.define(i.result, known[name])
        else:
            self.define(i.result, self.put(f"trunc i64 %n{name[-1]} to i32"))

    # ---- memory

    def space(self, i: Instr) -> str:
        space: str = i.attr("space", "global")
        if space not in ("global", "shared", "generic", "const"):
            raise UnsupportedError(f"{space} memory on the CPU", place=i.loc)
        return space

    def pointer(self, i: Instr, base: Value, index: Value | None) -> str:
        """Scalar pointer of lane 0: base and index uniform or affine."""
        scale, disp = i.attr("scale", 1), i.attr("disp", 0)
        b = self.val(base)
        word = "i32" if base.type is I32 else "i64"
        address = b.text
        if index is not None:
            x = self.val(index)
            part = x.text
            if part != "0":
                if index.type is I32:
                    part = self.put(f"sext i32 {part} to i64")
                if scale != 1:
                    part = self.put(f"mul i64 {part}, {scale}")
            if word == "i32":
                address = self.put(f"zext i32 {address} to i64")
            if part != "0":
                address = self.put(f"add i64 {address}, {part}")
        elif word == "i32":
            address = self.put(f"zext i32 {address} to i64")
        if self.space(i) == "shared":
            p = self.put(f"getelementptr i8, ptr %arena, i64 {address}")
        else:
            p = self.put(f"inttoptr i64 {address} to ptr")
        return self.put(f"getelementptr i8, ptr {p}, i64 {disp}") if disp else p

    def pointers(self, i: Instr, base: Value, index: Value | None) -> str:
        """A vector of pointers."""
        i64 = f"<{self.w} x i64>"
        total = self.vec(base)
        if base.type is I32:
            total = self.put(f"zext <{self.w} x i32> {total} to {i64}")
        if index is not None:
            x = self.vec(index)
            if index.type is I32:
                x = self.put(f"sext <{self.w} x i32> {x} to {i64}")
            if i.attr("scale", 1) != 1:
                x = self.put(f"mul {i64} {x}, splat (i64 {i.attr('scale')})")
            total = self.put(f"add {i64} {total}, {x}")
        if i.attr("disp", 0):
            total = self.put(f"add {i64} {total}, splat (i64 {i.attr('disp')})")
        if self.space(i) == "shared":
            return self.put(f"getelementptr i8, ptr %arena, {i64} {total}")
        return self.put(f"inttoptr {i64} {total} to <{self.w} x ptr>")

    def step_bytes(self, i: Instr, base: Value, index: Value | None) -> int | None:
        steps = [self.step(base)] + ([] if index is None else [self.step(index)])
        if any(s is None for s in steps):
            return None
        return steps[0] + (steps[1] * i.attr("scale", 1) if index is not None else 0)  # type: ignore[operator]

    def guard(self, i: Instr, n: int | None = None) -> str | None:
        """The mask vector under which an access happens; None for all lanes."""
        return None if i.guard is None else self.vec(i.guard)

    def split(self, i: Instr, values: int) -> tuple[Value, Value | None, tuple[Value, ...]]:
        n = len(i.args) - values
        return i.args[0], i.args[1] if n == 2 else None, i.args[n:]

    def _ld(self, i: Instr) -> None:
        base, index, _ = self.split(i, 0)
        elem, size = i.attr("to"), i.attr("to").bytes
        for k, r in enumerate(i.results):
            self.load_one(i if k == 0 else i.replace(attrs=self.moved(i, k * size)), r, base, index, elem,
                          i.passthrough[k] if i.passthrough else None)  # fmt: skip

    def moved(self, i: Instr, by: int) -> Any:
        attrs = dict(i.attrs)
        attrs["disp"] = attrs.get("disp", 0) + by
        return tuple(sorted(attrs.items()))

    def memory_type(self, elem: Scalar, vec: bool) -> str:
        return self.ty(elem, vec).replace("i1", "i8") if elem is I1 else self.ty(elem, vec)

    def from_memory(self, text: str, elem: Scalar, vec: bool) -> str:
        if elem is not I1:
            return text
        t = self.memory_type(elem, vec)
        return self.put(f"icmp ne {t} {text}, {self.zero(vec)}")

    def load_one(self, i: Instr, r: Value, base: Value, index: Value | None, elem: Scalar, other: Value | None) -> None:
        step, size, w = self.step_bytes(i, base, index), elem.bytes, self.w
        t, s = self.memory_type(elem, True), self.memory_type(elem, False)
        if self.step(r) == 0:
            if i.guard is None:
                x = self.put(f"load {s}, ptr {self.pointer(i, base, index)}, align {self.align(i)}")
            else:
                x = self.guarded_scalar(i, base, index, s, other, elem)
            self.define(r, self.from_memory(x, elem, False))
            return
        mask = self.guard(i)
        fill = "zeroinitializer"
        if mask is not None and other is not None:
            fill = self.vec(other)
            if elem is I1:
                fill = self.put(f"zext <{w} x i1> {fill} to {t}")
        if step == size:
            p = self.pointer(i, base, index)
            if mask is None:
                x = self.put(f"load {t}, ptr {p}, align {self.align(i)}")
            else:
                suffix = f"v{w}{SUFFIX[elem.name] if elem is not I1 else 'i8'}"
                x = self.put(self.masked_call(f"llvm.masked.load.{suffix}.p0", t, p, mask, fill, self.align(i)))
        elif step == 0:
            inner = self.any(self.put(f"freeze <{w} x i1> {mask}")) if mask is not None else None
            p = self.pointer(i, base, index)
            if inner is None:
                scalar = self.put(f"load {s}, ptr {p}, align {self.align(i)}")
            else:
                scalar = self.conditional(inner, s, lambda: self.put(f"load {s}, ptr {p}, align {self.align(i)}"), self.nothing(elem))
            one = self.put(f"insertelement {t} poison, {s} {scalar}, i64 0")
            x = self.put(f"shufflevector {t} {one}, {t} poison, <{w} x i32> zeroinitializer")
            if mask is not None:
                x = self.put(f"select <{w} x i1> {mask}, {t} {x}, {t} {fill}")
        else:
            x = self.gather(i, base, index, elem, t, s, mask, fill)
        self.define(r, self.from_memory(x, elem, True))

    def nothing(self, elem: Scalar) -> str:
        return float_text(elem, 0.0) if elem.is_float else "0"

    def align(self, i: Instr) -> int:
        return int(i.attr("to").bytes)

    def masked_call(self, name: str, t: str, p: str, mask: str, fill: str, align: int) -> str:
        m = f"<{self.w} x i1>"
        self.declared.add(f"declare {t} @{name}(ptr, {m}, {t})")
        return f"call {t} @{name}(ptr align {align} {p}, {m} {mask}, {t} {fill})"

    def gather(self, i: Instr, base: Value, index: Value | None, elem: Scalar, t: str, s: str, mask: str | None, fill: str) -> str:
        w = self.w
        ps = self.pointers(i, base, index)
        if mask is not None and (elem.bytes < 4 or "avx512" not in self.features):
            name = f"gather.{w}x{s}"
            self.helpers.setdefault(name, gather_helper(name, w, t, s, self.align(i)))
            return self.put(f"call {t} @{name}(<{w} x ptr> {ps}, <{w} x i1> {mask}, {t} {fill})")
        if mask is None:
            x = "poison"
            for lane in range(w):
                p = self.put(f"extractelement <{w} x ptr> {ps}, i64 {lane}")
                one = self.put(f"load {s}, ptr {p}, align {self.align(i)}")
                x = self.put(f"insertelement {t} {x}, {s} {one}, i64 {lane}")
            return x
        suffix = f"v{w}{SUFFIX[elem.name] if elem is not I1 else 'i8'}"
        m = f"<{w} x i1>"
        name = f"llvm.masked.gather.{suffix}.v{w}p0"
        self.declared.add(f"declare {t} @{name}(<{w} x ptr>, {m}, {t})")
        return self.put(f"call {t} @{name}(<{w} x ptr> align {self.align(i)} {ps}, {m} {mask}, {t} {fill})")

    def conditional(self, cond: str, t: str, inside: Callable[[], str], otherwise: str) -> str:
        """A value computed only where a scalar condition holds."""
        self.n += 1
        yes, done, before = f"yes{self.n}", f"done{self.n}", self.label
        self.lines.append(f"  br i1 {cond}, label %{yes}, label %{done}")
        self.lines.append(f"{yes}:")
        self.label = yes
        x = inside()
        self.lines.append(f"  br label %{done}")
        after = self.label
        self.lines.append(f"{done}:")
        self.label = done
        return self.put(f"phi {t} [ {x}, %{after} ], [ {otherwise}, %{before} ]")

    def guarded_scalar(self, i: Instr, base: Value, index: Value | None, s: str, other: Value | None, elem: Scalar) -> str:
        assert i.guard is not None
        fill = self.nothing(elem)
        if other is not None:
            fill = self.val(other).text
            if elem is I1:
                fill = self.put(f"zext i1 {fill} to i8")
        p = self.pointer(i, base, index)
        return self.conditional(self.val(i.guard).text, s, lambda: self.put(f"load {s}, ptr {p}, align {self.align(i)}"), fill)

    def _st(self, i: Instr) -> None:
        count = i.attr("count", 1)
        base, index, data = self.split(i, count)
        size = i.attr("to").bytes
        for k, v in enumerate(data):
            self.store_one(i if k == 0 else i.replace(attrs=self.moved(i, k * size)), v, base, index)

    def store_one(self, i: Instr, v: Value, base: Value, index: Value | None) -> None:
        elem, w = i.attr("to"), self.w
        step, size = self.step_bytes(i, base, index), elem.bytes
        t, s = self.memory_type(elem, True), self.memory_type(elem, False)
        guard = i.guard
        if step == 0:  # one place: the highest lane that executes wins
            p = self.pointer(i, base, index)
            x = self.val(v)
            if x.step != 0:
                text = self.put(f"extractelement {self.ty(elem, True)} {self.vec(v)}, i64 {w - 1}")
                if guard is not None and self.step(guard) != 0:
                    raise UnsupportedError("a guarded store of different values to one place", place=i.loc)
            else:
                text = x.text
            if elem is I1:
                text = self.put(f"zext i1 {text} to i8") if text.startswith("%") else str(int(text == "true"))
            if guard is None:
                self.lines.append(f"  store {s} {text}, ptr {p}, align {self.align(i)}")
                return
            some = self.val(guard).text if self.step(guard) == 0 else self.any(self.put(f"freeze <{w} x i1> {self.vec(guard)}"))
            self.when(some, f"store {s} {text}, ptr {p}, align {self.align(i)}")
            return
        text = self.vec(v)
        if elem is I1:
            text = self.put(f"zext <{w} x i1> {text} to {t}")
        mask = self.guard(i)
        if step == size:
            p = self.pointer(i, base, index)
            if mask is None:
                nt = ", !nontemporal !0" if i.attr("nt") else ""
                self.lines.append(f"  store {t} {text}, ptr {p}, align {self.align(i)}{nt}")
                return
            suffix = f"v{w}{SUFFIX[elem.name] if elem is not I1 else 'i8'}"
            m = f"<{w} x i1>"
            if size < 8 and elem is not F32 and "avx512" in self.features:
                mask = self.put(f"and {m} {mask}, {self.hidden_ones()}")
            name = f"llvm.masked.store.{suffix}.p0"
            self.declared.add(f"declare void @{name}({t}, ptr, {m})")
            self.lines.append(f"  call void @{name}({t} {text}, ptr align {self.align(i)} {p}, {m} {mask})")
            return
        ps = self.pointers(i, base, index)
        if mask is None:
            for lane in range(w):
                p = self.put(f"extractelement <{w} x ptr> {ps}, i64 {lane}")
                one = self.put(f"extractelement {t} {text}, i64 {lane}")
                self.lines.append(f"  store {s} {one}, ptr {p}, align {self.align(i)}")
            return
        suffix = f"v{w}{SUFFIX[elem.name] if elem is not I1 else 'i8'}"
        m = f"<{w} x i1>"
        name = f"llvm.masked.scatter.{suffix}.v{w}p0"
        self.declared.add(f"declare void @{name}({t}, <{w} x ptr>, {m})")
        self.lines.append(f"  call void @{name}({t} {text}, <{w} x ptr> align {self.align(i)} {ps}, {m} {mask})")

    def hidden_ones(self) -> str:
        """A mask of all lanes that LLVM cannot see through.  On AVX-512, LLVM 22 turns a truncating masked store whose mask is a constant
        with one lane into a scalar store of the *wide* element: it overwrites the neighbour in memory.  No mask stays a constant with this."""
        bits = self.put(f'call i{self.w} asm "", "=r,0"(i{self.w} -1)')
        return self.put(f"bitcast i{self.w} {bits} to <{self.w} x i1>")

    def when(self, cond: str, statement: str) -> None:
        self.n += 1
        yes, done = f"yes{self.n}", f"done{self.n}"
        self.lines += [f"  br i1 {cond}, label %{yes}, label %{done}", f"{yes}:", f"  {statement}", f"  br label %{done}", f"{done}:"]
        self.label = done

    def _red(self, i: Instr) -> None:
        """Atomics act in ascending lane order."""
        base, index, [v] = self.split(i, 1)
        elem, w = i.attr("to"), self.w
        names = {"iadd": "add", "and": "and", "or": "or", "xor": "xor", "imin_s": "min", "imax_s": "max", "imin_u": "umin", "imax_u": "umax",
                 "fadd": "fadd", "exch": "xchg"}  # fmt: skip
        fn = i.attr("fn")
        if fn not in names:
            raise UnsupportedError(f"atomic {fn} on the CPU", place=i.loc)
        s = NAMES[elem.name]
        ps, data = self.pointers(i, base, index), self.vec(v)
        mask = self.guard(i)
        for lane in range(w):
            p = self.put(f"extractelement <{w} x ptr> {ps}, i64 {lane}")
            one = self.put(f"extractelement {self.ty(elem, True)} {data}, i64 {lane}")
            self.n += 1
            statement = f"%at{self.n} = atomicrmw {names[fn]} ptr {p}, {s} {one} monotonic"
            if mask is None:
                self.lines.append("  " + statement)
            else:
                bit = self.put(f"extractelement <{w} x i1> {mask}, i64 {lane}")
                self.when(bit, statement)

    def _bar(self, i: Instr) -> None:
        pass  # one warp in lockstep

    def _fence(self, i: Instr) -> None:
        self.lines.append("  fence " + ("seq_cst" if i.attr("order") == "sc" else "acq_rel"))

    def _report(self, i: Instr) -> None:
        cond = i.args[0]
        some = self.val(cond).text if self.step(cond) == 0 else self.any(self.put(f"freeze <{self.w} x i1> {self.vec(cond)}"))
        self.when(some, f"store atomic i32 {i.attr('code', 1)}, ptr %err monotonic, align 4")

    # ---- across lanes

    def _shfl(self, i: Instr) -> None:
        v, by = i.args
        lane = self.shapes.const.get(by.id)
        mode, w = i.attr("mode"), self.w
        if lane is None:
            raise UnsupportedError("shfl by a lane that is not a constant", place=i.loc)
        t = self.ty(v.type.elem, True)
        if mode == "idx":
            x = self.val(v)
            self.define(i.result, x.text if x.step == 0 else self.put(f"extractelement {t} {self.vec(v)}, i64 {lane}"))
            return
        sources = [{"bfly": k ^ lane, "down": k + lane, "up": k - lane}[mode] for k in range(w)]
        lanes = [s if 0 <= s < w else k for k, s in enumerate(sources)]
        order = ", ".join(f"i32 {k}" for k in lanes)
        self.define(i.result, self.put(f"shufflevector {t} {self.vec(v)}, {t} poison, <{w} x i32> <{order}>"))

    def _vote_any(self, i: Instr) -> None:
        x = self.val(i.args[0])
        self.define(i.result, x.text if x.step == 0 else self.any(x.text))

    def _vote_all(self, i: Instr) -> None:
        x = self.val(i.args[0])
        m = f"<{self.w} x i1>"
        self.define(i.result, x.text if x.step == 0 else self.put(self.call(f"llvm.vector.reduce.and.v{self.w}i1", "i1", [(m, x.text)])))


# What each thread of a pool runs: chunks of blocks from the shared counter (`Work` in targets/cpu/pool.py).
TASK = """define void @ptxjit_task(ptr %a, ptr %d, ptr %s, ptr %work) #0 {
entry:
  %fn = load ptr, ptr %work
  %pa = getelementptr i8, ptr %work, i64 8
  %args = load ptr, ptr %pa
  %pg = getelementptr i8, ptr %work, i64 16
  %grid = load ptr, ptr %pg
  %pb = getelementptr i8, ptr %work, i64 24
  %blocks = load i64, ptr %pb
  %pc = getelementptr i8, ptr %work, i64 32
  %chunk = load i64, ptr %pc
  %pn = getelementptr i8, ptr %work, i64 40
  br label %take
take:
  %begin = atomicrmw add ptr %pn, i64 %chunk monotonic
  %some = icmp slt i64 %begin, %blocks
  br i1 %some, label %run, label %out
run:
  %last = add i64 %begin, %chunk
  %less = icmp slt i64 %last, %blocks
  %end = select i1 %less, i64 %last, i64 %blocks
  call void %fn(ptr %args, i64 %begin, i64 %end, ptr %grid)
  br label %take
out:
  ret void
}"""


def gather_helper(name: str, w: int, t: str, s: str, align: int) -> str:
    """A gather that the hardware does not have, as a function: LLVM makes a branch per lane of each `masked.gather`, in the loop, and takes
    long for it.  Lanes that are off read a place of the stack."""
    lines = [f"define internal {t} @{name}(<{w} x ptr> %p, <{w} x i1> %m, {t} %fill) noinline #0 {{", "entry:", "  %slot = alloca i64",
             f"  %one = insertelement <{w} x ptr> poison, ptr %slot, i64 0",
             f"  %off = shufflevector <{w} x ptr> %one, <{w} x ptr> poison, <{w} x i32> zeroinitializer",
             f"  %at = select <{w} x i1> %m, <{w} x ptr> %p, <{w} x ptr> %off", "  store i64 0, ptr %slot"]  # fmt: skip
    x = "poison"
    for lane in range(w):
        lines += [f"  %p{lane} = extractelement <{w} x ptr> %at, i64 {lane}", f"  %e{lane} = load {s}, ptr %p{lane}, align {align}",
                  f"  %x{lane} = insertelement {t} {x}, {s} %e{lane}, i64 {lane}"]  # fmt: skip
        x = f"%x{lane}"
    return "\n".join([*lines, f"  %r = select <{w} x i1> %m, {t} {x}, {t} %fill", f"  ret {t} %r", "}"])


def emit_module(kernels: Sequence[Kernel], *, triple: str = "", features: frozenset[str] = frozenset(), debug: Locations | None = None) -> str:
    """LLVM IR of some kernels as one module.  `features`: `avx512` where masks live in registers of their own.  `debug` gets the locations."""
    declared: set[str] = set()
    helpers: dict[str, str] = {}
    bodies = []
    for k in kernels:
        e = _Emit(k, declared, features, helpers)
        e.debug = debug
        bodies.append(e.run())
    head = [f'target triple = "{triple}"'] if triple else []
    bodies += [*helpers.values(), TASK]
    tail = ['attributes #0 = { nounwind "no-builtins" "no-trapping-math"="true" "prefer-vector-width"="512" }', "!0 = !{i32 1}"]
    tail += debug.metadata() if debug is not None else []
    return "\n\n".join(["\n".join(head), *bodies, "\n".join(sorted(declared)), "\n".join(tail)]) + "\n"


_ = (I64, BugError)
