"""Foreign PTX on the CPU, beside peers that run the same kernels or the same computation on the same processor.

    [PTXJIT_DEVICE=cpu:x86-64-v3] .venv/bin/python benchmarks/ptx.py [--rounds 5] [--only softmax,sgemm] [--no-simulator]

What nvcc made of `ptx/kernels.cu` is run by `load_ptx`; against it, in turn within each round: the same kernels in OpenCL C on PoCL
(`ptx/kernels.cl`), plain loops by g++ on one thread (`ptx/loops.cpp`, for orientation) and the same computation by `@jit`.  Numba's CUDA
simulator does a small part of the work, and its time is scaled.  Printed are medians, and how many times our time a peer's is (above 1: we
are faster).  A peer that is not there is shown as missing.  All results are compared with NumPy's before anything is timed.
"""
from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("PTXJIT_CACHE", "off")

import numpy as np

import ptxjit as pj

HERE = Path(__file__).resolve().parent / "ptx"
DEVICE = os.environ.get("PTXJIT_DEVICE", "cpu")
REST = 0.15  # seconds after which the threads of the contestant before have stopped to spin
N, ROWS, SIDE, PICTURE = 1 << 22, 1024, 512, 512
SIZES = {"vector_add": N, "softmax": ROWS, "sgemm": SIDE, "tree_sum": N, "mandelbrot": PICTURE, "histogram": N}
rng = np.random.default_rng(0)


# ---- cases ----------------------------------------------------------------------------------------------------------


class Case:
    """One kernel: its arguments, launch, result and reference.  `out` is the argument that holds the result, `clear` those that are zeroed before
    each run; `loops` the C function and its arguments; `jit` the computation as a NumPy function of `inputs`."""

    def __init__(self, name: str, title: str, args: list[Any], grid: Any, block: Any, out: int, want: Any, loops: tuple[str, list[Any]],
                 jit: Callable[..., Any] | None, inputs: list[Any], clear: tuple[int, ...] = (), tolerance: float = 0) -> None:  # fmt: skip
        self.name, self.title, self.args, self.grid, self.block, self.out, self.want = name, title, args, grid, block, out, want
        self.loops, self.jit, self.inputs, self.clear, self.tolerance = loops, jit, inputs, clear, tolerance

    def check(self, got: Any, who: str) -> None:
        got = np.asarray(got).reshape(-1)[: self.want.size].reshape(self.want.shape)
        ok = np.array_equal(got, self.want) if not self.tolerance else np.allclose(got, self.want, self.tolerance, self.tolerance)
        if not ok and self.name == "mandelbrot":  # a pixel at the edge may leave some steps sooner or later
            ok = (got != self.want).mean() < 0.02
        if not ok:
            raise SystemExit(f"{self.title}: {who} is wrong: {got.reshape(-1)[:4]} …, not {self.want.reshape(-1)[:4]} …")


def cases() -> list[Case]:
    f, i32 = np.float32, np.int32
    a, b = rng.standard_normal(N, f), rng.standard_normal(N, f)
    x = rng.standard_normal((ROWS, 1024), f)
    m, k = rng.standard_normal((SIDE, SIDE), f), rng.standard_normal((SIDE, SIDE), f)
    data = rng.integers(0, 256, N).astype(np.uint8)
    u = rng.integers(0, 1000, N).astype(np.uint32)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    out = [np.zeros(N, f), np.zeros((ROWS, 1024), f), np.zeros((SIDE, SIDE), f), np.zeros(N // 1024, f), np.zeros((PICTURE, PICTURE), i32),
           np.zeros(256, np.uint32), np.zeros(N // 1024, f), np.zeros(N, np.uint32)]  # fmt: skip
    sums = a.reshape(-1, 1024).sum(axis=1, dtype=np.float64).astype(f)
    status = np.zeros(N // 1024 + 1, np.uint64)
    limit = 256

    def soft(x: Any) -> Any:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    px, py = np.arange(PICTURE, dtype=f)[None, :], np.arange(PICTURE, dtype=f)[:, None]
    cx, cy = (f(-2) + f(3) * px / f(PICTURE)) + 0 * py, (f(-1.5) + f(3) * py / f(PICTURE)) + 0 * px

    def picture(cx: Any, cy: Any) -> Any:
        def step(_: Any, state: Any) -> Any:
            x, y, k = state
            inside = x * x + y * y < 4
            return np.where(inside, x * x - y * y + cx, x), np.where(inside, 2 * x * y + cy, y), k + inside.astype(np.int32)

        return pj.fori_loop(0, limit, step, (cx * 0, cy * 0, (cx * 0).astype(np.int32)))[2]

    px64, py64, kk = np.zeros_like(cx), np.zeros_like(cy), np.zeros(cx.shape, i32)
    for _ in range(limit):
        inside = px64 * px64 + py64 * py64 < 4
        kk += inside
        px64, py64 = np.where(inside, px64 * px64 - py64 * py64 + cx, px64), np.where(inside, 2 * px64 * py64 + cy, py64)
    n32 = np.int32(N)
    return [
        Case("vector_add", "vector add, 4 Mi", [a, b, out[0], n32], N // 256, 256, 2, a + b, ("vector_add", [a, b, out[0], n32]), lambda a, b: a + b, [a, b]),
        Case("softmax", "softmax, 1024 × 1024", [x, out[1], i32(1024)], ROWS, 256, 1, e / e.sum(axis=-1, keepdims=True),
             ("softmax", [x, out[1], i32(ROWS), i32(1024)]), soft, [x], tolerance=1e-5),
        Case("sgemm", "sgemm, tiled, 512³", [m, k, out[2], i32(SIDE)], (SIDE // 16, SIDE // 16), (16, 16), 2,
             (m.astype(np.float64) @ k.astype(np.float64)).astype(f), ("sgemm", [m, k, out[2], i32(SIDE)]), lambda a, b: a @ b, [m, k], tolerance=1e-3),
        Case("tree_sum", "tree reduction, 4 Mi", [a, out[3]], N // 1024, 256, 1, sums, ("block_sums", [a, out[3], i32(N // 1024)]),
             lambda a: a.reshape(-1, 1024).sum(axis=1), [a], tolerance=1e-4),
        Case("mandelbrot", "mandelbrot, 512²", [out[4], i32(PICTURE), i32(PICTURE), i32(limit)], (PICTURE // 32, PICTURE // 8), (32, 8), 0, kk,
             ("mandelbrot", [out[4], i32(PICTURE), i32(PICTURE), i32(limit)]), picture, [cx, cy]),
        Case("histogram", "histogram, 4 Mi", [data, out[5], n32], 64, 256, 1, np.bincount(data, minlength=256).astype(np.uint32),
             ("histogram", [data, out[5], n32]), None, [data], clear=(1,)),
        Case("shuffle_sum", "warp-shuffle sums, 4 Mi", [a, out[6]], N // 1024, 256, 1, sums, ("block_sums", [a, out[6], i32(N // 1024)]),
             lambda a: a.reshape(-1, 1024).sum(axis=1), [a], tolerance=1e-4),
        Case("lookback_scan", "look-back scan, 4 Mi", [u, out[7], status], N // 1024, 256, 1, np.cumsum(u, dtype=np.uint32), ("scan", [u, out[7], n32]),
             lambda u: np.cumsum(u, dtype=np.uint32), [u], clear=(2,)),
    ]  # fmt: skip


# ---- contestants ----------------------------------------------------------------------------------------------------


def ours(mod: Any, c: Case) -> Callable[[], Any]:
    kernel, args, zeroed = mod[c.name], c.args, [c.args[n] for n in c.clear]

    def run() -> None:
        for z in zeroed:
            z.fill(0)
        kernel.launch(*args, grid=c.grid, block=c.block)

    return run


class Pocl:
    """The kernels in OpenCL C on PoCL; `why` says why not."""

    def __init__(self) -> None:
        self.why = ""
        found = [d for d in pj.devices() if d.kind == "opencl" and "Portable Computing" in d.hardware]
        if not found or not found[0].available:
            self.why = found[0].why_not if found else "not installed"
            return
        import pyopencl as cl

        self.cl, self.hardware = cl, found[0].hardware
        devices = [d for p in cl.get_platforms() for d in p.get_devices() if "Portable" in p.name]
        self.context = cl.Context(devices[:1])
        self.queue = cl.CommandQueue(self.context)
        os.environ["PYOPENCL_NO_CACHE"] = "1"
        self.program = cl.Program(self.context, (HERE / "kernels.cl").read_text()).build()

    def run(self, c: Case) -> Callable[[], Any]:
        cl, flags = self.cl, self.cl.mem_flags
        kernel = cl.Kernel(self.program, c.name)
        buffers = {n: cl.Buffer(self.context, flags.READ_WRITE | flags.USE_HOST_PTR, hostbuf=v) for n, v in enumerate(c.args) if isinstance(v, np.ndarray) and v.ndim}
        kernel.set_args(*[buffers.get(n, v) for n, v in enumerate(c.args)])
        grid, block = pj_three(c.grid), pj_three(c.block)
        dims = 2 if block[1] > 1 else 1
        size, local = [g * b for g, b in zip(grid, block)][:dims], list(block[:dims])
        zeroed = [c.args[n] for n in c.clear]

        def run(_keep: Any = buffers) -> None:  # a kernel does not hold its arguments
            for z in zeroed:
                z.fill(0)
            cl.enqueue_nd_range_kernel(self.queue, kernel, size, local)
            self.queue.finish()

        return run


def pj_three(v: Any) -> tuple[int, int, int]:
    return tuple((*((v,) if isinstance(v, int) else v), 1, 1)[:3])  # type: ignore[return-value]


def loops(folder: str) -> Any:
    """The plain loops, compiled; None without a compiler."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    path = f"{folder}/loops.so"
    subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", path, str(HERE / "loops.cpp")], check=True)
    return ctypes.CDLL(path)


def simulated() -> tuple[dict[str, list[float]], str]:
    """{kernel: [seconds, share of the work]} of Numba's simulator, or why there is none."""
    env = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    try:
        done = subprocess.run([sys.executable, str(HERE / "simulator.py"), json.dumps(SIZES)], capture_output=True, text=True, env=env, timeout=120)
    except subprocess.TimeoutExpired:
        return {}, "it took more than two minutes"
    if done.returncode:
        return {}, done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout), ""


# ---- compile time ---------------------------------------------------------------------------------------------------

MEMORY = frozenset("ld st atom red copy".split())
NOT_ALU = MEMORY | frozenset("constant jump branch switch return trap".split())


def compile_time(text: str, name: str, mode: str) -> tuple[float, int, int, Any]:
    """(milliseconds from text to loaded code, instructions, those that compute, the kernel)."""
    start = time.perf_counter()
    mod = pj.load_ptx(text, DEVICE)
    mod.mode = mode
    mod[name].compile()
    spent = time.perf_counter() - start
    ops = [i.op.name for i in mod[name].entry.kernel.instrs()]
    return spent * 1e3, sum(o != "constant" for o in ops), sum(o not in NOT_ALU for o in ops), mod[name]


def long_kernel(count: int, irregular: int = 0) -> str:
    """PTX of `count` instructions of arithmetic, and of `irregular` loads from addresses that data give."""
    lines = [".version 7.0", ".target sm_80", ".address_size 64", ".visible .entry long(.param .u64 p)", "{", ".reg .b32 %r<16>;", ".reg .f32 %f<16>;",
             ".reg .b64 %rd<8>;", "ld.param.u64 %rd1, [p];", "mov.u32 %r1, %tid.x;", "mul.wide.u32 %rd2, %r1, 4;", "add.s64 %rd3, %rd1, %rd2;",
             "ld.global.u32 %r2, [%rd3];", "cvt.rn.f32.u32 %f1, %r2;", "mov.f32 %f2, %f1;", "mov.u32 %r3, %r2;"]  # fmt: skip
    lines += ["fma.rn.f32 %f1, %f2, %f1, %f2;", "add.s32 %r2, %r3, %r2;", "xor.b32 %r3, %r2, %r1;", "add.f32 %f2, %f1, %f2;"] * (count // 4)
    lines += ["and.b32 %r4, %r2, 31;", "mul.wide.u32 %rd4, %r4, 4;", "add.s64 %rd5, %rd1, %rd4;", "ld.global.u32 %r5, [%rd5];", "add.s32 %r2, %r5, %r2;"] * irregular
    lines += ["cvt.rzi.u32.f32 %r6, %f1;", "add.s32 %r7, %r2, %r6;", "add.s32 %r7, %r7, %r3;", "st.global.u32 [%rd3], %r7;", "ret;", "}"]
    return "\n".join(lines) + "\n"


def compile_times(text: str, names: list[str]) -> None:
    compile_time(long_kernel(8), "long", "auto")  # LLVM itself is loaded
    print(f"\n{'compile time, without the cache':34}{'widened':>10}{'':>12}{'dispatch':>10}{'':>12}  instructions, how it runs")
    jobs = [(n, text, n) for n in names] + [("10 000 instructions", long_kernel(10_000), "long"), ("200 irregular loads", long_kernel(8, 200), "long")]
    for title, source, name in jobs:
        fast, count, alu, kernel = compile_time(source, name, "auto")
        slow, *_ = compile_time(source, name, "dispatch")
        stats = kernel.stats()
        how = stats["mode"] + ": " + ", ".join(f"{part:.0%} {way}" for way, part in stats["share"].items() if part)
        print(f"{title:34}{fast:8.0f}ms {fast / alu:5.2f} ms/op {slow:8.0f}ms {slow / alu:5.2f} ms/op   {count}, {how}", flush=True)


# ---- the contest ----------------------------------------------------------------------------------------------------


def seconds(fn: Callable[[], Any], least: float = 0.02) -> float:
    start, n = time.perf_counter(), 0
    while True:
        fn()
        n += 1
        spent = time.perf_counter() - start
        if spent > least:
            return spent / n


def contest(entries: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {k: [] for k in entries}
    for _ in range(rounds):
        for k, fn in entries.items():
            time.sleep(REST)
            fn()
            times[k].append(seconds(fn))
    return {k: statistics.median(v) for k, v in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="kernels, with commas")
    parser.add_argument("--no-simulator", action="store_true")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    text = (HERE / "kernels.ptx").read_text()
    mod = pj.load_ptx(text, DEVICE)
    pocl = Pocl()
    print(f"foreign PTX on {pj.devices()[0].hardware} ({DEVICE}), {len(os.sched_getaffinity(0))} threads; PoCL: {pocl.why and 'missing, ' + pocl.why or pocl.hardware}")
    sim, why = ({}, "left out") if args.no_simulator else simulated()
    if why:
        print(f"Numba's simulator: missing, {why}")
    chosen = [c for c in cases() if not args.only or c.name in args.only.split(",")]
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        native = loops(folder)
        for c in chosen:
            entries = {"ours": ours(mod, c)}
            if not pocl.why:
                entries["PoCL"] = pocl.run(c)
            if native is not None:
                function, given = c.loops
                values = [ctypes.c_void_p(v.ctypes.data) if isinstance(v, np.ndarray) and v.ndim else ctypes.c_int(int(v)) for v in given]
                fn = getattr(native, function)
                entries["loops"] = lambda fn=fn, values=values, c=c: ([c.args[n].fill(0) for n in c.clear], fn(*values))
            for who, run in entries.items():
                c.args[c.out].fill(0)
                run()
                c.check(c.args[c.out], who)
            if c.jit is not None:
                jitted = pj.jit(c.jit)
                c.check(jitted(*c.inputs), "@jit")
                entries["@jit"] = lambda jitted=jitted, c=c: jitted(*c.inputs)
            times = contest(entries, args.rounds)
            mine = times.pop("ours")
            cells = [f"{k} {t * 1e3:8.2f} ms {t / mine:5.2f} ×" for k, t in times.items()]
            cells += [f"{k} missing" for k in ("PoCL", "loops", "@jit") if k not in times]
            if c.name in sim:
                spent, share = sim[c.name]
                cells.append(f"simulator {spent / share:.3g} s (scaled from {share:.1g} of the work) {spent / share / mine:.3g} ×")
            if "PoCL" in times:
                ratios.append(times["PoCL"] / mine)
            print(f"{c.title:26} ours {mine * 1e3:8.2f} ms   " + "   ".join(cells), flush=True)
    if ratios:
        print(f"PoCL's time is {statistics.geometric_mean(ratios):.2f} × ours (geometric mean)")
    if not args.no_compile:
        compile_times(text, [c.name for c in chosen])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
