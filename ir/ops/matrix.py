"""Matrix products of a warp.  Operands: the member mask, then the registers of A, B and C, the metadata of a sparse A, the words of scales of A
and of B, as the fragments of `ir/fragments.py` lay them out; registers are i32 (packed elements), f32 or f64.  `unit` names an instruction of
`fragments.UNITS`, whose layouts (and warp) are then meant; without it they are those of `mma.sync`.

Products are exact; f32 accumulates in ascending k with one rounding each, 16-bit results round once at the end, f64 by fma (rounded
as `rnd` says), integers wrap (or saturate with `sat`).  The manual leaves order and rounding open for f32 and narrower.

With `scale` (the type of the scales) the depth is cut into `vec` chunks, and a product is multiplied by the scales of its row of A and of its column
of B in its chunk, exactly.  Byte j of a word is the scale of chunk j: row r of A has its word in lane 4·(r mod 8) + r / 8, column c of B in lane 4·c.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import fragments, softfloat
from ..errors import DTypeError
from ..op import Effect, warp_op
from ..types import F32, F64, I32, Type

ATTRS: dict[str, Any] = {"shape": str, "a": str, "b": str, "c": str, "d": str, "sat": (True,), "bop": ("xor", "and"), "wmma": (True,),
                         "alayout": ("row", "col"), "blayout": ("row", "col"), "sparse": int, "scale": ("ue8m0", "ue4m3"),
                         "vec": int, "unit": str, "rnd": ("rz", "rm", "rp")}  # fmt: skip


def register_type(t: str) -> Type:
    return F64 if t == "f64" else F32 if t == "f32" else I32


def count(t: str, elements: int) -> int:
    """Registers of a fragment of that many elements."""
    return max(1, elements * fragments.BITS[t] // 32) if t != "f64" else elements


def layouts(attrs: dict[str, Any]) -> dict[str, fragments.Fragment]:
    """The fragments of a product by name; with `wmma` A has k columns, C is m × n whatever the registers."""
    if attrs.get("unit"):
        return fragments.tables(attrs["unit"])
    m, n, k = fragments.shape_of(attrs["shape"])
    ta, tb, tc, td = (attrs[x] for x in "abcd")
    if attrs.get("wmma"):
        return {"a": fragments.wmma(m, k, wmma_elements(m * k, ta)), "b": fragments.wmma(k, n, wmma_elements(k * n, tb)),
                "c": fragments.wmma(m, n, m * n // 32), "d": fragments.wmma(m, n, m * n // 32)}  # fmt: skip
    if (m, n, k) == (8, 8, 4) and ta == "f16":
        return {"a": fragments.quad_pair("a", attrs.get("alayout", "row"), False), "b": fragments.quad_pair("b", attrs.get("blayout", "col"), False),
                "c": fragments.quad_pair("c", "", tc == "f32"), "d": fragments.quad_pair("c", "", td == "f32")}  # fmt: skip
    stored = k // 2 if attrs.get("sparse") is not None else k
    return {"a": fragments.fragment_a(m, stored, ta), "b": fragments.fragment_b(k, n, tb), "c": fragments.fragment_c(m, n),
            "d": fragments.fragment_c(m, n)}  # fmt: skip


def wmma_elements(total: int, t: str) -> int:
    """Elements of an A or B fragment of `wmma`: f16 always has 16, the others what is needed."""
    return 16 if t == "f16" else total // 32


def _rule(types: Sequence[Type], attrs: dict[str, Any]) -> tuple[Type, ...]:
    lay = layouts(attrs)
    want: list[Type] = [I32]
    for x in "abc":
        want += [register_type(attrs[x])] * count(attrs[x], lay[x][0].shape[1])
    want += [I32] * ((attrs.get("sparse") is not None) + 2 * (attrs.get("scale") is not None))
    if list(types) != want:
        raise DTypeError(f"mma {attrs['shape']} takes {len(want)} operands: {', '.join(map(str, want))}")
    return (register_type(attrs["d"]),) * count(attrs["d"], lay["d"][0].shape[1])


def unpacked(registers: Sequence[Any], t: str, n: int) -> Any:
    """(lanes, n) elements as float64, int64 or (b1) bits."""
    if t in ("f32", "f64"):
        return np.stack(registers, 1).astype(np.float64)
    words = np.stack([r.view(np.uint32) for r in registers], 1)
    if t == "s32":
        return words.view(np.int32).astype(np.int64)
    if t == "tf32":
        return (words & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)
    bits = fragments.BITS[t]
    per = 32 // bits
    parts = np.stack([(words >> np.uint32(bits * i)) & np.uint32((1 << bits) - 1) for i in range(per)], 2).reshape(len(words), -1)[:, :n]
    return decode(parts, t)


def decode(parts: Any, t: str) -> Any:
    """Bit patterns of an element type as numbers."""
    import ml_dtypes

    small = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2, "e2m3": ml_dtypes.float6_e2m3fn, "e3m2": ml_dtypes.float6_e3m2fn,
             "e2m1": ml_dtypes.float4_e2m1fn, "e2m1x8": ml_dtypes.float4_e2m1fn, "ue4m3": ml_dtypes.float8_e4m3fn}  # fmt: skip
    if t in ("f16", "bf16"):
        return parts.astype(np.uint16).view(np.float16 if t == "f16" else ml_dtypes.bfloat16).astype(np.float64)
    if t == "ue8m0":
        return np.where(parts == 255, np.nan, np.exp2(parts.astype(np.float64) - 127))
    if t in small:
        width = {"e2m1": 4, "e2m1x8": 4, "e2m3": 6, "e3m2": 6, "ue4m3": 7}.get(t, 8)
        shift = 2 if t == "e2m1" else 0  # in 8-bit containers 4-bit elements stand in bits 2 … 5
        return ((parts >> np.uint32(shift)) & np.uint32((1 << width) - 1)).astype(np.uint8).view(small[t]).astype(np.float64)
    if t[0] == "s":
        top = 1 << (fragments.BITS[t] - 1)
        return (parts.astype(np.int64) ^ top) - top
    return parts.astype(np.int64)


def numbers(x: Any, t: str) -> Any:
    """Elements of a tile as the product takes them."""
    if t == "tf32":
        return (np.ascontiguousarray(x).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)
    if t in ("s8", "u8"):
        return np.ascontiguousarray(x).view(np.int8 if t == "s8" else np.uint8).astype(np.int64)
    return x.astype(np.float64)


def positions(k: int, t: str, meta: Any, selector: int) -> Any:
    """(16, k/2) columns of the stored elements of a sparse A, from the lanes' metadata words: two 2-bit indices of elements of a chunk, of pairs
    of them for 4-bit types; for tf32 one 4-bit index, 0b0100 or 0b1110."""
    words, bits = meta.view(np.uint32), fragments.BITS[t]
    out = np.zeros((16, k // 2), np.int64)
    for n in fragments.metadata(k, t, selector):
        nibble = int(words[n.lane]) >> n.shift & 15
        if bits == 32:
            places = [int(nibble == 0b1110)]
        elif bits == 4:
            places = [2 * (nibble & 3), 2 * (nibble & 3) + 1, 2 * (nibble >> 2), 2 * (nibble >> 2) + 1]
        else:
            places = [nibble & 3, nibble >> 2]
        out[n.row, n.stored : n.stored + len(places)] = [n.column + p for p in places]
    return out


def scales(word: Any, t: str, vec: int) -> Any:
    """(32, vec) scales in the lanes' words."""
    return decode(np.stack([word.view(np.uint32) >> np.uint32(8 * j) & np.uint32(255) for j in range(vec)], 1), t)


def _mma(ty: Any, mask: Any, *registers: Any, **attrs: Any) -> Any:
    lay = layouts(attrs)
    m, n, k = fragments.shape_of(attrs["shape"])
    at, mats = 0, {}
    for x in "abc":
        rows, cols = lay[x]
        size = count(attrs[x], rows.shape[1])
        values = unpacked(registers[at : at + size], attrs[x], rows.shape[1])
        at += size
        full = np.zeros((int(rows.max()) + 1, int(cols.max()) + 1), values.dtype)
        full[rows, cols] = values
        mats[x] = full
    a, b, c = mats["a"], mats["b"], mats["c"]
    if attrs.get("sparse") is not None:
        where = positions(k, attrs["a"], registers[at], attrs["sparse"])
        dense = np.zeros((m, k), a.dtype)
        np.put_along_axis(dense, where, a, 1)
        a, at = dense, at + 1
    factors = None
    if attrs.get("scale"):
        sa, sb = (scales(r, attrs["scale"], attrs["vec"]) for r in registers[at : at + 2])
        rows_of = np.arange(16)
        factors = (sa[4 * (rows_of % 8) + rows_of // 8], sb[4 * np.arange(8)].T)
    quads = attrs["shape"] == "m8n8k4" and attrs["a"] == "f16"
    if quads:
        d = np.concatenate([product(a[8 * q : 8 * q + 8], b[:, 8 * q : 8 * q + 8], c[8 * q : 8 * q + 8], attrs) for q in range(4)])
    else:
        d = product(a, b, c, attrs, factors)
    rows, cols = lay["d"]
    return tuple(_packed(d[rows, cols], attrs["d"]))


@np.errstate(all="ignore")
def product(a: Any, b: Any, c: Any, attrs: dict[str, Any], factors: Any = None) -> Any:
    """D of whole matrices of numbers, in ascending k."""
    t = attrs["a"]
    if attrs.get("bop"):
        both = a[:, :, None] ^ b[None] if attrs["bop"] == "xor" else a[:, :, None] & b[None]
        return c + both.sum(1)
    if c.dtype.kind == "i":
        d = c + a @ b
        return np.clip(d, -(1 << 31), (1 << 31) - 1) if attrs.get("sat") else d
    if t in ("f32", "f64"):
        elem = F64 if t == "f64" else F32
        a, b, c = (x.astype(elem.np) for x in (a, b, c))
        for k in range(a.shape[1]):
            x, y = (np.ascontiguousarray(np.broadcast_to(v, c.shape)) for v in (a[:, k, None], b[None, k]))
            c = softfloat.ffma(elem, x, y, c, rnd=attrs.get("rnd"))
        return c
    acc = c.astype(np.float32)
    for k in range(a.shape[1]):
        p = a[:, k, None] * b[None, k]
        if factors is not None:
            n = k * attrs["vec"] // a.shape[1]
            p = p * (factors[0][:, n, None] * factors[1][None, n])
        acc = (acc.astype(np.float64) + p).astype(np.float32)  # exact products: one rounding each
    return acc


def _packed(values: Any, t: str) -> list[Any]:
    """(lanes, n) results as registers."""
    if t == "f64":
        return [np.ascontiguousarray(values[:, i]) for i in range(values.shape[1])]
    if t == "f32":
        return [np.ascontiguousarray(values[:, i]).astype(np.float32) for i in range(values.shape[1])]
    if t == "s32":
        return [np.ascontiguousarray(values[:, i]).astype(np.int32) for i in range(values.shape[1])]
    import ml_dtypes

    with np.errstate(over="ignore", invalid="ignore"):
        half = values.astype(np.float16 if t == "f16" else ml_dtypes.bfloat16)
    bits = half.view(np.uint16).astype(np.uint32)
    bits = np.where(np.isnan(values), np.uint32(0x7FFF), bits)
    return [(bits[:, i] | bits[:, i + 1] << np.uint32(16)).view(np.int32) for i in range(0, values.shape[1], 2)]


warp_op("mma", _rule, _mma, attrs=ATTRS, effect=Effect(convergent=True, may_suspend=True), doc="D = A·B + C over the fragments of a warp")
