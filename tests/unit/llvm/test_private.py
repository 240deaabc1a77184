"""Local memory of lanes that run together: random programs of loads and stores against a bytearray per thread."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj

SIZE = 64
HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
REG = {1: "%h", 2: "%h", 4: "%r", 8: "%d"}


def program(seed: int, sizes: list[int], generic: bool) -> tuple[str, list[tuple[str, int, int, str, int, int]]]:
    """PTX, and its steps: (load or store, bytes, elements, place as 'uniform' or 'varying', offset, guard: 0 none, 1 odd threads, 2 nobody)."""
    rng = np.random.default_rng(seed)
    lines = ["mov.u32 %r1, %tid.x;", "ld.param.u64 %rd1, [out];", "mul.wide.u32 %rd2, %r1, 8;", "add.s64 %rd1, %rd1, %rd2;", "mov.b64 %d1, 0;",
             "and.b32 %r2, %r1, 1;", "setp.ne.u32 %p1, %r2, 0;", "setp.gt.u32 %p2, %r1, 5000;", "mov.u64 %rd5, mem;", "mov.b64 %d2, 1;",
             "and.b32 %r3, %r1, 3;", "mul.wide.u32 %rd3, %r3, 16;", "add.s64 %rd3, %rd5, %rd3;"]  # fmt: skip
    if generic:
        lines.append("cvta.local.u64 %rd4, %rd5; ld.u8 %h9, [%rd4];")
    for at in range(0, SIZE, 8):
        lines.append(f"st.local.b64 [%rd5+{at}], %d1;" if 8 in sizes else f"st.local.b32 [%rd5+{at}], 0; st.local.b32 [%rd5+{at + 4}], 0;")
    steps = []
    for _ in range(40):
        size, kind = int(rng.choice(sizes)), str(rng.choice(["ld", "st"]))
        count = int(rng.choice([c for c in (1, 2, 4) if c * size <= 16]))
        place, guard = str(rng.choice(["uniform", "varying"])), int(rng.choice([0, 0, 1, 2]))
        room = (SIZE if place == "uniform" else 16) // (size * count)
        at = int(rng.integers(room)) * size * count
        base, pred = "%rd5" if place == "uniform" else "%rd3", ("", "@%p1 ", "@%p2 ")[guard]
        regs, vector = [f"{REG[size]}{20 + n}" for n in range(count)], f".v{count}" if count > 1 else ""
        text = f"{{{', '.join(regs)}}}" if count > 1 else regs[0]
        where = f"[{base}+{at}]"
        if kind == "st":
            lines.append("add.s64 %d2, %d2, 1234567;")
            for n, r in enumerate(regs):
                lines.append(f"add.s64 %d3, %d2, {n}; " + (f"mov.b64 {r}, %d3;" if size == 8 else f"cvt.u{max(size * 8, 16)}.u64 {r}, %d3;"))
            lines.append(f"{pred}st.local{vector}.b{size * 8} {where}, {text};")
        else:
            lines += [f"mov.b{max(size * 8, 16)} {r}, 7;" for r in regs]
            lines.append(f"{pred}ld.local{vector}.b{size * 8} {text}, {where};")
            for r in regs:
                lines.append((f"mov.b64 %d3, {r};" if size == 8 else f"cvt.u64.u{max(size * 8, 16)} %d3, {r};") + " mul.lo.u64 %d1, %d1, 31; add.s64 %d1, %d1, %d3;")
        steps.append((kind, size, count, place, at, guard))
    body = "\n".join(lines)
    regs = ".reg .b16 %h<32>; .reg .b32 %r<32>; .reg .b64 %d<32>; .reg .b64 %rd<9>; .reg .pred %p<9>;"
    return HEAD + f".visible .entry k(.param .u64 out)\n{{\n.local .align 16 .b8 mem[{SIZE}];\n{regs}\n{body}\nst.global.b64 [%rd1], %d1;\nret;\n}}\n", steps


def expected(steps: list[tuple[str, int, int, str, int, int]], threads: int) -> np.ndarray:
    out = np.zeros(threads, np.uint64)
    for t in range(threads):
        memory, total, value = bytearray(SIZE), 0, 1
        for kind, size, count, place, at, guard in steps:
            runs = guard == 0 or guard == 1 and t % 2 == 1
            at += 0 if place == "uniform" else t % 4 * 16
            value += 1234567 if kind == "st" else 0
            for n in range(count):
                where = slice(at + n * size, at + (n + 1) * size)
                if kind == "st":
                    if runs:
                        memory[where] = ((value + n) % (1 << 8 * size)).to_bytes(size, "little")
                else:
                    total = (total * 31 + (int.from_bytes(memory[where], "little") if runs else 7)) % (1 << 64)
        out[t] = total
    return out


@pytest.mark.parametrize("generic", [False, True], ids=["side by side", "lane after lane"])
@pytest.mark.parametrize("sizes", [[4], [8], [1], [4, 8], [1, 2, 4], [1, 2, 4, 8]], ids=str)
def test_local_memory(sizes, generic):
    seed = sum(sizes) * 2 + generic
    text, steps = program(seed, sizes, generic)
    for device, mode in (("cpu", "auto"), ("cpu", "auto:8"), ("cpu", "dispatch"), ("interp", "auto")):
        module = pj.load_ptx(text, device=device)
        module.mode = mode
        k = module["k"]
        for threads in (64, 45):
            out = np.zeros(threads, np.uint64)
            k[1, threads](out)
            assert np.array_equal(out, expected(steps, threads)), (device, mode, threads)
            if mode == "auto" and device == "cpu":
                assert k.stats()["mode"] == "widened"


def test_one_place_is_one_vector():
    text = HEAD + """.visible .entry k(.param .u64 out)
{
.local .align 16 .b8 mem[64];
.reg .b32 %r<9>; .reg .f32 %f<9>; .reg .b64 %rd<9>; .reg .pred %p<9>;
ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd1, %rd1, %rd2;
mov.u64 %rd3, mem; cvt.rn.f32.u32 %f1, %r1; mov.u32 %r2, 0;
next:
mul.wide.u32 %rd4, %r2, 4; add.s64 %rd4, %rd3, %rd4;
st.local.f32 [%rd4], %f1; add.f32 %f1, %f1, 0f3F800000;
add.u32 %r2, %r2, 1; setp.lt.u32 %p1, %r2, 16; @%p1 bra next;
ld.local.v4.f32 {%f2, %f3, %f4, %f5}, [%rd3+16];
add.f32 %f2, %f2, %f5;
st.global.f32 [%rd1], %f2;
ret;
}
"""
    k = pj.load_ptx(text)["k"]
    out = np.zeros(64, "f4")
    k[1, 64](out)
    assert np.array_equal(out, 2 * np.arange(64) + 4 + 7)
    assert k.stats()["share"]["lane by lane"] == 0
