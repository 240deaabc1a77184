"""Each promise of the verifier, broken once on purpose: its words and its place."""
from __future__ import annotations

import pytest

from ptxjit.ir.errors import BugError
from ptxjit.ir.graph import Graph, GraphBuilder, Node
from ptxjit.ir.instr import Block, Edge, Instr, Param, Value
from ptxjit.ir.kernel import Kernel, KernelBuilder
from ptxjit.ir.loc import Loc
from ptxjit.ir.op import op
from ptxjit.ir.program import Buffer, Check, Copy, Fill, Launch, Loop, Program
from ptxjit.ir.text import parse
from ptxjit.ir.tile import TileBuilder
from ptxjit.ir.types import F32, F64, I1, I32, I64, array
from ptxjit.ir.verify import verify

HERE = Loc("user.py", 7)
F3 = array(F32, (3,))


def kernel(body, params="%x: i64 pointer f32 rw align=4, %p: i1 scalar align=1, %n: i32 scalar align=1"):
    return parse(f"ptxjit.ir 1\nkernel @k ({params}) {{\n{body}\n}}\n")


def tile(body, params="%x: ptr<f32> pointer f32 r align=4, %c: i64 scalar align=1, %p: i1 scalar align=1"):
    return parse(f"ptxjit.ir 1\ntile @t warps=1 lanes=32 ({params}) {{\n{body}\n}}\n")


def graph(body, inputs="%x"):
    return parse(f'ptxjit.ir 1\ngraph @g ({inputs}) {{\n%x: f32[3] = input {{index=0, name="x", type=!f32[3]}}\n{body}\n}}\n')


def refused(x, *words):
    with pytest.raises(BugError) as e:
        verify(x)
    for w in words:
        assert w in e.value.message, e.value.message
    return e.value


# ---- what holds -----------------------------------------------------------------------------------------------------

KERNELS = {
    "another level": ("^0 entry():\n%a: i32 = program_id {axis=0}\nreturn", "program_id does not belong to the kernel level"),
    "operands": ("^0 entry():\n%a: i32 = iadd %n, %x\nreturn", "iadd does not take these operands"),
    "result type": ("^0 entry():\n%a: i64 = iadd %n, %n\nreturn", "iadd gives i32, but its results are i64"),
    "no terminator": ("^0 entry():\n%a: i32 = iadd %n, %n", "block entry of k has no terminator"),
    "empty block": ("^0 entry():\njump -> ^1()\n^1 rest():", "block rest of k has no terminator"),
    "two terminators": ("^0 entry():\nreturn\nreturn", "a terminator in the middle of a block"),
    "entry with parameters": ("^0 entry(%a: i32):\nreturn", "the entry block of k has parameters"),
    "edge types": ("^0 entry():\njump -> ^1(%p)\n^1 rest(%a: i32):\nreturn", "an edge to rest with other types than its parameters"),
    "edge count": ("^0 entry():\njump -> ^1()\n^1 rest(%a: i32):\nreturn", "an edge to rest with other types than its parameters"),
    "not dominated": ("^0 entry():\nbranch %p -> ^1(), ^2()\n^1 side():\n%a: i32 = iadd %n, %n\njump -> ^2()\n^2 join():\n%b: i32 = iadd %a, %n\nreturn",
                      "does not reach this use"),
    "guard type": ("^0 entry():\nst %x, %n {to=!i32} if %n\nreturn", "a guard is not an i1"),
    "guard on a pure op": ("^0 entry():\n%a: i32 = iadd %n, %n if %p else (%n)\nreturn", "a guard on an op without an effect"),
    "guard without passthrough": ("^0 entry():\n%a: f32 = ld %x {to=!f32} if %p\nreturn", "one passthrough value per result"),
    "passthrough of another type": ("^0 entry():\n%a: f32 = ld %x {to=!f32} if %p else (%n)\nreturn", "one passthrough value per result"),
    "branch on a number": ("^0 entry():\nbranch %n -> ^1(), ^1()\n^1 b():\nreturn", "branch takes one i1"),
    "address": ("^0 entry():\n%a: f32 = ld %p {to=!f32}\nreturn", "an address is base[, index] of i32 or i64"),
    "stored type": ("^0 entry():\nst %x, %n {to=!f32}\nreturn", "store of i32 as f32"),
    "shuffle": ("^0 entry():\n%a: i32 = shfl %n, %x\nreturn", "shfl takes a value and an i32 lane operand"),
    "unknown attribute": ('^0 entry():\n%a: i32 = iadd %n, %n {rnd="rn"}\nreturn', "iadd has no attribute 'rnd'"),
    "attribute's value": ('^0 entry():\n%a: i1 = icmp %n, %n {pred="like"}\nreturn', "pred='like' is not one of eq, ne"),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_kernel(name):
    text, words = KERNELS[name]
    refused(kernel(text), words)


TILES = {
    "another level": ("return", "return does not belong to the tile level"),
    "view of a number": ("%v: view<f32,1> = view %c, %c, %c", "view takes a pointer"),
    "load from a pointer": ("%f: f32 = constant {type=!f32, value=0x0p+0}\n%l: f32 = load %x, %f {index=(), shape=()}", "a view is needed"),
    "index matrix": ("%f: f32 = constant {type=!f32, value=0x0p+0}\n%v: view<f32,1> = view %x, %c, %c\n%l: tile<f32>[4] = load %v, %c, %f {index=((1, 2),), shape=(4,)}",
                     "does not map a tile of rank 1"),
    "loop yields": ("%r: i64 = for %c, %c, %c, %c\nregion (%i: i64, %a: i64) {\nyield %p\n}", "a region yields other types than are carried"),
    "loop yields too few": ("%r: i64 = for %c, %c, %c, %c\nregion (%i: i64, %a: i64) {\nyield\n}", "a region yields other types than are carried"),
    "if yields": ("%r: i64 = if %p {types=(!i64,)}\nregion () {\nyield %c\n}\nregion () {\nyield %p\n}", "a region yields other types than are carried"),
    "inside a region": ("for %c, %c, %c\nregion (%i: i64) {\n%a: i64 = iadd %i, %p\nyield\n}", "iadd does not take these operands"),
    "reduce of a scalar": ('%a: i64 = tile_reduce %c {axis=0, fn="iadd"}', "reduce takes a tile"),
    "reshape": ("%a: tile<i64>[4] = splat %c {shape=(4,)}\n%b: tile<i64>[5] = tile_reshape %a {shape=(5,)}", "cannot reshape"),
    "shapes": ("%a: tile<i64>[4] = splat %c {shape=(4,)}\n%b: i64 = iadd %c, %a", "operands of different shape"),
}  # fmt: skip


@pytest.mark.parametrize("name", TILES)
def test_tile(name):
    text, words = TILES[name]
    refused(tile(text), words)


GRAPHS = {
    "another level": ("%y: f32[3] = ld %x {to=!f32}\noutputs %y", "ld does not belong to the graph level"),
    "result shape": ("%y: f32[4] = fneg %x\noutputs %y", "fneg gives f32[3], but its results are f32[4]"),
    "broadcast": ("%y: f32[2] = broadcast %x {shape=(2,)}\noutputs %y", "cannot broadcast f32[3]"),
    "permutation": ("%y: f32[3] = permute %x {axes=(1,)}\noutputs %y", "do not permute"),
    "reshape": ("%y: f32[4] = reshape %x {shape=(4,)}\noutputs %y", "cannot reshape"),
    "concat": ('%z: f32[2,2] = literal {data=x"00000000", type=!f32[2,2]}\n%y: f32[5] = concat %x, %z {axis=0}\noutputs %y', "concat along axis 0"),
    "contract": ("%y: f32[] = contract %x, %x {acc=!f32, batch=((), ()), lhs=(0,), rhs=()}\noutputs %y", "do not fit"),
    "float index": ("%y: f32[3] = take %x, %x {axis=0}\noutputs %y", "not an integer array"),
    "arity": ("%y: f32[3] = fadd %x\noutputs %y", "fadd takes 2 operands, got 1"),
    "check": ("%y: f32[3] = check %x, %x\noutputs %y", "check: the condition is f32[3]"),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graph(name):
    text, words = GRAPHS[name]
    refused(graph(text), words)


def test_graph_inputs():
    b = GraphBuilder()
    x, y = b.input(0, F3, "x"), b.input(1, F3, "y")
    refused(Graph("g", [x], [b.fadd(x, y)]), "an input node is not among the graph's inputs")
    refused(Graph("g", [x, b.fneg(x)], [x]), "an input of the graph is not an input node")


def test_operands_come_first():
    x = Node(op("input"), (), (("index", 0), ("name", "x"), ("type", F3)), (F3,), 5, None, "x")
    y = Node(op("fneg"), (x,), (), (F3,), 2, HERE)
    assert refused(Graph("g", [x], [y]), "an operand comes after its use").place == str(HERE)


def test_loop_bodies_are_verified_and_closed():
    outer, inner = GraphBuilder(), GraphBuilder()
    i, s = inner.input(0, array(I64, ()), "i"), inner.input(1, F3, "s")
    n = outer.literal(3, I64)
    x = outer.input(0, F3, "x")

    def loop(body):
        return Graph("g", [x], [outer.emit(op("loop"), (n, n, x), (("body", body), ("carried", 1), ("kind", "fori"), ("types", (F3,))))])

    verify(loop(Graph("body", [i, s], [inner.fneg(s)])))
    refused(loop(Graph("body", [i], [inner.fneg(s)])), "an input node is not among the graph's inputs")
    bad = Node(op("fneg"), (s,), (), (array(F64, (3,)),), 9, None)
    refused(loop(Graph("body", [i, s], [bad])), "fneg gives f32[3], but its results are f64[3]")


def test_definitions_of_a_kernel():
    v, w = Value(0, I32), Value(9, I32)
    param = Param(Value(1, I32, "n"))
    iadd = lambda out, a: Instr(op("iadd"), (a, a), (), (out,), loc=HERE)
    ret = Instr(op("return"), ())
    build = lambda *instrs: Kernel("k", (param,), (Block("entry", (), instrs),))
    assert refused(build(iadd(v, param.value), iadd(v, param.value), ret), "is defined twice").place == str(HERE)
    assert refused(build(iadd(v, w), ret), "%9:i32 is not defined").place == str(HERE)
    assert refused(build(iadd(v, v), ret), "does not reach this use").place == str(HERE)
    twice = Kernel("k", (param,), (Block("entry", (), (Instr(op("jump"), (), edges=(Edge(1, (param.value,)),)),)), Block("b", (param.value,), (ret,))))
    refused(twice, "is defined twice in k")
    through = Instr(op("st"), (param.value, param.value), (("to", I32),), (), None, (v,), loc=HERE)
    refused(build(iadd(v, param.value), through, ret), "passthrough values without a guard")


def test_definitions_of_a_tile_program():
    b = TileBuilder("t")
    c = b.i64(1)
    inside = []
    b.loop(c, c, c, (), lambda i: inside.append(b.iadd(i, c)) or ())
    b.loc = HERE
    b.iadd(c, inside[0])
    assert refused(b.finish(), "is not defined here").place == str(HERE)
    b = TileBuilder("t")
    c = b.i64(1)
    b.loop(c, c, c, (c,), lambda i, a: (Value(99, I64),))
    refused(b.finish(), "a region yields %99:i64, which is not defined in it")


def test_the_place_is_the_users():
    b = KernelBuilder("k")
    b.loc = HERE
    n = b.param("n", I32)
    b.iadd(n, n)
    b.ret()
    k = b.finish()
    broken = k.with_blocks((Block("entry", (), (k.blocks[0].instrs[0].replace(op=op("program_id")), *k.blocks[0].instrs[1:])),))
    assert refused(broken, "program_id does not belong").place == str(HERE)
    g = GraphBuilder()
    g.loc = HERE
    x = g.input(0, F3, "x")
    wrong = Node(op("fneg"), (x,), (), (array(F64, (3,)),), 7, HERE)
    assert refused(Graph("g", [x], [wrong]), "fneg gives").place == str(HERE)


# ---- programs -------------------------------------------------------------------------------------------------------

A, OUT, CONST = Buffer("a", F3, "input"), Buffer("out", F3, "output"), Buffer("c", F3, "const", b"\0" * 12)
STRAY, FLAG, WIDE = Buffer("stray", F3, "temp"), Buffer("flag", array(I1, ()), "temp"), Buffer("wide", array(F64, (3,)), "temp")


def copying():
    b = TileBuilder("copy")
    b.pointer("x", F32, access="r")
    b.pointer("y", F32, access="w")
    return b.finish()


def program(*steps):
    return Program("p", (A, OUT, CONST, FLAG, WIDE), (A,), (OUT,), steps)


PROGRAMS = {
    "arguments": (Launch(copying(), (1, 1, 1), (A,)), "launch of copy with 1 arguments for 2 parameters"),
    "stray buffer": (Launch(copying(), (1, 1, 1), (STRAY, OUT)), "@stray:f32[3] does not belong to program p"),
    "element": (Launch(copying(), (1, 1, 1), (A, WIDE)), "copy takes f32s where @wide:f64[3] is passed"),
    "input is written": (Launch(copying(), (1, 1, 1), (OUT, A)), "copy writes the input @a"),
    "constant is written": (Launch(copying(), (1, 1, 1), (A, CONST)), "copy writes the const @c"),
    "copy to an input": (Copy(A, OUT), "program p writes the input @a"),
    "fill of a constant": (Fill(CONST, 0.0), "program p writes the const @c"),
    "in a loop": (Loop((Fill(A, 0.0),), count=2), "program p writes the input @a"),
    "before a loop": (Loop((), cond=FLAG, before=(Copy(CONST, OUT),)), "program p writes the const @c"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    step, words = PROGRAMS[name]
    refused(program(step), words)


def test_the_kernels_of_a_program_are_verified():
    b = TileBuilder("copy")
    b.params, b._current = [], [Instr(op("return"), (), loc=HERE)]
    assert refused(program(Launch(b.finish(), (1, 1, 1), ())), "return does not belong").place == str(HERE)


def test_what_is_good_comes_back():
    for x in (kernel("^0 entry():\nreturn"), tile(""), graph("outputs %x"), program(Launch(copying(), (1, 1, 1), (A, OUT)))):
        assert verify(x) is x
    with pytest.raises(BugError, match="int is not a program"):
        verify(3)


# ---- holes ----------------------------------------------------------------------------------------------------------

HOLES = {
    "edge to no block (IndexError)": lambda: kernel("^0 entry():\njump -> ^7()"),
    "kernel without blocks (IndexError)": lambda: kernel(""),
    "branch with one edge": lambda: kernel("^0 entry():\nbranch %p -> ^1()\n^1 b():\nreturn"),
    "jump with two edges": lambda: kernel("^0 entry():\njump -> ^1(), ^1()\n^1 b():\nreturn"),
    "attribute is missing (KeyError)": lambda: kernel("^0 entry():\n%a: f32 = ld %x\nreturn"),
    "memory space that is none": lambda: kernel('^0 entry():\n%a: f32 = ld %x {space="moon", to=!f32}\nreturn'),
    "attribute of a memory op that is none": lambda: kernel('^0 entry():\n%a: f32 = ld %x {colour="red", to=!f32}\nreturn'),
    "special register that is none": lambda: kernel('^0 entry():\n%a: i32 = sreg {name="tid.q"}\nreturn'),
    "unsigned type below the graph": lambda: kernel("^0 entry():\n%a: u64 = zext %n {to=!u64}\nreturn"),
    "zext that narrows": lambda: kernel("^0 entry():\n%a: i8 = zext %n {to=!i8}\nreturn"),
    "bitcast of another width": lambda: kernel("^0 entry():\n%a: i64 = bitcast %n {to=!i64}\nreturn"),
    "constant of another type": lambda: kernel("^0 entry():\n%a: i32 = constant {type=!i32, value=0x1.8p+0}\nreturn"),
    "carried value of another type": lambda: tile("%r: i64 = for %c, %c, %c, %c\nregion (%i: i64, %a: i1) {\nyield %a\n}"),
    "loop without a region (IndexError)": lambda: tile("for %c, %c, %c"),
    "while yields another type": lambda: tile("%r: i64 = while %c\nregion (%a: i64) {\nyield %a\n}\nregion (%b: i64) {\nyield %p\n}"),
    "offsets that are no i64": lambda: tile("%f: f32 = constant {type=!f32, value=0x0p+0}\n%v: view<f32,1> = view %x, %c, %c\n"
                                            "%l: tile<f32>[4] = load %v, %p, %f {index=((1,),), shape=(4,)}"),
    "axis out of range": lambda: graph('%y: f32[3] = reduce %x {axes=(5,), fn="fadd"}\noutputs %y'),
    "reduction by an op that is none (KeyError)": lambda: graph('%y: f32[] = reduce %x {axes=(0,), fn="nosuch"}\noutputs %y'),
    "reduction of floats by an integer op": lambda: graph('%y: f32[] = reduce %x {axes=(0,), fn="iadd"}\noutputs %y'),
    "literal with too few bytes": lambda: graph('%y: f32[3] = literal {data=x"0000", type=!f32[3]}\noutputs %y'),
    "slice past the end": lambda: graph("%y: f32[30] = slice %x {shape=(30,), start=(0,), step=(1,)}\noutputs %y"),
    "copy from a stray buffer": lambda: program(Copy(OUT, STRAY)),
    "copy between types": lambda: program(Copy(OUT, WIDE)),
    "fill of a stray buffer": lambda: program(Fill(STRAY, 0.0)),
    "check of what is no flag": lambda: program(Check(A, "no")),
    "loop while what is no flag": lambda: program(Loop((), cond=A)),
    "a number where a pointer is due": lambda: program(Launch(copying(), (1, 1, 1), (3, OUT))),
}  # fmt: skip


@pytest.mark.parametrize("name", HOLES)
def test_hole(name):
    refused(HOLES[name]())


def test_nested_regions_see_what_is_around_them():
    verify(tile("for %c, %c, %c\nregion (%i: i64) {\nfor %i, %c, %c\nregion (%j: i64) {\n%a: i64 = iadd %i, %j\nyield\n}\nyield\n}"))
