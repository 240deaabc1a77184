"""The scheduler of widened kernels: what the frames hold at the start, and a block's groups of lanes (warps, or parts of them) in turn."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from .asm import Fn
from .layout import BARRIER, BARRIERS, BLOCK, CLUSTER, FRAME, LAUNCH, RUN, YIELD
from .scheduler import rest

if TYPE_CHECKING:
    from .warp import Warp

BARRIER_STATE = 4


def init_function(warp: Warp) -> str:
    """NAME.init: what the frames of a group of blocks hold for all of them: the numbers and lanes of its warps (or parts of these), the lanes' %tid."""
    f = Fn(f"define internal void @{warp.name}.init(ptr %launch, ptr %base) #0", warp.declared)

    def word(name: str) -> str:
        return f.load("i64", "%launch", 8 * LAUNCH[name])

    def word32(name: str) -> str:  # a block has 1024 threads at most: divisions of 32 bits are quick, and LLVM makes no two of each
        return f.put(f"trunc i64 {word(name)} to i32")

    w, tx, ty, threads = warp.w, word32("tx"), word32("ty"), word32("threads")
    room = f.op("and", "i64", f.op("add", "i64", word("arena"), 63), -64)
    stride = word("block_stride")
    many = f.op("udiv", "i32", f.op("add", "i32", threads, w - 1), w)

    def places(t: str, axes: Iterable[str]) -> Iterator[tuple[str, str]]:
        row = f.op("udiv", "i32", t, tx)
        parts = {"x": ("urem", t, tx), "y": ("urem", row, ty), "z": ("udiv", row, ty)}
        for axis in axes:
            op, a, b = parts[axis]
            yield axis, f.op(op, "i32", a, b)

    with f.count(word("group"), "i64") as k:
        block = f.at("%base", f.op("mul", "i64", k, stride))
        frames = f.at(f.at(block, BLOCK["arena"]), room)
        with f.count(many) as n:
            fr, t = f.at(frames, f.op("mul", "i64", f.widen(n), warp.frame)), f.op("mul", "i32", n, w)
            left = f.op("sub", "i32", threads, t)
            bits = f.op("lshr", "i32", str((1 << w) - 1), f.op("and", "i32", f.op("sub", "i32", "0", left), w - 1))
            f.store("i32", f.select(f.cmp("ult", "i32", left, w), "i32", bits, str((1 << w) - 1)), fr, warp.start_at)
            f.store("i32", t, fr, FRAME["linear"])
            f.store("i64", "0", fr)
            if warp.form != "any":
                for axis, v in places(t, "xyz"):
                    f.store("i32", v, fr, FRAME[axis])
            if warp.tid_at:
                with f.count(str(w)) as lane:
                    for axis, v in places(f.op("add", "i32", t, lane), warp.tid_at):
                        f.store("i32", v, f.at(fr, warp.tid_at[axis]), f.widen(f.op("shl", "i32", lane, 2)))
    f.line("ret void")
    return f.text()


def lockstep_function(warp: Warp) -> str:
    """NAME.step for kernels whose barriers are for the whole block: each warp runs to its next barrier in turn, and then all go on."""
    f = Fn(f"define internal i32 @{warp.name}.step(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk) alwaysinline #0", warp.declared)

    def word(name: str) -> str:
        return f.load("i64", "%launch", 8 * LAUNCH[name])

    warps = f.op("udiv", "i64", f.op("add", "i64", word("threads"), warp.w - 1), warp.w)
    arena = f.at("%blk", BLOCK["arena"])
    frames = f.at(arena, f.op("and", "i64", f.op("add", "i64", word("arena"), 63), -64))
    stop = f.put(f"inttoptr i64 {word('stop')} to ptr")
    size = f.op("mul", "i64", warps, warp.frame)

    def run(at: str, pc: str) -> str:
        fr = f.at(frames, at)
        r = f.call("i32", f"{warp.name}.lane", [("ptr", "%args"), ("ptr", "%launch"), ("ptr", "%blk"), ("ptr", arena), ("ptr", fr), ("i32", pc)])
        with f.when(f.cmp("slt", "i32", r, 0)):
            f.store("i32", f.put(f"trunc i64 {f.op('mul', 'i64', f.op('udiv', 'i64', at, warp.frame), warp.w)} to i32"), "%blk", BLOCK["status"])
            f.ret("i32 3")
        return r

    at = f.var("i64", "0")
    if not warp.points:
        with f.loop(lambda: f.cmp("ult", "i64", at.get(), size)):
            run(at.get(), "0")
            at.set(f.op("add", "i64", at.get(), warp.frame))
    else:
        with f.loop(lambda: f.cmp("ult", "i64", at.get(), size)):
            f.store("i64", "0", f.at(frames, at.get()))
            at.set(f.op("add", "i64", at.get(), warp.frame))
        again = f.var("i32", "1")
        with f.loop(lambda: f.cmp("ne", "i32", again.get(), 0)):
            again.set("0")
            at.set("0")
            with f.loop(lambda: f.cmp("ult", "i64", at.get(), size)):
                fr = f.at(frames, at.get())
                with f.when(f.cmp("eq", "i32", f.load("i32", fr), RUN)):
                    r = run(at.get(), f.load("i32", fr, FRAME["pc"]))
                    f.store("i32", r, fr, FRAME["pc"])
                    f.store("i32", f.put(f"zext i1 {f.cmp('eq', 'i32', r, 0)} to i32"), fr)
                    again.set(f.op("or", "i32", again.get(), r))
                at.set(f.op("add", "i64", at.get(), warp.frame))
            with f.when(f.cmp("ne", "i32", f.put(f"load volatile i32, ptr {stop}"), 0)):
                f.ret("i32 4")
    f.store("i32", "0", "%blk", BLOCK["live"])
    f.line("ret i32 0")
    return f.text()


def step_function(warp: Warp) -> str:
    """NAME.step: runs the warps of a block until they are done or stand still."""
    if warp.lockstep:
        return lockstep_function(warp)
    f = Fn(f"define internal i32 @{warp.name}.step(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk) #0", warp.declared)

    def word(name: str) -> str:
        return f.load("i64", "%launch", 8 * LAUNCH[name])

    warps = f.op("udiv", "i32", f.op("add", "i32", f.put(f"trunc i64 {word('threads')} to i32"), warp.w - 1), warp.w)
    arena = f.at("%blk", BLOCK["arena"])
    room = f.op("and", "i64", f.op("add", "i64", word("arena"), 63), -64)
    frames = f.at(arena, room)
    stop = f.put(f"inttoptr i64 {word('stop')} to ptr")
    moved, again, rounds, kinds = f.var("i32"), f.var("i1", "true"), f.var("i32", "0"), "@" + warp.name + ".kinds"
    waits = any(p.kind == YIELD for p in warp.points)
    with f.loop(again.get):
        moved.set("0")
        with f.count(warps) as w:
            fr = f.at(frames, f.op("mul", "i64", f.widen(w), warp.frame))
            with f.when(f.cmp("eq", "i32", f.load("i32", fr), RUN)):
                pc = f.load("i32", fr, FRAME["pc"])
                r = f.call("i32", f"{warp.name}.lane", [("ptr", "%args"), ("ptr", "%launch"), ("ptr", "%blk"), ("ptr", arena), ("ptr", fr), ("i32", pc)])
                with f.when(f.cmp("slt", "i32", r, 0)):
                    f.store("i32", f.op("mul", "i32", w, warp.w), "%blk", BLOCK["status"])
                    f.ret("i32 3")
                kind = f.load("i32", f.at(kinds, f.op("mul", "i64", f.widen(r), 4)))
                f.store("i32", kind, fr)
                f.store("i32", r, fr, FRAME["pc"])
                with f.when(f.cmp("ne", "i32", kind, YIELD)):
                    moved.set("1")
        if any(p.kind == BARRIER_STATE for p in warp.points):
            with f.count("1" if warp.whole_block else str(BARRIERS)) as b:
                p = f.at(f.at("%blk", BLOCK["barriers"]), f.op("mul", "i64", f.widen(b), BARRIER))
                arrived = f.load("i32", p)
                counted = f.load("i32", p, 4)
                want = f.select(f.cmp("eq", "i32", counted, 0), "i32", f.load("i32", "%blk", BLOCK["live"]), counted)
                ready = f.op("and", "i1", f.cmp("ugt", "i32", arrived, 0), f.cmp("uge", "i32", arrived, want))
                with f.when(ready):
                    total = f.load("i32", p, 8)
                    f.store("i32", "0", p)
                    f.store("i32", "0", p, 8)
                    moved.set("1")
                    with f.count(warps) as w:
                        fr = f.at(frames, f.op("mul", "i64", f.widen(w), warp.frame))
                        mine = f.cmp("eq", "i32", f.load("i32", fr, FRAME["ops"]), b)
                        with f.when(f.op("and", "i1", f.cmp("eq", "i32", f.load("i32", fr), BARRIER_STATE), mine)):
                            f.store("i32", str(RUN), fr)
                            f.store("i32", total, fr, warp.results_at)
                            f.store("i32", arrived, fr, warp.results_at + 16)
        if any(p.kind == CLUSTER for p in warp.points):
            now = f.load("i32", "%blk", BLOCK["phase"])
            with f.count(warps) as w:
                fr = f.at(frames, f.op("mul", "i64", f.widen(w), warp.frame))
                here = f.cmp("eq", "i32", f.load("i32", fr), CLUSTER)
                with f.when(f.op("and", "i1", here, f.cmp("ne", "i32", f.load("i32", fr, FRAME["phase"]), now))):
                    f.store("i32", str(RUN), fr)
                    moved.set("1")
        with f.when(f.cmp("eq", "i32", f.load("i32", "%blk", BLOCK["live"]), 0)):
            f.ret("i32 0")
        with f.when(f.cmp("ne", "i32", f.put(f"load volatile i32, ptr {stop}"), 0)):
            f.ret("i32 4")
        spinning = f.var("i32", "0")
        if waits:
            spinning.set("0")
            with f.count(warps) as w:
                fr = f.at(frames, f.op("mul", "i64", f.widen(w), warp.frame))
                with f.when(f.cmp("eq", "i32", f.load("i32", fr), YIELD)):
                    f.store("i32", str(RUN), fr)
                    spinning.set("1")
        rest(f, warp, moved, spinning, rounds if waits else None)
    f.line("ret i32 0")
    return f.text()
