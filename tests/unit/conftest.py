"""What a target's writer must be able to say: every lane op of the table × every type, and random kernels."""
from __future__ import annotations

import random
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from ptxjit.ir import ops  # noqa: F401  registers the ops
from ptxjit.ir.errors import PtxjitError
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import CLASSES, all_ops, op
from ptxjit.ir.types import I32, I64, SCALARS, Scalar
from ptxjit.ir.verify import verify

TYPES = tuple(SCALARS[n] for n in "i1 i8 i16 i32 i64 f16 bf16 f32 f64".split())


class Case(NamedTuple):
    """One op on operands of given types."""

    op: object
    types: tuple[Scalar, ...]
    attrs: tuple[tuple[str, object], ...]
    result: Scalar

    @property
    def name(self) -> str:
        words = [self.op.name, *(t.name for t in self.types), *(f"{k}_{v}" for k, v in self.attrs)]
        return "_".join(words)


def _legal(o, types, attrs) -> bool:
    """What the op table admits, and a conversion means: widening widens, bits stay bits."""
    if "to" in attrs:
        old, new = types[0].bits, attrs["to"].bits
        if not {"zext": new > old, "sext": new > old, "itrunc": new < old, "bitcast": new == old}.get(o.name, types[0] is not attrs["to"]):
            return False
    return True


def cases(kinds: str = "lane", attributes: bool = False) -> list[Case]:
    """Every op of the kinds on every type; with `attributes` also every rounding and flag."""
    out = []
    for o in all_ops():
        if o.kind not in kinds.split():
            continue
        words = o.signature.partition("->")[0].split()
        cls = next((w.partition(":")[2] for w in words if ":" in w), "")
        varied = next((a for a in ("pred", "signs") if a in o.attrs), "")
        choices = [{varied: p} for p in o.attrs[varied]] if varied else [{"to": t} for t in TYPES] if "to" in o.attrs else [{}]
        if attributes:
            flags = [{}, *({"rnd": r} for r in o.attrs.get("rnd", ())), *({f: True} for f in ("ftz", "sat") if f in o.attrs)]
            choices = [{**a, **b} for a, b in product(choices, flags)]
        for t, attrs in product((t for t in TYPES if (CLASSES[cls](t) if cls else t.name == words[0])), choices):
            types = tuple(SCALARS.get(w, t) for w in words)
            if not _legal(o, types, attrs):
                continue
            frozen = tuple(sorted(attrs.items()))
            try:
                [result] = o.infer(types, frozen)
            except PtxjitError:
                continue
            out.append(Case(o, types, frozen, result))
    return out


@pytest.fixture(scope="session")
def lane_cases():
    return cases


# ---- random kernels -------------------------------------------------------------------------------------------------

LANES, BLOCKS = 8, 3
INT = "iadd isub imul imin_s imax_u and or xor shl shr_s shr_u idiv_s irem_u popc clz ineg iabs not".split()
FLOAT = "fadd fsub fmul fdiv fmin fmaxnum copysign fneg fabs fsqrt ffloor frint exp tanh log frem ffma".split()


def build(seed, elem, lanes=LANES):
    """A kernel with repeated, dead and narrow work, a loop, a divergent side branch and guarded accesses."""
    rng = random.Random(seed)
    b = KernelBuilder("k", lanes=lanes, warps=1)
    x = b.param("x", I64, role="pointer", elem=elem, access="r")
    y = b.param("y", I64, role="pointer", elem=elem, access="w")
    z = b.param("z", I64, role="pointer", elem=I32, access="w")
    lane = b.sreg(name="laneid")
    at = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.const(I32, lanes)), lane)
    ld = lambda: b.ld(x, at, space="global", to=elem, scale=elem.bytes)
    ints, floats, bits = [lane, at, b.const(I32, 3)], [ld(), ld(), b.const(elem, 0.5)], [b.icmp(lane, b.const(I32, 3), pred="slt")]

    def some(n):
        for _ in range(n):
            kind = rng.random()
            if kind < 0.3:
                o = op(rng.choice(INT))
                ints.append(b.emit(o, rng.choices(ints, k=len(o.signature.partition("->")[0].split()))))
            elif kind < 0.7:
                o = op(rng.choice(FLOAT))
                floats.append(b.emit(o, rng.choices(floats, k=len(o.signature.partition("->")[0].split()))))
            elif kind < 0.8:
                bits.append(b.fcmp(*rng.choices(floats, k=2), pred=rng.choice(op("fcmp").attrs["pred"])))
            elif kind < 0.85:
                floats.append(b.select(rng.choice(bits), *rng.choices(floats, k=2)))
            elif kind < 0.9:
                ints.append(b.ftos(rng.choice(floats), to=I32))
            elif kind < 0.95:
                floats.append(b.stof(rng.choice(ints), to=elem))
            else:
                attrs = (("scale", elem.bytes), ("space", "global"), ("to", elem))
                floats.append(b.emit(op("ld"), (x, at), attrs, guard=rng.choice(bits), passthrough=(rng.choice(floats),)))

    some(8)
    loop, done = b.block("loop", [I32, elem, elem]), b.block("done", [elem])
    b.jump(loop, b.const(I32, 0), floats[-1], floats[-1])
    outside = len(ints), len(floats), len(bits)
    i, s, dead = b.start(loop)
    ints.append(i)
    floats.append(s)
    some(5)
    [joined] = b.cond(rng.choice(bits), lambda: [b.fmul(s, rng.choice(floats))], [s])
    step = b.iadd(i, b.const(I32, 1))
    b.branch(b.icmp(step, b.const(I32, 3), pred="slt"), loop, done, (step, joined, b.fadd(dead, s)), (joined,))
    for values, n in zip((ints, floats, bits), outside):
        del values[n:]
    floats += b.start(done)
    some(6)
    for v in floats[-3:]:
        b.emit(op("st"), (y, at, v), (("scale", elem.bytes), ("space", "global"), ("to", elem)), guard=rng.choice([None, rng.choice(bits)]))
    b.st(z, at, ints[-1], space="global", to=I32, scale=4)
    b.ret()
    return verify(b.finish())


def kernel_inputs(elem, seed, lanes=LANES):
    """An input and two outputs for a random kernel of 3 blocks of 8 lanes."""
    n = lanes * BLOCKS
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal(n) * 10.0 ** rng.integers(-3, 4, n)).astype(elem.np)
    x[:4] = [0.0, -0.0, np.inf, np.nan]
    return [x, np.zeros(n, elem.np), np.zeros(n, np.int32)]


@pytest.fixture(scope="session")
def random_kernel():
    """`random_kernel(seed, elem)`, and `.inputs(elem, seed)` for it."""
    build.inputs = kernel_inputs
    return build
