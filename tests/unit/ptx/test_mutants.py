"""The instruction tests notice changes of our meaning of PTX: a seeded sample of mutants (`make mutants` runs all)."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_sample_of_mutants_is_killed():
    done = subprocess.run([sys.executable, str(ROOT / "tests" / "mutants.py"), "--sample", "20", "--seed", "3"], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.startswith(("20 killed", "19 killed", "18 killed")) and "0 survived" in done.stdout


def test_accepted_mutants_have_reasons():
    lines = (ROOT / "tests" / "mutants_accepted.txt").read_text(encoding="utf-8").splitlines()
    assert all("  # " in line and line.partition("  # ")[2].strip() for line in lines if line.strip() and not line.startswith("#"))
