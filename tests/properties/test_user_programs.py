"""Little programs as NumPy users write them, on float64: what @jit gives is what NumPy gives.

Each is run as it is by NumPy, too (loops outside of a trace are plain Python), and against a second formulation where there is one.
"""
from __future__ import annotations

import math

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.testing import assert_targets_agree

RNG = np.random.default_rng(12)
PROGRAMS = {}


def program(*args, reference=None, rtol=1e-10, atol=1e-12, static=()):
    def add(fn):
        PROGRAMS[fn.__name__] = (fn, args, reference, rtol, atol, static)
        return fn
    return add


def normal(*shape):
    return RNG.standard_normal(shape)


# ---- learning -------------------------------------------------------------------------------------------------------


def kmeans_reference(points, centres):
    labels = np.array([min(range(len(centres)), key=lambda c: ((p - centres[c]) ** 2).sum()) for p in points])
    return labels, np.stack([points[labels == c].mean(0) if (labels == c).any() else centres[c] for c in range(len(centres))])


@program(normal(120, 3), normal(5, 3), reference=kmeans_reference)
def kmeans_step(points, centres):
    distance = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(-1)
    labels = np.argmin(distance, axis=1)
    one_hot = (labels[:, None] == np.arange(centres.shape[0])).astype(points.dtype)
    count = one_hot.sum(0)
    return labels, np.where(count[:, None] > 0, one_hot.T @ points / np.maximum(count, 1)[:, None], centres)


@program(normal(80, 6), normal(6), np.float64(0.3), (normal(80) > 0).astype("f8"))
def logistic_regression_step(x, w, b, y):
    p = 1 / (1 + np.exp(-(x @ w + b)))
    error = p - y
    loss = -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean()
    return loss, w - 0.1 * (x.T @ error) / len(x), b - 0.1 * error.mean()


def cross_entropy_reference(logits, labels):
    return np.mean([math.log(sum(math.exp(v) for v in row)) - row[k] for row, k in zip(logits, labels)])


@program(normal(40, 10), RNG.integers(0, 10, 40), reference=cross_entropy_reference)
def softmax_cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -np.take_along_axis(log_p, labels[:, None], axis=1).mean()


@program(normal(9, 50), normal(50), normal(50))
def layernorm(x, gain, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gain + bias


def attention_reference(q, k, v):
    out = np.zeros_like(q)
    for h in range(q.shape[0]):
        for i in range(q.shape[1]):
            s = np.array([q[h, i] @ k[h, j] / math.sqrt(q.shape[2]) for j in range(i + 1)])
            p = np.exp(s - s.max())
            out[h, i] = (p / p.sum()) @ v[h, : i + 1]
    return out


@program(normal(2, 12, 8), normal(2, 12, 8), normal(2, 12, 8), reference=attention_reference)
def causal_attention(q, k, v):
    s = np.einsum("hid,hjd->hij", q, k) / math.sqrt(q.shape[-1])
    n = q.shape[1]
    s = np.where(np.arange(n)[:, None] >= np.arange(n), s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    return p / p.sum(-1, keepdims=True) @ v


@program(normal(60, 7), reference=lambda x: np.linalg.svd(x - x.mean(0))[1][0] ** 2 / 59, rtol=1e-6)
def pca_power_iteration(x):
    c = x - x.mean(axis=0)
    cov = c.T @ c / (len(x) - 1)

    def step(i, v):
        w = cov @ v
        return w / np.linalg.norm(w)

    v = pj.fori_loop(0, 300, step, np.ones(x.shape[1]) / math.sqrt(x.shape[1]))
    return v @ cov @ v


@program(normal(20, 6), normal(15, 6), reference=lambda a, b: np.array([[x @ y / math.sqrt(x @ x) / math.sqrt(y @ y) for y in b] for x in a]))
def cosine_similarity(a, b):
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


# ---- pictures and signals -------------------------------------------------------------------------------------------


def convolution_reference(x, k):
    return np.array([[(x[i : i + 3, j : j + 3] * k).sum() for j in range(x.shape[1] - 2)] for i in range(x.shape[0] - 2)])


@program(normal(17, 23), normal(3, 3), reference=convolution_reference)
def convolution_by_slices(x, k):
    h, w = x.shape[0] - 2, x.shape[1] - 2
    out = np.zeros((h, w))
    for i in range(3):
        for j in range(3):
            out = out + k[i, j] * x[i : i + h, j : j + w]
    return out


@program(RNG.random((19, 21)))
def sobel(x):
    p = np.pad(x, 1, mode="edge")
    gx = p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:] - p[:-2, :-2] - 2 * p[1:-1, :-2] - p[2:, :-2]
    gy = p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:] - p[:-2, :-2] - 2 * p[:-2, 1:-1] - p[:-2, 2:]
    size = np.hypot(gx, gy)
    return size, np.degrees(np.arctan2(gy, gx)), (size > size.mean()).astype(np.uint8)


@program(RNG.random((11, 14, 3)))
def bilinear_resize(x):
    def places(n, m):
        at = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, n - 1), at - low

    i0, i1, u = places(x.shape[0], 20)
    j0, j1, v = places(x.shape[1], 9)
    rows = np.take(x, i0, axis=0) * (1 - u)[:, None, None] + np.take(x, i1, axis=0) * u[:, None, None]
    return np.take(rows, j0, axis=1) * (1 - v)[:, None] + np.take(rows, j1, axis=1) * v[:, None]


@program(normal(100), reference=lambda x: np.convolve(x, np.ones(7) / 7, "valid"))
def moving_average(x):
    c = np.concatenate([np.zeros(1), np.cumsum(x)])
    return (c[7:] - c[:-7]) / 7


def dct_reference(x):
    n = len(x)
    return np.array([sum(x[j] * math.cos(math.pi * k * (2 * j + 1) / (2 * n)) for j in range(n)) for k in range(n)])


@program(normal(32), reference=dct_reference)
def dct(x):
    n = x.shape[0]
    j, k = np.meshgrid(np.arange(n), np.arange(n))
    return np.cos(np.pi * k * (2 * j + 1) / (2 * n)) @ x


@program((RNG.random((16, 20)) < 0.4).astype(np.int64))
def game_of_life(board):
    def step(i, b):
        n = sum(np.roll(b, (dy, dx), axis=(0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
        return ((n == 3) | (b == 1) & (n == 2)).astype(np.int64)

    return pj.fori_loop(0, 12, step, board)


def mandelbrot_reference(n):
    out = np.zeros((n, n), np.int64)
    for a, y in enumerate(np.linspace(-1.2, 1.2, n)):
        for b, x in enumerate(np.linspace(-2, 0.6, n)):
            z, c = 0j, complex(x, y)
            while out[a, b] < 30 and z.real**2 + z.imag**2 <= 4:
                z, out[a, b] = complex(z.real * z.real - z.imag * z.imag + c.real, 2 * z.real * z.imag + c.imag), out[a, b] + 1
    return out


@program(24, reference=mandelbrot_reference, static=("n",))
def mandelbrot(n):
    cy, cx = np.meshgrid(np.linspace(-1.2, 1.2, n), np.linspace(-2, 0.6, n), indexing="ij")
    start = (np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n), np.int64))

    def inside(state):
        zx, zy, count = state
        return (zx * zx + zy * zy <= 4) & (count < 30)

    def step(state):
        zx, zy, count = state
        go = inside(state)
        return np.where(go, zx * zx - zy * zy + cx, zx), np.where(go, 2 * zx * zy + cy, zy), count + go

    return pj.while_loop(lambda s: inside(s).any(), step, start)[2]


# ---- counting and data ----------------------------------------------------------------------------------------------


@program(RNG.random(500) * 10, reference=lambda x: (np.histogram(x, 20, (0, 10))[0], np.histogram(x, 20, (0, 10))[0].cumsum() / 500))
def histogram(x):
    bins = np.clip((x * 2).astype(np.int64), 0, 19)
    count = np.bincount(bins, minlength=20)
    return count, np.cumsum(count) / x.size


@program(RNG.integers(0, 7, 30), reference=lambda k: np.eye(7)[k])
def one_hot(k):
    return (k[:, None] == np.arange(7)).astype("f8")


def run_length_reference(x):
    out, n = [], 0
    for a, b in zip(x, [None, *x[:-1]]):
        n = n + 1 if a == b else 1
        out.append(n)
    return np.array(out), 1 + sum(a != b for a, b in zip(x[1:], x[:-1]))


@program(RNG.integers(0, 3, 60), reference=run_length_reference)
def run_lengths(x):
    new = np.concatenate([np.array([True]), x[1:] != x[:-1]])
    at = np.arange(x.size)
    start = np.maximum.accumulate(np.where(new, at, 0))
    return at - start + 1, np.cumsum(new)[-1]


# ---- physics, money, algebra ----------------------------------------------------------------------------------------


def black_scholes_reference(s, k, t, r, v):
    phi = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))
    d1 = [(math.log(a / b) + (r + v * v / 2) * c) / (v * math.sqrt(c)) for a, b, c in zip(s, k, t)]
    d2 = [x - v * math.sqrt(c) for x, c in zip(d1, t)]
    call = np.array([a * phi(x) - b * math.exp(-r * c) * phi(y) for a, b, c, x, y in zip(s, k, t, d1, d2)])
    return call, call - s + k * np.exp(-r * t)


@program(RNG.uniform(50, 150, 60), RNG.uniform(50, 150, 60), RNG.uniform(0.1, 2, 60), 0.03, 0.2, reference=black_scholes_reference, atol=1e-11)
def black_scholes(s, k, t, r, v):
    phi = lambda x: 0.5 * (1 + pj.erf(x / np.sqrt(2)))
    d1 = (np.log(s / k) + (r + v**2 / 2) * t) / (v * np.sqrt(t))
    d2 = d1 - v * np.sqrt(t)
    call = s * phi(d1) - k * np.exp(-r * t) * phi(d2)
    return call, k * np.exp(-r * t) * phi(-d2) - s * phi(-d1)


def n_body_reference(x, v, m):
    x, v = x.copy(), v.copy()
    for _ in range(5):
        a = np.zeros_like(x)
        for i in range(len(x)):
            for j in range(len(x)):
                d = x[j] - x[i]
                a[i] += m[j] * d / (d @ d + 0.01) ** 1.5
        v += 0.01 * a
        x += 0.01 * v
    return x, v


@program(normal(14, 3), normal(14, 3), RNG.random(14), reference=n_body_reference)
def n_body(x, v, m):
    def step(i, state):
        x, v = state
        d = x[None, :, :] - x[:, None, :]
        v = v + 0.01 * (d * (m[:, None] / ((d * d).sum(-1, keepdims=True) + 0.01) ** 1.5)).sum(axis=1)
        return x + 0.01 * v, v

    return pj.fori_loop(0, 5, step, (x, v))


@program(normal(8, 8) + 4 * np.eye(8), reference=np.linalg.inv, rtol=1e-8)
def inverse_by_gauss_jordan(a):
    n = a.shape[0]
    rows = np.arange(n)

    def step(k, m):
        below = np.where(rows >= k, np.abs(np.take(m, k, axis=1)), -1.0)
        p = np.argmax(below)
        swapped = np.where(rows == k, p, np.where(rows == p, k, rows))
        m = np.take(m, swapped, axis=0)
        pivot = np.take(m, k, axis=0)
        pivot = pivot / np.take(pivot, k)
        return np.where((rows == k)[:, None], pivot, m - np.take(m, k, axis=1)[:, None] * pivot)

    return pj.fori_loop(0, n, step, np.concatenate([a, np.eye(n)], axis=1))[:, n:]


@program(normal(40), 0.1)
def heat_equation(u, r):
    """Explicit steps until nothing changes much."""
    def step(state):
        u, _, n = state
        new = u + r * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
        return new, np.abs(new - u).max(), n + 1

    u, _, n = pj.while_loop(lambda s: (s[1] > 1e-4) & (s[2] < 2000), step, (u, np.float64(1), np.int64(0)))
    return u, n


@program(np.float64(2.0), normal(30) * 3)
def newton_and_horner(guess, x):
    root = pj.fori_loop(0, 6, lambda i, g: 0.5 * (g + 7 / g), guess)
    c = np.array([1.0, -2.0, 0.5, 3.0])
    value, _ = pj.scan(lambda acc, a: (acc * x + a, acc.sum()), np.zeros_like(x), c)
    return root, value


# ---- the tests ------------------------------------------------------------------------------------------------------


def leaves(out):
    return [np.asarray(v) for v in out] if isinstance(out, tuple) else [np.asarray(out)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    fn, args, reference, rtol, atol, static = PROGRAMS[name]
    got = leaves(pj.jit(fn, static_argnames=static)(*args))
    for other in (fn, reference):
        if other is None:
            continue
        want = leaves(other(*args))
        assert len(got) == len(want)
        for g, w in zip(got, want):
            assert g.shape == w.shape and (g.dtype == w.dtype or other is reference), f"{g.dtype}{g.shape} for {w.dtype}{w.shape}"
            np.testing.assert_allclose(g, w, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in ("mandelbrot", "pca_power_iteration", "heat_equation", "n_body")])
def test_the_kernels_for_a_card_give_the_same_bits(name):
    fn, args, *_ = PROGRAMS[name]
    assert_targets_agree(fn, *args, targets=["cpu", "ptx:sm_80"], bitwise=True)
