"""Symbolic sizes: from the third size of a dimension on, one version serves them all, with the bits of the versions for each size."""
from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ptxjit as pj
from ptxjit.ir.extent import Dim, cdiv, expressions, larger, parse_extent, smaller
from ptxjit.ir.guards import Sizes, compiled
from ptxjit.ir.interp.graph import run_graph
from ptxjit.ir.interp.program import run_program
from ptxjit.ir.text import dump, parse
from ptxjit.ir.verify import verify
from ptxjit.testing import programs
from ptxjit.testing.compare import bits_difference, results

SIZES = (40, 50, 60, 2, 3, 7, 64, 127, 1000, 4095, 4096, 4097)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layernorm(x, g, b):
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * g + b


def logsumexp(x):
    top = x.max(axis=1)
    return top + np.log(np.exp(x - top[:, None]).sum(axis=1))


# name: function, shapes with "n" (and "m": another size), versions at most for the sizes from the third on
CASES = {
    "elementwise": (lambda x: np.sin(x) * np.exp(-x * x) + 1, [("n",)], 1),
    "scalars": (lambda x, a: x * a + 2, [("n",), ()], 1),
    "leading": (lambda x: x * 2 + 1, [("n", 10)], 1),
    "row vector": (lambda x, y: x * 2 + y, [("n", 13), (13,)], 1),
    "column vector": (lambda x, y: x * 2 + y, [("n", 13), ("n", 1)], 1),
    "row of n": (lambda x, y: x * 2 + y, [(5, "n"), ("n",)], 1),
    "column against n": (lambda x, y: x * 2 + y, [(5, "n"), (5, 1)], 1),
    "both": (lambda x, y, z: x * y + z, [("n", "m"), ("m",), ("n", 1)], 1),
    "rank 3": (lambda x, y: np.maximum(x, y) - x, [("n", 3, "m"), (3, 1)], 1),
    "transposed": (lambda x, y: x.T + y, [("n", 7), (7, "n")], 1),
    "softmax": (softmax, [("n", 33)], 1),
    "layernorm": (layernorm, [("n", 65), (65,), (65,)], 1),
    "logsumexp": (logsumexp, [("n", 20)], 1),
    "short rows": (softmax, [("n", 5)], 1),
    "softmax over n": (softmax, [(3, "n")], 1),
    "layernorm over n": (layernorm, [(2, "n"), ("n",), ("n",)], 1),
    "softmax of both": (softmax, [("m", "n")], 1),
    "sum": (lambda x: x.sum(), [("n",)], 1),
    "sum of everything": (lambda x: (x.sum(), x.max(), x.prod()), [("n", 9)], 1),
    "sum of both": (lambda x: x.sum(), [("n", "m")], 1),
    "mean and variance": (lambda x: (x.mean(), x.var(), x.std(ddof=1)), [("n",)], 1),
    "rows": (lambda x: (x.sum(1), x.min(axis=1)), [(4, "n")], 1),
    "columns": (lambda x: (x.mean(0), x.max(0)), [("n", 9)], 2),  # up to 256, and longer
    "columns of n": (lambda x: x.sum(0), [(6, "n")], 3),  # fewer than 8 vectors (of 8 or of 16), up to 16, and more
    "matmul": (lambda x, w: np.maximum(x @ w, 0), [("n", 17), (17, 21)], 2),
    "matvec": (lambda x, w: x @ w, [("n", 17), (17,)], 2),
    "indexing": (lambda x: x[0] + x[-1] * x[1], [("n", 3)], 1),
    "slices": (lambda x: x[1:] - x[:-1], [("n",)], 2),
    "strided": (lambda x: (x[::2] * 2, x[::-1] + x, x[:2]), [("n",)], 2),
    "concatenate": (lambda x, y: np.concatenate([x, y, x * 2]), [("n",), ("m",)], 1),
    "arange": (lambda x: x + pj.arange(x.shape[0]), [("n",)], 1),
    "arange with steps": (lambda x: pj.arange(1, 2 * x.shape[0] + 1, 2) * x, [("n",)], 1),
    "reshape": (lambda x: x.reshape(-1, 6).sum(1), [("n", 12)], 1),
    "size as a number": (lambda x: x * x.shape[0] + len(x.shape), [("n",)], 1),
    "quotient of a size": (lambda x: x * (1 / x.shape[0]) + 0.5 * x.shape[0] - x.shape[0] / 4, [("n",)], 1),
    "sizes as results": (lambda x: (x.shape, x.size, x.sum() * (2.0 / x.size)), [("n", 3)], 1),
    "divided by a size": (lambda x: x.sum(axis=0) / x.shape[0], [("n", 4)], 2),
    "argmax": (lambda x: (np.argmax(x, 1), np.argmin(x)), [("n", 30)], 2),
    "scan": (lambda x: np.cumsum(x, axis=1), [("n", 300)], 1),
    "scan over n": (lambda x: np.cumsum(x), [("n",)], 2),
    "take": (lambda x: x[np.array([1, 0, -1])], [("n", 4)], 1),
    "loop over rows": (lambda x: pj.fori_loop(0, x.shape[0], lambda i, s: s + pj.take(x, i, axis=0), x[0] * 0), [("n", 3)], 1),
    "loop": (lambda x: pj.while_loop(lambda s: s.sum() < 100, lambda s: s * s + 1, x), [("n",)], 1),
    "zeros": (lambda x: np.where(x > 0, x, pj.zeros(x.shape)), [("n", 3)], 1),
}  # fmt: skip


def arguments(shapes, n, dtype="f4", seed=0):
    rng = np.random.default_rng(seed)
    size = {"n": n, "m": n // 3 + 5}
    return [rng.standard_normal([size.get(s, s) for s in shape]).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("name", CASES)
def test_one_version_serves_every_size(name):
    fn, shapes, versions = CASES[name]
    f, plain = pj.jit(fn), pj.jit(fn, static_shapes=True)
    plain.warns = False
    for k, n in enumerate(SIZES):
        if shapes[0].count("n") + shapes[0].count("m") > 1 or 300 in shapes[0] or name.startswith("loop"):
            n = min(n, 200 + k)
        args = arguments(shapes, n, seed=k)
        before = [a.copy() for a in args]
        why = bits_difference(results(plain(*args)), results(f(*args)))
        assert why is None, (n, why)
        assert all((a == b).all() for a, b in zip(args, before))
    stats = f.stats()
    assert stats["compilations"] <= 2 + versions, stats
    assert any("symbolic" in r for r in stats["reasons"]), stats
    assert "symbolic" in stats["sizes"].values() and not any(v.startswith("static") for v in stats["sizes"].values()), stats


@pytest.mark.parametrize("name, shape, versions", [
    ("elementwise", lambda n: (n,), 1), ("leading", lambda n: (n, 10), 1), ("sum", lambda n: (n,), 2), ("softmax", lambda n: (n, 33), 1),
    ("softmax over n", lambda n: (3, n), 2), ("mean and variance", lambda n: (n,), 2),
])  # fmt: skip
def test_zero_one_and_large(name, shape, versions):
    """0 and 1 are compiled for; a very long row may be another version."""
    f, plain = pj.jit(CASES[name][0]), pj.jit(CASES[name][0], static_shapes=True)
    plain.warns = f.warns = False
    with np.errstate(all="ignore"):
        for n in (10, 11, 13, 100003, 1, 0, 12289, 65536, 300007, 2):
            x = np.random.default_rng(n).standard_normal(shape(n)).astype("f4")
            try:
                want = results(plain(x))
            except ValueError:  # the maximum of nothing
                with pytest.raises(ValueError):
                    f(x)
                continue
            assert bits_difference(want, results(f(x))) is None, n
    assert f.stats()["compilations"] <= 4 + versions, f.stats()


@pytest.mark.parametrize("dtype", ["f8", "f2", "i4", "u1"])
def test_other_dtypes(dtype):
    def fn(x, y):
        return (x + y).sum(axis=1), (x * y).max(0), x[1:] + y[:-1]

    f, plain = pj.jit(fn), pj.jit(fn, static_shapes=True)
    for n in (4, 5, 6, 9, 300, 257):
        x, y = (np.random.default_rng(k).integers(0, 50, (n, 6)).astype(dtype) for k in range(2))
        assert bits_difference(results(plain(x, y)), results(f(x, y))) is None
    assert f.stats()["compilations"] == 4  # rows of columns beyond 256 are another


# ---- what stays static, and why


def used(f, sizes, *rest):
    for n in sizes:
        f(np.arange(float(n)), *rest)
    return f.stats()


@pytest.mark.parametrize("name, fn", [
    ("range", lambda x: sum(x[i] for i in range(x.shape[0]))), ("np.arange", lambda x: x + np.arange(x.shape[0])), ("len", lambda x: x * len(x)),
    ("f-string", lambda x: x * float(f"{x.shape[0]}")), ("dict", lambda x: x * {5: 2.0}.get(x.shape[0], 3.0)), ("str", lambda x: x * len(str(x.shape[0]))),
    ("root", lambda x: x * np.sqrt(x.shape[0])), ("pow", lambda x: x * 2 ** x.shape[0]), ("float()", lambda x: x * float(x.shape[0])),
    ("float ==", lambda x: x * (2 if x.shape[0] == 5.0 else 3)), ("float <", lambda x: x * (2 if x.shape[0] < 5.5 else 3)),
    ("bits", lambda x: x * (x.shape[0] & 3)), ("iteration", lambda x: sum(v for v in x)), ("scan", lambda x: pj.scan(lambda s, v: (s + v, s), x[0], x)[1]), ("linspace", lambda x: x + pj.linspace(0, 1, x.shape[0])),
])  # fmt: skip
def test_where_a_number_is_needed_the_size_stays_static(name, fn):
    f, plain = pj.jit(fn), pj.jit(fn, static_shapes=True)
    for n in (4, 5, 6, 9, 5, 12):
        x = np.arange(float(n))
        assert bits_difference(results(plain(x)), results(f(x))) is None, n
    stats = f.stats()
    assert stats["compilations"] == 5 and not any("symbolic" in r for r in stats["reasons"])
    why = stats["sizes"]["x.shape[0]"]
    assert why.startswith("static: ") and "test_sizes.py" in why and ("needs its number" in why or "not known while" in why), why


def test_a_branch_on_a_size_is_a_guard():
    def fn(x):
        return x * 2 if x.shape[0] < 100 else x * 3

    f = pj.jit(fn)
    for n in (4, 5, 6, 99, 100, 50, 5000, 101, 98):
        assert (f(np.arange(float(n))) == np.arange(float(n)) * (2 if n < 100 else 3)).all()
    stats = f.stats()
    assert stats["compilations"] == 4 and "beyond the guards" in stats["reasons"][-1]


def test_divisibility_is_a_guard():
    def fn(x):
        return x.reshape(-1, 4).sum(axis=1) if x.shape[0] % 4 == 0 else x[: x.shape[0] // 4]

    f, plain = pj.jit(fn), pj.jit(fn, static_shapes=True)
    for n in (8, 9, 16, 400, 17, 21, 1000, 1001, 4, 5):
        x = np.arange(float(n))
        assert bits_difference(results(plain(x)), results(f(x))) is None, n
    assert f.stats()["compilations"] == 4, f.stats()


def test_a_coincidence_does_not_make_a_size_static():
    f = pj.jit(lambda x: x * 2 if x.shape[0] == 60 else x * 3)
    stats = used(f, (40, 50, 60, 70, 80, 90))
    assert stats["compilations"] == 4 and stats["sizes"]["x.shape[0]"] == "symbolic", stats
    assert (f(np.ones(60)) == 2).all() and (f(np.ones(61)) == 3).all() and f.stats()["compilations"] == 4


def test_equal_sizes_share_a_symbol_until_they_differ():
    def fn(x, y):
        return pj.concat([x, y]) * 2

    f = pj.jit(fn)
    for n, m in ((4, 4), (5, 5), (6, 6), (7, 7), (1000, 1000)):
        assert f(np.ones(n), np.ones(m)).shape == (n + m,)
    assert f.stats()["compilations"] == 3
    for n, m in ((7, 9), (10, 11), (12, 12), (3, 300)):
        assert f(np.ones(n), np.ones(m)).shape == (n + m,)
    assert f.stats()["compilations"] == 4
    g = pj.jit(lambda x, y: x + y)
    for n in (4, 5, 6):
        g(np.ones(n), np.ones(n))
    with pytest.raises(ValueError, match="broadcast"):
        g(np.ones(7), np.ones(8))
    assert (g(np.ones(7), np.ones(7)) == 2).all() and (g(np.ones(7), np.ones(1)) == 2).all()


def test_a_branch_on_a_quotient_is_compiled_for_the_number():
    f = pj.jit(lambda x: x * 2 if 1 / x.shape[0] < 0.19 else x * 3)
    for n in (4, 5, 6, 7):
        assert (f(np.ones(n)) == (2 if n > 5 else 3)).all()
    assert f.stats()["sizes"]["x.shape[0]"].startswith("static: TraceError")


def test_static_shapes_forbids_it():
    f = pj.jit(lambda x: x + 1, static_shapes=True)
    stats = used(f, (4, 5, 6, 7))
    assert stats["compilations"] == 4 and not stats["sizes"] and not any("symbolic" in r for r in stats["reasons"])


def test_what_fails_with_a_symbol_is_compiled_for_the_number():
    f = pj.jit(lambda x: x * 2 if isinstance(x.shape[0], int) else 1 / 0)
    stats = used(f, (4, 5, 6, 7))
    assert stats["compilations"] == 4 and "ZeroDivisionError" in stats["sizes"]["x.shape[0]"]


def test_a_users_error_is_the_same_as_ever():
    f = pj.jit(lambda x, y: x @ y)
    for n in (4, 5, 6, 7):
        f(np.ones((n, 3)), np.ones((3, 2)))
    with pytest.raises(ValueError, match="do not fit"):
        f(np.ones((8, 4)), np.ones((3, 2)))
    assert "static" not in str(f.stats()["sizes"])


def test_reasons():
    f = pj.jit(lambda x: x.sum(axis=1))
    for n in (10, 20, 1000):
        f(np.ones((n, 3)))
    assert f.stats()["reasons"][-1] == "third value of x.shape[0] (n = 1000): symbolic" and f.stats()["sizes"] == {"x.shape[0]": "symbolic"}


# ---- calls


def test_threads():
    f = pj.jit(lambda x: (np.sin(x) * 2).sum())
    plain = pj.jit(f.fn, static_shapes=True)
    sizes = list(range(2, 24))
    want = {n: plain(np.arange(float(n))) for n in sizes}
    wrong = []

    def work(seed):
        order = list(sizes)
        np.random.default_rng(seed).shuffle(order)
        wrong.extend(n for n in order if f(np.arange(float(n))) != want[n])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong and f.stats()["compilations"] <= 3


def test_the_short_path_does_not_grow_without_bound(monkeypatch):
    from ptxjit import jitted

    monkeypatch.setattr(jitted, "HOT", 8)
    f = pj.jit(lambda x, y: x + y)
    for n in range(2, 40):
        assert f(np.ones(n), np.ones(n)).shape == (n,) and f(np.ones(n), 2.0).shape == (n,)
    assert len(f._hot) <= 8 and len(f._mixed) <= 8 and len(f._entries) <= 4


def test_captured_arrays_loops_and_containers():
    table = np.arange(3.0)

    @pj.jit
    def f(p):
        return {"a": p["x"] * table, "b": pj.fori_loop(0, 3, lambda i, s: s * 0.5 + p["x"].sum(), p["x"])}

    for n in (4, 5, 6, 7, 100):
        x = np.ones((n, 3))
        out = f({"x": x})
        assert (out["a"] == table).all() and out["b"].shape == (n, 3) and (out["b"] == pj.jit(f.fn, static_shapes=True)({"x": x})["b"]).all()
    assert f.stats()["compilations"] == 3
    table = np.arange(3.0) + 1
    assert (f({"x": np.ones((8, 3))})["a"] == table).all()


def test_on_the_interpreter():
    f = pj.jit(lambda x: np.exp(x).sum(axis=0) / x.shape[0], device="interp")
    plain = pj.jit(f.fn, static_shapes=True)
    for n in (4, 5, 6, 7, 300):
        x = np.random.default_rng(n).standard_normal((n, 3))
        assert bits_difference(results(plain(x)), results(f(x))) is None
    assert f.stats()["compilations"] == 3


@settings(max_examples=25)
@given(programs())
def test_random_programs_at_several_sizes(p):
    """Every dimension of the inputs made longer or shorter; what the sizes do not admit raises in both."""
    f, plain = pj.jit(p.fn), pj.jit(p.fn, static_shapes=True)
    plain.warns = False
    for more in (0, 1, 2, 3, 40):
        args = [np.resize(x, [n + more for n in np.shape(x)]) if np.ndim(x) else x for x in p.inputs]
        try:
            want = plain(*args)
        except pj.errors.UserError as e:
            with pytest.raises(type(e)):
                f(*args)
            continue
        assert bits_difference(results(want), results(f(*args))) is None, more


# ---- the disk


SCRIPT = """
import sys, numpy as np, ptxjit as pj
f = pj.jit(lambda x: (np.sin(x) * 2).sum(axis=1))
for n in (4, 5, 6, 7, 1000):
    out = f(np.ones((n, 40), "f4"))
print(f.stats()["compilations"], "llvmlite" in sys.modules, out.tobytes().hex()[:16], f._families and [v.guards for k in f._families.values() for v in k.versions])
"""


def test_a_fresh_process_finds_the_version_and_its_guards(cache_folder):
    env = {**os.environ, "PTXJIT_CACHE_DIR": str(cache_folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    out = [subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True).stdout.split(maxsplit=2) for _ in range(2)]
    assert out[0][:2] == ["3", "True"] and out[1][:2] == ["3", "False"] and out[0][2] == out[1][2]


def test_versions_of_one_graph_lie_beside_each_other(cache_folder):
    for _ in range(2):
        f = pj.jit(lambda x, w: x @ w)
        for n in (3, 4, 5, 1000, 6, 7, 2000):  # few rows take another schedule
            x, w = np.ones((n, 17), "f4"), np.ones((17, 4), "f4")
            assert (f(x, w) == 17).all()
        assert f.stats()["compilations"] == 4
        assert len(list(cache_folder.glob("*.bin"))) == 4


# ---- levels


@pytest.mark.parametrize("name", CASES)
def test_every_level_with_symbols(name, ptxas, tmp_path):
    """Text of all levels is read back, verifier and interpreters take it, ptxas takes the PTX, and the kernels give the oracle's bits."""
    fn, shapes, _ = CASES[name]
    sizes = (19, 3, 40) if len(shapes[0]) > 1 or name.startswith("sca") else (130, 3, 64)
    for target in ("cpu:host", "ptx:sm_80"):
        specs = [f"f32[{','.join(f'{s}={sizes[0]}' if s == 'n' else f'{s}=11' if s == 'm' else str(s) for s in shape)}]" for shape in shapes]
        low = pj.jit(fn).lower(*specs, target=target)
        for x in (low._low.graph, low._low.program, *low.kernels.values()):
            text = dump(x)
            assert dump(parse(text)) == text
            verify(x)
            verify(parse(text))
        if target.startswith("ptx"):
            (tmp_path / "k.ptx").write_text(low.as_text("ptx"))
            subprocess.run([ptxas, "-arch=sm_80", "-o", os.devnull, str(tmp_path / "k.ptx")], check=True, capture_output=True)
        admitted = compiled(sorted({s for shape in shapes for s in shape if isinstance(s, str)}), low.guards)
        used = 0
        for n in sizes:
            args = arguments(shapes, n)
            numbers = {"n": n, "m": n // 3 + 5}
            if not all(admitted(*[numbers[s] for s in sorted({s for shape in shapes for s in shape if isinstance(s, str)})])):
                continue
            used += 1
            want = run_graph(low._low.graph, args)
            assert bits_difference(want, run_program(low._low.program, args)) is None
            assert bits_difference(want, run_program(low._low.program, args, low.kernels)) is None
        assert used


def test_the_levels_show_the_symbol():
    low = pj.jit(lambda x: x * 2).lower("f32[n,1000]", target="ptx:sm_90")
    assert "f32[n,1000]" in low.as_text("graph") and "%n: i64 extent" in low.as_text("kernel") and ".param .b64" in low.as_text("ptx")
    assert "launch" in low.as_text("program") and "<" in low.as_text("program") and low.guards == ()
    assert pj.jit(lambda x: sum(x[i] for i in range(x.shape[0]))).lower("f32[n=3]", target="cpu:host").guards == ("n==3",)


def test_what_lower_compiled_refuses_other_sizes():
    run = pj.jit(lambda x, y: x @ y).lower("f32[n,4]", "f32[4,3]").compile()
    for n in (8, 9, 1000):
        assert (run(np.ones((n, 4), "f4"), np.ones((4, 3), "f4"))[0] == 4).all()
    for bad in ((2, 4), (9, 5), (9,)):
        with pytest.raises(ValueError, match="compiled for other sizes"):
            run(np.ones(bad, "f4"), np.ones((4, 3), "f4"))


def test_inspection_of_a_symbolic_function(tmp_path):
    """Statistics and pages are for the sizes for which schedules were chosen."""
    file = tmp_path / "f.py"
    file.write_text("import numpy as np\n\n\ndef f(x):\n    return np.exp(x).sum(axis=1)\n")
    for words in (["--stats"], ["--html", str(tmp_path / "f.html")], ["--why"]):
        done = subprocess.run([sys.executable, "-m", "ptxjit", "show", f"{file}:f", "f32[n=12,40]", "--target", "ptx:sm_90", "--target", "cpu:host", *words],
                              capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "f32[n,40]" in (tmp_path / "f.html").read_text()


def test_the_verifier_compares_expressions():
    good = """ptxjit.ir 1
graph @g (%x, %y) {
  %x: f32[n+m] = input {index=0, name="x", type=!f32[n+m]}
  %y: f32[m+n] = input {index=1, name="y", type=!f32[m+n]}
  %2: f32[m+n] = fadd %x, %y
  outputs %2
}
"""
    verify(parse(good))
    with pytest.raises(pj.errors.BugError):
        verify(parse(good.replace("m+n", "2*n")))


# ---- extents


def test_extents_are_canonical():
    n, m = Dim.symbol("n"), Dim.symbol("m")
    assert (n + m) * 2 - m == 2 * n + m and n * m == m * n and (n * 1000) // 10 == n * 100 and (n * 1000 + 7) % 10 == 7 and n - n == 0
    assert -(-n // 4) == cdiv(n, 4) == (n + 3) // 4 and cdiv(cdiv(n, 8), 4) == cdiv(n, 32) and n * m // m == n and 1 // n == 0 and n % n == 0
    assert smaller(n, n + 3) == n and larger(n, 1) == n and (n > 1) and not n < 2 and n != 1 and n + 1 > n
    for text in ("n", "2*n+1", "n-m-1", "((n+3)//4)", "(n%4)+2", "min(m,n)", "m*n+max(m,4)", "-n+5"):
        e = parse_extent(text)
        assert parse_extent(e.text) == e
    for bad in ("n.", "f(n)", "n/2", "n**2", "[n]", "n if n else 2", "", "'n'", "1.5"):
        with pytest.raises(ValueError):
            parse_extent(bad)


@settings(max_examples=200)
@given(st.data())
def test_arithmetic_is_that_of_the_numbers(data):
    """Random expressions: their value, their text read back, and what was asked of them is what the numbers say."""
    numbers = {"n": data.draw(st.integers(2, 300)), "m": data.draw(st.integers(2, 300))}
    sizes = Sizes(numbers)
    with sizes.active(tracing=True):
        pool = [(Dim.symbol(s), v) for s, v in numbers.items()] + [(k, k) for k in (1, 2, 3, 64)]
        asked = []
        for _ in range(data.draw(st.integers(1, 8))):
            (a, x), (b, y) = data.draw(st.sampled_from(pool)), data.draw(st.sampled_from(pool))
            what = data.draw(st.sampled_from(["+", "-", "*", "//", "%", "min", "max", "cdiv", "<", "==", ">="]))
            if what in ("//", "%", "cdiv") and (y <= 0 or x < 0):
                continue
            if what in ("<", "==", ">="):
                got = a < b if what == "<" else a == b if what == "==" else a >= b
                assert got == (x < y if what == "<" else x == y if what == "==" else x >= y)
                asked.append(what)
                continue
            f = {"+": lambda p, q: p + q, "-": lambda p, q: p - q, "*": lambda p, q: p * q, "//": lambda p, q: p // q, "%": lambda p, q: p % q,
                 "min": smaller, "max": larger, "cdiv": cdiv}[what]  # fmt: skip
            made, value = f(a, b), -(-x // y) if what == "cdiv" else min(x, y) if what == "min" else max(x, y) if what == "max" else f(x, y)
            assert (made.value(numbers) if isinstance(made, Dim) else made) == value
            pool.append((made, value))
    assert all(compiled(list(numbers), sizes.guards())(*numbers.values()))
    with expressions():
        for e, _ in pool:
            if isinstance(e, Dim):
                assert parse_extent(e.text).value(numbers) == e.value(numbers)


def test_guards_are_simplified():
    n = Dim.symbol("n")
    sizes = Sizes({"n": 100})
    with sizes.active(tracing=True):
        assert n > 5 and n > 50 and n < 1000 and 2 * n < 500 and n != 7 and n != 200 and n >= 0 and not n == 1
    assert sizes.guards() == ["n>=51", "n<=249", "n!=200"] and not sizes.pinned()
    with sizes.active(tracing=True):
        assert [0] * n == [0] * 100 if hasattr(list, "__mul__") else True
    assert sizes.guards() == ["n==100"] and sizes.pinned()["n"][0] == 100
