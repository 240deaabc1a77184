"""What the definitions need of a float format, and the small vocabulary in which they are written (`F`)."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..op import LaneOps
from ..types import F32, F64, I32, I64, Scalar
from . import tables


class Format(NamedTuple):
    """f32 or f64.  `shifter` is 1.5·2^mant: adding it rounds to an integer and leaves that in the low bits."""

    elem: Scalar
    bits: Scalar  # the integer of the same width
    mant: int
    bias: int
    shifter: float
    ln2: tuple[float, float]  # high part with trailing zeros, low part
    pio2: tuple[float, float, float, float]
    big_angle: float  # from here on the angle is reduced with integers
    exp_max: float  # above: overflow
    exp_min: float  # below: zero
    two_over_pi: tuple[int, ...]  # bits of 2/π in words of the integer type


_W32 = (2734261102, 1313084713, 4230436817, 4113882560, 3680671129, 1011060801, 4266746795, 3736847713)
_W64 = (11743562013128004905, 18169587780923219392, 15808362127397457985, 18325537948574664033, 13196794004601950944,
        452944820249399836, 18311050168422213438, 16754012890938950788, 16833452818741296705, 4148332274289687028,
        11278244420634880059, 2303758334597371919, 17235013589178936607, 7869616827067468215, 5712322887342352941,
        8441921394348257659, 4397547296490951402, 7780917995555872008, 6197850593633725355, 17352294737506481693)  # fmt: skip

FORMATS = {
    "f32": Format(F32, I32, 23, 127, 1.5 * 2.0**23, (0.693145751953125, 1.428606765330187e-06),
                  (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15, 1.056299898220315e-23),
                  2.0**17, 89.0, -104.0, _W32),
    "f64": Format(F64, I64, 52, 1023, 1.5 * 2.0**52, (0.6931471805598903, 5.497923018708371e-14),
                  (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33, 5.612805891193611e-50),
                  2.0**27, 710.0, -746.0, _W64),
}  # fmt: skip


class F:
    """A builder with a format: `f.c(x, 0.5)` a constant like x, `f.poly`, bit views, scaling by powers of two."""

    def __init__(self, b: LaneOps, fmt: Format) -> None:
        self.b, self.fmt = b, fmt

    def c(self, like: Any, value: float) -> Any:
        return self.b.like(like, value, self.fmt.elem)

    def i(self, like: Any, value: int) -> Any:
        bits = self.fmt.bits.bits
        value &= (1 << bits) - 1
        return self.b.like(like, value - (1 << bits) if value >> (bits - 1) else value, self.fmt.bits)

    def bits(self, x: Any) -> Any:
        return self.b.bitcast(x, to=self.fmt.bits)

    def floats(self, x: Any) -> Any:
        return self.b.bitcast(x, to=self.fmt.elem)

    def table(self, name: str) -> tuple[float, ...]:
        return getattr(tables, f"{name}_{self.fmt.elem.bits}")  # type: ignore[no-any-return]

    def poly(self, x: Any, coefficients: Sequence[float]) -> Any:
        """Horner's rule with fma."""
        r = self.c(x, coefficients[-1])
        for k in reversed(coefficients[:-1]):
            r = self.b.ffma(r, x, self.c(x, k))
        return r

    def fma(self, x: Any, y: Any, z: Any) -> Any:
        return self.b.ffma(x, y, z)

    def near(self, x: Any) -> tuple[Any, Any]:
        """(nearest integer as float, the same as integer) of a small x."""
        t = self.b.fadd(x, self.c(x, self.fmt.shifter), rnd="rn")
        n = self.b.fsub(t, self.c(x, self.fmt.shifter), rnd="rn")
        return n, self.b.isub(self.bits(t), self.i(x, self._shifter_bits()))

    def _shifter_bits(self) -> int:
        import struct

        f = "<f", "<I"
        if self.fmt.mant == 52:
            f = "<d", "<Q"
        return int(struct.unpack(f[1], struct.pack(f[0], self.fmt.shifter))[0])

    def power2(self, n: Any) -> Any:
        """2^n for n in the normal range."""
        b = self.b
        return self.floats(b.shl(b.iadd(n, self.i(n, self.fmt.bias)), self.i(n, self.fmt.mant)))

    def scale(self, x: Any, n: Any) -> Any:
        """x · 2^n for x near 1, right at both ends of the range."""
        return self.b.fscale(x, n)

    def where(self, p: Any, x: Any, y: Any) -> Any:
        return self.b.select(p, x, y)

    def lt(self, x: Any, y: Any) -> Any:
        return self.b.fcmp(x, y, pred="olt")

    def gt(self, x: Any, y: Any) -> Any:
        return self.b.fcmp(x, y, pred="ogt")

    def eq(self, x: Any, y: Any) -> Any:
        return self.b.fcmp(x, y, pred="oeq")

    def is_nan(self, x: Any) -> Any:
        return self.b.fcmp(x, x, pred="uno")

    def both(self, p: Any, q: Any) -> Any:
        return getattr(self.b, "and")(p, q)

    def either(self, p: Any, q: Any) -> Any:
        return getattr(self.b, "or")(p, q)

    def two_sum(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Exact sum: high and low part."""
        b = self.b
        s = b.fadd(x, y, rnd="rn")
        v = b.fsub(s, x, rnd="rn")
        low = b.fadd(b.fsub(x, b.fsub(s, v, rnd="rn"), rnd="rn"), b.fsub(y, v, rnd="rn"), rnd="rn")
        return s, low

    def fast_sum(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Exact sum where |x| ≥ |y|."""
        b = self.b
        s = b.fadd(x, y, rnd="rn")
        return s, b.fsub(y, b.fsub(s, x, rnd="rn"), rnd="rn")

    def two_product(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Exact product: high and low part."""
        p = self.b.fmul(x, y, rnd="rn")
        return p, self.b.ffma(x, y, self.b.fneg(p))


Body = Callable[..., Any]
