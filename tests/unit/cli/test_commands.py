"""The commands' words and what they print, in this process (exit statuses of real processes: test_contract.py)."""
from __future__ import annotations

import textwrap

import pytest

from ptxjit.cli import main
from ptxjit.cli.app import STAGES, TARGETS


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prog.py").write_text(textwrap.dedent("""
        import numpy as np
        import ptxjit as pj
        import helper

        def scale(x):
            return helper.twice(x) + 1

        @pj.jit
        def decorated(x):
            return np.exp(x)

        class Holder:
            @staticmethod
            def method(x):
                return x - 1

        def broken(x):
            return x + np.ones(3)

        number = 3
        """))
    (tmp_path / "helper.py").write_text("def twice(x):\n    return x * 2\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    return tmp_path


def test_show_every_stage(program, capsys, ptxas, nvdisasm):
    for stage in ("graph", "program", "tile", "kernel", "ptx", "sass", "final"):
        assert main(["show", "prog.py:scale", "f32[64]", "--target", "ptx:sm_90", "--stage", stage]) == 0
        assert capsys.readouterr().out.strip(), stage
    for stage in ("ll", "asm"):
        assert main(["show", "prog.py:decorated", "f32[64]", "--target", "cpu:x86-64-v3", "--stage", stage]) == 0
        assert "decorated" in capsys.readouterr().out


def test_show_is_what_lower_gives(program, capsys):
    from ptxjit.cli.load import load_function

    main(["show", "prog.py:Holder.method", "f64[3]", "--target", "ptx:sm_75"])
    assert capsys.readouterr().out == load_function("prog.py:Holder.method").lower("f64[3]", target="ptx:sm_75").as_text("ptx")


def test_several_targets_and_a_file(program, capsys):
    assert main(["show", "prog.py:scale", "f32[8]", "--target", "ptx:sm_75", "--target", "ptx:sm_90", "-o", "out.ptx"]) == 0
    text = (program / "out.ptx").read_text()
    assert capsys.readouterr().out == "" and ".target sm_75" in text and ".target sm_90" in text


def test_one_target_is_verbatim_and_several_have_headers_in_their_own_comments(program, capsys):
    from ptxjit.cli.load import load_function

    f = load_function("prog.py:scale")
    main(["show", "prog.py:scale", "f32[8]", "-t", "cpu:x86-64-v3"])
    assert capsys.readouterr().out == f.lower("f32[8]", target="cpu:x86-64-v3").as_text()
    wanted = ["cpu:x86-64-v3", "cpu:aarch64", "ptx:sm_90", "spirv"]
    assert main(["show", "prog.py:scale", "f32[8]", *(w for t in wanted for w in ("-t", t))]) == 0
    out = capsys.readouterr().out
    heads = ["# ──── cpu:x86-64-v3, asm", "// ──── cpu:aarch64, asm", "// ──── ptx:sm_90, ptx", "; ──── spirv, spirv"]
    at = [out.index(h) for h in heads]
    assert at == sorted(at) and at[0] == 0
    for t, head, after in zip(wanted, heads, [*heads[1:], None]):
        part = out[out.index(head) :].partition("\n")[2]
        part = part[: part.index(after)] if after else part
        assert part.strip() == f.lower("f32[8]", target=t).as_text().strip(), t
    assert main(["show", "prog.py:scale", "f32[8]", "-t", "cpu:x86-64-v3", "-t", "ptx:sm_90", "-s", "kernel"]) == 0
    assert capsys.readouterr().out.count("kernel @scale") == 2


def test_columns_where_they_fit():
    from ptxjit.inspect.columns import beside

    texts = [("a", "x", "one\n\ttwo\n"), ("bb", "y", "three\n")]
    assert beside(texts, 80) == (
        "a, x        │ bb, y\n"
        "─────────── │ ─────\n"
        "one         │ three\n"
        "        two │\n")  # fmt: skip
    assert beside(texts, len("        two │ three") - 1) is None and beside(texts[:1], 80) is None


def test_stats_side_by_side_and_as_json(program, capsys, ptxas):
    import json

    argv = ["show", "prog.py:scale", "f32[4096]", "-t", "ptx:sm_90", "-t", "cpu:x86-64-v3", "-t", "spirv", "--stats"]
    assert main(argv) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kernel scale" and lines[1].split() == ["ptx:sm_90", "cpu:x86-64-v3", "spirv"]
    rows = {line[:14].strip(): line[14:].split("  ") for line in lines[2:]}
    for key in ("registers", "spill stores", "shared bytes", "bytes read", "bytes written", "flops", "intensity", "occupancy", "limit", "instructions", "memory", "fp", "sync"):
        assert key in rows, key
    assert len({len(line) for line in lines[1:3]}) == 1  # aligned
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(e["target"], e["kernel"]) for e in found] == [("ptx:sm_90", "scale"), ("cpu:x86-64-v3", "scale"), ("spirv", "scale")]
    assert all(e["bytes read"] == e["bytes written"] == 16384 and e["flops"] == 8192 and e["intensity"] == 0.25 for e in found)
    assert found[0]["registers"] > 0 and found[0]["occupancy"] <= 1 and found[2]["mix of"] == "spirv"


def test_stats_without_ptxas_say_what_is_missing(program, capsys, monkeypatch):
    from ptxjit.ir.errors import ToolError
    from ptxjit.targets.ptx import tools

    def missing(tool):
        raise ToolError(f"{tool} is not installed", hint=f"pip install {tools.PACKAGES[tool]}")

    monkeypatch.setattr(tools, "find", missing)
    assert main(["show", "prog.py:scale", "f32[64]", "-t", "ptx:sm_90", "--stats"]) == 0
    out = capsys.readouterr().out
    assert "registers, spills, occupancy: ptxas is not installed (pip install nvidia-cuda-nvcc)" in out and "flop/byte" in out


def test_binary_stages_come_as_bytes(program, ptxas):
    assert main(["show", "prog.py:scale", "f32[8]", "--target", "ptx:sm_90", "--stage", "cubin", "-o", "out.cubin"]) == 0
    assert (program / "out.cubin").read_bytes()[:4] == b"\x7fELF"


def test_stats_and_why(program, capsys, ptxas):
    assert main(["show", "prog.py:scale", "f32[64]", "--target", "ptx:sm_90", "--stats"]) == 0
    assert "registers" in capsys.readouterr().out
    assert main(["show", "prog.py:scale", "f32[64]", "--why"]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("argv, status, words", [
    (["show", "prog.py:nothing", "f32[4]"], 2, "prog.py has no function nothing"),
    (["show", "nowhere.py:f", "f32[4]"], 2, "there is no file nowhere.py"),
    (["show", "prog.py", "f32[4]"], 2, "write FILE.py:FUNC"),
    (["show", "prog.py:number", "f32[4]"], 2, "is not a function"),
    (["show", "prog.py:scale", "f32[4"], 2, "is not a spec"),
    (["show", "prog.py:scale", "q8[4]"], 2, "is not a spec"),
    (["show", "prog.py:scale", "f32[4]", "--target", "vax:780"], 1, "no target family 'vax'"),
    (["show", "prog.py:scale", "f32[4]", "--target", "ptx:sm_10"], 1, "sm_10"),
    (["show", "prog.py:scale", "f32[4]", "--target", "ptx:sm_90", "--stage", "asm"], 1, "has no stage 'asm'"),
    (["show", "prog.py:broken", "f32[4]"], 1, "prog.py:19"),
    (["show", "raises.py:f", "f32[4]"], 1, "importing raises.py failed: ZeroDivisionError"),
    (["show", "prog.py:scale", "f32[4]", "--html", "."], 2, ". is a folder"), (["show", "none.ptx:k", "--html", "x.html"], 2, "there is no file none.ptx"),
    (["translate", "x.ptx", "--to", "spirv"], 2, "there is no file x.ptx"), (["run", "x.ptx"], 2, "there is no file x.ptx"),
    (["check", "x.ptx"], 2, "there is no file x.ptx"),
    (["show"], 2, "FILE.py:FUNC"), (["frobnicate"], 2, "frobnicate"), (["devices", "--frob"], 2, "--frob"),
])  # fmt: skip
def test_statuses_and_words(program, capsys, argv, status, words):
    assert main(argv) == status
    shown = capsys.readouterr()
    assert words in shown.err and "Traceback" not in shown.err and not shown.out


def test_our_own_faults_are_3(program, capsys, monkeypatch):
    from ptxjit.ir.errors import BugError
    from ptxjit.jitted import Jit

    def fails(*_, **__):
        raise BugError("a pass failed", hint="replay: …")

    monkeypatch.setattr(Jit, "lower", fails)
    assert main(["show", "prog.py:scale", "f32[4]"]) == 3 and "fault of ptxjit" in capsys.readouterr().err
    monkeypatch.setattr(Jit, "lower", lambda *_, **__: 1 / 0)
    assert main(["show", "prog.py:scale", "f32[4]"]) == 3 and "ZeroDivisionError" in capsys.readouterr().err


def test_test_and_its_replay(program, capsys):
    (program / "ref.py").write_text("def scale(x):\n    return x * 2 + 1.5\n")
    assert main(["test", "prog.py:scale", "--examples", "10"]) == 0
    assert "no difference in 10 examples" in capsys.readouterr().out
    assert main(["test", "prog.py:scale", "--reference", "ref.py:scale", "--examples", "10", "--spec", "f32[n]", "--seed", "4"]) == 1
    out = capsys.readouterr().out
    assert "argument 0: float32[1] = [0.]" in out and "the function itself differs from the reference" in out
    assert "replay: ptxjit test prog.py:scale --reference ref.py:scale --spec 'f32[n]' --examples 10 --seed 4" in out
    assert (program / ".ptxjit" / "examples").is_dir()


def test_cache_commands(program, cache_folder, capsys):
    for words in (["cache", "path"], ["cache", "info"], ["cache", "verify"], ["cache", "clear"]):
        assert main(words) == 0
    assert str(cache_folder) in capsys.readouterr().out


def test_tour(capsys):
    assert main(["tour"]) == 0
    tour = capsys.readouterr().out
    heads = ["── you write", "── 1. the graph", "── 2. the program", "── 3. the tile level", "── 4. the kernel level", "── 5. PTX", "── 6. and for this machine", "── now you",
             "── ptxjit ", "── ptxjit.ir ", "── ptxjit.targets "]  # fmt: skip
    at = [tour.index(h) for h in heads]
    assert at == sorted(at) and "The laws" in tour
    assert tour.count("the same bits") == 3 and "OTHER BITS" not in tour
    assert "// your_file.py:6  y = np.maximum(x * 2, 0)" in tour and max(map(len, tour.splitlines())) < 190


def test_devices(capsys):
    import json

    from ptxjit.hardware import default_device, families

    assert main(["devices"]) == 0
    out = capsys.readouterr().out
    assert "cpu " in out and "interp " in out and "(the default)" in out
    assert main(["devices", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    by_name = {d["name"]: d for d in found["devices"]}
    assert by_name["cpu"]["available"] and by_name["cpu"]["why_not"] is None and by_name["cpu"]["target"] == "cpu:host"
    assert by_name["cpu"]["facts"]["lanes"] > 1 and by_name["interp"]["facts"]["lanes"] == 32
    assert [d["name"] for d in found["devices"] if d["default"]] == [default_device().name]
    for word in families():
        assert any(d["kind"] == word for d in found["devices"]) or found["missing"][word]
    assert all((d["name"] in out) and (d["available"] or d["why_not"] in out) for d in found["devices"])


def test_bench(program, capsys, monkeypatch):
    import json

    from ptxjit.cli import bench

    monkeypatch.setattr(bench, "SECONDS", 0.0)
    assert main(["bench", "prog.py:scale", "f32[4096]", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert all(words in out for words in ("first call", "warm call", "plain Python", "GB/s", "on cpu"))
    assert main(["bench", "prog.py:scale", "f32[4096]", "-d", "cpu", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bytes"] == 32768 and found["flops"] == 8192 and found["warm call"] > 0 and found["results"] == ["float32[4096]"]
    assert main(["bench", "prog.py:scale", "f32[4]", "-d", "abacus"]) == 1 and "abacus" in capsys.readouterr().err


def test_completion_knows_targets_and_stages():
    from ptxjit.targets import target

    for name in TARGETS:
        known = target(name)
        assert set(known.stages) <= set(STAGES)
