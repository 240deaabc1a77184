"""The memory plan: who shares, and that sharing never changes a result."""
from __future__ import annotations

import numpy as np

import ptxjit as pj
from ptxjit.ir.analysis.slots import named, slots
from ptxjit.ir.program import Buffer, Copy, Fill, Loop, Program
from ptxjit.ir.types import F32, I1, array


def chain(x):
    for _ in range(4):
        x = np.cumsum(x, axis=1)
        x = x / (1 + np.abs(x).sum(0))
        x = x @ x.T
    return x


def test_a_chain_needs_as_many_slots_as_are_alive():
    p = pj.jit(chain).lower("f64[20,20]")._low.program
    found = slots(p)
    temps = [b for b in p.buffers if b.kind == "temp"]
    assert sorted(b.name for s in found for b in s) == sorted(b.name for b in temps) and len(found) < len(temps) / 2
    steps = [{b.name for b in named(s)} for s in p.steps]
    for slot in found:
        lives = [[k for k, names in enumerate(steps) if b.name in names] for b in slot]
        assert all(max(a) < min(b) for a, b in zip(lives, lives[1:]))
    x = np.random.default_rng(0).standard_normal((20, 20))
    np.testing.assert_allclose(pj.jit(chain)(x), chain(x), rtol=1e-9)


def buffer(name, n=8, kind="temp", elem=F32):
    return Buffer(name, array(elem, (n,) if elem is F32 else ()), kind)


def test_what_a_loop_names_lives_as_long_as_the_loop():
    a, b, c, d, x, flag = buffer("a"), buffer("b"), buffer("c"), buffer("d"), buffer("x", kind="output"), buffer("flag", elem=I1)
    p = Program("p", (a, b, c, d, x, flag), (), (x,), (Fill(a, 0), Copy(b, a), Loop((Copy(c, b), Copy(b, c)), cond=flag, before=(Fill(flag, 0),)), Copy(d, b), Copy(x, d)))
    sharing = [{s.name for s in slot} for slot in slots(p)]
    assert not any({"b", "c"} <= s or {"b", "d"} <= s or {"c", "flag"} <= s or {"b", "flag"} <= s for s in sharing)
    assert len(sharing) == 3 and any({"c", "d"} <= s or {"flag", "d"} <= s for s in sharing)


def test_the_same_size_first():
    a, b, c, d, x = buffer("a", 4), buffer("b", 100), buffer("c", 100), buffer("d", 4), buffer("x", kind="output")
    steps = (Fill(a, 0), Fill(b, 0), Copy(x, a), Copy(x, b), Fill(c, 0), Fill(d, 1))
    found = [[s.name for s in slot] for slot in slots(Program("p", (a, b, c, d, x), (), (x,), steps))]
    assert ["b", "c"] in found and ["a", "d"] in found


def test_one_that_nobody_names_has_its_own():
    a, x = buffer("a"), buffer("x", kind="output")
    assert [[b.name for b in s] for s in slots(Program("p", (a, x), (), (x,), (Fill(x, 0),)))] == [["a"]]
