"""Modules of a card: machine code or PTX, loaded; their functions, with what the driver says about each; their variables."""
from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ...ir.errors import ResourceError, UserError

if TYPE_CHECKING:
    from .runtime import CudaDriver

LOG = 16 << 10
ELF = b"\x7fELF"
PORTABLE_CLUSTER = 8


class Module:
    """`image`: PTX text or machine code, as it is.  `made_by`: who compiled it.  `log`: what the driver's compiler said."""

    def __init__(self, driver: CudaDriver, image: bytes, made_by: str) -> None:
        self.driver, self.made_by, self.log = driver, made_by, ""
        self._functions: WeakValueDictionary[str, Function] = WeakValueDictionary()  # a function keeps its module
        self._raw: Any = None
        d = driver.d
        data = image if image.startswith(ELF) else image.rstrip(b"\0") + b"\0"
        info, errors = bytearray(LOG), bytearray(LOG)
        o = d.CUjit_option
        options = [o.CU_JIT_INFO_LOG_BUFFER, o.CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, o.CU_JIT_ERROR_LOG_BUFFER, o.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, o.CU_JIT_LOG_VERBOSE]
        out = d.cuModuleLoadDataEx(data, len(options), options, [info, LOG, errors, LOG, 1])
        self.log = _text(info)
        if out[0]:
            raise driver.error(int(out[0]), f"{driver.name} ({driver.on.hardware}) refuses the module", _explained(_text(errors), image))
        self._raw = out[1]

    def function(self, name: str) -> Function:
        found = self._functions.get(name)
        if found is None:
            found = self._functions[name] = Function(self, name)
        return found

    def variable(self, name: str) -> tuple[int, int]:
        """(address, bytes) of a `.global` or `.const` variable."""
        self.driver.enter()
        at, size = self.driver.ok(self.driver.d.cuModuleGetGlobal(self._raw, name.encode()), f"the variable {name} of the module")
        return int(at), int(size)

    def __del__(self) -> None:
        if self._raw is not None:
            self.driver.dispose(self.driver.d.cuModuleUnload, self._raw)


class Function:
    """An entry: `registers`, `shared` (static bytes), `local` (stack and spilled bytes of a thread), `threads` (the most of a block)."""

    def __init__(self, module: Module, name: str) -> None:
        self.driver, self.name, self.module = module.driver, name, module
        self.driver.enter()
        d = self.driver.d
        self.raw = self.driver.ok(d.cuModuleGetFunction(module._raw, name.encode()), f"the kernel {name} of the module")
        self.registers, self.shared = self._get("NUM_REGS"), self._get("SHARED_SIZE_BYTES")
        self.local, self.threads = self._get("LOCAL_SIZE_BYTES"), self._get("MAX_THREADS_PER_BLOCK")
        self._opted = 0

    def _get(self, word: str) -> int:
        d = self.driver.d
        return int(self.driver.ok(d.cuFuncGetAttribute(getattr(d.CUfunction_attribute, "CU_FUNC_ATTRIBUTE_" + word), self.raw), self.name))

    def _set(self, word: str, value: int) -> None:
        d = self.driver.d
        what = f"{self.name}: {word.lower()} = {value}"
        self.driver.ok(d.cuFuncSetAttribute(self.raw, getattr(d.CUfunction_attribute, "CU_FUNC_ATTRIBUTE_" + word), value), what)

    def opt_in(self, dynamic: int) -> None:
        """Allows that many bytes of dynamic shared memory beyond what every kernel may have."""
        h = self.driver.on.details
        if self.shared + dynamic > h["shared bytes per block"] and dynamic > self._opted:
            self._set("MAX_DYNAMIC_SHARED_SIZE_BYTES", dynamic)
            self._opted = dynamic

    def occupancy(self, threads: int, dynamic: int = 0) -> dict[str, Any]:
        """Resident blocks and warps of a multiprocessor, by the driver."""
        d, h = self.driver.d, self.driver.on.details
        blocks = int(self.driver.ok(d.cuOccupancyMaxActiveBlocksPerMultiprocessor(self.raw, threads, dynamic), f"{self.name}: its occupancy"))
        warps = blocks * -(-threads // 32)
        return {"blocks": blocks, "warps": warps, "occupancy": round(warps * 32 / max(h["threads per multiprocessor"], 1), 3)}

    def stats(self, threads: int) -> dict[str, Any]:
        return {"kernel": self.name, "registers": self.registers, "shared bytes": self.shared, "stack bytes": self.local, **self.occupancy(threads)}

    def launch(self, words: Sequence[bytes], grid: Sequence[int], block: Sequence[int], shared: int, queue: Any, cooperative: bool = False,
               cluster: Sequence[int] | None = None) -> None:  # fmt: skip
        """One launch.  `words` are the parameters' bytes, in order."""
        driver = self.driver
        d = driver.d
        driver.check_shape(self.name, grid, block, self.shared + shared)
        threads = block[0] * block[1] * block[2]
        if threads > self.threads:
            raise ResourceError(f"{self.name} takes blocks of at most {self.threads} threads on {driver.name}, not {threads} ({self.registers} registers each)",
                                hint="use smaller blocks, or compile the kernel with .maxntid")  # fmt: skip
        if cooperative and not driver.on.details["cooperative"]:
            raise ResourceError(f"{driver.name} has no cooperative launches")
        if cluster is not None and not driver.on.details["clusters"]:
            raise ResourceError(f"{driver.name} ({driver.on.hardware}) has no clusters; they came with compute capability 9.0")
        if cluster is not None and any(g % c for g, c in zip(grid, cluster)):
            raise UserError(f"the grid {tuple(grid)} is not a multiple of the cluster {tuple(cluster)}")
        if not all(grid):
            return
        driver.enter()
        self.opt_in(shared)
        slots = [ctypes.create_string_buffer(w, max(len(w), 1)) for w in words]
        pointers = (ctypes.c_void_p * max(len(slots), 1))(*[ctypes.addressof(s) for s in slots])
        what = f"{driver.name}: launching {self.name} with {'×'.join(map(str, grid))} blocks of {'×'.join(map(str, block))}"
        if not cooperative and cluster is None:
            driver.ok(d.cuLaunchKernel(self.raw, *grid, *block, shared, queue, ctypes.addressof(pointers), 0), what)
            return
        config = d.CUlaunchConfig()
        config.gridDimX, config.gridDimY, config.gridDimZ = grid
        config.blockDimX, config.blockDimY, config.blockDimZ = block
        config.sharedMemBytes, config.hStream = shared, queue
        attributes = []
        if cooperative:
            a = d.CUlaunchAttribute()
            a.id = d.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_COOPERATIVE
            a.value.cooperative = 1
            attributes.append(a)
        if cluster is not None:
            if cluster[0] * cluster[1] * cluster[2] > PORTABLE_CLUSTER:
                self._set("NON_PORTABLE_CLUSTER_SIZE_ALLOWED", 1)
            a = d.CUlaunchAttribute()
            a.id = d.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
            a.value.clusterDim.x, a.value.clusterDim.y, a.value.clusterDim.z = cluster
            attributes.append(a)
        config.attrs, config.numAttrs = attributes, len(attributes)
        driver.ok(d.cuLaunchKernelEx(config, self.raw, ctypes.addressof(pointers), 0), what)


def _text(log: bytearray) -> str:
    return bytes(log).partition(b"\0")[0].decode("utf-8", "replace").strip()


def _explained(message: str, image: bytes) -> str:
    from .tools import explained

    return explained(message, image.decode("utf-8", "replace")) if message and not image.startswith(ELF) else message
