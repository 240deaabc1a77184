"""What every test shares: a world without surprises.

Tests see none of the user's PTXJIT_ variables and use a cache folder of their own; Hypothesis runs derandomised and bounded (profile
`ci`; HYPOTHESIS_PROFILE=dev searches anew each time).  `golden(text, name)` compares with tests/golden/name; --update-golden rewrites
it.  A missing tool or package is a skip that names the command which brings it.
"""
from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = Path(__file__).resolve().parent / "golden"

for _name in [n for n in os.environ if n.startswith("PTXJIT_") and n not in ("PTXJIT_CORPUS", "PTXJIT_MUTATED", "PTXJIT_TINYGRAD")]:  # these size the suite
    del os.environ[_name]
_cache = tempfile.TemporaryDirectory(prefix="ptxjit-tests-", ignore_cleanup_errors=True)
os.environ["PTXJIT_CACHE_DIR"] = os.path.join(_cache.name, "cache")

_quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50, database=None, print_blob=False, suppress_health_check=_quiet)
settings.register_profile("dev", deadline=None, max_examples=200, print_blob=True, suppress_health_check=_quiet)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="writes the golden files anew instead of comparing with them")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --update-golden only the tests that compare with a file run."""
    if config.getoption("--update-golden"):
        items[:] = [i for i in items if "golden" in getattr(i, "fixturenames", ())]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """`golden(text, "kernel/axpy.ir")` fails where the text differs from the file, and shows how."""
    update = request.config.getoption("--update-golden")

    def compare(text: str, name: str) -> None:
        file = GOLDEN / name
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            return
        if not file.exists():
            pytest.fail(f"there is no golden file tests/golden/{name}: look at the text below, then run `make golden`\n{text}", pytrace=False)
        want = file.read_text(encoding="utf-8")
        if text != want:
            lines = difflib.unified_diff(want.splitlines(), text.splitlines(), f"tests/golden/{name}", "now", lineterm="")
            pytest.fail("\n".join(["the text differs (if that is right: make golden)", *lines]), pytrace=False)

    return compare


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty disk cache for this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PTXJIT_CACHE_DIR", str(folder))
    yield folder


def _needs(tool: str) -> str:
    from ptxjit.targets.ptx.tools import PACKAGES, available, find

    if not available(tool):
        pytest.skip(f"{tool} is missing: .venv/bin/python -m pip install {PACKAGES[tool]}")
    return find(tool)


@pytest.fixture(scope="session")
def ptxas() -> str:
    """Path of NVIDIA's assembler."""
    return _needs("ptxas")


@pytest.fixture(scope="session")
def nvdisasm() -> str:
    """Path of NVIDIA's disassembler."""
    return _needs("nvdisasm")
