"""Compiles planted/*.cu to <stem>.O3.ptx and <stem>.O0.ptx, with line numbers; needs nvcc.

    python tests/check/planted/rebuild.py [STEM…]
"""
from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS: dict[str, list[str]] = {"O3": [], "O0": ["-Xcicc", "-O0"]}


def bare(ptx: str) -> str:
    """The text with the paths of `.file` lines cut to file names."""
    return re.sub(r'^(\s*\.file\s+\d+\s+)"(?:[^"]*/)?([^"/]*)"', r'\1"\2"', ptx, flags=re.M)


def main() -> int:
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    for source in sorted(HERE.glob("*.cu")):
        if sys.argv[1:] and source.stem not in sys.argv[1:]:
            continue
        for variant, flags in FLAGS.items():
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / source.name).write_bytes(source.read_bytes())
                command = [nvcc, "-ptx", "-arch=sm_90", "-lineinfo", "-std=c++17", "-diag-suppress", "549,550,177", *flags, source.name, "-o", "out.ptx"]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
                if done.returncode:
                    print(done.stderr or done.stdout)
                    return 1
                (HERE / f"{source.stem}.{variant}.ptx").write_text(bare((Path(folder) / "out.ptx").read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
