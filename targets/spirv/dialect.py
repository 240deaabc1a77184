"""SPIR-V as a dialect of `targets/llvm/item.py`: OpenCL's kernels, address spaces and builtin functions, for LLVM's spirv64 back end.

Lanes exchange in sub-groups of just their number, where the device has those (SPIR-V 1.3); elsewhere through local memory between two barriers,
several shuffles at once, as in the OpenCL C text.  What LLVM 22's back
end cannot select (it then ends the process) is written out here: min and max that order zeros and NaNs, ldexp, reversal of bits, wrapping
increments, float atomics, and everything of 128 bits.  Foreign kernels get shared memory as a parameter, and its size after it.
"""
from __future__ import annotations

from collections.abc import Sequence

from ...ir.errors import UnsupportedError
from ...ir.instr import Instr
from ...ir.kernel import Kernel
from ...ir.types import F64, I1, SCALARS, Scalar
from ..llvm.collective import Request
from ..llvm.item import Dialect, Item
from ..llvm.ops import float_text
from .opencl_c import DOT4, apart, kernel_name

LAYOUT = "e-i64:64-v16:16-v24:32-v32:32-v48:64-v96:128-v192:256-v256:256-v512:512-v1024:1024-n8:16:32:64-G1"
THREADS = 1024  # most threads of a foreign block
SUBGROUP = 1 << 16  # numbers of metadata: this and the lanes
MANGLED = {"i8": "h", "i16": "t", "i32": "j", "i64": "m", "float": "f", "double": "d", "half": "Dh"}
SIGNED = {"i8": "c", "i16": "s", "i32": "i", "i64": "l"}


def triple(version: str) -> str:
    return f"spirv64v{version}-unknown-unknown"


class SpirV(Dialect):
    """`exact`: the device rounds `/` and sqrt of f32 correctly (asked for when the program is built); `fp64`: it has f64."""

    name = "SPIR-V"
    layout = LAYOUT
    spaces = {"global": 1, "const": 1, "param": 1, "shared": 3, "local": 0, "generic": 4}

    def __init__(self, features: Sequence[str], version: str = "1.2") -> None:
        self.triple = triple(version)
        self.exact, self.fp64, self.subgroups, self.dots = (f in features for f in ("exact", "fp64", "subgroups", "dot4"))
        self.batch = 1 if self.subgroups else 64

    # ---- the module

    def symbol(self, kernel: Kernel) -> str:
        return kernel_name(kernel.name)

    def define(self, e: Item, params: Sequence[str]) -> str:
        size = "" if e.foreign or e.apart else f" !reqd_work_group_size !{e.lanes * e.warps}"
        if self.subgroups and any(i.op.kind == "warp" for i in e.k.instrs()):
            size += f" !intel_reqd_sub_group_size !{SUBGROUP + e.lanes}"
        return f"define spir_kernel void @{e.name}({', '.join(params)}) #0{size}"

    def tail(self, items: Sequence[Item]) -> list[str]:
        sizes = [f"!{n} = !{{i32 {n}, i32 1, i32 1}}" for n in sorted({e.lanes * e.warps for e in items})]
        lanes = [f"!{SUBGROUP + n} = !{{i32 {n}}}" for n in sorted({e.lanes for e in items})]
        return ["attributes #0 = { nounwind }", "attributes #1 = { convergent nounwind }", *sizes, *lanes]

    def apart(self, kernel: Kernel) -> bool:
        return apart(kernel, self.subgroups)

    def arena(self, e: Item) -> tuple[str, str]:
        if not e.foreign:
            return super().arena(e)
        e.arena = "%arena"
        return "ptr addrspace(3) %arena, i32 %arena_size", ""

    def arena_size(self, e: Item) -> str:
        return "%arena_size" if e.arena == "%arena" else str(e.k.shared)

    def globals(self, e: Item) -> list[str]:
        size = THREADS if e.foreign else e.lanes * e.warps
        return [f"@{e.name}.exchange.{w} = internal addrspace(3) global [{count * size} x {w}] undef, align 8" for w, count in e.scratch.items()]

    # ---- calls

    def builtin(self, e: Item, result: str, name: str, args: Sequence[tuple[str, str]], convergent: bool = False) -> str:
        """The right-hand side of a call of a function that the device knows."""
        mark = " #1" * convergent
        e.declared.add(f"declare spir_func {result} @{name}({', '.join(t for t, _ in args)}){mark}")
        return f"call spir_func {result} @{name}({', '.join(f'{t} {x}' for t, x in args)}){mark}"

    def thread(self, e: Item, name: str, axis: str) -> str:
        n = "xyz".index(axis)
        if e.apart and name in ("ctaid", "nctaid"):
            fn, n = ("get_global_id", n + 1) if name == "ctaid" else ("get_global_size", n + 1)
        else:
            fn = {"tid": "get_local_id", "ntid": "get_local_size", "ctaid": "get_group_id", "nctaid": "get_num_groups"}[name]
        wide = e.put(self.builtin(e, "i64", f"_Z{len(fn)}{fn}j", [("i32", str(n))]))
        text = e.put(f"trunc i64 {wide} to i32")
        e.wides[text] = wide
        return text

    def sreg(self, e: Item, name: str) -> str | None:
        if name == "laneid" and not e.foreign and e.warps == 1:
            return self.thread(e, "tid", "x")
        return None

    # ---- arithmetic

    def plain(self, e: Item, i: Instr, name: str, elem: Scalar, out: Scalar, a: list[str]) -> str | None:
        t = e.ty(elem, False)
        if elem.bits == 128 or out.bits == 128:
            raise self.lacks(f"{name} of 128 bits", i)
        if (elem is F64 or out is F64) and not self.fp64:
            raise self.lacks(f"{name} of f64 on a device without it", i)
        if name in ("fdiv", "fsqrt") and elem.name == "f32" and not self.exact:  # twice the bits and two more: rounding twice is rounding once
            if not self.fp64:
                raise UnsupportedError(f"{name} of f32 on a device that neither rounds it correctly nor has f64", place=i.loc)
            wide = [e.put(f"fpext float {x} to double") for x in a]
            r = e.put(f"fdiv double {wide[0]}, {wide[1]}" if name == "fdiv" else e.call("llvm.sqrt.f64", "double", [("double", wide[0])]))
            return e.put(f"fptrunc double {r} to float")
        if name == "itrunc" and out is I1:  # LLVM 22 makes an `and` of two widths of it
            return e.put(f"icmp ne {t} {e.put(f'and {t} {a[0]}, 1')}, 0")
        if name == "frem":  # exact by OpenCL's own table of bounds
            m = MANGLED[t]
            return e.put(self.builtin(e, t, f"_Z4fmod{m}{m}", [(t, a[0]), (t, a[1])]))
        if name in ("imulhi_s", "imulhi_u"):
            m = (SIGNED if name[-1] == "s" else MANGLED)[t]
            return e.put(self.builtin(e, t, f"_Z6mul_hi{m}{m}", [(t, a[0]), (t, a[1])]))
        return None

    def dot4(self, e: Item, a: str, b: str, total: str, signs: str) -> str | None:
        """LLVM makes OpSDot, OpUDot, OpSUDot of the calls, of packed words; `worker.py` admits the extension for modules that have one."""
        if not self.dots:
            return None
        name = DOT4[signs]
        return e.put(f"add i32 {e.put(self.builtin(e, 'i32', f'_Z{len(name)}{name}jj', [('i32', a), ('i32', b)]))}, {total}")

    def intrinsic(self, e: Item, name: str, result: str, args: Sequence[tuple[str, str]]) -> str | None:
        _, op, *types = name.split(".")
        if op in ("minimum", "maximum", "minimumnum", "maximumnum"):
            fn = e.helper(f"{op}.{types[0]}", result, [result] * 2, lambda f: _minmax(f, op, result))
            return f"call {result} {fn}({', '.join(f'{t} {x}' for t, x in args)})"
        if op == "bitreverse":
            fn = e.helper(f"{op}.{types[0]}", result, [result], lambda f: _reversed(f, int(result[1:])))
            return f"call {result} {fn}({result} {args[0][1]})"
        if op in ("fptosi", "fptoui"):  # OpenCL leaves open what a NaN becomes
            kind = types[-1]
            fn = e.helper(f"{op}.{types[1]}.{kind}", result, [args[0][0]], lambda f: _to_integer(f, op == "fptosi", result, args[0][0]))
            return f"call {result} {fn}({args[0][0]} {args[0][1]})"
        if op == "ldexp":
            m = MANGLED[result]
            return self.builtin(e, result, f"_Z5ldexp{m}i", args)
        return None

    def line(self, e: Item, rhs: str) -> str:
        """A narrowing as a call: LLVM 22 folds a trunc into the zext after it, and has an `and` of two widths then."""
        if not rhs.startswith("trunc ") or rhs.endswith(" i1"):
            return rhs
        _, t, x, _, to = rhs.split()
        name = f"__spirv_UConvert_R{ {'i8': 'uchar', 'i16': 'ushort', 'i32': 'uint'}[to]}"
        return self.builtin(e, to, f"_Z{len(name)}{name}{MANGLED[t]}", [(t, x)])

    # ---- across lanes

    def barrier(self, e: Item) -> None:
        """Of the work-group, ordering local and global memory (scope and semantics: work-group; acquire, release, both memories)."""
        e.lines.append("  " + self.builtin(e, "void", "_Z22__spirv_ControlBarrieriii", [("i32", "2"), ("i32", "2"), ("i32", "784")], True))

    def warp_barrier(self, e: Item) -> None:
        if not self.subgroups:
            self.barrier(e)
            return
        e.lines.append("  " + self.builtin(e, "void", "_Z22__spirv_ControlBarrieriii", [("i32", "3"), ("i32", "2"), ("i32", "784")], True))

    def read_lanes(self, e: Item, wanted: Sequence[Request]) -> list[str]:
        """Shuffles of the sub-group; without, each value is written once, where the others see it."""
        if self.subgroups:
            return [e.put(self.builtin(e, w, f"_Z17sub_group_shuffle{MANGLED[w]}j", [(w, x), ("i32", lane)], True)) for w, x, lane in wanted]
        size, used, place = THREADS if e.foreign else e.lanes * e.warps, dict[str, int](), dict[tuple[str, str], str]()
        mine = e.linear()
        for word, text, _ in wanted:
            if (word, text) not in place:
                n = used[word] = used.get(word, -1) + 1
                e.scratch[word] = max(e.scratch.get(word, 0), n + 1)
                place[word, text] = e.put(f"getelementptr i8, ptr addrspace(3) @{e.name}.exchange.{word}, i64 {n * size * int(word[1:]) // 8}")
                p = e.put(f"getelementptr {word}, ptr addrspace(3) {place[word, text]}, i64 {e.put(f'zext i32 {mine} to i64')}")
                e.lines.append(f"  store {word} {text}, ptr addrspace(3) {p}")
        self.barrier(e)
        first = "" if e.lanes * e.warps == e.lanes and not e.foreign else e.put(f"and i32 {mine}, {-e.lanes}")
        out = []
        for word, text, lane in wanted:
            at = e.put(f"add i32 {first}, {lane}") if first else lane
            p = e.put(f"getelementptr {word}, ptr addrspace(3) {place[word, text]}, i64 {e.put(f'zext i32 {at} to i64')}")
            out.append(e.put(f"load {word}, ptr addrspace(3) {p}"))
        self.barrier(e)
        return out

    def ballot(self, e: Item, text: str) -> str:
        word = e.put(f"zext i1 {text} to i32")
        if self.subgroups:
            bits = e.put(self.builtin(e, "<4 x i32>", "_Z16sub_group_balloti", [("i32", word)], True))
            return e.put(f"extractelement <4 x i32> {bits}, i32 0")
        bits = "0"
        for n, x in enumerate(self.read_lanes(e, [Request("i32", word, str(n)) for n in range(e.lanes)])):
            bits = e.put(f"or i32 {bits}, {e.put(f'shl i32 {x}, {n}') if n else x}")
        return bits

    # ---- memory

    def scope(self, name: str) -> str:
        return 'syncscope("workgroup") ' if name == "cta" else 'syncscope("device") ' if name in ("cluster", "gpu") else ""


def _minmax(e: Item, op: str, t: str) -> str:
    """−0 below +0; with `num` a NaN loses, else it wins."""
    word = {"half": "i16", "float": "i32", "double": "i64"}[t]
    low, num = op.startswith("min"), op.endswith("num")
    bits = [e.put(f"bitcast {t} %a{n} to {word}") for n in (0, 1)]
    both = e.put(f"{'or' if low else 'and'} {word} {bits[0]}, {bits[1]}")
    zeros = e.put(f"bitcast {word} {both} to {t}")
    first = e.put(f"fcmp {'olt' if low else 'ogt'} {t} %a0, %a1")
    r = e.put(f"select i1 {first}, {t} %a0, {t} %a1")
    r = e.put(f"select i1 {e.put(f'fcmp oeq {t} %a0, %a1')}, {t} {zeros}, {t} {r}")
    nan0, nan1 = (e.put(f"fcmp uno {t} %a{n}, %a{n}") for n in (0, 1))
    if num:
        r = e.put(f"select i1 {nan1}, {t} %a0, {t} {r}")
        return e.put(f"select i1 {nan0}, {t} %a1, {t} {r}")
    some = e.put(f"or i1 {nan0}, {nan1}")
    return e.put(f"select i1 {some}, {t} {e.put(f'fadd {t} %a0, %a1')}, {t} {r}")


def _to_integer(e: Item, signed: bool, t: str, f: str) -> str:
    """Saturated; a NaN becomes 0."""
    bits, elem = int(t[1:]), SCALARS[{"half": "f16", "float": "f32", "double": "f64"}[f]]
    top, least, most = 2.0 ** (bits - signed), -(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1
    r = e.put(f"fpto{'s' if signed else 'u'}i {f} %a0 to {t}")
    high = e.put(f"fcmp oge {f} %a0, {float_text(elem, top)}")
    low = e.put(f"fcmp ole {f} %a0, {float_text(elem, -top if signed else 0.0)}")
    r = e.put(f"select i1 {high}, {t} {most}, {t} {r}")
    r = e.put(f"select i1 {low}, {t} {least}, {t} {r}")
    return e.put(f"select i1 {e.put(f'fcmp uno {f} %a0, %a0')}, {t} 0, {t} {r}")


def _reversed(e: Item, bits: int) -> str:
    """Neighbours change places: single bits, pairs, fours …"""
    t, x, step = f"i{bits}", "%a0", 1
    while step < bits:
        mask = sum(((1 << step) - 1) << k for k in range(0, bits, 2 * step))
        low = e.put(f"shl {t} {e.put(f'and {t} {x}, {mask}')}, {step}")
        high = e.put(f"and {t} {e.put(f'lshr {t} {x}, {step}')}, {mask}")
        x, step = e.put(f"or {t} {low}, {high}"), 2 * step
    return x

