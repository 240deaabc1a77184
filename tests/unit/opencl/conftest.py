"""The OpenCL devices of this machine; without one, a skip that says what to install."""
from __future__ import annotations

import pytest

import ptxjit as pj
from ptxjit.hardware import missing


@pytest.fixture(scope="session")
def opencl():
    """Names of the devices that can run."""
    names = [d.name for d in pj.devices() if d.kind == "opencl" and d.available]
    if not names:
        pytest.skip(missing("opencl") or "no OpenCL device can run here: .venv/bin/python -m pip install -e '.[opencl]'")
    return names
