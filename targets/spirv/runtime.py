"""OpenCL devices through pyopencl, and programs on them.

`detect` looks for runtimes: those that the system registered (/etc/OpenCL/vendors) and those that lie in this Python environment as
wheels, which nobody registers; for these we write `.icd` files into a folder of our own and point the loader there.  A driver that fails is a
device with a reason, not an error.  A device in main memory works on the arrays themselves; any other gets copies.
"""
from __future__ import annotations

import json
import os
import stat
import struct
import sys
import threading
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...ir.device import DeviceFacts
from ...ir.errors import DeviceError, ResourceError, ToolError, UnsupportedError
from ...ir.types import SCALARS
from ..plan import Steps
from .target import LANES, WARPS

NO_CACHE: Any = False  # ours keeps the binaries
GROUP = 4096  # work-items per group, where blocks may share one
SYSTEM = Path("/etc/OpenCL/vendors")
INSTALL = "pip install 'ptxjit[opencl]'"
_lock = threading.Lock()
_found: list[Found] | None = None
missing: str | None = None  # why there is no device at all


class Found:
    """One device of one platform."""

    def __init__(self, number: int, platform: Any, device: Any) -> None:
        self.number, self.device = number, device
        self.hardware = f"{device.name.strip()} ({platform.name.strip()})"
        self.driver = f"{device.driver_version.strip()}; {device.version.strip()}"
        self.is_cpu = bool(device.type & 2)
        extensions = device.extensions.split()
        config = getattr(device, "single_fp_config", 0)
        self.exact = bool(config & 1 << 7)
        self.fp64 = "cl_khr_fp64" in extensions
        self.why_not: str | None = None
        if not device.compiler_available:
            self.why_not = "its driver has no compiler"
        elif not config & 1:
            self.why_not = "it has no subnormal f32 numbers"
        elif not device.endian_little:
            self.why_not = "it is big-endian"
        elif device.max_work_group_size < LANES * WARPS:
            self.why_not = f"its work-groups hold {device.max_work_group_size} work-items, {LANES * WARPS} are needed"
        features = ["frem", *(w for w, have in (("exact", self.exact), ("fp64", self.fp64)) if have)]  # fmod is exact everywhere
        self.facts = DeviceFacts(
            f"spirv:{number}", "opencl", LANES, WARPS, 128, 32, int(device.local_mem_size), int(device.global_mem_cache_size or 1 << 20),
            int(device.max_compute_units), True, 120, tuple(sorted([*features, f"device {self.hardware}", f"driver {self.driver}"])))  # fmt: skip
        self._context: tuple[Any, Any] | None = None
        self._lock = threading.Lock()

    def open(self) -> tuple[Any, Any]:
        """Context and queue, made once."""
        import pyopencl as cl

        with self._lock:
            if self._context is None:
                try:
                    context = cl.Context([self.device])
                    self._context = context, cl.CommandQueue(context)
                except cl.Error as e:
                    raise DeviceError(f"opencl:{self.number} ({self.hardware}) cannot be opened: {e}") from e
            return self._context


class Broken:
    """A platform whose driver fails."""

    def __init__(self, number: int, hardware: str, why_not: str) -> None:
        self.number, self.hardware, self.why_not, self.driver = number, hardware, why_not, ""
        self.facts = DeviceFacts(f"spirv:{number}", "opencl", LANES, WARPS, 128, 32, 32 << 10, 1 << 20, 1)


# ---- detection ------------------------------------------------------------------------------------------------------


def wheels() -> list[Path]:
    """Libraries of runtimes in this environment that nobody has registered.  (PoCL's wheel is found by pyopencl's loader itself.)"""
    library = Path(sys.prefix) / "lib" / "libintelocl.so"
    return [library] if library.exists() else []


def _vendors(folder: Path | None, libraries: list[Path]) -> str | None:
    """A folder with the system's `.icd` files and ours, or None where the system's own will do."""
    if folder is None or not libraries or "OCL_ICD_VENDORS" in os.environ or sys.platform != "linux":
        return None
    import hashlib

    here = folder / f"icd-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]}"
    try:
        here.mkdir(mode=0o700, parents=True, exist_ok=True)
        s = os.lstat(here)
        if not stat.S_ISDIR(s.st_mode) or s.st_uid != os.getuid() or s.st_mode & 0o022:
            return None
        wanted = {f"ptxjit-{p.stem}.icd": f"{p}\n" for p in libraries}
        known = {f.read_text().strip() for f in SYSTEM.glob("*.icd")} if SYSTEM.is_dir() else set()
        wanted = {n: t for n, t in wanted.items() if t.strip() not in known}
        for f in SYSTEM.glob("*.icd") if SYSTEM.is_dir() else ():
            wanted[f.name] = f.read_text()
        for f in here.glob("*.icd"):
            if f.name not in wanted:
                f.unlink()
        for name, text in wanted.items():
            if not (here / name).exists() or (here / name).read_text() != text:
                temp = here / f".{name}.{os.getpid()}"
                temp.write_text(text)
                os.replace(temp, here / name)
    except (OSError, UnicodeDecodeError):
        return None
    return str(here)


def _some_runtime() -> bool:
    if sys.platform != "linux" or "OCL_ICD_VENDORS" in os.environ or wheels():
        return True
    return (SYSTEM.is_dir() and any(SYSTEM.glob("*.icd"))) or find_spec("pocl_binary_distribution") is not None


def detect() -> list[Any]:
    """Every device, cards first.  Never fails; `missing` says why there is nothing."""
    global _found, missing
    with _lock:
        if _found is None:
            if find_spec("pyopencl") is None:
                _found, missing = [], f"pyopencl is missing: {INSTALL}"
            elif not _some_runtime():
                _found, missing = [], f"no OpenCL runtime is installed: {INSTALL}, or the driver of the card's maker"
            else:
                from ...knobs import cache_dir

                _found = _look(cache_dir())
                missing = None if _found else f"no OpenCL runtime has a device: {INSTALL}, or the driver of the card's maker"
        return _found


def _look(folder: Path | None) -> list[Any]:
    global missing
    vendors = _vendors(folder, wheels())
    if vendors is not None:
        os.environ["OCL_ICD_VENDORS"] = vendors
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pyopencl as cl
        platforms = cl.get_platforms()
    except Exception:  # no loader, a loader without platforms, a broken wheel
        return []
    finally:
        if vendors is not None:
            del os.environ["OCL_ICD_VENDORS"]
    pairs: list[tuple[Any, ...]] = []
    for p in platforms:
        try:
            name = p.name.strip()
            pairs += [(-int(d.type & 4), name, d.name, p, d) for d in p.get_devices()]
        except Exception as e:
            pairs.append((1, str(e), "", p, None))
    out: list[Any] = []
    seen = set()
    for _, name, hardware, p, d in sorted(pairs, key=lambda x: x[:3]):
        n = len(out)
        if d is None:
            out.append(Broken(n, "an OpenCL driver", f"it fails: {name}"))
            continue
        if (name, hardware, d.int_ptr) in seen:
            continue
        seen.add((name, hardware, d.int_ptr))
        try:
            out.append(Found(n, p, d))
        except Exception as e:
            out.append(Broken(n, f"{hardware} ({name})", f"its driver fails: {e}"))
    return out


def found(number: str) -> Any:
    """Device `number` as `detect` counted them."""
    every = detect()
    if not number.isdigit() or int(number) >= len(every):
        raise DeviceError(f"there is no device opencl:{number}", hint=missing or f"there are {len(every)}: opencl:0 …")
    one = every[int(number)]
    if one.why_not is not None:
        raise DeviceError(f"opencl:{number} ({one.hardware}) cannot be used: {one.why_not}")
    return one


# ---- executable -----------------------------------------------------------------------------------------------------


def first_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no message")


def _bytes(a: Any) -> Any:
    """An array's memory as bytes, also of dtypes that the buffer protocol does not know."""
    return a.reshape(-1).view(np.uint8)


class Executable(Steps):
    """A program on one device.  `code`: its OpenCL C and the signatures of its kernels; `binary`: what the driver made of it, or b''."""

    magic = b"pjocl001"

    def __init__(self, on: Found, plan: dict[str, Any], constants: bytes, code: dict[str, Any], binary: bytes) -> None:
        super().__init__(plan, constants)
        self.on, self.code = on, code
        self.context, self.queue = on.open()
        self._lock = threading.Lock()
        self.program = self._built(binary)
        self._kernels: dict[str, Any] = {}
        self._constants: dict[int, Any] = {}
        self._steps = [self._compiled(s) for s in plan["steps"]]

    # ---- code

    def _built(self, binary: bytes) -> Any:
        import pyopencl as cl

        options = ["-cl-std=CL1.2"] + ["-cl-fp32-correctly-rounded-divide-sqrt"] * self.on.exact
        if "double" in self.code["source"] and not self.on.fp64:
            raise DeviceError(f"opencl:{self.on.number} ({self.on.hardware}) has no f64")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if binary:
                try:
                    return cl.Program(self.context, [self.on.device], [binary]).build(options, cache_dir=NO_CACHE)
                except cl.Error:  # another driver's: the text is there
                    pass
            program = cl.Program(self.context, self.code["source"])
            try:
                return program.build(options, cache_dir=NO_CACHE)
            except cl.Error as e:
                raise ToolError(f"the compiler of opencl:{self.on.number} ({self.on.hardware}) refused the program: {first_error(str(e))}",
                                hint="lower(…, target='spirv').as_text('opencl') shows it") from e  # fmt: skip

    def _kernel(self, name: str) -> Any:
        import pyopencl as cl

        kernel = self._kernels.get(name)
        if kernel is None:
            kernel = cl.Kernel(self.program, self.code["kernels"][name]["name"])
            used = kernel.get_work_group_info(cl.kernel_work_group_info.LOCAL_MEM_SIZE, self.on.device)
            if used > self.on.facts.shared_bytes:
                raise ResourceError(f"{name} needs {used} bytes of local memory, opencl:{self.on.number} has {self.on.facts.shared_bytes}")
            self._kernels[name] = kernel
        return kernel

    # ---- a call

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        import pyopencl as cl

        memory: list[Any] = [None] * len(self._meta)
        results = []
        try:
            for n, x in zip(self._inputs, inputs):
                memory[n] = self._shared(x, cl.mem_flags.READ_ONLY)
            for n in self._outputs:
                if memory[n] is None:
                    shape, dtype, size = self._meta[n]
                    results.append((n, np.empty(shape, dtype)))
                    memory[n] = self._shared(results[-1][1], cl.mem_flags.READ_WRITE) if self.on.is_cpu else self._empty(size)
            for n in self._others:
                memory[n] = self._held(n) if self._kinds[n] == "const" else self._empty(self._meta[n][2])
            for step in self._steps:
                step(memory)
            for n, a in results:
                if a.nbytes:
                    self._read(memory[n], a)
            self.queue.finish()
        except cl.Error as e:
            raise DeviceError(f"opencl:{self.on.number} ({self.on.hardware}) failed: {e}") from e
        made = dict(results)
        return tuple([made[n] for n in self._outputs])

    def _empty(self, size: int) -> Any:
        import pyopencl as cl

        return cl.Buffer(self.context, cl.mem_flags.READ_WRITE, max(size, 8))

    def _shared(self, a: Any, flags: int) -> Any:
        """A buffer over an array, or with its content."""
        import pyopencl as cl

        if not a.nbytes:
            return self._empty(0)
        how = cl.mem_flags.USE_HOST_PTR if self.on.is_cpu else cl.mem_flags.COPY_HOST_PTR
        return cl.Buffer(self.context, flags | how, hostbuf=_bytes(a))

    def _held(self, n: int) -> Any:
        b = self._constants.get(n)
        if b is None:
            import pyopencl as cl

            b = self._constants[n] = self._shared(self._constant(n), cl.mem_flags.READ_ONLY)
        return b

    def _read(self, buffer: Any, a: Any) -> None:
        import pyopencl as cl

        if self.on.is_cpu:
            view: Any
            view, _ = cl.enqueue_map_buffer(self.queue, buffer, cl.map_flags.READ, 0, (a.nbytes,), np.dtype(np.uint8))
            view.base.release()
        else:
            cl.enqueue_copy(self.queue, _bytes(a), buffer)

    # ---- steps

    def _launch(self, step: list[Any]) -> Callable[..., None]:
        import pyopencl as cl

        _, name, grid, args = step
        kernel, signature = self._kernel(name), self.code["kernels"][name]
        lanes = signature["local"]
        local, size = (lanes, 1, 1), (grid[0] * lanes, grid[1], grid[2])
        if signature["apart"]:
            if grid[2] != 1:
                raise UnsupportedError(f"{name}: a grid of three dimensions on OpenCL")
            local, size = (lanes, self.side_by_side(grid[0], lanes), 1), (lanes, grid[0], grid[1])
        fixed = {k: SCALARS[t].np.type(a[1]) for k, (t, a) in enumerate(zip(signature["params"], args)) if not isinstance(a, int)}
        reports = signature["reports"]

        def launch(memory: list[Any]) -> None:
            values = [fixed[k] if k in fixed else memory[a] for k, a in enumerate(args)]
            word = None
            if reports:
                word = self._empty(4)
                cl.enqueue_fill_buffer(self.queue, word, np.zeros(1, np.uint32), 0, 4)
                values.append(word)
            with self._lock:
                kernel.set_args(*values)
                cl.enqueue_nd_range_kernel(self.queue, kernel, size, local)
            if word is not None:
                code = np.zeros(1, np.uint32)
                cl.enqueue_copy(self.queue, code, word)
                if code[0]:
                    raise DeviceError(f"{name} reported error {int(code[0])}")

        return launch if np.prod(grid) else lambda memory: None

    def side_by_side(self, blocks: int, lanes: int) -> int:
        """How many blocks a work-group holds: the largest divisor that leaves every core some groups."""
        most = min(GROUP // lanes, blocks // (4 * self.on.facts.cores), self.on.device.max_work_group_size // lanes, self.on.device.max_work_item_sizes[1])
        return max((k for k in range(1, most + 1) if blocks % k == 0), default=1)

    def _copy(self, dst: int, src: int) -> Callable[..., None]:
        import pyopencl as cl

        size = self._meta[dst][2]
        if not size:
            return lambda memory: None

        def copy(memory: list[Any]) -> None:
            cl.enqueue_copy(self.queue, memory[dst], memory[src], byte_count=size)

        return copy

    def _fill(self, dst: int, value: Any) -> Callable[..., None]:
        import pyopencl as cl

        _, dtype, size = self._meta[dst]
        pattern = _bytes(np.array([value]).astype(dtype))
        if not size:
            return lambda memory: None

        def fill(memory: list[Any]) -> None:
            cl.enqueue_fill_buffer(self.queue, memory[dst], pattern, 0, size)

        return fill

    def _truth(self, n: int) -> Callable[..., bool]:
        import pyopencl as cl

        def holds(memory: list[Any]) -> bool:
            flag = np.zeros(1, np.uint8)
            cl.enqueue_copy(self.queue, flag, memory[n])
            return bool(flag[0])

        return holds

    def _count(self, n: int) -> Callable[..., None]:
        import pyopencl as cl

        dtype = self._meta[n][1]

        def write(memory: list[Any], turn: int) -> None:
            cl.enqueue_copy(self.queue, memory[n], np.array([turn], dtype))

        return write

    # ---- bytes

    def to_bytes(self) -> bytes:
        import pyopencl as cl

        try:
            binary = bytes(self.program.get_info(cl.program_info.BINARIES)[0])
        except cl.Error:
            binary = b""
        code = json.dumps(self.code).encode()
        return self._packed(struct.pack("<Q", len(code)) + code + binary)

    @staticmethod
    def from_bytes(on: Found, data: bytes) -> Executable:
        """Raises ValueError if the bytes are not exactly what `to_bytes` made."""
        plan, constants, code = Executable._unpacked(data)
        n = struct.unpack_from("<Q", code)[0]
        return Executable(on, plan, constants, json.loads(code[8 : 8 + n]), code[8 + n :])



