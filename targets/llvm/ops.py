"""Lane ops as LLVM IR text: the base of everything that writes it, for one lane (a scalar) or for `w` lanes (a vector).

`emit.py` (our kernels, on the CPU), `dispatch.py` and `warp.py` (foreign kernels there), `item.py` (one lane is one work-item of a GPU) stand on it.
A writer says which values are vectors (`step`) and where they are (`val`, `define`); what an op of kind `lane` is, is said here once.

Rules, tested on the output: division selects a divisor of 1 for zero; shifts are clamped; float → int by the saturating intrinsics; no
`nsw`, `nuw`, `fast` flags; no call that leaves the object.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from ...ir.errors import UnsupportedError
from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.softfloat import narrow
from ...ir.types import F16, F32, F64, I1, I16, I32, INT_OF_BITS, Scalar
from .debug import Locations

NAMES = {"i1": "i1", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64", "i128": "i128",
         "f16": "half", "bf16": "i16", "f32": "float", "f64": "double", "f8e4m3": "i8", "f8e5m2": "i8"}  # fmt: skip
SUFFIX = {"i1": "i1", "i8": "i8", "i16": "i16", "i32": "i32", "i64": "i64", "i128": "i128",
          "f16": "f16", "bf16": "i16", "f32": "f32", "f64": "f64", "f8e4m3": "i8", "f8e5m2": "i8"}  # fmt: skip


class Val:
    """An emitted value: its text, and how it varies over the lanes.

    step None: varying, `text` is a vector.  step 0: uniform, `text` is a scalar.  Other steps: affine, `text` is lane 0's scalar.
    `bound` limits |value| of an affine integer whose scalar part is a constant, so that widening it is exact.
    """

    __slots__ = ("text", "elem", "step", "const", "vector")

    def __init__(self, text: str, elem: Scalar, step: int | None, const: Any = None) -> None:
        self.text, self.elem, self.step, self.const = text, elem, step, const
        self.vector = text if step is None else ""


def float_text(elem: Scalar, value: float) -> str:
    """A number of the format, rounded to nearest: LLVM writes f32 as the f64 of that value, bf16 and 8 bits are integers here."""
    import numpy as np

    if elem is not F64:
        with np.errstate(over="ignore"):
            rounded = narrow(np.array([value], np.float64), elem)
        if elem.bits <= 16:
            bits = int(rounded.view(f"u{elem.bytes}")[0])
            return f"0xH{bits:04X}" if elem is F16 else str(bits)
        value = float(rounded[0])
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


UNARY = {"fsqrt": "sqrt", "fabs": "fabs", "ffloor": "floor", "fceil": "ceil", "ftrunc": "trunc", "frint": "roundeven"}
BINARY = {"fadd": "fadd", "fsub": "fsub", "fmul": "fmul", "fdiv": "fdiv", "iadd": "add", "isub": "sub", "imul": "mul",
          "and": "and", "or": "or", "xor": "xor"}  # fmt: skip
CALL2 = {"fmin": "minimum", "fmax": "maximum", "fminnum": "minimumnum", "fmaxnum": "maximumnum", "copysign": "copysign",
         "imin_s": "smin", "imax_s": "smax", "imin_u": "umin", "imax_u": "umax"}  # fmt: skip
BITS = {"popc": ("ctpop", ""), "clz": ("ctlz", ", i1 false"), "ctz": ("cttz", ", i1 false"), "brev": ("bitreverse", "")}


class Ops:
    """What writes one kernel."""

    debug: Locations | None = None  # marks what is written with where it comes from

    def __init__(self, kernel: Kernel, w: int, declared: set[str], helpers: dict[str, str]) -> None:
        self.k, self.w, self.declared, self.helpers = kernel, w, declared, helpers
        self.const: dict[int, Any] = {}  # numbers that are known, by value
        self.vals: dict[int, Val] = {}
        self.lines: list[str] = []
        self.n = 0
        self.label = "entry"

    # ---- text helpers

    def fresh(self) -> str:
        self.n += 1
        return f"%v{self.n}"

    def put(self, rhs: str) -> str:
        name = self.fresh()
        self.lines.append(f"  {name} = {rhs}")
        return name

    def ty(self, elem: Scalar, vec: bool) -> str:
        return f"<{self.w} x {NAMES[elem.name]}>" if vec else NAMES[elem.name]

    def suffix(self, elem: Scalar, vec: bool) -> str:
        return f"v{self.w}{SUFFIX[elem.name]}" if vec else SUFFIX[elem.name]

    def call(self, name: str, result: str, args: Sequence[tuple[str, str]]) -> str:
        """A call of an intrinsic; declared once per module."""
        signature = ", ".join(t for t, _ in args)
        self.declared.add(f"declare {result} @{name}({signature})")
        return f"call {result} @{name}({', '.join(f'{t} {v}' for t, v in args)})"

    def literal(self, elem: Scalar, value: Any) -> str:
        if elem.is_float:
            return float_text(elem, float(value))
        if elem is I1:
            return "true" if value else "false"
        return str(int(value))

    def splat(self, text: str, elem: Scalar) -> str:
        t = NAMES[elem.name]
        if not text.startswith("%"):
            return f"splat ({t} {text})"
        one = self.put(f"insertelement <{self.w} x {t}> poison, {t} {text}, i64 0")
        return self.put(f"shufflevector <{self.w} x {t}> {one}, <{self.w} x {t}> poison, <{self.w} x i32> zeroinitializer")

    def iota(self, elem: Scalar, step: int) -> str:
        t = NAMES[elem.name]
        return "<" + ", ".join(f"{t} {lane * step}" for lane in range(self.w)) + ">"

    def vec(self, v: Value) -> str:
        """The value as a vector."""
        x = self.val(v)
        if x.vector and x.step is None:
            return x.vector
        if x.step == 0:
            return self.splat(x.text, x.elem)
        t = self.ty(x.elem, True)
        base = self.splat(x.text, x.elem)
        assert x.step is not None
        return self.put(f"add {t} {base}, {self.iota(x.elem, x.step)}")

    def val(self, v: Value) -> Val:
        return self.vals[v.id]

    def step(self, v: Value) -> int | None:
        """How the value varies over the lanes, as `Val` has it."""
        raise NotImplementedError

    def define(self, v: Value, text: str) -> None:
        self.vals[v.id] = Val(text, v.type.elem, self.step(v), self.const.get(v.id))

    def operand(self, v: Value, vec: bool) -> str:
        return self.vec(v) if vec else self.val(v).text

    def mark(self, start: int, i: Instr) -> None:
        """What was written from line `start` on comes from `i`."""
        if self.debug is not None:
            self.debug.mark(self.lines, start, i.loc)

    # ---- instructions

    def instr(self, i: Instr) -> None:
        rule: Callable[[Instr], None] | None = getattr(self, "_" + i.op.name, None)
        if rule is not None:
            rule(i)
            return
        if i.op.kind != "lane":
            raise UnsupportedError(f"{i.op} on the CPU", place=i.loc)
        out = i.result
        if self.step(out) not in (0, None):  # affine: on lane 0's scalars
            self.define(out, self.lane(i, False))
            return
        self.define(out, self.lane(i, self.step(out) is None))

    def lane(self, i: Instr, vec: bool) -> str:
        name, out, elem = i.op.name, i.result.type.elem, i.args[0].type.elem
        if i.attr("rnd") not in (None, "rn") and name not in ("ftos", "ftou"):
            raise UnsupportedError(f"{name} with directed rounding on the CPU", place=i.loc)
        a = [self.operand(x, vec) for x in i.args]
        if i.attr("ftz"):
            a = [self.flushed(x, elem, vec) for x in a]
        r = self.plain(i, name, elem, out, vec, a)
        if i.attr("ftz") and out.is_float:
            r = self.flushed(r, out, vec)
        return self.clamped(r, out, vec) if i.attr("sat") else r

    def flushed(self, a: str, elem: Scalar, vec: bool) -> str:
        """Subnormal numbers as zeros of their sign."""
        word = INT_OF_BITS[elem.bits]
        t, w = self.ty(elem, vec), self.ty(word, vec)
        bits = self.put(f"bitcast {t} {a} to {w}") if t != w else a
        exponent = self.put(f"and {w} {bits}, {self.number(word, ((1 << elem.ebits) - 1) << elem.mant, vec)}")
        tiny = self.put(f"icmp eq {w} {exponent}, {self.zero(vec)}")
        zero = self.put(f"and {w} {bits}, {self.number(word, -1 << (elem.bits - 1), vec)}")
        r = self.put(f"select {self.ty(I1, vec)} {tiny}, {w} {zero}, {w} {bits}")
        return self.put(f"bitcast {w} {r} to {t}") if t != w else r

    def clamped(self, a: str, elem: Scalar, vec: bool) -> str:
        """To [0, 1]; a NaN and −0 become 0."""
        if elem.name not in ("f16", "f32", "f64"):  # 0 and 1 are exact: the way through f32 changes nothing
            return self.from_f32(self.clamped(self.to_f32(a, elem, vec), F32, vec), elem, vec)
        t, s = self.ty(elem, vec), self.suffix(elem, vec)
        for name, bound in (("maximumnum", 0.0), ("minimumnum", 1.0)):
            text = float_text(elem, bound)
            a = self.put(self.call(f"llvm.{name}.{s}", t, [(t, a), (t, f"splat ({NAMES[elem.name]} {text})" if vec else text)]))
        return a

    def plain(self, i: Instr, name: str, elem: Scalar, out: Scalar, vec: bool, a: list[str]) -> str:
        """The op without `ftz` and `sat`."""
        t = self.ty(elem, vec)
        if name in BINARY:
            return self.put(f"{BINARY[name]} {t} {a[0]}, {a[1]}")
        if name in CALL2:
            return self.put(self.call(f"llvm.{CALL2[name]}.{self.suffix(elem, vec)}", t, [(t, a[0]), (t, a[1])]))
        if name in UNARY:
            return self.put(self.call(f"llvm.{UNARY[name]}.{self.suffix(elem, vec)}", t, [(t, a[0])]))
        if name in BITS:
            op, flag = BITS[name]
            args = [(t, a[0])] + ([("i1", "false")] if flag else [])
            return self.put(self.call(f"llvm.{op}.{self.suffix(elem, vec)}", t, args))
        if name == "fscale":
            n, word = a[1], i.args[1].type.elem
            if word.bits > 32:
                n = self.put(f"trunc {self.ty(word, vec)} {n} to {self.ty(I32, vec)}")
            kind = f"{self.suffix(elem, vec)}.{self.suffix(I32, vec)}"
            return self.put(self.call(f"llvm.ldexp.{kind}", t, [(t, a[0]), (self.ty(I32, vec), n)]))
        if name == "ffma":
            return self.put(self.call(f"llvm.fma.{self.suffix(elem, vec)}", t, [(t, x) for x in a]))
        if name == "fneg":
            return self.put(f"fneg {t} {a[0]}")
        if name == "ineg":
            return self.put(f"sub {t} {self.zero(vec)}, {a[0]}")
        if name == "iabs":
            return self.put(self.call(f"llvm.abs.{self.suffix(elem, vec)}", t, [(t, a[0]), ("i1", "false")]))
        if name == "not":
            return self.put(f"xor {t} {a[0]}, {self.ones(elem, vec)}")
        if name in ("fcmp", "icmp"):
            return self.put(f"{name} {i.attr('pred', 'oeq' if name == 'fcmp' else 'eq')} {t} {a[0]}, {a[1]}")
        if name == "select":
            if self.step(i.args[0]) == 0:
                a[0], ct = self.val(i.args[0]).text, "i1"
            else:
                ct = self.ty(I1, vec)
            t = self.ty(i.args[1].type.elem, vec)
            return self.put(f"select {ct} {a[0]}, {t} {a[1]}, {t} {a[2]}")
        if name in ("idiv_s", "idiv_u", "irem_s", "irem_u"):
            return self.division(i, name, elem, vec, a)
        if name in ("shl", "shr_s", "shr_u"):
            return self.shift(i, name, elem, vec, a)
        if name in ("imulhi_s", "imulhi_u"):
            return self.mulhi(name, elem, vec, a)
        return self.convert(i, name, elem, out, vec, a[0])

    def zero(self, vec: bool) -> str:
        return "zeroinitializer" if vec else "0"

    def ones(self, elem: Scalar, vec: bool) -> str:
        one = "true" if elem is I1 else "-1"
        return f"splat ({NAMES[elem.name]} {one})" if vec else one

    def number(self, elem: Scalar, value: int, vec: bool) -> str:
        return f"splat ({NAMES[elem.name]} {value})" if vec else str(value)

    def division(self, i: Instr, name: str, elem: Scalar, vec: bool, a: list[str]) -> str:
        t, m = self.ty(elem, vec), self.ty(I1, vec)
        signed, rem = name[-1] == "s", name[1] == "r"
        known = self.const.get(i.args[1].id)
        op = ("s" if signed else "u") + ("rem" if rem else "div")
        if known is not None and known not in (0, -1):
            return self.put(f"{op} {t} {a[0]}, {a[1]}")
        zero = self.put(f"icmp eq {t} {a[1]}, {self.zero(vec)}")
        bad = zero
        if signed:
            minus = self.put(f"icmp eq {t} {a[1]}, {self.ones(elem, vec)}")
            bad = self.put(f"or {m} {zero}, {minus}")
        safe = self.put(f"select {m} {bad}, {t} {self.number(elem, 1, vec)}, {t} {a[1]}")
        r = self.put(f"{op} {t} {a[0]}, {safe}")
        if signed:
            negated = self.zero(vec) if rem else self.put(f"sub {t} {self.zero(vec)}, {a[0]}")
            r = self.put(f"select {m} {minus}, {t} {negated}, {t} {r}")
        return self.put(f"select {m} {zero}, {t} {a[0] if rem else self.ones(elem, vec)}, {t} {r}")

    def shift(self, i: Instr, name: str, elem: Scalar, vec: bool, a: list[str]) -> str:
        t, m = self.ty(elem, vec), self.ty(I1, vec)
        op = {"shl": "shl", "shr_s": "ashr", "shr_u": "lshr"}[name]
        known = self.const.get(i.args[1].id)
        if known is not None and 0 <= known < elem.bits:
            return self.put(f"{op} {t} {a[0]}, {a[1]}")
        if name == "shr_s":
            n = self.put(self.call(f"llvm.umin.{self.suffix(elem, vec)}", t, [(t, a[1]), (t, self.number(elem, elem.bits - 1, vec))]))
            return self.put(f"ashr {t} {a[0]}, {n}")
        inside = self.put(f"icmp ult {t} {a[1]}, {self.number(elem, elem.bits, vec)}")
        n = self.put(f"select {m} {inside}, {t} {a[1]}, {t} {self.zero(vec)}")
        r = self.put(f"{op} {t} {a[0]}, {n}")
        return self.put(f"select {m} {inside}, {t} {r}, {t} {self.zero(vec)}")

    def mulhi(self, name: str, elem: Scalar, vec: bool, a: list[str]) -> str:
        wide = f"i{elem.bits * 2}"
        w, t = f"<{self.w} x {wide}>" if vec else wide, self.ty(elem, vec)
        ext = "sext" if name[-1] == "s" else "zext"
        x, y = (self.put(f"{ext} {t} {v} to {w}") for v in a)
        p = self.put(f"mul {w} {x}, {y}")
        count = f"splat ({wide} {elem.bits})" if vec else str(elem.bits)
        h = self.put(f"lshr {w} {p}, {count}")
        return self.put(f"trunc {w} {h} to {t}")

    def convert(self, i: Instr, name: str, elem: Scalar, out: Scalar, vec: bool, a: str) -> str:
        t, u = self.ty(elem, vec), self.ty(out, vec)
        if elem is out or t == u and name == "bitcast":
            return a
        if name in ("zext", "sext"):
            return self.put(f"{name} {t} {a} to {u}")
        if name == "itrunc":
            return self.put(f"trunc {t} {a} to {u}")
        if name == "bitcast":
            return self.put(f"bitcast {t} {a} to {u}")
        if name in ("stof", "utof"):
            if out.bits <= 16:
                raise UnsupportedError(f"{name} to {out} on the CPU must be legalised first", place=i.loc)
            return self.put(f"{'sitofp' if name == 'stof' and elem is not I1 else 'uitofp'} {t} {a} to {u}")
        if name in ("ftos", "ftou"):
            whole = {"rn": "roundeven", "rm": "floor", "rp": "ceil"}.get(i.attr("rnd"))
            if whole:
                a = self.put(self.call(f"llvm.{whole}.{self.suffix(elem, vec)}", t, [(t, a)]))
            kind = "fptosi" if name == "ftos" else "fptoui"
            return self.put(self.call(f"llvm.{kind}.sat.{self.suffix(out, vec)}.{self.suffix(elem, vec)}", u, [(t, a)]))
        if name == "fcvt":
            return self.fcvt(i, elem, out, vec, a)
        raise UnsupportedError(f"{name} on the CPU", place=i.loc)

    def fcvt(self, i: Instr, elem: Scalar, out: Scalar, vec: bool, a: str) -> str:
        if elem is F64 and out is F32:
            return self.put(f"fptrunc {self.ty(elem, vec)} {a} to {self.ty(out, vec)}")
        return self.from_f32(self.odd(a, vec) if elem is F64 else self.to_f32(a, elem, vec), out, vec)

    def to_f32(self, a: str, elem: Scalar, vec: bool) -> str:
        """Exact, from every narrower format."""
        t, f32, i32 = self.ty(elem, vec), self.ty(F32, vec), self.ty(I32, vec)
        if elem is F32:
            return a
        if elem is F16:
            return self.put(f"fpext {t} {a} to {f32}")
        if elem.name == "f8e5m2":  # the upper half of an f16
            i16, f16 = self.ty(I16, vec), self.ty(F16, vec)
            up = self.put(f"shl {i16} {self.put(f'zext {t} {a} to {i16}')}, {self.number(I16, 8, vec)}")
            return self.put(f"fpext {f16} {self.put(f'bitcast {i16} {up} to {f16}')} to {f32}")
        wide = self.put(f"zext {t} {a} to {i32}")
        if elem.name == "bf16":
            up = self.put(f"shl {i32} {wide}, {self.number(I32, 16, vec)}")
            return self.put(f"bitcast {i32} {up} to {f32}")
        # e4m3: its bits in the place of an f32's, times the quotient of the biases; all ones are NaN
        size = self.put(f"and {i32} {wide}, {self.number(I32, 127, vec)}")
        small = self.put(f"bitcast {i32} {self.put(f'shl {i32} {size}, {self.number(I32, 20, vec)}')} to {f32}")
        scale = float_text(F32, 2.0**120)
        x = self.put(f"fmul {f32} {small}, {f'splat (float {scale})' if vec else scale}")
        nan = self.put(f"icmp eq {i32} {size}, {self.number(I32, 127, vec)}")
        bits = self.put(f"select {self.ty(I1, vec)} {nan}, {i32} {self.number(I32, 0x7FC00000, vec)}, {i32} {self.put(f'bitcast {f32} {x} to {i32}')}")
        sign = self.put(f"shl {i32} {self.put(f'lshr {i32} {wide}, {self.number(I32, 7, vec)}')}, {self.number(I32, 31, vec)}")
        return self.put(f"bitcast {i32} {self.put(f'or {i32} {bits}, {sign}')} to {f32}")

    def to_f8(self, a: str, out: Scalar, vec: bool) -> str:
        """To nearest even on the bits; below the normal numbers by an addition that leaves just the bits of the result."""
        f32, i32, m = self.ty(F32, vec), self.ty(I32, vec), self.ty(I1, vec)
        def n(value: int) -> str:
            return self.number(I32, value, vec)

        bias, shift = (1 << (out.ebits - 1)) - 1, 23 - out.mant
        e4m3 = out.name == "f8e4m3"
        bits = self.put(f"bitcast {f32} {a} to {i32}")
        size = self.put(f"and {i32} {bits}, {n(0x7FFFFFFF)}")
        rebased = self.put(f"sub {i32} {size}, {n((127 - bias) << 23)}")
        lsb = self.put(f"and {i32} {self.put(f'lshr {i32} {rebased}, {n(shift)}')}, {n(1)}")
        half = self.put(f"add {i32} {self.put(f'add {i32} {rebased}, {lsb}')}, {n((1 << (shift - 1)) - 1)}")
        normal = self.put(self.call(f"llvm.umin.{self.suffix(I32, vec)}", i32, [
            (i32, self.put(f"lshr {i32} {half}, {n(shift)}")), (i32, n(0x7F if e4m3 else 0x7C))]))  # fmt: skip
        unit = (127 + 24 - bias - out.mant) << 23  # the power of two whose last place is the smallest subnormal
        magnitude = self.put(f"bitcast {i32} {size} to {f32}")
        moved = self.put(f"fadd {f32} {magnitude}, {self.put(f'bitcast {i32} {n(unit)} to {f32}')}")
        low = self.put(f"sub {i32} {self.put(f'bitcast {f32} {moved} to {i32}')}, {n(unit)}")
        small = self.put(f"icmp ult {i32} {size}, {n((128 - bias) << 23)}")
        r = self.put(f"select {m} {small}, {i32} {low}, {i32} {normal}")
        nan = self.put(f"fcmp uno {f32} {a}, {a}")
        r = self.put(f"select {m} {nan}, {i32} {n(0x7F if e4m3 else 0x7E)}, {i32} {r}")
        sign = self.put(f"and {i32} {self.put(f'lshr {i32} {bits}, {n(24)}')}, {n(128)}")
        return self.put(f"trunc {i32} {self.put(f'or {i32} {r}, {sign}')} to {self.ty(out, vec)}")

    def from_f32(self, a: str, out: Scalar, vec: bool) -> str:
        f32, i32, u = self.ty(F32, vec), self.ty(I32, vec), self.ty(out, vec)
        if out is F32:
            return a
        if out is F64:
            return self.put(f"fpext {f32} {a} to {u}")
        if out is F16:
            return self.put(f"fptrunc {f32} {a} to {u}")
        if out.bits == 8:
            return self.to_f8(a, out, vec)
        bits = self.put(f"bitcast {f32} {a} to {i32}")  # bf16: round half to even on the bits, a NaN stays one
        high = self.put(f"lshr {i32} {bits}, {self.number(I32, 16, vec)}")
        lsb = self.put(f"and {i32} {high}, {self.number(I32, 1, vec)}")
        bias = self.put(f"add {i32} {lsb}, {self.number(I32, 0x7FFF, vec)}")
        up = self.put(f"add {i32} {bits}, {bias}")
        rounded = self.put(f"lshr {i32} {up}, {self.number(I32, 16, vec)}")
        nan = self.put(f"fcmp uno {f32} {a}, {a}")
        quiet = self.put(f"or {i32} {high}, {self.number(I32, 64, vec)}")
        r = self.put(f"select {self.ty(I1, vec)} {nan}, {i32} {quiet}, {i32} {rounded}")
        return self.put(f"trunc {i32} {r} to {u}")

    def odd(self, a: str, vec: bool) -> str:
        """f64 → f32 rounded to odd, so that a second rounding to 16 bits is right."""
        f64, f32, i32, m = self.ty(F64, vec), self.ty(F32, vec), self.ty(I32, vec), self.ty(I1, vec)
        near = self.put(f"fptrunc {f64} {a} to {f32}")
        back = self.put(f"fpext {f32} {near} to {f64}")
        inexact = self.put(f"fcmp one {f64} {back}, {a}")
        mag_a = self.put(self.call(f"llvm.fabs.{self.suffix(F64, vec)}", f64, [(f64, a)]))
        mag_b = self.put(self.call(f"llvm.fabs.{self.suffix(F64, vec)}", f64, [(f64, back)]))
        above = self.put(f"fcmp ogt {f64} {mag_b}, {mag_a}")
        bits = self.put(f"bitcast {f32} {near} to {i32}")
        down = self.put(f"sext {m} {above} to {i32}")
        trunc = self.put(f"add {i32} {bits}, {down}")
        sticky = self.put(f"zext {m} {inexact} to {i32}")
        r = self.put(f"or {i32} {trunc}, {sticky}")
        return self.put(f"bitcast {i32} {r} to {f32}")

    def nothing(self, elem: Scalar) -> str:
        return float_text(elem, 0.0) if elem.is_float else "0"

    # ---- special values

    def _constant(self, i: Instr) -> None:
        elem = i.attr("type").elem
        self.vals[i.result.id] = Val(self.literal(elem, i.attr("value")), elem, 0, i.attr("value"))

    def _undef(self, i: Instr) -> None:
        self.define(i.result, "0" if not i.result.type.elem.is_float else float_text(i.result.type.elem, 0.0))

    def when(self, cond: str, statement: str) -> None:
        self.n += 1
        yes, done = f"yes{self.n}", f"done{self.n}"
        self.lines += [f"  br i1 {cond}, label %{yes}, label %{done}", f"{yes}:", f"  {statement}", f"  br label %{done}", f"{done}:"]
        self.label = done

    def split(self, i: Instr, values: int) -> tuple[Value, Value | None, tuple[Value, ...]]:
        n = len(i.args) - values
        return i.args[0], i.args[1] if n == 2 else None, i.args[n:]
