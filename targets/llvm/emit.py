"""Our kernels as LLVM IR text for the CPU: the widening step, for any number of lanes.

Every kernel becomes `void @NAME(ptr args, i64 begin, i64 end, ptr grid)`.  `args` points to slots of 8 bytes, one per parameter, then
one with the address of the launch's error word (i32); `grid` to three i64 (nctaid).  It runs blocks `begin … end` (x fastest); a block is
one warp of `kernel.lanes` SIMD lanes.

A value is **uniform** (one LLVM scalar), **affine** (a scalar and a constant step per lane; becomes a vector only where it is used as
one) or **varying** (`<W x T>`).  Accesses with a uniform base and a step of one element are vector loads and stores.  A uniform branch
stays a branch; of divergent control flow there is the side branch (`if any(mask)`), whose results are blended at the join.
What the lane ops are: `ops.py`.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...ir.errors import UnsupportedError
from ...ir.instr import Block, Edge, Instr, Value
from ...ir.kernel import Kernel
from ...ir.passes.cleanup import reverse_post_order
from ...ir.types import F32, I1, I32, Scalar
from .debug import Locations
from .ops import NAMES, SUFFIX, Ops, Val


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


class Function(Ops):
    """One kernel of ours."""

    def __init__(self, kernel: Kernel, declared: set[str], features: frozenset[str], helpers: dict[str, str]) -> None:
        if kernel.warps not in (None, 1):
            raise UnsupportedError(f"{kernel.name} wants {kernel.warps} warps per block; the CPU runs one")
        super().__init__(kernel, kernel.lanes or 1, declared, helpers)
        self.shapes, self.features = Shapes(kernel), features
        self.const = self.shapes.const
        self.phis: dict[int, list[tuple[str, list[str]]]] = {}  # block → (label, argument texts) per incoming edge
        self.regions: dict[int, tuple[str, int, list[str]]] = {}  # block inside a side branch → its mask, the join, the other side's arguments there

    def step(self, v: Value) -> int | None:
        return self.shapes.step[v.id]

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

    def leave(self, n: int, e: Edge) -> None:
        region = self.regions.get(n)
        if region is not None and e.target == region[1]:
            self.edge(e, region[0], region[2])
            return
        if region is not None:
            self.regions[e.target] = region
        self.edge(e)

    def divergent(self, n: int, t: Instr) -> None:
        side, join = t.edges
        mask = self.vec(t.args[0])
        outer = self.regions.get(n)
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
        lane = self.const.get(by.id)
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
        e = Function(k, declared, features, helpers)
        e.debug = debug
        bodies.append(e.run())
    head = [f'target triple = "{triple}"'] if triple else []
    bodies += [*helpers.values(), TASK]
    tail = ['attributes #0 = { nounwind "no-builtins" "no-trapping-math"="true" "prefer-vector-width"="512" }', "!0 = !{i32 1}"]
    tail += debug.metadata() if debug is not None else []
    return "\n\n".join(["\n".join(head), *bodies, "\n".join(sorted(declared)), "\n".join(tail)]) + "\n"
