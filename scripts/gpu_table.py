"""The table that `gpu_check.py` ends with."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BAD = ("differs", "error", "died")
MEASURED = ("timings", "overhead")


def last(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last line of each item."""
    return list({line["item"]: line for line in lines}.values())


def load(path: Path) -> list[dict[str, Any]]:
    out = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            out.append(json.loads(line))
        except ValueError:
            continue
    return last(out)


def counted(lines: list[dict[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for line in last(lines):
        counts[line["status"]] = counts.get(line["status"], 0) + line.get("count", 1)
    return ", ".join(f"{n} {s}" for s, n in counts.items()) or "nothing"


def cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def rows(head: list[str], body: list[list[Any]]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *("| " + " | ".join(cell(c) for c in r) + " |" for r in body), ""]


def table(out: Path, key: dict[str, Any], steps: dict[str, str], seconds: float) -> str:
    """All steps as Markdown."""
    text = [f"# {key['hardware']}, {key['driver']}", "", f"Written by `scripts/gpu_check.py` (sources {key['source']}{', a quick sample' if key['quick'] else ''}); "
            f"the last run took {seconds:.0f} s.", ""]  # fmt: skip
    every = {s: load(out / f"{s}.jsonl") for s in steps}
    text += rows(["step", "what", "result"], [[s, what, counted(every[s])] for s, what in steps.items() if every[s]])
    facts = [[line["item"], line.get("value", line.get("message", ""))] for s in ("environment", "detection") for line in every[s]]
    if facts:
        text += ["## The machine", "", *rows(["", ""], facts)]
    bad = [[s, line["item"], line["status"], line.get("message", "")] for s, lines in every.items() for line in lines if line["status"] in BAD]
    text += ["## What differs", "", *(rows(["step", "item", "", "message"], bad) if bad else ["Nothing.", ""])]
    refused = [[s, line["item"], line.get("message", "").splitlines()[0] if line.get("message") else ""] for s, lines in every.items() for line in lines
               if line["status"] == "refused"]  # fmt: skip
    reasons: dict[str, list[str]] = {}
    for line in every["instructions"]:
        for form in line.get("refused", []):
            what, _, why = form.partition(": ")
            reasons.setdefault(why, []).append(what)
    refused += [["instructions", f"{len(forms)} forms, such as `{forms[0]}`", why] for why, forms in reasons.items()]
    if refused:
        text += ["## What this card or its driver does not take", "", *rows(["step", "item", "why"], refused)]
    asked = [[line["item"], line.get("card", line.get("message", "")), line.get("ours", ""), line.get("verdict", line["status"])] for line in every["questions"]]
    if asked:
        text += ["## Open questions", "", *rows(["question", "the card", "our reader on the CPU", ""], asked)]
    times = [line for line in every["timings"] if line["status"] == "ok" and "gbs" in line]
    for line in every["timings"]:
        if "peer" in line:
            next(t for t in times if t["item"] == line["of"])["peers"][line["peer"]] = line["ms"]
    if times:
        peers = list(dict.fromkeys(p for line in times for p in line.get("peers", {})))
        body = [[line["item"], f"{line['ms']:.3f}", f"{line['gbs']:.0f}", f"{line['share']:.0%}" if line.get("share") else "",
                 *(f"{line['peers'][p]:.3f} ({line['peers'][p] / line['ms']:.2f} ×)" if p in line.get("peers", {}) else "" for p in peers)] for line in times]  # fmt: skip
        text += ["## Timings", "", "Milliseconds by the card's clock, the bytes that the case has to move per second, and the share of the measured copy bandwidth; "
                 "beside it the peers, and how many times ours that is.", "", *rows(["case", "ours ms", "GB/s", "of roofline", *peers], body)]  # fmt: skip
    costs = [[line["item"], f"{line['us']:.2f}"] for line in every["overhead"] if line["status"] == "ok" and "us" in line]
    if costs:
        text += ["## What a launch costs", "", *rows(["", "µs"], costs)]
    return "\n".join(text)


def verdict(out: Path, steps: list[str]) -> int:
    lines = [line for s in steps for line in load(out / f"{s}.jsonl")]
    if any(line["status"] in BAD for line in lines):
        return 1
    return 3 if any(line["status"] in ("no time", "started") for line in lines) else 0
