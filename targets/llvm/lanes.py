"""How a value differs between the lanes that run together, where that is known when the kernel is compiled.

A `Shape` says: within each group of lanes the value is the first lane's plus a constant of the lane's own.  So an address needs a scalar per
group instead of a vector, and an access whose constants follow one another is a vector load without any test.  Shapes start at %tid and
%laneid; what %tid is depends on the block, so a kernel is compiled for a *form* of blocks (`form_of`): rows of at least a warp, rows of 16, rows of
8, or any.

Arithmetic of n bits wraps alike for scalars and vectors.  Only widening does not: `sext(x)` follows `x` as long as no lane of the warp wraps.
Where that is not proven, the shape of the wide value has `x` as an *anchor*: the shape holds if the scalar of `x` is not within the lanes' reach of
the wrap, which an access asks with one comparison; and where it does not hold, the exact vector is found from the anchors.
"""
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.types import I32, I64

W = 32  # lanes of a warp
FORMS = ("rows of 32", "rows of 16", "rows of 8", "any")
AXES = ("x", "y", "z")
FAR = 1 << 40


def form_of(grid: tuple[int, int, int], block: tuple[int, int, int]) -> str:
    """The form of a launch's blocks."""
    x, y, z = block
    if any(g * b >= 1 << 31 for g, b in zip(grid, block)):  # ctaid · ntid + tid is taken to fit 31 bits
        return "any"
    if x % W == 0 or y == z == 1:
        return "rows of 32"
    for n in (16, 8):
        if x == n and (y % (W // n) == 0 or z == 1):
            return f"rows of {n}"
    return "any"


class Shape(NamedTuple):
    """Lane l holds the scalar of its group plus offs[l]; the scalar is a multiple of 2^zeros.

    anchors  ((value, 's' or 'z', factor), …): widened values of 32 bits on whose not wrapping the shape rests
    """

    group: int
    offs: tuple[int, ...]
    anchors: tuple[tuple[Value, str, int], ...] = ()
    zeros: int = 0

    @property
    def flat(self) -> bool:
        """The same within each group."""
        return not any(self.offs) and not self.anchors


def trailing(n: int) -> int:
    return (n & -n).bit_length() - 1 if n else 64


def regroup(s: Shape, group: int) -> Shape:
    """The same in smaller groups."""
    if group == s.group:
        return s
    firsts = [s.offs[n] for n in range(0, len(s.offs), group)]
    return Shape(group, tuple(o - firsts[n // group] for n, o in enumerate(s.offs)), s.anchors, min([s.zeros, *map(trailing, firsts)]))


def splits(s: Shape, group: int) -> list[tuple[int, int]]:
    """(group of `s`, constant beyond its scalar) for each smaller group."""
    return [(n // s.group, s.offs[n]) for n in range(0, len(s.offs), group)]


def uniform(w: int, zeros: int = 0) -> Shape:
    return Shape(w, (0,) * w, (), zeros)


def _near(s: Shape) -> Shape | None:
    return s if max(map(abs, s.offs)) < 1 << 30 and len(s.anchors) <= 2 else None


def added(a: Shape, b: Shape, sign: int = 1) -> Shape | None:
    g = min(a.group, b.group)
    if any(s.anchors and s.group > g for s in (a, b)):  # the scalars of smaller groups would rest on the anchors
        return None
    a, b = regroup(a, g), regroup(b, g)
    factors: dict[tuple[int, str], tuple[Value, int]] = {}
    for s, m in ((a, 1), (b, sign)):
        for v, kind, factor in s.anchors:
            factors[v.id, kind] = (v, factors.get((v.id, kind), (v, 0))[1] + m * factor)
    anchors = tuple((v, kind, n) for (_, kind), (v, n) in sorted(factors.items()) if n)
    return _near(Shape(g, tuple(x + sign * y for x, y in zip(a.offs, b.offs)), anchors, min(a.zeros, b.zeros)))


def times(s: Shape, c: int) -> Shape | None:
    if abs(c) >= FAR:
        return None
    anchors = tuple((v, kind, n * c) for v, kind, n in s.anchors) if c else ()
    return _near(Shape(s.group, tuple(o * c for o in s.offs), anchors, min(63, s.zeros + trailing(c))))


def flattened(s: Shape) -> Shape | None:
    """In groups within which it is the same, if there are such."""
    if s.anchors:
        return None
    return next((r for g in (32, 16, 8) if g <= s.group and (r := regroup(s, g)).flat), None)


def bitwise(name: str, s: Shape, c: int) -> Shape | None:
    """and, or, xor with a constant: the lanes' own constants stay below the scalar's bits."""
    if s.anchors or not all(0 <= o < 1 << s.zeros for o in s.offs):
        return None
    fn, low = BITWISE[name], c & ((1 << s.zeros) - 1)
    zeros = max(s.zeros, trailing(c)) if name == "and" else min(s.zeros, trailing(c))
    return Shape(s.group, tuple(fn(o, low) - fn(0, low) for o in s.offs), (), min(63, zeros))


def shifted(s: Shape, n: int, bits: int) -> Shape | None:
    """A shift to the right: the lanes' own constants stay below the scalar's bits, so nothing is carried."""
    if s.anchors or not 0 <= n < bits or not all(0 <= o < 1 << s.zeros for o in s.offs):
        return None
    return Shape(s.group, tuple(o >> n for o in s.offs), (), s.zeros - n) if n <= s.zeros else Shape(s.group, (0,) * len(s.offs))


def met(a: Shape, b: Shape) -> Shape | None:
    """What holds of a value that is one or the other."""
    if a.anchors != b.anchors:
        return None
    if a.anchors:
        return Shape(a.group, a.offs, a.anchors, min(a.zeros, b.zeros)) if (a.group, a.offs) == (b.group, b.offs) else None
    for g in (32, 16, 8):
        if g <= a.group and g <= b.group:
            x, y = regroup(a, g), regroup(b, g)
            if x.offs == y.offs:
                return Shape(g, x.offs, a.anchors, min(x.zeros, y.zeros))
    return None


BITWISE: dict[str, Callable[[int, int], int]] = {"and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b}
SCALAR = frozenset("iadd isub imul shl shr_u shr_s and or xor itrunc sext zext".split())  # ops that are computed on the scalars of groups
COPIES = frozenset(("to_generic", "from_generic"))


class Lanes:
    """Shapes of a kernel's integers, for blocks of one form."""

    def __init__(self, k: Kernel, form: str, w: int = W) -> None:
        self.k, self.form, self.w = k, form, w
        self.row = 0 if form == "any" else min(int(form.split()[-1]), w)  # lanes that run together and differ in %tid.x alone
        self.arriving: dict[int, Shape] = {}  # shapes of values that come from elsewhere
        self.const: dict[int, int] = {i.result.id: int(i.attr("value")) for i in k.instrs() if i.op.name == "constant" and not i.result.type.elem.is_float}
        for i in k.instrs():  # a constant of 32 bits is widened where it is used
            if i.op.name in ("sext", "zext", "itrunc") and i.args[0].id in self.const and i.args[0].type in (I32, I64):
                n, bits = int(self.const[i.args[0].id]), i.args[0].type.elem.bits if i.op.name != "itrunc" else i.result.type.elem.bits
                n &= (1 << bits) - 1
                self.const[i.result.id] = n - (1 << bits) if n >> (bits - 1) and i.op.name != "zext" else n
        self.defs = {r.id: i for i in k.instrs() for r in i.results}
        self.most = self._most()

    # ---- ranges

    def _most(self) -> dict[int, int]:
        """Upper limits (below 2^31) of values that are not negative."""
        out: dict[int, int] = {}
        top = (1 << 31) - 1
        for b in self.k.blocks:
            for i in b.instrs:
                if len(i.results) != 1 or i.result.type not in (I32, I64):
                    continue
                n = self._limit(i, out)
                if n is not None and 0 <= n <= top:
                    out[i.result.id] = n
        return out

    def _limit(self, i: Instr, out: dict[int, int]) -> int | None:
        name = i.op.name
        if name == "constant":
            return int(i.attr("value"))
        if name == "sreg":
            reg = str(i.attr("name"))
            return {"tid": 1023, "ntid": 1024, "laneid": 31, "warpid": 31}.get(reg.split(".")[0], (1 << 31) - 1 if reg.startswith(("ctaid", "nctaid")) else None)
        known = [out.get(a.id) for a in i.args]
        if name == "iadd" and self._thread(i):
            return (1 << 31) - 1
        if name == "and" and any(n is not None for n in known):
            return min(n for n in known if n is not None)
        if any(n is None for n in known) or not known:
            return None
        a, *rest = [int(n) for n in known if n is not None]
        if name in ("sext", "zext", "from_generic") and i.attr("space") in (None, "global"):
            return a
        if name in ("shr_u", "shr_s"):
            return a
        if name == "itrunc":
            return a
        if name == "shl" and i.args[1].id in self.const:
            return a << self.const[i.args[1].id] if self.const[i.args[1].id] < 31 else None
        if name in ("iadd", "imul", "or", "xor"):
            return a + rest[0] if name == "iadd" else a * rest[0] if name == "imul" else (1 << max(a, rest[0]).bit_length()) - 1
        return None

    def _thread(self, i: Instr) -> bool:
        """ctaid · ntid + tid of one axis: the launch was seen to keep it below 2^31."""
        if self.form == "any":
            return False
        for x, y in (i.args, i.args[::-1]):
            m, t = self.defs.get(x.id), self.defs.get(y.id)
            if m is not None and t is not None and m.op.name == "imul" and t.op.name == "sreg":
                names = {str(d.attr("name")) if (d := self.defs.get(a.id)) is not None and d.op.name == "sreg" else "" for a in m.args}
                axis = str(t.attr("name"))[-1]
                if str(t.attr("name")) == f"tid.{axis}" and names == {f"ctaid.{axis}", f"ntid.{axis}"}:
                    return True
        return False

    # ---- shapes

    def sreg(self, name: str) -> Shape | None:
        """%tid, %laneid: None where they are not known."""
        w = self.w
        if name == "laneid":
            return Shape(w, tuple(range(w)), (), 63)
        if name.startswith("lanemask") or name.startswith("tid.") and self.form == "any":
            return None
        if not name.startswith("tid."):
            return uniform(w)
        row = self.row
        if name == "tid.x":
            return Shape(w, tuple(n % row for n in range(w)), (), trailing(w))
        if name == "tid.y" and row < w:
            return Shape(w, tuple(n // row for n in range(w)), (), trailing(w // row))
        return uniform(w)

    def varies(self, name: str) -> bool:
        s = self.sreg(name)
        return s is None or not s.flat or s.group < self.w

    def of(self, i: Instr, shape: Callable[[Value], Shape | None]) -> Shape | None:
        """The shape of an instruction's result, from those of its operands."""
        name = i.op.name
        if len(i.results) != 1 or i.result.type not in (I32, I64):
            return None
        if name == "sreg":
            return self.sreg(str(i.attr("name")))
        if name in COPIES:
            return shape(i.args[0]) if i.attr("space") == "global" and i.args[0].type is I64 and i.result.type is I64 else None
        if name not in SCALAR or any(a.type not in (I32, I64) for a in i.args):
            return None
        bits = i.result.type.elem.bits
        a = shape(i.args[0])
        if a is None:
            return None
        if name in ("sext", "zext", "itrunc"):
            if name == "itrunc":
                return Shape(a.group, a.offs, (), a.zeros) if max(map(abs, a.offs)) < 1 << 30 else None
            if a.anchors:
                return None
            if not any(a.offs) or i.args[0].id in self.most:
                return a
            return _near(Shape(a.group, a.offs, ((i.args[0], name[0], 1),), a.zeros))
        b = shape(i.args[1])
        if b is None:
            return None
        if name in ("iadd", "isub"):
            return added(a, b, 1 if name == "iadd" else -1)
        ca, cb = (self.const.get(v.id) for v in i.args)
        if name == "imul" and (ca is not None or cb is not None):
            return times(a, cb) if cb is not None else times(b, ca or 0)
        if name == "shl" and cb is not None:
            return times(a, 1 << cb) if 0 <= cb < bits else None
        if name in BITWISE and (ca is not None or cb is not None):
            s = bitwise(name, a, cb) if cb is not None else bitwise(name, b, ca or 0)
            if s is not None:
                return s
        if name in ("shr_u", "shr_s") and cb is not None and (s := shifted(a, cb, bits)) is not None:
            return s
        if name in ("shl", "shr_u", "shr_s") and (cb is None or not 0 <= cb < bits):
            return None
        x, y = flattened(a), flattened(b)
        if x is None or y is None:
            return None
        zeros = min(63, x.zeros + y.zeros) if name == "imul" else 0
        return Shape(min(x.group, y.group), (0,) * self.w, (), zeros)

    def same_for_all(self, i: Instr, get: Callable[[Value], Shape | None]) -> bool:
        """A comparison of aligned rows with a limit that is aligned too: all lanes of a warp give one answer."""
        if i.op.name != "icmp" or i.args[0].type not in (I32, I64):
            return False
        pred = str(i.attr("pred")).lstrip("su")
        a, b = i.args
        for x, y, up in ((a, b, ("ge", "lt")), (b, a, ("le", "gt"))):
            s, c = get(x), self.const.get(y.id)
            if s is None or c is None or s.group != self.w or s.anchors or s.zeros > 31 or not all(0 <= o < 1 << s.zeros for o in s.offs):
                continue
            low, top = int(c) & ((1 << s.zeros) - 1), (1 << s.zeros) - 1
            if pred in up and low == 0 or pred in ("ge", "lt", "le", "gt") and pred not in up and low == top:
                return True
        return False

    def solve(self, order: Sequence[int], known: Callable[[Value], bool], free: Collection[int], never: Collection[int] = ()) -> dict[int, Shape]:
        """Shapes to a fixpoint.  `known`: whether a value is the same for all lanes; `free`: block parameters that may have a shape;
        `never`: values that have none."""
        shape: dict[int, Shape | None] = {}
        waiting = uniform(self.w, -1)  # not computed yet

        def get(v: Value) -> Shape | None:
            if v.id in self.const:
                return uniform(self.w, min(63, trailing(int(self.const[v.id]))))
            if v.id in self.arriving:
                return self.arriving[v.id]
            s = shape.get(v.id, waiting if v.id in self.defs or v.id in free else None)
            return s if s is not None else uniform(self.w) if known(v) else None

        def put(v: Value, s: Shape | None) -> bool:
            if v.id in shape and shape[v.id] == s:
                return False
            shape[v.id] = s
            return True

        turn, changed = 0, True
        while changed:
            turn, changed = turn + 1, False
            for n in order:
                for i in self.k.blocks[n].instrs:
                    if len(i.results) == 1:
                        asked: list[Shape | None] = []

                        def ask(v: Value, asked: list[Shape | None] = asked) -> Shape | None:
                            asked.append(get(v))
                            return asked[-1]

                        s = self.of(i, ask) if i.result.id not in never else None
                        if not any(x is waiting for x in asked):
                            changed |= put(i.result, s)
                    else:
                        for r in i.results:
                            changed |= put(r, None)
                    for e in i.edges:
                        for a, p in zip(e.args, self.k.blocks[e.target].params):
                            s = get(a)
                            if p.id not in free or p.type not in (I32, I64) or turn > 60:
                                changed |= put(p, None)
                            elif s is not waiting and shape.get(p.id, waiting) is not None:
                                have = shape.get(p.id, waiting)
                                changed |= put(p, s if have is waiting or s is None else met(have, s))  # type: ignore[arg-type]
        return {v: s for v, s in shape.items() if s is not None and s is not waiting}
