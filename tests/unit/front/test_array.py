"""`pj.Array`: making, computing, moving, sharing."""
from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import textwrap

import ml_dtypes
import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import DeviceError, DTypeError, UserError

DEVICES = ["cpu", "interp", *(d.name for d in pj.devices() if d.kind in ("opencl", "cuda", "rocm") and d.available)]
AWAY = [n for n in DEVICES if n not in ("cpu", "interp")]
X = np.arange(12, dtype="f4").reshape(3, 4)
on_all = pytest.mark.parametrize("where", DEVICES)


def away():
    if not AWAY:
        pytest.skip("no device with memory of its own: .venv/bin/python -m pip install -e '.[opencl]'")
    return AWAY


def same(a, want):
    got, want = np.asarray(a), np.asarray(want)
    assert got.dtype == want.dtype and got.shape == want.shape
    assert (got == want).all() if want.dtype.kind not in "f" else np.allclose(got, want, rtol=1e-6)


@on_all
def test_what_it_is(where):
    x = pj.asarray(X, device=where)
    assert isinstance(x, pj.Array) and x.device is pj.device(where)
    assert (x.shape, x.dtype, x.ndim, x.size, x.nbytes, x.itemsize, len(x)) == ((3, 4), np.float32, 2, 12, 48, 4, 3)
    assert repr(x).startswith("Array([[") and f"dtype=float32, device={where})" in repr(x)
    assert str(x) == str(X) and x.tolist() == X.tolist()
    assert float(pj.asarray(2.5, device=where)) == 2.5 and int(pj.asarray(7, device=where)) == 7 and bool(pj.asarray(True, device=where))
    assert [10, 20, 30][pj.asarray(1, device=where)] == 20 and f"{pj.asarray(0.5, device=where):.2f}" == "0.50"
    assert repr(pj.asarray(np.zeros((0, 3)), device=where)) == f"Array([], shape=(0, 3), dtype=float64, device={where})"
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)
    with pytest.raises(TypeError):
        len(pj.asarray(1, device=where))


@on_all
@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u8", "f2", "f4", "f8", ml_dtypes.bfloat16, ml_dtypes.float8_e5m2])
def test_there_and_back(where, dtype):
    for shape in [(), (0,), (5,), (2, 0, 3), (3, 7)]:
        a = (np.arange(np.prod(shape, dtype=int)) % 2).astype(dtype).reshape(shape)
        same(pj.asarray(a, device=where), a)
    a = np.arange(24).astype(dtype).reshape(4, 6)
    for view in (a.T, a[::-1, ::2], a[1:3]):
        same(pj.asarray(view, device=where), view)


@on_all
def test_operators_are_numpys(where):
    x, y = pj.asarray(X, device=where), pj.asarray(X[::-1] + 1, device=where)
    a, b = X, X[::-1] + 1
    for f in (lambda u, v: u + v, lambda u, v: u - 2 * v, lambda u, v: 1 / v, lambda u, v: u // v, lambda u, v: u % v, lambda u, v: u ** 2, lambda u, v: -u,
              lambda u, v: abs(u - v), lambda u, v: u < v, lambda u, v: (u == v) | (u > 3), lambda u, v: u @ v.T, lambda u, v: divmod(u, v)[1],
              lambda u, v: np.float64(2) * u, lambda u, v: 3 - u):  # fmt: skip
        same(f(x, y), f(a, b))
        assert isinstance(f(x, y), pj.Array)


@on_all
def test_numpys_functions_and_methods(where):
    x, a = pj.asarray(X, device=where), X
    for f in (np.exp, lambda v: np.sum(v, axis=1), lambda v: np.maximum(v, 3), lambda v: np.concatenate([v, v]), lambda v: np.where(v > 3, v, 0), lambda v: v.T,
              lambda v: v.sum(axis=0), lambda v: v.reshape(2, 6), lambda v: v.astype("f8"), lambda v: v.mean(), lambda v: np.add.reduce(v), lambda v: v.max(-1, keepdims=True),
              lambda v: np.add.outer(v[0], v[1]), lambda v: v[1], lambda v: v[1, -1], lambda v: v[:, 1:3], lambda v: v[::-2], lambda v: v[..., None],
              lambda v: v[np.array([2, 0])], lambda v: np.split(v, 2, axis=1)[1] if hasattr(v, "base") else v[:, 2:]):  # fmt: skip
        same(f(x), f(a))
    same(x[pj.asarray([2, 0], device=where)], a[[2, 0]])
    assert x.__array_namespace__() is pj and isinstance(pj.exp(x), pj.Array)
    for k, row in enumerate(x):
        same(row, a[k])
    with pytest.raises(IndexError):
        x[3]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        x.nonsense
    assert 5.0 in x and 99.0 not in x


@on_all
def test_assignment(where):
    x, a = pj.asarray(X, device=where, copy=True), X.copy()
    for index, value in ((1, 7), ((0, slice(1, 3)), [5, 6]), (a > 8, -1)):
        x[index] = value
        a[index] = value
    same(x, a)
    assert X[1, 0] == 4


@on_all
def test_in_and_out_of_jitted_functions(where):
    @pj.jit
    def f(a, b):
        return {"s": a * b + 1, "t": (a.sum(), b)}

    x = pj.asarray(X, device=where)
    out = f(x, 3)
    assert all(isinstance(v, pj.Array) and v.device is x.device for v in (out["s"], *out["t"]))
    same(out["s"], X * 3 + 1)
    same(out["t"][0], X.sum())
    assert isinstance(f(X, 3)["s"], np.ndarray)
    r = pj.jit(lambda v: v)(x)
    r[0] = 100
    assert float(x[0, 0]) == 0  # never a view of an input


@on_all
def test_arrays_from_outside(where):
    w = pj.asarray(X, device=where)

    @pj.jit
    def f(a):
        return a @ w.T + np.add(w, 1).sum() + w[0, 1]

    same(f(w), X @ X.T + (X + 1).sum() + X[0, 1])


@on_all
def test_printing_inside(where, capsys):
    @pj.jit
    def f(a):
        pj.debug_print("sum {}", a.sum())
        return a + 1

    same(f(pj.asarray(X, device=where)), X + 1)
    assert capsys.readouterr().out == "sum 66.0\n"


def test_mixed_devices_say_how_to_move():
    (name, *_) = away()
    x, y = pj.asarray(X, device="cpu"), pj.asarray(X, device=name)
    f = pj.jit(lambda a, b: a + b)
    for call in (lambda: f(x, y), lambda: f(y, x), lambda: x + y):
        with pytest.raises(DeviceError, match="is on") as e:
            call()
        assert "to_device('" in e.value.hint and isinstance(e.value, ValueError)
    with pytest.raises(DeviceError, match="b is on the host") as e:
        f(y, X)
    assert f"pj.asarray(b, device='{name}')" in e.value.hint
    with pytest.raises(DeviceError, match="was made for cpu"):
        pj.jit(lambda a: a, device="cpu")(y)
    same(f(y, 2), X + 2)
    same(f(y, x.to_device(name)), X + X)


@on_all
def test_moving(where):
    x = pj.asarray(X, device=where)
    assert x.to_device(where) is x and x.to_device(pj.device(where)) is x
    for there in DEVICES:
        same(x.to_device(there), X)
        assert x.to_device(there).device.name == there
    same(pj.asarray(x), X)
    assert pj.asarray(x) is x and pj.asarray(x, copy=True) is not x
    same(pj.asarray(x, dtype="f8"), X.astype("f8"))
    for again in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        same(again, X)
        assert again.device is x.device


def test_memory_of_the_host_is_shared():
    a = X.copy()
    x = pj.asarray(a, device="cpu")
    a[0, 0] = 50
    assert float(x[0, 0]) == 50 and np.shares_memory(x.numpy(), a) and np.shares_memory(np.asarray(x), a)
    assert not np.shares_memory(pj.asarray(a, device="cpu", copy=True).numpy(), a)
    with pytest.raises(ValueError, match="copy"):
        pj.asarray([1, 2], device="cpu", copy=False)


def test_dlpack_of_the_host():
    x = pj.asarray(X, device="cpu")
    assert x.__dlpack_device__() == (1, 0)
    y = np.from_dlpack(x)
    assert np.shares_memory(y, X) and (y == X).all()
    back = pj.from_dlpack(y)
    assert np.shares_memory(back.numpy(), X) and back.shape == X.shape
    same(pj.from_dlpack(X.T), X.T)
    for dtype in ("?", "i2", "u8", "f2", "f8"):
        same(pj.from_dlpack(np.ones(5, dtype)), np.ones(5, dtype))
    b = pj.asarray(np.ones(4, ml_dtypes.bfloat16), device="cpu")
    same(pj.from_dlpack(b), np.ones(4, ml_dtypes.bfloat16))
    with pytest.raises(DTypeError, match="no __dlpack__"):
        pj.from_dlpack(3)
    with pytest.raises(DTypeError, match="not supported"):
        pj.from_dlpack(np.ones(3, "c16"))


@on_all
def test_dlpack_keeps_its_owner(where):
    from ptxjit import dlpack

    gc.collect()
    before = len(dlpack._alive)
    y = pj.from_dlpack(pj.asarray(X.copy(), device=where))
    gc.collect()
    same(y, X)
    assert len(dlpack._alive) == before + 1
    del y
    unused = pj.asarray(X, device=where).__dlpack__()
    versioned = pj.asarray(X, device=where).__dlpack__(max_version=(1, 0))
    assert "dltensor_versioned" in repr(versioned) and '"dltensor"' in repr(unused)
    del unused, versioned
    gc.collect()
    assert len(dlpack._alive) == before


def test_dlpack_between_devices():
    for name in away():
        x = pj.asarray(X, device=name)
        kind, number = x.__dlpack_device__()
        assert kind in (2, 4, 10) and name.endswith(f":{number}")
        y = pj.from_dlpack(x)
        assert y.device is x.device and y._data.driver.address(y._data.raw) == x._data.driver.address(x._data.raw)
        same(np.from_dlpack(x, device="cpu") if np.lib.NumpyVersion(np.__version__) >= "2.1.0" else x, X)
        with pytest.raises(BufferError):
            x.__dlpack__(dl_device=(2, 77))
        with pytest.raises(AttributeError):
            x.__array_interface__


def test_a_producer_that_refuses():
    class Bad:
        def __dlpack__(self, **kw):
            raise BufferError("not today")

        def __dlpack_device__(self):
            return (1, 0)

    with pytest.raises(UserError, match="not today"):
        pj.from_dlpack(Bad())


def test_streams_and_events():
    with pytest.raises(DeviceError, match="has no streams"):
        pj.stream("cpu")
    pj.synchronize("cpu")
    for name in away():
        x = pj.asarray(X, device=name)
        x.synchronize()
        s = pj.stream(name)
        with s:
            y = x * 2
            first = s.record()
        with pj.stream(name) as t:
            t.wait(first)
            z = y + 1
            last = t.record()
        last.synchronize()
        assert first.done and last.done and last.seconds_since(first) >= 0
        same(z, X * 2 + 1)
        s.synchronize()
        pj.synchronize(name)
        assert "stream of" in repr(s)


def test_memory_goes_back_to_the_pool():
    for name in away():
        x = pj.asarray(np.zeros(1 << 16, "f4"), device=name)
        driver = x._data.driver
        raw = x._data.raw
        driver.synchronize()
        held = driver._held
        del x
        gc.collect()
        assert driver._held >= held + (1 << 18)
        y = pj.asarray(np.ones(1 << 16, "f4"), device=name)
        assert y._data.raw is raw and float(y.sum()) == 1 << 16
        driver.trim()
        assert driver._held == 0


def test_large_results_start_on_a_page():
    from ptxjit.targets.driver import PAGE, PAGES, empty

    for shape, dtype in (((PAGES,), "u1"), ((300, 500), "f8"), ((1 << 16, 3), ml_dtypes.bfloat16)):
        a = empty(shape, dtype)
        assert a.shape == shape and a.dtype == dtype and a.flags.c_contiguous and a.flags.writeable and a.__array_interface__["data"][0] % PAGE == 0
    assert empty((), "f4").shape == () and empty((0, 3), "f4").shape == (0, 3)
    for name in away():
        got = pj.jit(lambda x: x + 1, device=name)(np.zeros((300, 500)))
        assert (got == 1).all() and got.flags.owndata is False or name.startswith(("cuda", "rocm"))


def test_sizes_of_blocks():
    from ptxjit.targets.driver import rounded

    for n in (0, 1, 255, 256, 257, 1000, 1024, 1025, 5000, 1 << 20, (1 << 20) + 1, 10**9 + 7):
        r = rounded(n)
        assert n <= r <= max(256, n * 1.26 + 256) and rounded(r) == r


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork_and_exit_are_safe():
    (name, *_) = away()
    code = textwrap.dedent(f"""
        import os, gc, numpy as np, ptxjit as pj
        x = pj.asarray(np.arange(8.0), device={name!r})
        pid = os.fork()
        if pid == 0:
            try:
                x.numpy()
            except pj.errors.DeviceError as e:
                assert "forked" in str(e)
                del x
                gc.collect()
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        print(float(x.sum()))
    """)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stdout == "28.0\n" and not run.stderr, run.stderr


def test_many_threads():
    from concurrent.futures import ThreadPoolExecutor

    for name in DEVICES:
        x = pj.asarray(X, device=name)
        with ThreadPoolExecutor(4) as pool:
            for k, r in enumerate(pool.map(lambda k: (x * k).sum(), range(20))):
                assert float(r) == X.sum() * k


def test_inside_a_trace_it_is_a_traced_array():
    f = pj.jit(lambda x: pj.asarray([x[0], 2.0]) + pj.asarray(x)[:2])
    same(f(np.array([1.0, 5.0])), np.array([2.0, 7.0]))
