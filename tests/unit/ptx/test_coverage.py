"""The table of instructions: complete, assembled by NVIDIA's ptxas, and the page made from it up to date."""
from __future__ import annotations

import pytest

from ptxjit.cli import main
from ptxjit.targets.ptx import coverage as page
from ptxjit.targets.ptx.lift import table
from ptxjit.targets.ptx.rows.table import opcodes, sections


@pytest.fixture(scope="module")
def found():
    return page.coverage()


def test_every_sample_is_read(found):
    assert [f.row.name for f in found if not f.read] == []
    assert len(found) == len({(f.row.section, f.row.name) for f in found}) > 250


def test_every_opcode_that_we_lift_has_a_row():
    """And every opcode of the rows has a lifter, or is wholly refused."""
    refused = {o for o in opcodes() if all(any(c == ((),) for c, _ in s.later) for s in sections() if o in s.opcodes)}
    assert set(opcodes()) == set(table()) | refused and not set(table()) & refused


def test_what_does_not_run_is_what_the_rows_refuse(found):
    refused = {(s.number, s.name) for s in sections() if any(c == ((),) for c, _ in s.later)}
    assert {(f.row.section, f.row.name) for f in found if not f.lifted} == refused
    assert all(f.reason.startswith("not executed yet: ") and f.lifted == f.runs for f in found if not f.runs)


def test_the_page_is_up_to_date(found):
    assert page.DOC.read_text(encoding="utf-8") == page.page(found), "run: python -m ptxjit.targets.ptx.coverage"


def test_doctor_prints_the_table(capsys, found):
    assert main(["doctor", "--ptx-coverage"]) == 0
    assert capsys.readouterr().out.strip() == page.table(found).strip()


def test_ptxas_takes_the_samples_by_hand(ptxas):
    """Those of the rows are in tests/properties/test_ptx_rows.py."""
    from ptxjit.targets.ptx.tools import assemble

    for r in page.rows():
        if (r.section, r.name) in page.BY_HAND:
            for sample in r.samples:
                assemble(page.module(sample), "sm_100a")
