"""Inclusive scans along the last axis of [rows, n]: chunks of 256 in one warp's registers, the carry in sequence."""
from __future__ import annotations

from ..device import DeviceFacts
from ..extent import Dim, divides, same
from ..instr import Value
from ..lower import index as ix
from ..lower.emit import Place
from ..lower.fuse import Cluster
from ..op import op
from ..program import Launch
from ..types import I32
from .common import Job

CHUNK = 256


def scan(name: str, c: Cluster, facts: DeviceFacts) -> Launch:
    assert c.node is not None
    node = c.node
    fn = op(node.attr("fn"))
    [operand] = c.operands
    rows, n = node.shape
    lanes = 16 if facts.kind == "cpu" else facts.lanes  # a group of the canonical order is 16 lanes
    job = Job(name, facts, [operand], c.sizes, [c.fuser.buffer(node)], lanes=lanes, keep=[0, 1])
    b, em = job.b, job.em
    em.tile = (CHUNK,)
    em.places[0] = Place(job.program())
    assert fn.identity is not None
    identity = b.const(operand.elem, fn.identity(operand.elem))
    address = ix.flatten([ix.dim(0), ix.dim(1)], [rows, n])
    b.loc = node.loc

    def chunk(i: Value, carry: Value, masked: bool) -> list[Value]:
        em.push()
        at = b.imul(i, b.i64(CHUNK))
        em.places[1] = Place(at, 0, masked)
        v = em.full(em.value(operand))
        if masked:
            mask = em.in_domain(0b10)
            assert mask is not None
            v = b.select(mask, v, b.fit(identity, em.tile))
        v = b.tile_scan(v, fn=fn.name, axis=0)
        done = b.emit(fn, (b.fit(carry, em.tile), v))
        em.store(c.fuser.buffer(node), address, done, 0b11)
        last = b.icmp(b.arange(to=I32, shape=em.tile, axis=0), b.fit(b.const(I32, CHUNK - 1), em.tile), pred="eq")
        total = b.tile_reduce(b.select(last, v, b.fit(identity, em.tile)), fn=fn.name, axis=0)
        em.pop()
        return [b.emit(fn, (carry, total))]

    full, tail = n // CHUNK, not divides(CHUNK, n)
    carry = identity
    if not same(full, 0):
        [carry] = b.loop(b.i64(0), b.i64(full), b.i64(1), (carry,), lambda i, t: chunk(i, t, False))
    if tail and isinstance(n, Dim):
        b.when(b.icmp(b.i64(full * CHUNK), b.i64(n), pred="slt"), lambda: chunk(b.i64(full), carry, True)[:0])
    elif tail:
        chunk(b.i64(full), carry, True)
    return job.launch(rows, schedule="scan")
