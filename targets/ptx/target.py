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
        from .write import write_module

        text = write_module(kernels, self.facts)
        if stage == "ptx":
            return text
        if stage not in self.stages:
            raise BugError(f"{self.name} has no stage {stage}")
        return self.emit_text(text, stage)

    def emit_text_lines(self, text: str, stage: str) -> tuple[str, list[tuple[str, int] | None]]:
        from .tools import assemble, disassemble_lines

        if stage != "sass":
            raise BugError(f"{self.name} has no text {stage}")
        return disassemble_lines(assemble(text, self.arch, lines=True)[0])

    def emit_lines(self, kernels: Sequence[Kernel], stage: str) -> tuple[str, list[Any] | None]:
        from .write import write_module

        origins: list[Any] = []
        text = write_module(kernels, self.facts, origins=origins)
        if stage == "ptx":
            return text, origins
        by_line = {(i.loc.file.replace("\\", "/").rpartition("/")[2], i.loc.line): i.loc for k in kernels for i in k.instrs() if i.loc is not None}
        made, places = self.emit_text_lines(text, stage)
        return made, [by_line.get(p) if p else None for p in places]

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
        from .write import write_module

        found = self.resources(write_module(kernels, self.facts))
        warps = {k.name: k.warps or 1 for k in kernels}
        for f in found:
            f.update(occupancy(self.arch, f["registers"], warps[f["kernel"]], f["shared bytes"]))
        return found

    def resources(self, text: str) -> list[dict[str, Any]]:
        """Registers, spills and shared memory of a module, from ptxas."""
        from .tools import assemble

        return assemble(text, self.arch)[1]

    def emit_text(self, text: str, stage: str) -> str | bytes:
        """The cubin or SASS of a module."""
        from .tools import assemble, disassemble

        cubin, _ = assemble(text, self.arch)
        return disassemble(cubin) if stage == "sass" else cubin


def make(name: str) -> PtxTarget:
    return PtxTarget(name)
