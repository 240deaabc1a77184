"""What `fast_math` admits, kernel level, before mathematics becomes its definitions (whose own steps stay exact).

    a·b ± c           one rounding (fma), where the product has no other use
    a / c             a · (1/c) for a constant c whose reciprocal is a normal number
    a / y, b / y      both by one reciprocal, if y divides more than one value
    exp sin cos …     on NVIDIA the hardware's approximations of f32: ex2, lg2, sin, cos, tanh, rsqrt, sqrt, div (`approx`; PTX ISA §9.7.3 gives the
                      errors: about 2 ulp for ex2, div and sqrt, 2^-20.5 absolute for sin and cos in [−π, π], 2^-11 relative for tanh)

Products of floats may use matrix units then, which is a choice of the schedules (`schedules/matrix_units.py`).  Nothing assumes that values are
finite.  `reproducible` does not go with it.
"""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import DeviceFacts
from ..instr import Instr, Value
from ..kernel import Kernel
from ..op import LaneOps, op
from ..types import F32, F64

Rule = Callable[[LaneOps, Instr, Sequence[Value]], Value]
HARDWARE = frozenset("exp2 log2 sin cos tanh rsqrt".split())
LOG2E, LN2, LG2 = math.log2(math.e), math.log(2.0), math.log10(2.0)


class _Facts:
    """Definitions, uses and divisors of a kernel."""

    def __init__(self, k: Kernel, approximate: bool) -> None:
        self.approximate = approximate
        self.made: dict[int, Instr] = {}
        self.uses: Counter[int] = Counter()
        self.divides: Counter[int] = Counter()
        for i in k.instrs():
            for r in i.results:
                self.made[r.id] = i
            self.uses.update(v.id for v in i.operands())
            self.uses.update(a.id for e in i.edges for a in e.args)
            if i.op.name == "fdiv":
                self.divides[i.args[1].id] += 1

    def constant(self, v: Value) -> float | None:
        i = self.made.get(v.id)
        return float(i.attr("value")) if i is not None and i.op.name == "constant" else None

    def product(self, v: Value) -> Instr | None:
        """The multiplication that gives v and nothing else, if it may be contracted."""
        i = self.made.get(v.id)
        return i if i is not None and i.op.name == "fmul" and self.uses[v.id] == 1 and not i.attrs else None

    def rule(self, i: Instr) -> Rule | None:
        if i.op.kind not in ("lane", "math") or not i.args or i.attrs:
            return None
        elem, name = i.args[0].type.elem, i.op.name
        if elem not in (F32, F64):
            return None
        if name in ("fadd", "fsub"):
            left, right = self.product(i.args[0]), self.product(i.args[1])
            if left is not None or right is not None:
                return lambda b, i, args: _contract(b, name, left, right, args)
            return None
        if name == "fdiv":
            return self.division(i)
        if not self.approximate or elem is not F32:
            return None
        if name == "fsqrt":
            return lambda b, i, args: _hardware(b, "fsqrt", *args)
        if name in HARDWARE:
            return lambda b, i, args: _hardware(b, name, *args)
        if name == "exp":
            return lambda b, i, args: _hardware(b, "exp2", b.fmul(args[0], b.like(args[0], LOG2E)))
        if name in ("log", "log10"):
            return lambda b, i, args: b.fmul(_hardware(b, "log2", args[0]), b.like(args[0], LN2 if name == "log" else LG2))
        return None

    def division(self, i: Instr) -> Rule | None:
        elem = i.args[0].type.elem
        c = self.constant(i.args[1])
        if c is not None:
            least = np.finfo(elem.np).tiny
            if c == c and least <= abs(c) and least <= abs(1 / c) < math.inf:
                return lambda b, i, args: b.fmul(args[0], b.like(args[0], float(elem.np.type(1) / elem.np.type(c))))
        if self.approximate and elem is F32:
            return lambda b, i, args: _hardware(b, "fdiv", *args)
        if self.divides[i.args[1].id] > 1 and self.constant(i.args[0]) != 1.0:
            return lambda b, i, args: b.fmul(args[0], b.fdiv(b.like(args[1], 1.0), args[1]))  # the reciprocals are merged later
        return None


def _hardware(b: Any, name: str, *args: Value) -> Value:
    return b.emit(op(name), args, (("approx", True),))  # type: ignore[no-any-return]


def _contract(b: LaneOps, name: str, left: Instr | None, right: Instr | None, args: Sequence[Value]) -> Value:
    new: dict[int, Value] = getattr(b, "renamed")

    def factors(i: Instr) -> tuple[Value, Value]:
        x, y = (new.get(a.id, a) for a in i.args)
        return x, y

    if left is not None:
        x, y = factors(left)
        return b.ffma(x, y, args[1] if name == "fadd" else b.fneg(args[1]))  # type: ignore[no-any-return]
    assert right is not None
    x, y = factors(right)
    return b.ffma(x if name == "fadd" else b.fneg(x), y, args[0])  # type: ignore[no-any-return]


def fast(k: Kernel, facts: DeviceFacts) -> Kernel:
    """The kernel with what `fast_math` admits; the same object where there is nothing."""
    from .decompose import rewrite

    found = _Facts(k, facts.kind == "ptx")
    return rewrite(k, found.rule)
