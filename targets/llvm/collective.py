"""Ops across the lanes of a warp for work-items, written over four primitives of the dialect: `read_lanes`, `ballot`, `warp_barrier`, `barrier`.

A lane may read any lane that executes; members that a mask leaves out are masked out afterwards, so lanes with different masks may meet in one op.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...ir.instr import Instr, Value
from ...ir.types import I1, Scalar
from .ops import NAMES, Ops


class Request(NamedTuple):
    """A word (i32 or i64) to be read from another lane."""

    word: str
    text: str
    lane: str


class Collective(Ops):
    """The part of `Item` that exchanges."""

    d: Any
    lanes: int
    name: str
    globals: list[str]
    sreg: Any  # what follows is Item's
    linear: Any
    as_bits: Any
    combined: Any
    pointer_type: Any

    # ---- values as words

    def word_of(self, elem: Scalar, text: str) -> tuple[str, str]:
        """(i32 or i64, the bits of a value in it)."""
        if elem.bits > 64:
            raise self.d.lacks(f"shuffles of {elem}")
        bits = self.as_bits(elem, text)
        if elem.bits < 32:
            return "i32", self.put(f"zext i{elem.bits} {bits} to i32")
        return f"i{elem.bits}", bits

    def from_word(self, elem: Scalar, text: str) -> str:
        t = NAMES[elem.name]
        if elem is I1:
            return self.put(f"icmp ne i32 {text}, 0")
        if elem.bits < 32:
            text = self.put(f"trunc i32 {text} to i{elem.bits}")
        return text if t.startswith("i") else self.put(f"bitcast i{elem.bits} {text} to {t}")

    def read(self, wanted: Sequence[tuple[Scalar, str, str]]) -> list[str]:
        """Values of other lanes: (type, value, lane) each."""
        words: dict[tuple[str, str], tuple[str, str]] = {}
        requests = []
        for elem, text, lane in wanted:
            w = words.setdefault((elem.name, text), ("", ""))
            if not w[0]:
                w = words[elem.name, text] = self.word_of(elem, text)
            requests.append(Request(w[0], w[1], lane))
        got = self.d.read_lanes(self, requests)
        return [self.from_word(elem, x) for (elem, _, _), x in zip(wanted, got)]

    def own(self, i: Instr) -> bool:
        """Whether the dialect has a spelling of its own."""
        texts = self.d.collective(self, i)
        if texts is None:
            return False
        for r, text in zip(i.results, texts):
            self.define(r, text)
        return True

    # ---- canonical ops of the DSL: every lane of the block executes them

    def _shfl(self, i: Instr) -> None:
        self.shuffles([i])

    def shuffles(self, batch: Sequence[Instr]) -> None:
        """Shuffles that do not need one another."""
        lane, n, wanted = self.sreg("laneid"), self.lanes, []
        for i in batch:
            v, by = i.args
            x, mode, known = self.val(by).text, i.attr("mode"), self.const.get(by.id)
            source = x if mode == "idx" else self.put(f"{ {'bfly': 'xor', 'down': 'add', 'up': 'sub'}[mode]} i32 {lane}, {x}")
            if not (known is not None and 0 <= known < n and mode in ("bfly", "idx")):
                source = self.put(f"select i1 {self.put(f'icmp ult i32 {source}, {n}')}, i32 {source}, i32 {lane}")
            wanted.append((v.type.elem, self.val(v).text, source))
        for i, text in zip(batch, self.read(wanted)):
            self.define(i.result, text)

    def _vote_any(self, i: Instr) -> None:
        bits = self.d.ballot(self, self.val(i.args[0]).text)
        self.define(i.result, self.put(f"icmp ne i32 {bits}, 0"))

    def _vote_all(self, i: Instr) -> None:
        bits = self.d.ballot(self, self.put(f"xor i1 {self.val(i.args[0]).text}, true"))
        self.define(i.result, self.put(f"icmp eq i32 {bits}, 0"))

    # ---- ops of a set of lanes

    def members(self, mask: Value, text: str) -> str:
        """The bits of members for which a predicate holds."""
        bits = self.d.ballot(self, text)
        return bits if self.const.get(mask.id) == -1 else self.put(f"and i32 {bits}, {self.val(mask).text}")

    def _shfl_sync(self, i: Instr) -> None:
        if self.own(i):
            return
        _, v, by, clamp = i.args
        lane, mode = self.sreg("laneid"), i.attr("mode", "bfly")
        known = self.const.get(clamp.id)
        if known is not None:
            top, segment = str(known & 31), str(known >> 8 & 31)
        else:
            c = self.val(clamp).text
            top, segment = self.put(f"and i32 {c}, 31"), self.put(f"and i32 {self.put(f'lshr i32 {c}, 8')}, 31")
        low = self.put(f"and i32 {lane}, {segment}")
        rest = self.put(f"xor i32 {segment}, -1")
        last = self.put(f"or i32 {low}, {self.put(f'and i32 {top}, {rest}')}")
        b = self.put(f"and i32 {self.val(by).text}, 31")
        if mode == "idx":
            j = self.put(f"or i32 {low}, {self.put(f'and i32 {b}, {rest}')}")
        else:
            j = self.put(f"{ {'bfly': 'xor', 'down': 'add', 'up': 'sub'}[mode]} i32 {lane}, {b}")
        ok = self.put(f"icmp {'sge' if mode == 'up' else 'sle'} i32 {j}, {last}")
        source = self.put(f"select i1 {ok}, i32 {j}, i32 {lane}")
        [text] = self.read([(v.type.elem, self.val(v).text, source)])
        self.define(i.results[0], text)
        self.define(i.results[1], ok)

    def _ballot_sync(self, i: Instr) -> None:
        if not self.own(i):
            self.define(i.result, self.members(i.args[0], self.val(i.args[1]).text))

    def _activemask(self, i: Instr) -> None:
        if not self.own(i):
            self.define(i.result, self.d.ballot(self, "true"))

    def _vote_sync(self, i: Instr) -> None:
        if self.own(i):
            return
        mode, p = i.attr("mode", "any"), self.val(i.args[1]).text
        no = self.put(f"icmp eq i32 {self.members(i.args[0], self.put(f'xor i1 {p}, true'))}, 0") if mode != "any" else ""
        yes = self.put(f"icmp {'ne' if mode == 'any' else 'eq'} i32 {self.members(i.args[0], p)}, 0") if mode != "all" else ""
        self.define(i.result, yes if mode == "any" else no if mode == "all" else self.put(f"or i1 {yes}, {no}"))

    def everyone(self, v: Value) -> list[str]:
        """The value of each lane of the warp (of lanes that do not execute: anything)."""
        return self.read([(v.type.elem, self.val(v).text, str(n)) for n in range(32)])

    def _match_any_sync(self, i: Instr) -> None:
        if not self.own(i):
            self.define(i.result, self.matching(i)[0])

    def matching(self, i: Instr) -> tuple[str, str]:
        """(members with this lane's value, members)."""
        live = self.members(i.args[0], "true")
        elem, mine, bits = i.args[1].type.elem, self.val(i.args[1]).text, "0"
        w = f"i{elem.bits}"
        mine = self.as_bits(elem, mine)
        for n, x in enumerate(self.everyone(i.args[1])):
            same = self.put(f"icmp eq {w} {self.as_bits(elem, x)}, {mine}")
            bits = self.put(f"or i32 {bits}, {self.put(f'select i1 {same}, i32 {1 << n if n < 31 else -(1 << 31)}, i32 0')}")
        return self.put(f"and i32 {bits}, {live}"), live

    def _match_all_sync(self, i: Instr) -> None:
        if self.own(i):
            return
        bits, live = self.matching(i)
        same = self.put(f"icmp eq i32 {bits}, {live}")
        self.define(i.results[0], self.put(f"select i1 {same}, i32 {live}, i32 0"))
        self.define(i.results[1], same)

    def _redux_sync(self, i: Instr) -> None:
        if self.own(i):
            return
        fn, elem = i.attr("fn"), i.result.type.elem
        t = NAMES[elem.name]
        live, mine = self.members(i.args[0], "true"), self.val(i.args[1]).text
        start = {"iadd": "0", "or": "0", "xor": "0", "and": "-1"}.get(fn, mine)  # the others take a value twice without harm
        r = start
        for n, x in enumerate(self.everyone(i.args[1])):
            there = self.put(f"icmp ne i32 {self.put(f'and i32 {live}, {1 << n if n < 31 else -(1 << 31)}')}, 0")
            x = self.put(f"select i1 {there}, {t} {x}, {t} {start}")
            r = self.combined(i, fn, elem, r, [x])
        self.define(i.result, r)

    def _elect_sync(self, i: Instr) -> None:
        if self.own(i):
            return
        live = self.members(i.args[0], "true")
        first = self.put(self.call("llvm.cttz.i32", "i32", [("i32", live), ("i1", "false")]))
        self.define(i.results[0], first)
        self.define(i.results[1], self.put(f"icmp eq i32 {first}, {self.sreg('laneid')}"))

    def _mma(self, i: Instr) -> None:
        from .products import multiply

        if not self.own(i):
            multiply(self, i)

    def _warp_sync(self, i: Instr) -> None:
        if not self.own(i):
            self.d.warp_barrier(self)

    # ---- barriers of the block

    def _bar(self, i: Instr) -> None:
        self.d.barrier(self)

    def _named_barrier(self, i: Instr) -> None:
        kind = i.attr("kind", "sync")
        if self.const.get(i.args[0].id) != 0 or i.attr("counted") or kind == "arrive":
            self.d.named_barrier(self, i)
            return
        if kind == "sync":
            self.d.barrier(self)
            return
        t = self.pointer_type("shared")
        place = f"{t} @{self.name}.votes"
        text = f"@{self.name}.votes = internal addrspace({self.d.spaces['shared']}) global i32 undef, align 4"
        if text not in self.globals:
            self.globals.append(text)
        p, scope = self.val(i.args[-1]).text, self.d.scope("cta")
        self.when(self.put(f"icmp eq i32 {self.linear()}, 0"), f"store i32 0, {place}, align 4")
        self.d.barrier(self)
        one = p if kind != "and" else self.put(f"xor i1 {p}, true")
        self.put(f"atomicrmw add {place}, i32 {self.put(f'zext i1 {one} to i32')} {scope}monotonic, align 4")
        self.d.barrier(self)
        total = self.put(f"load i32, {place}, align 4")
        self.d.barrier(self)
        self.define(i.result, total if kind == "popc" else self.put(f"icmp {'ne' if kind == 'or' else 'eq'} i32 {total}, 0"))
