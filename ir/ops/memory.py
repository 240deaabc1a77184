"""Ops of the kernel level that touch memory or the launch, and its terminators.  What one lane does.

Addresses are integers: i64, or i32 in `shared`.  An access is `space, base, index, scale, disp`: the address is
`base + sext(index)·scale + disp` bytes; `index` (i32 or i64) may be absent.  `to` is the element, `count` the number of
consecutive elements (several results or operands).  `order` is `weak` unless given; `scope` cta, cluster, gpu or sys.

Spaces.  `shared` counts from 0 in the block's own window; `cluster` is the same window with the rank of another block of the cluster,
plus one, in bits 24 and up (`mapa` makes such an address); `local` counts from 0 in the lane's own memory; the others and `generic` are
addresses of the device.  `to_generic` and `from_generic` go between them.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DTypeError
from ..op import Effect, form_op, machine_op
from ..types import I1, I32, I64, Scalar, Type

Types = Sequence[Type]
SPACES = ("global", "shared", "cluster", "local", "const", "param", "generic")
SREGS = (
    *(f"{r}.{d}" for r in ("tid", "ntid", "ctaid", "nctaid", "clusterid", "nclusterid", "cluster_ctaid", "cluster_nctaid") for d in "xyz"),
    "laneid", "warpid", "nwarpid", "smid", "nsmid", "gridid", "clock", "clock_hi", "clock64", "globaltimer", "globaltimer_lo", "globaltimer_hi",
    "lanemask_eq", "lanemask_le", "lanemask_lt", "lanemask_ge", "lanemask_gt", "cluster_ctarank", "cluster_nctarank", "is_explicit_cluster",
    "dynamic_smem_size", "total_smem_size", "aggr_smem_size",
)  # fmt: skip
WIDE_SREGS = ("gridid", "clock64", "globaltimer")
ADDRESS: dict[str, Any] = {"space": SPACES, "scale": int, "disp": int, "to": Scalar, "count": (1, 2, 4, 8, 16, 32), "align": int,
    "order": ("weak", "relaxed", "acquire", "release", "acq_rel", "sc"), "scope": ("cta", "cluster", "gpu", "sys"),
    "volatile": (True,), "invariant": (True,), "cache": ("ca", "cg", "cs", "lu", "cv", "wb", "wt"), "nt": (True,)}  # fmt: skip
_K = {"levels": "kernel"}


def _address(types: Types, attrs: dict[str, Any], values: int) -> Types:
    """Checks `base[, index]` before `values` data operands; returns the data operand types."""
    n = len(types) - values
    if n not in (1, 2) or types[0] not in (I32, I64) or (n == 2 and types[1] not in (I32, I64)):
        raise DTypeError(f"an address is base[, index] of i32 or i64, not {', '.join(map(str, types[:n]))}")
    return types[n:]


def _load(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    _address(types, attrs, 0)
    return (attrs["to"],) * attrs.get("count", 1)  # type: ignore[no-any-return]


def _store(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    for t in _address(types, attrs, attrs.get("count", 1)):
        if t is not attrs["to"]:
            raise DTypeError(f"store of {t} as {attrs['to']}")
    return ()


def _atomic(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    _address(types, attrs, 2 if attrs["fn"] == "cas" else 1)
    return (attrs["to"],)


def _barrier(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    kind = attrs.get("kind", "sync")
    want = [I32] + [I32] * bool(attrs.get("counted")) + [I1] * (kind in ("popc", "and", "or"))
    if list(types) != want:
        raise DTypeError(f"barrier {kind} takes {', '.join(map(str, want))}")
    return (I32,) if kind == "popc" else (I1,) if kind in ("and", "or") else ()


def _one_address(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if len(types) != 1 or types[0] not in (I32, I64):
        raise DTypeError("takes one address (i32 or i64)")
    return (I64,)


def _call(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if any(t is not I64 for t in types):
        raise DTypeError("a call passes addresses (i64)")
    return ()


READ, WRITE, RMW = Effect(reads=True), Effect(writes=True), Effect(reads=True, writes=True)
EXIT = Effect(may_exit=True)

machine_op("ld", _load, READ, attrs=ADDRESS, **_K, doc="load `count` elements")
machine_op("st", _store, WRITE, attrs=ADDRESS, **_K, doc="store `count` elements")
machine_op("atom", _atomic, RMW, attrs={**ADDRESS, "fn": str}, **_K, doc="read-modify-write with a lane op, `exch` or `cas`; the old value")
machine_op("red", lambda t, a: _atomic(t, a)[:0], RMW, attrs={**ADDRESS, "fn": str}, **_K, doc="read-modify-write without a result")
machine_op("named_barrier", _barrier, Effect(reads=True, writes=True, convergent=True, may_suspend=True),
           attrs={"kind": ("sync", "arrive", "popc", "and", "or"), "aligned": (True,), "counted": (True,)}, **_K,
           doc="barrier of the block: id (i32)[, thread count (i32)][, predicate]")  # fmt: skip
machine_op("cluster_barrier", lambda t, a: (), Effect(reads=True, writes=True, convergent=True, may_suspend=True),
           attrs={"kind": ("arrive", "wait"), "aligned": (True,)}, **_K, doc="all threads of all blocks of the cluster")  # fmt: skip
machine_op("bar", lambda t, a: (), Effect(reads=True, writes=True, convergent=True, may_suspend=True), attrs={"id": int}, **_K,
           doc="all lanes of the block arrive; orders shared and global memory of the block")  # fmt: skip
machine_op("fence", lambda t, a: (), RMW, attrs={"order": ("acq_rel", "sc"), "scope": ("cta", "cluster", "gpu", "sys")}, **_K, doc="memory fence")
machine_op("report", lambda t, a: (), Effect(writes=True), attrs={"code": int}, **_K, doc="record error `code` of the launch if the i1 operand is true")
form_op("sreg", lambda t, a: (I64 if a["name"] in WIDE_SREGS else I32,), attrs={"name": SREGS}, **_K, doc="special register")
machine_op("read_clock", lambda t, a: (I64,), RMW, attrs={"name": ("clock64", "globaltimer")}, **_K, doc="a counter that never goes back")
machine_op("cancel", lambda t, a: (I32,), RMW, **_K,
           doc="number of a block (of a cluster, where there are clusters) that has not started and now never will: the caller does its work; or -1")
_SPACE: dict[str, Any] = {"attrs": {"space": SPACES}, **_K}
machine_op("to_generic", _one_address, None, **_SPACE, doc="generic address of an address of `space`")
machine_op("from_generic", _one_address, None, **_SPACE, doc="address in `space` of a generic address")
machine_op("is_space", lambda t, a: (_one_address(t, a), (I1,))[1], None, **_SPACE, doc="whether a generic address lies in `space`")
machine_op("alloca", lambda t, a: (I64,), WRITE, attrs={"align": int}, **_K, doc="generic address of that many bytes (i64) of the lane's stack")
machine_op("call", _call, Effect(reads=True, writes=True, may_exit=True), attrs={"name": str}, **_K,
           doc="calls a function of the kernel; operands are generic addresses of results and parameters")  # fmt: skip
machine_op("call_indirect", _call, Effect(reads=True, writes=True, may_exit=True), **_K, doc="the same; the first operand is the function's number")
machine_op("printf", lambda t, a: (I32,), Effect(reads=True, writes=True), **_K, doc="vprintf(format, arguments): generic addresses")
machine_op("pause", lambda t, a: (), Effect(reads=True, writes=True, may_suspend=True), **_K, doc="others go first (nanosleep)")
machine_op("mbarrier", lambda t, a: _MBARRIER[a["fn"]](t), Effect(reads=True, writes=True), **_K, doc="an operation on an mbarrier object",
           attrs={"fn": ("init", "inval", "arrive", "arrive_drop", "expect_tx", "complete_tx", "test", "test_parity", "pending", "copies"), **ADDRESS})  # fmt: skip
machine_op("copy", lambda t, a: (), Effect(reads=True, writes=True), **_K, doc="copies bytes: to, from, bytes to read (i32)[, bytes to write (i64)]",
           attrs={"to": SPACES, "from": SPACES, "async": ("group", "bulk", "mbarrier"), "bytes": int, "fn": str, "elem": Scalar, "masked": (True,)})  # fmt: skip
# … `masked`: the fourth operand (i32) says which bytes of each 16 are copied; else, what is written beyond what was read (`bytes`, or the fourth operand) is zero; with `fn` elements are combined instead
machine_op("async_wait", lambda t, a: (), Effect(reads=True, writes=True), **_K, attrs={"kind": ("commit", "wait", "bulk_commit", "bulk_wait"), "n": int},
           doc="groups of asynchronous copies: close one, or wait until at most n are pending")  # fmt: skip
form_op("undef", lambda t, a: (a["to"],), attrs={"to": Type}, **_K, doc="no particular bits")


_MBARRIER: dict[str, Any] = {
    "init": lambda t: (), "inval": lambda t: (), "expect_tx": lambda t: (), "complete_tx": lambda t: (), "arrive": lambda t: (I64,),
    "copies": lambda t: (),  # the lane's copies so far arrive with this phase
    "arrive_drop": lambda t: (I64,), "test": lambda t: (I1,), "test_parity": lambda t: (I1,), "pending": lambda t: (I32,),
}  # fmt: skip


def _branch(types: Types, attrs: dict[str, Any]) -> tuple[Type, ...]:
    if list(types) != [I1]:
        raise DTypeError("branch takes one i1")
    return ()


_END = {"terminator": True, **_K}
form_op("jump", lambda t, a: (), **_END, doc="to the one edge")
form_op("branch", _branch, attrs={"likely": (True, False)}, **_END, doc="to edge 0 if true, else edge 1")
form_op("switch", lambda t, a: (), **_END, doc="to edge number operand; the last edge otherwise")
form_op("return", lambda t, a: (), **_END, doc="the lane is done")
form_op("trap", lambda t, a: (), effect=EXIT, **_END, doc="the launch fails")
