"""Whether the instruction tests would notice: changes of our meaning of PTX, one at a time, each of which some test must fail.

A *site* is a line of `targets/ptx/lift` that emits an op or takes a constant.  A mutant changes what one site emits: another op (iadd →
isub, shr_s → shr_u, sext → zext), exchanged operands, another predicate, rounding or mode, a constant one larger.  It is run against forms of
`tests/unit/ptx/test_instructions_*` that reach the site; it is killed where one of them fails.  Survivors must stand, with the reason why
they mean the same, in `mutants_accepted.txt`.

    python tests/mutants.py                  all; a progress bar and a table of the survivors
    python tests/mutants.py --sample 20      a seeded sample

Mutants run in child processes with a time limit, since wrong addresses end a process.
"""
from __future__ import annotations

import argparse
import importlib
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
ACCEPTED = Path(__file__).with_name("mutants_accepted.txt")
LIMIT = 10  # seconds for one mutant
MARK = " //!"

SWAPS = {
    "iadd": ["isub"], "isub": ["iadd", "swap"], "imul": ["iadd"], "imulhi_s": ["imulhi_u"], "imulhi_u": ["imulhi_s"], "shr_s": ["shr_u"], "shr_u": ["shr_s"],
    "shl": ["shr_u"], "imin_s": ["imin_u", "imax_s"], "imin_u": ["imin_s", "imax_u"], "imax_s": ["imax_u", "imin_s"], "imax_u": ["imax_s", "imin_u"],
    "sext": ["zext"], "zext": ["sext"], "and": ["or"], "or": ["and"], "xor": ["or"], "select": ["swap12"], "fadd": ["fsub"], "fsub": ["fadd", "swap"],
    "fmul": ["fadd"], "ffma": ["swap02"], "fdiv": ["swap"], "fmin": ["fmax", "fminnum"], "fmax": ["fmin", "fmaxnum"], "fminnum": ["fmaxnum", "fmin"],
    "fmaxnum": ["fminnum", "fmax"], "ftos": ["ftou"], "ftou": ["ftos"], "stof": ["utof"], "utof": ["stof"], "clz": ["popc"], "popc": ["clz"], "brev": ["not"],
    "idiv_s": ["idiv_u"], "idiv_u": ["idiv_s"], "irem_s": ["irem_u"], "irem_u": ["irem_s"], "iabs": ["ineg"], "ineg": ["not"], "fabs": ["fneg"],
    "fneg": ["fabs"], "frint": ["ffloor"], "ffloor": ["fceil"], "fceil": ["frint"], "ftrunc": ["ffloor"], "copysign": ["swap"], "sin": ["cos"],
    "cos": ["sin"], "exp2": ["log2"], "log2": ["exp2"], "tanh": ["sin"], "rsqrt": ["fsqrt"], "fsqrt": ["rsqrt"], "not": ["ineg"],
}  # fmt: skip
ATTRS = {
    "pred": {"slt": "ult", "ult": "slt", "sgt": "sge", "sge": "sgt", "sle": "slt", "ugt": "uge", "uge": "ugt", "ule": "ult", "eq": "ne", "ne": "eq",
             "oeq": "ueq", "one": "une", "olt": "ole", "ole": "olt", "ogt": "oge", "oge": "ogt", "ueq": "oeq", "une": "one", "ord": "uno", "uno": "ord"},
    "rnd": {"rn": "rz", "rz": "rn", "rm": "rp", "rp": "rm"}, "ftz": {True: None}, "sat": {True: None},
    "signs": {"ss": "su", "su": "us", "us": "uu", "uu": "ss"}, "mode": {"up": "down", "down": "up", "bfly": "idx", "idx": "bfly", "all": "any", "any": "all", "uni": "all"},
    "fn": {"iadd": "xor", "imin_s": "imin_u", "imin_u": "imin_s", "imax_s": "imax_u", "imax_u": "imax_s", "and": "or", "or": "xor", "xor": "or",
           "fadd": "fmaxnum", "fminnum": "fmaxnum", "fmaxnum": "fminnum", "fmin": "fminnum", "fmax": "fmaxnum", "inc": "iadd", "dec": "inc", "exch": "or",
           "expect_tx": "complete_tx", "complete_tx": "expect_tx", "arrive_drop": "arrive"},
    "kind": {"popc": "and", "and": "or", "or": "and"},
}  # fmt: skip
PLUMBING = frozenset("make both either invert emit cast bits resize const halves joined put source store_result read register memory "
                     "<lambda> <genexpr> <listcomp>".split())


class Mutant(NamedTuple):
    site: str
    op: str
    change: str
    reach: tuple[int, ...]  # cases that come by

    @property
    def name(self) -> str:
        return f"{self.site} {self.op} → {self.change}"


# ---- cases ----------------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A form, or a whole test: `run` gives what is wrong, or raises."""

    name: str
    form: Any
    run: Callable[[], Any] | None


def cases() -> list[Case]:
    """All forms of the instruction tests, and the tests that are kernels of their own."""
    out = []
    names = ("integer", "float", "convert", "memory", "warp", "matrix", "cancel")
    modules = {n: importlib.import_module(f"tests.unit.ptx.test_instructions_{n}") for n in names}
    for n in names[:4]:
        out += [Case(f.text, f, None) for forms in modules[n].GROUPS.values() for f in forms]
    out += [Case("20 threads: " + f.text, f, None) for f in modules["warp"].forms(20)]
    memory, warp = modules["memory"], modules["warp"]
    for fn in (memory.test_cp_async, memory.test_bulk_copies_complete_on_an_mbarrier, memory.test_mbarrier_counts, memory.test_stores_and_reductions_of_the_cluster,
               memory.test_stack, memory.test_addresses_of_other_blocks, warp.test_old_forms_without_masks, warp.test_barriers, warp.test_control_flow, warp.test_matrices_through_shared_memory,
               warp.test_mma, warp.test_wmma):  # fmt: skip
        out.append(Case(fn.__name__, None, lambda fn=fn: fn("dispatch")))  # type: ignore[misc]
    matrix, cancel = modules["matrix"], modules["cancel"]
    for c in (*matrix.INTEGERS[:2], *matrix.F8[:4], *matrix.SCALED[::3]):
        out.append(Case("mma" + c.text, None, lambda c=c: _none(matrix.differences(c, "dispatch", 0, c.ids != (0, 0, 0, 0)))))  # type: ignore[misc]
    for fn, more in ((matrix.test_ldmatrix_of_bytes, ()), (matrix.test_stmatrix_of_bytes, ()), (matrix.test_products_of_doubles_round_as_they_say, (".rz",)),
                     (matrix.test_wmma_of_doubles_rounds_as_it_says, ()), (memory.test_bulk_copies_with_a_byte_mask, (0x5AC3,)),
                     (cancel.test_every_block_once, ((3, 2, 4),)), (cancel.test_clusters, (cancel.SHARED, (2, 3))), (cancel.test_clusters, (cancel.GENERIC, (4, 4))), (cancel.test_clusters_of_every_size, ())):  # fmt: skip
        out.append(Case(f"{fn.__name__} {more}", None, lambda fn=fn, more=more: fn(*more, "dispatch")))  # type: ignore[misc]
    for args in next(m for m in memory.test_bulk_reductions.pytestmark if m.args[0].startswith("fn,")).args[1]:
        out.append(Case(f"bulk {args[0]}.{args[1]}", None, lambda a=args: memory.test_bulk_reductions(*a, "dispatch")))  # type: ignore[misc]
    return out


def _none(wrong: list[str]) -> None:
    assert not wrong, wrong


# ---- hooks ----------------------------------------------------------------------------------------------------------


class Hook:
    """Between the lifters and the builder: records sites, or changes one."""

    def __init__(self) -> None:
        from ptxjit.ir.op import freeze_attrs, op
        from ptxjit.targets.ptx.lift.core import Body

        self.op, self.freeze = op, freeze_attrs
        self.Body, self.emit, self.const = Body, Body.emit, Body.const
        self.lines: tuple[Any, frozenset[int]] = (None, frozenset())  # of the module that is being lifted
        self.seen: dict[tuple[str, str, str], set[int]] | None = None
        self.of_line: dict[int, int] = {}  # line → case, while a kernel of forms is lifted
        self.case = -1
        self.target: tuple[str, str, str] | None = None
        hook = self

        def emit(body: Any, o: Any, args: Any, attrs: Any = (), guard: Any = None, old: Any = ()) -> Any:
            if hook.active(body):
                site = hook.site()
                for change in variants(o.name, dict(attrs)):
                    hook.saw(body, site, o.name, change)
                    if hook.target == (site, o.name, change):
                        o, args, attrs = hook.changed(o, tuple(args), dict(attrs), change)
                        break
            return hook.emit(body, o, args, attrs, guard, old)

        def const(body: Any, ty: Any, value: Any) -> Any:
            if hook.active(body) and not ty.is_float and ty.bits > 1:
                site, word = hook.site(), f"constant {int(value)}"
                hook.saw(body, site, word, "+1")
                if hook.target == (site, word, "+1"):
                    value = int(value) + 1
            return hook.const(body, ty, value)

        Body.emit, Body.const = emit, const  # type: ignore[method-assign]

    def active(self, body: Any) -> bool:
        """Whether the instruction belongs to what is tested, and not to what brings its operands."""
        if body.loc is None:
            return False
        module, lines = self.lines
        if module is not body.module:
            text = body.module.text.split("\n")
            marked = frozenset(k for k, line in enumerate(text, 1) if line.endswith(MARK))
            head = next(k for k, line in enumerate(text, 1) if "%tid.x" in line)
            lines = marked or frozenset(range(head + 1, len(text) + 1))
            self.lines = (body.module, lines)
        return body.loc.line in lines

    def site(self) -> str:
        frame = sys._getframe(2)
        while True:
            code = frame.f_code
            if code.co_name == "immediate":  # a constant of the program, not of ours
                return ""
            if "lift" in code.co_filename and code.co_name not in PLUMBING:
                return f"{Path(code.co_filename).stem}.{code.co_name}+{frame.f_lineno - code.co_firstlineno}"
            assert frame.f_back is not None
            frame = frame.f_back

    def saw(self, body: Any, site: str, op: str, change: str) -> None:
        if self.seen is not None and site:
            self.seen.setdefault((site, op, change), set()).add(self.of_line.get(body.loc.line, self.case))

    def changed(self, o: Any, args: tuple[Any, ...], attrs: dict[str, Any], change: str) -> tuple[Any, tuple[Any, ...], Any]:
        want = o.infer(tuple(a.type for a in args), self.freeze(attrs))
        if change.startswith("swap"):
            i, j = {"swap": (0, 1), "swap12": (1, 2), "swap02": (0, 2)}[change]
            items = list(args)
            items[i], items[j] = items[j], items[i]
            args = tuple(items)
        elif "=" in change:
            key, _, word = change.partition("=")
            attrs[key] = None if word == "None" else word
        else:
            o = self.op(change)
            attrs = {k: v for k, v in attrs.items() if k in o.attrs}
        frozen = self.freeze(attrs)
        if o.infer(tuple(a.type for a in args), frozen) != want:
            raise Stillborn
        return o, args, frozen


class Stillborn(BaseException):
    """The change does not make a kernel."""


def variants(name: str, attrs: dict[str, Any]) -> list[str]:
    out = list(SWAPS.get(name, ()))
    for key, table in ATTRS.items():
        if key in attrs and attrs[key] in table:
            out.append(f"{key}={table[attrs[key]]}")
    return out


def mutants(hook: Hook, every: list[Case]) -> list[Mutant]:
    """All changes of all sites that some case reaches."""
    from ptxjit.targets.ptx.lift import lift
    from ptxjit.targets.ptx.parse import read
    from tests.unit.ptx import harness as h

    h.MARK = MARK
    hook.seen = {}
    forms = [k for k, c in enumerate(every) if c.form is not None]
    for at in range(0, len(forms), 40):
        part = forms[at : at + 40]
        text = h.HEAD + h.kernel_text([every[k].form for k in part], "k", {})
        lines = [n for n, line in enumerate(text.split("\n"), 1) if line.endswith(MARK)]
        hook.of_line = dict(zip(lines, part))
        lift(read(text, "forms"), "k")
    hook.of_line = {}
    for k, c in enumerate(every):
        if c.run is not None:
            hook.case = k
            c.run()
    found, hook.seen = hook.seen, None
    return [Mutant(site, op, change, tuple(sorted(reach))) for (site, op, change), reach in sorted(found.items())]


def verdict(hook: Hook, every: list[Case], m: Mutant) -> str:
    """'killed', 'survived' or 'stillborn'."""
    from ptxjit.ir.errors import UnsupportedError
    from tests.unit.ptx import harness as h

    r = random.Random(m.name)
    reach = list(m.reach)
    r.shuffle(reach)
    forms = [every[k] for k in reach if every[k].form is not None and not every[k].name.startswith("20 threads")]
    lanes = [every[k] for k in reach if every[k].name.startswith("20 threads")]
    whole = [every[k] for k in reach if every[k].run is not None]
    hook.target = m[:3]
    try:
        for part in (forms[:8], forms[8:40], forms[40:100]):
            if part and h.check([c.form for c in part], "dispatch"):
                return "killed"
        for part in (lanes[:20], lanes[20:60]):
            if part and h.check_lanes([c.form for c in part], 20, "dispatch"):
                return "killed"
        for c in whole[:14]:
            assert c.run is not None
            c.run()
        return "survived"
    except Stillborn:
        return "stillborn"
    except UnsupportedError:
        return "stillborn"
    except Exception:
        return "killed"
    finally:
        hook.target = None


# ---- running --------------------------------------------------------------------------------------------------------


def child() -> None:
    """Takes names of mutants on stdin, answers with verdicts."""
    every = cases()
    hook = Hook()
    found = mutants(hook, every)
    named = {m.name: m for m in found}
    print(f"ready {len(found)}", flush=True)
    for line in sys.stdin:
        word = line.strip()
        print(verdict(hook, every, found[int(word)] if word.isdigit() else named[word]), flush=True)


class Worker:
    """A child process, started anew when it dies."""

    def __init__(self) -> None:
        self.start()
        self.task = ""
        self.since = 0.0

    def start(self) -> None:
        env = {**os.environ, "PTXJIT_CACHE": "off", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen([sys.executable, __file__, "--child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, env=env, cwd=ROOT)  # fmt: skip
        self.ready = False

    def give(self, task: str) -> None:
        assert self.process.stdin is not None
        self.task, self.since = task, time.monotonic()
        self.process.stdin.write(f"{task}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def run(names: list[str], workers: int) -> Iterator[tuple[str, str]]:
    """(mutant, verdict) as they come."""
    todo = list(reversed(names))
    pool = [Worker() for _ in range(max(1, min(workers, len(names))))]
    left = len(names)
    try:
        while left:
            pipes = {w.process.stdout: w for w in pool}
            readable, _, _ = select.select([p for p in pipes if p is not None], [], [], 1.0)
            for pipe in readable:
                w = pipes[pipe]
                answer = pipe.readline().strip()
                if not answer:  # it died
                    task, w.task = w.task, ""
                    w.end()
                    w.start()
                    if task:
                        left -= 1
                        yield task, "killed"
                    continue
                if w.ready and w.task:
                    task, w.task = w.task, ""
                    left -= 1
                    yield task, answer
                w.ready = True
                if todo:
                    w.give(todo.pop())
            for w in pool:
                if w.task and time.monotonic() - w.since > LIMIT:
                    task, w.task = w.task, ""
                    w.end()
                    w.start()
                    left -= 1
                    yield task, "killed"
    finally:
        for w in pool:
            w.end()


def accepted() -> dict[str, str]:
    """Mutants that mean the same, and why."""
    out = {}
    for line in ACCEPTED.read_text(encoding="utf-8").splitlines() if ACCEPTED.exists() else ():
        if line.strip() and not line.startswith("#"):
            name, _, why = line.partition("  # ")
            out[name.strip()] = why.strip()
    return out


def survivors(sample: int = 0, seed: int = 0, workers: int = 2, show: bool = False) -> tuple[dict[str, int], list[str]]:
    """(how many of each verdict, names of survivors that are not accepted)."""
    os.environ["PTXJIT_CACHE"] = "off"
    every = cases()
    found = mutants(Hook(), every)
    fine = accepted()
    names = [m.name for m in found if m.name not in fine]
    if sample:
        names = sorted(random.Random(seed).sample(names, min(sample, len(names))))
    counts = {"killed": 0, "survived": 0, "stillborn": 0, "accepted": len(fine)}
    alive = []
    for n, (name, word) in enumerate(run(names, workers), 1):
        counts[word] += 1
        if word == "survived":
            alive.append(name)
        if show:
            print(f"\r[{'#' * (40 * n // len(names)):40}] {n}/{len(names)}  {counts['survived']} survive", end="", file=sys.stderr, flush=True)
    if show:
        print(file=sys.stderr)
    return counts, sorted(alive)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        child()
        return 0
    counts, alive = survivors(options.sample, options.seed, show=True)
    print("  ".join(f"{v} {k}" for k, v in counts.items()))
    for name in alive:
        print("  survived:", name)
    return bool(alive)


if __name__ == "__main__":
    sys.exit(main())
