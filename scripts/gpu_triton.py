"""Cases in Triton, as an expert would write them."""
# mypy: ignore-errors
import torch
import triton
import triton.language as tl


@triton.jit
def _chain(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    v = tl.load(x + at, mask=inside)
    tl.store(y + at, 2.5 * v + 0.5 * tl.sin(v) * tl.exp(-v * v), mask=inside)


@triton.jit
def _gelu(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    v = tl.load(x + at, mask=inside)
    tl.store(y + at, 0.5 * v * (1 + tl.erf(v * 0.7071067811865476)), mask=inside)


@triton.jit
def _softmax(x, y, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    inside = at < columns
    v = tl.load(x + row * columns + at, mask=inside, other=-float("inf"))
    e = tl.exp(v - tl.max(v, axis=0))
    tl.store(y + row * columns + at, e / tl.sum(e, axis=0), mask=inside)


@triton.jit
def _rmsnorm(x, y, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    inside = at < columns
    v = tl.load(x + row * columns + at, mask=inside, other=0.0)
    tl.store(y + row * columns + at, v / tl.sqrt(tl.sum(v * v, axis=0) / columns + 1e-5), mask=inside)


def pointwise(kernel):
    def run(x):
        y = torch.empty_like(x)
        kernel[(triton.cdiv(x.numel(), 2048),)](x, y, x.numel(), BLOCK=2048, num_warps=8)
        return y

    return run


def rows(kernel):
    def run(x):
        y = torch.empty_like(x)
        block = triton.next_power_of_2(x.shape[1])
        kernel[(x.shape[0],)](x, y, x.shape[1], BLOCK=block, num_warps=4 if block <= 2048 else 8)
        return y

    return run


CASES = {"a*x + b*sin(x)*exp(-x*x)": pointwise(_chain), "gelu, erf": pointwise(_gelu), "softmax": rows(_softmax), "rmsnorm": rows(_rmsnorm)}
