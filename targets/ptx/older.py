"""Instructions that an older architecture lacks, said with those that it has.

Each rule takes the operands as they are written and gives PTX text in a scope of its own, so its registers collide with nothing.  What has no
rule is refused by `retarget`.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from .rows.matching import Mismatch, match
from .syntax import Instruction

Rule = Callable[[Instruction, Sequence[str]], list[str]]


def operands_of(text: str) -> list[str]:
    """The operands of a statement, as written."""
    body = re.sub(r"^\s*@!?\S+\s+", "", text.strip().rstrip(";").strip())
    rest = body.split(None, 1)[1] if len(body.split(None, 1)) > 1 else ""
    out, depth, at = [], 0, 0
    for k, c in enumerate(rest):
        depth += (c in "[{(") - (c in ")}]")
        if c == "," and depth == 0:
            out.append(rest[at:k].strip())
            at = k + 1
    return [*out, rest[at:].strip()] if rest.strip() else []


def _copy(i: Instruction, ops: Sequence[str]) -> list[str]:
    """cp.async as a load and a store: complete at once, which the memory model admits."""
    size = int(ops[2], 0)
    if len(ops) == 3:
        words = size // 4
        regs = ", ".join(f"%pj{k}" for k in range(words))
        vec, regs = (f".v{words}", "{" + regs + "}") if words > 1 else ("", regs)
        return [f".reg .b32 %pj<{words}>;", f"ld.global{vec}.b32 {regs}, {ops[1]};", f"st.shared{vec}.b32 {ops[0]}, {regs};"]
    lines = [".reg .b16 %pjb;", ".reg .pred %pjp;"]
    for k in range(size):  # bytes from the source size on are zero
        source, target = (f"[{o.strip()[1:-1].strip()}+{k}]" for o in (ops[1], ops[0]))
        lines += [f"setp.gt.u32 %pjp, {ops[3]}, {k};", "mov.b16 %pjb, 0;", f"@%pjp ld.global.u8 %pjb, {source};", f"st.shared.u8 {target}, %pjb;"]
    return lines


def _nothing(i: Instruction, ops: Sequence[str]) -> list[str]:
    return []


IDENTITY = {"add": "0", "or": "0", "xor": "0", "and": "-1", "min.u32": "-1", "min.s32": "0x7fffffff", "max.u32": "0", "max.s32": "0x80000000"}


def _redux(i: Instruction, ops: Sequence[str]) -> list[str]:
    """redux.sync: every member's value in turn."""
    name, t = i.mods[1], i.mods[-1]
    first = IDENTITY.get(name) or IDENTITY[f"{name}.{t}"]
    lines = [".reg .b32 %pj<5>;", ".reg .pred %pjp;", f"mov.b32 %pj0, {ops[1]};", f"mov.b32 %pj1, {first};", f"mov.b32 %pj3, {ops[2]};"]
    for lane in range(32):
        lines += [f"shfl.sync.idx.b32 %pj2, %pj0, {lane}, 31, %pj3;", f"and.b32 %pj4, %pj3, {1 << lane};", "setp.ne.b32 %pjp, %pj4, 0;",
                  f"@%pjp {name}.{t} %pj1, %pj1, %pj2;"]  # fmt: skip
    return [*lines, f"mov.b32 {ops[0]}, %pj1;"]


def _elect(i: Instruction, ops: Sequence[str]) -> list[str]:
    """elect.sync: the lowest member."""
    d, _, p = ops[0].partition("|")
    lines = [".reg .b32 %pj<3>;", f"bar.warp.sync {ops[1]};", f"brev.b32 %pj0, {ops[1]};", "clz.b32 %pj1, %pj0;", "mov.u32 %pj2, %laneid;"]
    lines += [f"mov.b32 {d.strip()}, %pj1;"] if d.strip() != "_" else []
    return lines + ([f"setp.eq.u32 {p.strip()}, %pj2, %pj1;"] if p.strip() not in ("", "_") else [])


def _pair(i: Instruction, ops: Sequence[str]) -> list[str]:
    """cvt.rn.f16x2.f32: the first operand goes into the upper half."""
    return [".reg .b16 %pj<2>;", f"cvt.rn.f16.f32 %pj0, {ops[2]};", f"cvt.rn.f16.f32 %pj1, {ops[1]};", f"mov.b32 {ops[0]}, {{%pj0, %pj1}};"]


def _bf16_bits(source: str, target: str, k: int) -> list[str]:
    """f32 to bf16 in the low bits of an integer: half to even on the bits, NaN → 0x7FFF."""
    return [f"mov.b32 %pj{k}, {source};", f"shr.u32 %pjt, %pj{k}, 16;", "and.b32 %pjt, %pjt, 1;", "add.u32 %pjt, %pjt, 0x7fff;",
            f"add.u32 {target}, %pj{k}, %pjt;", f"shr.u32 {target}, {target}, 16;", f"mov.b32 %pjf, {source};", "setp.nan.f32 %pjp, %pjf, %pjf;",
            f"selp.b32 {target}, 0x7fff, {target}, %pjp;"]  # fmt: skip


def _bf16(i: Instruction, ops: Sequence[str]) -> list[str]:
    head = [".reg .b32 %pj<4>, %pjt;", ".reg .f32 %pjf;", ".reg .pred %pjp;"]
    if "bf16x2" in i.mods:
        return [*head, *_bf16_bits(ops[2], "%pj2", 0), *_bf16_bits(ops[1], "%pj3", 1), "shl.b32 %pj3, %pj3, 16;", f"or.b32 {ops[0]}, %pj3, %pj2;"]
    return [*head, *_bf16_bits(ops[1], "%pj2", 0), f"cvt.u16.u32 {ops[0]}, %pj2;"]


# pattern over the instruction's full name, the rule; from which architecture on it is there, its row says
RULES: list[tuple[re.Pattern[str], Rule]] = [
    (re.compile(r"cp\.async\.(ca|cg)\.shared(::cta)?\.global(\.L2::\d+B)?$"), _copy),
    (re.compile(r"cp\.async\.(commit_group|wait_group|wait_all)$"), _nothing),
    (re.compile(r"redux\.sync\.(add|min|max|and|or|xor)\.(u32|s32|b32)$"), _redux),
    (re.compile(r"elect\.sync$"), _elect),
    (re.compile(r"cvt\.rn\.f16x2\.f32$"), _pair),
    (re.compile(r"cvt\.rn\.bf16(x2)?\.f32$"), _bf16),
    (re.compile(r"(discard|applypriority)\b"), _nothing),
]


def lacked(i: Instruction, arch: str) -> str:
    """What an instruction asks for (`sm_90`) where an architecture lacks it, else ''; `?` for one that no row has."""
    try:
        need = match(i).need
    except Mismatch:
        return "?"
    return "" if need.met_by(arch) else need.target


def rule_for(i: Instruction, arch: str) -> Rule | None:
    """The rule that replaces an instruction on an architecture that lacks it."""
    rule = next((rule for pattern, rule in RULES if pattern.match(i.name)), None)
    return rule if rule is not None and lacked(i, arch) else None


def replaced(i: Instruction, text: str, rule: Rule) -> str:
    """The statement's text on the older architecture; a guard becomes a branch around it."""
    lines = rule(i, operands_of(text))
    if not lines:
        return f"// {text.strip()}" if "\n" not in text.strip() else ""
    if i.guard is None:
        return "{ // " + " ".join(text.split()) + "\n\t" + "\n\t".join(lines) + "\n\t}"
    sign = "" if i.negated else "!"
    return f"@{sign}{i.guard.name} bra $pj_{i.start};\n\t{{ // " + " ".join(text.split()) + "\n\t" + "\n\t".join(lines) + f"\n\t}}\n$pj_{i.start}:"
