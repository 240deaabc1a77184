"""What a kernel's text consists of: opcodes, and six classes of them.

    memory   loads, stores, atomics, copies        fp     floating-point arithmetic        int    integer arithmetic, logic, comparisons
    move     copies, conversions, selections       control   jumps, calls, returns         sync   barriers, fences, what crosses lanes

Assembly of every family is read line by line.  A text that is no assembly (OpenCL C) is not read: the instructions of the kernel level are counted, and that is said.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ..ir.kernel import Kernel

CLASSES = ("memory", "fp", "int", "move", "control", "sync")
TOP = 12


def _rules(*rules: tuple[str, str]) -> Callable[[str], str]:
    """The class of the first pattern that the whole text of an instruction matches at its beginning."""
    compiled = [(cls, re.compile(pattern)) for cls, pattern in rules]
    return lambda text: next((cls for cls, pattern in compiled if pattern.match(text)), "int")


PTX = _rules(
    ("sync", r"(bar|barrier|membar|fence|shfl|vote|match|redux|activemask|elect|mbarrier|griddepcontrol|nanosleep)\b"),
    ("memory", r"(ld|ldu|st|atom|red|cp|prefetch|prefetchu|tex|tld4|suld|sust|sured|ldmatrix|stmatrix|multimem)\b|wmma\.(load|store)"),
    ("control", r"(bra|brx|ret|exit|call|trap)\b"),
    ("move", r"(mov|cvt|cvta|selp|slct|prmt|movmatrix|isspacep|mapa)\b"),
    ("int", r"w?mma\b\S*\.s32\b"),
    ("fp", r"(mma|wmma|wgmma|tcgen05)\b|\w+[\w.:]*\.(f16|f16x2|bf16|bf16x2|f32|f32x2|f64|tf32)\b"),
)
X86 = _rules(
    ("sync", r"lock\b|[mls]fence\b|xchg\w*\s.*\("),
    ("control", r"j\w+\b|call|ret|ud2"),
    ("memory", r"v?mov(?!d2m|m2|z|s[bwl]|msk)\w*\s.*\(|push|pop|v?pmaskmov|v?p?gather|v?p?scatter|prefetch|v?broadcast\w*\s.*\(|vmaskmov"),
    ("move", r"v?mov|vz|v?p?broadcast|v?p?(shuf|perm|blend|unpck|insert|extract|align|mov)|v?cvt|cmov|vp?expand|vp?compress|kmov|set\w+"),
    ("fp", r"v?f?n?\w*(p|s)[sdh]\b"),
)
AARCH64 = _rules(
    ("sync", r"dmb|dsb|isb|ld\w*xr|st\w*xr|cas|swp|ldadd|ldset|ldclr|ldeor"),
    ("control", r"b\b|b\.|bl\b|blr|br\b|ret|cbn?z|tbn?z"),
    ("memory", r"ld|st|prfm"),
    ("move", r"mov|dup|ins\b|umov|smov|fmov|zip|uzp|trn|ext\b|fcvt|scvtf|ucvtf|csel|bsl|bit\b|bif\b|tbl|rev|sxt|uxt|adrp|cset|fcsel"),
    ("fp", r"f"),
)
AMDGCN = _rules(
    ("sync", r"s_barrier|s_wait|s_sleep|ds_(bpermute|permute|swizzle)|v_readlane|v_writelane|v_readfirstlane|v_permlane|s_sendmsg|buffer_(wb|inv|gl)|\w+_dpp\b"),
    ("control", r"s_(branch|cbranch|endpgm|setpc|swappc|call|trap|nop|delay_alu|clause|code_end)"),
    ("memory", r"s_(load|store|buffer|dcache)|buffer_|global_|flat_|scratch_|ds_|image_|tbuffer_"),
    ("move", r"[sv]_mov|v_cndmask|s_cselect|v_cvt|v_perm|v_accvgpr|s_get|s_set"),
    ("fp", r"v_(mfma|wmma|smfmac|swmmac|pk)?\w*_(f16|f32|f64|bf16)|v_(fma|mac|mad)_"),
)
SPIRV = _rules(
    ("sync", r"Op(ControlBarrier|MemoryBarrier|Group|Subgroup)"),
    ("memory", r"Op(Load|Store|Atomic|CopyMemory)"),
    ("control", r"Op(Branch|Return|FunctionCall|Switch|Unreachable|Kill)"),
    ("fp", r"Op(F(Add|Sub|Mul|Div|Rem|Mod|Negate|Ord|Unord)|ExtInst\b|Unordered|Ordered|IsNan|IsInf|Dot)"),
    ("move", r"Op(Bitcast|[USF]Convert|Convert|SatConvert|Select|Phi|Composite|Vector|Copy|Undef|GenericCast|PtrCast)"),
)
KERNEL = _rules(
    ("sync", r"bar\b|barrier|named_barrier|cluster_barrier|fence|shfl|vote|ballot|match|redux|warp_sync|elect|activemask|mbarrier|async_wait|pause"),
    ("memory", r"ld\b|st\b|atom\b|red\b|copy\b|alloca|printf|report"),
    ("control", r"jump|branch|switch|return|trap|call"),
    ("move", r"select|bitcast|zext|sext|itrunc|fcvt|stof|utof|ftos|ftou|sreg|undef|to_generic|from_generic|is_space"),
    ("fp", r"f|mma|copysign"),
)


def _ptx(text: str, kernel: str) -> Iterator[str]:
    m = re.search(rf"\.entry\s+{re.escape(kernel)}\s*\(", text)
    body = text[text.index("{", m.end()) :].split("\n}", 1)[0] if m else ""
    for line in body.splitlines()[1:]:
        m = re.match(r"\s*(?:@!?%?\w+\s+)?([a-z][\w.:]*)[^:]*;", line)
        if m:
            yield line.strip().partition(" ")[2].lstrip() if line.lstrip().startswith("@") else line.strip()


def _assembly(text: str, kernel: str) -> Iterator[str]:
    name = re.escape(kernel)
    m = re.search(rf"^_?{name}\.lane:", text, re.M) or re.search(rf"^_?{name}:", text, re.M)  # a foreign kernel's lanes on the CPU, or the kernel
    body = re.split(r"^\.?L?func_end\d*|^\s*\.size\s|^\s*\.section\s|^\.Lfunc_end", text[m.end() :], maxsplit=1, flags=re.M)[0] if m else ""
    for line in body.splitlines():
        line = re.sub(r"\s*(//|;|#(?!\d)).*", "", line).strip() if not line.lstrip().startswith("#") else ""
        if line and not line.startswith(".") and not line.endswith(":"):
            yield line


def _spirv(text: str, kernel: str) -> Iterator[str]:
    """Of the kernel's function; helpers that it calls are functions of their own."""
    m = re.search(rf'OpName (%\w+) "{re.escape(kernel)}_?"', text)
    start = re.search(rf"^\s*{m[1]} = OpFunction .*$", text, re.M) if m else None
    body = text[start.end() :].partition("OpFunctionEnd")[0] if start else ""
    for line in body.splitlines():
        line = re.sub(r"^\s*(%\w+ = )?", "", line)
        if line and not re.match(r"Op(Label|FunctionParameter|Variable|Line|NoLine|Name)\b", line):
            yield line


def _dialect(target: str, text: str) -> tuple[Callable[[str, str], Iterator[str]], Callable[[str], str]] | None:
    family = target.partition(":")[0]
    if family == "ptx":
        return _ptx, PTX
    if family == "amdgpu":
        return _assembly, AMDGCN
    if family == "spirv" and "OpFunction" in text:
        return _spirv, SPIRV
    if family == "cpu":
        return _assembly, X86 if re.search(r"%[re]?[abcd]x|%rsp|%[xyz]mm|%rdi", text) else AARCH64
    return None


def mix(target: str, stage: str, text: str, kernel: Kernel) -> dict[str, Any]:
    """`instructions`, their `classes`, the `mix` of the most frequent opcodes, and what was counted (`mix of`)."""
    found = _dialect(target, text)
    if found is None:
        stage, listing, rule = "kernel", [i.op.name for i in kernel.instrs() if i.op.name != "constant"], KERNEL
    else:
        split, rule = found
        listing = list(split(text, kernel.name))
    opcodes: dict[str, int] = {}
    classes = dict.fromkeys(CLASSES, 0)
    for line in listing:
        opcode = re.split(r"[\s;]", line, maxsplit=1)[0]
        opcodes[opcode] = opcodes.get(opcode, 0) + 1
        classes[rule(line)] += 1
    top = sorted(opcodes.items(), key=lambda e: (-e[1], e[0]))[:TOP]
    return {"instructions": len(listing), "classes": classes, "mix": dict(top), "mix of": stage}
