"""Kernels to OpenCL C 1.2: one `__kernel` each, one work-item per lane, one work-group per block.

A value is a typed local with the user's name; integers are unsigned, narrow floats are integers of their bits.  Control flow becomes `if` and
`for (;;)` where it nests, else labels and `goto`.  Block parameters are variables, assigned together on the edges.  An address that
comes from a pointer parameter stays a byte pointer, so that the compiler knows what it reaches; any other is an integer.

Nothing is left to the device's mathematics: functions that OpenCL defines exactly (`fma`, `floor`, `rint` …) are called, the rest is
written out.  Where a device does not divide f32 exactly, it does so in f64.  Shuffles go through local memory between two barriers, as many
at once as do not need one another.
"""
from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.analysis import post_dominators
from ...ir.errors import UnsupportedError
from ...ir.instr import Block, Edge, Instr, Value
from ...ir.kernel import Kernel
from ...ir.passes.cleanup import reverse_post_order
from ...ir.softfloat import narrow
from ...ir.types import F32, F64, I1, I8, I16, I32, I64, Scalar

TYPES = {"i1": "bool", "i8": "uchar", "i16": "ushort", "i32": "uint", "i64": "ulong", "f16": "ushort", "bf16": "ushort",
         "f32": "float", "f64": "double", "f8e4m3": "uchar", "f8e5m2": "uchar"}  # fmt: skip
SIGNED = {"i8": "char", "i16": "short", "i32": "int", "i64": "long"}
SUFFIX = {"i8": "", "i16": "", "i32": "u", "i64": "ul"}
INFIX = {"fadd": "+", "fsub": "-", "fmul": "*", "iadd": "+", "isub": "-", "imul": "*", "and": "&", "or": "|", "xor": "^"}
CALLS = {"ffma": "fma", "ffloor": "floor", "fceil": "ceil", "ftrunc": "trunc", "frint": "rint", "fabs": "fabs", "copysign": "copysign"}
DOT4 = {s: f"dot_4x8packed_{s}_{'uint' if s == 'uu' else 'int'}" for s in ("ss", "su", "us", "uu")}  # of cl_khr_integer_dot_product, in OpenCL C 3.0
COMPARE = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
ATOMICS = {"iadd": ("add", 0), "and": ("and", 0), "or": ("or", 0), "xor": ("xor", 0), "imin_s": ("min", 1), "imax_s": ("max", 1),
           "imin_u": ("min", 0), "imax_u": ("max", 0), "exch": ("xchg", 0), "cas": ("cmpxchg", 0)}  # fmt: skip
BATCH = 64  # shuffles between two barriers
RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return short "
    "signed sizeof static struct switch typedef union unsigned void volatile while bool half uchar ushort uint ulong size_t ptrdiff_t intptr_t "
    "uintptr_t true false kernel global local constant private generic complex imaginary quad pipe read_only write_only read_write image2d_t "
    "event_t sampler_t fma floor ceil trunc rint fabs copysign min max popcount clz mul_hi barrier sqrt lid lane warp arena main NULL INFINITY NAN "
    "report".split())  # fmt: skip

# ---- helpers, as text; what one needs comes before it -----------------------------------------------------------------

_NARROW = """static inline {u} to_{name}(float x)
{{ /* to nearest even on the bits; small results by an addition that leaves just their bits */
    const uint bits = as_uint(x), size = bits & 0x7fffffffu, moved = size - {rebase}u;
    const uint normal = min((moved + ((moved >> {shift}) & 1u) + {half}u) >> {shift}, {top}u);
    const uint small = as_uint(as_float(size) + as_float({unit}u)) - {unit}u;
    const uint r = size > 0x7f800000u ? {nan}u : size < {least}u ? small : normal;
    return ({u})(r | ((bits >> {sign}) & {signbit}u));
}}"""


def _narrowing(t: Scalar) -> str:
    bias, shift = (1 << (t.ebits - 1)) - 1, 23 - t.mant
    e4m3 = t.name == "f8e4m3"
    top = 0x7F if e4m3 else ((1 << t.ebits) - 1) << t.mant
    numbers = {"rebase": hex((127 - bias) << 23), "shift": shift, "half": hex((1 << (shift - 1)) - 1), "top": hex(top),
               "unit": hex((127 + 24 - bias - t.mant) << 23), "nan": hex(top if e4m3 else top | 1 << (t.mant - 1)),
               "least": hex((128 - bias) << 23), "sign": 32 - t.bits, "signbit": hex(1 << (t.bits - 1))}  # fmt: skip
    return _NARROW.format(u=TYPES[t.name], name=t.name, **numbers)


def _widening(t: Scalar) -> str:
    """The bits in the place of an f32's, times the quotient of the biases."""
    bias, top = (1 << (t.ebits - 1)) - 1, 0x7F if t.name == "f8e4m3" else ((1 << t.ebits) - 1) << t.mant
    special = "r = 0x7fc00000u;" if t.name == "f8e4m3" else f"r = 0x7f800000u | (size << {23 - t.mant});"
    return (f"static inline float from_{t.name}({TYPES[t.name]} x)\n{{\n"
            f"    const uint size = x & {hex((1 << (t.bits - 1)) - 1)}u;\n"
            f"    uint r = as_uint(as_float(size << {23 - t.mant}) * 0x1p{127 - bias}f);\n"
            f"    if (size >= {hex(top)}u) {special}\n"
            f"    return as_float(r | ((uint)(x >> {t.bits - 1}) << 31));\n}}")  # fmt: skip


def _minmax(name: str, t: str) -> str:
    """−0 below +0; `num`: a NaN loses, else it wins."""
    word = "uint" if t == "float" else "ulong"
    low, num = name.startswith("fmin"), name.endswith("num")
    zeros = "|" if low else "&"
    least = f"a == b ? as_{t}(as_{word}(a) {zeros} as_{word}(b)) : a {'<' if low else '>'} b ? a : b"
    result = f"a != a ? b : b != b ? a : {least}" if num else f"((a != a) | (b != b)) ? a + b : {least}"
    return f"static inline {t} {name}_{t}({t} a, {t} b)\n{{\n    return {result};\n}}"


def _to_integer(name: str, t: str, out: Scalar) -> str:
    signed, u = name == "ftos", TYPES[out.name]
    f = "f" if t == "float" else ""
    if signed:
        s, half = SIGNED[out.name], out.bits - 1
        return (f"static inline {u} {name}{out.bits}_{t}({t} x)\n{{ /* saturates; NaN gives 0 */\n"
                f"    if (x >= 0x1p{half}{f}) return ({u}){hex((1 << half) - 1)}{SUFFIX[out.name]};\n"
                f"    if (!(x > -0x1p{half}{f})) return x != x ? 0 : ({u}){hex(1 << half)}{SUFFIX[out.name]};\n"
                f"    return ({u})({s})x;\n}}")  # fmt: skip
    return (f"static inline {u} {name}{out.bits}_{t}({t} x)\n{{ /* saturates; NaN gives 0 */\n"
            f"    if (x >= 0x1p{out.bits}{f}) return ({u})~({u})0;\n    return x > 0 ? ({u})x : 0;\n}}")  # fmt: skip


ODD = """static inline float to_odd(double x)
{ /* rounded to odd, so that a second rounding is right */
    const float near = (float)x;
    const double back = (double)near;
    const uint bits = as_uint(near) - (fabs(back) > fabs(x) ? 1u : 0u);
    return as_float(bits | (back < x || back > x ? 1u : 0u));
}"""
TO_BF16 = """static inline ushort to_bf16(float x)
{
    const uint bits = as_uint(x);
    if (x != x) return (ushort)((bits >> 16) | 64u);
    return (ushort)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}"""


def literal(elem: Scalar, value: Any) -> str:
    """A constant of the type."""
    if elem is I1:
        return "true" if value else "false"
    if not elem.is_float:
        v = int(value) & ((1 << elem.bits) - 1)
        return f"{v if v < 1 << 20 else hex(v)}{SUFFIX[elem.name]}"
    value = float(value)
    if elem is not F64:
        with np.errstate(over="ignore"):
            rounded = narrow(np.array([value], np.float64), elem)
        if elem.bits <= 16:
            return hex(int(rounded.view(f"u{elem.bytes}")[0]))
        if np.isfinite(rounded[0]):
            text = repr(rounded[0].item())
            short = str(rounded[0])
            return f"{short if '.' in short or 'e' in short else short + '.0'}f" if np.float32(short) == rounded[0] else text + "f"
        return f"as_float({hex(int(rounded.view('u4')[0]))}u)"
    if value == value and abs(value) != float("inf"):
        return repr(value)
    return f"as_double({hex(struct.unpack('<Q', struct.pack('<d', value))[0])}ul)"


class _Irregular(Exception):
    """Control flow that does not nest."""


def kernel_name(name: str) -> str:
    """OpenCL C's builtin functions share one space with kernels: ours end in an underscore."""
    return f"{name}_"


def apart(kernel: Kernel, subgroups: bool = False) -> bool:
    """Whether no lane needs another (or only those of its sub-group): then a work-group may hold several blocks, side by side in dimension 1."""
    if kernel.shared:
        return False
    if subgroups:
        return all(i.op.kind != "machine" or i.op.name in ("ld", "st", "red", "atom", "report") for i in kernel.instrs()
                   ) and not any(i.op.name == "sreg" and i.attr("name") in ("ctaid.z", "nctaid.z") for i in kernel.instrs())  # fmt: skip
    return all(i.op.kind == "lane" or i.op.name in ("constant", "ld", "st", "red", "atom", "report", "undef", "jump", "branch", "return")
               or i.op.name == "sreg" and i.attr("name") not in ("ctaid.z", "nctaid.z") for i in kernel.instrs())  # fmt: skip


class Signature:
    """What who launches must know: per parameter 'pointer' or its type, work-items of a block (0: any), bytes of static local memory, whether blocks are
    `apart`, and whether an arena with its size and an error word follow."""

    def __init__(self, kernel: Kernel) -> None:
        foreign = kernel.lanes is None
        self.name, self.shared = kernel_name(kernel.name), kernel.shared
        self.params = ["pointer" if p.role == "pointer" else p.value.type.elem.name for p in kernel.params]
        self.local = 0 if foreign else (kernel.lanes or 1) * (kernel.warps or 1)
        self.apart = not foreign and apart(kernel)
        names = {i.op.name for i in kernel.instrs()}
        self.arena = foreign and uses_arena(kernel)
        self.reports = "report" in names or foreign and "trap" in names

    def json(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("name", "params", "local", "shared", "apart", "arena", "reports")}


def uses_arena(kernel: Kernel) -> bool:
    """Whether a foreign kernel touches the block's shared memory."""
    return bool(kernel.shared) or any("shared" in (i.attr("space"), i.attr("from"), i.attr("to")) or i.attr("space") == "cluster" for i in kernel.instrs())


class _Line(str):
    """A line, and the location that it comes from."""

    loc: Any = None


class _Write:
    """One kernel."""

    shuffle = "shfl"  # the op that is exchanged many at once

    def __init__(self, kernel: Kernel, helpers: dict[str, str], features: Sequence[str]) -> None:
        self.k, self.helpers, self.features = kernel, helpers, features
        self.lanes, self.warps, self.apart = kernel.lanes or 1, kernel.warps or 1, apart(kernel)
        self.size = self.lanes * self.warps
        self.names: dict[int, str] = {}
        self.pointers = self.find_pointers()
        self.lines: list[str] = []
        self.loc: Any = None  # of the instruction that is being written
        self.origins: list[Any] = []  # of each line of the result
        self.depth, self.opened = 1, 0
        self.scope: tuple[int, ...] = ()
        self.visited: set[int] = set()
        self.loops: list[tuple[int, int | None]] = []
        self.top: set[int] = set()
        self.hoisted: set[int] = set()
        self.scopes: dict[int, tuple[int, ...]] = {}
        self.exchanged: dict[str, int] = {}
        self.specials: dict[str, None] = {}
        taken = set(RESERVED)
        for p in kernel.params:
            hint = _word(p.value.name) or f"p{p.value.id}"
            while hint in taken:
                hint += "_"
            taken.add(hint)
            self.names[p.value.id] = hint
        self.taken = taken
        self.consts = {i.result.id: i for i in kernel.instrs() if i.op.name == "constant"}

    def find_pointers(self) -> set[int]:
        found = {p.value.id for p in self.k.params if p.role == "pointer"}
        for n in reverse_post_order(self.k):
            for i in self.k.blocks[n].instrs:
                if i.op.name == "iadd" and sum(a.id in found for a in i.args) == 1:
                    found.add(i.result.id)
        return found

    # ---- text

    def put(self, line: str) -> None:
        made = _Line("    " * self.depth + line)
        made.loc = self.loc
        self.lines.append(made)

    def name(self, v: Value) -> str:
        found = self.names.get(v.id)
        if found is None:
            hint = _word(v.name)
            found = f"{hint}_{v.id}" if hint else f"v{v.id}"
            self.names[v.id] = found
        return found

    def use(self, v: Value) -> str:
        """The value as a number."""
        c = self.consts.get(v.id)
        if c is not None:
            return literal(v.type.elem, c.attr("value"))
        self.note(v)
        text = self.name(v)
        return f"(ulong){text}" if v.id in self.pointers else text

    def note(self, v: Value) -> None:
        """A value read outside of the braces of its definition is declared at the top."""
        where = self.scopes.get(v.id)
        if where is not None and self.scope[: len(where)] != where:
            self.hoisted.add(v.id)

    def type(self, v: Value) -> str:
        return "__global uchar*" if v.id in self.pointers else self.ctype(v.type.elem)

    def ctype(self, elem: Scalar) -> str:
        found = TYPES.get(elem.name)
        if found is None:
            raise UnsupportedError(f"{elem} in OpenCL C")
        return found

    def define(self, v: Value, text: str) -> None:
        self.scopes[v.id] = self.scope
        if v.id in self.top:
            self.put(f"{self.name(v)} = {text};")
        else:
            self.put(f"const {self.type(v)} {self.name(v)} = {text};" if v.id not in self.pointers else f"{self.type(v)} const {self.name(v)} = {text};")

    def helper(self, name: str, text: str) -> str:
        self.helpers.setdefault(name, text)
        return name

    def special(self, name: str) -> str:
        """`lid`, `lane`, `warp`: declared at the top where used."""
        self.specials[name] = None
        return name

    # ---- the kernel

    def run(self) -> str:
        k = self.k
        for attempt in range(3):
            self.lines, self.depth, self.scope, self.opened = [], 1, (), 0
            self.scopes, self.loops = {}, []
            self.visited.clear()
            self.exchanged, self.specials = {}, {}
            before = set(self.hoisted)
            try:
                self.structured(0, None)
                if self.hoisted <= self.top:
                    break
            except _Irregular:
                self.labelled()
                break
            self.top = set(self.hoisted)
            assert attempt < 2 or self.hoisted == before
        body = self.lines
        self.lines, self.depth, self.loc = [], 1, None
        self.preamble()
        for t, count in self.exchanged.items():
            self.put(f"__local {t} exchange_{t}[{count * self.size}];")
        named: dict[str, list[str]] = {}
        for b in k.blocks:
            for v in b.params:
                named.setdefault(self.type(v), []).append(self.name(v))
            for i in b.instrs:
                for v in i.results:
                    if v.id in self.top and v.id not in self.consts:
                        named.setdefault(self.type(v), []).append(self.name(v))
        for t, names in named.items():
            if t.endswith("*"):
                names = [names[0], *("*" + n for n in names[1:])]
            for at in range(0, len(names), 12):
                self.put(f"{t if not t.endswith('*') or at == 0 else t[:-1]} {', '.join(names[at : at + 12])};")
        params = []
        for p in k.params:
            n = self.names[p.value.id]
            params.append(f"__global uchar* {'restrict ' if p.noalias else ''}{n}" if p.role == "pointer" else f"{self.scalar_param(p.value.type.elem)} {n}")
        params += self.more_params()
        known = "" if self.apart or k.lanes is None else f" __attribute__((reqd_work_group_size({self.size}, 1, 1)))"
        head = f"__kernel{known}\nvoid {kernel_name(k.name)}({', '.join(params)})\n{{"
        parts = [head, *self.lines, *body, "}"]
        self.origins = [getattr(part, "loc", None) for part in parts for _ in part.split("\n")]
        return "\n".join(parts)

    def preamble(self) -> None:
        """What stands before everything else."""
        if self.specials:
            self.put("const uint lid = (uint)get_local_id(0);")
        if "lane" in self.specials:
            self.put(f"const uint lane = lid & {self.lanes - 1}u;" if self.warps > 1 else "const uint lane = lid;")
        if "warp" in self.specials:
            self.put(f"const uint warp = lid / {self.lanes}u;" if self.warps > 1 else "const uint warp = 0;")
        if self.k.shared:
            self.put(f"__local ulong arena[{-(-self.k.shared // 8)}];")

    def more_params(self) -> list[str]:
        return ["__global uint* report"] if any(i.op.name == "report" for i in self.k.instrs()) else []

    def scalar_param(self, elem: Scalar) -> str:
        return "uchar" if elem is I1 else self.ctype(elem)

    # ---- control flow that nests

    def loop_headers(self) -> dict[int, set[int]]:
        """Headers of natural loops with the blocks of each."""
        found = self.__dict__.get("_headers")
        if found is not None:
            return found  # type: ignore[no-any-return]
        order = reverse_post_order(self.k)
        place = {n: p for p, n in enumerate(order)}
        preds: dict[int, list[int]] = {n: [] for n in order}
        for n in order:
            for e in self.k.blocks[n].terminator.edges:
                preds[e.target].append(n)
        out: dict[int, set[int]] = {}
        for n in order:
            for e in self.k.blocks[n].terminator.edges:
                if place[e.target] <= place[n]:
                    body = out.setdefault(e.target, {e.target})
                    stack = [n]
                    while stack:
                        x = stack.pop()
                        if x not in body:
                            body.add(x)
                            stack.extend(preds[x])
                    if 0 in body:
                        raise _Irregular
        self.__dict__["_headers"] = out
        return out

    def joins(self) -> dict[int, int]:
        """Where the sides of a branch meet: the immediate post-dominator of each block, −1 for the end."""
        found: dict[int, int] | None = self.__dict__.get("_joins")
        if found is None:
            found = self.__dict__["_joins"] = {n: -1 if j is None else j for n, j in enumerate(post_dominators(self.k))}
        return found

    def structured(self, n: int, until: int | None) -> None:
        """Block n and what follows, up to `until`."""
        at: int | None = n
        while at is not None and at != until:
            if at in self.visited:
                raise _Irregular
            headers = self.loop_headers()
            if at in headers and (not self.loops or self.loops[-1][0] != at):
                exits = {e.target for b in headers[at] for e in self.k.blocks[b].terminator.edges} - headers[at]
                if len(exits) > 1 or any(not self.k.blocks[b].terminator.edges for b in headers[at]):
                    raise _Irregular
                after = exits.pop() if exits else None
                self.loops.append((at, after))
                self.put("for (;;) {")
                self.nested(at, None)
                self.put("}")
                self.loops.pop()
                at = after
                if self.left(at, until):
                    return
                continue
            self.visited.add(at)
            block = self.k.blocks[at]
            self.body(block)
            at = self.end(at, block, until)

    def left(self, at: int | None, until: int | None) -> bool:
        """Whether a block is where an enclosing construct goes on anyway."""
        return at is None or at == until

    def nested(self, n: int, until: int | None) -> None:
        outer = self.scope
        self.opened += 1
        self.scope = (*outer, self.opened)
        self.depth += 1
        self.structured(n, until)
        self.depth -= 1
        self.scope = outer

    def end(self, n: int, block: Block, until: int | None) -> int | None:
        t = block.terminator
        self.loc = t.loc
        name = t.op.name
        if name == "return":
            if self.depth > 1 or until is not None:
                self.put("return;")
            return None
        if name == "trap":
            self.trap()
            return None
        if name == "jump":
            return self.go(t.edges[0], until)
        if name != "branch":
            raise _Irregular
        cond = self.use(t.args[0])
        yes, no = t.edges
        stops = self.stops(until)
        if yes.target in stops and no.target in stops:
            if self.loops and no.target == self.loops[-1][1] and no.target != until and yes.target == self.loops[-1][0]:
                self.branch(f"!{cond}", no, until)
                return self.go(yes, until)
            self.branch(cond, yes, until)
            return self.go(no, until)
        if yes.target in stops:
            self.branch(cond, yes, until)
            if self.falls(yes, until):
                raise _Irregular
            return self.go(no, until)
        if no.target in stops and not self.falls(no, until):
            self.branch(f"!{cond}", no, until)
            return self.go(yes, until)
        join = self.joins()[n]
        if self.loops and join not in self.loop_headers()[self.loops[-1][0]]:
            raise _Irregular
        stop = None if join == -1 else join
        self.put(f"if ({cond}) {{")
        self.arm(yes, stop)
        if no.target != stop or no.args:
            self.put("} else {")
            self.arm(no, stop)
        self.put("}")
        return stop

    def falls(self, e: Edge, until: int | None) -> bool:
        """Whether an edge to a stop is written without a jump."""
        return e.target == until

    def arm(self, e: Edge, stop: int | None) -> None:
        self.depth += 1
        self.assign(e)
        self.depth -= 1
        if e.target != stop:
            self.nested(e.target, stop)

    def stops(self, until: int | None) -> set[int]:
        out = {until} if until is not None else set()
        if self.loops:
            header, after = self.loops[-1]
            out |= {header} | ({after} if after is not None else set())
        return out

    def branch(self, cond: str, e: Edge, until: int | None) -> None:
        """`if (cond)` on an edge that ends here."""
        if e.target == until:
            raise _Irregular
        self.put(f"if ({cond}) {{")
        self.depth += 1
        self.assign(e)
        self.put("continue;" if e.target == self.loops[-1][0] else "break;")
        self.depth -= 1
        self.put("}")

    def go(self, e: Edge, until: int | None) -> int | None:
        self.assign(e)
        if e.target == until:
            return None
        if self.loops:
            header, after = self.loops[-1]
            if e.target == header:
                if until is not None:
                    self.put("continue;")
                return None
            if e.target == after:
                self.put("break;")
                return None
            if e.target not in self.loop_headers()[header]:
                raise _Irregular
        return e.target

    # ---- control flow of any kind

    def labelled(self) -> None:
        self.lines, self.depth, self.scope, self.scopes = [], 1, (), {}
        self.exchanged, self.specials = {}, {}
        self.top = {v.id for i in self.k.instrs() for v in i.results}
        for n in reverse_post_order(self.k):
            block = self.k.blocks[n]
            if n:
                self.lines.append(f"b{n}:;")
            self.body(block)
            t = block.terminator
            self.loc = t.loc
            if t.op.name == "return":
                self.put("return;")
            elif t.op.name == "jump":
                self.jump(t.edges[0])
            elif t.op.name == "branch":
                self.put(f"if ({self.use(t.args[0])}) {{")
                self.jump(t.edges[0], 1)
                self.put("}")
                self.jump(t.edges[1])
            elif t.op.name == "switch":
                self.put(f"switch ({self.use(t.args[0])}) {{")
                for j, e in enumerate(t.edges):
                    self.put("default: {" if j == len(t.edges) - 1 else f"case {j}: {{")
                    self.jump(e, 1)
                    self.put("}")
                self.put("}")
            elif t.op.name == "trap":
                self.trap()
            else:
                raise UnsupportedError(f"{t.op.name} in OpenCL C", place=t.loc)

    def trap(self) -> None:
        self.put("atomic_cmpxchg(report, 0, 1);")
        self.put("return;")

    def jump(self, e: Edge, deeper: int = 0) -> None:
        self.depth += deeper
        self.assign(e)
        self.put(f"goto b{e.target};")
        self.depth -= deeper

    def assign(self, e: Edge) -> None:
        """The parameters of the target, all at once: through copies where one reads what another writes."""
        params = self.k.blocks[e.target].params
        pairs = [(p, a) for p, a in zip(params, e.args) if p.id != a.id]
        written = {p.id for p, _ in pairs}
        order: list[tuple[Value, Value]] = []
        waiting = pairs
        while waiting:
            free = [(p, a) for p, a in waiting if not any(b.id == p.id for q, b in waiting if q.id != p.id)]
            if not free:
                break
            order += free[:1]
            waiting.remove(free[0])
        for p, a in order:
            self.put(f"{self.name(p)} = {self.use(a)};")
        if waiting:
            self.put("{")
            self.depth += 1
            for p, a in waiting:
                self.put(f"const {self.type(p)} next_{self.name(p)} = {self.use(a)};")
            for p, _ in waiting:
                self.put(f"{self.name(p)} = next_{self.name(p)};")
            self.depth -= 1
            self.put("}")
        assert written is not None

    # ---- instructions

    def instr(self, i: Instr) -> None:
        self.loc = i.loc
        rule = getattr(self, "_" + i.op.name, None)
        if rule is not None:
            rule(i)
        elif i.op.kind == "lane":
            self.define(i.result, self.lane(i))
        else:
            raise UnsupportedError(f"{i.op.name} in OpenCL C", place=i.loc)

    def cast(self, elem: Scalar, text: str) -> str:
        """C computes narrow integers as int: back to their width."""
        return f"({self.ctype(elem)})({text})" if elem in (I8, I16) else text

    def signed(self, v: Value) -> str:
        return f"({SIGNED[v.type.elem.name]}){self.wrapped(v)}"

    def wrapped(self, v: Value) -> str:
        text = self.use(v)
        return f"({text})" if text.startswith(("(", "-")) else text

    def lane(self, i: Instr) -> str:
        name, out, elem = i.op.name, i.result.type.elem, i.args[0].type.elem
        if i.attr("rnd") not in (None, "rn") and name not in ("ftos", "ftou"):
            raise UnsupportedError(f"{name} of {elem} rounded {i.attr('rnd')} in OpenCL C", place=i.loc)
        if i.attr("ftz") or i.attr("sat"):
            return self.modified(i)
        if name == "iadd" and i.result.id in self.pointers:
            base, by = i.args if i.args[0].id in self.pointers else i.args[::-1]
            self.note(base)
            return f"{self.name(base)} + (long){self.wrapped(by)}"
        a = [self.wrapped(x) for x in i.args]
        word = self.ctype(elem)
        if name in INFIX:
            if name == "imul" and elem is I16:
                return f"(ushort)((uint){a[0]} * {a[1]})"
            return self.cast(elem, f"{a[0]} {INFIX[name]} {a[1]}")
        if name in CALLS:
            return f"{CALLS[name]}({', '.join(a)})"
        if name in ("fmin", "fmax", "fminnum", "fmaxnum"):
            return f"{self.helper(f'{name}_{word}', _minmax(name, word))}({a[0]}, {a[1]})"
        if name == "frem":  # exact by OpenCL's own table of bounds
            return f"fmod({a[0]}, {a[1]})"
        if name in ("fdiv", "fsqrt"):
            if elem is F64 or "exact" in self.features:
                return f"{a[0]} / {a[1]}" if name == "fdiv" else f"sqrt({a[0]})"
            if "fp64" not in self.features:
                raise UnsupportedError(f"{name} of f32 on a device that neither rounds it correctly nor has f64", place=i.loc)
            return f"(float)((double){a[0]} / (double){a[1]})" if name == "fdiv" else f"(float)sqrt((double){a[0]})"
        if name == "fneg":
            return f"-{a[0]}"
        if name == "ineg":
            return self.cast(elem, f"0{SUFFIX[elem.name]} - {a[0]}")
        if name == "not":
            return f"!{a[0]}" if elem is I1 else self.cast(elem, f"~{a[0]}")
        if name == "iabs":
            return self.cast(elem, f"{self.signed(i.args[0])} < 0 ? 0{SUFFIX[elem.name]} - {a[0]} : {a[0]}")
        if name in ("imin_s", "imax_s", "imin_u", "imax_u"):
            if name[-1] == "s":
                return f"({word}){name[1:4]}({self.signed(i.args[0])}, {self.signed(i.args[1])})"
            return f"{name[1:4]}({self.typed(i.args[0])}, {self.typed(i.args[1])})"
        if name == "fcmp":
            return self.fcmp(i.attr("pred", "oeq"), a[0], a[1])
        if name == "icmp":
            return self.icmp(i, elem, a)
        if name == "select":
            return f"{a[0]} ? {a[1]} : {a[2]}"
        if name in ("idiv_s", "idiv_u", "irem_s", "irem_u"):
            return self.division(i, name, elem, a)
        if name in ("shl", "shr_s", "shr_u"):
            return self.shift(i, name, elem, a)
        if name == "dot4" and "dot4" in self.features:
            return f"{a[2]} + (uint){DOT4[i.attr('signs', 'ss')]}({self.typed(i.args[0])}, {self.typed(i.args[1])})"
        if name in ("imulhi_s", "imulhi_u"):
            if name[-1] == "s":
                return f"({word})mul_hi({self.signed(i.args[0])}, {self.signed(i.args[1])})"
            return f"mul_hi({self.typed(i.args[0])}, {self.typed(i.args[1])})"
        if name == "popc" or name == "clz":
            return f"{'popcount' if name == 'popc' else 'clz'}({self.typed(i.args[0])})"
        if name == "ctz":
            return f"popcount(({word})(~{a[0]} & ({a[0]} - 1)))"
        if name == "brev":
            text = (f"static inline {word} brev_{word}({word} x)\n{{\n    {word} r = 0;\n    for (int i = 0; i < {elem.bits}; i++, x >>= 1) "
                    f"r = (r << 1) | (x & 1);\n    return r;\n}}")  # fmt: skip
            return f"{self.helper('brev_' + word, text)}({a[0]})"
        return self.convert(i, name, elem, out, a[0])

    def modified(self, i: Instr) -> str:
        """An op that flushes subnormal numbers or saturates."""
        raise UnsupportedError(f"{i.op.name} with flushing or saturation in OpenCL C", place=i.loc)

    def typed(self, v: Value) -> str:
        """With its type spelled: overloads must not see an int."""
        return f"({self.ctype(v.type.elem)}){self.wrapped(v)}" if v.id in self.consts else self.use(v)

    def fcmp(self, pred: str, a: str, b: str) -> str:
        if pred in ("ord", "uno"):
            return f"{a} == {a} && {b} == {b}" if pred == "ord" else f"{a} != {a} || {b} != {b}"
        if pred == "one":
            return f"{a} < {b} || {a} > {b}"
        if pred == "ueq":
            return f"!({a} < {b} || {a} > {b})"
        if pred[0] == "o" or pred == "une":
            return f"{a} {COMPARE[pred[1:]]} {b}"
        opposite = {"lt": ">=", "le": ">", "gt": "<=", "ge": "<"}[pred[1:]]
        return f"!({a} {opposite} {b})"

    def icmp(self, i: Instr, elem: Scalar, a: list[str]) -> str:
        pred = i.attr("pred", "eq")
        if elem is I1:
            if pred[0] == "s":
                a = a[::-1]
            return f"(int){a[0]} {COMPARE[pred[-2:]]} (int){a[1]}"
        if pred[0] == "s":
            return f"{self.signed(i.args[0])} {COMPARE[pred[1:]]} {self.signed(i.args[1])}"
        return f"{a[0]} {COMPARE[pred[-2:]]} {a[1]}"

    def division(self, i: Instr, name: str, elem: Scalar, a: list[str]) -> str:
        signed, rem = name[-1] == "s", name[1] == "r"
        word, sign = self.ctype(elem), "%" if rem else "/"
        known = self.known(i.args[1])
        if known is not None and known not in (0, -1):
            if signed:
                return f"({word})({self.signed(i.args[0])} {sign} {self.signed(i.args[1])})"
            return self.cast(elem, f"{a[0]} {sign} {a[1]}")
        zero = "a" if rem else f"({word})~({word})0"
        lines = [f"static inline {word} {name}_{word}({word} a, {word} b)", "{", f"    if (b == 0) return {zero};"]
        if signed:
            s = SIGNED[elem.name]
            lines += [f"    if (b == ({word})-1) return {'0' if rem else f'({word})(0 - a)'};", f"    return ({word})(({s})a {sign} ({s})b);", "}"]
        else:
            lines += [f"    return a {sign} b;", "}"]
        return f"{self.helper(f'{name}_{word}', chr(10).join(lines))}({a[0]}, {a[1]})"

    def known(self, v: Value) -> Any:
        c = self.consts.get(v.id)
        return None if c is None else c.attr("value")

    def shift(self, i: Instr, name: str, elem: Scalar, a: list[str]) -> str:
        bits, word = elem.bits, self.ctype(elem)
        known = self.known(i.args[1])
        if name == "shr_s":
            n = a[1] if known is not None and 0 <= known < bits else f"min({self.typed(i.args[1])}, ({word}){bits - 1})"
            return f"({word})({self.signed(i.args[0])} >> {n})"
        sign = "<<" if name == "shl" else ">>"
        if known is not None and 0 <= known < bits:
            return self.cast(elem, f"{a[0]} {sign} {a[1]}")
        return f"{a[1]} < {bits}u ? {self.cast(elem, f'{a[0]} {sign} {a[1]}')} : 0"

    def convert(self, i: Instr, name: str, elem: Scalar, out: Scalar, a: str) -> str:
        word, to = self.ctype(elem), self.ctype(out)
        if elem is out or name == "bitcast" and word == to:
            return a
        if name == "zext":
            return f"({to}){a}"
        if name == "sext":
            return f"{a} ? ({to})-1 : 0" if elem is I1 else f"({to})({SIGNED[out.name]}){self.signed(i.args[0])}"
        if name == "itrunc":
            return f"({a} & 1) != 0" if out is I1 else f"({to}){a}"
        if name == "bitcast":
            return f"as_{to}({self.typed(i.args[0])})"
        if name in ("stof", "utof"):
            if out.bits <= 16:
                raise UnsupportedError(f"{name} to {out} in OpenCL C must be legalised first", place=i.loc)
            return f"({to})({self.signed(i.args[0])})" if name == "stof" and elem is not I1 else f"({to}){a}"
        if name in ("ftos", "ftou"):
            if elem.bits <= 16:
                raise UnsupportedError(f"{name} of {elem} in OpenCL C must be legalised first", place=i.loc)
            whole = {"rn": "rint", "rm": "floor", "rp": "ceil"}.get(i.attr("rnd"))
            helper = f"{name}{out.bits}_{word}"
            return f"{self.helper(helper, _to_integer(name, word, out))}({f'{whole}({a})' if whole else f'trunc({a})'})"
        if name == "fcvt":
            return self.fcvt(elem, out, a)
        raise UnsupportedError(f"{name} in OpenCL C", place=i.loc)

    def fcvt(self, elem: Scalar, out: Scalar, a: str) -> str:
        if elem is F64:
            if out is F32:
                return f"(float){a}"
            a = f"{self.helper('to_odd', ODD)}({a})"
        elif elem.name == "bf16":
            a = f"as_float((uint){a} << 16)"
        elif elem is not F32:
            a = f"{self.helper('from_' + elem.name, _widening(elem))}({a})"
        if out is F32:
            return a
        if out is F64:
            return f"(double){a}"
        return f"{self.helper('to_' + out.name, TO_BF16 if out.name == 'bf16' else _narrowing(out))}({a})"

    # ---- special values

    def _constant(self, i: Instr) -> None:
        self.ctype(i.result.type.elem)

    def _undef(self, i: Instr) -> None:
        self.define(i.result, "0")

    def _sreg(self, i: Instr) -> None:
        name: str = i.attr("name")
        axis = "xyz".find(name[-1])
        block = self.lanes * self.warps
        known = {"laneid": "lane", "warpid": "warp", "tid.x": "lid"}
        if name in known:
            self.special("lid")
            text = self.special(known[name])
        elif name in ("tid.y", "tid.z"):
            text = "0u"
        elif name == "nwarpid":
            text = f"{self.warps}u"
        elif name.startswith("ntid."):
            text = f"{block}u" if axis == 0 else "1u"
        elif name.startswith("ctaid."):
            text = f"(uint)get_global_id({axis + 1})" if self.apart else f"(uint)get_group_id({axis})"
        elif name.startswith("nctaid."):
            text = f"(uint)get_global_size({axis + 1})" if self.apart else f"(uint)get_num_groups({axis})"
        else:
            raise UnsupportedError(f"special register {name} in OpenCL C", place=i.loc)
        self.define(i.result, text)

    # ---- memory

    def place(self, i: Instr, base: Value, index: Value | None, elem: Scalar, word: str = "") -> str:
        """The element as an lvalue."""
        space = i.attr("space", "global")
        if space not in ("global", "shared", "const", "generic"):
            raise UnsupportedError(f"{space} memory in OpenCL C", place=i.loc)
        word = word or ("uchar" if elem is I1 else self.ctype(elem))
        parts = []
        qualifier = "__local" if space == "shared" else "__global"
        if space == "shared":
            parts = ["(__local uchar*)arena", f"(long){self.wrapped(base)}"]
        elif base.id in self.pointers:
            self.note(base)
            parts = [self.name(base)]
        else:
            parts = [f"(__global uchar*){self.wrapped(base)}"]
        if index is not None:
            scale = i.attr("scale", 1)
            x = f"(long){self.signed(index)}"
            parts.append(f"{x} * {scale}" if scale != 1 else x)
        if space == "shared" and base.id in self.consts:
            parts[1] = str(self.known(base))
        disp = i.attr("disp", 0)
        if disp:
            parts.append(str(disp))
        return f"*({qualifier} {word}*)({' + '.join(parts)})"

    def split(self, i: Instr, values: int) -> tuple[Value, Value | None, tuple[Value, ...]]:
        n = len(i.args) - values
        return i.args[0], i.args[1] if n == 2 else None, i.args[n:]

    def moved(self, i: Instr, by: int) -> Instr:
        if not by:
            return i
        attrs = dict(i.attrs)
        attrs["disp"] = attrs.get("disp", 0) + by
        return i.replace(attrs=tuple(sorted(attrs.items())))

    def _ld(self, i: Instr) -> None:
        base, index, _ = self.split(i, 0)
        elem = i.attr("to")
        for n, r in enumerate(i.results):
            text = self.place(self.moved(i, n * elem.bytes), base, index, elem)
            if elem is I1:
                text = f"({text} != 0)"
            if i.guard is not None:
                other = self.use(i.passthrough[n]) if i.passthrough else "0"
                text = f"{self.wrapped(i.guard)} ? {text} : {other}"
            self.define(r, text)

    def _st(self, i: Instr) -> None:
        count = i.attr("count", 1)
        base, index, data = self.split(i, count)
        elem = i.attr("to")
        for n, v in enumerate(data):
            statement = f"{self.place(self.moved(i, n * elem.bytes), base, index, elem)} = {self.use(v)};"
            self.put(statement if i.guard is None else f"if ({self.use(i.guard)}) {statement}")

    def atomic(self, i: Instr) -> str:
        fn, elem = i.attr("fn"), i.attr("to")
        base, index, data = self.split(i, 2 if fn == "cas" else 1)
        if fn not in ATOMICS or elem not in (I32, I64):
            raise UnsupportedError(f"atomic {fn} of {elem} in OpenCL C", place=i.loc)
        name, signed = ATOMICS[fn]
        word = SIGNED[elem.name] if signed else self.ctype(elem)
        prefix = "atom" if elem is I64 else "atomic"
        where = self.place(i, base, index, elem, word)[1:].replace("(__", "(volatile __", 1)
        return f"{prefix}_{name}({where}, {', '.join(f'({word}){self.wrapped(v)}' for v in data)})"

    def _red(self, i: Instr) -> None:
        statement = self.atomic(i) + ";"
        self.put(statement if i.guard is None else f"if ({self.use(i.guard)}) {statement}")

    def _atom(self, i: Instr) -> None:
        text = f"({self.ctype(i.result.type.elem)}){self.atomic(i)}"
        if i.guard is not None:
            text = f"{self.use(i.guard)} ? {text} : {self.use(i.passthrough[0]) if i.passthrough else '0'}"
        self.define(i.result, text)

    def _bar(self, i: Instr) -> None:
        self.put("barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);")

    def _fence(self, i: Instr) -> None:
        self.put("mem_fence(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);")

    def _report(self, i: Instr) -> None:
        self.put(f"if ({self.use(i.args[0])}) *report = {i.attr('code', 1)}u;")

    # ---- across lanes

    def exchange(self, values: Sequence[Value]) -> list[str]:
        """Writes values where the other lanes see them; the place of lane 0 of the block for each."""
        self.special("lid")
        size, used, out = self.size, dict[str, int](), []
        for v in values:
            word = "uchar" if v.type is I1 else self.ctype(v.type.elem)
            n = used[word] = used.get(word, -1) + 1
            self.exchanged[word] = max(self.exchanged.get(word, 0), n + 1)
            at = f"{n * size} + " if n else ""
            self.put(f"exchange_{word}[{at}lid] = {self.use(v)};")
            out.append(f"exchange_{word}[{at}")
        self.put("barrier(CLK_LOCAL_MEM_FENCE);")
        return out

    def shuffles(self, batch: Sequence[Instr]) -> None:
        """Shuffles that do not need one another, between two barriers."""
        self.loc = batch[0].loc
        values = {i.args[0].id: i.args[0] for i in batch}
        memory = dict(zip(values, self.exchange(list(values.values()))))
        self.special("lane")
        start = "" if self.warps == 1 else "lid - lane + "
        for i in batch:
            v, by = i.args
            known = self.known(by)
            n = f"{known}u" if known is not None else self.wrapped(by)
            mode = i.attr("mode")
            source, inside = {"bfly": (f"(lane ^ {n})", f"(lane ^ {n}) < {self.lanes}u"), "down": (f"(lane + {n})", f"lane + {n} < {self.lanes}u"),
                              "up": (f"(lane - {n})", f"{n} <= lane"), "idx": (n, f"{n} < {self.lanes}u")}[mode]  # fmt: skip
            sure = known is not None and 0 <= known < self.lanes and mode in ("bfly", "idx")
            text = f"{memory[v.id]}{start}{source if sure else f'({inside} ? {source} : lane)'}]"
            self.define(i.result, f"{text} != 0" if v.type is I1 else text)
        self.put("barrier(CLK_LOCAL_MEM_FENCE);")

    def body(self, block: Block) -> None:
        """A block's instructions, those that have no effect ordered such that shuffles come together."""
        run: list[Instr] = []
        for i in block.instrs[:-1]:
            if i.op.kind == "lane" or i.op.name in ("constant", self.shuffle, "sreg"):
                run.append(i)
                continue
            self.pure(run)
            run = []
            self.instr(i)
        self.pure(run)

    def pure(self, run: Sequence[Instr]) -> None:
        name = self.shuffle
        if sum(i.op.name == name for i in run) > 1:
            depth: dict[int, int] = {}
            place: dict[int, int] = {}
            for i in run:
                d = max([depth.get(a.id, 0) for a in i.args], default=0)
                place[id(i)] = d
                depth.update((r.id, d + (i.op.name == name)) for r in i.results)
            run = sorted(run, key=lambda i: (place[id(i)], i.op.name == name))
        batch: list[Instr] = []
        for i in run:
            if batch and (i.op.name != name or len(batch) == BATCH or any(a.id == r.id for a in i.args for j in batch for r in j.results)):
                self.shuffles(batch)
                batch = []
            if i.op.name == name:
                batch.append(i)
            else:
                self.instr(i)
        if batch:
            self.shuffles(batch)

    def vote(self, i: Instr, start: str, sign: str) -> None:
        [memory] = self.exchange(i.args)
        self.special("lane")
        first = "0" if self.warps == 1 else "lid - lane"
        text = f" {sign} ".join(f"{memory}{first} + {n}u]" for n in range(self.lanes))
        self.define(i.result, f"({text}) != 0")
        self.put("barrier(CLK_LOCAL_MEM_FENCE);")

    def _vote_any(self, i: Instr) -> None:
        self.vote(i, "0", "|")

    def _vote_all(self, i: Instr) -> None:
        self.vote(i, "1", "&")


def _word(hint: str) -> str:
    text = re.sub(r"\W", "_", hint or "", flags=re.ASCII)
    return text if text and not text[0].isdigit() and not text.startswith("__") else ""


def write(kernels: Sequence[Kernel], features: Sequence[str], origins: list[Any] | None = None) -> str:
    """The text of some kernels.  Features: `exact`, where `/` and `sqrt` of f32 are correctly rounded; else they are computed in f64 (`fp64`).
    `origins` gets the location of each line."""
    helpers: dict[str, str] = {}
    from .foreign_c import ForeignWriter

    writers = [(ForeignWriter if k.lanes is None else _Write)(k, helpers, features) for k in kernels]
    bodies = [w.run() for w in writers]
    text = "\n\n".join([*helpers.values(), *bodies]) + "\n"
    head = ["#pragma OPENCL FP_CONTRACT OFF"]
    if re.search(r"\bdouble\b", text):
        head.append("#pragma OPENCL EXTENSION cl_khr_fp64 : enable")
    if "atom_" in text:
        head += [f"#pragma OPENCL EXTENSION cl_khr_int64_{n}_atomics : enable" for n in ("base", "extended")]
    if origins is not None:
        origins += [None] * (len(head) + 1 + sum(h.count("\n") + 2 for h in helpers.values()))
        for w in writers:
            origins += [*w.origins, None]
        origins.pop()
    return "\n".join(head) + "\n\n" + text

