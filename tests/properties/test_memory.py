"""No kernel writes outside of its buffers: every buffer of a call stands between guard bytes, which are looked at afterwards."""
from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings

import ptxjit as pj
from ptxjit.targets.cpu import runtime
from ptxjit.testing import programs

GUARD, MARK = 128, 0xA5


@pytest.fixture
def guarded(monkeypatch):
    """The CPU runtime with guarded buffers; inputs are copied into such, too."""
    monkeypatch.setattr(runtime.Executable, "_single_launch", lambda self: None)
    ordinary, alive = runtime.Executable.__call__, []

    def fresh(shape, dtype, size):
        raw = np.full(size + 2 * GUARD, MARK, np.uint8)
        alive.append(raw)
        return raw[GUARD : GUARD + size].view(dtype).reshape(shape)

    def call(self, *inputs):
        alive.clear()
        copies = []
        for x in inputs:
            copies.append(fresh(x.shape, x.dtype, x.nbytes))
            copies[-1][...] = x
        out = ordinary(self, *copies)
        for raw in alive:
            assert (raw[:GUARD] == MARK).all() and (raw[-GUARD:] == MARK).all(), f"{self.plan['name']} wrote outside of a buffer"
        for x, y in zip(inputs, copies):
            assert x.tobytes() == y.tobytes(), "an input was changed"
        return out

    monkeypatch.setattr(runtime, "fresh", fresh)
    monkeypatch.setattr(runtime.Executable, "__call__", call)


KINDS = {"elementwise": lambda x: x + x, "compare": lambda x: x > 1, "narrow": lambda x: x.astype("i2"), "scan": lambda x: np.cumsum(x),
         "rows": lambda x: np.equal(x, x.max()), "shift": lambda x: np.pad(x[1:], 1), "widen": lambda x: x.astype("f8")}  # fmt: skip


@pytest.mark.parametrize("dtype", ["?", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ml_dtypes.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_every_size_stays_inside(guarded, kind, dtype):
    for n in (1, 2, 9, 17, 31, 33, 49, 65, 129):
        x = np.arange(n).astype(np.float32).astype(dtype)
        pj.jit(KINDS[kind])(x)


@settings(max_examples=40)
@given(p=programs())
def test_random_programs_stay_inside(guarded, p):
    try:
        pj.jit(p.fn)(*p.inputs)
    except pj.errors.PtxjitError:
        pass
