"""The cases as an expert writes them for Numba: parallel loops, one pass where one is enough."""
import math

import numba as nb
import numpy as np


@nb.njit(parallel=True)
def chain(x):
    out = np.empty_like(x)
    for i in nb.prange(x.size):
        v = x[i]
        out[i] = np.float32(2.5) * v + np.float32(0.5) * math.sin(v) * math.exp(-v * v)
    return out


@nb.njit(parallel=True)
def gelu_tanh(x):
    out = np.empty_like(x)
    for i in nb.prange(x.size):
        v = x[i]
        out[i] = np.float32(0.5) * v * (np.float32(1) + math.tanh(np.float32(0.7978845608) * (v + np.float32(0.044715) * v * v * v)))
    return out


@nb.njit(parallel=True)
def gelu_erf(x):
    out = np.empty_like(x)
    for i in nb.prange(x.size):
        v = x[i]
        out[i] = np.float32(0.5) * v * (np.float32(1) + math.erf(v * np.float32(0.7071067811865476)))
    return out


@nb.njit(parallel=True, fastmath=True)
def total(x):
    s = np.float32(0)
    for i in nb.prange(x.size):
        s += x[i]
    return s


@nb.njit(parallel=True, fastmath=True)
def softmax(x):
    out = np.empty_like(x)
    for r in nb.prange(x.shape[0]):
        m = x[r, 0]
        for c in range(x.shape[1]):
            m = max(m, x[r, c])
        s = np.float32(0)
        for c in range(x.shape[1]):
            e = math.exp(x[r, c] - m)
            out[r, c] = e
            s += e
        for c in range(x.shape[1]):
            out[r, c] /= s
    return out


@nb.njit(parallel=True, fastmath=True)
def layernorm(x):
    out = np.empty_like(x)
    n = np.float32(x.shape[1])
    for r in nb.prange(x.shape[0]):
        s = np.float32(0)
        for c in range(x.shape[1]):
            s += x[r, c]
        m = s / n
        q = np.float32(0)
        for c in range(x.shape[1]):
            d = x[r, c] - m
            q += d * d
        k = np.float32(1) / math.sqrt(q / n + np.float32(1e-5))
        for c in range(x.shape[1]):
            out[r, c] = (x[r, c] - m) * k
    return out


@nb.njit(parallel=True, fastmath=True)
def rmsnorm(x):
    out = np.empty_like(x)
    n = np.float32(x.shape[1])
    for r in nb.prange(x.shape[0]):
        q = np.float32(0)
        for c in range(x.shape[1]):
            q += x[r, c] * x[r, c]
        k = np.float32(1) / math.sqrt(q / n + np.float32(1e-5))
        for c in range(x.shape[1]):
            out[r, c] = x[r, c] * k
    return out


@nb.njit(parallel=True, fastmath=True)
def logsumexp(x):
    out = np.empty(x.shape[0], x.dtype)
    for r in nb.prange(x.shape[0]):
        m = x[r, 0]
        for c in range(x.shape[1]):
            m = max(m, x[r, c])
        s = np.float32(0)
        for c in range(x.shape[1]):
            s += math.exp(x[r, c] - m)
        out[r] = math.log(s) + m
    return out


@nb.njit(parallel=True, fastmath=True)
def moments(x):
    rows, cols = x.shape
    mean, var = np.zeros(cols, x.dtype), np.zeros(cols, x.dtype)
    step = 64
    for b in nb.prange(cols // step):
        lo = b * step
        for r in range(rows):
            for c in range(lo, lo + step):
                mean[c] += x[r, c]
        for c in range(lo, lo + step):
            mean[c] /= np.float32(rows)
        for r in range(rows):
            for c in range(lo, lo + step):
                d = x[r, c] - mean[c]
                var[c] += d * d
        for c in range(lo, lo + step):
            var[c] /= np.float32(rows)
    return mean, var


@nb.njit(parallel=True)
def stencil(x):
    out = np.empty((x.shape[0] - 2, x.shape[1] - 2), x.dtype)
    for r in nb.prange(out.shape[0]):
        for c in range(out.shape[1]):
            around = x[r, c + 1] + x[r + 2, c + 1] + x[r + 1, c] + x[r + 1, c + 2]
            out[r, c] = x[r + 1, c + 1] * np.float32(0.5) + np.float32(0.125) * around
    return out


CASES = {"a*x + b*sin(x)*exp(-x*x)": chain, "gelu, tanh": gelu_tanh, "gelu, erf": gelu_erf, "sum": total, "softmax": softmax, "layernorm": layernorm,
         "rmsnorm": rmsnorm, "logsumexp": logsumexp, "mean, var of columns": moments, "5-point stencil": stencil}  # fmt: skip
