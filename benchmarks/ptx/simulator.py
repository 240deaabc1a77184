"""Numba's CUDA simulator on some of the kernels: prints JSON {kernel: [seconds, share of the benchmark's work that was done]}.

Run with NUMBA_ENABLE_CUDASIM=1 (`benchmarks/ptx.py` does).  It runs a Python thread per CUDA thread, so the sizes are tiny.
"""
from __future__ import annotations

import json
import math
import sys
import time

import numpy as np
from numba import cuda, float32, uint32


@cuda.jit
def vector_add(a, b, c):
    i = cuda.grid(1)
    if i < c.size:
        c[i] = a[i] + b[i]


@cuda.jit
def softmax(x, y):
    part = cuda.shared.array(256, float32)
    r, t = cuda.blockIdx.x, cuda.threadIdx.x
    m = -math.inf
    for j in range(t, x.shape[1], 256):
        m = max(m, x[r, j])
    part[t] = m
    cuda.syncthreads()
    s = 128
    while s > 0:
        if t < s:
            part[t] = max(part[t], part[t + s])
        cuda.syncthreads()
        s >>= 1
    m = part[0]
    cuda.syncthreads()
    total = 0.0
    for j in range(t, x.shape[1], 256):
        total += math.exp(x[r, j] - m)
    part[t] = total
    cuda.syncthreads()
    s = 128
    while s > 0:
        if t < s:
            part[t] += part[t + s]
        cuda.syncthreads()
        s >>= 1
    for j in range(t, x.shape[1], 256):
        y[r, j] = math.exp(x[r, j] - m) / part[0]


@cuda.jit
def sgemm(a, b, c):
    sa, sb = cuda.shared.array((16, 16), float32), cuda.shared.array((16, 16), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    total = 0.0
    for k in range(0, a.shape[1], 16):
        sa[y, x], sb[y, x] = a[row, k + x], b[k + y, column]
        cuda.syncthreads()
        for j in range(16):
            total += sa[y, j] * sb[j, x]
        cuda.syncthreads()
    c[row, column] = total


@cuda.jit
def tree_sum(x, sums):
    part = cuda.shared.array(256, float32)
    b, t = cuda.blockIdx.x, cuda.threadIdx.x
    p = b * 1024 + t
    part[t] = (x[p] + x[p + 256]) + (x[p + 512] + x[p + 768])
    cuda.syncthreads()
    s = 128
    while s > 0:
        if t < s:
            part[t] += part[t + s]
        cuda.syncthreads()
        s >>= 1
    if t == 0:
        sums[b] = part[0]


@cuda.jit
def mandelbrot(out, width, height, limit):
    px, py = cuda.grid(2)
    cx, cy, x, y, k = -2.0 + 3.0 * px / width, -1.5 + 3.0 * py / height, 0.0, 0.0, 0
    while k < limit and x * x + y * y < 4:
        x, y = x * x - y * y + cx, 2 * x * y + cy
        k += 1
    out[py, px] = k


@cuda.jit
def histogram(data, bins):
    own = cuda.shared.array(256, uint32)
    t = cuda.threadIdx.x
    own[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), data.size, cuda.gridsize(1)):
        cuda.atomic.add(own, data[i], 1)
    cuda.syncthreads()
    cuda.atomic.add(bins, t, own[t])


def main() -> None:
    sizes = json.loads(sys.argv[1])
    f = np.float32
    runs = {
        "vector_add": (vector_add[1, 256], (np.ones(256, f), np.ones(256, f), np.zeros(256, f)), 256 / sizes["vector_add"]),
        "softmax": (softmax[1, 256], (np.ones((1, 1024), f), np.zeros((1, 1024), f)), 1 / sizes["softmax"]),
        "sgemm": (sgemm[(1, 1), (16, 16)], (np.ones((16, 16), f), np.ones((16, 16), f), np.zeros((16, 16), f)), (16 / sizes["sgemm"]) ** 3),
        "tree_sum": (tree_sum[1, 256], (np.ones(1024, f), np.zeros(1, f)), 1024 / sizes["tree_sum"]),
        "mandelbrot": (mandelbrot[(4, 4), (8, 8)], (np.zeros((32, 32), np.int32), 32, 32, 256), 32 * 32 / sizes["mandelbrot"] ** 2),
        "histogram": (histogram[1, 256], (np.arange(1024).astype(np.uint8), np.zeros(256, np.uint32)), 1024 / sizes["histogram"]),
    }
    out = {}
    for name, (kernel, args, share) in runs.items():
        try:
            kernel(*args)
            start = time.perf_counter()
            kernel(*args)
            out[name] = [time.perf_counter() - start, share]
        except Exception as e:  # noqa: BLE001  a peer that cannot run is shown as missing
            print(f"{name}: {type(e).__name__}: {e}", file=sys.stderr)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
