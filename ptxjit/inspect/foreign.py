"""PTX of others: what each target makes of an entry, in numbers."""
from __future__ import annotations

from typing import Any

from ..ir.analysis.live import peak
from ..ir.errors import ToolError, UnsupportedError
from ..ir.kernel import Kernel
from ..targets import target as find_target


def text_for(kernel: Any, target: str) -> str:
    """The last text of an entry for a target."""
    from ..translation import Translated

    return Translated(kernel.module.tree, target, kernel.name).as_text("final")


def entry_stats(kernel: Any, target: str) -> dict[str, Any]:
    """Numbers of an entry (`load_ptx(…)[name]`) on a target: mode, registers, spills, shared memory, live words, mix."""
    k: Kernel = kernel.entry.kernel
    found = find_target(target if ":" in target or target != "ptx" else "ptx:sm_80")
    row: dict[str, Any] = {"kernel": kernel.name}
    if found.name == "cpu:host":
        row.update(kernel.stats())
    text = text_for(kernel, target)
    try:
        for entry in found.resources(text) if found.name.partition(":")[0] in ("cpu", "ptx") else found.stats([k]):
            if entry["kernel"] == kernel.name:
                row.update(entry)
    except (ToolError, UnsupportedError) as e:
        row["missing"] = f"registers, spills: {e.message}" + (f" ({e.hint})" if e.hint else "")
    row.setdefault("shared bytes", k.shared)
    row["live words"] = peak(k)
    [mixed] = found.mix([k], text)
    row.update({key: value for key, value in mixed.items() if key not in row})
    return row
