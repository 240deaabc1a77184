"""The corpus itself: kernels are where the cases say, arguments fit the parameters, cases are deterministic."""
from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import tests.corpus.cases  # noqa: E402, F401
from tests.corpus.corpus import CASES, FOLDERS, HERE, check, files, params, size, text  # noqa: E402

names = pytest.mark.parametrize("name", sorted(CASES))


@names
def test_entry_is_in_its_files(name: str) -> None:
    """Every file of the case has the entry, with parameters of the sizes of the arguments."""
    entry = CASES[name]
    paths = files(entry)
    assert paths, f"no PTX for {entry.file}"
    args = entry.make().args
    for path in paths:
        assert re.search(rf"\.entry\s+{re.escape(name)}\s*[(\s{{]", text(path)), path.name
        assert params(text(path), name) == [size(a) for a in args], path.name


@names
def test_case_is_deterministic(name: str) -> None:
    """The same seed gives the same case; what is expected has the shapes of the arguments and satisfies itself."""
    entry = CASES[name]
    one, two, other = entry.make(), entry.make(), entry.make(1)
    assert [_bytes(a) for a in one.args] == [_bytes(a) for a in two.args]
    assert len(one.args) == len(other.args) and one.expect.keys() == two.expect.keys()
    assert all(isinstance(one.args[i], np.ndarray) for i in one.expect)
    assert all(a.flags.c_contiguous for a in one.args if isinstance(a, np.ndarray))
    for i, want in one.expect.items():
        if not callable(want):
            assert _bytes(want) == _bytes(two.expect[i])
    kept = {i: w for i, w in one.expect.items() if not callable(w)}
    check(one._replace(expect={**{i: (lambda a: True) for i in one.expect}, **kept}), [kept.get(i, a) for i, a in enumerate(one.args)])


@pytest.mark.parametrize("path", [p for folder in FOLDERS for p in sorted((HERE / folder).glob("*.ptx"))], ids=lambda p: p.name)
def test_file_has_cases(path: Path) -> None:
    """Every entry of every file has a case, and no path of a machine is in it."""
    used = {n for n, e in CASES.items() if path in files(e)}
    assert set(re.findall(r"\.entry\s+([\w$]+)", text(path))) <= used
    assert not re.search(r'\.file\s+\d+\s+"[^"]*/', text(path))


def _bytes(arg: object) -> object:
    return arg.tobytes() if isinstance(arg, (np.ndarray, np.generic)) else arg
