"""What a program moves and computes, kernel by kernel, counted on the tile level: exact numbers of the program, not of a run.

    read, written   bytes of the program's buffers that one launch touches, each byte once for reading and once for writing: what has to come
                    from memory and go to it if every cache were perfect.  Per view the box that all programs of the grid touch together is taken
                    (strided dimensions count their elements only), never more than the buffer; gathers and atomics count an element each, up to the
                    buffer.  Shared memory and registers do not count.
    flops           floating-point operations of one launch: each element of an arithmetic op on floats is one, a fused multiply-add two, in matrix units too; a
                    reduction of n elements n − 1; a math function what its definition has on its usual path (`flops_of`).  Moves, comparisons,
                    conversions, signs and selections are none.  The overhang of the last tile counts, since it is computed.
    intensity       flops per byte of both

The walk evaluates the scalars of all programs of the grid at once.  A loop in which nothing but addresses depends on the turn is
evaluated at its first, second and last turn; another is followed turn by turn, up to a budget, then like the first kind.  A side of an `if` whose condition is data counts
as taken.  Such estimates set `exact` to false.
"""
from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..instr import Instr, Region, Value
from ..kernel import KernelBuilder
from ..op import Op, op
from ..program import Buffer, Launch, Loop, Program, Step
from ..tile import TileProgram
from ..types import Array, Scalar, Type, View

ARITHMETIC = frozenset("fadd fsub fmul fdiv fsqrt fmin fmax fminnum fmaxnum ffloor fceil ftrunc frint frem fscale".split())
CHUNK = 1 << 15  # programs that are walked together
BUDGET = 4096  # turns of dependent loops that are followed one by one, per launch

Numbers = Any  # an int64 array over programs, or None where the value is data


@lru_cache(maxsize=None)
def flops_of(o: Op, elem: Scalar) -> int:
    """Floating-point operations of one element of an op."""
    if not elem.is_float:
        return 0
    if o.kind == "math":
        from ..ops.math import definition_of

        b = KernelBuilder(o.name)
        operands = o.signature.partition("->")[0].split()
        definition_of(o)(b, *(b.param(f"x{n}", elem) for n in range(len(operands))))
        b.ret()
        made = b.finish()
        return sum(flops_of(i.op, i.args[0].type.elem) for block in made.blocks if block.name != "rare" for i in block.instrs if i.args)
    return 2 if o.name == "ffma" else 1 if o.name in ARITHMETIC else 0


class Counts:
    """Of one kernel: `read` and `written` bytes, `flops`, `exact`, `grid`; `touched`: buffer name → (bytes read, bytes written)."""

    __slots__ = ("kernel", "grid", "read", "written", "flops", "exact", "touched", "times")

    def __init__(self, kernel: str, grid: tuple[int, ...]) -> None:
        self.kernel, self.grid = kernel, grid
        self.read = self.written = self.flops = 0
        self.exact = True
        self.touched: dict[str, tuple[int, int]] = {}
        self.times: int | None = 1  # launches in one run of the program; None where data decides

    @property
    def moved(self) -> int:
        return self.read + self.written

    @property
    def intensity(self) -> float:
        """Flops per byte."""
        return self.flops / self.moved if self.moved else 0.0

    def __repr__(self) -> str:
        return f"<counts of {self.kernel}: {self.read} bytes read, {self.written} written, {self.flops} flops>"


def program_counts(program: Program) -> dict[str, Counts]:
    """Of each kernel, by name.  Kernels that are no tile programs have none.  Symbolic sizes are those for which the schedules were chosen."""
    program = program.at_hints()
    out: dict[str, Counts] = {}

    def visit(steps: Sequence[Step], times: int | None) -> None:
        for s in steps:
            if isinstance(s, Launch) and isinstance(s.fn, TileProgram):
                found = out.get(s.fn.name)
                if found is None:
                    found = out[s.fn.name] = launch_counts(s)
                    found.times = times
                elif found.times is not None:
                    found.times = None if times is None else found.times + times
            elif isinstance(s, Loop):
                inner = None if s.count is None or times is None else times * s.count
                visit(s.before, None if inner is None else inner + (times or 0) if s.cond is not None else inner)
                visit(s.body, inner if s.cond is None else None)

    visit(program.steps, 1)
    return out


def launch_counts(launch: Launch) -> Counts:
    """Of one launch of a tile program."""
    fn = launch.fn
    assert isinstance(fn, TileProgram)
    grid = [operator.index(n) for n in launch.grid]
    out = Counts(fn.name, tuple(grid))
    programs = math.prod(grid)
    w = _Walk(fn, launch, out)
    for first in range(0, programs, CHUNK):
        w.chunk(np.arange(first, min(first + CHUNK, programs)))
    w.finish()
    return out


class _Box:
    """What accesses through one kind of view touch: per dimension lowest and highest coordinate, and the step between coordinates."""

    def __init__(self, rank: int) -> None:
        self.low: list[int | None] = [None] * rank
        self.high = [0] * rank
        self.step = [0] * rank

    def add(self, d: int, low: int, high: int, step: int) -> None:
        had = self.low[d]
        if had is None:
            self.low[d], self.high[d], self.step[d] = low, high, step
            return
        self.step[d] = math.gcd(math.gcd(self.step[d], step), abs(low - had))
        self.low[d], self.high[d] = min(had, low), max(self.high[d], high)

    def size(self, strides: Sequence[int]) -> int:
        n = 1
        for low, high, step, stride in zip(self.low, self.high, self.step, strides):
            if low is None or high < low:
                return 0
            if stride:
                n *= (high - low) // max(step, 1) + 1
        return n


class _Walk:
    def __init__(self, fn: TileProgram, launch: Launch, out: Counts) -> None:
        self.fn, self.launch, self.out = fn, launch, out
        self.params = {p.value.id: n for n, p in enumerate(fn.params)}
        self.boxes: dict[tuple[Any, ...], _Box] = {}  # (write, parameter, extents, strides, offset) → what was touched
        self.points: dict[tuple[bool, int], int] = {}  # (write, parameter) → elements of gathers, scatters, atomics
        self.turns = 0
        self.dependent: dict[int, bool] = {}  # region → whether what it counts depends on its parameters

    def chunk(self, ids: Any) -> None:
        x, y, _ = (*self.launch.grid, 1, 1)[:3]
        self.pid = (ids % x, ids // x % y, ids // (x * y))
        self.env: dict[int, Numbers] = {}
        self.views: dict[int, tuple[int, tuple[int, ...], tuple[int, ...], int]] = {}
        self.some = ids.size
        for p, a in zip(self.fn.params, self.launch.args):
            if p.role != "pointer":
                self.env[p.value.id] = np.full(ids.size, int(a), np.int64) if not p.value.type.elem.is_float else None
        self.region(self.fn.body, np.ones(ids.size, np.int64))

    # ---- counting

    def finish(self) -> None:
        moved: dict[tuple[bool, int], int] = dict(self.points)
        for (write, param, _, strides, _), box in self.boxes.items():
            moved[write, param] = moved.get((write, param), 0) + box.size(strides)
        by: dict[tuple[bool, str], tuple[int, Array]] = {}
        for (write, param), elements in moved.items():
            b = self.launch.args[param]
            assert isinstance(b, Buffer)
            have = by.get((write, b.name), (0, b.type))[0]
            by[write, b.name] = (have + elements, b.type)
        for (write, name), (elements, ty) in sorted(by.items(), key=lambda e: (e[0][1], e[0][0])):
            size = min(elements, math.prod(ty.shape)) * ty.elem.bytes
            read, written = self.out.touched.get(name, (0, 0))
            self.out.touched[name] = (read, written + size) if write else (read + size, written)
            if write:
                self.out.written += size
            else:
                self.out.read += size

    def region(self, r: Region, times: Any) -> list[Numbers]:
        """Counts a region that each program runs `times` times; returns what it yields."""
        if times.any():
            for i in r.instrs:
                self.instr(i, times)
        return [self.env.get(y.id) for y in r.yields]

    def instr(self, i: Instr, times: Any) -> None:
        rule = getattr(self, "_" + i.op.name, None)
        if rule is not None:
            rule(i, times)
            return
        if i.op.kind not in ("lane", "math") or not i.results:
            return
        ty = i.result.type
        per = flops_of(i.op, i.args[0].type.elem if i.op.kind == "lane" else ty.elem)
        if per:
            self.out.flops += per * _elements(ty) * int(times.sum())
        elif ty.shape == () and not any(a.type.elem.is_float for a in i.args) and not ty.elem.is_float:
            self.env[i.result.id] = self.scalar(i)

    def scalar(self, i: Instr) -> Numbers:
        from ..interp.values import eval_lane

        args = [self.env.get(a.id) for a in i.args]
        if any(a is None for a in args):
            return None
        typed = [a.astype(v.type.elem.np) for a, v in zip(args, i.args) if a is not None]
        return np.asarray(eval_lane(i.op, i.result.type.elem, typed, i.attrs)).astype(np.int64)

    def _constant(self, i: Instr, times: Any) -> None:
        if i.result.type.shape == () and not i.result.type.elem.is_float:
            self.env[i.result.id] = np.full(self.some, int(i.attr("value")), np.int64)

    def _program_id(self, i: Instr, times: Any) -> None:
        self.env[i.result.id] = self.pid[i.attr("axis")].astype(np.int64)

    def _num_programs(self, i: Instr, times: Any) -> None:
        self.env[i.result.id] = np.full(self.some, (*self.launch.grid, 1, 1)[i.attr("axis")], np.int64)

    def _tile_reduce(self, i: Instr, times: Any) -> None:
        t = i.args[0].type
        n = t.shape[i.attr("axis")]
        per = flops_of(op(i.attr("fn")), t.elem)
        self.out.flops += per * (_elements(t) // n) * (n - 1) * int(times.sum())

    def _tile_scan(self, i: Instr, times: Any) -> None:
        t = i.args[0].type
        n = t.shape[i.attr("axis")]
        steps = sum(n - (1 << k) for k in range(max(n - 1, 0).bit_length()))  # Kogge–Stone
        self.out.flops += flops_of(op(i.attr("fn")), t.elem) * (_elements(t) // n) * steps * int(times.sum())

    def _dot(self, i: Instr, times: Any) -> None:
        m, n = i.result.type.shape
        per = flops_of(op("ffma"), i.result.type.elem)
        self.out.flops += per * m * n * i.args[0].type.shape[i.attr("left").index("k")] * int(times.sum())

    # ---- memory

    def _view(self, i: Instr, times: Any) -> None:
        param = self.params.get(i.args[0].id)
        if param is None:
            return  # shared memory
        rank = (len(i.args) - 1) // 2
        sizes = [self.env.get(a.id) for a in i.args[1:]]
        extents, strides = ([(1 << 62 if d else 1) if s is None else int(s.max()) for s in part] for d, part in ((1, sizes[:rank]), (0, sizes[rank:])))
        self.views[i.result.id] = (param, tuple(extents), tuple(strides), i.attr("offset", 0))

    def _load(self, i: Instr, times: Any) -> None:
        self.access(i, times, i.attr("shape"), False)

    def _store(self, i: Instr, times: Any) -> None:
        self.access(i, times, i.args[-1].type.shape, True)

    def access(self, i: Instr, times: Any, shape: Sequence[int], write: bool) -> None:
        found = self.views.get(i.args[0].id)
        if found is None:
            return
        param, extents, strides, offset = found
        assert isinstance(i.args[0].type, View)
        on = times > 0
        box = self.boxes.setdefault((write, param, extents, strides, offset), _Box(len(extents)))
        for d, (row, extent) in enumerate(zip(i.attr("index"), extents)):
            at = self.env.get(i.args[1 + d].id)
            if at is None:
                self.out.exact = False
                box.add(d, 0, extent - 1, 1)
                continue
            at = at[on]
            spans = [c * (n - 1) for c, n in zip(row, shape)]
            low, high = int(at.min()) + sum(min(s, 0) for s in spans), int(at.max()) + sum(max(s, 0) for s in spans)
            step = math.gcd(*(abs(c) for c, n in zip(row, shape) if n > 1), int(np.gcd.reduce(np.abs(at - at[0]))))
            first = max(low, 0) if low >= 0 else low % step if step else 0
            box.add(d, first, min(high, extent - 1), step)

    def _gather(self, i: Instr, times: Any) -> None:
        self.point(i, times, False)

    def _scatter_to(self, i: Instr, times: Any) -> None:
        self.point(i, times, True)

    def _atomic(self, i: Instr, times: Any) -> None:
        self.point(i, times, False)
        self.point(i, times, True)

    def point(self, i: Instr, times: Any, write: bool) -> None:
        param = self.params.get(i.args[0].id)
        if param is not None:
            self.out.exact = False
            key = (write, param)
            self.points[key] = self.points.get(key, 0) + _elements(i.args[1].type) * int(times.sum())

    # ---- control

    def _for(self, i: Instr, times: Any) -> None:
        [body] = i.regions
        lo, hi, step = (self.env.get(a.id) for a in i.args[:3])
        iv, carried = body.params[0], body.params[1:]
        if lo is None or hi is None or step is None:  # data decides: one turn
            self.out.exact = False
            self.enter(carried, [None] * len(carried))
            self.env[iv.id] = None
            self.region(body, times)
            self.leave(i.results, [None] * len(i.results))
            return
        turns = np.maximum(-((lo - hi) // step), 0) * (times > 0)
        state = [self.env.get(a.id) for a in i.args[3:]]
        most = int(turns.max()) if turns.size else 0
        counted = any(v is not None for v in state)
        if counted or self.depends(body):
            if self.turns + most <= BUDGET:
                self.turns += most
                for t in range(most):
                    on = turns > t
                    self.env[iv.id] = lo + t * step
                    self.enter(carried, state)
                    made = self.region(body, np.where(on, times, 0))
                    state = [None if m is None or s is None else np.where(on, m, s) for m, s in zip(made, state)]
                self.leave(i.results, state)
                return
            self.out.exact = False
        for turn, weight in ((0, times * (turns > 0)), (1, times * np.maximum(turns - 2, 0)), (turns - 1, times * (turns > 1))):
            self.env[iv.id] = lo + turn * step
            self.enter(carried, [None] * len(carried) if counted else state)
            self.region(body, weight)
        self.leave(i.results, [None] * len(i.results))

    def _while(self, i: Instr, times: Any) -> None:
        self.out.exact = False
        for r in i.regions:
            self.enter(r.params, [None] * len(r.params))
            self.region(r, times)
        self.leave(i.results, [None] * len(i.results))

    def _if(self, i: Instr, times: Any) -> None:
        cond = self.env.get(i.args[0].id)
        if cond is None:
            self.out.exact = False
            a, b = (self.region(r, times) for r in i.regions)
            self.leave(i.results, [None] * len(a))
            return
        on = cond.astype(bool)
        a = self.region(i.regions[0], np.where(on, times, 0))
        b = self.region(i.regions[1], np.where(on, 0, times))
        self.leave(i.results, [np.where(on, x, y) if x is not None and y is not None else None for x, y in zip(a, b)])

    def enter(self, params: Sequence[Value], values: Sequence[Numbers]) -> None:
        for p, v in zip(params, values):
            self.env[p.id] = v

    leave = enter

    def depends(self, body: Region) -> bool:
        """Whether bounds or conditions inside depend on the region's parameters, so that its turns differ."""
        found = self.dependent.get(id(body))
        if found is None:
            from_here = {p.id for p in body.params}
            found = self.dependent[id(body)] = _decides(body, from_here)
        return found


def _decides(r: Region, tainted: set[int]) -> bool:
    for i in r.instrs:
        if i.op.name == "for" and any(a.id in tainted for a in i.args[:3]) or i.op.name in ("if", "while") and any(a.id in tainted for a in i.args):
            return True
        if any(_decides(inner, tainted) for inner in i.regions):
            return True
        if any(a.id in tainted for a in i.args):
            tainted.update(x.id for x in i.results)
    return False


def _elements(t: Type) -> int:
    return math.prod(t.shape)
