"""The public contract: names, argument forms, formats, exit statuses.  What belongs to a later version is listed and must refuse."""
from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import ptxjit as pj

NAMES = ("jit devices device default_device use fori_loop while_loop scan erf random debug_print cdiv cache testing errors set_num_threads "
         "load_ptx translate check asarray Array from_dlpack").split()  # fmt: skip
LATER = {  # name → the version that brings it
    "kernel": "tile programs",
}  # fmt: skip


@pj.jit
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
def test_name(name):
    assert getattr(pj, name) is not None


@pytest.mark.parametrize("name", LATER)
def test_later_names_are_absent(name):
    with pytest.raises(AttributeError):
        getattr(pj, name)


def test_jit_forms():
    x = np.arange(6, dtype="f4").reshape(2, 3)
    want = np.exp(x - x.max(-1, keepdims=True))
    want /= want.sum(-1, keepdims=True)
    np.testing.assert_allclose(softmax(x), want, rtol=1e-6)
    f = pj.jit(device="cpu", static_argnames=("axis",), fast_math=False, reproducible=False)(lambda x, axis: x.sum(axis=axis))
    np.testing.assert_array_equal(f(x, axis=0), x.sum(0))
    np.testing.assert_array_equal(f(x, 1), x.sum(1))
    np.testing.assert_array_equal(pj.jit(lambda x: x + 1, device="interp")(x), x + 1)
    assert "softmax" in repr(softmax) and softmax.__name__ == "softmax"
    assert {"calls", "compilations", "reasons"} <= set(softmax.stats())


def test_lower():
    low = softmax.lower("f32[1024,1000]", target="ptx:sm_90")
    for stage in ("graph", "program", "tile", "kernel", "ptx", "final"):
        assert low.as_text(stage).strip()
    assert ".entry softmax" in low.as_text("ptx") and low.as_text("final") == low.as_text("ptx")
    assert set(low.kernels) == {"softmax"} and "ptx" in low.stages
    cpu = pj.jit(lambda x: x + 1).lower(np.zeros(4, "f4"), target="cpu:host")
    assert "define void" in cpu.as_text("ll") and cpu.as_text("asm") and cpu.stats()[0]["instructions"] > 0
    np.testing.assert_array_equal(cpu.compile()(np.ones(4, "f4"))[0], np.full(4, 2, "f4"))


def test_results_are_fresh():
    x = np.arange(12.0).reshape(3, 4)
    for f in (lambda x: x, lambda x: x.T, lambda x: x[::2], lambda x: x.reshape(-1)):
        y = pj.jit(f)(x)
        assert y.flags.c_contiguous and not np.shares_memory(x, y)
        np.testing.assert_array_equal(y, f(x))
    a, b = pj.jit(lambda x: (x, x))(x)
    assert not np.shares_memory(a, b)


def test_devices():
    assert {d.name for d in pj.devices()} >= {"cpu", "interp"}
    cpu = pj.device("cpu")
    assert cpu.available and cpu.kind == "cpu" and cpu.hardware and cpu.why_not is None and cpu.facts.lanes > 0
    assert pj.default_device().name == "cpu" and pj.use("cpu").name == "cpu"
    with pytest.raises(pj.errors.DeviceError):
        pj.device("cuda:0")


def test_functions_without_a_source_file():
    space = {"pj": pj, "np": np}
    exec("f = pj.jit(lambda x: np.sin(x) + 1)", space)
    np.testing.assert_allclose(space["f"](np.ones(3)), np.sin(np.ones(3)) + 1)
    exec(textwrap.dedent("""
        @pj.jit
        def g(x):
            if x > 0:
                return x
            return -x
    """), space)
    with pytest.raises(pj.errors.TraceError) as e:
        space["g"](np.float64(1))
    assert e.value.place == "<string>:4"


def test_error_tree():
    e = pj.errors
    assert issubclass(e.ShapeError, (e.UserError, ValueError)) and issubclass(e.DTypeError, TypeError) and issubclass(e.UserError, e.PtxjitError)
    for kind in (e.UserError, e.ReadError, e.UnsupportedError, e.ResourceError, e.ToolError, e.DeviceError, e.BugError):
        made = pickle.loads(pickle.dumps(kind("what", place="f.py:3", hint="do this")))
        assert made.place == "f.py:3" and made.hint == "do this" and "what" in str(made)


def test_cache_names(tmp_path):
    assert {"path", "entries", "bytes"} <= set(pj.cache.info())
    assert pj.cache.verify() is True or isinstance(pj.cache.verify(), list)
    assert isinstance(pj.cache.clear(), int)


def test_testing_names():
    from ptxjit import testing

    for name in ("arrays", "shapes", "scalars", "programs", "assert_targets_agree", "check"):
        assert callable(getattr(testing, name))


def run(*args, **kw):
    return subprocess.run([sys.executable, "-m", "ptxjit", *args], capture_output=True, text=True, **kw)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "prog.py"
    path.write_text(textwrap.dedent("""
        import numpy as np
        if __name__ == "__main__":
            raise SystemExit("run as main")
        def good(x):
            return np.exp(x) + 1
        def wrong(x):
            if x.sum() > 0:
                return x
            return -x
        def almost(x):
            return np.exp(x) + np.where(x > 1.5, 1.001, 1)
    """))
    return path


@pytest.mark.parametrize("args, status", [
    (["devices"], 0), (["doctor"], 0), (["cache", "info"], 0), (["cache", "path"], 0), (["cache", "verify"], 0), (["tour"], 0), (["--help"], 0),
    (["nonsense"], 2), (["show", "missing.py:f"], 2), (["show", "{}:missing", "f32[4]"], 2), (["show", "{}:good", "f32[4"], 2),
    (["show", "{}:wrong", "f32[4]"], 1), (["show", "{}:good", "f32[4]", "--target", "ptx:sm_90", "--stage", "ptx"], 0),
    (["show", "{}:good", "f32[4]", "--stage", "graph"], 0), (["test", "{}:good", "--examples", "5"], 0), (["bench", "{}:good", "f32[64]"], 0),
    (["test", "{}:almost", "--reference", "{}:good", "--examples", "60", "--spec", "f64[40]"], 1),
    (["translate", "x.ptx"], 2), (["run", "x.ptx"], 2), (["check", "x.ptx"], 2),
])  # fmt: skip
def test_exit_status(args, status, program):
    done = run(*(a.format(program) for a in args))
    assert done.returncode == status, done.stdout + done.stderr
    assert status == 0 or "Traceback" not in done.stderr


def test_code_on_standard_output_is_verbatim(program):
    done = run("show", f"{program}:good", "f32[1000]", "--target", "ptx:sm_90", "--stage", "ptx")
    assert done.stdout.startswith("//") and ".version 7.8" in done.stdout and "\x1b" not in done.stdout


def test_disable_runs_the_function_itself(program):
    code = "import ptxjit as pj; print(type(pj.jit(lambda x: [x])(3)).__name__)"
    import os

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PTXJIT_DISABLE": "1"})
    assert done.stdout.strip() == "list"
