"""Products of bytes on OpenCL devices: with `dot4` where a device says that it has it, as SPIR-V and as OpenCL C, and without."""
from __future__ import annotations

import numpy as np
import pytest

from ptxjit.ir.passes import kernel_pipeline
from ptxjit.targets import target
from ptxjit.targets.llvm import worker
from ptxjit.targets.spirv.runtime import found
from tests.properties.test_dot4 import ALL, COUNT, SIGNS, kernel, left, words
from tests.unit.opencl.spirv_reader import read, text_at
from tests.unit.ptx import test_instructions_matrix as m

DOTS = ("dot4", "dot4mixed")
WAYS = ["as it is", "SPIR-V", "OpenCL C"]
BYTES = [m.dense(sat, k, f"{a}8", f"{b}8", "s32") for sat, k, (a, b) in (("", 32, "ss"), ("", 16, "us"), (".satfinite", 32, "su"), (".satfinite", 16, "uu"))]


def facts_of(device, way):
    """The facts of a device that takes the op in one way; None where it cannot.  CPU devices have it, but not in their facts: it is slower there."""
    facts = target(device.replace("opencl", "spirv")).facts
    if way == "as it is":
        return facts
    there = found(device.partition(":")[2]).has_dots
    words = [f for f in facts.features if way == "SPIR-V" or f != "subgroups" and not f.startswith("il ")]
    return facts._replace(features=tuple(sorted({*words, *DOTS}))) if there and (way == "OpenCL C" or any(f.startswith("il ") for f in words)) else None


def changed(device, facts):
    """A target of that device with other facts."""
    t = type(target("spirv"))(device.replace("opencl", "spirv"))
    t.facts = facts
    t.version = next((f[3:] for f in facts.features if f.startswith("il ")), "")
    return t


@pytest.mark.parametrize("way", WAYS)
def test_every_sign(way, opencl):
    ran = 0
    for device in opencl:
        facts = facts_of(device, way)
        if facts is None:
            continue
        t = changed(device, facts)
        k = kernel_pipeline(facts).run(kernel(), check=True)
        assert left(k) == ({*SIGNS} if "dot4" in facts.features else set())
        code = t.code([k])
        assert ("dot_4x8packed_" in code.get("source", "")) == (way == "OpenCL C")
        driver = t.driver()
        module, _ = driver.load(code, b"")
        memory = [driver.from_host(x) for x in (*words(), np.zeros(4 * COUNT, np.int32))]
        driver.prepare(module, code["kernels"]["k"], (COUNT // 16, 1, 1))([x.raw for x in memory])
        np.testing.assert_array_equal(driver.to_host(memory[-1], (4 * COUNT,), np.dtype(np.int32)), ALL, err_msg=f"{device} {way}")
        ran += 1
    if not ran:
        pytest.skip("no OpenCL device here has cl_khr_integer_dot_product: pip install 'ptxjit[opencl]' brings Intel's CPU runtime, which has it")


def test_the_words_have_the_instruction():
    """The four calls are the four instructions on packed words, and the module says what it needs; one without them does not."""
    facts = target("spirv").facts
    for extra in (DOTS, ()):
        t = type(target("spirv"))("spirv")
        t.facts = facts._replace(features=(*facts.features, *extra))
        module = read(t.emit([kernel_pipeline(t.facts).run(kernel(), check=True)], "spv"))
        made = [(o, w[4:]) for o, w in module.instructions if o in (4450, 4451, 4452)]
        assert made == ([(4450, [0]), (4452, [0]), (4452, [0]), (4451, [0])] if extra else [])
        assert {6018, 6019} <= module.capabilities if extra else not {6018, 6019} & module.capabilities
        assert ("SPV_KHR_integer_dot_product" in [text_at(w) for o, w in module.instructions if o == 10]) == bool(extra)


def test_a_module_after_one_with_dots_is_as_before():
    """The extension is admitted for the module that needs it alone."""
    t = target("spirv")
    k = kernel_pipeline(t.facts).run(kernel(), check=True)
    first = t.emit([k], "spv")
    test_the_words_have_the_instruction()
    assert t.emit([k], "spv") == first and worker.compile_apart(str(t.emit([k], "ll")), "spirv64v1.2-unknown-unknown", "obj") == first


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS[:2])
@pytest.mark.parametrize("case", BYTES, ids=lambda c: c.text)
def test_products_of_a_warp(case, way, opencl, monkeypatch):
    """Dense `mma` of bytes against sums of Python's integers; `satfinite` clamps once, at the end."""
    monkeypatch.setenv("PTXJIT_CACHE", "off")
    for device in opencl:
        facts = facts_of(device, way)
        if facts is None:
            continue
        monkeypatch.setattr(target(device.replace("opencl", "spirv")), "facts", facts)
        for seed in (0, 1):
            assert not m.differences(case, device, seed)
