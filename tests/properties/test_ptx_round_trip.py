"""The round trip as a law: what our emitter writes, `load_ptx` reads, and it gives the same bits as the kernel itself and as the CPU."""
from __future__ import annotations

import pytest
from hypothesis import given, settings

import ptxjit as pj
from ptxjit import targets
from ptxjit.errors import UnsupportedError
from ptxjit.ir.interp.machine import run_kernel
from ptxjit.ir.passes import kernel_pipeline
from ptxjit.ir.types import F16, F32, F64
from ptxjit.testing import programs
from ptxjit.testing.agreement import run_on
from ptxjit.testing.compare import bits_difference
from tests.unit.conftest import BLOCKS, build, kernel_inputs


@settings(max_examples=25)
@given(programs())
def test_random_programs_of_the_dsl(p):
    """Our PTX for two cards, read back and run, widened, on the CPU."""
    want = run_on(p.fn, "interp", p.inputs)
    for target in ("ptx:sm_75 on cpu", "ptx:sm_90 on cpu"):
        try:
            got = run_on(p.fn, target, p.inputs)
        except UnsupportedError as e:  # 8-bit floats have no PTX
            assert "f8" in str(e)
            continue
        assert bits_difference(want, got) is None


@pytest.mark.parametrize("elem", [F32, F64, F16], ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_random_kernels(seed, elem):
    """A random kernel as PTX, read back; the interpreter runs the kernel itself."""
    kernel = build(seed, elem, 32)
    ptx = targets.target("ptx:sm_80")
    text = str(ptx.emit([kernel_pipeline(ptx.facts).run(kernel)], "ptx")) + "\n"
    want = kernel_inputs(elem, seed, 32)
    run_kernel(kernel, (BLOCKS, 1, 1), want)
    for device, mode in (("cpu", "auto"), ("cpu", "dispatch"), ("interp", "auto")):
        mod = pj.load_ptx(text, device=device)
        mod.mode = mode
        got = kernel_inputs(elem, seed, 32)
        mod["k"][BLOCKS, 32](*got)
        assert bits_difference(want, got) is None, (device, mode)
