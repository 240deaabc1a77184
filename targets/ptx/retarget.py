"""PTX for another architecture: the same text with another `.target`.  What the architecture lacks (each row says what it needs) is said with
what it has where `older.py` has a rule, and refused where there is none.

PTX is forward compatible, except for the features of one architecture (`sm_90a`) or family (`sm_100f`).
"""
from __future__ import annotations

import re
from collections.abc import Iterator

from ...ir.errors import UnsupportedError, UserError
from .facts import ARCHS, number
from .lift.core import Place, instructions
from .older import lacked, replaced, rule_for
from .rows.table import VERSION, version_of
from .syntax import Directive, Function, Instruction, Module


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
        isa = max(isa, ARCHS[arch].isa, key=version_of)
        for f in (module.functions[n] for n in kept) if number(arch) <= number(own) else ():
            for i in instructions(f.body.items) if f.defined else ():
                least = lacked(i, arch)
                if least and rule_for(i, arch) is None:
                    unknown = f"is not an instruction of PTX ISA {VERSION}: whether {arch} has it is not known"
                    what = unknown if least == "?" else f"needs {least} and has no form for {arch}"
                    raise UnsupportedError(f"{i.name} {what}", place=Place(module.name, i.line, i.column))
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
        elif arch is not None and isinstance(node, Instruction) and (rule := rule_for(node, arch)) is not None:
            text = replaced(node, text, rule)
        yield text
