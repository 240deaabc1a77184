"""The wheel: real files instead of links, and enough to work outside of the checkout."""
from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the tracked sources by the environment's own setuptools: no network."""
    import shutil

    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("ir", "targets", "ptxjit"):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(folder), str(source)],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    [found] = folder.glob("ptxjit-*.whl")
    return found


def test_the_wheel_has_every_source_file(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, prefix in (("ptxjit", ""), ("ir", "ptxjit/"), ("targets", "ptxjit/")):
        for path in (ROOT / folder).rglob("*.py"):
            if not any(p.is_symlink() for p in path.parents):
                assert prefix + path.relative_to(ROOT).as_posix() in names, path
    assert not any(n.startswith(("ir/", "targets/", "tests/")) for n in names)
    assert all(zipfile.ZipFile(wheel).getinfo(n).external_attr >> 28 != 0xA for n in names)  # no links


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh environment with the wheel in it; the dependencies are those of this one, found through a .pth file."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = Path(subprocess.run([str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], capture_output=True, text=True, check=True).stdout.strip())
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True, capture_output=True)
    (site / "dependencies.pth").write_text("\n".join({sysconfig.get_paths()[k] for k in ("purelib", "platlib")}))
    return python


def run(python, *args, folder, **variables):
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | variables
    return subprocess.run([str(python), *args], capture_output=True, text=True, cwd=folder, env=env)


def test_doctor_outside_of_the_checkout(installed, tmp_path):
    done = run(installed, "-m", "ptxjit", "doctor", folder=tmp_path)
    assert done.returncode == 0 and "llvmlite" in done.stdout and "cpu" in done.stdout, done.stdout + done.stderr


def test_a_kernel_outside_of_the_checkout(installed, tmp_path):
    (tmp_path / "p.py").write_text("import numpy as np, ptxjit as pj\n"
                                   "print(pj.__file__, pj.ir.__file__)\n"
                                   "f = pj.jit(lambda x: np.exp(x).sum())\n"
                                   "print(float(f(np.zeros(5))), 'entry' in f.lower('f32[8]', target='ptx:sm_90').as_text())\n")  # fmt: skip
    done = run(installed, "p.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    where, result = done.stdout.splitlines()
    assert str(ROOT) not in where and result == "5.0 True"


def test_no_home_folder_is_needed(installed, tmp_path):
    env = {"HOME": str(tmp_path / "missing"), "XDG_CACHE_HOME": "", "PTXJIT_CACHE_DIR": ""}
    code = "import numpy as np, ptxjit as pj; print(pj.jit(lambda x: x + 1)(np.ones(2)))"
    done = run(installed, "-c", code, folder=tmp_path, **env)
    assert done.returncode == 0 and done.stdout.strip() == "[2. 2.]", done.stderr
