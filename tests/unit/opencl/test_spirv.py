"""SPIR-V: the words are sound, and every lane op gives the interpreter's bits on the devices that take it (and the rest as OpenCL C)."""
from __future__ import annotations

import re
import shutil
import subprocess
import threading

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.errors import BugError, ToolError, UnsupportedError
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.types import F16, I32, I64
from ptxjit.targets import target
from ptxjit.targets.llvm import worker
from ptxjit.targets.spirv.dialect import triple
from ptxjit.targets.spirv.runtime import spirv_version
from tests.properties.test_levels import CASES as LEVELS
from tests.unit.llvm.test_lanes import COUNT, LANES, difference, inputs
from tests.unit.opencl.spirv_reader import read

TYPES = "i1 i8 i16 i32 i64 f16 bf16 f32 f64".split()


def lowered(name, dtype):
    fn, shapes = LEVELS[name]
    return pj.jit(fn).lower(*(np.zeros(s, dtype) for s in shapes), target="spirv")


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("name", LEVELS)
def test_the_words_are_sound(name, dtype, tmp_path):
    low = lowered(name, dtype)
    words = low.stage("spv")
    module = read(words)
    assert module.version == (1, 2) and set(module.entries) == {f"{k}_" for k in low.kernels}
    assert module.contraction_off == set(module.entries.values())
    if shutil.which("spirv-val"):
        (tmp_path / "m.spv").write_bytes(words)
        rules = "spv1.2" if dtype == "f2" else "opencl2.2"  # whose full profile has f16 only by cl_khr_fp16, which spirv-val cannot be told of
        subprocess.run(["spirv-val", "--target-env", rules, tmp_path / "m.spv"], check=True)


def test_the_reader_notices_damage():
    words = lowered("elementwise", "f4").stage("spv")
    read(words)
    noticed = 0
    rng = np.random.default_rng(0)
    for _ in range(200):
        bad = bytearray(words)
        bad[4 * rng.integers(0, len(words) // 4)] ^= 1 << rng.integers(0, 6)
        try:
            read(bytes(bad))
        except (AssertionError, LookupError, ValueError):
            noticed += 1
    assert noticed > 80


def test_the_same_words_each_time():
    """The back end forgets nothing between two modules of a process: each gets a process of its own."""
    low = lowered("softmax", "f4")
    first = low.target.emit(list(low.kernels.values()), "spv")
    other = lowered("layernorm", "f4")
    for _ in range(3):
        other.target.emit(list(other.kernels.values()), "spv")
        assert low.target.emit(list(low.kernels.values()), "spv") == first


def test_stages():
    low = lowered("elementwise", "f4")
    assert low.stages == ("graph", "program", "tile", "kernel", "ll", "spirv", "spv", "opencl", "final")
    assert "OpEntryPoint Kernel" in low.as_text("spirv") and low.as_text("final") == low.as_text("spirv")
    assert "define spir_kernel void" in low.as_text("ll") and "__kernel" in low.as_text("opencl")
    assert low.stats()[0]["form"] == "SPIR-V 1.2"


def test_a_device_without_f16_gets_opencl_c():
    t = target("spirv")
    b = KernelBuilder("k", lanes=16, warps=1)
    x = b.param("x", I64, role="pointer", elem=F16)
    b.st(x, b.ld(x, space="global", to=F16), space="global", to=F16)
    b.ret()
    k = b.finish()
    assert t.no_spirv([k]) is None
    less = type(t)("spirv")
    less.facts = t.facts._replace(features=("exact", "fp64", "il 1.2"))
    assert "f16" in less.no_spirv([k]) and "source" in less.code([k]) and less.stats([k])[0]["form"].startswith("OpenCL C: ")


def test_versions():
    assert spirv_version("SPIR-V_1.0 SPIR-V_1.2 SPIR-V_1.4") == "1.2" and spirv_version("SPIR-V_1.0") == "1.0" and spirv_version("") == ""
    assert triple("1.4").startswith("spirv64v1.4")
    text = 'target triple = "spirv64v1.4-unknown-unknown"\ndefine spir_kernel void @k() {\n  ret void\n}\n'
    assert read(worker.compile_apart(text, triple("1.4"), "obj")).version == (1, 4)


def test_what_llvm_refuses_is_an_error_and_not_the_end():
    bad = 'target triple = "spirv64v1.2-unknown-unknown"\ndefine spir_kernel void @k(ptr addrspace(1) %p) {\n  %r = atomicrmw uinc_wrap ptr addrspace(1) %p, i32 1 monotonic\n  ret void\n}\n'
    good = bad.replace("uinc_wrap", "add")
    for _ in range(2):
        with pytest.raises(ToolError, match="LLVM ERROR: unable to legalize"):
            worker.compile_apart(bad, triple("1.2"), "obj")
        read(worker.compile_apart(good, triple("1.2"), "obj"))
    with pytest.raises(BugError, match="not valid"):
        worker.compile_apart(bad.replace("monotonic", "nonsense"), triple("1.2"), "asm")


def test_a_worker_that_dies_is_started_again():
    text = 'target triple = "spirv64v1.2-unknown-unknown"\ndefine spir_kernel void @k() {\n  ret void\n}\n'
    first = worker.compile_apart(text, triple("1.2"), "obj")
    worker._server[1].kill()
    worker._server[1].wait()
    assert worker.compile_apart(text, triple("1.2"), "obj") == first
    out: list[bytes] = []
    threads = [threading.Thread(target=lambda: out.append(worker.compile_apart(text, triple("1.2"), "obj"))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert out == [first] * 4


# ---- on the devices


def kernel(name, cases, facts):
    """out_j[k] = op_j(in[k]…) for cases with the same operands."""
    b = KernelBuilder(name, lanes=LANES, warps=1)
    types = cases[0].types
    ins = [b.param(f"p{k}", I64, role="pointer", elem=t, access="r") for k, t in enumerate(types)]
    outs = [b.param(f"out{j}", I64, role="pointer", elem=c.result, access="w") for j, c in enumerate(cases)]
    at = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.const(I32, LANES)), b.sreg(name="laneid"))
    args = [b.ld(p, at, space="global", to=t, scale=t.bytes) for p, t in zip(ins, types)]
    for c, out in zip(cases, outs):
        b.st(out, at, b.emit(c.op, args, c.attrs), space="global", to=c.result, scale=c.result.bytes)
    b.ret()
    return kernel_pipeline(facts).run(b.finish(), check=True)


def differences(cases, device):
    """Compiles the cases as one program of a device, 20 to a kernel, and describes where the bits differ."""
    t = target(device.replace("opencl", "spirv"))
    driver = t.driver()
    groups = {}
    for c in cases:
        groups.setdefault(c.types, []).append(c)
    parts = {f"k{n}_{k}": g[k : k + 20] for n, g in enumerate(groups.values()) for k in range(0, len(g), 20)}
    module, _ = driver.load(code := t.code([kernel(name, part, t.facts) for name, part in parts.items()]), b"")
    wrong = []
    for name, part in parts.items():
        args = [inputs(t, k) for k, t in enumerate(part[0].types)]
        got = [np.zeros(COUNT, c.result.np) for c in part]
        memory = [driver.from_host(a) for a in (*args, *got)]
        driver.prepare(module, code["kernels"][name], (COUNT // LANES, 1, 1))([m.raw for m in memory])
        wrong += [difference(c, args, driver.to_host(m, g.shape, g.dtype)) for c, g, m in zip(part, got, memory[len(args) :])]
    return [w for w in wrong if w]


def signed_predicates(c):
    return c.op.name == "icmp" and c.types[0].name == "i1" and dict(c.attrs)["pred"][0] == "s"


@pytest.mark.parametrize("name", TYPES)
def test_lane_ops(name, lane_cases, opencl):
    cases = [c for c in lane_cases() if c.types[-1].name == name and c.op.name != "fscale" and not signed_predicates(c)]
    for device in opencl:
        wrong = differences(cases, device)
        assert not wrong, f"{device}: " + "\n".join(wrong)


@pytest.mark.parametrize("flag", ["rnd", "ftz", "sat"])
def test_attributes_are_right_or_refused(flag, lane_cases, opencl):
    for device in opencl:
        t = target(device.replace("opencl", "spirv"))
        good = []
        for c in lane_cases(attributes=True):
            if flag in dict(c.attrs):
                try:
                    t.emit([kernel("k", [c], t.facts)], "ll" if t.version else "opencl")
                except UnsupportedError as e:
                    assert re.search(r"rnd|round|flush|satur|must be legalised|lacks|on SPIR-V|OpenCL C", str(e)), e
                    continue
                good.append(c)
        if flag == "rnd":  # tests/unit/ir/test_rounding.py has the values; here some of them go through the device's compiler
            good = good[::5]
        wrong = differences(good, device)
        assert not wrong, f"{device}: " + "\n".join(wrong)

