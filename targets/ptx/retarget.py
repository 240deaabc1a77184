"""PTX for another architecture: the same text with another `.target`.  What the architecture lacks (PTX ISA, "Target ISA Notes") is said with
what it has where `older.py` has a rule, and refused where there is none.

PTX is forward compatible, except for the features of one architecture (`sm_90a`) or family (`sm_100f`).
"""
from __future__ import annotations

import re
from collections.abc import Iterator

from ...ir.errors import UnsupportedError, UserError
from .facts import ARCHS, number
from .lift.core import Place, instructions
from .older import replaced, rule_for
from .syntax import Directive, Function, Instruction, Module

# pattern over the full name of an instruction → lowest architecture, lowest PTX ISA
NEEDS: list[tuple[str, int, str]] = [
    (r"(wgmma|setmaxnreg)", 90, "8.0"), (r"tcgen05", 100, "8.6"),
    (r"cp(\.reduce)?\.async\.bulk", 90, "8.0"), (r"(mapa|getctarank|barrier\.cluster|griddepcontrol|elect)", 90, "7.8"), (r"stmatrix", 90, "7.8"),
    (r"(st|red)\.async", 90, "8.1"), (r"multimem", 90, "8.1"), (r"mbarrier\.(try_wait|arrive\.expect_tx|expect_tx|complete_tx)", 90, "7.8"),
    (r".*shared::cluster", 90, "7.8"), (r"(atom|red).*\.v[248]", 90, "8.1"), (r"atom.*b128", 90, "8.3"),
    (r".*\.(e4m3|e5m2)", 89, "8.1"), (r".*\.(e2m1|e2m3|e3m2|ue8m0)", 100, "8.6"), (r"cvt\.rs", 100, "8.7"), (r".*f32x2", 100, "8.6"),
    (r"redux\.sync\.(min|max)(\.abs)?(\.NaN)?\.f32", 100, "8.6"), (r"(ld|st).*\.v8", 100, "8.8"), (r"(ld|st).*\.b128", 70, "8.3"),
    (r"cp\.async", 80, "7.0"), (r"mbarrier", 80, "7.0"), (r"redux", 80, "7.0"), (r"(createpolicy|applypriority|discard)", 80, "7.4"),
    (r".*bf16", 80, "7.0"), (r".*tf32", 80, "7.0"), (r"(min|max).*f16", 80, "7.0"), (r"fma.*relu", 80, "7.0"), (r"(mma|wmma).*f64", 80, "7.0"),
    (r"mma.*(m16n8k16|m16n8k32|m16n8k64|m16n8k128|m16n8k256|m16n8k4)", 80, "7.0"), (r"(ldmatrix|movmatrix|mma)", 75, "6.5"),
    (r"(tanh|ex2).*f16", 75, "7.0"), (r"tanh", 75, "7.0"), (r"wmma", 70, "6.0"), (r"(match|nanosleep|bmsk|szext)", 70, "6.0"),
    (r"(activemask)", 30, "6.2"), (r"fence", 70, "6.0"), (r"(ld|st|atom|red).*\.(acquire|release|relaxed|acq_rel)", 70, "6.0"), (r"alloca", 52, "7.3"),
]  # fmt: skip
_COMPILED = [(re.compile(p), arch, isa) for p, arch, isa in NEEDS]


def needs(i: Instruction) -> tuple[int, str]:
    """(architecture, PTX ISA) that an instruction asks for at least."""
    arch, isa = 0, "1.0"
    for pattern, a, v in _COMPILED:
        if pattern.match(i.name):
            arch, isa = max(arch, a), max(isa, v, key=_version)
    return arch, isa


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(p) for p in text.split("."))


def retarget(module: Module, arch: str | None, entry: str | None) -> str:
    """The module's text: byte for byte where neither another architecture nor one entry is asked for."""
    if entry is not None and entry not in module.entries:
        raise UserError(f"there is no entry {entry!r} in {module.name}", hint="entries: " + (", ".join(module.entries) or "none"))
    kept = {n for n, f in module.functions.items() if not f.is_entry or entry in (None, n)}
    own = next((t for t in module.target if t.startswith("sm_")), "sm_52")
    isa = module.version
    if arch is not None and arch != own:
        if arch not in ARCHS:
            raise UserError(f"there is no PTX target ptx:{arch}", hint="known: " + ", ".join(f"ptx:{a}" for a in ARCHS))
        if own[-1] in "af" and number(own) != number(arch):
            raise UnsupportedError(f"{module.name} uses features of {own} alone, which {arch} does not have", hint="compile it for a target without a or f")
        isa = max(isa, ARCHS[arch].isa, key=_version)
        for name in kept:
            f = module.functions[name]
            for i in instructions(f.body.items) if f.defined else ():
                least, _ = needs(i)
                if least > number(arch) and rule_for(i, number(arch)) is None:
                    raise UnsupportedError(f"{i.name} needs sm_{least} and has no form for {arch}", place=Place(module.name, i.line, i.column))
    return "".join(_pieces(module, kept, arch if arch != own else None, isa))


def _pieces(module: Module, kept: set[str], arch: str | None, isa: str) -> Iterator[str]:
    gone = [(f.start, f.end) for f in module.items if isinstance(f, Function) and f.name not in kept]
    at = 0
    for node, text in module.pieces():
        start, at = at, at + len(text)
        if any(a <= start < b for a, b in gone):
            continue
        if arch is not None and isinstance(node, Directive) and node.name == "target":
            text = re.sub(r"sm_\d+[af]?", arch, text, count=1)
        elif arch is not None and isinstance(node, Directive) and node.name == "version":
            text = re.sub(r"\d+\.\d+", isa, text, count=1)
        elif arch is not None and isinstance(node, Instruction) and (rule := rule_for(node, number(arch))) is not None:
            text = replaced(node, text, rule)
        yield text
