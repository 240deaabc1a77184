"""The memory plan of a program: temporaries that are never alive together share a slot.

A temporary is alive from the first step that names it to the last, counted in the outermost list of steps: inside of a loop every buffer lives as
long as the loop.  Slots are taken first fit in order of birth, a slot of the same size before any other (interval colouring, which is optimal in
the number of slots).
"""
from __future__ import annotations

from collections.abc import Iterator

from ..program import Buffer, Check, Copy, Fill, Launch, Loop, Program, Step


def named(s: Step) -> Iterator[Buffer]:
    """Every buffer that a step names, with those of its body."""
    waiting: list[Step] = [s]
    while waiting:
        x = waiting.pop()
        if isinstance(x, Launch):
            yield from (a for a in x.args if isinstance(a, Buffer))
        elif isinstance(x, Copy):
            yield from (x.dst, x.src)
        elif isinstance(x, Fill):
            yield x.dst
        elif isinstance(x, Check):
            yield x.flag
        elif isinstance(x, Loop):
            yield from (b for b in (x.counter, x.cond) if b is not None)
            waiting += [*x.before, *x.body]


def slots(program: Program) -> list[list[Buffer]]:
    """The temporaries of each slot, in order of use."""
    born: dict[str, int] = {}
    dies: dict[str, int] = {}
    temps = {b.name: b for b in program.buffers if b.kind == "temp"}
    for k, s in enumerate(program.steps):
        for b in named(s):
            if b.name in temps:
                born.setdefault(b.name, k)
                dies[b.name] = k
    out: list[list[Buffer]] = []
    for name in sorted(born, key=lambda n: born[n]):
        b = temps[name]
        free = [s for s in out if dies[s[-1].name] < born[name]]
        same = [s for s in free if s[-1].type.shape == b.type.shape and s[-1].type.elem.bytes == b.type.elem.bytes]
        slot = (same or free or [None])[0]  # type: ignore[list-item]
        if slot is None:
            out.append([b])
        else:
            slot.append(b)
    return out + [[b] for n, b in temps.items() if n not in born]
