"""`ptxjit devices`: what there is to run on, in words or as JSON."""
from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

UNITS = {"cpu": "core", "interp": "core", "opencl": "compute unit", "cuda": "multiprocessor", "rocm": "compute unit", "ptx": "multiprocessor", "amdgpu": "compute unit"}


def devices(as_json: Annotated[bool, typer.Option("--json", help="as JSON: devices, and why a family has none")] = False) -> None:
    """What there is to run on, the best first."""
    from ..hardware import default_device, families, missing
    from ..hardware import devices as all_devices

    found = all_devices()
    reasons = {word: why for word in families() if (why := missing(word)) is not None}
    chosen = default_device().name
    if as_json:
        print(json.dumps({"devices": [_record(d, chosen) for d in found], "missing": reasons}, indent=1))
        return
    width = max(len(d.name) for d in found)
    for d in found:
        print(f"{d.name:{width}}  {d.hardware}{'  (the default)' if d.name == chosen else ''}")
        for line in _lines(d):
            print(f"{'':{width}}  {line}")
    for word, why in reasons.items():
        print(f"{word:{width}}  none: {why}")


def _record(d: Any, chosen: str) -> dict[str, Any]:
    return {"name": d.name, "kind": d.kind, "hardware": d.hardware, "target": d.target, "available": d.available, "why_not": d.why_not, "driver": d.driver,
            "default": d.name == chosen, "facts": {k: list(v) if isinstance(v, tuple) else v for k, v in d.facts._asdict().items()}}  # fmt: skip


def _lines(d: Any) -> list[str]:
    f = d.facts
    out = [f"code is made for {d.target}" if d.available else f"not available: {d.why_not}"]
    unit = UNITS.get(d.kind, "core")
    lanes = f"{f.lanes} lanes × {f.vector_bits // f.lanes} bits, {f.registers} vector registers" if f.kind == "cpu" else f"warps of {f.lanes} lanes, {f.registers} registers each"
    out.append(f"{f.cores} {unit}{'s' if f.cores != 1 else ''}; {lanes}; {'first-level cache' if f.kind == 'cpu' else 'shared memory'} {size(f.shared_bytes)}; "
               f"second-level cache {size(f.l2_bytes)}")  # fmt: skip
    told = [x.replace("il ", "SPIR-V ") for x in f.features if (" " not in x or x.startswith("il ")) and (d.kind != "cpu" or re.match(r"avx|amx|fma|f16c|neon|asimd|sve", x))]
    if told:
        out.append("has " + ", ".join(told))
    if d.driver:
        out.append(f"driver {d.driver}")
    return out


def size(n: int) -> str:
    """Bytes for people."""
    for unit, k in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if n >= 1 << k:
            return f"{n / (1 << k):g} {unit}" if n % (1 << k) == 0 else f"{n / (1 << k):.1f} {unit}"
    return f"{n} bytes"
