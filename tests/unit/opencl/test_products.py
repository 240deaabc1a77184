"""Narrow products (`tests/unit/ptx/test_instructions_matrix.py`) on OpenCL devices: sparse, scaled, both, fp6 and fp4."""
from __future__ import annotations

import pytest

import ptxjit as pj
from ptxjit.ir.errors import UnsupportedError
from tests.unit.ptx import test_instructions_matrix as m

CASES = [m.INTEGERS[3], m.INTEGERS[17], m.F8[4], m.SCALED[3], m.SCALED[8], m.SCALED[12]]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.text)
def test_narrow_products(case, opencl):
    for device in opencl:
        for seed in (0, 1):
            assert not m.differences(case, device, seed, registers=True)


def test_a_product_that_rounds_otherwise_is_refused(opencl):
    code = "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64.rz {d8, d9}, {d0}, {d2}, {d4, d5};"
    for device in opencl:
        with pytest.raises(UnsupportedError, match="mma rounded rz") as e:
            pj.load_ptx(m.HEAD + m.DOUBLES.format(code=code), device=device)["k"].compile()
        assert str(e.value.place).endswith(":10:2")
