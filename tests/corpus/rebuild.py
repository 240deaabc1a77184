"""Compile src/*.cu to ptx/<stem>.<arch>.<variant>.ptx as the `// build:` lines say; needs nvcc.

    python tests/corpus/rebuild.py [STEM…]     compile (all, or these)
    python tests/corpus/rebuild.py --check     also assemble every PTX file with ptxas
    python tests/corpus/rebuild.py --count     only count what is there
"""
from __future__ import annotations

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = {"O3": [], "O0": ["-Xcicc", "-O0"], "lineinfo": ["-lineinfo"], "G": ["-G"], "fast": ["-use_fast_math"]}


def builds(source: Path) -> list[tuple[str, str]]:
    """The (arch, variant) pairs of a source's line `// build: sm_80 O3 O0; sm_90 O3`."""
    line = re.search(r"^// build: (.*)$", source.read_text(), re.M)
    assert line, f"{source.name}: no build line"
    return [(arch, v) for part in line[1].split(";") for arch, *variants in [part.split()] for v in variants]


def bare(ptx: str) -> str:
    """The text with the paths of `.file` lines cut to file names."""
    return re.sub(r'^(\s*\.file\s+\d+\s+)"(?:[^"]*/)?([^"/]*)"', r'\1"\2"', ptx, flags=re.M)


def compile_one(nvcc: str, source: Path, arch: str, variant: str) -> str | None:
    """Write one PTX file; the compiler's words if it fails."""
    home = Path(tempfile.gettempdir()) / "ptx-corpus"           # debug information names the folder: the same one everywhere
    home.mkdir(exist_ok=True)
    (home / source.name).write_bytes(source.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.ptx"
        done = subprocess.run([nvcc, "-ptx", f"-arch={arch}", "-std=c++17", "-diag-suppress", "550,177", *FLAGS[variant], source.name, "-o", str(out)],
                              cwd=home, capture_output=True, text=True)
        if done.returncode:
            return done.stderr or done.stdout
        (HERE / "ptx" / f"{source.stem}.{arch}.{variant}.ptx").write_text(bare(out.read_text()))
    return None


def all_ptx() -> list[Path]:
    """Every PTX file of the corpus."""
    return [p for folder in ("ptx", "hand", "numba", "triton") for p in sorted((HERE / folder).glob("*.ptx"))]


def assemble(ptxas: str, path: Path) -> str | None:
    """ptxas on one file; its words if it refuses."""
    target = re.search(r"^\s*\.target\s+(\w+)", path.read_text(), re.M)
    arch = target[1] if target else "sm_80"
    arch = arch if int(re.sub(r"\D", "", arch)) >= 75 else "sm_75"
    done = subprocess.run([ptxas, "-arch", arch, "-O0" if path.stem.endswith(".G") else "-O1", str(path), "-o", os.devnull],
                          capture_output=True, text=True)
    return (done.stderr or done.stdout) if done.returncode else None


def opcodes(ptx: str) -> set[str]:
    """The opcodes of a text, modifiers included."""
    ptx = re.sub(r"/\*.*?\*/", "", re.sub(r"//[^\n]*", "", ptx), flags=re.S)
    found = re.findall(r"(?:^|[;{}:])\s*(?:@!?[%$\w]+\s+)?([a-z][a-z0-9_]*(?:(?:::|\.)[a-z0-9_]+)*)(?=[\s;])(?=[^;{}]*;)", ptx, re.M)
    return {op for op in found if not op.startswith(("const", "file", "section"))}


def count() -> None:
    """Print how large the corpus is."""
    paths = all_ptx()
    texts = [p.read_text() for p in paths]
    ops = set().union(*map(opcodes, texts))
    entries = {e for t in texts for e in re.findall(r"\.entry\s+([\w$]+)", t)}
    print(f"{len(entries)} kernels, {len(paths)} PTX files, {sum(map(len, texts)) / 1e6:.2f} MB, {len(ops)} opcodes with modifiers, "
          f"{len({op.split('.')[0] for op in ops})} without")


def main() -> int:
    """Compile, count, assemble."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stems", nargs="*")
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parser.add_argument("--ptxas", default=shutil.which("ptxas"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.count:
        count()
        return 0
    sources = [s for s in sorted((HERE / "src").glob("*.cu")) if not options.stems or s.stem in options.stems]
    jobs = [(s, arch, variant) for s in sources for arch, variant in builds(s)]
    keep = {f"{s.stem}.{arch}.{variant}.ptx" for s, arch, variant in jobs}
    for path in (HERE / "ptx").glob("*.ptx"):
        if path.name not in keep and (not options.stems or path.name.split(".")[0] in options.stems):
            path.unlink()
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for (source, arch, variant), words in zip(jobs, pool.map(lambda j: compile_one(options.nvcc, *j), jobs)):
            if words:
                failed += 1
                print(f"not compiled: {source.name} {arch} {variant}: {words.strip()[:2000]}", file=sys.stderr)
        if options.check:
            paths = [p for p in all_ptx() if not options.stems or p.name.split(".")[0] in options.stems]
            for path, words in zip(paths, pool.map(lambda p: assemble(options.ptxas, p), paths)):
                if words:
                    failed += 1
                    print(f"not assembled: {path.name}: {words.strip()[:1500]}", file=sys.stderr)
    count()
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
