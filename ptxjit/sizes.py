"""Which sizes of a jitted function are symbolic, and which compiled version serves a call.

The first two values of a dimension are compiled for; the third makes it symbolic: the function is traced with a symbol there, and the
version serves every size for which its guards hold (`ir/extent.py`).  0 and 1 are always compiled for.  Dimensions that have the same
size in that call share a symbol.  A dimension of which the function or a schedule needs the number stays static from then on, and so does
one that only coincided with another number twice.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .arguments import Spec
from .ir.extent import LEAST, Dim, Extent
from .ir.guards import Sizes, fits
from .trace import lift, user_loc

FEW = 2  # values of a dimension that are compiled for one by one
DOUBTS = 2  # coincidences after which a dimension stays static
NAMES = "nmkpqrstuvwabcdefghijl"
Place = tuple[int, int]  # argument and axis


class Version:
    """One symbolic version: what it runs, and whether it is right for the shapes of a call."""

    __slots__ = ("entry", "fits", "guards")

    def __init__(self, entry: Any, pattern: Sequence[Sequence[Extent]], guards: Sequence[str]) -> None:
        self.entry, self.guards = entry, tuple(guards)
        self.fits = fits([[e.text if isinstance(e, Dim) else e for e in shape] for shape in pattern], guards)


class Chosen:
    """Symbols for one call: specs in which they stand, the `Sizes` to trace and lower with, and where each symbol stands."""

    __slots__ = ("specs", "sizes", "places")

    def __init__(self, specs: list[Spec], sizes: Sizes, places: dict[str, list[Place]]) -> None:
        self.specs, self.sizes, self.places = specs, sizes, places


class Family:
    """The versions of a function for one structure of arguments, their dtypes and ranks."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.seen: dict[Place, set[int]] = {}
        self.static: dict[Place, str] = {}
        self.doubts: dict[Place, int] = {}
        self.symbolic: dict[Place, int] = {}  # the value that made it so
        self.versions: list[Version] = []

    def find(self, shapes: Sequence[tuple[int, ...]]) -> Any:
        """The entry of a version that is right for these shapes, or None."""
        for v in self.versions:
            if v.fits(shapes):
                return v.entry
        return None

    def note(self, specs: Sequence[Spec]) -> None:
        """These sizes are about to be compiled for."""
        for i, s in enumerate(specs):
            for a, n in enumerate(s.shape):
                values = self.seen.setdefault((i, a), set())
                if len(values) <= FEW:
                    values.add(n)

    def choose(self, specs: Sequence[Spec], taken: Sequence[str], but: Sequence[Place] = ()) -> Chosen | None:
        """Symbols for the dimensions that have had their third value (`but` for some); None if there is none."""
        by_value: dict[int, str] = {}
        places: dict[str, list[Place]] = {}
        names = iter([c for c in NAMES if c not in taken] + [f"n{k}" for k in range(200)])
        made = []
        for i, s in enumerate(specs):
            shape: list[Extent] = []
            for a, n in enumerate(s.shape):
                if n < LEAST or (i, a) in self.static or (i, a) in but or len(self.seen.get((i, a), ())) <= FEW:
                    shape.append(n)
                    continue
                name = by_value.get(n)
                if name is None:
                    name = by_value[n] = next(names)
                places.setdefault(name, []).append((i, a))
                shape.append(Dim.symbol(name))
            made.append(Spec(s.dtype, tuple(shape), s.weak))
        if not places:
            return None
        return Chosen(made, Sizes({name: n for n, name in by_value.items()}, lambda: str(user_loc()), lift), places)

    def pinned(self, chosen: Chosen) -> bool:
        """Notes the symbols that turned out to be numbers; whether there are any."""
        found = chosen.sizes.pinned()
        for name, (value, where, asked) in found.items():
            for place in chosen.places[name]:
                self.doubts[place] = self.doubts.get(place, 0) + 1
                if asked or self.doubts[place] >= DOUBTS:
                    self.static[place] = f"{where} needs its number" if asked else f"at {where} it meets {value} again and again"
        return bool(found)

    def word(self, place: Place) -> str:
        return f"{self.names[place[0]]}.shape[{place[1]}]"

    def reason(self, chosen: Chosen) -> str:
        """Why a symbolic version is compiled; the dimensions are symbolic from now on."""
        first = [f"third value of {self.word(p)} ({name} = {chosen.sizes.hints[name]}): symbolic"
                 for name, ps in chosen.places.items() for p in ps if p not in self.symbolic]  # fmt: skip
        for name, ps in chosen.places.items():
            self.symbolic.update(dict.fromkeys(ps, chosen.sizes.hints[name]))
        known = ", ".join(f"{self.word(ps[0])} = {chosen.sizes.hints[name]}" for name, ps in chosen.places.items())
        return "; ".join(first) or f"{known}: beyond the guards of the versions before"

    def report(self) -> dict[str, str]:
        """What is known of the dimensions that are not compiled for value by value."""
        out = {self.word(p): f"static: {why}" for p, why in sorted(self.static.items())}
        return out | {self.word(p): "symbolic" for p in sorted(self.symbolic) if p not in self.static}
