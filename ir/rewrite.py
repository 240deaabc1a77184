"""Passes and pipelines.

A pass is a value: name, one line of help, a function, a level.  It returns the same object if it changed nothing.  A pipeline is a
list of passes; between passes the program is verified (`check=True`), and `on_pass_end` sees every step, so dumps, timing and
bisecting come from outside.  A pass that fails leaves its input in a folder, with the command that replays it:

    python -m ptxjit.ir.rewrite FILE PASS TARGET
"""
from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .errors import BugError, PtxjitError

Hook = Callable[["Pass", Any, Any, float], None]


class Pass(NamedTuple):
    """`fn(program) → program`, the same object if nothing changed."""

    name: str
    help: str
    fn: Callable[[Any], Any]
    level: str = "kernel"


class Pipeline:
    """Passes in order; see the module docstring."""

    def __init__(self, passes: Sequence[Pass], target: str = "") -> None:
        self.passes, self.target = tuple(passes), target

    def run(self, program: Any, *, check: bool = False, on_pass_end: Hook | None = None) -> Any:
        for p in self.passes:
            before, start = program, time.perf_counter()
            try:
                program = p.fn(before)
                if check and program is not before:
                    from .verify import verify

                    verify(program)
            except PtxjitError as e:
                if isinstance(e, BugError):
                    raise self._failed(p, before, e) from e
                raise
            except Exception as e:
                raise self._failed(p, before, e) from e
            if on_pass_end is not None:
                on_pass_end(p, before, program, time.perf_counter() - start)
        return program

    def _failed(self, p: Pass, before: Any, e: Exception) -> BugError:
        from .text import dump

        folder = Path(os.environ.get("PTXJIT_DUMP") or tempfile.mkdtemp(prefix="ptxjit-"))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"before-{p.name}.ir"
        path.write_text(dump(before))
        return BugError(f"pass {p.name} failed: {type(e).__name__}: {e}", place=getattr(e, "place", None),
                        hint=f"replay: {sys.executable} -m ptxjit.ir.rewrite {path} {p.name} {self.target}")  # fmt: skip

    def __repr__(self) -> str:
        return "Pipeline(" + " → ".join(p.name for p in self.passes) + ")"


def main(argv: Sequence[str]) -> int:
    """Replays one pass of a target's pipeline on a dumped program and prints the result."""
    from ..targets import target
    from .passes import kernel_pipeline
    from .text import dump, parse

    path, name, where = argv
    program = parse(Path(path).read_text())
    [found] = [p for p in kernel_pipeline(target(where).facts).passes if p.name == name]
    print(dump(found.fn(program)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
