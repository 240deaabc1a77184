"""Groups of blocks that wait for other groups: many of them are resident on one thread, and take turns.

    NAME.begin   sets a group's blocks up                NAME   claims groups, in order, by one ticket; runs those that it has in turn
    NAME.turn    one turn of a group: 0 done, 1 nobody moved and somebody spins, 2 stuck, 3 trapped, 4 interrupted, 5 it got somewhere

Memory is divided into *slots* of a group each, which all threads share: a byte says who is taken.  A thread starts with one group.  Where all that its
groups do is spin, or none of them ends for long (it may poll between two barriers), it claims another: one of them may wait for it.  The new one has some
turns alone, at most `FIRST`; if it too spins or does not end, the next one follows at once (else a barrier of n blocks would take n² turns).  Then all take
turns, round robin.  Without a free slot nothing is claimed before a group ends.
"""
from __future__ import annotations

from .asm import Fn, Var
from .dispatch import Lane
from .layout import BLOCK, LAUNCH
from .scheduler import claimed, once_around, place_blocks

PATIENCE = 4  # turns without progress after which another group is claimed
FIRST = 16  # turns of a new group before the others go on; turns of each group in which none ends before another is claimed
TAKEN, KNOWN = 1, 2  # of a slot's byte: a group has it, its frames hold what they have for all groups


def functions(lane: Lane, lanes: int) -> list[str]:
    """NAME.turn, NAME.begin, NAME."""
    return [_turn(lane), _begin(lane, lanes), _entry(lane, lanes > 1)]


def _begin(lane: Lane, lanes: int) -> str:
    f = Fn(f"define internal void @{lane.name}.begin(ptr %launch, ptr %base, i64 %g) #0", lane.declared)
    place_blocks(f, lane, lanes)
    f.line("ret void")
    return f.text()


def _turn(lane: Lane) -> str:
    f = Fn(f"define internal i32 @{lane.name}.turn(ptr noalias readonly %args, ptr noalias readonly %launch, ptr %base) #0", lane.declared)
    left, moved = f.var("i64", "0"), f.var("i32", "0")
    once_around(f, lane, left, moved)
    with f.when(f.cmp("eq", "i64", left.get(), 0)):
        f.ret("i32 0")
    f.line(f"ret i32 {f.select(f.cmp('ne', 'i32', moved.get(), 0), 'i32', '5', '1')}")
    return f.text()


class _Words:
    """Words of the launch record."""

    def __init__(self, f: Fn) -> None:
        self.f = f

    def __call__(self, name: str) -> str:
        return self.f.load("i64", "%launch", 8 * LAUNCH[name])

    def pointer(self, name: str) -> str:
        return self.f.put(f"inttoptr i64 {self(name)} to ptr")


def _entry(lane: Lane, init: bool) -> str:
    """NAME: what one thread does; %begin is its number, %end is of no account."""
    f = Fn(f"define void @{lane.name}(ptr noalias readonly %args, i64 %begin, i64 %end, ptr noalias readonly %launch) #0", lane.declared)
    word = _Words(f)
    where, stop, slots = word.pointer("where"), word.pointer("stop"), word.pointer("slots")
    now, before, have = f.var("ptr", "null"), f.var("ptr", "null"), f.var("i64", "0")  # whose turn it is, who is before it in the ring, how many
    more, want, going = f.var("i1", "true"), f.var("i1", "true"), f.var("i1", "true")
    idle, age, alone, hint = f.var("i64", "0"), f.var("i64", "0"), f.var("i64", "0"), f.var("i64", f.op("urem", "i64", f.op("shl", "i64", "%begin", 6), word("slot_count")))
    with f.loop(going.get):
        with f.when(want.get()):
            want.set("false")
            alone.set("0")
            idle.set("0")
            age.set("0")
            _claim(f, lane, word, slots, now, before, have, more, alone, hint, init)
        with f.when(f.cmp("eq", "i64", have.get(), 0)):
            f.ret()
        halted = f.cmp("ne", "i32", f.put(f"load volatile i32, ptr {stop}"), 0)
        with f.when(halted):
            f.ret()
        r = f.call("i32", f"{lane.name}.turn", [("ptr", "%args"), ("ptr", "%launch"), ("ptr", now.get())])
        ended = f.op("and", "i1", f.cmp("uge", "i32", r, 2), f.cmp("ule", "i32", r, 4))
        with f.when(ended):  # the memory stays as it is, for the report
            pair = f.put(f"cmpxchg ptr {where}, i32 0, i32 {r} seq_cst monotonic, align 4")
            with f.when(f.put(f"extractvalue {{ i32, i1 }} {pair}, 1")):
                f.store("i64", f.put(f"ptrtoint ptr {now.get()} to i64"), where, 16)
            f.line(f"store volatile i32 1, ptr {stop}, align 4")
            f.ret()
        idle.set(f.select(f.cmp("eq", "i32", r, 1), "i64", f.op("add", "i64", idle.get(), 1), "0"))
        done = f.cmp("eq", "i32", r, 0)
        with f.when(done):
            _leave(f, word, slots, now, before, have, hint)
            alone.set("0")
            age.set("0")
            want.set(f.op("and", "i1", f.cmp("eq", "i64", have.get(), 0), more.get()))
        with f.when(f.op("xor", "i1", done, "true")):
            first = f.cmp("ne", "i64", alone.get(), 0)
            whole = f.select(first, "i64", str(PATIENCE), f.call("i64", "llvm.umax.i64", [("i64", have.get()), ("i64", str(PATIENCE))], declare=True))
            age.set(f.op("add", "i64", age.get(), 1))
            long = f.select(first, "i64", str(FIRST), f.op("mul", "i64", have.get(), FIRST))
            tired = f.op("or", "i1", f.cmp("uge", "i64", idle.get(), whole), f.cmp("uge", "i64", age.get(), long))
            want.set(f.op("and", "i1", tired, more.get()))
            alone.set(f.select(first, "i64", f.op("sub", "i64", alone.get(), 1), "0"))
            stays = f.op("or", "i1", want.get(), f.cmp("ne", "i64", alone.get(), 0))
            with f.when(f.op("xor", "i1", stays, "true")):
                _next(f, now, before)
    f.line("ret void")
    return f.text()


def _claim(f: Fn, lane: Lane, word: _Words, slots: str, now: Var, before: Var, have: Var, more: Var, alone: Var, hint: Var, init: bool) -> None:
    """Takes a slot and the next group, and puts it behind the one whose turn it was: it is its turn then; without one, the next one's."""
    count = word("slot_count")
    slot, tried, old, g = f.var("i64", "-1"), f.var("i64", "0"), f.var("i8", "0"), f.var("i64", "-1")
    with f.loop(lambda: f.op("and", "i1", f.cmp("slt", "i64", slot.get(), 0), f.cmp("ult", "i64", tried.get(), count))):
        at = f.at(slots, hint.get())
        with f.when(f.cmp("eq", "i8", f.op("and", "i8", f.put(f"load atomic i8, ptr {at} monotonic, align 1"), TAKEN), 0)):
            old.set(f.put(f"atomicrmw or ptr {at}, i8 {TAKEN} acquire"))
            with f.when(f.cmp("eq", "i8", f.op("and", "i8", old.get(), TAKEN), 0)):
                slot.set(hint.get())
        with f.when(f.cmp("slt", "i64", slot.get(), 0)):
            up = f.op("add", "i64", hint.get(), 1)
            hint.set(f.select(f.cmp("eq", "i64", up, count), "i64", "0", up))
            tried.set(f.op("add", "i64", tried.get(), 1))
    with f.when(f.cmp("sge", "i64", slot.get(), 0)):
        ticket, groups = word.pointer("ticket"), word("groups")
        with f.loop(lambda: f.op("and", "i1", f.cmp("slt", "i64", g.get(), 0), more.get())):
            n = f.put(f"atomicrmw add ptr {ticket}, i64 1 monotonic")
            there = f.cmp("slt", "i64", n, groups)
            more.set(there)
            if "cancel" in lane.helpers:  # a group that was cancelled is run by nobody
                there = claimed(f, word("claims"), n, there)
            with f.when(there):
                g.set(n)
        at = f.at(slots, slot.get())
        with f.when(f.cmp("slt", "i64", g.get(), 0)):
            f.put(f"atomicrmw and ptr {at}, i8 {~TAKEN} release")
        with f.when(f.cmp("sge", "i64", g.get(), 0)):
            start = f.op("add", "i64", word("scratch"), f.op("mul", "i64", slot.get(), word("group_stride")))
            base = f.put(f"inttoptr i64 {start} to ptr")
            if init:
                with f.when(f.cmp("eq", "i8", f.op("and", "i8", old.get(), KNOWN), 0)):
                    f.call("void", f"{lane.name}.init", [("ptr", "%launch"), ("ptr", base)])
            f.put(f"atomicrmw or ptr {at}, i8 {KNOWN} monotonic")
            f.call("void", f"{lane.name}.begin", [("ptr", "%launch"), ("ptr", base), ("i64", g.get())])
            single = f.cmp("eq", "i64", have.get(), 0)
            with f.when(single):
                f.store("ptr", base, base, BLOCK["next"])
                before.set(base)
            with f.when(f.op("xor", "i1", single, "true")):
                f.store("ptr", f.load("ptr", now.get(), BLOCK["next"]), base, BLOCK["next"])
                f.store("ptr", base, now.get(), BLOCK["next"])
                before.set(now.get())
                alone.set(str(FIRST))
            now.set(base)
            have.set(f.op("add", "i64", have.get(), 1))
    with f.when(f.op("and", "i1", f.cmp("slt", "i64", g.get(), 0), f.cmp("ne", "i64", have.get(), 0))):
        _next(f, now, before)


def _next(f: Fn, now: Var, before: Var) -> None:
    before.set(now.get())
    now.set(f.load("ptr", now.get(), BLOCK["next"]))


def _leave(f: Fn, word: _Words, slots: str, now: Var, before: Var, have: Var, hint: Var) -> None:
    """Takes a group that is done out of the ring and gives its slot back; the next one has its turn."""
    gone, after = now.get(), f.load("ptr", now.get(), BLOCK["next"])
    f.store("ptr", after, before.get(), BLOCK["next"])
    now.set(after)
    have.set(f.op("sub", "i64", have.get(), 1))
    place = f.op("sub", "i64", f.put(f"ptrtoint ptr {gone} to i64"), word("scratch"))
    hint.set(f.op("udiv", "i64", place, word("group_stride")))
    f.put(f"atomicrmw and ptr {f.at(slots, hint.get())}, i8 {~TAKEN} release")
