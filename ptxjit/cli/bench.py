"""`ptxjit bench`: how long a function takes, what it moves meanwhile, and the plain Python function beside it."""
from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from .load import load_function
from .show import Function, Specs, spec_of

LEAST, MOST, SECONDS = 5, 1000, 1.0


def bench(function: Function, specs: Specs = [],  # noqa: B006
          device: Annotated[str, typer.Option("--device", "-d", help="cpu, opencl:0 … (default: the best)")] = "",
          as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False) -> None:  # fmt: skip
    """First call, warm call and the plain Python function, on random arguments."""
    import numpy as np

    from ..hardware import default_device, use
    from ..inspect.collect import random_inputs

    before = default_device()
    where = use(device) if device else before
    try:
        f = load_function(function)
        args = random_inputs([spec_of(s) for s in specs])
        start = time.perf_counter()
        result = f(*args)
        first = time.perf_counter() - start
        warm, calls = _best(lambda: f(*args))
        plain, plain_calls = _best(lambda: f.fn(*args))
    finally:
        if device:
            use(before.name)
    found: dict[str, Any] = {"function": function, "device": where.name, "hardware": where.hardware, "first call": first, "warm call": warm, "warm calls": calls,
                             "plain Python": plain, "plain calls": plain_calls, "results": [str(np.asarray(r).dtype) + str(list(np.shape(r))) for r in _leaves(result)]}  # fmt: skip
    moved = _moved(f, specs, where.target)
    if moved is not None:
        found["bytes"], found["flops"] = moved
    if as_json:
        print(json.dumps(found, indent=1))
        return
    print(f"{function}({', '.join(specs)}) on {where.name}, {where.hardware}")
    print(f"  {'first call':14}{_time(first)}    traced, compiled or loaded from the disk cache, and run")
    rate = ""
    if moved is not None and moved[0]:
        rate = f"    {moved[0] / warm / 1e9:.1f} GB/s" + (f", {moved[1] / warm / 1e9:.1f} Gflop/s" if moved[1] else "")
    print(f"  {'warm call':14}{_time(warm)}    best of {calls}{rate}")
    print(f"  {'plain Python':14}{_time(plain)}    best of {plain_calls}, {plain / warm:.2f} × the warm call")


def _leaves(result: Any) -> list[Any]:
    return [x for r in result for x in _leaves(r)] if isinstance(result, (tuple, list)) else list(result.values()) if isinstance(result, dict) else [result]


def _moved(f: Any, specs: list[str], target: str) -> tuple[int, int] | None:
    """Bytes and flops of all kernels (`ir/analysis/counts.py`), where the number of launches does not depend on data."""
    from ..ir.analysis.counts import program_counts

    if target == "interp":
        return None
    counts = list(program_counts(f.lower(*specs, target=target)._low.program).values())
    if not counts or any(c.times is None for c in counts):
        return None
    return sum(c.moved * (c.times or 0) for c in counts), sum(c.flops * (c.times or 0) for c in counts)


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:9.3f} {unit:2}"
    return f"{seconds / 1e-9:9.1f} ns"


def _best(fn: Any) -> tuple[float, int]:
    """(seconds of the fastest call, calls)."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < LEAST or time.perf_counter() < end and len(times) < MOST:
        start = time.perf_counter()
        fn()
        times.append(time.perf_counter() - start)
    return min(times), len(times)
