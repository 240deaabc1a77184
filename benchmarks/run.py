"""`make bench`: ptxjit beside the peers that are installed, interleaved, as ratios; and the latencies.

Every case runs all contestants in turn, several rounds, and prints each one's median and the ratio to ours.  The roofline is measured:
bytes that the case has to move, divided by the bandwidth of a copy by this process's threads.  A peer that is not installed is shown so.
"""
from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import ptxjit as pj

ROUNDS = 7


REST = 0.25  # seconds after which the thread pool of the contestant before has stopped to spin


def seconds(fn: Callable[[], Any], least: float = 0.02) -> float:
    """One call, or the mean of several if it is short."""
    start = time.perf_counter()
    n = 0
    while True:
        fn()
        n += 1
        spent = time.perf_counter() - start
        if spent > least:
            return spent / n


def contest(entries: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    for fn in entries.values():
        fn()
        fn()
    times: dict[str, list[float]] = {k: [] for k in entries}
    for _ in range(rounds):
        for k, fn in entries.items():
            time.sleep(REST)
            fn()
            times[k].append(seconds(fn))
    return {k: statistics.median(v) for k, v in times.items()}


def bandwidth() -> float:
    """Bytes per second of the best streaming copy that we can write (read and write counted)."""
    x = np.random.default_rng(0).random(1 << 24, np.float32)
    f = pj.jit(lambda x: x + 1)
    f(x)
    return 2 * x.nbytes / min(seconds(lambda: f(x)) for _ in range(7))


# ---- cases: name, NumPy function, shapes, bytes moved ----------------------------------------------------------------

N = 1 << 24


def chain(x):
    return 2.5 * x + 0.5 * np.sin(x) * np.exp(-x * x)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))


def total(x):
    return x.sum()


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layernorm(x):
    c = x - x.mean(axis=-1, keepdims=True)
    return c / np.sqrt((c * c).mean(axis=-1, keepdims=True) + 1e-5)


def rmsnorm(x):
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)


def logsumexp(x):
    m = x.max(axis=-1, keepdims=True)
    return np.log(np.exp(x - m).sum(axis=-1)) + m[:, 0]


def moments(x):
    return x.mean(axis=0), x.var(axis=0)


def stencil(x):
    return x[1:-1, 1:-1] * 0.5 + 0.125 * (x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:])


def gelu_erf(x):
    return 0.5 * x * (1 + pj.erf(x * 0.7071067811865476))


CASES = [
    ("a*x + b*sin(x)*exp(-x*x)", chain, (N,), 8 * N), ("gelu, tanh", gelu_tanh, (N,), 8 * N), ("gelu, erf", gelu_erf, (N,), 8 * N), ("sum", total, (N,), 4 * N),
    ("softmax", softmax, (8192, 1024), 8 * 8192 * 1024), ("layernorm", layernorm, (8192, 1024), 8 * 8192 * 1024),
    ("rmsnorm", rmsnorm, (8192, 4096), 8 * 8192 * 4096), ("logsumexp", logsumexp, (8192, 4096), 4 * 8192 * 4096),
    ("mean, var of columns", moments, (4096, 4096), 4 * 4096 * 4096), ("5-point stencil", stencil, (4096, 4096), 8 * 4096 * 4096),
]  # fmt: skip


def have(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


broken: dict[str, str] = {}  # peers that are installed and cannot run, and why


def peers(name: str, fn: Callable[..., Any], x: Any) -> dict[str, Callable[[], Any]]:
    """Contestants for one case: the same computation, as an expert of each would write it."""
    out: dict[str, Callable[[], Any]] = {}
    if fn is not gelu_erf:
        out["NumPy"] = lambda: fn(x)
    if have("numba") and os.environ.get("PTXJIT_BENCH_NUMBA", "1") == "1":
        from numba_cases import CASES as numba_cases

        if name in numba_cases:
            f = numba_cases[name]
            out["Numba"] = lambda: f(x)
    if have("torch"):
        import torch
        from torch_cases import CASES as torch_cases

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        t, g = torch.from_numpy(x), torch_cases[name]
        out["PyTorch"] = lambda: g(t)
        compiled = torch.compile(g)
        out["PyTorch compiled"] = lambda: compiled(t)
    if have("jax"):
        import jax
        import jax.numpy as jnp
        from jax_cases import CASES as jax_cases

        a, h = jnp.asarray(x), jax.jit(jax_cases[name])
        out["JAX"] = lambda: jax.block_until_ready(h(a))
    if "drjit" not in broken and have("drjit"):
        try:
            import drjit as dr
            from drjit_cases import contestant

            dr.set_thread_count(len(os.sched_getaffinity(0)))
            run = contestant(name, x)
            if run is not None:
                out["Dr.Jit"] = run
        except Exception as e:  # noqa: BLE001  it needs a libLLVM of the system, for one
            broken["drjit"] = f"{type(e).__name__}: {e}"
    return out


def throughput(quick: bool) -> None:
    rate = bandwidth()
    print(f"measured roofline: {rate / 1e9:.1f} GB/s, {pj.devices()[0].hardware}, {len(os.sched_getaffinity(0))} threads")
    missing = [n for n in ("numba", "torch", "jax", "drjit") if not have(n)]
    print(f"missing peers: {', '.join(missing) or 'none'}\n")
    print(f"{'case':26}{'ours':>10}  {'roofline':>9}   peers: time, and how many times ours that is")
    for name, fn, shape, moved in CASES:
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        f = pj.jit(fn)
        times = contest({"ours": lambda: f(x), **peers(name, fn, x)}, 3 if quick else ROUNDS)
        ours = times.pop("ours")
        rest = "   ".join(f"{k} {t * 1e3:.2f} ms ({t / ours:.2f} ×)" for k, t in times.items())
        print(f"{name:26}{ours * 1e3:8.2f}ms  {moved / rate / ours:8.0%}    {rest}", flush=True)
    for peer, why in broken.items():
        print(f"{peer} could not run: {why}")


# ---- latencies ------------------------------------------------------------------------------------------------------


def child(code: str, cache: str) -> float:
    env = {**os.environ, "PTXJIT_CACHE_DIR": cache}
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout)


CALL = """
import time, numpy as np, ptxjit as pj
@pj.jit
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
x = np.random.rand(1024, 1000).astype("f4")
t = time.perf_counter(); softmax(x); print((time.perf_counter() - t) * 1e3)
"""


def latency() -> None:
    with tempfile.TemporaryDirectory() as folder:
        load = "import time; t = time.perf_counter(); import {}; print((time.perf_counter() - t) * 1e3)"
        base = statistics.median(child(load.format("numpy"), folder) for _ in range(5))
        own = statistics.median(child(load.format("ptxjit"), folder) for _ in range(5))
        print(f"import ptxjit                      {own:8.1f} ms    {own / base:.2f} × import numpy")
        print(f"first call of softmax, no cache    {child(CALL, folder):8.1f} ms")
        print(f"first call of softmax, disk cache  {statistics.median(child(CALL, folder) for _ in range(3)):8.1f} ms")
    f = pj.jit(softmax)
    f.lower("f32[1024,1000]", target="ptx:sm_90").as_text("ptx")
    start = time.perf_counter()
    f.lower("f32[1024,1000]", target="ptx:sm_90").as_text("ptx")
    print(f"lower(…).as_text('ptx'), warm      {(time.perf_counter() - start) * 1e3:8.1f} ms")
    g, x = pj.jit(lambda x: x + 1), np.ones(1000, np.float32)
    g(x), g(x)
    print(f"warm call on 1000 elements         {min(seconds(lambda: g(x)) for _ in range(20)) * 1e6:8.2f} µs")
    for ops in (1250, 2500, 5000):
        def many(x):
            for k in range(ops // 2):
                x = x * 1.0001 + float(k)
            return x

        os.environ["PTXJIT_CACHE"] = "off"
        start = time.perf_counter()
        pj.jit(many)(x)
        print(f"a graph of {ops:5} ops               {time.perf_counter() - start:8.2f} s")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    latency()
    print()
    throughput(args.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
