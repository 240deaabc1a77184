"""`check(fn, reference)`: searches inputs on which a function and its reference differ, shrinks them, and names the step that broke."""
from __future__ import annotations

import hashlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..ir.errors import PtxjitError, UserError
from ..jitted import Jit
from .agreement import jitted, run_on
from .compare import expect
from .grammar import show_array
from .steps import Step, which_step

DATABASE = Path(".ptxjit") / "examples"


class Report:
    """What a search found.  `passed`; the numbers of `examples` tried and `rejected` (the reference does not take them); for a failure the
    shrunk `inputs`, the `target`, the `difference` and the `step` that broke it.  Its text is the message."""

    def __init__(self, passed: bool, examples: int, rejected: int, *, inputs: Sequence[Any] = (), target: str = "", difference: str = "",
                 step: Step | None = None) -> None:  # fmt: skip
        self.passed, self.examples, self.rejected = passed, examples, rejected
        self.inputs, self.target, self.difference, self.step = tuple(inputs), target, difference, step

    def __repr__(self) -> str:
        if self.passed:
            rejected = f" ({self.rejected} more were refused by the reference)" if self.rejected else ""
            return f"no difference in {self.examples} examples{rejected}"
        arguments = "\n".join(f"  argument {k}: {show_array(x)}" for k, x in enumerate(self.inputs))
        step = f"\nwhich step: {self.step}" if self.step is not None else ""
        return f"a difference on {self.target}, after {self.examples} examples and shrinking:\n{arguments}\n{self.difference}{step}"


class _Found(AssertionError):
    """A difference, with what led to it."""

    def __init__(self, args: tuple[Any, ...], target: str, difference: str) -> None:
        super().__init__(difference)
        self.inputs, self.target, self.difference = args, target, difference


def check(fn: Any, reference: Callable[..., Any] | None = None, *strategies: Any, specs: Sequence[str] | None = None, examples: int = 200,
          seed: int = 0, ulp: float | None = None, targets: Sequence[str] | None = None, database: Path | str | None = None,
          progress: bool = False, raise_error: bool = True) -> Report:  # fmt: skip
    """Searches inputs on which `fn` (under @jit) and `reference` (by NumPy; default: the same function) differ.

    Inputs: `strategies`, one per argument (testing.arrays(…)); or `specs` such as `f32[16,8]` or `f32[n,8]`, where a name is a size
    that is searched; or neither: dtypes and shapes that broadcast together are searched, and what the reference refuses is left out.
    `ulp` bounds the difference; without it the reference's own sensitivity to rounding does.  `targets` are devices, or code
    targets (`ptx:sm_90`) whose kernels run on the kernel interpreter.  `database` is a folder in which failures are kept, and tried
    first the next time.

    Raises AssertionError with the shrunk inputs and the step that broke; with `raise_error=False` the Report is returned instead.
    """
    from hypothesis import HealthCheck, Phase, Verbosity, given, reject, settings
    from hypothesis import seed as with_seed
    from hypothesis.errors import Unsatisfiable

    from .strategies import load_all

    load_all()
    j = jitted(fn)
    plain = reference.fn if isinstance(reference, Jit) else reference or j.fn
    names = list(targets) if targets else [_device(j)]
    run = {name: _runner(j, name) for name in names}
    count = rejected = 0

    @settings(max_examples=examples, deadline=None, derandomize=False, database=_database(database, j), suppress_health_check=list(HealthCheck),
              phases=(Phase.reuse, Phase.generate, Phase.shrink), report_multiple_bugs=False, print_blob=False, verbosity=Verbosity.quiet)  # fmt: skip
    @with_seed(seed)
    @given(_inputs(j, strategies, specs))
    def search(args: tuple[Any, ...]) -> None:
        nonlocal count, rejected
        try:
            wanted = expect(plain, args, ulp)
        except Exception:  # noqa: BLE001  the reference does not take these
            rejected += 1
            reject()
        count += 1
        if progress:
            print(f"\r{count} examples", end="", file=sys.stderr, flush=True)
        for name in names:
            try:
                why = wanted.difference(run[name](args))
            except PtxjitError as e:
                why = f"{type(e).__name__}: {e}"
            if why is not None:
                raise _Found(args, name, why)

    report = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            search()
        except Unsatisfiable:
            raise UserError(f"the reference refuses all of {rejected} examples", hint="say what the arguments are: specs=['f32[n,8]', …]") from None
        except _Found as found:
            tried = count
            step = which_step(j, found.inputs, None if plain is j.fn else plain, device=None if found.target == _device(j) else found.target, ulp=ulp)
            report = Report(False, tried, rejected, inputs=found.inputs, target=found.target, difference=found.difference, step=step)
        finally:
            if progress:
                print(file=sys.stderr)
    if report is None:
        report = Report(True, count, rejected)
    if raise_error and not report.passed:
        raise AssertionError(repr(report))
    return report


def _device(j: Jit) -> str:
    from ..hardware import default_device

    return j.device or default_device().name


def _runner(j: Jit, name: str) -> Callable[[tuple[Any, ...]], list[Any]]:
    """Keeps one jitted function per device, so that equal shapes are compiled once."""
    own = j if ":" in name else Jit(j.fn, device=name, fast_math=j.options.fast_math, reproducible=j.options.reproducible)
    if ":" in name:
        return lambda args: run_on(own, name, args)
    from .compare import results

    return lambda args: results(own(*args))


def _database(folder: Path | str | None, j: Jit) -> Any:
    """A folder of its own per function: Hypothesis would keep the failures of all under one key."""
    if folder is None:
        return None
    from hypothesis.database import DirectoryBasedExampleDatabase

    code = getattr(j.fn, "__code__", None)
    text = f"{getattr(code, 'co_filename', '')}:{j.name}"
    return DirectoryBasedExampleDatabase(Path(folder) / f"{j.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}")


# ---- inputs ---------------------------------------------------------------------------------------------------------


def _inputs(j: Jit, strategies: Sequence[Any], specs: Sequence[str] | None) -> Any:
    from hypothesis import strategies as st

    if strategies:
        return st.tuples(*strategies)
    if specs:
        return _from_specs(list(specs))
    try:
        needed = [p for p in inspect.signature(j.fn).parameters.values() if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        raise UserError(f"{j.name} does not tell how many arguments it takes", hint="pass specs=['f32[8]', …]") from None
    return _free(len(needed))


def _free(count: int) -> Any:
    """Arguments of one dtype whose shapes broadcast together."""
    from hypothesis import strategies as st

    from .strategies import arrays, shapes

    @st.composite
    def draw_all(draw: Any) -> tuple[Any, ...]:
        dtype = draw(st.sampled_from(("f4", "f8", "f2", "i4")))
        base = draw(shapes(0, 3))
        out = []
        for _ in range(count):
            shape = tuple(1 if draw(st.integers(0, 9)) == 9 else n for n in base)
            out.append(draw(arrays(dtype, shape)))
        return tuple(out)

    return draw_all()


_FORM = re.compile(r"\s*(\w+)\s*(?:\[([\w\s,]*)\])?\s*$")


def _from_specs(specs: list[str]) -> Any:
    """`f32[n,8]`: a name stands for a size that is searched, the same in all arguments."""
    from hypothesis import strategies as st

    from ..specs import parse_spec
    from .strategies import SIZES, arrays

    parsed: list[tuple[np.dtype[Any], list[int | str], bool]] = []
    for text in specs:
        m = _FORM.match(text)
        if m is None:
            parse_spec(text)  # raises, with the right words
            raise UserError(f"{text!r} is not a spec")
        sides: list[int | str] = [int(w) if w.strip().isdigit() else w.strip() for w in (m[2] or "").split(",") if w.strip()]
        parsed.append((parse_spec(m[1]).dtype, sides, m[2] is None))
    names = sorted({s for _, sides, _ in parsed for s in sides if isinstance(s, str)})
    sizes = [s for s in SIZES if s <= (300 if len(names) > 1 else 5000)]

    @st.composite
    def draw_all(draw: Any) -> tuple[Any, ...]:
        known = {n: draw(st.sampled_from(sizes)) for n in names}
        out = []
        for dtype, sides, scalar in parsed:
            x = draw(arrays(dtype, tuple(known[s] if isinstance(s, str) else s for s in sides)))
            out.append(x[()] if scalar else x)
        return tuple(out)

    return draw_all()
