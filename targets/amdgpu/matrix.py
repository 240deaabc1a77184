"""Products of a wave as WMMA (RDNA 3, RDNA 4) and MFMA (CDNA): LLVM's intrinsics over the fragments of `ir/fragments.py`.

A fragment's registers are i32 words of packed elements, f32 or f64; an intrinsic takes them as one vector of its own type.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir.fragments import UNITS, Unit
from ...ir.instr import Instr
from ...ir.ops.matrix import count

SCALAR = {"f32": "float", "f64": "double", "s32": "i32"}
ELEMENT = {"f16": "half", "bf16": "i16", "f32": "float", "f64": "double", "i8": "i32"}  # of an operand's vector; bytes stay in their words


def product(e: Any, i: Instr) -> list[str] | None:
    """Result texts of a product by a unit of AMD's; None for those of PTX, which are shuffles.  `e` is the `Item`."""
    name = i.attr("unit")
    if name is None:
        return None
    u = UNITS[name]
    texts = [e.val(v).text for v in i.args[1:]]
    n = count(i.attr("a"), u.shape[0] * u.shape[2] * (2 if u.family == "rdna3" else 1) // u.lanes)
    a, b = (_operand(e, u, words) for words in (texts[:n], texts[n : 2 * n]))
    acc = SCALAR[u.acc]
    c = _vector(e, acc, texts[2 * n :])
    whole = f"<{len(i.results)} x {acc}>"
    if u.family == "mfma":
        call = e.call(f"llvm.amdgcn.mfma.{_mfma(u)}", whole, [a, b, (whole, c), *[("i32", "0")] * 3])
    else:
        signs = [[("i1", str(i.attr(x) == "s8").lower())] * (u.operand == "i8") for x in "ab"]
        types = "".join(f".v{t.split()[0][1:]}{ {'float': 'f32', 'half': 'f16'}.get(t.split()[2][:-1], t.split()[2][:-1])}" for t in (whole, a[0]))
        kind = f"{'i32' if u.acc == 's32' else 'f32'}.16x16x16.{'iu8' if u.operand == 'i8' else u.operand}"
        call = e.call(f"llvm.amdgcn.wmma.{kind}{types}", whole, [*signs[0], a, *signs[1], b, (whole, c), *[("i1", "false")] * (u.operand == "i8")])
    r = e.put(call)
    return [e.put(f"extractelement {whole} {r}, i32 {k}") for k in range(len(i.results))]


def _mfma(u: Unit) -> str:
    """The intrinsic's name, which tells generations apart by its punctuation."""
    k = u.shape[2]
    head = f"{'i32' if u.acc == 's32' else u.acc}.16x16x{k}"
    if u.operand == "i8":
        return head + ("i8" if k == 16 else ".i8")
    if k == 32:
        return f"{head}.{u.operand}"
    return head + u.operand + (".1k" if u.operand == "bf16" and k == 16 else "")


def _vector(e: Any, t: str, texts: Sequence[str]) -> str:
    v = "poison"
    for k, x in enumerate(texts):
        v = e.put(f"insertelement <{len(texts)} x {t}> {v}, {t} {x}, i32 {k}")
    return v


def _operand(e: Any, u: Unit, words: Sequence[str]) -> tuple[str, str]:
    """Type and text of A or B."""
    t = ELEMENT[u.operand]
    if t in ("float", "double"):
        return t, words[0]
    if t == "i32":
        if len(words) == 1:
            return "i32", words[0]
        v = _vector(e, "i32", words)
        if u.family == "mfma" and len(words) == 2:
            return "i64", e.put(f"bitcast <2 x i32> {v} to i64")
        return f"<{len(words)} x i32>", v
    if u.operand == "bf16" and u.family == "mfma" and u.shape[2] == 32:
        t = "bfloat"
    to = f"<{2 * len(words)} x {t}>"
    return to, e.put(f"bitcast <{len(words)} x i32> {_vector(e, 'i32', words)} to {to}")
