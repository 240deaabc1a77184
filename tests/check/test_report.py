"""What `check` gives back: findings with their places, the printed report, JSON, the arguments."""
from __future__ import annotations

import json

import numpy as np
import pytest

import ptxjit as pj
from ptxjit.ir.errors import PtxjitError, ReadError, UserError
from tests.check.test_planted import HERE

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
BODY = "{\n.reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<9>;\nld.param.u64 %rd1, [x]; mov.u32 %r1, %tid.x; mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd1, %rd2;\n"


def ptx(body, params=".param .u64 x"):
    return HEAD + f".visible .entry k({params})\n" + BODY + body + "\nret;\n}\n"


def test_a_finding_says_where_and_who():
    report = pj.check(HERE / "race.O3.ptx", "neighbour_bad", grid=1, block=64, args=[np.zeros(64, np.int32)])
    a, b = sorted((f for f in report.findings if f.kind == "race"), key=lambda f: f.line)
    assert a.other.line == b.line and b.other.line == a.line and a.other.kind == "race"
    assert (a.source, b.source) == ("race.cu:9", "race.cu:10") and a.line < b.line
    assert a.block == (0, 0, 0) and a.thread != a.other.thread and a.address is not None
    text = str(report)
    assert "race.cu:9 | tile[t] = t * t;" in text and "st.shared.u32" in text and "nothing orders them" in text
    got = json.loads(report.to_json())
    assert [f["kind"] for f in got["findings"]] == ["race", "race"] and got["findings"][0]["other"]["line"] == report.findings[0].other.line
    assert not report and not report.ok and report.error is None


def test_inlined_functions_point_at_the_call():
    report = pj.check(HERE / "mask.O3.ptx", "half_shuffle_bad", grid=1, block=32, args=[np.zeros(32, np.int32)])
    [f] = report.findings
    assert f.source == "mask.cu:8" and f.stack[0].startswith("sm_30_intrinsics.hpp:") and f.stack[-1].startswith("mask.cu:8")
    assert "inlined: sm_30_intrinsics" in str(report)


def test_calls_point_at_the_call_too():
    report = pj.check(HERE / "more.O0.ptx", "called_bad", grid=1, block=32, args=[np.zeros(32, np.int32)])
    [f] = report.findings
    assert f.source.startswith("more.cu:") and len(f.stack) == 2


def test_arguments_are_copied_back():
    x = np.zeros((4, 8), np.int32)[::2, 1:]
    report = pj.check(ptx("st.global.u32 [%rd2], %r1;"), "k", grid=1, block=7, args=[x])
    assert report and str(report) == "k: nothing found" and x[0].tolist() == list(range(7)) and not x[1].any()


def test_a_store_out_of_bounds_is_dropped_and_a_load_gives_zero():
    x = np.full(4, 7, np.int32)
    report = pj.check(ptx("ld.global.u32 %r2, [%rd2+8]; add.u32 %r2, %r2, 1; st.global.u32 [%rd2], %r2;"), "k", grid=1, block=1, args=[x[:2]])
    assert x.tolist() == [1, 7, 7, 7] and [f.kind for f in report.findings] == ["out-of-bounds"]
    assert "byte 8 of x (8 bytes)" in report.findings[0].message


def test_arguments_that_share_memory():
    x = np.arange(8, dtype=np.int32)
    body = "ld.param.u64 %rd3, [y]; ld.global.u32 %r2, [%rd3+4]; st.global.u32 [%rd1], %r2;"
    assert pj.check(ptx(body, ".param .u64 x, .param .u64 y"), "k", grid=1, block=1, args=[x[:4], x[2:]])
    assert x[0] == 3


def test_read_only_arrays_are_read():
    x = np.arange(4, dtype=np.int32)
    x.flags.writeable = False
    assert pj.check(ptx("ld.global.u32 %r2, [%rd2];"), "k", grid=1, block=4, args=[x])


def test_a_trap_ends_the_run_but_does_not_raise():
    report = pj.check(ptx("trap;"), "k", grid=1, block=4, args=[np.zeros(4, np.int32)])
    assert not report and report.findings == [] and "trap" in report.error and "ended early" in str(report)


def test_the_same_fault_is_told_once():
    report = pj.check(ptx("st.global.u32 [%rd2+64], 1; st.global.u32 [%rd2+64], 1;"), "k", grid=1, block=16, args=[np.zeros(4, np.int32)])
    assert [(f.kind, f.line) for f in report.findings] == [("out-of-bounds", 8)]


def test_wrong_calls_raise():
    with pytest.raises(UserError, match="takes 1 arguments, got 0"):
        pj.check(ptx(""), "k", grid=1, block=1)
    with pytest.raises(UserError, match="no entry 'q'"):
        pj.check(ptx(""), "q", grid=1, block=1)
    with pytest.raises(ReadError):
        pj.check(HEAD + ".visible .entry k(", "k", grid=1, block=1)
    with pytest.raises(PtxjitError):
        pj.check(ptx(""), "k", grid=1, block=4000, args=[0])


def test_a_module_can_be_checked_again():
    mod = pj.load_ptx(ptx("st.global.u32 [%rd2], 1;"), device="interp")
    for _ in range(2):
        assert pj.check(mod, "k", grid=1, block=4, args=[np.zeros(4, np.int32)])


def test_same_value_writes():
    """One instruction of one warp may write one value to one place; warps may not."""
    text = ptx("st.global.u32 [%rd1], 1;")
    assert pj.check(text, "k", grid=1, block=32, args=[np.zeros(4, np.int32)])
    assert [f.kind for f in pj.check(text, "k", grid=1, block=64, args=[np.zeros(4, np.int32)]).findings] == ["race"]
    different = ptx("st.global.u32 [%rd1], %r1;")
    assert [f.kind for f in pj.check(different, "k", grid=1, block=32, args=[np.zeros(4, np.int32)]).findings] == ["race"]


@pytest.mark.parametrize("words, races", [("fence.acq_rel.gpu;", 0), ("fence.acq_rel.cta;", 2), ("", 2)])
def test_scopes_of_a_hand_over(words, races):
    """Block 0 writes and raises a flag; block 1 waits for it and reads."""
    body = f"""mov.u32 %r2, %ctaid.x; setp.ne.u32 %p1, %r2, 0; @%p1 bra taker;
        st.global.u32 [%rd1], 5; {words} st.relaxed.gpu.global.u32 [%rd1+4], 1; ret;
        taker: ld.relaxed.gpu.global.u32 %r3, [%rd1+4]; setp.eq.u32 %p2, %r3, 0; @%p2 bra taker; fence.acq_rel.gpu;
        ld.global.u32 %r4,
        [%rd1]; st.global.u32 [%rd1+8], %r4;"""
    x = np.zeros(4, np.int32)
    report = pj.check(ptx(body), "k", grid=2, block=1, args=[x])
    assert len(report.findings) == races and x.tolist() == [5, 1, 5, 0], report


def test_progress_is_told_in_blocks():
    x, y = np.ones(1 << 17, "f4"), np.ones(1 << 17, "f4")
    seen = []
    report = pj.check(HERE.parents[2] / "examples" / "kernels.ptx", "saxpy", grid=1024, block=128, args=[np.float32(2), x, y, np.int32(x.size)], progress=lambda done, total: seen.append((done, total)))
    assert report
    assert len(seen) > 1 and [d for d, _ in seen] == sorted({d for d, _ in seen}) and {t for _, t in seen} == {1024} and seen[-1][0] == 1024


def test_a_terminal_sees_a_bar(monkeypatch, capsys):
    import io
    import sys

    from ptxjit.cli.ptx import _bar

    with _bar("checking", "blocks") as bar:
        assert bar is None  # nobody looks

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with _bar("checking", "blocks") as bar:
        bar(3, 8)
    assert "3 of 8 blocks" in sys.stderr.getvalue()
