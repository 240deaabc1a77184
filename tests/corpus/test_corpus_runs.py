"""Every file of the corpus is read and printed back byte for byte, every kernel lifted and verified, and each kernel run once on the CPU.

`PTXJIT_CORPUS=all` (make corpus) runs every variant of every kernel.
"""
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ptxjit as pj
from ptxjit import targets
from ptxjit.ir.verify import verify

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import tests.corpus.cases  # noqa: E402, F401
from tests.corpus.corpus import CASES, FOLDERS, HERE, Entry, check, files  # noqa: E402

PATHS = [p for folder in FOLDERS for p in sorted((HERE / folder).glob("*.ptx"))]
ALL = os.environ.get("PTXJIT_CORPUS") == "all"


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_read_printed_lifted_verified(path: Path) -> None:
    ptx = targets.target("ptx")
    source = path.read_bytes().decode()
    module = ptx.read(source, path.name)
    assert str(module) == source
    for name in module.entries:
        entry = ptx.lift(module, name)
        verify(entry.kernel)
        for f in entry.kernel.functions:
            verify(f)


def chosen(entry: Entry) -> list[Path]:
    have = files(entry)
    return have if ALL else [next((p for p in have if ".O3." in p.name), have[0])]


RUNS = [pytest.param(name, path, id=f"{name}-{path.name}") for name, e in sorted(CASES.items()) for path in chosen(e)]


def aligned(a: Any) -> Any:
    """A copy at a multiple of 256 bytes, as a device allocates."""
    raw = np.empty(a.nbytes + 256, np.uint8)
    start = -raw.__array_interface__["data"][0] % 256
    out = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
@pytest.mark.parametrize("name,path", RUNS)
def test_runs_and_agrees(name: str, path: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    entry = CASES[name]
    case = entry.make(3)
    args = [aligned(a) if isinstance(a, np.ndarray) else a for a in case.args]
    module = pj.load_ptx(path)
    module.mode = mode
    kernel = module[name]
    kernel.launch(*args, grid=entry.grid, block=entry.block, shared=entry.shared, cooperative=case.cooperative, cluster=case.cluster)
    check(case, args)
    if case.stdout is not None:
        assert sorted(capsys.readouterr().out.splitlines()) == sorted(case.stdout.splitlines())
