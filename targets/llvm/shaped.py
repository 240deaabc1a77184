"""Memory for lanes whose addresses differ in a known way (`lanes.Shape`): a scalar per group of lanes, vector loads and stores.

An access is cut into pieces of 32, 16 or 8 lanes.  In a `row` the lanes' elements follow one another, in a `same` all lanes mean one element.  What
the shape rests on (a sum that must not wrap, a piece that must have lanes) is asked first; where it does not hold, the access goes by the vector
of exact addresses, as one of unknown shape does.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.types import I1, I64, Scalar
from .lanes import Shape, regroup, splits
from .masks import Masks
from .ops import NAMES, SUFFIX, Val


class Grouped(Val):
    """A value whose lanes differ in a known way: `texts` are the scalars of its groups."""

    __slots__ = ("texts",)

    def __init__(self, texts: list[str], elem: Scalar) -> None:
        super().__init__(texts[0], elem, 0)
        self.texts = texts


class Pieces:
    """How an access is cut: lanes per piece, what each is ('row', 'same'), which scalar it starts from and the constant beyond it."""

    __slots__ = ("group", "kinds", "starts")

    def __init__(self, group: int, kinds: list[str], starts: list[tuple[int, int]]) -> None:
        self.group, self.kinds, self.starts = group, kinds, starts


def pieces(s: Shape, size: int) -> Pieces | None:
    """An access of `size` bytes per lane as rows and single elements."""
    for group in (32, 16, 8):
        if group > s.group:
            continue
        r = regroup(s, group)
        kinds = []
        for n in range(0, len(s.offs), group):
            part = r.offs[n : n + group]
            kinds.append("row" if part == tuple(range(0, size * group, size)) else "" if any(part) else "same")
        if all(kinds):
            return Pieces(group, kinds, splits(s, group))
    return None


class Shaped(Masks):
    """The part of `Warp` that reaches memory through shapes."""

    k: Kernel
    plan: Any
    local_vals: dict[int, Val]
    wide_masks: bool
    n: int
    declared: set[str]
    bases: Callable[[Value], list[str]]  # what follows is Warp's
    define: Callable[[Value, str], None]
    addresses: Any
    by_lane: Any
    by_lane_store: Any

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Code that is not always run: values that are found there are forgotten afterwards."""
        kept = dict(self.local_vals)
        vectors = [(x, x.vector) for x in kept.values()]
        yield
        self.local_vals = kept
        for x, vector in vectors:
            x.vector = vector

    # ---- addresses

    def shape_of(self, i: Instr, base: Value, index: Value | None) -> Shape | None:
        space = i.attr("space", "global")
        s: Shape | None = self.plan.shape(base)
        if s is None or index is not None:
            return None
        if space == "shared":
            return s
        return s if space in ("global", "generic", "const") and base.type is I64 else None

    def starts(self, i: Instr, base: Value, cut: Pieces) -> list[tuple[str, int]]:
        """The pointers of the pieces and constants beyond them.  Addresses in the shared window are less than 2^31, so their lanes never wrap."""
        disp, window = i.attr("disp", 0), i.attr("space", "global") == "shared"
        scalars, made = self.bases(base), dict[int, str]()
        for at, _ in cut.starts:
            if at in made:
                continue
            x = scalars[at]
            if window:
                if base.type is I64:
                    x = self.put(f"trunc i64 {x} to i32")
                made[at] = self.put(f"getelementptr i8, ptr %arena, i64 {self.put(f'sext i32 {x} to i64')}")
            else:
                made[at] = self.put(f"inttoptr i64 {x} to ptr")
        return [(made[at], more + disp) for at, more in cut.starts]

    def moved_on(self, p: str, by: int) -> str:
        return self.put(f"getelementptr i8, ptr {p}, i64 {by}") if by else p

    def rests_on(self, i: Instr, base: Value) -> list[str]:
        """What must hold for the shape of an address: no lane of its anchors wraps."""
        out = []
        if i.attr("space", "global") != "shared":
            for x, kind, _ in self.plan.shapes[base.id].anchors if base.id in self.plan.shapes else ():
                offs = self.plan.shapes[x.id].offs
                low, high = min(offs), max(offs)
                top, bottom = ((1 << 31) - 1, -(1 << 31)) if kind == "s" else ((1 << 32) - 1, 0)
                for b in self.bases(x):
                    if high:
                        out.append(self.put(f"icmp {kind if kind == 's' else 'u'}le i32 {b}, {top - high}"))
                    if low:
                        out.append(self.put(f"icmp {kind if kind == 's' else 'u'}ge i32 {b}, {bottom - low}"))
        return out

    def all_of(self, conds: Sequence[str]) -> str:
        c, *rest = conds
        for other in rest:
            c = self.do("and i1", c, other)
        return c

    def piece_of(self, mask: str, group: int, n: int) -> str:
        """The mask of a piece, as `<group x i1>`."""
        if group == self.w:
            return self.bools(mask)
        order = ", ".join(f"i32 {k}" for k in range(n * group, (n + 1) * group))
        part = self.put(f"shufflevector {self.mask_type} {mask}, {self.mask_type} poison, <{group} x i32> <{order}>")
        return part if self.mask_elem == "i1" else self.put(f"icmp slt <{group} x {self.mask_elem}> {part}, zeroinitializer")

    def pieces_of(self, mask: str, group: int, which: Sequence[int]) -> str:
        part, *rest = [self.piece_of(mask, group, n) for n in which]
        for other in rest:
            part = self.put(f"or <{group} x i1> {part}, {other}")
        return part

    def readable(self, start: tuple[str, int], size: int, window: bool, part: str, group: int) -> str:
        """The pointer of what all lanes of a piece read; one to memory that is there, where none of them is active."""
        p, more = start
        some = self.put(f"icmp ne i{group} {self.put(f'bitcast <{group} x i1> {part} to i{group}')}, 0")
        if window and 0 <= more and more + size <= self.k.shared:  # the choice is made once for neighbours
            return self.moved_on(self.put(f"select i1 {some}, ptr {p}, ptr %arena"), more)
        return self.put(f"select i1 {some}, ptr {self.moved_on(p, more)}, ptr %frame")

    def joined(self, parts: Sequence[str], group: int, m: str) -> str:
        """Vectors side by side."""
        parts = list(parts)
        while len(parts) > 1:
            order = ", ".join(f"i32 {k}" for k in range(2 * group))
            parts = [self.put(f"shufflevector <{group} x {m}> {x}, <{group} x {m}> {y}, <{2 * group} x i32> <{order}>") for x, y in zip(parts[::2], parts[1::2])]
            group *= 2
        return parts[0]

    def either(self, conds: list[str], types: Sequence[str], fast: Callable[[], list[str]], slow: Callable[[], list[str]]) -> list[str]:
        """`fast` where all conditions hold, else `slow`; their results."""
        if not conds:
            return fast()
        self.n += 1
        n = self.n
        self.lines += [f"  br i1 {self.all_of(conds)}, label %row{n}, label %each{n}", f"row{n}:"]
        with self.aside():
            xs = fast()
        self.lines += [f"  br label %rowed{n}", f"rowed{n}:", f"  br label %got{n}", f"each{n}:"]
        with self.aside():
            ys = slow()
        self.lines += [f"  br label %slow{n}", f"slow{n}:", f"  br label %got{n}", f"got{n}:"]
        return [self.put(f"phi {t} [ {x}, %rowed{n} ], [ {y}, %slow{n} ]") for t, x, y in zip(types, xs, ys)]

    # ---- loads

    def shaped_load(self, i: Instr, base: Value, index: Value | None, elem: Scalar, mask: str) -> bool:
        """Whether the load was written."""
        s = self.shape_of(i, base, index)
        if s is None or elem.bits > 64:
            return False
        m = "i8" if elem is I1 else NAMES[elem.name]
        count, size = len(i.results), elem.bytes
        cut = pieces(s, size * count)
        if cut is None:
            return False
        t = f"<{self.w} x {m}>"
        old = [self.vec(v) for v in i.passthrough] if i.passthrough else []
        if elem is I1:
            old = [self.put(f"zext {self.bools_type} {x} to {t}") for x in old]
        conds = self.rests_on(i, base)
        window, types = i.attr("space", "global") == "shared", [t] * count
        rows, masked = "row" in cut.kinds, self.masked(elem, count)
        if rows and not masked:
            conds.append(self.all_lanes(mask))

        def fast() -> list[str]:
            starts = self.starts(i, base, cut)

            def read(full: bool) -> list[str]:
                return self.load_pieces(cut, starts, elem, m, count, mask, old, window, full)

            if not rows or not masked or window and self.wide_masks:
                return read(not masked)
            return self.either([self.all_lanes(mask)], types, lambda: read(True), lambda: read(False))

        def slow() -> list[str]:
            a, out = self.addresses(i, base, index), []
            for k in range(count):
                at = a if k == 0 else self.put(f"add <{self.w} x i64> {a}, splat (i64 {k * size})")
                out.append(self.by_lane(elem, at, mask, old[k] if old else "zeroinitializer"))
            return out

        texts = self.either(conds, types, fast, slow)
        for r, x in zip(i.results, texts):
            self.define(r, self.put(f"icmp ne {t} {x}, zeroinitializer") if elem is I1 else x)
        return True

    def masked(self, elem: Scalar, count: int) -> bool:
        """Whether the machine has masked accesses for a row.  All the same it is asked first whether all lanes take part: from far memory masked loads
        take twice as long (Zen 5), and masked stores of AVX2 are slow always."""
        return count == 1 and (self.wide_masks or elem.bytes >= 4)

    def load_pieces(self, cut: Pieces, starts: list[tuple[str, int]], elem: Scalar, m: str, count: int, mask: str, old: list[str],
                    window: bool, full: bool) -> list[str]:  # fmt: skip
        group, size = cut.group, elem.bytes
        made: dict[tuple[str, tuple[str, int]], list[str]] = {}
        parts: list[list[str]] = [[] for _ in range(count)]
        for kind, start in zip(cut.kinds, starts):
            if (kind, start) not in made:
                inside = [j for j, ab in enumerate(zip(cut.kinds, starts)) if ab == (kind, start)]
                if kind == "same":
                    texts, at = [], self.readable(start, size * count, window, self.pieces_of(mask, group, inside), group)
                    for k in range(count):
                        q = self.moved_on(at, k * size)
                        x = self.put(f"load {m}, ptr {q}, align {size}")
                        x = self.put(f"insertelement <{group} x {m}> poison, {m} {x}, i64 0")
                        texts.append(self.put(f"shufflevector <{group} x {m}> {x}, <{group} x {m}> poison, <{group} x i32> zeroinitializer"))
                elif full:
                    p = self.moved_on(*start)
                    whole = f"<{group * count} x {m}>"
                    x = self.put(f"load {whole}, ptr {p}, align {size}")
                    texts = [x] if count == 1 else [
                        self.put(f"shufflevector {whole} {x}, {whole} poison, <{group} x i32> <{', '.join(f'i32 {lane * count + k}' for lane in range(group))}>")
                        for k in range(count)]  # fmt: skip
                else:
                    t, p = f"<{group} x {m}>", self.moved_on(*start)
                    suffix = f"v{group}{'i8' if elem is I1 else SUFFIX[elem.name]}"
                    self.declared.add(f"declare {t} @llvm.masked.load.{suffix}.p0(ptr, <{group} x i1>, {t})")
                    part = self.pieces_of(mask, group, inside)
                    texts = [self.put(f"call {t} @llvm.masked.load.{suffix}.p0(ptr align {size} {p}, <{group} x i1> {part}, {t} zeroinitializer)")]
                made[kind, start] = texts
            for k, x in enumerate(made[kind, start]):
                parts[k].append(x)
        out = [self.joined(part, group, m) for part in parts]
        t = f"<{self.w} x {m}>"
        return [self.pick(mask, t, x, y) for x, y in zip(out, old)] if old else out

    # ---- stores

    def shaped_store(self, i: Instr, base: Value, index: Value | None, elem: Scalar, mask: str, data: tuple[Value, ...]) -> bool:
        """Whether the store was written.  Lanes that write one element go one after the other."""
        s = self.shape_of(i, base, index)
        if s is None or elem.bits > 64:
            return False
        m = "i8" if elem is I1 else NAMES[elem.name]
        count, size = len(data), elem.bytes
        cut = pieces(s, size * count)
        if cut is None or "same" in cut.kinds or len(set(cut.starts)) < len(cut.starts) or count not in (1, 2, 4):
            return False
        t, group = f"<{self.w} x {m}>", cut.group
        xs = [self.vec(v) for v in data]
        if elem is I1:
            xs = [self.put(f"zext {self.bools_type} {x} to {t}") for x in xs]
        conds = self.rests_on(i, base)
        masked, window = self.masked(elem, count), i.attr("space", "global") == "shared"
        if not masked:
            conds.append(self.all_lanes(mask))

        def fast() -> list[str]:
            starts = self.starts(i, base, cut)
            if not masked or window and self.wide_masks:
                return write(starts, not masked)
            return self.either([self.all_lanes(mask)], [], lambda: write(starts, True), lambda: write(starts, False))

        def write(starts: list[tuple[str, int]], full: bool) -> list[str]:
            whole = xs[0]
            if count > 1:  # side by side, then the elements of a lane together
                order = ", ".join(f"i32 {self.w * k + lane}" for lane in range(self.w) for k in range(count))
                side = self.joined(xs, self.w, m)
                whole = self.put(f"shufflevector <{self.w * count} x {m}> {side}, <{self.w * count} x {m}> poison, <{self.w * count} x i32> <{order}>")
            wide = self.w * count
            for n, start in enumerate(starts):
                p = self.moved_on(*start)
                part, lanes = whole, group * count
                if lanes < wide:
                    order = ", ".join(f"i32 {k}" for k in range(n * lanes, (n + 1) * lanes))
                    part = self.put(f"shufflevector <{wide} x {m}> {whole}, <{wide} x {m}> poison, <{lanes} x i32> <{order}>")
                if full:
                    self.lines.append(f"  store <{lanes} x {m}> {part}, ptr {p}, align {size}")
                    continue
                suffix = f"v{lanes}{'i8' if elem is I1 else SUFFIX[elem.name]}"
                self.declared.add(f"declare void @llvm.masked.store.{suffix}.p0(<{lanes} x {m}>, ptr, <{lanes} x i1>)")
                inside = self.piece_of(mask, group, n)
                self.lines.append(f"  call void @llvm.masked.store.{suffix}.p0(<{lanes} x {m}> {part}, ptr align {size} {p}, <{lanes} x i1> {inside})")
            return []

        def slow() -> list[str]:
            a = self.addresses(i, base, index)
            for k, x in enumerate(xs):
                self.by_lane_store(m, size, a if k == 0 else self.put(f"add <{self.w} x i64> {a}, splat (i64 {k * size})"), mask, x)
            return []

        self.either(conds, [], fast, slow)
        return True


