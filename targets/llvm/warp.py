"""Kernels to LLVM IR, a warp at a time: the mode that is fast.

The lanes of a warp, or of a part of it (`width.py`), are one vector; what is the same for all of them stays scalar.  A branch on a uniform condition is a branch.  From a
divergent branch to where its sides meet, blocks are *linearised*: each block has a mask of the lanes that stand before it, runs if there is
any, and hands its lanes on to the masks of its successors; a loop repeats while its head has lanes.  Values that cross blocks there are
blended, so a lane keeps what it had when it left.  A lane that returns leaves `alive`.  `regions.py` decides all this;
integers whose lanes differ in a known way are scalars too (`lanes.py`), and accesses by them need no test (`shaped.py`, others: `reach.py`).

Block barriers are taken where control flow is uniform; collectives also in linearised code, where all lanes that get there are there at once
(but not in loops that lanes leave one by one).  A member mask that names a lane which went another way is a deadlock.  What this mode refuses (`Refused`)
goes lane by lane (`dispatch.py`): loops that may wait for lanes of their own warp, barriers in divergent code.  A loop that waits for other warps
or blocks gives way after some turns, with all that is alive in the frame.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...ir.instr import Edge, Instr, Value
from ...ir.types import F32, F64, I1, I8, I32, I64, Scalar
from .asm import Fn
from .calls import CALLS, Calls, threads_in
from .collectives import collective
from .directed import CONSTRAINED, conversion, rounding_mode
from .dispatch import Lane, _Point, _Segment
from .helpers import COPY
from .lanes import COPIES, Shape, W, splits
from .layout import BARRIER, BARRIER_, BLOCK, CLUSTER, FRAME, FUEL, YIELD
from .masks import mask_elem
from .mbarriers import Mbarriers
from .ops import NAMES, SUFFIX, Ops, Val
from .private import Private, side_by_side
from .reach import REDUCED, any_load, any_store, atomics, copies, each_lane
from .regions import BARRIER_OPS, Plan, Refused, cluster_wait, components, whole_block
from .shaped import Grouped, Shaped, pieces

QUICK = 10  # instructions
SLOW = frozenset("fdiv fsqrt idiv_s idiv_u irem_s irem_u".split())


class Warp(Mbarriers, Private, Calls, Shaped, Lane):
    """The function of the lanes that run together, a warp or a part of it: `i32 NAME.lane(args, launch, block, arena, frame, point)`, with a frame
    for them."""

    def __init__(self, declared: set[str], helpers: dict[str, str], plan: Plan, wide: bool = True) -> None:
        self.plan = plan
        self.mask_elem = "i1" if wide or plan.w == W else mask_elem(plan)
        self.inner: list[Warp] = []  # loops that run a part of the lanes at a time
        self.spinning: dict[int, Any] = {}  # head of a linearised loop → its point
        self.form, self.wide_masks = plan.lanes.form, wide  # wide: the machine has masked loads and stores of all sizes
        super().__init__(plan.k, declared, helpers, w=plan.w)
        self.ops: dict[Any, str] = {}  # collective operation → its function
        self.scratches: set[str] = set()
        self.linearised = -1  # the block being written under its mask

    # ---- frame

    def _layout(self) -> None:
        at = FRAME["ops"] + 64  # results of barriers; alive, and alive at the start
        self.lockstep = all(whole_block(i, self.plan.lanes.const) for i in self.k.instrs() if i.op.name in BARRIER_OPS)
        self.whole_block = self.lockstep
        self.lockstep = self.lockstep and not any(p.kind in (YIELD, CLUSTER) for p in self.points)  # blocks of a group that wait for each other take turns
        self.tid_at: dict[str, int] = {}
        for i in self.k.instrs():
            if self.form == "any" and i.op.name == "sreg" and str(i.attr("name")).startswith("tid.") and i.attr("name")[-1] not in self.tid_at:
                self.tid_at[i.attr("name")[-1]] = at
                at += 4 * self.w
        self.results_at, self.alive_at, self.start_at = FRAME["ops"] + 16, FRAME["ops"] + 48, FRAME["ops"] + 52
        for axis in threads_in(self.k):
            if axis not in self.tid_at:
                self.tid_at[axis] = at
                at += 4 * self.w
        for p in self.points:
            for v in p.live:
                if v.id not in self.saved:
                    shape = self.plan.shape(v)
                    size = v.type.elem.bytes * (self.w if shape is None else self.w // shape.group)
                    at = -(-at // 64) * 64 if shape is None else -(-at // 8) * 8
                    self.saved[v.id] = at
                    at += max(size, 8)
        if self.spinning:  # there all variables are kept
            for v in self.crossing.values():
                if v.id not in self.saved:
                    at = -(-at // 64) * 64
                    self.saved[v.id] = at
                    at += v.type.elem.bytes * self.w
            self.masks_at = -(-at // 64) * 64
            at = self.masks_at + 4 * len(self.plan.inside)
        self.element = side_by_side(self.k)
        self.frame = -(-self.memory_of_lanes(at) // 64) * 64

    def _cut(self) -> None:
        for n, b in enumerate(self.k.blocks):
            s = _Segment(f"b{n}", n)
            s.params = b.params
            self.segments.append(s)
            for i in b.instrs:
                waits, polls = i.op.name == "bar" or i.op.name == "named_barrier" and i.attr("kind") != "arrive", id(i) in self.plan.polls
                waits |= cluster_wait(i)
                if not waits:
                    s.instrs.append(i)
                    if not polls:
                        continue
                p = _Point(len(self.points) + 1, i, YIELD if polls else CLUSTER if cluster_wait(i) else BARRIER_)
                self.points.append(p)
                s.point, s.next, s.poll = p, f"b{n}p{p.number}", polls
                s = _Segment(s.next, n)
                self.segments.append(s)
        for h, t in self.plan.spins.items():
            self.spinning[h] = _Point(len(self.points) + 1, t, YIELD)
            self.points.append(self.spinning[h])

    # ---- the function

    def run(self) -> str:
        k, plan = self.k, self.plan
        for i in k.instrs():
            if i.op.name == "part":
                from .chunk import Chunk

                inner = Chunk(self, i.attr("loop"))
                self.helpers[inner.name] = inner.run()
                self.inner.append(inner)
        marks = self.debug.function(self.name) if self.debug else ""
        head = [self.signature(marks), "entry:",
                f"  %local = getelementptr i8, ptr %frame, i64 {self.local_at}"]  # fmt: skip
        for n, p in enumerate(k.params):
            elem = p.value.type.elem
            head.append(f"  %ps{n} = getelementptr i8, ptr %args, i64 {8 * n}")
            if elem is I1:
                head += [f"  %pb{n} = load i8, ptr %ps{n}", f"  %p{n} = icmp ne i8 %pb{n}, 0"]
            else:
                head.append(f"  %p{n} = load {NAMES[elem.name]}, ptr %ps{n}, align {max(1, elem.bytes)}")
            self.vals[p.value.id] = Val(f"%p{n}", elem, 0)
        for v in self.crossing.values():
            head += [f"  {place} = alloca {self.type_of(v)}" for place in self.places(v)]
        head += [f"  {place} = alloca {self.mask_type}" for place in ("%alive", *(f"%m{m}" for m in sorted(plan.inside)))]
        if self.plan.polls or self.plan.spins:
            head += ["  %fuel = alloca i32", f"  store i32 {FUEL}, ptr %fuel"]
        self.allocas: list[str] = []
        self.lines, self.local_vals, self.mask = [], {}, ""
        self.prologue()
        start = self.lines
        body: list[str] = []
        for s in self.segments:
            if s.block in plan.inside or s.block not in set(plan.order):
                continue
            self.lines, self.local_vals, self.mask, self.label = [], {}, "", s.label
            body.append(f"{s.label}:")
            self.segment(s)
            body += self.lines
        cases = " ".join(f"i32 {p.number}, label %r{p.number}" for p in self.points)
        start.append(f"  switch i32 %pc, label %b0 [ {cases} ]" if self.points else "  br label %b0")
        for s in self.segments:
            if s.point is not None:
                self.lines, self.local_vals, self.mask = [], {}, ""
                self.resume(s)
                body += [f"r{s.point.number}:", *self.lines]
        for h, p in self.spinning.items():
            self.lines, self.local_vals, self.mask = [], {}, ""
            self.spin_on(h)
            body += [f"r{p.number}:", *self.lines]
        return "\n".join(head + self.allocas + start + body + ["}"])

    def signature(self, marks: str) -> str:
        inline = "" if self.points else "alwaysinline "  # there is one call, in a loop over the warps
        return f"define internal i32 @{self.name}.lane(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk, ptr %arena, ptr %frame, i32 %pc) {inline}#0{marks} {{"

    def _part(self, i: Instr) -> None:
        from .chunk import call

        call(self, i)

    def prologue(self) -> None:
        """Which lanes there are: the last warp of a block may be partial."""
        bits = self.frame_load(self.start_at, I32)
        fresh = self.put("icmp eq i32 %pc, 0") if self.points or self.uses_heap else ""
        if self.uses_heap:
            self.empty_heap(fresh)
        if self.points:
            bits = self.put(f"select i1 {fresh}, i32 {bits}, i32 {self.frame_load(self.alive_at, I32)}")
        self.put_mask(self.mask_of(bits), "%alive")

    def share(self) -> dict[str, int]:
        """How many instructions are computed once for a warp or for a group of its lanes, how many on vectors, how many lane by lane."""
        out = dict.fromkeys(("scalar", "vector", "lane by lane"), 0)
        for n in self.plan.order:
            for i in self.k.blocks[n].instrs:
                if i.op.name not in ("constant", "jump", "return", "part"):
                    out[self.way(i)] += 1
        out["lane by lane"] += sum(i.op.name not in ("constant", "jump", "return") for f in self.k.functions for i in f.instrs())
        for loop in self.inner:
            for way, count in loop.share().items():
                out[way] += count
        return out

    def way(self, i: Instr) -> str:
        name = i.op.name
        if name in ("ld", "st", "atom", "red"):
            base, index, data = self.split_args(i, {"ld": 0, "st": i.attr("count", 1)}.get(name, 2 if i.attr("fn") == "cas" else 1))
            if name == "ld" and i.results and i.results[0].id not in self.plan.varying:
                return "scalar"
            if name in ("atom", "red"):
                one = not self.asked(i) and i.attr("fn") in REDUCED and i.attr("to") in (I32, I64) and base.id not in self.plan.varying
                return "vector" if one else "lane by lane"
            if self.private(i):
                return "vector" if self.is_row(i, base) else "lane by lane"
            s, count = self.shape_of(i, base, index), len(i.results or data)
            cut = pieces(s, i.attr("to").bytes * count) if s is not None else None
            return "vector" if cut is not None and (name == "ld" or "same" not in cut.kinds) else "lane by lane"
        if name in ("match_any_sync", "match_all_sync", "redux_sync", "mma", "copy", "printf", *CALLS):
            return "lane by lane"
        if name == "shfl_sync" and any(a.id not in self.plan.lanes.const for a in i.args[2:4]):
            return "lane by lane"
        if i.results:
            r = i.results[0].id
            return "scalar" if r not in self.plan.varying or r in self.plan.shapes else "vector"
        return "vector" if any(a.id in self.plan.varying for a in i.args) else "scalar"

    def segment(self, s: Any) -> None:
        for i in s.instrs:
            start = len(self.lines)
            if i.op.terminator:
                self.finish(s.block, i)
            else:
                self.instr(i)
            self.mark(start, i)
        if s.point is not None:
            start = len(self.lines)
            self.wait(s)
            self.mark(start, s.point.instr)

    # ---- values

    def needs(self, v: Value) -> Iterable[Value]:
        shape = self.plan.shapes.get(v.id)
        return [x for x, _, _ in shape.anchors] if shape is not None else ()

    def places(self, v: Value) -> list[str]:
        """The variables of a value that crosses blocks: one, or one for each group of lanes."""
        shape = self.plan.shape(v)
        return [f"%c{v.id}", *(f"%c{v.id}_{n}" for n in range(1, 1 if shape is None else self.w // shape.group))]

    def type_of(self, v: Value) -> str:
        """Of its variable: predicates are kept as masks."""
        vec = self.plan.shape(v) is None
        return self.mask_type if vec and v.type.elem is I1 else self.ty(v.type.elem, vec)

    def step(self, v: Value) -> int | None:
        return None if v.id in self.plan.varying else 0

    def val(self, v: Value) -> Val:
        found = self.local_vals.get(v.id) or self.vals.get(v.id)
        if found is None:
            texts = [self.put(f"load {self.type_of(v)}, ptr {place}") for place in self.places(v)]
            if v.type.elem is I1 and v.id in self.plan.varying:
                texts = [self.bools(texts[0])]
            found = Val(texts[0], v.type.elem, self.step(v)) if v.id not in self.plan.shapes else Grouped(texts, v.type.elem)
            self.local_vals[v.id] = found
        return found

    def vec(self, v: Value) -> str:
        x = self.val(v)
        if not isinstance(x, Grouped):
            return x.vector if x.step is None else self.splat(x.text, x.elem)
        if not x.vector:
            x.vector = self.spread(x.texts, x.elem, self.exact(v))
        return x.vector

    def exact(self, v: Value) -> str:
        """What the lanes have beyond the scalars of their groups: a vector, '' where it is zero."""
        shape = self.plan.shapes[v.id]
        t = self.ty(v.type.elem, True)
        offs = list(shape.offs)
        parts = []
        for x, kind, factor in shape.anchors:
            offs = [o - factor * p for o, p in zip(offs, self.plan.shapes[x.id].offs)]
            wide = self.put(f"{kind}ext <{self.w} x i32> {self.vec(x)} to {t}")
            bases = [self.put(f"{kind}ext i32 {b} to i64") for b in self.bases(x)]
            part = self.put(f"sub {t} {wide}, {self.spread(bases, I64, '')}")
            parts.append(part if factor == 1 else self.put(f"mul {t} {part}, splat (i64 {factor})"))
        out = "" if not any(offs) else f"<{', '.join(f'{NAMES[v.type.elem.name]} {o}' for o in offs)}>"
        for part in parts:
            out = self.put(f"add {t} {out}, {part}") if out else part
        return out

    def spread(self, texts: Sequence[str], elem: Scalar, beyond: str) -> str:
        """The scalars of groups as a vector, and something added."""
        t = self.ty(elem, True)
        if len(texts) == 1:
            x = self.splat(texts[0], elem)
        else:
            x = "poison"
            for n, text in enumerate(texts):
                x = self.put(f"insertelement {t} {x}, {NAMES[elem.name]} {text}, i64 {n}")
            order = ", ".join(f"i32 {lane * len(texts) // self.w}" for lane in range(self.w))
            x = self.put(f"shufflevector {t} {x}, {t} poison, <{self.w} x i32> <{order}>")
        return self.put(f"add {t} {x}, {beyond}") if beyond else x

    def bases(self, v: Value) -> list[str]:
        """The scalars of a value's groups."""
        x = self.val(v)
        return x.texts if isinstance(x, Grouped) else [x.text]

    def first_of(self, v: Value, group: int, n: int) -> str:
        """The value of the first lane of the n-th group of that many lanes."""
        shape = self.plan.shape(v)
        assert shape is not None
        at, more = splits(shape, group)[n]
        base = self.bases(v)[at]
        return self.put(f"add {NAMES[v.type.elem.name]} {base}, {more}") if more else base

    def grouped(self, i: Instr, shape: Shape) -> None:
        """An integer whose lanes differ in a known way, by scalars."""
        name, out = i.op.name, i.result
        t, u = NAMES[i.args[0].type.elem.name] if i.args else "i32", NAMES[out.type.elem.name]
        texts = []
        for n in range(self.w // shape.group):
            if name == "sreg":
                reg = str(i.attr("name"))
                texts.append("0" if reg == "laneid" or reg == "tid.x" and self.plan.lanes.row < self.w else self.from_frame(reg[-1]))
                continue
            args = [self.first_of(a, shape.group, n) for a in i.args]
            if name in COPIES or t == u and name in ("sext", "zext", "itrunc"):
                texts.append(args[0])
            elif name in ("sext", "zext", "itrunc"):
                texts.append(self.put(f"{name.removeprefix('i')} {t} {args[0]} to {u}"))
            else:
                texts.append(self.do(f"{ {'iadd': 'add', 'isub': 'sub', 'imul': 'mul', 'shr_u': 'lshr', 'shr_s': 'ashr'}.get(name, name)} {t}", *args))
        self.local_vals[out.id] = Grouped(texts, out.type.elem)
        if out.id in self.crossing:
            self.put_away(out, texts)

    def put_away(self, v: Value, texts: Sequence[str]) -> None:
        t = NAMES[v.type.elem.name]
        self.lines += [f"  store {t} {text}, ptr {place}" for text, place in zip(texts, self.places(v))]

    def instr(self, i: Instr) -> None:
        shape = self.plan.shapes.get(i.results[0].id) if len(i.results) == 1 else None
        if shape is not None:
            self.grouped(i, shape)
        else:
            super().instr(i)

    def define(self, v: Value, text: str) -> None:
        self.local_vals[v.id] = Val(text, v.type.elem, self.step(v))
        if v.id in self.crossing:
            self.keep(v, text, self.mask)

    def same(self, v: Value, text: str) -> None:
        """Defines what is a scalar here; in linearised code a value that crosses blocks is a vector all the same."""
        self.define(v, text if self.step(v) == 0 else self.splat(text, v.type.elem))

    def _read_clock(self, i: Instr) -> None:
        self.same(i.result, self.put(self.call("llvm.readcyclecounter", "i64", [])))

    def keep(self, v: Value, text: str, mask: str) -> None:
        """Into the variable, where the mask holds."""
        t = self.type_of(v)
        if v.type.elem is I1 and v.id in self.plan.varying:
            text = self.mask_of_bools(text)
        if mask and v.id in self.plan.blend:
            text = self.pick(mask, t, text, self.put(f"load {t}, ptr %c{v.id}"))
        self.lines.append(f"  store {t} {text}, ptr %c{v.id}")

    def here(self) -> str:
        """The mask of the lanes that are here."""
        return self.mask or self.mask_in("%alive")

    # ---- control flow

    def die(self, mask: str) -> None:
        """Lanes that return."""
        alive = self.mask_in("%alive")
        gone = self.both(alive, mask)
        if not self.lockstep:
            n = self.put(self.call("llvm.ctpop.i32", "i32", [("i32", self.bits(gone))]))
            p = self.put(f"getelementptr i8, ptr %blk, i64 {BLOCK['live']}")
            self.lines.append(f"  store i32 {self.do('sub i32', self.put(f'load i32, ptr {p}'), n)}, ptr {p}")
        self.put_mask(self.both(alive, self.inverse(mask)), "%alive")

    def finish(self, n: int, t: Instr) -> None:
        """A terminator where control flow is uniform."""
        name = t.op.name
        region = self.plan.regions.get(n)
        if name == "return":
            self.die(self.mask_in("%alive"))
            self.lines.append("  ret i32 0")
        elif name == "trap":
            self.lines.append("  ret i32 -1")
        elif region is not None:
            self.diverge(t, region)
        elif name == "jump":
            self.pass_on(t.edges[0], "")
            self.go(t.edges[0].target)
        else:
            x = self.val(t.args[0]).text
            labels = []
            for e in t.edges:
                self.n += 1
                labels.append((f"e{self.n}", e))
            if name == "branch":
                self.lines.append(f"  br i1 {x}, label %{labels[0][0]}, label %{labels[1][0]}")
            else:
                cases = " ".join(f"i32 {k}, label %{lab}" for k, (lab, _) in enumerate(labels))
                self.lines.append(f"  switch i32 {x}, label %{labels[-1][0]} [ {cases} ]")
            for lab, e in labels:
                self.lines.append(f"{lab}:")
                with self.aside():
                    self.pass_on(e, "")
                    self.go(e.target)

    def go(self, target: int) -> None:
        """To a block; a linearised loop is written where it is entered."""
        region = self.plan.regions.get(target)
        if region is None or target not in region[0]:
            self.lines.append(f"  br label %b{target}")
            return
        self.no_masks(region[0])
        self.put_mask(self.mask_in("%alive"), f"%m{target}")
        self.linear(region)

    def no_masks(self, blocks: set[int]) -> None:
        """Where a region is entered no lane stands before any of its blocks.  (Once for all at the start would keep each mask alive all the way.)"""
        for m in sorted(blocks):
            self.put_mask("zeroinitializer", f"%m{m}")

    def linear(self, region: tuple[set[int], int | None]) -> None:
        """Linearised blocks in topological order; then, where lanes are left, on to the join."""
        blocks, join = region
        self.parts([n for n in self.plan.order if n in blocks], None)
        self.mask, self.local_vals = "", {}
        if join is None:
            self.lines.append("  ret i32 0")
            return
        some = self.some(self.mask_in("%alive"))
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {some}, label %on{n}, label %end{n}", f"end{n}:", "  ret i32 0", f"on{n}:"]
        self.go(join)

    def pass_on(self, e: Edge, mask: str) -> None:
        """The arguments of an edge."""
        params = self.k.blocks[e.target].params
        texts: list[list[str]] = []
        for a, p in zip(e.args, params):
            shape = self.plan.shape(p)
            if shape is None:
                texts.append([self.vec(a)])
            else:
                texts.append([self.first_of(a, shape.group, n) for n in range(self.w // shape.group)])
        for p, parts in zip(params, texts):
            if p.id in self.plan.shapes:
                self.put_away(p, parts)
            else:
                self.keep(p, parts[0], mask)
            self.local_vals.pop(p.id, None)

    def diverge(self, t: Instr, region: tuple[set[int], int | None]) -> None:
        """A divergent branch, its linearised blocks, and the way on.  Without blocks, one side only returns and the others go on."""
        blocks, join = region
        alive = self.mask_in("%alive")
        self.no_masks(blocks)
        for e, mask in self.ways(t, alive):
            if self.plan.dies(e.target):
                self.die(mask)
            else:
                self.pass_on(e, mask)
                if e.target in blocks:
                    self.raise_mask(e.target, mask)
        if not blocks:
            join = next((e.target for e in t.edges if not self.plan.dies(e.target)), None)
        self.linear((blocks, join))

    def ways(self, t: Instr, mask: str) -> list[tuple[Edge, str]]:
        """The edges of a terminator with the lanes that take them."""
        name = t.op.name
        if name == "jump":
            return [(t.edges[0], mask)]
        if name == "branch":
            c = self.frozen(t.args[0])
            return [(t.edges[0], self.narrowed(mask, t.args[0])), (t.edges[1], self.both(mask, self.inverse(c)))]
        if name == "switch":
            x = self.put(f"freeze <{self.w} x i32> {self.vec(t.args[0])}")
            out, rest = [], mask
            for k, e in enumerate(t.edges[:-1]):
                hit = self.both(rest, self.mask_of_bools(self.put(f"icmp eq <{self.w} x i32> {x}, splat (i32 {k})")))
                out.append((e, hit))
                rest = self.both(rest, self.inverse(hit))
            return [*out, (t.edges[-1], rest)]
        raise Refused(f"{name} in divergent code", place=t.loc)

    def narrowed(self, mask: str, v: Value) -> str:
        """A mask and a predicate.  One that two others make is taken apart: LLVM packs masks to bytes, to join `<w x i1>` with an i1."""
        i = self.plan.lanes.defs.get(v.id)
        if self.mask_elem != "i1" and i is not None and i.op.name == "and" and v.id in self.local_vals and all(a.id in self.local_vals for a in i.args):
            for a in sorted(i.args, key=lambda a: self.step(a) == 0):
                mask = self.narrowed(mask, a)
            return mask
        if self.mask_elem == "i1" or self.step(v) is None:
            return self.both(mask, self.frozen(v))
        word = self.put(f"sext i1 {self.put(f'freeze i1 {self.val(v).text}')} to {self.mask_elem}")
        return self.both(mask, self.splat(word, I32 if self.mask_elem == "i32" else I64))

    def raise_mask(self, n: int, mask: str) -> None:
        have = self.mask_in(f"%m{n}")
        self.put_mask(self.put(f"or {self.mask_type} {have}, {mask}"), f"%m{n}")

    def parts(self, nodes: list[int], cut: int | None) -> None:
        for part in components(self.k, nodes, cut):
            n = next(iter(part))
            again = len(part) > 1 or any(e.target == n and n != cut for e in self.k.blocks[n].terminator.edges)
            if not again:
                self.linear_block(n, n == cut)
                continue
            inside = [m for m in self.plan.order if m in part]
            heads = {e.target for m in self.plan.order if m not in part for e in self.k.blocks[m].terminator.edges if e.target in part}
            if len(heads) != 1:
                raise Refused("a divergent loop with several entries")
            [h] = heads
            self.n += 1
            top, out = f"loop{self.n}", f"out{self.n}"
            self.lines += [f"  br i1 {self.some(self.mask_in(f'%m{h}'))}, label %{top}, label %{out}", f"{top}:"]
            self.local_vals = {}
            if h in self.spinning:
                self.spin(h)
            self.parts(inside, h)
            some = self.some(self.mask_in(f"%m{h}"))
            self.lines += [f"  br i1 {some}, label %{top}, label %{out}", f"{out}:"]
            self.local_vals = {}

    def quick(self, n: int) -> bool:
        """Whether a block is run faster than it is asked if there are lanes for it."""
        instrs = self.k.blocks[n].instrs
        return len(instrs) <= QUICK and instrs[-1].op.name in ("jump", "branch") and all(
            i.op.kind == "lane" and i.op.name not in SLOW and i.attr("rnd", "rn") == "rn" for i in instrs[:-1])

    def linear_block(self, n: int, head: bool) -> None:
        """A block under its mask; the head of a loop has lanes."""
        b = self.k.blocks[n]
        self.local_vals = {}
        mask = self.mask_in(f"%m{n}")  # made of frozen conditions
        self.put_mask("zeroinitializer", f"%m{n}")
        self.n += 1
        yes, no = f"in{self.n}", f"past{self.n}"
        asked = not head and not self.quick(n)
        if asked:
            self.lines += [f"  br i1 {self.some(mask)}, label %{yes}, label %{no}", f"{yes}:"]
        self.mask, self.linearised = mask, n
        for i in b.instrs[:-1]:
            start = len(self.lines)
            self.instr(i)
            self.mark(start, i)
        t = b.terminator
        if t.op.name == "return":
            self.die(mask)
        elif t.op.name == "trap":
            self.lines.append("  ret i32 -1")
            self.n += 1
            self.lines.append(f"dead{self.n}:")
        else:
            for e, part in self.ways(t, mask):
                if self.plan.dies(e.target):
                    self.die(part)
                    continue
                self.pass_on(e, mask if self.plan.fresh(n, e.target) else part)
                if e.target in self.plan.inside:
                    self.raise_mask(e.target, part)
        if asked:
            self.lines += [f"  br label %{no}", f"{no}:"]
        self.mask = ""
        self.local_vals = {}

    # ---- barriers

    def give_way(self, on: str) -> None:
        """Branches to `on` while there is fuel; what follows is written for when it is gone."""
        left = self.put(f"sub i32 {self.put('load i32, ptr %fuel')}, 1")
        self.lines.append(f"  store i32 {left}, ptr %fuel")
        gone = self.put(f"icmp sle i32 {left}, 0")
        self.n += 1
        self.lines += [f"  br i1 {gone}, label %give{self.n}, label %{on}", f"give{self.n}:"]

    def suspend(self, p: Any, live: Iterable[Value]) -> None:
        for v in live:
            self.save(v)
        q = self.put(f"getelementptr i8, ptr %frame, i64 {self.alive_at}")
        self.lines.append(f"  store i32 {self.bits(self.mask_in('%alive'))}, ptr {q}")
        self.lines.append(f"  ret i32 {p.number}")

    def spin(self, h: int) -> None:
        """At the head of a linearised loop that waits for other threads: after some turns the warp gives way, with all its variables and masks."""
        self.give_way(f"spin{h}")
        for n, m in enumerate(sorted(self.plan.inside)):
            q = self.put(f"getelementptr i8, ptr %frame, i64 {self.masks_at + 4 * n}")
            self.lines.append(f"  store i32 {self.bits(self.mask_in(f'%m{m}'))}, ptr {q}")
        self.suspend(self.spinning[h], self.crossing.values())
        self.lines.append(f"spin{h}:")
        self.local_vals = {}

    def spin_on(self, h: int) -> None:
        self.restore(self.crossing.values())
        for n, m in enumerate(sorted(self.plan.inside)):
            q = self.put(f"getelementptr i8, ptr %frame, i64 {self.masks_at + 4 * n}")
            self.put_mask(self.mask_of(self.put(f"load i32, ptr {q}")), f"%m{m}")
        self.lines.append(f"  br label %spin{h}")

    def wait(self, s: Any) -> None:
        p, i = s.point, s.point.instr
        if s.poll:
            if i.op.name == "mbarrier" and self.step(i.result) == 0:  # another warp of this thread must complete the phase
                self.n += 1
                self.lines += [f"  br i1 {self.val(i.result).text}, label %{s.next}, label %give{self.n}", f"give{self.n}:"]
            else:
                self.give_way(s.next)
            self.suspend(p, p.live)
            return
        if p.kind == CLUSTER:
            self.suspend(p, p.live)
            return
        number, counted, what = "0", "0", None
        if i.op.name == "named_barrier":
            number = self.uniform(i.args[0], i)
            counted = self.uniform(i.args[1], i) if i.attr("counted") else "0"
            what = i.args[-1] if i.attr("kind") in ("popc", "and", "or") else None
        if not self.lockstep:
            self.count_in(number, counted, i, what)
            self.frame_store(FRAME["ops"], I32, self.do("and i32", number, "15"))
        self.suspend(p, p.live)

    def uniform(self, v: Value, i: Instr) -> str:
        if v.id in self.plan.varying:
            raise Refused("a barrier whose number differs between lanes", place=i.loc)
        return self.val(v).text

    def count(self, bits: str, whole: bool) -> str:
        """How many lanes these bits stand for.  A counted barrier counts whole warps: the block's last thread stands for those that its warp lacks."""
        lanes = self.put(self.call("llvm.ctpop.i32", "i32", [("i32", bits)]))
        if not whole:
            return lanes
        threads = self.word32("threads")
        last = self.do("sub i32", self.do("sub i32", threads, "1"), self.from_frame("linear"))
        here = self.do("icmp ult i32", last, str(self.w))
        bit = self.do("and i32", self.do("lshr i32", bits, self.do("and i32", last, str(self.w - 1))), "1")
        lacking = self.do("mul i32", bit, self.do("and i32", self.do("sub i32", "0", threads), "31"))
        return self.do("add i32", lanes, self.put(f"select i1 {here}, i32 {lacking}, i32 0"))

    def count_in(self, number: str, counted: str, i: Instr, what: Value | None) -> None:
        whole = bool(i.attr("counted"))
        lanes = self.count(self.bits(self.mask_in("%alive")), whole)
        place = self.put(f"zext i32 {self.do('mul i32', self.do('and i32', number, '15'), str(BARRIER))} to i64")
        first = self.put(f"getelementptr i8, ptr %blk, i64 {BLOCK['barriers']}")
        p = self.put(f"getelementptr i8, ptr {first}, i64 {place}")
        self.lines.append(f"  store i32 {self.do('add i32', self.put(f'load i32, ptr {p}'), lanes)}, ptr {p}")
        q = self.put(f"getelementptr i8, ptr {p}, i64 4")
        self.lines.append(f"  store i32 {counted}, ptr {q}")
        if what is not None:
            q = self.put(f"getelementptr i8, ptr {p}, i64 8")
            hits = self.bits(self.both(self.mask_in("%alive"), self.frozen(what)))
            total = self.count(hits, whole and i.attr("kind") != "popc")
            self.lines.append(f"  store i32 {self.do('add i32', self.put(f'load i32, ptr {q}'), total)}, ptr {q}")

    def _named_barrier(self, i: Instr) -> None:
        self.count_in(self.uniform(i.args[0], i), self.uniform(i.args[1], i) if i.attr("counted") else "0", i, None)

    def save(self, v: Value) -> None:
        t = self.memory_of(v)
        shaped = v.id in self.plan.shapes
        for n, x in enumerate(self.bases(v) if shaped else [self.vec(v) if v.id in self.plan.varying else self.val(v).text]):
            p = self.put(f"getelementptr i8, ptr %frame, i64 {self.saved[v.id] + n * v.type.elem.bytes}")
            if v.type.elem is I1:
                x = self.put(f"zext {t.replace('i8', 'i1')} {x} to {t}")
            self.lines.append(f"  store {t} {x}, ptr {p}, align {64 if t.startswith('<') else v.type.elem.bytes}")

    def memory_of(self, v: Value) -> str:
        return self.ty(I8 if v.type.elem is I1 else v.type.elem, self.plan.shape(v) is None)

    def restore(self, live: Iterable[Value]) -> None:
        for v in live:
            t = self.memory_of(v)
            for n, place in enumerate(self.places(v)):
                q = self.put(f"getelementptr i8, ptr %frame, i64 {self.saved[v.id] + n * v.type.elem.bytes}")
                x = self.put(f"load {t}, ptr {q}, align {64 if t.startswith('<') else v.type.elem.bytes}")
                if v.type.elem is I1:
                    x = self.put(f"trunc {t} {x} to {t.replace('i8', 'i1')}")
                    x = self.mask_of_bools(x) if v.id in self.plan.varying else x
                self.lines.append(f"  store {self.type_of(v)} {x}, ptr {place}")

    def resume(self, s: Any) -> None:
        p = s.point
        self.restore(p.live)
        i = p.instr
        if i.results and not s.poll:
            total, everyone = (self.frame_load(self.results_at + 16 * n, I32) for n in (0, 1))
            kind = i.attr("kind")
            text = total if kind == "popc" else self.put(f"icmp ne i32 {total}, 0" if kind == "or" else f"icmp eq i32 {total}, {everyone}")
            self.define(i.result, text if i.result.id not in self.plan.varying else self.splat(text, i.result.type.elem))
        self.lines.append(f"  br label %{s.next}")

    # ---- instructions

    def lane(self, i: Instr, vec: bool) -> str:
        rnd = i.attr("rnd")
        if rnd not in ("rz", "rm", "rp") or i.op.name in ("ftos", "ftou"):
            return Ops.lane(self, i, vec)
        if not vec:
            return Lane.lane(self, i, vec)
        elem, out = i.args[0].type.elem, i.result.type.elem
        args = [self.vec(a) for a in i.args]
        if i.attr("ftz") and elem.is_float:
            args = [self.flushed(a, elem, True) for a in args]
        r = self.directed_lanes(i.op.name, rnd, elem, out, args, i)
        if i.attr("ftz") and out.is_float:
            r = self.flushed(r, out, True)
        return self.clamped(r, out, True) if i.attr("sat") else r

    def directed_lanes(self, name: str, rnd: str, elem: Scalar, out: Scalar, args: list[str], i: Instr) -> str:
        """Directed rounding of all lanes: AVX-512 has it in the instruction; else the mode is set around one operation on vectors."""
        kind = conversion(name, elem, out) or CONSTRAINED.get(name)
        if kind is None:
            raise Refused(f"{name}.{rnd}", place=i.loc)
        t, u = self.ty(elem, True), self.ty(out, True)
        if kind == "fpext":
            return self.put(f"fpext {t} {args[0]} to {u}")
        if self.wide_masks and elem in (F32, F64) and kind in CONSTRAINED.values():
            return self.embedded(kind, rnd, elem, args)
        plain = kind in CONSTRAINED.values()
        types = self.suffix(out, True) if plain else f"{self.suffix(out, True)}.{self.suffix(elem, True)}"
        helper = f"round.{rnd}.{kind}.{types}"
        if helper not in self.helpers:
            intrinsic = f"llvm.experimental.constrained.{kind}.{types}"
            names = ", ".join(f"{t} %a{n}" for n in range(len(args)))
            before, after = rounding_mode(rnd, self.x86, self.declared)
            self.declared.add(f"declare {u} @{intrinsic}({', '.join([t] * len(args))}, metadata, metadata)")
            loads = [f"  %a{n} = load {t}, ptr %p{n}, align 64" for n in range(len(args))]
            params = ", ".join(f"ptr %p{n}" for n in range(len(args)))
            self.helpers[helper] = "\n".join([
                f"define internal void @{helper}(ptr %out, {params}) #1 {{", "entry:", *loads, *before,
                f'  %r = call {u} @{intrinsic}({names}, metadata !"round.dynamic", metadata !"fpexcept.strict") #2',
                *after, f"  store {u} %r, ptr %out, align 64", "  ret void", "}"])  # fmt: skip
        self.n += 1
        n = self.n
        self.allocas += [f"  %ro{n} = alloca {u}, align 64", *(f"  %ra{n}_{k} = alloca {t}, align 64" for k in range(len(args)))]
        self.lines += [f"  store {t} {a}, ptr %ra{n}_{k}" for k, a in enumerate(args)]
        self.lines.append(f"  call void @{helper}(ptr %ro{n}, {', '.join(f'ptr %ra{n}_{k}' for k in range(len(args)))})")
        r = self.put(f"load {u}, ptr %ro{n}")
        return self.put(self.call(f"llvm.fabs.{self.suffix(out, True)}", u, [(u, r)])) if name == "utof" else r  # LLVM's 0 is −0, rounded downwards

    def embedded(self, kind: str, rnd: str, elem: Scalar, args: list[str]) -> str:
        """By the rounding that AVX-512 instructions carry."""
        lanes, s = (16, "ps") if elem is F32 else (8, "pd")
        t, m = f"<{lanes} x {NAMES[elem.name]}>", NAMES[elem.name]
        name = f"llvm.x86.avx512.{'vfmadd' if kind == 'fma' else kind.removeprefix('f')}.{s}.512"
        parts = []
        for at in range(0, self.w, lanes):
            order = ", ".join(f"i32 {k % self.w}" for k in range(at, at + lanes))
            xs = [self.put(f"shufflevector <{self.w} x {m}> {a}, <{self.w} x {m}> poison, <{lanes} x i32> <{order}>") for a in args]
            self.declared.add(f"declare {t} @{name}({', '.join([t] * len(xs))}, i32)")
            parts.append(self.put(f"call {t} @{name}({', '.join(f'{t} {x}' for x in xs)}, i32 {8 | {'rm': 1, 'rp': 2, 'rz': 3}[rnd]})"))
        if self.w < lanes:
            return self.put(f"shufflevector {t} {parts[0]}, {t} poison, <{self.w} x i32> <{', '.join(f'i32 {k}' for k in range(self.w))}>")
        return self.joined(parts, lanes, m)

    def _undef(self, i: Instr) -> None:
        if self.step(i.result) == 0:
            Ops._undef(self, i)
        else:
            self.define(i.result, "zeroinitializer")

    def _sreg(self, i: Instr) -> None:
        name = str(i.attr("name"))
        if self.step(i.result) == 0:
            self.same(i.result, self.sreg(name))
            return
        t = f"<{self.w} x i32>"
        if name == "laneid":
            self.define(i.result, self.iota(I32, 1))
            return
        if name.startswith("lanemask"):
            bit = self.put(f"shl {t} splat (i32 1), {self.iota(I32, 1)}")
            below = self.put(f"sub {t} {bit}, splat (i32 1)")
            full = self.put(f"or {t} {bit}, {below}")
            minus = "splat (i32 -1)"
            out = {"eq": bit, "lt": below, "le": full}.get(name[-2:]) or self.put(f"xor {t} {below if name[-2:] == 'ge' else full}, {minus}")
            self.define(i.result, out)
            return
        self.define(i.result, self.thread(name[-1]))

    def thread(self, axis: str) -> str:
        """%tid of the lanes: divisions that are made once per frame, not once per block (`init_function`)."""
        p = self.put(f"getelementptr i8, ptr %frame, i64 {self.tid_at[axis]}")
        return self.put(f"load <{self.w} x i32>, ptr {p}, align {4 * self.w if self.w < 16 else 64}")

    # ---- memory

    def guard_mask(self, i: Instr) -> str:
        mask = self.here()
        return mask if i.guard is None else self.both(mask, self.frozen(i.guard))

    def addresses(self, i: Instr, base: Value, index: Value | None) -> str:
        """A vector of i64 addresses."""
        i64, i32 = f"<{self.w} x i64>", f"<{self.w} x i32>"
        space, disp = i.attr("space", "global"), i.attr("disp", 0)
        if index is not None:
            raise Refused("an access with an index", place=i.loc)
        x = self.vec(base)
        if space in ("shared", "local", "cluster"):
            if base.type is not I32:
                x = self.put(f"trunc {i64} {x} to {i32}")
            if disp:
                x = self.put(f"add {i32} {x}, splat (i32 {disp})")
            if space == "cluster":
                return self.cluster_places(x)
            if space == "local" and self.element:
                return self.private_places(x)
            wide = self.put(f"{'zext' if space == 'shared' else 'sext'} {i32} {x} to {i64}")
            return self.put(f"add {i64} {wide}, {self.window_bases(space)}")
        if base.type is I32:
            x = self.put(f"zext {i32} {x} to {i64}")
        return self.put(f"add {i64} {x}, splat (i64 {disp})") if disp else x

    def window_bases(self, space: str) -> str:
        start = self.put(f"ptrtoint ptr {'%arena' if space == 'shared' else '%local'} to i64")
        bases = self.splat(start, I64)
        return self.put(f"add <{self.w} x i64> {bases}, {self.iota(I64, self.local_stride)}") if space == "local" and self.local_stride else bases

    def contiguous(self, a: str, mask: str, size: int) -> tuple[str, str]:
        """(whether the active lanes' addresses follow one another from an active lane 0, that lane's address)."""
        first = self.put(f"extractelement <{self.w} x i64> {a}, i64 0")
        want = self.put(f"add <{self.w} x i64> {self.splat(first, I64)}, {self.iota(I64, size)}")
        same = self.put(f"icmp eq <{self.w} x i64> {a}, {want}")
        here = self.bools(mask)
        idle = self.put(f"xor {self.bools_type} {here}, splat (i1 true)")
        fits = self.put(f"icmp eq i32 {self.bits_of_bools(self.put(f'or {self.bools_type} {same}, {idle}'))}, {self.full}")
        return self.do("and i1", fits, self.put(f"extractelement {self.bools_type} {here}, i64 0")), first

    def _ld(self, i: Instr) -> None:
        base, index, _ = self.split_args(i, 0)
        elem = i.attr("to")
        if self.step(i.results[0]) == 0:
            p = self.place(i.attr("space", "global"), self.val(base), self.val(index) if index is not None else None, i.attr("scale", 1), i.attr("disp", 0))
            t = "i8" if elem is I1 else NAMES[elem.name]
            keyword, order, align = self.flags(i, elem)
            for k, r in enumerate(i.results):
                q = p if k == 0 else self.put(f"getelementptr i8, ptr {p}, i64 {k * elem.bytes}")
                at = t if not (keyword == "atomic " and elem.is_float) else f"i{elem.bits}"
                x = self.put(f"load {keyword}{at}, ptr {q}{order}, align {align}")
                x = self.put(f"bitcast {at} {x} to {t}") if at != t else x
                self.define(r, self.put(f"icmp ne i8 {x}, 0") if elem is I1 else x)
            return
        mask = self.guard_mask(i)
        if self.private(i):
            self.private_load(i, base, elem, mask)
            return
        if self.in_steps(i, base):
            self.stepped_load(i, base, elem, mask)
            return
        if self.shaped_load(i, base, index, elem, mask):
            return
        a = self.addresses(i, base, index)
        if len(i.results) > 1 and elem.bits <= 64 and elem is not I1:
            self.wide_load(i, elem, a, mask)
            return
        for k, r in enumerate(i.results):
            at = a if k == 0 else self.put(f"add <{self.w} x i64> {a}, splat (i64 {k * elem.bytes})")
            old = self.vec(i.passthrough[k]) if i.passthrough else None
            self.define(r, self.gathered(elem, at, mask, old, i))

    def wide_load(self, i: Instr, elem: Scalar, a: str, mask: str) -> None:
        """Several elements per lane: where all lanes read one run of memory it is loaded whole and taken apart."""
        count, m = len(i.results), NAMES[elem.name]
        t, whole = f"<{self.w} x {m}>", f"<{self.w * count} x {m}>"
        self.n += 1
        n = self.n
        self.lines.append(f"  br i1 {self.dense(a, mask, elem.bytes * count)}, label %run{n}, label %loose{n}")
        self.lines.append(f"run{n}:")
        p = self.put(f"inttoptr i64 {self.put(f'extractelement <{self.w} x i64> {a}, i64 0')} to ptr")
        x = self.put(f"load {whole}, ptr {p}, align {elem.bytes}")
        fast = [self.put(f"shufflevector {whole} {x}, {whole} poison, <{self.w} x i32> <{', '.join(f'i32 {lane * count + k}' for lane in range(self.w))}>")
                for k in range(count)]  # fmt: skip
        self.lines += [f"  br label %taken{n}", f"loose{n}:"]
        slow = []
        for k in range(count):
            at = a if k == 0 else self.put(f"add <{self.w} x i64> {a}, splat (i64 {k * elem.bytes})")
            slow.append(self.by_lane(elem, at, mask, self.vec(i.passthrough[k]) if i.passthrough else "zeroinitializer"))
        self.lines += [f"  br label %taken{n}", f"taken{n}:"]
        phis = [self.put(f"phi {t} [ {x}, %run{n} ], [ {y}, %loose{n} ]") for x, y in zip(fast, slow)]
        for r, text in zip(i.results, phis):
            self.define(r, text)

    def dense(self, a: str, mask: str, size: int) -> str:
        """Whether all lanes take part and their addresses are `size` apart."""
        fits, _ = self.contiguous(a, mask, size)
        return self.do("and i1", fits, self.all_lanes(mask))

    def by_lane(self, elem: Scalar, a: str, mask: str, fill: str) -> str:
        """A gather through memory."""
        m = "i8" if elem is I1 else NAMES[elem.name]
        t = f"<{self.w} x {m}>"
        self.helper("gather", m, elem.bytes)
        self.helpers.setdefault(f"lanes{self.w}.load.{m}", any_load(m, elem.bytes, self.wide_masks, self.declared, self.w))
        return self.put(f"call {t} @lanes{self.w}.load.{m}(<{self.w} x i64> {a}, i32 {self.bits(mask)}, {t} {fill})")

    def by_lane_store(self, m: str, size: int, a: str, mask: str, x: str) -> None:
        """A scatter through memory."""
        self.helper("scatter", m, size)
        self.helpers.setdefault(f"lanes{self.w}.store.{m}", any_store(m, size, self.wide_masks, self.declared, self.w))
        self.lines.append(f"  call void @lanes{self.w}.store.{m}(<{self.w} x i64> {a}, i32 {self.bits(mask)}, <{self.w} x {m}> {x})")

    def split_args(self, i: Instr, values: int) -> tuple[Value, Value | None, tuple[Value, ...]]:
        n = len(i.args) - values
        return i.args[0], i.args[1] if n == 2 else None, i.args[n:]

    def gathered(self, elem: Scalar, a: str, mask: str, old: str | None, i: Instr) -> str:
        """A vector load where the addresses follow one another, else lane by lane."""
        m = "i8" if elem is I1 else NAMES[elem.name]
        t = f"<{self.w} x {m}>"
        if old is not None and elem is I1:
            old = self.put(f"zext {self.bools_type} {old} to {t}")
        fill = old or "zeroinitializer"
        if elem.bits > 64:
            halves = [self.put(f"trunc {t} {self.put(f'lshr {t} {fill}, splat (i128 {n})') if n else fill} to <{self.w} x i64>") for n in (0, 64)]
            low, high = (self.put(f"zext <{self.w} x i64> {self.by_lane(I64, at, mask, half)} to {t}")
                         for at, half in zip((a, self.put(f"add <{self.w} x i64> {a}, splat (i64 8)")), halves))  # fmt: skip
            return self.put(f"or {t} {low}, {self.put(f'shl {t} {high}, splat (i128 64)')}")
        x = self.by_lane(elem, a, mask, fill)
        return self.put(f"icmp ne {t} {x}, zeroinitializer") if elem is I1 else x

    def helper(self, kind: str, m: str, size: int) -> None:
        name = f"lanes{self.w}.{kind}.{m}"
        if name not in self.helpers:
            self.helpers[name] = each_lane(name, kind, m, size, self.declared, self.w)

    def _st(self, i: Instr) -> None:
        count = i.attr("count", 1)
        base, index, data = self.split_args(i, count)
        elem = i.attr("to")
        mask = self.guard_mask(i)
        if self.private(i):
            self.private_store(i, base, elem, mask, data)
            return
        if self.in_steps(i, base):
            self.stepped_store(i, base, elem, mask, data)
            return
        if self.shaped_store(i, base, index, elem, mask, data):
            return
        a = self.addresses(i, base, index)
        if count in (2, 4) and elem.bits <= 64 and elem is not I1:
            self.wide_store(i, elem, a, mask, data)
            return
        for k, v in enumerate(data):
            at = a if k == 0 else self.put(f"add <{self.w} x i64> {a}, splat (i64 {k * elem.bytes})")
            self.scattered(elem, at, mask, self.vec(v), i)

    def wide_store(self, i: Instr, elem: Scalar, a: str, mask: str, data: tuple[Value, ...]) -> None:
        count, m = len(data), NAMES[elem.name]
        parts = columns = [self.vec(v) for v in data]
        self.n += 1
        n = self.n
        self.lines.append(f"  br i1 {self.dense(a, mask, elem.bytes * count)}, label %run{n}, label %loose{n}")
        self.lines.append(f"run{n}:")
        size = self.w
        while len(parts) > 1:  # side by side, then the elements of a lane together
            size *= 2
            order = ", ".join(f"i32 {k}" for k in range(size))
            parts = [self.put(f"shufflevector <{size // 2} x {m}> {x}, <{size // 2} x {m}> {y}, <{size} x i32> <{order}>") for x, y in zip(parts[::2], parts[1::2])]
        whole = f"<{size} x {m}>"
        order = ", ".join(f"i32 {self.w * k + lane}" for lane in range(self.w) for k in range(count))
        x = self.put(f"shufflevector {whole} {parts[0]}, {whole} poison, <{size} x i32> <{order}>")
        p = self.put(f"inttoptr i64 {self.put(f'extractelement <{self.w} x i64> {a}, i64 0')} to ptr")
        self.lines.append(f"  store {whole} {x}, ptr {p}, align {elem.bytes}")
        self.lines += [f"  br label %taken{n}", f"loose{n}:"]
        for k, x in enumerate(columns):
            self.by_lane_store(m, elem.bytes, a if k == 0 else self.put(f"add <{self.w} x i64> {a}, splat (i64 {k * elem.bytes})"), mask, x)
        self.lines += [f"  br label %taken{n}", f"taken{n}:"]

    def scattered(self, elem: Scalar, a: str, mask: str, x: str, i: Instr) -> None:
        m = "i8" if elem is I1 else NAMES[elem.name]
        t = f"<{self.w} x {m}>"
        if elem.bits > 64:
            for n in (0, 64):
                half = self.put(f"trunc {t} {self.put(f'lshr {t} {x}, splat (i128 {n})') if n else x} to <{self.w} x i64>")
                self.by_lane_store("i64", 8, self.put(f"add <{self.w} x i64> {a}, splat (i64 8)") if n else a, mask, half)
            return
        if elem is I1:
            x = self.put(f"zext {self.bools_type} {x} to {t}")
        self.by_lane_store(m, elem.bytes, a, mask, x)

    def _atom(self, i: Instr) -> None:
        """Lane by lane, ascending."""
        fn, elem = i.attr("fn"), i.attr("to")
        base, index, data = self.split_args(i, 2 if fn == "cas" else 1)
        mask, asked = self.guard_mask(i), self.asked(i)
        if not asked and fn in REDUCED and elem in (I32, I64) and self.step(base) == 0 and index is None:
            self.one_for_all(i, base, fn, elem, mask, data[0])
            return
        a = self.addresses(i, base, index)
        t = NAMES[elem.name]
        self.n += 1
        n = self.n
        self.allocas += [f"  %ad{n} = alloca <{self.w} x i64>, align 64", f"  %old{n} = alloca <{self.w} x {t}>, align 64",
                         *(f"  %op{n}_{k} = alloca <{self.w} x {t}>, align 64" for k in range(len(data)))]  # fmt: skip
        self.lines.append(f"  store <{self.w} x i64> {a}, ptr %ad{n}")
        if asked:
            old = self.vec(i.passthrough[0]) if i.passthrough else "zeroinitializer"
            self.lines.append(f"  store <{self.w} x {t}> {old}, ptr %old{n}")
        for k, v in enumerate(data):
            self.lines.append(f"  store <{self.w} x {t}> {self.vec(v)}, ptr %op{n}_{k}")
        name = ".".join(("lanes.atomic", fn, elem.name, i.attr("space", "global"), str(i.attr("order")), "old" if asked else "none"))
        if name not in self.helpers:
            self.helpers[name] = atomics(name, i, fn, elem, len(data), asked, self.declared, self.helpers, self.w)
        args = "".join(f", ptr %op{n}_{k}" for k in range(len(data)))
        self.lines.append(f"  call void @{name}(ptr %ad{n}, i32 {self.bits(mask)}, ptr %old{n}{args})")
        if asked:
            self.define(i.result, self.put(f"load <{self.w} x {t}>, ptr %old{n}"))

    def asked(self, i: Instr) -> bool:
        """Whether anything reads what an atomic operation found."""
        return any(r.id in self.plan.used_in for r in i.results)

    _red = _atom

    def one_for_all(self, i: Instr, base: Value, fn: str, elem: Scalar, mask: str, v: Value) -> None:
        """All lanes change one element, and nobody asks what it was: the lanes are combined first."""
        t, name = self.ty(elem, True), REDUCED[fn]
        top, low = (1 << (elem.bits - 1)) - 1, -(1 << (elem.bits - 1))
        nothing = {"and": -1, "umin": -1, "smin": top, "smax": low}.get(name, 0)
        x = self.pick(mask, t, self.vec(v), f"splat ({NAMES[elem.name]} {nothing})")
        total = self.put(self.call(f"llvm.vector.reduce.{name}.v{self.w}{SUFFIX[elem.name]}", NAMES[elem.name], [(t, x)]))
        p = self.place(i.attr("space", "global"), self.val(base), None, 1, i.attr("disp", 0))
        self.n += 1
        n = self.n
        some = self.some(mask)
        self.lines += [f"  br i1 {some}, label %red{n}, label %reds{n}", f"red{n}:"]
        Lane.atomic(self, i, p, fn, elem, [total])
        self.lines += [f"  br label %reds{n}", f"reds{n}:"]

    def _async_wait(self, i: Instr) -> None:
        """Copies are complete when they are issued."""

    def _pause(self, i: Instr) -> None:
        """Loops that wait give way by themselves."""

    def _copy(self, i: Instr) -> None:
        """Lane by lane, each some bytes."""
        mask = self.guard_mask(i)
        dst, src = (self.addresses(Instr(i.op, (), (("space", i.attr(end)),), loc=i.loc), v, None) for end, v in zip(("to", "from"), i.args))
        wide = f"<{self.w} x i64>"
        read = self.put(f"zext <{self.w} x i32> {self.vec(i.args[2])} to {wide}")
        if i.attr("fn") or i.attr("masked"):
            self.copies_by_lane(i, dst, src, read, mask)
            return
        total = f"splat (i64 {i.attr('bytes')})" if i.attr("bytes") else self.vec(i.args[3]) if len(i.args) > 3 else read
        if "lanes.copy" not in self.helpers:
            self.helpers["lanes.copy"] = copies(self.declared, self.w)
        self.helpers.setdefault("copy", COPY)
        self.lines.append(f"  call void @lanes.copy({wide} {dst}, {wide} {src}, {wide} {read}, {wide} {total}, i32 {self.bits(mask)})")

    def _report(self, i: Instr) -> None:
        p = self.put(f"load ptr, ptr {self.put(f'getelementptr i8, ptr %args, i64 {8 * len(self.k.params)}')}")
        hit = self.both(self.here(), self.frozen(i.args[0]))
        self.when(self.some(hit), f"store atomic i32 {i.attr('code', 1)}, ptr {p} monotonic, align 4")

    # ---- address spaces

    def _to_generic(self, i: Instr) -> None:
        space, v = i.attr("space"), i.args[0]
        if self.step(i.result) == 0:
            Lane._to_generic(self, i)
            return
        if space in ("shared", "local", "cluster"):
            probe = Instr(i.op, i.args, (("space", space),), i.results, loc=i.loc)
            self.define(i.result, self.addresses(probe, v, None))
        else:
            self.define(i.result, self.vec(v) if v.type is I64 else self.put(f"zext <{self.w} x i32> {self.vec(v)} to <{self.w} x i64>"))

    def _from_generic(self, i: Instr) -> None:
        space = i.attr("space")
        if self.step(i.result) == 0:
            Lane._from_generic(self, i)
        elif space in ("shared", "local"):
            self.define(i.result, self.put(f"sub <{self.w} x i64> {self.vec(i.args[0])}, {self.window_bases(space)}"))
        elif space == "cluster":
            self.define(i.result, self.cluster_windows(self.vec(i.args[0])))
        else:
            self.define(i.result, self.vec(i.args[0]))

    def _is_space(self, i: Instr) -> None:
        if self.step(i.result) == 0:
            Lane._is_space(self, i)
        else:
            self.define(i.result, self.lies_in(i.attr("space"), self.vec(i.args[0]), self.window_bases("local"), self.local_stride if self.uses_heap else max(self.k.local, 1)))

    # ---- collectives, where control flow is uniform

    def members(self, v: Value) -> str:
        """The member mask, as those of it that are alive; all of them must be here.  Of masks that differ between lanes, all lanes that are here."""
        alive = self.bits(self.mask_in("%alive"))
        named = self.const.get(v.id)
        if self.differs(v):  # a mask for each lane that is here
            if not self.mask:
                return alive
            here = self.bits(self.mask)
            if not self.plan.others_leave(self.linearised):
                away = self.splat(self.do("and i32", alive, self.do("xor i32", here, "-1")), I32)
                missing = self.put(f"icmp ne <{self.w} x i32> {self.put(f'and <{self.w} x i32> {self.vec(v)}, {away}')}, zeroinitializer")
                self.stuck(self.some(self.both(self.mask, self.mask_of_bools(missing))))
            return here
        members = self.do("and i32", self.val(v).text if named is None else str(named), alive)
        if self.mask and self.plan.others_leave(self.linearised):
            return self.do("and i32", members, self.bits(self.mask))
        if self.mask:
            away = self.do("and i32", members, self.do("xor i32", self.bits(self.mask), "-1"))
            self.stuck(self.put(f"icmp ne i32 {away}, 0"))
        return members

    def differs(self, v: Value) -> bool:
        return v.id in self.plan.varying and v.id not in self.const

    def stuck(self, cond: str, code: int = 4) -> None:
        """Ends the launch: a lane waits for one that went another way (4), or asks for more memory than there is (5)."""
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {cond}, label %stuck{n}, label %fine{n}", f"stuck{n}:"]
        e = self.put(f"load ptr, ptr {self.put(f'getelementptr i8, ptr %args, i64 {8 * len(self.k.params)}')}")
        self.lines += [f"  store atomic i32 {code}, ptr {e} monotonic, align 4", "  ret i32 -1", f"fine{n}:"]

    def _activemask(self, i: Instr) -> None:
        self.same(i.result, self.bits(self.here()))

    def _warp_sync(self, i: Instr) -> None:
        self.members(i.args[0])

    def _ballot_sync(self, i: Instr) -> None:
        if self.differs(i.args[0]):
            self.collective(i)
            return
        m = self.mask_of(self.members(i.args[0]))
        self.same(i.result, self.bits(self.both(m, self.frozen(i.args[1]))))

    def _vote_sync(self, i: Instr) -> None:
        if self.differs(i.args[0]):
            self.collective(i)
            return
        members = self.members(i.args[0])
        hits = self.bits(self.both(self.mask_of(members), self.frozen(i.args[1])))
        some, full = self.put(f"icmp ne i32 {hits}, 0"), self.put(f"icmp eq i32 {hits}, {members}")
        mode = i.attr("mode", "any")
        self.same(i.result, {"any": some, "all": full}.get(mode) or self.do("or i1", full, self.put(f"icmp eq i32 {hits}, 0")))

    def _shfl_sync(self, i: Instr) -> None:
        """By a constant: one shuffle of the vector; else through memory."""
        mode = i.attr("mode")
        b, c = (self.const.get(a.id) for a in i.args[2:4])
        elem = i.args[1].type.elem
        t = self.ty(elem, True)
        if self.step(i.results[0]) == 0:
            self.members(i.args[0])
            source = self.do("and i32", self.val(i.args[2]).text, "31") if self.step(i.args[1]) is None else ""
            self.same(i.results[0], self.put(f"extractelement {t} {self.vec(i.args[1])}, i32 {source}") if source else self.val(i.args[1]).text)
            self.same(i.results[1], "true")
            return
        x = self.vec(i.args[1])
        self.members(i.args[0])
        if b is not None and c is not None:
            b &= 31
            clamp, segment = c & 31, (c >> 8) & 31
            order, inside = [], []
            for lane in range(self.w):
                top, low = (lane & segment) | (clamp & ~segment & 31), lane & segment
                src = {"up": lane - b, "down": lane + b, "bfly": lane ^ b, "idx": low | (b & ~segment & 31)}[mode]
                ok = src >= top if mode == "up" else src <= top
                order.append(src if ok else lane)
                inside.append("i1 true" if ok else "i1 false")
            picks = ", ".join(f"i32 {s}" for s in order)
            self.define(i.results[0], self.put(f"shufflevector {t} {x}, {t} poison, <{self.w} x i32> <{picks}>"))
            self.define(i.results[1], f"<{', '.join(inside)}>")
            return
        self.collective(i)

    def collective(self, i: Instr) -> None:
        """Through memory laid out as the frames of 32 lanes.  Equal operations are one function, and all use the same memory: a kernel of matrix
        products has thousands."""
        members = self.members(i.args[0])
        key = (i.op, i.attrs, tuple(a.type for a in i.args), tuple(r.type for r in i.results))
        name = self.ops.setdefault(key, f"{self.name}.op{len(self.ops) + 1}")
        stride = -(-(FRAME["ops"] + 16 * (len(i.args) + len(i.results))) // 64) * 64
        shim = _Shim(name, stride, FRAME["ops"] + 16 * len(i.args), self.helpers, self.declared)
        if name not in self.helpers:
            f = Fn(f"define internal void @{name}(ptr %frames, i32 %members) #0", self.declared)
            collective(f, shim, i)
            f.line("ret void")
            self.helpers[name] = f.text()
        place = self.scratch(f"[{stride * self.w} x i8]", f"ops{stride}")
        for n, a in enumerate(i.args):
            self.column(place, FRAME["ops"] + 16 * n, stride, a.type.elem, self.vec(a))
        if self.differs(i.args[0]):
            self.by_masks(self.vec(i.args[0]), members, f"void @{name}(ptr {place}")
        else:
            self.lines.append(f"  call void @{name}(ptr {place}, i32 {members})")
        for n, r in enumerate(i.results):
            x = self.fetch(place, shim.results_at + 16 * n, stride, r.type.elem)
            if r.id not in self.plan.varying:  # the same in all members: the first one's
                first = self.put(self.call("llvm.cttz.i32", "i32", [("i32", members), ("i1", "true")]))
                x = self.put(f"extractelement {self.ty(r.type.elem, True)} {x}, i32 {first}")
            self.define(r, x)

    def by_masks(self, masks: str, here: str, call: str) -> None:
        """A collective of each group of lanes that are here: those that the mask of the lowest one names, then the next."""
        self.n += 1
        n = self.n
        self.allocas.append(f"  %left{n} = alloca i32")
        self.lines += [f"  store i32 {here}, ptr %left{n}", f"  br label %masks{n}", f"masks{n}:"]
        left = self.put(f"load i32, ptr %left{n}")
        self.lines += [f"  br i1 {self.do('icmp ne i32', left, '0')}, label %group{n}, label %joined{n}", f"group{n}:"]
        lowest = self.put(self.call("llvm.cttz.i32", "i32", [("i32", left), ("i1", "true")]))
        mask = self.do("and i32", self.put(f"extractelement <{self.w} x i32> {masks}, i32 {lowest}"), here)
        self.lines.append(f"  call {call}, i32 {mask})")
        done = self.do("or i32", mask, self.do("shl i32", "1", lowest))
        self.lines += [f"  store i32 {self.do('and i32', left, self.do('xor i32', done, '-1'))}, ptr %left{n}", f"  br label %masks{n}", f"joined{n}:"]

    _match_any_sync = _match_all_sync = _redux_sync = _elect_sync = _mma = collective

    def cells(self, place: str, offset: int, stride: int) -> str:
        first = self.do("add i64", self.put(f"ptrtoint ptr {place} to i64"), str(offset))
        return self.put(f"add <{self.w} x i64> {self.splat(first, I64)}, {self.iota(I64, stride)}")

    def column(self, place: str, offset: int, stride: int, elem: Scalar, x: str) -> None:
        m = "i32" if elem is I1 else NAMES[elem.name]
        t = f"<{self.w} x {m}>"
        if elem is I1:
            x = self.put(f"zext {self.bools_type} {x} to {t}")
        ad, st = self.scratch(f"<{self.w} x i64>", "cells"), self.scratch(t, f"column.{m}")
        self.lines += [f"  store <{self.w} x i64> {self.cells(place, offset, stride)}, ptr {ad}", f"  store {t} {x}, ptr {st}"]
        self.helper("scatter", m, max(elem.bytes, 4) if elem is I1 else elem.bytes)
        self.lines.append(f"  call void @lanes{self.w}.scatter.{m}(ptr {ad}, i32 -1, ptr {st})")

    def scratch(self, t: str, name: str) -> str:
        """Memory of the function that one collective uses after the other."""
        line = f"  %{name} = alloca {t}, align 64"
        if line not in self.scratches:
            self.scratches.add(line)
            self.allocas.append(line)
        return f"%{name}"

    def fetch(self, place: str, offset: int, stride: int, elem: Scalar) -> str:
        m = "i32" if elem is I1 else NAMES[elem.name]
        t = f"<{self.w} x {m}>"
        ad, ld = self.scratch(f"<{self.w} x i64>", "cells"), self.scratch(t, f"column.{m}")
        self.lines += [f"  store <{self.w} x i64> {self.cells(place, offset, stride)}, ptr {ad}"]
        self.helper("gather", m, 4 if elem is I1 else elem.bytes)
        self.lines.append(f"  call void @lanes{self.w}.gather.{m}(ptr {ad}, i32 -1, ptr {ld})")
        x = self.put(f"load {t}, ptr {ld}")
        return self.put(f"icmp ne {t} {x}, zeroinitializer") if elem is I1 else x

    def _fence(self, i: Instr) -> None:
        self.lines.append("  fence " + ("seq_cst" if i.attr("order") == "sc" else "acq_rel"))


class _Shim:
    """What `collectives` must know of a lane's frame."""

    def __init__(self, name: str, frame: int, results_at: int, helpers: dict[str, str], declared: set[str]) -> None:
        self.name, self.frame, self.results_at, self.helpers, self.declared = name, frame, results_at, helpers, declared
