"""Text, statistics and facts of the AMD target."""
from __future__ import annotations

import re

import numpy as np
import pytest

import ptxjit as pj
from ptxjit import targets
from ptxjit.errors import ResourceError, UserError
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.types import F16, F32, I32, I64
from ptxjit.targets.amdgpu.codeobject import read
from ptxjit.targets.amdgpu.dialect import AmdDialect
from ptxjit.targets.amdgpu.facts import ARCHS, occupancy
from ptxjit.targets.llvm.item import emit_items
from ptxjit.testing import assert_targets_agree
from tests.unit.amdgpu.test_lanes import kernel as lane_kernel


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


X = np.zeros((4, 200), "f4")


def body(text, kernel):
    """A kernel's instructions, without their operands' numbers."""
    return text.partition(f"\n{kernel}:\n")[2].partition("s_endpgm")[0]


@pytest.mark.parametrize("arch", ARCHS)
def test_every_architecture(arch):
    low = pj.jit(softmax).lower(X, target=f"amdgpu:{arch}")
    assert low.stages == ("graph", "program", "tile", "kernel", "ll", "asm", "hsaco", "final")
    text = low.as_text()
    assert f'.amdgcn_target "amdgcn-amd-amdhsa--{arch}"' in text and "s_endpgm" in text and low.as_text("asm") == text
    [k] = read(low.stage("hsaco")).kernels.values()
    [s] = low.stats()
    assert s["kernel"] == k.name and s["registers"] == k.vgprs > 4 and s["spills"] == s["scratch bytes"] == 0 and s["wave"] == ARCHS[arch].lanes
    assert s["shared bytes"] == k.lds and 0 < s["occupancy"] <= 1 and s["classes"]["fp"] > 50 and s["classes"]["memory"] > 2 and s["mix of"] == "asm"


def test_the_text(golden):
    golden(pj.jit(lambda a, x, y: a * x + y).lower(np.float32(2), X, X, target="amdgpu:gfx1100").as_text("ll"), "axpy.amdgpu.ll.txt")


def test_no_register_is_asked_for_in_vain():
    [k] = read(pj.jit(lambda x: x + 1).lower(X, target="amdgpu:gfx1100").stage("hsaco")).kernels.values()
    assert k.rsrc[3] == 0x408 and k.kernarg == 16 and len(k.args) == 2  # wave32, and of user SGPRs the arguments' address alone


@pytest.mark.parametrize("arch", ["gfx90a", "gfx1030", "gfx1100", "gfx1201"])
def test_denormals_are_kept(arch):
    for k in read(pj.jit(softmax).lower(X, target=f"amdgpu:{arch}").stage("hsaco")).kernels.values():
        assert k.rsrc[0] >> 16 & 15 == 15 and k.rsrc[0] >> 12 & 15 == 0  # all denormals, to nearest


def test_nothing_is_contracted_or_approximated():
    text = pj.jit(lambda a, b, c: (a * b + c, a / b, np.sqrt(np.abs(c)))).lower(X, X, X, target="amdgpu:gfx1100").as_text("ll")
    assert not re.search(r"\b(fast|contract|afn|arcp|nnan|nsz|reassoc|fpmath|inbounds|nsw|nuw)\b", text)
    asm = pj.jit(lambda a, b, c: a * b + c).lower(X, X, X, target="amdgpu:gfx1100").as_text()
    assert "v_fma" not in asm and ("v_mul_f32" in asm or "v_dual_mul_f32" in asm)
    assert "v_div_fixup_f32" in pj.jit(lambda a, b: a / b).lower(X, X, target="amdgpu:gfx1100").as_text()


def exchange(access):
    b = KernelBuilder("exchange", lanes=32, warps=4)
    p = b.param("p", I64, role="pointer", elem=I32, access="r")
    q = b.param("q", I64, role="pointer", elem=I32, access=access)
    b.shared = 512
    at = b.sreg(name="tid.x")
    b.st(b.const(I32, 0), at, b.ld(p, at, space="global", to=I32, scale=4), space="shared", to=I32, scale=4)
    b.bar(id=0)
    other = b.xor(at, b.const(I32, 127))
    b.st(q, at, b.ld(b.const(I32, 0), other, space="shared", to=I32, scale=4), space="global", to=I32, scale=4)
    b.ret()
    return b.finish()


def test_barriers_do_not_invalidate_caches():
    t = targets.target("amdgpu:gfx1100")
    mine, theirs = (str(t.emit([exchange(a)], "asm")) for a in ("w", "rw"))
    assert "s_barrier" in mine and "gl0_inv" not in mine and "vscnt" not in mine.partition("s_barrier")[0].rpartition("ds_store")[2]
    assert "s_barrier" in theirs and "buffer_gl0_inv" in theirs
    assert read(t.emit([exchange("w")], "hsaco")).kernels["exchange"].lds == 512


def test_too_much_shared_memory():
    k = exchange("w")
    k.shared = (64 << 10) + 16
    with pytest.raises(ResourceError, match="65552 bytes of shared memory"):
        targets.target("amdgpu:gfx1100").emit([k], "asm")


def test_too_much_memory_of_a_lane():
    """Beyond 128 KiB LLVM would end the process."""
    for arch in ("gfx90a", "gfx1030", "gfx1100"):
        for size, good in ((96 << 10, True), ((96 << 10) + 16, False)):
            b = KernelBuilder("deep")
            b.local = size
            p = b.param("p", I64)
            x = b.ld(p, space="global", to=I32)
            b.st(x, x, space="local", to=I32)
            b.st(p, b.ld(b.iadd(x, b.const(I32, 4)), space="local", to=I32), space="global", to=I32)
            b.ret()
            target = targets.target(f"amdgpu:{arch}")
            if good:
                assert read(target.emit_kernel(b.finish(), "hsaco")).kernels["deep"].scratch >= size
                continue
            with pytest.raises(ResourceError, match="memory for each lane"):
                target.emit_kernel(b.finish(), "asm")


def test_atomics():
    b = KernelBuilder("atoms", lanes=32, warps=1)
    p = b.param("p", I64, role="pointer", elem=I32)
    at = b.sreg(name="laneid")
    for fn in ("iadd", "imin_s", "and", "exch"):
        b.red(p, at, space="global", to=I32, scale=4, fn=fn) if False else b.red(p, at, at, space="global", to=I32, scale=4, fn=fn)
    b.ret()
    k = b.finish()
    text = emit_items([k], AmdDialect("gfx1100"))
    assert text.count("atomicrmw") == 4 and text.count('syncscope("agent") monotonic') == 4
    asm = str(targets.target("amdgpu:gfx1100").emit([k], "asm"))
    assert all(f"global_atomic_{w}_b32" in asm or f"global_atomic_{w}_u32" in asm or f"global_atomic_{w}_i32" in asm for w in ("add", "min", "and", "swap"))
    assert "cmpswap" not in asm


def test_saturation_loses_minus_zero():
    """`clamp` may keep −0, so that nothing that can be −0 reaches it."""
    b = KernelBuilder("sat", lanes=32, warps=1)
    p = b.param("p", I64, role="pointer", elem=F32)
    at = b.sreg(name="laneid")
    x = b.ld(p, at, space="global", to=F32, scale=4)
    b.st(p, at, b.fminnum(b.fmaxnum(x, b.const(F32, 0.0)), b.const(F32, 1.0)), space="global", to=F32, scale=4)
    b.ret()
    asm = str(targets.target("amdgpu:gfx1100").emit([b.finish()], "asm"))
    assert re.search(r"v_add_f32_e64 v\d+, v\d+, 0 clamp|v_add_f32_e32 v\d+, 0, v\d+", asm), asm


def test_f16_is_the_hardwares():
    x = X.astype("f2")
    asm = pj.jit(lambda x: x * x + x).lower(x, target="amdgpu:gfx1100").as_text()
    assert re.search(r"v_(pk_)?mul_f16", asm) and re.search(r"v_(pk_)?add_f16", asm) and "v_cvt_f32_f16" not in asm
    assert F16.name in targets.target("amdgpu:gfx1100").facts.features


@pytest.mark.parametrize("arch", ["gfx942", "gfx1030", "gfx1100"])
def test_the_kernels_are_right(arch):
    """On the kernel interpreter, in waves of 32 and 64."""
    rng = np.random.default_rng(0)
    for fn, shapes in ((softmax, [(3, 200)]), (lambda x: np.cumsum(x, axis=1), [(2, 300)]), (lambda x, y: x @ y, [(9, 70), (70, 21)]),
                       (lambda x: (x.mean(0), x.max(0), np.argmax(x, 1)), [(300, 9)])):  # fmt: skip
        assert_targets_agree(fn, *(rng.standard_normal(s).astype("f4") for s in shapes), targets=["interp", f"amdgpu:{arch}"], bitwise=True)


def test_facts():
    for arch, a in ARCHS.items():
        f = targets.target(f"amdgpu:{arch}").facts
        assert f.target == f"amdgpu:{arch}" and f.kind == "amdgpu" and f.lanes * f.max_warps == 1024 and f.shared_bytes == 65536 and a.cov in (5, 6)
    assert targets.target("amdgpu").facts.target == "amdgpu:gfx1100"
    with pytest.raises(UserError, match="gfx803") as e:
        targets.target("amdgpu:gfx803")
    assert "gfx1100" in e.value.hint


@pytest.mark.parametrize(("arch", "vgprs", "waves", "lds", "want"), [
    ("gfx1100", 32, 4, 0, (16, "waves")), ("gfx1100", 97, 4, 0, (12, "VGPRs")), ("gfx1100", 256, 4, 0, (5, "VGPRs")), ("gfx1030", 256, 4, 0, (4, "VGPRs")),
    ("gfx1100", 32, 4, 32 << 10, (4, "LDS")), ("gfx90a", 128, 4, 0, (4, "VGPRs")), ("gfx942", 32, 4, 0, (8, "waves")), ("gfx90a", 32, 4, 64 << 10, (1, "LDS")),
    ("gfx950", 32, 4, 64 << 10, (2, "LDS")), ("gfx9-generic", 84, 1, 0, (3, "VGPRs"))])  # fmt: skip
def test_occupancy(arch, vgprs, waves, lds, want):
    o = occupancy(arch, vgprs, waves, lds)
    assert (o["waves per SIMD"], o["limit"]) == want and o["occupancy"] == round(want[0] / ARCHS[arch].waves, 3)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["gfx90a", "gfx1030", "gfx9-generic"])
def test_every_op_is_compiled(arch, lane_cases):
    """Nothing that LLVM could not select, for which it would end the process."""
    target = targets.target(f"amdgpu:{arch}")
    code = read(target.emit([lane_kernel(c, target.facts) for c in lane_cases()], "hsaco"))
    assert len(code.kernels) == len(lane_cases()) > 400
