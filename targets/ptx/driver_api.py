"""The CUDA driver API through cuda-bindings, imported when first needed: whether it is here, and its error codes as ours.

`probe` answers without importing anything large: the driver's library is loaded and asked for its devices.  `Api.ok` takes what a function of the
bindings returned, `(code, value …)`, and gives the value or raises.  An error of a kernel (an illegal address, a trap) loses the context of its
device for this process: CUDA answers every later call with the same code, so `Api.lost` keeps the first words.
"""
from __future__ import annotations

import atexit
import ctypes
import sys
from importlib.util import find_spec
from typing import Any

from ...ir.errors import DeviceError, PtxjitError, ResourceError, ToolError

INSTALL = "pip install 'ptxjit[cuda]'"
OLDEST = 12000  # the driver's version as CUDA counts it
LIBRARY = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")
NEW_PROCESS = "a fault in a kernel ends CUDA for the whole process: start a new one"
COMPILE = "`ptxas` (pip install 'ptxjit[ptxas]') says more about PTX than the driver does"

# what the manual says about a code is the driver's own text; this is whose fault it is, and what to do
KINDS: dict[str, tuple[type[PtxjitError], str | None]] = {
    "CUDA_ERROR_OUT_OF_MEMORY": (ResourceError, "free arrays, or work on smaller ones; other programs may use the same card"),
    "CUDA_ERROR_NOT_INITIALIZED": (DeviceError, "in a process that was forked after CUDA was used, CUDA cannot be used: start it with multiprocessing's 'spawn'"),
    "CUDA_ERROR_DEINITIALIZED": (DeviceError, "the process is ending"),
    "CUDA_ERROR_NO_DEVICE": (DeviceError, "CUDA_VISIBLE_DEVICES may hide it; nvidia-smi lists what the driver sees"),
    "CUDA_ERROR_INVALID_DEVICE": (DeviceError, "CUDA_VISIBLE_DEVICES may hide it; nvidia-smi lists what the driver sees"),
    "CUDA_ERROR_DEVICE_UNAVAILABLE": (DeviceError, "another process holds it alone (compute mode): nvidia-smi -q -d COMPUTE"),
    "CUDA_ERROR_INVALID_IMAGE": (ToolError, "the module is neither PTX nor machine code that this driver knows"),
    "CUDA_ERROR_INVALID_PTX": (ToolError, COMPILE),
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": (ToolError, "the driver is older than the PTX: install a newer driver, or pip install 'ptxjit[ptxas]'"),
    "CUDA_ERROR_NO_BINARY_FOR_GPU": (ToolError, "the code was made for another architecture: lower for this card, or translate the PTX"),
    "CUDA_ERROR_JIT_COMPILER_NOT_FOUND": (ToolError, "the driver's own compiler (libnvidia-ptxjitcompiler) is missing: pip install 'ptxjit[ptxas]'"),
    "CUDA_ERROR_NOT_FOUND": (DeviceError, None),
    "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES": (ResourceError, "the block needs more registers or shared memory than a multiprocessor has: use fewer threads per block"),
    "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE": (ResourceError, "all blocks of a cooperative launch are resident together: launch fewer"),
    "CUDA_ERROR_INVALID_CLUSTER_SIZE": (ResourceError, "a cluster has at most 8 blocks, on some cards 16"),
    "CUDA_ERROR_ILLEGAL_ADDRESS": (DeviceError, "`ptxjit check` names the access; " + NEW_PROCESS),
    "CUDA_ERROR_MISALIGNED_ADDRESS": (DeviceError, "`ptxjit check` names the access; " + NEW_PROCESS),
    "CUDA_ERROR_INVALID_ADDRESS_SPACE": (DeviceError, "`ptxjit check` names the access; " + NEW_PROCESS),
    "CUDA_ERROR_ASSERT": (DeviceError, "an assertion of the kernel failed; " + NEW_PROCESS),
    "CUDA_ERROR_LAUNCH_TIMEOUT": (DeviceError, "the card also drives a display and stopped a kernel that took too long; " + NEW_PROCESS),
    "CUDA_ERROR_LAUNCH_FAILED": (DeviceError, "the kernel trapped or went wrong; " + NEW_PROCESS),
    "CUDA_ERROR_ILLEGAL_INSTRUCTION": (DeviceError, NEW_PROCESS),
    "CUDA_ERROR_HARDWARE_STACK_ERROR": (DeviceError, "a call stack overflowed or was overwritten; " + NEW_PROCESS),
    "CUDA_ERROR_INVALID_PC": (DeviceError, NEW_PROCESS),
    "CUDA_ERROR_ECC_UNCORRECTABLE": (DeviceError, "the card's memory is faulty"),
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": (DeviceError, "the driver's library and its kernel module differ: restart the machine after an update of the driver"),
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": (DeviceError, "the CUDA compatibility package does not support this card: remove it"),
}
LOSE = frozenset("CUDA_ERROR_" + n for n in ("ILLEGAL_ADDRESS MISALIGNED_ADDRESS INVALID_ADDRESS_SPACE ASSERT LAUNCH_TIMEOUT LAUNCH_FAILED ILLEGAL_INSTRUCTION "
                 "HARDWARE_STACK_ERROR INVALID_PC ECC_UNCORRECTABLE CONTEXT_IS_DESTROYED".split()))  # fmt: skip

_ending = False


@atexit.register
def _end() -> None:
    global _ending
    _ending = True


def ending() -> bool:
    """The process is ending: nothing is given back, the driver does it."""
    return _ending


class Api:
    """`driver` is the module `cuda.bindings.driver`, or an object with the same functions."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def ok(self, out: Any, what: str) -> Any:
        """The value of a call (None, one, or a tuple), or its error."""
        if out[0]:
            raise self.error(int(out[0]), what)
        return out[1] if len(out) == 2 else out[1:] or None

    def words(self, code: int) -> tuple[str, str]:
        """(name, text) of an error code, as the driver has them."""
        d = self.driver
        try:
            value = d.CUresult(code)
            name, text = (d.cuGetErrorName(value)[1], d.cuGetErrorString(value)[1])
        except Exception:  # a code newer than the bindings
            return f"CUDA error {code}", ""
        return tuple(x.decode() if isinstance(x, bytes) else str(x) for x in (name, text))  # type: ignore[return-value]

    def error(self, code: int, what: str, more: str = "") -> PtxjitError:
        """The exception for a code: whose fault it is follows from the code."""
        name, text = self.words(code)
        kind, hint = KINDS.get(name, (DeviceError, None))
        error = kind(f"{what}: {text or 'an error'} ({name}){': ' + more if more else ''}", hint=hint)
        error.code = name  # type: ignore[attr-defined]
        return error

    @staticmethod
    def loses(error: PtxjitError) -> bool:
        """Whether the context is lost after this."""
        return getattr(error, "code", "") in LOSE


# ---- where it is ----------------------------------------------------------------------------------------------------

_api: Api | None = None


def use(driver: Any) -> None:
    """Takes another object for the bindings (None: the real ones again)."""
    global _api
    _api = None if driver is None else Api(driver)


def library() -> Any:
    """The driver's library; OSError where there is none."""
    return ctypes.CDLL(LIBRARY)


def probe() -> str | None:
    """Why CUDA cannot be used, or None.  Imports nothing, and asks the driver only whether it starts and has devices."""
    if _api is not None:
        return None
    try:
        found = library()
    except OSError:
        return f"no NVIDIA driver is installed here ({LIBRARY} is not found)"
    count = ctypes.c_int(0)
    try:
        code = found.cuInit(0) or found.cuDeviceGetCount(ctypes.byref(count))
    except AttributeError:
        return f"{LIBRARY} is not NVIDIA's driver"
    if code == 100 or code == 0 and count.value == 0:
        return "the NVIDIA driver sees no device"
    if code:
        return f"the NVIDIA driver does not start: {_name(found, code)}"
    try:
        there = find_spec("cuda.bindings") is not None
    except (ImportError, ValueError):
        there = False
    return None if there else f"cuda-bindings is missing: {INSTALL}"


def _name(library: Any, code: int) -> str:
    text = ctypes.c_char_p()
    if library.cuGetErrorName(code, ctypes.byref(text)) or not text.value:
        return f"CUDA error {code}"
    name = text.value.decode()
    hint = KINDS.get(name, (DeviceError, None))[1]
    return f"{name} ({hint})" if hint else name


def api() -> Api:
    """The bindings.  DeviceError where they are missing or broken."""
    global _api
    if _api is None:
        try:
            from cuda.bindings import driver
        except Exception as e:
            raise DeviceError(f"cuda-bindings cannot be loaded: {type(e).__name__}: {e}", hint=INSTALL) from e
        _api = Api(driver)
    return _api
