"""Printed, read and printed again; and what the reader says about text that is not ours, with line and column."""
from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings

import ptxjit as pj
from ptxjit.ir.errors import ReadError
from ptxjit.ir.graph import Graph, GraphBuilder
from ptxjit.ir.kernel import KernelBuilder
from ptxjit.ir.loc import Loc
from ptxjit.ir.op import op
from ptxjit.ir.program import Buffer, Check, Copy, Fill, Loop, Program
from ptxjit.ir.text import VERSION, dump, parse
from ptxjit.ir.tile import TileBuilder
from ptxjit.ir.types import BF16, F32, F64, I1, I8, I32, I64, Dim, array
from ptxjit.ir.verify import verify
from ptxjit.testing import programs


def again(x):
    """The text of x; what is read back has the same one."""
    text = dump(x)
    assert dump(parse(text)) == text
    return text


# ---- round trips ----------------------------------------------------------------------------------------------------

FNS = {
    "elementwise": (lambda x: np.where(x > 0, np.exp(x), -np.inf) * 0.1, ["f32[10]"]),
    "literals": (lambda x: x + np.array([1.5, -0.0, np.nan, np.inf]), ["f64[4]"]),
    "reduction": (lambda x: (x.sum(0), x.max()), ["f32[5,7]"]),
    "long rows": (lambda x: x / x.sum(1, keepdims=True), ["f64[2,9000]"]),
    "product": (lambda x, y: np.maximum(x @ y, 0), ["f32[9,30]", "f32[30,5]"]),
    "scan": (lambda x: np.cumsum(x), ["i32[700]"]),
    "argmax": (lambda x: np.argmax(x, 0), ["bf16[30,4]"]),
    "index": (lambda x, i: x[i] + x[::-1][i], ["f32[20]", "i32[6]"]),
    "shape": (lambda x: np.concatenate([np.pad(x, 1).T, x[::-1].repeat(2, 1)[:, :6]]), ["u8[4,4]"]),
    "histogram": (lambda x: np.bincount(x, minlength=9), ["i64[50]"]),
    "fori": (lambda x: pj.fori_loop(0, 3, lambda i, s: s * 2 + i.astype("f4"), x), ["f32[4]"]),
    "while": (lambda x: pj.while_loop(lambda s: s.sum() < 100, lambda s: s * 2, x), ["f32[4]"]),
    "nested": (lambda x: pj.fori_loop(0, 2, lambda i, s: pj.fori_loop(0, 2, lambda j, t: t + i * j, s), x), ["f64[3]"]),
    "scan loop": (lambda x: pj.scan(lambda s, v: (s + v, s * v), np.float32(0), x), ["f32[5]"]),
    "no elements": (lambda x: (x.sum(0), x * 2), ["f32[0,3]"]),
    "0-d": (lambda x: x + 1, ["f32"]),
}  # fmt: skip


@pytest.mark.parametrize("target", ["cpu:x86-64-v3", "ptx:sm_80"])
@pytest.mark.parametrize("name", FNS)
def test_every_level_of_a_function(name, target):
    fn, specs = FNS[name]
    low = pj.jit(fn).lower(*specs, target=target)._low
    for x in (low.graph, low.program, *(s.fn for s in low.program.launches()), *low.kernels.values()):
        verify(parse(again(x)))


@settings(max_examples=12)
@given(programs())
def test_random_programs(p):
    low = pj.jit(p.fn).lower(*p.inputs, target="cpu:x86-64-v3")._low
    for x in (low.graph, low.program, *(s.fn for s in low.program.launches()), *low.kernels.values()):
        again(x)


def random_kernel(rng):
    """Straight-line code, a loop, guards and several results, under names that collide or are no names."""
    b = KernelBuilder("k_1", lanes=rng.choice([None, 8]), warps=rng.choice([None, 2]))
    b.shared = rng.choice([0, 64])
    x = b.param("x", I64, role="pointer", elem=F32, access="r", align=16, noalias=rng.random() < 0.5)
    n = b.param(rng.choice(["n", "x", "not a name", ""]), I32)
    ints, floats, bits = [n, b.sreg(name="laneid")], [b.const(F32, v) for v in (0.1, -0.0, math.inf, -math.inf, math.nan, 1e-45)], [b.const(I1, True)]
    for _ in range(rng.randrange(20)):
        name = rng.choice(["iadd", "imul", "xor", "fadd", "fmin", "icmp", "fcmp", "select", "stof", "fma", "ld", "shfl"])
        if name in ("iadd", "imul", "xor"):
            ints.append(b.emit(op(name), rng.choices(ints, k=2), name=rng.choice(["", "a", "value"])))
        elif name in ("fadd", "fmin"):
            floats.append(b.emit(op(name), rng.choices(floats, k=2), (("rnd", "rz"),) if name == "fadd" else ()))
        elif name == "fma":
            floats.append(b.ffma(*rng.choices(floats, k=3)))
        elif name == "icmp":
            bits.append(b.icmp(*rng.choices(ints, k=2), pred=rng.choice(op("icmp").attrs["pred"])))
        elif name == "fcmp":
            bits.append(b.fcmp(*rng.choices(floats, k=2), pred=rng.choice(op("fcmp").attrs["pred"])))
        elif name == "select":
            floats.append(b.select(rng.choice(bits), *rng.choices(floats, k=2)))
        elif name == "stof":
            floats.append(b.stof(rng.choice(ints), to=F32))
        elif name == "shfl":
            ints.append(b.shfl(*rng.choices(ints, k=2), mode="up"))
        else:
            attrs = (("count", 2), ("disp", -8), ("scale", 4), ("space", "global"), ("to", F32))
            guarded = rng.random() < 0.5
            floats += b.emit(op("ld"), (x, rng.choice(ints)), attrs, guard=bits[-1] if guarded else None, passthrough=tuple(floats[:2]) if guarded else ())
    loop, done = b.block("loop", [I32, F32], ["i", "s"]), b.block("done")
    b.jump(loop, ints[-1], floats[-1])
    i, s = b.start(loop)
    b.branch(b.icmp(i, n, pred="slt"), loop, done, (b.iadd(i, n), b.fadd(s, s)), likely=rng.choice([None, True, False]))
    b.start(done)
    b.emit(op("st"), (x, s), (("space", "global"), ("to", F32)), guard=rng.choice([None, bits[0]]))
    b.ret()
    return b.finish((("why", ("a \"quoted\" line\n", 1.5, True, (), (3,))),))


@pytest.mark.parametrize("seed", range(40))
def test_random_kernels(seed):
    k = verify(random_kernel(random.Random(seed)))
    back = parse(again(k))
    assert (back.warps, back.lanes, back.shared, dict(back.meta)) == (k.warps, k.lanes, k.shared, dict(k.meta))
    assert [(p.role, p.elem, p.access, p.align, p.noalias) for p in back.params] == [(p.role, p.elem, p.access, p.align, p.noalias) for p in k.params]


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -1.5, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan])
def test_floats_keep_their_bits(value):
    b = KernelBuilder("k")
    b.const(F64, value)
    b.ret()
    [made] = [i for i in parse(again(b.finish())).instrs() if i.op.name == "constant"]
    assert np.float64(made.attr("value")).tobytes() == np.float64(value).tobytes()


@pytest.mark.parametrize("text", ["", "plain", 'a "b"', "back\\slash", "line\nline", "tab\t", "\\n", "ünï", "// no comment", "{x=1}"])
def test_strings_keep_their_characters(text):
    b = GraphBuilder()
    x, p = b.input(0, array(F32, (2,)), "x"), b.literal(True, I1)
    out = b.emit(op("check"), (p, x), (("message", text), ("place", "f.py:1")))
    [made] = [n for n in parse(again(Graph("g", [x], [out]))).nodes if n.op.name == "check"]
    assert made.attr("message") == text


def test_symbols_in_shapes():
    n = Dim.symbol("n")
    b = GraphBuilder()
    x = b.input(0, array(F32, (n, n * 2 + 1, 3)), "x")
    assert "f32[n,2*n+1,3]" in again(Graph("g", [x], [b.fneg(x)]))


def test_graphs_inside_graphs_get_names_of_their_own():
    low = pj.jit(FNS["nested"][0]).lower("f64[3]", target="interp")._low
    text = again(low.graph)
    assert text.count("graph @body") == 2 and "@body_2" in text


def test_steps_of_a_program():
    t = array(F32, (2,))
    a, out, flag, turn = Buffer("a", t, "input"), Buffer("out", t, "output"), Buffer("flag", array(I1, ()), "temp"), Buffer("i", array(I64, ()), "temp")
    c = Buffer("c", t, "const", np.ones(2, "f4").tobytes())
    steps = (Copy(out, a), Fill(out, math.inf), Fill(flag, True), Check(flag, 'said "no"', "f.py:3"), Check(flag, "no place"),
             Loop((Copy(out, c), Loop((), cond=flag, before=(Fill(flag, False),))), count=4, counter=turn))  # fmt: skip
    p = parse(again(Program("p", (a, out, flag, turn, c), (a,), (out,), steps, (("why", ("x",)),))))
    assert p.steps[3].place == "f.py:3" and p.steps[4].place is None and p.steps[5].counter.name == "i" and p.buffers[4].data == c.data


def test_locations_are_comments():
    b = KernelBuilder("k")
    b.loc = Loc("f.py", 3)
    n = b.param("n", I32)
    b.iadd(n, n)
    b.ret()
    k = b.finish()
    assert "// f.py:3" in dump(k, locs=True) and dump(parse(dump(k, locs=True))) == dump(k)


def when_program(results):
    b = TileBuilder("t")
    p, c = b.param("p", I1), b.i64(1)
    b.when(p, lambda: [b.iadd(c, c)][:results], lambda: [c][:results])
    return verify(b.finish())


def test_conditions_of_tile_programs():
    again(when_program(1))


def test_conditions_without_results():
    again(when_program(0))


def test_packed_and_small_types():
    b = KernelBuilder("k")
    for t, v in ((I8, -128), (BF16, 1.5), (I64, -(2**63)), (I1, False)):
        b.const(t, v)
    b.ret()
    again(b.finish())


# ---- what is not ours -----------------------------------------------------------------------------------------------

K = "kernel @k (%n: i32 scalar align=1) {\n^0 entry():\n"
WRONG = {
    "empty": ("", "1:1", "the first line must be 'ptxjit.ir 1'"),
    "another version": ("ptxjit.ir 2\n", "1:1", "the first line must be"),
    "nothing": (f"{VERSION}\n", "1:12", "nothing here"),
    "another word": (f"{VERSION}\nfunction @k", "2:1", "expected graph, program, tile or kernel, found function"),
    "op": (f"{VERSION}\n{K}  %a: i32 = nosuch %n\n}}", "4:13", "there is no op 'nosuch'"),
    "type": (f"{VERSION}\n{K}  %a: i33 = undef\n}}", "4:7", "not a type: 'i33'"),
    "no type": (f"{VERSION}\n{K}  %a: int = undef\n}}", "4:7", "expected type, found int"),
    "character": (f"{VERSION}\n{K}  $\n}}", "4:3", "this is not a token"),
    "open string": (f'{VERSION}\n{K}  %a: i32 = sreg {{name="lane}}\n}}', "4:24", "this is not a token"),
    "value": (f"{VERSION}\n{K}  %a: i32 = ineg %b\n}}", "4:18", "%b is not defined"),
    "no attribute": (f"{VERSION}\n{K}  %a: i32 = sreg {{name=}}\n}}", "4:24", "expected an attribute's value, found }"),
    "graph attribute": (f"{VERSION}\n{K}  %a: i32 = sreg {{name=@g}}\n}}", "4:24", "@g is not defined above"),
    "the end": (f"{VERSION}\n{K}  return", "4:8", "expected word, found the end"),
    "no pointer element": (f"{VERSION}\nkernel @k (%x: i64 pointer) {{\n}}", "2:27", "expected type, found )"),
    "step": (f"{VERSION}\nprogram @p {{\n  hop @a\n}}", "3:3", "there is no step 'hop'"),
    "buffer": (f"{VERSION}\nprogram @p {{\n  copy @a, @b\n}}", "3:8", "a is not defined"),
    "kernel of a launch": (f"{VERSION}\nprogram @p {{\n  launch @k (1, 1, 1) ()\n}}", "3:10", "k is not defined"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors_have_line_and_column(name):
    text, place, words = WRONG[name]
    with pytest.raises(ReadError) as e:
        parse(text, "my.ir")
    assert e.value.place == f"my.ir:{place}" and words in e.value.message
    line, column = map(int, place.split(":"))
    shown, caret = (e.value.excerpt or "").split("\n")
    assert shown == "    " + text.split("\n")[line - 1] and caret == " " * (column + 3) + "^"


@pytest.mark.parametrize("text, column", [
    ("kernel @k (%n: i32 scalar align=1, %n: i32 scalar align=1) {\n", 36),
    (K + "  %a: i32 = iadd %b, %n\n}", 18),
], ids=["defined twice", "first of two operands"])  # fmt: skip
def test_the_column_is_that_of_the_name(text, column):
    with pytest.raises(ReadError) as e:
        parse(f"{VERSION}\n{text}")
    assert e.value.place.endswith(f":{column}")


def damaged(text, seed):
    """The text with some tokens lost, doubled or changed places."""
    rng = random.Random(seed)
    words = text[len(VERSION) :].replace("(", " ( ").replace(",", " , ").split(" ")
    for _ in range(rng.randint(1, 3)):
        k = rng.randrange(len(words))
        how = rng.randrange(3)
        if how == 0:
            del words[k]
        elif how == 1:
            words.insert(k, words[rng.randrange(len(words))])
        else:
            words[k] = words[rng.randrange(len(words))]
    return VERSION + " ".join(words)


@pytest.mark.parametrize("level", ["graph", "program", "kernel"])
def test_damaged_text_is_read_or_refused(level):
    """Whatever the damage, the error is ReadError with a place."""
    low = pj.jit(FNS["fori"][0]).lower("f32[4]", target="ptx:sm_80")._low
    x = {"graph": low.graph, "program": low.program, "kernel": next(iter(low.kernels.values()))}[level]
    text = dump(x)
    for seed in range(300):
        try:
            parse(damaged(text, seed), "f.ir")
        except ReadError as e:
            assert e.place is not None and e.place.startswith("f.ir:"), seed


def test_odd_bytes():
    with pytest.raises(ReadError):
        parse(f'{VERSION}\nprogram @p {{\n  buffer @b const f32[1] x"000"\n}}')


def test_ops_without_operands_end_before_the_next_result():
    text = """ptxjit.ir 1
kernel @k (%n: i32 scalar align=1) {
^0 entry():
  pause
  %0: i32 = iadd %n, %n
  jump -> ^2()
^1 end():
  %1: i32 = imul %2, %n
  return
^2 before():
  %2: i32 = iadd %0, %n
  jump -> ^1()
}"""
    assert dump(verify(parse(text))).strip() == text  # and what a block uses may stand further down
    for wrong, message in (("%1: i32 = imul %4, %n", "%4 is not defined"), ("%1: i32 = imul %1, %n", "%1 is not defined"),
                           ("%2: i32 = imul %n, %n", "%2 is defined twice")):  # fmt: skip
        with pytest.raises(ReadError, match=message):
            parse(text.replace("%1: i32 = imul %2, %n", wrong))
