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
from .facts import ARCHS, BLOCK_LDS, LANE_MEMORY, arch_of, facts_for, occupancy


class AmdTarget(Target):
    stages = ("ll", "asm", "hsaco")
    text = "asm"
    kernel_stages = ("ll", "asm")
    binary_stage = "hsaco"

    def __init__(self, name: str) -> None:
        self.number = name.partition(":")[2]
        self.runs_kernels = self.own_memory = self.number.isdigit()
        if self.runs_kernels:
            from .runtime import found

            self.facts, self.name = found(self.number).facts, name
            self.arch = found(self.number).arch
        else:
            self.number = ""
            self.facts = facts_for(name)
            self.name, self.arch = self.facts.target, arch_of(name)

    def emit(self, kernels: Sequence[Kernel], stage: str) -> str | bytes:
        return self._made(kernels, stage)[0]

    def emit_lines(self, kernels: Sequence[Kernel], stage: str) -> tuple[str, list[Any] | None]:
        from ..llvm.compile import compile_assembly
        from ..llvm.debug import Locations
        from ..llvm.item import module_of
        from .dialect import AmdDialect, machine

        if stage not in ("ll", "asm"):
            raise BugError(f"{self.name} has no text {stage}")
        plain = str(self.emit(kernels, stage))  # and what it refuses
        debug = Locations()
        text, _ = module_of(kernels, AmdDialect(self.arch), debug)
        return debug.read(text, stage, lambda marked: compile_assembly(marked, machine(self.arch)), lambda: plain)

    def emit_kernel_lines(self, kernel: Kernel, stage: str) -> tuple[str, list[Any] | None]:
        return self.emit_lines([self._legal(kernel)], stage)

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

    # ---- kernels of other origin

    def _legal(self, kernel: Kernel) -> Kernel:
        """Over ops that the device has.  Waves of 64 lanes cannot stand for warps of 32: there only what needs no warp goes through, and no loop that
        waits for another thread, which may be of the other half of the wave."""
        from ...ir.analysis import spins, warp_needs
        from ...ir.passes import kernel_pipeline
        from ...ir.passes.matrices import expand_products
        from ..llvm.products import spread

        need = warp_needs(kernel) if ARCHS[self.arch].wide else None
        if need is not None:
            raise UnsupportedError(f"{need.op} needs warps of 32 lanes, {self.name} has waves of 64", place=need.loc,
                                   hint="translate for an RDNA architecture (gfx10 and later), whose waves have 32 lanes")  # fmt: skip
        waits = spins(kernel) if ARCHS[self.arch].wide else None
        if waits is not None:
            raise UnsupportedError(f"{waits.op} waits for another thread, which may be of the same wave of 64 on {self.name}", place=waits.loc,
                                   hint="translate for an RDNA architecture (gfx10 and later), whose waves are warps")  # fmt: skip
        if kernel.functions:
            raise UnsupportedError(f"{kernel.name}: a function that calls itself or is called by address on {self.name}", hint="device='cpu' runs it")
        legal: Kernel = kernel_pipeline(self.facts).run(expand_products(kernel, spread))
        return legal

    def emit_kernel(self, kernel: Kernel, stage: str) -> str | bytes:
        return self.emit([self._legal(kernel)], stage)

    def compile_kernel(self, kernel: Kernel, facts: dict[str, Any], bounds: bool = False, mode: str = "auto") -> Any:
        from ...ir.analysis import spins
        from .foreign import Code

        driver = self.driver()
        if bounds:
            raise UnsupportedError(f"bounds=True tests accesses on the CPU, not on {driver.name}", hint="device='cpu', or `ptxjit check`")
        binary, [signature] = self._made([self._legal(kernel)], "hsaco")
        assert isinstance(binary, bytes)
        waits = spins(kernel)
        how = f"code object for {self.arch}" + (f"; {waits.op.name} waits for another thread, which must not be of the same wave" if waits is not None else "")
        return Code(driver, {"signature": signature, "arch": self.arch, "facts": facts, "mode": how}, binary)

    def load_kernel(self, data: bytes) -> Any:
        from .foreign import Code

        return Code.from_bytes(self.driver(), data)

    def launch_kernel(self, code: Any, values: Sequence[int], grid: Any, block: Any, shared: int, cooperative: bool, cluster: Any,
                      const: tuple[int, int] = (0, 0), regions: Sequence[tuple[int, Any]] = ()) -> None:  # fmt: skip
        from .foreign import refuse_launch

        refuse_launch(code.name, self.name, cluster)
        code.launch(values, grid, block, shared, cooperative, [*regions, const])

    # ---- programs

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
    if k.local > LANE_MEMORY:
        raise ResourceError(f"{k.name} needs {k.local} bytes of memory for each lane, {target} has {LANE_MEMORY}", hint="use arrays in global memory")


def make(name: str) -> AmdTarget:
    return AmdTarget(name)
