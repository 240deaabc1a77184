"""The disk cache where the disk fails: full, read-only, a file or a link in its place, no home."""
from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from ptxjit.jitted import Jit

PROGRAM = textwrap.dedent("""
    import numpy as np, ptxjit as pj, warnings
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        y = pj.jit(lambda x: np.exp(x) * 2)(np.zeros(3, "f4"))
    print(y.tolist(), [str(w.message).partition(":")[0] for w in seen])
""")


def run(code, **variables):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **variables})


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits exist on POSIX only")
def test_a_full_disk(cache_folder):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n" + PROGRAM
    for _ in range(2):
        done = run(limited)
        assert done.stdout.strip() == "[2.0, 2.0, 2.0] ['a compiled program could not be cached']", done.stdout + done.stderr
    assert list(cache_folder.iterdir()) == []


def test_a_writer_killed_before_the_rename(cache_folder):
    killed = "import os, signal\nos.replace = lambda a, b: os.kill(os.getpid(), signal.SIGKILL)\n" + PROGRAM
    assert run(killed).returncode != 0
    [left] = cache_folder.iterdir()
    assert left.name.startswith(".")
    done = run(PROGRAM)
    assert done.stdout.strip() == "[2.0, 2.0, 2.0] []", done.stderr
    assert len(list(cache_folder.glob("*.bin"))) == 1


def test_a_file_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PTXJIT_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not a folder"):
        np.testing.assert_array_equal(Jit(lambda x: x + 1)(np.ones(3)), [2, 2, 2])


def test_a_link_in_its_place(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setenv("PTXJIT_CACHE_DIR", str(tmp_path / "link"))
    with pytest.warns(UserWarning, match="link"):
        np.testing.assert_array_equal(Jit(lambda x: x + 2)(np.ones(3)), [3, 3, 3])
    assert not list((tmp_path / "real").iterdir())


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PTXJIT_CACHE_DIR", str(tmp_path / "file" / "below"))
    np.testing.assert_array_equal(Jit(lambda x: x + 3)(np.ones(3)), [4, 4, 4])


def test_readonly_reads(cache_folder):
    run(PROGRAM)
    before = {f: f.stat().st_mtime_ns for f in cache_folder.iterdir()}
    count = "import sys\n" + PROGRAM + "print('llvmlite' in sys.modules)"
    assert run(count, PTXJIT_CACHE="readonly").stdout.split("\n")[1] == "False"
    assert {f: f.stat().st_mtime_ns for f in cache_folder.iterdir()} == before
