"""Matrix instructions (PTX ISA 9.7.14): ldmatrix, stmatrix and movmatrix by shuffles and plain accesses, mma and wmma by the op `mma`."""
from __future__ import annotations

from typing import Any

from ....ir.fragments import BITS, SPARSE, selectors, shape_of
from ....ir.instr import Value
from ....ir.ops.matrix import register_type, wmma_elements
from ....ir.types import F32, F64, I8, I16, I32, I64, Scalar
from .alu import joined
from .convert import space_of
from .core import X, lifts
from .memory import access, flat, items_of

ELEMENTS = frozenset(BITS) - {"e2m1x8"}


def _lane(x: X) -> Value:
    return x.b.make("sreg", name="laneid")  # type: ignore[no-any-return]


def _from_lane(x: X, v: Value, lane: Value) -> Value:
    """v of another lane of the full warp."""
    b = x.b
    return b.make("shfl_sync", b.const(I32, -1), v, lane, b.const(I32, 31), mode="idx")[0]  # type: ignore[no-any-return]


def _head(x: X, n: int) -> tuple[str, bool, str, str, Value, int]:
    """Common head of ldmatrix and stmatrix: (shape, whether it transposes, type of the elements, space, the row address that this lane gives, how
    many matrices)."""
    x.flag("sync")
    x.flag("aligned")
    trans, shape = x.flag("trans"), x.need("m8n8", "m16n16", "m16n8", "m8n16")
    number = int(x.need("x1", "x2", "x4")[1:])
    space = space_of(x)
    elements = x.need("b16", "b8", "b8x16")
    if elements == "b8x16":
        elements = x.need("b6x16_p32", "b4x16_p64")
    where, base, disp = access(x, n, space)
    return shape, trans, elements, where, flat(x.b, base, disp), number


def _matrices(x: X, n: int, count: int) -> tuple[Any, ...]:
    """The registers of operand n, which must be `count`."""
    items = items_of(x.operand(n))
    if len(items) != count:
        raise x.bad(f"{count} registers are expected, not {len(items)}")
    return items


@lifts("ldmatrix")
def ldmatrix(x: X) -> None:
    """Lane t gets elements 2·(t mod 4) and the next of row t / 4; transposed, of column t / 4.  Of 8-bit and narrower elements, which become
    8-bit ones: elements 4·(t mod 4) and the next three of row t / 4 (8 × 16), of columns t / 4 and t / 4 + 8 (16 × 16)."""
    b = x.b
    shape, trans, elements, space, row, number = _head(x, 1)
    lane = _lane(x)
    high, low = b.make("shr_u", lane, b.const(I32, 2)), b.both(lane, b.const(I32, 3))
    four = b.make("shl", low, b.const(I32, 2))
    if (shape, elements) == ("m8n8", "b16"):
        for m, o in enumerate(_matrices(x, 0, number)):
            if not trans:
                at = _from_lane(x, row, b.make("iadd", high, b.const(I32, 8 * m)))
                x.put(o, b.make("ld", _plus(x, at, four), to=I32, space=space))
            else:
                parts = []
                for i in range(2):
                    source = b.make("iadd", b.make("shl", low, b.const(I32, 1)), b.const(I32, 8 * m + i))
                    at = _plus(x, _from_lane(x, row, source), b.make("shl", high, b.const(I32, 1)))
                    parts.append(b.make("ld", at, to=I16, space=space))
                x.put(o, joined(b, *parts))
    elif shape == "m8n16" and elements in ("b6x16_p32", "b4x16_p64") and not trans:
        bits = int(elements[1])
        for m, o in enumerate(_matrices(x, 0, number)):
            at = _plus(x, _from_lane(x, row, b.make("iadd", high, b.const(I32, 8 * m))), b.make("imul", low, b.const(I32, bits // 2)))
            v = b.make("zext", b.make("ld", at, to=I8, space=space), to=I32)
            for k in range(1, bits // 2):
                more = b.make("zext", b.make("ld", at, to=I8, space=space, disp=k), to=I32)
                v = b.either(v, b.make("shl", more, b.const(I32, 8 * k)))
            parts = [b.both(b.make("shr_u", v, b.const(I32, bits * k)) if k else v, b.const(I32, (1 << bits) - 1)) for k in range(4)]
            x.put(o, _bytes(x, parts))
    elif shape == "m16n16" and elements != "b16" and trans and number < 4:
        for r, o in enumerate(_matrices(x, 0, 2 * number)):
            column, parts = b.make("iadd", high, b.const(I32, 8 * (r % 2))), []
            for i in range(4):
                at = _from_lane(x, row, b.make("iadd", four, b.const(I32, 16 * (r // 2) + i)))
                parts.append(_element(x, at, column, elements, space))
            x.put(o, _bytes(x, parts))
    else:
        raise x.bad(f"there are no {shape} matrices of {elements} {'transposed' if trans else 'as they are'}, x{number}")


def _element(x: X, row: Value, n: Value, elements: str, space: str) -> Value:
    """Element n of a row of packed elements of 8, 6 or 4 bits."""
    b = x.b
    bits = int(elements[1])
    if bits == 8:
        return b.make("zext", b.make("ld", _plus(x, row, n), to=I8, space=space), to=I32)  # type: ignore[no-any-return]
    bit = b.make("imul", n, b.const(I32, bits))
    at = _plus(x, row, b.make("shr_u", bit, b.const(I32, 3)))
    v = b.make("zext", b.make("ld", at, to=I8, space=space), to=I32)
    if bits == 6:  # it may reach into the next byte
        v = b.either(v, b.make("shl", b.make("zext", b.make("ld", at, to=I8, space=space, disp=1), to=I32), b.const(I32, 8)))
    return b.both(b.make("shr_u", v, b.both(bit, b.const(I32, 7))), b.const(I32, (1 << bits) - 1))


def _bytes(x: X, parts: list[Value]) -> Value:
    """A word of four bytes, each the low bits of a word."""
    b, word = x.b, parts[0]
    for k, p in enumerate(parts[1:], 1):
        word = b.either(word, b.make("shl", p, b.const(I32, 8 * k)))
    return word


@lifts("stmatrix")
def stmatrix(x: X) -> None:
    """The reverse of ldmatrix; of 16 × 8 matrices of bytes, stored by columns, lane t has rows t / 4 and t / 4 + 8 of columns 2·(t mod 4) and the next."""
    b = x.b
    shape, trans, elements, space, row, number = _head(x, 0)
    if (shape, elements) != ("m8n8", "b16") and (shape, elements, trans) != ("m16n8", "b8", True):
        raise x.bad(f"there are no {shape} matrices of {elements} {'transposed' if trans else 'as they are'}")
    lane = _lane(x)
    high, low = b.make("shr_u", lane, b.const(I32, 2)), b.both(lane, b.const(I32, 3))
    two = b.make("shl", low, b.const(I32, 1))
    for m, o in enumerate(_matrices(x, 1, number)):
        v = b.source(o, "b32")
        if not trans:
            at = _from_lane(x, row, b.make("iadd", high, b.const(I32, 8 * m)))
            b.make("st", _plus(x, at, b.make("shl", low, b.const(I32, 2))), v, to=I32, space=space)
            continue
        rows = [_from_lane(x, row, b.make("iadd", two, b.const(I32, 8 * m + i))) for i in range(2)]
        for i in range(2 if elements == "b16" else 4):
            if elements == "b16":
                at, ty = _plus(x, rows[i], b.make("shl", high, b.const(I32, 1))), I16
            else:
                at, ty = _plus(x, rows[i % 2], b.make("iadd", high, b.const(I32, 8 * (i // 2)))), I8
            part = b.make("shr_u", v, b.const(I32, ty.bits * i)) if i else v
            b.make("st", at, b.make("itrunc", part, to=ty), to=ty, space=space)
    b.make("warp_sync", b.const(I32, -1))


def _plus(x: X, base: Value, offset: Value) -> Value:
    b = x.b
    return b.make("iadd", base, b.resize(offset, base.type.elem))  # type: ignore[no-any-return]


@lifts("movmatrix")
def movmatrix(x: X) -> None:
    """Element i of lane t comes from row 2·(t mod 4) + i, column t / 4: the lane 4·row + column / 2, half column mod 2."""
    b = x.b
    for word in ("sync", "aligned", "m8n8", "trans", "b16"):
        x.flag(word)
    v, lane = x.src(1, "b32"), _lane(x)
    column, low = b.make("shr_u", lane, b.const(I32, 2)), b.both(lane, b.const(I32, 3))
    parts = []
    for i in range(2):
        r = b.make("iadd", b.make("shl", low, b.const(I32, 1)), b.const(I32, i))
        source = b.make("iadd", b.make("shl", r, b.const(I32, 2)), b.make("shr_u", column, b.const(I32, 1)))
        w = _from_lane(x, v, source)
        odd = b.make("shl", b.both(column, b.const(I32, 1)), b.const(I32, 4))
        parts.append(b.make("itrunc", b.make("shr_u", w, odd), to=I16))
    x.dst(0, joined(b, *parts))


# ---- mma ------------------------------------------------------------------------------------------------------------


def _take_types(x: X, n: int) -> list[str]:
    found = [w for w in x.words if w in ELEMENTS]
    if len(found) != n:
        raise x.bad(f"{n} element types are expected")
    x.words = [w for w in x.words if w not in ELEMENTS]
    return found


def _registers(x: X, o: Any, t: str) -> list[Value]:
    ty = register_type(t)
    return [x.b.source(r, "f64" if ty is F64 else "f32" if ty is F32 else "b32") for r in items_of(o)]


# kind → (element types, type of scales and how many of a row for the depth of a product, or {} without block scaling)
NARROW = frozenset("e4m3 e5m2 e3m2 e2m3 e2m1".split())
KINDS: dict[str, tuple[frozenset[str], dict[str, tuple[int, ...]]]] = {
    "f8f6f4": (NARROW, {}), "mxf8f6f4": (NARROW, {"ue8m0": (1,)}), "mxf4": (frozenset({"e2m1"}), {"ue8m0": (2,)}),
    "mxf4nvf4": (frozenset({"e2m1"}), {"ue8m0": (2, 4), "ue4m3": (4,)})}  # fmt: skip


@lifts("mma")
def mma(x: X) -> None:
    b = x.b
    x.flag("sync")
    x.flag("aligned")
    sparse = x.flag("sp") or x.flag("sp::ordered_metadata")
    kind = x.pick(*("kind::" + k for k in KINDS)).removeprefix("kind::")
    scaled = x.flag("block_scale")
    if scaled != bool(kind and KINDS[kind][1]):
        raise x.bad(f".block_scale and .kind::{kind or 'f16'} do not go together")
    vec = int((x.pick("scale_vec::1X", "scale_vec::2X", "scale_vec::4X") or {"mxf8f6f4": "::1X", "mxf4": "::2X"}.get(kind, "::0X"))[-2])
    scale = x.need(*KINDS[kind][1]) if scaled else ""
    if vec and not scaled or scaled and vec not in KINDS[kind][1][scale]:
        raise x.bad(f"{vec} scales of a row do not go with .kind::{kind or 'f16'} and .{scale or 'f16'}")
    shape = next(w for w in x.words if w[0] == "m" and w[1:2].isdigit())
    x.words.remove(shape)
    layouts = [w for w in x.words if w in ("row", "col")]
    x.words = [w for w in x.words if w not in ("row", "col")]
    sat = x.flag("satfinite")
    bop = x.pick("xor", "and")
    x.flag("popc")
    rnd = x.pick("rn", "rz", "rm", "rp")
    d, a, c, acc = _take_types(x, 4)
    if kind and not {a, c} <= KINDS[kind][0]:
        raise x.bad(f".kind::{kind} does not take .{a} and .{c}")
    if kind in ("mxf4", "mxf4nvf4"):
        a = c = "e2m1x8"
    args = [b.const(I32, -1)]
    for n, t in ((1, a), (2, c), (3, acc)):
        args += _registers(x, x.operand(n), t)
    attrs: dict[str, Any] = {"shape": shape, "a": a, "b": c, "c": acc, "d": d, "sat": (sat and d == "s32") or None, "bop": bop or None,
                             **_rounding(x, rnd, d)}  # fmt: skip
    if shape == "m8n8k4" and a == "f16":
        attrs.update(alayout=layouts[0], blayout=layouts[1])
    if sparse:
        args.append(x.src(4, "b32"))
        attrs["sparse"] = _selector(x, shape, a)
    if scaled:
        args += _scales(x, 6 if sparse else 4)
        attrs.update(scale=scale, vec=vec)
    _results(x, x.operand(0), b.make("mma", *args, **attrs))


def _selector(x: X, shape: str, t: str) -> int:
    """Which lanes of a quad hold the metadata of a sparse A."""
    m, n, k = shape_of(shape)
    if (m, n) != (16, 8) or k not in SPARSE.get(BITS[t], ()) or (t in NARROW and k != 64):
        raise x.bad(f"there is no sparse product {shape} of .{t}")
    selector = x.number(5)
    if not 0 <= selector < selectors(k, t):
        raise x.bad(f"the sparsity selector of {shape} with .{t} is below {selectors(k, t)}, not {selector}")
    return selector


def _scales(x: X, n: int) -> list[Value]:
    """The words of scales of A and B, from operand n on, brought to where `ir/ops/matrix.py` has them: lane t gives rows t / 4 and t / 4 + 8 of A from
    lanes 2·thread-id and the next of its quad, column t / 4 of B from lane thread-id, both from byte-id on."""
    b = x.b
    lane, out = _lane(x), []
    for at, low in ((n, 1), (n + 2, 0)):
        word, selector = x.src(at, "b32"), items_of(x.operand(at + 1))
        byte, thread = (b.resize(b.source(o, "u16"), I32) for o in selector)
        source = b.either(b.both(lane, b.const(I32, 28)), b.make("shl", thread, b.const(I32, low)))
        source = b.either(source, b.both(lane, b.const(I32, 1))) if low else source
        out.append(b.make("shr_u", _from_lane(x, word, source), b.make("shl", byte, b.const(I32, 3))))
    return out


def _results(x: X, o: Any, r: Any) -> None:
    values = r if isinstance(r, tuple) else (r,)
    items = items_of(o)
    if len(items) != len(values):
        raise x.bad(f"{len(values)} result registers are expected, not {len(items)}")
    for target, v in zip(items, values):
        x.put(target, v)


def wmma_places(t: str) -> tuple[int, Scalar, int]:
    """(bits of an element in memory, type of its access, elements per register)."""
    bits = BITS[t]
    if t == "f64":
        return 64, F64, 1
    ty = {32: F32 if t == "f32" else I32, 16: I16, 8: I8}.get(bits, I32)
    return bits, ty, 32 // bits


# ---- wmma -----------------------------------------------------------------------------------------------------------


@lifts("wmma")
def wmma(x: X) -> None:
    x.flag("sync")
    x.flag("aligned")
    what = x.need("load", "store", "mma")
    if what == "mma":
        _wmma_mma(x)
    else:
        _wmma_memory(x, what)


def _rounding(x: X, rnd: str, t: str) -> dict[str, Any]:
    """The attribute of a rounding direction, which only products of f64 have."""
    if rnd and t != "f64":
        raise x.bad(f"products of .{t} have no rounding .{rnd}")
    return {"rnd": rnd} if rnd not in ("", "rn") else {}


def _shape(x: X) -> str:
    shape = next(w for w in x.words if w[0] == "m" and w[1:2].isdigit())
    x.words.remove(shape)
    return shape


def _wmma_mma(x: X) -> None:
    b = x.b
    shape = _shape(x)
    x.words = [w for w in x.words if w not in ("row", "col")]
    sat, bop = x.flag("satfinite"), x.pick("xor", "and")
    x.flag("popc")
    rnd = x.pick("rn", "rz", "rm", "rp")
    ts = [w for w in x.words if w in ELEMENTS]
    x.words = [w for w in x.words if w not in ELEMENTS]
    if len(ts) == 2:  # .dtype.ctype: f16 operands
        d, acc = ts
        a = c = "f16"
    else:
        d, a, c, acc = ts
    rounding = _rounding(x, rnd, d)
    args = [b.const(I32, -1)]
    for n, t in ((1, a), (2, c), (3, acc)):
        args += _registers(x, x.operand(n), t)
    r = b.make("mma", *args, **rounding, shape=shape, a=a, b=c, c=acc, d=d, wmma=True, sat=(sat and d == "s32") or None, bop=bop or None)
    _results(x, x.operand(0), r)


def _wmma_memory(x: X, what: str) -> None:
    """Each lane loads and stores the elements that our layout gives it."""
    b = x.b
    which = x.need("a", "b", "c", "d")
    layout, shape = x.need("row", "col"), _shape(x)
    space = space_of(x)
    t = next(w for w in x.words if w in ELEMENTS)
    x.words.remove(t)
    m, n, k = shape_of(shape)
    rows, cols = {"a": (m, k), "b": (k, n), "c": (m, n), "d": (m, n)}[which]
    elements = wmma_elements(rows * cols, t) if which in "ab" else rows * cols // 32
    pointer = 1 if what == "load" else 0
    where, base, disp = access(x, pointer, space)
    base = flat(b, base, disp)
    stride = b.source(x.operand(2), "u32") if x.count > 2 else b.const(I32, cols if layout == "row" else rows)
    lane = _lane(x)
    wide = base.type.elem
    scale, ty, per = wmma_places(t)

    def address(i: int) -> Value:
        """Of element i of this lane (of the first of `per` elements that one register holds)."""
        own = min(elements, rows * cols // 32)
        e = b.make("iadd", b.make("imul", lane, b.const(I32, own)), b.const(I32, i % own))
        major, minor = (cols, 0) if layout == "row" else (cols, 1)
        shift = major.bit_length() - 1
        r, c = b.make("shr_u", e, b.const(I32, shift)), b.both(e, b.const(I32, major - 1))
        outer, inner = (r, c) if minor == 0 else (c, r)
        index = b.make("iadd", b.make("imul", outer, stride), inner)
        at = b.resize(index, wide, True) if wide is I64 else index
        if scale < 8:
            at = b.make("shr_u", at, b.const(wide, {4: 1, 1: 3}[scale]))
        else:
            at = b.make("imul", at, b.const(wide, scale // 8))
        return b.make("iadd", base, at)  # type: ignore[no-any-return]

    if scale < 8:
        _wmma_small(x, what, scale, per, elements, address, where)
        return
    if what == "load":
        values = [b.make("ld", address(i), to=ty, space=where) for i in range(elements)]
        _results(x, x.operand(0), tuple(_pack(x, values, per)))
    else:
        sources = _registers(x, x.operand(1), t)
        for i in range(elements):
            b.make("st", address(i), _unpack(x, sources[i // per], i % per, ty), to=ty, space=where)
    b.make("warp_sync", b.const(I32, -1))


def _wmma_small(x: X, what: str, scale: int, per: int, elements: int, address: Any, where: str) -> None:
    """Elements below a byte: one register is one aligned word of memory, since A is row-major and B column-major for them."""
    b = x.b
    if what != "load":
        raise x.bad("only loads exist for this type")
    values = [b.make("ld", address(i * per), to=I32, space=where) for i in range(max(1, elements // per))]
    _results(x, x.operand(0), tuple(values))
    _ = scale


def _pack(x: X, values: list[Value], per: int) -> list[Value]:
    b = x.b
    if per == 1:
        return values
    out = []
    for at in range(0, len(values), per):
        word = None
        for i, v in enumerate(values[at : at + per]):
            w = b.make("zext", b.bits(v), to=I32)
            w = b.make("shl", w, b.const(I32, (32 // per) * i)) if i else w
            word = w if word is None else b.either(word, w)
        assert word is not None
        out.append(word)
    return out


def _unpack(x: X, word: Value, i: int, ty: Scalar) -> Value:
    b = x.b
    if ty.bits >= 32:
        return b.cast(word, ty)
    part = b.make("shr_u", word, b.const(I32, ty.bits * i)) if i else word
    return b.make("itrunc", part, to=ty)  # type: ignore[no-any-return]

