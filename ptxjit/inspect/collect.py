"""Everything that the page shows, as plain data (the page's script reads it as JSON).

    sources   [{name, note, main, lines: [[number, text], …]}]       what the user wrote: Python functions, or PTX and the source that it was made from
    places    [[source, line], …]                                    a location; its number is used everywhere else
    within    {place: [place, …]}                                    PTX line → lines of the source that it was made from
    table     [text, …]                                              every distinct line of every text, once
    texts     [{lines: [number in table], at: [place, [place, …] or -1], note, pressure, runs, bytes…}]
    targets   [{name, stages: [{name, text}], passes: [{kernel, steps: [{name, help, text, changed, gone}]}], stats, profile: {place: [runs, lanes]}, notes}]

Texts of equal content are one.  A text whose lines have no places says so in its note.
"""
from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from ..ir.analysis.live import pressure
from ..ir.errors import PtxjitError
from ..ir.interp.profile import Profile
from ..ir.kernel import Kernel
from ..ir.text import dump

LONGEST = 400  # characters of a line that are shown
COMPARED = 2500  # lines up to which a pass is compared with the text before it
AROUND = 2  # lines shown around a location that is in no function
UNKNOWN = "the lines of this text are not tied to source lines"
BINARY = ("obj", "cubin", "hsaco", "spv", "final")


class Collector:
    """Gathers texts and places."""

    def __init__(self) -> None:
        self.table: dict[str, int] = {}
        self.texts: list[dict[str, Any]] = []
        self.known: dict[Any, int] = {}
        self.places: dict[tuple[str, int], int] = {}
        self.within: dict[int, list[int]] = {}
        self.targets: list[dict[str, Any]] = []

    # ---- places

    def place(self, file: str, line: int) -> int:
        return self.places.setdefault((file, line), len(self.places))

    def at(self, loc: Any) -> list[int]:
        """The places of a location: its own line first, then what it was made from."""
        if loc is None or not loc.line:
            return []
        own = self.place(loc.file, loc.line)
        chain, p = [], getattr(loc, "position", None)
        while p is not None:
            chain.append(self.place(p.file, p.line))
            p = p.inlined_at
        if chain:
            have = self.within.setdefault(own, [])
            have += [c for c in dict.fromkeys(chain) if c not in have]
        return list(dict.fromkeys([own, *(chain or self.within.get(own, []))]))

    # ---- texts

    def text(self, text: str, at: Sequence[list[int]] | None, note: str = "", **facts: Any) -> int:
        """The number of a text.  `at` has the places of each line; `facts` are lists with an entry per line."""
        lines = text.splitlines()
        numbers = []
        for line in lines:
            if len(line) > LONGEST:
                line = f"{line[:LONGEST]}… ({len(line) - LONGEST} more characters)"
            numbers.append(self.table.setdefault(line.expandtabs(8).rstrip(), len(self.table)))
        where: list[Any] = [-1] * len(lines)
        for n, found in enumerate(at or []):
            if found and n < len(where):
                where[n] = found[0] if len(found) == 1 else found
        if not any(w != -1 for w in where):
            note = note or UNKNOWN
        made = {"lines": numbers, "at": where, "note": note, **{k: v for k, v in facts.items() if any(v)}}
        key = repr(made)
        if key not in self.known:
            self.known[key] = len(self.texts)
            self.texts.append(made)
        return self.known[key]

    def ir(self, x: Any, profiles: dict[str, Profile] | None = None, first: Any = None, functions: bool = True) -> int:
        """A graph, program, tile program or kernels as text; for kernels with pressure, and with counts where they were run."""
        parts = x if isinstance(x, list) else [x]
        texts, at, live, runs = [], [], [], []
        for part in parts:
            origins: list[Any] = []
            texts.append(dump(part, origins=origins, functions=functions))
            alive: dict[int, int] = {}
            profile = None
            if isinstance(part, Kernel):
                alive = {id(i): n for b, line in zip(part.blocks, pressure(part)) for i, n in zip(b.instrs, line)}
                profile = (profiles or {}).get(part.name)
            for locs, node in origins:
                if not locs and first is not None and getattr(node, "op", None) is not None and node.op.name == "input":
                    locs = (first,)
                at.append(list(dict.fromkeys(p for loc in locs for p in self.at(loc))))
                live.append(alive.get(id(node), 0))
                runs.append(list(profile.of(node)) if profile is not None and id(node) in profile.counts else 0)
        return self.text("".join(texts), at, live=live, runs=runs)

    def made(self, make: Callable[[], tuple[str, list[Any] | None]]) -> int:
        """A text of a target, or what prevents it."""
        try:
            text, origins = make()
        except PtxjitError as e:
            return self.text(f"{e}\n", None, note="this text cannot be made here")
        return self.text(text, None if origins is None else [self.at(o) for o in origins])

    def passes(self, name: str, snapshots: Iterable[tuple[str, str, Any]], first: Any = None) -> dict[str, Any]:
        """Steps that changed something, each with the lines that are new against the step before, if that is of the same level."""
        steps: list[dict[str, Any]] = []
        before: list[str] = []
        level = None
        for step, help_, x in snapshots:
            number = self.ir(x, first=first)
            lines = [re.sub(r"%\d+", "%", line) for line in dump(x).splitlines()]
            if steps and lines == before:
                continue
            changed: list[int] = []
            gone = 0
            if x.level == level and len(lines) + len(before) <= 2 * COMPARED:
                for tag, i, j, a, b in SequenceMatcher(None, before, lines, autojunk=False).get_opcodes():
                    if tag != "equal":
                        changed += range(a, b)
                        gone += j - i
            steps.append({"name": step, "help": help_, "text": number, "changed": changed, "gone": gone})
            before, level = lines, x.level
        return {"kernel": name, "steps": steps}

    def profile(self, profiles: dict[str, Profile]) -> tuple[dict[int, list[float]], list[str]]:
        """Per place: most runs of one of its instructions, lanes per run, share of all that ran.  And what to say about the run."""
        cells: dict[int, list[int]] = {}
        every = 0
        for p in profiles.values():
            for i in p.kernel.instrs():
                runs, lanes = p.of(i)
                every += lanes
                for place in self.at(i.loc):
                    cell = cells.setdefault(place, [0, 0, 0])
                    cell[0], cell[1], cell[2] = max(cell[0], runs), cell[1] + runs, cell[2] + lanes
        notes = []
        for name, p in profiles.items():
            if p.blocks < p.total * max(p.launches, 1):
                notes.append(f"{name}: {p.blocks} of {p.total * max(p.launches, 1)} blocks were run, from the first to the last")
            if p.note:
                notes.append(f"{name}: the run ended early: {p.note}")
        return {k: [c[0], round(c[2] / c[1], 2) if c[1] else 0, round(c[2] / every, 4) if every else 0] for k, c in cells.items()}, notes

    # ---- the whole

    def data(self, title: str, subtitle: str, main: str, missing: Callable[[str], str | None] = lambda name: None,
             spans: dict[str, tuple[int, int]] | None = None) -> dict[str, Any]:  # fmt: skip
        """`missing` finds the text of a source that is not where its name says; `spans` has first and last line where they are known."""
        files: dict[str, list[int]] = {}
        for file, line in self.places:
            files.setdefault(file, []).append(line)
        names = sorted(files, key=lambda f: (f != main, f not in (spans or {}), f))  # the user's own first
        sources = [_source(f, sorted(files[f]), missing, (spans or {}).get(f)) for f in names]
        number = {f: n for n, f in enumerate(names)}
        return {"title": title, "subtitle": subtitle, "sources": sources, "places": [[number[f], line] for f, line in self.places],
                "within": {str(k): v for k, v in self.within.items()}, "table": list(self.table), "texts": self.texts, "targets": self.targets}  # fmt: skip


def _source(file: str, wanted: list[int], missing: Callable[[str], str | None], span: tuple[int, int] | None) -> dict[str, Any]:
    lines = [line.rstrip("\n") for line in linecache.getlines(file)]
    if not lines:
        found = missing(file)
        lines = found.splitlines() if found is not None else []
    name = file.replace("\\", "/").rpartition("/")[2]
    if not lines:
        return {"name": name, "note": f"{file} is not here: only its line numbers are known", "lines": [[n, ""] for n in wanted]}
    shown: set[int] = set()
    for first, last in _functions("\n".join(lines) if file.endswith(".py") or file.startswith("<") else ""):
        if any(first <= n <= last for n in wanted):
            shown.update(range(first, last + 1))
    if span is not None:
        shown.update(range(span[0], span[1] + 1))
    for n in wanted:
        if n not in shown:
            shown.update(range(n - AROUND, n + AROUND + 1))
    return {"name": name, "note": "", "lines": [[n, lines[n - 1].expandtabs(4)[:LONGEST]] for n in sorted(shown) if 0 < n <= len(lines)]}


def _functions(text: str) -> list[tuple[int, int]]:
    """First and last line of each outermost function or method of Python source."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return []
    out = []
    stack: list[ast.AST] = [tree]
    while stack:
        for node in ast.iter_child_nodes(stack.pop()):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                out.append((min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]), node.end_lineno or node.lineno))
            else:
                stack.append(node)
    return out


def random_inputs(wanted: Sequence[Any], seed: int = 0) -> list[Any]:
    """Arrays of those dtypes and shapes: normal numbers, or integers from 0 to 7."""
    rng = np.random.default_rng(seed)
    out = []
    for s in wanted:
        dtype = np.dtype(s.dtype)
        x = rng.integers(0, 8, s.shape) if dtype.kind in "iu" else rng.standard_normal(s.shape) > 0 if dtype.kind == "b" else rng.standard_normal(s.shape)
        out.append(np.asarray(x).astype(dtype))
    return out


def closest(lines: Sequence[str], known: Sequence[str], at: Sequence[list[int]]) -> list[list[int]]:
    """Places for a text that is another with some lines changed."""
    out: list[list[int]] = [[] for _ in lines]
    for a, b, n in SequenceMatcher(None, [k.strip() for k in known], [line.strip() for line in lines], autojunk=False).get_matching_blocks():
        out[b : b + n] = at[a : a + n]
    return out


def read_beside(folder: Path | None) -> Callable[[str], str | None]:
    """Looks for a source beside the file that names it."""

    def find(file: str) -> str | None:
        if folder is not None and (folder / Path(file).name).is_file():
            return (folder / Path(file).name).read_text(errors="replace")
        return None

    return find
