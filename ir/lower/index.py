"""Index expressions: which element of an array a point of an iteration domain reads.

An `Ix` is `const + Σ coefficient · atom`.  An atom is a domain dimension (an int), or opaque: the quotient or remainder of
another `Ix`, or a computed value (an index array).  Affine means that all atoms are dimensions.  Constants and coefficients are extents:
ints, or expressions over symbols.  Everything is immutable and compared by value; ranges come from the sizes of the domain.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

from ..extent import Dim, Extent, below, divides, key_of, larger, same


class Atom:
    """An opaque index: kind 'div' or 'mod' (of `ix` by `k`), or 'value' (expression `expr`, inside [0, k))."""

    __slots__ = ("kind", "ix", "k", "expr", "key", "dims")
    key: Any
    dims: int

    def __init__(self, kind: str, k: Extent, *, ix: Ix | None = None, expr: Any = None) -> None:
        self.kind, self.k, self.ix, self.expr = kind, k, ix, expr
        self.key = (kind, key_of(k), ix.key if ix is not None else id(expr))
        self.dims = ix.dims if ix is not None else expr.dims

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


AnyAtom = Union[int, Atom]


def _order(term: tuple[AnyAtom, Extent]) -> tuple[int, Any]:
    atom = term[0]
    return (0, atom) if isinstance(atom, int) else (1, repr(atom.key))


class Ix:
    """An index; see the module docstring.  `dims` is the bit mask of the domain dimensions that it depends on."""

    __slots__ = ("const", "terms", "key", "dims", "_hash")
    key: Any
    dims: int

    def __init__(self, const: Extent, terms: Sequence[tuple[AnyAtom, Extent]] = ()) -> None:
        self.const, self.terms = const, tuple(terms)
        self.key = (key_of(const), tuple((t if isinstance(t, int) else t.key, key_of(c)) for t, c in self.terms))
        self._hash = hash(self.key)
        dims = 0
        for t, _ in self.terms:
            dims |= (1 << t) if isinstance(t, int) else t.dims
        self.dims = dims

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ix) and self.key == other.key

    def __hash__(self) -> int:
        return self._hash

    @property
    def affine(self) -> bool:
        return all(isinstance(t, int) for t, _ in self.terms)

    def coefficient(self, dim: int) -> Extent:
        return next((c for t, c in self.terms if t == dim and isinstance(t, int)), 0)

    def __repr__(self) -> str:
        parts = [f"{c}·{'d' + str(t) if isinstance(t, int) else t.kind}" for t, c in self.terms]
        return " + ".join([*parts, str(self.const)])


class NegativeIndex(Exception):
    """An index that may be negative cannot be split; the array has to be in memory in its own shape."""


ZERO = Ix(0)


def dim(d: int) -> Ix:
    return Ix(0, ((d, 1),))


def add(a: Ix, b: Ix) -> Ix:
    if not a.terms:
        return Ix(a.const + b.const, b.terms) if not same(a.const, 0) else b
    if not b.terms:
        return Ix(a.const + b.const, a.terms) if not same(b.const, 0) else a
    total: dict[AnyAtom, Extent] = dict(a.terms)
    for t, c in b.terms:
        total[t] = total.get(t, 0) + c
    return Ix(a.const + b.const, sorted(((t, c) for t, c in total.items() if not same(c, 0)), key=_order))


def shift(a: Ix, k: Extent) -> Ix:
    return a if same(k, 0) else Ix(a.const + k, a.terms)


def scale(a: Ix, k: Extent) -> Ix:
    if same(k, 1):
        return a
    return ZERO if same(k, 0) else Ix(a.const * k, tuple((t, c * k) for t, c in a.terms))


def bounds(a: Ix, sizes: Sequence[Extent]) -> tuple[Extent, Extent]:
    """Smallest and largest value over a domain of those sizes (inclusive)."""
    lo = hi = a.const
    top: Extent
    for t, c in a.terms:
        if isinstance(t, int):
            top = larger(sizes[t] - 1, 0)
        elif t.kind == "div":
            assert t.ix is not None
            top = bounds(t.ix, sizes)[1] // t.k
        else:
            top = t.k - 1
        if c > 0:
            hi += c * top
        else:
            lo += c * top
    return lo, hi


def divmod_(a: Ix, k: Extent, sizes: Sequence[Extent]) -> tuple[Ix, Ix]:
    """Quotient and remainder by k > 0 of an index that is never negative; exact terms are split off."""
    if same(k, 1):
        return a, ZERO
    if isinstance(k, Dim):
        return _divmod_symbolic(a, k, sizes)
    if any(isinstance(c, Dim) for c in (a.const, *(c for _, c in a.terms))):
        exact = [(t, c) for t, c in a.terms if divides(k, c)]
        rest = Ix(a.const % k, tuple((t, c) for t, c in a.terms if not divides(k, c)))
        return _split(a, k, Ix(a.const // k, tuple((t, c // k) for t, c in exact)), rest, sizes)
    exact = [(t, c) for t, c in a.terms if c % k == 0]
    rest = Ix(a.const % k, tuple((t, c) for t, c in a.terms if c % k))
    return _split(a, k, Ix(a.const // k, tuple((t, c // k) for t, c in exact)), rest, sizes)


def _divmod_symbolic(a: Ix, k: Dim, sizes: Sequence[Extent]) -> tuple[Ix, Ix]:
    """By a divisor that is only known at run time: terms that are multiples of it are split off."""
    exact, rest = [], []
    for t, c in a.terms:
        q = c // k
        if same(q * k, c):
            exact.append((t, q))
        else:
            rest.append((t, c))
    q = a.const // k
    return _split(a, k, Ix(q, tuple(exact)), Ix(a.const - q * k, tuple(rest)), sizes)


def _split(a: Ix, k: Extent, quotient: Ix, rest: Ix, sizes: Sequence[Extent]) -> tuple[Ix, Ix]:
    lo, hi = bounds(rest, sizes)
    if below(-1, lo) and below(hi, k):
        return quotient, rest
    if not below(-1, bounds(a, sizes)[0]):
        raise NegativeIndex
    if not below(-1, lo):  # mixed signs: the parts do not divide on their own
        rest, quotient = a, ZERO
    return add(quotient, Ix(0, ((Atom("div", k, ix=rest), 1),))), Ix(0, ((Atom("mod", k, ix=rest), 1),))


def flatten(coords: Sequence[Ix], shape: Sequence[Extent]) -> Ix:
    """Linear index in C order."""
    total, stride = ZERO, 1  # type: Ix, Extent
    for c, n in zip(reversed(coords), reversed(shape)):
        total = add(total, scale(c, stride))
        stride = stride * n
    return total


def joined(a: Ix) -> Ix:
    """With a quotient and the remainder of the same division put together again, where their coefficients fit."""
    for t, c in a.terms:
        if isinstance(t, Atom) and t.kind == "div" and t.ix is not None:
            rest = next((r for r, d in a.terms if isinstance(r, Atom) and r.kind == "mod" and r.ix == t.ix and same(r.k, t.k) and same(d * t.k, c)), None)
            if rest is not None:
                other = Ix(a.const, tuple((x, d) for x, d in a.terms if x is not t and x is not rest))
                return joined(add(other, scale(t.ix, next(d for x, d in a.terms if x is rest))))
    return a


def unflatten(linear: Ix, shape: Sequence[Extent], sizes: Sequence[Extent]) -> tuple[Ix, ...]:
    """Coordinates of a linear index in C order."""
    out: list[Ix] = []
    rest = linear
    for i, n in enumerate(reversed(shape)):
        if i == len(shape) - 1:
            out.append(rest if n != 1 else ZERO)
        else:
            rest, r = divmod_(rest, n, sizes)
            out.append(r)
    return tuple(reversed(out))


def reshape(coords: Sequence[Ix], new: Sequence[Extent], old: Sequence[Extent], sizes: Sequence[Extent]) -> tuple[Ix, ...]:
    """Coordinates in shape `old` of the element that has `coords` in shape `new`; groups of equal product are kept apart."""
    if any(isinstance(n, Dim) for n in (*new, *old)):
        return _reshape_symbolic(coords, new, old, sizes)
    out: list[Ix] = []
    i = j = 0
    while i < len(new) or j < len(old):
        if i < len(new) and new[i] == 1:
            i += 1
            continue
        if j < len(old) and old[j] == 1:
            out.append(ZERO)
            j += 1
            continue
        gi, gj = i + 1, j + 1
        a, b = new[i], old[j]
        while a != b:
            if a < b:
                a *= new[gi]
                gi += 1
            else:
                b *= old[gj]
                gj += 1
        if gi - i == 1 and gj - j == 1:
            out.append(coords[i])
        else:
            out.extend(unflatten(flatten(coords[i:gi], new[i:gi]), old[j:gj], sizes))
        i, j = gi, gj
    return tuple(out)


def _reshape_symbolic(coords: Sequence[Ix], new: Sequence[Extent], old: Sequence[Extent], sizes: Sequence[Extent]) -> tuple[Ix, ...]:
    """The same where some sizes are only known at run time: groups end where both products are one expression, at the latest at the end."""
    mine = [i for i, n in enumerate(new) if not same(n, 1)]
    theirs = [j for j, n in enumerate(old) if not same(n, 1)]
    out: list[Ix] = [ZERO] * len(old)
    i = j = 0
    while j < len(theirs):
        ends = _group(new, old, mine[i:], theirs[j:])
        a, b = mine[i : i + ends[0]], theirs[j : j + ends[1]]
        if len(a) == len(b) == 1:
            out[b[0]] = coords[a[0]]
        else:
            flat = flatten([coords[k] for k in a], [new[k] for k in a])
            for k, c in zip(b, unflatten(flat, [old[k] for k in b], sizes)):
                out[k] = c
        i, j = i + ends[0], j + ends[1]
    return tuple(out)


def _group(new: Sequence[Extent], old: Sequence[Extent], mine: Sequence[int], theirs: Sequence[int]) -> tuple[int, int]:
    """How many dimensions of each side make the first group."""
    products: list[Extent] = [1]
    for k in mine:
        products.append(products[-1] * new[k])
    total: Extent = 1
    for many, k in enumerate(theirs, 1):
        total = total * old[k]
        for count, product in enumerate(products):
            if count and same(product, total):
                return count, many
    return len(mine), len(theirs)
