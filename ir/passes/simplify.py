"""Algebra on lanes: constants are folded, and what the rules below say is written shorter.

A rule reads `pattern = result`.  `x y z` stand for any value, `A B C` for constants, numbers for themselves in any integer type (−1 has all bits set); both
operand orders of a commutative op match.  A rule never makes more work than there was, and holds for every value of every integer type: each is
tested against the meanings of its ops (`tests/unit/ir/test_simplify.py`).  Floats are left alone but for signs: x + 0 and x · 1 change −0 and quiet a NaN.

Addresses take part: a constant that is added to a base, or to an index as wide as the address, becomes part of the displacement.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..instr import Block, Edge, Instr, Value
from ..interp.values import eval_lane
from ..kernel import Kernel
from ..op import Op, op
from ..types import I1, I128, Scalar

RULES = """
iadd x 0                  = x
iadd (iadd x A) B         = iadd x (iadd A B)
iadd (isub x A) B         = iadd x (isub B A)
iadd (ineg x) y           = isub y x
isub x 0                  = x
isub x x                  = 0
isub x A                  = iadd x (ineg A)
isub 0 x                  = ineg x
isub (iadd x y) x         = y
imul x 0                  = 0
imul x 1                  = x
imul x -1                 = ineg x
imul (imul x A) B         = imul x (imul A B)
ineg (ineg x)             = x
idiv_u x 1                = x
idiv_s x 1                = x
irem_u x 1                = 0
irem_s x 1                = 0
imin_s x x                = x
imax_s x x                = x
imin_u x x                = x
imax_u x x                = x
imin_u x 0                = 0
imax_u x 0                = x
and x 0                   = 0
and x -1                  = x
and x x                   = x
and (and x A) B           = and x (and A B)
or  x 0                   = x
or  x -1                  = -1
or  x x                   = x
or  (or x A) B            = or x (or A B)
xor x 0                   = x
xor x -1                  = not x
xor x x                   = 0
xor (xor x A) B           = xor x (xor A B)
not (not x)               = x
shl x 0                   = x
shr_u x 0                 = x
shr_s x 0                 = x
shl 0 x                   = 0
shr_u 0 x                 = 0
fneg (fneg x)             = x
fabs (fabs x)             = fabs x
fabs (fneg x)             = fabs x
"""
ALWAYS = {"eq": True, "ne": False, "slt": False, "sle": True, "sgt": False, "sge": True, "ult": False, "ule": True, "ugt": False, "uge": True}  # x ∘ x
FOLDS = frozenset("""iadd isub imul imulhi_s imulhi_u idiv_s idiv_u irem_s irem_u ineg iabs imin_s imax_s imin_u imax_u and or xor not shl shr_s shr_u popc clz ctz
brev icmp fcmp select sext zext itrunc fneg fabs""".split())
Pattern = Any  # a variable ('x'), a constant's ('A'), a number, or (op, patterns)


class Rule(NamedTuple):
    text: str
    op: Op
    args: tuple[Pattern, ...]
    result: Pattern


@lru_cache(maxsize=1)
def rules() -> dict[Op, tuple[Rule, ...]]:
    """By the op that a rule is about, in the order above; commutative ops both ways round."""
    found: dict[Op, list[Rule]] = {}
    for line in RULES.strip().splitlines():
        left, right = (_parse(side) for side in line.split(" = "))
        for args in _orders(op(left[0]), left[1:]):
            found.setdefault(op(left[0]), []).append(Rule(" ".join(line.split()), op(left[0]), args, right))
    return {o: tuple(rs) for o, rs in found.items()}


def _parse(text: str) -> Pattern:
    words = re.findall(r"[()]|[^\s()]+", text)
    at = 0

    def one() -> Pattern:
        nonlocal at
        word = words[at]
        at += 1
        if word == "(":
            inner = many()
            at += 1
            return inner
        return int(word) if word.lstrip("-").isdigit() else word

    def many() -> Pattern:
        parts = []
        while at < len(words) and words[at] != ")":
            parts.append(one())
        return tuple(parts) if len(parts) > 1 else parts[0]

    return many()


def _orders(o: Op, args: tuple[Pattern, ...]) -> Iterator[tuple[Pattern, ...]]:
    yield args
    if o.commutative and args[0] != args[1]:
        yield args[::-1]


def _number(elem: Scalar, value: int) -> Any:
    """A constant of the type as the constant op holds it."""
    return bool(value & 1) if elem is I1 else (value + (1 << (elem.bits - 1))) % (1 << elem.bits) - (1 << (elem.bits - 1))


class _Work:
    """One kernel."""

    def __init__(self, k: Kernel) -> None:
        self.k, self.changed = k, False
        self.made: dict[int, Instr] = {}
        self.const: dict[int, Any] = {}
        self.same: dict[int, Value] = {}
        self.out: list[Instr] = []
        self.next = k.next_id()
        self.constants: dict[Any, Value] = {}
        self.first: list[Instr] = []  # constants for the head of the entry block
        for i in k.instrs():
            if i.op.name == "constant":
                self.const[i.result.id] = i.attr("value")

    def look(self, v: Value) -> Value:
        return self.same.get(v.id, v)

    def constant(self, elem: Scalar, value: Any) -> Value:
        key = elem, float(value).hex() if elem.is_float else int(value)
        found = self.constants.get(key)
        if found is None:
            found = self.constants[key] = Value(self.next, elem)
            self.next += 1
            self.first.append(Instr(op("constant"), (), (("type", elem), ("value", value)), (found,)))
            self.const[found.id] = value
        return found

    # ---- one instruction

    def instr(self, i: Instr) -> None:
        if self.same:
            i = self.renamed(i)
        if i.op.pure and len(i.results) == 1 and i.guard is None and i.args:
            found = self.better(i)
            if found is not None:
                self.same[i.result.id] = found
                self.changed = True
                return
            self.made[i.result.id] = i
        elif i.op.name in ("ld", "st", "red", "atom"):
            i = self.displaced(i)
        self.out.append(i)

    def renamed(self, i: Instr) -> Instr:
        look = self.look
        if all(look(v) is v for v in i.operands()):
            return i
        guard = None if i.guard is None else look(i.guard)
        edges = tuple(Edge(e.target, tuple(look(a) for a in e.args)) for e in i.edges)
        return Instr(i.op, tuple(look(a) for a in i.args), i.attrs, i.results, guard, tuple(look(p) for p in i.passthrough), edges, i.regions, i.loc)

    def better(self, i: Instr) -> Value | None:
        """A value that stands for the result, if there is one for less."""
        folded = self.folded(i.op, i.args, i.attrs, i.result.type.elem)
        if folded is not None:
            return folded
        special = SPECIAL.get(i.op.name)
        if special is not None:
            return special(self, i)
        if not i.attrs:
            for rule in rules().get(i.op, ()):
                bound: dict[str, Value] = {}
                if all(self.match(p, a, bound) for p, a in zip(rule.args, i.args)):
                    return self.build(rule.result, i, bound)
        return None

    def folded(self, o: Op, args: tuple[Value, ...], attrs: Any, elem: Scalar) -> Value | None:
        if o.name not in FOLDS or elem is I128:
            return None
        values = []
        for a in args:
            c = self.const.get(a.id)
            if c is None or a.type.elem is I128:
                return None
            values.append(np.asarray(c).astype(a.type.elem.np).reshape(1))
        with np.errstate(all="ignore"):
            raw = np.asarray(eval_lane(o, elem, values, attrs)).reshape(-1)[0]
        return self.constant(elem, float(raw) if elem.is_float else bool(raw) if elem is I1 else int(raw))

    def match(self, p: Pattern, v: Value, bound: dict[str, Value]) -> bool:
        if isinstance(p, str):
            if p.isupper() and v.id not in self.const:
                return False
            return bound.setdefault(p, v) is v or p.isupper() and self.const[bound[p].id] == self.const[v.id]
        if isinstance(p, int):
            c = self.const.get(v.id)
            return c is not None and not v.type.elem.is_float and c == _number(v.type.elem, p)
        i = self.made.get(v.id)
        return i is not None and i.op.name == p[0] and not i.attrs and any(
            self._all(args, i.args, bound) for args in _orders(i.op, p[1:]))  # fmt: skip

    def _all(self, patterns: tuple[Pattern, ...], args: tuple[Value, ...], bound: dict[str, Value]) -> bool:
        trial = dict(bound)
        if all(self.match(p, a, trial) for p, a in zip(patterns, args)):
            bound.update(trial)
            return True
        return False

    def build(self, p: Pattern, like: Instr, bound: dict[str, Value]) -> Value:
        if isinstance(p, str):
            return bound[p]
        elem = like.result.type.elem
        if isinstance(p, int):
            return self.constant(elem, _number(elem, p))
        return self.make(op(p[0]), tuple(self.build(q, like, bound) for q in p[1:]), (), like)

    def make(self, o: Op, args: tuple[Value, ...], attrs: Any, like: Instr) -> Value:
        """An op in the place of `like`, itself simplified."""
        [ty] = o.infer(tuple(a.type for a in args), attrs)
        i = Instr(o, args, attrs, (Value(self.next, ty, like.result.name),), loc=like.loc)
        self.next += 1
        found = self.better(i)
        if found is not None:
            return found
        self.made[i.result.id] = i
        self.out.append(i)
        return i.result

    # ---- addresses

    def displaced(self, i: Instr) -> Instr:
        values = len(i.args) - {"ld": 0, "st": i.attr("count", 1), "red": 1, "atom": 1}[i.op.name] - (i.attr("fn") == "cas")
        base, index = i.args[0], i.args[1] if values == 2 else None
        disp, scale = i.attr("disp", 0), i.attr("scale", 1)
        rest, more = self.split(base)
        if more:
            base, disp = rest, disp + more
        if index is not None and index.type is base.type:
            rest, more = self.split(index)
            if more:
                index, disp = rest, disp + more * scale
        if disp == i.attr("disp", 0) or not -(1 << 31) <= disp < 1 << 31:
            return i
        self.changed = True
        attrs = tuple(sorted([(k, v) for k, v in i.attrs if k != "disp"] + [("disp", disp)] * bool(disp)))
        return i.replace(args=(base, *([index] if index is not None else []), *i.args[values:]), attrs=attrs)

    def split(self, v: Value) -> tuple[Value, int]:
        """v as another value plus a constant."""
        i = self.made.get(v.id)
        if i is None or i.op.name != "iadd":
            return v, 0
        for a, c in (i.args, i.args[::-1]):
            if c.id in self.const and a.id not in self.const:
                return a, int(self.const[c.id])
        return v, 0


def _icmp(w: _Work, i: Instr) -> Value | None:
    return w.constant(I1, ALWAYS[i.attr("pred")]) if i.args[0] is i.args[1] else None


def _select(w: _Work, i: Instr) -> Value | None:
    p, a, b = i.args
    if p.id in w.const:
        return a if w.const[p.id] else b
    return a if a is b else None


def _widen(w: _Work, i: Instr) -> Value | None:
    """sext (sext x) = sext x, zext (zext x) = zext x, sext (zext x) = zext x: the inner one really widens."""
    inner = w.made.get(i.args[0].id)
    if inner is None or inner.op.name not in ("sext", "zext") or i.op.name == "zext" and inner.op.name == "sext":
        return None
    return w.make(inner.op, inner.args, i.attrs, i)


def _narrow(w: _Work, i: Instr) -> Value | None:
    """itrunc (sext x) = x, or a narrower or wider conversion of x; itrunc (itrunc x) = itrunc x."""
    inner = w.made.get(i.args[0].id)
    if inner is None or inner.op.name not in ("sext", "zext", "itrunc"):
        return None
    x, want = inner.args[0], i.result.type.elem
    if x.type.elem is want:
        return x
    return w.make(op("itrunc") if x.type.elem.bits > want.bits else inner.op, (x,), i.attrs, i)


SPECIAL: dict[str, Callable[[_Work, Instr], Value | None]] = {"icmp": _icmp, "select": _select, "sext": _widen, "zext": _widen, "itrunc": _narrow}


def simplify(k: Kernel) -> Kernel:
    """The kernel after the rules; the same object if none applied.  What nothing reads any more stays, for `cleanup`."""
    from .cleanup import reverse_post_order

    w = _Work(k)
    blocks: dict[int, Block] = {}
    for n in reverse_post_order(k):
        b = k.blocks[n]
        w.out = []
        for i in b.instrs:
            w.instr(i)
        blocks[n] = Block(b.name, b.params, tuple(w.out))
    if not w.changed:
        return k
    first = blocks[0]
    blocks[0] = Block(first.name, first.params, (*w.first, *first.instrs))
    return k.with_blocks(tuple(blocks.get(n, b) for n, b in enumerate(k.blocks)))
