"""Kernels of numba-cuda; writes <name>.ptx beside itself (the mangled name becomes the short one).  Needs numba-cuda, its NVVM and nvrtc."""
import math
import re
from pathlib import Path

from numba import cuda, float32, float64, int32, void

HERE = Path(__file__).resolve().parent


def numba_saxpy(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = a * x[i] + y[i]


def numba_reduce(x, out):
    tile = cuda.shared.array(64, float32)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    tile[t] = x[i] if i < x.size else 0.0
    s = 32
    while s > 0:
        cuda.syncthreads()
        if t < s:
            tile[t] += tile[t + s]
        s //= 2
    if t == 0:
        out[cuda.blockIdx.x] = tile[0]


def numba_matmul(a, b, c):
    i, j = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        s = 0.0
        for k in range(a.shape[1]):
            s += a[i, k] * b[k, j]
        c[i, j] = s


def numba_histogram(x, bins):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(bins, abs(x[i]) % bins.size, 1)


def numba_local(x, out):
    v = cuda.local.array(8, int32)
    i = cuda.grid(1)
    if i >= out.size:
        return
    for k in range(8):
        v[k] = x[(i + k * k) % x.size]
    best = -1
    for k in range(8):
        if v[k] > 0 and (best < 0 or v[k] < v[best]):
            best = k
    out[i] = math.sqrt(float(v[best])) if best >= 0 else -1.0


KERNELS = [
    (numba_saxpy, void(float32, float32[::1], float32[::1])),
    (numba_reduce, void(float32[::1], float32[::1])),
    (numba_matmul, void(float64[:, ::1], float64[:, ::1], float64[:, ::1])),
    (numba_histogram, void(int32[::1], int32[::1])),
    (numba_local, void(int32[::1], float64[::1])),
]

for function, signature in KERNELS:
    ptx, _ = cuda.compile_ptx(function, signature, cc=(8, 0))
    mangled = re.search(r"\.entry\s+([\w$]+)", ptx)[1]
    (HERE / f"{function.__name__}.ptx").write_text(re.sub(rf"(?<![\w$]){re.escape(mangled)}", function.__name__, ptx))
