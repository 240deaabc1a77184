"""One version for every size, on every device: the oracle's bits."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.testing.compare import bits_difference, results

DEVICES = [d.name for d in pj.devices() if d.available and d.name != "interp"]

pytestmark = pytest.mark.filterwarnings("ignore:.*was compiled 8 times")  # the static oracle is


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


CASES = {
    "elementwise": (lambda x, y: np.sin(x) * y + 1, lambda n: [(n, 6), (6,)], 1),
    "long": (lambda x: x * 2 + 1, lambda n: [(n,)], 1),
    "rows": (softmax, lambda n: [(n, 33)], 1),
    "long rows": (softmax, lambda n: [(3, n)], 1),
    "sum": (lambda x: (x.sum(), x.mean()), lambda n: [(n, 7)], 1),
    "columns": (lambda x: x.sum(0) / x.shape[0], lambda n: [(n, 9)], 2),
    "product": (lambda x, w: np.maximum(x @ w, 0), lambda n: [(n, 17), (17, 21)], 2),
    "shape": (lambda x, y: pj.concat([x[1:], y[::-1], x.T[0] * 2 if x.ndim > 1 else x]), lambda n: [(n,), (n + 3,)], 2),
}  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_one_version_for_every_size(name, device):
    fn, shapes, versions = CASES[name]
    f, oracle = pj.jit(fn, device=device), pj.jit(fn, device="interp", static_shapes=True)
    for n in (20, 30, 40, 2, 5, 64, 129, 300):
        args = [np.random.default_rng(n).standard_normal(s).astype("f4") for s in shapes(n)]
        assert bits_difference(results(oracle(*args)), results(f(*args))) is None, n
    assert f.stats()["compilations"] <= 2 + versions, f.stats()


@pytest.mark.parametrize("device", DEVICES)
def test_arrays_of_the_device(device):
    """Memory of a device goes into a symbolic program, and its results stay there."""
    f = pj.jit(lambda x, y: x * 2 + y)
    for n in (20, 30, 40, 50, 129):
        x, y = (np.random.default_rng(k).standard_normal(n).astype("f4") for k in range(2))
        out = f(pj.asarray(x, device=device), pj.asarray(y, device=device))
        assert isinstance(out, pj.Array) and out.shape == (n,) and np.asarray(out).tobytes() == (x * np.float32(2) + y).tobytes()
    assert f.stats()["compilations"] == 3
