"""Memory for work-items: addresses as typed pointers, loads and stores, read-modify-write, generic addresses, copies."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.instr import Instr, Value
from ...ir.types import F32, F64, I1, I32, I64, Scalar
from .collective import Collective
from .ops import NAMES, SUFFIX, Val

ORDER = {"relaxed": "monotonic", "acquire": "acquire", "release": "release", "acq_rel": "acq_rel"}
RMW = {"iadd": "add", "and": "and", "or": "or", "xor": "xor", "imin_s": "min", "imax_s": "max", "imin_u": "umin", "imax_u": "umax", "exch": "xchg"}


class Access(Collective):
    """The part of `Item` that reaches memory."""

    arena: str
    local: int
    buffers: dict[int, str]
    wides: dict[str, str]
    affine: dict[int, Instr]
    helper: Any  # what follows is Item's
    open: Any
    with_guard: Callable[[Instr, Callable[[], list[str]]], None]

    # ---- memory

    def pointer_type(self, space: str) -> str:
        n = self.d.spaces[space]
        return f"ptr addrspace({n})" if n else "ptr"

    def moved_by(self, p: str, offset: str) -> str:
        """A typed pointer, some bytes on."""
        if offset.endswith(" 0"):
            return p
        t = p[: p.rindex(" ")]
        return f"{t} {self.put(f'getelementptr i8, {p}, {offset}')}"

    def wide(self, x: Val) -> str:
        if x.elem is not I32 or not x.text.startswith("%"):
            return x.text
        return self.wides.get(x.text) or self.put(f"sext i32 {x.text} to i64")

    def index(self, v: Value) -> str:
        """An index as i64.  Neighbouring lanes of the DSL's kernels have neighbouring indices, without wrapping: what of it is linear in the lane is
        added in 64 bits, where a compiler for SIMD machines sees that too."""
        i = self.affine.get(v.id)
        if i is None or v.type is not I32:
            return self.wide(self.val(v))
        if i.op.name == "sreg":
            return self.wide(self.val(v))
        a, b = (self.index(x) for x in i.args)
        return self.put(f"{ {'iadd': 'add', 'isub': 'sub', 'imul': 'mul'}[i.op.name]} i64 {a}, {b}")

    def address(self, i: Instr, base: Value, index: Value | None = None) -> str:
        """The typed pointer of an access."""
        space, scale, disp = i.attr("space", "global"), i.attr("scale", 1), i.attr("disp", 0)
        if base.id in self.buffers and space in ("global", "generic", "const"):
            p = self.buffers[base.id]
            if index is not None:
                x = self.index(index)
                p = self.moved_by(p, f"i64 {x if scale == 1 else self.put(f'mul i64 {x}, {scale}')}")
            return self.moved_by(p, f"i64 {disp}")
        return self.place(space, self.val(base), None if index is None else self.val(index), scale, disp, i)

    def place(self, space: str, b: Val, x: Val | None = None, scale: int = 1, disp: int = 0, i: Instr | None = None) -> str:
        """The typed pointer of an address that is an integer; 32 bits wrap before the window is added."""
        window = space in ("shared", "local")
        if space == "cluster":  # clusters of one block: the rank in the upper bits can only be our own
            text = self.put(f"and i{32 if b.elem is I32 else 64} {b.text}, 16777215")
            b, space, window = Val(text, b.elem, 0), "shared", True
        narrow = b.elem is I32
        word, text = ("i32", b.text) if narrow else ("i64", b.text)
        if x is not None:
            part = x.text if x.elem is b.elem else self.put(f"trunc i64 {x.text} to i32") if narrow else self.wide(x)
            if scale != 1:
                part = self.put(f"mul {word} {part}, {scale}")
            text = self.put(f"add {word} {text}, {part}")
        if window:
            if not narrow:
                text = self.put(f"trunc i64 {text} to i32")
            if disp:
                text = self.put(f"add i32 {text}, {disp}")
            base = self.arena if space == "shared" else "%local"
            if space == "local" and not self.local or not base:
                raise self.d.lacks(f"{space} memory that nothing declares", i)
            return self.moved_by(f"{self.pointer_type(space)} {base}", f"i64 {self.put(f'zext i32 {text} to i64')}")
        if narrow:
            text = self.put(f"zext i32 {text} to i64")
        if disp:
            text = self.put(f"add i64 {text}, {disp}")
        t = self.pointer_type(space)
        return f"{t} {self.put(f'inttoptr i64 {text} to {t}')}"

    def memory_of(self, elem: Scalar) -> str:
        return "i8" if elem is I1 else NAMES[elem.name]

    def ordered(self, i: Instr, elem: Scalar) -> tuple[str, str]:
        """(keyword, ordering) of a load or store."""
        order = i.attr("order")
        if order in (None, "weak") or elem.bits < 32 or elem.bits > 64:
            return ("volatile " if i.attr("volatile") or order not in (None, "weak") else ""), ""
        return "atomic ", f" {self.d.scope(i.attr('scope', 'sys'))}{ORDER.get(order, 'seq_cst')}"

    def _ld(self, i: Instr) -> None:
        base, index, _ = self.split(i, 0)
        elem, count = i.attr("to"), len(i.results)
        t = self.memory_of(elem)

        def body() -> list[str]:
            p = self.address(i, base, index)
            keyword, order = self.ordered(i, elem)
            align = max(elem.bytes, i.attr("align", 1))
            if count > 1 and not order and elem is not I1:
                v = self.put(f"load {keyword}<{count} x {t}>, {p}, align {align}")
                return [self.put(f"extractelement <{count} x {t}> {v}, i32 {k}") for k in range(count)]
            at = f"i{elem.bits}" if order else t
            out = []
            for k in range(count):
                x = self.put(f"load {keyword}{at}, {self.moved_by(p, f'i64 {k * elem.bytes}')}{order}, align {elem.bytes}")
                out.append(self.put(f"icmp ne i8 {x}, 0") if elem is I1 else self.put(f"bitcast {at} {x} to {t}") if at != t else x)
            return out

        self.with_guard(i, body)
        if order_after(i):
            self.fence("acq_rel", i.attr("scope", "sys"))

    def _st(self, i: Instr) -> None:
        count = i.attr("count", 1)
        base, index, data = self.split(i, count)
        elem = i.attr("to")
        t = self.memory_of(elem)
        if order_after(i):
            self.fence("acq_rel", i.attr("scope", "sys"))

        def body() -> list[str]:
            texts = [self.val(v).text for v in data]
            p = self.address(i, base, index)
            keyword, order = self.ordered(i, elem)
            align = max(elem.bytes, i.attr("align", 1))
            if count > 1 and not order and elem is not I1:
                v = "poison"
                for k, x in enumerate(texts):
                    v = self.put(f"insertelement <{count} x {t}> {v}, {t} {x}, i32 {k}")
                self.lines.append(f"  store {keyword}<{count} x {t}> {v}, {p}, align {align}")
                return []
            at = f"i{elem.bits}" if order else t
            for k, x in enumerate(texts):
                x = self.put(f"zext i1 {x} to i8") if elem is I1 else self.put(f"bitcast {t} {x} to {at}") if at != t else x
                self.lines.append(f"  store {keyword}{at} {x}, {self.moved_by(p, f'i64 {k * elem.bytes}')}{order}, align {elem.bytes}")
            return []

        self.with_guard(i, body)

    # ---- atomics

    def _atom(self, i: Instr) -> None:
        fn, elem = i.attr("fn"), i.attr("to")
        base, index, data = self.split(i, 2 if fn == "cas" else 1)

        def body() -> list[str]:
            texts = [self.val(v).text for v in data]
            old = self.atomic(i, self.address(i, base, index), fn, elem, texts)
            return [old] if i.results else []

        self.with_guard(i, body)

    _red = _atom

    def atomic(self, i: Instr, p: str, fn: str, elem: Scalar, texts: list[str]) -> str:
        t, w, align = NAMES[elem.name], f"i{elem.bits}", elem.bytes
        if elem.bits > 64:
            raise self.d.lacks(f"atomic {fn} of {elem}", i)
        order = f"{self.d.scope(i.attr('scope', 'gpu'))}{ORDER.get(i.attr('order', 'relaxed'), 'seq_cst')}"
        if fn in ("cas", "exch"):
            texts = [self.put(f"bitcast {t} {x} to {w}") if t != w else x for x in texts]
        small = elem.bits < 32 and not self.d.narrow_cas
        if fn == "cas" and not small:
            failure = {"release": "monotonic", "acq_rel": "acquire"}.get(order.split()[-1], order.split()[-1])
            pair = self.put(f"cmpxchg {p}, {w} {texts[0]}, {w} {texts[1]} {order} {failure}, align {align}")
            old = self.put(f"extractvalue {{ {w}, i1 }} {pair}, 0")
            return self.put(f"bitcast {w} {old} to {t}") if t != w else old
        if elem.bits >= 32 and fn in self.d.rmw and fn in RMW and (fn == "exch" or not elem.is_float):
            old = self.put(f"atomicrmw {RMW[fn]} {p}, {w} {texts[0]} {order}, align {align}{self.d.atomic_notes}")
            return self.put(f"bitcast {w} {old} to {t}") if t != w else old
        if fn == "fadd" and elem in (F32, F64) and f"fadd {elem.name}" in self.d.rmw:
            return self.put(f"atomicrmw fadd {p}, {t} {texts[0]} {order}, align {align}")
        if fn in ("cas", "exch"):
            texts = [self.put(f"bitcast {w} {x} to {t}") if t != w else x for x in texts]
        return self.cas_loop(i, p, fn, elem, texts, small)

    def cas_loop(self, i: Instr, p: str, fn: str, elem: Scalar, texts: list[str], small: bool) -> str:
        """Load, compute, compare and swap, again.  Elements of 8 and 16 bits live in the aligned word around them."""
        t, w = NAMES[elem.name], f"i{elem.bits}"
        word = "i32" if small else w
        size = 4 if small else elem.bytes
        scope, order = self.d.scope(i.attr("scope", "gpu")), ORDER.get(i.attr("order", "relaxed"), "seq_cst")
        pt = p[: p.rindex(" ")]
        name = f"atomic.{fn}.{elem.name}.{pt.replace('ptr', '').replace(' addrspace(', '').replace(')', '') or '0'}"
        name += "".join(c for c in f".{scope}{order}" if c.isalnum() or c == ".")

        def body(e: Access) -> str:
            at, shift = "%a0", "0"
            if small:
                whole = e.put(f"ptrtoint {pt} %a0 to i64")
                at = e.put(f"inttoptr i64 {e.put(f'and i64 {whole}, -4')} to {pt}")
                inside = e.put(f"shl i64 {e.put(f'and i64 {whole}, 3')}, 3")
                shift = e.put(f"trunc i64 {inside} to i32")
            first = e.put(f"load atomic {word}, {pt} {at} {scope}monotonic, align {size}")
            before = e.label
            e.lines.append("  br label %again")
            e.open("again")
            seen = e.fresh()
            have = e.put(f"phi {word} [ {first}, %{before} ], [ {seen}, %AGAIN ]")
            old = e.put(f"trunc i32 {e.put(f'lshr i32 {have}, {shift}')} to {w}") if small else have
            typed = e.put(f"bitcast {w} {old} to {t}") if t != w else old
            new = e.combined(i, fn, elem, typed, [f"%a{n + 1}" for n in range(len(texts))])
            new = e.put(f"bitcast {t} {new} to {w}") if t != w else new
            if small:
                hole = e.put(f"xor i32 {e.put(f'shl i32 {(1 << elem.bits) - 1}, {shift}')}, -1")
                part = e.put(f"shl i32 {e.put(f'zext {w} {new} to i32')}, {shift}")
                new = e.put(f"or i32 {e.put(f'and i32 {have}, {hole}')}, {part}")
            failure = {"release": "monotonic", "acq_rel": "acquire"}.get(order, order)
            pair = e.put(f"cmpxchg {pt} {at}, {word} {have}, {word} {new} {scope}{order} {failure}, align {size}")
            e.lines.append(f"  {seen} = extractvalue {{ {word}, i1 }} {pair}, 0")
            ok = e.put(f"extractvalue {{ {word}, i1 }} {pair}, 1")
            e.lines = [line.replace("%AGAIN", f"%{e.label}") for line in e.lines]
            e.lines.append(f"  br i1 {ok}, label %out, label %again")
            e.open("out")
            return typed

        fn_name = self.helper(name, t, [pt, *[t] * len(texts)], body)
        return self.put(f"call {t} {fn_name}({', '.join([p, *(f'{t} {x}' for x in texts)])})")

    def combined(self, i: Instr, fn: str, elem: Scalar, old: str, texts: list[str]) -> str:
        """What a read-modify-write leaves."""
        t = NAMES[elem.name]
        [x, *rest] = texts
        if fn == "exch":
            return x
        if fn == "cas":
            same = self.put(f"icmp eq i{elem.bits} {self.as_bits(elem, old)}, {self.as_bits(elem, x)}")
            return self.put(f"select i1 {same}, {t} {rest[0]}, {t} {old}")
        if fn in ("inc", "dec"):
            most = self.put(f"icmp {'uge' if fn == 'inc' else 'ugt'} {t} {old}, {x}")
            if fn == "inc":
                return self.put(f"select i1 {most}, {t} 0, {t} {self.put(f'add {t} {old}, 1')}")
            wraps = self.put(f"or i1 {most}, {self.put(f'icmp eq {t} {old}, 0')}")
            return self.put(f"select i1 {wraps}, {t} {x}, {t} {self.put(f'sub {t} {old}, 1')}")
        if not elem.is_float and fn in RMW:
            op = {"imin_s": "smin", "imax_s": "smax", "imin_u": "umin", "imax_u": "umax"}.get(fn)
            return self.put(self.call(f"llvm.{op}.{t}", t, [(t, old), (t, x)]) if op else f"{RMW[fn]} {t} {old}, {x}")
        if not elem.is_float or fn not in ("fadd", "fminnum", "fmaxnum", "fmin", "fmax"):
            raise self.d.lacks(f"atomic {fn} of {elem}", i)
        narrow = elem.bits < 32
        s, f = ("f32", "float") if narrow else (SUFFIX[elem.name], t)
        a, c = (self.to_f32(v, elem, False) if narrow else v for v in (old, x))
        if fn == "fadd":
            r = self.put(f"fadd {f} {a}, {c}")
        else:
            name = {"fminnum": "minimumnum", "fmaxnum": "maximumnum", "fmin": "minimum", "fmax": "maximum"}[fn]
            r = self.put(self.call(f"llvm.{name}.{s}", f, [(f, a), (f, c)]))
        return self.from_f32(r, elem, False) if narrow else r

    def as_bits(self, elem: Scalar, text: str) -> str:
        t = NAMES[elem.name]
        return self.put(f"bitcast {t} {text} to i{elem.bits}") if not t.startswith("i") else text

    def fence(self, order: str, scope: str) -> None:
        self.lines.append(f"  fence {self.d.scope(scope)}{'seq_cst' if order == 'sc' else 'acq_rel'}")

    def _fence(self, i: Instr) -> None:
        self.fence(i.attr("order", "acq_rel"), i.attr("scope", "gpu"))

    # ---- address spaces

    def flat(self, p: str) -> str:
        """A typed pointer as a generic address (i64)."""
        t, g = p[: p.rindex(" ")], self.pointer_type("generic")
        if t != g:
            p = f"{g} {self.put(f'addrspacecast {p} to {g}')}"
        return self.put(f"ptrtoint {p} to i64")

    def _to_generic(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0])
        if space in ("shared", "local", "cluster"):
            self.define(i.result, self.flat(self.place(space, x, i=i)))
        else:
            self.define(i.result, x.text if x.elem is I64 else self.put(f"zext i32 {x.text} to i64"))

    def window(self, space: str) -> tuple[str, str]:
        """(generic address of a window, its bytes as i64)."""
        return self.window_base(space), str(self.local) if space == "local" else self.put(f"zext i32 {self.d.arena_size(self)} to i64")

    def window_base(self, space: str) -> str:
        name = self.arena if space == "shared" else "%local"
        return self.flat(f"{self.pointer_type(space)} {name}")

    def _from_generic(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0]).text
        if space in ("shared", "local", "cluster"):
            space = "local" if space == "local" else "shared"
            x = self.put(f"sub i64 {x}, {self.window_base(space)}")
        self.define(i.result, x)

    def inside(self, x: str, space: str) -> str:
        if space == "shared" and not self.arena or space == "local" and not self.local:
            return "false"
        base, size = self.window(space)
        return self.put(f"icmp ult i64 {self.put(f'sub i64 {x}, {base}')}, {size}")

    def _is_space(self, i: Instr) -> None:
        space, x = i.attr("space"), self.val(i.args[0]).text
        if space in ("shared", "cluster", "local"):
            self.define(i.result, self.inside(x, "local" if space == "local" else "shared"))
        elif space == "global":
            other = self.put(f"or i1 {self.inside(x, 'shared')}, {self.inside(x, 'local')}")
            self.define(i.result, self.put(f"xor i1 {other}, true"))
        else:
            raise self.d.lacks(f"isspacep.{space}", i)

    def _alloca(self, i: Instr) -> None:
        t = self.pointer_type("local")
        have = self.put(f"load i32, {t} %heap")
        align = max(i.attr("align", 8), 8)
        up = self.put(f"and i32 {self.put(f'add i32 {have}, {align - 1}')}, {-align}")
        size = self.put(f"trunc i64 {self.val(i.args[0]).text} to i32")
        self.lines.append(f"  store i32 {self.put(f'add i32 {up}, {size}')}, {t} %heap")
        self.define(i.result, self.flat(self.moved_by(f"{t} %local", f"i64 {self.put(f'zext i32 {up} to i64')}")))

    def _copy(self, i: Instr) -> None:
        """Byte by byte, the rest zero; a known small number at once."""

        def body() -> list[str]:
            if i.attr("fn"):
                raise self.d.lacks(f"cp.reduce.async ({i.attr('fn')})", i)
            dst, src = self.place(i.attr("to"), self.val(i.args[0]), i=i), self.place(i.attr("from"), self.val(i.args[1]), i=i)
            known = self.const.get(i.args[2].id)
            if known in (4, 8, 16) and i.attr("bytes", known) == known and len(i.args) == 3:
                t = {4: "i32", 8: "i64", 16: "<4 x i32>"}[known]
                self.lines.append(f"  store {t} {self.put(f'load {t}, {src}, align 4')}, {dst}, align 4")
                return []
            read = self.put(f"zext i32 {self.val(i.args[2]).text} to i64")
            total = str(i.attr("bytes")) if i.attr("bytes") else self.val(i.args[3]).text if len(i.args) > 3 else read
            types = [x[: x.rindex(" ")] for x in (dst, src)]
            name = "copy.bytes." + ".".join(t.replace("ptr", "").replace(" addrspace(", "").replace(")", "") or "0" for t in types)
            self.lines.append(f"  call i64 {self.helper(name, 'i64', [*types, 'i64', 'i64'], lambda e: _copy_loop(e, *types))}({dst}, {src}, i64 {read}, i64 {total})")
            return []

        self.with_guard(i, body)


def order_after(i: Instr) -> bool:
    """Whether a narrow or wide access has an order that its instruction cannot carry."""
    return i.attr("order") in ("acquire", "release", "sc") and not 32 <= i.attr("to").bits <= 64


def _copy_loop(e: Access, dst: str, src: str) -> str:
    e.lines.append("  br label %head")
    e.lines += ["head:", "  %k = phi i64 [ 0, %entry ], [ %k1, %next ]", "  %more = icmp ult i64 %k, %a3", "  br i1 %more, label %body, label %out",
                "body:", f"  %q = getelementptr i8, {dst} %a0, i64 %k", "  %in = icmp ult i64 %k, %a2", "  br i1 %in, label %get, label %zero",
                "get:", f"  %p = getelementptr i8, {src} %a1, i64 %k", f"  %x = load i8, {src} %p", f"  store i8 %x, {dst} %q", "  br label %next",
                "zero:", f"  store i8 0, {dst} %q", "  br label %next", "next:", "  %k1 = add i64 %k, 1", "  br label %head", "out:"]  # fmt: skip
    return "0"
