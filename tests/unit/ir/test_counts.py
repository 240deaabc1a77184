"""What kernels move and compute, against numbers counted by hand; live values."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.analysis.counts import flops_of, program_counts
from ptxjit.ir.analysis.live import peak, pressure
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.op import op
from ptxjit.ir.types import F32, I32, I64

TARGETS = ["cpu:x86-64-v3", "cpu:x86-64-v4", "ptx:sm_90", "spirv"]
EXP = flops_of(op("exp"), F32)


def counts(fn, *specs, target):
    return program_counts(pj.jit(fn).lower(*specs, target=target)._low.program)


def axpy(a, x, y):
    return a * x + y


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def relu_matmul(a, b):
    return np.maximum(a @ b, 0)


@pytest.mark.parametrize("target", TARGETS)
def test_axpy(target):
    [c] = counts(axpy, "f32", "f32[4096]", "f32[4096]", target=target).values()
    assert (c.read, c.written, c.flops, c.exact) == (4 + 2 * 4 * 4096, 4 * 4096, 2 * 4096, True)
    assert c.touched == {"a": (4, 0), "x": (4 * 4096, 0), "y": (4 * 4096, 0), "out": (0, 4 * 4096)}
    assert c.intensity == pytest.approx(2 / 12, rel=1e-3)


@pytest.mark.parametrize("target", TARGETS)
def test_the_overhang_is_computed_but_not_moved(target):
    [c] = counts(axpy, "f64", "f64[1000]", "f64[1000]", target=target).values()
    assert (c.read, c.written) == (8 + 2 * 8 * 1000, 8 * 1000) and 2000 <= c.flops <= 2 * 1024


@pytest.mark.parametrize("target", TARGETS)
def test_softmax(target):
    rows, n = 64, 128
    [c] = counts(softmax, f"f32[{rows},{n}]", target=target).values()
    # per element a maximum, a difference, an exponential, a sum, a quotient; n lanes start at −inf and −0, so 64 accumulators fold with 63 more
    per_row = n + 63 + n + EXP * n + n + 63 + n
    assert (c.read, c.written, c.flops, c.exact) == (4 * rows * n, 4 * rows * n, rows * per_row, True)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("m, k, n", [(96, 128, 192), (96, 1000, 192)])
def test_matmul(target, m, k, n):
    [c] = counts(relu_matmul, f"f32[{m},{k}]", f"f32[{k},{n}]", target=target).values()
    panels = -(-k // 256) if k > 256 else 0  # several panels are added to −0, one is the result
    assert (c.read, c.written) == (4 * (m * k + k * n), 4 * m * n) and c.exact
    assert c.flops == 2 * m * n * k + m * n * panels + m * n  # products, panel sums, the maximum


def test_strided_and_shifted_reads_count_their_elements():
    [c] = counts(lambda x: x[::2] + 1, "f32[1000]", target="ptx:sm_90").values()
    assert (c.read, c.written) == (4 * 500, 4 * 500)
    [c] = counts(lambda x: x[1:] - x[:-1], "f32[1000]", target="ptx:sm_90").values()
    assert (c.read, c.written) == (4 * 1000, 4 * 999)


def test_data_decides():
    [c] = counts(lambda x, i: np.take(x, i), "f32[100]", "i32[64]", target="ptx:sm_90").values()
    assert not c.exact and c.read <= 4 * 100 + 4 * 64 and c.written == 4 * 64 and c.flops == 0


def test_launches_in_loops():
    def f(x):
        return pj.scan(lambda s, v: (s + v, s), x[0], x)

    found = counts(f, "f32[5,64]", target="ptx:sm_90")
    assert {c.times for c in found.values()} >= {5}

    def g(x):
        return pj.while_loop(lambda s: s.sum() < 100, lambda s: s + 1, x)

    assert None in {c.times for c in counts(g, "f32[64]", target="ptx:sm_90").values()}


def test_stats_keep_their_keys_and_agree_on_what_is_moved():
    for target in TARGETS:
        [entry] = pj.jit(axpy).lower("f32", "f32[4096]", "f32[4096]", target=target).stats()
        assert entry["kernel"] == "axpy" and entry["bytes read"] == 4 + 32768 and entry["intensity"] == 0.167
        assert sum(entry["classes"].values()) == entry["instructions"] >= sum(entry["mix"].values()) > 0
        assert entry["shared bytes"] == 0 and entry["live words"] > 0 and (target.startswith("ptx") or entry["occupancy"] <= 1)


def test_pressure_by_hand():
    b = KernelBuilder("k", lanes=32, warps=1)
    p = b.param("p", I64, role="pointer", elem=F32, access="rw")
    lane = b.emit(op("sreg"), (), (("name", "laneid"),))
    x = b.emit(op("ld"), (p, lane), (("scale", 4), ("space", "global"), ("to", F32)))
    y = b.fadd(x, x)
    b.emit(op("st"), (p, lane, y), (("scale", 4), ("space", "global"), ("to", F32)))
    b.ret()
    k = b.finish()
    assert pressure(k) == [[1, 2, 2, 0, 0]] and peak(k) == 2


def test_pressure_across_a_loop():
    b = KernelBuilder("k", lanes=32, warps=1)
    n = b.param("n", I32)
    zero, one = b.const(I32, 0), b.const(I32, 1)
    head, done = b.block("head", [I32, I64]), b.block("done")
    b.jump(head, zero, b.const(I64, 7))
    i, wide = b.start(head)
    more = b.iadd(i, one)
    b.branch(b.icmp(more, n, pred="slt"), head, done, (more, wide))
    b.start(done)
    b.ret()
    [_, loop, end] = pressure(b.finish())
    assert loop == [3, 3, 3] and end == [0]  # the counter and the 64-bit value; the predicate takes none
