"""A law of `ir/analysis/counts.py`: no kernel of a random program touches more bytes than were counted for it, on any target."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from ptxjit.arguments import argument
from ptxjit.ir.analysis.counts import program_counts
from ptxjit.ir.interp.findings import Strict
from ptxjit.ir.interp.machine import Machine
from ptxjit.ir.interp.memory import Region
from ptxjit.ir.interp.program import run_program
from ptxjit.ir.interp.state import Shape
from ptxjit.jitted import Jit
from ptxjit.testing.grammar import programs
from ptxjit.testing.strategies import load_all

load_all()


class Touched(Strict):
    """Which bytes of the arguments are read and written."""

    def __init__(self, machine):
        super().__init__(machine)
        self.bytes = np.zeros((2, machine.memory.flat.size), bool)

    def note(self, which, at, size):
        for k in range(size):
            self.bytes[which, np.asarray(at) + k] = True

    def read(self, i, g, at, size, count, strong):
        super().read(i, g, at, size, count, strong)
        self.note(0, at, size * count)

    def write(self, i, g, at, size, count, strong):
        super().write(i, g, at, size, count, strong)
        self.note(1, at, size * count)

    def atomic(self, i, g, at, size):
        super().atomic(i, g, at, size)
        self.note(0, at, size)
        self.note(1, at, size)

    def totals(self):
        return self.bytes[:, : self.m.memory.shared_at].sum(axis=1).tolist()


def touched(low, inputs):
    """kernel → most bytes (read, written) of a launch, by the interpreter."""
    out = {}

    def launch(name, grid, args):
        k = low.kernels[name]
        regions = [Region(str(n), (1 << 32) + n * (1 << 40), a.reshape(-1).view(np.uint8)) for n, a in enumerate(args)]
        lanes = k.lanes or 32
        m = Machine(k, Shape((*grid, 1, 1)[:3], (lanes * (k.warps or 1), 1, 1), lanes=lanes), [r.start for r in regions], regions)
        m.watch = watch = Touched(m)
        m.run()
        out[name] = [max(a, b) for a, b in zip(watch.totals(), out.get(name, (0, 0)))]

    run_program(low._low.program, inputs, launch)
    return out


@pytest.mark.parametrize("target", ["cpu:x86-64-v3", "ptx:sm_90", "spirv"])
def test_nothing_is_touched_that_is_not_counted(target):
    @settings(max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(programs(max_steps=5))
    def law(p):
        with np.errstate(all="ignore"):
            low = Jit(p.fn).lower(*(argument(x)[1] for x in p.inputs), target=target)
            program = low._low.program
            inputs = [np.ascontiguousarray(x, b.type.elem.np).reshape(b.type.shape) for x, b in zip(p.inputs, program.inputs)]
            counts = program_counts(program)
            for name, (read, written) in touched(low, inputs).items():
                assert read <= counts[name].read and written <= counts[name].written, (name, counts[name], p.script())
                sizes = {b.name: math.prod(b.type.shape) * b.type.elem.bytes for b in program.buffers}
                assert all(max(c) <= sizes[b] for b, c in counts[name].touched.items())

    law()


@pytest.mark.parametrize("target", ["cpu:x86-64-v3", "ptx:sm_90", "spirv"])
@pytest.mark.parametrize("text, shapes", [
    ("x + y[None]", [(20, 33), (33,)]), ("x[:, ::2] * 2", [(9, 40)]), ("x.sum(axis=-1)", [(7, 300)]), ("x @ y", [(30, 70), (70, 50)]), ("np.cumsum(x, axis=-1)", [(5, 600)]),
    ("x.T + 1", [(17, 19)]), ("np.flip(x, axis=1) - x", [(6, 21)]),
])  # fmt: skip
def test_boxes_are_counted_to_the_byte(target, text, shapes):
    f = eval(f"lambda x, y=None: {text}", {"np": np}) if len(shapes) == 1 else eval(f"lambda x, y: {text}", {"np": np})
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(s).astype("f4") for s in shapes]
    low = Jit(f).lower(*inputs, target=target)
    counts = program_counts(low._low.program)
    for name, (read, written) in touched(low, inputs).items():
        assert (read, written) == (counts[name].read, counts[name].written)
