"""Products of a warp (`mma`) as shuffles and arithmetic, for targets whose warps have no matrix unit that we drive.

Element (i, j) of D is a chain over k of A(i, k)·B(k, j).  Where they lie is known from the fragments: the source lane is linear in the bits of the
reading lane (as all layouts are), its register the same for all lanes.  The order and roundings are those of the op's meaning: exact
products, f32 accumulates in ascending k with one rounding each, f64 by fma, 16-bit results round once at the end.

Of a sparse A each chunk is spread out where it is read: a column takes the stored element whose index names it, or zero.  Products with scales are
exact though powers of two reach beyond f32: the product takes what the scale's exponent has beyond the range.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import fragments
from ..errors import UnsupportedError
from ..instr import Instr, Value
from ..kernel import Kernel, KernelBuilder
from ..op import op
from ..ops.matrix import count, layouts
from ..types import BF16, F8E4M3, F8E5M2, F16, F32, I8, I16, I32, I64

FULL = 31  # clamp of a shuffle without segments
NARROW = {"e2m1": (1, 1, 2), "e2m1x8": (1, 1, 0), "e2m3": (3, 1, 0), "e3m2": (2, 3, 0)}  # bits of the mantissa, bias, first bit in its container


def expand_products(k: Kernel, which: Callable[[Instr], bool] = lambda i: True) -> Kernel:
    """The kernel without `mma` (of those that `which` takes); the same object if it had none."""
    if not any(i.op.name == "mma" and which(i) for i in k.instrs()):
        return k
    from .decompose import _renamed, definitions_first

    b = KernelBuilder(k.name, warps=k.warps, lanes=k.lanes, first_id=k.next_id())
    b.params, b.shared, b.local, b.functions = list(k.params), k.shared, k.local, k.functions
    for block in k.blocks[1:]:
        b.adopt(block)
    new: dict[int, Value] = {}
    for n in definitions_first(k):
        b.start(n)
        for i in k.blocks[n].instrs:
            b.loc = i.loc
            if i.op.name != "mma" or not which(i):
                b.append(_renamed(i, new))
                continue
            results = _Product(b, i, [new.get(a.id, a) for a in i.args]).run()
            new.update({r.id: v for r, v in zip(i.results, results)})
    return b.finish(k.meta)


class _Product:
    """One instruction."""

    def __init__(self, b: KernelBuilder, i: Instr, args: Sequence[Value]) -> None:
        self.b, self.i, self.mask = b, i, args[0]
        self.attrs = dict(i.attrs)
        self.lay = layouts(self.attrs)
        self.m, self.n, self.k = fragments.shape_of(self.attrs["shape"])
        if self.attrs.get("rnd") is not None:
            raise UnsupportedError(f"mma rounded {self.attrs['rnd']}, as shuffles", place=i.loc)
        at, self.words = 1, dict[str, list[Value]]()
        for x in "abc":
            size = count(self.attrs[x], self.lay[x][0].shape[1])
            self.words[x] = list(args[at : at + size])
            at += size
        rest = list(args[at:])
        self.meta = [rest.pop(0)] if self.attrs.get("sparse") is not None else []
        self.factors, self.made = rest, dict[Any, Any]()
        self.places: dict[str, dict[tuple[int, int], tuple[int, int]]] = {}
        for x in "ab":
            rows, cols = self.lay[x]
            found = self.places[x] = {}
            for e in range(rows.shape[1]):
                for lane in range(32):
                    found.setdefault((int(rows[lane, e]), int(cols[lane, e])), (lane, e))
        self.lane = b.sreg(name="laneid")
        self.linear: dict[tuple[int, ...], Value] = {}
        self.read: dict[Any, Value] = {}

    def per(self, x: str) -> int:
        """Elements of a register."""
        return max(1, 32 // fragments.BITS[self.attrs[x]]) if self.attrs[x] != "f64" else 1

    def number(self, v: int) -> Value:
        return self.b.const(I32, (v & 0xFFFFFFFF) - ((v & 0x80000000) << 1))

    def source(self, lanes: Sequence[int]) -> Value:
        """The lane to read from, as a function of this one."""
        base, masks = lanes[0], tuple(lanes[1 << j] ^ lanes[0] for j in range(5))
        for lane in range(32):
            want = base
            for j in range(5):
                want ^= masks[j] if lane >> j & 1 else 0
            if want != lanes[lane]:
                raise UnsupportedError(f"mma {self.attrs['shape']} with this layout, as shuffles", place=self.i.loc)
        b = self.b
        if masks not in self.linear:
            v, same = self.number(0), 0
            for j, m in enumerate(masks):
                if m == 1 << j:
                    same |= m
            if same:
                v = getattr(b, "and")(self.lane, self.number(same))
            for j, m in enumerate(masks):
                if m and m != 1 << j:
                    bit = getattr(b, "and")(b.shr_u(self.lane, self.number(j)), self.number(1))
                    v = b.xor(v, getattr(b, "and")(b.ineg(bit), self.number(m)))
            self.linear[masks] = v
        return b.xor(self.linear[masks], self.number(base)) if base else self.linear[masks]

    def fetch(self, x: str, wanted: Sequence[tuple[int, int]]) -> tuple[Value, int]:
        """The register that holds an element of A or B for each lane, read from where it is, and the element's place in it."""
        spots = [self.places[x][w] for w in wanted]
        elements = {e for _, e in spots}
        if len(elements) != 1:
            raise UnsupportedError(f"mma {self.attrs['shape']} with this layout, as shuffles", place=self.i.loc)
        e, per, lanes = elements.pop(), self.per(x), tuple(lane for lane, _ in spots)
        word = e // per
        key = (x, word, lanes)
        if key not in self.read:
            v = self.words[x][word]
            if all(n == lane for lane, n in enumerate(lanes)):
                self.read[key] = v
            else:
                self.read[key], _ = self.b.emit(op("shfl_sync"), (self.mask, v, self.source(lanes), self.number(FULL)), (("mode", "idx"),))
        return self.read[key], e % per

    def element(self, x: str, wanted: Sequence[tuple[int, int]]) -> Value:
        word, p = self.fetch(x, wanted)
        key = (x, word.id, p)
        if key not in self.read:
            self.read[key] = self.unpacked(word, self.attrs[x], p)
        return self.read[key]

    def four(self, x: str, wanted: Sequence[Sequence[tuple[int, int]]]) -> Value:
        """The register whose bytes are these four."""
        found = [self.fetch(x, w) for w in wanted]
        if any((word.id, p) != (found[0][0].id, n) for n, (word, p) in enumerate(found)):
            raise UnsupportedError(f"mma {self.attrs['shape']} with this layout, as shuffles", place=self.i.loc)
        return found[0][0]

    def unpacked(self, word: Value, kind: str, p: int) -> Value:
        """Element p of a register as f32, f64 or i32."""
        b: Any = self.b
        if kind in ("f32", "f64", "s32"):
            return word
        if kind == "tf32":
            return b.bitcast(getattr(b, "and")(word, self.number(-8192)), to=F32)  # type: ignore[no-any-return]
        bits = fragments.BITS[kind]
        part = b.shr_u(word, self.number(bits * p)) if p else word
        if kind == "bf16":
            return b.bitcast(b.shl(part, self.number(16)), to=F32)  # type: ignore[no-any-return]
        if kind == "f16":
            return b.fcvt(b.bitcast(b.itrunc(part, to=I16), to=F16), to=F32)  # type: ignore[no-any-return]
        if kind in ("e4m3", "e5m2"):
            return b.fcvt(b.bitcast(b.itrunc(part, to=I8), to=F8E4M3 if kind == "e4m3" else F8E5M2), to=F32)  # type: ignore[no-any-return]
        if kind[0] in "su":
            up = b.shl(word, self.number(32 - bits * (p + 1)))
            return (b.shr_s if kind[0] == "s" else b.shr_u)(up, self.number(32 - bits))  # type: ignore[no-any-return]
        mant, bias, first = NARROW[kind]
        width = 6 if kind in ("e2m3", "e3m2") else 4  # as f32 with the small exponent: a power of two makes it what it is
        up = b.shl(word, self.number(32 - width - first - bits * p))
        mag = getattr(b, "and")(b.shr_u(up, self.number(9 - width + mant)), self.number((1 << width - 1) - 1 << 23 - mant))
        v = getattr(b, "or")(mag, getattr(b, "and")(up, self.number(-(1 << 31))))
        return b.fmul(b.bitcast(v, to=F32), b.const(F32, 2.0 ** (127 - bias)))  # type: ignore[no-any-return]

    def dense(self, row: Sequence[int], kk: int) -> Value:
        """Column kk of a sparse A, of each lane's row."""
        b: Any = self.b
        t, key = self.attrs["a"], ("dense", tuple(row), kk)
        if key in self.made:
            return self.made[key]  # type: ignore[no-any-return]
        bits = fragments.BITS[t]
        chunk, pair = fragments.CHUNK[bits], 2 if bits == 4 else 1
        n, column = divmod(kk, chunk)
        spots = {(s.row, s.column): s for s in fragments.metadata(self.k, t, self.attrs["sparse"])}
        mine = [spots[r, n * chunk] for r in row]
        [shift] = {s.shift for s in mine}
        nibble = self.of_lane(self.meta[0], [s.lane for s in mine], lambda w: getattr(b, "and")(b.shr_u(w, self.number(shift)), self.number(15)), shift)
        out = self.number(0) if t[0] in "su" else b.const(F32, 0.0)
        for index in range(1 if bits == 32 else 2):
            v = self.element("a", [(r, n * chunk // 2 + index * pair + column % pair) for r in row])
            if bits == 32:
                here = b.icmp(nibble, self.number(0b1110), pred="eq" if column else "ne")
            else:
                which = b.shr_u(nibble, self.number(2)) if index else getattr(b, "and")(nibble, self.number(3))
                here = b.icmp(which, self.number(column // pair), pred="eq")
            out = b.select(here, v, out)
        self.made[key] = out
        return out

    def of_lane(self, word: Value, lanes: Sequence[int], part: Callable[[Value], Value], tag: int) -> Value:
        """Part of a word of another lane."""
        key = (word.id, tuple(lanes))
        if key not in self.made:
            self.made[key], _ = self.b.emit(op("shfl_sync"), (self.mask, word, self.source(lanes), self.number(FULL)), (("mode", "idx"),))
        if (key, tag) not in self.made:
            self.made[key, tag] = part(self.made[key])
        return self.made[key, tag]  # type: ignore[no-any-return]

    def scales(self, row: Sequence[int], col: Sequence[int], n: int) -> tuple[Value | None, Value]:
        """What a product in chunk n is multiplied by, in two exact steps: the first brings it within f32 (None where the second always does)."""
        b: Any = self.b

        def byte(w: Value) -> Value:
            return getattr(b, "and")(b.shr_u(w, self.number(8 * n)), self.number(255))  # type: ignore[no-any-return]

        x = self.of_lane(self.factors[0], [4 * (r % 8) + r // 8 for r in row], byte, n)
        y = self.of_lane(self.factors[1], [4 * c for c in col], byte, n)
        if self.attrs["scale"] == "ue4m3":
            x, y = (b.fcvt(b.bitcast(b.itrunc(getattr(b, "and")(v, self.number(127)), to=I8), to=F8E4M3), to=F32) for v in (x, y))
            return None, b.fmul(x, y)
        e = b.isub(b.iadd(x, y), self.number(254))
        e = b.imax_s(b.imin_s(e, self.number(192)), self.number(-252))  # beyond, a product of at least 2^-32 is infinite, one of at most 2^32 nothing
        inner = b.imax_s(b.imin_s(e, self.number(127)), self.number(-126))
        first, second = (b.bitcast(b.shl(b.iadd(v, self.number(127)), self.number(23)), to=F32) for v in (b.isub(e, inner), inner))
        nan = getattr(b, "or")(b.icmp(x, self.number(255), pred="eq"), b.icmp(y, self.number(255), pred="eq"))
        return first, b.select(nan, b.const(F32, float("nan")), second)

    def run(self) -> list[Value]:
        b: Any = self.b
        rows, cols = self.lay["d"]
        quads = self.attrs["shape"] == "m8n8k4" and self.attrs["a"] == "f16"
        out = []
        for r in range(rows.shape[1]):
            row, col = [int(x) for x in rows[:, r]], [int(x) for x in cols[:, r]]
            wide = [c + 8 * (i // 8) for i, c in zip(row, col)] if quads else col
            acc = self.unpacked(self.words["c"][r // self.per("c")], self.attrs["c"], r % self.per("c"))
            if self.attrs.get("bop"):
                for kk in range(0, self.k, 32):
                    (x, _), (y, _) = self.fetch("a", [(i, kk) for i in row]), self.fetch("b", [(kk, j) for j in wide])
                    acc = b.iadd(acc, b.popc(getattr(b, self.attrs["bop"])(x, y)))
                out.append(acc)
                continue
            sat = bool(self.attrs.get("sat")) and self.attrs["c"] == "s32"
            acc = b.sext(acc, to=I64) if sat else acc
            vec = int(self.attrs.get("vec") or 0)
            by_words = self.attrs["a"] in ("s8", "u8") and not self.meta
            if by_words:
                total = self.number(0) if sat else acc  # the products' sum alone fits in 32 bits
                for kk in range(0, self.k, 4):
                    x = self.four("a", [[(i, kk + n) for i in row] for n in range(4)])
                    y = self.four("b", [[(kk + n, j) for j in wide] for n in range(4)])
                    total = b.dot4(x, y, total, signs=self.attrs["a"][0] + self.attrs["b"][0])
                acc = b.iadd(acc, b.sext(total, to=I64)) if sat else total
            for kk in () if by_words else range(self.k):
                x = self.dense(row, kk) if self.meta else self.element("a", [(i, kk) for i in row])
                y = self.element("b", [(kk, j) for j in wide])
                if vec:
                    if kk % (self.k // vec) == 0:
                        first, second = self.scales(row, wide, kk * vec // self.k)
                    x = b.fmul(x, y)
                    x, y = x if first is None else b.fmul(x, first), second
                if self.attrs["c"] == "s32":
                    p = b.imul(x, y)
                    acc = b.iadd(acc, b.sext(p, to=I64) if sat else p)
                else:
                    acc = b.ffma(x, y, acc)
            if sat:
                acc = b.itrunc(b.imax_s(b.imin_s(acc, b.const(I64, 2**31 - 1)), b.const(I64, -(2**31))), to=I32)
            out.append(acc)
        return self.packed(out, self.attrs["d"])

    def packed(self, values: list[Value], kind: str) -> list[Value]:
        b: Any = self.b
        if kind in ("f32", "f64", "s32"):
            return values
        halves = []
        for v in values:
            bits = b.zext(b.bitcast(b.fcvt(v, to=F16 if kind == "f16" else BF16), to=I16), to=I32)
            halves.append(b.select(b.fcmp(v, v, pred="uno"), self.number(0x7FFF), bits))
        return [getattr(b, "or")(x, b.shl(y, self.number(16))) for x, y in zip(halves[::2], halves[1::2])]

