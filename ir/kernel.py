"""The kernel level: a CFG of SSA blocks with block parameters.  What one lane does.

Built with `KernelBuilder`; frozen into a `Kernel`.  Foreign PTX becomes this too, so nothing here knows about tiles.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .errors import BugError
from .instr import Block, Edge, Instr, Param, Value
from .loc import Loc
from .op import Attrs, LaneOps, Op, op
from .types import I1, Scalar, Type


class Kernel:
    """A frozen kernel.

    params   in ABI order                          blocks   block 0 is the entry; it has no parameters
    warps    warps per block (None: any)           lanes    lanes per warp that the code assumes (None: any)
    shared   bytes of static shared memory         local    bytes of each lane's own memory
    functions   kernels that `call` and `call_indirect` reach (recursion, function pointers); number n + 1 is functions[n]
    meta     facts of origin, sorted pairs; not part of the meaning
    """

    __slots__ = ("name", "params", "blocks", "warps", "lanes", "shared", "local", "functions", "meta", "__weakref__")
    level = "kernel"

    def __init__(self, name: str, params: tuple[Param, ...], blocks: tuple[Block, ...], *, warps: int | None = None,
                 lanes: int | None = None, shared: int = 0, local: int = 0, functions: tuple[Kernel, ...] = (),
                 meta: tuple[tuple[str, Any], ...] = ()) -> None:  # fmt: skip
        self.name, self.params, self.blocks = name, params, blocks
        self.warps, self.lanes, self.shared, self.meta = warps, lanes, shared, meta
        self.local, self.functions = local, functions

    def instrs(self) -> Iterator[Instr]:
        for b in self.blocks:
            yield from b.instrs

    def with_blocks(self, blocks: tuple[Block, ...]) -> Kernel:
        """This kernel over other blocks; itself if they are the same objects."""
        if len(blocks) == len(self.blocks) and all(a is b for a, b in zip(blocks, self.blocks)):
            return self
        return Kernel(self.name, self.params, blocks, warps=self.warps, lanes=self.lanes, shared=self.shared, local=self.local,
                      functions=self.functions, meta=self.meta)  # fmt: skip

    def next_id(self) -> int:
        """An id above every value's."""
        top = max((p.value.id for p in self.params), default=-1)
        for b in self.blocks:
            for v in b.params:
                top = max(top, v.id)
            for i in b.instrs:
                for v in i.results:
                    top = max(top, v.id)
        return top + 1

    def __str__(self) -> str:
        from .text import dump

        return dump(self)

    def __repr__(self) -> str:
        return f"<kernel {self.name}: {len(self.blocks)} blocks, {sum(len(b.instrs) for b in self.blocks)} instructions>"


class KernelBuilder(LaneOps):
    """Makes a kernel block by block.  Every op is verified when it is made.

        b = KernelBuilder("axpy", lanes=32)
        x = b.param("x", I64, role="pointer", elem=F32, access="r")
        head = b.block("head", [I32]);  b.jump(head, zero);  b.start(head)
    """

    def __init__(self, name: str, *, warps: int | None = None, lanes: int | None = None, first_id: int = 0) -> None:
        self.name, self.warps, self.lanes, self.shared = name, warps, lanes, 0
        self.local, self.functions = 0, ()  # type: tuple[int, tuple[Kernel, ...]]
        self.params: list[Param] = []
        self.loc: Loc | None = None
        self._next = first_id
        self._blocks: list[tuple[str, tuple[Value, ...], list[Instr]]] = [("entry", (), [])]
        self._current = self._blocks[0][2]
        self._consts: dict[Any, Value] = {}

    # values and instructions
    def value(self, ty: Type, name: str = "") -> Value:
        v = Value(self._next, ty, name)
        self._next += 1
        return v

    def param(self, name: str, ty: Type, **facts: Any) -> Value:
        v = self.value(ty, name)
        self.params.append(Param(v, **facts))
        return v

    def emit(self, op: Op, args: Sequence[Value], attrs: Attrs = (), *, guard: Value | None = None,
             passthrough: tuple[Value, ...] = (), name: str = "") -> Any:  # fmt: skip
        args = tuple(args)
        types = op.infer(tuple([a.type for a in args]), attrs)
        if len(types) == 1:
            v = Value(self._next, types[0], name)
            self._next += 1
            self._current.append(Instr(op, args, attrs, (v,), guard, passthrough, (), (), self.loc))
            return v
        results = tuple([self.value(t, name) for t in types])
        self._current.append(Instr(op, args, attrs, results, guard, passthrough, (), (), self.loc))
        return results

    def append(self, instr: Instr) -> None:
        """An instruction taken over as it is (its results keep their ids)."""
        self._current.append(instr)

    def const(self, ty: Type, value: Any) -> Value:
        """A constant, made once per builder at the head of the entry block (floats are compared by their bits)."""
        assert isinstance(ty, Scalar)
        text = float(value).hex() if ty.is_float else int(value)
        key = (ty, text)
        found = self._consts.get(key)
        if found is None:
            found = self._consts[key] = self.value(ty)
            value = float(value) if ty.is_float else bool(value) if ty is I1 else int(value)
            instr = Instr(op("constant"), (), (("type", ty), ("value", value)), (found,))
            self._blocks[0][2].insert(len(self._consts) - 1, instr)
        return found

    # blocks
    def block(self, name: str, types: Sequence[Type] = (), names: Sequence[str] = ()) -> int:
        """Declares a block; returns its index.  Fill it after `start`."""
        params = tuple(self.value(t, names[i] if i < len(names) else "") for i, t in enumerate(types))
        self._blocks.append((name, params, []))
        return len(self._blocks) - 1

    def adopt(self, block: Block) -> int:
        """Declares a block with the name and parameters of another kernel's (whose values keep their ids)."""
        self._blocks.append((block.name, block.params, []))
        return len(self._blocks) - 1

    def start(self, block: int) -> tuple[Value, ...]:
        """Continues at the end of that block; returns its parameters."""
        self._current = self._blocks[block][2]
        return self._blocks[block][1]

    def _end(self, name: str, args: tuple[Value, ...], edges: tuple[Edge, ...], attrs: Attrs = ()) -> None:
        op(name).infer(tuple(a.type for a in args), attrs)
        self._current.append(Instr(op(name), args, attrs, (), None, (), edges, (), self.loc))

    def jump(self, target: int, *args: Value) -> None:
        self._end("jump", (), (Edge(target, args),))

    def branch(self, cond: Value, then: int, other: int, then_args: tuple[Value, ...] = (), other_args: tuple[Value, ...] = (),
               likely: bool | None = None) -> None:  # fmt: skip
        attrs: Attrs = () if likely is None else (("likely", likely),)
        self._end("branch", (cond,), (Edge(then, then_args), Edge(other, other_args)), attrs)

    def ret(self) -> None:
        self._end("return", (), ())

    def cond(self, pred: Value, then: Callable[[], Sequence[Value]], otherwise: Sequence[Value]) -> list[Value]:
        """A rarely taken branch: `then()` where `pred` holds, the values `otherwise` elsewhere."""
        taken = self.block("rare")
        join = self.block("join", [v.type for v in otherwise])
        self.branch(pred, taken, join, (), tuple(otherwise), likely=False)
        self.start(taken)
        self.jump(join, *then())
        return list(self.start(join))

    def finish(self, meta: tuple[tuple[str, Any], ...] = ()) -> Kernel:
        for name, _, instrs in self._blocks:
            if not instrs or not instrs[-1].op.terminator:
                raise BugError(f"block {name} of kernel {self.name} has no terminator")
        blocks = tuple(Block(n, p, tuple(i)) for n, p, i in self._blocks)
        return Kernel(self.name, tuple(self.params), blocks, warps=self.warps, lanes=self.lanes, shared=self.shared, local=self.local,
                      functions=self.functions, meta=meta)  # fmt: skip
