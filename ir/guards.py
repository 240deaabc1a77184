"""What one version of a program assumes of its symbols: hints, and guards that are recorded as they are asked for (`extent.py` has the laws).

    Sizes       hints and guards of a version that is being traced or lowered; `active` makes it this thread's
    guards()    what was asked, simplified, as Python: `n>=8`, `n<=65535`, `(n%4)==0`; `compiled` makes a function of such texts
    pinned()    symbols of which nothing but one value is left, and who asked for it
"""
from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from . import extent
from .extent import LEAST, Dim, active, parse_extent, primitive

_OURS = (__file__, extent.__file__)


class Interval:
    """What the guards say about one expression: lo ≤ expr ≤ hi, and values that it is not."""

    __slots__ = ("lo", "hi", "others")

    def __init__(self) -> None:
        self.lo: int | None = None
        self.hi: int | None = None
        self.others: set[int] = set()


class Pin:
    """An expression that became a number, and where."""

    __slots__ = ("expr", "value", "where", "asked")

    def __init__(self, expr: str, value: int, where: str, asked: bool) -> None:
        self.expr, self.value, self.where, self.asked = expr, value, where, asked


class Sizes:
    """The hints and guards of one version.  `where()` says which line is asking, for the reasons of pins; `traced(dim)` is an extent as a value of
    the trace, for arithmetic with floats."""

    def __init__(self, hints: Mapping[str, int], where: Callable[[], str] | None = None, traced: Callable[[Dim], Any] | None = None) -> None:
        self.hints = dict(hints)
        self.intervals: dict[str, Interval] = {}
        self.pins: list[Pin] = []
        self.tracing = True
        self.where, self.traced = where, traced

    @contextmanager
    def active(self, tracing: bool) -> Iterator[Sizes]:
        before, mode = active(), self.tracing
        extent.local.sizes, self.tracing = self, tracing
        try:
            yield self
        finally:
            extent.local.sizes, self.tracing = before, mode

    # ---- recording

    def _asker(self) -> str:
        return self.where() if self.where is not None and self.tracing else _caller()

    def pin(self, x: Dim) -> int:
        value = x.value(self.hints)
        if self.assume(x - value, "==", True):
            self.pins.append(Pin(x.text, value, self._asker(), True))
        return value

    def answer(self, d: Dim, relation: str) -> bool:
        """What `d == 0` or `d < 0` is for the hints; recorded."""
        value = d.value(self.hints)
        outcome = value == 0 if relation == "==" else value < 0
        if self.assume(d, relation, outcome) and relation == "==" and outcome:
            self.pins.append(Pin(d.text, 0, self._asker(), False))
        return outcome

    def assume(self, d: Dim, relation: str, outcome: bool) -> bool:
        """Adds the guard that `d relation 0` is `outcome`; whether it was new."""
        text, scale, shift = primitive(d)
        i = self.intervals.setdefault(text, Interval())
        before = i.lo, i.hi, len(i.others)
        at, rest = divmod(-shift, scale)
        if relation == "==":
            if rest:
                return False
            if outcome:
                i.lo = i.hi = at
                i.others.clear()
            elif (i.lo is None or at >= i.lo) and (i.hi is None or at <= i.hi):
                i.others.add(at)
        elif outcome == (scale > 0):  # expr < −shift/scale, or for a negative scale expr ≤ −shift/scale
            top = (at - 1 if rest == 0 else at) if outcome else at
            i.hi = top if i.hi is None else min(i.hi, top)
        else:
            low = (at + 1) if outcome or rest else at
            i.lo = low if i.lo is None else max(i.lo, low)
        return before != (i.lo, i.hi, len(i.others))

    # ---- results

    def guards(self) -> list[str]:
        """The guards, simplified, as Python: `n>=8`, `n<65536`, `(n%4)==0`."""
        out = []
        for text, i in sorted(self.intervals.items()):
            lo, hi, others = i.lo, i.hi, set(i.others)
            least = LEAST if text.isidentifier() else None
            while lo is not None and lo in others:
                lo += 1
            while hi is not None and hi in others:
                hi -= 1
            if lo is not None and lo == hi:
                out.append(f"{text}=={lo}")
                continue
            if lo is not None and (least is None or lo > least):
                out.append(f"{text}>={lo}")
            if hi is not None:
                out.append(f"{text}<={hi}")
            out += [f"{text}!={v}" for v in sorted(others) if (lo is None or v > lo) and (hi is None or v < hi) and (least is None or v >= least)]
        return out

    def pinned(self) -> dict[str, tuple[int, str, bool]]:
        """Symbols that the guards hold at one value: that value, where it was asked for, and whether as a number (or only compared)."""
        out = {}
        for name in self.hints:
            i = self.intervals.get(name)
            if i is not None and i.lo is not None and i.lo == i.hi:
                pin = next((p for p in self.pins if p.expr == name or name in parse_extent(p.expr).symbols()), None)  # type: ignore[union-attr]
                out[name] = (i.lo, pin.where if pin else "its range", pin.asked if pin else False)
        return out


def fits(pattern: Sequence[Sequence[Any]], guards: Sequence[str]) -> Callable[[Sequence[Sequence[int]]], bool]:
    """A function of shapes: they have the numbers of the pattern (ints, or the texts of extents), equal sizes where a symbol is shared, and the
    guards hold."""
    known: set[str] = set()
    bind, tests = [], []
    for i, shape in enumerate(pattern):
        bind.append(f"len(s[{i}]) == {len(shape)}")
        for a, e in enumerate(shape):
            word = str(e)
            if isinstance(e, str) and word.isidentifier() and word not in known:
                known.add(word)
                bind.append(f"({word} := s[{i}][{a}]) >= {LEAST}")
            else:
                tests.append(f"s[{i}][{a}] == {word}")
    compiled(sorted(known), [*guards, *(t.partition(" == ")[2] for t in tests)])  # which reads them
    source = f"lambda s: {' and '.join([*bind, *tests, *guards])}"
    return eval(source, {"__builtins__": {}, "min": min, "max": max, "len": len})  # type: ignore[no-any-return]


def _caller() -> str:
    """The function that asks, for a reason: the innermost frame outside of the arithmetic."""
    f: Any = sys._getframe(1)
    while f is not None and f.f_code.co_filename in _OURS:
        f = f.f_back
    return "" if f is None else f"{f.f_globals.get('__name__', '').removeprefix('ptxjit.')}.{f.f_code.co_name}"


def compiled(symbols: Sequence[str], texts: Sequence[str]) -> Callable[..., tuple[Any, ...]]:
    """`f(*numbers of the symbols)` gives the numbers (or truths) of those expressions.  The texts are read first, so nothing else can be in them."""
    for t in texts:
        for e in ast.walk(ast.parse(t, mode="eval")):
            if not isinstance(e, _ALLOWED) or isinstance(e, ast.Name) and e.id not in symbols and e.id not in ("min", "max"):
                raise ValueError(f"not an extent: {t!r}")
    source = f"lambda {', '.join(symbols)}: ({''.join(t + ', ' for t in texts)})"
    return eval(source, {"__builtins__": {}, "min": min, "max": max})  # type: ignore[no-any-return]


_ALLOWED = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Constant, ast.Load, ast.operator, ast.unaryop, ast.cmpop)
