"""`f(…, out=…)`: results into the caller's arrays."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import DTypeError, ShapeError, UserError

DEVICES = ["cpu", "interp", *(d.name for d in pj.devices() if d.kind == "opencl" and d.available)]
X = np.arange(12, dtype="f4").reshape(3, 4)


def pair(x):
    return {"sum": x.sum(axis=1), "twice": x * 2}


@pytest.mark.parametrize("device", DEVICES)
def test_one_and_many(device):
    f = pj.jit(lambda x: np.exp(x) + 1, device=device)
    out = np.zeros((3, 4), "f4")
    assert f(X, out=out) is out and (out == f(X)).all()
    g = pj.jit(pair, device=device)
    into = {"sum": np.zeros(3, "f4"), "twice": np.zeros((3, 4), "f4")}
    assert g(X, out=into) is into
    assert (into["sum"] == X.sum(1)).all() and (into["twice"] == 2 * X).all()
    h = pj.jit(lambda x: np.cumsum(x @ x.T, axis=0) / (1 + x.sum()), device=device)
    out = np.zeros((3, 3), "f4")
    h(X, out=out)
    assert (out == h(X)).all()


@pytest.mark.parametrize("device", DEVICES)
def test_any_layout(device):
    f = pj.jit(lambda x: x * 2 + 1, device=device)
    room = np.zeros((8, 6), "f4")
    for out in (room.T[:4, :3].T, room[1:7:2, :4], room[::-1][:3, 1:5], np.zeros((3, 4), ">f4").view(">f4")):
        if out.dtype.isnative:
            assert f(X, out=out) is out and (out == 2 * X + 1).all()
    empty = np.zeros((0, 4), "f4")
    assert f(np.zeros((0, 4), "f4"), out=empty) is empty
    scalar = np.zeros((), "f4")
    pj.jit(lambda x: x.sum(), device=device)(X, out=scalar)
    assert scalar == X.sum()


def test_many_sizes():
    f = pj.jit(lambda x: x + 1)
    for n in (3, 4, 5, 9, 100, 7):
        out = np.zeros(n)
        f(np.arange(n * 1.0), out=out)
        assert (out == np.arange(n) + 1).all()


def test_what_does_not_fit():
    f = pj.jit(lambda x: x * 2)
    kept = np.full((3, 4), 7, "f4")
    for out, kind, words in ((np.zeros((4, 3), "f4"), ShapeError, "out has shape (4, 3), the result (3, 4)"), (np.zeros((3, 4)), DTypeError, "out is of float64"),
                             ((kept,), UserError, "structure"), ([kept, kept], UserError, "structure"), ("text", DTypeError, "out is a str")):  # fmt: skip
        with pytest.raises(kind) as e:
            f(X, out=out)
        assert words in str(e.value) and "test_into.py" in e.value.place
    frozen = kept.copy()
    frozen.flags.writeable = False
    with pytest.raises(UserError, match="read-only"):
        f(X, out=frozen)
    assert (kept == 7).all()


def test_overlap_is_an_error():
    f = pj.jit(lambda x: x * 2)
    a = np.arange(20, dtype="f4")
    for x, out in ((a, a), (a[:10], a[5:15]), (a[::2], a[:10])):
        with pytest.raises(UserError, match="out shares memory with what is read") as e:
            f(x, out=out)
        assert isinstance(e.value, ValueError)
    f(a[::2], out=a[1::2])  # side by side, not the same
    assert (a[1::2] == 2 * a[::2]).all()
    w = np.ones(4, "f4")
    with pytest.raises(UserError, match="shares memory with what is read"):
        pj.jit(lambda x: x + w)(X[0], out=w)
    b = np.zeros((3, 4), "f4")
    with pytest.raises(UserError, match="another result"):
        pj.jit(lambda x: (x + 1, x + 2))(X, out=(b, b))


def test_a_parameter_of_that_name_is_the_functions_own():
    f = pj.jit(lambda x, out: x + out)
    assert (f(X, out=X) == 2 * X).all()


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_of_devices(device):
    f = pj.jit(lambda x: x * 2)
    x, out = (pj.asarray(v, device=device, copy=True) for v in (X, np.zeros_like(X)))
    assert f(x, out=out) is out and (out.numpy() == 2 * X).all()
    with pytest.raises(UserError, match="shares memory"):
        f(x, out=x)
