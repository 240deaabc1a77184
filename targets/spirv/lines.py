"""Which line of LLVM IR each line of SPIR-V assembly was made from.

The back end prints no source lines for OpenCL, but it goes over the IR in order.  So of each opcode that a function has as often in the IR as its
counterpart in SPIR-V, the n-th is the n-th.  Lines between two that are known, and agree, belong to them; any other stays unknown.
"""
from __future__ import annotations

import re
from typing import Any

SAME = {"fadd": "OpFAdd", "fsub": "OpFSub", "fmul": "OpFMul", "fdiv": "OpFDiv", "frem": "OpFRem", "fneg": "OpFNegate", "add": "OpIAdd", "sub": "OpISub", "mul": "OpIMul",
        "udiv": "OpUDiv", "sdiv": "OpSDiv", "urem": "OpUMod", "srem": "OpSRem", "shl": "OpShiftLeftLogical", "lshr": "OpShiftRightLogical",
        "ashr": "OpShiftRightArithmetic", "xor": "OpBitwiseXor", "or": "OpBitwiseOr", "select": "OpSelect", "phi": "OpPhi", "store": "OpStore", "load": "OpLoad",
        "getelementptr": "OpPtrAccessChain", "sext": "OpSConvert", "fptrunc": "OpFConvert", "atomicrmw": "OpAtomic", "cmpxchg": "OpAtomicCompareExchange",
        "fcmp": "OpF(Un)?[oO]rd", "ret": "OpReturn", "bitcast": "OpBitcast", "zext": "OpUConvert", "trunc": "OpUConvert"}  # fmt: skip


def lines_of(ir: str, origins: list[Any], spirv: str) -> list[Any]:
    """The location of each line of `spirv`, from those of the IR's lines."""
    text = spirv.splitlines()
    out: list[Any] = [None] * len(text)
    names = {m[1]: m[2] for line in text if (m := re.match(r'\s*OpName (%\w+) "([^"]*)"', line))}
    functions: dict[str, list[int]] = {}
    now: list[int] | None = None
    for n, line in enumerate(text):
        m = re.match(r"\s*(%\w+) = OpFunction\b", line)
        if m:
            now = functions.setdefault(names.get(m[1], ""), [])
        elif line.strip() == "OpFunctionEnd":
            now = None
        elif now is not None:
            now.append(n)
    source = ir.splitlines()
    at = 0
    while at < len(source):
        m = re.match(r'define .*?@"?([\w.$]+)"?\(', source[at])
        end = at + 1
        if m:
            while source[end] != "}":
                end += 1
            if m[1] in functions:
                _function([(n, source[n]) for n in range(at + 1, end)], origins, functions[m[1]], text, out)
        at = end
    return out


def _function(ir: list[tuple[int, str]], origins: list[Any], mine: list[int], text: list[str], out: list[Any]) -> None:
    by_op: dict[str, list[int]] = {}
    for n, line in ir:
        m = re.match(r"  (?:%[\w.]+ = )?(\w+)", line)
        if m:
            by_op.setdefault("zext" if m[1] == "trunc" or "__spirv_UConvert" in line else m[1], []).append(n)
    pairs: list[tuple[int, int]] = []
    for name, places in by_op.items():
        pattern = re.compile(rf"\s*(?:%\w+ = )?(?:{SAME[name]})" + ("" if name in ("fcmp", "atomicrmw", "ret") else r"\b")) if name in SAME else None
        found = [n for n in mine if pattern.match(text[n])] if pattern else []
        if len(found) == len(places):
            pairs += zip(found, places)
    pairs.sort()
    last = -1
    known: dict[int, int] = {}
    for n, k in pairs:
        if k >= last:  # in the IR's order
            known[n], last = k, k
    before: int | None = None
    for n in mine:
        if n in known:
            out[n] = origins[known[n]]
            if before is not None and out[n] is not None and out[n] == out[before]:
                out[before:n] = [out[n]] * (n - before)
            before = n
