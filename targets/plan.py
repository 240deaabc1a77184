"""The plan of a program: what to call with which buffers, as JSON, so that a cached program needs no lowering.

`plan_of` makes it; `Steps` turns its steps into callables for a runtime, which adds `launch`, `copy`, `fill`, and how a flag is read and a
counter written.  What a callable gets (`state`) is the runtime's own: the memory of one call.

The plan of a symbolic program holds expressions (text) in shapes, grids and arguments, `symbols` (name, input, axis) that say where their numbers
come from, and the `guards` under which it is right.  `Steps.at(shapes)` is the same executable for inputs of these shapes: a plan of numbers
over the same code, so nothing below ever meets an expression.
"""
from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.errors import BugError, CheckError, ShapeError
from ..ir.extent import Dim
from ..ir.guards import compiled, fits
from ..ir.program import Buffer, Check, Copy, Fill, Launch, Loop, Program, Step
from ..ir.types import SCALARS

Run = Callable[..., None]
REMEMBERED = 256  # sizes of one symbolic program that are kept ready


def plan_of(program: Program) -> tuple[dict[str, Any], bytes]:
    """The JSON form of a program, and the bytes of its constants."""
    from ..ir.analysis.slots import slots

    number = {b.name: n for n, b in enumerate(program.buffers)}
    blob = bytearray()
    buffers = []
    for b in program.buffers:
        entry: dict[str, Any] = {"dtype": b.type.elem.name, "shape": [_extent(e) for e in b.type.shape], "kind": b.kind}
        if b.data is not None:
            blob += bytes(-len(blob) % 64)
            entry["at"], entry["bytes"] = len(blob), len(b.data)
            blob += b.data
        buffers.append(entry)
    plan = {"name": program.name, "buffers": buffers, "inputs": [number[b.name] for b in program.inputs],
            "outputs": [number[b.name] for b in program.outputs], "slots": [[number[b.name] for b in s] for s in slots(program)], "steps": [_step(s, number) for s in program.steps]}  # fmt: skip
    places = {e.text: (i, a) for i, b in enumerate(program.inputs) for a, e in enumerate(b.type.shape) if isinstance(e, Dim) and e.text.isidentifier()}
    if places:
        plan["symbols"] = [[name, *place] for name, place in places.items()]
        plan["guards"] = list(dict(program.meta).get("guards", ()))
    return plan, bytes(blob)


def _extent(e: Any) -> Any:
    return e.text if isinstance(e, Dim) else e


def _step(s: Step, number: dict[str, int]) -> list[Any]:
    if isinstance(s, Launch):
        args = [number[a.name] if isinstance(a, Buffer) else ["number", _extent(a)] for a in s.args]
        return ["launch", s.fn.name, [_extent(e) for e in s.grid], args]
    if isinstance(s, Copy):
        return ["copy", number[s.dst.name], number[s.src.name]]
    if isinstance(s, Fill):
        return ["fill", number[s.dst.name], s.value]
    if isinstance(s, Check):
        return ["check", number[s.flag.name], s.message, s.place]
    if isinstance(s, Loop):
        return ["loop", [_step(x, number) for x in s.body], s.count, s.counter and number[s.counter.name], s.cond and number[s.cond.name],
                [_step(x, number) for x in s.before]]  # fmt: skip
    raise BugError(f"a program step of unknown kind: {s!r}")


class _Symbolic:
    """What it takes to give a symbolic plan its numbers."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.places = [(i, a) for _, i, a in plan["symbols"]]
        self.texts = list(dict.fromkeys(_texts([plan["steps"], [b["shape"] for b in plan["buffers"]]])))
        self.values = compiled([name for name, *_ in plan["symbols"]], self.texts)
        self.fits = fits([plan["buffers"][n]["shape"] for n in plan["inputs"]], plan["guards"])

    def at(self, numbers: Sequence[int]) -> dict[str, Any]:
        """The plan for these numbers of the symbols."""
        known = dict(zip(self.texts, self.values(*numbers)))
        plan = self.plan
        buffers = [{**b, "shape": _filled(b["shape"], known)} for b in plan["buffers"]]
        return {"name": plan["name"], "buffers": buffers, "inputs": plan["inputs"], "outputs": plan["outputs"], "slots": plan["slots"], "steps": [_filled_step(s, known) for s in plan["steps"]]}


def _texts(x: Any) -> list[str]:
    """Every expression in steps and shapes."""
    if isinstance(x, list) and x and x[0] in ("launch", "copy", "fill", "check", "number"):
        return _texts([x[2], x[3]]) if x[0] == "launch" else [x[1]] if x[0] == "number" and isinstance(x[1], str) else []
    if isinstance(x, list) and x and x[0] == "loop":
        return _texts([x[1], x[5]])
    return [x] if isinstance(x, str) else [t for e in x for t in _texts(e)] if isinstance(x, list) else []


def _filled(x: list[Any], known: dict[str, int]) -> list[Any]:
    return [known[e] if e.__class__ is str else e for e in x]


def _filled_step(s: list[Any], known: dict[str, int]) -> list[Any]:
    if s[0] == "launch":
        return ["launch", s[1], _filled(s[2], known), [a if a.__class__ is int else ["number", *_filled(a[1:], known)] for a in s[3]]]
    if s[0] == "loop":
        return ["loop", [_filled_step(x, known) for x in s[1]], *s[2:5], [_filled_step(x, known) for x in s[5]]]
    return s


class Steps:
    """A plan with its constants.  `_meta[n]` is (shape, dtype, bytes) of buffer n, `_kinds[n]` its kind.  `symbolic`: only `at` can run it."""

    magic = b""

    def __init__(self, plan: dict[str, Any], constants: bytes, like: Steps | None = None) -> None:
        """`like`: another one over the same constants."""
        self.plan, self.constants = plan, constants
        self._const_memory: Any = np.frombuffer(constants or b"\0", np.uint8).copy() if like is None else like._const_memory
        self._kinds = [b["kind"] for b in plan["buffers"]]
        self._meta = []
        self.symbolic = _Symbolic(plan) if plan.get("symbols") else None
        if self.symbolic is not None:
            self._known: dict[tuple[Sequence[int], ...], Any] = {}
            return
        for b in plan["buffers"]:
            dtype, shape = SCALARS[b["dtype"]].np, tuple(b["shape"])
            self._meta.append((shape, dtype, math.prod(shape) * dtype.itemsize))
        self._inputs, self._outputs = plan["inputs"], plan["outputs"]
        self._consts = [n for n, k in enumerate(self._kinds) if k == "const"]
        self._slots = [(max(self._meta[n][2] for n in slot), slot) for slot in plan["slots"]]

    def at(self, shapes: Sequence[Sequence[int]]) -> Any:
        """This executable for inputs of these shapes."""
        if self.symbolic is None:
            return self
        key = tuple(shapes)
        found = self._known.get(key)
        if found is None:
            if not self.symbolic.fits(shapes):
                raise ShapeError(f"{self.plan['name']} was compiled for other sizes than {', '.join(str(tuple(s)) for s in shapes)}",
                                 hint=f"it assumes: {', '.join(self.plan['guards']) or 'the sizes of its specs'}")  # fmt: skip
            found = self._sized(self.symbolic.at([shapes[i][a] for i, a in self.symbolic.places]))
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = found
        return found

    @property
    def results(self) -> list[tuple[tuple[int, ...], Any]]:
        """Shape and dtype of each result."""
        return [self._meta[n][:2] for n in self._outputs]

    def _constant(self, n: int) -> Any:
        b, (shape, dtype, size) = self.plan["buffers"][n], self._meta[n]
        data = self._const_memory[b["at"] : b["at"] + b["bytes"]].view(dtype)
        return data.reshape(shape) if b["bytes"] == size else data

    # ---- what a runtime adds

    def _sized(self, plan: dict[str, Any]) -> Any:
        """An executable of that plan over the code of this one."""
        raise BugError(f"{type(self).__name__} does not run programs of symbolic sizes")

    def _launch(self, step: list[Any]) -> Run:
        raise BugError(f"{type(self).__name__} does not run this kind of step")

    def _copy(self, dst: int, src: int) -> Run:
        raise BugError(f"{type(self).__name__} does not run this kind of step")

    def _fill(self, dst: int, value: Any) -> Run:
        raise BugError(f"{type(self).__name__} does not run this kind of step")

    def _truth(self, n: int) -> Callable[..., bool]:
        """Reads a 0-d i1 buffer."""
        raise BugError(f"{type(self).__name__} does not run this kind of step")

    def _count(self, n: int) -> Run:
        """Writes the turn, which is the last argument, into a 0-d buffer."""
        raise BugError(f"{type(self).__name__} does not run this kind of step")

    # ---- steps

    def _compiled(self, step: list[Any]) -> Run:
        kind = step[0]
        if kind == "launch":
            return self._launch(step)
        if kind == "copy":
            return self._copy(step[1], step[2])
        if kind == "fill":
            return self._fill(step[1], step[2])
        if kind == "check":
            return self._check(*step[1:])
        return self._loop(step)

    def _check(self, flag: int, message: str, place: str | None) -> Run:
        holds = self._truth(flag)

        def check(*state: Any) -> None:
            if not holds(*state):
                raise CheckError(message, place=place)

        return check

    def _loop(self, step: list[Any]) -> Run:
        _, body, count, counter, cond, before = step
        turns = [self._compiled(s) for s in body]
        asks = [self._compiled(s) for s in before]
        write = None if counter is None else self._count(counter)
        holds = None if cond is None else self._truth(cond)

        def loop(*state: Any) -> None:
            turn = 0
            while count is None or turn < count:
                if write is not None:
                    write(*state, turn)
                for ask in asks:
                    ask(*state)
                if holds is not None and not holds(*state):
                    return
                for s in turns:
                    s(*state)
                turn += 1

        return loop

    # ---- bytes

    def _packed(self, code: bytes) -> bytes:
        plan = json.dumps(self.plan).encode()
        body = struct.pack("<QQQ", len(plan), len(self.constants), len(code)) + plan + self.constants + code
        return self.magic + hashlib.sha256(body).digest() + body

    @classmethod
    def _unpacked(cls, data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
        """Plan, constants and code.  Raises ValueError if the bytes are not exactly what `_packed` made."""
        if data[:8] != cls.magic or hashlib.sha256(data[40:]).digest() != data[8:40]:
            raise ValueError("damaged executable")
        a, b, c = struct.unpack_from("<QQQ", data, 40)
        return json.loads(data[64 : 64 + a]), data[64 + a : 64 + a + b], data[64 + a + b : 64 + a + b + c]
