"""`spirv`: OpenCL devices.  Stage `opencl` is OpenCL C 1.2.  `spirv` alone is a device that one need not have; `spirv:N` is `opencl:N` here."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir.device import DeviceFacts
from ...ir.errors import BugError, DeviceError
from ...ir.kernel import Kernel
from ...ir.program import Program
from .. import Target
from ..driver import Driver

LANES, WARPS = 16, 4  # a group of the canonical scan is 16; schedules use up to four of them


def generic_facts() -> DeviceFacts:
    return DeviceFacts("spirv", "opencl", LANES, WARPS, 128, 32, 32 << 10, 1 << 20, 16, True, 120, ("exact", "fp64"))


class SpirvTarget(Target):
    stages = ("opencl",)
    text = "opencl"

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = name.partition(":")[2]
        if self.number:
            from .runtime import found

            self.facts = found(self.number).facts
        else:
            self.facts = generic_facts()

    def emit(self, kernels: Sequence[Kernel], stage: str) -> str | bytes:
        from .opencl_c import write

        if stage == "opencl":
            return write(kernels, self.facts.features)
        raise BugError(f"{self.name} has no stage {stage}")

    def emit_lines(self, kernels: Sequence[Kernel], stage: str) -> tuple[str, list[Any] | None]:
        from .opencl_c import write

        if stage != "opencl":
            return super().emit_lines(kernels, stage)
        origins: list[Any] = []
        return write(kernels, self.facts.features, origins), origins

    def driver(self) -> Driver:
        from .runtime import found

        if not self.number:
            raise DeviceError("spirv alone is no device", hint="use device='opencl:0'")
        opened: Driver = found(self.number).open()
        return opened

    def build(self, program: Program, kernels: dict[str, Kernel]) -> Any:
        from ..driver import DeviceProgram
        from ..plan import plan_of
        from .opencl_c import Signature

        driver = self.driver()
        ks = list(kernels.values())
        plan, constants = plan_of(program)
        return DeviceProgram(driver, plan, constants, {"source": str(self.emit(ks, "opencl")), "kernels": {k.name: Signature(k).json() for k in ks}})

    def load(self, data: bytes) -> Any:
        from ..driver import DeviceProgram

        return DeviceProgram.from_bytes(self.driver(), data)


def make(name: str) -> SpirvTarget:
    return SpirvTarget(name)
