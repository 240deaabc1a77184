"""`make fuzz N=… SEED=…`: random programs, on every layout and dtype, under @jit against NumPy.

Each program is looked at twice.  Its steps, one by one: the oracle computes all of them, and NumPy computes each from the oracle's own
operands, so no error is carried on and exact steps must have NumPy's bits.  Then as a whole: the device's results must have the
oracle's bits, however the program was fused.  What differs, or is refused, is shrunk and printed, with the step of the compilation that
broke it, and written as a script that runs it again.
"""
from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..ir.errors import PtxjitError
from ..jitted import Jit
from .compare import bits_difference, expect, results
from .grammar import Program
from .steps import which_step
from .strategies import load_all

FAILURES = Path(".ptxjit") / "failures"


class Difference(AssertionError):
    """A program on which NumPy and @jit part: its text says how."""

    def __init__(self, program: Program, why: str, kind: str) -> None:
        super().__init__(why)
        self.program, self.why, self.kind = program, why, kind


def examine(p: Program, device: str = "cpu") -> None:
    """Raises Difference where a step or the whole is wrong, or is refused."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            values = _step_by_step(p)
            got = results(Jit(p.fn, device=device)(*p.inputs))
        except Difference:
            raise
        except PtxjitError as e:
            raise Difference(p, f"{type(e).__name__}: {e}", "refused") from e
        except Exception as e:
            raise Difference(p, f"crashed, {type(e).__name__}: {e}", "refused") from e
        why = bits_difference([np.asarray(values[name]) for name in p.returned], got)
    if why is not None:
        raise Difference(p, f"the results on {device} are not the oracle's: {why}", "differs")


def _step_by_step(p: Program) -> dict[str, Any]:
    """The oracle's value of every step, each compared with NumPy's on the same operands."""
    values: dict[str, Any] = dict(zip(p.arguments, p.inputs))
    for step, value in zip(p.steps, Jit(p.every, device="interp")(*p.inputs)):
        operands = {n: v for n, v in values.items() if n in step.text}
        names = list(operands)
        run: Callable[..., Any] = lambda *args, step=step, names=names: p.run_step(step, dict(zip(names, args)))  # noqa: E731
        wanted = expect(run, [np.asarray(operands[n]) for n in names], None if step.bound else 0.0, base=step.bound)
        why = wanted.difference([np.asarray(value)])
        if why is not None:
            raise Difference(p, f"step `{step.name} = {step.text}` ({'close' if step.bound else 'exact'}): {why}", "differs")
        values[step.name] = np.asarray(value)
    return values


def fuzz(n: int, seed: int, *, device: str = "cpu", tell: Callable[[Counter[str]], None] = lambda counts: None, most: int = 10) -> tuple[Counter[str], list[Difference]]:
    """Runs n programs.  Returns the counters and the failures (at most `most`, each shrunk)."""
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import seed as with_seed

    from .grammar import programs

    load_all()
    counts: Counter[str] = Counter()
    failures: list[Difference] = []
    seen: set[str] = set()
    while counts["programs"] < n and len(failures) < most:
        @settings(max_examples=n - counts["programs"], deadline=None, derandomize=False, database=None, suppress_health_check=list(HealthCheck),
                  phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False, print_blob=False, verbosity=Verbosity.quiet)  # fmt: skip
        @with_seed(seed + len(failures) * 1_000_003)
        @given(programs())
        def run(p: Program) -> None:
            counts["programs"] += 1
            counts["steps"] += len(p.steps)
            for x in p.inputs:
                counts[f"dtype {x.dtype}"] += 1
            tell(counts)
            try:
                examine(p, device)
            except Difference as d:
                if _signature(d) not in seen:
                    raise

        try:
            run()
            break
        except Difference as d:
            seen.add(_signature(d))
            counts[d.kind] += 1
            failures.append(d)
    return counts, failures


def _signature(d: Difference) -> str:
    """Failures of one kind are reported once: the step's row, or the first words of the message."""
    import re

    return re.sub(r"[-\d.\[\]]+|np\.\w*int\w*|np\.float\w*", "", d.why)[:60]


def _told(d: Difference, seed: int, number: int, device: str) -> str:
    lines = [f"{'refused' if d.kind == 'refused' else 'a difference'}:", repr(d.program), d.why]
    if d.kind == "differs":
        try:
            lines.append(f"which step: {which_step(Jit(d.program.fn, device=device), d.program.inputs)}")
        except Exception as e:  # noqa: BLE001  the explanation must not hide the finding
            lines.append(f"which step: could not be found ({type(e).__name__}: {e})")
    try:
        FAILURES.mkdir(parents=True, exist_ok=True)
        file = FAILURES / f"seed{seed}_{number}.py"
        file.write_text(d.program.script())
        lines.append(f"again: {sys.executable} {file}")
    except OSError as e:
        lines.append(f"(not written to {FAILURES}: {e})")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ptxjit.testing.fuzz", description="random programs against NumPy")
    parser.add_argument("--n", type=int, default=200, help="how many programs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    terminal = sys.stderr.isatty()

    def tell(counts: Counter[str]) -> None:
        if terminal:
            print(f"\r{counts['programs']} of {args.n} programs, {counts['steps']} steps, {counts['differs']} differences, {counts['refused']} refused ",
                  end="", file=sys.stderr, flush=True)  # fmt: skip

    counts, failures = fuzz(args.n, args.seed, device=args.device, tell=tell)
    if terminal:
        print(file=sys.stderr)
    for number, d in enumerate(failures):
        print(_told(d, args.seed, number, args.device))
    print(f"{counts['programs']} programs, {counts['steps']} steps, seed {args.seed}, on {args.device}: "
          f"{counts['differs']} differences, {counts['refused']} refused")  # fmt: skip
    if failures:
        print(f"replay: make fuzz N={args.n} SEED={args.seed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
