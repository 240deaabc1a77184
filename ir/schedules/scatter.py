"""Updates at computed places: the base is copied, then each update is one atomic operation.  Out of range is dropped."""
from __future__ import annotations

from ..device import DeviceFacts
from ..errors import UnsupportedError
from ..extent import divides, same
from ..lower import index as ix
from ..lower.emit import Place
from ..lower.fuse import Cluster
from ..program import Copy, Launch, Step
from ..types import I64
from .common import WARPS, Job, lanes_for

STRIP = 1 << 12


def scatter(name: str, c: Cluster, facts: DeviceFacts) -> list[Step]:
    assert c.node is not None
    node = c.node
    base, index, updates = node.args
    fn = node.attr("fn")
    if fn == "set" or node.elem.is_float:
        raise UnsupportedError("a scatter whose result depends on the order of its updates has no fixed result",
                               place=node.loc, hint="only integer updates that commute are supported")  # fmt: skip
    out = c.fuser.buffer(node)
    steps: list[Step] = [Copy(out, c.fuser.buffer(base))]
    n = index.shape[0]
    if same(n, 0):
        return steps
    work = type(c)("scatter", c.number, [n], 1, c.fuser)
    at = (ix.dim(0),)
    i, v = work.resolver.resolve(index, at), work.resolver.resolve(updates, at)
    if i.elem is not I64:
        from ..op import op

        i = work.resolver.lane(op("sext"), (("to", I64),), (i,))
    gpu = facts.kind != "cpu"
    lanes = lanes_for(facts, [i, v])
    warps = WARPS if gpu else 1
    tile = lanes * warps
    job = Job(name, facts, [i, v], [n], [out], lanes=lanes, warps=warps)
    b, em = job.b, job.em
    em.tile = (tile,)
    strip = 1 if gpu else STRIP // tile
    tiles = -(-n // tile)

    def one(number) -> tuple[()]:  # type: ignore[no-untyped-def]
        em.push()
        em.places[0] = Place(b.imul(number, b.i64(tile)), 0, not divides(tile, n))
        where, what = em.full(em.value(i)), em.full(em.value(v))
        size = em.number(where.type, node.type.size)
        mask = b.icmp(where, size, pred="ult")
        inside = em.in_domain(1)
        if inside is not None:
            mask = getattr(b, "and")(mask, inside)
        b.loc = node.loc
        b.atomic(em.pointer(out), where, mask, what, fn=fn)
        em.pop()
        return ()

    pid = job.program()
    if strip == 1:
        one(pid)
    else:
        lo = b.imul(pid, b.i64(strip))
        b.loop(lo, b.imin_s(b.iadd(lo, b.i64(strip)), b.i64(tiles)), b.i64(1), (), one)
    launch: Launch = job.launch(-(-tiles // strip), schedule="scatter")
    return [*steps, launch]
