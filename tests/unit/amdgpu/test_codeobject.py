"""Linking and reading code objects, beside ld.lld and readelf where they are."""
from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys

import pytest

from ptxjit.ir.errors import BugError
from ptxjit.targets.amdgpu import codeobject
from ptxjit.targets.amdgpu.codeobject import Elf, link, read
from ptxjit.targets.amdgpu.facts import ARCHS
from ptxjit.targets.llvm.compile import Machine, compile_object

IR = """
target triple = "amdgcn-amd-amdhsa"
@lds = internal addrspace(3) global [256 x i32] poison, align 16
@table = internal unnamed_addr addrspace(4) constant [4 x float] [float 1.0, float 2.0, float 3.0, float 5.0], align 16
declare i32 @llvm.amdgcn.workitem.id.x()
declare void @llvm.amdgcn.s.barrier()

define amdgpu_kernel void @first(ptr addrspace(1) %a, i32 %n) #0 {
  %t = call i32 @llvm.amdgcn.workitem.id.x()
  %m = and i32 %t, 3
  %q = getelementptr float, ptr addrspace(4) @table, i32 %m
  %w = load float, ptr addrspace(4) %q
  %l = getelementptr i32, ptr addrspace(3) @lds, i32 %t
  store float %w, ptr addrspace(3) %l
  call void @llvm.amdgcn.s.barrier()
  %other = xor i32 %t, 1
  %k = getelementptr i32, ptr addrspace(3) @lds, i32 %other
  %v = load float, ptr addrspace(3) %k
  %p = getelementptr float, ptr addrspace(1) %a, i32 %t
  store float %v, ptr addrspace(1) %p
  ret void
}
define amdgpu_kernel void @second(ptr addrspace(1) %a) #0 {
  store i32 7, ptr addrspace(1) %a
  ret void
}
attributes #0 = { "amdgpu-flat-work-group-size"="64,64" "uniform-work-group-size"="true" }
!llvm.module.flags = !{!0}
!0 = !{i32 1, !"amdhsa_code_object_version", i32 VERSION}
"""


def compiled(arch, text=IR):
    text = text.replace("VERSION", str(ARCHS[arch].cov * 100))
    return compile_object(text, Machine("amdgcn-amd-amdhsa", arch))


@pytest.mark.parametrize("arch", ARCHS)
def test_what_is_linked_is_read(arch):
    code = read(link(compiled(arch)))
    a = ARCHS[arch]
    assert code.target == f"amdgcn-amd-amdhsa--{arch}" and code.abi == a.cov - 2 and list(code.kernels) == ["first", "second"]
    first, second = code.kernels.values()
    assert first.lds == 1024 and second.lds == 0 and first.wave == second.wave == a.lanes and first.scratch == 0 and first.group == 64
    assert 0 < second.vgprs <= first.vgprs < 32 and first.spills == (0, 0)
    assert [x[".offset"] for x in first.args[:2]] == [0, 8] and first.args[0][".address_space"] == "global"


@pytest.mark.parametrize("arch", ["gfx90a", "gfx1100", "gfx12-generic"])
def test_the_layout(arch):
    """Segments do not share pages, offsets and addresses agree modulo the page, the descriptor leads to the code."""
    code = link(compiled(arch))
    phoff, phnum = struct.unpack_from("<Q", code, 32)[0], struct.unpack_from("<H", code, 56)[0]
    rows = [struct.unpack_from(codeobject.PHDR, code, phoff + 56 * k) for k in range(phnum)]
    loads = [r for r in rows if r[0] == codeobject.PT_LOAD]
    assert [r[1] for r in loads] == [4, 5, 6]
    for kind, flags, offset, address, _, size, memory, align in loads:
        assert offset % align == address % align and size <= memory and offset + size <= len(code)
    for before, after in zip(loads, loads[1:]):
        assert (before[3] + before[6] - 1) // 4096 < after[3] // 4096
    found = read(code)
    for k in found.kernels.values():
        assert k.entry % 256 == 0 and any(r[3] <= k.entry < r[3] + r[5] and r[1] == 5 for r in loads)


def test_references_from_code_to_data_are_filled_in():
    """The code adds the distance to the table to its program counter: the distance that stands there leads to the table."""
    obj = compiled("gfx1100")
    elf = Elf(obj)
    table = next(s for s in elf.sections if s.name == ".rela.text")
    low = next(offset for offset, info, _ in struct.iter_unpack(codeobject.RELA, table.data) if info & 0xFFFFFFFF == codeobject.R_REL32_LO)
    code = read(link(obj))
    first = code.kernels["first"]
    text = min(k.entry for k in code.kernels.values())
    at = text + low
    [distance] = struct.unpack_from("<i", code.image, at)
    counter = at - 4  # s_getpc gives the address of what follows it, which is the s_add whose literal this is
    assert struct.unpack_from("<4f", code.image, counter + distance) == (1.0, 2.0, 3.0, 5.0) and first.entry >= text


def lookup_gnu(code, name):
    """What a loader does with .gnu.hash."""
    elf = Elf(code)
    names = [s.name for s in elf.symbols(codeobject.SHT_DYNSYM)]
    data = next(s.data for s in elf.sections if s.type == codeobject.SHT_GNU_HASH)
    count, first, words, shift = struct.unpack_from("<4I", data)
    bloom = struct.unpack_from(f"<{words}Q", data, 16)
    buckets = struct.unpack_from(f"<{count}I", data, 16 + 8 * words)
    h = codeobject.gnu_hash(name)
    word = bloom[h // 64 % words]
    if not (word >> h % 64) & (word >> (h >> shift) % 64) & 1:
        return None
    k = buckets[h % count]
    while k:
        [c] = struct.unpack_from("<I", data, 16 + 8 * words + 4 * count + 4 * (k - first))
        if c | 1 == h | 1 and names[k] == name:
            return k
        if c & 1:
            return None
        k += 1
    return None


def lookup_sysv(code, name):
    elf = Elf(code)
    names = [s.name for s in elf.symbols(codeobject.SHT_DYNSYM)]
    data = next(s.data for s in elf.sections if s.type == codeobject.SHT_HASH)
    count, chains = struct.unpack_from("<2I", data)
    k = struct.unpack_from("<I", data, 8 + 4 * (codeobject.sysv_hash(name) % count))[0]
    while k and names[k] != name:
        k = struct.unpack_from("<I", data, 8 + 4 * (count + k))[0]
    assert chains == len(names)
    return k or None


@pytest.mark.parametrize("kernels", [1, 3, 40])
def test_names_are_found_through_the_hash_tables(kernels):
    many = "".join(f"define amdgpu_kernel void @k{n}(ptr addrspace(1) %a) {{\n  store i32 {n}, ptr addrspace(1) %a\n  ret void\n}}\n" for n in range(kernels))
    code = link(compiled("gfx1100", many + '!llvm.module.flags = !{!0}\n!0 = !{i32 1, !"amdhsa_code_object_version", i32 VERSION}\n'))
    names = {s.name for s in Elf(code).symbols(codeobject.SHT_DYNSYM)} - {""}
    assert names == {f"k{n}{x}" for n in range(kernels) for x in ("", ".kd")}
    for n in names:
        assert lookup_gnu(code, n) and lookup_gnu(code, n) == lookup_sysv(code, n)
    assert lookup_gnu(code, "none") is None and lookup_sysv(code, "none") is None


def test_an_undefined_function_is_named():
    text = """
declare void @elsewhere()
define amdgpu_kernel void @k() { call void @elsewhere() ret void }
!llvm.module.flags = !{!0}
!0 = !{i32 1, !"amdhsa_code_object_version", i32 VERSION}
"""
    with pytest.raises(BugError, match="elsewhere"):
        link(compiled("gfx1100", text))


def test_what_is_no_code_object():
    obj = compiled("gfx1100")
    for wrong in (b"", b"\x7fELF" + bytes(100), obj[:200], obj):
        with pytest.raises(ValueError):
            read(wrong)
    for wrong in (b"", obj[:300]):
        with pytest.raises(BugError):
            link(wrong)


# ---- beside other tools ---------------------------------------------------------------------------------------------


def lld():
    """A linker for AMD objects, as a command."""
    for name in ("ld.lld-19", "ld.lld"):
        found = shutil.which(name)
        if found:
            return [found]
    try:
        import ziglang  # noqa: F401  the wheel has one
    except ImportError:
        pytest.skip("ld.lld is missing: apt-get install lld-19, or .venv/bin/python -m pip install ziglang")
    return [sys.executable, "-m", "ziglang", "ld.lld"]


@pytest.mark.parametrize("arch", ["gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1201", "gfx9-4-generic", "gfx11-generic"])
def test_beside_lld(arch, tmp_path):
    """The same dynamic symbols, descriptors, metadata, code and distances."""
    command = lld()
    obj = compiled(arch)
    (tmp_path / "k.o").write_bytes(obj)
    done = subprocess.run([*command, "-shared", str(tmp_path / "k.o"), "-o", str(tmp_path / "k.so")], capture_output=True, text=True)
    if done.returncode and "unknown" in done.stderr:
        pytest.skip(f"{command[0]} is too old for {arch}: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    theirs, ours = (tmp_path / "k.so").read_bytes(), link(obj)
    a, b = read(theirs), read(ours)
    assert a.metadata == b.metadata and a.abi == b.abi and a.flags == b.flags and list(a.kernels) == list(b.kernels)
    for k, m in zip(a.kernels.values(), b.kernels.values()):
        assert k._replace(entry=0) == m._replace(entry=0) and (k.entry - m.entry) % 256 == 0
    want, have = ({s.name: s._replace(value=0, section=0) for s in Elf(x).symbols(codeobject.SHT_DYNSYM)} for x in (theirs, ours))
    assert want == have
    table, text = a.image.index(struct.pack("<4f", 1, 2, 3, 5)), min(k.entry for k in a.kernels.values())
    if table - text == b.image.index(struct.pack("<4f", 1, 2, 3, 5)) - min(k.entry for k in b.kernels.values()):  # then the code is the same
        size = next(s.size for s in Elf(ours).sections if s.name == ".text")
        assert a.image[text : text + size] == b.image[min(k.entry for k in b.kernels.values()) :][:size]


def test_readelf_reads_it(tmp_path):
    found = shutil.which("readelf")
    if found is None:
        pytest.skip("readelf is missing: apt-get install binutils")
    file = tmp_path / "k.hsaco"
    file.write_bytes(link(compiled("gfx1100")))
    done = subprocess.run([found, "-W", "-h", "-l", "-S", "-d", "--dyn-syms", "-s", "-n", "-I", str(file)], capture_output=True, text=True)
    assert done.returncode == 0 and "rror" not in done.stderr and "arning" not in done.stderr, done.stderr
    assert "DYN (Shared object file)" in done.stdout and "NT_AMDGPU_METADATA" in done.stdout and "There are no relocations" not in done.stderr
    rows = re.findall(r"^\s*\d+: ([0-9a-f]+)\s+(\d+) (FUNC|OBJECT)\s+GLOBAL (\w+)\s+\d+ (\S+)$", done.stdout, re.M)
    kinds = {(name, kind, visibility) for _, _, kind, visibility, name in rows}
    assert kinds == {("first", "FUNC", "PROTECTED"), ("first.kd", "OBJECT", "DEFAULT"), ("second", "FUNC", "PROTECTED"), ("second.kd", "OBJECT", "DEFAULT")}
    sizes = {name: int(size) for _, size, _, _, name in rows}
    assert sizes["first.kd"] == 64
