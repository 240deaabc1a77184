"""HSA code objects: a linker for the relocatable objects of LLVM's AMDGPU back end, and a reader.

`link(object)` gives what a loader takes: an ELF shared object of three segments, each on pages of its own (offsets and addresses agree
modulo the page),

    R     ELF header, program headers, .note (metadata), .dynsym, .gnu.hash, .hash, .dynstr, read-only data (kernel descriptors)
    RX    .text
    RW    writable data, if any, and .dynamic

with `NAME` and `NAME.kd` of every kernel among the dynamic symbols.  What the back end leaves open are differences of addresses: from a
descriptor to its kernel's code (REL64), and from code to data (REL32 and its halves).  Those are filled in, so the code object has no
relocations of its own; any other kind, and any undefined symbol, is a `BugError` that names it.

`read(code)` gives the kernels with their registers and memory, from descriptors and metadata (LLVM, "User Guide for AMDGPU Backend").
"""
from __future__ import annotations

import struct
from typing import Any, NamedTuple

from ...ir.errors import BugError
from .msgpack import unpack

PAGE = 0x1000
MACHINE = 224  # EM_AMDGPU
EHDR, PHDR, SHDR, SYM, RELA = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ", "<IIQQQQIIQQ", "<IBBHQQ", "<QQq"
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_HASH, SHT_DYNAMIC, SHT_NOTE, SHT_NOBITS, SHT_DYNSYM = 1, 2, 3, 4, 5, 6, 7, 8, 11
SHT_GNU_HASH = 0x6FFFFFF6
WRITE, ALLOC, EXEC = 1, 2, 4
PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_PHDR, PT_GNU_STACK = 1, 2, 4, 6, 0x6474E551
R_REL32, R_REL64, R_REL32_LO, R_REL32_HI = 4, 5, 10, 11
NT_METADATA = 32
KINDS = {0: "none", 1: "ABS32_LO", 2: "ABS32_HI", 3: "ABS64", 6: "ABS32", 7: "GOTPCREL", 8: "GOTPCREL32_LO", 9: "GOTPCREL32_HI", 13: "RELATIVE64"}


class Section:
    """A section of an ELF file: header fields, and its bytes.  `address` is set when it is laid out."""

    __slots__ = ("name", "type", "flags", "data", "size", "link", "info", "align", "entsize", "address", "offset")

    def __init__(self, name: str, type: int, flags: int, data: bytes, *, size: int | None = None, link: int = 0, info: int = 0, align: int = 1,
                 entsize: int = 0) -> None:  # fmt: skip
        self.name, self.type, self.flags, self.data = name, type, flags, data
        self.size = len(data) if size is None else size
        self.link, self.info, self.align, self.entsize = link, info, max(align, 1), entsize
        self.address = self.offset = 0


class Symbol(NamedTuple):
    name: str
    value: int
    size: int
    type: int
    bind: int
    visibility: int
    section: int

    @property
    def exported(self) -> bool:
        """Global or weak, defined, and not hidden (protected is fine: it cannot be preempted)."""
        return self.bind in (1, 2) and self.section != 0 and self.visibility not in (1, 2)


class Elf:
    """An ELF64 little-endian file of the AMDGPU machine, read."""

    def __init__(self, data: bytes) -> None:
        try:
            self._read(data)
        except (struct.error, IndexError, UnicodeDecodeError) as e:
            raise ValueError(f"not an ELF file of an AMD GPU: {e}") from None

    def _read(self, data: bytes) -> None:
        ident, self.type, machine, _, _, _, shoff, self.flags, *_, shentsize, shnum, shstrndx = struct.unpack_from(EHDR, data)
        if ident[:6] != b"\x7fELF\x02\x01" or machine != MACHINE or shentsize != 64:
            raise ValueError("not an ELF file of an AMD GPU")
        self.ident = ident
        raw = [struct.unpack_from(SHDR, data, shoff + 64 * k) for k in range(shnum)]
        self.sections = []
        for _, kind, flags, address, offset, size, link, info, align, entsize in raw:
            body = b"" if kind in (0, SHT_NOBITS) else data[offset : offset + size]
            if kind not in (0, SHT_NOBITS) and len(body) != size:
                raise ValueError("not an ELF file of an AMD GPU: a section lies beyond the end")
            s = Section("", kind, flags, body, size=size, link=link, info=info, align=align, entsize=entsize)
            s.address, s.offset = address, offset
            self.sections.append(s)
        for s, header in zip(self.sections, raw):
            s.name = _string(self.sections[shstrndx].data, header[0])

    def symbols(self, kind: int = SHT_SYMTAB) -> list[Symbol]:
        for s in self.sections:
            if s.type == kind:
                names = self.sections[s.link].data
                return [Symbol(_string(names, n), value, size, info & 15, info >> 4, other & 3, at)
                        for n, info, other, at, value, size in struct.iter_unpack(SYM, s.data)]  # fmt: skip
        return []


def _string(table: bytes, at: int) -> str:
    return table[at : table.index(b"\0", at)].decode()


# ---- linking --------------------------------------------------------------------------------------------------------


class _Strings:
    def __init__(self) -> None:
        self.data, self.at = bytearray(b"\0"), {"": 0}

    def add(self, name: str) -> int:
        found = self.at.get(name)
        if found is None:
            found = self.at[name] = len(self.data)
            self.data += name.encode() + b"\0"
        return found


def _up(n: int, align: int) -> int:
    return -(-n // align) * align


def sysv_hash(name: str) -> int:
    h = 0
    for c in name.encode():
        h = (h << 4) + c
        g = h & 0xF0000000
        h = (h ^ (g >> 24)) & ~g & 0xFFFFFFFF
    return h


def gnu_hash(name: str) -> int:
    h = 5381
    for c in name.encode():
        h = (h * 33 + c) & 0xFFFFFFFF
    return h


def _sysv_table(names: list[str]) -> bytes:
    """One bucket per symbol; names[0] is the null symbol."""
    n = len(names)
    buckets, chains = [0] * n, [0] * n
    for k in range(1, n):
        b = sysv_hash(names[k]) % n
        chains[k], buckets[b] = buckets[b], k
    return struct.pack(f"<{2 + 2 * n}I", n, n, *buckets, *chains)


GNU_SHIFT = 26


def _gnu_buckets(count: int) -> int:
    return max(count // 4, 1)


def _gnu_table(names: list[str]) -> bytes:
    """`names` (without the null symbol) are in order of their buckets."""
    hashes = [gnu_hash(n) for n in names]
    count = _gnu_buckets(len(names))
    words = 1
    while words * 64 < len(names) * 12:
        words *= 2
    bloom = [0] * words
    buckets = [0] * count
    chain = []
    for k, h in enumerate(hashes):
        bloom[h // 64 % words] |= 1 << h % 64 | 1 << (h >> GNU_SHIFT) % 64
        if not buckets[h % count]:
            buckets[h % count] = k + 1
        last = k + 1 == len(hashes) or hashes[k + 1] % count != h % count
        chain.append(h & ~1 | last)
    return struct.pack(f"<4I{words}Q{count}I{len(chain)}I", count, 1, words, GNU_SHIFT, *bloom, *buckets, *chain)


def link(obj: bytes) -> bytes:
    """A relocatable object of the AMDGPU back end as a loadable code object."""
    try:
        elf = Elf(obj)
    except ValueError as e:
        raise BugError(f"the back end's object cannot be read: {e}") from None
    symbols = elf.symbols()
    kept = [s for s in elf.sections if s.flags & ALLOC and (s.size or s.type == SHT_NOTE)]
    notes = [s for s in kept if s.type == SHT_NOTE]
    read_only = [s for s in kept if s.type != SHT_NOTE and not s.flags & (WRITE | EXEC)]
    code = [s for s in kept if s.flags & EXEC]
    writable = [s for s in kept if s.flags & WRITE and s.type != SHT_NOBITS]
    zeroed = [s for s in kept if s.flags & WRITE and s.type == SHT_NOBITS]

    exported = [e for e in symbols if e.exported]
    buckets = _gnu_buckets(len(exported))
    exported.sort(key=lambda e: gnu_hash(e.name) % buckets)
    strings = _Strings()
    names = [e.name for e in exported]
    for name in names:
        strings.add(name)
    dynsym = Section(".dynsym", SHT_DYNSYM, ALLOC, bytes(24 * (len(exported) + 1)), info=1, align=8, entsize=24)
    gnu = Section(".gnu.hash", SHT_GNU_HASH, ALLOC, _gnu_table(names), align=8)
    sysv = Section(".hash", SHT_HASH, ALLOC, _sysv_table(["", *names]), align=4, entsize=4)
    dynstr = Section(".dynstr", SHT_STRTAB, ALLOC, bytes(strings.data))
    dynamic = Section(".dynamic", SHT_DYNAMIC, ALLOC | WRITE, bytes(16 * 7), align=8, entsize=16)

    first = [*notes, dynsym, gnu, sysv, dynstr, *read_only]
    last = [*writable, dynamic, *zeroed]
    headers = 6 + bool(notes)
    # offsets and addresses
    at = struct.calcsize(EHDR) + headers * struct.calcsize(PHDR)
    address = at
    extents = []
    for part in (first, code, last):
        if part is not first:
            at = _up(at, max([s.align for s in part], default=1))
            address = _up(address, PAGE) + at % PAGE
        start = at, address
        for s in part:
            step = _up(address, s.align) - address
            address += step
            if s.type != SHT_NOBITS:
                at = at + step
            s.offset, s.address = at, address
            address += s.size
            if s.type != SHT_NOBITS:
                at += s.size
        extents.append((*start, at - start[0], address - start[1]))

    place = _Places(elf, symbols)
    for table in elf.sections:
        if table.type == SHT_RELA and elf.sections[table.info] in kept:
            _relocate(elf.sections[table.info], table, place)
    dynsym.data = _symbol_table(exported, place, strings, [*first, *code, *last], elf)
    tags = [(6, dynsym.address), (11, 24), (5, dynstr.address), (10, dynstr.size), (0x6FFFFEF5, gnu.address), (4, sysv.address), (0, 0)]
    dynamic.data = b"".join(struct.pack("<QQ", *t) for t in tags)
    return _written(elf, first, code, last, extents, notes, dynamic, symbols, place)


class _Places:
    """Where a symbol ends up."""

    def __init__(self, elf: Elf, symbols: list[Symbol]) -> None:
        self.elf, self.symbols = elf, symbols

    def __call__(self, s: Symbol) -> int:
        if s.section == 0xFFF1:  # absolute
            return s.value
        if s.section == 0 or s.section >= len(self.elf.sections):
            raise BugError(f"the code refers to {s.name!r}, which is defined nowhere")
        home = self.elf.sections[s.section]
        if not home.flags & ALLOC:
            raise BugError(f"the code refers to {s.name!r} in the section {home.name}, which is not loaded")
        return home.address + s.value


def _relocate(section: Section, table: Section, place: _Places) -> None:
    data = bytearray(section.data)
    for offset, info, addend in struct.iter_unpack(RELA, table.data):
        kind, symbol = info & 0xFFFFFFFF, place.symbols[info >> 32]
        value = place(symbol) + addend - (section.address + offset)
        if kind == R_REL64:
            struct.pack_into("<q", data, offset, value)
        elif kind == R_REL32_LO:
            struct.pack_into("<I", data, offset, value & 0xFFFFFFFF)
        elif kind == R_REL32_HI:
            struct.pack_into("<I", data, offset, (value >> 32) & 0xFFFFFFFF)
        elif kind == R_REL32 and -(1 << 31) <= value < 1 << 31:
            struct.pack_into("<i", data, offset, value)
        else:
            raise BugError(f"{section.name}+{offset:#x} needs the relocation {KINDS.get(kind, kind)} to {symbol.name!r}, which a code object of ours does not have")
    section.data = bytes(data)


def _symbol_table(chosen: list[Symbol], place: _Places, strings: _Strings, laid: list[Section], elf: Elf) -> bytes:
    """`laid`: the output's sections in order, number one first."""
    number = {id(s): k + 1 for k, s in enumerate(laid)}
    out = bytes(24)
    for s in chosen:
        home = 0xFFF1 if s.section == 0xFFF1 else number[id(elf.sections[s.section])]
        out += struct.pack(SYM, strings.add(s.name), s.bind << 4 | s.type, s.visibility, home, place(s), s.size)
    return out


def _written(elf: Elf, first: list[Section], code: list[Section], last: list[Section], extents: list[tuple[int, int, int, int]],
             notes: list[Section], dynamic: Section, symbols: list[Symbol], place: _Places) -> bytes:  # fmt: skip
    laid = [*first, *code, *last]
    for s in laid:
        if s.type in (SHT_DYNSYM, SHT_DYNAMIC):
            s.link = next(k + 1 for k, x in enumerate(laid) if x.name == ".dynstr")
        elif s.type in (SHT_HASH, SHT_GNU_HASH):
            s.link = next(k + 1 for k, x in enumerate(laid) if x.type == SHT_DYNSYM)
    # names for tools, after what is loaded
    locals_ = [s for s in symbols if s.bind == 0 and s.name and s.type in (1, 2) and s.section and elf.sections[s.section].flags & ALLOC]
    globals_ = [s for s in symbols if s.exported]
    strings = _Strings()
    symtab = Section(".symtab", SHT_SYMTAB, 0, _symbol_table(locals_ + globals_, place, strings, laid, elf), info=len(locals_) + 1, align=8, entsize=24)
    strtab = Section(".strtab", SHT_STRTAB, 0, bytes(strings.data))
    shstr = _Strings()
    shstrtab = Section(".shstrtab", SHT_STRTAB, 0, b"")
    tail = [symtab, strtab, shstrtab]
    symtab.link = len(laid) + 2
    for s in [*laid, *tail]:
        shstr.add(s.name)
    shstrtab.data = bytes(shstr.data)
    shstrtab.size = len(shstrtab.data)
    at = sum(extents[-1][0:3:2])
    for s in tail:
        at = _up(at, s.align)
        s.offset = at
        at += s.size
    shoff = _up(at, 8)

    (r_at, _, r_size, r_mem), (x_at, x_address, x_size, x_mem), (w_at, w_address, w_size, w_mem) = extents
    count = 6 + bool(notes)
    rows = [(PT_PHDR, 4, 64, 64, count * 56, count * 56, 8),
            (PT_LOAD, 4, 0, 0, r_at + r_size, r_at + r_mem, PAGE),
            (PT_LOAD, 5, x_at, x_address, x_size, x_mem, PAGE),
            (PT_LOAD, 6, w_at, w_address, w_size, w_mem, PAGE),
            (PT_DYNAMIC, 6, dynamic.offset, dynamic.address, dynamic.size, dynamic.size, 8),
            (PT_GNU_STACK, 6, 0, 0, 0, 0, 0)]  # fmt: skip
    if notes:
        end = notes[-1].offset + notes[-1].size
        rows.append((PT_NOTE, 4, notes[0].offset, notes[0].address, end - notes[0].offset, end - notes[0].offset, 4))
    out = bytearray(shoff)
    struct.pack_into(EHDR, out, 0, elf.ident, 3, MACHINE, 1, 0, 64, shoff, elf.flags, 64, 56, count, 64, len(laid) + len(tail) + 1, len(laid) + len(tail))
    for k, (kind, flags, offset, address, size, mem, align) in enumerate(rows):
        struct.pack_into(PHDR, out, 64 + 56 * k, kind, flags, offset, address, address, size, mem, align)
    table = bytes(64)
    for s in [*laid, *tail]:
        if s.type != SHT_NOBITS:
            out[s.offset : s.offset + s.size] = s.data
        flags = s.flags & (WRITE | ALLOC | EXEC)
        table += struct.pack(SHDR, shstr.add(s.name), s.type, flags, s.address, s.offset, s.size, s.link, s.info, s.align,
                             s.entsize if s.type != SHT_PROGBITS else 0)  # fmt: skip
    assert len(out) == shoff
    return bytes(out) + table


# ---- reading --------------------------------------------------------------------------------------------------------


class KernelCode(NamedTuple):
    """One kernel of a code object.  Sizes in bytes; `scratch` per lane; `args`: the metadata's list, hidden ones included.

    vgprs   as allocated by the metadata (on gfx90a and later AGPRs included)       spills  (SGPRs, VGPRs) that were spilt
    entry   address of its code within the loaded object                            rsrc    compute_pgm_rsrc 1, 2, 3, and kernel_code_properties
    """

    name: str
    vgprs: int
    agprs: int
    sgprs: int
    spills: tuple[int, int]
    lds: int
    scratch: int
    kernarg: int
    wave: int
    group: int
    entry: int
    size: int
    rsrc: tuple[int, int, int, int]
    args: list[dict[str, Any]]


class CodeObject(NamedTuple):
    target: str  # amdgcn-amd-amdhsa--gfx1100
    version: tuple[int, int]  # of the metadata: 1.2 is code-object version 5 and 6
    abi: int  # ELFABIVERSION: 3 is version 5, 4 is version 6
    flags: int
    kernels: dict[str, KernelCode]
    metadata: dict[str, Any]
    image: bytes  # as loaded at address 0


def read(code: bytes) -> CodeObject:
    """A linked code object.  ValueError where the bytes are none."""
    elf = Elf(code)
    if elf.type != 3:
        raise ValueError("not a linked code object")
    phoff, phnum = struct.unpack_from("<Q", code, 32)[0], struct.unpack_from("<H", code, 56)[0]
    headers = [struct.unpack_from(PHDR, code, phoff + 56 * k) for k in range(phnum)]
    image = bytearray(max((h[3] + h[6] for h in headers if h[0] == PT_LOAD), default=0))
    for kind, _, offset, address, _, size, _, _ in headers:
        if kind == PT_LOAD:
            image[address : address + size] = code[offset : offset + size]
    metadata: dict[str, Any] = {}
    for kind, _, offset, _, _, size, _, _ in headers:
        if kind == PT_NOTE:
            metadata = _metadata(code[offset : offset + size]) or metadata
    where = {s.name: s for s in elf.symbols(SHT_DYNSYM)}
    kernels = {}
    for m in metadata.get("amdhsa.kernels", []):
        descriptor, body = where.get(m[".symbol"]), where.get(m[".name"])
        if descriptor is None or body is None:
            raise ValueError(f"the kernel {m['.name']} of the metadata has no symbol")
        at = descriptor.value
        lds, scratch, kernarg = struct.unpack_from("<III", image, at)
        entry = at + struct.unpack_from("<q", image, at + 16)[0]
        rsrc3, rsrc1, rsrc2, properties = struct.unpack_from("<IIIH", image, at + 44)
        if entry != body.value:
            raise ValueError(f"the descriptor of {m['.name']} does not lead to its code")
        kernels[m[".name"]] = KernelCode(
            m[".name"], m[".vgpr_count"], m.get(".agpr_count", 0), m[".sgpr_count"], (m.get(".sgpr_spill_count", 0), m.get(".vgpr_spill_count", 0)),
            lds, scratch, kernarg, m[".wavefront_size"], m[".max_flat_workgroup_size"], entry, body.size, (rsrc1, rsrc2, rsrc3, properties),
            m.get(".args", []))  # fmt: skip
    version = metadata.get("amdhsa.version", [0, 0])
    return CodeObject(metadata.get("amdhsa.target", ""), (version[0], version[1]), code[8], elf.flags, kernels, metadata, bytes(image))


def _metadata(notes: bytes) -> dict[str, Any] | None:
    at = 0
    while at + 12 <= len(notes):
        name, size, kind = struct.unpack_from("<III", notes, at)
        at += 12
        owner = notes[at : at + name].rstrip(b"\0")
        at = _up(at + name, 4)
        if owner == b"AMDGPU" and kind == NT_METADATA:
            found = unpack(notes[at : at + size])
            return found if isinstance(found, dict) else None
        at = _up(at + size, 4)
    return None
