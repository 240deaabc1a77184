"""`cuda:N`: the card N of this machine.  Stages as `ptx:sm_…` for its architecture; programs, and anybody's PTX, run there."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir.errors import UserError
from ...ir.kernel import Kernel
from ...ir.program import Program
from .target import PtxTarget


def signature(kernel: Kernel) -> dict[str, Any]:
    """What a launch must know of a kernel, as JSON."""
    params = ["pointer" if p.role == "pointer" else p.value.type.elem.name for p in kernel.params]
    return {"name": kernel.name, "params": params, "local": (kernel.lanes or 32) * (kernel.warps or 1), "reports": False,
            "error": any(i.op.name == "report" for i in kernel.instrs())}  # fmt: skip


class CudaTarget(PtxTarget):
    def __init__(self, name: str) -> None:
        from .runtime import found

        self.name = name if ":" in name else name + ":0"
        self.number = self.name.partition(":")[2]
        if not self.number.isdigit():
            raise UserError(f"there is no target {name!r}", hint="cuda:0 is the first card; ptx:sm_90 lowers without one")
        self.on = found(self.number)
        self.facts, self.arch = self.on.facts, self.on.arch

    def driver(self) -> Any:
        from .runtime import driver_of

        return driver_of(self.number)

    def build(self, program: Program, kernels: dict[str, Kernel]) -> Any:
        from ..plan import plan_of
        from .graphs import CudaProgram

        ks = list(kernels.values())
        plan, constants = plan_of(program)
        code = {"ptx": str(self.emit(ks, "ptx")), "arch": self.arch, "kernels": {k.name: signature(k) for k in ks}}
        return CudaProgram(self.driver(), plan, constants, code)

    def load(self, data: bytes) -> Any:
        from .graphs import CudaProgram

        return CudaProgram.from_bytes(self.driver(), data)

    def stats(self, kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
        """From ptxas where it is, else from the driver's own compiler; occupancy is the driver's."""
        from .modules import Module
        from .tools import available

        driver = self.driver()
        out = super().stats(kernels) if available("ptxas") else [{"kernel": k.name} for k in kernels]
        with driver.guarded():
            module = Module(driver, str(self.emit(kernels, "ptx")).encode(), "the driver")
            for k, s in zip(kernels, out):
                said = module.function(k.name).stats((k.lanes or 32) * (k.warps or 1))
                s.update({key: v for key, v in said.items() if key not in s or key in ("blocks", "warps", "occupancy")})
        return out

    def native(self, tree: Any, source: bytes, bounds: bool) -> Any:
        from .foreign import Foreign

        return Foreign(self.driver(), tree, source, bounds)


def make_device(name: str) -> CudaTarget:
    return CudaTarget(name)
