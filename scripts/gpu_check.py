"""Everything that needs a real NVIDIA card, in one command of under eight minutes:

    python scripts/gpu_check.py

It needs numpy, llvmlite, numba, ml_dtypes, cuda-bindings and this source tree; nothing is installed and no network is used.  PyTorch and Triton
are timed beside ours where they are.  Each step runs in a process of its own and writes a line per item to
`benchmarks/results/<card>/<step>.jsonl`; a run that was interrupted, or whose process a fault on the card ended, goes on where it was.  `table.md`
in that folder is the result.  Exit status: 0 all is right, 1 something differs, 2 there is no card, 3 time was up before the end (run it again).

    --steps a,b     only these (see STEPS)                    --out FOLDER     instead of benchmarks/results/<card>
    --device NAME   another card than cuda:0                  --again          forgets what an earlier run wrote
    --minutes N     time for all (default 7)                --quick          a small sample of every step
    --driver F:N    function N of the file F puts a stand-in for the driver in place (for tests of this script)
"""
from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "scripts"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

# step → (share of the time, what it is)
STEPS = {
    "environment": (1, "versions of what is used"),
    "detection": (1, "what the driver says of the card, and how long looking takes"),
    "functions": (14, "the test list on the card: the oracle's bits"),
    "instructions": (20, "PTX instructions on arrays of operands: exact references"),
    "programs": (6, "PTX of barriers, asynchronous copies, clusters, calls, matrices: what the tests expect"),
    "corpus": (14, "the PTX corpus: NumPy references"),
    "bits": (18, "reproducible functions on large arrays: the CPU's bits"),
    "questions": (5, "what the manual leaves open: the card beside our reader on the CPU"),
    "timings": (16, "kernels by the card's clock, beside PyTorch and Triton"),
    "overhead": (5, "what a launch costs"),
}
STALL = 150  # seconds without a line after which a step's process is ended
LOST = 75  # exit status of a step whose context was lost


class Record:
    """The lines of one step.  An item whose last line says `started` ended its process."""

    def __init__(self, path: Path, deadline: float, lost: Any = lambda: False) -> None:
        self.path, self.deadline, self.lost = path, deadline, lost
        self.done: dict[str, dict[str, Any]] = {}
        for line in read(path):
            self.done[line["item"]] = line
        for name, line in list(self.done.items()):
            if line["status"] == "started":
                self.write(name, "died", message="the process ended, or did not answer, while this ran")

    def write(self, item: str, status: str, **more: Any) -> None:
        line = self.done[item] = {"item": item, "status": status, **more}
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")

    def run(self, item: str, fn: Any, optional: bool = False) -> None:
        """`fn` gives None or a dict (right), or a str (what differs).  What is optional runs if there is time."""
        if self.done.get(item, {}).get("status") not in (None, "no time"):
            return
        if time.time() > self.deadline:
            if not optional:
                self.write(item, "no time")
            return
        from ptxjit.errors import PtxjitError, ToolError, UnsupportedError

        self.write(item, "started")
        start = time.perf_counter()
        try:
            got = fn()
        except (UnsupportedError, ToolError) as e:
            self.write(item, "refused", message=str(e)[:600])
        except PtxjitError as e:
            self.write(item, "error", message=str(e)[:600])
        except AssertionError as e:
            self.write(item, "differs", message=str(e)[:600])
        except Exception as e:  # noqa: BLE001  the next item may still run
            self.write(item, "error", message=f"{type(e).__name__}: {e}"[:600])
        else:
            if isinstance(got, str):
                self.write(item, "differs", message=got[:600])
            else:
                self.write(item, "ok", seconds=round(time.perf_counter() - start, 4), **(got or {}))
        if self.lost():
            os._exit(LOST)


def read(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file."""
    out = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:  # a line that was being written when its process ended
                continue
    return out


def inject(driver: str | None) -> None:
    if driver:
        from importlib.util import module_from_spec, spec_from_file_location

        file, _, name = driver.rpartition(":")
        spec = spec_from_file_location("gpu_check_driver", file)
        assert spec is not None and spec.loader is not None
        module = sys.modules["gpu_check_driver"] = module_from_spec(spec)
        spec.loader.exec_module(module)
        getattr(module, name)()


def source_id() -> str:
    """Changes with any source that decides a result."""
    h = hashlib.sha256()
    for folder in ("ptxjit", "ir", "targets", "scripts", "tests/unit/ptx", "tests/corpus", "tests/targets", "tests/properties"):
        for p in sorted((ROOT / folder).rglob("*")):
            if p.suffix in (".py", ".ptx") and p.is_file() and "__pycache__" not in p.parts:
                h.update(p.relative_to(ROOT).as_posix().encode() + p.read_bytes())
    return h.hexdigest()[:12]


def child(step: str, args: argparse.Namespace) -> int:
    os.environ["PTXJIT_CACHE"] = "off"
    inject(args.driver)
    from gpu_steps import RUN, Context

    context = Context(args.device, args.quick)
    RUN[step](Record(args.out / f"{step}.jsonl", args.deadline, lambda: context.driver.lost), context)
    return 0


def run_step(step: str, args: argparse.Namespace, seconds: float) -> None:
    """The step in processes of its own, until it is through or its time is up."""
    path = args.out / f"{step}.jsonl"
    deadline = time.time() + seconds
    command = [sys.executable, str(Path(__file__).resolve()), "--child", step, "--out", str(args.out), "--device", args.device, "--deadline", str(deadline)]
    command += ["--quick"] * args.quick + (["--driver", args.driver] if args.driver else [])
    for _ in range(40):
        before = len(read(path))
        with open(args.out / f"{step}.log", "ab") as log:
            p = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
            seen, size = time.time(), -1
            while p.poll() is None:
                time.sleep(0.1)
                now = path.stat().st_size if path.exists() else 0
                seen, size = (time.time(), now) if now != size else (seen, size)
                if time.time() - seen > STALL or time.time() > deadline + 45:
                    p.kill()
                    p.wait()
        if p.returncode == 0:
            return
        if len(read(path)) <= before:  # it ended before it came to anything new
            tail = (args.out / f"{step}.log").read_text(errors="replace").strip().splitlines()[-1:]
            Record(path, 0).write("(the step itself)", "error", message=f"exit status {p.returncode}: {' '.join(tail)}"[:600])
            return


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--steps", default=",".join(STEPS))
    ap.add_argument("--out", type=Path)
    ap.add_argument("--device", default="cuda:0")
    ap.add_argument("--again", action="store_true")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--minutes", type=float, default=7.0)
    ap.add_argument("--driver")
    ap.add_argument("--child", help=argparse.SUPPRESS)
    ap.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    args = ap.parse_args()
    steps = [s for s in args.steps.split(",") if s]
    unknown = [s for s in steps if s not in STEPS]
    if unknown:
        ap.error(f"there is no step {unknown[0]}; there are: {', '.join(STEPS)}")
    if args.child:
        return child(args.child, args)
    start = time.time()
    inject(args.driver)
    from ptxjit.errors import PtxjitError
    from ptxjit.hardware import device

    try:
        found = device(args.device)
        why = found.why_not
    except PtxjitError as e:
        found, why = None, e.hint or e.message
    if found is None or why is not None:
        print(f"no card: {args.device} cannot be used, because {why}", file=sys.stderr)
        return 2
    args.out = args.out or ROOT / "benchmarks" / "results" / re.sub(r"[^a-z0-9]+", "-", found.hardware.lower()).strip("-")
    args.out.mkdir(parents=True, exist_ok=True)
    key = {"hardware": found.hardware, "driver": found.driver, "source": source_id(), "quick": args.quick}
    file = args.out / "key.json"
    if args.again or not file.exists() or json.loads(file.read_text()) != key:
        for p in [*args.out.glob("*.jsonl"), *args.out.glob("*.log")]:
            p.unlink()
        file.write_text(json.dumps(key) + "\n")
    for n, step in enumerate(steps):
        left = start + 60 * args.minutes - time.time()
        share = STEPS[step][0] / max(sum(STEPS[s][0] for s in steps[n:]), 1)
        print(f"{step:13} {STEPS[step][1]} …", flush=True)
        began = time.time()
        run_step(step, args, max(left * min(1.6 * share, 1), 3))
        from gpu_table import counted

        print(f"{'':13} {counted(read(args.out / f'{step}.jsonl'))}, {time.time() - began:.0f} s", flush=True)
    from gpu_table import table, verdict

    text = table(args.out, key, {s: STEPS[s][1] for s in STEPS}, time.time() - start)
    (args.out / "table.md").write_text(text, encoding="utf-8")
    print("\n" + text)
    return verdict(args.out, steps)


if __name__ == "__main__":
    sys.exit(main())
