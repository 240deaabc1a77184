"""Kernels of Triton; writes <name>.<arch>.ptx beside itself and prints the launches.  Needs Triton."""
import os
from pathlib import Path

os.environ["TRITON_DISABLE_LINE_INFO"] = "1"

import triton  # noqa: E402
import triton.language as tl  # noqa: E402
from triton.backends.compiler import GPUTarget  # noqa: E402
from triton.compiler import ASTSource  # noqa: E402

HERE = Path(__file__).resolve().parent


@triton.jit
def triton_add(x, y, out, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    keep = i < n
    tl.store(out + i, tl.load(x + i, keep) + tl.load(y + i, keep), keep)


@triton.jit
def triton_softmax(x, out, columns, B: tl.constexpr):
    row, i = tl.program_id(0), tl.arange(0, B)
    v = tl.load(x + row * columns + i, i < columns, other=-float("inf"))
    e = tl.exp(v - tl.max(v, 0))
    tl.store(out + row * columns + i, e / tl.sum(e, 0), i < columns)


@triton.jit
def triton_matmul(a, b, c, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    rows, columns, inner = tl.program_id(0) * M + tl.arange(0, M), tl.program_id(1) * N + tl.arange(0, N), tl.arange(0, K)
    acc = tl.zeros((M, N), tl.float32)
    for t in range(0, k, K):
        p = tl.load(a + rows[:, None] * k + (t + inner)[None, :], (rows[:, None] < m) & ((t + inner)[None, :] < k), other=0.0)
        q = tl.load(b + (t + inner)[:, None] * n + columns[None, :], ((t + inner)[:, None] < k) & (columns[None, :] < n), other=0.0)
        acc = tl.dot(p, q, acc)
    tl.store(c + rows[:, None] * n + columns[None, :], acc, (rows[:, None] < m) & (columns[None, :] < n))


@triton.jit
def triton_scan(x, out, n, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(out + i, tl.cumsum(tl.load(x + i, i < n, other=0), 0), i < n)


@triton.jit
def triton_histogram(x, bins, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.atomic_add(bins + (tl.load(x + i, i < n, other=0) & 15), 1, i < n)


ALIGNED = [["tt.divisibility", 16]]
KERNELS = [
    (triton_add, {"x": "*fp32", "y": "*fp32", "out": "*fp32", "n": "i32"}, {"B": 256}, (80, 90)),
    (triton_softmax, {"x": "*fp32", "out": "*fp32", "columns": "i32"}, {"B": 128}, (80, 90)),
    (triton_matmul, {"a": "*fp16", "b": "*fp16", "c": "*fp32", "m": "i32", "n": "i32", "k": "i32"}, {"M": 32, "N": 32, "K": 32}, (80,)),
    (triton_scan, {"x": "*i32", "out": "*i32", "n": "i32"}, {"B": 512}, (80,)),
    (triton_histogram, {"x": "*i32", "bins": "*i32", "n": "i32"}, {"B": 128}, (80,)),
]

for kernel, signature, constants, archs in KERNELS:
    for arch in archs:
        full = {**signature, **{c: "constexpr" for c in constants}}
        aligned = {(i,): ALIGNED for i, kind in enumerate(signature.values()) if kind.startswith("*") and kernel is not triton_matmul}
        made = triton.compile(ASTSource(fn=kernel, signature=full, constexprs=constants, attrs=aligned), target=GPUTarget("cuda", arch, 32))
        name = kernel.fn.__name__
        (HERE / f"{name}.sm_{arch}.ptx").write_text(made.asm["ptx"])
        print(name, arch, "threads", 32 * made.metadata.num_warps, "shared", made.metadata.shared)
