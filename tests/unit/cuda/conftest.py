"""`card` makes a stand-in for NVIDIA's driver the one that ptxjit uses: `card()` gives it, `card(version=…, COMPUTE_CAPABILITY_MAJOR=…)` another."""
from __future__ import annotations

import gc

import pytest

from ptxjit.targets.ptx import driver_api, tools
from tests.unit.cuda.standin import StandIn, reset


@pytest.fixture
def card(monkeypatch):
    """Nothing that is noted in `faults` passes."""
    made = []
    real = tools.assemble

    def assemble(ptx, arch):
        binary, about = real(ptx, arch)
        for m in made:
            m.images[binary] = ptx, arch, {a["kernel"]: a for a in about}
        return binary, about

    monkeypatch.setattr(tools, "assemble", assemble)

    def make(**how):
        reset()
        d = StandIn(**how)
        driver_api.use(d)
        made.append(d)
        return d

    gc.freeze()  # what was there before the test is not searched after it
    yield make
    gc.collect()
    gc.unfreeze()
    reset()
    for d in made:
        d.check_guards()
        assert not d.faults, d.faults


@pytest.fixture
def no_ptxas(monkeypatch):
    """As if ptxas were not installed: the driver compiles."""
    monkeypatch.setattr(tools, "available", lambda tool: False)
