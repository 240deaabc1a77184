"""Devices with memory and a queue of their own: what a maker's runtime offers (`Driver`), and programs on it (`DeviceProgram`).

A driver has seven kinds of primitive: memory, transfers, code, launches, streams, events, waiting.  All work goes in order into the *current
stream* of the calling thread; streams run beside one another, and an event orders them.  Memory comes from a pool whose blocks are
handed on in stream order, so freeing never waits; the lowest address goes first, so a repeated call gets the same blocks.  `Memory` goes back
when nothing refers to it any more; after a fork, in the child, and at exit, nothing is given back: the context belongs to the parent, or is
going away.
"""
from __future__ import annotations

import atexit
import json
import os
import struct
import threading
from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..ir.errors import DeviceError, ResourceError
from ..ir.types import SCALARS
from .plan import Run, Steps

HELD = 1 << 30  # bytes that a pool keeps for later
PAGE, PAGES = 4096, 64 << 10  # bytes of a page, and of arrays that begin on one
_exiting = False


@atexit.register
def _leave() -> None:
    global _exiting
    _exiting = True


def as_bytes(a: Any) -> Any:
    """An array's memory as bytes, also of dtypes that the buffer protocol does not know."""
    return a.reshape(-1).view(np.uint8)


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """A new array of the host.  A large one starts on a page: only then do drivers of GPUs in main memory use it without a copy."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size < PAGES:
        return np.empty(shape, dtype)
    memory = np.empty(size + PAGE, np.uint8)
    first = -memory.__array_interface__["data"][0] % PAGE
    return memory[first : first + size].view(dtype).reshape(shape)


def rounded(size: int) -> int:
    """The size of the block that serves a request: a quarter step of a power of two, at least 256 bytes; at most a quarter is lost."""
    if size <= 1024:
        return max(-(-size // 256) * 256, 256)
    step = 1 << ((size - 1).bit_length() - 3)
    return -(-size // step) * step


class Memory:
    """`size` bytes of a device.  `raw` is what its driver calls them; `keep` owns them where that is somebody else."""

    __slots__ = ("driver", "raw", "size", "keep", "stream", "__weakref__")

    def __init__(self, driver: Driver, raw: Any, size: int, keep: Any = None, stream: Any = None) -> None:
        self.driver, self.raw, self.size, self.keep, self.stream = driver, raw, size, keep, stream

    def __del__(self) -> None:
        if self.keep is None and not _exiting:
            self.driver.give(self)

    def __repr__(self) -> str:
        return f"<{self.size} bytes on {self.driver.name}>"


class Event:
    """A point of a stream.  `done`, `synchronize()`, and `seconds_since(earlier)` where the driver measures time."""

    __slots__ = ("driver", "raw")

    def __init__(self, driver: Driver, raw: Any) -> None:
        self.driver, self.raw = driver, raw

    @property
    def done(self) -> bool:
        return self.driver.is_done(self.raw)

    def synchronize(self) -> None:
        self.driver.await_event(self.raw)

    def seconds_since(self, earlier: Event) -> float:
        self.synchronize()
        return self.driver.seconds(earlier.raw, self.raw)


class Stream:
    """A queue of a device.  `with stream:` makes it this thread's current one; `wait(event)` orders it after a point of another."""

    __slots__ = ("driver", "raw")

    def __init__(self, driver: Driver, raw: Any) -> None:
        self.driver, self.raw = driver, raw

    def __enter__(self) -> Stream:
        self.driver.streams().append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.driver.streams().pop()

    def record(self) -> Event:
        return Event(self.driver, self.driver.record(self.raw))

    def wait(self, event: Event) -> None:
        self.driver.order_after(self.raw, event.raw)

    def synchronize(self) -> None:
        self.driver.await_stream(self.raw)

    def __repr__(self) -> str:
        return f"<stream of {self.driver.name}>"


class Driver:
    """One device of one maker.  A subclass gives the primitives; `raw` is its own word for a piece of memory, `queue` for a stream.

    name      of the device ('cuda:0')          unified   kernels reach the host's memory: `wrap` instead of copies
    """

    name = ""
    unified = False
    same_addresses = False  # a kernel reaches whatever the host does, at the host's address
    dlpack: int | None = None  # the device type of DLPack
    number = 0

    def __init__(self) -> None:
        self._free: dict[tuple[int, Stream], list[Any]] = {}
        self._held = 0
        self._lock = threading.RLock()  # the collector may free memory while this thread has it
        self._local = threading.local()
        self._pid = os.getpid()
        self._default: Stream | None = None

    # ---- what a maker's runtime gives

    def allocate(self, size: int) -> Any:
        """New memory.  ResourceError where there is none."""
        raise NotImplementedError

    def free(self, raw: Any) -> None:
        raise NotImplementedError

    def wrap(self, a: Any, write: bool) -> Any:
        """The host's array as memory of the device (`unified` only)."""
        raise NotImplementedError

    def publish(self, a: Any, raw: Any) -> None:
        """Lets the host see what kernels wrote to a wrapped array; waits."""
        raise NotImplementedError

    def upload(self, raw: Any, a: Any) -> None:
        """A C-contiguous array to the device.  The array may be changed when this returns."""
        raise NotImplementedError

    def download(self, a: Any, raw: Any) -> None:
        """Memory to a C-contiguous array; waits for all that is in the stream."""
        raise NotImplementedError

    def copy(self, dst: Any, src: Any, size: int) -> None:
        raise NotImplementedError

    def fill(self, raw: Any, pattern: Any, size: int) -> None:
        """`size` bytes with a pattern of 1, 2, 4, 8 … bytes (a NumPy array of uint8)."""
        raise NotImplementedError

    def load(self, code: dict[str, Any], binary: bytes) -> tuple[Any, bytes]:
        """A module from what the target made, and the bytes that `binary` should be next time (b'' for none)."""
        raise NotImplementedError

    def prepare(self, module: Any, signature: dict[str, Any], grid: Sequence[int]) -> Callable[[list[Any]], None]:
        """A launch with all but its arguments fixed.  It takes them as `raw` for pointers, NumPy scalars for the rest."""
        raise NotImplementedError

    def make_stream(self) -> Any:
        raise NotImplementedError

    def await_stream(self, queue: Any) -> None:
        raise NotImplementedError

    def record(self, queue: Any) -> Any:
        raise NotImplementedError

    def order_after(self, queue: Any, event: Any) -> None:
        raise NotImplementedError

    def is_done(self, event: Any) -> bool:
        raise NotImplementedError

    def await_event(self, event: Any) -> None:
        raise NotImplementedError

    def seconds(self, first: Any, last: Any) -> float:
        """Between two events, by the device's clock."""
        raise DeviceError(f"{self.name} does not measure time between events")

    def address(self, raw: Any) -> int:
        """A piece of memory as a number: a pointer, or the maker's handle."""
        return int(raw)

    def adopt(self, address: int, size: int, keep: Any) -> Memory:
        """Memory of somebody else, by `address`; `keep` owns it."""
        return Memory(self, address, size, keep)

    def current_handle(self) -> int | None:
        """The current stream as DLPack and the CUDA array interface know it, or None."""
        return None

    def hand_over(self, handle: Any) -> None:
        """What is in the current stream comes before all that follows in another library's stream (−1: no ordering is wanted)."""
        if handle != -1:
            self.synchronize()

    def follow(self, handle: Any) -> None:
        """What follows in the current stream comes after what another library has in its own."""

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turns the maker's exceptions into ours."""
        yield

    # ---- streams

    def streams(self) -> list[Stream]:
        found: list[Stream] | None = getattr(self._local, "streams", None)
        if found is None:
            found = self._local.streams = []
        return found

    def stream(self) -> Stream:
        """A new stream."""
        self.check_process()
        with self.guarded():
            return Stream(self, self.make_stream())

    @property
    def current(self) -> Stream:
        stack = self.streams()
        if stack:
            return stack[-1]
        if self._default is None:
            with self._lock:
                if self._default is None:
                    self._default = Stream(self, self.make_stream())
        return self._default

    @property
    def queue(self) -> Any:
        return self.current.raw

    def synchronize(self) -> None:
        """Waits for the current stream."""
        self.check_process()
        with self.guarded():
            self.await_stream(self.queue)

    # ---- memory

    def check_process(self) -> None:
        if os.getpid() != self._pid:
            raise DeviceError(f"{self.name} was opened before this process was forked, and cannot be used in the child",
                              hint="start processes with multiprocessing's 'spawn', or use the device only in the children")  # fmt: skip

    def memory(self, size: int) -> Memory:
        """Memory from the pool; its content is arbitrary."""
        self.check_process()
        block, stream = rounded(size), self.current
        with self._lock:
            blocks = self._free.get((block, stream))
            if blocks:
                self._held -= block
                return Memory(self, blocks.pop(), size, None, stream)
        with self.guarded():
            try:
                return Memory(self, self.allocate(block), size, None, stream)
            except ResourceError:
                self.trim()
                return Memory(self, self.allocate(block), size, None, stream)

    def give(self, m: Memory) -> None:
        """Memory that nothing refers to: to its stream's pool, or back to the device."""
        if os.getpid() != self._pid:
            return
        if m.stream is None:  # it was lent
            self.free(m.raw)
            return
        block = rounded(m.size)
        with self._lock:
            if self._held + block <= HELD:
                self._held += block
                insort(self._free.setdefault((block, m.stream), []), m.raw, key=lambda raw: -self.address(raw))
                return
        self.free(m.raw)

    def lend(self, m: Memory) -> None:
        """Another library may work on this memory, in streams of its own: in the end it goes back to the device, which waits, and not to the pool."""
        m.stream = None

    def trim(self) -> None:
        """Gives the pool back."""
        with self._lock:
            blocks, self._free, self._held = self._free, {}, 0
        for raws in blocks.values():
            for raw in raws:
                self.free(raw)

    def from_host(self, a: Any) -> Memory:
        """A C-contiguous array's content on the device."""
        m = self.memory(a.nbytes)
        if a.nbytes:
            with self.guarded():
                self.upload(m.raw, a)
        return m

    def to_host(self, m: Memory, shape: tuple[int, ...], dtype: Any) -> Any:
        self.check_process()
        a = np.empty(shape, dtype)
        if a.nbytes:
            with self.guarded():
                self.download(a, m.raw)
        return a

    def __repr__(self) -> str:
        return f"<driver of {self.name}>"


class Copies:
    """The host's memory on the device while a kernel of other origin runs: made on entry, what the kernel changed is copied back on exit.

    `regions` are (address, bytes) of all that it may reach; those that overlap share memory there as they do here.  What is on the device already is
    (number that stands for it, its memory).
    """

    def __init__(self, driver: Driver, regions: Sequence[tuple[int, int | Memory]]) -> None:
        from ..ir.interp.memory import host_bytes

        self.driver = driver
        self.held = {start: m for start, m in regions if isinstance(m, Memory)}
        self.here = [(start, host_bytes(start, size)) for start, size in joined([(start, n) for start, n in regions if not isinstance(n, Memory)])]

    def __enter__(self) -> Copies:
        self.there = [self.driver.from_host(a) for _, a in self.here]
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            return
        for (_, a), m in zip(self.here, self.there):
            after = np.empty_like(a)
            self.driver.download(after, m.raw)
            changed = after != a
            if changed.any():  # only then: the array may be read-only
                a[changed] = after[changed]

    def find(self, address: int) -> tuple[Memory, int] | None:
        """The copy that holds an address of the host's, and the offset in it.  (The end of an array is an address of it too.)"""
        at_end = None
        if address in self.held:
            return self.held[address], 0
        for (start, a), m in zip(self.here, self.there):
            if start <= address < start + len(a):
                return m, address - start
            if address == start + len(a):
                at_end = m, len(a)
        return at_end


def joined(regions: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping ranges as one, in order."""
    out: list[tuple[int, int]] = []
    for start, size in sorted(r for r in regions if r[1]):
        if out and start < out[-1][0] + out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], start + size - out[-1][0])
        else:
            out.append((start, size))
    return out


class DeviceProgram(Steps):
    """A program on one device.  `code` is what its target made (JSON, with `kernels`: name → signature), `binary` the driver's own form or b''.

    Called with NumPy arrays it gives fresh NumPy arrays; `on_device` takes and gives `Memory`, and does not wait.  A signature has `name`,
    `params` ('pointer' or a scalar type each), `local` (threads of a block) and `reports` (an error word follows the parameters).
    """

    magic = b"pjdev001"

    def __init__(self, driver: Driver, plan: dict[str, Any], constants: bytes, code: dict[str, Any], binary: bytes = b"",
                 like: DeviceProgram | None = None) -> None:  # fmt: skip
        super().__init__(plan, constants, like)
        self.driver, self.code = driver, code
        with driver.guarded():
            self.module: Any
            self.binary: bytes
            self.module, self.binary = driver.load(code, binary) if like is None else (like.module, like.binary)
            self._held: dict[int, Memory] = {} if like is None else like._held
            self._steps = [] if self.symbolic is not None else [self._compiled(s) for s in plan["steps"]]

    def _sized(self, plan: dict[str, Any]) -> DeviceProgram:
        return type(self)(self.driver, plan, self.constants, self.code, self.binary, self)

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        if self.symbolic is not None:
            return self.at([x.shape for x in inputs])(*inputs)  # type: ignore[no-any-return]
        return self.into((), *inputs)

    def into(self, given: Sequence[Any], *inputs: Any) -> tuple[Any, ...]:
        """The results as NumPy arrays, where `given` has a C-contiguous one in that."""
        d = self.driver
        results: dict[int, Any] = {}
        for n, r in zip(self._outputs, given):
            if r is not None:
                results.setdefault(n, r)
        if d.unified:
            d.check_process()
            with d.guarded():
                taken = [Memory(d, d.wrap(x, False), x.nbytes, x) if x.nbytes else d.memory(0) for x in inputs]
                for n in self._outputs:
                    if n not in results:
                        shape, dtype, _ = self._meta[n]
                        results[n] = empty(shape, dtype)
                outputs = {n: Memory(d, d.wrap(a, True), a.nbytes, a) if a.nbytes else d.memory(0) for n, a in results.items()}
            self._run(taken, outputs)
            with d.guarded():
                for n, a in results.items():
                    if a.nbytes:
                        d.publish(a, outputs[n].raw)
                d.await_stream(d.queue)
        else:
            made = self._run([d.from_host(x) for x in inputs], {})
            for n in self._outputs:
                if n not in results:
                    shape, dtype, _ = self._meta[n]
                    results[n] = np.empty(shape, dtype)
            with d.guarded():
                for n, a in results.items():
                    if a.nbytes:
                        d.download(a, made[n].raw)
        return tuple([results[n] for n in self._outputs])

    def on_device(self, *inputs: Memory) -> tuple[Memory, ...]:
        """Enqueues the program; results are memory of the device.  Waits only where a check or an error word must be read."""
        memory = self._run(inputs, {})
        return tuple([memory[n] for n in self._outputs])

    def _run(self, inputs: Sequence[Memory], outputs: dict[int, Memory]) -> list[Any]:
        d = self.driver
        memory: list[Any] = [None] * len(self._meta)
        for n, x in zip(self._inputs, inputs):
            memory[n] = x
        for n in self._outputs:
            if memory[n] is None:
                memory[n] = outputs.get(n) or d.memory(self._meta[n][2])
        for n in self._consts:
            memory[n] = self._const(n)
        for size, slot in self._slots:
            block = d.memory(size)
            for n in slot:
                memory[n] = block
        words: list[tuple[str, Memory]] = []
        with d.guarded():
            for step in self._steps:
                step(memory, words)
            for name, word in words:
                code = np.zeros(1, np.uint32)
                d.download(code, word.raw)
                if code[0]:
                    raise DeviceError(f"{name} reported error {int(code[0])}")
        return memory

    def _const(self, n: int) -> Memory:
        m = self._held.get(n)
        if m is None:
            m = self._held[n] = self.driver.from_host(np.ascontiguousarray(self._constant(n)))
            self.driver.synchronize()  # other streams may use it
        return m

    # ---- steps

    def _launch(self, step: list[Any]) -> Run:
        _, name, grid, args = step
        signature, d = self.code["kernels"][name], self.driver
        if not all(grid):
            return lambda memory, words: None
        launch = d.prepare(self.module, signature, grid)
        fixed = {k: SCALARS[t].np.type(a[1]) for k, (t, a) in enumerate(zip(signature["params"], args)) if not isinstance(a, int)}
        reports = signature["reports"]

        def run(memory: list[Any], words: list[tuple[str, Memory]]) -> None:
            values = [fixed[k] if k in fixed else memory[a].raw for k, a in enumerate(args)]
            if reports:
                word = d.memory(4)
                d.fill(word.raw, np.zeros(4, np.uint8), 4)
                values.append(word.raw)
                words.append((name, word))
            launch(values)

        return run

    def _copy(self, dst: int, src: int) -> Run:
        size, d = self._meta[dst][2], self.driver
        return (lambda memory, words: d.copy(memory[dst].raw, memory[src].raw, size)) if size else lambda memory, words: None

    def _fill(self, dst: int, value: Any) -> Run:
        _, dtype, size = self._meta[dst]
        pattern, d = as_bytes(np.array([value]).astype(dtype)), self.driver
        return (lambda memory, words: d.fill(memory[dst].raw, pattern, size)) if size else lambda memory, words: None

    def _truth(self, n: int) -> Callable[..., bool]:
        def holds(memory: list[Any], words: Any) -> bool:
            flag = np.zeros(1, np.uint8)
            self.driver.download(flag, memory[n].raw)
            return bool(flag[0])

        return holds

    def _count(self, n: int) -> Run:
        dtype = self._meta[n][1]

        def write(memory: list[Any], words: Any, turn: int) -> None:
            self.driver.upload(memory[n].raw, np.array([turn], dtype))

        return write

    # ---- bytes

    def to_bytes(self) -> bytes:
        code = json.dumps(self.code).encode()
        return self._packed(struct.pack("<Q", len(code)) + code + self.binary)

    @classmethod
    def from_bytes(cls, driver: Driver, data: bytes) -> DeviceProgram:
        """Raises ValueError if the bytes are not exactly what `to_bytes` made."""
        plan, constants, code = cls._unpacked(data)
        n = struct.unpack_from("<Q", code)[0]
        return cls(driver, plan, constants, json.loads(code[8 : 8 + n]), code[8 + n :])


