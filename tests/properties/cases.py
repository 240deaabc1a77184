"""Functions that every level, target and device computes with the same bits: name → (function, shapes of its arguments)."""
from __future__ import annotations

import numpy as np

import ptxjit as pj


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layernorm(x, g, b):
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * g + b


CASES = {
    "elementwise": (lambda x: np.sin(x) * np.exp(-x * x) + 1, [(37,)]),
    "broadcast": (lambda x, y: x * 2 + y, [(5, 7), (7,)]),
    "softmax": (softmax, [(3, 100)]),
    "long softmax": (softmax, [(2, 4200)]),
    "short rows": (softmax, [(70, 6)]),
    "layernorm": (layernorm, [(3, 65), (65,), (65,)]),
    "columns": (lambda x: (x.mean(0), x.max(0)), [(300, 9)]),
    "all": (lambda x: x.sum(), [(70, 1000)]),
    "matmul": (lambda x, y: np.maximum(x @ y, 0), [(9, 270), (270, 21)]),
    "matvec": (lambda x, y: x @ y, [(33, 5), (5,)]),
    "scan": (lambda x: np.cumsum(x, axis=1), [(2, 300)]),
    "argmax": (lambda x: (np.argmax(x, 1), np.argmin(x)), [(6, 40)]),
    "shape": (lambda x: np.concatenate([x.T[::-1], np.pad(x, 1)[1:-1, 1:-1].T * 2], axis=0), [(5, 6)]),
    "take": (lambda x: x[np.array([2, 0, -1])] + x[::-1][:3], [(4, 5)]),
    "loop": (lambda x: pj.fori_loop(0, 3, lambda i, s: s * 0.5 + x, x), [(8,)]),
}  # fmt: skip
