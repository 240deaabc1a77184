"""The notation of the rows, and what a wrong instruction is told."""
from __future__ import annotations

import pytest

import ptxjit as pj
from ptxjit.errors import BugError, ReadError, UnsupportedError
from ptxjit.targets.ptx.lift import lift
from ptxjit.targets.ptx.parse import read
from ptxjit.targets.ptx.rows.matching import _misfit, match
from ptxjit.targets.ptx.rows.samples import ENTRY, HEAD
from ptxjit.targets.ptx.rows.say import Saying, _pattern
from ptxjit.targets.ptx.rows.table import Need, Section, forms, sections


def section(text):
    s = Section("9.7.0.1", "test", text)
    s.rows()
    return s


def words(s):
    return {".".join(w) for line in s.rows() for w, _ in forms(line)}


def test_sets_groups_and_sub_qualifiers():
    s = section("""
        op{.a.b}.mode{.ss}.type d, a;    // a comment
        .mode = { x, .y };               // with and without a dot
        .ss   = { .shared{::cta, ::cluster} };
        .type = .same = { .u32,
                          .s32 };
    """)
    assert len(words(s)) == 2 * 2 * 4 * 2 and {"x.u32", "a.b.y.shared::cluster.s32"} <= words(s) and not any(w.startswith("a.x") for w in words(s))
    assert s.sets["same"] == s.sets["type"] and s.opcodes == ("op",)


def test_a_set_whose_members_are_two_words():
    s = section("""
        op.kind.b32 d;
        .kind = { .alias, .async.global, .async.shared{::cta} };
    """)
    assert words(s) == {"alias.b32", "async.global.b32", "async.shared.b32", "async.shared::cta.b32"}


def test_conditions():
    s = section("""
        op{.ftz}{.sat}.type d, a{, b};
        .type = { .f32, .f64, .s32 };
        not .sat & .f64 .s32
        only .ftz: .f32
        needs sm_80 7.0
        needs sm_90 8.0: .sat & .ftz, .s32
        needs sm_100a 8.6: b
        later .f64: doubles
    """)
    assert words(s) == {"f32", "ftz.f32", "sat.f32", "ftz.sat.f32", "f64", "s32"}
    [line] = s.rows()
    assert line.need_of(frozenset(("f32",))) == Need((80, ""), (7, 0)) and line.need_of(frozenset(("s32",))).target == "sm_90"
    assert line.need_of(frozenset(("ftz", "sat", "f32"))).version == "8.0" and line.need_of(frozenset(("f32", "b"))).target == "sm_100a"
    assert line.later(frozenset(("f64",))) == "doubles" and line.later(frozenset(("f32",))) == "" and s.partly == ".f64: doubles"


def test_operands():
    s = section("""
        op.b32 d[|p], p|q, [a, c], {x, y}, {!}e, {-}f, g{.sel}, h.sel, [m]{.unified}{, more};
            where d 2xb32, more b64
        .sel = { .b0 };
    """)
    [line] = s.rows()
    kinds = [(o.kind, o.second, o.items, o.sign, o.part, o.optional) for o in line.operands]
    assert kinds == [("value", "?p", (), "", "", False), ("value", "q", (), "", "", False), ("address", "", ("c",), "", "", False),
                     ("vector", "", ("x", "y"), "", "", False), ("value", "", (), "!", "", False), ("value", "", (), "-", "", False),
                     ("value", "", (), "", "?sel", False), ("value", "", (), "", "sel", False), ("address", "", (), "", "", False),
                     ("value", "", (), "", "", True)]  # fmt: skip
    assert words(s) == {"b32", "b32.unified"} and line.where == {"d": "2xb32", "more": "b64"} and line.least == 9
    assert _misfit(line, ("b32",), ("b32",), (2,)) == "9 to 10 operands are expected (d, p, a, x, e, f, g, h, m), not 1"


@pytest.mark.parametrize("need,target,met", [
    (Need(), "sm_75", True), (Need((80, "")), "sm_75", False), (Need((90, "a")), "sm_90", False), (Need((90, "a")), "sm_90a", True),
    (Need((100, "f")), "sm_100a", True), (Need((100, "")), "sm_120", True), (Need((100, "a")), "sm_120", False),
])  # fmt: skip
def test_what_an_architecture_has(need, target, met):
    assert need.met_by(target) is met


def test_order_of_types_and_nothing_else():
    s = section("""
        op{.rn}.f32.f16 d, a;
    """)
    [line] = s.rows()
    assert line.assign(("f32", "rn", "f16")) and line.assign(("f32", "f16", "rn")) and line.assign(("f16", "f32")) is None


def test_a_saying_names_its_line():
    with pytest.raises(BugError, match="no syntax line of add reads add.frob"):
        _pattern(Saying("iadd", "add.frob", "i32", {}, "a b c", False), "s32")
    with pytest.raises(BugError, match="does not have .f32"):
        _pattern(Saying("iadd", "add.type", "i32", {}, "a b c", False), "f32")
    assert _pattern(Saying("x", "mul.mode.type", "i32", {"mode": "hi"}, "b a", False), "u32") == "mul.hi.u32 d, b, a"


def test_sections_are_in_order_and_have_lines():
    numbers = [[int(p) for p in s.number.split(".")] for s in sections()]
    assert numbers == sorted(numbers) and all(s.rows() for s in sections())
    assert len({(s.number, s.name) for s in sections()}) == len(sections()) > 250


# ---- what a wrong instruction is told ---------------------------------------------------------------------------------


def refusal(statement, version="9.1"):
    text = HEAD.format(version=version, target="sm_100a") + ENTRY.format(n=0, quad="", extra="", sample=statement + ";")
    with pytest.raises((ReadError, UnsupportedError)) as e:
        pj.load_ptx(text)["k0"].compile()
    return e.value


@pytest.mark.parametrize("statement,message,hint", [
    ("shfll.sync %r0, %r1, %r2", "shfll.sync is not an instruction that this version knows (PTX ISA 9.1)", "did you mean shfl"),
    ("add.s33 %r0, %r1, %r2", "add.s33: one of .u16, .u32, .u64, .s16, .s32, .s64 is missing and .s33 is not known here", "PTX ISA 9.7.1.1: add.type d, a, b"),
    ("add %r0, %r1, %r2", "add: one of .u16, .u32, .u64, .s16, .s32, .s64 is missing", "9.7.1.1"),
    ("add.rn.s32 %r0, %r1, %r2", "add.rn.s32: .rn is not known here", "9.7.1.1"),
    ("add.s32 %r0, %r1", "add.s32: 3 operands are expected (d, a, b), not 2", "9.7.1.1"),
    ("fma.f32 %f0, %f1, %f2, %f3", "fma.f32: one of .rn, .rz, .rm, .rp is missing", "9.7.3.6: fma.rnd{.ftz}{.sat}.f32 d, a, b, c  (.rnd = .rn, .rz, .rm, .rp)"),
    ("cvt.f16.f32 %h0, %f1", "cvt.f16.f32: one of .rn, .rz, .rm, .rp is missing", "9.7.9.21"),
    ("cvt.rn.f32.f16 %f0, %h1", "cvt.rn.f32.f16: .rn is not known here", "9.7.9.21: cvt{.ftz}{.sat}.f32.f16 d, a"),
    ("setp.lo.s32 %p0, %r1, %r2", "setp.lo.s32: one of .u16, .u32, .u64 is missing and .s32 is not known here", "9.7.6.2: setp.uCmp.utype"),
    ("ld.global.v2.u32 {%r0, %r1, %r2}, [%rd0]", "ld.global.v2.u32: operand 1 (d) must have 2 registers, not 3", "9.7.9.8"),
    ("ld.global.u32 %r0, %rd0", "ld.global.u32: operand 2 (a) must be an address", "9.7.9.8"),
    ("ld.global.v8.u8 {%h0, %h1, %h2, %h3, %h4, %h5, %h6, %h7}, [%rd0]", "ld.global.v8.u8: .v8, .u8 do not go together", "9.7.9.8"),
    ("st.shared.L2::cache_hint.b32 [smem], %r1, %rd1", "st.shared.L2::cache_hint.b32: .shared, .L2::cache_hint do not go together", "9.7.9.11"),
    ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1}, {%r4, %r5}, {%f4, %f5, %f6, %f7}",
     "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32: operand 2 (a) must have 4 registers, not 2", "9.7.14.5.14"),
    ("selp.b32 %r0, %r1, %r2, !%p0", "selp.b32: operand 4 (c) cannot be negated", "9.7.6.3"),
    ("setp.eq.f16x2 %p0, %r1, %r2", "setp.eq.f16x2: operand 1 (p) must be a pair", "9.7.7.2"),
])  # fmt: skip
def test_what_a_wrong_instruction_is_told(statement, message, hint):
    e = refusal(statement)
    assert isinstance(e, ReadError) and e.message == message and hint in e.hint and statement in e.excerpt


def test_a_newer_module_is_not_blamed():
    e = refusal("add.sat.u32 %r0, %r1, %r2", version="9.3")
    assert isinstance(e, UnsupportedError) and e.message == "add.sat.u32: .sat is not known here (the rows are those of PTX ISA 9.1, this module is of 9.3)"


def test_forms_of_old_modules():
    """`mad.f32` without a rounding is `mad.rn.f32`, and gone after PTX ISA 3.1."""
    old = HEAD.format(version="3.1", target="sm_20")
    for sample in ("mad.f32 %f0, %f1, %f2, %f3", "mad.rn.f32 %f0, %f1, %f2, %f3"):
        assert "ffma" in str(lift(read(old + ENTRY.format(n=0, quad="", extra="", sample=sample + ";"), "x"), "k0").kernel)
    e = refusal("mad.f32 %f0, %f1, %f2, %f3", version="3.2")
    assert isinstance(e, ReadError) and e.message == "mad.f32: PTX ISA has this form until 3.1 only" and e.hint == "this module is of 3.2"


def test_what_is_not_executed_says_why():
    e = refusal("tcgen05.dealloc.cta_group::1.sync.aligned.b32 %r1, 32")
    assert isinstance(e, UnsupportedError) and e.message == "tcgen05.dealloc.cta_group::1.sync.aligned.b32 is not executed yet: tensor memory"
    assert e.place.startswith("<ptx>:")


def test_a_match_is_remembered():
    f = read(HEAD.format(version="9.1", target="sm_90") + ENTRY.format(n=0, quad="", extra="", sample="add.s32 %r0, %r1, %r2; add.s32 %r3, %r4, %r5;"), "x")
    i, j = [i for i in f.functions["k0"].body.items if getattr(i, "opcode", "") == "add"]
    assert match(i) is match(j) and match(i).line.text == "add.type d, a, b"
