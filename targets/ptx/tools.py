"""NVIDIA's assembler and disassembler, where they are: in this environment's own packages first, then on PATH."""
from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...ir.errors import ToolError

PACKAGES = {"ptxas": "nvidia-cuda-nvcc", "nvdisasm": "nvidia-cuda-nvdisasm"}


@lru_cache(maxsize=None)
def find(tool: str) -> str:
    """Path of a tool, or ToolError with the command that installs it."""
    name = tool + (".exe" if sys.platform == "win32" else "")
    for key in ("platlib", "purelib"):
        root = Path(sysconfig.get_paths()[key]) / "nvidia"
        for folder in sorted(root.glob("*/bin"), reverse=True):
            if (folder / name).is_file():
                return str(folder / name)
    found = shutil.which(tool)
    if found is None:
        raise ToolError(f"{tool} is not installed", hint=f"pip install {PACKAGES[tool]}")
    return found


def available(tool: str) -> bool:
    try:
        find(tool)
    except ToolError:
        return False
    return True


def _run(tool: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find(tool), *args], capture_output=True, text=True, timeout=300)


def assemble(ptx: str, arch: str, *, lines: bool = False) -> tuple[bytes, list[dict[str, Any]]]:
    """(cubin, per kernel: registers, spills, shared memory, stack).  `lines` keeps what `.loc` says.  ToolError shows ptxas' words and the PTX line."""
    with tempfile.TemporaryDirectory(prefix="ptxjit-") as folder:
        source, out = Path(folder) / "module.ptx", Path(folder) / "module.cubin"
        source.write_text(ptx)
        done = _run("ptxas", f"-arch={arch}", "-v", *(["-lineinfo"] if lines else []), "-o", str(out), str(source))
        if done.returncode != 0:
            raise ToolError(f"ptxas refuses the module: {explained(done.stderr, ptx)}")
        return out.read_bytes(), _resources(done.stderr)


def explained(message: str, ptx: str) -> str:
    """A compiler's words, with the lines of PTX that they are about."""
    lines = ptx.splitlines()
    out = []
    for text in message.strip().splitlines()[:5]:
        m = re.search(r"line (\d+)", text)
        text = re.sub(r"^ptxas \S*module\.ptx,? ?", "", text)
        out.append(text)
        if m and 0 < int(m[1]) <= len(lines):
            out.append("    " + lines[int(m[1]) - 1].strip())
    return "\n".join(out)


def _resources(report: str) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for line in report.splitlines():
        m = re.search(r"Compiling entry function '([^']+)'", line)
        if m:
            out.append({"kernel": m[1], "registers": 0, "spill stores": 0, "spill loads": 0, "shared bytes": 0, "stack bytes": 0})
        if not out:
            continue
        for pattern, key in ((r"Used (\d+) registers", "registers"), (r"(\d+) bytes stack frame", "stack bytes"), (r"(\d+) bytes spill stores", "spill stores"),
                             (r"(\d+) bytes spill loads", "spill loads"), (r"(\d+) bytes smem", "shared bytes")):  # fmt: skip
            m = re.search(pattern, line)
            if m:
                out[-1][key] = int(m[1])
    return out


def disassemble(cubin: bytes) -> str:
    """SASS, NVIDIA's real machine code."""
    with tempfile.TemporaryDirectory(prefix="ptxjit-") as folder:
        path = Path(folder) / "module.cubin"
        path.write_bytes(cubin)
        done = _run("nvdisasm", "-c", str(path))
        if done.returncode != 0:
            raise ToolError(f"nvdisasm failed: {done.stderr.strip()[:400]}")
        return done.stdout


def disassemble_lines(cubin: bytes) -> tuple[str, list[tuple[str, int] | None]]:
    """SASS, and the (file name, line) of each of its lines, from a cubin with line numbers."""
    with tempfile.TemporaryDirectory(prefix="ptxjit-") as folder:
        path = Path(folder) / "module.cubin"
        path.write_bytes(cubin)
        done = _run("nvdisasm", "-c", "-g", str(path))
        if done.returncode != 0:
            raise ToolError(f"nvdisasm failed: {done.stderr.strip()[:400]}")
    lines: list[str] = []
    places: list[tuple[str, int] | None] = []
    now: tuple[str, int] | None = None
    for line in done.stdout.splitlines():
        m = re.match(r'\s*//## File "([^"]*)", line (\d+)', line)
        if m:
            now = (m[1].replace("\\", "/").rpartition("/")[2], int(m[2]))
            continue
        if re.match(r"\s*\.(section|text)", line):
            now = None
        lines.append(line)
        places.append(now if re.match(r"\s+/\*[0-9a-f]+\*/", line) else None)
    return "\n".join(lines) + "\n", places
