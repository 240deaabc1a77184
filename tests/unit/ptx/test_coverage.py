"""The table of instructions: complete, assembled by NVIDIA's ptxas, and the page made from it up to date."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ptxjit.cli import main
from ptxjit.targets.ptx import coverage as page
from ptxjit.targets.ptx.lift import table
from ptxjit.targets.ptx.lift.core import LATER


@pytest.fixture(scope="module")
def found():
    return page.coverage()


def test_every_sample_is_read(found):
    assert [f.row.name for f in found if not f.read] == []
    assert len(found) == len({(f.row.section, f.row.name) for f in found}) > 240


def test_every_opcode_that_we_lift_has_a_row():
    used = {i.opcode for r in page.rows() for s in r.samples for i in page.opcodes(r, s)}
    assert used >= set(table()) and used - set(table()) == set(LATER)


def test_what_does_not_run_names_its_opcode(found):
    for f in found:
        if not f.runs:
            assert f.reason.startswith(tuple(s.split()[0].split(".")[0] for s in f.row.samples)), f
    later = {f.row.name.split(".")[0] for f in found if not f.lifted and not f.row.name.startswith(("cp", "multimem.cp"))}
    assert later <= set(LATER)


def test_the_page_is_up_to_date(found):
    assert page.DOC.read_text(encoding="utf-8") == page.page(found), "run: python -m ptxjit.targets.ptx.coverage"


def test_doctor_prints_the_table(capsys, found):
    assert main(["doctor", "--ptx-coverage"]) == 0
    assert capsys.readouterr().out.strip() == page.table(found).strip()


def test_ptxas_takes_every_sample(ptxas):
    from ptxjit.targets.ptx.tools import assemble

    modules: dict[str, list[str]] = {}
    for r in page.rows():
        modules.setdefault(r.arch, []).extend(r.samples)

    def one(arch: str) -> None:
        text = page.head(arch) + "".join(page.entry(s, n) for n, s in enumerate(modules[arch]))
        assemble(text, "sm_75" if arch == "sm_60" else arch)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, modules))
