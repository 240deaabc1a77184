"""The variable that a call's result is assigned to, read from the caller's bytecode: `e = np.exp(x)` names the node `e`."""
from __future__ import annotations

import dis
from types import CodeType

_STORES = ("STORE_FAST", "STORE_NAME", "STORE_DEREF", "STORE_GLOBAL")
_known: dict[CodeType, dict[int, str]] = {}


def name_at(code: CodeType, offset: int) -> str | None:
    """The variable that takes the result of the instruction at `offset`, or None."""
    names = _known.get(code)
    if names is None:
        names = _known[code] = _names(code)
    return names.get(offset)


def _names(code: CodeType) -> dict[int, str]:
    out = {}
    before = None
    for i in dis.get_instructions(code):
        if before is not None and i.opname.startswith(_STORES):
            name = i.argval[0] if isinstance(i.argval, tuple) else i.argval  # two stores in one instruction, from Python 3.13 on
            if isinstance(name, str) and name.isascii() and name.isidentifier() and name != "_":
                out[before] = name
        if i.opname != "CACHE":
            before = i.offset
    return out
