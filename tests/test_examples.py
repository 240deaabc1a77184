"""The examples that are tests themselves pass as users run them."""
from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def test_what_the_readme_recorded():
    """Each command of its terminal gives what stands below it."""
    [terminal] = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    commands = re.split(r"^\$ ", terminal, flags=re.M)[1:]
    assert len(commands) == 3
    for text in commands:
        command, _, shown = text.partition("\n")
        words = shlex.split(command)
        assert words[0] == "ptxjit"
        done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.strip() == shown.strip() and done.returncode == ("findings" in shown), done.stdout + done.stderr


def test_property_test_of_a_kernel(tmp_path):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_property.py")], cwd=tmp_path,
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0 and "failed" not in done.stdout, done.stdout + done.stderr
