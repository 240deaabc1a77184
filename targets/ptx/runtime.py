"""CUDA devices: finding them (`detect`), and the primitives of one (`CudaDriver`).

A driver works in the primary context of its card, which it shares with every other library of the process; each primitive makes it current for
its thread, and `guarded` puts back what was current before.  All work is asynchronous in streams of our own.  Transfers go through
page-locked buffers, so that the host's arrays are free when a call returns and the copies run at the bus's speed.
"""
from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...ir.device import DeviceFacts
from ...ir.errors import DeviceError, PtxjitError, ResourceError, ToolError
from ...ir.interp.memory import host_bytes
from ..driver import Driver, Stream, as_bytes
from . import driver_api
from .facts import ARCHS, STATIC_SHARED, number, units
from .modules import Module

ATTRIBUTES = {"major": "COMPUTE_CAPABILITY_MAJOR", "minor": "COMPUTE_CAPABILITY_MINOR", "multiprocessors": "MULTIPROCESSOR_COUNT", "warp": "WARP_SIZE",
              "threads per block": "MAX_THREADS_PER_BLOCK", "threads per multiprocessor": "MAX_THREADS_PER_MULTIPROCESSOR",
              "registers per multiprocessor": "MAX_REGISTERS_PER_MULTIPROCESSOR", "shared bytes per block": "MAX_SHARED_MEMORY_PER_BLOCK",
              "shared bytes per block, opted in": "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN", "shared bytes per multiprocessor": "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR",
              "L2 bytes": "L2_CACHE_SIZE", "clock kHz": "CLOCK_RATE", "memory clock kHz": "MEMORY_CLOCK_RATE", "bus bits": "GLOBAL_MEMORY_BUS_WIDTH",
              "integrated": "INTEGRATED", "compute mode": "COMPUTE_MODE", "cooperative": "COOPERATIVE_LAUNCH", "clusters": "CLUSTER_LAUNCH"}  # fmt: skip
PROHIBITED = 2  # compute mode
SMALL, LARGE = 64 << 10, 4 << 20  # bytes of a page-locked buffer
PACK = {"pointer": "Q", "i1": "?", "i8": "b", "i16": "h", "i32": "i", "i64": "q", "f16": "e", "bf16": "H", "f32": "f", "f64": "d"}
_lock = threading.Lock()
_found: list[Any] | None = None
_drivers: dict[int, CudaDriver] = {}
missing: str | None = None  # why there is no device at all


# ---- detection ------------------------------------------------------------------------------------------------------


def nearest(major: int, minor: int) -> str | None:
    """The architecture to write for: the card's own with all its instructions, else the nearest below (PTX runs on every later one)."""
    version = 10 * major + minor
    below = [a for a in ARCHS if number(a) <= version and (a[-1] not in "af" or number(a) == version)]
    return max(below, key=lambda a: (number(a), a)) if below else None


class Found:
    """One card.  `why_not` says why it cannot be used; `details` is what the driver says about it."""

    def __init__(self, n: int, api: driver_api.Api, version: int) -> None:
        d = api.driver
        self.number, self.is_gpu = n, True
        self.handle = api.ok(d.cuDeviceGet(n), f"cuda:{n}")
        name = api.ok(d.cuDeviceGetName(128, self.handle), f"cuda:{n}")
        self.hardware = bytes(name).partition(b"\0")[0].decode("utf-8", "replace").strip()
        self.driver = f"CUDA {version // 1000}.{version % 1000 // 10}"
        self.details: dict[str, int] = {"memory bytes": int(api.ok(d.cuDeviceTotalMem(self.handle), f"cuda:{n}"))}
        for key, word in ATTRIBUTES.items():
            self.details[key] = int(api.ok(d.cuDeviceGetAttribute(getattr(d.CUdevice_attribute, "CU_DEVICE_ATTRIBUTE_" + word), self.handle), f"cuda:{n}: {word}"))
        h = self.details
        arch = nearest(h["major"], h["minor"])
        self.arch = arch or min(ARCHS, key=number)
        self.why_not: str | None = None
        if arch is None:
            self.why_not = f"its compute capability is {h['major']}.{h['minor']}; code is written for 7.5 and later"
        elif version < driver_api.OLDEST:
            self.why_not = f"its driver has {self.driver}; CUDA {driver_api.OLDEST // 1000}.0 is needed: install NVIDIA driver 525 or later"
        elif h["compute mode"] == PROHIBITED:
            self.why_not = "its compute mode is 'prohibited': nvidia-smi -c DEFAULT"
        a = ARCHS[self.arch]
        self.facts = DeviceFacts(f"ptx:{self.arch}", "ptx", 32, 32, 255, 128, STATIC_SHARED, h["L2 bytes"] or a.l2, h["multiprocessors"] or a.cores, True,
                                 10 * h["major"] + h["minor"], (f"device {self.hardware}", f"driver {self.driver}"), units(self.arch))  # fmt: skip

    @property
    def bandwidth(self) -> float:
        """Bytes per second of its memory, from clock and bus (two transfers a cycle); 0 where the driver does not say."""
        return 2e3 * self.details["memory clock kHz"] * self.details["bus bits"] / 8


class Broken:
    """A card whose driver fails."""

    def __init__(self, n: int, why_not: str) -> None:
        self.number, self.hardware, self.why_not, self.driver, self.is_gpu = n, "an NVIDIA card", why_not, "", True
        self.details: dict[str, int] = {}
        a = ARCHS["sm_75"]
        self.facts = DeviceFacts("ptx:sm_75", "ptx", 32, 32, 255, 128, STATIC_SHARED, a.l2, a.cores, True, 75)


def detect() -> list[Any]:
    """Every card, as CUDA counts them.  Never fails; `missing` says why there is none."""
    global _found, missing
    with _lock:
        if _found is None:
            _found, missing = _look()
        return _found


def forget() -> None:
    """Looks again at the next `detect`: for tests."""
    global _found, missing
    with _lock:
        for d in _drivers.values():
            d.close()
        _drivers.clear()
        _found = missing = None


def _look() -> tuple[list[Any], str | None]:
    why = driver_api.probe()
    if why is not None:
        return [], why
    try:
        api = driver_api.api()
        api.ok(api.driver.cuInit(0), "CUDA does not start")
        version = int(api.ok(api.driver.cuDriverGetVersion(), "the driver's version"))
        count = int(api.ok(api.driver.cuDeviceGetCount(), "the number of devices"))
    except PtxjitError as e:
        return [], f"{e.message}{': ' + e.hint if e.hint else ''}"
    except Exception as e:  # a driver too old for these bindings, a broken installation
        return [], f"the NVIDIA driver fails: {e}"
    out: list[Any] = []
    for n in range(count):
        try:
            out.append(Found(n, api, version))
        except Exception as e:
            out.append(Broken(n, f"its driver fails: {getattr(e, 'message', e)}"))
    return out, None if out else "the NVIDIA driver sees no device"


def found(number: str) -> Any:
    """Card `number` as `detect` counted them."""
    every = detect()
    if not number.isdigit() or int(number) >= len(every):
        raise DeviceError(f"there is no device cuda:{number}", hint=missing or f"there are {len(every)}: cuda:0 …")
    one = every[int(number)]
    if one.why_not is not None:
        raise DeviceError(f"cuda:{number} ({one.hardware}) cannot be used: {one.why_not}")
    return one


def driver_of(number: str) -> CudaDriver:
    """The driver of a card; its context is opened at the first use."""
    on = found(number)
    with _lock:
        d = _drivers.get(on.number)
        if d is None:
            d = _drivers[on.number] = CudaDriver(on)
        return d


# ---- handles --------------------------------------------------------------------------------------------------------


class Handle:
    """A stream, an event or a graph of a driver; destroyed with this object."""

    __slots__ = ("driver", "raw", "destroy", "__weakref__")

    def __init__(self, driver: CudaDriver, raw: Any, destroy: Callable[[Any], Any] | None) -> None:
        self.driver, self.raw, self.destroy = driver, raw, destroy

    def __del__(self) -> None:
        if self.destroy is not None:
            self.driver.dispose(self.destroy, self.raw)


class Staging:
    """Page-locked buffers that take turns; a buffer is used again when the copy out of it is done."""

    def __init__(self, driver: CudaDriver, size: int, count: int) -> None:
        self.driver, self.size = driver, size
        self.lock = threading.Lock()
        d, ok = driver.d, driver.ok
        self.buffers: list[tuple[int, Any, Handle]] = []
        for _ in range(count):
            at = int(ok(d.cuMemHostAlloc(size, int(d.CU_MEMHOSTALLOC_PORTABLE)), f"{driver.name}: page-locked memory"))
            event = Handle(driver, ok(d.cuEventCreate(int(d.CUevent_flags.CU_EVENT_DISABLE_TIMING)), driver.name), d.cuEventDestroy)
            self.buffers.append((at, host_bytes(at, size), event))

    def up(self, raw: int, data: Any, queue: Any) -> None:
        d, ok = self.driver.d, self.driver.ok
        with self.lock:
            for n, at in enumerate(range(0, data.size, self.size)):
                host, memory, event = self.buffers[n % len(self.buffers)]
                size = min(self.size, data.size - at)
                ok(d.cuEventSynchronize(event.raw), f"{self.driver.name}: an earlier copy")
                memory[:size] = data[at : at + size]
                ok(d.cuMemcpyHtoDAsync(raw + at, host, size, queue), f"{self.driver.name}: copying {data.size} bytes to the card")
                ok(d.cuEventRecord(event.raw, queue), self.driver.name)
            self.buffers.append(self.buffers.pop(0))

    def down(self, data: Any, raw: int, queue: Any) -> None:
        d, ok, many = self.driver.d, self.driver.ok, len(self.buffers)
        what = f"{self.driver.name}: copying {data.size} bytes from the card"
        with self.lock:
            pieces = [(at, min(self.size, data.size - at)) for at in range(0, data.size, self.size)]
            for n in range(len(pieces) + many):
                if n >= many and n - many < len(pieces):  # the oldest copy on its way
                    at, size = pieces[n - many]
                    _, memory, event = self.buffers[n % many]
                    ok(d.cuEventSynchronize(event.raw), what)
                    data[at : at + size] = memory[:size]
                if n < len(pieces):
                    at, size = pieces[n]
                    host, _, event = self.buffers[n % many]
                    ok(d.cuEventSynchronize(event.raw), what)
                    ok(d.cuMemcpyDtoHAsync(host, raw + at, size, queue), what)
                    ok(d.cuEventRecord(event.raw, queue), what)

    def close(self) -> None:
        for at, _, event in self.buffers:
            self.driver.d.cuEventSynchronize(event.raw)
            self.driver.d.cuMemFreeHost(at)
        self.buffers = []


# ---- the driver -----------------------------------------------------------------------------------------------------


class CudaDriver(Driver):
    """One card.  Pieces of memory are addresses (int), streams `Handle`s."""

    dlpack = 2

    def __init__(self, on: Found) -> None:
        super().__init__()
        self.on, self.number, self.name = on, on.number, f"cuda:{on.number}"
        self.api = driver_api.api()
        self.d = self.api.driver
        self._fault: PtxjitError | None = None
        self._closed = False
        self._staging: dict[int, Staging] = {}
        self._later: list[tuple[Callable[[Any], Any], Any]] = []
        self.context = self.ok(self.d.cuDevicePrimaryCtxRetain(on.handle), f"{self.name} ({on.hardware}) cannot be opened")
        self._context = int(self.context)

    # ---- context

    def alive(self) -> bool:
        """The context is there, and ours."""
        return not self._closed and not driver_api.ending() and os.getpid() == self._pid

    def enter(self) -> None:
        """Makes the context current for this thread."""
        if self._fault is not None or self._closed or os.getpid() != self._pid:
            self.check_usable()
        if int(self.d.cuCtxGetCurrent()[1]) != self._context:
            self.ok(self.d.cuCtxSetCurrent(self.context), f"{self.name}: its context")

    @contextmanager
    def current_context(self) -> Iterator[None]:
        """The context, and afterwards what was current before."""
        before = self.d.cuCtxGetCurrent()[1]
        other = int(before) != self._context
        if other:
            self.d.cuCtxSetCurrent(self.context)
        try:
            yield
        finally:
            if other:
                self.d.cuCtxSetCurrent(before)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        self.check_usable()
        with self.current_context():
            yield

    @property
    def lost(self) -> bool:
        """A fault ended the context; this process cannot use the card any more."""
        return self._fault is not None

    def check_usable(self) -> None:
        self.check_process()
        if self._fault is not None:
            raise DeviceError(f"{self.name} was lost: {self._fault.message}", hint=self._fault.hint)
        if self._closed:
            raise DeviceError(f"{self.name} was closed")

    # ---- errors

    def ok(self, out: Any, what: str) -> Any:
        """The value of a call, or its error."""
        if out[0]:
            raise self.error(int(out[0]), what)
        return out[1] if len(out) == 2 else out[1:] or None

    def error(self, code: int, what: str, more: str = "") -> PtxjitError:
        e = self.api.error(code, what, more)
        if self.api.loses(e) and self._fault is None:
            self._fault = e
        return e

    def close(self) -> None:
        """Gives everything back; the driver is of no use afterwards."""
        if not self.alive():
            return
        with self.current_context():
            self.d.cuCtxSynchronize()
            for s in self._staging.values():
                s.close()
            self.trim()
            self._default = None
        self._closed = True
        self.d.cuDevicePrimaryCtxRelease(self.on.handle)

    # ---- memory and transfers

    def allocate(self, size: int) -> int:
        self.enter()
        out = self.d.cuMemAlloc(size)
        if out[0]:
            free, total = self.d.cuMemGetInfo()[1:] if int(out[0]) == 2 else (0, 0)
            more = f"{size} bytes were asked for; {free >> 20} MiB of {total >> 20} are free" if total else ""
            raise self.error(int(out[0]), f"{self.name} ({self.on.hardware})", more)
        return int(out[1])

    def free(self, raw: int) -> None:
        self.dispose(self.d.cuMemFree, raw)

    def dispose(self, destroy: Callable[[Any], Any], raw: Any) -> None:
        """Gives something back to the driver: not at exit, not in a forked child, and not while this thread records a graph, which that would spoil."""
        if not self.alive():
            return
        if getattr(self._local, "recording", False):
            self._later.append((destroy, raw))
            return
        with self.current_context():
            destroy(raw)

    @contextmanager
    def recording(self) -> Iterator[None]:
        self._local.recording = True
        try:
            yield
        finally:
            self._local.recording = False
            later, self._later = self._later, []
            for destroy, raw in later:
                self.dispose(destroy, raw)

    def upload(self, raw: int, a: Any) -> None:
        self.enter()
        self._buffers(a.nbytes).up(raw, as_bytes(a), self.queue.raw)

    def download(self, a: Any, raw: int) -> None:
        self.enter()
        self._buffers(a.nbytes).down(as_bytes(a), raw, self.queue.raw)

    def _buffers(self, size: int) -> Staging:
        each = SMALL if size <= SMALL else LARGE
        found = self._staging.get(each)
        if found is None:
            with self._lock:
                found = self._staging.get(each)
                if found is None:
                    found = self._staging[each] = Staging(self, each, 4)
        return found

    def copy(self, dst: int, src: int, size: int) -> None:
        self.enter()
        self.ok(self.d.cuMemcpyDtoDAsync(dst, src, size, self.queue.raw), f"{self.name}: a copy of {size} bytes on the card")

    def fill(self, raw: int, pattern: Any, size: int) -> None:
        self.enter()
        data, queue, what = pattern.tobytes(), self.queue.raw, f"{self.name}: filling {size} bytes"
        d, ok = self.d, self.ok
        while len(data) > 1 and len(data) % 2 == 0 and data[: len(data) // 2] == data[len(data) // 2 :]:
            data = data[: len(data) // 2]
        width = len(data)
        if width == 1:
            ok(d.cuMemsetD8Async(raw, data[0], size, queue), what)
        elif width == 2:
            ok(d.cuMemsetD16Async(raw, int.from_bytes(data, "little"), size // 2, queue), what)
        elif width == 4:
            ok(d.cuMemsetD32Async(raw, int.from_bytes(data, "little"), size // 4, queue), what)
        else:
            for at in range(0, width, 4):
                ok(d.cuMemsetD2D32Async(raw + at, width, int.from_bytes(data[at : at + 4], "little"), 1, size // width, queue), what)

    # ---- code

    def load(self, code: dict[str, Any], binary: bytes) -> tuple[Module, bytes]:
        """From machine code (ptxas', now or an earlier time), or by the driver's own compiler."""
        from .tools import assemble, available

        self.enter()
        if not binary and available("ptxas"):
            binary, _ = assemble(code["ptx"], code["arch"])
        if binary:
            try:
                return Module(self, binary, "ptxas"), binary
            except ToolError:  # a ptxas newer than the driver, another card: the text is there
                pass
        return Module(self, code["ptx"].encode(), "the driver"), b""

    def prepare(self, module: Module, signature: dict[str, Any], grid: Sequence[int]) -> Callable[[list[Any]], None]:
        name, threads, d = signature["name"], signature["local"], self.d
        function = module.function(name)
        self.check_shape(name, grid, (threads, 1, 1), function.shared)
        raw, launch_kernel, lock = function.raw, d.cuLaunchKernel, threading.Lock()
        packed = struct.Struct("<" + "".join(PACK[t] + f"{8 - struct.calcsize('<' + PACK[t])}x" for t in signature["params"]))
        slots = ctypes.create_string_buffer(max(packed.size, 8))
        start = ctypes.addressof(slots)
        pointers = (ctypes.c_void_p * max(len(signature["params"]), 1))(*[start + 8 * k for k in range(len(signature["params"]))])
        x, y, z = grid
        at, halves = ctypes.addressof(pointers), [k for k, t in enumerate(signature["params"]) if t == "bf16"]

        def launch(values: list[Any], _keep: Any = (function, pointers, slots)) -> None:
            for k in halves:
                values[k] = values[k].view(np.uint16)
            self.enter()
            with lock:
                packed.pack_into(slots, 0, *values)
                out = launch_kernel(raw, x, y, z, threads, 1, 1, 0, self.queue.raw, at, 0)
            if out[0]:
                raise self.error(int(out[0]), f"{self.name}: launching {name} with {x}×{y}×{z} blocks of {threads}")

        return launch

    def check_shape(self, name: str, grid: Sequence[int], block: Sequence[int], shared: int) -> None:
        """Limits of every card (CUDA C++ Programming Guide, "Technical Specifications per Compute Capability") and of this one."""
        h = self.on.details
        threads, most = block[0] * block[1] * block[2], h["threads per block"]
        if not 1 <= threads <= most or block[0] > 1024 or block[1] > 1024 or block[2] > 64:
            raise ResourceError(f"{name}: a block has 1 to {most} threads (at most 1024×1024×64), not {'×'.join(map(str, block))}", hint="use more, smaller blocks")
        if grid[0] > 2**31 - 1 or max(grid[1:]) > 65535:
            raise ResourceError(f"{name}: a grid has at most 2147483647×65535×65535 blocks, not {'×'.join(map(str, grid))}")
        limit = h["shared bytes per block, opted in"] or h["shared bytes per block"]
        if shared > limit:
            raise ResourceError(f"{name} asks for {shared} bytes of shared memory; a block of {self.name} has {limit}")

    # ---- streams and events

    def make_stream(self) -> Handle:
        d = self.d
        with self.guarded():
            return Handle(self, self.ok(d.cuStreamCreate(int(d.CUstream_flags.CU_STREAM_NON_BLOCKING)), f"{self.name}: a stream"), d.cuStreamDestroy)

    def foreign_stream(self, pointer: int) -> Stream:
        """Another library's stream; it must outlive this object."""
        return Stream(self, Handle(self, self.d.CUstream(pointer), None))

    def current_handle(self) -> int:
        return int(self.queue.raw)

    def hand_over(self, handle: Any) -> None:
        if handle != -1:
            self.order_after(self.foreign_stream(1 if handle is None else int(handle)).raw, self.record(self.queue))

    def follow(self, handle: Any) -> None:
        if handle is not None:
            self.order_after(self.queue, self.record(self.foreign_stream(int(handle)).raw))

    def await_stream(self, queue: Handle) -> None:
        with self.guarded():
            self.ok(self.d.cuStreamSynchronize(queue.raw), f"{self.name}: waiting for its work")

    def record(self, queue: Handle) -> Handle:
        with self.guarded():
            event = Handle(self, self.ok(self.d.cuEventCreate(int(self.d.CUevent_flags.CU_EVENT_DEFAULT)), f"{self.name}: an event"), self.d.cuEventDestroy)
            self.ok(self.d.cuEventRecord(event.raw, queue.raw), f"{self.name}: an event")
            return event

    def order_after(self, queue: Handle, event: Handle) -> None:
        with self.guarded():
            self.ok(self.d.cuStreamWaitEvent(queue.raw, event.raw, 0), f"{self.name}: waiting for an event")

    def is_done(self, event: Handle) -> bool:
        with self.guarded():
            code = self.d.cuEventQuery(event.raw)[0]
        if code and int(code) != int(self.d.CUresult.CUDA_ERROR_NOT_READY):
            raise self.error(int(code), f"{self.name}: an event")
        return not code

    def await_event(self, event: Handle) -> None:
        with self.guarded():
            self.ok(self.d.cuEventSynchronize(event.raw), f"{self.name}: waiting for an event")

    def seconds(self, first: Handle, last: Handle) -> float:
        with self.guarded():
            return float(self.ok(self.d.cuEventElapsedTime(first.raw, last.raw), f"{self.name}: the time between two events")) / 1e3
