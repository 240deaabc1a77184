"""The words of `ptxjit check` and `ptxjit run`, and the two commands."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ptxjit.cli import main
from ptxjit.cli.launch_args import parse_arg, parse_args, parse_outs, parse_three
from ptxjit.cli.load import UsageError

PTX = """.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 x, .param .f32 a, .param .u32 n)
{
  .reg .b32 %r<4>; .reg .b64 %rd<4>; .reg .f32 %f<4>; .reg .pred %p;
  ld.param.u64 %rd1, [x]; ld.param.f32 %f1, [a]; ld.param.u32 %r1, [n];
  mov.u32 %r2, %tid.x;
  setp.ge.u32 %p, %r2, %r1;
  @%p bra done;
  mad.wide.u32 %rd2, %r2, 4, %rd1;
  ld.global.f32 %f2, [%rd2];
  mul.f32 %f2, %f2, %f1;
  st.global.f32 [%rd2], %f2;
done:
  ret;
}
"""


@pytest.fixture
def scale(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.ptx").write_text(PTX)
    return "k.ptx"


def test_arguments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    assert np.array_equal(parse_arg("f32[2,3]=@a.npy"), np.arange(6, dtype=np.float32).reshape(2, 3))
    for text, want in [("i32=1000", np.int32(1000)), ("u64=0x10", np.uint64(16)), ("f32=0.5", np.float32(0.5)), ("i8=-128", np.int8(-128)), ("u8=255", np.uint8(255))]:
        got = parse_arg(text)
        assert got == want and got.dtype == want.dtype, text
    assert parse_arg("i32[4]=arange").tolist() == [0, 1, 2, 3]
    assert parse_arg("f16[2,2]=ones").tolist() == [[1, 1], [1, 1]]
    assert parse_arg("u8[3]=zeros").dtype == np.uint8
    one, two = parse_args(["f32[8]=random", "f32[8]=random"])
    assert not np.array_equal(one, two) and np.array_equal(one, parse_args(["f32[8]=random"])[0])
    assert parse_three("4", "grid") == (4,) and parse_three("4,1,2", "grid") == (4, 1, 2)


@pytest.mark.parametrize("text", ["f32[4]", "f32[4]=twos", "q8=1", "i32=x", "i8=128", "u8=-1", "f32[4]=@none.npy", "i1=1", "f32[a]=ones", ""])
def test_wrong_arguments(text):
    with pytest.raises(UsageError, match="--arg"):
        parse_arg(text)


@pytest.mark.parametrize("text", ["x", "1,2,3,4", "-1", ""])
def test_wrong_grids(text):
    with pytest.raises(UsageError, match="--grid"):
        parse_three(text, "grid")


def test_wrong_outs():
    for text in ("0", "1=x.npy", "9=x.npy", "a=x"):
        with pytest.raises(UsageError, match="--out"):
            parse_outs([text], [np.zeros(1), 3])


@pytest.mark.parametrize("device", ["cpu", "interp"])
def test_run(scale, capsys, device):
    argv = ["run", scale, "--block", "8", "--arg", "f32[8]=arange", "--arg", "f32=2", "--arg", "i32=6", "--device", device]
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("0: [ 0.  2.  4.  6.  8. 10.  6.  7.]")
    assert main([*argv, "--out", "0=out.npy"]) == 0
    assert np.load("out.npy").tolist() == [0, 2, 4, 6, 8, 10, 6, 7] and not capsys.readouterr().out


def test_check(scale, capsys):
    argv = ["check", scale, "--entry", "scale", "--block", "8", "--arg", "f32[8]=arange", "--arg", "f32=2", "--arg"]
    assert main([*argv, "i32=8"]) == 0 and capsys.readouterr().out == "scale: nothing found\n"
    assert main([*argv, "i32=6", "--grid", "2"]) == 1
    assert "race: " in capsys.readouterr().out
    assert main([*argv[:7], "f32[4]=ones", *argv[8:], "i32=8", "--json"]) == 1
    got = json.loads(capsys.readouterr().out)
    assert not got["ok"] and {(f["kind"], f["line"]) for f in got["findings"]} == {("out-of-bounds", 12), ("out-of-bounds", 14)}
    assert main([*argv[:4], "--block", "8"]) == 1 and "takes 3 arguments" in capsys.readouterr().err
    assert main(["check", scale, "--entry", "other"]) == 2 and "k.ptx has scale" in capsys.readouterr().err


def test_show_and_doctor_of_ptx(tmp_path, capsys):
    file = str(Path(__file__).resolve().parents[2] / "corpus" / "ptx" / "blocks.sm_80.O3.ptx")
    assert main(["show", f"{file}:histogram", "--stage", "kernel"]) == 0
    assert "kernel @histogram" in capsys.readouterr().out
    assert main(["show", f"{file}:histogram", "--stats"]) == 0 and "widened" in capsys.readouterr().out
    assert main(["doctor", file.replace("blocks", "calls")]) == 0
    out = capsys.readouterr().out
    assert "recursion" in out and "are widened, with " in out and "% of the instructions" in out
    assert "% vector" in out and "% scalar" in out and "for blocks in rows of 32" in out
    apart = tmp_path / "apart.ptx"
    apart.write_text(".version 7.8\n.target sm_80\n.address_size 64\n.visible .entry apart() {\n.reg .b32 %r; .reg .pred %p;\nmov.u32 %r, %tid.x; "
                     "setp.gt.u32 %p, %r, 40; @%p bra b;\nbar.sync 0; bra c;\nb: bar.sync 1;\nc: ret;\n}\n")
    assert main(["doctor", str(apart)]) == 0
    assert "dispatch: named_barrier in divergent code" in capsys.readouterr().out


def test_show_ptx_on_several_targets(capsys):
    import json

    file = str(Path(__file__).resolve().parents[2] / "corpus" / "ptx" / "blocks.sm_80.O3.ptx")
    wanted = ["cpu:host", "ptx:sm_90", "spirv", "amdgpu:gfx1100", "amdgpu:gfx942"]
    options = [w for t in wanted for w in ("-t", t)]
    assert main(["show", f"{file}:block_reduce", *options, "--stats", "--json"]) == 0
    found = {e["target"]: e for e in json.loads(capsys.readouterr().out)}
    assert list(found) == wanted and all(e["kernel"] == "block_reduce" for e in found.values())
    assert "warps of 32" in found["amdgpu:gfx942"]["missing"] and all(found[t]["instructions"] > 10 for t in wanted[:4])
    assert main(["show", f"{file}:block_reduce", "-t", "amdgpu:gfx942", "--stats"]) == 1 and "warps of 32" in capsys.readouterr().err
    assert main(["show", f"{file}:histogram", "-t", "ptx:sm_90", "-t", "spirv", "-t", "cpu:aarch64"]) == 0
    out = capsys.readouterr().out
    at = [out.index(h) for h in ("// ──── ptx:sm_90, ptx", "; ──── spirv, spirv", "// ──── cpu:aarch64, asm")]
    assert at == sorted(at) and at[0] == 0
    assert main(["show", f"{file}:histogram", "f32[4]"]) == 2 and "only used with --html" in capsys.readouterr().err
    assert main(["show", f"{file}:none"]) == 2 and "it has" in capsys.readouterr().err
