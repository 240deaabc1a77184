"""Calls, output, hints."""
import math
from functools import partial

import numpy as np

from ..corpus import Case
from ..corpus import case as _case
from ..reference import each, signed

case = partial(_case, file="calls", grid=4, block=64)
N = 250


def s32(x):
    """As a signed word."""
    return signed(x, 32)


@case("functions")
def functions(rng):
    """A function that is not inlined, called by some lanes twice."""
    a = rng.integers(-10**6, 10**6, N, np.int32)

    def mix(a, b):
        return s32(a * 31 + (b ^ a >> 3))

    def value(x, i):
        r = mix(x, i)
        return mix(r, 5) if r & 1 else r
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: each(value, a, np.arange(N), dtype=np.int32)})


@case("recursion")
def recursion(rng):
    """Factorial, Fibonacci, Ackermann and two functions that call each other."""
    a = rng.integers(0, 12, N, np.int32)

    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    def ackermann(m, n):
        return n + 1 if m == 0 else ackermann(m - 1, 1 if n == 0 else ackermann(m, n - 1))
    want = [[math.factorial(x), fibonacci(x), ackermann(2 if x & 1 else 1, x & 3), x % 2 == 0] for x in a.tolist()]
    return Case([a, np.zeros((N, 4), np.int32), np.int32(N)], {1: np.array(want, np.int32)})


VEC = np.dtype([("x", np.float32), ("y", np.float32), ("z", np.float32), ("tag", np.int32)])


@case("struct_calls")
def struct_calls(rng):
    """Structs as parameters and results; integral values, so contraction does not matter."""
    def vectors():
        v = np.zeros(N, VEC)
        for k in "xyz":
            v[k] = rng.integers(-9, 10, N)
        v["tag"] = rng.integers(-9, 10, N)
        return v

    def cross(a, b):
        c = np.zeros(N, VEC)
        c["x"], c["y"], c["z"] = a["y"] * b["z"] - a["z"] * b["y"], a["z"] * b["x"] - a["x"] * b["z"], a["x"] * b["y"] - a["y"] * b["x"]
        c["tag"] = a["tag"] + b["tag"]
        return c
    a, b = vectors(), vectors()
    want = cross(cross(a, b), b)

    def same(got):
        return all(np.array_equal(got[k], want[k]) for k in VEC.names)
    return Case([a, b, np.zeros(N, VEC), np.int32(N)], {2: same})


@case("function_table")
def function_table(rng):
    """Indirect calls through tables in global and constant memory."""
    a, b = rng.integers(-10**4, 10**4, N, np.int32), rng.integers(-10**4, 10**4, N, np.int32)
    table = [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, max]
    want = each(lambda x, y, i: [table[3], table[1]][y & 1](table[x & 3](x, y), i), a, b, np.arange(N), dtype=np.int32)
    return Case([a, b, np.zeros(N, np.int32), np.int32(N)], {2: want})


@case("virtual_methods")
def virtual_methods(rng):
    """A virtual call on objects in local memory."""
    kind = rng.integers(-20, 20, N, np.int32)
    want = each(lambda k: 2 * k * k + 4 if k & 1 else 6 * (k + 1) ** 2, kind)
    return Case([kind, np.zeros(N, np.float32), np.int32(N)], {1: want})


@case("lambdas")
def lambdas(rng):
    """Captures by value and by reference."""
    a = rng.integers(-1000, 1000, N, np.int32)

    def value(x, i):
        first = 2 * x + 3 * i - (3 * i + x)
        second = 2 * (x + 1) + 3 * i - (3 * i + x + x + 1)
        return first + second
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: each(value, a, np.arange(N), dtype=np.int32)})


@case("print", grid=2, block=32)
def print_(rng):
    """printf with integers, numbers, text."""
    return Case([np.int32(42), np.float64(3.14159), np.zeros(4, np.uint8), np.zeros(64, np.int32)], {3: np.arange(42, 106, dtype=np.int32)},
                stdout="hello 42  3.14 text z|42  |002a|7 1099511627776 3.14159%\nno arguments\n")


@case("guarded")
def guarded(rng):
    """assert, trap, brkpt and exit on paths not taken."""
    a = rng.integers(0, 1000, N, np.int32)
    return Case([a, np.zeros(N, np.int32), np.int32(N)], {1: a + 1})


@case("clocks", grid=1)
def clocks(rng):
    """Clocks do not go back."""
    return Case([np.zeros(64, np.int32)], {0: np.full(64, 15, np.int32)})


@case("hints")
def hints(rng):
    """Cache operators change no value."""
    a, b = rng.standard_normal((N, 4), np.float32), rng.integers(-1000, 1000, N, np.int32)
    return Case([a, b, np.zeros((N, 4), np.float32), np.zeros((3, N), np.int32), np.int32(N)], {2: a, 3: np.stack([b * 7, b * 7 + 1, b * 7 + 2])})


@case("policies", archs=("sm_80", "sm_90"))
def policies(rng):
    """Cache policies; what is discarded is anything afterwards."""
    a = rng.integers(-1000, 1000, N, np.int32)
    return Case([a, np.zeros(N, np.int32), np.zeros(256, np.uint8), np.int32(N)], {1: a + 1, 2: lambda got: True})
