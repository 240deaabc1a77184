"""Running a compiled program on the CPU: the plan (`targets/plan.py`) and linked code, so that a cached program needs neither lowering nor
LLVM.  An `Executable` takes C-contiguous NumPy arrays and returns a tuple of fresh ones.
"""
from __future__ import annotations

import ctypes
import math
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..plan import Steps
from .link import Artifact
from .load import load
from .pool import POOL, RUN, TASK

LARGE = 1 << 20  # bytes from which on a result comes from the pool of warm memory


# ---- memory ---------------------------------------------------------------------------------------------------------


class _Warm:
    """Large blocks whose pages are already there: a page fault costs more than the arithmetic on the page."""

    def __init__(self, limit: int = 1 << 30) -> None:
        self.free: dict[int, list[Any]] = {}
        self.held, self.limit = 0, limit
        self.lock = threading.Lock()

    def take(self, size: int) -> _Block:
        with self.lock:
            blocks = self.free.get(size)
            if blocks:
                self.held -= size
                return _Block(blocks.pop(), size, self)
        return _Block(np.empty(size, np.uint8), size, self)

    def give(self, memory: Any, size: int) -> None:
        with self.lock:
            if self.held + size <= self.limit:
                self.held += size
                self.free.setdefault(size, []).append(memory)


class _Block:
    """One block on loan; goes back when the last array over it dies."""

    __slots__ = ("memory", "size", "home", "__array_interface__")

    def __init__(self, memory: Any, size: int, home: _Warm) -> None:
        self.memory, self.size, self.home = memory, size, home

    def array(self, shape: tuple[int, ...], dtype: Any) -> Any:
        interface = self.memory.__array_interface__
        self.__array_interface__ = {"shape": (self.size,), "typestr": "|u1", "data": interface["data"], "version": 3}
        return np.asarray(self).view(dtype).reshape(shape)

    def __del__(self) -> None:
        self.home.give(self.memory, self.size)


WARM = _Warm()


def fresh(shape: tuple[int, ...], dtype: Any, size: int) -> Any:
    """A new array whose content is arbitrary."""
    if size < LARGE:
        return np.empty(shape, dtype)
    return WARM.take(size).array(shape, dtype)


def _slow_pointer(a: Any) -> int:
    return a.__array_interface__["data"][0]  # type: ignore[no-any-return]


_at = ctypes.c_size_t.from_address
_DATA = object.__basicsize__  # `data` is the first field of PyArrayObject after the object's head


def _fast_pointer(a: Any) -> int:
    return _at(id(a) + _DATA).value


_probe = np.arange(3)
pointer = _fast_pointer if _fast_pointer(_probe) == _slow_pointer(_probe) else _slow_pointer


# ---- executable -----------------------------------------------------------------------------------------------------


class Executable(Steps):
    """A program ready to run.  Thread-safe: each call has its own buffers."""

    magic = b"pjexe001"

    def __init__(self, plan: dict[str, Any], constants: bytes, artifact: Artifact, like: Executable | None = None) -> None:
        super().__init__(plan, constants, like)
        self.artifact = artifact
        self.code: Any = load(artifact) if like is None else like.code
        self._task = self.code.address(TASK)
        self._functions: dict[str, Any] = {} if like is None else like._functions
        self._steps, self.single = [], None  # type: tuple[list[Any], Callable[..., Any] | None]
        if self.symbolic is None:
            self.single = self._single_launch()  # gives the one result itself, or None
            self._steps = [self._compiled(s) for s in plan["steps"]] if self.single is None else []

    def _sized(self, plan: dict[str, Any]) -> Executable:
        return Executable(plan, self.constants, self.artifact, self)

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        if self.symbolic is not None:
            return self.at([x.shape for x in inputs])(*inputs)  # type: ignore[no-any-return]
        if self.single is not None:
            return (self.single(*inputs),)
        return self.into((), *inputs)

    def into(self, given: Sequence[Any], *inputs: Any) -> tuple[Any, ...]:
        """The results, where `given` has a C-contiguous array in that."""
        if not self._steps:  # the short path needs none
            self._steps = [self._compiled(s) for s in self.plan["steps"]]
        arrays: list[Any] = [None] * len(self._meta)
        for n, x in zip(self._inputs, inputs):
            arrays[n] = x
        for n, a in zip(self._outputs, given):
            if arrays[n] is None:
                arrays[n] = a
        for n in self._outputs:
            if arrays[n] is None:
                arrays[n] = fresh(*self._meta[n])
        for n in self._consts:
            arrays[n] = self._constant(n)
        for size, slot in self._slots:
            if len(slot) == 1:
                arrays[slot[0]] = fresh(*self._meta[slot[0]])
                continue
            memory = fresh((size,), np.uint8, size)
            for n in slot:
                shape, dtype, part = self._meta[n]
                arrays[n] = memory[:part].view(dtype).reshape(shape)
        addresses = [0 if a is None else pointer(a) for a in arrays]
        for step in self._steps:
            step(arrays, addresses)
        return tuple([arrays[n] for n in self._outputs])

    def _function(self, name: str) -> Any:
        f = self._functions.get(name)
        if f is None:
            f = self._functions[name] = RUN(self.code.address(name))
        return f

    def _copy(self, dst: int, src: int) -> Callable[..., None]:
        def copy(arrays: list[Any], addresses: list[int]) -> None:
            arrays[dst][...] = arrays[src]

        return copy

    def _fill(self, dst: int, value: Any) -> Callable[..., None]:
        def fill(arrays: list[Any], addresses: list[int]) -> None:
            arrays[dst].fill(value)

        return fill

    def _truth(self, n: int) -> Callable[..., bool]:
        return lambda arrays, addresses: bool(arrays[n])

    def _count(self, n: int) -> Callable[..., None]:
        def write(arrays: list[Any], addresses: list[int], turn: int) -> None:
            arrays[n][...] = turn

        return write

    def _launch(self, step: list[Any]) -> Callable[[list[Any], list[int]], None]:
        _, name, grid, args = step
        blocks = math.prod(grid)
        fn, address, task = self._function(name), self.code.address(name), self._task
        dims = (ctypes.c_int64 * 3)(*grid)
        where = ctypes.addressof(dims)
        slots = ctypes.c_uint64 * (len(args) + 1)
        error = ctypes.c_int32(0)
        error_at = ctypes.addressof(error)

        def launch(arrays: list[Any], addresses: list[int], _keep: Any = (dims, error)) -> None:
            values = slots(*[addresses[a] if isinstance(a, int) else _number(a[1]) for a in args], error_at)
            POOL.run(fn, task, address, blocks, ctypes.addressof(values), where)

        return launch

    def _single_launch(self) -> Callable[..., Any] | None:
        """The common case, one kernel over inputs and one small output: a short path."""
        plan = self.plan
        if len(plan["steps"]) != 1 or plan["steps"][0][0] != "launch" or len(self._outputs) != 1 or self._consts or self._slots:
            return None
        _, name, grid, args = plan["steps"][0]
        numbers = [_number(a[1]) for a in args if not isinstance(a, int)]  # extents: they come last
        args = args[: len(args) - len(numbers)]
        if not all(isinstance(a, int) for a in args):
            return None
        out = self._outputs[0]
        shape, dtype, size = self._meta[out]
        position = {n: k for k, n in enumerate(self._inputs)}
        order = [position.get(a, -1) for a in args]
        blocks = math.prod(grid)
        fn, address, task = self._function(name), self.code.address(name), self._task
        dims = (ctypes.c_int64 * 3)(*grid)
        where = ctypes.addressof(dims)
        slots = ctypes.c_uint64 * (len(args) + len(numbers) + 1)
        error = ctypes.c_int32(0)
        error_at = ctypes.addressof(error)
        empty, addressof, run, large = np.empty, ctypes.addressof, POOL.run, size >= LARGE

        def call(*inputs: Any, _keep: Any = (dims, error)) -> Any:
            result = WARM.take(size).array(shape, dtype) if large else empty(shape, dtype)
            values = slots(*[pointer(result) if k < 0 else pointer(inputs[k]) for k in order], error_at)
            if blocks < 2:
                fn(addressof(values), 0, blocks, where)
            else:
                run(fn, task, address, blocks, addressof(values), where)
            return result

        def call_one(x: Any, *, _keep: Any = (dims, error)) -> Any:
            result = empty(shape, dtype)
            values = slots(_at(id(x) + _DATA).value, _at(id(result) + _DATA).value, error_at)
            fn(addressof(values), 0, blocks, where)
            return result

        def call_sized(*inputs: Any, _keep: Any = (dims, error)) -> Any:
            result = WARM.take(size).array(shape, dtype) if large else empty(shape, dtype)
            values = slots(*[pointer(result) if k < 0 else pointer(inputs[k]) for k in order], *numbers, error_at)
            if blocks < 2:
                fn(addressof(values), 0, blocks, where)
            else:
                run(fn, task, address, blocks, addressof(values), where)
            return result

        if numbers:
            return call_sized
        if order == [0, -1] and len(self._inputs) == 1 and blocks < 2 and not large and pointer is _fast_pointer:
            return call_one
        return call

    # ---- bytes

    def to_bytes(self) -> bytes:
        return self._packed(self.artifact.to_bytes())

    @staticmethod
    def from_bytes(data: bytes) -> Executable:
        """Raises ValueError if the bytes are not exactly what `to_bytes` made."""
        plan, constants, code = Executable._unpacked(data)
        return Executable(plan, constants, Artifact.from_bytes(code))


def _number(value: Any) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0]) if isinstance(value, float) else int(value) & (2**64 - 1)
