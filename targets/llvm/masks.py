"""Which lanes are meant: masks, as the machine likes them.

A mask is `<w x i1>` where the machine has registers for masks (AVX-512).  Elsewhere it is a vector of integers as wide as the elements that it is
for, all ones or zero: what a comparison gives, and what a blend, a masked load and a movemask read, so that nothing is packed and unpacked again
between blocks.  What a comparison gives within a block stays `<w x i1>`; LLVM keeps that as it is best there.
"""
from __future__ import annotations

from collections.abc import Callable

from ...ir.analysis import in_cycles
from ...ir.instr import Value
from .regions import Plan


def mask_elem(plan: Plan) -> str:
    """The integers of masks: as wide as what most comparisons in loops compare."""
    bits = [i.args[0].type.elem.bits for n in in_cycles(plan.k) for i in plan.k.blocks[n].instrs if i.op.name in ("icmp", "fcmp") and i.result.id in plan.varying]
    return "i64" if 2 * sum(n == 64 for n in bits) > len(bits) else "i32"


class Masks:
    """The part of `Warp` that reckons with masks."""

    w: int
    mask_elem: str  # i1, i32 or i64
    lines: list[str]
    put: Callable[[str], str]  # what follows is Warp's
    do: Callable[[str, str, str], str]
    vec: Callable[[Value], str]

    @property
    def mask_type(self) -> str:
        return f"<{self.w} x {self.mask_elem}>"

    @property
    def bools_type(self) -> str:
        """Of comparisons and of LLVM's masked operations."""
        return f"<{self.w} x i1>"

    @property
    def full(self) -> int:
        """The bits of a mask of all lanes."""
        return -1 if self.w == 32 else (1 << self.w) - 1

    def bools(self, mask: str) -> str:
        """A mask as `<w x i1>`."""
        if self.mask_elem == "i1" or mask == "zeroinitializer":
            return mask
        return self.put(f"icmp slt {self.mask_type} {mask}, zeroinitializer")

    def mask_of_bools(self, bools: str) -> str:
        return bools if self.mask_elem == "i1" else self.put(f"sext {self.bools_type} {bools} to {self.mask_type}")

    def frozen(self, v: Value) -> str:
        """A predicate as a mask."""
        return self.mask_of_bools(self.put(f"freeze {self.bools_type} {self.vec(v)}"))

    def both(self, a: str, b: str) -> str:
        if self.mask_elem == "i1":
            return self.put(f"select {self.mask_type} {a}, {self.mask_type} {b}, {self.mask_type} zeroinitializer")
        return self.put(f"and {self.mask_type} {a}, {b}")

    def inverse(self, mask: str) -> str:
        return self.put(f"xor {self.mask_type} {mask}, splat ({self.mask_elem} {'true' if self.mask_elem == 'i1' else -1})")

    def bits(self, mask: str) -> str:
        """One bit per lane, as i32."""
        return self.bits_of_bools(self.bools(mask))

    def bits_of_bools(self, bools: str) -> str:
        bits = self.put(f"bitcast {self.bools_type} {bools} to i{self.w}")
        return bits if self.w == 32 else self.put(f"zext i{self.w} {bits} to i32")

    def mask_of(self, bits: str) -> str:
        """A mask from bits."""
        if self.w < 32:
            bits = self.put(f"trunc i32 {bits} to i{self.w}")
        return self.mask_of_bools(self.put(f"bitcast i{self.w} {bits} to {self.bools_type}"))

    def some(self, mask: str) -> str:
        """Whether there are lanes."""
        w, e = self.w, self.mask_elem
        if e == "i1":
            return self.put(f"icmp ne i32 {self.bits(mask)}, 0")
        while w > 256 // int(e[1:]):  # halves on each other, until one movemask reads it
            low, high = (", ".join(f"i32 {k}" for k in range(at, at + w // 2)) for at in (0, w // 2))
            x, y = (self.put(f"shufflevector <{w} x {e}> {mask}, <{w} x {e}> poison, <{w // 2} x i32> <{order}>") for order in (low, high))
            w //= 2
            mask = self.put(f"or <{w} x {e}> {x}, {y}")
        bits = self.put(f"bitcast <{w} x i1> {self.put(f'icmp slt <{w} x {e}> {mask}, zeroinitializer')} to i{w}")
        return self.put(f"icmp ne i{w} {bits}, 0")

    def all_lanes(self, mask: str) -> str:
        return self.put(f"icmp eq i32 {self.bits(mask)}, {self.full}")

    def pick(self, mask: str, t: str, x: str, y: str) -> str:
        """`x` where the mask holds, else `y`."""
        return self.put(f"select {self.bools_type} {self.bools(mask)}, {t} {x}, {t} {y}")

    def mask_in(self, place: str) -> str:
        return self.put(f"load {self.mask_type}, ptr {place}")

    def put_mask(self, mask: str, place: str) -> None:
        self.lines.append(f"  store {self.mask_type} {mask}, ptr {place}")
