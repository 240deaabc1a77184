"""The linker: each relocation that it claims, each thing that it refuses, and damaged artefacts."""
from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.errors import BugError
from ptxjit.targets.cpu.link import PC32, PC64, PLT32, RELA, Artifact, _sections, link
from ptxjit.targets.cpu.load import LINUX_X86, load
from ptxjit.targets.cpu.runtime import Executable
from ptxjit.targets.llvm.compile import Machine, compile_assembly, compile_object

pytestmark = pytest.mark.skipif(not LINUX_X86, reason="links x86-64 ELF for Linux: run it on such a machine")
X86 = Machine("x86_64-unknown-linux-gnu", "x86-64-v3", "")
DOUBLE = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
LONG = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)


def kinds(obj):
    """Relocation types of the sections that are laid out."""
    sections, out = _sections(obj), set()
    for s in sections:
        if s.type == RELA and sections[s.info].flags & 2 and not sections[s.info].name.startswith((".eh_frame", ".note")):
            out |= {struct.unpack_from("<QQ", obj, at)[1] & 0xFFFFFFFF for at in range(s.offset, s.offset + s.size, 24)}
    return out


def loaded(ir, kind):
    obj = compile_object(ir, X86)
    assert kind is None or kind in kinds(obj), kinds(obj)
    return load(link(obj))


def test_without_relocations():
    code = loaded("define i64 @f(i64 %x) { %y = add i64 %x, 1\n ret i64 %y }\ndefine i64 @g(i64 %x) { %y = mul i64 %x, %x\n ret i64 %y }", None)
    assert LONG(code.address("f"))(41) == 42 and LONG(code.address("g"))(-9) == 81


def test_constants_are_found():
    """R_X86_64_PC32 against a constant pool."""
    code = loaded("define double @f(double %x) { %y = fmul double %x, 0x400921FB54442D18\n ret double %y }", PC32)
    assert DOUBLE(code.address("f"))(2.0) == 2 * np.pi


def test_calls_within_the_object():
    """R_X86_64_PLT32."""
    code = loaded("define i64 @half(i64 %x) noinline { %y = ashr i64 %x, 1\n ret i64 %y }\n"
                  "define i64 @f(i64 %x) { %y = call i64 @half(i64 %x)\n %z = call i64 @half(i64 %y)\n %w = add i64 %z, 1\n ret i64 %w }", PLT32)  # fmt: skip
    assert LONG(code.address("f"))(-40) == -9


def test_tables():
    table = ", ".join(f"i64 {k * k}" for k in range(100))
    code = loaded(f"@t = private constant [100 x i64] [{table}], align 64\n"
                  "define i64 @f(i64 %x) { %p = getelementptr i64, ptr @t, i64 %x\n %y = load i64, ptr %p\n ret i64 %y }", PC32)  # fmt: skip
    f = LONG(code.address("f"))
    assert [f(k) for k in (0, 7, 99)] == [0, 49, 9801]


def test_jump_tables():
    cases = "\n".join(f"c{k}: ret i64 {1000 + k * k * 7 % 31}" for k in range(12))
    labels = " ".join(f"i64 {k}, label %c{k}" for k in range(12))
    code = loaded(f"define i64 @f(i64 %x) {{ switch i64 %x, label %no [ {labels} ]\nno: ret i64 -1\n{cases}\n}}", None)
    f = LONG(code.address("f"))
    assert [f(k) for k in (-1, 0, 5, 11, 12)] == [-1, *(1000 + k * k * 7 % 31 for k in (0, 5, 11)), -1]


def test_distances_of_64_bits():
    """R_X86_64_PC64: a table in memory of distances to functions."""
    code = loaded("define internal i64 @g(i64 %x) noinline { ret i64 123 }\n"
                  "@t = private unnamed_addr constant i64 sub (i64 ptrtoint (ptr @g to i64), i64 ptrtoint (ptr @t to i64))\n"
                  "define i64 @f(i64 %x) { %d = load volatile i64, ptr @t\n %b = ptrtoint ptr @t to i64\n %a = add i64 %b, %d\n %p = inttoptr i64 %a to ptr\n"
                  " %y = call i64 %p(i64 %x)\n ret i64 %y }", PC64)  # fmt: skip
    assert LONG(code.address("f"))(0) == 123


def test_memory_of_zeros():
    """A section without bytes in the file."""
    artifact = link(compile_object("@z = internal global [64 x i64] zeroinitializer\n"
                                   "define i64 @f(i64 %x) { %p = getelementptr i64, ptr @z, i64 %x\n %y = load volatile i64, ptr %p\n ret i64 %y }", X86))  # fmt: skip
    assert LONG(load(artifact).address("f"))(63) == 0


def test_alignment():
    """64 bytes of alignment in the object are 64 bytes of alignment in the block."""
    artifact = link(compile_object("@a = private constant i8 1\n@t = private constant [16 x i32] zeroinitializer, align 64\n"
                                   "define i64 @f() { ret i64 ptrtoint (ptr @t to i64) }", X86))  # fmt: skip
    code = load(artifact)
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(code.address("f"))() % 64 == 0 and code.address("f") % 16 == 0


# ---- refused --------------------------------------------------------------------------------------------------------

REFUSED = {
    "one function": ("declare double @sin(double)\ndefine double @f(double %x) { %y = call double @sin(double %x)\n ret double %y }", "not its own: sin"),
    "two functions": ("declare void @b()\ndeclare void @a()\ndefine void @f() { call void @b()\n call void @a()\n ret void }", "not its own: a, b"),
    "an intrinsic that becomes a call": ("declare double @llvm.sin.f64(double)\ndefine double @f(double %x) { %y = call double @llvm.sin.f64(double %x)\n ret double %y }",
                                         "not its own: sin"),
    "a wide division": ("define i128 @f(i128 %x) { %y = sdiv i128 %x, 10\n %z = sdiv i128 %y, %x\n ret i128 %z }", "not its own: __divti3"),
    "a variable": ("@v = external global i64\ndefine i64 @f() { %y = load i64, ptr @v\n ret i64 %y }", "not its own: v"),
    "an address in memory": ("define internal i64 @g() { ret i64 1 }\n@t = constant ptr @g\ndefine ptr @f() { %p = load ptr, ptr @t\n ret ptr %p }",
                             "not position independent"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    ir, words = REFUSED[name]
    with pytest.raises(BugError, match=words):
        link(compile_object(ir, X86))


def test_other_formats():
    arm = compile_object("define i64 @f() { ret i64 1 }", Machine("aarch64-unknown-linux-gnu", "generic", ""))
    mac = compile_object("define i64 @f() { ret i64 1 }", Machine("x86_64-apple-macosx12.0.0", "x86-64-v3", ""))
    for obj in (arm, mac, b"", b"\x7fELF", b"text" * 50):
        with pytest.raises(BugError, match="not x86-64 ELF"):
            link(obj)


def test_invalid_ir_is_our_fault():
    with pytest.raises(BugError, match="not valid"):
        compile_object("define nonsense", X86)
    with pytest.raises(BugError, match="not valid"):
        compile_assembly("define i64 @f() { ret i32 1 }", X86)


# ---- artefacts ------------------------------------------------------------------------------------------------------


def test_artifact_bytes():
    a = Artifact("linked", b"\x90\xc3" * 30, {"f": 0, "g": 16})
    data = a.to_bytes()
    assert Artifact.from_bytes(data) == a and data == a.to_bytes()
    for k in range(len(data)):
        damaged = data[:k] + bytes([data[k] ^ 1 << k % 8]) + data[k + 1 :]
        with pytest.raises(ValueError, match="damaged"):
            Artifact.from_bytes(damaged)
    for k in (0, 1, 7, 8, 39, 40, 43, 44, len(data) - 1):
        with pytest.raises(ValueError, match="damaged"):
            Artifact.from_bytes(data[:k])
    with pytest.raises(ValueError, match="damaged"):
        Artifact.from_bytes(data + b"\0")


def test_executable_bytes():
    x = np.arange(40, dtype="f4")
    made = pj.jit(lambda x: x.sum() * np.array([1.0, 2.0], "f4")).lower(x, target="cpu:host").compile()
    data = made.to_bytes()
    hidden = np.array([1.0, 2.0], "f4")
    again = Executable.from_bytes(data)
    for a, b in zip(made(x, hidden), again(x, hidden)):
        np.testing.assert_array_equal(a, b)
    rng = np.random.default_rng(0)
    for k in rng.integers(0, len(data), 200):
        with pytest.raises(ValueError):
            Executable.from_bytes(data[:k] + bytes([data[k] ^ 4]) + data[k + 1 :])
    for k in rng.integers(0, len(data), 50):
        with pytest.raises(ValueError):
            Executable.from_bytes(data[:k])
