"""A small structured writer of LLVM IR text, for the code around kernels: schedulers, collectives, barrier objects.

Variables are allocas (`var`), which SROA turns into registers; control flow is `with f.when(c):` and `with f.loop(c):`.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


class Fn:
    """One function.  Operands are strings: names, literals."""

    def __init__(self, head: str, declared: set[str]) -> None:
        self.head, self.declared = head, declared
        self.allocas: list[str] = []
        self.lines: list[str] = []
        self.n = 0

    def name(self, hint: str = "t") -> str:
        self.n += 1
        return f"%{hint}{self.n}"

    def put(self, rhs: str, hint: str = "t") -> str:
        out = self.name(hint)
        self.lines.append(f"  {out} = {rhs}")
        return out

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    # ---- variables

    def var(self, ty: str, init: str | None = None, hint: str = "v") -> Var:
        p = self.name(hint)
        self.allocas.append(f"  {p} = alloca {ty}, align 16")
        v = Var(self, p, ty)
        if init is not None:
            v.set(init)
        return v

    # ---- memory

    def at(self, base: str, offset: str | int) -> str:
        return self.put(f"getelementptr i8, ptr {base}, i64 {offset}")

    def load(self, ty: str, base: str, offset: str | int = 0) -> str:
        p = base if offset == 0 else self.at(base, offset)
        return self.put(f"load {ty}, ptr {p}, align {ALIGN.get(ty, 1)}")

    def store(self, ty: str, value: str, base: str, offset: str | int = 0) -> None:
        p = base if offset == 0 else self.at(base, offset)
        self.line(f"store {ty} {value}, ptr {p}, align {ALIGN.get(ty, 1)}")

    # ---- arithmetic

    def op(self, name: str, ty: str, a: str, b: str | int) -> str:
        return self.put(f"{name} {ty} {a}, {b}")

    def cmp(self, pred: str, ty: str, a: str, b: str | int) -> str:
        return self.put(f"icmp {pred} {ty} {a}, {b}")

    def widen(self, a: str, signed: bool = False) -> str:
        """i32 → i64."""
        return self.put(f"{'sext' if signed else 'zext'} i32 {a} to i64")

    def select(self, c: str, ty: str, a: str, b: str) -> str:
        return self.put(f"select i1 {c}, {ty} {a}, {ty} {b}")

    def call(self, result: str, name: str, args: Sequence[tuple[str, str]], *, declare: bool = False) -> str:
        if declare:
            self.declared.add(f"declare {result} @{name}({', '.join(t for t, _ in args)})")
        text = f"call {result} @{name}({', '.join(f'{t} {v}' for t, v in args)})"
        if result == "void":
            self.line(text)
            return ""
        return self.put(text)

    # ---- control flow

    @contextmanager
    def when(self, cond: str, likely: bool | None = None) -> Iterator[None]:
        yes, done = self.name("yes"), self.name("done")
        self.line(f"br i1 {cond}, label {yes}, label {done}")
        self.lines.append(f"{yes[1:]}:")
        yield
        self.line(f"br label {done}")
        self.lines.append(f"{done[1:]}:")

    @contextmanager
    def loop(self, cond: Callable[[], str]) -> Iterator[None]:
        head, body, done = self.name("head"), self.name("body"), self.name("end")
        self.line(f"br label {head}")
        self.lines.append(f"{head[1:]}:")
        self.line(f"br i1 {cond()}, label {body}, label {done}")
        self.lines.append(f"{body[1:]}:")
        yield
        self.line(f"br label {head}")
        self.lines.append(f"{done[1:]}:")

    @contextmanager
    def count(self, limit: str, ty: str = "i32") -> Iterator[str]:
        """for k in 0 … limit−1"""
        k = self.var(ty, "0", "k")
        with self.loop(lambda: self.cmp("ult", ty, k.get(), limit)):
            yield k.get()
            k.set(self.op("add", ty, k.get(), 1))

    def ret(self, text: str = "void") -> None:
        """Returns; what follows is unreachable and must still be valid, so a new block is opened."""
        self.line(f"ret {text}")
        self.lines.append(f"{self.name('after')[1:]}:")

    def text(self) -> str:
        return "\n".join([f"{self.head} {{", "entry:", *self.allocas, *self.lines, "}"])


class Var:
    """A mutable variable of a function."""

    __slots__ = ("fn", "place", "ty")

    def __init__(self, fn: Fn, place: str, ty: str) -> None:
        self.fn, self.place, self.ty = fn, place, ty

    def get(self) -> str:
        return self.fn.put(f"load {self.ty}, ptr {self.place}")

    def set(self, value: str) -> None:
        self.fn.line(f"store {self.ty} {value}, ptr {self.place}")


ALIGN = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "i128": 8, "half": 2, "float": 4, "double": 8, "ptr": 8, "i1": 1}
