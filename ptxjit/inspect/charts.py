"""Inline SVG: where each kernel stands under its target's roof, and what its instructions are.  Colours are the page's (`--c0` …)."""
from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from .columns import number
from .peaks import Peak

CLASSES = ("memory", "fp", "int", "move", "control", "sync")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 300, 62, 40, 14, 16


def roofline(points: Sequence[tuple[int, str, str, float]], roofs: Sequence[tuple[int, str, Peak | None]]) -> str:
    """points: (number of the target, target, kernel, flops per byte); roofs: (number, target, what it can do)."""
    known = [(n, t, p) for n, t, p in roofs if p is not None]
    xs = [x for *_, x in points if x > 0] + [p.flops / p.bandwidth for _, _, p in known]
    if not xs:
        return ""
    low, high = 10 ** math.floor(math.log10(min(xs)) - 0.3), 10 ** math.ceil(math.log10(max(xs)) + 0.3)
    tops = [p.flops for _, _, p in known] or [1e12]
    bottoms = [min(p.flops, p.bandwidth * low) for _, _, p in known] or [1e9]
    down, up = 10 ** math.floor(math.log10(min(bottoms))), 10 ** math.ceil(math.log10(max(tops)) + 0.1)

    def px(x: float) -> float:
        return LEFT + (math.log10(x) - math.log10(low)) / (math.log10(high) - math.log10(low)) * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(y) - math.log10(down)) / (math.log10(up) - math.log10(down)) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="roofline: flops per byte of each kernel">']
    for e in range(round(math.log10(low)), round(math.log10(high)) + 1):
        x = px(10.0**e)
        out.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>'
                   f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{10.0**e:g}</text>')  # fmt: skip
    if known:
        for e in range(round(math.log10(down)), round(math.log10(up)) + 1):
            y = py(10.0**e)
            out.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
                       f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_rate(10.0**e)}</text>')  # fmt: skip
    out.append(f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">floating-point operations per byte of memory</text>')
    if known:
        out.append(f'<text class="tick" x="{LEFT + 6}" y="{TOP + 10}">flop/s at most</text>')
    roof_of = {}
    for n, t, p in known:
        roof_of[t] = p
        ridge = p.flops / p.bandwidth
        line = " ".join(f"{px(x):.1f},{py(min(p.flops, p.bandwidth * x)):.1f}" for x in (low, min(max(ridge, low), high), high))
        out.append(f'<polyline class="roof" style="stroke:var(--c{n})" points="{line}"><title>{escape(t)}: {_rate(p.flops)}flop/s, '
                   f"{_rate(p.bandwidth)}B/s ({escape(p.source)})</title></polyline>")  # fmt: skip
    for n, t, kernel, x in points:
        if x <= 0:
            continue
        roof = roof_of.get(t)
        y = py(min(roof.flops, roof.bandwidth * x)) if roof else HEIGHT - BOTTOM
        bound = "" if roof is None else f", at most {_rate(min(roof.flops, roof.bandwidth * x))}flop/s, held by {'memory' if roof.bandwidth * x < roof.flops else 'arithmetic'}"
        out.append(f'<circle class="dot" style="fill:var(--c{n})" cx="{px(x):.1f}" cy="{y:.1f}" r="5" tabindex="0"><title>{escape(kernel)} on {escape(t)}: '
                   f"{number(float(x))} flop/byte{bound}</title></circle>")  # fmt: skip
    out.append("</svg>")
    return "".join(out)


def _rate(x: float) -> str:
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if x >= size:
            return f"{x / size:g} {unit}" if x / size >= 100 or x / size == int(x / size) else f"{x / size:.2g} {unit}"
    return f"{x:g} "


def mix(rows: Sequence[tuple[str, str, dict[str, Any]]]) -> str:
    """(target, kernel, stats): a bar each, in shares of the instruction classes."""
    bars = [(t, k, s) for t, k, s in rows if s.get("instructions")]
    if not bars:
        return ""
    row, left, width = 24, 190, 560
    height = row * len(bars) + 24
    out = [f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="instruction mix of each kernel">']
    x = left
    for n, c in enumerate(CLASSES):
        out.append(f'<rect x="{x}" y="3" width="9" height="9" rx="2" style="fill:var(--m{n})"/><text class="tick" x="{x + 13}" y="12">{c}</text>')
        x += 20 + 7 * len(c)
    for at, (t, k, s) in enumerate(bars):
        y = 22 + at * row
        name = f"{t}  {k}"
        out.append(f'<text class="tick" x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name if len(name) < 30 else name[:28] + "…")}</text>')
        start = float(left)
        for n, c in enumerate(CLASSES):
            share = s["classes"].get(c, 0) / s["instructions"]
            if share:
                w = share * (width - left - 8)
                out.append(f'<rect x="{start:.1f}" y="{y}" width="{max(w - 1, 0.5):.1f}" height="17" rx="2" style="fill:var(--m{n})">'
                           f"<title>{escape(name)}: {s['classes'][c]} {c}, {share:.0%}</title></rect>")  # fmt: skip
                start += w
    out.append("</svg>")
    return "".join(out)
