"""The page of `show --html`, read by a parser: it is whole, needs nothing else, and every traced line leads somewhere."""
from __future__ import annotations

import json
import re
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ptxjit.cli import main
from ptxjit.inspect import page as page_module

LEVELS = ["graph", "program", "tile", "kernel"]
VOID = {"meta", "br", "hr", "img", "input", "link"}
CORPUS = Path(__file__).resolve().parents[2] / "corpus"


class Reader(HTMLParser):
    """Checks that tags are balanced; gathers ids, references, addresses and the texts of scripts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.refs, self.addresses, self.scripts, self.tags, self.shown = [], [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"])
        self.refs += [given[k] for k in ("for", "aria-controls", "aria-labelledby") if k in given]
        self.refs += [v[1:] for k, v in attrs if k == "href" and v.startswith("#")]
        self.addresses += [v for k, v in attrs if k in ("src", "href", "action", "data", "poster") and not v.startswith("#")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.shown.append(data)


def read(path):
    """(reader, payload) of a page that has passed what every page must pass."""
    raw = Path(path).read_bytes()
    assert len(raw) <= page_module.LIMIT
    text = raw.decode("utf-8")
    r = Reader(text)
    assert len(set(r.ids)) == len(r.ids) and set(r.refs) <= set(r.ids)
    assert not r.addresses and not re.search(r"https?://|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket|import\(", re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S))
    assert [t for t in r.tags if t[0] == "meta" and t[1].get("http-equiv") == "Content-Security-Policy"]
    assert all(i in r.ids for i in re.findall(r'getElementById\("([\w-]+)"\)', r.scripts[1]))
    data = json.loads(r.scripts[0])
    check(data)
    return r, data


def check(data):
    """The numbers in the payload lead to something."""
    for text in data["texts"]:
        assert len(text["lines"]) == len(text["at"]) and all(0 <= n < len(data["table"]) for n in text["lines"])
        assert all(len(text[k]) == len(text["lines"]) for k in ("live", "runs") if k in text)
        for at in text["at"]:
            assert all(0 <= p < len(data["places"]) for p in listed(at))
    for s, line in data["places"]:
        assert line in [n for n, _ in data["sources"][s]["lines"]], (data["sources"][s]["name"], line)
    for t in data["targets"]:
        assert t["final"] in [s["name"] for s in t["stages"]]
        for p in t["passes"]:
            assert p["steps"] and all(s["changed"] == sorted(set(s["changed"])) for s in p["steps"])
            assert all(n < len(data["texts"][s["text"]]["lines"]) for s in p["steps"] for n in s["changed"])


def listed(at):
    return at if isinstance(at, list) else [] if at == -1 else [at]


def lines_of(data, text):
    return [data["table"][n] for n in data["texts"][text]["lines"]]


def stage(data, target, name):
    [t] = [t for t in data["targets"] if t["name"] == target]
    [s] = [s for s in t["stages"] if s["name"] == name]
    return data["texts"][s["text"]], lines_of(data, s["text"])


def places_in(text):
    return {p for at in text["at"] for p in listed(at)}


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prog.py").write_text(textwrap.dedent("""\
        import numpy as np
        import subtraction

        def softmax(x):
            m = x.max(axis=-1, keepdims=True)
            e = np.exp(subtraction.minus(x, m))
            return e / e.sum(axis=-1, keepdims=True)

        def strange(x):
            '''</script><script>alert(1)</script> & <b>'''
            y = x + 1  # </script> <!-- & "quoted" {{data}} {{js}}
            return y * 2

        def two(x):
            y = np.cumsum(x, axis=-1)
            return y / y.max()
        """))
    (tmp_path / "subtraction.py").write_text("def minus(a, b):\n    return a - b\n")
    return tmp_path


def test_a_function_on_every_level_and_target(program, capsys):
    wanted = ["cpu:host", "cpu:aarch64", "ptx:sm_90", "amdgpu:gfx1100", "spirv"]
    assert main(["show", "prog.py:softmax", "f32[20,40]", *(w for t in wanted for w in ("--target", t)), "--html", "out.html"]) == 0
    assert capsys.readouterr().out.startswith("out.html: ")
    r, data = read("out.html")
    assert data["title"] == "softmax(float32[20,40])" and [t["name"] for t in data["targets"]] == wanted
    assert [s["name"] for s in data["sources"]] == ["prog.py", "subtraction.py"]
    assert [text for _, text in data["sources"][0]["lines"]] == (program / "prog.py").read_text().splitlines()[3:7]
    traced = {(data["sources"][s]["name"], line) for s, line in data["places"]}
    assert traced == {("prog.py", 4), ("prog.py", 5), ("prog.py", 6), ("prog.py", 7), ("subtraction.py", 2)}
    body = {n for n, (s, line) in enumerate(data["places"]) if (s, line) != (0, 4)}  # all but the `def`
    for t in wanted:
        for level in LEVELS:
            text, lines = stage(data, t, level)
            assert lines and (places_in(text) >= body), (t, level)
        final = next(x for x in data["targets"] if x["name"] == t)["final"]
        text, lines = stage(data, t, final)
        assert places_in(text) >= body and not text["note"], t
    assert any("exp" in line for line in stage(data, "ptx:sm_90", "tile")[1])


def test_texts_are_what_show_prints_and_lines_are_right(program, capsys):
    main(["show", "prog.py:softmax", "f32[20,40]", "-t", "cpu:host", "-t", "ptx:sm_90", "-t", "spirv", "--html", "out.html"])
    _, data = read("out.html")
    capsys.readouterr()
    for target, names in (("cpu:host", ["tile", "kernel", "ll", "asm"]), ("ptx:sm_90", ["graph", "kernel", "ptx"]), ("spirv", ["ll", "spirv", "opencl"])):
        for name in names:
            main(["show", "prog.py:softmax", "f32[20,40]", "-t", target, "-s", name])
            assert stage(data, target, name)[1] == [line.expandtabs(8).rstrip() for line in capsys.readouterr().out.splitlines()], (target, name)
    text, lines = stage(data, "ptx:sm_90", "ptx")
    now = None
    for line, at in zip(lines, text["at"]):  # the writer's own comments say the same
        m = re.match(r"\s*// (\w+\.py):(\d+)", line)
        now = (m[1], int(m[2])) if m else now
        if at != -1:
            s, number = data["places"][at]
            assert (data["sources"][s]["name"], number) == now


def test_passes_profile_and_pressure(program):
    main(["show", "prog.py:two", "f32[40,300]", "-t", "ptx:sm_90", "--html", "out.html"])
    _, data = read("out.html")
    [t] = data["targets"]
    assert [p["kernel"] for p in t["passes"]] == [s["kernel"] for s in t["stats"]] and len(t["passes"]) > 1
    names = [s["name"] for s in t["passes"][0]["steps"]]
    assert names[:2] == ["traced", "prepare"] and names[2:4] == ["tile", "to_kernel"] and len(names) > 4
    last = lines_of(data, t["passes"][0]["steps"][-1]["text"])
    text, lines = stage(data, "ptx:sm_90", "kernel")
    assert lines[: len(last)] == last  # the pipeline's end is the kernel that is written
    assert any(s["changed"] and s["gone"] for s in t["passes"][0]["steps"])
    for line, live, runs in zip(lines, text["live"], text["runs"]):
        if re.match(r"  (%\S+: .* = )?\w", line) and "constant" not in line:
            assert runs and runs[0] >= 1 and runs[1] <= 32 * runs[0], line
        if runs == 0:
            assert live == 0
    [entry] = [s for s in t["stats"] if s["kernel"] == "two"]
    assert max(text["live"][: len(last)]) == entry["live words"]
    assert any("of 40 blocks were run" in n for n in t["notes"])
    place = next(n for n, (_, line) in enumerate(data["places"]) if line == 15)
    runs, lanes, share = t["profile"][str(place)]
    assert runs >= 6 and 0 < lanes <= 32 and 0 < share <= 1


def test_symbolic_sizes(program):
    assert main(["show", "prog.py:softmax", "f32[n=20,k=70]", "-t", "cpu:host", "-t", "ptx:sm_90", "--html", "out.html"]) == 0
    _, data = read("out.html")
    for t in data["targets"]:
        assert "numbers and runs are those of n = 20, k = 70" in t["notes"][0] or "k = 70" in t["notes"][0]
        assert t["profile"] and t["stats"][0]["bytes read"] == 4 * 20 * 70
        assert lines_of(data, t["passes"][0]["steps"][-1]["text"]) == stage(data, t["name"], "kernel")[1]


def test_fast_math_has_its_pass(program):
    import ptxjit as pj
    from ptxjit.cli.load import load_function
    from ptxjit.inspect.page import write_page
    from ptxjit.specs import parse_spec

    f = pj.jit(load_function("prog.py:softmax").fn, fast_math=True)
    write_page("out.html", f, [parse_spec("f32[8,64]")], [f.lower("f32[8,64]", target="ptx:sm_90")])
    _, data = read("out.html")
    steps = data["targets"][0]["passes"][0]["steps"]
    assert "fast" in [s["name"] for s in steps] and lines_of(data, steps[-1]["text"]) == stage(data, "ptx:sm_90", "kernel")[1]


def test_user_text_is_escaped(program):
    main(["show", "prog.py:strange", "f32[8]", "-t", "cpu:host", "--html", "out.html"])
    raw = (program / "out.html").read_text()
    r, data = read("out.html")
    assert len(r.scripts) == 2 and raw.count("</script>") == 2 and "alert(1)" not in r.scripts[1]
    source = dict(map(tuple, data["sources"][0]["lines"]))
    assert source[10].strip() == "'''</script><script>alert(1)</script> & <b>'''" and source[11].endswith('# </script> <!-- & "quoted" {{data}} {{js}}')


def test_functions_without_a_file(tmp_path, monkeypatch):
    import ptxjit as pj
    from ptxjit.inspect.page import write_page
    from ptxjit.specs import parse_spec

    f = pj.jit(eval("lambda x: x * 2 + 1"))
    write_page(str(tmp_path / "out.html"), f, [parse_spec("f32[64]")], [f.lower("f32[64]", target="ptx:sm_90")])
    _, data = read(tmp_path / "out.html")
    assert "not here" in data["sources"][0]["note"] and data["sources"][0]["lines"]


def test_captured_arrays_integers_and_loops(tmp_path):
    import numpy as np

    import ptxjit as pj
    from ptxjit.inspect.page import write_page
    from ptxjit.specs import parse_spec

    table = np.arange(16, dtype=np.float32)

    def f(x, i):
        y = pj.take(table, i) + x
        return pj.fori_loop(0, 3, lambda k, s: s * 2 + 1, y)

    j = pj.jit(f)
    specs = ["f32[8]", "i32[8]"]
    write_page(str(tmp_path / "out.html"), j, [parse_spec(s) for s in specs], [j.lower(*specs, target=t) for t in ("cpu:host", "spirv")])
    _, data = read(tmp_path / "out.html")
    assert all(t["profile"] for t in data["targets"])


def test_a_page_that_would_be_too_large_says_what_it_leaves_out(program, monkeypatch):
    main(["show", "prog.py:softmax", "f32[20,40]", "-t", "cpu:host", "-t", "ptx:sm_90", "--html", "whole.html"])
    size = (program / "whole.html").stat().st_size
    for share, passes in ((0.9, []), (0.5, [])):
        monkeypatch.setattr(page_module, "LIMIT", int(size * share))
        main(["show", "prog.py:softmax", "f32[20,40]", "-t", "cpu:host", "-t", "ptx:sm_90", "--html", "less.html"])
        _, data = read("less.html")
        assert all(t["passes"] == passes and any("too large" in n for n in t["notes"]) for t in data["targets"])
    assert any("only its first" in t["note"] for t in data["texts"])


def test_a_tool_that_is_missing_is_said_in_its_pane(program, monkeypatch):
    from ptxjit.ir.errors import ToolError
    from ptxjit.targets.ptx import tools

    def missing(tool):
        raise ToolError(f"{tool} is not installed", hint=f"pip install {tools.PACKAGES[tool]}")

    monkeypatch.setattr(tools, "find", missing)
    assert main(["show", "prog.py:softmax", "f32[20,40]", "-t", "ptx:sm_90", "--html", "out.html"]) == 0
    r, data = read("out.html")
    text, lines = stage(data, "ptx:sm_90", "sass")
    assert text["note"] == "this text cannot be made here" and "ptxas is not installed" in lines[0]
    assert "ptxas is not installed" in data["targets"][0]["stats"][0]["missing"] and "ptxas is not installed" in "".join(r.shown)


def test_ptx_of_others(tmp_path, monkeypatch, ptxas, nvdisasm):
    import shutil

    monkeypatch.chdir(tmp_path)
    shutil.copy(CORPUS / "ptx" / "blocks.sm_80.lineinfo.ptx", "blocks.ptx")
    shutil.copy(CORPUS / "src" / "blocks.cu", "blocks.cu")
    argv = ["show", "blocks.ptx:histogram", "u8[1000]", "i32[64]=zeros", "u32=1000", "--grid", "4", "--block", "128"]
    assert main([*argv, "-t", "cpu:host", "-t", "ptx:sm_90", "--html", "out.html"]) == 0
    _, data = read("out.html")
    assert [s["name"] for s in data["sources"]] == ["blocks.cu", "blocks.ptx", "device_atomic_functions.hpp"]
    assert not data["sources"][0]["note"] and "not here" in data["sources"][2]["note"]  # a header of the compiler's
    ptx = {n for n, (s, _) in enumerate(data["places"]) if s == 1}
    cuda = {n for n, (s, _) in enumerate(data["places"]) if s != 1}
    assert ptx and cuda and all(set(up) <= cuda and int(n) in ptx for n, up in data["within"].items())
    source = dict(map(tuple, data["sources"][1]["lines"]))
    assert ".entry histogram(" in source[min(source)]
    for target, name in (("cpu:host", "kernel"), ("cpu:host", "asm"), ("cpu:host", "ll"), ("ptx:sm_90", "ptx")):
        text, _ = stage(data, target, name)
        assert places_in(text) & ptx and places_in(text) & cuda and not text["note"], (target, name)
    assert places_in(stage(data, "ptx:sm_90", "sass")[0]) & cuda
    text, lines = stage(data, "cpu:host", "kernel")
    assert sum(r[0] for r in text["runs"] if r) > 0 and data["targets"][0]["profile"] and data["targets"][0]["stats"][0]["mode"] == "widened"
    atom = next(n for n, line in enumerate(lines) if " atom " in line)
    assert text["runs"][atom][1] == 1000  # an atomic for each element


def test_ptx_without_source_lines_and_without_arguments(tmp_path, monkeypatch, ptxas, nvdisasm):
    monkeypatch.chdir(tmp_path)
    file = CORPUS / "hand" / "branches.ptx"
    entry = re.search(r"\.entry\s+(\w+)", file.read_text())[1]
    assert main(["show", f"{file}:{entry}", "-t", "cpu:x86-64-v3", "-t", "ptx:sm_90", "--html", "out.html"]) == 0
    _, data = read("out.html")
    assert [s["name"] for s in data["sources"]] == ["branches.ptx"]
    assert all("not run" in t["notes"][0] and not t["profile"] for t in data["targets"])
    assert len(places_in(stage(data, "ptx:sm_90", "sass")[0])) > 3


def test_in_a_browser(program):
    """Where there is a Chromium: its script draws the panes and marks lines in each of them."""
    import shutil
    import subprocess

    browser = next((p for n in ("chromium", "chromium-browser", "google-chrome", "chrome") if (p := shutil.which(n))), None)
    if browser is None:
        pytest.skip("no Chromium on PATH: apt-get install chromium")
    main(["show", "prog.py:softmax", "f32[20,40]", "-t", "cpu:host", "-t", "ptx:sm_90", "--html", "out.html"])
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={program / 'profile'}", "--virtual-time-budget=4000", "--dump-dom",
                           (program / "out.html").as_uri()], capture_output=True, text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    panes = re.split(r'<section class="pane', done.stdout)[1:]
    assert len(panes) == 4 and panes[0].startswith(" source")
    for p in panes:
        rows = re.findall(r'<div class="l( [\w ]+)?"', p)
        assert len(rows) > 3 and any("on" in r.split() for r in rows)
    assert 'role="status"' in done.stdout and "prog.py:5 became cpu:host: graph 2" in done.stdout
