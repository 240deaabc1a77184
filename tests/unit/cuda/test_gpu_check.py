"""`scripts/gpu_check.py` from end to end on the stand-in, so that it works the minute a card is there."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "gpu_check.py"
STANDIN = f"{ROOT / 'tests' / 'unit' / 'cuda' / 'standin.py'}:install"
sys.path.insert(0, str(ROOT / "scripts"))


def check(*args, **env):
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PTXJIT_CACHE_DIR")}
    return subprocess.run([sys.executable, str(SCRIPT), *args], capture_output=True, text=True, env=clean | env, cwd="/")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_without_a_card(tmp_path):
    code = (f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(SCRIPT.parent)!r}]; sys.argv = ['gpu_check.py', '--out', {str(tmp_path / 'out')!r}]\n"
            "from ptxjit.targets.ptx import driver_api; driver_api.LIBRARY = 'libcuda-that-is-not-there.so'\n"
            "import gpu_check; sys.exit(gpu_check.main())")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and not (tmp_path / "out").exists()
    assert done.stderr == "no card: cuda:0 cannot be used, because no NVIDIA driver is installed here (libcuda-that-is-not-there.so is not found)\n"


def test_unknown_steps():
    done = check("--steps", "nonsense")
    assert done.returncode == 2 and "there is no step nonsense" in done.stderr


@pytest.mark.slow
def test_every_step(tmp_path):
    import gpu_check

    done = check("--quick", "--driver", STANDIN, "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    for step in gpu_check.STEPS:
        items = {line["item"]: line for line in lines(tmp_path / f"{step}.jsonl")}
        assert items and all(line["status"] == "ok" for line in items.values()), (step, items)
    table = (tmp_path / "table.md").read_text()
    assert done.stdout.endswith(table + "\n") and "## What differs\n\nNothing." in table and "## Open questions" in table and "## Timings" in table
    assert table.startswith("# A card of paper, CUDA 13.0\n")


def test_a_run_goes_on_where_it_was(tmp_path):
    args = ("--quick", "--driver", STANDIN, "--out", str(tmp_path), "--steps", "environment,detection")
    assert check(*args).returncode == 0
    path = tmp_path / "detection.jsonl"
    whole = lines(path)
    path.write_text("".join(json.dumps(line) + "\n" for line in whole[:2]) + '{"item": "half a li')
    before = (tmp_path / "environment.jsonl").read_text()
    assert check(*args).returncode == 0
    assert (tmp_path / "environment.jsonl").read_text() == before
    again = {line["item"]: line for line in map(json.loads, path.read_text().splitlines()[:2] + path.read_text().splitlines()[3:])}
    assert set(again) == {line["item"] for line in whole} and again[whole[1]["item"]] == whole[1]
    key = json.loads((tmp_path / "key.json").read_text())
    (tmp_path / "key.json").write_text(json.dumps(key | {"driver": "another"}))
    assert check(*args).returncode == 0
    assert (tmp_path / "environment.jsonl").read_text() != before


def test_what_a_fault_does(tmp_path):
    """The item that lost the context is named, and a new process goes on behind it."""
    hook = tmp_path / "hook.py"
    hook.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
                    "def install():\n"
                    "    from tests.unit.cuda import standin\n"
                    "    import gpu_steps, os\n"
                    "    d = standin.install()\n"
                    "    def step(r, c):\n"
                    "        r.run('good', lambda: None)\n"
                    "        def lose():\n"
                    "            c.driver.error(int(standin.R.ILLEGAL_ADDRESS), 'a launch')\n"
                    "            raise AssertionError('wrong')\n"
                    "        r.run('loses the context', lose)\n"
                    "        r.run('kills the process', lambda: os._exit(9))\n"
                    "        r.run('differs', lambda: 'one of two')\n"
                    "        r.run('last', lambda: None)\n"
                    "    gpu_steps.RUN['bits'] = step\n")  # fmt: skip
    done = check("--quick", "--driver", f"{hook}:install", "--out", str(tmp_path / "out"), "--steps", "bits")
    items = {line["item"]: line["status"] for line in lines(tmp_path / "out" / "bits.jsonl")}
    assert items == {"good": "ok", "loses the context": "differs", "kills the process": "died", "differs": "differs", "last": "ok"}, done.stderr
    assert done.returncode == 1 and "| bits | differs | differs | one of two |" in done.stdout and "did not answer" in done.stdout


def test_when_time_is_up(tmp_path):
    done = check("--quick", "--driver", STANDIN, "--out", str(tmp_path), "--steps", "detection", "--minutes", "-1")
    assert done.returncode == 3 or "no time" not in done.stdout
    assert {line["status"] for line in lines(tmp_path / "detection.jsonl")} <= {"ok", "started", "no time"}


def test_a_step_that_cannot_start(tmp_path):
    hook = tmp_path / "hook.py"
    hook.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
                    "def install():\n"
                    "    from tests.unit.cuda import standin\n"
                    "    standin.install()\n"
                    "    if '--child' in sys.argv: raise RuntimeError('not today')\n")  # fmt: skip
    done = check("--quick", "--driver", f"{hook}:install", "--out", str(tmp_path / "out"), "--steps", "bits")
    assert done.returncode == 1 and "exit status 1: RuntimeError: not today" in done.stdout


@pytest.mark.slow
def test_nothing_but_the_five_packages_is_needed(tmp_path):
    """A Python that has neither test frameworks nor the command line's packages, nor pyopencl, hypothesis, platformdirs."""
    hook = tmp_path / "hook.py"
    hook.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
                    "class Refuse:\n"
                    "    def find_spec(self, name, path=None, target=None):\n"
                    "        if name.partition('.')[0] in ('pytest', '_pytest', 'hypothesis', 'typer', 'click', 'rich', 'pyopencl', 'platformdirs', 'mpmath', 'torch', 'triton'):\n"
                    "            raise ModuleNotFoundError(name, name=name) if path is not None or target is not None else ModuleNotFoundError(name, name=name)\n"
                    "sys.meta_path.insert(0, Refuse())\n"
                    "import importlib.util\n"
                    "real = importlib.util.find_spec\n"
                    "def find(name, package=None):\n"
                    "    try: return real(name, package)\n"
                    "    except ModuleNotFoundError: return None\n"
                    "importlib.util.find_spec = find\n"
                    "def install():\n"
                    "    from tests.unit.cuda import standin\n"
                    "    standin.install()\n")  # fmt: skip
    done = check("--quick", "--driver", f"{hook}:install", "--out", str(tmp_path / "out"), "--steps", "functions,programs")
    assert done.returncode == 0, done.stdout + done.stderr + "".join(p.read_text() for p in (tmp_path / "out").glob("*.log"))
