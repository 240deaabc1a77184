"""The arrows between the layers, read from the sources."""
from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = ("llvmlite", "numba", "pyopencl", "hypothesis", "rich", "typer", "cuda")


def imports(path: Path) -> list[tuple[int, str, bool]]:
    """(level, module, at module level) of every import in a file."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    out = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            out += [(0, a.name, id(node) in top) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            out.append((node.level, node.module or "", id(node) in top))
    return out


def files(folder: str) -> list[Path]:
    return [p for p in (ROOT / folder).rglob("*.py") if not any(q.is_symlink() for q in [p, *p.parents])]


def test_ir_imports_only_numpy_and_itself():
    for path in files("ir"):
        depth = len(path.relative_to(ROOT / "ir").parts)
        for level, module, _ in imports(path):
            if level > depth:
                assert path.name == "rewrite.py" and module == "targets", (path, module)  # the replay command
            if level == 0:
                first = module.partition(".")[0]
                assert first in sys.stdlib_module_names or first in ("numpy", "ml_dtypes"), (path, module)


def test_no_target_imports_another():
    for path in files("targets"):
        parts = path.relative_to(ROOT / "targets").parts
        own = parts[0] if len(parts) > 1 else ""
        for level, module, _ in imports(path):
            if level == len(parts):  # relative to targets/
                assert module == "" or module.partition(".")[0] in (own, "llvm", "plan", "driver") or not own, (path, module)


def test_the_front_reaches_targets_only_through_the_registry():
    allowed = {"hardware.py", "cli/app.py"}  # the CPU's pool and name, and doctor's tools
    for path in files("ptxjit"):
        name = str(path.relative_to(ROOT / "ptxjit"))
        for _, module, _ in imports(path):
            if module.startswith("targets.") or ".targets." in module:
                assert name in allowed, (path, module)


def test_nobody_imports_a_second_ir():
    for folder in ("ir", "targets", "ptxjit", "tests", "examples", "benchmarks"):
        for path in files(folder):
            for level, module, _ in imports(path):
                assert level > 0 or module.partition(".")[0] not in ("ir", "targets"), (path, module)


def test_importing_ptxjit_loads_nothing_heavy():
    code = f"import ptxjit, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
