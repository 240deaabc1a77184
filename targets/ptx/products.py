"""Products of a warp as `mma.sync` (PTX ISA §9.7.14.5.14): the fragments of `ir/fragments.py` are the manual's, so registers go over one to one."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir.instr import Instr
from ...ir.ops.matrix import count, layouts

SINCE = "6.5"  # the .version of the first `mma` that we write; later shapes come with architectures whose version is above theirs
OTHER = ("wmma", "sparse", "bop", "unit")  # products that are no plain `mma`


def mma(w: Any, i: Instr) -> None:
    """`w` is the `Writer`."""
    attrs = dict(i.attrs)
    for name in OTHER:
        if attrs.get(name) is not None:
            raise w.lacks(i, name)
    given: dict[str, Sequence[Any]] = {}
    at = 1  # after the member mask: all lanes take part
    for x in "abc":
        n = count(attrs[x], layouts(attrs)[x][0].shape[1])
        given[x] = [w.register(v) for v in i.args[at : at + n]]
        at += n
    results = [w.dest(v) for v in i.results]
    names = ".".join(attrs[x] for x in "dabc")
    sat = ".satfinite" if attrs.get("sat") else ""
    operands = ", ".join("{" + ", ".join(r) + "}" for r in (results, *given.values()))
    w.put(f"mma.sync.aligned.{attrs['shape']}.{attrs.get('alayout', 'row')}.{attrs.get('blayout', 'col')}{sat}.{names} {operands}")
