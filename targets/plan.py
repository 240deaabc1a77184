"""The plan of a program: what to call with which buffers, as JSON, so that a cached program needs no lowering.

`plan_of` makes it; `Steps` turns its steps into callables for a runtime, which adds `launch`, `copy`, `fill`, and how a flag is read and a
counter written.  What a callable gets (`state`) is the runtime's own: the memory of one call.
"""
from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir.analysis.slots import slots
from ..ir.errors import BugError, CheckError
from ..ir.program import Buffer, Check, Copy, Fill, Launch, Loop, Program, Step
from ..ir.types import SCALARS

Run = Callable[..., None]


def plan_of(program: Program) -> tuple[dict[str, Any], bytes]:
    """The JSON form of a program, and the bytes of its constants."""
    number = {b.name: n for n, b in enumerate(program.buffers)}
    blob = bytearray()
    buffers = []
    for b in program.buffers:
        entry: dict[str, Any] = {"dtype": b.type.elem.name, "shape": list(b.type.shape), "kind": b.kind}
        if b.data is not None:
            blob += bytes(-len(blob) % 64)
            entry["at"], entry["bytes"] = len(blob), len(b.data)
            blob += b.data
        buffers.append(entry)
    plan = {"name": program.name, "buffers": buffers, "inputs": [number[b.name] for b in program.inputs],
            "outputs": [number[b.name] for b in program.outputs], "slots": [[number[b.name] for b in s] for s in slots(program)], "steps": [_step(s, number) for s in program.steps]}  # fmt: skip
    return plan, bytes(blob)


def _step(s: Step, number: dict[str, int]) -> list[Any]:
    if isinstance(s, Launch):
        args = [number[a.name] if isinstance(a, Buffer) else ["number", a] for a in s.args]
        return ["launch", s.fn.name, list(s.grid), args]
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


class Steps:
    """A plan with its constants.  `_meta[n]` is (shape, dtype, bytes) of buffer n, `_kinds[n]` its kind."""

    magic = b""

    def __init__(self, plan: dict[str, Any], constants: bytes) -> None:
        self.plan, self.constants = plan, constants
        self._const_memory = np.frombuffer(constants or b"\0", np.uint8).copy()
        self._kinds = [b["kind"] for b in plan["buffers"]]
        self._meta = []
        for b in plan["buffers"]:
            dtype, shape = SCALARS[b["dtype"]].np, tuple(b["shape"])
            self._meta.append((shape, dtype, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize))
        self._inputs, self._outputs = plan["inputs"], plan["outputs"]
        self._consts = [n for n, k in enumerate(self._kinds) if k == "const"]
        self._slots = [(max(self._meta[n][2] for n in slot), slot) for slot in plan["slots"]]

    def _constant(self, n: int) -> Any:
        b, (shape, dtype, size) = self.plan["buffers"][n], self._meta[n]
        data = self._const_memory[b["at"] : b["at"] + b["bytes"]].view(dtype)
        return data.reshape(shape) if b["bytes"] == size else data

    # ---- what a runtime adds

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
