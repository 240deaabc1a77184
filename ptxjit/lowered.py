"""What a function became: every level as text, for any target, without a device."""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from .ir.errors import ToolError, UnsupportedError, UserError
from .ir.graph import Graph
from .ir.guards import Sizes
from .ir.kernel import Kernel
from .options import Options

LEVELS = ("graph", "program", "tile", "kernel")


def dump(graph: Graph, target_name: str, options: Options, folder: Path) -> None:
    """Every stage that can be made here, as files of a folder: PTXJIT_DUMP."""
    import hashlib

    from .cache import graph_key

    low = Lowered(graph, target_name, options)
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{graph.name}-{hashlib.sha256(graph_key(graph)).hexdigest()[:8]}"
    for stage in low.stages[:-1]:
        try:
            made = low.stage(stage)
        except (ToolError, UnsupportedError) as e:  # a stage that needs a tool which is not here
            made = str(e)
        (folder / f"{stem}.{stage}").write_bytes(made if isinstance(made, bytes) else made.encode())


class Lowered:
    """`as_text(stage)`, `stages`, `kernels`, `stats()`, `compile()`, `why`."""

    def __init__(self, graph: Graph, target_name: str, options: Options, captured: Sequence[Any] = (), sizes: Sizes | None = None) -> None:
        from .ir.lower import lower
        from .targets import target

        self.target, self.options = target(target_name), options
        self.captured = tuple(captured)  # arrays from around the function: inputs behind its own
        self._sizes = sizes
        with self.sizing():
            self._low = lower(graph, self.target.facts, fast_math=options.fast_math, reproducible=options.reproducible)
        self._made: dict[str, str | bytes] = {}

    def sizing(self) -> Any:
        """A context in which more can be lowered for the same symbolic sizes."""
        return nullcontext() if self._sizes is None else self._sizes.active(tracing=False)

    @property
    def hints(self) -> dict[str, int]:
        """The numbers of the symbolic sizes for which schedules were chosen."""
        return dict(dict(self._low.program.meta).get("hints", ()))

    @property
    def stages(self) -> tuple[str, ...]:
        """Every stage that `as_text` knows, in order; `final` is the target's last text."""
        return (*LEVELS, *self.target.stages, "final")

    @property
    def kernels(self) -> dict[str, Kernel]:
        return dict(self._low.kernels)

    @property
    def guards(self) -> tuple[str, ...]:
        """What this version assumes of its symbolic sizes."""
        return tuple(dict(self._low.program.meta).get("guards", ()))

    @property
    def why(self) -> tuple[str, ...]:
        """What fusion decided."""
        return tuple(dict(self._low.program.meta).get("why", ()))

    def stage(self, name: str) -> str | bytes:
        """A stage as it is: text, or bytes for a binary."""
        if name == "final":
            name = self.target.text
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self._make(name)
        return found

    def _make(self, name: str) -> str | bytes:
        from .ir.text import dump

        low = self._low
        if name == "graph":
            return dump(low.graph)
        if name == "program":
            return dump(low.program)
        if name == "tile":
            programs = {s.fn.name: s.fn for s in low.program.launches()}
            return "\n".join(dump(p) for p in programs.values())
        if name == "kernel":
            return "\n".join(dump(k) for k in low.kernels.values())
        if name not in self.target.stages:
            raise UserError(f"{self.target.name} has no stage {name!r}", hint=f"it has: {', '.join(self.stages)}")
        return self.target.emit(list(low.kernels.values()), name)

    def as_text(self, stage: str = "final") -> str:
        """The text of a stage: graph, program, tile, kernel, or one of the target's (ptx, sass, ll, asm, final)."""
        made = self.stage(stage)
        if isinstance(made, bytes):
            raise UserError(f"stage {stage!r} is binary", hint="use .stage(name) for its bytes")
        return made

    def stats(self) -> list[dict[str, Any]]:
        """Per kernel: registers, spills, shared memory, occupancy (as far as the target knows), instruction mix, bytes, flops, intensity."""
        from .inspect.stats import kernel_stats

        return kernel_stats(self.target, self._low.program, list(self._low.kernels.values()))

    def compile(self) -> Any:
        """Something to call with arrays.  DeviceError where this target cannot run here."""
        return self.target.build(self._low.program, self._low.kernels)

    def __repr__(self) -> str:
        return f"<lowered {self._low.graph.name} for {self.target.name}: {len(self._low.kernels)} kernels>"
