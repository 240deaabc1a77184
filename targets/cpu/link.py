"""A linker for one object: x86-64 ELF in, position-independent bytes out.

The object's code and constants are laid out in one block and its relocations against itself are applied.  Anything else, above all
an undefined symbol, is a fault of the emitter (`BugError` names the symbols): a kernel calls nothing outside itself.
"""
from __future__ import annotations

import hashlib
import json
import struct
from typing import NamedTuple

from ...ir.errors import BugError

ALLOC = 2
NOBITS, RELA, SYMTAB = 8, 4, 2
PC32, PLT32, ABS64, GOTPCREL, REX_GOTPCRELX, PC64 = 2, 4, 1, 9, 42, 24
MAGIC = b"pjcpu001"


class Artifact(NamedTuple):
    """Linked code: `code` is position independent; `entries` maps a function's name to its offset.

    kind 'linked' is loaded by ourselves; 'object' holds a relocatable object, for platforms where only LLVM can load it.
    """

    kind: str
    code: bytes
    entries: dict[str, int]

    def to_bytes(self) -> bytes:
        head = json.dumps({"kind": self.kind, "entries": self.entries}, sort_keys=True).encode()
        body = struct.pack("<I", len(head)) + head + self.code
        return MAGIC + hashlib.sha256(body).digest() + body

    @staticmethod
    def from_bytes(data: bytes) -> Artifact:
        """Raises ValueError if the bytes are not exactly what `to_bytes` made."""
        if data[:8] != MAGIC or hashlib.sha256(data[40:]).digest() != data[8:40]:
            raise ValueError("damaged CPU artifact")
        (n,) = struct.unpack_from("<I", data, 40)
        head = json.loads(data[44 : 44 + n])
        return Artifact(head["kind"], data[44 + n :], head["entries"])


class _Section(NamedTuple):
    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    align: int


def link(obj: bytes) -> Artifact:
    """Links one relocatable object."""
    if obj[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", obj, 18)[0] != 62:
        raise BugError("the object to link is not x86-64 ELF")
    sections = _sections(obj)
    block, place = bytearray(), {}
    for n, s in enumerate(sections):
        if s.flags & ALLOC and s.size and not s.name.startswith((".eh_frame", ".note")):
            block += b"\xcc" * (-len(block) % max(s.align, 1))
            place[n] = len(block)
            block += bytes(s.size) if s.type == NOBITS else obj[s.offset : s.offset + s.size]
    symbols = _symbols(obj, sections)
    missing = sorted({name for name, _, where, _ in symbols if where == 0 and name})
    if missing:
        raise BugError(f"a kernel calls functions that are not its own: {', '.join(missing)}")
    for s in sections:
        if s.type == RELA and s.info in place:
            _relocate(obj, s, block, place, symbols)
    entries = {name: place[where] + value for name, kind, where, value in symbols if kind & 15 == 2 and where in place}
    return Artifact("linked", bytes(block), entries)


def _sections(obj: bytes) -> list[_Section]:
    (table,) = struct.unpack_from("<Q", obj, 40)
    size, count, names = struct.unpack_from("<HHH", obj, 58)
    raw = [struct.unpack_from("<IIQQQQIIQQ", obj, table + size * k) for k in range(count)]
    strings = raw[names][4]
    out = []
    for name, kind, flags, _, offset, length, link_, info, align, _ in raw:
        start = strings + name
        out.append(_Section(obj[start : obj.index(b"\0", start)].decode(), kind, flags, offset, length, link_, info, align))
    return out


def _symbols(obj: bytes, sections: list[_Section]) -> list[tuple[str, int, int, int]]:
    """(name, info, section, value) of every symbol."""
    for s in sections:
        if s.type == SYMTAB:
            strings = sections[s.link].offset
            out = []
            for at in range(s.offset, s.offset + s.size, 24):
                name, info, _, where, value, _ = struct.unpack_from("<IBBHQQ", obj, at)
                start = strings + name
                out.append((obj[start : obj.index(b"\0", start)].decode(), info, where, value))
            return out
    return []


def _relocate(obj: bytes, s: _Section, block: bytearray, place: dict[int, int], symbols: list[tuple[str, int, int, int]]) -> None:
    for at in range(s.offset, s.offset + s.size, 24):
        offset, info, addend = struct.unpack_from("<QQq", obj, at)
        kind, (name, _, where, value) = info & 0xFFFFFFFF, symbols[info >> 32]
        if where not in place:
            raise BugError(f"relocation against {name or 'a section'} that was not placed")
        here = place[s.info] + offset
        target = place[where] + value + addend
        if kind in (PC32, PLT32):
            struct.pack_into("<i", block, here, target - here)
        elif kind == PC64:
            struct.pack_into("<q", block, here, target - here)
        else:
            raise BugError(f"relocation of type {kind} against {name}: the code is not position independent")
