"""Instructions made from the rows: every form of a line, or a choice of them, with operands that fit.

Registers are those of `HEAD` and `ENTRY`: %p predicates, %b 8 bits, %h 16, %r 32, %rd 64, %q 128, %f and %d floats.
"""
from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from .matching import count_of, word_of
from .table import Line, Need, Operand, forms

FLOOR = Need((75, ""), (6, 3))  # the oldest target of today's ptxas
_FIRST = {(80, ""): (7, 0), (86, ""): (7, 1), (87, ""): (7, 4), (89, ""): (7, 8), (90, ""): (7, 8), (90, "a"): (8, 0), (100, ""): (8, 6), (100, "a"): (8, 6),
          (100, "f"): (8, 8), (103, "a"): (8, 8), (120, ""): (8, 7), (120, "a"): (8, 7)}  # the PTX ISA that knows an architecture

HEAD = """.version {version}
.target {target}
.address_size 64
.global .align 128 .b8 glob[256];
.const .align 16 .b8 konst[64] = {{1, 2, 3}};
.shared .align 128 .b8 smem[1024];
.shared .align 8 .b64 bar8;
.global .texref tref;
.global .surfref sref;
.func (.reg .u32 out) helper (.reg .u32 in) {{ add.u32 out, in, 1; ret; }}
.func (.param .b32 out) byaddress (.param .b32 in)
{{
	.reg .b32 %r<2>;
	ld.param.b32 %r0, [in];
	st.param.b32 [out], %r0;
	ret;
}}
"""
ENTRY = """.visible .entry k{n}(.param .align 16 .b8 a[64])
{{
	.reg .pred %p<4>;
	.reg .b8 %b<8>;
	.reg .b16 %h<40>;
	.reg .b32 %r<144>;
	.reg .b64 %rd<16>;
	.reg .f32 %f<144>;
	.reg .f64 %d<32>;
	.local .align 16 .b8 lmem[64];
{quad}	ld.param.u64 %rd0, [a];
{extra}	{sample}
DONE:
	ret;
}}
"""
QUAD = "\t.reg .b128 %q<8>;\n"
TABLE = "\tTABLE: .branchtargets DONE, DONE;\n"
PROTO = "\tPROTO: .callprototype (.param .b32 _) _ (.param .b32 _);\n\tmov.u64 %rd1, byaddress;\n"
PARAM = "\t.param .align 16 .b8 par[64];\n"


class Sample(NamedTuple):
    """An instruction of a line, and what it needs."""

    text: str
    line: Line
    words: tuple[str, ...]
    need: Need
    later: str  # why it is not executed ('' if it is)

    @property
    def independent(self) -> bool:
        """Whether it names a sampler, as only `texmode_independent` has it."""
        return "smp" in self.text


# ---- operands -------------------------------------------------------------------------------------------------------

_CLASS = {"pred": "%p", "b8r": "%b", "b128": "%q", "f32": "%f", "f64": "%d"}
_SIZES = {"8": "%h", "16": "%h", "32": "%r", "64": "%rd"}
_OTHER = {"f16x2": "%r", "bf16x2": "%r", "u16x2": "%r", "s16x2": "%r", "f32x2": "%rd", "f16": "%h", "bf16": "%h", "tf32": "%r", "e4m3x2": "%h", "e5m2x2": "%h",
          "e4m3x4": "%r", "e5m2x4": "%r", "e4m3": "%h", "e5m2": "%h"}  # fmt: skip
_ADDRESS = {"global": "[%rd0]", "": "[%rd0]", "shared": "[smem]", "shared::cluster": "[%r1]", "local": "[lmem]", "const": "[konst]",
            "param": "[a]", "param::entry": "[a]", "param::func": "[par]", "shared32": "[%r1]", "bar": "[bar8]", "tensor": "[%r1]", "texref": "[tref]",
            "samplerref": "[smp]", "surfref": "[sref]"}  # fmt: skip
TYPES = frozenset("pred b8 u8 s8 b16 u16 s16 b32 u32 s32 b64 u64 s64 b128 f32 f64".split()) | frozenset(_OTHER)
_COORDINATES = {"1d": "x", "2d": "xx", "3d": "xxxx", "a1d": "ix", "a2d": "ixxx", "cube": "xxxx", "acube": "ixxx", "2dms": "ixxx", "a2dms": "iixx"}


def bank(t: str) -> str:
    """The registers that hold a type."""
    return _CLASS.get(t) or _OTHER.get(t) or _SIZES.get(re.sub(r"^[busf]+", "", t), "%r")


class _Operands:
    """Writes the operands of one instruction; registers of a bank are taken in turn."""

    def __init__(self, line: Line, words: tuple[str, ...], places: tuple[str, ...]) -> None:
        self.line, self.words, self.places = line, words, places
        self.next: dict[str, int] = {}
        self.optional = False
        self.usual = next((w for w in reversed(words) if w in TYPES), "b32")

    def register(self, t: str) -> str:
        b = bank(t)
        n = self.next[b] = self.next.get(b, 0) + 1
        return f"{b}{n % 4}" if b in ("%p", "%b") else f"{b}{n}"

    def type_of(self, name: str) -> str:
        what = self.line.where.get(name, "")
        if what in ("", "var", "{}"):
            return self.usual
        if what == "wide":
            return self.usual[0] + str(2 * int(self.usual[1:]))
        t = what.rpartition(".")[2] if "." in what and not what[0].isdigit() or "x." in what else what
        if re.match(r"\d+x[a-z]", t):
            t = t.partition("x")[2]
        return word_of(t, self.words, self.places) or t

    def value(self, o: Operand) -> str:
        what = self.line.where.get(o.name, "")
        if o.name == "_":
            return "_"
        if o.name.isdigit() or re.match(r"-?\d+(\.\d+)?$|0x", what) or what in ("DONE", "TABLE"):
            return o.name if o.name.isdigit() else what
        if what in ("offset", "grad", "lanes"):
            return self.special(what)
        if what == "{}":  # two halves
            half = {"b16": "b8r", "b32": "b16", "b64": "b32", "b128": "b64"}[self.usual]
            return f"{{{self.register(half)}, {self.register(half)}}}"
        if what == "im2col":
            words = set(self.words)
            dims = next(int(w[0]) for w in self.words if re.fullmatch(r"\dd", w))
            return "{" + ", ".join(["%h1", "%h2", "%h3"][: dims - 2] if "im2col" in words else ["%h1", "%h2"]) + "}"
        t = self.type_of(o.name)
        if o.sign == "!" and o.name in ("a", "c") and not what:
            t = "pred"
        if o.name in ("p", "q", "pred") and not what and not self.line.opcode.startswith("cvta"):
            t = "pred"
        if o.name == "cache-policy":
            t = "b64"
        if t == "b8" and what == "b8":
            t = "b8r"
        count = count_of(self.line, o.name, self.words, self.places)
        if count is not None:
            t = "f64" if t == "f64" else "f32" if t == "f32" else t if t in TYPES and not re.match(r"[MNKW]x", what) and bank(t) != "%d" else "b32"
            if self.line.opcode in ("wgmma", "mma", "wmma") and t not in ("f32", "f64"):
                t = "b32"
            return "{" + ", ".join(self.register(t) for _ in range(count)) + "}"
        text = self.register(t)
        part = o.part.lstrip("?")
        if part and o.part[0] != "?":
            text += "." + self.line.section.sets[part][len(self.words) % len(self.line.section.sets[part])][0]
        if part and self.optional and o.part[0] == "?" or o.second[:1] == "?" and self.optional and self.line.opcode in ("setp", "shfl", "match"):
            text += f".{self.line.section.sets[part][-1][0]}" if part else "|" + self.register("pred")
        if o.second and o.second[0] != "?":
            text += "|" + self.register("pred")
        return text

    def special(self, what: str) -> str:
        if what == "lanes":
            return "{" + ", ".join(f"%r{k}" for k in range(2, 6 if "cta_group::1" in self.words else 10)) + "}"
        geom = next(w for w in self.words if w in _COORDINATES)
        size = {"1": 1, "2": 2, "3": 4, "c": 4}[geom.lstrip("a")[0]]
        return "{" + ", ".join((f"%f{k + 1}" if what == "grad" else f"%r{k + 1}") for k in range(size)) + "}"

    def address(self, o: Operand) -> str:
        what = self.line.where.get(o.name, "")
        if what == "map":
            dims = next(int(w[0]) for w in self.words if re.fullmatch(r"\dd", w))
            size = 5 if {"tile::gather4", "tile::scatter4"} & set(self.words) else dims
            return "[%rd0, {" + ", ".join(f"%r{k + 2}" for k in range(size)) + "}]"
        if what in ("tex", "surf"):
            geom = next(w for w in self.words if w in _COORDINATES)
            kinds = _COORDINATES[geom]
            floats = what == "tex" and self.words[-1] == "f32"
            coords = ["%f" if k == "x" and floats else "%r" for k in kinds]
            names = {"tex": "tref", "surf": "sref"}[what] + (", smp" if len(o.items) == 2 else "")
            return f"[{names}, {{" + ", ".join(f"{c}{n + 1}" for n, c in enumerate(coords)) + "}]"
        if not what:
            spaces = [w for w in self.words if w.partition("::")[0] in ("global", "shared", "local", "const", "param") and w != "global_address"]
            what = spaces[0] if spaces else ""
            if what == "param" and self.line.opcode == "st":
                what = "param::func"
        return _ADDRESS.get(what) or _ADDRESS[what.partition("::")[0]]

    def text(self, optional: bool) -> str:
        out = []
        self.optional = optional
        for o in self.line.operands:
            if o.optional and not (optional or self.wanted(o)):
                continue
            if o.optional and self.unwanted(o):
                continue
            if o.kind == "address":
                out.append(self.address(o))
            elif o.kind == "vector":
                t = "b16" if o.items[0].startswith("byte") else "f32"
                out.append("{" + ", ".join(self.register(t) for _ in o.items) + "}")
            else:
                out.append(self.value(o))
        return ", ".join(out)

    def wanted(self, o: Operand) -> bool:
        """Operands that a modifier asks for."""
        asks = {"cache-policy": "L2::cache_hint", "ctaMask": "multicast::cluster", "scale-factor": "scaled::n2::ue8m0"}.get(o.name)
        return asks in self.words or o.name == "im2colInfo" and any(w.startswith("im2col") and w != "im2col_no_offs" for w in self.words)

    def unwanted(self, o: Operand) -> bool:
        """Operands that stand only with their modifier, and those that do not go with these words."""
        if o.name in ("cache-policy", "ctaMask", "scale-factor", "im2colInfo"):
            return not self.wanted(o)
        geom = next((w for w in self.words if w in _COORDINATES), "")
        if o.name == "e":
            return geom in ("cube", "acube", "2dms", "a2dms")
        return o.name == "f" and geom != "" and (geom not in ("2d", "a2d", "cube", "acube") or self.words[-2:] != ("f32", "f32"))


def sample(line: Line, words: tuple[str, ...], places: tuple[str, ...], optional: bool = False) -> Sample:
    name = ".".join((line.opcode, *words))
    if words[-1:] == ("unified",):
        name = name[: -len(".unified")]
    writer = _Operands(line, words, places)
    operands = writer.text(optional)
    if words[-1:] == ("unified",):
        operands = operands.replace("]", "].unified")
    names = frozenset((*words, line.opcode))
    need = line.need_of(names) | FLOOR
    return Sample(f"{name} {operands}".strip(), line, words, need | Need(isa=_FIRST.get(need.arch, (6, 3))), line.later(names))


# ---- which forms ----------------------------------------------------------------------------------------------------


def total(line: Line) -> int:
    """How many forms a line has before `not`."""
    out = 0
    for slots in line.variants:
        n = 1
        for s in slots:
            n *= len(s.words) + s.optional
        out += n
    return out


@lru_cache(maxsize=None)
def chosen(line: Line, limit: int) -> tuple[Sample, ...]:
    """All forms of a line, or `limit` of them: the plain one, each word once, then random ones (the same at every run)."""
    if total(line) <= limit:
        found = list(forms(line))
    else:
        found = list(itertools.islice(_some(line), limit))
    return tuple(sample(line, words, places, bool(n % 2)) for n, (words, places) in enumerate(found))


def _some(line: Line) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    r = random.Random(line.text)
    seen: set[tuple[str, ...]] = set()
    each = [(slots, k, w) for slots in line.variants for k, s in enumerate(slots) for w in s.words]
    for n in range(len(each) + 4000):
        slots, k, word = each[n] if n < len(each) else (r.choice(line.variants), -1, "")
        pick = [word if j == k else r.choice((*s.words, *([None] * (len(s.words) if n < len(each) else 1) if s.optional else ()))) for j, s in enumerate(slots)]
        words = tuple(w for w in pick if w is not None)
        if words not in seen and line.allows(words):
            seen.add(words)
            yield words, tuple(s.name for s, w in zip(slots, pick) if w is not None)


# ---- modules --------------------------------------------------------------------------------------------------------


def head(need: Need, independent: bool = False) -> str:
    """What stands before the kernels of samples.  `shfl` and `vote` without `.sync` ask for an old version."""
    target = need.target + (", texmode_independent" if independent else "")
    return HEAD.format(version=need.version, target=target) + (".global .samplerref smp;\n" if independent else "")


def entry(text: str, n: int = 0) -> str:
    """One sample in a kernel of its own."""
    extra = (TABLE if "TABLE" in text else "") + (PROTO if "PROTO" in text else "") + (PARAM if "[par]" in text else "")
    return ENTRY.format(n=n, extra=extra, sample=text if text.endswith("}") and text.startswith("{") else text + ";", quad=QUAD if "%q" in text else "")
