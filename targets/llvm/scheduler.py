"""The code around lanes and warps: collectives, the scheduler of a block, groups of blocks, the entry.

    NAME.warp    runs a collective over the frames of its members       NAME.group   sets a group's blocks up and runs them together
    NAME.step    runs the lanes of a block until nothing moves          NAME         takes free memory and runs its groups

`dispatch.py` describes frames and blocks; `lockstep.py` has the scheduler of widened kernels, `resident.py` groups that wait for other groups.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...ir.analysis import in_cycles
from ...ir.kernel import Kernel
from .asm import Fn, Var
from .dispatch import Lane, polls
from .layout import BARRIER, BARRIER_, BARRIERS, BLOCK, CLUSTER, CONVERGED, EXIT, FRAME, LAUNCH, ROUNDS, RUN, WARP, YIELD

STALL = 1 << 20  # rounds in which no phase of an mbarrier ends, after which nobody will go on


def waits_for_groups(k: Kernel) -> bool:
    """Whether a loop asks for what blocks of other groups write: anything but the phases of mbarriers."""
    loops = in_cycles(k)
    return any(polls(i) and i.op.name != "mbarrier" for n in loops for i in k.blocks[n].instrs)


def warp_function(lane: Lane) -> str:
    """NAME.warp(block, frame of lane 0, point, members)."""
    from .collectives import collective

    f = Fn(f"define internal void @{lane.name}.warp(ptr %blk, ptr %arena, ptr %launch, ptr %frames, i32 %pc, i32 %members) #0", lane.declared)
    points = [p for p in lane.points if p.kind in (WARP, CONVERGED)]
    for p in points:
        with f.when(f.cmp("eq", "i32", "%pc", p.number)):
            collective(f, lane, p.instr)
    f.line("ret void")
    return f.text()


def step_function(lane: Lane) -> str:
    f = Fn(f"define internal i32 @{lane.name}.step(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %blk) #0", lane.declared)
    size = lane.frame

    def word(name: str) -> str:
        return f.load("i64", "%launch", 8 * LAUNCH[name])

    threads = f.put(f"trunc i64 {word('threads')} to i32")
    arena = f.at("%blk", BLOCK["arena"])
    room = f.op("and", "i64", f.op("add", "i64", word("arena"), 63), -64)
    frames = f.at(arena, room)
    stop = f.put(f"inttoptr i64 {word('stop')} to ptr")
    moved, kinds = f.var("i32"), "@" + lane.name + ".kinds"

    def frame_of(t: str) -> str:
        return f.at(frames, f.op("mul", "i64", f.widen(t), size))

    again, rounds = f.var("i1", "true"), f.var("i32", "0")
    waits = any(p.kind == YIELD for p in lane.points)
    with f.loop(again.get):
        moved.set("0")
        with f.count(threads) as t:
            fr = frame_of(t)
            with f.when(f.cmp("eq", "i32", f.load("i32", fr), RUN)):
                pc = f.load("i32", fr, FRAME["pc"])
                r = f.call("i32", f"{lane.name}.lane", [("ptr", "%args"), ("ptr", "%launch"), ("ptr", "%blk"), ("ptr", arena), ("ptr", fr), ("i32", pc)])
                with f.when(f.cmp("slt", "i32", r, 0)):
                    f.store("i32", t, "%blk", BLOCK["status"])
                    f.ret("i32 3")
                kind = f.load("i32", f.at(kinds, f.op("mul", "i64", f.widen(r), 4)))
                f.store("i32", kind, fr)
                f.store("i32", r, fr, FRAME["pc"])
                with f.when(f.cmp("eq", "i32", kind, EXIT)):
                    f.store("i32", f.op("sub", "i32", f.load("i32", "%blk", BLOCK["live"]), 1), "%blk", BLOCK["live"])
                with f.when(f.cmp("ne", "i32", kind, YIELD)):
                    moved.set("1")
        if any(p.kind in (WARP, CONVERGED) for p in lane.points):
            _collect(f, lane, frames, arena, threads, moved)
        if any(p.kind == BARRIER_ for p in lane.points) or any(i.op.name == "named_barrier" for i in lane.k.instrs()):
            _open_barriers(f, lane, frame_of, threads, moved)
        if any(p.kind == CLUSTER for p in lane.points):
            now = f.load("i32", "%blk", BLOCK["phase"])
            with f.count(threads) as t:
                fr = frame_of(t)
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
            with f.count(threads) as t:
                fr = frame_of(t)
                with f.when(f.cmp("eq", "i32", f.load("i32", fr), YIELD)):
                    f.store("i32", str(RUN), fr)
                    spinning.set("1")
        rest(f, lane, moved, spinning, rounds if waits else None)
    f.line("ret i32 0")
    return f.text()


def rest(f: Fn, lane: Lane, moved: Var, spinning: Var, rounds: Var | None) -> None:
    """At the end of a round of a block: returns if nobody moved, 1 if somebody spins and 2 if not.  Blocks that wait for others count their `rounds`: they
    also return after `ROUNDS`, so that others have a turn, and with −1 for 1 where an earlier round of the turn got somewhere."""
    if "mbar" in lane.helpers:  # a phase that was completed lets somebody go on
        moved.set(f.op("or", "i32", moved.get(), f.load("i32", "%blk", BLOCK["moved"])))
        f.store("i32", "0", "%blk", BLOCK["moved"])
    still = f.cmp("eq", "i32", moved.get(), 0)
    out = f.put(f"sub i32 2, {spinning.get()}")
    if rounds is None:
        with f.when(still):
            f.ret(f"i32 {out}")
        return
    n = rounds.get()
    with f.when(still):
        f.ret("i32 " + f.select(f.cmp("eq", "i32", n, 0), "i32", out, f.select(f.cmp("eq", "i32", out, 2), "i32", "2", "-1")))
    rounds.set(f.op("add", "i32", n, 1))
    with f.when(f.cmp("uge", "i32", n, ROUNDS)):
        f.ret("i32 -1")


def _collect(f: Fn, lane: Lane, frames: str, arena: str, threads: str, moved: Any) -> None:
    """Runs every collective whose members are all there."""
    warps = f.op("lshr", "i32", f.op("add", "i32", threads, 31), 5)
    size = lane.frame
    with f.count(warps) as w:
        first = f.op("shl", "i32", w, 5)
        base = f.at(frames, f.op("mul", "i64", f.widen(first), size))
        left = f.op("sub", "i32", threads, first)
        lanes = f.select(f.cmp("ult", "i32", left, 32), "i32", left, "32")
        alive, running = f.var("i32", "0"), f.var("i32", "0")
        with f.count(lanes) as j:
            st = f.load("i32", f.at(base, f.op("mul", "i64", f.widen(j), size)))
            bit = f.op("shl", "i32", "1", j)
            with f.when(f.cmp("ne", "i32", st, EXIT)):
                alive.set(f.op("or", "i32", alive.get(), bit))
        with f.count(lanes) as j:
            fr = f.at(base, f.op("mul", "i64", f.widen(j), size))
            with f.when(f.cmp("eq", "i32", f.load("i32", fr), WARP)):
                pc = f.load("i32", fr, FRAME["pc"])
                members = f.op("and", "i32", f.load("i32", fr, FRAME["ops"]), alive.get())
                here = f.var("i32", "0")
                with f.count(lanes) as m:
                    other = f.at(base, f.op("mul", "i64", f.widen(m), size))
                    same = f.op("and", "i1", f.cmp("eq", "i32", f.load("i32", other), WARP), f.cmp("eq", "i32", f.load("i32", other, FRAME["pc"]), pc))
                    bit = f.op("shl", "i32", f.put(f"zext i1 {same} to i32"), m)
                    here.set(f.op("or", "i32", here.get(), bit))
                missing = f.op("and", "i32", members, f.op("xor", "i32", here.get(), -1))
                with f.when(f.cmp("eq", "i32", missing, 0)):
                    _go(f, lane, base, arena, lanes, pc, members, moved)
        if not any(p.kind == CONVERGED for p in lane.points):
            return
        with f.count(lanes) as j:
            with f.when(f.cmp("eq", "i32", f.load("i32", f.at(base, f.op("mul", "i64", f.widen(j), size))), RUN)):
                running.set("1")
        with f.when(f.cmp("eq", "i32", running.get(), 0)):
            lowest = f.var("i32", "2147483647")
            with f.count(lanes) as j:
                fr = f.at(base, f.op("mul", "i64", f.widen(j), size))
                with f.when(f.cmp("eq", "i32", f.load("i32", fr), CONVERGED)):
                    pc = f.load("i32", fr, FRAME["pc"])
                    lowest.set(f.select(f.cmp("slt", "i32", pc, lowest.get()), "i32", pc, lowest.get()))
            with f.when(f.cmp("ne", "i32", lowest.get(), 2147483647)):
                members2 = f.var("i32", "0")
                with f.count(lanes) as j:
                    fr = f.at(base, f.op("mul", "i64", f.widen(j), size))
                    here2 = f.op("and", "i1", f.cmp("eq", "i32", f.load("i32", fr), CONVERGED), f.cmp("eq", "i32", f.load("i32", fr, FRAME["pc"]), lowest.get()))
                    members2.set(f.op("or", "i32", members2.get(), f.op("shl", "i32", f.put(f"zext i1 {here2} to i32"), j)))
                _go(f, lane, base, arena, lanes, lowest.get(), members2.get(), moved)


def _go(f: Fn, lane: Lane, base: str, arena: str, lanes: str, pc: str, members: str, moved: Any) -> None:
    f.call("void", f"{lane.name}.warp", [("ptr", "%blk"), ("ptr", arena), ("ptr", "%launch"), ("ptr", base), ("i32", pc), ("i32", members)])
    with f.count(lanes) as m:
        bit = f.op("and", "i32", f.op("lshr", "i32", members, m), 1)
        with f.when(f.cmp("ne", "i32", bit, 0)):
            f.store("i32", str(RUN), f.at(base, f.op("mul", "i64", f.widen(m), lane.frame)))
    moved.set("1")


def _open_barriers(f: Fn, lane: Lane, frame_of: Any, threads: str, moved: Any) -> None:
    with f.count(str(BARRIERS)) as b:
        p = f.at(f.at("%blk", BLOCK["barriers"]), f.op("mul", "i64", f.widen(b), BARRIER))
        arrived = f.load("i32", p)
        with f.when(f.cmp("ugt", "i32", arrived, 0)):
            counted = f.load("i32", p, 4)
            want = f.select(f.cmp("eq", "i32", counted, 0), "i32", f.load("i32", "%blk", BLOCK["live"]), counted)
            with f.when(f.cmp("uge", "i32", arrived, want)):
                total = f.load("i32", p, 8)
                f.store("i32", "0", p)
                f.store("i32", "0", p, 8)
                moved.set("1")
                with f.count(threads) as t:
                    fr = frame_of(t)
                    here = f.op("and", "i1", f.cmp("eq", "i32", f.load("i32", fr), BARRIER_), f.cmp("eq", "i32", f.load("i32", fr, FRAME["ops"]), b))
                    with f.when(here):
                        f.store("i32", str(RUN), fr)
                        f.store("i32", total, fr, lane.results_at)
                        f.store("i32", arrived, fr, lane.results_at + 16)


def group_function(lane: Lane, lanes: int = 1) -> str:
    """Runs the blocks of a group together: status 0, or what stopped them."""
    f = Fn(f"define internal i32 @{lane.name}.group(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %base, i64 %g) #0", lane.declared)
    lockstep = getattr(lane, "lockstep", False)

    def run(blk: str) -> None:
        r = f.call("i32", f"{lane.name}.step", [("ptr", "%args"), ("ptr", "%launch"), ("ptr", blk)])
        with f.when(f.cmp("ne", "i32", r, 0)):
            f.ret(f"i32 {r}")

    place_blocks(f, lane, lanes, run if lockstep else None)
    spins = any(p.kind == YIELD for p in lane.points) and not any(i.op.name == "read_clock" for i in lane.k.instrs())  # on mbarriers, until … of the clock
    if not lockstep:
        left, moved, still = f.var("i64", "1"), f.var("i32", "0"), f.var("i64", "0")
        with f.loop(lambda: f.cmp("ne", "i64", left.get(), 0)):
            if spins:
                moved.set("0")
            once_around(f, lane, left, moved if spins else None)
            if spins:
                still.set(f.select(f.cmp("ne", "i32", moved.get(), 0), "i64", "0", f.op("add", "i64", still.get(), 1)))
                with f.when(f.op("and", "i1", f.cmp("ne", "i64", left.get(), 0), f.cmp("uge", "i64", still.get(), STALL))):
                    f.ret("i32 2")
    f.line("ret i32 0")
    return f.text()


def place_blocks(f: Fn, lane: Lane, lanes: int, instead: Callable[[str], None] | None = None) -> None:
    """The blocks of group %g at their start, in the memory at %base: coordinates, barriers, frames (or what is done `instead` of these)."""
    def word(name: str) -> str:
        return f.load("i64", "%launch", 8 * LAUNCH[name])

    count, stride, threads = word("group"), word("block_stride"), word("threads")
    dims = {a: word("n" + a) for a in "xyz"}
    per = {a: word("g" + a) for a in "xyz"}
    with f.when(f.cmp("eq", "i64", count, 1)):
        place = {"x": f.op("urem", "i64", "%g", dims["x"])}
        rest = f.op("udiv", "i64", "%g", dims["x"])
        place["y"], place["z"] = f.op("urem", "i64", rest, dims["y"]), f.op("udiv", "i64", rest, dims["y"])
        for a in "xyz":
            f.store("i32", f.put(f"trunc i64 {place[a]} to i32"), "%base", BLOCK[a])
    room = f.op("and", "i64", f.op("add", "i64", word("arena"), 63), -64)
    with f.count(count, "i64") as k:
        blk = f.at("%base", f.op("mul", "i64", k, stride))
        with f.when(f.cmp("ne", "i64", count, 1)):
            groups = {a: f.op("udiv", "i64", f.op("sub", "i64", f.op("add", "i64", dims[a], per[a]), 1), per[a]) for a in "xyz"}
            gx = f.op("urem", "i64", "%g", groups["x"])
            gyz = f.op("udiv", "i64", "%g", groups["x"])
            gy, gz = f.op("urem", "i64", gyz, groups["y"]), f.op("udiv", "i64", gyz, groups["y"])
            kx = f.op("urem", "i64", k, per["x"])
            kyz = f.op("udiv", "i64", k, per["x"])
            ky, kz = f.op("urem", "i64", kyz, per["y"]), f.op("udiv", "i64", kyz, per["y"])
            for a, g, inner in (("x", gx, kx), ("y", gy, ky), ("z", gz, kz)):
                at = f.op("add", "i64", f.op("mul", "i64", g, per[a]), inner)
                f.store("i32", f.put(f"trunc i64 {at} to i32"), blk, BLOCK[a])
        f.store("i32", f.put(f"trunc i64 {threads} to i32"), blk, BLOCK["live"])
        f.store("i32", f.put(f"trunc i64 {k} to i32"), blk, BLOCK["rank"])
        f.store("i32", "0", blk, BLOCK["arrived"])
        f.store("i32", "0", blk, BLOCK["phase"])
        f.store("i32", "-1", blk, BLOCK["status"])
        f.store("i32", "0", blk, BLOCK["moved"])
        if instead is not None:
            instead(blk)
        else:
            _frames(f, lane, lanes, blk, room, threads, word)


def _frames(f: Fn, lane: Lane, lanes: int, blk: str, room: str, threads: str, word: Callable[[str], str]) -> None:
    """The barriers and frames of a block at its start."""
    for n in range(0, BARRIERS * BARRIER, 64):
        f.store("<64 x i8>", "zeroinitializer", blk, BLOCK["barriers"] + n)
    frames = f.at(f.at(blk, BLOCK["arena"]), room)
    tx, ty = word("tx"), word("ty")
    some = threads if lanes == 1 else f.op("udiv", "i64", f.op("add", "i64", threads, lanes - 1), lanes)
    with f.count(some, "i64") as t:
        fr = f.at(frames, f.op("mul", "i64", t, lane.frame))
        for name in ("state", "pc", "heap", "phase", "depth"):
            f.store("i32", "0", fr, FRAME[name])
        first = f.op("mul", "i64", t, lanes)
        f.store("i32", f.put(f"trunc i64 {first} to i32"), fr, FRAME["linear"])
        if lanes == 1:
            x, yz = f.op("urem", "i64", t, tx), f.op("udiv", "i64", t, tx)
            for name, part in (("x", x), ("y", f.op("urem", "i64", yz, ty)), ("z", f.op("udiv", "i64", yz, ty))):
                f.store("i32", f.put(f"trunc i64 {part} to i32"), fr, FRAME[name])


def once_around(f: Fn, lane: Lane, left: Var, moved: Var | None = None) -> None:
    """One turn of each block of the group at %base; `left` is then how many are not done.  Returns what stops the group, and 2 where none can go on.
    `moved` gets 1 where anything happened but waiting."""
    count, stride = (f.load("i64", "%launch", 8 * LAUNCH[name]) for name in ("group", "block_stride"))
    stuck, alive_arrived, alive = f.var("i32", "1"), f.var("i32", "0"), f.var("i32", "0")
    left.set("0")
    with f.count(count, "i64") as k:
        blk = f.at("%base", f.op("mul", "i64", k, stride))
        with f.when(f.cmp("ne", "i32", f.load("i32", blk, BLOCK["live"]), 0)):
            r = f.call("i32", f"{lane.name}.step", [("ptr", "%args"), ("ptr", "%launch"), ("ptr", blk)])
            with f.when(f.cmp("sgt", "i32", r, 2)):
                f.ret(f"i32 {r}")
            with f.when(f.cmp("ne", "i32", r, 0)):
                left.set(f.op("add", "i64", left.get(), 1))
            with f.when(f.cmp("ne", "i32", r, 2)):
                stuck.set("0")
            if moved is not None:
                with f.when(f.cmp("sle", "i32", r, 0)):
                    moved.set("1")
        alive.set(f.op("add", "i32", alive.get(), f.load("i32", blk, BLOCK["live"])))
        alive_arrived.set(f.op("add", "i32", alive_arrived.get(), f.load("i32", blk, BLOCK["arrived"])))
    some = f.cmp("ne", "i32", alive_arrived.get(), 0)
    with f.when(f.op("and", "i1", some, f.cmp("uge", "i32", alive_arrived.get(), alive.get()))):
        stuck.set("0")
        if moved is not None:
            moved.set("1")
        with f.count(count, "i64") as k:
            blk = f.at("%base", f.op("mul", "i64", k, stride))
            f.store("i32", "0", blk, BLOCK["arrived"])
            f.store("i32", f.op("add", "i32", f.load("i32", blk, BLOCK["phase"]), 1), blk, BLOCK["phase"])
    waiting = f.cmp("ne", "i64", left.get(), 0)
    with f.when(f.op("and", "i1", waiting, f.cmp("ne", "i32", stuck.get(), 0))):
        f.ret("i32 2")


def claimed(f: Fn, claims: str, group: str, there: str) -> str:
    """Whether a group becomes ours."""
    mine = f.var("i1", "false")
    mine.set("false")
    with f.when(there):
        at = f.at(f.put(f"inttoptr i64 {claims} to ptr"), f.op("add", "i64", group, 8))
        mine.set(f.cmp("eq", "i8", f.put(f"atomicrmw xchg ptr {at}, i8 1 acq_rel"), 0))
    return mine.get()


def entry_function(lane: Lane, init: bool = False) -> str:
    """NAME: takes a free piece of scratch memory and runs its groups."""
    f = Fn(f"define void @{lane.name}(ptr noalias readonly %args, i64 %begin, i64 %end, ptr noalias readonly %launch) #0", lane.declared)

    def word(name: str) -> str:
        return f.load("i64", "%launch", 8 * LAUNCH[name])

    free = f.put(f"inttoptr i64 {word('free')} to ptr")
    where = f.put(f"inttoptr i64 {word('where')} to ptr")
    stop = f.put(f"inttoptr i64 {word('stop')} to ptr")
    mine = f.var("i64", "-1")
    with f.loop(lambda: f.cmp("slt", "i64", mine.get(), 0)):
        have = f.put(f"load atomic i64, ptr {free} monotonic, align 8")
        with f.when(f.cmp("ne", "i64", have, 0)):
            n = f.call("i64", "llvm.cttz.i64", [("i64", have), ("i1", "false")], declare=True)
            bit = f.op("shl", "i64", "1", n)
            rest = f.op("and", "i64", have, f.op("xor", "i64", bit, -1))
            pair = f.put(f"cmpxchg ptr {free}, i64 {have}, i64 {rest} acquire monotonic, align 8")
            with f.when(f.put(f"extractvalue {{ i64, i1 }} {pair}, 1")):
                mine.set(n)
    base = f.put(f"inttoptr i64 {f.op('add', 'i64', word('scratch'), f.op('mul', 'i64', mine.get(), word('group_stride')))} to ptr")
    if init:
        f.call("void", f"{lane.name}.init", [("ptr", "%launch"), ("ptr", base)])
    g = f.var("i64", "%begin")
    with f.loop(lambda: f.cmp("slt", "i64", g.get(), "%end")):
        halted = f.cmp("ne", "i32", f.put(f"load volatile i32, ptr {stop}"), 0)
        with f.when(halted):
            g.set("%end")
        runs = f.cmp("slt", "i64", g.get(), "%end")
        if "cancel" in lane.helpers:  # a group that was cancelled is run by nobody
            runs = f.op("and", "i1", runs, claimed(f, word("claims"), g.get(), runs))
        with f.when(runs):
            r = f.call("i32", f"{lane.name}.group", [("ptr", "%args"), ("ptr", "%launch"), ("ptr", base), ("i64", g.get())])
            with f.when(f.cmp("ne", "i32", r, 0)):
                pair = f.put(f"cmpxchg ptr {where}, i32 0, i32 {r} seq_cst monotonic, align 4")
                with f.when(f.put(f"extractvalue {{ i32, i1 }} {pair}, 1")):
                    f.store("i64", g.get(), where, 8)
                    f.store("i64", f.put(f"ptrtoint ptr {base} to i64"), where, 16)
                    mine.set("-1")  # the memory stays as it is, for the report
                f.line(f"store volatile i32 1, ptr {stop}, align 4")
        g.set(f.op("add", "i64", g.get(), 1))
    with f.when(f.cmp("sge", "i64", mine.get(), 0)):
        f.put(f"atomicrmw or ptr {free}, i64 {f.op('shl', 'i64', '1', mine.get())} release")
    f.line("ret void")
    return f.text()
