"""What the OpenCL path costs beside the CPU target: the same functions on the same processor, interleaved, as ratios.

    .venv/bin/python benchmarks/opencl.py [--rounds 9]

Columns: the CPU target's best time, then per OpenCL device its best time, the ratio, and the time of the first call (compilation, cache off).
"""
from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("PTXJIT_CACHE", "off")

import numpy as np

import ptxjit as pj

rng = np.random.default_rng(0)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def fifteen(x, y):
    a = np.exp(x) * y + np.sin(y)
    b = np.sqrt(np.abs(a)) + x / (1 + y * y)
    return np.tanh(b) - np.log1p(np.abs(a)) * 0.5 + np.maximum(x, y)


def array(*shape):
    return rng.standard_normal(shape, dtype=np.float32)


CASES = {
    "saxpy, 4 Mi": (lambda a, x, y: a * x + y, lambda: (np.float32(2), array(1 << 22), array(1 << 22))),
    "a·x + b·sin(x)·exp(−x²), 4 Mi": (lambda x, a, b: a * x + b * np.sin(x) * np.exp(-x * x), lambda: (array(1 << 22), np.float32(2), np.float32(3))),
    "15 ops, 1 Mi": (fifteen, lambda: (array(1 << 20), array(1 << 20))),
    "softmax, 4096 × 1024": (softmax, lambda: (array(4096, 1024),)),
    "sum, 4 Mi": (lambda x: x.sum(), lambda: (array(1 << 22),)),
    "sum of columns, 2048²": (lambda x: x.sum(axis=0), lambda: (array(2048, 2048),)),
    "cumsum, 256 × 4096": (lambda x: np.cumsum(x, axis=1), lambda: (array(256, 4096),)),
    "matmul, 512³": (lambda a, b: a @ b, lambda: (array(512, 512), array(512, 512))),
    "take, 1 Mi": (lambda x, i: np.take(x, i), lambda: (array(1 << 20), rng.integers(0, 1 << 20, 1 << 20))),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    devices = [d for d in pj.devices() if d.kind == "opencl" and d.available]
    if not devices:
        print("no OpenCL device can run here: .venv/bin/python -m pip install -e '.[opencl]'")
        return 0
    for d in devices:
        print(f"{d.name}: {d.hardware}")
    names = ["cpu", *(d.name for d in devices)]
    for title, (fn, make) in CASES.items():
        args = make()
        compiled = {n: pj.jit(fn, device=n) for n in names}
        first, best = {}, dict.fromkeys(names, float("inf"))
        for n in names:
            t = time.perf_counter()
            compiled[n](*args)
            first[n] = time.perf_counter() - t
        for _ in range(rounds):
            for n in names:
                t = time.perf_counter()
                compiled[n](*args)
                best[n] = min(best[n], time.perf_counter() - t)
        cells = [f"{n} {best[n] * 1e3:8.2f} ms  {best[n] / best['cpu']:6.2f} ×  first {first[n]:5.2f} s" for n in names[1:]]
        print(f"{title:32} cpu {best['cpu'] * 1e3:8.2f} ms   " + "   ".join(cells), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
