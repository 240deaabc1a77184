"""Matrix products of a warp (`mma`) for work-items: each lane reads the row and the column of each of its results from the lanes that hold them.

Which lane holds what is a table (`ir/fragments.py`); over the bits of the reader's own number it is a sum of constants in all of PTX's layouts, and
so it is computed.  A word is read once for all that it is needed for.  Numbers and order are those of `ir/ops/matrix.py`: products exact, one
rounding for each k, ascending; 16-bit results round once at the end.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import fragments
from ...ir.instr import Instr
from ...ir.ops.matrix import count, layouts
from ...ir.types import BF16, F8E4M3, F8E5M2, F16, F32, F64, Scalar

WORDS: dict[str, Scalar] = {"f64": F64, "f32": F32}  # of registers; the others are i32
SMALL = {"e4m3": F8E4M3, "e5m2": F8E5M2}
KNOWN = frozenset("f16 bf16 tf32 f32 f64 s32 s8 u8 s4 u4 b1 e4m3 e5m2".split())
Places = tuple[int, ...]  # of each lane


def spread(i: Instr) -> bool:
    """Whether a product is left to `ir/passes/matrices.py`: those of a sparse A, with scales, of floats of 6 and 4 bits."""
    attrs = dict(i.attrs)
    return attrs.get("sparse") is not None or attrs.get("scale") is not None or not {attrs[x] for x in "abcd"} <= KNOWN


class Product:
    """One instruction; `e` is the `Item`."""

    def __init__(self, e: Any, i: Instr) -> None:
        self.e, self.i, self.attrs = e, i, dict(i.attrs)
        if spread(i):
            raise e.d.lacks(f"mma of {self.attrs['a']} and {self.attrs['b']}, sparse or scaled", i)
        if self.attrs.get("rnd"):
            raise e.d.lacks(f"mma rounded {self.attrs['rnd']}", i)
        self.layouts = layouts(self.attrs)
        self.registers: dict[str, tuple[Any, ...]] = {}
        self.home: dict[str, dict[tuple[int, int], tuple[int, int]]] = {}
        at = 1
        for x in "abc":
            rows, cols = self.layouts[x]
            n = count(self.attrs[x], rows.shape[1])
            self.registers[x] = tuple(i.args[at : at + n])
            at += n
            places = self.home[x] = {}
            for lane in range(31, -1, -1):
                for k in range(rows.shape[1] - 1, -1, -1):
                    places[int(rows[lane, k]), int(cols[lane, k])] = lane, k
        self.lane = ""
        self.sums: dict[Places, str] = {}
        self.words: dict[tuple[str, int, Places], str] = {}
        self.numbers: dict[tuple[str, int, Places], str] = {}

    # ---- where a number is

    def per(self, x: str) -> int:
        """Elements in a register."""
        return max(1, int(self.layouts[x][0].shape[1]) // len(self.registers[x]))

    def where(self, x: str, rows: Any, cols: Any) -> list[tuple[int, Places, Places | None]]:
        """What each lane must read for its (row, column): (element, lane of each reader, the readers that want this one or None for all)."""
        found = [self.home[x][int(r), int(c)] for r, c in zip(rows, cols)]
        lanes = tuple(lane for lane, _ in found)
        elements = sorted({k for _, k in found})
        if len(elements) == 1:
            return [(elements[0], lanes, None)]
        return [(k, lanes, tuple(int(at == k) for _, at in found)) for k in elements]

    def computed(self, f: Places) -> str:
        """A number of each lane, from the lane's own: a constant and one more for each bit."""
        found = self.sums.get(f)
        if found is not None:
            return found
        e, base = self.e, f[0]
        weights = [f[1 << b] - base for b in range(5)]
        if any(f[n] != base + sum(w for b, w in enumerate(weights) if n >> b & 1) for n in range(32)):
            raise e.d.lacks(f"mma {self.attrs['shape']} of this layout", self.i)
        self.lane = self.lane or e.sreg("laneid")
        text = str(base)
        for shift in range(-4, 5):
            mask = sum(1 << b for b, w in enumerate(weights) if w and w == (1 << b + shift if b + shift >= 0 else 0))
            if mask:
                part = e.put(f"and i32 {self.lane}, {mask}")
                part = part if not shift else e.put(f"{'shl' if shift > 0 else 'lshr'} i32 {part}, {abs(shift)}")
                text = part if text == "0" else e.put(f"add i32 {text}, {part}")
        for b, w in enumerate(weights):
            if w < 0 or w & (w - 1):
                bit = e.put(f"and i32 {e.put(f'lshr i32 {self.lane}, {b}')}, 1")
                text = e.put(f"add i32 {text}, {e.put(f'mul i32 {bit}, {w}')}")
        self.sums[f] = text
        return text

    # ---- numbers

    def fetch(self, needs: list[tuple[str, int, Places]]) -> None:
        """Reads registers of other lanes, many at once."""
        e = self.e
        waiting = []
        for key in dict.fromkeys(needs):
            x, register, lanes = key
            if key in self.words:
                continue
            v = e.val(self.registers[x][register])
            if lanes == tuple(range(32)):
                self.words[key] = v.text
            else:
                waiting.append((key, (v.elem, v.text, self.computed(lanes))))
        for at in range(0, len(waiting), 32):
            part = waiting[at : at + 32]
            for (key, _), text in zip(part, e.read([w for _, w in part])):
                self.words[key] = text

    def number(self, x: str, element: int, lanes: Places) -> str:
        """An element as f32, f64 or i32."""
        key = (x, element, lanes)
        found = self.numbers.get(key)
        if found is None:
            register, part = divmod(element, self.per(x))
            found = self.numbers[key] = self.decoded(self.attrs[x], self.words[x, register, lanes], part)
        return found

    def decoded(self, t: str, word: str, part: int) -> str:
        e = self.e
        if t in ("f32", "f64", "s32"):
            return word
        if t == "tf32":
            return e.put(f"bitcast i32 {e.put(f'and i32 {word}, -8192')} to float")  # type: ignore[no-any-return]
        bits = fragments.BITS[t]
        if t == "bf16":
            high = e.put(f"and i32 {word}, -65536") if part else e.put(f"shl i32 {word}, 16")
            return e.put(f"bitcast i32 {high} to float")  # type: ignore[no-any-return]
        if t[0] in "su":
            up = e.put(f"shl i32 {word}, {32 - bits * (part + 1)}") if bits * (part + 1) < 32 else word
            return e.put(f"{'ashr' if t[0] == 's' else 'lshr'} i32 {up}, {32 - bits}")  # type: ignore[no-any-return]
        moved = e.put(f"lshr i32 {word}, {bits * part}") if part else word
        narrow = e.put(f"trunc i32 {moved} to i{bits}")
        if t == "f16":
            return e.to_f32(e.put(f"bitcast i16 {narrow} to half"), F16, False)  # type: ignore[no-any-return]
        return e.to_f32(narrow, SMALL[t], False)  # type: ignore[no-any-return]

    def element(self, x: str, wanted: list[tuple[int, Places, Places | None]]) -> str:
        """The number that each lane wants."""
        e = self.e
        k, lanes, _ = wanted[0]
        text = self.number(x, k, lanes)
        for k, lanes, readers in wanted[1:]:
            assert readers is not None
            mine = e.put(f"icmp ne i32 {self.computed(readers)}, 0")
            t = "double" if self.attrs[x] == "f64" else "i32" if self.attrs[x][0] in "su" else "float"
            text = e.put(f"select i1 {mine}, {t} {self.number(x, k, lanes)}, {t} {text}")
        return text

    # ---- the product

    def run(self) -> None:
        e, attrs = self.e, self.attrs
        _, _, depth = fragments.shape_of(attrs["shape"])
        rows, cols = self.layouts["d"]
        quads = attrs["shape"] == "m8n8k4" and attrs["a"] == "f16"
        step = 32 if attrs["a"] == "b1" else 1
        plans = []
        for j in range(rows.shape[1]):
            r, c = rows[:, j], cols[:, j]
            beside = c + 8 * (r // 8) if quads else c
            full = np.full(32, 0)
            pairs = [(self.where("a", r, full + k), self.where("b", full + k, beside)) for k in range(0, depth, step)]
            plans.append((self.where("c", r, c), pairs))
        needs = []
        for start, pairs in plans:
            for x, wanted in [("c", start), *((x, w) for a, b in pairs for x, w in (("a", a), ("b", b)))]:
                needs += [(x, k // self.per(x), lanes) for k, lanes, _ in wanted]
        self.fetch(needs)
        out = [self.total(start, pairs) for start, pairs in plans]
        t = attrs["d"]
        if t in WORDS or t == "s32":
            for v, text in zip(self.i.results, out):
                e.define(v, text)
            return
        for n, v in enumerate(self.i.results):
            low, high = (e.put(f"zext i16 {self.half(x, t)} to i32") for x in out[2 * n : 2 * n + 2])
            e.define(v, e.put(f"or i32 {low}, {e.put(f'shl i32 {high}, 16')}"))

    def total(self, start: Any, pairs: Any) -> str:
        e, attrs = self.e, self.attrs
        acc = self.element("c", start)
        if attrs["a"] == "b1":
            for a, b in pairs:
                both = e.put(f"{attrs.get('bop', 'xor')} i32 {self.words['a', a[0][0] // 32, a[0][1]]}, {self.words['b', b[0][0] // 32, b[0][1]]}")
                acc = e.put(f"add i32 {acc}, {e.put(e.call('llvm.ctpop.i32', 'i32', [('i32', both)]))}")
            return acc
        if attrs["c"] == "s32":
            total, done = self.by_words(pairs)
            for a, b in pairs[done:]:
                p = e.put(f"mul i32 {self.element('a', a)}, {self.element('b', b)}")
                total = p if total == "0" else e.put(f"add i32 {total}, {p}")
            return e.put(e.call("llvm.sadd.sat.i32", "i32", [("i32", acc), ("i32", total)]) if attrs.get("sat") else f"add i32 {acc}, {total}")  # type: ignore[no-any-return]
        s, t = ("f64", "double") if attrs["a"] == "f64" else ("f32", "float")
        for a, b in pairs:
            acc = e.put(e.call(f"llvm.fma.{s}", t, [(t, self.element("a", a)), (t, self.element("b", b)), (t, acc)]))
        return acc

    def by_words(self, pairs: Any) -> tuple[str, int]:
        """The sum of as many products as the device takes four at once, and their number."""
        e, attrs, total = self.e, self.attrs, "0"
        if attrs["a"][1:] != "8" or attrs["b"][1:] != "8":
            return total, 0
        for at in range(0, len(pairs), 4):
            words = []
            for x, four in (("a", [a for a, _ in pairs[at : at + 4]]), ("b", [b for _, b in pairs[at : at + 4]])):
                first, lanes, _ = four[0][0]
                if len(four) < 4 or first % 4 or any(len(w) > 1 or w[0][:2] != (first + n, lanes) for n, w in enumerate(four)):
                    return total, at
                words.append(self.words[x, first // 4, lanes])
            text = e.d.dot4(e, *words, total, attrs["a"][0] + attrs["b"][0])
            if text is None:
                return total, at
            total = text
        return total, len(pairs)

    def half(self, text: str, t: str) -> str:
        """A 16-bit result's bits; a NaN is 0x7fff."""
        e = self.e
        bits = e.from_f32(text, F16 if t == "f16" else BF16, False)
        if t == "f16":
            bits = e.put(f"bitcast half {bits} to i16")
        return e.put(f"select i1 {e.put(f'fcmp uno float {text}, {text}')}, i16 32767, i16 {bits}")  # type: ignore[no-any-return]


def multiply(e: Any, i: Instr) -> None:
    Product(e, i).run()
