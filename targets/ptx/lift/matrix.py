"""Matrix instructions (PTX ISA 9.7.14): ldmatrix, stmatrix and movmatrix by shuffles and plain accesses, mma and wmma by the op `mma`."""
from __future__ import annotations

from typing import Any

from ....ir.fragments import BITS, shape_of
from ....ir.instr import Value
from ....ir.ops.matrix import register_type, wmma_elements
from ....ir.types import F32, F64, I8, I16, I32, I64, Scalar
from ..syntax import Imm
from .alu import joined
from .convert import space_of
from .core import X, lifts
from .memory import _flat, access, items_of

ELEMENTS = frozenset(BITS)


def _lane(x: X) -> Value:
    return x.b.make("sreg", name="laneid")  # type: ignore[no-any-return]


def _from_lane(x: X, v: Value, lane: Value) -> Value:
    """v of another lane of the full warp."""
    b = x.b
    return b.make("shfl_sync", b.const(I32, -1), v, lane, b.const(I32, 31), mode="idx")[0]  # type: ignore[no-any-return]


def _rows(x: X, n: int) -> tuple[bool, str, Value, list[str], Any]:
    """Common head of ldmatrix and stmatrix: (trans, space, the row address that this lane gives, registers, …)."""
    x.flag("sync")
    x.flag("aligned")
    trans, shape = x.flag("trans"), x.pick("m8n8", "m16n16", "m16n8", "m8n16")
    number = x.need("x1", "x2", "x4")
    space = space_of(x)
    if shape != "m8n8" or x.words != ["b16"]:
        raise x.bad("only .m8n8 matrices of .b16 are executed")
    x.words.clear()
    where, base, disp = access(x, n, space)
    return trans, where, _flat(x.b, base, disp), [number], int(number[1:])


@lifts("ldmatrix")
def ldmatrix(x: X) -> None:
    """Lane t gets elements 2·(t mod 4) and the next of row t / 4; transposed, of column t / 4."""
    b = x.b
    trans, space, row, _, number = _rows(x, 1)
    lane = _lane(x)
    high, low = b.make("shr_u", lane, b.const(I32, 2)), b.both(lane, b.const(I32, 3))
    for m, o in enumerate(items_of(x.operand(0))):
        if m >= number:
            raise x.bad(f"{number} registers are loaded")
        if not trans:
            at = _from_lane(x, row, b.make("iadd", high, b.const(I32, 8 * m)))
            x.put(o, b.make("ld", _plus(x, at, b.make("shl", low, b.const(I32, 2))), to=I32, space=space))
        else:
            parts = []
            for i in range(2):
                source = b.make("iadd", b.make("shl", low, b.const(I32, 1)), b.const(I32, 8 * m + i))
                at = _plus(x, _from_lane(x, row, source), b.make("shl", high, b.const(I32, 1)))
                parts.append(b.make("ld", at, to=I16, space=space))
            x.put(o, joined(b, *parts))


@lifts("stmatrix")
def stmatrix(x: X) -> None:
    b = x.b
    trans, space, row, _, number = _rows(x, 0)
    lane = _lane(x)
    high, low = b.make("shr_u", lane, b.const(I32, 2)), b.both(lane, b.const(I32, 3))
    for m, o in enumerate(items_of(x.operand(1))):
        v = b.source(o, "b32")
        if not trans:
            at = _from_lane(x, row, b.make("iadd", high, b.const(I32, 8 * m)))
            b.make("st", _plus(x, at, b.make("shl", low, b.const(I32, 2))), v, to=I32, space=space)
        else:
            for i in range(2):
                source = b.make("iadd", b.make("shl", low, b.const(I32, 1)), b.const(I32, 8 * m + i))
                at = _plus(x, _from_lane(x, row, source), b.make("shl", high, b.const(I32, 1)))
                part = b.make("itrunc", b.make("shr_u", v, b.const(I32, 16 * i)), to=I16)
                b.make("st", at, part, to=I16, space=space)
    b.make("warp_sync", b.const(I32, -1))
    _ = number


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


@lifts("mma")
def mma(x: X) -> None:
    b = x.b
    x.flag("sync")
    x.flag("aligned")
    sparse = x.flag("sp") or x.flag("sp::ordered_metadata")
    kinds = [w for w in x.words if w.startswith(("kind::", "block_scale", "scale_vec"))]
    if kinds and kinds != ["kind::f8f6f4"]:
        raise x.bad(f".{kinds[0]} is not executed yet")
    x.words = [w for w in x.words if w not in kinds]
    shape = next(w for w in x.words if w[0] == "m" and w[1:2].isdigit())
    x.words.remove(shape)
    layouts = [w for w in x.words if w in ("row", "col")]
    x.words = [w for w in x.words if w not in ("row", "col")]
    sat = x.flag("satfinite")
    bop = x.pick("xor", "and")
    x.flag("popc")
    x.flag("rn")
    d, a, c, acc = _take_types(x, 4)
    if sparse and a not in ("f16", "bf16", "tf32"):
        raise x.bad(f"sparse products of .{a} are not executed yet")
    args = [b.const(I32, -1)]
    for n, t in ((1, a), (2, c), (3, acc)):
        args += _registers(x, x.operand(n), t)
    attrs: dict[str, Any] = {"shape": shape, "a": a, "b": c, "c": acc, "d": d, "sat": (sat and d == "s32") or None, "bop": bop or None}
    if shape == "m8n8k4" and a == "f16":
        attrs.update(alayout=layouts[0], blayout=layouts[1])
    if sparse:
        selector = x.operand(5)
        args.append(x.src(4, "b32"))
        attrs["sparse"] = selector.value if isinstance(selector, Imm) else 0
    _results(x, x.operand(0), b.make("mma", *args, **attrs))


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
    if rnd not in ("", "rn"):
        raise x.bad(f"rounding .{rnd} is not executed yet")
    ts = [w for w in x.words if w in ELEMENTS]
    x.words = [w for w in x.words if w not in ELEMENTS]
    if len(ts) == 2:  # .dtype.ctype: f16 operands
        d, acc = ts
        a = c = "f16"
    else:
        d, a, c, acc = ts
    args = [b.const(I32, -1)]
    for n, t in ((1, a), (2, c), (3, acc)):
        args += _registers(x, x.operand(n), t)
    r = b.make("mma", *args, shape=shape, a=a, b=c, c=acc, d=d, wmma=True, sat=(sat and d == "s32") or None, bop=bop or None)
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
    base = _flat(b, base, disp)
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

