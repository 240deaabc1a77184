"""A stand-in for `cuda.bindings.driver`: it checks what it is asked as NVIDIA's driver would, and runs kernels on the CPU.

`StandIn(...)` has the functions, enumerations and structures that ptxjit uses, each with the form of the bindings.  Device memory is memory of this
process, launched PTX is read by our own reader and run on it, so programs give their real results.  Work is put off until somebody waits for it:
what reads a buffer too early, or changes one too late, gives wrong bits.  A call that the driver would refuse gets the driver's code; what it would
let pass though it is wrong (memory used after it was freed, memory written outside) is noted in `faults`.  `calls` holds every call.
"""
from __future__ import annotations

import ctypes
import enum
import functools
import os
import re
import threading
from collections import deque
from types import SimpleNamespace

import numpy as np

GUARD = 512
RESULTS = {
    "SUCCESS": 0, "INVALID_VALUE": 1, "OUT_OF_MEMORY": 2, "NOT_INITIALIZED": 3, "DEINITIALIZED": 4, "NO_DEVICE": 100, "INVALID_DEVICE": 101, "INVALID_IMAGE": 200,
    "INVALID_CONTEXT": 201, "NO_BINARY_FOR_GPU": 209, "INVALID_PTX": 218, "UNSUPPORTED_PTX_VERSION": 222, "INVALID_HANDLE": 400, "NOT_FOUND": 500, "NOT_READY": 600,
    "ILLEGAL_ADDRESS": 700, "LAUNCH_OUT_OF_RESOURCES": 701, "ASSERT": 710, "LAUNCH_FAILED": 719, "COOPERATIVE_LAUNCH_TOO_LARGE": 720, "STREAM_CAPTURE_UNSUPPORTED": 900,
    "STREAM_CAPTURE_INVALIDATED": 901, "GRAPH_EXEC_UPDATE_FAILURE": 910, "INVALID_CLUSTER_SIZE": 912,
    "SYSTEM_DRIVER_MISMATCH": 803, "UNKNOWN": 999,
}  # fmt: skip
CUresult = enum.IntEnum("CUresult", {(f"CUDA_ERROR_{n}" if v else "CUDA_SUCCESS"): v for n, v in RESULTS.items()})
R = SimpleNamespace(**{n: CUresult(v) for n, v in RESULTS.items()})
CUdevice_attribute = enum.IntEnum("CUdevice_attribute", {"CU_DEVICE_ATTRIBUTE_" + n: v for n, v in {
    "MAX_THREADS_PER_BLOCK": 1, "MAX_SHARED_MEMORY_PER_BLOCK": 8, "WARP_SIZE": 10, "CLOCK_RATE": 13, "MULTIPROCESSOR_COUNT": 16, "INTEGRATED": 18, "COMPUTE_MODE": 20,
    "MEMORY_CLOCK_RATE": 36, "GLOBAL_MEMORY_BUS_WIDTH": 37, "L2_CACHE_SIZE": 38, "MAX_THREADS_PER_MULTIPROCESSOR": 39, "COMPUTE_CAPABILITY_MAJOR": 75,
    "COMPUTE_CAPABILITY_MINOR": 76, "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR": 81, "MAX_REGISTERS_PER_MULTIPROCESSOR": 82, "COOPERATIVE_LAUNCH": 95,
    "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": 97, "CLUSTER_LAUNCH": 120}.items()})  # fmt: skip
CUfunction_attribute = enum.IntEnum("CUfunction_attribute", {"CU_FUNC_ATTRIBUTE_" + n: v for n, v in {
    "MAX_THREADS_PER_BLOCK": 0, "SHARED_SIZE_BYTES": 1, "LOCAL_SIZE_BYTES": 3, "NUM_REGS": 4, "MAX_DYNAMIC_SHARED_SIZE_BYTES": 8,
    "NON_PORTABLE_CLUSTER_SIZE_ALLOWED": 14}.items()})  # fmt: skip
CUjit_option = enum.IntEnum("CUjit_option", {"CU_JIT_INFO_LOG_BUFFER": 3, "CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES": 4, "CU_JIT_ERROR_LOG_BUFFER": 5,
                                             "CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES": 6, "CU_JIT_LOG_VERBOSE": 12})  # fmt: skip
CUlaunchAttributeID = enum.IntEnum("CUlaunchAttributeID", {"CU_LAUNCH_ATTRIBUTE_COOPERATIVE": 2, "CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION": 4})
CUstream_flags = enum.IntEnum("CUstream_flags", {"CU_STREAM_DEFAULT": 0, "CU_STREAM_NON_BLOCKING": 1})
CUevent_flags = enum.IntEnum("CUevent_flags", {"CU_EVENT_DEFAULT": 0, "CU_EVENT_DISABLE_TIMING": 2})
CUstreamCaptureMode = enum.IntEnum("CUstreamCaptureMode", {"CU_STREAM_CAPTURE_MODE_THREAD_LOCAL": 1})
ENUMS = (CUresult, CUdevice_attribute, CUfunction_attribute, CUjit_option, CUlaunchAttributeID, CUstream_flags, CUevent_flags, CUstreamCaptureMode)


class CUstream(int): ...
class CUevent(int): ...
class CUcontext(int): ...
class CUmodule(int): ...
class CUfunction(int): ...
class CUgraph(int): ...
class CUgraphExec(int): ...
class CUdeviceptr(int): ...
class CUdevice(int): ...


class CUlaunchAttribute:
    def __init__(self):
        self.id = None
        self.value = SimpleNamespace(cooperative=0, clusterDim=SimpleNamespace(x=0, y=0, z=0))


class CUlaunchConfig:
    FIELDS = ("gridDimX", "gridDimY", "gridDimZ", "blockDimX", "blockDimY", "blockDimZ", "sharedMemBytes", "hStream", "attrs", "numAttrs")
    __slots__ = FIELDS

    def __init__(self):
        for f in self.FIELDS:
            setattr(self, f, [] if f == "attrs" else 0)


CARD = {"MAX_THREADS_PER_BLOCK": 1024, "MAX_SHARED_MEMORY_PER_BLOCK": 48 << 10, "WARP_SIZE": 32, "CLOCK_RATE": 1_980_000, "MULTIPROCESSOR_COUNT": 132, "INTEGRATED": 0,
        "COMPUTE_MODE": 0, "MEMORY_CLOCK_RATE": 3_201_000, "GLOBAL_MEMORY_BUS_WIDTH": 6144, "L2_CACHE_SIZE": 60 << 20, "MAX_THREADS_PER_MULTIPROCESSOR": 2048,
        "COMPUTE_CAPABILITY_MAJOR": 9, "COMPUTE_CAPABILITY_MINOR": 0, "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR": 228 << 10, "MAX_REGISTERS_PER_MULTIPROCESSOR": 65536,
        "COOPERATIVE_LAUNCH": 1, "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": 227 << 10, "CLUSTER_LAUNCH": 1}  # fmt: skip
LATEST = {12000: (8, 0), 12080: (8, 7), 13000: (9, 0)}  # driver → the newest PTX that it takes


def entry(context=True, sticky=True, capture=None):
    """A function of the driver: noted, and refused where the driver is in no state for it."""

    def wrap(fn):
        @functools.wraps(fn)
        def call(self, *args):
            with self.lock:
                self.calls.append((fn.__name__, args))
                forced = self.fail.get(fn.__name__)
                if forced:
                    code = forced.pop(0) if isinstance(forced, list) else forced
                    if code:
                        return (CUresult(code), *(None,) * self.RETURNS.get(fn.__name__, 0))
                values = (None,) * self.RETURNS.get(fn.__name__, 0)
                if os.getpid() != self.pid or (context and not self.started):
                    return (R.NOT_INITIALIZED, *values)
                if context and not self.here():
                    return (R.INVALID_CONTEXT, *values)
                if sticky and self.lost:
                    return (self.lost, *values)
                if capture == "forbidden" and self.capturing_here():
                    self.capturing_here().broken = True
                    return (R.STREAM_CAPTURE_UNSUPPORTED, *values)
                try:
                    out = fn(self, *args)
                except Refused as e:
                    return (e.code, *values)
                out = () if out is None else out if isinstance(out, tuple) else (out,)
                assert len(out) == len(values), f"{fn.__name__} gives {len(out)} values"
                return (R.SUCCESS, *out)

        call.arity = fn.__code__.co_argcount - 1
        return call

    return wrap


class Refused(Exception):
    def __init__(self, code):
        self.code = code


class Stream:
    def __init__(self):
        self.queue, self.capture, self.owner = deque(), None, None


class Event:
    def __init__(self, timing):
        self.timing, self.stream, self.asked, self.done, self.time = timing, None, 0, 0, 0.0


class Graph:
    """What was recorded: (word, operation) pairs.  `broken`: something forbidden was done meanwhile."""

    def __init__(self):
        self.nodes, self.broken = [], False


class Image:
    """A loaded module."""

    def __init__(self, text, bounds, assembled):
        import ptxjit as pj

        self.mod, self.assembled = pj.load_ptx(text, device="cpu", bounds=bounds), assembled


class Function:
    def __init__(self, image, name):
        self.image, self.name = image, name
        self.kernel = image.mod[name]
        self.dynamic, self.large_cluster = 48 << 10, False
        self.registers = image.assembled.get(name, {}).get("registers", 40)
        static = self.kernel.entry.kernel.shared
        limits = self.kernel.facts["limits"]
        most = int(np.prod(limits.get("maxntid") or limits.get("reqntid") or [1024]))
        self.required = tuple((*limits["reqntid"], 1, 1)[:3]) if limits.get("reqntid") else None
        self.attributes = {0: most, 1: static, 3: 0, 4: self.registers}


class StandIn:
    """`card` changes attributes, `version` is the driver's, `memory` the card's bytes; `bounds` makes an illegal address an error as on a card;
    with `ptxas` NVIDIA's compiler decides which PTX is taken."""

    CU_MEMHOSTALLOC_PORTABLE = 1
    RETURNS = dict.fromkeys("cuDriverGetVersion cuDeviceGetCount cuDeviceGet cuDeviceGetName cuDeviceTotalMem cuDeviceGetAttribute cuDevicePrimaryCtxRetain cuCtxGetCurrent "
                            "cuMemAlloc cuMemHostAlloc cuStreamCreate cuEventCreate cuEventElapsedTime cuModuleLoadDataEx cuModuleGetFunction cuFuncGetAttribute "
                            "cuOccupancyMaxActiveBlocksPerMultiprocessor cuStreamEndCapture cuGraphInstantiate cuGraphExecUpdate cuGetErrorName cuGetErrorString".split(), 1)  # fmt: skip
    RETURNS |= {"cuMemGetInfo": 2, "cuModuleGetGlobal": 2}

    def __init__(self, version=13000, count=1, memory=4 << 30, bounds=False, name=b"A card of paper", ptxas=False, **card):
        for e in ENUMS:
            setattr(self, e.__name__, e)
        for c in (CUstream, CUlaunchAttribute, CUlaunchConfig):
            setattr(self, c.__name__, c)
        self.version, self.count, self.memory, self.bounds, self.name, self.ptxas = version, count, memory, bounds, name, ptxas
        self.card = CARD | card
        self.calls, self.faults, self.fail = [], [], {}
        self.lock, self.local, self.pid = threading.RLock(), threading.local(), os.getpid()
        self.started, self.retained, self.lost = False, 0, None
        self.allocated, self.freed, self.pinned = {}, {}, {}
        self.handles, self.default = {}, Stream()
        self.images = {}  # machine code → (PTX, what ptxas said)
        self.time = 0.0
        self.ran = []  # (kernel, grid, block) in the order of execution

    # ---- machinery

    def handle(self, kind, value):
        h = kind(0x10000 + 16 * len(self.handles))
        self.handles[int(h)] = (kind, value)
        return h

    def get(self, kind, h):
        assert type(h) in (kind, int), f"a {type(h).__name__} where a {kind.__name__} belongs"
        if kind is CUstream and int(h) in (1, 2):  # the legacy stream, and the thread's own
            return self.default
        found = self.handles.get(int(h))
        if found is None or found[0] is not kind or found[1] is None:
            raise Refused(R.INVALID_HANDLE)
        return found[1]

    def drop(self, kind, h):
        self.get(kind, h)
        self.handles[int(h)] = (kind, None)

    def alive(self, kind):
        return sum(k is kind and v is not None for k, v in self.handles.values())

    def here(self):
        return getattr(self.local, "context", 0) if self.retained else 0

    def streams(self):
        return [self.default, *(v for k, v in self.handles.values() if k is CUstream and v is not None)]

    def capturing_here(self):
        return next((s.capture for s in self.streams() if s.capture is not None and s.owner == threading.get_ident()), None)

    def put(self, h, word, op):
        s = self.get(CUstream, h)
        if s.capture is not None:
            s.capture.nodes.append((word, op))
        else:
            s.queue.append(op)

    def drain(self, s, until=None):
        if s.capture is not None:
            s.capture.broken = True
            raise Refused(R.STREAM_CAPTURE_UNSUPPORTED)
        while s.queue and not (until and until()):
            s.queue.popleft()()
            if self.lost:
                s.queue.clear()
                raise Refused(self.lost)

    def drain_all(self):
        for s in self.streams():
            if s.capture is None:
                self.drain(s)

    def place(self, address, size, what):
        """Memory of the card as bytes.  Refused where there is none."""
        address = int(address)
        for at, (n, a) in self.allocated.items():
            if at <= address and address + size <= at + n:
                return a[address - at : address - at + size]
        for kind, image in self.handles.values():
            if kind is CUmodule and image is not None:
                for a in image.mod.memory.arrays.values():
                    at = a.__array_interface__["data"][0]
                    if at <= address and address + size <= at + a.size:
                        return a[address - at : address - at + size]
        if any(at <= address < at + n for at, (n, _) in self.freed.items()):
            self.faults.append(f"{what}: memory that was freed")
        raise Refused(R.INVALID_VALUE)

    def host(self, address, size, what):
        """Page-locked memory; pageable memory is taken at once, as the driver does."""
        address = int(address)
        for at, a in self.pinned.items():
            if at <= address and address + size <= at + a.size:
                return a[address - at : address - at + size]
        if self.capturing_here():
            self.capturing_here().broken = True
            raise Refused(R.STREAM_CAPTURE_UNSUPPORTED)
        self.faults.append(f"{what}: memory of the host that is not page-locked")
        return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)

    def check_guards(self):
        for n, a in [*self.allocated.values(), *self.freed.values()]:
            whole = a.base
            while whole.base is not None and isinstance(whole.base, np.ndarray):
                whole = whole.base
            start = a.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
            if (whole[start - 64 : start] != 0xAB).any() or (whole[start + n : start + n + 64] != 0xAB).any():
                self.faults.append("memory was written outside of an allocation")

    # ---- starting, devices, context

    @entry(context=False, sticky=False)
    def cuInit(self, flags):
        assert flags == 0
        self.started = True

    @entry(context=False, sticky=False)
    def cuGetErrorName(self, code):
        return CUresult(code).name.encode()

    @entry(context=False, sticky=False)
    def cuGetErrorString(self, code):
        return CUresult(code).name.removeprefix("CUDA_ERROR_").lower().replace("_", " ").encode()

    @entry(context=False, sticky=False)
    def cuDriverGetVersion(self):
        return self.version

    @entry(context=False, sticky=False)
    def cuDeviceGetCount(self):
        return self.count

    @entry(context=False, sticky=False)
    def cuDeviceGet(self, n):
        if not 0 <= n < self.count:
            raise Refused(R.INVALID_DEVICE)
        return CUdevice(n)

    @entry(context=False, sticky=False)
    def cuDeviceGetName(self, length, device):
        return self.name + b"\0" + b" " * (length - len(self.name) - 1)  # what stands behind the end is arbitrary

    @entry(context=False, sticky=False)
    def cuDeviceTotalMem(self, device):
        return self.memory

    @entry(context=False, sticky=False)
    def cuDeviceGetAttribute(self, which, device):
        return self.card[CUdevice_attribute(which).name.removeprefix("CU_DEVICE_ATTRIBUTE_")]

    @entry(context=False, sticky=False)
    def cuDevicePrimaryCtxRetain(self, device):
        self.retained += 1
        return CUcontext(0x77)

    @entry(context=False, sticky=False)
    def cuDevicePrimaryCtxRelease(self, device):
        if not self.retained:
            raise Refused(R.INVALID_CONTEXT)
        self.retained -= 1
        if not self.retained:
            self.check_guards()
            for at in list(self.allocated):
                self.freed[at] = self.allocated.pop(at)
            self.handles = {h: (k, None) for h, (k, _) in self.handles.items()}
            self.pinned.clear()

    @entry(context=False, sticky=False)
    def cuCtxGetCurrent(self):
        return CUcontext(getattr(self.local, "context", 0))

    @entry(context=False, sticky=False)
    def cuCtxSetCurrent(self, context):
        if int(context) not in (0, 0x77):
            raise Refused(R.INVALID_CONTEXT)
        self.local.context = int(context)

    @entry(capture="forbidden")
    def cuCtxSynchronize(self):
        self.drain_all()

    # ---- memory

    @entry(capture="forbidden")
    def cuMemAlloc(self, size):
        if size <= 0:
            raise Refused(R.INVALID_VALUE)
        if sum(n for n, _ in self.allocated.values()) + size > self.memory:
            raise Refused(R.OUT_OF_MEMORY)
        raw = np.full(size + 3 * GUARD, 0xAB, np.uint8)
        start = GUARD + -(raw.__array_interface__["data"][0] + GUARD) % GUARD
        a = raw[start : start + size]
        a[:] = 0xCD
        at = a.__array_interface__["data"][0]
        self.freed.pop(at, None)
        self.allocated[at] = size, a
        return CUdeviceptr(at)

    @entry(capture="forbidden")
    def cuMemFree(self, address):
        self.drain_all()
        if int(address) not in self.allocated:
            self.faults.append("memory was freed that is not allocated")
            raise Refused(R.INVALID_VALUE)
        self.check_guards()
        n, a = self.freed[int(address)] = self.allocated.pop(int(address))
        a[:] = 0xDD

    @entry()
    def cuMemGetInfo(self):
        return self.memory - sum(n for n, _ in self.allocated.values()), self.memory

    @entry(capture="forbidden")
    def cuMemHostAlloc(self, size, flags):
        a = np.full(size, 0xEF, np.uint8)
        at = a.__array_interface__["data"][0]
        self.pinned[at] = a
        return at

    @entry()
    def cuMemFreeHost(self, address):
        self.drain_all()
        if int(address) not in self.pinned:
            raise Refused(R.INVALID_VALUE)
        del self.pinned[int(address)]

    @entry()
    def cuMemcpyHtoDAsync(self, dst, src, size, stream):
        to, source = self.place(dst, size, "a copy to the card"), self.host(src, size, "a copy to the card")
        self.put(stream, "copy", lambda: np.copyto(to, source))

    @entry()
    def cuMemcpyDtoHAsync(self, dst, src, size, stream):
        to, source = self.host(dst, size, "a copy from the card"), self.place(src, size, "a copy from the card")
        self.put(stream, "copy", lambda: np.copyto(to, source))

    @entry()
    def cuMemcpyDtoDAsync(self, dst, src, size, stream):
        to, source = self.place(dst, size, "a copy"), self.place(src, size, "a copy")
        self.put(stream, "copy", lambda: np.copyto(to, source))

    def set(self, dst, value, width, count, stream):
        if int(dst) % width:
            raise Refused(R.INVALID_VALUE)
        assert 0 <= value < 1 << 8 * width
        to = self.place(dst, width * count, "a fill").view(f"u{width}")
        self.put(stream, "set", lambda: to.fill(value))

    @entry()
    def cuMemsetD8Async(self, dst, value, count, stream):
        self.set(dst, value, 1, count, stream)

    @entry()
    def cuMemsetD16Async(self, dst, value, count, stream):
        self.set(dst, value, 2, count, stream)

    @entry()
    def cuMemsetD32Async(self, dst, value, count, stream):
        self.set(dst, value, 4, count, stream)

    @entry()
    def cuMemsetD2D32Async(self, dst, pitch, value, width, height, stream):
        if int(dst) % 4 or pitch % 4 or height > 1 and pitch < 4 * width:
            raise Refused(R.INVALID_VALUE)
        whole = self.place(dst, pitch * (height - 1) + 4 * width, "a fill")
        rows = np.lib.stride_tricks.as_strided(whole.view("u4") if whole.size % 4 == 0 else whole[: whole.size // 4 * 4].view("u4"), (height, width), (pitch, 4))
        self.put(stream, "set", lambda: rows.fill(value))

    # ---- streams and events

    @entry(capture="forbidden")
    def cuStreamCreate(self, flags):
        assert flags == 1, "streams do not wait for the legacy one"
        return self.handle(CUstream, Stream())

    @entry()
    def cuStreamDestroy(self, stream):
        self.drain(self.get(CUstream, stream))
        self.drop(CUstream, stream)

    @entry()
    def cuStreamSynchronize(self, stream):
        self.drain(self.get(CUstream, stream))

    @entry()
    def cuStreamWaitEvent(self, stream, event, flags):
        e = self.get(CUevent, event)
        source, serial = e.stream, e.asked
        if source is not None:
            self.put(stream, "wait", lambda: self.drain(source, lambda: e.done >= serial) if e.done < serial else None)

    @entry()
    def cuEventCreate(self, flags):
        return self.handle(CUevent, Event(not flags & 2))

    @entry()
    def cuEventDestroy(self, event):
        self.drop(CUevent, event)

    @entry()
    def cuEventRecord(self, event, stream):
        e = self.get(CUevent, event)
        e.asked += 1
        serial, e.stream = e.asked, self.get(CUstream, stream)

        def done():
            self.time += 1e-3
            e.done, e.time = serial, self.time

        self.put(stream, "event", done)

    @entry()
    def cuEventSynchronize(self, event):
        e = self.get(CUevent, event)
        if e.done < e.asked:
            self.drain(e.stream, lambda: e.done >= e.asked)

    @entry()
    def cuEventQuery(self, event):
        e = self.get(CUevent, event)
        if e.done < e.asked:
            if e.stream.queue:
                e.stream.queue.popleft()()
            raise Refused(R.NOT_READY)

    @entry()
    def cuEventElapsedTime(self, first, last):
        a, b = self.get(CUevent, first), self.get(CUevent, last)
        if not (a.timing and b.timing and a.asked and b.asked):
            raise Refused(R.INVALID_HANDLE)
        if a.done < a.asked or b.done < b.asked:
            raise Refused(R.NOT_READY)
        return (b.time - a.time) * 1e3

    # ---- code

    @entry(capture="forbidden")
    def cuModuleLoadDataEx(self, image, count, options, values):
        assert isinstance(image, bytes) and count == len(options) == len(values)
        given = dict(zip(options, values))
        errors = given[CUjit_option.CU_JIT_ERROR_LOG_BUFFER]
        assert len(errors) == given[CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES]

        def refuse(code, words):
            errors[: len(words) + 1] = words.encode() + b"\0"
            raise Refused(code)

        assembled = {}
        own = 10 * self.card["COMPUTE_CAPABILITY_MAJOR"] + self.card["COMPUTE_CAPABILITY_MINOR"]
        if image.startswith(b"\x7fELF"):
            if image not in self.images:
                raise Refused(R.INVALID_IMAGE)
            text, arch, assembled = self.images[image]
            made_for = int(re.sub(r"\D", "", arch))
            if made_for // 10 != own // 10 or made_for > own or arch[-1] == "a" and made_for != own:
                raise Refused(R.NO_BINARY_FOR_GPU)
        else:
            assert image.endswith(b"\0"), "PTX ends with a NUL"
            text = image.rstrip(b"\0").decode()
            version = re.search(r"^\s*\.version\s+(\d+)\.(\d+)", text, re.M)
            target = re.search(r"^\s*\.target\s+sm_(\d+)([af]?)", text, re.M)
            if version is None or target is None:
                refuse(R.INVALID_PTX, "ptxas application ptx input, line 1; fatal : Missing .version directive at start of file")
            if (int(version[1]), int(version[2])) > LATEST[max(v for v in LATEST if v <= max(self.version, 12000))]:
                refuse(R.UNSUPPORTED_PTX_VERSION, f"ptxas application ptx input, line 1; fatal : Unsupported .version {version[1]}.{version[2]}")
            if int(target[1]) > own or target[2] and int(target[1]) != own:
                raise Refused(R.NO_BINARY_FOR_GPU)
        from ptxjit.errors import PtxjitError, ToolError

        if self.ptxas and not assembled:
            from ptxjit.targets.ptx.runtime import nearest
            from ptxjit.targets.ptx.tools import assemble

            try:
                _, about = assemble(text, nearest(own // 10, own % 10))
                assembled = {a["kernel"]: a for a in about}
            except ToolError as e:
                refuse(R.INVALID_PTX, e.message)
        try:
            made = Image(text + "\n", self.bounds, assembled)
            for name in made.mod.kernels:
                _ = made.mod[name].entry
        except PtxjitError as e:
            line = re.search(r":(\d+):\d+", str(e.place))
            refuse(R.INVALID_PTX, f"ptxas application ptx input, line {line[1] if line else 1}; error : {e.message}")
        return self.handle(CUmodule, made)

    @entry()
    def cuModuleUnload(self, module):
        self.drain_all()
        self.drop(CUmodule, module)

    @entry()
    def cuModuleGetFunction(self, module, name):
        image = self.get(CUmodule, module)
        assert isinstance(name, bytes)
        if name.decode() not in image.mod.kernels:
            raise Refused(R.NOT_FOUND)
        return self.handle(CUfunction, Function(image, name.decode()))

    @entry()
    def cuModuleGetGlobal(self, module, name):
        image = self.get(CUmodule, module)
        if name.decode() not in image.mod.memory.arrays:
            raise Refused(R.NOT_FOUND)
        a = image.mod.memory.arrays[name.decode()]
        return CUdeviceptr(a.__array_interface__["data"][0]), a.size

    @entry()
    def cuFuncGetAttribute(self, which, function):
        return self.get(CUfunction, function).attributes[int(CUfunction_attribute(which))]

    @entry()
    def cuFuncSetAttribute(self, function, which, value):
        f = self.get(CUfunction, function)
        if which == CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
            if f.attributes[1] + value > self.card["MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"]:
                raise Refused(R.INVALID_VALUE)
            f.dynamic = value
        else:
            assert which == CUfunction_attribute.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED
            f.large_cluster = bool(value)

    @entry()
    def cuOccupancyMaxActiveBlocksPerMultiprocessor(self, function, threads, shared):
        from ptxjit.targets.ptx.occupancy import occupancy

        f = self.get(CUfunction, function)
        return occupancy("sm_90", f.registers, -(-threads // 32), f.attributes[1] + shared)["blocks"]

    # ---- launches

    @entry()
    def cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, params, extra):
        assert extra == 0
        self.launch(function, (gx, gy, gz), (bx, by, bz), shared, stream, params, False, None)

    @entry()
    def cuLaunchKernelEx(self, config, function, params, extra):
        assert extra == 0 and isinstance(config, CUlaunchConfig) and config.numAttrs == len(config.attrs)
        cooperative, cluster = False, None
        for a in config.attrs:
            if a.id == CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
                cooperative = bool(a.value.cooperative)
            else:
                assert a.id == CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
                cluster = a.value.clusterDim.x, a.value.clusterDim.y, a.value.clusterDim.z
        c = config
        grid, block = (c.gridDimX, c.gridDimY, c.gridDimZ), (c.blockDimX, c.blockDimY, c.blockDimZ)
        self.launch(function, grid, block, c.sharedMemBytes, c.hStream, params, cooperative, cluster)

    def launch(self, function, grid, block, shared, stream, params, cooperative, cluster):
        f = self.get(CUfunction, function)
        image = f.image
        if not any(v is image for _, v in self.handles.values()):
            self.faults.append(f"{f.name} was launched after its module was unloaded")
            raise Refused(R.INVALID_HANDLE)
        threads = block[0] * block[1] * block[2]
        if min(*grid, *block) < 1 or threads > 1024 or block[2] > 64 or grid[0] > 2**31 - 1 or max(grid[1:]) > 65535:
            raise Refused(R.INVALID_VALUE)
        if f.required and tuple(block) != f.required or threads > f.attributes[0]:
            raise Refused(R.INVALID_VALUE)
        if shared > f.dynamic or f.attributes[1] + shared > (max(f.dynamic, 48 << 10) + f.attributes[1]):
            raise Refused(R.INVALID_VALUE)
        if f.dynamic <= 48 << 10 and f.attributes[1] + shared > 48 << 10:
            raise Refused(R.INVALID_VALUE)
        if f.registers * threads > self.card["MAX_REGISTERS_PER_MULTIPROCESSOR"]:
            raise Refused(R.LAUNCH_OUT_OF_RESOURCES)
        if cluster is not None:
            size = cluster[0] * cluster[1] * cluster[2]
            if size > (16 if f.large_cluster else 8) or any(g % c for g, c in zip(grid, cluster)):
                raise Refused(R.INVALID_CLUSTER_SIZE)
        if cooperative and grid[0] * grid[1] * grid[2] > 64 * self.card["MULTIPROCESSOR_COUNT"]:
            raise Refused(R.COOPERATIVE_LAUNCH_TOO_LARGE)
        words = f.kernel.facts["params"]
        assert params, "an array of pointers to the parameters"
        pointers = (ctypes.c_void_p * max(len(words), 1)).from_address(params)
        data = [ctypes.string_at(pointers[k], size) for k, (_, _, size, _) in enumerate(words)]
        for (name, t, size, _), d in zip(words, data):
            value = int.from_bytes(d, "little")
            if size == 8 and t in ("u64", "b64") and any(at <= value < at + max(n, 1) for at, (n, _) in self.freed.items()):
                self.faults.append(f"{f.name}: parameter {name} is memory that was freed")
        self.put(stream, f"launch {f.name}", lambda: self.run(f, data, grid, block, shared, cooperative, cluster))

    def run(self, f, data, grid, block, shared, cooperative, cluster):
        from ptxjit import targets
        from ptxjit.errors import DeviceError

        kernel, mod = f.kernel, f.image.mod
        kernel.compile()
        values, keep = [], []
        for (_, _, size, by_address), d in zip(kernel.facts["params"], data):
            if by_address:
                raw = np.zeros(max(size, 8) + 32, np.uint8)
                at = -raw.__array_interface__["data"][0] % 16
                raw[at : at + size] = np.frombuffer(d, np.uint8)
                keep.append(raw)
                values.append(raw.__array_interface__["data"][0] + at)
            else:
                values.append(int.from_bytes(d, "little"))
        values += [mod.memory.address(s) for s in kernel.facts["symbols"]]
        regions = []
        if self.bounds:
            arrays = [a for _, a in self.allocated.values()] + keep + list(mod.memory.arrays.values())
            regions = [(a.__array_interface__["data"][0], a.size) for a in arrays if a.size]
        self.ran.append((f.name, tuple(grid), tuple(block)))
        size = cluster or tuple((*kernel.facts["limits"].get("reqnctapercluster", ()), 1, 1, 1)[:3])
        try:
            targets.target("cpu:host").launch_kernel(kernel._code, values, tuple(grid), tuple(block), shared, cooperative, size, mod.memory.const, regions)
        except DeviceError as e:
            self.lost = R.ILLEGAL_ADDRESS if "out of bounds" in e.message else R.ASSERT if "assertion" in e.message else R.LAUNCH_FAILED

    # ---- graphs

    @entry()
    def cuStreamBeginCapture(self, stream, mode):
        assert mode == CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        s = self.get(CUstream, stream)
        if s.capture is not None:
            raise Refused(R.STREAM_CAPTURE_UNSUPPORTED)
        s.capture, s.owner = Graph(), threading.get_ident()

    @entry()
    def cuStreamEndCapture(self, stream):
        s = self.get(CUstream, stream)
        graph, s.capture = s.capture, None
        if graph is None:
            raise Refused(R.INVALID_VALUE)
        if graph.broken:
            raise Refused(R.STREAM_CAPTURE_INVALIDATED)
        return self.handle(CUgraph, graph)

    @entry(capture="forbidden")
    def cuGraphInstantiate(self, graph, flags):
        made = Graph()
        made.nodes = list(self.get(CUgraph, graph).nodes)
        return self.handle(CUgraphExec, made)

    @entry(capture="forbidden")
    def cuGraphExecUpdate(self, exec_, graph):
        old, new = self.get(CUgraphExec, exec_), self.get(CUgraph, graph)
        if [w for w, _ in old.nodes] != [w for w, _ in new.nodes]:
            raise Refused(R.GRAPH_EXEC_UPDATE_FAILURE)
        old.nodes = list(new.nodes)
        return SimpleNamespace()

    @entry()
    def cuGraphLaunch(self, exec_, stream):
        for word, op in self.get(CUgraphExec, exec_).nodes:
            self.put(stream, word, op)

    @entry()
    def cuGraphDestroy(self, graph):
        self.drop(CUgraph, graph)

    @entry()
    def cuGraphExecDestroy(self, exec_):
        self.drop(CUgraphExec, exec_)


def reset():
    """No card is known any more, and the bindings are the real ones."""
    from ptxjit import hardware, targets
    from ptxjit.targets.ptx import driver_api, runtime

    runtime.forget()
    driver_api.use(None)
    hardware._found.pop("cuda", None)
    for name in [n for n in targets._targets if n.startswith("cuda")]:
        del targets._targets[name]


def forget_programs():
    """Lets go of every compiled program."""
    import gc

    from ptxjit import jitted

    for j in list(jitted._all):
        j._hot.clear()
        j._mixed.clear()
        j._entries.clear()
    for _ in range(3):
        gc.collect()


def install(**how):
    """Puts a stand-in in place of the driver for the whole process; its compiler is the driver's own."""
    from ptxjit.targets.ptx import driver_api, tools

    made = StandIn(**how)
    driver_api.use(made)
    tools.available = lambda tool: False
    return made


def install_strict():
    return install(ptxas=True)
