"""Every function of the DSL against NumPy, over dtypes and shapes; the table of names against NumPy's own lists."""
from __future__ import annotations

import warnings

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.functions import registry
from ptxjit.functions.elementwise import RULES

registry.load()
DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"]


def sample(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    d = np.dtype(dtype)
    if d.kind == "f":
        x = (rng.standard_normal(shape) * 3).astype(d)
        x.ravel()[:8] = rng.permutation([np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 2])
        return x
    if d.kind == "b":
        return rng.random(shape) > 0.5
    info = np.iinfo(d)
    x = rng.integers(max(info.min, -50), 50, shape).astype(d)
    x.ravel()[:3] = [info.min, info.max, 0]
    return rng.permutation(x.ravel()).reshape(shape)


def differs(want, got):
    """Why two results are not the same, or None.  Orders of summation differ from NumPy's, so longer chains differ a little."""
    w, g = np.asarray(want), np.asarray(got)
    if w.dtype != g.dtype or w.shape != g.shape:
        return f"{w.dtype}{list(w.shape)} against {g.dtype}{list(g.shape)}"
    if w.dtype.kind != "f":
        return None if (w == g).all() else f"{w.ravel()[:8]} against {g.ravel()[:8]}"
    rel = {2: 3e-2, 4: 2e-5, 8: 1e-12}[w.dtype.itemsize]
    scale = np.nanmax(np.abs(np.where(np.isfinite(w), w, 0)).astype(np.float64), initial=0.0)
    close = np.isclose(g.astype(np.float64), w.astype(np.float64), rtol=rel, atol=rel * min(scale, 1.0) * 1e-2, equal_nan=True)
    return None if close.all() else f"{w[~close].ravel()[:4]} against {g[~close].ravel()[:4]}"


def agree(fn, *args):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            want = fn(*args)
        except Exception as e:
            with pytest.raises((pj.errors.PtxjitError, type(e))):
                pj.jit(fn)(*args)
            return
    got = pj.jit(fn)(*args)
    for w, g in zip(*((v if isinstance(v, (tuple, list)) else (v,)) for v in (want, got))):
        assert differs(w, g) is None, differs(w, g)


@pytest.mark.parametrize("name", sorted(set(RULES) | {"power"}))
def test_ufunc(name):
    f = getattr(np, name)
    for dtype in DTYPES:
        if name in ("gcd", "lcm") and np.dtype(dtype).itemsize > 2:
            continue  # unrolled over the width: covered by the narrow ones and one case below
        args = [sample(dtype, (37,), k) for k in range(f.nin)]
        if name == "ldexp":
            args[1] = np.random.default_rng(3).integers(-40, 40, 37).astype("i4")
        if name in ("left_shift", "right_shift") and args[1].dtype.kind == "i":
            args[1] = (np.abs(args[1]) % 9).astype(dtype)
        if name == "power" and args[1].dtype.kind in "iu":
            args[1] = (np.abs(args[1]) % 6).astype(dtype)
        if name == "reciprocal" and args[0].dtype.kind != "f":
            args[0] = np.where(args[0] == 0, args[0].dtype.type(1), args[0])  # NumPy's result for 0 is undefined
        agree(f, *args)


def test_gcd_of_wide_integers():
    x, y = (np.random.default_rng(k).integers(-10**9, 10**9, 20).astype("i4") for k in range(2))
    agree(np.gcd, x, y)


REDUCTIONS = ["sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "argmax", "argmin", "cumsum", "cumprod"]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["?", "i2", "u4", "i8", "f2", "f4", "f8"])
def test_reduction(name, dtype):
    rng = np.random.default_rng(0)
    for shape in [(7,), (3, 5), (4, 1), (1, 4), (2, 3, 4), (5, 130), (300, 3), (3, 0), (1,), ()]:
        x = rng.integers(0, 2, shape).astype(dtype) if dtype == "?" else rng.integers(0, 9, shape).astype(dtype)
        if np.dtype(dtype).kind == "f":
            x = (x / 8 + (0.5 if "prod" in name else 0)).astype(dtype) if "prod" not in name else (1 + x / 4096).astype(dtype)
        for axis in [None, *range(x.ndim)]:
            if dtype == "f2":  # NumPy rounds every partial result to 16 bits; ours are added in f32: f32 is the reference
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        want, kind = getattr(np, name)(x.astype("f4"), axis=axis), getattr(np, name)(x, axis=axis).dtype
                    except ValueError:
                        continue
                got = pj.jit(lambda v: getattr(np, name)(v, axis=axis))(x)
                assert got.dtype == kind
                np.testing.assert_allclose(got.astype("f8"), want.astype("f8"), rtol=1e-3, atol=1e-3)
            else:
                agree(lambda v: getattr(np, name)(v, axis=axis), x)
    if not name.startswith("cum"):
        agree(lambda v: getattr(v, name)(axis=0, keepdims=True), x.reshape(1))


SHAPE = {
    "reshape": lambda x: x.reshape(5, 12), "T": lambda x: x.T, "swapaxes": lambda x: np.swapaxes(x, 0, 2), "moveaxis": lambda x: np.moveaxis(x, 0, -1),
    "int": lambda x: x[1], "slices": lambda x: x[::-1, 1:3, ::2], "none": lambda x: x[..., None, 2], "flip": lambda x: np.flip(x, 1),
    "roll": lambda x: np.roll(x, (1, 2), (0, 1)), "tile": lambda x: np.tile(x, (2, 1, 3)), "repeat": lambda x: np.repeat(x, 3, 1),
    "pad": lambda x: np.pad(x, ((1, 2), (0, 1), (2, 0)), constant_values=3), "edge": lambda x: np.pad(x, 1, mode="edge"),
    "take": lambda x: np.take(x, [0, -1, 2], axis=1), "concatenate": lambda x: np.concatenate([x, x * 2], 1), "stack": lambda x: np.stack([x, x], 2),
    "tril": lambda x: np.tril(x), "triu": lambda x: np.triu(x, 1), "list": lambda x: x[[0, 2, 1]], "two": lambda x: x[:, [0, 1, 2], [3, 4, 0]],
    "apart": lambda x: x[[0, 1], :, [1, 2]], "expand": lambda x: np.expand_dims(x, (0, 2)), "empty": lambda x: x[0:0], "ravel": lambda x: x.ravel()[::-7],
    "along": lambda x: np.take_along_axis(x, np.zeros((3, 4, 1), int), axis=-1), "arange": lambda x: x + np.arange(5),
    "linspace": lambda x: x * np.linspace(0, 1, 4)[:, None], "where": lambda x: np.where(x > 0, x, -x), "squeeze": lambda x: np.squeeze(x[:1]),
    "einsum": lambda x: np.einsum("ijk,ijk->ik", x, x), "einsum path": lambda x: np.einsum("ijk,lk,l->ij", x, x[0], x[0, :, 0], optimize=True),
    "tensordot": lambda x: np.tensordot(x, x, ((0, 1), (0, 1))), "matmul": lambda x: np.matmul(x, x.transpose(0, 2, 1)),
    "vecdot": lambda x: np.vecdot(x, x), "round": lambda x: np.round(x, 2), "nested pad": lambda x: np.pad(x, 1).reshape(-1)[3:50],
    "permute": lambda x: x.transpose(2, 0, 1).reshape(-1).sum(), "broadcast_to": lambda x: np.broadcast_to(x[0], (2, 4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPE)
@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_shape(name, dtype):
    agree(SHAPE[name], (np.random.default_rng(0).standard_normal((3, 4, 5)) * 5).astype(dtype))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "f2", "u1", "?"])
@pytest.mark.parametrize("m, k, n", [(1, 1, 1), (3, 4, 5), (17, 1, 9), (1, 50, 1), (33, 300, 7), (7, 2, 1), (1, 3, 40)])
def test_products(dtype, m, k, n):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2 if dtype == "?" else 5, s).astype(dtype) for s in ((m, k), (k, n)))
    agree(lambda a, b: a @ b, a, b)
    agree(lambda a, b: a @ b, a, b[:, 0])
    agree(lambda a, b: a @ b.T, a, np.ascontiguousarray(b.T))


CUBE = np.arange(24.0).reshape(2, 3, 4)
EVEN, SOME, LONG = CUBE[0] % 2 == 0, CUBE > 5, np.arange(240) % 3 == 1
INDICES = {
    "rows of a mask": lambda x: x[:, EVEN], "a whole mask": lambda x: x[SOME], "a list": lambda x: x[:, [True, False, True]], "all": lambda x: x[np.ones((2, 3, 4), bool)],
    "none": lambda x: x[np.zeros(2, bool)], "mask and places": lambda x: x[np.array([True, False]), :, np.array([1, 2])],
    "after an ellipsis": lambda x: x[..., np.array([True, False, True, True])], "True": lambda x: x[True], "False": lambda x: x[False],
    "int and True": lambda x: x[0, True], "True and a list": lambda x: x[:, True, [1, 2]], "np.True_": lambda x: x[np.True_, 0], "long": lambda x: np.tile(x.ravel(), 10)[LONG],
    "int, slice, places": lambda x: x[0, :, np.array([1, 2])], "slice, int, places": lambda x: x[:, 0, np.array([1, 2])],
    "places, slice, int": lambda x: x[np.array([0, 1]), :, 1], "new, int, slice, list": lambda x: x[None, 0, :, [1, 2]],
}  # fmt: skip


@pytest.mark.parametrize("name", INDICES)
def test_indices_that_are_known(name):
    """Masks are places; integers beside arrays decide where the result stands."""
    fn = INDICES[name]
    got, want = pj.jit(fn)(CUBE), fn(CUBE)
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("device", ["cpu", "interp"])
def test_debug_print(device, capsys):
    """Every call prints its own values, in order; also constants, arrays from outside, and what the results do not need."""
    outside = np.arange(3)

    def fn(x, n):
        pj.debug_print("x = {}, twice {y:.2f}", x, y=(x * 2).sum())
        y = pj.fori_loop(0, 3, lambda i, s: s + i, x)
        pj.debug_print("{0[a]} {0[b][1]} {1!r} {2}", {"a": n, "b": (y, outside)}, "text", y.sum() + 0.5)
        return y

    run = pj.jit(fn, device=device)
    for k in range(3):
        got = run(np.arange(2.0) + k, k)
        printed = capsys.readouterr().out
        np.testing.assert_array_equal(got, fn(np.arange(2.0) + k, k))
        assert printed == capsys.readouterr().out and printed.count("\n") == 2, printed
    alone = pj.jit(lambda x: pj.debug_print("just {}", x.sum()), device=device)
    assert alone(np.ones(3)) is None and capsys.readouterr().out == "just 3.0\n"
    with pytest.raises(pj.errors.UnsupportedError, match="debug_print in the body of a loop"):
        pj.jit(lambda x: pj.fori_loop(0, 3, lambda i, s: pj.debug_print("{}", s) or s, x))(1.0)


def test_scan_over_nothing():
    """Outside of a trace as inside: arrays without elements."""
    fn = lambda xs: pj.scan(lambda s, v: (s + v, (v * 2, s.astype("f8"))), np.float32(1), xs)  # noqa: E731
    for run in (fn, pj.jit(fn)):
        s, (y, z) = run(np.zeros(0, "f4"))
        assert s == 1 and y.shape == z.shape == (0,) and (y.dtype, z.dtype) == (np.float32, np.float64)
    for n in (0, 3):
        out = pj.jit(lambda: pj.scan(lambda s, v: (s + 1, s), np.int64(0), None, length=n))()
        np.testing.assert_array_equal(out[1], pj.scan(lambda s, v: (s + 1, s), np.int64(0), None, length=n)[1])
        assert out[0] == n


def test_bincount():
    x = np.random.default_rng(0).integers(0, 8, 1000)
    np.testing.assert_array_equal(pj.jit(lambda x: np.bincount(x, minlength=9))(x), np.bincount(x, minlength=9))
    with pytest.raises(pj.errors.UserError, match="minlength"):
        pj.jit(lambda x: np.bincount(x, minlength=3))(x)


def test_loops():
    x = np.arange(4.0)
    np.testing.assert_allclose(pj.jit(lambda n, x: pj.fori_loop(0, n, lambda i, s: s * 1.5 + i, x))(3, x), pj.fori_loop(0, 3, lambda i, s: s * 1.5 + i, x))
    np.testing.assert_array_equal(pj.jit(lambda x: pj.while_loop(lambda s: (s < 100).all(), lambda s: s * 2, x))(x + 1), pj.while_loop(
        lambda s: (s < 100).all(), lambda s: s * 2, x + 1))  # fmt: skip
    step = lambda c, v: ((c[0] + v, c[1] * 2), c[0] * v)
    (a, b), ys = pj.jit(lambda x: pj.scan(step, (np.float64(0), np.float64(1)), x))(x)
    (c, d), zs = pj.scan(step, (np.float64(0), np.float64(1)), x)
    assert a == c and b == d
    np.testing.assert_array_equal(ys, zs)
    y = np.ones(4)
    np.testing.assert_array_equal(pj.jit(lambda x, y: pj.fori_loop(0, 2, lambda i, s: s + y, x))(x, y), x + 2)


def test_random_is_philox_and_the_same_everywhere():
    k = pj.random.key(0)
    words = pj.random.bits(k, (8,))
    # Random123's known answer for philox4x32-10, counter 0, key 0
    assert words[:4].tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    n = pj.random.normal(k, (10000,))
    assert abs(n.mean()) < 0.05 and abs(n.std() - 1) < 0.05 and n.dtype == np.float32
    np.testing.assert_array_equal(pj.jit(lambda k: pj.random.normal(k, (50,)), device="interp")(k), n[:0].tolist() or pj.random.normal(k, (50,)))
    u = pj.random.uniform(pj.random.split(k)[1], (1000,), np.float64)
    assert 0 <= u.min() and u.max() < 1
    r = pj.random.randint(k, (1000,), -3, 4)
    assert set(r.tolist()) == set(range(-3, 4))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "wrap"])
def test_pads_that_repeat(mode):
    rng = np.random.default_rng(8)
    for shape in ((1,), (2,), (5,), (3, 4), (7, 1, 2)):
        for _ in range(3):
            w = [tuple(int(v) for v in rng.integers(0, 12, 2)) for _ in shape]
            x = rng.integers(0, 99, shape)
            np.testing.assert_array_equal(pj.jit(lambda x: np.pad(x, w, mode=mode))(x), np.pad(x, w, mode=mode))
    f = pj.jit(lambda x: np.pad(x, 3, mode=mode))
    for n in (3, 4, 5, 6, 9, 100, 2, 1):
        x = rng.integers(0, 99, n)
        np.testing.assert_array_equal(f(x), np.pad(x, 3, mode=mode))
    assert f.stats()["sizes"] == {"x.shape[0]": "symbolic"}
    with pytest.raises(pj.errors.ShapeError, match="axis 0 has no element"):
        f(np.zeros(0, int))


# what §"functions" of the documentation promises, counted
NAMES = """
sum prod max min mean var std any all argmax argmin cumsum cumprod cumulative_sum cumulative_prod reshape ravel permute_dims transpose swapaxes moveaxis
expand_dims squeeze concatenate concat stack flip roll tile repeat pad take take_along_axis tril triu zeros ones full empty zeros_like ones_like full_like
empty_like arange linspace eye matmul tensordot vecdot einsum bincount where clip astype erf abs acos acosh add asin asinh atan atan2 atanh bitwise_and
bitwise_left_shift bitwise_invert bitwise_or bitwise_right_shift bitwise_xor ceil conj copysign cos cosh divide equal exp expm1 floor floor_divide greater
greater_equal hypot isfinite isinf isnan less less_equal log log1p log2 log10 logaddexp logical_and logical_not logical_or logical_xor maximum minimum
multiply negative nextafter not_equal positive pow real reciprocal remainder round sign signbit sin sinh square sqrt subtract tan tanh trunc
""".split()  # fmt: skip


DERIVED = {
    "diff": [lambda x: np.diff(x), lambda x: np.diff(x, n=2, axis=0), lambda x: np.diff(x[:1], axis=0)],
    "ptp": [lambda x: np.ptp(x, axis=1), lambda x: np.ptp(x)],
    "average": [lambda x: np.average(x, axis=0), lambda x: np.average(x, axis=1, weights=np.arange(1, 5).astype(x.dtype))],
    "nan": [lambda x: np.nansum(x, axis=0), lambda x: np.nanmax(x, axis=1), lambda x: np.nanmin(x), lambda x: np.nanmean(x, axis=0),
            lambda x: np.nanprod(np.clip(x, -1, 1), axis=1)],
    "close": [lambda x: np.isclose(x, x + 1e-9), lambda x: np.allclose(x, x), lambda x: np.array_equal(x, x), lambda x: np.array_equal(x, x.T)],
    "select": [lambda x: np.select([x > 1, x < 0], [x, x * 2], 7), lambda x: np.fix(x), lambda x: np.sinc(x), lambda x: np.isposinf(x)],
    "poly": [lambda x: np.polyval(x[0], x), lambda x: np.trapezoid(x, axis=0), lambda x: np.append(x, x), lambda x: np.append(x, x, axis=1)],
    "convolve": [lambda x: np.convolve(x[0], x[1]), lambda x: np.convolve(x.ravel(), x[0], "same"), lambda x: np.convolve(x.ravel(), x[0], "valid")],
    "linalg": [lambda x: np.trace(x), lambda x: np.diagonal(x, 1), lambda x: np.diagonal(np.stack([x, x]), 0, 1, 2), lambda x: np.linalg.norm(x),
               lambda x: np.linalg.norm(x, axis=1, ord=1), lambda x: np.kron(x[:2, :2], x), lambda x: np.cross(x[:, :3], x[:, 1:]), lambda x: np.diag(x[0], -1)],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["i4", "u1", "f4", "f8"])
@pytest.mark.parametrize("name", sorted(DERIVED))
def test_derived(name, dtype):
    x = (np.random.default_rng(3).standard_normal((3, 4)) * 4 + 2).astype(dtype)
    if name == "nan" and dtype[0] == "f":
        x[1, 2] = np.nan
    for f in DERIVED[name]:
        agree(f, x)


def test_every_promised_name_is_there():
    assert [n for n in NAMES if n not in registry.FUNCTIONS] == []
    assert [n for n in NAMES if not callable(getattr(pj, n))] == []


def test_every_real_ufunc_is_there():
    missing = []
    for n in dir(np):
        f = getattr(np, n)
        if isinstance(f, np.ufunc) and n not in registry.FUNCTIONS and f.__name__ not in registry.FUNCTIONS:
            missing.append(n)
    assert missing == ["isnat"]  # dates


def test_methods():
    x = np.arange(6, dtype="f4").reshape(2, 3)
    for name in "sum prod max min mean var std any all argmax argmin cumsum cumprod ravel flatten squeeze".split():
        agree(lambda v: getattr(v, name)(), x)
    agree(lambda v: v.reshape(3, 2).transpose().astype("f8").clip(1, 4).round(), x)
