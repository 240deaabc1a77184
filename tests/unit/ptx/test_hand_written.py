"""What people and small compilers write and nvcc does not: whole vector registers, a register plus a constant, variables of functions in global memory,
addresses of 32 bits, registers passed to functions that are called by address or call themselves."""
from __future__ import annotations

import mmap

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.targets.cpu.load import LINUX_X86

MODES = pytest.mark.parametrize("mode", (["auto", "dispatch"] if LINUX_X86 else []) + ["interp"])


def module(text, mode, head=".version 7.8\n.target sm_80\n.address_size 64\n"):
    mod = pj.load_ptx(head + text, device="interp" if mode == "interp" else "cpu")
    if mode != "interp":
        mod.mode = mode
    return mod


VECTORS = """
.func (.reg .v2 .u32 swapped) swap(.reg .v2 .u32 pair) { mov.u32 swapped.x, pair.y; mov.u32 swapped.y, pair.x; ret; }
.visible .entry k(.param .u64 p) {
    .reg .u64 a, both; .reg .v2 .u32 v, w; .reg .v4 .u16 h; .reg .v4 .f32 f, g; .reg .b32 lo, hi; .reg .u16 s, t; .reg .pred q;
    ld.param.u64 a, [p];
    ld.global.v2.u32 v, [a]; call (w), swap, (v); st.global.v2.u32 [a+8], w;
    mov.b64 both, w; st.global.u64 [a+16], both;
    mov.b64 v, both; st.global.u32 [a+24], v.y;
    ld.global.v4.u16 h, [a]; mov.v4.u16 {s, t, s, t}, h; st.global.u16 [a+28], s; st.global.u16 [a+30], t;
    ld.global.v4.f32 f, [a+32]; mov.v4.f32 g, f; mov.v4.f32 f, {g.w, g.z, g.y, g.x}; st.global.v4.f32 [a+48], f;
    setp.eq.u32 q, v.x, 0; @q mov.v2.u32 v, {1, 2}; @!q mov.v2.u32 v, {v.y, v.x}; st.global.v2.u32 [a+64], v;
    ret;
}"""


@MODES
def test_vector_registers_whole_and_by_parts(mode):
    x = np.zeros(18, np.uint32)
    x[:2] = 0x00020001, 0x00040003
    x[8:12] = np.arange(1, 5, dtype=np.float32).view(np.uint32)
    module(VECTORS, mode)["k"].launch(x, grid=1, block=1)
    assert x[2:8].tolist() == [0x00040003, 0x00020001, 0x00040003, 0x00020001, 0x00020001, 0x00040003]
    assert x[12:16].view(np.float32).tolist() == [4.0, 3.0, 2.0, 1.0] and x[16:].tolist() == [0x00020001, 0x00040003]


SUMS = """
.visible .entry k(.param .u64 p) {
    .reg .u64 a; .reg .u32 r, s; .reg .u16 h; .reg .pred q;
    ld.param.u64 a, [p]; ld.global.u32 r, [a];
    add.u32 s, r+1, r+-3; st.global.u32 [a+4], s + 2;
    mov.u16 h, 0xffff; cvt.u32.u16 s, h+2; st.global.u32 [a+8], s;
    setp.eq.u32 q, r+5, 15; selp.u32 s, r+0x10, 0, q; st.global.u32 [a+12], s;
    ret;
}"""


@MODES
def test_a_register_plus_a_constant(mode):
    x = np.array([10, 0, 0, 0], np.uint32)
    module(SUMS, mode)["k"].launch(x, grid=1, block=1)
    assert x.tolist() == [10, 20, 1, 26]


def test_a_register_plus_a_constant_is_a_source_and_an_integer():
    for wrong in ("mov.u32 r+1, r;", "mov.f32 f, f+1;", "ld.global.u32 r, a+4;"):
        mod = pj.load_ptx(".version 7.8\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 p) { .reg .u64 a; .reg .u32 r; .reg .f32 f; "
                          f"ld.param.u64 a, [p]; {wrong} ret; }}\n")  # fmt: skip
        with pytest.raises((pj.errors.ReadError, pj.errors.UnsupportedError), match="mov|ld"):
            mod["k"].compile()


OWN = """
.global .u32 t[2] = {100, 200};
.shared .u32 s[1];
.func (.reg .u32 out) next(.reg .u32 n) {
    .global .u32 t[3] = {7, 8, 9}; .reg .u64 a, b; .reg .u32 r;
    mov.u64 a, t; mul.wide.u32 b, n, 4; add.u64 a, a, b; ld.global.u32 out, [a]; add.u32 r, out, 1; st.global.u32 [a], r; ret;
}
.visible .entry k(.param .u64 p) {
    .const .u32 t[2] = {5, 6}; .reg .u64 a, b; .reg .u32 r, u, v; .shared .align 4 .u32 s[40];
    ld.param.u64 a, [p];
    call (r), next, (1); call (u), next, (1); st.global.v2.u32 [a], {r, u};
    ld.const.u32 r, [t+4]; st.global.u32 [a+8], r;
    { .global .u64 t = k1; .reg .u64 c, d; mov.u64 d, k1; ld.global.u64 c, [t]; sub.u64 c, c, d; st.global.u32 [a+12], c; }
    st.shared.u32 [s+156], 3; ld.shared.u32 r, [s+156]; st.global.u32 [a+16], r;
    ret;
}
.global .u32 k1;
.visible .entry other(.param .u64 p) {
    .reg .u64 a; .reg .u32 r; .reg .b32 w; ld.param.u64 a, [p]; ld.global.u32 r, [t+4]; st.global.u32 [a], r; st.shared.u32 [s], r; ret;
}"""


@MODES
def test_variables_of_functions_in_global_memory(mode):
    """They keep what is written to them, hide those of the module, and are there for each launch."""
    mod = module(OWN.replace(".global .u32 k1;\n", "").replace(".func (", ".global .u32 k1;\n.func ("), mode)
    x = np.zeros(5, np.uint32)
    mod["k"].launch(x, grid=1, block=1)
    assert x.tolist() == [8, 9, 6, 0, 3]
    mod["k"].launch(x, grid=1, block=1)
    assert x[:2].tolist() == [10, 11]
    mod["other"].launch(x, grid=1, block=1)
    assert x[0] == 200 and mod.symbols["t"].tolist() == [100, 200]
    assert sorted(n.partition("@")[0] for n in mod.symbols) == ["k1", "t", "t", "t", "t"] and all(len(mod.symbols[n]) for n in mod.symbols)


NARROW = """
.global .u32 t[3] = {4, 5, 6};
.visible .entry k(.param .u32 p) {
    .reg .u32 a, b, r; ld.param.u32 a, [p]; mov.u32 b, t; ld.global.u32 r, [b+4]; st.global.u32 [a], r; st.global.u32 [b], 9; ret;
}"""


@pytest.mark.skipif(not LINUX_X86, reason="memory below 4 GiB is asked of x86-64 Linux: run it on such a machine")
@MODES
def test_addresses_of_32_bits(mode):
    mod = module(NARROW, mode, ".version 6.0\n.target sm_50\n.address_size 32\n")
    x = np.frombuffer(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40), np.uint32)
    mod["k"].launch(x, grid=1, block=1)
    assert x[0] == 5 and mod.symbols["t"].tolist() == [9, 5, 6]


CALLS = """
.func (.reg .u32 out, .reg .pred odd) fact(.reg .u32 n, .reg .pred one) {
    .reg .u32 m; .reg .pred small, any;
    setp.le.u32 small, n, 1; mov.u32 out, 1; mov.pred odd, one; @small ret;
    sub.u32 m, n, 1; not.pred any, one; call (out, odd), fact, (m, any); mul.lo.u32 out, out, n; ret;
}
.func (.reg .f32 out) twice(.reg .f32 x) { add.f32 out, x, x; ret; }
.func (.reg .f32 out) third(.reg .f32 x) { mul.f32 out, x, 0f3eaaaaab; ret; }
.visible .entry k(.param .u64 p, .param .u64 q) {
    .reg .u64 a, b, f, at; .reg .u32 r, i, t; .reg .pred odd, yes; .reg .f32 x;
    ld.param.u64 a, [p]; ld.param.u64 b, [q]; mov.u32 i, %tid.x; mul.wide.u32 at, i, 4; add.u64 a, a, at; add.u64 b, b, at;
    setp.eq.u32 yes, 0, 0; call (r, odd), fact, (i, yes); @odd add.u32 r, r, 1000000; st.global.u32 [a], r;
    and.b32 t, i, 1; setp.eq.u32 yes, t, 1; mov.u64 f, twice; @yes mov.u64 f, third;
    cvt.rn.f32.u32 x, i;
proto: .callprototype (.reg .f32 _) _ (.reg .f32 _);
    call (x), f, (x), proto;
    st.global.f32 [b], x;
    ret;
}"""


@MODES
def test_registers_go_to_functions_called_by_address_and_by_themselves(mode):
    out, half = np.zeros(10, np.uint32), np.zeros(10, np.float32)
    module(CALLS, mode)["k"].launch(out, half, grid=1, block=10)
    want, facts = [], [1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880]
    for n in range(10):
        want.append(facts[n] + (1000000 if max(n - 1, 0) % 2 == 0 else 0))  # the flag is turned at each step
    assert out.tolist() == want
    x = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(half, np.where(np.arange(10) % 2 == 1, x * np.float32(1 / 3), x + x))


RESERVED = """
.visible .entry k(.param .u64 p) {
    .shared .align 4 .b32 mine[8]; .extern .shared .align 4 .b32 more[];
    .reg .b64 a, g; .reg .b32 t, at, i, own, lo, hi, cap, o, e, r;
    ld.param.u64 a, [p]; mov.u32 t, %tid.x; shl.b32 at, t, 2; mov.u32 own, mine; add.u32 own, own, at;
    mov.u32 o, %reserved_smem_offset_1; mov.u32 lo, %reserved_smem_offset_begin; mov.u32 hi, %reserved_smem_offset_end; mov.u32 cap, %reserved_smem_offset_cap;
    add.u32 i, o, at; cvt.u64.u32 g, i; cvta.shared.u64 g, g;
    add.u32 r, t, 100; st.u32 [g], r;                        // 8 words of the reserved region …
    mov.u32 e, more; add.u32 e, e, at; st.shared.u32 [e], 7; // … 8 of the dynamic part …
    st.shared.u32 [own], t;                                  // … and 8 of a variable lie apart
    bar.sync 0;
    ld.u32 r, [g]; ld.shared.u32 i, [own]; ld.shared.u32 e, [e];
    sub.u32 hi, hi, lo; sub.u32 hi, hi, cap; sub.u32 o, o, lo; { .reg .pred q; setp.lt.u32 q, o, cap; selp.u32 o, 1, 0, q; }
    mul.wide.u32 g, t, 20; add.u64 a, a, g;
    st.global.u32 [a], r; st.global.u32 [a+4], i; st.global.u32 [a+8], e; st.global.u32 [a+12], hi; st.global.u32 [a+16], o;
    ret;
}"""


@MODES
def test_the_reserved_part_of_shared_memory_is_apart(mode):
    """Cooperative groups keep barriers there; it must not be the kernel's own memory."""
    out = np.zeros((8, 5), np.uint32)
    module(RESERVED, mode)["k"].launch(out, grid=1, block=8, shared=64)
    assert out.tolist() == [[100 + n, n, 7, 0, 1] for n in range(8)]


GRID = """
.visible .entry k(.param .u64 p) {
    .reg .b64 a, w, hi, lo, at; .reg .b32 e, n, b, add, old, now, t, v, sum; .reg .pred q, first;
    ld.param.u64 a, [p]; mov.u32 e, %envreg2; cvt.u64.u32 lo, e; mov.u32 e, %envreg1; cvt.u64.u32 hi, e; bfi.b64 w, hi, lo, 32, 32;
    mov.u32 b, %ctaid.x; mov.u32 n, %nctaid.x; mov.u32 t, %tid.x;
    setp.eq.u64 q, w, 0; @q trap;
    setp.eq.u32 first, t, 0; mul.wide.u32 at, b, 4; add.u64 at, a, at; add.u32 v, b, 1; @first st.global.u32 [at], v;
    bar.sync 0; @!first bra MET;
    setp.eq.u32 q, b, 0; sub.u32 add, 0x80000001, n; @!q mov.u32 add, 1;
    fence.acq_rel.gpu; atom.add.release.gpu.u32 old, [w+4], add;
SPIN: ld.acquire.gpu.u32 now, [w+4]; xor.b32 now, now, old; setp.ge.s32 q, now, 0; @q bra SPIN;
MET: bar.sync 0;
    mov.u32 sum, 0; mov.u32 v, 0;
L:  mul.wide.u32 at, v, 4; add.u64 at, a, at; ld.volatile.global.u32 now, [at]; add.u32 sum, sum, now; add.u32 v, v, 1; setp.lt.u32 q, v, n; @q bra L;
    mul.wide.u32 at, b, 4; mul.wide.u32 hi, n, 4; add.u64 at, at, hi; add.u64 at, a, at; @first st.global.u32 [at], sum;
    ret;
}"""


@MODES
def test_a_grid_finds_its_barrier_by_environment_registers(mode):
    """What nvcc makes of grid.sync(): the words of a cooperative launch, fresh for each; null where the launch is not cooperative."""
    mod = module(GRID, mode)
    for _ in range(2):
        out = np.zeros(12, np.uint32)
        mod["k"].launch(out, grid=6, block=40, cooperative=True)
        assert out.tolist() == [1, 2, 3, 4, 5, 6] + [21] * 6
    with pytest.raises(pj.errors.DeviceError, match="trap"):
        mod["k"].launch(out, grid=6, block=40)
    assert not pj.check(mod if mode == "interp" else mod.tree.text, "k", grid=2, block=32, args=[np.zeros(4, np.uint32)], cooperative=True).error
