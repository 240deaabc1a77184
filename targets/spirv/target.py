"""`spirv`: OpenCL devices.  `spirv` alone is a device that one need not have; `spirv:N` is `opencl:N` here.

Stages: `ll` (LLVM IR), `spirv` (SPIR-V assembly), `spv` (its words), `opencl` (OpenCL C 1.2).  A device that takes SPIR-V (its features say
`il` and the version) gets the words, any other the C; `final` is the text of what the device gets.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir.device import DeviceFacts
from ...ir.errors import BugError, DeviceError, UnsupportedError
from ...ir.kernel import Kernel
from ...ir.passes.bases import base_and_offset
from ...ir.passes.exchange import one_exchange
from ...ir.passes.threads import thread_numbers
from ...ir.program import Program
from ...ir.types import F16
from .. import Target
from ..driver import Driver

VERSIONS = ("1.0", "1.1", "1.2", "1.3", "1.4")  # of SPIR-V: the back end knows more, OpenCL's consumers take these
LANES, WARPS = 16, 4  # a group of the canonical scan is 16; schedules use up to four of them


def generic_facts() -> DeviceFacts:
    return DeviceFacts("spirv", "opencl", LANES, WARPS, 128, 32, 32 << 10, 1 << 20, 16, True, 120, ("exact", "fp16", "fp64", "il 1.2"))


class SpirvTarget(Target):
    stages = ("ll", "spirv", "spv", "opencl")
    binary_stage = "spv"

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = name.partition(":")[2]
        if self.number:
            from .runtime import found

            self.facts = found(self.number).facts
        else:
            self.facts = generic_facts()
        self.version = next((f[3:] for f in self.facts.features if f.startswith("il ")), "")
        self.text = "spirv" if self.version else "opencl"
        self.kernel_stages = ("ll", "opencl", "spirv") if self.version else ("ll", "spirv", "opencl")  # the last one is final
        self.runs_kernels = bool(self.number)

    def emit(self, kernels: Sequence[Kernel], stage: str) -> str | bytes:
        from .opencl_c import write

        kernels = [thread_numbers(k) for k in kernels]
        if stage == "opencl":
            return write([one_exchange(k) for k in kernels], self.facts.features)
        if stage not in self.stages:
            raise BugError(f"{self.name} has no stage {stage}")
        return self._module(kernels, stage)[0]

    def _module(self, kernels: Sequence[Kernel], stage: str) -> tuple[str | bytes, list[dict[str, Any]]]:
        """A stage of SPIR-V, and the signatures of its kernels."""
        from ..llvm.item import module_of
        from ..llvm.worker import compile_apart
        from .dialect import SpirV

        dialect = SpirV(self.facts.features, self.version or "1.2")
        text, signatures = module_of(kernels, dialect)
        if stage == "ll":
            return text, signatures
        made = compile_apart(text, dialect.triple, "obj" if stage == "spv" else "asm")
        return made if stage == "spv" else made.decode(), signatures

    def emit_lines(self, kernels: Sequence[Kernel], stage: str) -> tuple[str, list[Any] | None]:
        from ..llvm.debug import Locations
        from ..llvm.item import module_of
        from .dialect import SpirV
        from .lines import lines_of
        from .opencl_c import write

        origins: list[Any] = []
        kernels = [thread_numbers(k) for k in kernels]
        if stage == "opencl":
            return write([one_exchange(k) for k in kernels], self.facts.features, origins), origins
        if stage not in ("ll", "spirv"):
            raise BugError(f"{self.name} has no text {stage}")
        debug = Locations()
        marked, _ = module_of(kernels, SpirV(self.facts.features, self.version or "1.2"), debug)
        ir, origins = debug.read(marked, "ll", str, lambda: str(self.emit(kernels, "ll")))
        if stage == "ll":
            return ir, origins
        text = str(self.emit(kernels, "spirv"))
        return text, lines_of(ir, origins, text)

    def emit_kernel_lines(self, kernel: Kernel, stage: str) -> tuple[str, list[Any] | None]:
        return self.emit_lines([self._legal(kernel)], stage)

    def driver(self) -> Driver:
        from .runtime import found

        if not self.number:
            raise DeviceError("spirv alone is no device", hint="use device='opencl:0'")
        opened: Driver = found(self.number).open()
        return opened

    def build(self, program: Program, kernels: dict[str, Kernel]) -> Any:
        from ..driver import DeviceProgram
        from ..plan import plan_of

        driver = self.driver()
        plan, constants = plan_of(program)
        return DeviceProgram(driver, plan, constants, self.code(list(kernels.values())))

    def code(self, kernels: Sequence[Kernel]) -> dict[str, Any]:
        """What the driver loads: `il` (SPIR-V, base64) or `source` (OpenCL C), and the signatures by name."""
        import base64

        from .opencl_c import Signature

        kernels = [thread_numbers(k) for k in kernels]
        if self.no_spirv(kernels) is None:
            words, signatures = self._module(kernels, "spv")
            assert isinstance(words, bytes)
            return {"il": base64.b64encode(words).decode(), "kernels": {k.name: s for k, s in zip(kernels, signatures)}}
        return {"source": str(self.emit(kernels, "opencl")), "kernels": {k.name: Signature(k).json() for k in kernels}}

    def no_spirv(self, kernels: Sequence[Kernel]) -> str | None:
        """Why these kernels go to the device as OpenCL C."""
        if not self.version:
            return "the device takes no SPIR-V"
        if "fp16" not in self.facts.features and any(v.type is F16 for k in kernels for i in k.instrs() for v in (*i.args, *i.results)):
            return "the device has no f16, which OpenCL C holds as integers"
        return None

    # ---- kernels of other origin

    @property
    def own_memory(self) -> bool:  # type: ignore[override]
        return bool(self.number) and not self.driver().same_addresses

    def _legal(self, kernel: Kernel) -> Kernel:
        from ...ir.passes import kernel_pipeline
        from ...ir.passes.matrices import expand_products

        if kernel.functions:
            raise UnsupportedError(f"{kernel.name} calls a function that calls itself or is called by address: not on OpenCL", hint="device='cpu' runs it")
        legal: Kernel = kernel_pipeline(self.facts).run(expand_products(kernel))
        return legal

    def emit_kernel(self, kernel: Kernel, stage: str) -> str | bytes:
        return self.emit([self._legal(kernel)], stage)

    def compile_kernel(self, kernel: Kernel, facts: dict[str, Any], bounds: bool = False, mode: str = "auto") -> Any:
        from ...ir.analysis import warp_needs
        from .foreign import Code, refuse

        driver: Any = self.driver()
        if bounds:
            raise UnsupportedError(f"bounds=True tests accesses on the CPU, not on {driver.name}", hint="device='cpu', or `ptxjit check`")
        kernel = self._legal(kernel)
        if self.own_memory:
            kernel = base_and_offset(kernel)
        why = self.no_spirv([kernel])
        grouped = why is None and "subgroups" in self.facts.features
        refuse(kernel, driver.name, grouped, why is None or not self.own_memory)
        code = self.code([kernel])
        warp = warp_needs(kernel)
        signature = code["kernels"].pop(kernel.name)
        head = {"name": kernel.name, "facts": facts, "mode": f"SPIR-V {self.version}" if why is None else f"OpenCL C: {why}", "code": code,
                "signature": signature, "warps": f"{warp.op.name} at {warp.loc}" if warp is not None else "", "subgroups": grouped and warp is not None}  # fmt: skip
        return Code(driver, head, b"")

    def load_kernel(self, data: bytes) -> Any:
        from .foreign import Code

        return Code.from_bytes(self.driver(), data)

    def launch_kernel(self, code: Any, values: Sequence[int], grid: Any, block: Any, shared: int, cooperative: bool, cluster: Any,
                      const: tuple[int, int] = (0, 0), regions: Sequence[tuple[int, Any]] = ()) -> None:  # fmt: skip
        if cooperative or tuple(cluster) != (1, 1, 1):
            raise UnsupportedError(f"{code.name}: {'a cooperative launch' if cooperative else 'a cluster of blocks'} on {self.name}: OpenCL does not keep "
                                   "blocks resident together", hint="device='cpu'")  # fmt: skip
        code.launch(values, grid, block, shared, [*regions, const] if self.own_memory else ())

    def stats(self, kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
        """Which way each kernel takes to the device, work-items of a block, local memory."""
        from .opencl_c import apart

        why = self.no_spirv(kernels)
        form = f"SPIR-V {self.version}" if why is None else f"OpenCL C: {why}"
        grouped = why is None and "subgroups" in self.facts.features
        return [{"kernel": k.name, "form": form, "work-items": (k.lanes or 1) * (k.warps or 1), "blocks side by side": apart(k, grouped), "shared bytes": k.shared}
                for k in kernels]  # fmt: skip

    def load(self, data: bytes) -> Any:
        from ..driver import DeviceProgram

        return DeviceProgram.from_bytes(self.driver(), data)


def make(name: str) -> SpirvTarget:
    return SpirvTarget(name)
