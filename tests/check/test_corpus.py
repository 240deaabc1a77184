"""Correct kernels give no finding: the corpus under `check`, a sample of it by default, all of it by `make corpus`."""
from __future__ import annotations

import os
import re

import numpy as np
import pytest

import ptxjit as pj
import tests.corpus.cases  # noqa: F401
from tests.corpus import corpus

ORDERED = ("atomics", "blocks", "copies", "warps", "hopper", "memory", "wmma")  # where lanes depend on each other
ENTRIES = sorted(corpus.CASES)
SAMPLE = [n for k, n in enumerate(ENTRIES) if k % 4 == 0 or corpus.CASES[n].file in ORDERED]


def find(entry, variant):
    files = [f for f in corpus.files(entry) if re.search(rf"\.entry\s+{entry.name}\b", corpus.text(f))]
    return next((f for f in files if f".{variant}." in f.name), files[0] if files else None)


def aligned(a):
    """A copy at a multiple of 256 bytes."""
    raw = np.zeros(a.nbytes + 256, np.uint8)
    start = -raw.ctypes.data % 256
    out = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def run(name, variant, seed=1, checked=True, fast=False):
    entry = corpus.CASES[name]
    path = find(entry, variant)
    if path is None:
        pytest.skip("this kernel is compiled for another variant")
    case = entry.make(seed)
    args = [aligned(a) if isinstance(a, np.ndarray) else a for a in case.args]
    how = dict(grid=entry.grid, block=entry.block, shared=entry.shared, cooperative=case.cooperative, cluster=case.cluster)
    if checked:
        report = pj.check(path, name, args=args, **how, fast=fast)
        assert report, report
    else:
        pj.load_ptx(path, device="interp")[name].launch(*args, **how)
    if variant != "O0":  # contraction to fma is the optimiser's
        corpus.check(case, args)


@pytest.mark.parametrize("name", SAMPLE)
def test_nothing_is_found(name):
    run(name, "O3")


@pytest.mark.parametrize("name", ENTRIES if os.environ.get("PTXJIT_CORPUS") == "all" else SAMPLE[::2] + ["recursion", "dynamic_stack", "local_array"])
def test_compiled_code_finds_nothing(name):
    run(name, "O3", fast=True)


@pytest.mark.parametrize("name", ["block_reduce", "matmul_tile", "cp_async", "lock_per_warp", "look_back"])
def test_without_one_of_its_waits_something_is_found(name):
    """Each barrier, fence and wait of some kernels is taken away in turn; the last barrier of a loop that is not run again is not missed."""
    entry = corpus.CASES[name]
    text = corpus.text(find(entry, "O3"))
    start = re.search(rf"\.entry\s+{name}\b", text).start()
    found = []
    for m in re.finditer(r"(bar\.sync|membar|fence|cp\.async\.wait_)[^;]*;", text[start : text.index("\n}", start)]):
        case = entry.make(1)
        args = [aligned(a) if isinstance(a, np.ndarray) else a for a in case.args]
        text_without = text[: start + m.start()] + text[start + m.end() :]
        found.append(not pj.check(text_without, name, args=args, grid=entry.grid, block=entry.block, shared=entry.shared, cooperative=case.cooperative))
    assert found and found.count(False) <= (name == "matmul_tile"), found


if os.environ.get("PTXJIT_CORPUS") == "all":  # make corpus

    @pytest.mark.parametrize("variant", ["O3", "O0", "lineinfo", "G", "fast"])
    @pytest.mark.parametrize("name", ENTRIES)
    def test_nothing_is_found_anywhere(name, variant):
        run(name, variant, seed=2)
