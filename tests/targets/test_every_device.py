"""One list for every device that is here, and for our PTX read back: the oracle's bits, and NumPy's numbers."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.interp.program import run_program
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.program import Buffer, Fill, Launch, Program
from ptxjit.ir.types import F32, I32, I64, array
from ptxjit.targets import target
from ptxjit.testing.agreement import read_back, run_on
from ptxjit.testing.compare import bits_difference

READER = "PTX reader"
NARROWER = [t for t in ("cpu:x86-64-v3",) if target(t).runs_kernels and pj.device("cpu").facts.vector_bits > 256]  # AVX2 on a host with AVX-512
DEVICES = [d.name for d in pj.devices() if d.available and d.name != "interp"] + NARROWER + [READER]
RNG = np.random.default_rng(7)


def f4(*shape):
    return RNG.standard_normal(shape).astype("f4")


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layernorm(x, g, b):
    c = x - x.mean(axis=-1, keepdims=True)
    return c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + 1e-5) * g + b


def newton(x):
    return pj.fori_loop(0, 6, lambda i, y: 0.5 * (y + x / y), x)


def newton_in_numpy(x):
    y = x
    for _ in range(6):
        y = 0.5 * (y + x / y)
    return y


def collatz(n):
    def step(s):
        v, count = s
        return np.where(v == 1, v, np.where(v % 2 == 0, v // 2, 3 * v + 1)), count + (v != 1)

    return pj.while_loop(lambda s: (s[0] != 1).any(), step, (n, np.zeros_like(n)))[1]


def collatz_in_python(n):
    out = []
    for v in n:
        count = 0
        while v != 1:
            v, count = (v // 2 if v % 2 == 0 else 3 * v + 1), count + 1
        out.append(count)
    return np.array(out, n.dtype)


CASES = {  # name → (function, NumPy's, arguments, relative tolerance)
    "elementwise": (lambda x, y: np.where(x > 0, np.sin(x) * np.exp(-x * x) + y, np.abs(y) ** 0.5), None, (f4(5, 37), f4(37)), 2e-6),
    "elementwise f64": (lambda x: np.log1p(np.abs(x)) * np.tanh(x) - np.arctan2(x, 2.0), None, (RNG.standard_normal(1001),), 1e-14),
    "integers": (lambda x, y: ((x * y) ^ (x >> 3), x // y, x % y, np.minimum(x, y)), None, (RNG.integers(-99, 99, 513), RNG.integers(1, 50, 513)), 0),
    "reductions": (lambda x: (x.sum(), x.max(0), x.mean(1), x.var(1), x.prod(1), x.argmin(1), (x > 0).any(0)), None, (f4(33, 70),), 1e-4),
    "long reduction": (lambda x: x.sum(-1), None, (f4(2, 9001),), 1e-3),
    "softmax": (softmax, None, (f4(7, 1000),), 1e-5),
    "layernorm": (layernorm, None, (f4(9, 257), f4(257), f4(257)), 1e-4),
    "matmul": (lambda x, y, b: np.maximum(x @ y + b, 0), None, (f4(37, 129), f4(129, 45), f4(45)), 1e-3),
    "matmul of bytes": (lambda x, y: np.maximum(x.astype("i4") @ y.astype("i4") - 9, 0), None, (RNG.integers(-128, 128, (37, 65), "i1"), RNG.integers(-128, 128, (65, 45), "i1")), 0),
    "gather": (lambda x, i: (x[i], np.take_along_axis(x, i[:, None] % 5, axis=1), x[:, ::-2]), None, (f4(20, 5), RNG.integers(0, 20, 20)), 0),
    "scan": (lambda x, n: (np.cumsum(x, axis=1), np.cumsum(n)), None, (f4(4, 301), RNG.integers(-9, 9, 100)), 1e-3),
    "atomics": (lambda i: np.bincount(i, minlength=37), None, (RNG.integers(0, 37, 5000),), 0),
    "f16": (lambda x, y: (x * y + 1, np.exp(x), x.sum(-1), np.sqrt(np.abs(y))), None, (f4(6, 65).astype("f2"), f4(6, 65).astype("f2")), 1e-2),
    "loops": (newton, newton_in_numpy, (np.abs(f4(123)) + 1,), 1e-6),
    "while loops": (collatz, collatz_in_python, (np.arange(1, 60),), 0),
    "random": (lambda k: pj.random.uniform(pj.random.key(7), (33,)) * k, None, (np.float32(2),), None),
}  # fmt: skip


def on(device, fn, args):
    return run_on(fn, "ptx:sm_80 on cpu" if device == READER else device, args)


@pytest.mark.parametrize("device", ["interp", *DEVICES])
@pytest.mark.parametrize("case", CASES)
def test_functions(case, device, record_property):
    record_property("case", case)
    record_property("device", device)
    fn, reference, args, tolerance = CASES[case]
    got = on(device, fn, args)
    if device != "interp":
        why = bits_difference(on("interp", fn, args), got)
        assert why is None, f"{device}: {why}"
    if tolerance is None:
        return
    want = (reference or fn)(*args)
    for a, b in zip(got, want if isinstance(want, tuple) else (want,), strict=True):
        assert a.dtype == np.asarray(b).dtype and a.shape == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", ["interp", *DEVICES])
def test_reproducible(device, record_property):
    """`reproducible=True`: the same bits everywhere, whatever the width and the number of threads."""
    record_property("case", "reproducible")
    record_property("device", device)

    @pj.jit(reproducible=True)
    def f(x, w):
        h = np.tanh(x @ w) + np.exp(-x[:, :1] ** 2)
        return softmax(h), h.sum(), np.cumsum(h, axis=1), h.std(axis=0)

    rng = np.random.default_rng(3)
    args = (rng.standard_normal((31, 80)), rng.standard_normal((80, 19)))
    assert bits_difference(run_on(f, "interp", args), on(device, f, args)) is None


# ---- kernels as such: what no schedule uses, every target must still carry ----------------------------------------------


def turned(lanes, warps):
    """Each block's elements in reverse, by way of shared memory and a barrier."""
    b = KernelBuilder("turned", lanes=lanes, warps=warps)
    t = lanes * warps
    x = b.param("x", I64, role="pointer", elem=F32)
    y = b.param("y", I64, role="pointer", elem=F32)
    lane = thread(b, lanes, warps)
    at = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.const(I32, t)), lane)
    v = b.ld(x, at, space="global", to=F32, scale=4)
    b.st(b.const(I32, 0), lane, v, space="shared", to=F32, scale=4)
    b.bar()
    w = b.ld(b.const(I32, 0), b.isub(b.const(I32, t - 1), lane), space="shared", to=F32, scale=4)
    b.st(y, at, w, space="global", to=F32, scale=4)
    b.ret()
    return finished(b, shared=4 * t)


def counted(lanes, warps):
    """Atomics on global memory: a histogram of eight bins, the largest element, and a sum."""
    b = KernelBuilder("counted", lanes=lanes, warps=warps)
    x = b.param("x", I64, role="pointer", elem=I32)
    y = b.param("y", I64, role="pointer", elem=I32)
    at = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.const(I32, lanes * warps)), thread(b, lanes, warps))
    v = b.ld(x, at, space="global", to=I32, scale=4)
    b.red(y, getattr(b, "and")(v, b.const(I32, 7)), b.const(I32, 1), space="global", to=I32, fn="iadd", scale=4)
    b.red(y, b.const(I32, 8), v, space="global", to=I32, fn="imax_s", scale=4)
    b.red(y, b.const(I32, 9), v, space="global", to=I32, fn="iadd", scale=4)
    b.ret()
    return finished(b)


def thread(b, lanes, warps):
    lane = b.sreg(name="laneid")
    return lane if warps == 1 else b.iadd(b.imul(b.sreg(name="warpid"), b.const(I32, lanes)), lane)


def finished(b, shared=0):
    from ptxjit.ir.verify import verify

    b.shared = shared
    k = b.finish()
    verify(k)
    return k


def program(make, facts, blocks):
    warps = min(2, facts.max_warps)
    k = make(facts.lanes, warps)
    t = facts.lanes * warps
    elem = F32 if make is turned else I32
    x = Buffer("x", array(elem, (blocks * t,)), "input")
    y = Buffer("y", array(elem, (blocks * t if make is turned else 10,)), "output")
    steps = (Fill(y, 0), Launch(k, (blocks, 1, 1), (x, y)))
    return Program(k.name, (x, y), (x,), (y,), steps), {k.name: k}, t


def expected(make, x, t):
    if make is turned:
        return x.reshape(-1, t)[:, ::-1].ravel()
    return np.array([*np.bincount(x & 7, minlength=8), max(x.max(), 0), x.sum()], "i4")


@pytest.mark.parametrize("device", ["interp", *DEVICES])
@pytest.mark.parametrize("make", [turned, counted])
def test_kernels(make, device, record_property):
    record_property("case", "shared memory" if make is turned else "atomics in kernels")
    record_property("device", device)
    found = target("ptx:sm_80") if device == READER else target(pj.device(device).target)
    p, kernels, t = program(make, found.facts, 5)
    x = np.arange(5 * t, dtype="f4") if make is turned else np.random.default_rng(4).integers(-100, 100, 5 * t).astype("i4")
    if device == "interp":
        [got] = run_program(p, [x], kernels)
    elif device == READER:
        [got] = run_program(p, [x], read_back(found, kernels, "cpu"))
    else:
        [got] = found.build(p, kernels)(x)
    np.testing.assert_array_equal(got, expected(make, x, t))


def test_the_list_is_whole():
    """Each kind that a target must carry has its case, and every device has a cell in each row."""
    have = " ".join([*CASES, "shared memory", "atomics"])
    for kind in "elementwise reductions softmax layernorm matmul gather scan atomics shared f16 loops".split():
        assert kind in have
    assert {"cpu", READER} <= set(DEVICES)
