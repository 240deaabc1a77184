"""Planted faults: each is found at its line with its kind, and the corrected twin has none.

`planted/*.cu` hold kernels; `// launch: …` above one says how to run it, `//! kind` on a line is a finding that must stand there, `//? kind`
one that may.  `*_bad` kernels have faults, `*_ok` ones do not.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.interp.findings import KINDS

HERE = Path(__file__).resolve().parent / "planted"
DTYPES = {"i32": np.int32, "f32": np.float32, "u8": np.uint8}


class Plant(NamedTuple):
    file: str
    name: str
    launch: dict[str, str]
    must: set[tuple[str, int]]
    may: set[tuple[str, int]]


def plants() -> list[Plant]:
    out: list[Plant] = []
    for path in sorted(HERE.glob("*.cu")):
        launch: dict[str, str] = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith("// launch: "):
                launch = dict(w.split("=", 1) for w in line[11:].split())
            found = re.match(r"K (?:__cluster_dims__\([\d, ]+\) )?(\w+)\(", line)
            if found:
                out.append(Plant(path.stem, found[1], launch, set(), set()))
            for sign, kind in re.findall(r"//([!?]) ([\w-]+)", line):
                (out[-1].must if sign == "!" else out[-1].may).add((kind, number))
    return out


def arguments(text: str) -> list[Any]:
    out: list[Any] = []
    for word in text.split(","):
        found = re.fullmatch(r"(\w+)\[(\d+)\]", word)
        out.append(np.zeros(int(found[2]), DTYPES[found[1]]) if found else np.int64(word) if word == "0" else np.int32(word))
    return out


def checked(path: Path, p: Plant, fast: bool = False) -> Any:
    mod = pj.load_ptx(path, device="interp")
    sizes = [q.size for q in mod.kernels[p.name].params]
    args = [a if isinstance(a, np.ndarray) else int(a) for a in arguments(p.launch["args"])]
    assert len(sizes) == len(args)
    return pj.check(mod, p.name, grid=int(p.launch["grid"]), block=int(p.launch["block"]), shared=int(p.launch.get("shared", 0)), args=args,
                    cooperative=bool(p.launch.get("cooperative")), fast=fast)


PLANTS = plants()


@pytest.mark.parametrize("variant", ["O3", "O0"])
@pytest.mark.parametrize("plant", PLANTS, ids=[f"{p.file}-{p.name}" for p in PLANTS])
def test_planted(plant, variant):
    report = checked(HERE / f"{plant.file}.{variant}.ptx", plant)
    got = {(f.kind, int(f.source.rpartition(":")[2])) for f in report.findings}
    assert plant.name.endswith("_ok") == (not plant.must)
    assert plant.must <= got <= plant.must | plant.may, report
    assert report.error is None
    assert bool(report) == (not got)
    for f in report.findings:
        assert f.source.startswith(plant.file + ".cu:") and f.line > 0
        if f.kind == "race":
            assert f.other is not None and f.other.other is f
        if f.kind == "missing-wait":
            assert f.other is not None and "cp.async" in (HERE / f"{plant.file}.{variant}.ptx").read_text().splitlines()[f.other.line - 1]


@pytest.mark.parametrize("variant", ["O3", "O0"])
@pytest.mark.parametrize("plant", [p for p in PLANTS if p.file == "bounds"], ids=lambda p: p.name)
def test_compiled_code_finds_what_is_out_of_bounds(plant, variant):
    path = HERE / f"{plant.file}.{variant}.ptx"
    slow, report = checked(path, plant), checked(path, plant, fast=True)
    want = {f.spot for f in slow.findings if f.kind == "out-of-bounds"}
    assert {f.spot for f in report.findings} == want and report.error is None, report
    for f in report.findings:
        like = next(g for g in slow.findings if g.spot == f.spot and g.kind == f.kind)
        assert (f.kind, f.block, f.source) == ("out-of-bounds", like.block, like.source) and f.count >= like.count
        if variant == "O3":  # at O0 addresses are generic, and lanes need not come in order
            assert f.thread == like.thread and f.message.rpartition(": ")[2] == like.message.rpartition(": ")[2]


def test_every_kind_has_three_forms():
    forms = {k: {p.name for p in PLANTS if any(kind == k for kind, _ in p.must)} for k in KINDS}
    assert all(len(f) >= 3 for f in forms.values()), forms
