"""Ranges hold for every lane and block, and arithmetic that they make narrower gives the same numbers."""
from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import ptxjit as pj
from ptxjit.ir.analysis.ranges import full, ranges
from ptxjit.ir.interp.values import eval_lane
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.passes.cleanup import cleanup
from ptxjit.ir.passes.narrow import narrow
from ptxjit.ir.types import F32, I1, I32, I64
from ptxjit.ir.verify import verify

LANES, BLOCKS = 32, 5000
BINARY = "iadd isub imul idiv_u idiv_s irem_u irem_s imin_s imax_s imin_u imax_u and or xor shl shr_u shr_s".split()
NUMBERS = st.one_of(st.integers(-5, 70), st.sampled_from([0, 1, -1, 31, 32, 63, 64, 640, 2**31 - 1, -(2**31), 2**31, 2**40, -(2**63), 2**63 - 1]))


@st.composite
def straight(draw):
    """A kernel of one block over the numbers of lane and block: every value is stored."""
    b = KernelBuilder("k", warps=1, lanes=LANES)
    out = b.param("out", I64, role="pointer", elem=I64, access="w")
    wide = [b.emit(op("sext"), (b.sreg(name=n),), (("to", I64),)) for n in ("laneid", "ctaid.x")]
    wide += [b.const(I64, draw(NUMBERS)) for _ in range(4)]
    for _ in range(draw(st.integers(1, 12))):
        x, y = draw(st.sampled_from(wide)), draw(st.sampled_from(wide))
        kind = draw(st.sampled_from([*BINARY, "select", "trunc"]))
        if kind == "select":
            p = b.icmp(x, y, pred=draw(st.sampled_from(["slt", "sle", "eq", "ne", "ult", "uge"])))
            wide.append(b.emit(op("select"), (p, x, y), ()))
        elif kind == "trunc":
            wide.append(b.emit(op(draw(st.sampled_from(["sext", "zext"]))), (b.emit(op("itrunc"), (x,), (("to", I32),)),), (("to", I64),)))
        else:
            wide.append(b.emit(op(kind), (x, y), ()))
    for v in wide:
        b.emit(op("st"), (out, v), (("space", "global"), ("to", I64)))
    b.ret()
    return b.finish((("blocks", BLOCKS),))


def numbers(k):
    """value id → its number for some blocks (rows) and all lanes; and what is stored, in order."""
    env, stored = {}, []
    block = np.array([0, 1, 2, 77, BLOCKS - 1], np.int32)[:, None] + np.zeros(LANES, np.int32)
    registers = {"laneid": np.arange(LANES, dtype=np.int32) + np.zeros_like(block), "ctaid.x": block}
    for i in k.instrs():
        name = i.op.name
        if name == "constant":
            env[i.result.id] = np.full(block.shape, i.attr("value"), i.result.type.np)
        elif name == "sreg":
            env[i.result.id] = registers[i.attr("name")]
        elif name == "st":
            stored.append(env[i.args[1].id])
        elif i.results:
            with np.errstate(all="ignore"):
                env[i.result.id] = np.broadcast_to(eval_lane(i.op, i.result.type, [env[a.id] for a in i.args], i.attrs), block.shape)
    return env, stored


@settings(max_examples=300)
@given(straight())
def test_ranges_hold_and_nothing_changes(k):
    env, before = numbers(k)
    found = ranges(k)
    for v, values in env.items():
        if values.dtype.kind == "i":
            low, high = found[v]
            assert low <= int(values.min()) and int(values.max()) <= high
    small = cleanup(narrow(k))
    verify(small)
    _, after = numbers(small)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def loop(step, bound, pred="slt"):
    """for (i = 0; i < bound; i += step) out[i] = 0, the comparison at the end of the body."""
    b = KernelBuilder("k", warps=1, lanes=LANES)
    out = b.param("out", I64, role="pointer", elem=F32, access="w")
    body, end = b.block("body", [I64]), b.block("end")
    b.jump(body, b.const(I64, 0))
    [i] = b.start(body)
    b.emit(op("st"), (out, i, b.const(F32, 0.0)), (("scale", 4), ("space", "global"), ("to", F32)))
    more = b.iadd(i, b.const(I64, step))
    b.branch(b.icmp(more, b.const(I64, bound), pred=pred), body, end, (more,))
    b.start(end)
    b.ret()
    return b.finish(), i, more


def test_a_counter_is_bounded_by_its_end():
    k, i, more = loop(3, 1000)
    found = ranges(k)
    assert found[i.id] == (0, 999) and found[more.id] == (3, 1002)
    k, i, _ = loop(1, 2**40)
    assert ranges(k)[i.id] == (0, 2**40 - 1)


def test_a_counter_that_wraps_is_anything():
    k, i, more = loop(1, 5, "ne")
    found = ranges(k)
    assert found[i.id] == full(I64) and found[more.id] == full(I64)
    k, i, more = loop(-1, 5)
    assert ranges(k)[i.id][0] == full(I64)[0]


def test_what_is_not_proven_stays():
    b = KernelBuilder("k", warps=1, lanes=LANES)
    out, n = b.param("out", I64, role="pointer", elem=F32, access="w"), b.param("n", I64)
    b.emit(op("st"), (out, b.irem_u(n, b.const(I64, 3)), b.const(F32, 0.0)), (("scale", 4), ("space", "global"), ("to", F32)))
    b.ret()
    k = b.finish()
    assert narrow(k) is k


def test_large_arrays_keep_64_bits():
    for shape, words in (("f32[500,700,3]", ("div.u32", "rem.u32")), ("f32[50000,70000,3]", ("div.u64", "rem.u64"))):
        text = pj.jit(lambda x: np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")).lower(shape, target="ptx:sm_80").as_text("ptx")
        assert all(w in text for w in words)
    assert full(I1) == (0, 1)
