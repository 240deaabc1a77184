"""Ops of the kernel level that touch memory or the launch, and its terminators.  What one lane does.

Addresses are integers: i64, or i32 in `shared`.  An access is `space, base, index, scale, disp`: the address is
`base + sext(index)·scale + disp` bytes; `index` (i32 or i64) may be absent.  `to` is the element, `count` the number of
consecutive elements (several results or operands).  `order` is `weak` unless given; `scope` cta, cluster, gpu or sys.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DTypeError
from ..op import Effect, form_op, machine_op
from ..types import I1, I32, I64, Scalar, Type

Types = Sequence[Type]
SPACES = ("global", "shared", "local", "const", "param", "generic")
SREGS = tuple(f"{r}.{d}" for r in ("tid", "ntid", "ctaid", "nctaid") for d in "xyz") + ("laneid", "warpid", "nwarpid")
ADDRESS: dict[str, Any] = {"space": SPACES, "scale": int, "disp": int, "to": Scalar, "count": (1, 2, 4, 8, 16), "align": int,
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


READ, WRITE, RMW = Effect(reads=True), Effect(writes=True), Effect(reads=True, writes=True)
EXIT = Effect(may_exit=True)

machine_op("ld", _load, READ, attrs=ADDRESS, **_K, doc="load `count` elements")
machine_op("st", _store, WRITE, attrs=ADDRESS, **_K, doc="store `count` elements")
machine_op("atom", _atomic, RMW, attrs={**ADDRESS, "fn": str}, **_K, doc="read-modify-write with a lane op, `exch` or `cas`; the old value")
machine_op("red", lambda t, a: _atomic(t, a)[:0], RMW, attrs={**ADDRESS, "fn": str}, **_K, doc="read-modify-write without a result")
machine_op("bar", lambda t, a: (), Effect(reads=True, writes=True, convergent=True, may_suspend=True), attrs={"id": int}, **_K,
           doc="all lanes of the block arrive; orders shared and global memory of the block")  # fmt: skip
machine_op("fence", lambda t, a: (), RMW, attrs={"order": ("acq_rel", "sc"), "scope": ("cta", "cluster", "gpu", "sys")}, **_K, doc="memory fence")
machine_op("report", lambda t, a: (), Effect(writes=True), attrs={"code": int}, **_K, doc="record error `code` of the launch if the i1 operand is true")
form_op("sreg", lambda t, a: (I32,), attrs={"name": SREGS}, **_K, doc="special register")
form_op("undef", lambda t, a: (a["to"],), attrs={"to": Type}, **_K, doc="no particular bits")


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
