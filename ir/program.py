"""The program level: buffers and an ordered list of steps; ties several kernels together.

    Launch   a tile program or kernel over a grid, with buffers and scalars as arguments
    Copy     the whole of one buffer into another of the same type
    Fill     every element of a buffer
    Loop     steps repeated a fixed number of times, or while a buffer holds true (checked before each turn)
    Check    raise a UserError if a 0-d i1 buffer is false
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Union

from .errors import BugError
from .extent import Dim, Extent, value_of
from .kernel import Kernel
from .loc import Loc
from .tile import TileProgram
from .types import Array, array


def numbers(patterns: Sequence[Sequence[Extent]], shapes: Sequence[Sequence[int]]) -> dict[str, int]:
    """The numbers of the symbols that stand alone in these patterns.  BugError where shapes do not fit them."""
    out: dict[str, int] = {}
    for pattern, shape in zip(patterns, shapes):
        for e, n in zip(pattern, shape):
            if isinstance(e, Dim) and e.text.isidentifier() and out.setdefault(e.text, n) != n:
                raise BugError(f"{e.text} is {out[e.text]} and {n}")
    for pattern, shape in zip(patterns, shapes):
        if len(pattern) != len(shape) or any(value_of(e, out) != n for e, n in zip(pattern, shape)):
            raise BugError(f"an input of shape {tuple(shape)} where {pattern} is expected")
    return out


class Buffer:
    """Memory of a program.  kind: 'input', 'output', 'temp' or 'const' (then `data` holds its bytes)."""

    __slots__ = ("name", "type", "kind", "data")

    def __init__(self, name: str, type: Array, kind: str, data: bytes | None = None) -> None:
        self.name, self.type, self.kind, self.data = name, type, kind, data

    def __repr__(self) -> str:
        return f"@{self.name}:{self.type}"


class Flat(Buffer):
    """A buffer seen as one line, for schedules; `base` is the buffer itself."""

    __slots__ = ("base",)

    def __init__(self, base: Buffer) -> None:
        super().__init__(base.name, array(base.type.elem, (base.type.size,)), base.kind)
        self.base = base


class Launch:
    """`fn` over `grid` (three extents).  `args` are buffers (passed as base pointers), extents or Python numbers, one per parameter."""

    __slots__ = ("fn", "grid", "args", "loc")

    def __init__(self, fn: TileProgram | Kernel, grid: tuple[Extent, Extent, Extent], args: tuple[Any, ...], loc: Loc | None = None) -> None:
        self.fn, self.grid, self.args, self.loc = fn, grid, args, loc


class Copy:
    __slots__ = ("dst", "src")

    def __init__(self, dst: Buffer, src: Buffer) -> None:
        self.dst, self.src = dst, src


class Fill:
    __slots__ = ("dst", "value")

    def __init__(self, dst: Buffer, value: Any) -> None:
        self.dst, self.value = dst, value


class Loop:
    """Body `count` times (then `counter`, a 0-d i64 buffer, holds the turn), or while `cond` holds; `before` computes `cond`."""

    __slots__ = ("body", "count", "counter", "cond", "before")

    def __init__(self, body: tuple[Step, ...], *, count: int | None = None, counter: Buffer | None = None,
                 cond: Buffer | None = None, before: tuple[Step, ...] = ()) -> None:  # fmt: skip
        self.body, self.count, self.counter, self.cond, self.before = body, count, counter, cond, before


class Check:
    __slots__ = ("flag", "message", "place")

    def __init__(self, flag: Buffer, message: str, place: str | None = None) -> None:
        self.flag, self.message, self.place = flag, message, place


Step = Union[Launch, Copy, Fill, Loop, Check]


class Program:
    """A frozen program: inputs in argument order, outputs in result order, temporaries, constants, steps."""

    __slots__ = ("name", "buffers", "inputs", "outputs", "steps", "meta", "__weakref__")
    level = "program"

    def __init__(self, name: str, buffers: tuple[Buffer, ...], inputs: tuple[Buffer, ...], outputs: tuple[Buffer, ...],
                 steps: tuple[Step, ...], meta: tuple[tuple[str, Any], ...] = ()) -> None:  # fmt: skip
        self.name, self.buffers, self.inputs, self.outputs, self.steps, self.meta = name, buffers, inputs, outputs, steps, meta

    def numbers(self, shapes: Sequence[Sequence[int]]) -> dict[str, int]:
        """The numbers of the symbols when the inputs have these shapes."""
        return numbers([b.type.shape for b in self.inputs], shapes)

    def at_hints(self) -> Program:
        """The program for the sizes for which its schedules were chosen."""
        return self.at(dict(dict(self.meta).get("hints", ())))

    def at(self, numbers: dict[str, int]) -> Program:
        """The same program for these numbers of its symbols; itself if it has none."""
        new = {id(b): Buffer(b.name, array(b.type.elem, [value_of(e, numbers) for e in b.type.shape]), b.kind, b.data) for b in self.buffers if b.type.symbolic}

        def other(x: Any) -> Any:
            return new.get(id(x), x)

        def step(s: Step) -> Step:
            if isinstance(s, Launch):
                x, y, z = (value_of(n, numbers) for n in s.grid)
                return Launch(s.fn, (x, y, z), tuple(value_of(a, numbers) if isinstance(a, Dim) else other(a) for a in s.args), s.loc)
            if isinstance(s, Copy):
                return Copy(other(s.dst), other(s.src))
            if isinstance(s, Fill):
                return Fill(other(s.dst), s.value)
            if isinstance(s, Loop):
                return Loop(tuple(map(step, s.body)), count=s.count, counter=s.counter, cond=s.cond, before=tuple(map(step, s.before)))
            return s

        if not new and not any(isinstance(e, Dim) for s in self.launches() for e in (*s.grid, *s.args)):
            return self
        buffers, inputs, outputs = (tuple(map(other, bs)) for bs in (self.buffers, self.inputs, self.outputs))
        return Program(self.name, buffers, inputs, outputs, tuple(map(step, self.steps)), self.meta)

    def launches(self) -> Iterator[Launch]:
        stack = list(reversed(self.steps))
        while stack:
            s = stack.pop()
            if isinstance(s, Launch):
                yield s
            elif isinstance(s, Loop):
                stack.extend(reversed(s.before + s.body))

    def __str__(self) -> str:
        from .text import dump

        return dump(self)

    def __repr__(self) -> str:
        return f"<program {self.name}: {sum(1 for _ in self.launches())} kernels>"
