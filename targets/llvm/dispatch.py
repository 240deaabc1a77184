"""Kernels to LLVM IR, lane by lane: the mode that takes every construct.

A kernel becomes a *lane function*, scalar code that runs one lane from a point to the next point where it must wait for others, and a
scheduler.  A lane that waits has stored its operands and whatever is alive in its *frame*; it goes on by being called again with the number
of the point.  So loops and branches between two such points run at full scalar speed, and any divergence is right by construction.

    NAME.lane   i32 (args, launch, block, arena, frame, point) → next point, 0 at the end, −1 after a trap
    NAME.warp   a collective: the member lanes have arrived; reads and writes their frames
    NAME.step   runs the lanes of a block until nothing moves: 0 done, 1 spinning, 2 stuck, 3 trapped, 4 interrupted; −1 not yet, others have a turn
    NAME        void (args, begin, end, launch): groups of blocks; a group (one block, or a cluster) is resident together

Fairness: all lanes of a block take turns; a lane in a loop over atomics, volatile or acquiring loads gives way after `FUEL` polls.  A
collective with a member mask waits for all members that have not exited; one without (`activemask`) takes the lanes that stand at the lowest
such point once no lane of the warp can move.  A barrier counts arrivals per lane.

`layout.py` has the records (launch, block, frame), `helpers.py` functions beside the kernel's own, `directed.py` other rounding modes, `scheduler.py` and
`resident.py` what is around lanes.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...ir.analysis import in_cycles
from ...ir.errors import UnsupportedError
from ...ir.instr import Edge, Instr, Value
from ...ir.kernel import Kernel
from ...ir.types import F32, F64, I1, I32, I64, Scalar
from .debug import Locations
from .directed import rounding
from .emit import TASK
from .helpers import BOUNDS, CANCEL, COPY, COPY_MASKED, MBARRIER, mbarrier
from .layout import BARRIER, BARRIER_, BLOCK, CLUSTER, CONVERGED, DEPTH, EXIT, FRAME, FUEL, HEAP, LAUNCH, PRINTF_RECORD, PRINTF_RECORDS, WARP, YIELD
from .ops import NAMES, Ops, Val

STACK = 8 << 20  # bytes from a function's frame upwards in which those of its callers lie
MANY_SAVED = 50_000  # values to save, over all points, from which on they stay in the frame
WARP_OPS = frozenset("shfl_sync vote_sync ballot_sync match_any_sync match_all_sync redux_sync warp_sync elect_sync mma ldmatrix stmatrix movmatrix".split())
CONVERGED_OPS = frozenset("activemask shfl vote_any vote_all".split())
SUSPENDS = WARP_OPS | CONVERGED_OPS | {"named_barrier", "bar", "pause", "cluster_barrier"}


class _Point:
    """Where a lane waits: its number, the instruction, what is alive afterwards."""

    __slots__ = ("number", "instr", "kind", "live")

    def __init__(self, number: int, instr: Instr, kind: int) -> None:
        self.number, self.instr, self.kind = number, instr, kind
        self.live: list[Value] = []


class _Segment:
    """Instructions without a wait: a piece of a block."""

    __slots__ = ("label", "block", "params", "instrs", "point", "next", "poll")

    def __init__(self, label: str, block: int) -> None:
        self.label, self.block = label, block
        self.params: tuple[Value, ...] = ()
        self.instrs: list[Instr] = []
        self.point: _Point | None = None
        self.next = ""
        self.poll = False  # the point is taken only when the fuel is gone


class Lane(Ops):
    """The lane function of a kernel, or a function of it (`main` is then the kernel's)."""

    x86 = False

    def __init__(self, kernel: Kernel, declared: set[str], helpers: dict[str, str], main: Lane | None = None, bounds: bool = False, w: int = 1) -> None:
        super().__init__(kernel, w, declared, helpers)
        self.bounds = bounds
        self.accesses: list[Instr] = main.accesses if main else []  # those that are tested
        self.local_vals: dict[int, Val] = {}  # of the segment that is being written
        self.main = main or self
        self.name: str = (main.name + "." if main else "") + kernel.name
        self.points: list[_Point] = []
        self.segments: list[_Segment] = []
        self.crossing: dict[int, Value] = {}
        self.saved: dict[int, int] = {}
        self.resident: set[int] = set()  # values that are in the frame all the time: there are so many points that saving at each would be quadratic
        self.uses_heap = any(i.op.name == "alloca" for f in (kernel, *kernel.functions) for i in f.instrs())
        self._cut()
        self._liveness()
        self._layout()

    # ---- segments, liveness, frame

    def needs(self, v: Value) -> Iterable[Value]:
        """Other values that reading this one reads."""
        return ()

    def _cut(self) -> None:
        loops = in_cycles(self.k)
        for n, b in enumerate(self.k.blocks):
            s = _Segment(f"b{n}", n)
            s.params = b.params
            self.segments.append(s)
            for i in b.instrs:
                name = i.op.name
                kind = -1
                if name in WARP_OPS:
                    kind = WARP
                elif name in CONVERGED_OPS:
                    kind = CONVERGED
                elif name == "named_barrier" and i.attr("kind") != "arrive" or name == "bar":
                    kind = BARRIER_
                elif name == "cluster_barrier" and i.attr("kind") == "wait":
                    kind = CLUSTER
                elif name == "pause":
                    kind = YIELD
                poll = n in loops and polls(i) and self.main is self
                if kind < 0 and not poll:
                    s.instrs.append(i)
                    continue
                if self.main is not self:
                    if name == "pause":
                        continue
                    raise UnsupportedError(f"{name} inside of {self.k.name}, which calls itself or is called by address", place=i.loc)
                if kind < 0:
                    s.instrs.append(i)
                p = _Point(len(self.points) + 1, i, YIELD if kind < 0 else kind)
                self.points.append(p)
                s.point, s.poll = p, kind < 0
                s.next = f"b{n}p{p.number}"
                s = _Segment(s.next, n)
                self.segments.append(s)

    def _liveness(self) -> None:
        """Values used in another segment than their own get a variable; those alive across a point are saved there."""
        home: dict[int, str] = {}
        for s in self.segments:
            for v in s.params:
                home[v.id] = s.label
                self.crossing[v.id] = v
            for i in s.instrs:
                for r in i.results:
                    home[r.id] = s.label
            if s.point is not None and not s.poll:
                for r in s.point.instr.results:
                    home[r.id] = ""
                    self.crossing[r.id] = r
        uses: dict[str, set[int]] = {}
        defs: dict[str, set[int]] = {}
        after: dict[str, list[str]] = {}
        values: dict[int, Value] = {}
        for s in self.segments:
            gen: set[int] = set()
            have = {v.id for v in s.params}

            def use(v: Value, label: str = s.label, gen: set[int] = gen, have: set[int] = have) -> None:
                for x in self.needs(v):
                    use(x)
                if v.id in home:
                    values[v.id] = v
                    if home[v.id] != label:
                        self.crossing[v.id] = v
                    if v.id not in have:
                        gen.add(v.id)

            for i in s.instrs:
                for v in i.operands():
                    use(v)
                have.update(r.id for r in i.results)
            if s.point is not None:
                if not s.poll:
                    for v in s.point.instr.operands():
                        use(v)
                    have.update(r.id for r in s.point.instr.results)
                after[s.label] = [s.next]
            else:
                after[s.label] = [f"b{e.target}" for e in s.instrs[-1].edges]
            uses[s.label], defs[s.label] = gen, have
        live_in = self._alive(uses, defs, after) if self.points else {}
        constants = {i.result.id for i in self.k.instrs() if i.op.name == "constant"}
        for s in self.segments:
            if s.point is not None:
                results = set() if s.poll else {r.id for r in s.point.instr.results}
                s.point.live = [values[v] for v in sorted(v for v in live_in[s.next] if v not in results and v not in constants)]
                for v in s.point.live:
                    self.crossing[v.id] = v
        for c in constants:
            self.crossing.pop(c, None)

    def _alive(self, uses: dict[str, set[int]], defs: dict[str, set[int]], after: dict[str, list[str]]) -> dict[str, list[int]]:
        """What is alive at the start of the segments behind points, by sets of bits, from the last segments to the first."""
        ids = sorted(set[int]().union(*uses.values()))
        bit = {v: 1 << n for n, v in enumerate(ids)}
        gen = {s: sum(bit[v] for v in vs) for s, vs in uses.items()}
        keep = {s: ~sum(bit[v] for v in vs if v in bit) for s, vs in defs.items()}
        before: dict[str, list[str]] = {}
        for s, nexts in after.items():
            for t in nexts:
                before.setdefault(t, []).append(s)
        now = dict(gen)
        work, waiting = list(gen), set(gen)
        while work:
            s = work.pop()
            waiting.discard(s)
            out = 0
            for t in after[s]:
                out |= now[t]
            new = gen[s] | out & keep[s]
            if new != now[s]:
                now[s] = new
                for t in before.get(s, ()):
                    if t not in waiting:
                        waiting.add(t)
                        work.append(t)
        wanted = {s.next for s in self.segments if s.point is not None}
        return {s: [ids[n] for n in _ones(now[s])] for s in wanted}

    def _layout(self) -> None:
        args = max((len(p.instr.args) + 1 for p in self.points), default=0)
        results = max((len(p.instr.results) for p in self.points), default=0)
        self.results_at = FRAME["ops"] + 16 * args
        at = self.results_at + 16 * max(results, 2)
        for p in self.points:
            for v in p.live:
                if v.id not in self.saved:
                    self.saved[v.id] = at
                    at += 16 if v.type.elem.bits > 64 else 8
        if sum(len(p.live) for p in self.points) > MANY_SAVED:
            self.resident = {v.id for p in self.points for v in p.live if v.type.elem.bits <= 64}
        self.local_at = -(-at // 64) * 64
        self.heap_at = self.local_at + -(-self.k.local // 16) * 16
        self.frame = -(-(self.heap_at + (HEAP if self.uses_heap else 0)) // 64) * 64

    # ---- the function

    def run(self) -> str:
        k = self.k
        inner = self.main is not self
        marks = self.debug.function(self.name) if self.debug else ""
        if inner:
            own = "".join(f", i64 %q{n}" for n, p in enumerate(k.params) if p.role != "symbol")
            head = [f"define internal i32 @{self.name}(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk, ptr %arena, ptr %frame{own}) #0{marks} {{", "entry:"]
            head.append(f"  %local = alloca [{max(k.local, 1)} x i8], align 16")
        else:
            head = [f"define internal i32 @{self.name}.lane(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk, ptr %arena, ptr %frame, i32 %pc) #0{marks} {{", "entry:"]
            head.append(f"  %local = getelementptr i8, ptr %frame, i64 {self.local_at}")
        slots = {p.value.name: n for n, p in enumerate(self.main.k.params) if p.role == "symbol"}
        for n, p in enumerate(k.params):
            if inner and p.role != "symbol":
                self.vals[p.value.id] = Val(f"%q{n}", I64, 0)
                continue
            slot = slots[p.value.name] if p.role == "symbol" else n
            elem = p.value.type.elem
            head.append(f"  %ps{n} = getelementptr i8, ptr %args, i64 {8 * slot}")
            t = NAMES[elem.name]
            if elem is I1:
                head += [f"  %pb{n} = load i8, ptr %ps{n}", f"  %p{n} = icmp ne i8 %pb{n}, 0"]
            else:
                head.append(f"  %p{n} = load {t}, ptr %ps{n}, align {max(1, elem.bytes)}")
            self.vals[p.value.id] = Val(f"%p{n}", elem, 0)
        for v in self.crossing.values():
            here = f"getelementptr i8, ptr %frame, i64 {self.saved[v.id]}" if v.id in self.resident else f"alloca {NAMES[v.type.elem.name]}"
            head.append(f"  %c{v.id} = {here}")
        self.allocas: list[str] = []
        if any(s.poll for s in self.segments):
            head += ["  %fuel = alloca i32", f"  store i32 {FUEL}, ptr %fuel"]
        body: list[str] = []
        for s in self.segments:
            self.lines, self.local_vals = [], {}
            self.label = s.label
            body.append(f"{s.label}:")
            for i in s.instrs:
                at = len(self.lines)
                if i.op.terminator:
                    self.end(i)
                else:
                    self.instr(i)
                self.mark(at, i)
            if s.point is not None:
                at = len(self.lines)
                self.wait(s)
                self.mark(at, s.point.instr)
            body += self.lines
        if self.points:
            cases = " ".join(f"i32 {p.number}, label %r{p.number}" for p in self.points)
            start = [f"  switch i32 %pc, label %b0 [ {cases} ]"]
        else:
            start = ["  br label %b0"]
        for s in self.segments:
            if s.point is not None:
                self.lines, self.local_vals = [], {}
                self.resume(s)
                body += [f"r{s.point.number}:", *self.lines]
        return "\n".join(head + self.allocas + start + body + ["}"])

    # ---- values

    def step(self, v: Value) -> int | None:
        return 0

    def val(self, v: Value) -> Val:
        found = self.local_vals.get(v.id) or self.vals.get(v.id)
        if found is None:
            elem = v.type.elem
            found = self.local_vals[v.id] = Val(self.put(f"load {NAMES[elem.name]}, ptr %c{v.id}"), elem, 0)
        return found

    def define(self, v: Value, text: str) -> None:
        elem = v.type.elem
        self.local_vals[v.id] = Val(text, elem, 0)
        if v.id in self.crossing:
            self.lines.append(f"  store {NAMES[elem.name]} {text}, ptr %c{v.id}")

    def _constant(self, i: Instr) -> None:
        elem = i.attr("type").elem
        self.vals[i.result.id] = Val(self.literal(elem, i.attr("value")), elem, 0, i.attr("value"))
        if not elem.is_float:
            self.const[i.result.id] = i.attr("value")

    def do(self, op: str, a: str, b: str) -> str:
        return self.put(f"{op} {a}, {b}")

    # ---- control flow

    def goto(self, e: Edge) -> str:
        params = self.k.blocks[e.target].params
        texts = [self.val(a).text for a in e.args]
        for p, text in zip(params, texts):
            self.lines.append(f"  store {NAMES[p.type.elem.name]} {text}, ptr %c{p.id}")
        return f"b{e.target}"

    def end(self, t: Instr) -> None:
        name = t.op.name
        if name == "return":
            self.lines.append("  ret i32 0")
        elif name == "trap":
            self.lines.append("  ret i32 -1")
        elif name == "jump":
            self.lines.append(f"  br label %{self.goto(t.edges[0])}")
        elif name in ("branch", "switch"):
            x = self.val(t.args[0])
            labels = []
            for e in t.edges:
                self.n += 1
                labels.append((f"e{self.n}", e))
            if name == "branch":
                self.lines.append(f"  br i1 {x.text}, label %{labels[0][0]}, label %{labels[1][0]}")
            else:
                cases = " ".join(f"i32 {n}, label %{lab}" for n, (lab, _) in enumerate(labels))
                self.lines.append(f"  switch i32 {x.text}, label %{labels[-1][0]} [ {cases} ]")
            kept = dict(self.local_vals)
            for lab, e in labels:
                self.lines.append(f"{lab}:")
                self.local_vals = dict(kept)
                self.lines.append(f"  br label %{self.goto(e)}")
        else:
            raise UnsupportedError(f"{name} in {self.k.name}", place=t.loc)

    def frame_store(self, offset: int, elem: Scalar, text: str) -> None:
        p = self.put(f"getelementptr i8, ptr %frame, i64 {offset}")
        if elem is I1:
            text, t = self.put(f"zext i1 {text} to i32"), "i32"
        else:
            t = NAMES[elem.name]
        self.lines.append(f"  store {t} {text}, ptr {p}, align {min(elem.bytes, 8)}")

    def frame_load(self, offset: int, elem: Scalar) -> str:
        p = self.put(f"getelementptr i8, ptr %frame, i64 {offset}")
        if elem is I1:
            return self.put(f"icmp ne i32 {self.put(f'load i32, ptr {p}')}, 0")
        return self.put(f"load {NAMES[elem.name]}, ptr {p}, align {min(elem.bytes, 8)}")

    def wait(self, s: _Segment) -> None:
        """Stores operands and live values, and returns the point's number."""
        p = s.point
        assert p is not None
        if s.poll and p.instr.op.name == "mbarrier":  # another lane of this thread must complete the phase
            self.n += 1
            self.lines += [f"  br i1 {self.val(p.instr.result).text}, label %{s.next}, label %give{self.n}", f"give{self.n}:"]
        elif s.poll:
            left = self.put(f"sub i32 {self.put('load i32, ptr %fuel')}, 1")
            self.lines.append(f"  store i32 {left}, ptr %fuel")
            gone = self.put(f"icmp sle i32 {left}, 0")
            self.n += 1
            self.lines.append(f"  br i1 {gone}, label %give{self.n}, label %{s.next}")
            self.lines.append(f"give{self.n}:")
        else:
            i = p.instr
            if p.kind == BARRIER_:
                self.arrive(i)
            elif p.kind == YIELD and i.guard is not None:
                self.n += 1
                self.lines.append(f"  br i1 {self.val(i.guard).text}, label %give{self.n}, label %{s.next}")
                self.lines.append(f"give{self.n}:")
            elif p.kind in (WARP, CONVERGED):
                for n, a in enumerate(i.args):
                    self.frame_store(FRAME["ops"] + 16 * n, a.type.elem, self.val(a).text)
        for v in p.live:
            if v.id not in self.resident:
                self.frame_store(self.saved[v.id], v.type.elem, self.val(v).text)
        self.lines.append(f"  ret i32 {p.number}")

    def resume(self, s: _Segment) -> None:
        p = s.point
        assert p is not None
        for v in p.live:
            if v.id not in self.resident:
                text = self.frame_load(self.saved[v.id], v.type.elem)
                self.lines.append(f"  store {NAMES[v.type.elem.name]} {text}, ptr %c{v.id}")
        i = p.instr
        if not s.poll and p.kind == BARRIER_ and i.results:
            total, all_ = (self.frame_load(self.results_at + 16 * n, I32) for n in (0, 1))
            kind = i.attr("kind")
            text = total if kind == "popc" else self.put(f"icmp ne i32 {total}, 0" if kind == "or" else f"icmp eq i32 {total}, {all_}")
            self.define(i.result, text)
        elif not s.poll:
            for n, r in enumerate(i.results):
                self.define(r, self.frame_load(self.results_at + 16 * n, r.type.elem))
        self.lines.append(f"  br label %{s.next}")

    # ---- barriers

    def arrive(self, i: Instr) -> None:
        """Counts this lane in; the scheduler opens the barrier."""
        if i.op.name == "bar":
            number, counted, what = "0", "0", ""
        else:
            number = self.val(i.args[0]).text
            counted = self.val(i.args[1]).text if i.attr("counted") else "0"
            what = self.val(i.args[-1]).text if i.attr("kind") in ("popc", "and", "or") else ""
        inside = self.put(f"and i32 {number}, 15")
        place = self.put(f"zext i32 {self.put(f'mul i32 {inside}, {BARRIER}')} to i64")
        p = self.put(f"getelementptr i8, ptr %blk, i64 {BLOCK['barriers']}")
        p = self.put(f"getelementptr i8, ptr {p}, i64 {place}")
        weight = self.weight(self.from_frame("linear")) if i.attr("counted") else "1"
        one = self.put(f"add i32 {self.put(f'load i32, ptr {p}')}, {weight}")
        self.lines.append(f"  store i32 {one}, ptr {p}")
        q = self.put(f"getelementptr i8, ptr {p}, i64 4")
        self.lines.append(f"  store i32 {counted}, ptr {q}")
        if what:
            q = self.put(f"getelementptr i8, ptr {p}, i64 8")
            bit = self.put(f"select i1 {what}, i32 {'1' if i.attr('kind') == 'popc' else weight}, i32 0")
            total = self.put(f"add i32 {self.put(f'load i32, ptr {q}')}, {bit}")
            self.lines.append(f"  store i32 {total}, ptr {q}")
        if i.attr("kind", "sync") != "arrive":
            self.frame_store(FRAME["ops"], I32, inside)

    def weight(self, linear: str) -> str:
        """A counted barrier counts whole warps: the block's last thread stands for those that its warp lacks."""
        threads = self.word32("threads")
        last = self.do("icmp eq i32", linear, self.do("sub i32", threads, "1"))
        lacking = self.do("and i32", self.do("sub i32", "0", threads), "31")
        return self.do("add i32", self.put(f"select i1 {last}, i32 {lacking}, i32 0"), "1")

    def _named_barrier(self, i: Instr) -> None:
        self.arrive(i)

    def _cluster_barrier(self, i: Instr) -> None:
        """Arrival at the cluster's barrier; remembers the phase that the wait is for."""
        p = self.put(f"getelementptr i8, ptr %blk, i64 {BLOCK['arrived']}")
        one = self.put(f"add i32 {self.put(f'load i32, ptr {p}')}, 1")
        self.lines.append(f"  store i32 {one}, ptr {p}")
        q = self.put(f"getelementptr i8, ptr %blk, i64 {BLOCK['phase']}")
        self.frame_store(FRAME["phase"], I32, self.put(f"load i32, ptr {q}"))

    # ---- arithmetic with modifiers

    def lane(self, i: Instr, vec: bool) -> str:
        rnd, name = i.attr("rnd"), i.op.name
        if rnd not in ("rz", "rm", "rp") or name in ("ftos", "ftou"):
            return super().lane(i, vec)
        elem, out = i.args[0].type.elem, i.result.type.elem
        args = [self.val(a).text for a in i.args]
        if i.attr("ftz") and elem.is_float:
            args = [self.flushed(a, elem, False) for a in args]
        r = self.directed(name, rnd, elem, out, args, i)
        if i.attr("ftz") and out.is_float:
            r = self.flushed(r, out, False)
        return self.clamped(r, out, False) if i.attr("sat") else r

    def directed(self, name: str, rnd: str, elem: Scalar, out: Scalar, args: list[str], i: Instr) -> str:
        t, u = NAMES[elem.name], NAMES[out.name]
        if name == "fcvt" and out.bits >= elem.bits:
            return self.put(f"fpext {t} {args[0]} to {u}")
        return self.put(f"call {u} @{rounding(self, name, rnd, elem, out, len(args), i)}({', '.join(f'{t} {a}' for a in args)})")

    # ---- special registers

    def word(self, name: str) -> str:
        p = self.put(f"getelementptr i8, ptr %launch, i64 {8 * LAUNCH[name]}")
        return self.put(f"load i64, ptr {p}")

    def word32(self, name: str) -> str:
        return self.put(f"trunc i64 {self.word(name)} to i32")

    def from_frame(self, name: str) -> str:
        return self.frame_load(FRAME[name], I32)

    def from_block(self, name: str) -> str:
        return self.put(f"load i32, ptr {self.put(f'getelementptr i8, ptr %blk, i64 {BLOCK[name]}')}")

    def _sreg(self, i: Instr) -> None:
        self.define(i.result, self.sreg(i.attr("name")))

    def sreg(self, name: str) -> str:
        head, _, axis = name.partition(".")
        if head == "tid":
            return self.from_frame(axis)
        if head == "ctaid":
            return self.from_block(axis)
        if head == "ntid":
            return self.word32("t" + axis)
        if head == "nctaid":
            return self.word32("n" + axis)
        if head == "cluster_nctaid":
            return self.word32("c" + axis)
        if head == "cluster_ctaid":
            return self.put(f"urem i32 {self.from_block(axis)}, {self.word32('c' + axis)}")
        if head == "clusterid":
            return self.put(f"udiv i32 {self.from_block(axis)}, {self.word32('c' + axis)}")
        if head == "nclusterid":
            return self.put(f"udiv i32 {self.word32('n' + axis)}, {self.word32('c' + axis)}")
        if name == "cluster_nctarank":
            return self.do("mul i32", self.do("mul i32", self.word32("cx"), self.word32("cy")), self.word32("cz"))
        if name == "cluster_ctarank":
            x, y, z = (self.sreg(f"cluster_ctaid.{a}") for a in "xyz")
            inner = self.do("add i32", y, self.do("mul i32", z, self.word32("cy")))
            return self.do("add i32", x, self.do("mul i32", inner, self.word32("cx")))
        if name == "is_explicit_cluster":
            n = self.sreg("cluster_nctarank")
            return self.put(f"zext i1 {self.put(f'icmp ugt i32 {n}, 1')} to i32")
        if name == "laneid":
            return self.put(f"and i32 {self.from_frame('linear')}, 31")
        if name == "warpid":
            return self.put(f"lshr i32 {self.from_frame('linear')}, 5")
        if name == "nwarpid":
            return self.do("lshr i32", self.do("add i32", self.word32("threads"), "31"), "5")
        if name in ("smid",):
            return "0"
        if name == "nsmid":
            return "1"
        if name == "gridid":
            return self.word("gridid")
        if name == "dynamic_smem_size":
            return self.word32("dynamic")
        if name in ("total_smem_size", "aggr_smem_size"):
            return self.word32("arena")
        if name.startswith("lanemask"):
            lane = self.sreg("laneid")
            bit = self.put(f"shl i32 1, {lane}")
            below = self.put(f"sub i32 {bit}, 1")
            kind = name[-2:]
            if kind == "eq":
                return bit
            if kind == "lt":
                return below
            if kind == "le":
                return self.put(f"or i32 {bit}, {below}")
            return self.put(f"xor i32 {below if kind == 'ge' else self.put(f'or i32 {bit}, {below}')}, -1")
        raise UnsupportedError(f"the special register {name} on the CPU")

    def _cancel(self, i: Instr) -> None:
        self.helpers.setdefault("cancel", CANCEL)
        self.define(i.result, self.put("call i32 @cancel.next(ptr %launch)"))

    def _read_clock(self, i: Instr) -> None:
        self.define(i.result, self.put(self.call("llvm.readcyclecounter", "i64", [])))

    # ---- memory

    def address(self, i: Instr, base: Value, index: Value | None = None) -> str:
        """The pointer of an access."""
        return self.place(i.attr("space", "global"), self.val(base), self.val(index) if index is not None else None, i.attr("scale", 1), i.attr("disp", 0))

    def place(self, space: str, b: Val, x: Val | None = None, scale: int = 1, disp: int = 0) -> str:
        text = b.text
        narrow = b.elem is I32
        if x is not None:
            part = x.text if x.elem is b.elem or narrow and x.elem is I32 else self.put(f"sext i32 {x.text} to i64")
            if narrow and x.elem is not I32:
                part = self.put(f"trunc i64 {part} to i32")
            w = "i32" if narrow else "i64"
            if scale != 1:
                part = self.put(f"mul {w} {part}, {scale}")
            text = self.put(f"add {w} {text}, {part}")
        if narrow:
            if disp:
                text = self.put(f"add i32 {text}, {disp}")
            return self.window(space, text)
        if space in ("shared", "cluster", "local"):
            text = self.put(f"trunc i64 {text} to i32")
            if disp:
                text = self.put(f"add i32 {text}, {disp}")
            return self.window(space, text)
        p = self.put(f"inttoptr i64 {text} to ptr")
        return self.put(f"getelementptr i8, ptr {p}, i64 {disp}") if disp else p

    def window(self, space: str, text: str) -> str:
        """A 32-bit address in a window."""
        if space == "local":
            return self.put(f"getelementptr i8, ptr %local, i64 {self.put(f'sext i32 {text} to i64')}")
        if space == "cluster":
            rank = self.put(f"lshr i32 {text}, 24")
            own = self.put(f"icmp eq i32 {rank}, 0")
            mine = self.from_block("rank")
            step = self.put(f"sub i32 {self.put(f'sub i32 {rank}, 1')}, {mine}")
            step = self.put(f"select i1 {own}, i32 0, i32 {step}")
            by = self.put(f"mul i64 {self.put(f'sext i32 {step} to i64')}, {self.word('block_stride')}")
            base = self.put(f"getelementptr i8, ptr %arena, i64 {by}")
            low = self.put(f"and i32 {text}, 16777215")
            return self.put(f"getelementptr i8, ptr {base}, i64 {self.put(f'zext i32 {low} to i64')}")
        wide = self.put(f"zext i32 {text} to i64")
        if space == "shared":
            return self.put(f"getelementptr i8, ptr %arena, i64 {wide}")
        return self.put(f"inttoptr i64 {wide} to ptr")

    def guarded(self, i: Instr) -> None:
        """Opens the block of a guarded instruction; `close` ends it."""
        assert i.guard is not None
        self.n += 1
        self._open = self.n
        self.lines.append(f"  br i1 {self.val(i.guard).text}, label %g{self.n}, label %n{self.n}")
        self.lines.append(f"g{self.n}:")

    def with_guard(self, i: Instr, body: Any) -> None:
        """Runs `body`, which gives the result texts, only where the guard holds."""
        if i.guard is None:
            for r, text in zip(i.results, body()):
                self.define(r, text)
            return
        cells = []
        for r, old in zip(i.results, i.passthrough):
            t = NAMES[r.type.elem.name]
            self.n += 1
            cell = f"%g{self.n}c"
            self.allocas.append(f"  {cell} = alloca {t}")
            self.lines.append(f"  store {t} {self.val(old).text}, ptr {cell}")
            cells.append((r, t, cell))
        self.n += 1
        n = self.n
        self.lines.append(f"  br i1 {self.val(i.guard).text}, label %g{n}, label %n{n}")
        self.lines.append(f"g{n}:")
        kept = dict(self.local_vals)
        for (_, t, cell), text in zip(cells, body()):
            self.lines.append(f"  store {t} {text}, ptr {cell}")
        self.lines.append(f"  br label %n{n}")
        self.lines.append(f"n{n}:")
        self.local_vals = kept
        for r, t, cell in cells:
            self.define(r, self.put(f"load {t}, ptr {cell}"))

    def flags(self, i: Instr, elem: Scalar) -> tuple[str, str, int]:
        """(keyword, ordering, alignment) of a load or store."""
        size = elem.bytes
        order = i.attr("order")
        if order in (None, "weak"):
            return ("volatile " if i.attr("volatile") else ""), "", min(size, 8)
        return "atomic ", {"relaxed": " monotonic", "acquire": " acquire", "release": " release", "sc": " seq_cst"}.get(order, " seq_cst"), size

    def tested(self, i: Instr, p: str, size: int | str, space: str = "", write: bool = False) -> str:
        """With `bounds`: an access outside of what the launch may touch ends it; or, where the launch keeps a record, it is noted there and goes
        elsewhere (a load gives 0).  Returns the pointer to use."""
        if not self.bounds:
            return p
        self.helpers.setdefault("bounds", BOUNDS.replace("FRAME_BYTES", str(self.main.frame)).replace("LOCAL_AT", str(self.main.local_at)))
        self.declared.add("declare ptr @llvm.stacksave.p0()")
        number = len(self.accesses)
        self.accesses.append(i)
        a = self.put(f"ptrtoint ptr {p} to i64")
        space = space or i.attr("space", "global")
        window, length = {"shared": ("%arena", self.word("arena") if space == "shared" else ""), "local": ("%local", "-1" if self.uses_heap else str(self.k.local))}.get(
            space, ("null", "-2" if self.main.k.functions else "-1"))  # fmt: skip  (functions keep theirs on the stack)
        q = self.put(f"call ptr @bounds.place(ptr %launch, ptr %blk, ptr %frame, i64 {a}, i64 {size}, ptr {window}, i64 {length}, i64 {number}, i64 {64 * write})")
        bad = self.put(f"icmp eq ptr {q}, null")
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {bad}, label %out{n}, label %in{n}", f"out{n}:"]
        e = self.put(f"load ptr, ptr {self.put(f'getelementptr i8, ptr %args, i64 {8 * len(self.main.k.params)}')}")
        self.lines += [f"  store atomic i32 {16 + number}, ptr {e} monotonic, align 4", "  ret i32 -1", f"in{n}:"]
        return q

    def _ld(self, i: Instr) -> None:
        base, index, _ = self.split(i, 0)
        elem = i.attr("to")
        t = "i8" if elem is I1 else NAMES[elem.name]

        def body() -> list[str]:
            p = self.address(i, base, index)
            p = self.tested(i, p, elem.bytes * len(i.results))
            keyword, order, align = self.flags(i, elem)
            out = []
            for k in range(len(i.results)):
                q = p if k == 0 else self.put(f"getelementptr i8, ptr {p}, i64 {k * elem.bytes}")
                at, kw = (t, keyword) if not (keyword == "atomic " and elem.is_float) else (f"i{elem.bits}", keyword)
                x = self.put(f"load {kw}{at}, ptr {q}{order}, align {align}")
                if at != t:
                    x = self.put(f"bitcast {at} {x} to {t}")
                out.append(self.put(f"icmp ne i8 {x}, 0") if elem is I1 else x)
            return out

        self.with_guard(i, body)

    def _st(self, i: Instr) -> None:
        count = i.attr("count", 1)
        base, index, data = self.split(i, count)
        elem = i.attr("to")
        t = "i8" if elem is I1 else NAMES[elem.name]

        def body() -> list[str]:
            texts = [self.val(v).text for v in data]
            p = self.address(i, base, index)
            p = self.tested(i, p, elem.bytes * count, write=True)
            keyword, order, align = self.flags(i, elem)
            for k, text in enumerate(texts):
                q = p if k == 0 else self.put(f"getelementptr i8, ptr {p}, i64 {k * elem.bytes}")
                at = t
                if elem is I1:
                    text = self.put(f"zext i1 {text} to i8")
                elif keyword == "atomic " and elem.is_float:
                    at = f"i{elem.bits}"
                    text = self.put(f"bitcast {t} {text} to {at}")
                self.lines.append(f"  store {keyword}{at} {text}, ptr {q}{order}, align {align}")
            return []

        self.with_guard(i, body)

    ATOMIC = {"iadd": "add", "and": "and", "or": "or", "xor": "xor", "imin_s": "min", "imax_s": "max", "imin_u": "umin", "imax_u": "umax",
              "exch": "xchg", "inc": "uinc_wrap", "dec": "udec_wrap"}  # fmt: skip

    def _atom(self, i: Instr) -> None:
        fn = i.attr("fn")
        values = 2 if fn == "cas" else 1
        base, index, data = self.split(i, values)
        elem = i.attr("to")

        def body() -> list[str]:
            texts = [self.val(v).text for v in data]
            p = self.address(i, base, index)
            p = self.tested(i, p, elem.bytes, write=True)
            old = self.atomic(i, p, fn, elem, texts)
            return [old] if i.results else []

        self.with_guard(i, body)

    _red = _atom

    def atomic(self, i: Instr, p: str, fn: str, elem: Scalar, texts: list[str]) -> str:
        t, w = NAMES[elem.name], f"i{elem.bits}"
        order = {"relaxed": "monotonic", "acquire": "acquire", "release": "release", "acq_rel": "acq_rel"}.get(i.attr("order", "relaxed"), "seq_cst")
        if fn == "cas" or fn == "exch" and elem.is_float:
            ints = [self.put(f"bitcast {t} {x} to {w}") if t != w else x for x in texts]
            if fn == "exch":
                old = self.put(f"atomicrmw xchg ptr {p}, {w} {ints[0]} {order}, align {elem.bytes}")
            else:
                failure = {"release": "monotonic", "acq_rel": "acquire"}.get(order, order)
                pair = self.put(f"cmpxchg ptr {p}, {w} {ints[0]}, {w} {ints[1]} {order} {failure}, align {elem.bytes}")
                old = self.put(f"extractvalue {{ {w}, i1 }} {pair}, 0")
            return self.put(f"bitcast {w} {old} to {t}") if t != w else old
        if fn in self.ATOMIC:
            return self.put(f"atomicrmw {self.ATOMIC[fn]} ptr {p}, {t} {texts[0]} {order}, align {elem.bytes}")
        if fn == "fadd" and elem in (F32, F64):
            return self.put(f"atomicrmw fadd ptr {p}, {t} {texts[0]} {order}, align {elem.bytes}")
        return self.cas_loop(p, fn, elem, texts[0], order)

    def cas_loop(self, p: str, fn: str, elem: Scalar, text: str, order: str) -> str:
        """Narrow floats: computed in f32 between two compare-and-swaps."""
        w = f"i{elem.bits}"
        helper = f"atomic.{fn}.{elem.name}"
        if helper not in self.helpers:
            inner = Lane.__new__(Lane)
            inner.declared, inner.helpers, inner.lines, inner.n, inner.w = self.declared, self.helpers, [], 0, 1
            inner.local_vals, inner.vals, inner.crossing = {}, {}, {}
            t = NAMES[elem.name]
            x = inner.put(f"bitcast {w} %old to {t}") if t != w else "%old"
            a, c = (inner.to_f32(v, elem, False) for v in (x, "%value"))
            op = {"fadd": "fadd", "fminnum": "minimumnum", "fmaxnum": "maximumnum"}[fn]
            if op == "fadd":
                r = inner.put(f"fadd float {a}, {c}")
            else:
                r = inner.put(inner.call(f"llvm.{op}.f32", "float", [("float", a), ("float", c)]))
            y = inner.from_f32(r, elem, False)
            z = inner.put(f"bitcast {t} {y} to {w}") if t != w else y
            self.helpers[helper] = "\n".join([
                f"define internal {t} @{helper}(ptr %p, {t} %value) #0 {{", "entry:", f"  %first = load atomic {w}, ptr %p monotonic, align {elem.bytes}",
                "  br label %again", "again:", f"  %old = phi {w} [ %first, %entry ], [ %seen, %again ]", *inner.lines,
                f"  %pair = cmpxchg ptr %p, {w} %old, {w} {z} seq_cst monotonic, align {elem.bytes}",
                f"  %seen = extractvalue {{ {w}, i1 }} %pair, 0", f"  %ok = extractvalue {{ {w}, i1 }} %pair, 1",
                "  br i1 %ok, label %out, label %again", "out:",
                *([f"  %r = bitcast {w} %old to {t}", f"  ret {t} %r"] if t != w else [f"  ret {t} %old"]), "}",
            ])  # fmt: skip
        return self.put(f"call {NAMES[elem.name]} @{helper}(ptr {p}, {NAMES[elem.name]} {text})")

    def _fence(self, i: Instr) -> None:
        self.lines.append("  fence " + ("seq_cst" if i.attr("order") == "sc" else "acq_rel"))

    def _report(self, i: Instr) -> None:
        p = self.put(f"getelementptr i8, ptr %args, i64 {8 * len(self.main.k.params)}")
        p = self.put(f"load ptr, ptr {p}")
        self.when(self.val(i.args[0]).text, f"store atomic i32 {i.attr('code', 1)}, ptr {p} monotonic, align 4")

    # ---- address spaces

    def _to_generic(self, i: Instr) -> None:
        x = self.val(i.args[0])
        self.define(i.result, self.put(f"ptrtoint ptr {self.place(i.attr('space'), x)} to i64"))

    def _from_generic(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0]).text
        if space in ("global", "const", "param", "generic"):
            self.define(i.result, x)
            return
        if space == "cluster":
            self.define(i.result, self.cluster_address(x))
            return
        base = self.put(f"ptrtoint ptr {'%arena' if space == 'shared' else '%local'} to i64")
        d = self.put(f"sub i64 {x}, {base}")
        if space == "local" and self.main is not self:  # the kernel's own memory is too far from a function's for an address of 32 bits
            self.give_up(self.put(f"icmp ne i64 {self.put('sext i32 ' + self.put(f'trunc i64 {d} to i32') + ' to i64')}, {d}"), 6)
        self.define(i.result, d)

    def cluster_address(self, x: str) -> str:
        """Rank + 1 in bits 24 and up, offset below."""
        base = self.put("ptrtoint ptr %arena to i64")
        stride = self.word("block_stride")
        mine = self.put(f"sext i32 {self.from_block('rank')} to i64")
        first = self.put(f"sub i64 {base}, {self.put(f'mul i64 {mine}, {stride}')}")
        d = self.put(f"sub i64 {x}, {first}")
        rank = self.put(f"udiv i64 {d}, {stride}")
        offset = self.put(f"urem i64 {d}, {stride}")
        up = self.put(f"shl i64 {self.put(f'add i64 {rank}, 1')}, 24")
        return self.put(f"or i64 {up}, {offset}")

    def _is_space(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0]).text
        if space == "shared":
            r = self.within(x, "%arena", self.word("arena"))
        elif space == "cluster":
            base = self.put("ptrtoint ptr %arena to i64")
            mine = self.do("mul i64", self.put(f"sext i32 {self.from_block('rank')} to i64"), self.word("block_stride"))
            d = self.put(f"sub i64 {x}, {self.put(f'sub i64 {base}, {mine}')}")
            size = self.put(f"mul i64 {self.word('group')}, {self.word('block_stride')}")
            r = self.put(f"icmp ult i64 {d}, {size}")
            offset = self.do("urem i64", d, self.word("block_stride"))  # between the arenas of two blocks lie the frames of the first
            r = self.do("and i1", r, self.do("icmp ult i64", offset, self.word("arena")))
        elif space == "local":
            r = self.is_local(x)
        elif space == "global":
            p = self.within(x, "%arena", self.word("arena"))
            q = self.is_local(x)
            r = self.put(f"xor i1 {self.put(f'or i1 {p}, {q}')}, true")
            d = self.do("sub i64", x, self.word("const"))
            r = self.do("and i1", r, self.do("icmp uge i64", d, self.word("const_size")))
        elif space == "const":
            r = self.do("icmp ult i64", self.do("sub i64", x, self.word("const")), self.word("const_size"))
        else:
            raise UnsupportedError(f"isspacep.{space} on the CPU", place=i.loc)
        self.define(i.result, r)

    def is_local(self, x: str) -> str:
        """Whether a generic address is of the lane's own memory: for a function also its callers', on the stack or in the frames behind the arena."""
        if self.main is self:
            return self.within(x, "%local", str(max(self.k.local, 1) + (HEAP if self.uses_heap else 0)))
        here = self.put(self.call("llvm.stacksave.p0", "ptr", []))
        arena, size = self.put("ptrtoint ptr %arena to i64"), self.word("arena")
        frames = self.do("sub i64", self.do("sub i64", self.word("block_stride"), size), str(BLOCK["arena"]))
        behind = self.put(f"icmp ult i64 {self.do('sub i64', x, self.do('add i64', arena, size))}, {frames}")
        return self.do("or i1", self.within(x, here, str(STACK)), behind)

    def within(self, x: str, base: str, size: str) -> str:
        d = self.put(f"sub i64 {x}, {self.put(f'ptrtoint ptr {base} to i64')}")
        return self.put(f"icmp ult i64 {d}, {size}")

    def _alloca(self, i: Instr) -> None:
        if self.main is not self:
            raise UnsupportedError(f"alloca inside of {self.k.name}, which calls itself or is called by address", place=i.loc)
        have = self.from_frame("heap")
        size = self.put(f"trunc i64 {self.val(i.args[0]).text} to i32")
        align = max(i.attr("align", 8), 8)
        up = self.put(f"and i32 {self.put(f'add i32 {have}, {align - 1}')}, {-align}")
        room = self.put(f"sub i64 {HEAP}, {self.put(f'zext i32 {up} to i64')}")
        full = self.put(f"or i1 {self.put(f'icmp ugt i64 {self.val(i.args[0]).text}, {room}')}, {self.put(f'icmp slt i64 {room}, 0')}")
        self.give_up(full, 5)
        p = self.put(f"getelementptr i8, ptr %frame, i64 {self.heap_at}")
        p = self.put(f"getelementptr i8, ptr {p}, i64 {self.put(f'zext i32 {up} to i64')}")
        self.frame_store(FRAME["heap"], I32, self.put(f"add i32 {up}, {size}"))
        self.define(i.result, self.put(f"ptrtoint ptr {p} to i64"))

    # ---- calls

    def _call(self, i: Instr) -> None:
        self.invoke(f"@{self.main.name}.{i.attr('name')}", [self.val(a).text for a in i.args])

    def _call_indirect(self, i: Instr) -> None:
        number, args = self.val(i.args[0]).text, [self.val(a).text for a in i.args[1:]]
        self.n += 1
        n = self.n
        fits = [f for f in self.main.k.functions if sum(p.role != "symbol" for p in f.params) == len(args)]
        cases = " ".join(f"i64 {dict(f.meta)['number']}, label %call{n}_{k}" for k, f in enumerate(fits))
        self.lines.append(f"  switch i64 {number}, label %wild{n} [ {cases} ]")
        for k, f in enumerate(fits):
            self.lines.append(f"call{n}_{k}:")
            self.invoke(f"@{self.main.name}.{f.name}", args)
            self.lines.append(f"  br label %back{n}")
        self.lines += [f"wild{n}:", "  ret i32 -1", f"back{n}:"]

    def invoke(self, name: str, args: list[str]) -> None:
        d = self.from_frame("depth")
        self.give_up(self.put(f"icmp ugt i32 {d}, {DEPTH}"), 3)
        self.frame_store(FRAME["depth"], I32, self.put(f"add i32 {d}, 1"))
        tail = "".join(f", i64 {a}" for a in args)
        r = self.put(f"call i32 {name}(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk, ptr %arena, ptr %frame{tail})")
        self.frame_store(FRAME["depth"], I32, d)
        bad = self.put(f"icmp ne i32 {r}, 0")
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {bad}, label %bad{n}, label %good{n}", f"bad{n}:", f"  ret i32 {r}", f"good{n}:"]

    def give_up(self, cond: str, code: int) -> None:
        """Ends the launch with an error's number: calls are too deep (3), `alloca` asks for more than there is (5), a function
        wants the local address of what is not of a function (6)."""
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {cond}, label %deep{n}, label %fine{n}", f"deep{n}:"]
        p = self.put(f"getelementptr i8, ptr %args, i64 {8 * len(self.main.k.params)}")
        self.lines += [f"  store atomic i32 {code}, ptr {self.put(f'load ptr, ptr {p}')} monotonic, align 4", "  ret i32 -1", f"fine{n}:"]

    def _printf(self, i: Instr) -> None:
        """One record of the buffer: format, then 512 bytes of arguments as they lie."""
        buffer = self.put(f"inttoptr i64 {self.word('printf')} to ptr")
        k = self.put(f"atomicrmw add ptr {buffer}, i64 1 monotonic")
        fits = self.put(f"icmp ult i64 {k}, {PRINTF_RECORDS}")
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {fits}, label %print{n}, label %full{n}", f"print{n}:"]
        at = self.put(f"mul i64 {k}, {PRINTF_RECORD}")
        p = self.put(f"getelementptr i8, ptr {self.put(f'getelementptr i8, ptr {buffer}, i64 64')}, i64 {at}")
        self.lines.append(f"  store i64 {self.val(i.args[0]).text}, ptr {p}")
        data = self.put(f"inttoptr i64 {self.val(i.args[1]).text} to ptr")
        some = self.put(f"icmp ne ptr {data}, null")
        self.lines += [f"  br i1 {some}, label %data{n}, label %full{n}", f"data{n}:"]
        for k2 in range(0, PRINTF_RECORD - 8, 64):
            x = self.put(f"load <8 x i64>, ptr {self.put(f'getelementptr i8, ptr {data}, i64 {k2}')}, align 8")
            self.lines.append(f"  store <8 x i64> {x}, ptr {self.put(f'getelementptr i8, ptr {p}, i64 {8 + k2}')}, align 8")
        self.lines += [f"  br label %full{n}", f"full{n}:"]
        self.define(i.result, "0")

    # ---- copies and mbarriers

    def _async_wait(self, i: Instr) -> None:
        """Copies are complete when they are issued."""

    def _copy(self, i: Instr) -> None:
        def body() -> list[str]:
            dst = self.place(i.attr("to"), self.val(i.args[0]))
            src = self.place(i.attr("from"), self.val(i.args[1]))
            read = self.put(f"zext i32 {self.val(i.args[2]).text} to i64")
            fn = i.attr("fn")
            total = str(i.attr("bytes")) if i.attr("bytes") else self.val(i.args[3]).text if len(i.args) > 3 and not i.attr("masked") else read
            if self.bounds:
                src = self.tested(i, src, read, i.attr("from"))
                dst = self.tested(i, dst, total, i.attr("to"), write=True)
            if fn:
                self.combine(i, dst, src, read, fn, i.attr("elem"))
                return []
            if i.attr("masked"):
                self.helpers.setdefault("copy.masked", COPY_MASKED)
                self.lines.append(f"  call void @copy.masked(ptr {dst}, ptr {src}, i64 {read}, i32 {self.val(i.args[3]).text})")
                return []
            self.helpers.setdefault("copy", COPY)
            self.lines.append(f"  call void @copy.bytes(ptr {dst}, ptr {src}, i64 {read}, i64 {total})")
            return []

        self.with_guard(i, body)

    def combine(self, i: Instr, dst: str, src: str, size: str, fn: str, elem: Scalar) -> None:
        """cp.reduce: element by element, atomically."""
        self.n += 1
        n = self.n
        self.allocas.append(f"  %at{n} = alloca i64")
        self.lines += [f"  store i64 0, ptr %at{n}", f"  br label %cr{n}", f"cr{n}:"]
        at = self.put(f"load i64, ptr %at{n}")
        more = self.put(f"icmp ult i64 {at}, {size}")
        self.lines += [f"  br i1 {more}, label %cb{n}, label %ce{n}", f"cb{n}:"]
        t = NAMES[elem.name]
        v = self.put(f"load {t}, ptr {self.put(f'getelementptr i8, ptr {src}, i64 {at}')}, align {elem.bytes}")
        self.atomic(i, self.put(f"getelementptr i8, ptr {dst}, i64 {at}"), fn, elem, [v])
        self.lines += [f"  store i64 {self.put(f'add i64 {at}, {elem.bytes}')}, ptr %at{n}", f"  br label %cr{n}", f"ce{n}:"]

    def _mbarrier(self, i: Instr) -> None:
        fn = i.attr("fn")
        if fn == "copies":  # they are complete
            return
        self.helpers.setdefault("mbar", MBARRIER)

        def body() -> list[str]:
            p = self.place(i.attr("space", "shared"), self.val(i.args[0]), None, 1, i.attr("disp", 0))
            n = self.val(i.args[1]).text if len(i.args) > 1 else ""
            if n and i.args[1].type is I32:
                n = self.put(f"zext i32 {n} to i64")
            return mbarrier(self, fn, p, n)

        self.with_guard(i, body)


def _ones(x: int) -> Iterator[int]:
    """The places of the bits that are set, from the lowest on."""
    digits = bin(x)[:1:-1]
    n = digits.find("1")
    while n >= 0:
        yield n
        n = digits.find("1", n + 1)


def polls(i: Instr) -> bool:
    """Whether a loop around this instruction may wait for another lane."""
    name = i.op.name
    if name == "ld":
        return bool(i.attr("volatile")) or i.attr("order") in ("relaxed", "acquire", "sc")
    return name in ("atom", "red") or name == "mbarrier" and str(i.attr("fn")).startswith("test")


class Dispatch:
    """The module of one kernel, and what its launcher must know: bytes of a frame, threads per frame, the instruction at each point, and
    `mode`: 'widened', or 'dispatch' with the reason.  `width`: how many lanes run together (0: `width.py` says)."""

    def __init__(self, kernel: Kernel, triple: str = "", bounds: bool = False, mode: str = "auto", debug: Locations | None = None,
                 form: str = "any", wide: bool = True, width: int = 0) -> None:  # fmt: skip
        declared: set[str] = set()
        helpers: dict[str, str] = {}
        self.mode, self.per, self.form = "dispatch", 1, ""
        self.loops: list[int] = []  # lanes of loops that run a part of a warp at a time
        count = sum(i.op.name not in ("constant", "jump", "return") for f in (kernel, *kernel.functions) for i in f.instrs())
        self.share = {"scalar": 0, "vector": 0, "lane by lane": count}  # instructions by how they are computed
        from . import resident, scheduler

        lane: Lane | None = None
        if mode != "dispatch" and not bounds:
            from .lockstep import init_function, step_function
            from .regions import Refused
            from .warp import Warp
            from .width import planned

            try:
                warp = Warp(declared, helpers, planned(kernel, form, 32 * 64 if wide else 16 * 32, width), wide)
                warp.debug, warp.x86 = debug, triple.startswith("x86_64")
                inner = [Lane(f, declared, helpers, warp) for f in kernel.functions]
                for x in inner:
                    x.debug, x.x86 = debug, warp.x86
                texts = [warp.run(), step_function(warp), init_function(warp), *(x.run() for x in inner)]
                lane, self.mode, self.per = warp, "widened", warp.w
                self.share, self.loops = warp.share(), [loop.w for loop in warp.inner]
                self.form = form if any(i.op.name == "sreg" and str(i.attr("name")).startswith("tid.") for i in kernel.instrs()) else ""
            except Refused as e:
                self.mode = f"dispatch: {e.message}" + (f" ({e.place})" if e.place else "")
                declared.clear()
                helpers.clear()
                if debug is not None:
                    debug.reset()
        if lane is None:
            lane = Lane(kernel, declared, helpers, None, bounds)
            lane.x86 = triple.startswith("x86_64")
            inner = [Lane(f, declared, helpers, lane, bounds) for f in kernel.functions]
            for x in (lane, *inner):
                x.debug = debug
            texts = [lane.run(), *(x.run() for x in inner)]
            if any(p.kind in (WARP, CONVERGED) for p in lane.points):
                texts.append(scheduler.warp_function(lane))
            texts.append(scheduler.step_function(lane))
        self.waits = any(p.kind == YIELD for p in lane.points) and scheduler.waits_for_groups(kernel)
        around = resident.functions(lane, self.per) if self.waits else [
            scheduler.group_function(lane, self.per), scheduler.entry_function(lane, self.per > 1)]  # fmt: skip
        if debug is not None and self.per > 1:
            texts[1], around[0] = (debug.around(debug.around(t, f"{lane.name}.lane"), f"{lane.name}.step") for t in (texts[1], around[0]))
        texts += [*around, *helpers.values(), TASK]
        kinds = ", ".join(f"i32 {k}" for k in [EXIT, *(p.kind for p in lane.points)])
        table = f"@{lane.name}.kinds = internal constant [{1 + len(lane.points)} x i32] [ {kinds} ]"
        head = [f'target triple = "{triple}"'] if triple else []
        tail = ['attributes #0 = { nounwind "no-builtins" "no-trapping-math"="true" "prefer-vector-width"="512" }',
                'attributes #1 = { nounwind strictfp noinline "no-builtins" }', "attributes #2 = { strictfp }"]  # fmt: skip
        tail += debug.metadata() if debug is not None else []
        self.name, self.frame, self.sites = lane.name, lane.frame, tuple(lane.accesses)
        self.points = [(p.kind, p.instr.op.name, p.instr.loc) for p in lane.points]
        self.text = "\n\n".join(["\n".join(head), table, *texts, "\n".join(sorted(declared)), "\n".join(tail)]) + "\n"

