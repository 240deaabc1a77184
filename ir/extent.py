"""Extents: how many elements a dimension has, as an int or as a `Dim`, an expression over named symbols.

    Dim        Σ coefficient · product of atoms + const; an atom is a symbol (`n`), or opaque: `(n//4)`, `(n%4)`, `min(n,m)`, `max(n,m)`.
               Immutable, without any number for its symbols.  Its canonical text is its identity: `n*1000+1` is Python, and is read back.
    Sizes      (`guards.py`) what one version of a program assumes: a hint for each symbol (its value in the call that is being compiled), and the
               guards: everything that was asked of the symbols while it was traced and lowered, with the answer

Laws.  A symbol stands for at least 2: 0 and 1 are always specialised.  Arithmetic gives Dims (ints where constant).  A comparison is answered from
what is certain, else by the hints of the active `Sizes`, and **recorded as a guard**; `int()`, `hash()` and formatting record `expr == hint`, which
makes the symbols static for this version (a *pin*).  So whatever cannot cope with a symbol specialises by itself.  A version is good for a call
exactly if its guards hold.  While lowering, `==` between two extents that are not the same expression is False and records nothing: there
"not known to be equal" is enough (a size that happens to be 1 is like any other); only 0 is asked for by value.  Without an active `Sizes` equality is that of expressions.
"""
from __future__ import annotations

import ast
import math
import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Union

_PARTS: dict[str, tuple[str, Extent, Extent]] = {}  # text of an opaque atom → function and operands
local = threading.local()
Range = tuple[Union[int, None], Union[int, None]]  # None: no bound
LEAST = 2  # of a symbol
HINT = 1024  # of a symbol of which nothing is known


def active() -> Any:
    """The `Sizes` that this thread is tracing or lowering with, or None."""
    return getattr(local, "sizes", None)


class Dim:
    """An extent that depends on symbols; see the module docstring.  `terms` are (atoms, coefficient), `text` is the identity."""

    __slots__ = ("terms", "const", "text")
    __array_priority__ = 500

    def __init__(self, terms: Mapping[tuple[str, ...], int], const: int) -> None:
        self.terms = tuple(sorted((k, c) for k, c in terms.items() if c))
        self.const = const
        parts = [("" if c == 1 else "-" if c == -1 else f"{c}*") + "*".join(k) for k, c in self.terms]
        if const or not parts:
            parts.append(str(const))
        self.text = "+".join(parts).replace("+-", "-")

    @staticmethod
    def symbol(name: str) -> Dim:
        return Dim({(name,): 1}, 0)

    # ---- what it is

    def value(self, bindings: Mapping[str, int]) -> int:
        """Its number for these numbers of the symbols."""
        total = self.const
        for atoms, c in self.terms:
            for a in atoms:
                c *= atom_value(a, bindings)
            total += c
        return total

    def atoms(self) -> list[str]:
        return list(dict.fromkeys(a for atoms, _ in self.terms for a in atoms))

    def symbols(self) -> list[str]:
        """Names of the symbols, sorted."""
        found: set[str] = set()
        waiting = self.atoms()
        while waiting:
            a = waiting.pop()
            part = _PARTS.get(a)
            if part is None:
                found.add(a)
            else:
                waiting += [b for x in part[1:] if isinstance(x, Dim) for b in x.atoms()]
        return sorted(found)

    def __repr__(self) -> str:
        return self.text

    def __reduce__(self) -> Any:
        return parse_extent, (self.text,)

    # ---- arithmetic

    def __add__(self, other: Any) -> Any:
        if other.__class__ is int:
            return Dim(dict(self.terms), self.const + other) if other else self
        o = _extent(other)
        if not isinstance(o, Dim):
            return _meets(operator.add, self, other) if o is NotImplemented else self + o
        terms = dict(self.terms)
        for k, c in o.terms:
            terms[k] = terms.get(k, 0) + c
        return _made(terms, self.const + o.const)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        k = _extent(other)
        if isinstance(k, Dim):
            terms: dict[tuple[str, ...], int] = {}
            for a, c in (*self.terms, ((), self.const)):
                for b, d in (*k.terms, ((), k.const)):
                    key = tuple(sorted((*a, *b)))
                    terms[key] = terms.get(key, 0) + c * d
            return _made(terms, terms.pop((), 0))
        if k is NotImplemented or k == 1:
            return _meets(operator.mul, self, other) if k is NotImplemented else self
        return Dim({a: c * k for a, c in self.terms}, self.const * k) if k else 0

    __rmul__ = __mul__

    def __neg__(self) -> Any:
        return self * -1

    def __pos__(self) -> Dim:
        return self

    def __sub__(self, other: Any) -> Any:
        o = _extent(other)
        return _meets(operator.sub, self, other) if o is NotImplemented else self + o * -1

    def __rsub__(self, other: Any) -> Any:
        o = _extent(other)
        return _meets(operator.sub, self, other, True) if o is NotImplemented else self * -1 + o

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __floordiv__(self, other: Any) -> Any:
        return _divide(self, other, "//")

    def __rfloordiv__(self, other: Any) -> Any:
        return _divide(other, self, "//")

    def __mod__(self, other: Any) -> Any:
        return _divide(self, other, "%")

    def __rmod__(self, other: Any) -> Any:
        return _divide(other, self, "%")

    def __truediv__(self, other: Any) -> Any:
        if hasattr(other, "__array_ufunc__") and not isinstance(other, Dim):
            return NotImplemented
        return _number(self) / (_number(other) if isinstance(other, Dim) else other)

    def __rtruediv__(self, other: Any) -> Any:
        return other / _number(self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pow__(self, k: Any) -> Any:
        if k.__class__ is int and 0 <= k <= 8:
            return math.prod([self] * k)
        return operator.index(self) ** k

    def __rpow__(self, other: Any) -> Any:
        return other ** operator.index(self)

    # ---- questions

    def __eq__(self, other: object) -> Any:
        if other is self or other.__class__ is Dim and other.text == self.text:
            return True
        o = _extent(other)
        return _compares(operator.eq, self, other) if o is NotImplemented else _ask(self - o, "==", o)

    def __ne__(self, other: object) -> Any:
        same = self == other
        return same if same is NotImplemented else not same

    def __lt__(self, other: Any) -> Any:
        o = _extent(other)
        return _compares(operator.lt, self, other) if o is NotImplemented else _ask(self - o, "<")

    def __ge__(self, other: Any) -> Any:
        o = _extent(other)
        return _compares(operator.ge, self, other) if o is NotImplemented else not _ask(self - o, "<")

    def __gt__(self, other: Any) -> Any:
        o = _extent(other)
        return _compares(operator.gt, self, other) if o is NotImplemented else _ask(o - self, "<")

    def __le__(self, other: Any) -> Any:
        o = _extent(other)
        return _compares(operator.le, self, other) if o is NotImplemented else not _ask(o - self, "<")

    def __bool__(self) -> bool:
        return bool(self != 0)

    # ---- where a number is needed

    def __index__(self) -> int:
        sizes = active()
        if sizes is None:
            raise TypeError(f"the extent {self.text} has no number here")
        return sizes.pin(self)  # type: ignore[no-any-return]

    __int__ = __trunc__ = __index__

    def __float__(self) -> float:
        return float(operator.index(self))

    def __hash__(self) -> int:
        sizes = active()
        return hash(sizes.pin(self)) if sizes is not None and sizes.tracing else hash(self.text)

    def __str__(self) -> str:
        sizes = active()
        return str(sizes.pin(self)) if sizes is not None and sizes.tracing else self.text

    def __format__(self, spec: str) -> str:
        sizes = active()
        return format(sizes.pin(self), spec) if sizes is not None and sizes.tracing else format(self.text, spec)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        import numpy as np

        return np.array(operator.index(self), dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        import numpy as np

        if any(hasattr(x, "__array_ufunc__") and not isinstance(x, (Dim, np.ndarray, np.generic)) for x in inputs):
            return NotImplemented  # a traced array: it knows what to do
        return getattr(ufunc, method)(*[operator.index(x) if isinstance(x, Dim) else x for x in inputs], **kw)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(int, name):
            raise AttributeError(f"an extent has no attribute {name!r}")
        return getattr(operator.index(self), name)


def _with_numbers(name: str) -> None:
    """Operators that Python's integers have and extents do not: they take the number."""
    plain, reflected = f"__{name}__", f"__r{name}__"
    f = getattr(operator, name if name not in ("and", "or") else f"{name}_")

    def forward(self: Dim, other: Any) -> Any:
        if hasattr(other, "__array_ufunc__") and not isinstance(other, Dim):
            return NotImplemented
        return f(operator.index(self), operator.index(other) if isinstance(other, Dim) else other)

    setattr(Dim, plain, forward)
    setattr(Dim, reflected, lambda self, other: f(other, operator.index(self)))


def _number(x: Dim) -> Any:
    """What meets a float: a value of the trace, or the number."""
    sizes = active()
    return sizes.traced(x) if sizes is not None and sizes.tracing and sizes.traced is not None else operator.index(x)


for _name in ("and", "or", "xor", "lshift", "rshift"):
    _with_numbers(_name)

Extent = Union[int, Dim]


def _extent(x: Any) -> Any:
    """An operand of an extent's arithmetic; floats meet its number, what knows better gets its turn."""
    if x.__class__ is int or x.__class__ is Dim:
        return x
    if isinstance(x, int):
        return int(x)
    return NotImplemented


def _meets(f: Callable[[Any, Any], Any], self: Dim, other: Any, reflected: bool = False) -> Any:
    """`0.5 * n`: a float meets the number, in a trace as a value that is known at run time."""
    if other.__class__ is not float:
        return NotImplemented
    return f(other, _number(self)) if reflected else f(_number(self), other)


def _compares(f: Callable[[Any, Any], Any], self: Dim, other: Any) -> Any:
    """`n < 2.5`: the number is compared."""
    return f(operator.index(self), other) if other.__class__ is float else NotImplemented


def _made(terms: Mapping[tuple[str, ...], int], const: int) -> Extent:
    out = Dim(terms, const)
    return out if out.terms else const


def _atom(fn: str, a: Extent, b: Extent) -> Dim:
    if fn in ("min", "max"):
        a, b = sorted((a, b), key=text_of)
        text = f"{fn}({text_of(a)},{text_of(b)})"
    else:
        text = f"({_inner(a)}{fn}{_inner(b)})"
    _PARTS.setdefault(text, (fn, a, b))
    return Dim.symbol(text)


def _inner(x: Extent) -> str:
    return text_of(x) if isinstance(x, int) and x >= 0 or isinstance(x, Dim) and x.text.isidentifier() else f"({text_of(x)})"


def atom_value(atom: str, bindings: Mapping[str, int]) -> int:
    """The number of a symbol or opaque atom."""
    part = _PARTS.get(atom)
    if part is None:
        return bindings[atom]
    fn, a, b = part
    x, y = value_of(a, bindings), value_of(b, bindings)
    return x // y if fn == "//" else x % y if fn == "%" else min(x, y) if fn == "min" else max(x, y)


def _divide(a: Any, b: Any, fn: str) -> Any:
    """Floor quotient or remainder; what divides exactly is split off, what is certainly smaller than the divisor has no quotient."""
    x, y = _extent(a), _extent(b)
    if x is NotImplemented or y is NotImplemented:
        if a.__class__ is not float and b.__class__ is not float:
            return NotImplemented
        x, y = (v if v.__class__ is float else operator.index(v) for v in (a, b))
        return x // y if fn == "//" else x % y
    if not isinstance(y, Dim) and y < 1:
        if y == 0:
            raise ZeroDivisionError("an extent divided by zero")
        return -x // -y if fn == "//" else -(-x % -y)
    if isinstance(y, Dim) and y <= 0:  # not known to be positive: the hint decides
        return _divide(operator.index(x), operator.index(y), fn)
    quotient: Extent = 0
    rest: Extent = x
    if isinstance(x, Dim) and not isinstance(y, Dim):
        quotient = _made({k: c // y for k, c in x.terms if c % y == 0}, x.const // y)
        rest = _made({k: c for k, c in x.terms if c % y}, x.const % y)
    elif isinstance(x, Dim) and isinstance(y, Dim):
        quotient, rest = _exact(x, y)
    lo, hi = range_of(rest)
    if lo is None or lo < 0 or not _below(rest, y, hi):
        if not isinstance(rest, Dim) and not isinstance(y, Dim):
            q, r = divmod(rest, y)
        elif fn == "//" and isinstance(rest, Dim) and rest.terms[0][1] < 0 and not isinstance(y, Dim):
            q, r = -_quotient(-rest + (y - 1), y), 0  # so that -(-n // 4) and (n + 3) // 4 are one expression
        else:
            q, r = (_quotient(rest, y), 0) if fn == "//" else (0, _atom("%", rest, y))
        quotient, rest = quotient + q, r
    return quotient if fn == "//" else rest


def _quotient(x: Extent, y: Extent) -> Extent:
    """x // y after what divides exactly has been split off again."""
    if isinstance(x, Dim) and not isinstance(y, Dim) and not 0 <= x.const < y:
        return x.const // y + _quotient(x - x.const // y * y, y)
    lo, hi = range_of(x)
    if lo is not None and lo >= 0 and _below(x, y, hi):
        return 0
    if hi is not None and hi < 0 and lo is not None and -lo <= (range_of(y)[0] or 0):
        return -1
    if isinstance(x, Dim) and not isinstance(y, Dim) and len(x.terms) == 1 and x.terms[0][1] == 1 and len(x.terms[0][0]) == 1:
        part = _PARTS.get(x.terms[0][0][0])
        if part is not None and part[0] == "//" and not isinstance(part[2], Dim):  # (u // k + c) // y
            return _divide(part[1] + x.const * part[2], part[2] * y, "//")  # type: ignore[no-any-return]
    return _atom("//", x, y)


def _below(x: Extent, y: Extent, hi: int | None) -> bool:
    """Whether x < y for certain."""
    if not isinstance(y, Dim):
        return hi is not None and hi < y
    top = range_of(x - y)[1]
    return top is not None and top < 0


def _exact(x: Dim, y: Dim) -> tuple[Extent, Extent]:
    """x = quotient · y + rest, where y divides terms of x."""
    if x.text == y.text:
        return 1, 0
    if len(y.terms) != 1 or y.const:
        return 0, x
    [(atoms, c)] = y.terms
    quotient: dict[tuple[str, ...], int] = {}
    rest: dict[tuple[str, ...], int] = {}
    for k, d in x.terms:
        left = list(k)
        for a in atoms:
            if a not in left:
                break
            left.remove(a)
        else:
            if d % c == 0:
                quotient[tuple(left)] = d // c
                continue
        rest[k] = d
    return _made(quotient, quotient.pop((), 0)), _made(rest, x.const)


# ---- helpers of schedules -------------------------------------------------------------------------------------------


def is_symbolic(x: Any) -> bool:
    return x.__class__ is Dim


def text_of(x: Extent) -> str:
    return x.text if isinstance(x, Dim) else str(x)


def key_of(x: Any) -> Any:
    """A hashable for an extent or a tuple that may hold extents, by structure."""
    if x.__class__ is Dim:
        return (Dim, x.text)
    return tuple([key_of(v) for v in x]) if x.__class__ is tuple else x


def value_of(x: Extent, bindings: Mapping[str, int]) -> int:
    return x.value(bindings) if isinstance(x, Dim) else x


def hint_of(x: Extent) -> int:
    """The number in the call that is being compiled.  Nothing is recorded: only for choices that are right for every number."""
    sizes = active()
    return x.value(sizes.hints) if isinstance(x, Dim) and sizes is not None else x  # type: ignore[return-value]


def same(a: Extent, b: Extent) -> bool:
    """Whether two extents are the same expression."""
    return a.text == b.text if isinstance(a, Dim) and isinstance(b, Dim) else not isinstance(a, Dim) and not isinstance(b, Dim) and a == b


def cdiv(a: Extent, b: Extent) -> Extent:
    """a / b rounded up."""
    return (a + (b - 1)) // b


def smaller(a: Extent, b: Extent) -> Extent:
    """The minimum, without asking which one it is."""
    return _either("min", a, b)


def larger(a: Extent, b: Extent) -> Extent:
    """The maximum, without asking which one it is."""
    return _either("max", a, b)


def _either(fn: str, a: Extent, b: Extent) -> Extent:
    if not isinstance(a, Dim) and not isinstance(b, Dim):
        return min(a, b) if fn == "min" else max(a, b)
    lo, hi = range_of(a - b)
    if hi is not None and hi <= 0:
        return a if fn == "min" else b
    if lo is not None and lo >= 0:
        return b if fn == "min" else a
    return _atom(fn, a, b)


def below(a: Extent, b: Extent) -> bool:
    """Whether a < b for certain."""
    hi = range_of(a - b)[1]
    return hi is not None and hi < 0


def divides(k: int, x: Extent) -> bool:
    """Whether k certainly divides x."""
    return all(c % k == 0 for _, c in x.terms) and x.const % k == 0 if isinstance(x, Dim) else x % k == 0


# ---- ranges ---------------------------------------------------------------------------------------------------------


def range_of(x: Extent) -> Range:
    """Bounds that hold for certain: by the law of symbols and the guards so far."""
    if not isinstance(x, Dim):
        return x, x
    sizes = active()
    if sizes is not None and (known := sizes.intervals.get(primitive(x)[0])) is not None:
        _, scale, shift = primitive(x)
        ends = [None if v is None else v * scale + shift for v in (known.lo, known.hi)]
        inside = (ends[0], ends[1]) if scale > 0 else (ends[1], ends[0])
    else:
        inside = (None, None)
    lo: int | None = x.const
    hi: int | None = x.const
    for atoms, c in x.terms:
        a: int | None = 1
        b: int | None = 1
        for atom in atoms:
            low, high = _atom_range(atom)
            if low is None or low < 0:
                if len(atoms) > 1:
                    return inside
                a, b = low, high
            else:
                a = None if a is None else a * low
                b = None if b is None or high is None else b * high
        ends = [None if v is None else v * c for v in ((a, b) if c > 0 else (b, a))]
        lo = None if lo is None or ends[0] is None else lo + ends[0]
        hi = None if hi is None or ends[1] is None else hi + ends[1]
    return _narrowed((lo, hi), inside)


def _narrowed(r: Range, s: Range) -> Range:
    lows, highs = [v for v in (r[0], s[0]) if v is not None], [v for v in (r[1], s[1]) if v is not None]
    return max(lows, default=None), min(highs, default=None)


def _atom_range(atom: str) -> Range:
    sizes = active()
    known = sizes.intervals.get(atom) if sizes is not None else None
    mine: Range = (None, None) if known is None else (known.lo, known.hi)
    part = _PARTS.get(atom)
    if part is None:
        return _narrowed((LEAST, None), mine)
    fn, a, b = part
    (alo, ahi), (blo, bhi) = range_of(a), range_of(b)
    if fn == "//":
        lo = None if alo is None or blo is None or blo < 1 else (0 if bhi is None else alo // bhi) if alo >= 0 else alo // blo
        hi = None if ahi is None or blo is None or blo < 1 or ahi < 0 and bhi is None else ahi // blo if ahi >= 0 else ahi // (bhi or 1)
        return _narrowed((lo, hi), mine)
    if fn == "%":
        return _narrowed((0, None if bhi is None else bhi - 1), mine)
    pick: Callable[..., Any] = min if fn == "min" else max
    lows, highs = [v for v in (alo, blo) if v is not None], [v for v in (ahi, bhi) if v is not None]
    one_side = (len(lows) == 2 or fn == "max" and lows, len(highs) == 2 or fn == "min" and highs)
    return _narrowed((pick(lows) if one_side[0] else None, pick(highs) if one_side[1] else None), mine)


def primitive(d: Dim) -> tuple[str, int, int]:
    """d = scale · L + shift, with L's text, whose coefficients have no common divisor and start positive."""
    g = math.gcd(*[c for _, c in d.terms])
    if d.terms[0][1] < 0:
        g = -g
    if g == 1 and not d.const:
        return d.text, 1, 0
    return Dim({k: c // g for k, c in d.terms}, 0).text, g, d.const


# ---- asking ---------------------------------------------------------------------------------------------------------


def _ask(d: Any, relation: str, other: Any = None) -> bool:
    """Whether `d == 0` or `d < 0`: from what is certain, else by the hints, recorded."""
    if not isinstance(d, Dim):
        return bool(d == 0 if relation == "==" else d < 0)
    lo, hi = range_of(d)
    if relation == "==":
        if lo is not None and lo > 0 or hi is not None and hi < 0:
            return False
        if lo == 0 and hi == 0:
            return True
    else:
        if hi is not None and hi < 0:
            return True
        if lo is not None and lo >= 0:
            return False
    sizes = active()
    if relation == "==" and (sizes is None or not sizes.tracing and (other.__class__ is not int or other != 0)):
        return False
    if sizes is None:
        raise TypeError(f"whether {d.text} is negative is not known here")
    return sizes.answer(d, relation)  # type: ignore[no-any-return]


@contextmanager
def expressions() -> Iterator[None]:
    """Within it extents are compared as expressions: nothing is asked, nothing recorded."""
    before = active()
    local.sizes = None
    try:
        yield
    finally:
        local.sizes = before


# ---- text -----------------------------------------------------------------------------------------------------------

_BINARY: dict[type, Callable[[Any, Any], Any]] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
                                                  ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod}  # fmt: skip


def parse_extents(text: str) -> tuple[Extent, ...]:
    """`n,2*m+1,16`: extents with commas between them.  ValueError for anything else."""
    if not text.strip():
        return ()
    try:
        tree = ast.parse(f"({text.strip()},)", mode="eval").body
    except SyntaxError:
        raise ValueError(f"not extents: {text!r}") from None
    with expressions():
        return tuple(_read(e, text) for e in tree.elts)  # type: ignore[attr-defined]


def parse_extent(text: str) -> Extent:
    """`16`, `n`, `2*n+1`, `n-m-1`, `(n+3)//4`, `min(n,4)`."""
    found = parse_extents(text)
    if len(found) != 1:
        raise ValueError(f"not an extent: {text!r}")
    return found[0]


def _read(e: ast.expr, text: str) -> Extent:
    if isinstance(e, ast.Constant) and e.value.__class__ is int:
        return e.value
    if isinstance(e, ast.Name) and e.id.isascii():
        return Dim.symbol(e.id)
    if isinstance(e, ast.BinOp) and type(e.op) in _BINARY:
        a, b = _read(e.left, text), _read(e.right, text)
        if isinstance(e.op, (ast.FloorDiv, ast.Mod)) and isinstance(b, Dim) and (range_of(b)[0] or 0) < 1:
            return _atom("//" if isinstance(e.op, ast.FloorDiv) else "%", a, b)
        return _BINARY[type(e.op)](a, b)  # type: ignore[no-any-return]
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.USub):
        return -_read(e.operand, text)
    if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id in ("min", "max") and len(e.args) == 2 and not e.keywords:
        return _either(e.func.id, _read(e.args[0], text), _read(e.args[1], text))
    raise ValueError(f"not an extent: {text!r}")
