"""How often each instruction of a kernel runs, and with how many lanes: the interpreter counts a run.

    runs     warps that executed the instruction, over all warps and turns of loops
    lanes    lanes that took part, over all runs: those that stand there, and for a guarded instruction those whose guard holds

Of a large grid only some blocks are run, spread evenly from the first to the last; a run that takes too long stops, and says so.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DeviceError, PtxjitError
from ..instr import Instr
from ..kernel import Kernel
from ..program import Buffer, Check, Copy, Fill, Launch, Loop, Program, Step
from .findings import Strict
from .launch import failure
from .machine import Machine, Stopped
from .memory import Region
from .state import Group, Shape

BLOCKS = 6  # of a grid that is larger
BUDGET = 100_000  # instructions of the groups of a launch
TURNS = 2  # of each loop over launches
CELLS = 1 << 24  # elements of a buffer; larger ones are not made


class Enough(Exception):
    """The budget is spent."""


class Profile:
    """Counts of a kernel by instruction; `blocks` of `total` were run; `note` says what is missing."""

    def __init__(self, kernel: Kernel, total: int) -> None:
        self.kernel, self.total, self.blocks, self.launches = kernel, total, 0, 0
        self.counts: dict[int, list[int]] = {}  # id of an instruction → [runs, lanes]
        self.note = ""

    def of(self, i: Instr) -> tuple[int, int]:
        """(runs, lanes) of an instruction."""
        runs, lanes = self.counts.get(id(i), (0, 0))
        return runs, lanes


class Counting(Machine):
    """A machine that counts into a profile."""

    profile: Profile
    budget = BUDGET

    def step(self, i: Instr) -> Any:
        run = self.decode(i)
        cell = self.profile.counts.setdefault(id(i), [0, 0])
        warp = self.lanes

        def counted(g: Group) -> Any:
            self.budget -= 1
            if self.budget < 0:
                raise Enough
            warps = g.ids // warp
            cell[0] += 1 + int(np.count_nonzero(warps[1:] != warps[:-1]))
            cell[1] += g.size if i.guard is None else int(np.count_nonzero(self.get(i.guard, g)))
            return run(g)

        return counted


def sample(total: int, most: int = BLOCKS) -> list[int]:
    """Numbers of the blocks that are run: all, or some from the first to the last."""
    return list(range(total)) if total <= most else sorted({round(k * (total - 1) / (most - 1)) for k in range(most)})


def launch(m: Counting, profile: Profile) -> None:
    """Runs the blocks of the sample.  What goes wrong is a note."""
    m.profile = profile
    total = m.shape.blocks
    m.sample = sample(total) if m.shape.count == 1 else list(range(total))
    profile.blocks += len(m.sample)
    profile.launches += 1
    try:
        m.run()
    except Enough:
        profile.note = f"{m.kernel.name} took more than {BUDGET} steps"
    except Stopped as e:
        profile.note = str(failure(m, e).message).partition("\n")[0]
    except DeviceError as e:
        profile.note = e.message


def _random(rng: np.random.Generator, b: Buffer) -> Any:
    elem = b.type.elem.signless
    shape = b.type.shape
    if b.type.elem.is_float:
        return rng.standard_normal(shape).astype(elem.np)
    return np.zeros(shape, elem.np)


def profile_program(program: Program, kernels: dict[str, Kernel], inputs: Sequence[Any], seed: int = 0) -> dict[str, Profile]:
    """Profiles of the kernels of a program on these inputs.  Where only some blocks of a launch are run, the rest of what it writes is random (integers
    are 0), and loops over launches take two turns."""
    program = program.at(program.numbers([np.shape(x) for x in inputs]))
    rng = np.random.default_rng(seed)
    memory: dict[str, Any] = {}
    for b in program.buffers:
        if b.data is not None:
            flat = np.frombuffer(b.data, b.type.elem.signless.np)
            memory[b.name] = np.broadcast_to(flat.reshape(b.type.shape) if flat.size == np.prod(b.type.shape) else flat[0], b.type.shape).copy()
        else:
            memory[b.name] = _random(rng, b)
    for b, x in zip(program.inputs, inputs):
        memory[b.name] = np.ascontiguousarray(x).view(b.type.elem.signless.np).reshape(b.type.shape).copy()
    out: dict[str, Profile] = {}

    def run(s: Step) -> None:
        if isinstance(s, Launch):
            k = kernels[s.fn.name]
            x, y, z = (int(g) for g in s.grid)
            p = out.setdefault(k.name, Profile(k, x * y * z))
            regions: list[Region] = []
            values: list[Any] = []
            for n, a in enumerate(s.args):
                if isinstance(a, Buffer):
                    regions.append(Region(a.name, (1 << 32) + n * (1 << 40), memory[a.name].reshape(-1).view(np.uint8)))
                    values.append(regions[-1].start)
                else:
                    values.append(a)
            lanes = k.lanes or 32
            shape = Shape((x, y, z), (lanes * (k.warps or 1), 1, 1), lanes=lanes, resident=lanes * (k.warps or 1) * BLOCKS)
            m = Counting(k, shape, values, regions)
            m.watch = Strict(m)
            launch(m, p)
        elif isinstance(s, Copy):
            memory[s.dst.name][...] = memory[s.src.name]
        elif isinstance(s, Fill):
            memory[s.dst.name].fill(s.value)
        elif isinstance(s, Loop):
            for turn in range(TURNS if s.count is None else min(s.count, TURNS)):
                if s.counter is not None:
                    memory[s.counter.name][...] = turn
                for inner in s.before + s.body:
                    run(inner)
        else:
            assert isinstance(s, Check)

    for s in program.steps:
        try:
            run(s)
        except PtxjitError as e:
            for p in out.values():
                p.note = p.note or e.message
    return out


def too_large(program: Program) -> bool:
    """Whether the program's memory is more than a profile should take."""
    return any(int(np.prod(b.type.shape)) > CELLS for b in program.buffers)
