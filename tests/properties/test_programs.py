"""Random programs on ourselves: every step against NumPy, the whole against the oracle."""
from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings

import ptxjit.functions.elementwise as elementwise
from ptxjit.testing import programs
from ptxjit.testing.fuzz import Difference, examine, fuzz
from ptxjit.testing.grammar import Program, Step


@settings(max_examples=100)
@given(programs())
def test_random_programs(p):
    examine(p)


def test_a_wrong_step_is_found_and_named(monkeypatch):
    monkeypatch.setitem(elementwise.RULES, "absolute", elementwise.RULES["negative"])
    counts, failures = fuzz(400, 1, most=1)
    assert counts["differs"] == 1 and "abs" in failures[0].why


def test_a_refusal_is_counted(monkeypatch):
    monkeypatch.delitem(elementwise.RULES, "square")
    p = Program([Step("v0", "np.square(x0)", 0.0)], ["v0"], [np.ones(3)])
    with pytest.raises(Difference) as e:
        examine(p)
    assert e.value.kind == "refused"


def test_the_script(tmp_path):
    p = Program([Step("v0", "x0 * 2 + x1", 0.0)], ["v0"], [np.arange(3.0), np.float32(1.5)])
    path = tmp_path / "again.py"
    path.write_text(p.script())
    out = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out[0].removeprefix("NumPy ").strip() == out[1].removeprefix("ptxjit").strip()


def test_the_command():
    done = subprocess.run([sys.executable, "-m", "ptxjit.testing.fuzz", "--n", "20", "--seed", "5"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("20 programs") and done.stdout.endswith("0 differences, 0 refused\n"), done.stdout
