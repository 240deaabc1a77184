"""How many lanes run together: what is chosen, what keeps a warp whole, and that no width changes a result; values that leave loops."""
from __future__ import annotations

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.interp.launch import run
from ptxjit.ir.interp.memory import Region
from ptxjit.ir.verify import verify
from ptxjit.targets import target
from ptxjit.targets.cpu.load import LINUX_X86
from ptxjit.targets.llvm.exits import leaving
from ptxjit.targets.llvm.width import planned

HEAD = ".version 7.8\n.target sm_80\n.address_size 64\n"
AVX2, AVX512 = 16 * 32, 32 * 64  # bytes of vector registers
RUNS = pytest.mark.skipif(not LINUX_X86, reason="runs what the x86-64 Linux linker made: run it on such a machine")
MACHINES = pytest.mark.parametrize("machine", [m for m in ("cpu:host", "cpu:x86-64-v3") if target(m).runs_kernels])


def kernel(text, name="k"):
    return pj.load_ptx(HEAD + text)[name].entry.kernel


def sums(count, t="f32", inside="", before=""):
    """A loop over `count` values of a lane."""
    bits = t[1:]
    regs = "".join(f"mov.b{bits} %v{n}, %v; " for n in range(count))
    body = "".join(f"fma.rn.{t} %v{n}, %v{n}, %v{(n + 5) % count}, %v{n}; " for n in range(count))
    total = "".join(f"add.{t} %v, %v, %v{n}; " for n in range(count))
    return f""".visible .entry k(.param .u64 x, .param .u32 n) {{
    .reg .pred %p; .reg .b32 %i, %n, %t, %u; .reg .b64 %x, %o; .reg .{t} %v, %v<{count}>; .shared .align 4 .b8 s[4096];
    ld.param.u64 %x, [x]; ld.param.u32 %n, [n]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, {int(bits) // 8}; add.s64 %x, %x, %o; {before}
    ld.global.{t} %v, [%x]; mov.u32 %i, 0; {regs}
again:
    {body} {inside} add.u32 %i, %i, 1; setp.lt.u32 %p, %i, %n; @%p bra again;
    {total} st.global.{t} [%x], %v; ret;
}}"""


@pytest.mark.parametrize("count, t, avx2, avx512", [(3, "f32", 32, 32), (7, "f32", 16, 32), (15, "f32", 8, 32), (7, "f64", 8, 32), (20, "f64", 8, 8), (60, "f32", 8, 8)])
def test_a_loops_values_fit_the_registers(count, t, avx2, avx512):
    k = kernel(sums(count, t))
    assert [planned(k, "rows of 32", room).w for room in (AVX2, AVX512)] == [avx2, avx512]


@pytest.mark.parametrize("whole", ["shfl.sync.bfly.b32 %u, %t, 1, 31, -1;", "vote.sync.ballot.b32 %u, %p, -1;", "bar.warp.sync -1;", "mov.u32 %u, %laneid;",
                                   "mov.u32 %u, %lanemask_lt;", "ld.volatile.shared.u32 %u, [s];"])  # fmt: skip
def test_what_needs_the_warp_keeps_it_whole(whole):
    assert planned(kernel(sums(15)), "rows of 32", AVX2).w == 8
    assert planned(kernel(sums(15, before="setp.eq.u32 %p, %t, 3; " + whole)), "rows of 32", AVX2).w == 32
    assert planned(kernel(sums(3, before="setp.eq.u32 %p, %t, 3; " + whole)), "rows of 32", AVX2, forced=8).w == 32


def test_what_is_not_read_in_a_loop_does_not_count():
    text = sums(3).replace("add.u32 %i, %i, 1;", "bar.sync 0; add.u32 %i, %i, 1;")
    many = "".join(f"mul.lo.u32 %q{n}, %t, %t; xor.b32 %q{n}, %q{n}, {n + 1}; " for n in range(20))
    after = "".join(f"xor.b32 %t, %t, %q{n}; " for n in range(20)) + "mul.wide.u32 %o, %t, 0; add.s64 %x, %x, %o;"
    text = text.replace(".shared", ".reg .b32 %q<20>; .shared").replace("mov.u32 %i, 0;", many + "mov.u32 %i, 0;").replace("st.global", after + " st.global")
    assert planned(kernel(text), "rows of 32", AVX2).w == 32


MIXED = """.visible .entry k(.param .u64 data, .param .u64 wide, .param .u64 small, .param .u64 out, .param .u32 n) {
    .reg .pred %p, %q, %far, %any; .reg .b32 %r<20>; .reg .b64 %a<12>; .reg .f64 %d<6>; .reg .b16 %h<3>; .shared .align 4 .b8 part[4096];
    ld.param.u64 %a1, [data]; ld.param.u64 %a2, [wide]; ld.param.u64 %a3, [out]; ld.param.u32 %r1, [n]; ld.param.u64 %a11, [small];
    mov.u32 %r2, %tid.x; mov.u32 %r3, %tid.y; mov.u32 %r4, %ntid.x; mad.lo.u32 %r5, %r3, %r4, %r2; mov.u32 %r13, %ntid.y; mul.lo.u32 %r14, %r13, %r4;
    mov.u32 %r6, part; shl.b32 %r7, %r5, 2; add.u32 %r8, %r6, %r7; mul.wide.u32 %a4, %r5, 4; add.s64 %a5, %a1, %a4; add.s64 %a6, %a3, %a4;
    setp.lt.u32 %far, %r5, %r1; mov.u32 %r9, 0;
    @%far ld.global.u32 %r9, [%a5];
    mov.u16 %h1, 3; cvt.u64.u32 %a9, %r5; add.s64 %a10, %a11, %a9; @%far ld.global.u8 %h1, [%a10]; cvt.u32.u16 %r15, %h1; add.u32 %r9, %r9, %r15;
    st.shared.u32 [%r8], %r9; setp.ne.u32 %q, %r5, 0; mov.u32 %r10, 0; @!%q st.shared.u32 [part+2048], %r10;
    bar.sync 0;
    mov.u32 %r10, 16;
tree:
    setp.ge.u32 %p, %r5, %r10; @%p bra met;
    add.u32 %r11, %r5, %r10; setp.ge.u32 %q, %r11, %r14; @%q bra met;
    shl.b32 %r12, %r10, 2; add.u32 %r12, %r8, %r12; ld.shared.u32 %r11, [%r12]; ld.shared.u32 %r12, [%r8]; add.u32 %r11, %r11, %r12; st.shared.u32 [%r8], %r11;
met:
    bar.sync 0; shr.u32 %r10, %r10, 1; setp.ne.u32 %p, %r10, 0; @%p bra tree;
    barrier.red.popc.u32 %r16, 1, %far;
    cvt.rn.f64.u32 %d1, %r9; mov.f64 %d2, 0d3FF0000000000000; mov.u32 %r17, 0;
halve:
    setp.gt.f64 %q, %d1, %d2; @!%q bra done;
    mul.f64 %d1, %d1, 0d3FE0000000000000; add.u32 %r17, %r17, 1; bra halve;
done:
    @%far red.global.add.u32 [%a3+4096], %r17;
    atom.shared.add.u32 %r18, [part+2048], 1;
    mul.wide.u32 %a7, %r5, 8; add.s64 %a8, %a2, %a7; st.global.f64 [%a8], %d1;
    ld.shared.u32 %r11, [part]; mad.lo.u32 %r11, %r16, 1000, %r11; mad.lo.u32 %r11, %r17, 7, %r11; mad.lo.u32 %r11, %r18, 13, %r11; st.global.u32 [%a6], %r11;
    ret;
}"""


@RUNS
@MACHINES
@pytest.mark.parametrize("mode, lanes", [("auto", None), ("auto:16", 16), ("auto:8", 8)])
@pytest.mark.parametrize("block", [(96, 1), (100, 1), (16, 5), (8, 7), (12, 3)])
def test_no_width_changes_a_result(block, mode, lanes, machine):
    """Guarded loads, a tree in shared memory, a barrier that counts, a loop that lanes leave one by one, atomics; partial groups."""
    threads = block[0] * block[1]
    rng = np.random.default_rng(threads)
    data, small = rng.integers(0, 5000, threads).astype(np.uint32), rng.integers(0, 256, threads).astype(np.uint8)
    out, wide = np.zeros(1025, np.uint32), np.zeros(threads)
    mod = pj.load_ptx(HEAD + MIXED)
    mod.mode, mod.target = mode, target(machine)
    n = threads - 9
    mod["k"].launch(data, wide, small, out, np.uint32(n), grid=1, block=block)
    stats = mod["k"].stats()
    assert stats["mode"] == "widened" and lanes in (None, stats["lanes"])
    have = [int(data[t]) + int(small[t]) if t < n else 3 for t in range(threads)]
    turns = [max(0, (v - 1).bit_length()) if v > 1 else 0 for v in have]
    part = list(have)
    for s in (16, 8, 4, 2, 1):
        part[: min(s, threads - s)] = [part[t] + part[t + s] for t in range(min(s, threads - s))]
    assert wide.tolist() == [v / (1 << k) for v, k in zip(have, turns)]
    assert out[:threads].tolist() == [(n * 1000 + part[0] + 7 * k + 13 * t) & 0xFFFFFFFF for t, k in enumerate(turns)]
    assert out[1024] == sum(turns[:n])


@RUNS
@MACHINES
@pytest.mark.parametrize("mode", ["auto", "auto:16", "auto:8"])
def test_whole_numbers_rounded_downwards(mode, machine):
    """Zero stays +0: LLVM subtracts equal numbers for it, where the vector is one register of AVX2."""
    text = """.visible .entry k(.param .u64 x) {
    .reg .b32 %r<4>; .reg .b64 %a<4>; .reg .f32 %f<3>;
    ld.param.u64 %a1, [x]; mov.u32 %r1, %tid.x; mul.wide.u32 %a2, %r1, 8; add.s64 %a3, %a1, %a2; ld.global.u32 %r2, [%a3];
    cvt.rm.f32.u32 %f1, %r2; cvt.rm.f32.s32 %f2, %r2; st.global.v2.f32 [%a3], {%f1, %f2}; ret;
}"""
    x = np.zeros((64, 2), np.uint32)
    numbers = [0, 1, 2**24 + 1, 2**31, 2**32 - 1, 3 * 2**24 + 3, 0, 12345678]
    x[:, 0] = numbers * 8
    mod = pj.load_ptx(HEAD + text)
    mod.mode, mod.target = mode, target(machine)
    mod["k"].launch(x, grid=1, block=64)
    for n, (u, s) in zip(numbers, x.view(np.float32).tolist()):
        for got, want in ((u, n), (s, n - (n >> 31 << 32))):
            above = np.nextafter(np.float32(got), np.float32(np.inf))
            assert int(got) == want or int(got) < want < int(above)
            assert np.signbit(got) == (want < 0)


# ---- loops that run a part of a warp at a time ----------------------------------------------------------------------

COUNT = 13


def talking():
    """Lanes turn numbers around in a loop, for their own count of turns or all for the same, and then meet."""
    names = [f"%v{n}" for n in range(COUNT)]
    start = " ".join(f"add.u32 {v}, %x, {n};" for n, v in enumerate(names))
    body = " ".join(f"mad.lo.u32 {v}, {v}, {names[(n + 5) % COUNT]}, %x;" for n, v in enumerate(names))
    total = " ".join(f"xor.b32 %s, %s, {v};" for v in names)
    return f""".visible .entry k(.param .u64 data, .param .u64 dst, .param .u32 limit, .param .u32 own) {{
    .reg .pred %p, %q, %odd, %even; .reg .b32 %i, %n, %t, %x, %s, %u, %w, %m, %own, %v<{COUNT}>; .reg .b64 %a, %b, %d, %o;
    ld.param.u64 %d, [data]; ld.param.u64 %o, [dst]; ld.param.u32 %n, [limit]; ld.param.u32 %own, [own];
    mov.u32 %t, %tid.x; mul.wide.u32 %a, %t, 4; add.s64 %a, %d, %a; ld.global.u32 %x, [%a];
    and.b32 %u, %x, 1; setp.eq.u32 %odd, %u, 1; setp.ge.u32 %p, %x, 4000; @%p ret;
    and.b32 %u, %x, 7; mul.lo.u32 %u, %u, %own; add.u32 %m, %n, %u; mov.u32 %s, 0; mov.u32 %i, 0; mov.u64 %b, %a; {start}
again:
    {body} @%odd add.u32 %v0, %v0, 3; ld.global.u32 %w, [%b+256]; add.u32 %v1, %v1, %w; add.s64 %b, %b, 4;
    setp.gt.u32 %even, %v2, %v3; add.u32 %i, %i, 1; setp.lt.u32 %p, %i, %m; @%p bra again;
    {total} @%even add.u32 %s, %s, 1;
    activemask.b32 %u; vote.sync.ballot.b32 %w, %odd, %u;
    sub.s64 %b, %b, %a; cvt.u32.u64 %t, %b; mov.u32 %u, %tid.x; mul.wide.u32 %b, %u, 16; add.s64 %o, %o, %b; st.global.v4.u32 [%o], {{%s, %w, %i, %t}};
    ret;
}}"""


@RUNS
@MACHINES
@pytest.mark.parametrize("mode, lanes", [("auto", []), ("auto:16", [16]), ("auto:8", [8])])
@pytest.mark.parametrize("own", [0, 1])
@pytest.mark.parametrize("threads", [64, 45])
def test_a_loop_in_parts_of_a_warp_that_meets_afterwards(threads, own, mode, lanes, machine):
    rng = np.random.default_rng(threads)
    data = rng.integers(0, 3999, 64 + threads + 20).astype(np.uint32)
    data[:8], data[20:23] = 5000, 4500  # a whole part of the lanes, and some of another, are gone
    out = np.zeros((threads, 4), np.uint32)
    mod = pj.load_ptx(HEAD + talking())
    mod.mode, mod.target = mode, target(machine)
    mod["k"].launch(data, out, np.uint32(5), np.uint32(own), grid=1, block=threads)
    stats = mod["k"].stats()
    assert stats["mode"] == "widened" and stats["lanes"] == 32 and (mode == "auto" or stats["loops"] == lanes)
    alive = [t for t in range(threads) if data[t] < 4000]
    for t in range(threads):
        if t not in alive:
            assert not out[t].any()
            continue
        x, turns = int(data[t]), 5 + int(data[t] & 7) * own
        v = [x + n for n in range(COUNT)]
        for i in range(turns):
            for n in range(COUNT):
                v[n] = (v[n] * v[(n + 5) % COUNT] + x) & 0xFFFFFFFF
            v[0] = (v[0] + 3 * (x & 1)) & 0xFFFFFFFF
            v[1] = (v[1] + int(data[64 + t + i])) & 0xFFFFFFFF
        s = 0
        for word in v:
            s ^= word
        warp = sum(1 << u % 32 for u in alive if u // 32 == t // 32 and data[u] & 1)
        assert out[t].tolist() == [(s + (v[2] > v[3])) & 0xFFFFFFFF, warp, turns, 4 * turns]


@pytest.mark.parametrize("inside", ["st.shared.f32 [s], %v;", "red.shared.add.u32 [s], 1;", "bar.sync 0;", "shfl.sync.bfly.b32 %u, %t, 1, 31, -1;", "mov.u32 %u, %laneid;"])
def test_loops_that_others_can_notice_are_left_whole(inside):
    whole = "bar.warp.sync -1;"
    assert [i.op.name for i in planned(kernel(sums(15, before=whole)), "rows of 32", AVX2).k.instrs()].count("part") == 1
    made = planned(kernel(sums(15, before=whole, inside=inside)), "rows of 32", AVX2)
    assert made.w == 32 and all(i.op.name != "part" for i in made.k.instrs())


def test_the_lines_of_such_a_loop_are_marked():
    text, lines = target("cpu:x86-64-v3").emit_kernel_lines(kernel(sums(15, before="bar.warp.sync -1;")), "ll")
    body = text[text.index("define internal i32 @k.part0.lane") :].split("\n}", 1)[0].splitlines()
    at = text[: text.index("define internal i32 @k.part0.lane")].count("\n")
    marked = [line for n, line in enumerate(body) if lines[at + n] is not None]
    assert sum("@llvm.fma.v8f32" in line for line in marked) == 15


@RUNS
def test_doctor_says_the_width(tmp_path, capsys):
    from ptxjit.cli import main

    file = tmp_path / "k.ptx"
    for before, want in (("", ", 8 lanes at a time"), ("bar.warp.sync -1;", ", loops of 8 lanes at a time")):
        file.write_text(HEAD + sums(60, before=before))
        assert main(["doctor", str(file)]) == 0 and want in capsys.readouterr().out


# ---- values that leave loops ----------------------------------------------------------------------------------------

NEST = """.visible .entry k(.param .u64 dst, .param .u32 n) {
    .reg .pred %p, %q; .reg .b32 %r<9>; .reg .b64 %a<4>;
    ld.param.u64 %a1, [dst]; ld.param.u32 %r1, [n]; mov.u32 %r2, %tid.x; mov.u32 %r3, %r2; mov.u32 %r4, 0; mov.u32 %r6, 7;
    setp.ge.u32 %p, %r2, %r1; @%p bra out;
outer:
    mov.u32 %r5, 0;
inner:
    add.u32 %r5, %r5, 3; add.u32 %r6, %r6, %r5; setp.lt.u32 %q, %r5, %r3; @%q bra inner;
    add.u32 %r4, %r4, %r5; add.u32 %r3, %r3, 5; setp.lt.u32 %p, %r3, %r1; @%p bra outer;
out:
    mul.wide.u32 %a2, %r2, 16; add.s64 %a3, %a1, %a2; st.global.v4.u32 [%a3], {%r3, %r4, %r5, %r6};
    ret;
}""".replace("%r5, %r6}", "%r4, %r6}")


def test_values_leave_loops_as_parameters():
    k = kernel(NEST)
    made = leaving(k)
    verify(made)
    assert made is not k and leaving(made) is made
    want = np.zeros((40, 4), np.uint32)
    for t in range(40):
        i, total, s = t, 0, 7
        while i < 30:
            j = 0
            while True:
                j += 3
                s += j
                if j >= i:
                    break
            total, i = total + j, i + 5
        want[t] = i, total, total, s
    for x in (k, made):
        out = np.zeros((40, 4), np.uint32)
        at = out.__array_interface__["data"][0]
        run(x, [at, 30], [Region("out", at, out.view(np.uint8).reshape(-1))], (1, 1, 1), (40, 1, 1))
        np.testing.assert_array_equal(out, want)


def test_a_counter_that_is_read_behind_its_loop_keeps_its_shape():
    """`for (j = t; j < n; j += 32)`, and then j: in the loop it is a scalar and the lane's number."""
    text = """.visible .entry k(.param .u64 x, .param .u64 dst, .param .u32 n) {
    .reg .pred %p; .reg .b32 %j, %n, %t, %s, %v; .reg .b64 %x, %o, %a;
    ld.param.u64 %x, [x]; ld.param.u64 %o, [dst]; ld.param.u32 %n, [n]; mov.u32 %t, %tid.x; mov.u32 %j, %t; mov.u32 %s, 0;
    setp.ge.s32 %p, %j, %n; @%p bra out;
again:
    mul.wide.s32 %a, %j, 4; add.s64 %a, %x, %a; ld.global.u32 %v, [%a]; add.u32 %s, %s, %v; add.s32 %j, %j, 32; setp.lt.s32 %p, %j, %n; @%p bra again;
out:
    mul.wide.u32 %a, %t, 8; add.s64 %a, %o, %a; st.global.v2.u32 [%a], {%s, %j};
    ret;
}"""
    plan = planned(kernel(text), "rows of 32", AVX512)
    [load] = [i for i in plan.k.instrs() if i.op.name == "ld"]
    assert plan.shapes[load.args[0].id].offs == tuple(range(0, 128, 4))
