"""PTX of anybody for other targets: `translate`."""
from __future__ import annotations

import os
from typing import Any

from . import targets
from .ir.errors import UnsupportedError, UserError


class Translated:
    """PTX as something else.  `as_text(stage)`, `binary`, `stages`, `entries`, `target`."""

    def __init__(self, tree: Any, target: str, entry: str | None) -> None:
        self.tree, self.target, self.entry = tree, target, entry
        if entry is not None and entry not in tree.entries:
            raise UserError(f"there is no entry {entry!r} in {tree.name}", hint="entries: " + (", ".join(tree.entries) or "none"))
        self._kernels: dict[str, Any] = {}

    @property
    def entries(self) -> tuple[str, ...]:
        return (self.entry,) if self.entry is not None else tuple(self.tree.entries)

    def kernel(self, name: str) -> Any:
        """The kernel level of one entry."""
        if name not in self._kernels:
            self._kernels[name] = targets.target("ptx").lift(self.tree, name).kernel
        return self._kernels[name]

    @property
    def stages(self) -> tuple[str, ...]:
        return ("kernel", "ptx") if self.family == "ptx" else ("kernel", *targets.target(self.target).kernel_stages, "final")

    @property
    def family(self) -> str:
        return self.target.partition(":")[0]

    def as_text(self, stage: str = "final") -> str:
        """A stage of all entries asked for; `final` is the target's last text."""
        if stage == "kernel":
            return "\n".join(str(self.kernel(n)) for n in self.entries)
        if self.family == "ptx":
            if stage not in ("ptx", "final"):
                raise UserError(f"{self.target} has no stage {stage!r}", hint="it has: " + ", ".join(self.stages))
            return str(targets.target("ptx").retarget(self.tree, self.target.partition(":")[2] or None, self.entry))
        found = targets.target(self.target)
        stage = found.kernel_stages[-1] if stage == "final" else stage
        if stage not in found.kernel_stages:
            raise UserError(f"{self.target} has no stage {stage!r}", hint="it has: " + ", ".join(self.stages))
        return "\n".join(str(found.emit_kernel(self.kernel(n), stage)) for n in self.entries)

    @property
    def binary(self) -> bytes:
        """Object code or a module of the target, or the text's bytes (ptx)."""
        if self.family == "ptx":
            return self.as_text().encode()
        if len(self.entries) != 1:
            raise UserError("an object holds one entry", hint=f"entry= one of: {', '.join(self.entries)}")
        found = targets.target(self.target)
        made = found.emit_kernel(self.kernel(self.entries[0]), found.binary_stage)
        assert isinstance(made, bytes)
        return made

    def __repr__(self) -> str:
        return f"<{self.tree.name} for {self.target}: {', '.join(self.entries)}>"


def translate(ptx: str | bytes | os.PathLike[str], target: str, entry: str | None = None) -> Translated:
    """PTX for another target.

    target  'ptx' (the same bytes), 'ptx:sm_80' (another architecture, where everything exists), 'cpu:host', 'cpu:x86-64-v3', 'cpu:aarch64',
            'spirv' …
    entry   one entry, or all
    """
    from .ptx import text_of

    if target.partition(":")[0] != "ptx" and not targets.target(target).kernel_stages:
        raise UnsupportedError(f"PTX is not translated to {target} in this version", hint="targets: ptx, ptx:sm_…, cpu:host, cpu:x86-64-v3, cpu:aarch64, spirv …")
    text, name = text_of(ptx)
    return Translated(targets.target("ptx").read(text, name), target, entry)
