"""What the lanes of a warp do together, written over their frames.

`collective(f, lane, instr)` is called with %frames (lane 0's frame), %members (the lanes that take part), and writes each member's results.
Operand n of lane j lies at frame j + ops + 16·n, result n at frame j + results + 16·n.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...ir.errors import UnsupportedError
from ...ir.instr import Instr
from ...ir.types import I1, Scalar
from .asm import Fn
from .ops import NAMES, SUFFIX

OPS = 64


class _Lanes:
    """Access to the frames of a warp."""

    def __init__(self, f: Fn, lane: Any, i: Instr) -> None:
        self.f, self.lane, self.i = f, lane, i

    def frame(self, j: str) -> str:
        return self.f.at("%frames", self.f.op("mul", "i64", self.f.widen(j), self.lane.frame))

    def ty(self, elem: Scalar) -> str:
        return "i32" if elem is I1 else NAMES[elem.name]

    def arg(self, j: str, n: int) -> str:
        return self.f.load(self.ty(self.i.args[n].type.elem), self.frame(j), OPS + 16 * n)

    def give(self, j: str, n: int, value: str, ty: str = "") -> None:
        self.f.store(ty or self.ty(self.i.results[n].type.elem), value, self.frame(j), self.lane.results_at + 16 * n)

    @contextmanager
    def each(self) -> Iterator[str]:
        """Over the members, in ascending order."""
        f = self.f
        with f.count("32") as j:
            bit = f.op("and", "i32", f.op("lshr", "i32", "%members", j), 1)
            with f.when(f.cmp("ne", "i32", bit, 0)):
                yield j

    def first(self) -> str:
        return self.f.call("i32", "llvm.cttz.i32", [("i32", "%members"), ("i1", "false")], declare=True)


def collective(f: Fn, lane: Any, i: Instr) -> None:
    rule = globals().get("_" + i.op.name)
    if rule is None:
        raise UnsupportedError(f"{i.op.name} on the CPU", place=i.loc)
    rule(f, _Lanes(f, lane, i), i)


def _warp_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    f.line("fence acq_rel")


def _activemask(f: Fn, w: _Lanes, i: Instr) -> None:
    with w.each() as j:
        w.give(j, 0, "%members")


def _shfl_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    """PTX ISA 9.7.9.6."""
    mode = i.attr("mode")
    with w.each() as j:
        b = f.op("and", "i32", w.arg(j, 2), 31)
        c = w.arg(j, 3)
        clamp, segment = f.op("and", "i32", c, 31), f.op("and", "i32", f.op("lshr", "i32", c, 8), 31)
        other = f.op("xor", "i32", segment, 31)
        low = f.op("and", "i32", j, segment)
        top = f.op("or", "i32", low, f.op("and", "i32", clamp, other))
        if mode == "up":
            src = f.op("sub", "i32", j, b)
            ok = f.cmp("sge", "i32", src, top)
        else:
            src = f.op("add", "i32", j, b) if mode == "down" else f.op("xor", "i32", j, b) if mode == "bfly" else f.op("or", "i32", low, f.op("and", "i32", b, other))
            ok = f.cmp("sle", "i32", src, top)
        src = f.select(ok, "i32", src, j)
        w.give(j, 0, w.arg(src, 1))
        w.give(j, 1, f.put(f"zext i1 {ok} to i32"))


def _shfl(f: Fn, w: _Lanes, i: Instr) -> None:
    """The shuffle of the tile compiler: a lane out of range, or not taking part, gives one's own value."""
    mode = i.attr("mode")
    with w.each() as j:
        b = w.arg(j, 1)
        src = {"up": lambda: f.op("sub", "i32", j, b), "down": lambda: f.op("add", "i32", j, b), "bfly": lambda: f.op("xor", "i32", j, b), "idx": lambda: b}[mode]()
        ok = f.cmp("ult", "i32", src, 32)
        src = f.select(ok, "i32", src, j)
        there = f.op("and", "i32", f.op("lshr", "i32", "%members", src), 1)
        src = f.select(f.cmp("ne", "i32", there, 0), "i32", src, j)
        w.give(j, 0, w.arg(src, 0))


def _ballot(f: Fn, w: _Lanes, n: int) -> str:
    out = f.var("i32", "0")
    with w.each() as j:
        out.set(f.op("or", "i32", out.get(), f.op("shl", "i32", w.arg(j, n), j)))
    return out.get()


def _ballot_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    bits = _ballot(f, w, 1)
    with w.each() as j:
        w.give(j, 0, bits)


def _vote(f: Fn, w: _Lanes, mode: str, n: int) -> None:
    bits = _ballot(f, w, n)
    some, full = f.cmp("ne", "i32", bits, 0), f.cmp("eq", "i32", bits, "%members")
    r = {"any": some, "all": full, "uni": f.op("or", "i1", full, f.op("xor", "i1", some, "true"))}[mode]
    out = f.put(f"zext i1 {r} to i32")
    with w.each() as j:
        w.give(j, 0, out)


def _vote_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    _vote(f, w, i.attr("mode", "any"), 1)


def _vote_any(f: Fn, w: _Lanes, i: Instr) -> None:
    _vote(f, w, "any", 0)


def _vote_all(f: Fn, w: _Lanes, i: Instr) -> None:
    _vote(f, w, "all", 0)


def _match_any_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    t = w.ty(i.args[1].type.elem)
    with w.each() as j:
        mine = w.arg(j, 1)
        out = f.var("i32")
        out.set("0")
        with w.each() as m:
            same = f.cmp("eq", t, w.arg(m, 1), mine)
            out.set(f.op("or", "i32", out.get(), f.op("shl", "i32", f.put(f"zext i1 {same} to i32"), m)))
        w.give(j, 0, out.get())


def _match_all_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    t = w.ty(i.args[1].type.elem)
    head = w.arg(w.first(), 1)
    same = f.var("i1", "true")
    with w.each() as j:
        same.set(f.op("and", "i1", same.get(), f.cmp("eq", t, w.arg(j, 1), head)))
    bits, flag = f.select(same.get(), "i32", "%members", "0"), f.put(f"zext i1 {same.get()} to i32")
    with w.each() as j:
        w.give(j, 0, bits)
        w.give(j, 1, flag)


REDUX = {"iadd": "add", "and": "and", "or": "or", "xor": "xor"}
REDUX_CALL = {"imin_s": "smin", "imax_s": "smax", "imin_u": "umin", "imax_u": "umax", "fmin": "minimum", "fmax": "maximum",
              "fminnum": "minimumnum", "fmaxnum": "maximumnum"}  # fmt: skip


def _redux_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    elem, fn = i.args[1].type.elem, i.attr("fn")
    t = NAMES[elem.name]
    acc, first = f.var(t), w.first()
    acc.set(w.arg(first, 1))
    with w.each() as j:
        with f.when(f.cmp("ne", "i32", j, first)):
            v = w.arg(j, 1)
            if fn in REDUX:
                acc.set(f.op(REDUX[fn], t, acc.get(), v))
            else:
                acc.set(f.call(t, f"llvm.{REDUX_CALL[fn]}.{SUFFIX[elem.name]}", [(t, acc.get()), (t, v)], declare=True))
    out = acc.get()
    with w.each() as j:
        w.give(j, 0, out)


def _elect_sync(f: Fn, w: _Lanes, i: Instr) -> None:
    first = w.first()
    with w.each() as j:
        w.give(j, 0, first)
        w.give(j, 1, f.put(f"zext i1 {f.cmp('eq', 'i32', j, first)} to i32"))


# ---- matrix products ------------------------------------------------------------------------------------------------


def _mma(f: Fn, w: _Lanes, i: Instr) -> None:
    """Gathers the fragments into matrices on the stack, multiplies row by row with n as the vector axis, scatters the result."""
    from ...ir import fragments
    from ...ir.ops.matrix import count, layouts

    attrs = dict(i.attrs)
    lay = layouts(attrs)
    m, n, k = fragments.shape_of(attrs["shape"])
    quads = attrs["shape"] == "m8n8k4" and attrs["a"] == "f16"
    integer = attrs["c"] == "s32"
    t = "i32" if integer else "double" if attrs["a"] == "f64" else "float"
    size = 8 if t == "double" else 4
    sparse = attrs.get("sparse")
    mats, at = {}, 1
    for x in "abc":
        rows, cols = lay[x]
        height, width = int(rows.max()) + 1, int(cols.max()) + 1
        place = f.var(f"[{height * width} x {t}]").place
        kind = attrs[x]
        per = max(1, rows.shape[1] // count(kind, rows.shape[1]))
        table = _index_table(f, w, rows * width + cols)
        with w.each() as j:
            for r in range(count(kind, rows.shape[1])):
                word = w.arg(j, at + r)
                for p in range(min(per, rows.shape[1] - r * per)):
                    v = _element(f, w, word, kind, p, t)
                    where = f.op("add", "i32", f.op("mul", "i32", j, rows.shape[1]), r * per + p)
                    f.store(t, v, place, f.op("mul", "i64", _at_table(f, table, where), size))
        mats[x] = (place, width)
        at += count(kind, rows.shape[1])
    if sparse is not None:
        mats["a"] = _dense(f, w, mats["a"], attrs["a"], k, at, sparse, t)
        at += 1
    if attrs.get("scale"):
        _multiply_scaled(f, w, attrs, mats, n, k, at)
    for q in range(0 if attrs.get("scale") else 4 if quads else 1):
        _multiply(f, w, i, attrs, mats, m, n, k, t, size, q)
    rows, cols = lay["d"]
    place, width = mats["c"]
    table = _index_table(f, w, rows * width + cols)
    kind = attrs["d"]
    per = max(1, rows.shape[1] // count(kind, rows.shape[1]))
    with w.each() as j:
        for r in range(count(kind, rows.shape[1])):
            parts = []
            for p in range(per):
                where = f.op("add", "i32", f.op("mul", "i32", j, rows.shape[1]), r * per + p)
                parts.append(f.load(t, place, f.op("mul", "i64", _at_table(f, table, where), size)))
            if per == 1:
                w.give(j, r, parts[0], t)
            else:
                low, high = (_half_bits(f, w, v, kind) for v in parts)
                w.give(j, r, f.op("or", "i32", low, f.op("shl", "i32", high, 16)), "i32")


def _index_table(f: Fn, w: _Lanes, places: Any) -> str:
    """A constant table of element numbers, one per lane and slot."""
    flat = ", ".join(f"i16 {int(v)}" for v in places.ravel())
    text = f"[{places.size} x i16] [ {flat} ]"
    helpers: dict[str, str] = w.lane.helpers
    for name, have in helpers.items():
        if name.startswith("table.") and have.endswith(text):
            return "@" + name
    name = f"table.{len(helpers)}"
    helpers[name] = f"@{name} = internal constant {text}"
    return "@" + name


def _at_table(f: Fn, table: str, index: str) -> str:
    v = f.load("i16", table, f.op("shl", "i64", f.widen(index), 1))
    return f.put(f"zext i16 {v} to i64")


def _element(f: Fn, w: _Lanes, word: str, kind: str, p: int, t: str) -> str:
    """Element p of a register as float, double or i32."""
    from ...ir.fragments import BITS

    if kind in ("f32", "f64", "s32"):
        return word
    if kind == "tf32":
        return f.put(f"bitcast i32 {f.op('and', 'i32', word, -8192)} to float")
    bits = BITS[kind]
    part = f.op("lshr", "i32", word, bits * p) if p else word
    if kind == "b1":
        return f.op("and", "i32", part, 1)
    if kind in ("f16", "bf16"):
        if kind == "bf16":
            return f.put(f"bitcast i32 {f.op('shl', 'i32', part, 16)} to float")
        half = f.put(f"bitcast i16 {f.put(f'trunc i32 {part} to i16')} to half")
        return f.put(f"fpext half {half} to float")
    if kind[0] in "su":
        up = f.op("shl", "i32", word, 32 - bits * (p + 1))
        return f.op("ashr" if kind[0] == "s" else "lshr", "i32", up, 32 - bits)
    return f.load("float", _float_table(w, kind), f.op("shl", "i64", f.widen(f.op("and", "i32", part, 255)), 2))


def _float_table(w: _Lanes, kind: str) -> str:
    """The 256 values of an 8-bit container."""
    import numpy as np

    from ...ir.ops.matrix import decode
    from ...ir.types import F32
    from .ops import float_text

    name = f"values.{kind}"
    if name not in w.lane.helpers:
        values = decode(np.arange(256, dtype=np.uint32), kind)
        w.lane.helpers[name] = f"@{name} = internal constant [256 x float] [ {', '.join('float ' + float_text(F32, float(v)) for v in values)} ]"
    return "@" + name


def _dense(f: Fn, w: _Lanes, a: tuple[str, int], kind: str, k: int, meta: int, selector: int, t: str) -> tuple[str, int]:
    """A sparse A spread out by its metadata (`ir/ops/matrix.py`, `positions`)."""
    import numpy as np

    from ...ir.fragments import BITS, metadata

    place, width = a
    dense = f.var(f"[{16 * k} x {t}]").place
    f.line(f"store [{16 * k} x {t}] zeroinitializer, ptr {dense}")
    nibbles, bits = metadata(k, kind, selector), BITS[kind]
    columns = [(n.lane, n.shift, n.row * width + n.stored, n.row * k + n.column) for n in nibbles]
    lanes, shifts, sources, targets = (_index_table(f, w, np.array(c)) for c in zip(*columns))
    pair = 2 if bits == 4 else 1  # elements that one index places
    with f.count(str(len(nibbles))) as c:
        lane, shift, source, target = (_at_table(f, table, c) for table in (lanes, shifts, sources, targets))
        word = w.arg(f.put(f"trunc i64 {lane} to i32"), meta)
        nibble = f.op("and", "i32", f.op("lshr", "i32", word, f.put(f"trunc i64 {shift} to i32")), 15)
        if bits == 32:
            indices = [f.put(f"zext i1 {f.cmp('eq', 'i32', nibble, 14)} to i32")]
        else:
            indices = [f.op("and", "i32", nibble, 3), f.op("lshr", "i32", nibble, 2)]
        for e in range(len(indices) * pair):
            v = f.load(t, place, f.op("shl", "i64", f.op("add", "i64", source, e), 2))
            index = f.op("mul", "i32", indices[e // pair], pair) if pair > 1 else indices[e]
            to = f.op("add", "i64", f.op("add", "i64", target, f.widen(index)), e % pair)
            f.store(t, v, dense, f.op("shl", "i64", to, 2))
    return dense, k


def _multiply_scaled(f: Fn, w: _Lanes, attrs: dict[str, Any], mats: dict[str, tuple[str, int]], n: int, k: int, at: int) -> None:
    """C += A·B, each product times the scales of its chunk: in double, where products with their scales are exact and a sum that is rounded
    again to f32 is what one rounding gives (24 bits and at most 16 meet within 53, or too far apart to matter)."""
    import numpy as np

    (a, wa), (b, wb), (c, wc) = mats["a"], mats["b"], mats["c"]
    vec, values = int(attrs["vec"]), _double_table(w, attrs["scale"])
    wide, narrow = f"<{n} x double>", f"<{n} x float>"
    r = np.arange(16)
    places = []
    for operand, lanes in ((at, 4 * (r % 8) + r // 8), (at + 1, 4 * np.arange(n))):  # chunk by chunk, the scales of rows, of columns
        place = f.var(f"[{vec * len(lanes)} x double]").place
        table = _index_table(f, w, lanes)
        with f.count(str(len(lanes))) as line:
            word = w.arg(f.put(f"trunc i64 {_at_table(f, table, line)} to i32"), operand)
            for j in range(vec):
                byte = f.op("and", "i32", f.op("lshr", "i32", word, 8 * j) if j else word, 255)
                v = f.load("double", values, f.op("shl", "i64", f.widen(byte), 3))
                f.store("double", v, place, f.op("shl", "i64", f.widen(f.op("add", "i32", line, j * len(lanes))), 3))
        places.append(place)
    with f.count("16") as row:
        crow = f.at(c, f.op("mul", "i64", f.widen(row), 4 * wc))
        acc = f.var(narrow)
        acc.set(f.put(f"load {narrow}, ptr {crow}, align 4"))
        for j in range(vec):
            scale = f.load("double", places[0], f.op("shl", "i64", f.widen(f.op("add", "i32", row, 16 * j)), 3))
            columns = f.put(f"load {wide}, ptr {f.at(places[1], str(8 * n * j))}, align 8")
            scales = f.op("fmul", wide, _splat(f, scale, "double", n), columns)
            with f.count(str(k // vec)) as step:
                kk = f.op("add", "i32", step, j * (k // vec))
                x = f.load("float", a, f.op("shl", "i64", f.widen(f.op("add", "i32", f.op("mul", "i32", row, wa), kk)), 2))
                ys = f.put(f"load {narrow}, ptr {f.at(b, f.op('mul', 'i64', f.widen(kk), 4 * wb))}, align 4")
                xs, ys = f.put(f"fpext {narrow} {_splat(f, x, 'float', n)} to {wide}"), f.put(f"fpext {narrow} {ys} to {wide}")
                p = f.op("fmul", wide, f.op("fmul", wide, xs, ys), scales)
                total = f.op("fadd", wide, f.put(f"fpext {narrow} {acc.get()} to {wide}"), p)
                acc.set(f.put(f"fptrunc {wide} {total} to {narrow}"))
        f.line(f"store {narrow} {acc.get()}, ptr {crow}, align 4")


def _splat(f: Fn, x: str, t: str, n: int) -> str:
    one = f.put(f"insertelement <{n} x {t}> poison, {t} {x}, i64 0")
    return f.put(f"shufflevector <{n} x {t}> {one}, <{n} x {t}> poison, <{n} x i32> zeroinitializer")


def _double_table(w: _Lanes, kind: str) -> str:
    """The 256 values of a scale."""
    import numpy as np

    from ...ir.ops.matrix import decode
    from ...ir.types import F64
    from .ops import float_text

    name = f"scales.{kind}"
    if name not in w.lane.helpers:
        values = decode(np.arange(256, dtype=np.uint32), kind)
        w.lane.helpers[name] = f"@{name} = internal constant [256 x double] [ {', '.join('double ' + float_text(F64, float(v)) for v in values)} ]"
    return "@" + name


def _directed(f: Fn, w: _Lanes, i: Instr, acc: str, xs: str, ys: str, n: int) -> str:
    """xs·ys + acc in double, element by element, rounded as the instruction says."""
    from ...ir.types import F64
    from .directed import rounding

    helper = rounding(w.lane, "ffma", i.attr("rnd"), F64, F64, 3, i)
    for e in range(n):
        parts = ", ".join(f"double {f.put(f'extractelement <{n} x double> {v}, i64 {e}')}" for v in (xs, ys, acc))
        acc = f.put(f"insertelement <{n} x double> {acc}, double {f.put(f'call double @{helper}({parts})')}, i64 {e}")
    return acc


def _multiply(f: Fn, w: _Lanes, i: Instr, attrs: dict[str, Any], mats: dict[str, tuple[str, int]], m: int, n: int, k: int, t: str, size: int,
              q: int) -> None:  # fmt: skip
    """C += A·B for rows 8q … of a quad pair, or the whole."""
    (a, wa), (b, wb), (c, wc) = mats["a"], mats["b"], mats["c"]
    vec = f"<{n} x {t}>"
    base_row = 8 * q
    with f.count(str(m)) as row0:
        row = f.op("add", "i32", row0, base_row) if base_row else row0
        crow = f.at(c, f.op("mul", "i64", f.widen(row), wc * size))
        acc = f.var(vec)
        acc.set(f.put(f"load {vec}, ptr {crow}, align {size}"))
        wide = f.var(f"<{n} x i64>") if attrs.get("sat") else None
        if wide is not None:
            wide.set(f.put(f"sext {vec} {acc.get()} to <{n} x i64>"))
        with f.count(str(k)) as kk:
            x = f.load(t, a, f.op("mul", "i64", f.widen(f.op("add", "i32", f.op("mul", "i32", row, wa), kk)), size))
            xs = _splat(f, x, t, n)
            at = f.op("mul", "i64", f.widen(f.op("add", "i32", f.op("mul", "i32", kk, wb), 8 * q)), size)
            ys = f.put(f"load {vec}, ptr {f.at(b, at)}, align {size}")
            if attrs.get("bop"):
                acc.set(f.op("add", vec, acc.get(), f.op("xor" if attrs["bop"] == "xor" else "and", vec, xs, ys)))
            elif t == "i32" and wide is not None:
                p = f.op("mul", f"<{n} x i64>", f.put(f"sext {vec} {xs} to <{n} x i64>"), f.put(f"sext {vec} {ys} to <{n} x i64>"))
                wide.set(f.op("add", f"<{n} x i64>", wide.get(), p))
            elif t == "i32":
                acc.set(f.op("add", vec, acc.get(), f.op("mul", vec, xs, ys)))
            elif attrs.get("rnd"):
                acc.set(_directed(f, w, i, acc.get(), xs, ys, n))
            else:
                acc.set(f.call(vec, f"llvm.fma.v{n}f{8 * size}", [(vec, xs), (vec, ys), (vec, acc.get())], declare=True))
        if wide is not None:
            v = wide.get()
            big = f"<{n} x i64>"
            for name, bound in (("smax", -(1 << 31)), ("smin", (1 << 31) - 1)):
                v = f.call(big, f"llvm.{name}.v{n}i64", [(big, v), (big, f"splat (i64 {bound})")], declare=True)
            acc.set(f.put(f"trunc {big} {v} to {vec}"))
        f.line(f"store {vec} {acc.get()}, ptr {crow}, align {size}")


def _half_bits(f: Fn, w: _Lanes, v: str, kind: str) -> str:
    """A float rounded to f16 or bf16, as the low bits of an i32."""
    nan = f.put(f"fcmp uno float {v}, {v}")
    if kind == "f16":
        bits = _f16_bits(f, v)
    else:
        raw = f.put(f"bitcast float {v} to i32")
        lsb = f.op("and", "i32", f.op("lshr", "i32", raw, 16), 1)
        bits = f.op("lshr", "i32", f.op("add", "i32", raw, f.op("add", "i32", lsb, 32767)), 16)
    return f.select(nan, "i32", "32767", bits)


def _f16_bits(f: Fn, v: str) -> str:
    half = f.put(f"fptrunc float {v} to half")
    short = f.put(f"bitcast half {half} to i16")
    return f.put(f"zext i16 {short} to i32")
