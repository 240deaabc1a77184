"""`ptx:sm_75` … `ptx:sm_120`: stages `ptx`, `cubin`, `sass`."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir.errors import BugError
from ...ir.kernel import Kernel
from .. import Target
from .facts import facts_for


class PtxTarget(Target):
    stages = ("ptx", "cubin", "sass")
    text = "ptx"

    def __init__(self, name: str) -> None:
        self.facts = facts_for(name)
        self.name = self.facts.target
        self.arch = self.name.partition(":")[2]

    def emit(self, kernels: Sequence[Kernel], stage: str) -> str | bytes:
        from .tools import assemble, disassemble
        from .write import write_module

        text = write_module(kernels, self.facts)
        if stage == "ptx":
            return text
        cubin, _ = assemble(text, self.arch)
        if stage == "cubin":
            return cubin
        if stage == "sass":
            return disassemble(cubin)
        raise BugError(f"{self.name} has no stage {stage}")

    def read(self, text: str | bytes, name: str) -> Any:
        """The syntax tree of a module."""
        from .parse import read

        return read(text, name)

    def lift(self, module: Any, entry: str) -> Any:
        """The kernel of an entry of a module that `read` made."""
        from .lift import lift

        return lift(module, entry)

    def retarget(self, module: Any, arch: str | None, entry: str | None) -> str:
        """The text of a module for another architecture, or of one entry of it."""
        from .retarget import retarget

        return retarget(module, arch, entry)

    def stats(self, kernels: Sequence[Kernel]) -> list[dict[str, Any]]:
        """Registers, spills, shared memory and occupancy, from ptxas."""
        from .occupancy import occupancy
        from .tools import assemble
        from .write import write_module

        _, found = assemble(write_module(kernels, self.facts), self.arch)
        warps = {k.name: k.warps or 1 for k in kernels}
        for f in found:
            f.update(occupancy(self.arch, f["registers"], warps[f["kernel"]], f["shared bytes"]))
        return found


def make(name: str) -> PtxTarget:
    return PtxTarget(name)
