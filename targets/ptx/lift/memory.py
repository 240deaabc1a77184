"""Loads, stores, atomics, copies, hints (PTX ISA 9.7.9.8–18, 9.7.9.25, 9.7.13.5–7, 9.7.17)."""
from __future__ import annotations

from typing import Any

from ....ir.instr import Value
from ....ir.types import I16, I32, I64, Scalar
from ..syntax import Address, Sink, Sym, Vec
from .alu import halves, joined
from .convert import space_of
from .core import BYTES, Body, X, ir_type, lifts

SCOPES = ("cta", "cluster", "gpu", "sys")
HINTS = ("L1::", "L2::", "level::")
COPS = ("ca", "cg", "cs", "lu", "cv", "wb", "wt")


def drop_hints(x: X) -> bool:
    """Cache hints change nothing that can be seen; says whether a cache-policy operand follows."""
    policy = "L2::cache_hint" in x.words
    x.words = [w for w in x.words if not w.startswith(HINTS)]
    x.pick(*COPS)
    return policy


def ordering(x: X) -> dict[str, Any]:
    """weak, volatile, relaxed.gpu … as attributes."""
    attrs: dict[str, Any] = {}
    if x.flag("volatile") or x.flag("mmio"):
        attrs["volatile"] = True
    order = x.pick("weak", "relaxed", "acquire", "release", "acq_rel", "sc")
    if order and order != "weak":
        attrs["order"] = order
    scope = x.pick(*SCOPES)
    if scope and order:
        attrs["scope"] = scope
    return attrs


def items_of(o: Any) -> tuple[Any, ...]:
    return o.items if isinstance(o, Vec) else (o,)


def reachable(b: Body, space: str, base: Value) -> Value:
    """A base of the width that its space has."""
    if space in ("shared", "local", "cluster"):
        return b.resize(base, I32)
    return b.resize(base, I64)


def access(x: X, n: int, space: str) -> tuple[str, Value, int]:
    b = x.b
    where, base, disp = b.memory(x.operand(n), space)
    return where, reachable(b, where, base), disp


def origin(space: str, kind: str = "") -> dict[str, Any]:
    """Attributes of a copy whose names are words of Python."""
    return {"from": space, "async": kind} if kind else {"from": space}


def _slot(x: X, n: int) -> Any:
    """The slot of a `.param` variable that operand n addresses by name, with the offset; or None."""
    o = x.operand(n)
    if isinstance(o, Address) and isinstance(o.base, Sym) and o.base.decl is not None and o.base.decl.space == "param":
        return x.b.slot(o.base.decl), o.offset
    return None


@lifts("ld", "ldu")
def ld(x: X) -> None:
    b = x.b
    space = _param_space(x)
    attrs = ordering(x)
    x.flag("nc")
    drop_hints(x)
    x.flag("unified")
    x.pick("v2", "v4", "v8")
    t = x.type()
    ty = ir_type(t)
    items = items_of(x.operand(0))
    found = _slot(x, 1)
    if found is not None and found[0].pieces is not None:
        slot, offset = found
        for k, o in enumerate(items):
            word = ir_type(f"b{8 * BYTES[t]}")
            x.put(o, b.cast(b.read((slot.key, offset + k * BYTES[t]), word), ty), t[0] == "s")
        return
    where, base, disp = access(x, 1, space)
    old = [b.const(ty, 0)] * len(items) if x.guard is not None else []
    r = b.make("ld", base, guard=x.guard, old=old, to=ty, space=where, count=len(items) if len(items) > 1 else None, disp=disp or None, **attrs)
    for o, v in zip(items, (r,) if len(items) == 1 else r):
        x.put(o, v, t[0] == "s")


def _param_space(x: X) -> str:
    for word in ("param::entry", "param::func"):
        if x.flag(word):
            return "param"
    return space_of(x)


@lifts("st")
def st(x: X) -> None:
    b = x.b
    if x.flag("bulk"):
        _st_bulk(x)
        return
    if x.flag("async"):
        _st_async(x)
        return
    space = _param_space(x)
    attrs = ordering(x)
    drop_hints(x)
    x.pick("v2", "v4", "v8")
    t = x.type()
    ty = ir_type(t)
    items = items_of(x.operand(1))
    found = _slot(x, 0)
    if found is not None and found[0].pieces is not None:
        slot, offset = found
        for k, o in enumerate(items):
            key, v = (slot.key, offset + k * BYTES[t]), b.bits(b.source(o, t))
            b.write(key, v if x.guard is None else b.make("select", x.guard, v, b.read(key, v.type.elem)))
        return
    where, base, disp = access(x, 0, space)
    values = [b.const(ty, 0) if isinstance(o, Sink) else b.source(o, t) for o in items]
    b.make("st", base, *values, guard=x.guard, to=ty, space=where, count=len(items) if len(items) > 1 else None, disp=disp or None, **attrs)


def _st_bulk(x: X) -> None:
    b = x.b
    x.flag("weak")
    space = space_of(x)
    where, base, disp = access(x, 0, space)
    base = base if not disp else b.make("iadd", base, b.const(base.type, disp))
    n = b.resize(x.src(1, "u64"), I64)
    if base.type is I32:
        base, where = b.make("to_generic", base, space=where), "generic"
    b.make("copy", base, b.const(I64, 0), b.const(I32, 0), n, guard=x.guard, to=where, **origin("generic"))


def _st_async(x: X) -> None:
    b = x.b
    space, attrs = space_of(x), ordering(x)
    tx = x.flag("mbarrier::complete_tx::bytes")
    x.pick("v2", "v4")
    t = x.type()
    items = items_of(x.operand(1))
    where, base, disp = access(x, 0, space)
    values = [b.source(o, t) for o in items]
    b.make("st", base, *values, guard=x.guard, to=ir_type(t), space=where, count=len(items) if len(items) > 1 else None, disp=disp or None, **attrs)
    if tx:
        mbarrier(x, "complete_tx", 2, space, b.const(I32, BYTES[t] * len(items)))


def mbarrier(x: X, fn: str, n: int, space: str, *args: Value) -> Any:
    b = x.b
    where, base, disp = access(x, n, space)
    guard = x.guard if fn in ("init", "inval", "expect_tx", "complete_tx") else None
    return b.make("mbarrier", base, *args, guard=guard, fn=fn, space=where, disp=disp or None)


# ---- atomics --------------------------------------------------------------------------------------------------------

ATOMICS = {"add": "iadd", "and": "and", "or": "or", "xor": "xor", "exch": "exch", "cas": "cas", "inc": "inc", "dec": "dec"}


def _fn(x: X, name: str, t: str) -> str:
    if t[0] in "fb" and t not in ("b16", "b32", "b64", "b128"):
        return {"add": "fadd", "min": "fminnum", "max": "fmaxnum", "exch": "exch", "cas": "cas"}[name]
    if name in ("min", "max"):
        return f"i{name}_{'s' if t[0] == 's' else 'u'}"
    return ATOMICS[name]


@lifts("atom", "red")
def atom(x: X) -> None:
    b = x.b
    tx = x.flag("async") and x.flag("mbarrier::complete_tx::bytes")
    space, attrs = space_of(x), ordering(x)
    attrs.setdefault("order", "relaxed")
    x.pick(*SCOPES)
    name = x.need(*ATOMICS, "min", "max")
    x.flag("noftz")
    drop_hints(x)
    x.pick("v2", "v4", "v8")
    t = x.type()
    first = 1 if x.name == "atom" else 0
    where, base, disp = access(x, first, space)
    dests = items_of(x.operand(0)) if first else ()
    sources = items_of(x.operand(first + 1))
    pair = t in ("f16x2", "bf16x2")
    elem = t[:-2] if pair else t
    ty = ir_type(elem)
    step = BYTES[elem]
    at, olds = disp, []
    for k, o in enumerate(sources):
        v = b.source(o, "b32" if pair else t)
        parts = [b.cast(h, ty) for h in halves(b, v)] if pair else [v]
        old = []
        for p in parts:
            args = [p, b.source(x.operand(first + 2), t)] if name == "cas" else [p]
            old.append(_atomic(x, first == 1, where, base, args, ty, _fn(x, name, elem), at, attrs))
            at += step
        if first:
            olds.append(joined(b, *(b.bits(v) for v in old)) if pair else old[0])
        _ = k
    for o, v in zip(dests, olds):
        x.put(o, v)
    if tx:
        mbarrier(x, "complete_tx", 2, space, b.const(I32, step))


def _atomic(x: X, result: bool, where: str, base: Value, args: list[Value], ty: Scalar, fn: str, disp: int, attrs: dict[str, Any]) -> Value:
    b = x.b
    if not result:
        b.make("red", base, *args, guard=x.guard, to=ty, fn=fn, space=where, disp=disp or None, **attrs)
        return args[0]
    old = [b.const(ty, 0)] if x.guard is not None else []
    return b.make("atom", base, *args, guard=x.guard, old=old, to=ty, fn=fn, space=where, disp=disp or None, **attrs)  # type: ignore[no-any-return]


# ---- hints ----------------------------------------------------------------------------------------------------------


@lifts("prefetch", "prefetchu", "applypriority")
def nothing(x: X) -> None:
    x.words.clear()


@lifts("discard")
def discard(x: X) -> None:
    """The contents become undefined; keeping them is one choice."""
    x.words.clear()


@lifts("createpolicy")
def createpolicy(x: X) -> None:
    x.words.clear()
    x.dst(0, x.b.const(I64, 0))


# ---- asynchronous copies --------------------------------------------------------------------------------------------


@lifts("cp")
def cp(x: X) -> None:
    b = x.b
    reduce = x.flag("reduce")
    if "tensor" in x.words or any(w.startswith("tensor") for w in x.words):
        raise b.fail(f"{x.i.name}: tensor copies are not executed yet", "see `ptxjit doctor --ptx-coverage`")
    if not x.flag("async"):
        raise x.bad("only asynchronous copies exist")
    if x.flag("bulk"):
        _bulk(x, reduce)
    elif x.flag("commit_group"):
        b.make("async_wait", kind="commit", n=0)
    elif x.flag("wait_group"):
        b.make("async_wait", kind="wait", n=x.number(0))
    elif x.flag("wait_all"):
        b.make("async_wait", kind="commit", n=0)
        b.make("async_wait", kind="wait", n=0)
    elif x.flag("mbarrier"):
        _copy_arrive(x)
    else:
        _copy(x)


def flat(b: Body, base: Value, disp: int) -> Value:
    return b.make("iadd", base, b.const(base.type, disp)) if disp else base


def _copy(x: X) -> None:
    """cp.async: cp-size bytes, of which src-size are read and the rest are zero."""
    b = x.b
    policy = drop_hints(x)
    spaces = [w for w in x.words]
    x.words.clear()
    if not spaces or not spaces[0].startswith("shared") or spaces[-1] != "global":
        raise x.bad("copies go from global to shared memory")
    to, dst, ddisp = access(x, 0, "shared")
    source, src, sdisp = access(x, 1, "global")
    size = x.number(2)
    if size not in (4, 8, 16):
        raise x.bad("4, 8 or 16 bytes are copied")
    extra = x.count - 3 - policy
    read = b.const(I32, size)
    if extra > 0:
        o = x.operand(3)
        decl = getattr(o, "decl", None)
        if decl is not None and decl.type == "pred":
            read = b.make("select", b.source(o, "pred"), b.const(I32, 0), read)
        else:
            read = b.make("imin_u", x.src(3, "u32"), read)
    b.make("copy", flat(b, dst, ddisp), flat(b, src, sdisp), read, to=to, bytes=size, **origin(source, "group"))


def _copy_arrive(x: X) -> None:
    """cp.async.mbarrier.arrive: the copies of this thread so far will arrive (`copies`).  They are complete here; without .noinc the pending
    count is first raised by one, so that nothing changes for the others."""
    x.flag("arrive")
    noinc, space = x.flag("noinc"), space_of(x)
    x.type()
    mbarrier(x, "copies", 0, space)
    if noinc:
        mbarrier(x, "arrive", 0, space, x.b.const(I32, 1))


def _bulk(x: X, reduce: bool) -> None:
    b = x.b
    if x.flag("commit_group"):
        b.make("async_wait", kind="bulk_commit", n=0)
        return
    if x.flag("wait_group"):
        x.flag("read")
        b.make("async_wait", kind="bulk_wait", n=x.number(0))
        return
    if x.flag("prefetch"):
        x.words.clear()
        return
    policy = drop_hints(x)
    tx, group = x.flag("mbarrier::complete_tx::bytes"), x.flag("bulk_group")
    multicast, masked = x.flag("multicast::cluster"), x.flag("cp_mask")
    name, t = "", ""
    if reduce:
        name = x.need(*ATOMICS, "min", "max")
        x.flag("noftz")
        t = x.type()
    spaces = []
    for word in list(x.words):
        head = word.partition("::")[0]
        if head in ("shared", "global"):
            spaces.append("cluster" if word == "shared::cluster" else head)
            x.words.remove(word)
    dst_space, src_space = spaces
    to, dst, ddisp = access(x, 0, dst_space)
    source, src, sdisp = access(x, 1, src_space)
    n = x.src(2, "u32")
    dst, src = flat(b, dst, ddisp), flat(b, src, sdisp)
    kind = "mbarrier" if tx else "bulk"
    if masked:
        if reduce or multicast or (dst_space, src_space) != ("global", "shared"):
            raise x.bad("only copies from shared to global memory take a byte mask")
        b.make("copy", dst, src, n, b.resize(x.src(3 + policy, "u16"), I32), to=to, masked=True, **origin(source, kind))
    elif reduce:
        b.make("copy", dst, src, n, to=to, fn=_fn(x, name, t), elem=ir_type(t), **origin(source, kind))
    elif multicast:
        mask = x.src(4, "u16")
        for rank in range(16):
            there = b.make("icmp", b.both(b.make("shr_u", mask, b.const(I16, rank)), b.const(I16, 1)), b.const(I16, 0), pred="ne")
            far = other(b, dst, rank)
            b.make("copy", far, src, n, guard=there, to="cluster", **origin(source, kind))
            bar_space, bar, bdisp = access(x, 3, "cluster")
            b.make("mbarrier", other(b, flat(b, bar, bdisp), rank), n, guard=there, fn="complete_tx", space="cluster")
            _ = bar_space
        return
    else:
        b.make("copy", dst, src, n, to=to, **origin(source, kind))
    if tx:
        mbarrier(x, "complete_tx", 3, dst_space, n)
    _ = (group, policy)


def other(b: Body, address: Value, rank: int) -> Value:
    low = b.both(address, b.const(I32, 0xFFFFFF))
    return b.either(low, b.const(I32, (rank + 1) << 24))


# ---- stack ----------------------------------------------------------------------------------------------------------


@lifts("alloca")
def alloca(x: X) -> None:
    t = x.type()
    n = x.b.resize(x.src(1, t), I64)
    align = x.number(2) if x.count > 2 else 8
    at = x.b.make("alloca", n, align=align)
    x.dst(0, x.b.resize(x.b.make("from_generic", at, space="local"), ir_type(t)))


@lifts("stacksave")
def stacksave(x: X) -> None:
    t = x.type()
    x.dst(0, x.b.const(ir_type(t), 0))


@lifts("stackrestore")
def stackrestore(x: X) -> None:
    """What was allocated stays until the thread ends."""
    x.type()
