"""A target that comes from elsewhere: a distribution with an entry point in the group `ptxjit.targets`, found by name and used by lower()."""
from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import ptxjit as pj
from ptxjit import targets

MODULE = '''
"""A target family that counts: stage `count` says how often each op occurs; it runs nothing."""
from collections import Counter

from ptxjit.ir.device import DeviceFacts
from ptxjit.targets import Target


class Counting(Target):
    stages = ("count", "raw")
    text = "count"

    def __init__(self, name):
        self.name = name
        self.facts = DeviceFacts(name, "counting", 32, 4, 255, 128, 48 << 10, 1 << 20, 8)

    def emit(self, kernels, stage):
        if stage == "raw":
            return b"raw"
        return "\\n".join(f"{k.name}: {sorted(Counter(i.op.name for i in k.instrs()).items())}" for k in kernels)

    def stats(self, kernels):
        return [{"kernel": k.name, "instructions": sum(1 for _ in k.instrs())} for k in kernels]


def make(name):
    return Counting(name)
'''


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A distribution on sys.path, as pip would have left it; what was found through it is forgotten afterwards."""
    (tmp_path / "abacus_target.py").write_text(MODULE)
    info = tmp_path / "abacus-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(textwrap.dedent("""
        [ptxjit.targets]
        abacus = abacus_target:make
        missing = no_such_module:make
        cpu = abacus_target:make
    """))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(targets, "_families", dict(targets._families))
    monkeypatch.setattr(targets, "_targets", dict(targets._targets))
    yield tmp_path
    sys.modules.pop("abacus_target", None)


def test_found_by_name(elsewhere):
    assert "abacus" in targets.families()
    found = targets.target("abacus:wood")
    assert found.name == "abacus:wood" and targets.target("abacus:wood") is found and repr(found) == "<target abacus:wood>"


def test_used_by_lower(elsewhere):
    low = pj.jit(lambda x: (np.exp(x) * 2).sum(axis=1), name="sums").lower("f32[8,100]", target="abacus:wood")
    assert low.stages == ("graph", "program", "tile", "kernel", "count", "raw", "final")
    assert low.as_text().startswith("sums: [") and "ffma" in low.as_text("final") and low.stage("raw") == b"raw"
    assert low.stats()[0]["kernel"] == "sums"
    with pytest.raises(pj.errors.UserError, match="binary"):
        low.as_text("raw")
    with pytest.raises(pj.errors.UserError, match="abacus:wood has no stage 'ptx'"):
        low.as_text("ptx")
    with pytest.raises(pj.errors.DeviceError, match="cannot run here"):
        low.compile()


def test_its_kernels_run_on_the_interpreter(elsewhere):
    from ptxjit.testing import assert_targets_agree

    x = np.random.default_rng(0).standard_normal((5, 70)).astype("f4")
    assert_targets_agree(lambda x: x / x.sum(axis=1, keepdims=True), x, targets=["interp", "abacus:wood", "cpu"], bitwise=True)


def test_ours_cannot_be_taken_over(elsewhere):
    assert type(targets.target("cpu:x86-64-v3")).__name__ == "CpuTarget"


def test_a_family_that_is_not_there(elsewhere):
    with pytest.raises(pj.errors.UserError, match="no target family 'counting'") as e:
        targets.target("counting:1")
    assert "abacus" in e.value.hint


def test_a_broken_distribution_is_named(elsewhere):
    with pytest.raises(pj.errors.DeviceError, match="'missing' of the distribution abacus cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"):
        targets.target("missing:1")


def test_on_the_command_line(elsewhere, tmp_path):
    file = tmp_path / "user.py"
    file.write_text("import ptxjit as pj\n@pj.jit\ndef twice(x):\n    return x * 2\n")
    code = f"import sys; sys.path.insert(0, {str(elsewhere)!r}); from ptxjit.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "show", f"{file}:twice", "f32[64]", "--target", "abacus:wood", "--stage", "count"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith("twice: ["), done.stdout + done.stderr


def test_registered_by_hand(elsewhere):
    from abacus_target import make

    targets.register("beads", make)
    assert pj.jit(lambda x: x + 1).lower("f32[8]", target="beads:2").target.name == "beads:2"
    with pytest.raises(pj.errors.UserError, match="two target families"):
        targets.register("beads", make)
