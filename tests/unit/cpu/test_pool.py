"""The pool: many callers, nested use, forked children, thread counts, exceptions.  Each way gives the serial result."""
from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.targets.cpu.pool import POOL, Pool

X = np.random.default_rng(0).standard_normal((600, 1000)).astype("f4")


@pj.jit
def rows(x):
    return (x * x).sum(axis=1), x + 1


@pj.jit
def total(x):
    return np.cumsum(x, axis=0).sum()


@pytest.fixture
def threads():
    """Restores the number of threads."""
    before = POOL.threads
    yield
    pj.set_num_threads(before)


def bits(out):
    return b"".join(np.asarray(o).tobytes() for o in (out if isinstance(out, tuple) else (out,)))


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_any_number_of_threads_gives_the_same_bits(n, threads):
    pj.set_num_threads(1)
    want = bits(rows(X)), bits(total(X))
    pj.set_num_threads(n)
    assert POOL.threads == n
    for _ in range(3):
        assert (bits(rows(X)), bits(total(X))) == want


def test_numbers_that_are_none(threads):
    for n in (0, -3):
        pj.set_num_threads(n)
        assert POOL.threads == 1
    with pytest.raises((TypeError, ValueError)):
        pj.set_num_threads("many")


def test_concurrent_callers(threads):
    """Python threads that call at once, while another changes the number of threads."""
    want = bits(rows(X)), bits(total(X))
    wrong, start = [], threading.Barrier(5)

    def call():
        start.wait(20)
        for _ in range(15):
            if (bits(rows(X)), bits(total(X))) != want:
                wrong.append(1)

    def change():
        start.wait(20)
        for n in (1, 2, 4, 2, 3):
            pj.set_num_threads(n)

    callers = [threading.Thread(target=f, daemon=True) for f in (call, call, call, call, change)]
    for t in callers:
        t.start()
    for t in callers:
        t.join(60)
    assert not any(t.is_alive() for t in callers) and not wrong


def test_compiling_at_once():
    """The first call of one function from many threads."""
    f = pj.jit(lambda x: np.tanh(x * 3).sum(axis=1))
    results, start = [], threading.Barrier(4)

    def call():
        start.wait(20)
        results.append(bits(f(X)))

    callers = [threading.Thread(target=call, daemon=True) for _ in range(4)]
    for t in callers:
        t.start()
    for t in callers:
        t.join(60)
    assert len(results) == 4 and len(set(results)) == 1 and f.stats()["compilations"] == 1


def test_a_pool_in_use_does_not_block():
    """A nested call, or one beside another thread's, runs on its own thread."""
    want = bits(rows(X))
    assert POOL.lock.acquire(timeout=20)
    try:
        assert bits(rows(X)) == want
    finally:
        POOL.lock.release()


def test_called_back_from_python():
    """A jitted call inside of plain Python that NumPy calls back."""
    got = np.apply_along_axis(lambda row: rows(np.tile(row, (300, 1)))[0][:3], 1, X[:4])
    np.testing.assert_allclose(got[:, 0], (X[:4] * X[:4]).sum(1), rtol=1e-5)


def test_an_exception_leaves_the_pool_usable():
    pool = Pool()

    def fail(*_):
        raise ZeroDivisionError

    pool.threads, pool._ready, pool._parallel = 2, True, None
    with pytest.raises(ZeroDivisionError):
        pool.run(fail, 0, 0, 8, 0, 0)
    assert pool.lock.acquire(blocking=False)
    pool.lock.release()
    with pytest.raises(pj.errors.ShapeError):
        rows(X[0])
    assert bits(rows(X)) == bits(rows(X.copy()))


def test_one_block_needs_no_pool():
    pool, seen = Pool(), []
    pool.lock.acquire()
    pool.run(lambda *a: seen.append(a), 0, 0, 1, 5, 6)
    assert seen == [(5, 0, 1, 6)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_children(tmp_path):
    """Children of a process whose pool has run, whose lock is held, and that fork again: serial, never dead."""
    script = tmp_path / "forks.py"
    script.write_text(textwrap.dedent("""
        import os, signal, sys
        import numpy as np
        import ptxjit as pj
        from ptxjit.targets.cpu.pool import POOL

        f = pj.jit(lambda x: (x * x).sum(axis=1))
        x = np.random.default_rng(0).standard_normal((600, 1000)).astype("f4")
        pj.set_num_threads(2)
        want = f(x).tobytes()
        assert POOL.layer in ("omppool", "workqueue", "serial")

        def child(depth):
            signal.alarm(60)
            ok = f(x).tobytes() == want and pj.jit(lambda x: x.max(axis=1))(x).shape == (600,) and POOL.layer == "serial"
            if depth:
                ok = ok and spawn(depth - 1)
            os._exit(0 if ok else 1)

        def spawn(depth):
            pid = os.fork()
            if pid == 0:
                child(depth)
            return os.waitpid(pid, 0)[1] == 0

        assert spawn(0) and spawn(2)
        with POOL.lock:
            assert spawn(0)
        assert f(x).tobytes() == want
        print("done")
    """))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("text, want", [("1", "1 serial"), ("3", "3"), ("none", ""), ("", "")])
def test_the_environment_variable(text, want):
    code = "import numpy as np, ptxjit as pj; from ptxjit.targets.cpu.pool import POOL, cores\n" \
           "pj.jit(lambda x: x.sum(axis=1))(np.ones((600, 1000))); print(POOL.threads, POOL.layer, POOL.threads == cores())"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, "PTXJIT_NUM_THREADS": text})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(want) if want else done.stdout.endswith("True\n")
