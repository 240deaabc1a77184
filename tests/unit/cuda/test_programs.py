"""Programs on a card: every level's cases with the oracle's bits, several kernels as one submission, the cache, threads, what goes wrong."""
from __future__ import annotations

import threading

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.errors import CheckError, DeviceError, ResourceError, ToolError
from ptxjit.targets.ptx import runtime
from ptxjit.targets.ptx.graphs import submissions
from ptxjit.testing import assert_targets_agree
from ptxjit.testing.fuzz import fuzz
from tests.properties.cases import CASES as LEVELS
from tests.unit.cuda.standin import CUresult

CASES = {
    **LEVELS,
    "while": (lambda x: pj.while_loop(lambda s: s.sum() < 100, lambda s: s * 2 + 1, x * x), [(8,)]),
    "quotients": (lambda x, y: (x / y, np.sqrt(np.abs(x)), 1 / x), [(500,), (500,)]),
    "remainders": (lambda x, y: (np.fmod(x, y), x % y, x // y), [(200,), (200,)]),
    "results that are inputs": (lambda x: (x, x.T, x + 1), [(3, 4)]),
    "nothing": (lambda x: (x[:0] + 1, x.sum()), [(5,)]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize("name", CASES)
def test_the_bits_of_the_oracle(name, dtype, card, no_ptxas):
    card()
    fn, shapes = CASES[name]
    if dtype == "f2" and name in ("matmul", "long softmax", "all"):
        shapes = [tuple(min(n, 70) for n in s) for s in shapes]
    rng = np.random.default_rng(1)
    assert_targets_agree(fn, *(rng.standard_normal(s).astype(dtype) for s in shapes), targets=["interp", "cuda:0"], bitwise=True)


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i4", "u8"])
def test_integers(dtype, card, no_ptxas):
    card()
    rng = np.random.default_rng(2)
    x, y = (rng.integers(0, 2 if dtype == "?" else 100, 45).astype(dtype) for _ in range(2))
    ops = (lambda a, b: (a & b, a | b, a ^ b, ~a)) if dtype == "?" else (lambda a, b: (a + b, a * b, a // b, a % b, a >> 1, a < b, np.maximum(a, b), a.astype("f4")))
    assert_targets_agree(ops, x, y, targets=["interp", "cuda:0"], bitwise=True)


def test_scattered_updates(card, no_ptxas):
    card()
    i = np.random.default_rng(0).integers(0, 50, 1000)
    assert_targets_agree(lambda x, i: np.bincount(i, minlength=50) + x, np.zeros(50, "i4"), i, targets=["interp", "cuda:0"], bitwise=True)


def test_random_programs(card, no_ptxas):
    card()
    counts, failures = fuzz(10, seed=5, device="cuda:0")
    assert failures == [] and counts["programs"] >= 10


def test_machine_code_of_ptxas(card, ptxas):
    d = card()
    assert_targets_agree(LEVELS["all"][0], np.random.default_rng(0).standard_normal((70, 1000)).astype("f4"), targets=["interp", "cuda:0"], bitwise=True)
    images = [a[0][:4] for c, a in d.calls if c == "cuModuleLoadDataEx"]
    assert images == [b"\x7fELF"]


def test_machine_code_that_the_driver_refuses(card, ptxas, monkeypatch):
    """A ptxas newer than the driver: the text is compiled by the driver instead, and nothing is kept for the cache."""
    monkeypatch.setenv("PTXJIT_CACHE", "off")
    d = card()
    d.fail["cuModuleLoadDataEx"] = [CUresult.CUDA_ERROR_INVALID_IMAGE, 0]
    f = pj.jit(lambda x: x * 3, device="cuda:0")
    assert (f(np.arange(5.0)) == np.arange(5.0) * 3).all()
    images = [a[0][:4] for c, a in d.calls if c == "cuModuleLoadDataEx"]
    assert images == [b"\x7fELF", b"//\n/"]


N, F4 = 70000, np.float32  # several kernels: a long sum is done in pieces


# ---- graphs ---------------------------------------------------------------------------------------------------------


def names(d, since=0):
    return [c for c, _ in d.calls[since:] if c.startswith(("cuLaunch", "cuGraph", "cuStreamBegin", "cuMemset", "cuMemcpyDtoD"))]


def test_several_kernels_are_one_submission(card, no_ptxas):
    d = card()
    f = pj.jit(lambda x: (x.sum(), x * x.max()), device="cuda:0")
    x = np.random.default_rng(0).standard_normal(70000).astype("f4")
    want = pj.jit(f.fn, device="cpu")(x)
    seen = []
    for k in range(5):
        start = len(d.calls)
        got = f(x + 0)
        assert all((a == b).all() for a, b in zip(got, want))
        seen.append(names(d, start))
    assert len(seen[0]) >= 3 and "cuGraphLaunch" not in seen[0]
    assert names(d).count("cuGraphInstantiate") == 1 and seen[3] == seen[4] == ["cuGraphLaunch"]


def test_other_buffers_and_other_values(card, no_ptxas):
    """Graphs are for buffers: data that change are seen, buffers that change get their own graph, and old ones are updated rather than made anew."""
    d = card()
    f = pj.jit(lambda x: (x.sum(), x * x.max()), device="cuda:0")
    cpu = pj.jit(f.fn, device="cpu")
    f(np.zeros(N, F4))
    driver, program = runtime.driver_of("0"), program_of(f)
    rng = np.random.default_rng(3)
    held = []
    for k in range(24):
        x = rng.standard_normal(N).astype(F4)
        if k % 3 == 0:
            held.append(driver.memory(4 * N))  # moves what the pool hands out
        for _ in range(3):
            m = driver.from_host(x)
            out = program.on_device(m)
            got = [driver.to_host(o, s, t) for o, (s, t) in zip(out, program.results)]
            assert all((np.asarray(a) == b).all() for a, b in zip(got, cpu(x)))
            del m, out
    made = names(d)
    assert 1 <= made.count("cuGraphInstantiate") <= 4 and made.count("cuGraphLaunch") > 24
    assert len(program.graphs.graphs) <= 4


def program_of(f):
    """The executable behind a jitted function of one version."""
    import gc

    from ptxjit.targets.ptx.graphs import CudaProgram

    [found] = [o for o in gc.get_objects() if isinstance(o, CudaProgram) and o.plan["name"] == f.name and o.driver.alive()]
    return found


def test_many_sets_of_buffers(card, no_ptxas):
    d = card()
    f = pj.jit(lambda x: (x.sum(), x.max()), device="cuda:0")
    f(np.zeros(N, F4))
    driver, program = runtime.driver_of("0"), program_of(f)
    inputs = [driver.from_host(np.full(N, k, F4)) for k in range(9)]
    for _ in range(3):
        for k, m in enumerate(inputs):
            a, b = (driver.to_host(o, s, t) for o, (s, t) in zip(program.on_device(m), program.results))
            assert a == N * k and b == k
    made = names(d)
    assert made.count("cuGraphInstantiate") <= 4 and made.count("cuGraphExecUpdate") >= 5


def test_an_update_that_is_refused(card, no_ptxas):
    d = card()
    d.fail["cuGraphExecUpdate"] = CUresult.CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE
    f = pj.jit(lambda x: (x.sum(), x.max()), device="cuda:0")
    f(np.zeros(N, F4))
    driver, program = runtime.driver_of("0"), program_of(f)
    inputs = [driver.from_host(np.full(N, k, F4)) for k in range(9)]
    for _ in range(3):
        for k, m in enumerate(inputs):
            a, b = (driver.to_host(o, s, t) for o, (s, t) in zip(program.on_device(m), program.results))
            assert a == N * k and b == k
    assert names(d).count("cuGraphInstantiate") >= 9


def test_recording_that_fails(card, no_ptxas):
    """The stream is usable afterwards."""
    d = card()
    f = pj.jit(lambda x: (x.sum(), x.max()), device="cuda:0")
    x = np.arange(N, dtype=F4)
    f(x)
    d.fail["cuLaunchKernel"] = [0, CUresult.CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES]
    with pytest.raises(ResourceError, match="launching .* with .* blocks"):
        f(x)
    d.fail.clear()
    assert f(x)[1] == N - 1 and f(x)[1] == N - 1


def test_counted_loops_are_recorded(card, no_ptxas):
    """The turn of a counted loop is written by a fill, so that the loop is one submission."""
    from ptxjit.ir.kernel import KernelBuilder
    from ptxjit.ir.program import Buffer, Fill, Launch, Loop, Program
    from ptxjit.ir.types import I32, I64, array
    from ptxjit.targets import target

    d = card()
    b = KernelBuilder("add", lanes=32, warps=1)
    turn = b.param("turn", I64, role="pointer", elem=I64)
    y = b.param("y", I64, role="pointer", elem=I64)
    at = b.sreg(name="laneid")
    t = b.ld(turn, b.const(I32, 0), space="global", to=I64, scale=8)
    b.st(y, at, b.iadd(b.imul(b.ld(y, at, space="global", to=I64, scale=8), b.const(I64, 3)), t), space="global", to=I64, scale=8)
    b.ret()
    k = b.finish()
    buffers = Buffer("turn", array(I64, ()), "temp"), Buffer("y", array(I64, (32,)), "output")
    p = Program("loop", buffers, (), buffers[1:], (Fill(buffers[1], 2**33 + 5), Loop((Launch(k, (1, 1, 1), buffers),), count=7, counter=buffers[0])))
    made = target("cuda:0").build(p, {"add": k})
    want = 2**33 + 5
    for n in range(7):
        want = 3 * want + n
    for _ in range(3):
        [got] = made()
        assert (got == want).all()
    assert "cuGraphLaunch" in names(d) and names(d)[-1] == "cuGraphLaunch"


@pytest.mark.parametrize("name,value", [("i8", -3), ("i16", -300), ("i32", -70000), ("i64", 2**40 + 1), ("f16", 1.5), ("bf16", -2.5), ("f32", 0.1), ("f64", 0.1)])
def test_numbers_as_parameters(name, value, card, no_ptxas):
    """Each has its own slot and size, between two pointers."""
    from ptxjit.ir.kernel import KernelBuilder
    from ptxjit.ir.program import Buffer, Launch, Program
    from ptxjit.ir.types import I32, I64, SCALARS, array
    from ptxjit.targets import target

    card()
    t = SCALARS[name]
    b = KernelBuilder("put", lanes=32, warps=1)
    x = b.param("x", I64, role="pointer", elem=t)
    number = b.param("number", t)
    y = b.param("y", I64, role="pointer", elem=t)
    at = b.sreg(name="laneid")
    b.st(y, at, number, space="global", to=t, scale=t.bytes)
    b.st(x, at, b.ld(y, b.const(I32, 0), space="global", to=t, scale=t.bytes), space="global", to=t, scale=t.bytes)
    b.ret()
    k = b.finish()
    out = Buffer("x", array(t, (32,)), "output"), Buffer("y", array(t, (32,)), "output")
    got = target("cuda:0").build(Program("p", out, (), out, (Launch(k, (1, 1, 1), (out[0], value, out[1])),)), {"put": k})()
    assert all(a.tobytes() == np.full(32, value, t.np).tobytes() for a in got)


def test_values_that_decide_are_not_recorded(card, no_ptxas):
    d = card()
    x = np.arange(8.0)
    g = pj.jit(lambda x: pj.while_loop(lambda s: s.sum() < 1000, lambda s: s * 2 + 1, x), device="cuda:0")
    for _ in range(3):
        assert (g(x) == pj.jit(g.fn, device="cpu")(x)).all()
    assert "cuStreamBeginCapture" not in names(d)


def test_how_many_submissions():
    launch, copy = ["launch", "k", [1, 1, 1], []], ["copy", 0, 1]
    assert submissions([launch, copy]) == 2
    assert submissions([["loop", [launch, copy], 10, 3, None, []]]) == 30
    assert submissions([["loop", [launch], 10, None, None, []], launch]) == 11
    assert submissions([["loop", [launch], None, None, 4, [launch]]]) is None
    assert submissions([launch, ["check", 0, "no", None]]) is None
    assert submissions([["loop", [["check", 0, "no", None]], 2, None, None, []]]) is None


def test_checks(card, no_ptxas):
    card()
    f = pj.jit(lambda i: np.bincount(i, minlength=3), device="cuda:0")
    with pytest.raises((CheckError, ValueError)):
        f(np.array([5]))
    assert (f(np.array([2, 2])) == [0, 0, 2]).all()


# ---- cache, threads -------------------------------------------------------------------------------------------------


def test_from_the_cache(card, ptxas, cache_folder):
    d = card()
    x = np.linspace(0, 1, 5000, dtype="f4")
    want = pj.jit(lambda v: np.exp(v) + v.sum(), device="cuda:0")(x)
    entries = sorted(p.name for p in cache_folder.glob("*.bin"))
    images = [a[0] for c, a in d.calls if c == "cuModuleLoadDataEx"]
    start = len(d.calls)
    got = pj.jit(lambda v: np.exp(v) + v.sum(), device="cuda:0")(x)
    assert got.tobytes() == want.tobytes()
    assert [a[0] for c, a in d.calls[start:] if c == "cuModuleLoadDataEx"] == images[-1:] and images[-1].startswith(b"\x7fELF")
    assert [n for n in sorted(p.name for p in cache_folder.glob("*.bin")) if n not in entries] == []


def test_another_card_is_another_entry(card, no_ptxas, cache_folder):
    x = np.arange(9.0)
    seen = set()
    for capability in (8, 9):
        card(COMPUTE_CAPABILITY_MAJOR=capability)
        assert (pj.jit(lambda v: v + 1, device="cuda:0")(x) == x + 1).all()
        seen.add(frozenset(p.name for p in cache_folder.glob("*.bin")))
    assert len(seen) == 2


def test_many_threads(card, no_ptxas):
    card()
    f = pj.jit(lambda x: (x * 2 + x.sum(), x.max()), device="cuda:0")
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(8):
            x = rng.standard_normal(3000)
            a, b = f(x)
            if not (np.allclose(a, x * 2 + x.sum()) and b == x.max()):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_results_do_not_share_memory(card, no_ptxas):
    card()
    f = pj.jit(lambda x: x + 1, device="cuda:0")
    a, b = f(np.zeros(4)), f(np.ones(4))
    assert (a == 1).all() and (b == 2).all()
    x = np.arange(10.0)
    x.flags.writeable = False
    assert (f(x) == x + 1).all() and (f(np.arange(20.0)[1::2]) == np.arange(20.0)[1::2] + 1).all()


# ---- what goes wrong ------------------------------------------------------------------------------------------------


def test_out_of_memory_names_what_was_asked(card, no_ptxas):
    card(memory=1 << 20)
    with pytest.raises(ResourceError, match=r"out of memory.*bytes were asked for; .* MiB of 1 are free") as e:
        pj.jit(lambda x: x + 1, device="cuda:0")(np.zeros(1 << 18))
    assert "smaller" in e.value.hint
    assert (pj.jit(lambda x: x + 1, device="cuda:0")(np.zeros(10)) == 1).all()


def test_the_pool_is_given_back_before_memory_is_refused(card, no_ptxas):
    card(memory=3 << 20)
    for n in (1 << 17, 3 << 16, 1 << 16):
        assert pj.jit(lambda x: x + 1, device="cuda:0")(np.zeros(n, "f4")).sum() == n
    assert pj.jit(lambda x: x + 1, device="cuda:0")(np.zeros(5 << 16, "f4")).sum() == 5 << 16


def test_a_module_that_is_refused(card, no_ptxas, monkeypatch):
    from ptxjit.targets.ptx import write

    monkeypatch.setenv("PTXJIT_CACHE", "off")
    real = write.write_module
    monkeypatch.setattr(write, "write_module", lambda *a, **k: real(*a, **k).replace("add.rn.f64", "add.nonsense.f64"))
    card()
    with pytest.raises(ToolError, match="refuses the module.*INVALID_PTX"):
        pj.jit(lambda x: x + x, device="cuda:0")(np.zeros(3))


def test_a_lost_context_says_so_ever_after(card, no_ptxas):
    d = card()
    f = pj.jit(lambda x: x + 1, device="cuda:0")
    f(np.zeros(3))
    d.lost = CUresult.CUDA_ERROR_ILLEGAL_ADDRESS
    with pytest.raises(DeviceError, match="illegal address") as e:
        f(np.zeros(3))
    assert "ptxjit check" in e.value.hint and "new one" in e.value.hint
    calls = len(d.calls)
    with pytest.raises(DeviceError, match="cuda:0 was lost: .*illegal address"):
        f(np.zeros(3))
    assert len([c for c, _ in d.calls[calls:] if not c.startswith("cuCtx")]) == 0
    import pickle

    assert str(pickle.loads(pickle.dumps(e.value))) == str(e.value)


def test_a_program_for_another_card_is_not_loaded(card, no_ptxas):
    card()
    low = pj.jit(lambda x: x + 1).lower("f64[3]", target="cuda:0")
    data = low.compile().to_bytes()
    from ptxjit.targets import target

    [y] = target("cuda:0").load(data)(np.arange(3.0))
    assert (y == np.arange(3.0) + 1).all()
    with pytest.raises(ValueError):
        target("cuda:0").load(data[:-1] + b"x")
