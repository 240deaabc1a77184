"""`card` makes a stand-in for NVIDIA's driver the one that ptxjit uses: `card()` gives it, `card(version=…, COMPUTE_CAPABILITY_MAJOR=…)` another."""
from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from standin import StandIn  # noqa: E402

from ptxjit import hardware, targets  # noqa: E402
from ptxjit.targets.ptx import driver_api, runtime, tools  # noqa: E402


def reset():
    runtime.forget()
    driver_api.use(None)
    hardware._found.pop("cuda", None)
    for name in [n for n in targets._targets if n.startswith("cuda")]:
        del targets._targets[name]


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

    yield make
    gc.collect()
    reset()
    for d in made:
        d.check_guards()
        assert not d.faults, d.faults


@pytest.fixture
def no_ptxas(monkeypatch):
    """As if ptxas were not installed: the driver compiles."""
    monkeypatch.setattr(tools, "available", lambda tool: False)


def forget_programs():
    """Lets go of every compiled program."""
    from ptxjit import jitted

    for j in list(jitted._all):
        j._hot.clear()
        j._mixed.clear()
        j._entries.clear()
    for _ in range(3):
        gc.collect()
