"""Passes over what lanes exchange: the interpreter's bits stay the same."""
from __future__ import annotations

import numpy as np
import pytest

from ptxjit.ir.errors import UnsupportedError
from ptxjit.ir.interp.machine import run_kernel
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.ops.matrix import count, layouts, register_type
from ptxjit.ir.passes.exchange import MOST, one_exchange
from ptxjit.ir.passes.matrices import expand_products
from ptxjit.ir.passes.threads import thread_numbers
from ptxjit.ir.types import F32, I32, I64
from ptxjit.ir.verify import verify

PRODUCTS = [
    {"shape": "m16n8k16", "a": "f16", "b": "f16", "c": "f32", "d": "f32"}, {"shape": "m16n8k8", "a": "bf16", "b": "bf16", "c": "f32", "d": "f32"},
    {"shape": "m16n8k8", "a": "tf32", "b": "tf32", "c": "f32", "d": "f32"}, {"shape": "m16n8k16", "a": "f16", "b": "f16", "c": "f16", "d": "f16"},
    {"shape": "m8n8k4", "a": "f64", "b": "f64", "c": "f64", "d": "f64"}, {"shape": "m16n8k32", "a": "s8", "b": "u8", "c": "s32", "d": "s32"},
    {"shape": "m16n8k64", "a": "s4", "b": "s4", "c": "s32", "d": "s32", "sat": True}, {"shape": "m8n8k128", "a": "b1", "b": "b1", "c": "s32", "d": "s32", "bop": "xor"},
    {"shape": "m16n8k32", "a": "e4m3", "b": "e5m2", "c": "f32", "d": "f32"}, {"shape": "m16n8k32", "a": "e2m1", "b": "e3m2", "c": "f32", "d": "f32"},
    {"shape": "m16n8k32", "a": "e2m3", "b": "e2m1", "c": "f16", "d": "f16"}, {"shape": "m16n8k16", "a": "f16", "b": "f16", "c": "f32", "d": "f32", "sparse": 2},
    {"shape": "m16n8k32", "a": "bf16", "b": "bf16", "c": "f32", "d": "f32", "sparse": 1}, {"shape": "m16n8k8", "a": "tf32", "b": "tf32", "c": "f32", "d": "f32", "sparse": 3},
    {"shape": "m16n8k16", "a": "tf32", "b": "tf32", "c": "f32", "d": "f32", "sparse": 0}, {"shape": "m16n8k32", "a": "s8", "b": "u8", "c": "s32", "d": "s32", "sparse": 1},
    {"shape": "m16n8k64", "a": "u8", "b": "s8", "c": "s32", "d": "s32", "sparse": 0, "sat": True}, {"shape": "m16n8k64", "a": "s4", "b": "u4", "c": "s32", "d": "s32", "sparse": 1},
    {"shape": "m16n8k128", "a": "u4", "b": "s4", "c": "s32", "d": "s32", "sparse": 0}, {"shape": "m16n8k64", "a": "e4m3", "b": "e2m3", "c": "f32", "d": "f32", "sparse": 0},
    {"shape": "m16n8k32", "a": "e5m2", "b": "e5m2", "c": "f32", "d": "f32", "scale": "ue8m0", "vec": 1},
    {"shape": "m16n8k64", "a": "e2m1x8", "b": "e2m1x8", "c": "f32", "d": "f32", "scale": "ue8m0", "vec": 2},
    {"shape": "m16n8k64", "a": "e2m1x8", "b": "e2m1x8", "c": "f32", "d": "f32", "scale": "ue4m3", "vec": 4},
    {"shape": "m16n8k64", "a": "e3m2", "b": "e4m3", "c": "f32", "d": "f32", "scale": "ue8m0", "vec": 1, "sparse": 0},
    {"shape": "m16n8k128", "a": "e2m1x8", "b": "e2m1x8", "c": "f32", "d": "f32", "scale": "ue8m0", "vec": 4, "sparse": 0},
]  # fmt: skip


def product(attrs):
    """out[r][lane] = the registers of mma over in[r][lane]."""
    b = KernelBuilder("product", lanes=32, warps=1)
    lay = layouts(attrs)
    x, y = (b.param(n, I64, role="pointer", elem=I32) for n in ("x", "y"))
    lane = b.sreg(name="laneid")
    registers, at = [], 0
    for m in "abc":
        t = register_type(attrs[m])
        for _ in range(count(attrs[m], lay[m][0].shape[1])):
            registers.append(b.ld(x, lane, space="global", to=t, scale=8, disp=256 * at))
            at += 1
    for _ in range((attrs.get("sparse") is not None) + 2 * ("scale" in attrs)):
        registers.append(b.ld(x, lane, space="global", to=I32, scale=8, disp=256 * at))
        at += 1
    made = b.emit(op("mma"), [b.const(I32, -1), *registers], tuple(sorted(attrs.items())))
    made = made if isinstance(made, tuple) else (made,)
    for r, v in enumerate(made):
        b.st(y, lane, v, space="global", to=v.type, scale=8, disp=256 * r)
    b.ret()
    return b.finish(), at, len(made)


@pytest.mark.parametrize("attrs", PRODUCTS, ids=lambda a: "-".join(map(str, a.values())))
def test_products_as_shuffles(attrs):
    kernel, inputs, results = product(attrs)
    verify(kernel)
    other = expand_products(kernel)
    verify(other)
    assert not any(i.op.name == "mma" for i in other.instrs()) and expand_products(other) is other
    rng, extra = np.random.default_rng(0), ("sparse" in attrs) + 2 * ("scale" in attrs)  # words of metadata, of scales
    x = rng.integers(-(2**31), 2**31, (inputs, 32, 2)).astype("i4")
    if attrs.get("scale") == "ue8m0":  # exponents near each other, and some that are not
        x[inputs - 2 :] = rng.choice([0, 90, 120, 127, 130, 160, 254, 255], (2, 32, 8)).astype("u1").view("i4")
        x[inputs - extra - 4 : inputs - extra] = rng.standard_normal((4, 32, 2)).astype("f4").view("i4")
        x[: inputs - extra - 4] &= 0x3FBFBFBF - (1 << 31)  # not so many infinities of e5m2
    if attrs["a"] == "f64":
        x = rng.standard_normal((inputs, 32)).view("i4").reshape(inputs, 32, 2)
    elif attrs["a"] in ("f16", "bf16", "tf32"):  # ordinary numbers
        halves = rng.standard_normal((inputs, 32, 4)).astype("f2").view("i4").reshape(inputs, 32, 2)
        single = rng.standard_normal((inputs, 32, 2)).astype("f4").view("i4")
        x, noise = halves if attrs["a"] == "f16" else single, x
        if attrs["c"] == "f32":
            x[-4 - extra : inputs - extra] = single[-4 - extra : inputs - extra]
        x[inputs - extra :] = noise[inputs - extra :]
    outs = []
    for k in (kernel, other):
        y = np.zeros((results, 32, 2), "i4")
        run_kernel(k, (1, 1, 1), [x.copy(), y])
        outs.append(y)
    if attrs["d"] == "f32":
        a, b = (o[:, :, 0].copy().view("f4") for o in outs)
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_array_equal(*outs)


def test_a_product_that_rounds_otherwise_is_refused():
    kernel, _, _ = product({"shape": "m8n8k4", "a": "f64", "b": "f64", "c": "f64", "d": "f64", "rnd": "rz"})
    with pytest.raises(UnsupportedError, match="mma rounded rz"):
        expand_products(kernel)


def butterflies(steps, fn):
    b = KernelBuilder("sum", lanes=16, warps=2)
    x, y = (b.param(n, I64, role="pointer", elem=F32) for n in ("x", "y"))
    at = b.iadd(b.sreg(name="laneid"), b.imul(b.sreg(name="warpid"), b.const(I32, 16)))
    v = b.ld(x, at, space="global", to=F32, scale=4)
    for s in steps:
        v = fn(b, v, b.shfl(v, b.const(I32, s), mode="bfly"))
    b.st(y, at, v, space="global", to=F32, scale=4)
    b.ret()
    return b.finish()


@pytest.mark.parametrize("fn", [lambda b, v, w: b.fadd(v, w), lambda b, v, w: b.fsub(b.fmul(v, v), w)], ids=["sum", "not symmetric"])
def test_a_butterfly_meets_once(fn):
    kernel = butterflies((8, 4, 2, 1), fn)
    other = one_exchange(kernel)
    verify(other)
    after: set[int] = set()  # values that a shuffle went into
    for i in other.instrs():
        assert i.op.name != "shfl" or i.args[0].id not in after
        if i.op.name == "shfl" or any(a.id in after for a in i.args):
            after.update(r.id for r in i.results)
    assert sum(i.op.name == "shfl" for i in other.instrs()) >= 15 and sum(i.op.name == "shfl" for i in kernel.instrs()) == 4
    x, outs = np.random.default_rng(1).standard_normal(32).astype("f4"), []
    for k in (kernel, other):
        outs.append(np.zeros(32, "f4"))
        run_kernel(k, (1, 1, 1), [x.copy(), outs[-1]])
    np.testing.assert_array_equal(*outs)


def test_large_exchanges_stay_as_they_are():
    def many(b, v, w):
        for _ in range(MOST):
            v = b.fadd(v, w)
        return v

    kernel = butterflies((8, 4, 2), many)
    assert one_exchange(kernel) is kernel


def test_thread_numbers():
    kernel = butterflies((8,), lambda b, v, w: b.fadd(v, w))
    other = thread_numbers(kernel)
    verify(other)
    assert [i.attr("name") for i in other.instrs() if i.op.name == "sreg"].count("tid.x") == 1 and thread_numbers(other) is other
    x, y = np.arange(32, dtype="f4"), np.zeros(32, "f4")
    run_kernel(other, (1, 1, 1), [x, y])
    np.testing.assert_array_equal(y, x + x[np.arange(32) ^ 8])
