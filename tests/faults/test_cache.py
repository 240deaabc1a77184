"""The disk cache under killed writers, damage, foreign permissions, many processes."""
from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.jitted import Jit


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "cache"
    monkeypatch.setenv("PTXJIT_CACHE_DIR", str(path))
    return path


def double(x):
    return x * 2 + 1


X = np.arange(100, dtype="f4")


def test_an_entry_is_written_and_found(folder):
    np.testing.assert_array_equal(Jit(double)(X), double(X))
    assert len(list(folder.glob("*.bin"))) == 1 and folder.stat().st_mode & 0o777 == 0o700
    np.testing.assert_array_equal(Jit(double)(X), double(X))
    assert len(list(folder.glob("*.bin"))) == 1
    assert pj.cache.info()["entries"] == 1 and pj.cache.verify() is True and pj.cache.clear() == 1


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:100], lambda b: b"", lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], lambda b: b + b"x"])
def test_a_damaged_entry_is_a_miss_with_a_warning(folder, damage):
    Jit(double)(X)
    [entry] = folder.glob("*.bin")
    entry.write_bytes(damage(entry.read_bytes()))
    with pytest.warns(UserWarning, match="damaged"):
        np.testing.assert_array_equal(Jit(double)(X), double(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(Jit(double)(X), double(X))


def test_verify_names_what_it_drops(folder):
    Jit(double)(X)
    [entry] = folder.glob("*.bin")
    entry.write_bytes(b"nonsense")
    assert pj.cache.verify() == [entry.name] and not entry.exists()


def test_modes(folder, monkeypatch):
    monkeypatch.setenv("PTXJIT_CACHE", "off")
    Jit(double)(X)
    assert not folder.exists()
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("PTXJIT_CACHE", "readonly")
    Jit(double)(X)
    assert not list(folder.glob("*.bin"))
    monkeypatch.setenv("PTXJIT_CACHE", "sometimes")
    with pytest.raises(pj.errors.UserError):
        Jit(double)(X)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of this kind exist on POSIX only")
def test_a_folder_that_others_may_write_to_is_not_used(folder):
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(UserWarning, match="not used"):
        np.testing.assert_array_equal(Jit(double)(X), double(X))
    assert not list(folder.glob("*.bin"))


def test_a_link_is_not_followed(folder, tmp_path):
    Jit(double)(X)
    [entry] = folder.glob("*.bin")
    real = tmp_path / "elsewhere"
    entry.rename(real)
    entry.symlink_to(real)
    np.testing.assert_array_equal(Jit(double)(X), double(X))


PROGRAM = textwrap.dedent("""
    import sys, numpy as np, ptxjit as pj
    f = pj.jit(lambda x: np.exp(x) / x.sum())
    x = np.ones(1000, "f4")
    f(x)
    print("llvmlite" in sys.modules, "numba" in sys.modules)
""")


def test_a_hit_needs_no_llvmlite(folder, tmp_path):
    path = tmp_path / "p.py"
    path.write_text(PROGRAM)
    out = [subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True).stdout.split() for _ in range(2)]
    assert out[0][0] == "True" and out[1] == ["False", "False"]


def test_many_processes_and_a_killed_one(folder, tmp_path):
    path = tmp_path / "p.py"
    path.write_text(PROGRAM)
    running = [subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    running[0].kill()
    results = [p.communicate()[1] for p in running]
    assert all(p.returncode == 0 for p in running[1:]), results
    assert pj.cache.verify() is True
