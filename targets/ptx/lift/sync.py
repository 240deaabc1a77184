"""Barriers, fences, votes, shuffles, mbarriers (PTX ISA 9.7.9.5–6, 9.7.13)."""
from __future__ import annotations

from typing import Any

from ....ir.instr import Value
from ....ir.types import F32, I1, I32, I64, I128
from ..syntax import Pair, Sink
from .convert import space_of
from .core import X, lifts
from .floats import canonical
from .memory import SCOPES, access, flat, items_of, mbarrier, other

FULL = -1


@lifts("bar", "barrier")
def barrier(x: X) -> None:
    b = x.b
    if x.flag("warp"):
        x.flag("sync")
        b.make("warp_sync", x.src(0, "b32"))
        return
    if x.flag("cluster"):
        kind = x.need("arrive", "wait")
        x.pick("release", "acquire", "relaxed")
        b.make("cluster_barrier", kind=kind, aligned=x.flag("aligned") or None)
        return
    x.flag("cta")
    aligned = x.flag("aligned") or x.name == "bar"
    kind = x.need("sync", "arrive", "red")
    attrs: dict[str, Any] = {"aligned": aligned or None}
    if kind != "red":
        counted = x.count > 1
        args = [x.src(0, "u32")] + ([x.src(1, "u32")] if counted else [])
        b.make("named_barrier", *args, kind=kind, counted=counted or None, **attrs)
        return
    what = x.need("popc", "and", "or")
    x.types()
    counted = x.count > 3
    args = [x.src(1, "u32")] + ([x.src(2, "u32")] if counted else []) + [x.src(x.count - 1, "pred")]
    x.dst(0, b.make("named_barrier", *args, kind=what, counted=counted or None, **attrs))


@lifts("membar", "fence")
def fence(x: X) -> None:
    b = x.b
    order = x.pick("sc", "acq_rel", "acquire", "release") or ("sc" if x.name == "membar" else "acq_rel")
    scope = x.pick(*SCOPES, "gl")
    x.words = [w for w in x.words if not w.startswith(("proxy", "alias", "async", "sync_restrict", "op_restrict", "mbarrier_init", "tensormap", "global",
                                                       "shared", "generic"))]  # fmt: skip
    b.make("fence", order="sc" if order == "sc" else "acq_rel", scope="gpu" if scope == "gl" else scope or None)


def put_pair(x: X, o: Any, first: Value, second: Value) -> None:
    if isinstance(o, Pair):
        x.put(o.first, first)
        x.put(o.second, second)
    else:
        x.put(o, first)


@lifts("shfl")
def shfl(x: X) -> None:
    b = x.b
    sync, mode = x.flag("sync"), x.need("up", "down", "bfly", "idx")
    t = x.type()
    mask = x.src(4, "b32") if sync else b.make("activemask")
    v, p = b.make("shfl_sync", mask, b.bits(x.src(1, t)), x.src(2, "b32"), x.src(3, "b32"), mode=mode)
    put_pair(x, x.operand(0), v, p)


@lifts("vote")
def vote(x: X) -> None:
    b = x.b
    sync, mode = x.flag("sync"), x.need("all", "any", "uni", "ballot")
    x.types()
    mask = x.src(2, "b32") if sync else b.make("activemask")
    p = x.src(1, "pred")
    x.dst(0, b.make("ballot_sync", mask, p) if mode == "ballot" else b.make("vote_sync", mask, p, mode=mode))


@lifts("match")
def match(x: X) -> None:
    b = x.b
    mode = x.need("any", "all")
    x.flag("sync")
    t = x.type()
    mask, v = x.src(2, "b32"), x.src(1, t)
    if mode == "any":
        x.dst(0, b.make("match_any_sync", mask, v))
    else:
        put_pair(x, x.operand(0), *b.make("match_all_sync", mask, v))


@lifts("redux")
def redux(x: X) -> None:
    b = x.b
    x.flag("sync")
    name = x.need("add", "min", "max", "and", "or", "xor")
    magnitude, nan = x.flag("abs"), x.flag("NaN")
    t = x.type()
    v = x.src(1, t)
    if t == "f32":
        v = b.make("fabs", v) if magnitude else v
        fn = f"f{name}" + ("" if nan else "num")
    else:
        fn = {"add": "iadd", "min": f"imin_{t[0]}", "max": f"imax_{t[0]}"}.get(name, name)
    r = b.make("redux_sync", x.src(2, "b32"), v, fn=fn)
    x.dst(0, canonical(b, r, 32) if t == "f32" else r)


@lifts("activemask")
def activemask(x: X) -> None:
    x.type()
    x.dst(0, x.b.make("activemask"))


@lifts("elect")
def elect(x: X) -> None:
    x.flag("sync")
    put_pair(x, x.operand(0), *x.b.make("elect_sync", x.src(1, "b32")))


# ---- mbarrier -------------------------------------------------------------------------------------------------------


@lifts("mbarrier")
def mbarrier_(x: X) -> None:
    b = x.b
    x.pick("release", "acquire", "relaxed")
    x.pick(*SCOPES)
    what = x.need("init", "inval", "arrive", "arrive_drop", "test_wait", "try_wait", "pending_count", "expect_tx", "complete_tx")
    space = space_of(x)
    if what == "pending_count":
        x.type()
        state = x.src(1, "b64")
        x.dst(0, b.resize(b.both(b.make("shr_u", state, b.const(I64, 0)), b.const(I64, 0xFFFFF)), I32))
        return
    if what in ("init", "inval"):
        x.type()
        mbarrier(x, what, 0, space, *([x.src(1, "u32")] if what == "init" else []))
    elif what in ("arrive", "arrive_drop"):
        tx = x.flag("expect_tx")
        x.flag("noComplete")
        x.type()
        if tx:
            mbarrier(x, "expect_tx", 1, space, x.src(2, "u32"))
        count = x.src(2, "u32") if x.count > 2 and not tx else b.const(I32, 1)
        x.put(x.operand(0) if x.count > 1 else Sink(), mbarrier(x, what, 1, space, count))
    elif what in ("expect_tx", "complete_tx"):
        x.type()
        mbarrier(x, what, 0, space, x.src(1, "u32"))
    else:
        parity = x.flag("parity")
        x.type()
        if parity:
            r = mbarrier(x, "test_parity", 1, space, x.src(2, "u32"))
        else:
            r = mbarrier(x, "test", 1, space, x.src(2, "b64"))
        if what == "try_wait":  # may wait: others go first where the phase is not complete
            b.make("pause", guard=b.invert(r))
        x.dst(0, r)


# ---- clusters that have not started ---------------------------------------------------------------------------------


@lifts("clusterlaunchcontrol")
def clusterlaunchcontrol(x: X) -> None:
    """The response of try_cancel is ours to choose: x, y, z of the first block of the cancelled cluster, and 1 (else 0)."""
    if x.need("try_cancel", "query_cancel") == "query_cancel":
        _query_cancel(x)
        return
    b = x.b
    if not (x.flag("async") and x.flag("mbarrier::complete_tx::bytes") and x.flag("b128")):
        raise x.bad(".async, .mbarrier::complete_tx::bytes and .b128 are expected")
    space, everywhere = space_of(x), x.flag("multicast::cluster::all")
    number = b.make("cancel")
    ok = b.make("icmp", number, b.const(I32, 0), pred="sge")
    words, rest = [], number
    for d in "xyz":
        count, size = b.make("sreg", name=f"nclusterid.{d}"), b.make("sreg", name=f"cluster_nctaid.{d}")
        words.append(b.make("select", ok, b.make("imul", b.make("irem_u", rest, count), size), b.const(I32, 0)))
        rest = b.make("idiv_u", rest, count)
    words.append(b.make("zext", ok, to=I32))
    size = b.const(I32, 16)
    if not everywhere:
        where, base, disp = access(x, 0, space)
        b.make("st", base, *words, to=I32, space=where, count=4, disp=disp or None)
        mbarrier(x, "complete_tx", 1, space, size)
        return
    at, bar = (_in_shared(x, n, space) for n in (0, 1))
    for rank in range(16):
        there = b.make("icmp", b.const(I32, rank), b.make("sreg", name="cluster_nctarank"), pred="ult")
        b.make("st", other(b, at, rank), *words, guard=there, to=I32, space="cluster", count=4)
        b.make("mbarrier", other(b, bar, rank), size, guard=there, fn="complete_tx", space="cluster")


def _in_shared(x: X, n: int, space: str) -> Value:
    """The address of operand n in the block's shared memory."""
    where, base, disp = access(x, n, space)
    if where == "generic":
        return x.b.resize(x.b.make("from_generic", flat(x.b, base, disp), space="shared"), I32)
    return flat(x.b, base, disp)


def _query_cancel(x: X) -> None:
    b = x.b
    what = x.need("is_canceled", "get_first_ctaid", "get_first_ctaid::x", "get_first_ctaid::y", "get_first_ctaid::z")
    x.need("pred" if what == "is_canceled" else "b32")
    x.need("b128")
    response = x.src(1, "b128")

    def word(n: int) -> Value:
        return b.make("itrunc", b.make("shr_u", response, b.const(I128, 32 * n)) if n else response, to=I32)  # type: ignore[no-any-return]

    if what == "is_canceled":
        x.dst(0, b.make("icmp", word(3), b.const(I32, 0), pred="ne"))
    elif what == "get_first_ctaid":
        x.need("v4")
        for n, o in enumerate(items_of(x.operand(0))):
            x.put(o, word(n))
    else:
        x.dst(0, word("xyz".index(what[-1])))


_ = (F32, I1)
