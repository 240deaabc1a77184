"""`ptxjit show --html`: one file that needs nothing else.

`collect` gathers the data, which goes into the page as JSON; `page.html`, `page.css` and `page.js` stand beside this module and hold no text of the
user's.  Whatever comes from the user is escaped: `<` in the JSON as `\\u003c`, in the markup by `html.escape`.  A page beyond `LIMIT` leaves out the texts
between the passes, then the longest texts, and says so.
"""
from __future__ import annotations

import json
import linecache
import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ..arguments import Spec
from ..ir.errors import PtxjitError
from ..ir.extent import value_of
from ..ir.interp.profile import Counting, Profile, launch, profile_program, too_large
from ..ir.kernel import Kernel
from ..ir.loc import Loc
from . import charts
from .collect import BINARY, Collector, closest, random_inputs, read_beside
from .columns import stats_rows
from .peaks import peak

LIMIT = 2_000_000  # bytes of a page
HERE = Path(__file__).parent
NOT_RUN = "not run: its arrays are too large for the interpreter; give smaller shapes"


def write_page(path: str, function: Any, specs: Sequence[Any], lows: Sequence[Any]) -> None:
    """The page of a function, lowered for some targets."""
    from ..ir.passes import kernel_pipeline

    c = Collector()
    first = _definition(function.fn)
    for low in lows:
        inner, kernels = low._low, low.kernels
        profiles: dict[str, Profile] = {}
        notes = [NOT_RUN]
        program = inner.program.at_hints()
        if not too_large(program):
            given = [Spec(s.dtype, tuple(value_of(n, low.hints) for n in s.shape), s.weak) for s in specs]
            profiles = profile_program(program, kernels, [*random_inputs(given), *low.captured])
            notes = []
        if low.hints:
            notes.append("numbers and runs are those of " + ", ".join(f"{name} = {n}" for name, n in low.hints.items()))
        launches = list({s.fn.name: s.fn for s in inner.program.launches()}.values())
        stages = [{"name": "graph", "text": c.ir(inner.graph, first=first)}, {"name": "program", "text": c.ir(inner.program, functions=False)},
                  {"name": "tile", "text": c.ir(launches)}, {"name": "kernel", "text": c.ir(list(kernels.values()), profiles)}]  # fmt: skip
        for stage in low.target.stages:
            if stage not in BINARY:
                stages.append({"name": stage, "text": c.made(lambda s=stage, low=low: low.target.emit_lines(list(low.kernels.values()), s))})  # type: ignore[misc]
        pipeline = kernel_pipeline(low.target.facts, low.options.fast_math)
        with low.sizing():
            graphs = list(_graph_steps(inner.graph, low.target.facts))
            steps = [c.passes(fn.name, [*graphs, *_kernel_steps(fn, low.target.facts, pipeline)], first) for fn in launches if fn.level == "tile"]
        counts, said = c.profile(profiles)
        c.targets.append({"name": low.target.name, "stages": stages, "passes": steps, "profile": counts, "notes": notes + said, "stats": low.stats(),
                          "roof": peak(low.target.facts), "final": low.target.text or "kernel"})  # fmt: skip
    words = ", ".join(map(str, specs))
    data = c.data(f"{function.name}({words})", f"on {', '.join(t['name'] for t in c.targets)}", first.file if first else "")
    Path(path).write_text(render(data), encoding="utf-8")


def _definition(fn: Any) -> Loc | None:
    """Where a function's `def` stands; its arguments come from there."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return None
    line = code.co_firstlineno
    while line < code.co_firstlineno + 20 and linecache.getline(code.co_filename, line).lstrip().startswith(("@", ")", "#")):
        line += 1
    return Loc(code.co_filename if not code.co_filename.startswith("<") else "<string>", line)


def _graph_steps(graph: Any, facts: Any) -> Iterator[tuple[str, str, Any]]:
    from ..ir.lower.prepare import prepare

    yield "traced", "what the function computes, as it was traced", graph
    yield "prepare", "reductions, scans and products in the forms that schedules know", prepare(graph, parallel=2 * facts.cores)


def _kernel_steps(fn: Any, facts: Any, pipeline: Any) -> Iterator[tuple[str, str, Any]]:
    from ..ir.lower.to_kernel import to_kernel

    yield "tile", "how it is cut up: one program of the grid", fn
    made = to_kernel(fn, facts)
    yield "to_kernel", "what one lane does", made
    yield from _pipeline_steps(made, pipeline)


def _pipeline_steps(kernel: Kernel, pipeline: Any) -> Iterator[tuple[str, str, Any]]:
    seen: list[tuple[str, str, Any]] = []
    pipeline.run(kernel, on_pass_end=lambda p, before, after, seconds: seen.append((p.name, p.help, after)) if after is not before else None)
    yield from seen


# ---- PTX of others


def write_foreign_page(path: str, kernel: Any, wanted: Sequence[str], args: Sequence[Any], grid: Sequence[int], block: Sequence[int], shared: int) -> None:
    """The page of an entry of a PTX module (`load_ptx(…)[name]`)."""
    from ..ir.passes import kernel_pipeline
    from ..targets import target as find_target
    from ..translation import Translated
    from .foreign import entry_stats

    c = Collector()
    k: Kernel = kernel.entry.kernel
    tree = kernel.module.tree
    original, at, span = _ptx_lines(c, k, kernel.module.text)
    profiles: dict[str, Profile] = {}
    note = "not run: give its arguments, --grid and --block to see how often each line runs"
    if args:
        profiles[k.name] = _run(kernel, args, grid, block, shared)
        note = ""
    for name in wanted:
        translated = Translated(tree, name, kernel.name)
        found = find_target(name if name != "ptx" else "ptx:sm_80")
        stages = [{"name": "kernel", "text": c.ir([k], profiles)}]
        for stage in (s for s in translated.stages if s not in ("kernel", *BINARY)):
            if stage == "ptx":
                stages.append({"name": stage, "text": c.made(lambda t=translated: _retargeted(t, original, at, c))})  # type: ignore[misc]
            else:
                stages.append({"name": stage, "text": c.made(lambda s=stage, f=found: f.emit_kernel_lines(k, s))})  # type: ignore[misc]
        if name.startswith("ptx:"):
            stages.append({"name": "sass", "text": c.made(lambda t=translated, f=found: _sass(t, f, original, at, c))})  # type: ignore[misc]
        steps = [c.passes(k.name, [("lifted", "registers as values, addresses as integers", k), *_pipeline_steps(k, kernel_pipeline(found.facts))])]
        counts, said = c.profile(profiles)
        try:
            stats = [entry_stats(kernel, name)]
        except PtxjitError as e:
            stats = [{"kernel": k.name, "missing": str(e)}]
        c.targets.append({"name": name, "stages": stages, "passes": steps, "profile": counts, "notes": ([note] if note else []) + said, "stats": stats,
                          "roof": None, "final": "ptx" if name.startswith("ptx") else stages[-1]["name"]})  # fmt: skip
    folder = Path(tree.name).parent if Path(tree.name).is_file() else None
    source = next((f for f, _ in c.places if f != tree.name and (Path(f).is_file() or read_beside(folder)(f) is not None)), tree.name)
    data = c.data(kernel.name, f"{Path(tree.name).name} on {', '.join(wanted)}", source, read_beside(folder), {tree.name: span})
    Path(path).write_text(render(data), encoding="utf-8")


def _ptx_lines(c: Collector, k: Kernel, text: Any) -> tuple[list[str], list[list[int]], tuple[int, int]]:
    """The lines of the PTX from the entry's head to its last instruction, their places, and the first and last line's number."""
    lines = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).splitlines()
    own = {i.loc.line: i.loc for f in (k, *k.functions) for i in f.instrs() if i.loc is not None}
    first, last = min(own), min(max(own) + 3, len(lines))
    head = next((n for n in range(first, 0, -1) if re.search(rf"\.entry\s+{re.escape(k.name)}\b", lines[n - 1])), first)
    return lines[head - 1 : last], [c.at(own[n]) if n in own else [] for n in range(head, last + 1)], (head, last)


def _retargeted(t: Any, original: Sequence[str], at: Sequence[list[int]], c: Collector) -> tuple[str, list[Any] | None]:
    text = t.as_text("ptx")
    return text, _known(closest(text.splitlines(), original, at), c)


def _known(places: Sequence[list[int]], c: Collector) -> list[Any]:
    """Places as locations."""
    names = list(c.places)
    return [_Known(names[p[0]]) if p else None for p in places]


class _Known:
    """A place that is known already, as a location."""

    def __init__(self, place: tuple[str, int]) -> None:
        self.file, self.line = place


def _sass(t: Any, target: Any, original: Sequence[str], at: Sequence[list[int]], c: Collector) -> tuple[str, list[Any] | None]:
    """SASS with what `.loc` says; PTX without any gets one per line first."""
    text = t.as_text("ptx")
    if re.search(r"^\s*\.loc\b", text, re.M):
        made, found = target.emit_text_lines(text, "sass")
        by_name = {(Path(f).name, line): n for (f, line), n in c.places.items()}
        return made, _known([[by_name[p]] if p in by_name else [] for p in found], c)
    lines = text.splitlines()
    places = closest(lines, original, at)
    marked, files = [], False
    for n, line in enumerate(lines):
        if places[n]:
            marked.append(f".loc 1 {n + 1} 0")
        marked.append(line)
        if not files and line.lstrip().startswith(".address_size"):
            marked.append('.file 1 "text"')
            files = True
    made, found = target.emit_text_lines("\n".join(marked) + "\n", "sass") if files else (str(target.emit_text(text, "sass")), [])
    return made, _known([places[p[1] - 1] if p else [] for p in found], c)


def _run(kernel: Any, args: Sequence[Any], grid: Sequence[int], block: Sequence[int], shared: int) -> Profile:
    """An interpreted launch that is counted; arguments stay as they are."""
    from ..sanitize import prepared

    m, _keep = prepared(kernel, args, grid, block, shared, None, False, Counting)
    profile = Profile(kernel.entry.kernel, m.shape.blocks)
    launch(m, profile)
    return profile


# ---- the file


def render(data: dict[str, Any]) -> str:
    """The page of that data."""
    targets = data["targets"]
    numbers = _numbers(targets)
    for t in targets:
        t.pop("roof", None)
    page = _fill(data, numbers)
    if len(page.encode()) > LIMIT:
        for t in targets:
            t["passes"] = []
            t["notes"].append("the texts between the passes are left out: the page would be too large")
        _drop_unused(data)
        page = _fill(data, numbers)
    while len(page.encode()) > LIMIT:
        longest = max(range(len(data["texts"])), key=lambda n: len(data["texts"][n]["lines"]))
        text = data["texts"][longest]
        keep = len(text["lines"]) // 2
        for key in ("lines", "at", "live", "runs"):
            if key in text:
                text[key] = text[key][:keep]
        text["note"] = f"only its first {keep} lines are here: the page would be too large"
        _drop_unused(data)
        page = _fill(data, numbers)
    return page


def _drop_unused(data: dict[str, Any]) -> None:
    """Removes texts that no stage shows, and lines that no text has."""
    used = {s["text"] for t in data["targets"] for s in t["stages"]} | {s["text"] for t in data["targets"] for p in t["passes"] for s in p["steps"]}
    lines: dict[int, int] = {}
    for n, text in enumerate(data["texts"]):
        if n not in used:
            text.update(lines=[], at=[])
            text.pop("live", None)
            text.pop("runs", None)
        text["lines"] = [lines.setdefault(line, len(lines)) for line in text["lines"]]
    data["table"] = [data["table"][line] for line in lines]


def _fill(data: dict[str, Any], numbers: str) -> str:
    payload = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    parts = {"title": escape(data["title"]), "subtitle": escape(data["subtitle"]), "numbers": numbers, "css": (HERE / "page.css").read_text("utf-8"),
             "js": (HERE / "page.js").read_text("utf-8"), "data": payload}  # fmt: skip
    page = (HERE / "page.html").read_text("utf-8")
    first, *rest = page.split("{{")  # one pass: what is filled in is not looked at again
    return first + "".join(parts[part.partition("}}")[0]] + part.partition("}}")[2] for part in rest)


def _numbers(targets: Sequence[dict[str, Any]]) -> str:
    """Plots and tables."""
    points = [(n, t["name"], s["kernel"], s.get("intensity", 0.0)) for n, t in enumerate(targets) for s in t["stats"]]
    roofs = [(n, t["name"], t["roof"]) for n, t in enumerate(targets)]
    out = []
    roof = charts.roofline(points, roofs)
    if roof:
        legend = "".join(f'<li><i style="background:var(--c{n})"></i>{escape(t)}{": " + escape(p.source) if p else ": its roof is not known"}</li>' for n, t, p in roofs)
        out.append(f"<figure><figcaption>Where each kernel stands: operations per byte, under what its target can do at most</figcaption>{roof}"
                   f'<ul class="legend">{legend}</ul></figure>')  # fmt: skip
    bars = charts.mix([(t["name"], s["kernel"], s) for t in targets for s in t["stats"]])
    if bars:
        out.append(f"<figure><figcaption>What the instructions of its text are</figcaption>{bars}</figure>")
    for name in dict.fromkeys(s["kernel"] for t in targets for s in t["stats"]):
        found = [(t["name"], s) for t in targets for s in t["stats"] if s["kernel"] == name]
        head, *rows = stats_rows(found)
        cells = "".join("<tr>" + "".join(f"<{'th scope=row' if n == 0 else 'td'}>{escape(x)}</{'th' if n == 0 else 'td'}>" for n, x in enumerate(r)) + "</tr>" for r in rows)
        top = "".join(f"<th scope=col>{escape(x)}</th>" for x in head)
        missing = "".join(f"<p>{escape(t)}: {escape(str(s['missing']))}</p>" for t, s in found if "missing" in s)
        out.append(f'<div class="table"><table><caption>kernel {escape(name)}</caption><thead><tr>{top}</tr></thead><tbody>{cells}</tbody></table>{missing}</div>')
    return "\n".join(out)
