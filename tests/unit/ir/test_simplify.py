"""The algebra of `ir/passes/simplify.py`: each rule against the meanings of its ops, and what the pass does to kernels."""
from __future__ import annotations

import numpy as np
import pytest

from ptxjit.errors import BugError, DTypeError
from ptxjit.ir.instr import Value
from ptxjit.ir.interp.values import eval_lane
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.passes.simplify import rules, simplify
from ptxjit.ir.text import dump
from ptxjit.ir.types import F32, F64, I1, I8, I16, I32, I64
from ptxjit.ir.verify import verify

EVERY = [r for group in rules().values() for r in group]


def samples(elem, rng):
    """Values that matter, and random ones."""
    if elem is I1:
        return np.array([False, True])
    if elem.is_float:
        words = rng.integers(0, 1 << 63, 40).astype(np.uint64) * np.uint64(2)
        special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan], elem.np)
        return np.concatenate([special, words.view(np.float64).astype(elem.np) if elem is F64 else words.view(np.uint32)[:40].view(np.float32)])
    low, high = -(1 << (elem.bits - 1)), (1 << (elem.bits - 1)) - 1
    edges = np.array([low, low + 1, -2, -1, 0, 1, 2, 3, elem.bits - 1, elem.bits % (high + 1), high - 1, high], elem.np)
    return np.concatenate([edges, rng.integers(low, high, 12, endpoint=True).astype(elem.np)])


def names(p):
    return {p} if isinstance(p, str) else set() if isinstance(p, int) else set().union(*(names(q) for q in p[1:]))


def value(p, elem, env):
    if isinstance(p, str):
        return env[p]
    if isinstance(p, int):
        size = next(iter(env.values())).shape
        return np.full(size, p & 1 if elem is I1 else p, elem.np)
    return eval_lane(op(p[0]), elem, [value(q, elem, env) for q in p[1:]], ())


def takes(rule, elem):
    try:
        return bool(rule.op.infer((elem,) * len(rule.args))) and elem.is_float == rule.op.name.startswith("f")
    except (DTypeError, BugError):
        return False


CASES = [pytest.param(r, t, id=f"{r.text}, {t}") for r in EVERY for t in (I1, I8, I16, I32, I64, F32, F64) if takes(r, t)]


@pytest.mark.parametrize("rule, elem", CASES)
def test_both_sides_are_equal(rule, elem):
    left = (rule.op.name, *rule.args)
    rng = np.random.default_rng(5)
    free = sorted(names(left) | names(rule.result))
    grid = np.meshgrid(*[samples(elem, rng) for _ in free], indexing="ij")
    env = {n: g.ravel() for n, g in zip(free, grid)}
    if not free:
        env["_"] = np.zeros(1, elem.np)
    a, b = value(left, elem, env), value(rule.result, elem, env)
    np.testing.assert_array_equal(np.broadcast_to(a, env[free[0]].shape).view(f"V{elem.np.itemsize}" if elem is not I1 else bool),
                                  np.broadcast_to(b, env[free[0]].shape).copy().view(f"V{elem.np.itemsize}" if elem is not I1 else bool))


@pytest.mark.parametrize("rule", EVERY, ids=lambda r: r.text)
def test_never_more_work(rule):
    """What is left after constants are folded: ops on values that are not constant."""
    def dynamic(p):
        return isinstance(p, tuple) and any(n.islower() for n in names(p)) and 1 + sum(dynamic(q) for q in p[1:])

    assert dynamic(rule.result) <= dynamic((rule.op.name, *rule.args))


def kernel():
    b = KernelBuilder("k", warps=1, lanes=32)
    x = b.param("x", I64, role="pointer", elem=F32, access="rw")
    n = b.param("n", I64)
    return b, x, n


def test_constants_are_folded_through():
    b, x, n = kernel()
    three = b.iadd(b.const(I64, 1), b.imul(b.const(I64, 2), b.const(I64, 1)))
    i = b.iadd(b.iadd(n, three), b.const(I64, -3))
    v = b.emit(op("ld"), (x, i), (("scale", 4), ("space", "global"), ("to", F32)))
    b.emit(op("st"), (x, b.iadd(i, b.const(I64, 5)), v), (("scale", 4), ("space", "global"), ("to", F32)))
    b.ret()
    k = simplify(b.finish())
    verify(k)
    text = dump(k)
    assert "ld %x, %n {scale=4" in text and "st %x, %n, " in text and "disp=20" in text
    assert simplify(k) is k


def test_conversions_and_choices():
    b, x, n = kernel()
    t = b.emit(op("itrunc"), (n,), (("to", I32),))
    back = b.emit(op("itrunc"), (b.emit(op("sext"), (t,), (("to", I64),)),), (("to", I32),))
    far = b.emit(op("zext"), (back,), (("to", I64),))
    same = b.emit(op("icmp"), (far, far), (("pred", "ult"),))
    pick = b.emit(op("select"), (same, n, far), ())
    b.emit(op("st"), (x, pick, b.const(F32, 1.0)), (("scale", 4), ("space", "global"), ("to", F32)))
    b.ret()
    k = simplify(b.finish())
    verify(k)
    [st] = [i for i in k.instrs() if i.op.name == "st"]
    made = {r.id: i for i in k.instrs() for r in i.results}
    assert made[st.args[1].id].op.name == "zext" and made[made[st.args[1].id].args[0].id].op.name == "itrunc"


def test_floats_keep_their_zeros():
    b, x, n = kernel()
    v = b.emit(op("ld"), (x,), (("space", "global"), ("to", F32)))
    w = b.emit(op("fmul"), (b.emit(op("fadd"), (v, b.const(F32, 0.0)), ()), b.const(F32, 1.0)), ())
    b.emit(op("st"), (x, w), (("space", "global"), ("to", F32)))
    b.ret()
    k = b.finish()
    assert simplify(k) is k


def test_a_long_chain():
    b, x, n = kernel()
    v: Value = n
    for _ in range(20_000):
        v = b.iadd(v, b.const(I64, 1))
    b.emit(op("st"), (x, v, b.const(F32, 1.0)), (("space", "global"), ("scale", 4), ("to", F32)))
    b.ret()
    k = simplify(b.finish())
    assert [i.attr("disp") for i in k.instrs() if i.op.name == "st"] == [80_000]
