"""This machine as one of fewer abilities: `cpu:x86-64-v3` runs AVX2 code on a host with AVX-512, and a host that lacks something says what."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.targets.cpu import host
from ptxjit.targets.cpu.target import CpuTarget
from ptxjit.testing.compare import bits_difference, results

V3 = pytest.mark.skipif(host.why_not("x86-64-v3") is not None, reason=f"no AVX2 here: {host.why_not('x86-64-v3')}")
SUM = """.version 7.8
.target sm_80
.address_size 64
.visible .entry k(.param .u64 px, .param .u64 py) {
    .reg .b32 %r<4>; .reg .b64 %a<4>; .reg .f32 %f<4>;
    ld.param.u64 %a1, [px]; ld.param.u64 %a2, [py];
    mov.u32 %r1, %tid.x; mul.wide.u32 %a3, %r1, 4; add.s64 %a1, %a1, %a3; add.s64 %a2, %a2, %a3;
    ld.global.f32 %f1, [%a1]; fma.rn.f32 %f2, %f1, %f1, %f1; st.global.f32 [%a2], %f2;
    ret;
}
"""


@V3
def test_functions_run_and_use_narrower_vectors():
    x = np.random.default_rng(3).standard_normal((63, 101)).astype("f4")
    fn = lambda x: (np.exp(x) * x.sum(axis=1, keepdims=True), x @ x.T, np.cumsum(x, axis=0))
    assert bits_difference(results(pj.jit(fn)(x)), results(pj.jit(fn, device="cpu:x86-64-v3")(x))) is None
    low = pj.jit(fn).lower(x, target="cpu:x86-64-v3")
    assert "zmm" not in low.as_text("asm") and "ymm" in low.as_text("asm")
    assert bits_difference(results(pj.jit(fn)(x)), results(tuple(low.compile()(x)))) is None
    d = pj.device("cpu:x86-64-v3")
    assert d.available and d.kind == "cpu" and d.facts.lanes == 8 and d.name not in [e.name for e in pj.devices()]


@V3
@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_foreign_kernels_too(mode):
    mod = pj.load_ptx(SUM, device="cpu:x86-64-v3")
    mod.mode = mode
    x, y = np.arange(70, dtype="f4"), np.zeros(70, "f4")
    mod["k"][1, 70](x, y)
    np.testing.assert_array_equal(y, x * x + x)


def test_what_cannot_run_here_says_why(monkeypatch):
    with pytest.raises(pj.errors.DeviceError, match="lowered, not run"):
        pj.device("cpu:aarch64")
    with pytest.raises(pj.errors.DeviceError, match="no CPU of that name"):
        pj.jit(lambda x: x, device="cpu:z80")(np.ones(3))
    monkeypatch.setattr(host, "flags", lambda: host.RUNS["x86-64-v3"] - {"fma"})
    with pytest.raises(pj.errors.DeviceError, match="lacks fma"):
        pj.device("cpu:x86-64-v3")
    with pytest.raises(pj.errors.DeviceError, match="lacks avx512bw, avx512cd, avx512dq, avx512f, avx512vl, fma"):
        CpuTarget("cpu:x86-64-v4").load_kernel(b"")
