"""Kernels of other origin as OpenCL C: every address is an integer, blocks have any size, warps are 32 lanes.

OpenCL C 1.2 has no generic pointers: a generic address is that of the host, which local and private memory have too on the devices that run
such kernels (they are in main memory), so it is read and written as `__global`.  Shared memory is a parameter, then its size; memory of the
thread is an array.  Warp ops exchange through local memory between two barriers; who launches sees to it that all threads take them.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ...ir.errors import UnsupportedError
from ...ir.instr import Instr, Value
from ...ir.kernel import Kernel
from ...ir.types import F32, F64, I1, I32, I64, Scalar
from .opencl_c import ATOMICS, SIGNED, SUFFIX, TO_BF16, _minmax, _narrowing, _widening, _Write, uses_arena

THREADS = 1024  # most of a block
HEAP = 16 << 10  # bytes for alloca
MOST = 16  # values that are exchanged at once
CLUSTER = {"cluster_nctaid": "1u", "cluster_ctaid": "0u"}
NUMBERS = {"cluster_nctarank": "1u", "nsmid": "1u", "cluster_ctarank": "0u", "is_explicit_cluster": "0u", "smid": "0u"}

COPY = """static inline void copy_{d}_{s}({D} uchar* to, {S} const uchar* from, ulong read, ulong total)
{{
    for (ulong k = 0; k < total; k++) to[k] = k < read ? from[k] : 0;
}}"""


class ForeignWriter(_Write):
    """One kernel."""

    shuffle = "shfl_sync"

    def __init__(self, kernel: Kernel, helpers: dict[str, str], features: Sequence[str]) -> None:
        super().__init__(kernel, helpers, features)
        self.apart, self.lanes, self.warps, self.size = False, 32, THREADS // 32, THREADS
        names = {i.op.name for i in kernel.instrs()}
        self.reports = bool(names & {"report", "trap"})
        self.local = kernel.local + (HEAP if "alloca" in names else 0)
        self.uses_arena = uses_arena(kernel)
        self.unique = 0

    def find_pointers(self) -> set[int]:
        return {p.value.id for p in self.k.params if p.role == "pointer"}

    def more_params(self) -> list[str]:
        return ["__local uchar* arena", "uint arena_size"] * self.uses_arena + ["__global uint* report"] * self.reports

    def preamble(self) -> None:
        if self.specials:
            self.put("const uint lid = (uint)(get_local_id(0) + get_local_size(0) * (get_local_id(1) + get_local_size(1) * get_local_id(2)));")
        if "lane" in self.specials:
            self.put("const uint lane = lid & 31u;")
        if "warp" in self.specials:
            self.put("const uint warp = lid / 32u;")
        if self.local:
            self.put(f"ulong own[{-(-self.local // 8)}];")
        if self.local > self.k.local:
            self.put(f"uint heap = {self.k.local};")
        if any(i.op.name == "named_barrier" and i.attr("kind") in ("popc", "and", "or") for i in self.k.instrs()):
            self.put("__local uint votes;")

    def temporary(self, hint: str) -> str:
        self.unique += 1
        return f"{hint}_t{self.unique}"

    # ---- arithmetic with modifiers

    def modified(self, i: Instr) -> str:
        out, elem = i.result.type.elem, i.args[0].type.elem
        plain = i.replace(attrs=tuple((k, v) for k, v in i.attrs if k not in ("ftz", "sat")))
        if not i.attr("ftz") or elem is not F32 and out is not F32:
            return self.clamped(self.lane(plain), out) if i.attr("sat") else self.lane(plain)
        kept = dict(self.names), dict(self.consts)
        for v in i.args:  # the operands, flushed
            if v.type is F32:
                text = f"flush({self.wrapped(v)})"
                self.consts.pop(v.id, None)
                self.names[v.id] = text
        r = self.lane(plain)
        self.names.update({v.id: kept[0][v.id] for v in i.args if v.id in kept[0]})
        for v in i.args:
            if v.id not in kept[0]:
                self.names.pop(v.id, None)
        self.consts = kept[1]
        self.helper("flush", "static inline float flush(float x)\n{ /* subnormal numbers become zeros of their sign */\n"
                    "    return as_uint(x) & 0x7f800000u ? x : as_float(as_uint(x) & 0x80000000u);\n}")  # fmt: skip
        if out is F32:
            r = f"flush({r})"
        return self.clamped(r, out) if i.attr("sat") else r

    def clamped(self, text: str, elem: Scalar) -> str:
        if elem not in (F32, F64):
            raise UnsupportedError(f"saturation to {elem} in OpenCL C")
        t = self.ctype(elem)
        for name in ("fminnum", "fmaxnum"):
            self.helper(f"{name}_{t}", _minmax(name, t))
        return f"fminnum_{t}(fmaxnum_{t}({text}, 0), 1)"

    # ---- special registers

    def _sreg(self, i: Instr) -> None:
        name: str = i.attr("name")
        head, _, axis = name.partition(".")
        n = "xyz".find(axis) if axis else -1
        fn = {"tid": "get_local_id", "ntid": "get_local_size", "ctaid": "get_group_id", "nctaid": "get_num_groups", "clusterid": "get_group_id",
              "nclusterid": "get_num_groups"}.get(head)  # fmt: skip
        if fn:
            text = f"(uint){fn}({n})"
        elif head in CLUSTER or name in NUMBERS:
            text = CLUSTER.get(head) or NUMBERS[name]
        elif name in ("laneid", "warpid"):
            text = self.lane_or_warp(name[:-2])
        elif name == "nwarpid":
            text = "(uint)(get_local_size(0) * get_local_size(1) * get_local_size(2) + 31) / 32u"
        elif name.startswith("lanemask_"):
            bit = f"1u << {self.lane_or_warp('lane')}"
            text = {"eq": bit, "lt": f"({bit}) - 1u", "le": f"(({bit}) - 1u) | ({bit})", "ge": f"~(({bit}) - 1u)", "gt": f"~((({bit}) - 1u) | ({bit}))"}[name[-2:]]
        elif name in ("total_smem_size", "aggr_smem_size", "dynamic_smem_size") and self.uses_arena:
            text = "arena_size" if name[0] != "d" else f"arena_size - {self.k.shared}u"
        else:
            raise UnsupportedError(f"special register {name} in OpenCL C", place=i.loc)
        self.define(i.result, text)

    def lane_or_warp(self, name: str) -> str:
        self.special("lid")
        return self.special(name)

    # ---- memory

    def sum32(self, b: Value, x: Value | None, scale: int, disp: int) -> str:
        """An address of a window: 32 bits, which wrap."""
        parts = [f"(uint){self.wrapped(b)}"] if not (b.id in self.consts and self.known(b) == 0 and (x or disp)) else []
        if x is not None:
            parts.append(f"(uint){self.wrapped(x)}" + (f" * {scale}u" if scale != 1 else ""))
        if disp:
            parts.append(f"{disp & 0xFFFFFFFF}u")
        return " + ".join(parts)

    def spot(self, space: str, b: Value, x: Value | None = None, scale: int = 1, disp: int = 0) -> tuple[str, str]:
        """(qualifier, byte pointer) of an address."""
        if space in ("shared", "cluster"):
            text = self.sum32(b, x, scale, disp)
            return "__local", f"arena + ({text} & 0xffffffu)" if space == "cluster" else f"arena + ({text})"
        if space == "local":
            return "__private", f"(uchar*)own + ({self.sum32(b, x, scale, disp)})"
        parts = [f"(ulong){self.wrapped(b)}" if b.type is I32 else self.wrapped(b)]
        if x is not None:
            wide = f"(ulong)(long){self.signed(x)}" if x.type is I32 else self.wrapped(x)
            parts.append(f"{wide} * {scale}" if scale != 1 else wide)
        if disp:
            parts.append(f"{disp}ul" if disp > 0 else f"(ulong){disp}l")
        return "__global", f"(__global uchar*)({' + '.join(parts)})"

    def place(self, i: Instr, base: Value, index: Value | None, elem: Scalar, word: str = "") -> str:
        q, p = self.spot(i.attr("space", "global"), base, index, i.attr("scale", 1), i.attr("disp", 0))
        word = word or ("uchar" if elem is I1 else self.ctype(elem))
        volatile = "volatile " if i.attr("volatile") or i.attr("order") not in (None, "weak") else ""
        return f"*({volatile}{q} {word}*)({p})"

    def _ld(self, i: Instr) -> None:
        super()._ld(i)
        if i.attr("order") in ("acquire", "sc"):
            self.put("mem_fence(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);")

    def _st(self, i: Instr) -> None:
        if i.attr("order") in ("release", "sc"):
            self.put("mem_fence(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);")
        super()._st(i)

    def _to_generic(self, i: Instr) -> None:
        space, v = i.attr("space"), i.args[0]
        self.define(i.result, f"(ulong)({self.spot(space, v)[1]})" if space in ("shared", "cluster", "local") else f"(ulong){self.wrapped(v)}")

    def _from_generic(self, i: Instr) -> None:
        space, x = i.attr("space"), self.wrapped(i.args[0])
        base = {"shared": "(ulong)arena", "cluster": "(ulong)arena", "local": "(ulong)own"}.get(space)
        self.define(i.result, f"{x} - {base}" if base else x)

    def _is_space(self, i: Instr) -> None:
        space, x = i.attr("space"), self.wrapped(i.args[0])
        shared = f"{x} - (ulong)arena < arena_size" if self.uses_arena else "false"
        own = f"{x} - (ulong)own < {self.local}" if self.local else "false"
        known = {"shared": shared, "cluster": shared, "local": own, "global": f"!({shared} || {own})"}
        if space not in known:
            raise UnsupportedError(f"isspacep.{space} in OpenCL C", place=i.loc)
        self.define(i.result, known[space])

    def _alloca(self, i: Instr) -> None:
        align = max(i.attr("align", 8), 8)
        self.put(f"heap = (heap + {align - 1}u) & {hex(2**32 - align)}u;")
        self.define(i.result, "(ulong)((uchar*)own + heap)")
        self.put(f"heap += (uint){self.wrapped(i.args[0])};")

    def _copy(self, i: Instr) -> None:
        if i.attr("masked"):
            raise UnsupportedError("cp.async.bulk with a byte mask in OpenCL C", place=i.loc)
        if i.attr("fn"):
            raise UnsupportedError(f"cp.reduce.async ({i.attr('fn')}) in OpenCL C", place=i.loc)
        (d, to), (s, source) = self.spot(i.attr("to"), i.args[0]), self.spot(i.attr("from"), i.args[1])
        read = f"(ulong){self.wrapped(i.args[2])}"
        total = f"{i.attr('bytes')}ul" if i.attr("bytes") else self.use(i.args[3]) if len(i.args) > 3 else read
        name = f"copy_{d[2:]}_{s[2:]}"
        self.helper(name, COPY.format(d=d[2:], s=s[2:], D=d, S=s))
        self.guarded(i, f"{name}({to}, {source}, {read}, {total});")

    def guarded(self, i: Instr, statement: str) -> None:
        self.put(statement if i.guard is None else f"if ({self.use(i.guard)}) {statement}")

    def _async_wait(self, i: Instr) -> None:
        """Copies are complete when they are issued."""

    def _pause(self, i: Instr) -> None:
        """Nothing: others run by themselves."""

    # ---- atomics

    def atomic(self, i: Instr) -> str:
        fn, elem, space = i.attr("fn"), i.attr("to"), i.attr("space", "global")
        if space == "local" or elem.bits > 64:
            raise UnsupportedError(f"atomic {fn} of {elem} in {space} memory in OpenCL C", place=i.loc)
        if fn in ATOMICS and elem in (I32, I64):
            return super().atomic(i)
        values = 2 if fn == "cas" else 1
        base, index, data = self.split(i, values)
        q, p = self.spot(space, base, index, i.attr("scale", 1), i.attr("disp", 0))
        name = f"atomic_{fn}_{elem.name}_{q[2:]}"
        self.helper(name, self.cas_loop(i, name, fn, elem, q, values))
        return f"{name}({p}, {', '.join(self.use(v) for v in data)})"

    def cas_loop(self, i: Instr, name: str, fn: str, elem: Scalar, q: str, values: int) -> str:
        """Read, compute, compare and swap, again.  What has fewer than 32 bits lives in the aligned word around it."""
        t, small = self.ctype(elem), elem.bits < 32
        bits = {8: "uchar", 16: "ushort", 32: "uint", 64: "ulong"}[elem.bits]
        word = "uint" if small else bits
        swap = "atom_cmpxchg" if word == "ulong" else "atomic_cmpxchg"
        number = t != bits
        old = f"({bits})(have >> shift)" if small else f"as_{t}(have)" if number else "have"
        new = f"as_{bits}({self.combined(i, fn, elem)})" if number else self.combined(i, fn, elem)
        want = f"(have & ~({hex(2**elem.bits - 1)}u << shift)) | ((uint)({bits})({new}) << shift)" if small else new
        params = ", ".join(f"{t} {n}" for n in "ab"[:values])
        lines = [f"static inline {t} {name}({q} uchar* p, {params})", "{"]
        if small:
            lines += ["    const uint shift = ((uint)(ulong)p & 3u) * 8;", f"    volatile {q} uint* at = (volatile {q} uint*)((ulong)p & ~3ul);"]
        else:
            lines.append(f"    volatile {q} {word}* at = (volatile {q} {word}*)p;")
        lines += [f"    {word} have = *at;", "    for (;;) {", f"        const {t} old = {old};", f"        const {word} want = {want};",
                  f"        const {word} seen = {swap}(at, have, want);", "        if (seen == have) return old;", "        have = seen;", "    }", "}"]  # fmt: skip
        return "\n".join(lines)

    def combined(self, i: Instr, fn: str, elem: Scalar) -> str:
        """What a read-modify-write of `old` with `a` (and `b`) leaves."""
        t = self.ctype(elem)
        if fn == "exch":
            return "a"
        if fn == "cas":
            same = f"as_u{'int' if t == 'float' else 'long'}(old) == as_u{'int' if t == 'float' else 'long'}(a)" if t in ("float", "double") else "old == a"
            return f"({same} ? b : old)"
        if fn in ("inc", "dec"):
            return "(old >= a ? 0 : old + 1)" if fn == "inc" else "(old == 0 || old > a ? a : old - 1)"
        if not elem.is_float:
            if fn in ("imin_u", "imax_u", "imin_s", "imax_s"):
                s = f"({SIGNED[elem.name]})" if fn[-1] == "s" else ""
                return f"({s}old {'<' if fn[1:4] == 'min' else '>'} {s}a ? old : a)"
            sign = {"iadd": "+", "and": "&", "or": "|", "xor": "^"}.get(fn)
            if sign:
                return f"(old {sign} a)"
        wide: Callable[[str], str] = lambda x: x
        if elem.is_float and fn in ("fadd", "fminnum", "fmaxnum", "fmin", "fmax"):
            f = t
            if elem.bits < 32:
                f = "float"
                if elem.name == "bf16":
                    wide = lambda x: f"as_float((uint){x} << 16)"
                else:
                    self.helper("from_" + elem.name, _widening(elem))
                    wide = lambda x: f"from_{elem.name}({x})"
            if fn == "fadd":
                r = f"{wide('old')} + {wide('a')}"
            else:
                self.helper(f"{fn}_{f}", _minmax(fn, f))
                r = f"{fn}_{f}({wide('old')}, {wide('a')})"
            if elem.bits >= 32:
                return f"({r})"
            self.helper("to_" + elem.name, TO_BF16 if elem.name == "bf16" else _narrowing(elem))
            return f"to_{elem.name}({r})"
        raise UnsupportedError(f"atomic {fn} of {elem} in OpenCL C", place=i.loc)

    # ---- barriers and warps

    def _named_barrier(self, i: Instr) -> None:
        kind = i.attr("kind", "sync")
        if self.known(i.args[0]) != 0 or i.attr("counted") or kind == "arrive":
            raise UnsupportedError("a barrier that is not the block's in OpenCL C", place=i.loc)
        self._bar(i)
        if kind == "sync":
            return
        self.special("lid")
        p = self.wrapped(i.args[-1])
        self.put("if (lid == 0) votes = 0;")
        self._bar(i)
        self.put(f"if ({'!' if kind == 'and' else ''}{p}) atomic_inc(&votes);")
        self._bar(i)
        total = self.temporary("votes")
        self.put(f"const uint {total} = votes;")
        self._bar(i)
        self.define(i.result, total if kind == "popc" else f"{total} {'!=' if kind == 'or' else '=='} 0")

    def shared_words(self, texts: Sequence[tuple[str, str]]) -> list[str]:
        """Writes values (C type, text) where the other lanes of the warp see them; lane n's is at `…n]`."""
        for name in ("lid", "lane"):
            self.special(name)
        used, out = dict[str, int](), []
        for word, text in texts:
            n = used[word] = used.get(word, -1) + 1
            self.exchanged[word] = max(self.exchanged.get(word, 0), n + 1)
            self.put(f"exchange_{word}[{n * self.size} + lid] = {text};")
            out.append(f"exchange_{word}[{n * self.size} + lid - lane + ")
        self.meet()
        return out

    def meet(self) -> None:
        self.put("barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);")

    def ballot(self, text: str, mask: Value | None) -> str:
        """The name of a word with a bit per lane."""
        [memory] = self.shared_words([("uchar", text)])
        bits = self.temporary("bits")
        self.put(f"uint {bits} = 0;")
        self.put(f"for (uint n = 0; n < 32; n++) {bits} |= (uint){memory}n] << n;")
        self.meet()
        if mask is not None and self.known(mask) != -1:
            self.put(f"{bits} &= {self.use(mask)};")
        return bits

    def shuffles(self, batch: Sequence[Instr]) -> None:
        """Shuffles that do not need one another, between two barriers; a value that several lanes' reads want is written once."""
        self.loc = batch[0].loc
        values = list({i.args[1].id: i.args[1] for i in batch}.values())
        if len(values) > MOST:
            middle = len(batch) // 2
            self.shuffles(batch[:middle])
            self.shuffles(batch[middle:])
            return
        self.special("lid")
        self.special("lane")
        sources = []
        for i in batch:
            _, v, by, clamp = i.args
            mode, known = i.attr("mode", "bfly"), self.known(clamp)
            if known is not None:
                top, segment = f"{known & 31}u", f"{known >> 8 & 31}u"
            else:
                top, segment = f"({self.wrapped(clamp)} & 31u)", f"({self.wrapped(clamp)} >> 8 & 31u)"
            b = f"({self.wrapped(by)} & 31u)"
            if known == 31 and mode == "idx":  # of the whole warp: any lane is in range
                sources.append(b[1:-1])
                self.define(i.results[1], "true")
                continue
            j, last = self.temporary("lane"), self.temporary("last")
            source = {"idx": f"(lane & {segment}) | ({b} & ~{segment})", "bfly": f"lane ^ {b}", "down": f"lane + {b}", "up": f"lane - {b}"}[mode]
            self.put(f"const int {j} = (int)({source}), {last} = (int)((lane & {segment}) | ({top} & ~{segment}));")
            self.define(i.results[1], f"{j} {'>=' if mode == 'up' else '<='} {last}")
            sources.append(f"{self.use(i.results[1])} ? {j} : (int)lane")
        words = ["uchar" if v.type is I1 else self.ctype(v.type.elem) for v in values]
        memory = dict(zip((v.id for v in values), self.shared_words([(w, self.use(v)) for w, v in zip(words, values)])))
        for i, source in zip(batch, sources):
            text = f"{memory[i.args[1].id]}({source})]"
            self.define(i.results[0], f"{text} != 0" if i.args[1].type is I1 else text)
        self.meet()

    def _ballot_sync(self, i: Instr) -> None:
        self.define(i.result, self.ballot(self.use(i.args[1]), i.args[0]))

    def _activemask(self, i: Instr) -> None:
        self.define(i.result, self.ballot("1", None))

    def _vote_sync(self, i: Instr) -> None:
        mode, p = i.attr("mode", "any"), self.wrapped(i.args[1])
        yes = f"{self.ballot(self.use(i.args[1]), i.args[0])} != 0" if mode == "any" else ""
        no = f"{self.ballot(f'!{p}', i.args[0])} == 0" if mode != "any" else ""
        if mode == "uni":
            no = f"{no} || {self.ballot(self.use(i.args[1]), i.args[0])} == 0"
        self.define(i.result, yes or no)

    def everyone(self, i: Instr, result: str, start: str, step: Callable[[str], str], live: str) -> str:
        """A loop over the lanes of the warp that are in `live`; `step` says what one lane's value does."""
        v = i.args[1]
        [memory] = self.shared_words([(self.ctype(v.type.elem), self.use(v))])
        out = self.temporary("all")
        self.put(f"{result} {out} = {start};")
        self.put(f"for (uint n = 0; n < 32; n++) if ({live} >> n & 1u) {out} = {step(memory + 'n]').replace('OUT', out)};")
        self.meet()
        return out

    def _match_any_sync(self, i: Instr) -> None:
        live = self.ballot("1", i.args[0])
        self.define(i.result, self.everyone(i, "uint", "0", lambda x: f"OUT | ((uint)({x} == {self.use(i.args[1])}) << n)", live))

    def _match_all_sync(self, i: Instr) -> None:
        live = self.ballot("1", i.args[0])
        bits = self.everyone(i, "uint", "0", lambda x: f"OUT | ((uint)({x} == {self.use(i.args[1])}) << n)", live)
        self.define(i.results[0], f"{bits} == {live} ? {live} : 0u")
        self.define(i.results[1], f"{bits} == {live}")

    def _redux_sync(self, i: Instr) -> None:
        fn, elem = i.attr("fn"), i.result.type.elem
        live, t = self.ballot("1", i.args[0]), self.ctype(elem)
        start = {"iadd": "0", "or": "0", "xor": "0", "and": f"~0{SUFFIX.get(elem.name, '')}"}.get(fn, self.use(i.args[1]))
        step = self.combined(i, fn, elem)
        self.define(i.result, self.everyone(i, t, start, lambda x: _applied(step, x), live))

    def _elect_sync(self, i: Instr) -> None:
        live = self.ballot("1", i.args[0])
        self.define(i.results[0], f"popcount(~{live} & ({live} - 1u))")
        self.define(i.results[1], f"popcount(~{live} & ({live} - 1u)) == lane")

    def _warp_sync(self, i: Instr) -> None:
        self.meet()


def _applied(step: str, x: str) -> str:
    """`combined` with OUT for the old value and x for the operand."""
    return re.sub(r"\ba\b", lambda m: x, re.sub(r"\bold\b", "OUT", step))

