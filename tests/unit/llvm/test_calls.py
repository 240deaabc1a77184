"""Calls, printf and `alloca` of lanes that run together, against Python: divergent, in loops, around barriers, in partial warps; a frame for each depth."""
from __future__ import annotations

import re

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.errors import DeviceError, PtxjitError, ResourceError
from ptxjit.targets import target
from ptxjit.targets.cpu.load import LINUX_X86

pytestmark = pytest.mark.skipif(not LINUX_X86, reason="runs what the x86-64 Linux linker made: run it on such a machine")
HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
MACHINES = [m for m in ("cpu:host", "cpu:x86-64-v3") if target(m).runs_kernels]
WAYS = pytest.mark.parametrize("device, mode", [*((m, mode) for m in MACHINES for mode in ("auto", "auto:8", "dispatch")), ("interp", "auto")])


def load(text, device="cpu:host", mode="auto"):
    interp = device == "interp"
    mod = pj.load_ptx(HEAD + text, device="interp" if interp else "cpu")
    mod.mode = mode
    if not interp:
        mod.target = target(device)
    return mod


def widened(kernel, device, mode):
    if device != "interp":
        assert kernel.stats()["mode"] == ("dispatch" if mode == "dispatch" else "widened")


# ---- printf ---------------------------------------------------------------------------------------------------------

VPRINTF = ".extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);\n"


def text_of(name, words):
    data = words.encode() + b"\0"
    return f".global .align 1 .b8 {name}[{len(data)}] = {{{', '.join(map(str, data))}}};\n"


def vprintf(fmt, args="0"):
    return f"""{{ .param .b64 a0; .param .b64 a1; .param .b32 r0;
mov.u64 %rd8, {fmt}; cvta.global.u64 %rd8, %rd8; st.param.b64 [a0], %rd8; st.param.b64 [a1], {args};
call.uni (r0), vprintf, (a0, a1); }}
"""


PRINTS = VPRINTF + text_of("one", "one %d %s %.2f\n") + text_of("two", "two %d\n") + text_of("end", "end\n") + text_of("word", "word") + """
.visible .entry k(.param .u32 n)
{
.local .align 8 .b8 mem[24];
.reg .b32 %r<9>; .reg .f64 %d<3>; .reg .b64 %rd<12>; .reg .pred %p<4>;
mov.u32 %r1, %tid.x; ld.param.u32 %r2, [n]; mov.u64 %rd1, mem; cvta.local.u64 %rd2, %rd1;
st.local.u32 [%rd1], %r1; mov.u64 %rd3, word; cvta.global.u64 %rd3, %rd3; st.local.u64 [%rd1+8], %rd3;
cvt.rn.f64.u32 %d1, %r1; mul.f64 %d1, %d1, 0d3FD0000000000000; st.local.f64 [%rd1+16], %d1;
rem.u32 %r3, %r1, 3; setp.eq.u32 %p1, %r3, 0; @!%p1 bra other;
""" + vprintf("one", "%rd2") + "bra.uni join;\nother:\nmov.u32 %r4, 0;\nagain:\n" + vprintf("two", "%rd2") + """
add.u32 %r4, %r4, 1; setp.lt.u32 %p2, %r4, %r3; @%p2 bra again;
join:
""" + vprintf("end") + "ret;\n}\n"  # fmt: skip


@WAYS
@pytest.mark.parametrize("threads", [32, 45, 7])
def test_printf(device, mode, threads, capsys):
    """Lanes of one kind print a line, others one or two; the lines of an instruction are in the order of the lanes of a warp."""
    k = load(PRINTS, device, mode)["k"]
    k.launch(np.uint32(threads), grid=1, block=threads)
    widened(k, device, mode)
    lines = capsys.readouterr().out.splitlines()
    ones = [f"one {t} word {t / 4:.2f}" for t in range(threads) if t % 3 == 0]
    twos = [f"two {t}" for t in range(threads) for _ in range(t % 3)]
    assert sorted(lines) == sorted([*ones, *twos, *["end"] * threads])
    if device != "interp" and mode != "dispatch":
        for warp in range(0, threads, 32):
            own = [s for s in lines if s != "end" and warp <= int(re.findall(r"\d+", s)[0]) < warp + 32]
            assert [s for s in own if s[0] == "o"] == [s for s in ones if s in own]
            first = [t for t in range(warp, min(warp + 32, threads)) if t % 3]
            second = [t for t in first if t % 3 == 2]
            assert [s for s in own if s[0] == "t"] == [f"two {t}" for t in (*first, *second)]


@pytest.mark.parametrize("mode", ["auto", "dispatch"])
def test_more_lines_than_the_buffer_holds(mode, capsys):
    text = PRINTS.replace("rem.u32 %r3, %r1, 3", "mov.u32 %r3, 40")
    k = load(text, mode=mode)["k"]
    k.launch(np.uint32(0), grid=8, block=32)
    out = capsys.readouterr().out
    assert f"[{8 * 32 * 41 - 8192} more lines" in out and len(out.splitlines()) == 8192 + 2


# ---- alloca ---------------------------------------------------------------------------------------------------------

STACK = """.visible .entry k(.param .u64 out)
{
.local .align 8 .b8 mem[24];
.reg .b32 %r<16>; .reg .b64 %rd<20>; .reg .pred %p<6>;
mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mad.lo.u32 %r4, %r2, %r3, %r1;
ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r4, 4; add.u64 %rd1, %rd1, %rd2;
mov.u64 %rd3, mem; st.local.u32 [%rd3], %r4;
and.b32 %r5, %r1, 7; add.u32 %r6, %r5, 1; mul.wide.u32 %rd4, %r6, 4; mov.u32 %r7, 0; mov.u64 %rd5, 0;
next:
setp.ge.u32 %p1, %r7, %r6; @%p1 bra done;
alloca.u64 %rd6, %rd4, 32;
mul.lo.u32 %r8, %r4, 100; add.u32 %r8, %r8, %r7;
st.local.u32 [%rd6], %r8; st.local.u64 [%rd3+8], %rd6;
mul.wide.u32 %rd7, %r5, 4; add.u64 %rd7, %rd6, %rd7; st.local.u32 [%rd7], %r8;
setp.ne.u32 %p2, %r7, 0; selp.u64 %rd5, %rd5, %rd6, %p2;
add.u32 %r7, %r7, 1; bra next;
done:
bar.sync 0;
alloca.u64 %rd8, 1024, 32; st.local.u32 [%rd8], 5; st.local.u32 [%rd8+1020], 6;
cvta.local.u64 %rd9, %rd8; isspacep.local %p3, %rd9; selp.u32 %r9, 1000000, 0, %p3; add.u64 %rd10, %rd9, 1020; ld.u32 %r10, [%rd10];
and.b64 %rd11, %rd8, 31; cvt.u32.u64 %r11, %rd11;
ld.local.u64 %rd6, [%rd3+8]; ld.local.u32 %r12, [%rd6]; ld.local.u32 %r13, [%rd5]; ld.local.u32 %r14, [%rd3];
add.u32 %r9, %r9, %r10; add.u32 %r9, %r9, %r11; add.u32 %r9, %r9, %r12; add.u32 %r9, %r9, %r13; add.u32 %r9, %r9, %r14;
st.global.u32 [%rd1], %r9;
ret;
}
"""


@WAYS
@pytest.mark.parametrize("threads", [64, 45])
def test_alloca(device, mode, threads):
    """As much as a lane asks for, as often as it likes; what it has stays over a barrier, and the next block begins with nothing: 40 blocks of at
    least 1 KiB each are more than the heap."""
    k = load(STACK, device, mode)["k"]
    blocks = 40 if device != "interp" else 3
    out = np.zeros(blocks * threads, np.uint32)
    k.launch(out, grid=blocks, block=threads)
    widened(k, device, mode)
    for n in range(blocks * threads):
        last = n % threads & 7
        assert out[n] == 1000000 + 6 + (n * 100 + last) + n * 100 + n, n


GREEDY = """.visible .entry k(.param .u64 out, .param .u64 size)
{
.reg .b32 %r<4>; .reg .b64 %rd<9>; .reg .pred %p<3>;
ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [size]; mov.u32 %r1, %tid.x; setp.ne.u32 %p1, %r1, 7; @%p1 bra end;
alloca.u64 %rd3, %rd2, 16; st.local.u32 [%rd3], 5; ld.local.u32 %r2, [%rd3]; st.global.u32 [%rd1], %r2;
end:
ret;
}
"""


@WAYS
@pytest.mark.parametrize("size, enough", [(64, True), (12 << 10, True), (1 << 20, False), (1 << 33, False), (-8, False)])
def test_alloca_of_more_than_there_is(device, mode, size, enough):
    k, out = load(GREEDY, device, mode)["k"], np.zeros(1, np.uint32)
    if enough:
        k.launch(out, np.int64(size), grid=1, block=32)
        assert out[0] == 5
        return
    with pytest.raises(PtxjitError, match="alloca|stack of a lane"):
        k.launch(out, np.int64(size), grid=1, block=32)
    assert out[0] == 0


# ---- functions that call themselves ---------------------------------------------------------------------------------

# collatz(x, steps): steps if x == 1, else collatz of the next number; adds the thread's number within the block once, at the end
COLLATZ = """.func (.param .b32 r) collatz (.param .b32 x, .param .b32 n)
{
.reg .b32 %r<12>; .reg .pred %p<4>;
ld.param.u32 %r1, [x]; ld.param.u32 %r2, [n]; setp.ne.u32 %p1, %r1, 1; @%p1 bra more;
mov.u32 %r3, %tid.y; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x; mad.lo.u32 %r3, %r3, %r4, %r5; mov.u32 %r6, %laneid; shl.b32 %r6, %r6, 20;
add.u32 %r2, %r2, %r3; add.u32 %r2, %r2, %r6; st.param.b32 [r], %r2; ret;
more:
and.b32 %r3, %r1, 1; setp.eq.u32 %p2, %r3, 0; shr.u32 %r4, %r1, 1; mad.lo.u32 %r5, %r1, 3, 1; selp.u32 %r4, %r4, %r5, %p2; add.u32 %r2, %r2, 1024;
{ .param .b32 a0; .param .b32 a1; .param .b32 r0; st.param.b32 [a0], %r4; st.param.b32 [a1], %r2; call.uni (r0), collatz, (a0, a1); ld.param.b32 %r2, [r0]; }
st.param.b32 [r], %r2; ret;
}
"""
CALLER = """.visible .entry k(.param .u64 out, .param .u32 first)
{
.reg .b32 %r<12>; .reg .b64 %rd<6>; .reg .pred %p<4>;
mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %ntid.x; mov.u32 %r4, %ntid.y; mad.lo.u32 %r5, %r2, %r3, %r1; mul.lo.u32 %r6, %r3, %r4;
mov.u32 %r7, %ctaid.x; mad.lo.u32 %r7, %r7, %r6, %r5; ld.param.u32 %r8, [first]; add.u32 %r8, %r8, %r7; mov.u32 %r9, 7;
rem.u32 %r10, %r5, 3; setp.eq.u32 %p1, %r10, 1; @%p1 bra out;
again:
{ .param .b32 a0; .param .b32 a1; .param .b32 r0; st.param.b32 [a0], %r8; st.param.b32 [a1], 0; call.uni (r0), collatz, (a0, a1); ld.param.b32 %r11, [r0]; }
mad.lo.u32 %r9, %r9, 31, %r11; add.u32 %r8, %r8, 1000; setp.gt.u32 %p2, %r10, 0; sub.u32 %r10, %r10, 1; @%p2 bra again;
out:
ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r7, 4; add.u64 %rd1, %rd1, %rd2; st.global.u32 [%rd1], %r9; ret;
}
"""


def collatz(x):
    n = 0
    while x != 1:
        x = 3 * x + 1 if x & 1 else x // 2
        n += 1
    return n


@WAYS
@pytest.mark.parametrize("block", [(32, 2), (15, 3), (5, 1)])
def test_recursion(device, mode, block):
    """Depths that differ between lanes, in a loop that lanes leave one by one; some do not call at all."""
    k = load(COLLATZ + CALLER, device, mode)["k"]
    threads = block[0] * block[1]
    blocks = 300 if device != "interp" else 2
    out = np.zeros(blocks * threads, np.uint32)
    k.launch(out, np.uint32(1), grid=blocks, block=(*block, 1))
    widened(k, device, mode)
    want = []
    for n in range(blocks * threads):
        t, value = n % threads, 7
        for turn in range((0 if t % 3 == 1 else t % 3 + 1)):
            value = (value * 31 + collatz(1 + n + 1000 * turn) * 1024 + t + (t % 32 << 20)) % 2**32
        want.append(value)
    assert out.tolist() == want


DEEP = """.func down (.param .b32 n)
{
.reg .b32 %r<4>; .reg .pred %p<2>;
ld.param.u32 %r1, [n]; setp.eq.u32 %p1, %r1, 0; @%p1 bra end;
sub.u32 %r1, %r1, 1; { .param .b32 a0; st.param.b32 [a0], %r1; call.uni down, (a0); }
end: ret;
}
.visible .entry k(.param .u64 out, .param .u32 depth)
{
.reg .b32 %r<6>; .reg .b64 %rd<4>; .reg .pred %p<2>;
mov.u32 %r1, %tid.x; mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ntid.x; mad.lo.u32 %r4, %r4, %r5, %r1;
ld.param.u32 %r2, [depth]; setp.eq.u32 %p1, %r1, 33; selp.u32 %r2, %r2, 3, %p1;
{ .param .b32 a0; st.param.b32 [a0], %r2; call.uni down, (a0); }
ld.param.u64 %rd1, [out]; mul.wide.u32 %rd2, %r4, 4; add.u64 %rd1, %rd1, %rd2; st.global.u32 [%rd1], %r2; ret;
}
"""


@WAYS
def test_depth(device, mode):
    """One lane goes as deep as may be, on threads of the pool too; two levels more, and the launch says so."""
    k = load(DEEP, device, mode)["k"]
    blocks = 200 if device != "interp" else 1
    out = np.zeros(64 * blocks, np.uint32)
    k.launch(out, np.uint32(1990), grid=blocks, block=64)
    widened(k, device, mode)
    assert out.reshape(blocks, 64).tolist() == [[1990 if t == 33 else 3 for t in range(64)]] * blocks
    with pytest.raises(ResourceError, match="nested too deeply"):
        k.launch(out, np.uint32(2010), grid=1, block=64)


# ---- functions that are called by address ---------------------------------------------------------------------------

TABLE = VPRINTF + text_of("say", "say\n") + """.func (.param .b64 r) plus (.param .b64 a, .param .b64 b)
{ .reg .b64 %rd<4>; ld.param.b64 %rd1, [a]; ld.param.b64 %rd2, [b]; add.u64 %rd1, %rd1, %rd2; st.param.b64 [r], %rd1; ret; }
.func (.param .b64 r) times (.param .b64 a, .param .b64 b)
{ .reg .b64 %rd<4>; ld.param.b64 %rd1, [a]; ld.param.b64 %rd2, [b]; mul.lo.u64 %rd1, %rd1, %rd2; st.param.b64 [r], %rd1; ret; }
.func (.param .b64 r) counts (.param .b64 a, .param .b64 b)
{ .reg .b64 %rd<4>; ld.param.b64 %rd1, [a]; atom.global.add.u64 %rd2, [counter], 1; st.param.b64 [r], %rd1; ret; }
.func (.param .b64 r) other (.param .b64 a)
{ .reg .b64 %rd<4>; ld.param.b64 %rd1, [a]; st.param.b64 [r], %rd1; ret; }
.func (.param .b64 r) traps (.param .b64 a, .param .b64 b)
{ trap; }
.func (.param .b64 r) prints (.param .b64 a, .param .b64 b)
{ .reg .b64 %rd<12>;
""" + vprintf("say") + """ld.param.b64 %rd1, [b]; st.param.b64 [r], %rd1; ret; }
.global .u64 counter;
.global .u64 table[6] = {plus, times, counts, prints, traps, other};
.visible .entry k(.param .u64 out, .param .u64 which)
{
.reg .b32 %r<9>; .reg .b64 %rd<12>; .reg .pred %p<3>;
mov.u32 %r1, %tid.x; mul.wide.u32 %rd1, %r1, 4; ld.param.u64 %rd2, [which]; add.u64 %rd2, %rd2, %rd1; ld.global.u32 %r2, [%rd2];
ld.param.u64 %rd3, [out]; mul.wide.u32 %rd4, %r1, 8; add.u64 %rd3, %rd3, %rd4; cvt.u64.u32 %rd5, %r1; mov.u64 %rd7, 1234;
setp.gt.u32 %p1, %r2, 5; @%p1 bra past;
mul.wide.u32 %rd4, %r2, 8; mov.u64 %rd6, table; add.u64 %rd6, %rd6, %rd4; ld.global.u64 %rd6, [%rd6];
{ .param .b64 a0; .param .b64 a1; .param .b64 r0; st.param.b64 [a0], %rd5; st.param.b64 [a1], 5;
proto: .callprototype (.param .b64 _) _ (.param .b64 _, .param .b64 _);
call (r0), %rd6, (a0, a1), proto; ld.param.b64 %rd7, [r0]; }
past:
ld.global.u64 %rd8, [counter]; st.global.u64 [%rd3], %rd7; ret;
}
"""


@WAYS
def test_by_address(device, mode, capsys):
    """Each lane its own target, and some none; functions count and print; a trap in one, or a function of another kind, ends the launch."""
    mod = load(TABLE, device, mode)
    k = mod["k"]
    which = np.random.default_rng(2).choice(np.array([0, 1, 2, 3, 9], np.uint32), 77)
    out = np.zeros(77, np.uint64)
    k.launch(out, which, grid=1, block=77)
    widened(k, device, mode)
    want = [{0: t + 5, 1: t * 5, 2: t, 3: 5, 9: 1234}[int(w)] for t, w in enumerate(which)]
    assert out.tolist() == want and mod.symbols["counter"][0] == (which == 2).sum()
    assert capsys.readouterr().out == "say\n" * int((which == 3).sum())
    which[:] = 9
    which[50] = 4
    with pytest.raises(DeviceError, match="trap"):
        k.launch(out, which, grid=1, block=77)
    which[50] = 5
    with pytest.raises(DeviceError):
        k.launch(out, which, grid=1, block=77)


def test_functions_that_may_wait_go_lane_by_lane():
    """A function takes a lock which other lanes hold: that is for lanes that take turns."""
    spin = TABLE.replace("atom.global.add.u64 %rd2, [counter], 1;", ".reg .pred %p<2>; again: atom.global.cas.b64 %rd2, [counter], 0, 1; "
                         "setp.ne.u64 %p1, %rd2, 0; @%p1 bra again;")  # fmt: skip
    assert load(spin)["k"].stats()["mode"].startswith("dispatch: calls of functions that wait")
    assert load(TABLE)["k"].stats()["mode"] == "widened"


# deep(p, n) calls itself three times, with a variable of its own each time, and looks at its first caller's variable by `cvta.to.local`
POINTER = """.func (.param .b32 r) deep (.param .b64 p, .param .b32 n)
{
.local .align 8 .b8 mine[16];
.reg .b32 %r<12>; .reg .b64 %rd<8>; .reg .pred %p<6>;
ld.param.u64 %rd1, [p]; ld.param.u32 %r1, [n]; mov.u64 %rd3, mine; st.local.u32 [%rd3+4], %r1; setp.eq.u32 %p1, %r1, 0; @%p1 bra last;
sub.u32 %r2, %r1, 1;
{ .param .b64 a0; .param .b32 a1; .param .b32 r0; st.param.b64 [a0], %rd1; st.param.b32 [a1], %r2; call.uni (r0), deep, (a0, a1); ld.param.b32 %r3, [r0]; }
ld.local.u32 %r4, [%rd3+4]; shl.b32 %r4, %r4, 20; add.u32 %r3, %r3, %r4; st.param.b32 [r], %r3; ret;
last:
isspacep.local %p2, %rd1; selp.u32 %r5, 1, 0, %p2; isspacep.global %p3, %rd1; selp.u32 %r6, 2, 0, %p3; isspacep.shared %p4, %rd1; selp.u32 %r7, 4, 0, %p4;
cvta.local.u64 %rd4, %rd3; isspacep.local %p5, %rd4; selp.u32 %r8, 8, 0, %p5; add.u32 %r5, %r5, %r6; add.u32 %r5, %r5, %r7; add.u32 %r5, %r5, %r8;
cvta.to.local.u64 %rd2, %rd1; ld.local.u32 %r9, [%rd2+8]; shl.b32 %r9, %r9, 8; add.u32 %r5, %r5, %r9; st.local.u32 [%rd2], 77; st.param.b32 [r], %r5; ret;
}
.visible .entry k(.param .u64 out)
{
.local .align 8 .b8 mem[16]; .shared .align 8 .b8 tile[64];
.reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<3>;
ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.u64 %rd1, %rd1, %rd2; mov.u64 %rd3, mem; st.local.u32 [%rd3+8], %r1;
mov.u32 %r2, tile; st.shared.u32 [%r2], %r1; cvta.local.u64 %rd4, %rd3;
{ .param .b64 a0; .param .b32 a1; .param .b32 r0; st.param.b64 [a0], %rd4; st.param.b32 [a1], 2; call.uni (r0), deep, (a0, a1); ld.param.b32 %r3, [r0]; }
ld.local.u32 %r4, [%rd3]; setp.eq.u32 %p1, %r4, 77; selp.u32 %r5, 16, 0, %p1; add.u32 %r3, %r3, %r5; st.global.u32 [%rd1], %r3; ret;
}
"""


@WAYS
def test_a_function_knows_the_memory_of_its_callers(device, mode):
    text = POINTER.replace("cvta.to.local.u64 %rd2, %rd1; ld.local.u32 %r9, [%rd2+8];", "ld.u32 %r9, [%rd1+8];").replace("st.local.u32 [%rd2], 77", "st.u32 [%rd1], 77")
    k, out = load(text, device, mode)["k"], np.zeros(45, np.uint32)
    k.launch(out, grid=1, block=45)
    assert out.tolist() == [1 + 8 + 16 + (t << 8) + (3 << 20) for t in range(45)]


@WAYS
def test_a_local_address_of_what_is_too_far_is_an_error(device, mode):
    k, out = load(POINTER, device, mode)["k"], np.zeros(45, np.uint32)
    with pytest.raises(PtxjitError, match="out of bounds" if device == "interp" else "cvta.to.local"):
        k.launch(out, grid=1, block=45)
    assert not out.any()
