"""What is part of a key, and what is not."""
from __future__ import annotations

import threading

import numpy as np
import pytest

from ptxjit import cache
from ptxjit.jitted import Jit, Spec
from ptxjit.options import Options
from ptxjit.targets import target


def graph_of(fn, *specs):
    jitted = Jit(fn, name="f")
    leaves, structure, static = jitted._bound(specs, {})
    return jitted.trace(structure, static, leaves)[0]


A, B = Spec("f4", (8,)), Spec("f4", (9,))


def key(fn, *specs, name="cpu:host", options=Options()):
    return cache.key_of(graph_of(fn, *specs), target(name), options)


def one(x):
    total = x + 1
    return total * 2


def same_but_elsewhere(y):

    other_name = y + 1
    return other_name * 2


def test_names_and_lines_are_outside():
    assert key(one, A) == key(same_but_elsewhere, A)


@pytest.mark.parametrize("other", [
    lambda: key(one, B), lambda: key(one, Spec("f8", (8,))), lambda: key(lambda x: (x + 1) * 3, A), lambda: key(lambda x: (x + 1) * 2.001, A),
    lambda: key(lambda x: (x * 2 + 1), A), lambda: key(lambda x: (x + 1, x * 2), A), lambda: key(one, A, options=Options(fast_math=True)),
    lambda: key(one, A, options=Options(reproducible=True)), lambda: key(one, A, name="cpu:x86-64-v2"),
    lambda: key(lambda x: np.roll(x, 1), A), lambda: key(lambda x: np.roll(x, 2), A),
])  # fmt: skip
def test_meaning_is_inside(other):
    assert other() != key(one, A)
    assert other() == other()


def test_signs_of_zeros_and_bodies_of_loops_are_inside():
    import ptxjit as pj

    assert key(lambda x: x * 0.0, A) != key(lambda x: x * -0.0, A)
    loops = {key(lambda x, n=n, c=c: pj.fori_loop(0, n, lambda i, s: s * c, x), A) for n in (3, 4) for c in (2.0, 3.0)}
    assert len(loops) == 4


def test_the_place_of_a_check_is_inside():
    def first(x):
        return np.bincount(x, minlength=3)

    def second(x):
        return np.bincount(x, minlength=3)

    assert key(first, Spec("i8", (5,))) != key(second, Spec("i8", (5,)))  # the entry holds the words of the error


def test_sources_are_inside(monkeypatch):
    before = key(one, A)
    monkeypatch.setattr(cache, "_build", "another build")
    assert key(one, A) != before


class Built:
    def __init__(self, data=b"code"):
        self.data = data

    def to_bytes(self):
        return self.data


class Fake:
    """A target that counts."""

    name, facts = "fake", ("facts",)

    def __init__(self):
        self.builds = self.loads = 0

    def build(self):
        self.builds += 1
        return Built(b"x" * 1000)

    def load(self, data):
        self.loads += 1
        return Built(data)


def get(fake, fn=one, spec=A):
    return cache.get_or_build(graph_of(fn, spec), fake, Options(), fake.build)


def test_the_same_key_is_built_once_by_many_threads(cache_folder):
    fake, graph = Fake(), graph_of(one, A)
    threads = [threading.Thread(target=lambda: cache.get_or_build(graph, fake, Options(), fake.build)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert (fake.builds, fake.loads) == (1, 7)


def test_the_oldest_go_first(cache_folder, monkeypatch):
    import os

    monkeypatch.setattr(cache, "LIMIT", 3500)  # three entries of 1048 bytes
    fake = Fake()
    for n in range(3):
        get(fake, spec=Spec("f4", (n + 1,)))
    for age, file in enumerate(sorted(cache_folder.glob("*.bin"), key=lambda f: f.stat().st_mtime_ns)):
        os.utime(file, (1_000_000 + age, 1_000_000 + age))
    get(fake, spec=Spec("f4", (1,)))  # used again: young
    get(fake, spec=Spec("f4", (4,)))
    assert cache.info()["entries"] == 3 and fake.builds == 4
    get(fake, spec=Spec("f4", (1,)))
    assert fake.builds == 4
    get(fake, spec=Spec("f4", (2,)))
    assert fake.builds == 5


def test_the_folder_is_looked_at_seldom(cache_folder, monkeypatch):
    looks, shrink = [], cache._shrink
    monkeypatch.setattr(cache, "_shrink", lambda folder: looks.append(folder) or shrink(folder))
    fake = Fake()
    for n in range(20):
        get(fake, spec=Spec("f4", (n + 1,)))
    assert len(looks) == 1 and cache.info()["entries"] == 20
    monkeypatch.setattr(cache, "LIMIT", 5 * 1048)  # less than there is: at the next look
    monkeypatch.setitem(cache._room, cache_folder, 0)
    get(fake, spec=Spec("f4", (30,)))
    assert cache.info()["entries"] == 5


def test_what_killed_writers_left_is_removed(cache_folder):
    import os

    cache_folder.mkdir(mode=0o700)
    old, young = cache_folder / f".{'a' * 64}.bin.1.1", cache_folder / f".{'b' * 64}.bin.2.2"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (0, 0))
    get(Fake())
    assert not old.exists() and young.exists()
    assert cache.info()["entries"] == 1


def test_an_entry_that_the_target_refuses_is_dropped(cache_folder):
    class Picky(Fake):
        def load(self, data):
            raise ValueError("not mine")

    get(Fake())
    picky = Picky()
    with pytest.warns(UserWarning, match="could not be loaded"):
        get(picky)
    assert picky.builds == 1
