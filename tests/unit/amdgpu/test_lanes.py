"""Every lane op × every type, on the emulator: the interpreter's bits, in waves of 32 and 64."""
from __future__ import annotations

import numpy as np
import pytest

from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.types import I32, I64
from tests.unit.amdgpu import emulator
from tests.unit.llvm.test_lanes import TYPES, difference, inputs, signed_predicates

ARCHS = emulator.archs("gfx1100", "gfx1201", "gfx942")
COUNT = 512


def kernel(c, facts):
    """out[k] = op(in[k]…), a lane per element."""
    b = KernelBuilder(c.name, lanes=facts.lanes, warps=1)
    ins = [b.param(f"p{k}", I64, role="pointer", elem=t, access="r") for k, t in enumerate(c.types)]
    out = b.param("out", I64, role="pointer", elem=c.result, access="w")
    at = b.iadd(b.imul(b.sreg(name="ctaid.x"), b.const(I32, facts.lanes)), b.sreg(name="laneid"))
    args = [b.ld(p, at, space="global", to=t, scale=t.bytes) for p, t in zip(ins, c.types)]
    b.st(out, at, b.emit(c.op, args, c.attrs), space="global", to=c.result, scale=c.result.bytes)
    b.ret()
    return kernel_pipeline(facts).run(b.finish(), check=True)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", TYPES)
def test_lane_ops(name, arch, lane_cases):
    cases = [c for c in lane_cases() if c.types[-1].name == name and not signed_predicates(c)]
    target = emulator.EmulatedTarget(f"amdemu:{arch}")
    driver = target.driver()
    code, signatures = target._made([kernel(c, target.facts) for c in cases], "hsaco")
    module, _ = driver.load({"kernels": signatures}, code)
    wrong = []
    for c, s in zip(cases, signatures):
        args = [inputs(t, k) for k, t in enumerate(c.types)]
        got = np.zeros(COUNT, c.result.np)
        memory = [driver.from_host(a) for a in (*args, got)]
        driver.prepare(module, s, (COUNT // target.facts.lanes, 1, 1))([m.raw for m in memory])
        driver.download(got, memory[-1].raw)
        wrong.append(difference(c, args, got))
    wrong = [w for w in wrong if w]
    assert not wrong, "\n".join(wrong)
