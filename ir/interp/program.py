"""Programs: buffers and steps, each launch by the tile or the kernel interpreter."""
from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import CheckError
from ..kernel import Kernel
from ..program import Buffer, Check, Copy, Fill, Launch, Program, Step
from .machine import run_kernel
from .tile import run_tile

Launcher = Callable[[str, Sequence[int], list[Any]], None]


def run_program(program: Program, inputs: Sequence[Any], kernels: dict[str, Kernel] | Launcher | None = None) -> list[Any]:
    """Fresh results.  With `kernels`, launches run those (by name) instead of their tile programs; a function gets name, grid, arguments."""
    memory: dict[str, Any] = {}
    program = program.at(program.numbers([np.shape(x) for x in inputs]))
    for b in program.buffers:
        memory[b.name] = np.zeros(b.type.shape, b.type.elem.signless.np)
        if b.data is not None:
            flat = np.frombuffer(b.data, b.type.elem.signless.np)
            memory[b.name][...] = flat.reshape(b.type.shape) if flat.size == memory[b.name].size else flat
    for b, x in zip(program.inputs, inputs):
        memory[b.name] = np.ascontiguousarray(x).view(b.type.elem.signless.np).reshape(b.type.shape).copy()
    for s in program.steps:
        _step(s, memory, kernels)
    return [memory[b.name].view(b.type.elem.np).copy() for b in program.outputs]


def _step(s: Step, memory: dict[str, Any], kernels: dict[str, Kernel] | Launcher | None) -> None:
    if isinstance(s, Launch):
        grid = [operator.index(n) for n in s.grid]
        args = [memory[a.name].reshape(-1) if isinstance(a, Buffer) else a for a in s.args]
        if callable(kernels):
            kernels(s.fn.name, grid, args)
        elif kernels is not None:
            run_kernel(kernels[s.fn.name], grid, args)
        elif isinstance(s.fn, Kernel):
            run_kernel(s.fn, grid, args)
        else:
            run_tile(s.fn, grid, args)
    elif isinstance(s, Copy):
        memory[s.dst.name][...] = memory[s.src.name]
    elif isinstance(s, Fill):
        memory[s.dst.name].fill(s.value)
    elif isinstance(s, Check):
        if not memory[s.flag.name]:
            raise CheckError(s.message, place=s.place)
    else:
        turn = 0
        while s.count is None or turn < s.count:
            if s.counter is not None:
                memory[s.counter.name][...] = turn
            for b in s.before:
                _step(b, memory, kernels)
            if s.cond is not None and not memory[s.cond.name]:
                return
            for b in s.body:
                _step(b, memory, kernels)
            turn += 1
