"""`amdgpu:gfx90a` … `amdgpu:gfx1201`, `amdgpu:gfx11-generic` …: stages `ll`, `asm`, `hsaco` (a linked code object).

`amdgpu` alone is gfx1100, a card that one need not have; `amdgpu:N` is the device rocm:N of this machine.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir.errors import BugError, DeviceError, UnsupportedError
from ...ir.kernel import Kernel
from ...ir.program import Program
from .. import Target
from ..driver import Driver
from .facts import ARCHS, BLOCK_LDS, arch_of, facts_for, occupancy


class AmdTarget(Target):
    stages = ("ll", "asm", "hsaco")
    text = "asm"
    kernel_stages = ("ll", "asm")
    binary_stage = "hsaco"

    def __init__(self, name: str) -> None:
        self.number = name.partition(":")[2]
        if self.number.isdigit():
            from .runtime import found

            self.facts, self.name = found(self.number).facts, name
            self.arch = found(self.number).arch
        else:
            self.number = ""
            self.facts = facts_for(name)
            self.name, self.arch = self.facts.target, arch_of(name)

    def emit(self, kernels: Sequence[Kernel], stage: str) -> str | bytes:
        return self._made(kernels, stage)[0]

    def _made(self, kernels: Sequence[Kernel], stage: str) -> tuple[str | bytes, list[dict[str, Any]]]:
        from ..llvm.compile import compile_assembly, compile_object
        from ..llvm.item import module_of
        from .codeobject import link
        from .dialect import AmdDialect, machine

        for k in kernels:
            check_limits(k, self.name)
        text, signatures = module_of(kernels, AmdDialect(self.arch))
        if stage == "ll":
            return text, signatures
        if stage == "asm":
            return compile_assembly(text, machine(self.arch)), signatures
        if stage == "hsaco":
            return link(compile_object(text, machine(self.arch))), signatures
        raise BugError(f"{self.name} has no stage {stage}")

    def emit_kernel(self, kernel: Kernel, stage: str) -> str | bytes:
        """A foreign kernel.  Waves of 64 lanes cannot stand for warps of 32: there only what needs no warp goes through."""
        if ARCHS[self.arch].wide:
            from ...ir.analysis import warp_needs

            need = warp_needs(kernel)
            if need is not None:
                raise UnsupportedError(f"{need.op} needs warps of 32 lanes, {self.name} has waves of 64", place=need.loc,
                                       hint="translate for an RDNA architecture (gfx10 and later), whose waves have 32 lanes")  # fmt: skip
        return self.emit([kernel], stage)

    def stats(self, kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
        """Registers, spills, LDS, scratch and occupancy, from the code object."""
        from .codeobject import read

        code = self.emit(kernels, "hsaco")
        assert isinstance(code, bytes)
        out = []
        for k in read(code).kernels.values():
            waves = -(-k.group // k.wave)
            out.append({"kernel": k.name, "registers": k.vgprs, "scalar registers": k.sgprs, "spills": sum(k.spills), "shared bytes": k.lds, "scratch bytes": k.scratch,
                        "wave": k.wave, "code bytes": k.size, **occupancy(self.arch, k.vgprs, waves, k.lds)})  # fmt: skip
        return out

    def driver(self) -> Driver:
        from .runtime import found

        if not self.number:
            raise DeviceError(f"{self.name} is code for a card, no device", hint="use device='rocm:0'; lower(…).as_text() shows the code")
        opened: Driver = found(self.number).open()
        return opened

    def build(self, program: Program, kernels: dict[str, Kernel]) -> Any:
        from ..driver import DeviceProgram
        from ..plan import plan_of

        driver = self.driver()
        plan, constants = plan_of(program)
        code, signatures = self._made(list(kernels.values()), "hsaco") if kernels else (b"", [])
        assert isinstance(code, bytes)
        return DeviceProgram(driver, plan, constants, {"arch": self.arch, "kernels": {s["name"]: s for s in signatures}}, code)

    def load(self, data: bytes) -> Any:
        from ..driver import DeviceProgram

        return DeviceProgram.from_bytes(self.driver(), data)


def check_limits(k: Kernel, target: str) -> None:
    """What the back end would end the process for, or only the loader would find."""
    from ...ir.errors import ResourceError

    if k.shared > BLOCK_LDS:
        raise ResourceError(f"{k.name} needs {k.shared} bytes of shared memory, {target} has {BLOCK_LDS} for a work-group")


def make(name: str) -> AmdTarget:
    return AmdTarget(name)
