"""Index expressions: which element of an array a point of an iteration domain reads.

An `Ix` is `const + Σ coefficient · atom`.  An atom is a domain dimension (an int), or opaque: the quotient or remainder of
another `Ix`, or a computed value (an index array).  Affine means that all atoms are dimensions.  Everything is immutable and
compared by value; ranges come from the sizes of the domain.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union


class Atom:
    """An opaque index: kind 'div' or 'mod' (of `ix` by `k`), or 'value' (expression `expr`, inside [0, k))."""

    __slots__ = ("kind", "ix", "k", "expr", "key", "dims")
    key: Any
    dims: int

    def __init__(self, kind: str, k: int, *, ix: Ix | None = None, expr: Any = None) -> None:
        self.kind, self.k, self.ix, self.expr = kind, k, ix, expr
        self.key = (kind, k, ix.key if ix is not None else id(expr))
        self.dims = ix.dims if ix is not None else expr.dims

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


AnyAtom = Union[int, Atom]


def _order(term: tuple[AnyAtom, int]) -> tuple[int, Any]:
    atom = term[0]
    return (0, atom) if isinstance(atom, int) else (1, repr(atom.key))


class Ix:
    """An index; see the module docstring.  `dims` is the bit mask of the domain dimensions that it depends on."""

    __slots__ = ("const", "terms", "key", "dims", "_hash")
    key: Any
    dims: int

    def __init__(self, const: int, terms: Sequence[tuple[AnyAtom, int]] = ()) -> None:
        self.const, self.terms = const, tuple(terms)
        self.key = (const, tuple((t if isinstance(t, int) else t.key, c) for t, c in self.terms))
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

    def coefficient(self, dim: int) -> int:
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
        return Ix(a.const + b.const, b.terms) if a.const else b
    if not b.terms:
        return Ix(a.const + b.const, a.terms) if b.const else a
    total: dict[AnyAtom, int] = dict(a.terms)
    for t, c in b.terms:
        total[t] = total.get(t, 0) + c
    return Ix(a.const + b.const, sorted(((t, c) for t, c in total.items() if c), key=_order))


def shift(a: Ix, k: int) -> Ix:
    return Ix(a.const + k, a.terms) if k else a


def scale(a: Ix, k: int) -> Ix:
    if k == 1:
        return a
    return Ix(a.const * k, tuple((t, c * k) for t, c in a.terms)) if k else ZERO


def bounds(a: Ix, sizes: Sequence[int]) -> tuple[int, int]:
    """Smallest and largest value over a domain of those sizes (inclusive)."""
    lo = hi = a.const
    for t, c in a.terms:
        if isinstance(t, int):
            top = max(sizes[t] - 1, 0)
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


def divmod_(a: Ix, k: int, sizes: Sequence[int]) -> tuple[Ix, Ix]:
    """Quotient and remainder by k > 0 of an index that is never negative; exact terms are split off."""
    if k == 1:
        return a, ZERO
    exact = [(t, c) for t, c in a.terms if c % k == 0]
    rest = Ix(a.const % k, tuple((t, c) for t, c in a.terms if c % k))
    quotient = Ix(a.const // k, tuple((t, c // k) for t, c in exact))
    lo, hi = bounds(rest, sizes)
    if lo >= 0 and hi < k:
        return quotient, rest
    if bounds(a, sizes)[0] < 0:
        raise NegativeIndex
    if lo < 0:  # mixed signs: the parts do not divide on their own
        rest, quotient = a, ZERO
    return add(quotient, Ix(0, ((Atom("div", k, ix=rest), 1),))), Ix(0, ((Atom("mod", k, ix=rest), 1),))


def flatten(coords: Sequence[Ix], shape: Sequence[int]) -> Ix:
    """Linear index in C order."""
    total, stride = ZERO, 1
    for c, n in zip(reversed(coords), reversed(shape)):
        total = add(total, scale(c, stride))
        stride *= n
    return total


def unflatten(linear: Ix, shape: Sequence[int], sizes: Sequence[int]) -> tuple[Ix, ...]:
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


def reshape(coords: Sequence[Ix], new: Sequence[int], old: Sequence[int], sizes: Sequence[int]) -> tuple[Ix, ...]:
    """Coordinates in shape `old` of the element that has `coords` in shape `new`; groups of equal product are kept apart."""
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
