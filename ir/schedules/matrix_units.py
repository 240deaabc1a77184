"""Products by matrix units: each warp makes a tile of fragments, k goes in steps of the instruction, overhang is zero.

`choose` says whether a unit of the device can make a product.  Integers of 8 bits always may, since their sums are exact.  Floats may only under
`fast_math`: units add in an order of their own, and by default every device gives the canonical order's bits.  Then f16 and bf16 are taken as they are,
f32 by a unit of f32, else rounded to tf32 (11 bits), and f64.  Vectors (one row or column) are bound by memory and stay with `contraction`; so does
what has steps along m, n or k that are only known at run time.  Batch and m may be symbolic.

Operands come from global memory as the fragments lie.  Which columns make a fragment is free, as long as A, B and the result agree: along a dimension
that is contiguous in memory, a lane's elements of all its fragments are neighbours, so that it loads and stores up to 16 bytes at once.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

from ..device import DeviceFacts
from ..extent import Dim, Extent, divides, same
from ..fragments import UNITS, Unit
from ..instr import Value
from ..layout import Fragments
from ..lower import index as ix
from ..lower.emit import Emitter, Place, linear, plain
from ..lower.expr import Expr, walk
from ..lower.fuse import Cluster
from ..ops.tile import OPERAND
from ..program import Launch
from ..types import BF16, F16, F32, F64, I1, I8, I32, I64, Scalar
from .common import WARPS, Job

ROWS, COLS = 32, 64  # of a warp, at most
BYTES = 16  # of the widest access


class Choice:
    """A unit, its operands before they were widened, and their element types ('s8' or 'u8' for bytes)."""

    __slots__ = ("unit", "operands", "types")

    def __init__(self, unit: Unit, operands: tuple[Expr, Expr], types: tuple[str, str]) -> None:
        self.unit, self.operands, self.types = unit, operands, types


def _narrow(e: Expr, acc: Scalar) -> tuple[Expr, str]:
    """What an operand was before it was widened to the accumulator's type, and its kind: 's8', 'f16' …, '' for what no unit takes."""
    below = e.args[0] if e.kind == "lane" and e.op is not None and e.op.name in ("sext", "zext", "fcvt") and len(e.args) == 1 else None
    if acc.is_int and acc is not I1:
        if below is not None and below.elem is I8 and e.op is not None:
            return below, "s8" if e.op.name == "sext" else "u8"
        return e, "s8" if e.elem is I8 else ""
    if acc is F32 and below is not None and below.elem in (F16, BF16):
        return below, below.elem.name
    return e, {F32: "f32", F64: "f64"}.get(e.elem, "") if e.elem is acc else ""


def choose(facts: DeviceFacts, fast_math: bool, acc: Scalar, operands: Sequence[Expr], sizes: Sequence[Extent]) -> Choice | None:
    """The unit for a product of those operands (widened to `acc`), of (batch, m, n, k); None where there is none."""
    batch, m, n, k = sizes
    if not facts.units or same(m, 1) or same(n, 1) or isinstance(n, Dim) or isinstance(k, Dim) or acc.is_float and not fast_math:
        return None
    if any(isinstance(x, Dim) for x in (batch, m)) and not all(_steps(e, int(not same(batch, 1))) for e in operands):
        return None
    (a, ta), (b, tb) = (_narrow(e, acc) for e in operands)
    if not ta or not tb:
        return None
    if acc.is_int:
        most = {"s8": 128, "u8": 255}
        if acc.bits > 32 and most[ta] * most[tb] * k >= 1 << 31:
            return None  # sums beyond the unit's 32 bits
        wanted = ["i8"]
    elif ta == tb and ta in ("f16", "bf16"):
        wanted = [ta]
    else:
        a, b = operands
        wanted = ["f64"] if acc is F64 else ["f32", "tf32"]
    for kind in wanted:
        for name in facts.units:
            u = UNITS[name]
            if u.operand == kind and not (u.signed and "u8" in (ta, tb)):
                return Choice(u, (a, b), (ta, tb) if kind == "i8" else (kind, kind))
    return None


def _steps(root: Expr, first: int) -> bool:
    """Whether all that an operand loads has steps that are known now along m, n and k, the dimensions from `first` on."""
    return all(e.kind != "load" or all(c.affine for c in e.coords) and not any(isinstance(linear(e).coefficient(first + d), Dim) for d in range(3))
               for e in walk([root]))  # fmt: skip


def _power(n: int) -> int:
    """The least power of two from n on."""
    return 1 << (n - 1).bit_length()


def _contiguous(e: Expr, sizes: Sequence[Extent], d: int) -> bool:
    return any(x.kind == "load" and plain(x, sizes) and same(linear(x).coefficient(d), 1) for x in walk([e]))


def _neighbours(exprs: Sequence[Expr], sizes: Sequence[Extent], d: int, most: int) -> int:
    """How many elements along dimension `d` one access may take: those that are contiguous there must start at multiples."""
    vec = most
    for e in walk(exprs):
        if e.kind == "load" and e.dims >> d & 1:
            if not plain(e, sizes):
                return 1
            address = linear(e)
            if same(address.coefficient(d), 1):
                vec = min(vec, BYTES // e.elem.bytes)
                others = [address.const, sizes[d], *(address.coefficient(o) for o in range(len(sizes)) if o != d)]
                while not all(divides(vec, n) for n in others):
                    vec //= 2
    return vec


def _layout(c: Cluster, choice: Choice, dims: dict[str, int], stored: Sequence[Scalar], cores: int) -> Fragments:
    u, sizes = choice.unit, c.sizes
    um, un, uk = u.shape
    size = OPERAND[u.operand].bytes
    m, n, k = (sizes[dims[x]] for x in "mnk")
    most_m = max(ROWS // um, 1)
    frags_m, frags_n = most_m if isinstance(m, Dim) else min(most_m, _power(-(-m // um))), min(max(COLS // un, 1), _power(-(-n // un)))
    tiles_m, tiles_n = -(-m // (um * frags_m)), -(-n // (un * frags_n))
    along_n = min(2 if isinstance(m, Dim) or tiles_m > 1 else WARPS, _power(tiles_n))
    along_m = WARPS // along_n if isinstance(m, Dim) else min(WARPS // along_n, _power(tiles_m))
    batch = math.prod(sizes[: dims["m"]])
    known = not isinstance(m, Dim) and not isinstance(batch, Dim)
    while known and batch * -(-m // (um * frags_m * along_m)) * -(-n // (un * frags_n * along_n)) < cores:  # smaller tiles, until there is one for each core
        if along_n > 1:
            along_n //= 2
        elif along_m > 1:
            along_m //= 2
        elif frags_m > 1:
            frags_m //= 2
        elif frags_n > max(2, BYTES // 2 // size):  # the neighbours that one access takes
            frags_n //= 2
        else:
            break
    a, b = choice.operands
    left = "km" if _contiguous(a, sizes, dims["m"]) and not _contiguous(a, sizes, dims["k"]) else "mk"
    right = "nk" if _contiguous(b, sizes, dims["k"]) and not _contiguous(b, sizes, dims["n"]) else "kn"
    own = math.prod(s for _, s, _ in u.a.along("k")[1])
    depth = min(max(1, BYTES // (own * size)), _power(-(-k // uk)))
    most = BYTES // size
    wide = min(4, *(BYTES // s.bytes for s in stored))
    results = [r.expr for r in c.roots]
    vec = _neighbours(results, sizes[: c.split], dims["n"], wide)
    while n % vec:
        vec //= 2
    vecs = (_neighbours([a], sizes, dims[left[1]], most), _neighbours([b], sizes, dims[right[1]], most), vec)
    return Fragments(u.name, (along_m, along_n), (frags_m, frags_n), depth, "".join(sorted({left[1], right[1]})), left, right, vecs)


def _operand(em: Emitter, e: Expr, tail: bool, k: int) -> Value:
    """The tile of an operand, zero beyond the end of k: loads along k give zero there, what is computed or repeated may be anything."""
    v = em.full(em.value(e))
    inside = em.in_domain(1 << k) if tail and not (e.kind == "load" and e.dims >> k & 1) else None
    if inside is None:
        return v
    b = em.b
    return b.select(em.full(inside), v, em.full(b.const(v.type.elem, 0)))  # type: ignore[no-any-return]


def _tf32(em: Emitter, x: Value) -> Value:
    """Rounded to 11 bits, to the nearest, ties away from zero; the unit drops the rest, and with it what may be all of a NaN's payload."""
    b = em.b
    up = b.bitcast(b.iadd(b.bitcast(x, to=I32), b.like(x, 0x1000, I32)), to=F32)
    return b.select(b.fcmp(x, x, pred="uno"), b.like(x, math.nan), up)  # type: ignore[no-any-return]


def matrix_unit(name: str, c: Cluster, choice: Choice, facts: DeviceFacts) -> Launch:
    assert c.node is not None
    node, u = c.node, choice.unit
    batch, m, k = node.args[0].shape
    n = node.args[1].shape[2]
    first = int(not same(batch, 1))
    dims = {"m": first, "n": first + 1, "k": first + 2}
    stored = [node] if c.fuser.stored(node) else []
    stored += [r.node for r in c.roots]
    f = _layout(c, choice, dims, [s.elem for s in stored], facts.cores)
    shape = f.shape
    exprs = [*choice.operands, *(r.expr for r in c.roots)]
    warps = f.warps[0] * f.warps[1]
    job = Job(name, facts, exprs, c.sizes, [c.fuser.buffer(s) for s in stored], lanes=u.lanes, warps=warps, keep=range(len(c.sizes)))
    b, em = job.b, job.em
    tiles_m, tiles_n = -(-m // shape["m"]), -(-n // shape["n"])
    pid = job.program()
    at_m, rest = b.irem_u(pid, b.i64(tiles_m)), b.idiv_u(pid, b.i64(tiles_m))
    at_n, at_b = b.irem_u(rest, b.i64(tiles_n)), b.idiv_u(rest, b.i64(tiles_n))
    if first:
        em.places[0] = Place(at_b)
    start = {"m": b.imul(at_m, b.i64(shape["m"])), "n": b.imul(at_n, b.i64(shape["n"]))}
    ends = {x: not divides(shape[x], size) for x, size in (("m", m), ("n", n), ("k", k))}

    def lay(letters: str) -> None:
        """The next tiles go along those dimensions."""
        em.tile = tuple(shape[x] for x in letters)
        for axis, x in enumerate(letters):
            em.places[dims[x]] = Place(start[x], axis, ends[x])

    def step(i: Value, total: Value) -> list[Value]:
        start["k"] = i
        made = []
        for e, letters in zip(choice.operands, (f.a, f.b)):
            em.push()
            lay(letters)
            v = _operand(em, e, ends["k"], dims["k"])
            made.append(_tf32(em, v) if u.operand == "tf32" and e.elem is F32 and not _exact(e) else v)
            em.pop()
        b.loc = node.loc
        packed = True if "k" in f.packed else None
        return [b.dot(*made, total, unit=u.name, a=choice.types[0], b=choice.types[1], left=f.a, right=f.b, packed=packed)]

    em.tile = (shape["m"], shape["n"])
    zero = b.fit(b.const(OPERAND[u.acc], 0), em.tile)
    result = b.loop(b.i64(0), b.i64(k), b.i64(shape["k"]), (zero,), step, name="k")[0]
    acc = node.attr("acc").signless
    if acc is not result.type.elem:
        result = b.sext(result, to=acc) if acc is I64 else b.itrunc(result, to=acc)
    lay("mn")
    em.places[dims["k"]] = None
    em.bind(c.held[node.id], result)
    address = ix.flatten([ix.dim(d) for d in range(c.split)], c.sizes[: c.split])
    for s in stored:
        b.loc = s.loc
        expr = c.held[node.id] if s is node else next(r.expr for r in c.roots if r.node is s)
        em.store(c.fuser.buffer(s), address, em.full(em.value(expr)), (1 << c.split) - 1)
    return job.launch(batch * tiles_m * tiles_n, schedule="matrix unit", fragments=tuple(f))


def _exact(e: Expr) -> bool:
    """Whether a value of f32 has no more than tf32's bits."""
    return e.kind == "lane" and e.op is not None and e.op.name == "fcvt" and e.args[0].elem in (F16, BF16)
