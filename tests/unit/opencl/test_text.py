"""OpenCL C as text: what it says, and that every device's compiler takes it."""
from __future__ import annotations

import warnings

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.errors import UnsupportedError
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.types import F16, F32, I1, I32, I64
from ptxjit.targets.spirv.opencl_c import literal, write


def lowered(fn, *args):
    return pj.jit(fn).lower(*args, target="spirv").as_text("opencl")


def test_a_small_function(golden):
    def axpy(a, x, y):
        return a * x + y

    golden(lowered(axpy, np.float32(2), np.zeros(100, "f4"), np.zeros(100, "f4")), "axpy.cl.txt")


def test_a_row(golden):
    golden(lowered(lambda x: x.max(axis=1), np.zeros((4, 200), "f4")), "row_max.cl.txt")


def test_names_that_opencl_has_taken():
    def kernel(float4, half):
        return np.sin(float4) + half

    text = lowered(kernel, np.zeros(4, "f4"), np.zeros(4, "f4"))
    assert "void kernel_(" in text and "uchar* half_" in text


def test_nothing_is_left_to_the_device():
    text = lowered(lambda x: (np.exp(x), np.sin(x), np.tanh(x), np.log(x)), np.zeros(9, "f4"))
    assert "FP_CONTRACT OFF" in text and not any(f"{f}(" in text for f in ("exp", "sin", "tanh", "log", "native_exp", "mad"))


def test_loops_nest():
    text = lowered(lambda x, y: x @ y, np.zeros((8, 600), "f4"), np.zeros((600, 8), "f4"))
    assert "for (;;) {" in text and "goto" not in text


@pytest.mark.parametrize(("elem", "value", "text"), [
    (F32, 1, "1.0f"), (F32, 0.1, "0.1f"), (F32, float("inf"), "as_float(0x7f800000u)"), (F32, -0.0, "-0.0f"), (F16, 1, "0x3c00"),
    (I32, -1, "0xffffffffu"), (I64, 7, "7ul"), (I1, 1, "true")])  # fmt: skip
def test_literals(elem, value, text):
    assert literal(elem, value) == text


def diamond():
    """Two loops' worth of jumps that do not nest: a loop with two entries."""
    b = KernelBuilder("tangle", lanes=1, warps=1)
    out = b.param("out", I64, role="pointer", elem=I32)
    n = b.param("n", I32)
    one, zero, ten = (b.const(I32, k) for k in (1, 0, 10))
    left, right, done = b.block("left", [I32]), b.block("right", [I32]), b.block("done", [I32])
    b.branch(b.icmp(n, zero, pred="sgt"), left, right, (n,), (n,))
    [x] = b.start(left)
    b.jump(right, b.iadd(x, one))
    [y] = b.start(right)
    z = b.iadd(y, one)
    b.branch(b.icmp(z, ten, pred="slt"), left, done, (z,), (z,))
    [r] = b.start(done)
    b.st(out, r, space="global", to=I32)
    b.ret()
    return b.finish()


def test_control_flow_that_does_not_nest():
    text = write([diamond()], ("exact", "fp64"))
    assert "goto b1;" in text and "b2:;" in text


def test_control_flow_that_does_not_nest_runs(opencl):
    import pyopencl as cl

    from ptxjit.targets.spirv.runtime import found

    for name in opencl:
        one = found(name.partition(":")[2])
        driver = one.open()
        context, queue = driver.context, driver.queue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = cl.Program(context, write([diamond()], one.facts.features)).build(["-cl-std=CL1.2"], cache_dir=False)
        tangle = cl.Kernel(program, "tangle_")
        out = cl.Buffer(context, cl.mem_flags.READ_WRITE, 4)
        for n, want in ((5, 11), (-3, 10), (20, 22)):
            tangle(queue, (1,), (1,), out, np.uint32(n & 0xFFFFFFFF))
            got = np.zeros(1, "i4")
            cl.enqueue_copy(queue, got, out)
            assert got[0] == want, (name, n)


def test_what_cannot_be_said():
    b = KernelBuilder("directed", lanes=1, warps=1)
    x = b.param("x", F32)
    b.fadd(x, x, rnd="rz")
    b.ret()
    with pytest.raises(UnsupportedError, match="fadd of f32 rounded rz"):
        write([b.finish()], ("exact",))


def test_division_where_f32_is_not_exact():
    k = list(pj.jit(lambda x: 1 / np.sqrt(x)).lower(np.zeros(4, "f4"), target="spirv").kernels.values())
    assert "(double)" in write(k, ("fp64",)) and "double" not in write(k, ("exact",))
    with pytest.raises(UnsupportedError, match="f64"):
        write(k, ())
