"""Texts and tables side by side.

Code goes out whole: columns are used where every line of every text fits, else the texts follow one another, each under a line that names its target
in the text's own comments.  A single text is left as it is.
"""
from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Any

GAP = " │ "
COMMENT = {"ll": ";", "asm": "#", "spirv": ";"}  # by stage; // elsewhere
TOP = 5  # opcodes in a table
FIRST = ("grid", "mode", "lanes", "registers", "scalar registers", "live words", "spills", "spill stores", "spill loads", "scratch bytes", "stack moves", "stack bytes", "shared bytes", "occupancy", "limit",
         "bytes read", "bytes written", "flops", "intensity")  # fmt: skip


def comment(target: str, stage: str, text: str) -> str:
    """One line of that text's language that is a comment."""
    mark = COMMENT.get(stage, "//")
    if stage == "asm":
        mark = ";" if target.startswith("amdgpu") else "//" if "aarch64" in target or "arm64" in target else "#"
    return f"{mark} {text}\n"


def one_after_another(texts: Sequence[tuple[str, str, str]]) -> str:
    """(target, stage, text) each under its header; one alone as it is."""
    if len(texts) == 1:
        return texts[0][2]
    return "\n".join(comment(t, s, f"──── {t}, {s} " + "─" * max(4, 60 - len(t) - len(s))) + text.rstrip("\n") + "\n" for t, s, text in texts)


def beside(texts: Sequence[tuple[str, str, str]], width: int) -> str | None:
    """The texts in columns, or None where their longest lines do not fit."""
    parts = [[line.expandtabs(8).rstrip() for line in text.splitlines()] for _, _, text in texts]
    heads = [f"{t}, {s}" for t, s, _ in texts]
    sizes = [max(map(len, (h, *lines))) for h, lines in zip(heads, parts)]
    if len(texts) < 2 or sum(sizes) + len(GAP) * (len(texts) - 1) > width:
        return None
    rows = [heads, ["─" * n for n in sizes]]
    rows += [[lines[n] if n < len(lines) else "" for lines in parts] for n in range(max(map(len, parts)))]
    return "\n".join(GAP.join(cell.ljust(size) for cell, size in zip(row, sizes)).rstrip() for row in rows) + "\n"


def write(texts: Sequence[tuple[str, str, str]]) -> None:
    """To standard output: in columns on a terminal that is wide enough."""
    made = beside(texts, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
    sys.stdout.write(made if made is not None else one_after_another(texts))
    sys.stdout.flush()


# ---- tables


def number(x: Any) -> str:
    """A number for people: 12 345, 3.14, 50.3 M."""
    if x is None:
        return "–"
    if isinstance(x, bool):
        return "yes" if x else "no"
    if isinstance(x, float):
        return f"{x:.3g}" if x < 1000 else number(int(x))
    if isinstance(x, int):
        for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
            if x >= size * 10:
                return f"{x / size:.1f} {unit}"
        return f"{x:,}".replace(",", " ")
    if isinstance(x, (list, tuple)):
        return " × ".join(str(n) for n in x)
    return str(x)


def stats_rows(found: Sequence[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """One kernel on several targets: rows of cells, the first row the targets, the first column what it is."""
    rows = [["", *(t for t, _ in found)]]
    keys: list[str] = []
    for _, entry in found:
        keys += [k for k in entry if k not in keys]
    keys.sort(key=lambda k: FIRST.index(k) if k in FIRST else len(FIRST))
    plain = [k for k in keys if k not in ("kernel", "target", "classes", "mix", "mix of", "exact", "missing", "instructions")]
    for key in plain:
        rows.append([key, *(_cell(key, entry) for _, entry in found)])
    if any("instructions" in entry for _, entry in found):
        rows.append(["instructions", *(f"{number(entry.get('instructions'))}" + (f" in {entry['mix of']}" if "mix of" in entry else "") for _, entry in found)])
    classes = [c for _, entry in found for c in entry.get("classes", {})]
    for c in dict.fromkeys(classes):
        rows.append(["  " + c, *(_share(entry, c) for _, entry in found)])
    tops = [sorted(entry.get("mix", {}).items(), key=lambda e: (-e[1], e[0]))[:TOP] for _, entry in found]
    for n in range(max(map(len, tops))):
        rows.append(["most frequent" if n == 0 else "", *(f"{t[n][0]} {t[n][1]}" if n < len(t) else "" for t in tops)])
    return rows


def _cell(key: str, entry: dict[str, Any]) -> str:
    value = entry.get(key)
    if key == "occupancy" and value is not None:
        return f"{value:.0%}"
    if key in ("bytes read", "bytes written", "flops") and value is not None and not entry.get("exact", True):
        return "≤ " + number(value)
    return number(value) + (" flop/byte" if key == "intensity" and value is not None else "")


def _share(entry: dict[str, Any], c: str) -> str:
    n = entry.get("classes", {}).get(c)
    total = entry.get("instructions") or 1
    return "–" if n is None else f"{n} ({n / total:.0%})"


def print_stats(found: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """A table per kernel, the targets beside one another."""
    names = list(dict.fromkeys(entry["kernel"] for _, entry in found))
    for at, name in enumerate(names):
        mine = [(t, entry) for t, entry in found if entry["kernel"] == name]
        print_table(stats_rows(mine), f"kernel {name}", first=at == 0)
        for t, entry in mine:
            if "missing" in entry:
                print(f"{t}: {entry['missing']}")


def print_table(rows: Sequence[Sequence[str]], title: str, first: bool = True) -> None:
    """Aligned; by rich on a terminal."""
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for n, head in enumerate(rows[0]):
            table.add_column(Text(head), justify="right" if n else "left", no_wrap=True)
        for row in rows[1:]:
            table.add_row(*map(Text, row))
        Console().print(table)
        return
    sizes = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    if not first:
        print()
    print(title)
    for row in rows:
        print("  ".join(cell.ljust(size) if n == 0 else cell.rjust(size) for n, (cell, size) in enumerate(zip(row, sizes))).rstrip())
