"""Accesses of a warp whose addresses are not known to have a shape, as functions of a module: memory that turns out to be in a row at once, then by
groups of 8 lanes, then lane by lane in ascending order; and read-modify-write without locks."""
from __future__ import annotations

from ...ir.instr import Instr
from ...ir.types import Scalar
from .asm import Fn
from .dispatch import Lane
from .ops import NAMES

REDUCED = {"iadd": "add", "and": "and", "or": "or", "xor": "xor", "imin_s": "smin", "imax_s": "smax", "imin_u": "umin", "imax_u": "umax"}
ALONE = frozenset((*REDUCED, "exch", "cas", "fadd"))


def alone(e: Lane, p: str, fn: str, elem: Scalar, texts: list[str]) -> str:
    """A read-modify-write at a pointer that no other thread of the machine can see half done; the old value."""
    t = NAMES[elem.name]
    old = e.put(f"load {t}, ptr {p}, align {elem.bytes}")
    if fn == "exch":
        new = texts[0]
    elif fn == "cas":
        w = f"i{elem.bits}"
        a, b = (e.put(f"bitcast {t} {x} to {w}") if t != w else x for x in (old, texts[0]))
        new = e.put(f"select i1 {e.put(f'icmp eq {w} {a}, {b}')}, {t} {texts[1]}, {t} {old}")
    elif fn == "fadd":
        new = e.put(f"fadd {t} {old}, {texts[0]}")
    elif fn[:4] in ("imin", "imax"):
        new = e.put(e.call(f"llvm.{REDUCED[fn]}.{t}", t, [(t, old), (t, texts[0])]))
    else:
        new = e.put(f"{REDUCED[fn]} {t} {old}, {texts[0]}")
    e.lines.append(f"  store {t} {new}, ptr {p}, align {elem.bytes}")
    return old


def atomics(name: str, i: Instr, fn: str, elem: Scalar, count: int, asked: bool, declared: set[str], helpers: dict[str, str], w: int) -> str:
    """lanes.atomic: the active lanes in ascending order; all of them on memory of this thread's block without looking for them."""
    t = NAMES[elem.name]
    own = i.attr("space", "global") == "shared" and fn in ALONE and elem.bits >= 32  # the block runs on this thread
    inner = Lane.__new__(Lane)
    inner.declared, inner.helpers, inner.lines, inner.n, inner.w = declared, helpers, [], 0, 1
    inner.local_vals, inner.vals, inner.crossing = {}, {}, {}

    def one(lane: str) -> str:
        values = [inner.put(f"load {t}, ptr {inner.put(f'getelementptr {t}, ptr %o{k}, i64 {lane}')}") for k in range(count)]
        a = inner.put(f"load i64, ptr {inner.put(f'getelementptr i64, ptr %addresses, i64 {lane}')}")
        p = inner.put(f"inttoptr i64 {a} to ptr")
        return alone(inner, p, fn, elem, values) if own else Lane.atomic(inner, i, p, fn, elem, values)

    start = ["  br label %head"]
    if own and not asked:
        for k in range(8):
            one(inner.put(f"add i64 %at, {k}"))
        start = [f"  %full = icmp eq i32 %mask, {(1 << w) - 1}", "  br i1 %full, label %all, label %head", "all:", "  %at = phi i64 [ 0, %entry ], [ %on, %all ]", *inner.lines,
                 "  %on = add i64 %at, 8", f"  %done = icmp eq i64 %on, {w}", "  br i1 %done, label %out, label %all"]  # fmt: skip
        inner.lines = []
    result = one("%i")
    keep = [f"  %qo = getelementptr {t}, ptr %old, i64 %i", f"  store {t} {result}, ptr %qo"] if asked else []
    declared.add("declare i32 @llvm.cttz.i32(i32, i1)")
    return "\n".join([
        f"define internal void @{name}(ptr %addresses, i32 %mask, ptr %old{''.join(f', ptr %o{k}' for k in range(count))}) noinline #0 {{", "entry:", *start,
        "head:", "  %left = phi i32 [ %mask, %entry ], [ %rest, %body ]", "  %some = icmp ne i32 %left, 0", "  br i1 %some, label %body, label %out", "body:",
        "  %k = call i32 @llvm.cttz.i32(i32 %left, i1 true)", "  %less = sub i32 %left, 1", "  %rest = and i32 %left, %less",
        "  %i = zext i32 %k to i64", *inner.lines, *keep, "  br label %head", "out:", "  ret void", "}"])  # fmt: skip


def in_a_row(size: int, w: int) -> list[str]:
    """%fits: the active lanes' addresses (%a) follow one another from an active lane 0; %p is its pointer."""
    steps, t, m = ", ".join(f"i64 {size * k}" for k in range(w)), f"<{w} x i64>", f"<{w} x i1>"
    return [f"  %first = extractelement {t} %a, i64 0", f"  %one = insertelement {t} poison, i64 %first, i64 0",
            f"  %all = shufflevector {t} %one, {t} poison, <{w} x i32> zeroinitializer", f"  %want = add {t} %all, <{steps}>",
            *([f"  %m = bitcast i32 %mask to {m}"] if w == 32 else [f"  %cut = trunc i32 %mask to i{w}", f"  %m = bitcast i{w} %cut to {m}"]),
            f"  %same = icmp eq {t} %a, %want", f"  %idle = xor {m} %m, splat (i1 true)",
            f"  %good = or {m} %same, %idle", f"  %bits = bitcast {m} %good to i{w}", f"  %run = icmp eq i{w} %bits, -1",
            "  %odd = trunc i32 %mask to i1", "  %fits = and i1 %run, %odd", "  %p = inttoptr i64 %first to ptr",
            f"  %addresses = alloca {t}, align 64"]  # fmt: skip


def any_load(m: str, size: int, wide: bool, declared: set[str], w: int) -> str:
    """lanes.load: a row of memory at once, anything else by `lanes.gather`."""
    t, mask = f"<{w} x {m}>", f"<{w} x i1>"
    suffix = {"half": "f16", "float": "f32", "double": "f64"}.get(m, m)
    if wide:
        declared.add(f"declare {t} @llvm.masked.load.v{w}{suffix}.p0(ptr, {mask}, {t})")
        row = [f"  %x = call {t} @llvm.masked.load.v{w}{suffix}.p0(ptr align {size} %p, {mask} %m, {t} %old)"]
    else:  # the whole row, if all of it is asked for
        row = [f"  %x = load {t}, ptr %p, align {size}"]
    return "\n".join([
        f"define internal {t} @lanes{w}.load.{m}(<{w} x i64> %a, i32 %mask, {t} %old) noinline #0 {{", "entry:", *in_a_row(size, w), f"  %data = alloca {t}, align 64",
        *([] if wide else [f"  %full = icmp eq i32 %mask, {(1 << w) - 1}"]), f"  %go = and i1 %fits, {'true' if wide else '%full'}",
        "  br i1 %go, label %row, label %each", "row:", *row, f"  ret {t} %x",
        "each:", f"  store <{w} x i64> %a, ptr %addresses, align 64", f"  store {t} %old, ptr %data, align 64",
        f"  call void @lanes{w}.gather.{m}(ptr %addresses, i32 %mask, ptr %data)", f"  %y = load {t}, ptr %data, align 64", f"  ret {t} %y", "}"])  # fmt: skip


def any_store(m: str, size: int, wide: bool, declared: set[str], w: int) -> str:
    """lanes.store: a row of memory at once, anything else by `lanes.scatter`."""
    t, mask = f"<{w} x {m}>", f"<{w} x i1>"
    suffix = {"half": "f16", "float": "f32", "double": "f64"}.get(m, m)
    if wide:
        declared.add(f"declare void @llvm.masked.store.v{w}{suffix}.p0({t}, ptr, {mask})")
    row = f"  call void @llvm.masked.store.v{w}{suffix}.p0({t} %x, ptr align {size} %p, {mask} %m)" if wide else f"  store {t} %x, ptr %p, align {size}"
    return "\n".join([
        f"define internal void @lanes{w}.store.{m}(<{w} x i64> %a, i32 %mask, {t} %x) noinline #0 {{", "entry:", *in_a_row(size, w), f"  %data = alloca {t}, align 64",
        *([] if wide else [f"  %full = icmp eq i32 %mask, {(1 << w) - 1}"]), f"  %go = and i1 %fits, {'true' if wide else '%full'}",
        "  br i1 %go, label %row, label %each", "row:", row, "  ret void",
        "each:", f"  store <{w} x i64> %a, ptr %addresses, align 64", f"  store {t} %x, ptr %data, align 64",
        f"  call void @lanes{w}.scatter.{m}(ptr %addresses, i32 %mask, ptr %data)", "  ret void", "}"])  # fmt: skip


def each_lane(name: str, kind: str, m: str, size: int, declared: set[str], w: int) -> str:
    """gather or scatter through memory: by groups of 8 lanes, which often read a row, a place, or write a row (blocks that are narrower than
    a warp); else lane by lane, ascending."""
    f = Fn(f"define internal void @{name}(ptr %addresses, i32 %mask, ptr %data) noinline #0", declared)
    group, vec = "<8 x i64>", f"<8 x {m}>"
    suffix = {"half": "f16", "float": "f32", "double": "f64"}.get(m, m)
    align = min(size, 8)
    with f.count(str(w // 8)) as g:
        m8 = f.op("and", "i32", f.op("lshr", "i32", "%mask", f.op("shl", "i32", g, 3)), 255)
        with f.when(f.cmp("ne", "i32", m8, 0)):
            wide = f.widen(g)
            at = f.at("%addresses", f.op("shl", "i64", wide, 6))
            data = f.at("%data", f.op("mul", "i64", wide, 8 * size))
            v = f.put(f"load {group}, ptr {at}, align 64")
            first = f.put(f"extractelement {group} {v}, i64 0")
            splat = f.put(f"insertelement {group} poison, i64 {first}, i64 0")
            splat = f.put(f"shufflevector {group} {splat}, {group} poison, <8 x i32> zeroinitializer")
            bits = f.put(f"trunc i32 {m8} to i8")
            mask = f.put(f"bitcast i8 {bits} to <8 x i1>")
            idle = f.put(f"xor <8 x i1> {mask}, splat (i1 true)")
            leads = f.cmp("ne", "i32", f.op("and", "i32", m8, 1), 0)

            def fits(want: str, v: str = v, idle: str = idle, leads: str = leads) -> str:
                same = f.put(f"or <8 x i1> {f.put(f'icmp eq {group} {v}, {want}')}, {idle}")
                return f.op("and", "i1", f.cmp("eq", "i8", f.put(f"bitcast <8 x i1> {same} to i8"), -1), leads)

            todo = f.var("i32", m8)
            todo.set(m8)
            row = f.put(f"add {group} {splat}, <{', '.join(f'i64 {size * k}' for k in range(8))}>")
            with f.when(fits(row)):
                p = f.put(f"inttoptr i64 {first} to ptr")
                if kind == "gather":
                    declared.add(f"declare {vec} @llvm.masked.load.v8{suffix}.p0(ptr, <8 x i1>, {vec})")
                    old = f.put(f"load {vec}, ptr {data}, align {align}")
                    x = f.put(f"call {vec} @llvm.masked.load.v8{suffix}.p0(ptr align {align} {p}, <8 x i1> {mask}, {vec} {old})")
                    f.line(f"store {vec} {x}, ptr {data}, align {align}")
                else:
                    declared.add(f"declare void @llvm.masked.store.v8{suffix}.p0({vec}, ptr, <8 x i1>)")
                    x = f.put(f"load {vec}, ptr {data}, align {align}")
                    f.line(f"call void @llvm.masked.store.v8{suffix}.p0({vec} {x}, ptr align {align} {p}, <8 x i1> {mask})")
                todo.set("0")
            if kind == "gather":
                with f.when(f.op("and", "i1", fits(splat), f.cmp("ne", "i32", todo.get(), 0))):
                    one = f.put(f"load {m}, ptr {f.put(f'inttoptr i64 {first} to ptr')}, align {align}")
                    x = f.put(f"insertelement {vec} poison, {m} {one}, i64 0")
                    x = f.put(f"shufflevector {vec} {x}, {vec} poison, <8 x i32> zeroinitializer")
                    old = f.put(f"load {vec}, ptr {data}, align {align}")
                    f.line(f"store {vec} {f.put(f'select <8 x i1> {mask}, {vec} {x}, {vec} {old}')}, ptr {data}, align {align}")
                    todo.set("0")
            with f.loop(lambda: f.cmp("ne", "i32", todo.get(), 0)):
                left = todo.get()
                k = f.widen(f.call("i32", "llvm.cttz.i32", [("i32", left), ("i1", "true")], declare=True))
                todo.set(f.op("and", "i32", left, f.op("sub", "i32", left, 1)))
                p = f.put(f"inttoptr i64 {f.load('i64', at, f.op('shl', 'i64', k, 3))} to ptr")
                q = f.at(data, f.op("mul", "i64", k, size))
                source, target = (p, q) if kind == "gather" else (q, p)
                x = f.put(f"load {m}, ptr {source}, align {align}")
                f.line(f"store {m} {x}, ptr {target}, align {align}")
    f.line("ret void")
    return f.text()


def copies(declared: set[str], w: int) -> str:
    """lanes.copy: bytes from and to the lanes' addresses; a lane's 4, 8 or 16 bytes at once, which is what cp.async has."""
    t = f"<{w} x i64>"
    f = Fn(f"define internal void @lanes.copy({t} %d, {t} %s, {t} %r, {t} %t, i32 %mask) noinline #0", declared)
    places = {}
    for name in "dsrt":
        v = f.var(t)
        f.line(f"store {t} %{name}, ptr {v.place}, align 64")
        places[name] = v.place
    f.allocas = [line.replace("align 16", "align 64") for line in f.allocas]
    left = f.var("i32", "%mask")
    with f.loop(lambda: f.cmp("ne", "i32", left.get(), 0)):
        now = left.get()
        k = f.widen(f.call("i32", "llvm.cttz.i32", [("i32", now), ("i1", "true")], declare=True))
        left.set(f.op("and", "i32", now, f.op("sub", "i32", now, 1)))
        at = f.op("shl", "i64", k, 3)
        d, s, r, n = (f.load("i64", places[name], at) for name in "dsrt")
        to, source = (f.put(f"inttoptr i64 {x} to ptr") for x in (d, s))
        done = f.var("i1")
        done.set("false")
        for size in (16, 8, 4):
            whole = f.op("and", "i1", f.cmp("eq", "i64", n, size), f.cmp("eq", "i64", r, size))
            with f.when(whole):
                f.line(f"store i{8 * size} {f.put(f'load i{8 * size}, ptr {source}, align 1')}, ptr {to}, align 1")
                done.set("true")
        with f.when(f.op("xor", "i1", done.get(), "true")):
            f.call("void", "copy.bytes", [("ptr", to), ("ptr", source), ("i64", r), ("i64", n)])
    f.line("ret void")
    return f.text()
