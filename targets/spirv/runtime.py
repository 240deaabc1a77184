"""OpenCL devices through pyopencl: detection, and the driver of each.

`detect` looks for runtimes: those that the system registered (/etc/OpenCL/vendors) and those that lie in this Python environment as
wheels, which nobody registers; for these we write `.icd` files into a folder of our own and point the loader there.  A driver that fails is a
device with a reason, not an error.
"""
from __future__ import annotations

import base64
import os
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...ir.device import DeviceFacts
from ...ir.errors import DeviceError, ResourceError, ToolError
from ...ir.interp.memory import host_bytes
from ..driver import Driver, Memory, as_bytes
from .pocl import name_processor
from .target import LANES, VERSIONS, WARPS

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
        self.unified = bool(device.host_unified_memory)  # a CPU, or a GPU in main memory: kernels work on the host's arrays
        self.is_cpu, self.is_gpu = bool(device.type & 2), bool(device.type & 4)
        extensions = device.extensions.split()
        config = getattr(device, "single_fp_config", 0)
        self.exact = bool(config & 1 << 7)
        self.fp64 = "cl_khr_fp64" in extensions
        self.why_not = name_processor(device) or _lacks(device, config)
        self.subgroups = False
        self.il = spirv_version(getattr(device, "il_version", "") if device.version >= "OpenCL 2.1" or "cl_khr_il_program" in extensions else "")
        needed = ("cl_khr_subgroup_shuffle", "cl_khr_subgroup_ballot", "cl_intel_required_subgroup_size")  # whose sizes include 16 and 32
        if self.il and all(x in extensions for x in needed) and "SPIR-V_1.3" in device.il_version.split():
            self.il, self.subgroups = "1.3", True
        self.has_dots = "cl_khr_integer_dot_product" in extensions and device.version >= "OpenCL 3.0"  # all such devices take words of four bytes
        dots = self.has_dots and not self.is_cpu  # Intel's CPU runtime says that they are fast, and takes ten times as long as for shifts and products
        features = ["frem", *(w for w, have in (("dot4", dots), ("dot4mixed", dots), ("exact", self.exact), ("fp16", "cl_khr_fp16" in extensions),
                                                ("fp64", self.fp64), (f"il {self.il}", self.il), ("subgroups", self.subgroups))
                              if have)]  # fmt: skip  (fmod is exact everywhere)
        self.facts = DeviceFacts(
            f"spirv:{number}", "opencl", LANES, WARPS, 128, 32, int(device.local_mem_size), int(device.global_mem_cache_size or 1 << 20),
            int(device.max_compute_units), True, 120, tuple(sorted([*features, f"device {self.hardware}", f"driver {self.driver}"])))  # fmt: skip
        self._opened: OpenCL | None = None
        self._lock = threading.Lock()

    def open(self) -> OpenCL:
        """The driver, made once."""
        with self._lock:
            if self._opened is None:
                self._opened = OpenCL(self)
            return self._opened


def _lacks(device: Any, config: int) -> str | None:
    """What our kernels need and the device has not."""
    if not device.compiler_available:
        return "its driver has no compiler"
    if not config & 1:
        return "it has no subnormal f32 numbers"
    if not device.endian_little:
        return "it is big-endian"
    if device.max_work_group_size < LANES * WARPS:
        return f"its work-groups hold {device.max_work_group_size} work-items, {LANES * WARPS} are needed"
    return None


def spirv_version(il: str) -> str:
    """The version of SPIR-V to make for a device that lists these."""
    have = [w.removeprefix("SPIR-V_") for w in il.split() if w.startswith("SPIR-V_")]
    return "1.2" if "1.2" in have else max((v for v in have if v in VERSIONS), default="")


class Broken:
    """A platform whose driver fails."""

    is_gpu = False

    def __init__(self, number: int, hardware: str, why_not: str) -> None:
        self.number, self.hardware, self.why_not, self.driver = number, hardware, why_not, ""
        self.facts = DeviceFacts(f"spirv:{number}", "opencl", LANES, WARPS, 128, 32, 32 << 10, 1 << 20, 1)


# ---- detection ------------------------------------------------------------------------------------------------------


def wheels() -> list[Path]:
    """Libraries of runtimes in this environment that nobody has registered.  (PoCL's wheel is found by pyopencl's loader itself.)"""
    library = Path(sys.prefix) / "lib" / "libintelocl.so"
    return [library] if library.exists() and incomplete() is None else []


def incomplete() -> str | None:
    """What a runtime that lies in this environment lacks."""
    lib = Path(sys.prefix) / "lib"
    if (lib / "libintelocl.so").exists() and not (lib / "libimf.so").exists():
        return "its library needs Intel's mathematics library: pip install intel-cmplr-lib-rt"
    return None


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
    if sys.platform != "linux" or "OCL_ICD_VENDORS" in os.environ or wheels() or incomplete():
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
    lacks = incomplete()
    if lacks is not None:
        out.append(Broken(len(out), "a CPU (Intel(R) OpenCL)", lacks))
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


# ---- driver ---------------------------------------------------------------------------------------------------------


def first_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), lines[0] if lines else "no message")


# PoCL's own functions are calls that its loops over work-items are not vectorised across (measured: exp 18 times slower); clang's are instructions.
_FLOATS = {"fma": "abc", "rint": "a", "floor": "a", "ceil": "a", "trunc": "a", "fabs": "a", "sqrt": "a", "copysign": "ab"}
_INTEGERS = ("char", "short", "int", "long", "uchar", "ushort", "uint", "ulong")
_INLINE = "static inline {t} __attribute__((overloadable)) ptxjit_{name}({params}) {{ return {body}; }}"
BUILTINS = "\n".join([
    *(_INLINE.format(t=t, name=name, params=", ".join(f"{t} {a}" for a in args), body=f"__builtin_{name}{f}({', '.join(args)})")
      for name, args in _FLOATS.items() for t, f in (("float", "f"), ("double", ""))),
    *(_INLINE.format(t=t, name=name, params=f"{t} a, {t} b", body=f"a {sign} b ? a : b") for name, sign in (("min", "<"), ("max", ">")) for t in _INTEGERS),
    *(f"#undef {name}\n#define {name} ptxjit_{name}" for name in (*_FLOATS, "min", "max")), ""])  # fmt: skip


class Host:
    """The host's memory as it is, for devices with system-wide shared virtual memory: bytes, and how a kernel gets them.  (Buffers over such
    memory are copied by Intel's runtime where it is not aligned to a page.)"""

    __slots__ = ("bytes", "svm", "keep")

    def __init__(self, a: Any) -> None:
        import pyopencl as cl

        self.keep, self.bytes = a, host_bytes(int(a.__array_interface__["data"][0]), a.nbytes)
        self.svm = cl.SVM(self.bytes)


class OpenCL(Driver):
    """An OpenCL device.  A piece of memory is a `cl.Buffer`; a device in main memory works on the host's arrays themselves (`Host`, or a
    buffer over them)."""

    dlpack = 4

    def __init__(self, on: Found) -> None:
        import pyopencl as cl

        super().__init__()
        self.on, self.number = on, on.number
        self.name, self.title = f"opencl:{on.number}", f"opencl:{on.number} ({on.hardware})"
        self.unified = on.unified
        self.system_wide = on.unified and bool(getattr(on.device, "svm_capabilities", 0) & cl.device_svm_capabilities.FINE_GRAIN_SYSTEM)
        self.same_addresses = on.is_cpu or self.system_wide
        self._launching = threading.Lock()  # arguments are set on a kernel object that threads share
        try:
            self.context = cl.Context([on.device])
        except cl.Error as e:
            raise DeviceError(f"{self.title} cannot be opened: {e}") from e

    @contextmanager
    def guarded(self) -> Iterator[None]:
        import pyopencl as cl

        try:
            yield
        except cl.MemoryError as e:
            raise ResourceError(f"{self.title} has no memory left: {e}", hint="free arrays, or work in parts") from e
        except cl.Error as e:
            raise DeviceError(f"{self.title} failed: {e}") from e

    # ---- memory

    def allocate(self, size: int) -> Any:
        import pyopencl as cl

        try:
            return cl.Buffer(self.context, cl.mem_flags.READ_WRITE, size)
        except (cl.MemoryError, cl.LogicError) as e:
            raise ResourceError(f"{self.title} cannot give {size} bytes: {e}", hint=f"it has {self.on.device.global_mem_size} bytes in all") from e

    def free(self, raw: Any) -> None:
        raw.release()

    def wrap(self, a: Any, write: bool) -> Any:
        import pyopencl as cl

        if self.system_wide:
            return Host(a)
        flags = cl.mem_flags.READ_WRITE if write else cl.mem_flags.READ_ONLY
        return cl.Buffer(self.context, flags | cl.mem_flags.USE_HOST_PTR, hostbuf=as_bytes(a))

    def publish(self, a: Any, raw: Any) -> None:
        import pyopencl as cl

        if isinstance(raw, Host):
            self.queue.finish()
            return
        view: Any
        view, _ = cl.enqueue_map_buffer(self.queue, raw, cl.map_flags.READ, 0, (a.nbytes,), np.dtype(np.uint8))
        view.base.release()

    def upload(self, raw: Any, a: Any) -> None:
        import pyopencl as cl

        if isinstance(raw, Host):
            self.queue.finish()
            raw.bytes[: a.nbytes] = as_bytes(a)
            return
        cl.enqueue_copy(self.queue, raw, as_bytes(a))

    def download(self, a: Any, raw: Any) -> None:
        import pyopencl as cl

        if isinstance(raw, Host):
            self.queue.finish()
            as_bytes(a)[:] = raw.bytes[: a.nbytes]
            return
        cl.enqueue_copy(self.queue, as_bytes(a), raw)

    def copy(self, dst: Any, src: Any, size: int) -> None:
        import pyopencl as cl

        if isinstance(src, Host):
            self.upload(dst, src.bytes[:size])
        elif isinstance(dst, Host):
            self.download(dst.bytes[:size], src)
        else:
            cl.enqueue_copy(self.queue, dst, src, byte_count=size)

    def fill(self, raw: Any, pattern: Any, size: int) -> None:
        import pyopencl as cl

        if isinstance(raw, Host):
            self.queue.finish()
            raw.bytes[:size].reshape(-1, pattern.size)[:] = pattern
            return
        cl.enqueue_fill_buffer(self.queue, raw, pattern, 0, size)

    def address(self, raw: Any) -> int:
        return int(raw.int_ptr)

    def adopt(self, address: int, size: int, keep: Any) -> Memory:
        import pyopencl as cl

        return Memory(self, cl.Buffer.from_int_ptr(address, retain=True), size, keep)

    # ---- code

    def load(self, code: dict[str, Any], binary: bytes) -> tuple[Any, bytes]:
        import pyopencl as cl

        source = code.get("source", "")
        if "double" in source and not self.on.fp64:
            raise DeviceError(f"{self.title} has no f64")
        options = [f"-cl-std=CL{'3.0' if 'dot_4x8packed_' in source else '1.2'}"] * bool(source) + ["-cl-fp32-correctly-rounded-divide-sqrt"] * self.on.exact
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if binary:
                try:
                    return cl.Program(self.context, [self.on.device], [binary]).build(options, cache_dir=NO_CACHE), binary
                except cl.Error:  # another driver's: the text is there
                    pass
            if source and "pocl" in self.on.device.version.lower():
                source = BUILTINS + source
            il = b"" if source else base64.b64decode(code["il"])  # a name: pyopencl does not own it until the program is built
            program = cl.Program(self.context, source or il)
            try:
                program.build(options, cache_dir=NO_CACHE)
            except cl.Error as e:
                raise ToolError(f"the compiler of {self.title} refused the program: {first_error(str(e))}",
                                hint=f"lower(…, target='spirv').as_text({'opencl' if source else 'spirv'!r}) shows it") from e  # fmt: skip
        try:
            binaries: Any = program.get_info(cl.program_info.BINARIES)
            return program, bytes(binaries[0])
        except cl.Error:
            return program, b""

    def prepare(self, module: Any, signature: dict[str, Any], grid: Sequence[int]) -> Callable[[list[Any]], None]:
        import pyopencl as cl

        kernel = cl.Kernel(module, signature["name"])
        used = kernel.get_work_group_info(cl.kernel_work_group_info.LOCAL_MEM_SIZE, self.on.device)
        if used > self.on.facts.shared_bytes:
            raise ResourceError(f"{signature['name']} needs {used} bytes of local memory, {self.name} has {self.on.facts.shared_bytes}")
        lanes = signature["local"]
        local, size = (lanes, 1, 1), (grid[0] * lanes, grid[1], grid[2])
        if signature["apart"]:
            local, size = (lanes, self.side_by_side(grid[0], lanes), 1), (lanes, grid[0], grid[1])

        def launch(values: list[Any]) -> None:
            with self._launching:
                kernel.set_args(*[v.svm if isinstance(v, Host) else v for v in values])
                cl.enqueue_nd_range_kernel(self.queue, kernel, size, local)

        return launch

    def side_by_side(self, blocks: int, lanes: int) -> int:
        """How many blocks a work-group holds: the largest divisor that leaves every core some groups."""
        most = min(GROUP // lanes, blocks // (4 * self.on.facts.cores), self.on.device.max_work_group_size // lanes, self.on.device.max_work_item_sizes[1])
        return max((k for k in range(1, most + 1) if blocks % k == 0), default=1)

    # ---- streams

    def make_stream(self) -> Any:
        import pyopencl as cl

        return cl.CommandQueue(self.context, properties=cl.command_queue_properties.PROFILING_ENABLE)

    def await_stream(self, queue: Any) -> None:
        queue.finish()

    def record(self, queue: Any) -> Any:
        import pyopencl as cl

        event = cl.enqueue_marker(queue)
        queue.flush()
        return event

    def order_after(self, queue: Any, event: Any) -> None:
        import pyopencl as cl

        cl.enqueue_barrier(queue, wait_for=[event])

    def is_done(self, event: Any) -> bool:
        import pyopencl as cl

        return bool(event.command_execution_status == cl.command_execution_status.COMPLETE)

    def await_event(self, event: Any) -> None:
        event.wait()

    def seconds(self, first: Any, last: Any) -> float:
        return float(last.profile.end - first.profile.end) * 1e-9
