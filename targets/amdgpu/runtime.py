"""AMD cards through the HIP runtime: detection, and the driver of each.  The only module that loads libamdhip64, by ctypes.

Modules are our linked code objects, launches go through `hipModuleLaunchKernel`, which lays out arguments by the metadata.  Every call's status is
looked at: running out of memory is a `ResourceError`, anything else a `DeviceError` with HIP's name for it and what to do.
"""
from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...ir.device import DeviceFacts
from ...ir.errors import DeviceError, ResourceError, ToolError
from ..driver import Driver, as_bytes
from .facts import ARCHS, facts_for

WINDOWS = sys.platform == "win32"
NAMES = ("amdhip64_7.dll", "amdhip64_6.dll", "amdhip64.dll") if WINDOWS else ("libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5")
KFD = "/dev/kfd"
INSTALL = "install ROCm's runtime (the package hip-runtime-amd: https://rocm.docs.amd.com)"
OUT_OF_MEMORY, NO_DEVICE, NO_BINARY, NOT_READY = 2, 100, 209, 600
HINTS = {
    1: "this is an error of ptxjit's: report it", 3: "another library has shut HIP down", 35: "update the kernel driver: it is older than the HIP runtime",
    100: "the runtime sees no card: look at the output of rocminfo, and whether HIP_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES hides it",
    209: "the code object is for another architecture: use device='rocm:0', which makes code for the card that is there",
    700: "a kernel reached memory that nobody has: check indices; the process cannot go on using the card",
    719: "a kernel ended with a fault; the process cannot go on using the card", 999: "look at dmesg for messages of amdgpu",
}  # fmt: skip
ATTRIBUTES = {"units": 63, "integrated": 16, "l2": 19, "wave": 87}
SMALL = {1: "hipMemsetD8Async", 2: "hipMemsetD16Async", 4: "hipMemsetD32Async"}
NON_BLOCKING, WITHOUT_TIMING = 1, 2

P, I, U, S = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint, ctypes.c_size_t
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "hipInit": (U,), "hipRuntimeGetVersion": (P,), "hipGetDeviceCount": (P,), "hipSetDevice": (I,),
    "hipDeviceGetName": (P, I, I), "hipDeviceGetAttribute": (P, I, I),
    "hipMalloc": (P, S), "hipFree": (P,), "hipMemcpyHtoDAsync": (P, P, S, P), "hipMemcpyDtoHAsync": (P, P, S, P), "hipMemcpyDtoDAsync": (P, P, S, P),
    "hipMemsetD8Async": (P, ctypes.c_ubyte, S, P), "hipMemsetD16Async": (P, ctypes.c_ushort, S, P), "hipMemsetD32Async": (P, I, S, P),
    "hipModuleLoadData": (P, P), "hipModuleUnload": (P,), "hipModuleGetFunction": (P, P, ctypes.c_char_p),
    "hipModuleLaunchKernel": (P, U, U, U, U, U, U, U, P, P, P), "hipModuleLaunchCooperativeKernel": (P, U, U, U, U, U, U, U, P, P),
    "hipStreamCreateWithFlags": (P, U), "hipStreamSynchronize": (P,), "hipStreamWaitEvent": (P, P, U),
    "hipEventCreateWithFlags": (P, U), "hipEventDestroy": (P,), "hipEventRecord": (P, P), "hipEventQuery": (P,), "hipEventSynchronize": (P,),
    "hipEventElapsedTime": (P, P, P),
}  # fmt: skip
CTYPES = {"i1": ctypes.c_uint8, "i8": ctypes.c_uint8, "i16": ctypes.c_uint16, "i32": ctypes.c_uint32, "i64": ctypes.c_uint64, "f16": ctypes.c_uint16,
          "bf16": ctypes.c_uint16, "f32": ctypes.c_uint32, "f64": ctypes.c_uint64, "f8e4m3": ctypes.c_uint8, "f8e5m2": ctypes.c_uint8}  # fmt: skip

_lock = threading.Lock()
_found: list[Any] | None = None
missing: str | None = None  # why there is no device at all


class Hip:
    """The library with its functions' types; a call raises where HIP's answer is an error."""

    def __init__(self, library: Any) -> None:
        self.library = library
        for name, types in FUNCTIONS.items():
            f = getattr(library, name)
            f.argtypes, f.restype = types, I
        for name in ("hipGetErrorName", "hipGetErrorString"):
            f = getattr(library, name)
            f.argtypes, f.restype = (I,), ctypes.c_char_p

    def status(self, name: str, *args: Any) -> int:
        return int(getattr(self.library, name)(*args))

    def __call__(self, name: str, *args: Any) -> None:
        status = self.status(name, *args)
        if status:
            raise self.error(name, status)

    def error(self, name: str, status: int) -> Exception:
        word = (self.library.hipGetErrorName(status) or b"?").decode()
        said = (self.library.hipGetErrorString(status) or b"").decode()
        text = f"{name} failed with {word} ({status}): {said}"
        if status == OUT_OF_MEMORY:
            return ResourceError(text, hint="free arrays that are no longer used, or work on parts of the data")
        return DeviceError(text, hint=HINTS.get(status))

    def number(self, name: str, *args: Any) -> int:
        """A function whose first argument is an int to be filled."""
        out = I(0)
        self(name, ctypes.byref(out), *args)
        return out.value

    def made(self, name: str, *args: Any) -> int:
        """A function whose first argument is a handle to be filled."""
        out = P(0)
        self(name, ctypes.byref(out), *args)
        return out.value or 0


def candidates() -> list[str]:
    """Where the library may lie: ROCM_PATH, /opt/rocm, ROCm's wheels, what the loader knows."""
    roots = [Path(os.environ[n]) / ("bin" if WINDOWS else "lib") for n in ("ROCM_PATH", "HIP_PATH") if os.environ.get(n)]
    roots += [Path("/opt/rocm/lib"), *(Path(p) / "_rocm_sdk_core" / "lib" for p in sys.path if p.endswith("-packages"))]
    return [*(str(r / n) for r in roots for n in NAMES if (r / n).exists()), *NAMES]


def load_library() -> Any:
    """libamdhip64, or None."""
    if not WINDOWS and sys.platform != "linux":
        return None
    for name in candidates():
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def arch_name(hip: Hip, number: int) -> str:
    """gfx90a:sramecc+:xnack- … from the properties, whose layout changed with ROCm 6 and may again: the one text in them that is an architecture."""
    buffer = ctypes.create_string_buffer(16384)
    for name in ("hipGetDevicePropertiesR0600", "hipGetDeviceProperties"):
        try:
            f = getattr(hip.library, name)
        except AttributeError:
            continue
        f.argtypes, f.restype = (P, I), I
        status = int(f(buffer, number))
        if status:
            raise hip.error(name, status)
        found = re.search(rb"gfx[0-9a-f]{3,5}(:[a-z]+[+-])*", buffer.raw[256:])  # after the marketing name
        if found is not None:
            return found[0].decode()
    raise DeviceError("the HIP runtime does not say which architecture the card has", hint="use ROCm 5 or newer")


class Found:
    """One card.  `why_not` says why it cannot be used."""

    is_gpu = True

    def __init__(self, hip: Hip, number: int) -> None:
        self.number, self.hip = number, hip
        name = ctypes.create_string_buffer(256)
        hip("hipDeviceGetName", name, 256, number)
        whole = arch_name(hip, number)
        self.arch = whole.partition(":")[0]
        self.hardware = f"{name.value.decode().strip() or 'AMD GPU'} ({whole})"
        self.driver = version_text(hip.number("hipRuntimeGetVersion"))
        self.why_not: str | None = None
        if self.arch not in ARCHS:
            self.why_not = f"{self.arch} is an architecture that ptxjit does not know: {', '.join(ARCHS)}"
        known = facts_for(f"amdgpu:{self.arch if self.arch in ARCHS else 'gfx1100'}")
        units, l2 = (hip.number("hipDeviceGetAttribute", ATTRIBUTES[n], number) for n in ("units", "l2"))
        self.integrated = bool(hip.number("hipDeviceGetAttribute", ATTRIBUTES["integrated"], number))
        wave = hip.number("hipDeviceGetAttribute", ATTRIBUTES["wave"], number)
        if self.why_not is None and wave in (32, 64) and wave != known.lanes:
            self.why_not = f"the runtime says that its waves have {wave} lanes, {known.lanes} are expected of {self.arch}"
        self.facts = known._replace(target=f"amdgpu:{number}", cores=units or known.cores, l2_bytes=l2 or known.l2_bytes,
                                    features=tuple(sorted({*known.features, f"device {self.hardware}", f"driver {self.driver}"})))  # fmt: skip
        self._opened: HipDriver | None = None
        self._lock = threading.Lock()

    def open(self) -> HipDriver:
        """The driver, made once."""
        with self._lock:
            if self._opened is None:
                self._opened = HipDriver(self)
            return self._opened


class Broken:
    """A card of which the runtime does not tell what it is."""

    def __init__(self, number: int, why_not: str) -> None:
        self.number, self.hardware, self.driver, self.why_not, self.arch = number, "an AMD GPU", "", why_not, ""
        self.facts: DeviceFacts = facts_for("amdgpu")


def version_text(number: int) -> str:
    """60342133 is HIP 6.3.42133."""
    return f"HIP {number // 10_000_000}.{number // 100_000 % 100}.{number % 100_000}"


def detect() -> list[Any]:
    """Every AMD card that HIP sees.  Never fails; `missing` says why there is nothing."""
    global _found, missing
    with _lock:
        if _found is None:
            try:
                _found, missing = _look()
            except Exception as e:  # noqa: BLE001  one broken driver must not hide the other devices
                _found, missing = [], f"the HIP runtime fails: {e}"
        return _found


def _look() -> tuple[list[Any], str | None]:
    card = WINDOWS or os.path.exists(KFD)
    library = load_library() if card or any(os.environ.get(n) for n in ("ROCM_PATH", "HIP_PATH")) else None
    if library is None:
        if not card:
            return [], f"there is no AMD card: {KFD} is missing (load the kernel driver with `modprobe amdgpu`; in a container pass --device={KFD} --device=/dev/dri)"
        return [], f"{NAMES[0]} is missing: {INSTALL}"
    if card and not WINDOWS and not os.access(KFD, os.R_OK | os.W_OK):
        return [], f"{KFD} may not be opened by this user: add it to the groups render and video (usermod -aG render,video $USER)"
    hip = Hip(library)
    status = hip.status("hipInit", 0)
    count = 0 if status == NO_DEVICE else hip.number("hipGetDeviceCount") if not status else -1
    if count < 0:
        return [], str(hip.error("hipInit", status))
    out: list[Any] = []
    for n in range(count):
        try:
            out.append(Found(hip, n))
        except Exception as e:  # noqa: BLE001
            out.append(Broken(n, f"its driver fails: {e}"))
    return out, None if out else f"the HIP runtime sees no card: {HINTS[NO_DEVICE]}"


def found(number: str) -> Any:
    """Device `number` as `detect` counted them."""
    every = detect()
    if not number.isdigit() or int(number) >= len(every):
        raise DeviceError(f"there is no device rocm:{number}", hint=missing or f"there are {len(every)}: rocm:0 …")
    one = every[int(number)]
    if one.why_not is not None:
        raise DeviceError(f"rocm:{number} ({one.hardware}) cannot be used: {one.why_not}")
    return one


class HipDriver(Driver):
    """`raw` is an address of the device, a stream or event HIP's handle (an int)."""

    dlpack = 10  # kDLROCM

    def __init__(self, one: Found) -> None:
        super().__init__()
        self.one, self.hip, self.name, self.number = one, one.hip, f"rocm:{one.number}", one.number
        self._on = threading.local()

    def call(self, name: str, *args: Any) -> None:
        self.here()
        self.hip(name, *args)

    def here(self) -> None:
        """HIP's current device belongs to the thread."""
        if not getattr(self._on, "set", False) or _several():
            self.hip("hipSetDevice", self.number)
            self._on.set = True

    # ---- memory

    def allocate(self, size: int) -> int:
        self.here()
        return self.hip.made("hipMalloc", size)

    def free(self, raw: int) -> None:
        self.call("hipFree", raw)

    def upload(self, raw: int, a: Any) -> None:
        self.call("hipMemcpyHtoDAsync", raw, a.ctypes.data, a.nbytes, self.queue)
        self.hip("hipStreamSynchronize", self.queue)  # pageable memory may be read later than the call returns

    def download(self, a: Any, raw: int) -> None:
        self.call("hipMemcpyDtoHAsync", a.ctypes.data, raw, a.nbytes, self.queue)
        self.hip("hipStreamSynchronize", self.queue)

    def copy(self, dst: int, src: int, size: int) -> None:
        self.call("hipMemcpyDtoDAsync", dst, src, size, self.queue)

    def fill(self, raw: int, pattern: Any, size: int) -> None:
        step = len(pattern)
        same = next((n for n in (1, 2, 4) if step % n == 0 and (pattern.reshape(-1, n) == pattern[:n]).all()), None)
        if same is not None:
            value = int.from_bytes(pattern[:same].tobytes(), "little")
            if same == 4 and value >= 1 << 31:
                value -= 1 << 32
            self.call(SMALL[same], raw, value, size // same, self.queue)
            return
        self.upload(raw, np.ascontiguousarray(pattern))
        while step < size:  # HIP fills with 4 bytes at most: what is there doubles
            part = min(step, size - step)
            self.copy(raw + step, raw, part)
            step += part

    # ---- code

    def load(self, code: dict[str, Any], binary: bytes) -> tuple[Any, bytes]:
        if not code["kernels"]:
            return None, binary
        self.here()
        image = ctypes.create_string_buffer(binary, len(binary))  # kept: HIP may look into it later
        try:
            module = self.hip.made("hipModuleLoadData", image)
        except DeviceError as e:
            raise ToolError(f"{self.name} ({self.one.hardware}) refused the code object for {code.get('arch')}: {e}", hint=e.hint) from e
        return HipModule(self, module, image), binary

    def prepare(self, module: Any, signature: dict[str, Any], grid: Sequence[int]) -> Callable[[list[Any]], None]:
        """`block`, `dynamic` (bytes of shared memory) and `cooperative` of a signature are of foreign kernels."""
        self.here()
        function = self.hip.made("hipModuleGetFunction", module.raw, signature["name"].encode())
        kinds = [P if t == "pointer" else CTYPES[t] for t in signature["params"]] + [P] * bool(signature["reports"])
        shape = (*grid, *signature.get("block", (signature["local"], 1, 1)), signature.get("dynamic", 0))
        cooperative = signature.get("cooperative", False)

        def launch(values: list[Any], owner: Any = module) -> None:  # which must not be unloaded before
            held = [kind(v if isinstance(v, int) else int.from_bytes(as_bytes(np.asarray(v)).tobytes(), "little")) for kind, v in zip(kinds, values)]
            pointers = (P * max(len(held), 1))(*(ctypes.addressof(x) for x in held))
            if cooperative:
                self.call("hipModuleLaunchCooperativeKernel", function, *shape, self.queue, pointers)
            else:
                self.call("hipModuleLaunchKernel", function, *shape, self.queue, pointers, None)

        return launch

    # ---- streams and events

    def make_stream(self) -> int:
        self.here()
        return self.hip.made("hipStreamCreateWithFlags", NON_BLOCKING)

    def await_stream(self, queue: int) -> None:
        self.call("hipStreamSynchronize", queue)

    def record(self, queue: int) -> HipEvent:
        self.here()
        event = HipEvent(self, self.hip.made("hipEventCreateWithFlags", 0))
        self.hip("hipEventRecord", event.raw, queue)
        return event

    def order_after(self, queue: int, event: HipEvent) -> None:
        self.call("hipStreamWaitEvent", queue, event.raw, 0)

    def is_done(self, event: HipEvent) -> bool:
        self.here()
        status = self.hip.status("hipEventQuery", event.raw)
        if status not in (0, NOT_READY):
            raise self.hip.error("hipEventQuery", status)
        return status == 0

    def await_event(self, event: HipEvent) -> None:
        self.call("hipEventSynchronize", event.raw)

    def seconds(self, first: HipEvent, last: HipEvent) -> float:
        out = ctypes.c_float(0)
        self.call("hipEventElapsedTime", ctypes.byref(out), first.raw, last.raw)
        return out.value / 1000


class HipEvent:
    """Destroyed when nothing refers to it."""

    __slots__ = ("driver", "raw")

    def __init__(self, driver: HipDriver, raw: int) -> None:
        self.driver, self.raw = driver, raw

    def __del__(self) -> None:
        from .. import driver

        if not driver._exiting and os.getpid() == self.driver._pid:
            self.driver.hip.status("hipEventDestroy", self.raw)


class HipModule:
    """Unloaded when nothing refers to it."""

    __slots__ = ("driver", "raw", "image")

    def __init__(self, driver: HipDriver, raw: int, image: Any) -> None:
        self.driver, self.raw, self.image = driver, raw, image

    def __del__(self) -> None:
        from .. import driver

        if not driver._exiting and os.getpid() == self.driver._pid:
            self.driver.hip.status("hipModuleUnload", self.raw)


def _several() -> bool:
    """Whether another card may have become this thread's current one."""
    return len(_found or ()) > 1
