"""The commands that read PTX: `translate`."""
from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .load import UsageError

TARGETS = ["ptx", "ptx:sm_75", "ptx:sm_80", "ptx:sm_86", "ptx:sm_89", "ptx:sm_90", "ptx:sm_90a", "ptx:sm_100", "ptx:sm_120", "cpu:host",
           "cpu:x86-64-v3", "cpu:x86-64-v4", "cpu:aarch64"]  # fmt: skip
File = Annotated[str, typer.Argument(metavar="FILE.ptx", help="PTX of any origin; - is standard input")]
Entry = Annotated[str, typer.Option("--entry", "-e", help="one entry (default: all)")]


def source_of(file: str) -> str | Path:
    """The PTX that a command line names; UsageError where there is none."""
    if file == "-":
        return sys.stdin.read() + "\n"
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no file {file}")
    return path


def translate(file: File,
              to: Annotated[str, typer.Option("--to", help="ptx, ptx:sm_80, cpu:host, cpu:x86-64-v3 …", autocompletion=lambda incomplete: [
                  t for t in TARGETS if t.startswith(incomplete)])] = "cpu:host",
              entry: Entry = "",
              stage: Annotated[str, typer.Option("--stage", "-s", help="kernel, ll, asm, ptx or final")] = "final",
              output: Annotated[str, typer.Option("-o", help="write there instead; a name that ends in .o gets object code")] = "") -> None:  # fmt: skip
    """PTX for another target: code for any CPU, or PTX for another architecture."""
    from ..translation import translate as translated

    source = source_of(file)
    t = translated(source, target=to, entry=entry or None)
    if entry and entry not in t.tree.entries:
        raise UsageError(f"there is no entry {entry} in {file}")
    if output.endswith(".o"):
        Path(output).write_bytes(t.binary)
    elif output:
        Path(output).write_text(t.as_text(stage))
    else:
        sys.stdout.write(t.as_text(stage))
        sys.stdout.flush()
