"""Kernels to LLVM IR for the AMDGPU back end: what `targets/llvm/item.py` leaves to a target.

A block is a work-group, a warp is a wave (32 or 64 lanes), pointers are address space 1, shared memory is LDS (3), a lane's own memory is
scratch (5).  Everything a kernel does not use is said so in its attributes, so that its descriptor asks for no more registers than needed.
Denormals are kept in every format.

Barriers order LDS alone (`!mmra`), where no buffer is both read and written by the kernel: then caches need not be invalidated.
Division and square root of f32 and f64 have no `!fpmath`, so LLVM rounds them correctly; those of f16 go through f32, which rounds the same.
"""
from __future__ import annotations

from collections.abc import Sequence

from ...ir.instr import Instr
from ...ir.kernel import Kernel
from ...ir.types import BF16, F16, Scalar
from ..llvm.compile import Machine, layout_of
from ..llvm.item import Dialect, Item
from ..llvm.ops import NAMES, float_text
from .facts import ARCHS, GROUP, dots
from .matrix import product

TRIPLE = "amdgcn-amd-amdhsa"
# offsets of the implicit arguments (LLVM, "User Guide for AMDGPU Backend", code object V5)
BLOCKS, GROUP_SIZE, DYNAMIC_LDS = {"x": 0, "y": 4, "z": 8}, {"x": 12, "y": 14, "z": 16}, 120
UNUSED = ("dispatch-ptr queue-ptr dispatch-id hostcall-ptr multigrid-sync-arg heap-ptr default-queue completion-action lds-kernel-id "
          "cluster-id-x cluster-id-y cluster-id-z").split()  # fmt: skip
OPTIONAL = [*(f"{r}-{a}" for r in ("workgroup-id", "workitem-id") for a in "xyz"), "implicitarg-ptr"]
SCOPES = {"cta": "workgroup", "cluster": "workgroup", "gpu": "agent", "sys": ""}
LOCAL_ONLY = '!{!"amdgpu-synchronize-as", !"local"}'


def machine(arch: str) -> Machine:
    return Machine(TRIPLE, arch)


class AmdDialect(Dialect):
    """One module for one architecture."""

    triple = TRIPLE
    spaces = {"global": 1, "const": 1, "param": 1, "shared": 3, "local": 5, "generic": 0}
    atomic_notes = ", !amdgpu.no.remote.memory !2, !amdgpu.no.fine.grained.memory !2"  # else minima and maxima are loops of compare-and-swap

    def __init__(self, arch: str) -> None:
        self.arch, self.name = arch, f"amdgpu:{arch}"
        self.a, self.dots = ARCHS[arch], dots(arch)
        self.layout = layout_of(machine(arch))
        self.used: dict[str, set[str]] = {}
        self.groups: list[str] = []

    # ---- the module

    def define(self, e: Item, params: Sequence[str]) -> str:
        used = self.used.setdefault(e.k.name, set())
        size = f"1,{GROUP}" if e.foreign else f"{e.lanes * e.warps},{e.lanes * e.warps}"
        words = [f'"amdgpu-no-{w}"' for w in [*UNUSED, *(w for w in OPTIONAL if w not in used)]]
        text = " ".join(["nounwind", '"no-builtins"', f'"amdgpu-flat-work-group-size"="{size}"', '"uniform-work-group-size"="true"',
                         '"denormal-fp-math"="ieee,ieee"', '"denormal-fp-math-f32"="ieee,ieee"', '"amdgpu-ieee"="true"', *words])  # fmt: skip
        if text not in self.groups:
            self.groups.append(text)
        return f"define amdgpu_kernel void @{e.k.name}({', '.join(params)}) #{self.groups.index(text) + 1}"

    def tail(self, items: Sequence[Item]) -> list[str]:
        return ['attributes #0 = { nounwind alwaysinline "no-builtins" "denormal-fp-math"="ieee,ieee" "denormal-fp-math-f32"="ieee,ieee" }',
                *(f"attributes #{n + 1} = {{ {text} }}" for n, text in enumerate(self.groups)),
                "!llvm.module.flags = !{!0}", f'!0 = !{{i32 1, !"amdhsa_code_object_version", i32 {self.a.cov * 100}}}', f"!1 = {LOCAL_ONLY}", "!2 = !{}"]  # fmt: skip

    def arena(self, e: Item) -> tuple[str, str]:
        """LDS: of a known size for our own kernels; of foreign ones all of it is asked for at the launch."""
        e.arena = f"@{e.k.name}.arena"
        if e.foreign:
            return "", f"{e.arena} = external addrspace(3) global [0 x i8], align 16"
        return "", f"{e.arena} = internal addrspace(3) global [{max(e.k.shared, 1)} x i8] poison, align 16"

    def arena_size(self, e: Item) -> str:
        return e.put(f"load i32, ptr addrspace(4) {self.implicit(e, DYNAMIC_LDS)}, align 4") if e.foreign else str(e.k.shared)

    # ---- arithmetic

    def plain(self, e: Item, i: Instr, name: str, elem: Scalar, out: Scalar, a: list[str]) -> str | None:
        if name in ("fdiv", "fsqrt") and elem is F16:
            wide = [e.to_f32(x, F16, False) for x in a]
            r = e.put(f"fdiv float {wide[0]}, {wide[1]}" if name == "fdiv" else e.call("llvm.sqrt.f32", "float", [("float", wide[0])]))
            return e.from_f32(r, F16, False)
        if name == "fmaxnum" and elem.bits >= 16 and elem is not BF16:
            for x, y in (i.args, i.args[::-1]):
                if e.val(y).const == 0:
                    return self.extreme(e, "maximumnum", self.without_minus_zero(e, a[0] if x is i.args[0] else a[1], elem), elem, 0.0)
        if name in ("imulhi_s", "imulhi_u") and elem.bits == 64:
            return self.high_half(e, name == "imulhi_s", a)
        return None

    def clamped(self, e: Item, a: str, elem: Scalar) -> str | None:
        return self.extreme(e, "minimumnum", self.extreme(e, "maximumnum", self.without_minus_zero(e, a, elem), elem, 0.0), elem, 1.0)

    def extreme(self, e: Item, name: str, a: str, elem: Scalar, bound: float) -> str:
        t = NAMES[elem.name]
        return e.put(e.call(f"llvm.{name}.{elem.name}", t, [(t, a), (t, float_text(elem, bound))]))

    def without_minus_zero(self, e: Item, a: str, elem: Scalar) -> str:
        """The back end makes the modifier `clamp` of a maximum with 0 and a minimum with 1, and that may keep −0: so there is none."""
        return e.put(f"fadd {NAMES[elem.name]} {a}, {float_text(elem, 0.0)}")

    def high_half(self, e: Item, signed: bool, a: list[str]) -> str:
        """Of a 128-bit product, by products of 32 bits."""

        def body(f: Item) -> str:
            (al, ah), (bl, bh) = ((f.put(f"and i64 {x}, 4294967295"), f.put(f"lshr i64 {x}, 32")) for x in ("%a0", "%a1"))
            low, m1, m2, high = (f.put(f"mul i64 {x}, {y}") for x, y in ((al, bl), (al, bh), (ah, bl), (ah, bh)))
            t = f.put(f"add i64 {m1}, {f.put(f'lshr i64 {low}, 32')}")
            u = f.put(f"add i64 {m2}, {f.put(f'and i64 {t}, 4294967295')}")
            r = f.put(f"add i64 {high}, {f.put(f'lshr i64 {t}, 32')}")
            r = f.put(f"add i64 {r}, {f.put(f'lshr i64 {u}, 32')}")
            if signed:
                for x, y in (("%a0", "%a1"), ("%a1", "%a0")):
                    sign = f.put(f"ashr i64 {x}, 63")
                    r = f.put(f"sub i64 {r}, {f.put(f'and i64 {y}, {sign}')}")
            return r

        fn = e.helper(f"mulhi.{'s' if signed else 'u'}64", "i64", ["i64", "i64"], body)
        return e.put(f"call i64 {fn}(i64 {a[0]}, i64 {a[1]})")

    # ---- the launch

    def implicit(self, e: Item, offset: int) -> str:
        self.used.setdefault(e.k.name, set()).add("implicitarg-ptr")
        p = e.put(e.call("llvm.amdgcn.implicitarg.ptr", "ptr addrspace(4)", []))
        return e.put(f"getelementptr i8, ptr addrspace(4) {p}, i64 {offset}") if offset else p

    def thread(self, e: Item, name: str, axis: str) -> str:
        if name in ("tid", "ctaid"):
            word = "workitem" if name == "tid" else "workgroup"
            self.used.setdefault(e.k.name, set()).add(f"{word}-id-{axis}")
            return e.put(e.call(f"llvm.amdgcn.{word}.id.{axis}", "i32", []))
        if name == "nctaid":
            return e.put(f"load i32, ptr addrspace(4) {self.implicit(e, BLOCKS[axis])}, align 4, !invariant.load !{{}}")
        x = e.put(f"load i16, ptr addrspace(4) {self.implicit(e, GROUP_SIZE[axis])}, align 2, !invariant.load !{{}}")
        return e.put(f"zext i16 {x} to i32")

    def clock(self, e: Item, name: str) -> str:
        if name == "clock64":
            return e.put(e.call("llvm.readcyclecounter", "i64", []))
        return e.put(f"mul i64 {e.put(e.call('llvm.readsteadycounter', 'i64', []))}, 10")  # it counts in steps of 10 ns

    # ---- across lanes

    def barrier(self, e: Item) -> None:
        only = "" if shares_buffers(e.k) else ", !mmra !1"
        e.lines.append(f'  fence syncscope("workgroup") release{only}')
        e.lines.append("  " + e.call("llvm.amdgcn.s.barrier", "void", []))
        e.lines.append(f'  fence syncscope("workgroup") acquire{only}')

    def hardware_lane(self, e: Item, lane: str) -> str:
        """The number that the wave gives a lane of the warp."""
        if e.lanes == self.a.lanes:
            return lane
        mine = e.put(e.call("llvm.amdgcn.mbcnt.lo", "i32", [("i32", "-1"), ("i32", "0")]))
        if self.a.wide:
            mine = e.put(e.call("llvm.amdgcn.mbcnt.hi", "i32", [("i32", "-1"), ("i32", mine)]))
        return e.put(f"or i32 {e.put(f'and i32 {mine}, {-e.lanes}')}, {lane}")

    def read_lane(self, e: Item, text: str, lane: str) -> str:
        lane = self.hardware_lane(e, lane)
        if not lane.startswith("%"):
            return e.put(e.call("llvm.amdgcn.readlane.i32", "i32", [("i32", text), ("i32", lane)]))
        return e.put(e.call("llvm.amdgcn.ds.bpermute", "i32", [("i32", e.put(f"shl i32 {lane}, 2")), ("i32", text)]))

    def ballot(self, e: Item, text: str) -> str:
        if e.foreign and self.a.wide:
            raise self.lacks("votes of a warp of 32 lanes")
        if not self.a.wide:
            return e.put(e.call("llvm.amdgcn.ballot.i32", "i32", [("i1", text)]))
        bits = e.put(e.call("llvm.amdgcn.ballot.i64", "i64", [("i1", text)]))  # of our own kernels only whether there are any is asked
        low, high = e.put(f"trunc i64 {bits} to i32"), e.put(f"trunc i64 {e.put(f'lshr i64 {bits}, 32')} to i32")
        return e.put(f"or i32 {low}, {high}")

    def dot4(self, e: Item, a: str, b: str, total: str, signs: str) -> str | None:
        if "dot4mixed" in self.dots:
            args = [("i1", str(signs[0] == "s").lower()), ("i32", a), ("i1", str(signs[1] == "s").lower()), ("i32", b), ("i32", total), ("i1", "false")]
            return e.put(e.call("llvm.amdgcn.sudot4", "i32", args))
        if not self.dots or signs[0] != signs[1]:
            return None
        return e.put(e.call(f"llvm.amdgcn.{signs[0]}dot4", "i32", [("i32", a), ("i32", b), ("i32", total), ("i1", "false")]))

    def collective(self, e: Item, i: Instr) -> list[str] | None:
        return product(e, i) if i.op.name == "mma" else None

    def warp_barrier(self, e: Item) -> None:
        e.lines.append('  fence syncscope("wavefront") release')
        e.lines.append("  " + e.call("llvm.amdgcn.wave.barrier", "void", []))
        e.lines.append('  fence syncscope("wavefront") acquire')

    # ---- memory

    def scope(self, name: str) -> str:
        word = SCOPES[name]
        return f'syncscope("{word}") ' if word else ""


def shares_buffers(k: Kernel) -> bool:
    """Whether lanes may read global memory that others of the block wrote: foreign kernels, and buffers that are read and written."""
    return k.lanes is None or any(p.role == "pointer" and p.access == "rw" for p in k.params)
