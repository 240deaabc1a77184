"""Calling: containers, keywords, closures, methods, layouts, threads, fork."""
from __future__ import annotations

import os
import threading
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import ptxjit as pj

SCALE = 2.0


def test_containers_and_keywords():
    P = namedtuple("P", "a b")

    @dataclass
    class D:
        u: object
        v: object

    @pj.jit
    def f(p, d, *, k=1.0):
        return {"sum": p.a + p.b * k, "rest": [d.u, (d.v, None)]}

    out = f(P(np.ones(3), 2.0), D(np.zeros(2), 3), k=4.0)
    np.testing.assert_array_equal(out["sum"], np.full(3, 9.0))
    assert out["rest"][1][0] == 3 and out["rest"][1][1] is None


def test_closures_are_read_anew():
    global SCALE
    table, k = np.ones(4), 3

    @pj.jit
    def f(x):
        return x * table * k * SCALE

    x = np.arange(4.0)
    np.testing.assert_array_equal(f(x), x * 6)
    table[:] = 5
    np.testing.assert_array_equal(f(x), x * 30)
    k = 1
    np.testing.assert_array_equal(f(x), x * 10)
    SCALE = 4.0
    np.testing.assert_array_equal(f(x), x * 20)
    SCALE = 2.0
    table = np.full(4, 7.0)
    np.testing.assert_array_equal(f(x), x * 14)


def test_methods_nested_jit_and_helpers():
    class M:
        def __init__(self, w):
            self.w = w

        @pj.jit(static_argnames=("self",))
        def apply(self, x):
            return inner(x) * self.w

    @pj.jit
    def inner(x):
        return np.exp(x) + 1

    m = M(3.0)
    np.testing.assert_allclose(m.apply(np.zeros(3)), np.full(3, 6.0))


@pytest.mark.parametrize("make", [
    lambda: np.arange(24.0).reshape(4, 6).T, lambda: np.arange(24.0).reshape(4, 6)[::-1, ::2], lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    lambda: np.arange(5, dtype=">f4"), lambda: np.frombuffer(b"\0" + np.arange(4, dtype="f8").tobytes(), "f8", offset=1), lambda: np.float32(3),
    lambda: np.zeros((0, 3)), lambda: np.array(2.5), lambda: np.broadcast_to(np.float64(1), (3, 3)),
])  # fmt: skip
def test_layouts(make):
    x = make()
    before = np.array(x)
    y = pj.jit(lambda x: x * 2 + 1)(x)
    np.testing.assert_array_equal(y, np.asarray(x) * 2 + 1)
    np.testing.assert_array_equal(x, before)


def test_read_only_input_stays():
    x = np.arange(5.0)
    x.setflags(write=False)
    np.testing.assert_array_equal(pj.jit(lambda x: x + 1)(x), x + 1)


def test_stats_and_warning():
    f = pj.jit(lambda x: x + 1, static_shapes=True)
    with pytest.warns(UserWarning, match="compiled 8 times"):
        for n in range(1, 9):
            f(np.ones(n))
    assert f.stats()["compilations"] == 8 and "float64[8]" in f.stats()["reasons"][-1]


def test_threads():
    f = pj.jit(lambda x: (np.sin(x) * x).sum())
    x = np.random.default_rng(0).standard_normal(300_000)
    want, got = f(x), []
    threads = [threading.Thread(target=lambda: got.extend(f(x) for _ in range(5))) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert got == [want] * 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_computes_serially():
    f = pj.jit(lambda x: x * 2 + 1)
    x = np.ones(300_000)
    f(x)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if (f(x) == 3).all() else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_long_chains_do_not_recurse():
    def f(x):
        for _ in range(3000):
            x = x + 1
        return x

    np.testing.assert_array_equal(pj.jit(f)(np.zeros(5)), np.full(5, 3000.0))
