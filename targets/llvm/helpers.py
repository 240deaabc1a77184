"""Functions of a module beside the kernel's own, as IR text: copies, mbarriers, groups that are cancelled, tests of accesses against what a launch may
touch."""
from __future__ import annotations

from typing import Any

from .layout import BLOCK, FRAME, LAUNCH, WATCH

# mbar.put stores a state, that of the next phase where this one is complete (and says that the block got somewhere); mbar.tx adds bytes to a state
MBARRIER = """define internal void @mbar.put(ptr %p, i64 %w, ptr %blk) #0 {
entry:
  %pending = and i64 %w, 1048575
  %left = shl i64 %w, 1
  %tx = ashr i64 %left, 41
  %a = icmp eq i64 %pending, 0
  %b = icmp eq i64 %tx, 0
  %both = and i1 %a, %b
  %e = lshr i64 %w, 20
  %expected = and i64 %e, 1048575
  %kept = and i64 %w, -9223370937343148032
  %es = shl i64 %expected, 20
  %w1 = or i64 %es, %expected
  %sign = and i64 %w, -9223372036854775808
  %flip = xor i64 %sign, -9223372036854775808
  %next = or i64 %w1, %flip
  %out = select i1 %both, i64 %next, i64 %w
  store i64 %out, ptr %p, align 8
  %pm = getelementptr i8, ptr %blk, i64 MOVED
  %was = load i32, ptr %pm
  %now = zext i1 %both to i32
  %moved = or i32 %was, %now
  store i32 %moved, ptr %pm
  ret void
}
define internal i64 @mbar.tx(i64 %w, i64 %n) #0 {
entry:
  %left = shl i64 %w, 1
  %tx = ashr i64 %left, 41
  %sum = add i64 %tx, %n
  %cut = and i64 %sum, 8388607
  %up = shl i64 %cut, 40
  %rest = and i64 %w, -9223370937343148033
  %keep = and i64 %rest, -9223370937343148033
  %low = and i64 %w, 1099511627775
  %sign = and i64 %w, -9223372036854775808
  %a = or i64 %low, %sign
  %out = or i64 %a, %up
  ret i64 %out
}""".replace("MOVED", str(BLOCK["moved"]))


def mbarrier(e: Any, fn: str, p: str, n: str) -> list[str]:
    """An operation on the mbarrier at a pointer, with a count of 64 bits: pending count (bits 0–19), expected count (20–39), transaction bytes (40–62,
    signed), phase (63).  Returns the result's text, if there is one."""
    if fn in ("init", "inval"):
        word = e.do("or i64", n, e.do("shl i64", n, "20")) if fn == "init" else "0"
        e.lines.append(f"  store i64 {word}, ptr {p}, align 8")
        return []
    w = e.put(f"load i64, ptr {p}, align 8")
    if fn in ("arrive", "arrive_drop"):
        by = n if fn == "arrive" else e.do("add i64", n, e.do("shl i64", n, "20"))
        e.lines.append(f"  call void @mbar.put(ptr {p}, i64 {e.do('sub i64', w, by)}, ptr %blk)")
        return [w]
    if fn == "expect_tx":
        e.lines.append(f"  store i64 {e.put(f'call i64 @mbar.tx(i64 {w}, i64 {n})')}, ptr {p}, align 8")
        return []
    if fn == "complete_tx":
        less = e.put(f"call i64 @mbar.tx(i64 {w}, i64 {e.do('sub i64', '0', n)})")
        e.lines.append(f"  call void @mbar.put(ptr {p}, i64 {less}, ptr %blk)")
        return []
    if fn == "test":
        return [e.do("icmp slt i64", e.do("xor i64", w, n), "0")]
    return [e.do("icmp ne i64", e.do("lshr i64", w, "63"), e.do("and i64", n, "1"))]


# 32 bytes at a time, then one by one; what is not read is zero
COPY = """define internal void @copy.bytes(ptr %dst, ptr %src, i64 %read, i64 %total) #0 {
entry:
  %short = icmp ult i64 %read, %total
  %from = select i1 %short, i64 %read, i64 %total
  %rows = and i64 %from, -32
  br label %rhead
rhead:
  %r = phi i64 [ 0, %entry ], [ %r1, %row ]
  %full = icmp ult i64 %r, %rows
  br i1 %full, label %row, label %head
row:
  %rp = getelementptr i8, ptr %src, i64 %r
  %rx = load <32 x i8>, ptr %rp, align 1
  %rq = getelementptr i8, ptr %dst, i64 %r
  store <32 x i8> %rx, ptr %rq, align 1
  %r1 = add i64 %r, 32
  br label %rhead
head:
  %k = phi i64 [ %rows, %rhead ], [ %k1, %next ]
  %more = icmp ult i64 %k, %total
  br i1 %more, label %body, label %out
body:
  %q = getelementptr i8, ptr %dst, i64 %k
  %inside = icmp ult i64 %k, %read
  br i1 %inside, label %get, label %zero
get:
  %p = getelementptr i8, ptr %src, i64 %k
  %x = load i8, ptr %p
  store i8 %x, ptr %q
  br label %next
zero:
  store i8 0, ptr %q
  br label %next
next:
  %k1 = add i64 %k, 1
  br label %head
out:
  ret void
}"""


COPY_MASKED = """define internal void @copy.masked(ptr %dst, ptr %src, i64 %read, i32 %mask) #0 {
entry:
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %k1, %next ]
  %more = icmp ult i64 %k, %read
  br i1 %more, label %body, label %out
body:
  %k32 = trunc i64 %k to i32
  %bit = and i32 %k32, 15
  %moved = lshr i32 %mask, %bit
  %here = trunc i32 %moved to i1
  br i1 %here, label %get, label %next
get:
  %p = getelementptr i8, ptr %src, i64 %k
  %q = getelementptr i8, ptr %dst, i64 %k
  %x = load i8, ptr %p
  store i8 %x, ptr %q
  br label %next
next:
  %k1 = add i64 %k, 1
  br label %head
out:
  ret void
}"""


# The next group from the end that nobody has: the launch's `claims` are how many may still be free, then a byte for each group.
CANCEL = """define internal i32 @cancel.next(ptr %launch) #0 {
entry:
  %pa = getelementptr i8, ptr %launch, i64 CLAIMS
  %a = load i64, ptr %pa
  %claims = inttoptr i64 %a to ptr
  %bytes = getelementptr i8, ptr %claims, i64 8
  br label %head
head:
  %n = atomicrmw sub ptr %claims, i64 1 monotonic
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %try, label %none
try:
  %g = sub i64 %n, 1
  %p = getelementptr i8, ptr %bytes, i64 %g
  %old = atomicrmw xchg ptr %p, i8 1 acq_rel
  %mine = icmp eq i8 %old, 0
  br i1 %mine, label %yes, label %head
yes:
  %r = trunc i64 %g to i32
  ret i32 %r
none:
  ret i32 -1
}""".replace("CLAIMS", str(8 * LAUNCH["claims"]))


# Where an access of [a, a + n) goes: there, if that lies in its window (of shared or local memory; `length` < 0 for the others), or in one of the launch's
# regions, the shared memory of the block's group, the lanes' own (which functions have on the stack: `length` −2);
# else it is noted, if the launch keeps a record, and goes to memory of nobody; else null.
BOUNDS = """define internal ptr @bounds.place(ptr %launch, ptr %blk, ptr %frame, i64 %a, i64 %n, ptr %window, i64 %length, i64 %number, i64 %side) #0 {
entry:
  %there = inttoptr i64 %a to ptr
  %from = ptrtoint ptr %window to i64
  %dw = sub i64 %a, %from
  %roomw = sub i64 %length, %n
  %none = icmp eq i64 %n, 0
  br i1 %none, label %yes, label %some
some:
  %free = icmp slt i64 %length, 0
  br i1 %free, label %wide, label %narrow
narrow:
  %loww = icmp ule i64 %dw, %roomw
  %fitsw = icmp sge i64 %roomw, 0
  %inw = and i1 %loww, %fitsw
  br i1 %inw, label %yes, label %no
wide:
  %calls = icmp eq i64 %length, -2
  br i1 %calls, label %stack, label %open
stack:
  %sp = call ptr @llvm.stacksave.p0()
  %spi = ptrtoint ptr %sp to i64
  %deep = sub i64 %a, %spi
  %mine = icmp ult i64 %deep, 8388608
  br i1 %mine, label %yes, label %open
open:
  %pa = getelementptr i8, ptr %launch, i64 ARENA
  %arena = load i64, ptr %pa
  %room = sub i64 %arena, %n
  %fits = icmp sge i64 %room, 0
  %own = ptrtoint ptr %blk to i64
  %pg = getelementptr i8, ptr %launch, i64 GROUP
  %size = load i64, ptr %pg
  %pk = getelementptr i8, ptr %launch, i64 STRIDE
  %stride = load i64, ptr %pk
  %pr = getelementptr i8, ptr %blk, i64 16
  %r32 = load i32, ptr %pr
  %rank = zext i32 %r32 to i64
  %back = mul i64 %rank, %stride
  %first = sub i64 %own, %back
  %d0 = sub i64 %a, %first
  %e0 = sub i64 %size, %n
  %in0 = icmp ule i64 %d0, %e0
  br i1 %in0, label %group, label %head
group:
  %in = urem i64 %d0, %stride
  %d1 = sub i64 %in, HEAD
  %low1 = icmp ule i64 %d1, %room
  %in1 = and i1 %low1, %fits
  %up = add i64 %arena, 63
  %whole = and i64 %up, -64
  %deep1 = sub i64 %d1, %whole
  %later = icmp sge i64 %deep1, 0
  %inside1 = urem i64 %deep1, FRAME_BYTES
  %local1 = icmp uge i64 %inside1, LOCAL_AT
  %frames = and i1 %later, %local1
  %both1 = or i1 %in1, %frames
  br i1 %both1, label %yes, label %no
head:
  %ps = getelementptr i8, ptr %launch, i64 REGIONS
  %table = load i64, ptr %ps
  %pc = getelementptr i8, ptr %launch, i64 COUNT
  %count = load i64, ptr %pc
  br label %loop
loop:
  %k = phi i64 [ 0, %head ], [ %k1, %next ]
  %more = icmp ult i64 %k, %count
  br i1 %more, label %body, label %no
body:
  %at = shl i64 %k, 4
  %x = add i64 %table, %at
  %p = inttoptr i64 %x to ptr
  %start = load i64, ptr %p
  %q = getelementptr i8, ptr %p, i64 8
  %bytes = load i64, ptr %q
  %d = sub i64 %a, %start
  %last = sub i64 %bytes, %n
  %big = icmp sge i64 %last, 0
  %inside = icmp ule i64 %d, %last
  %both = and i1 %big, %inside
  br i1 %both, label %yes, label %next
next:
  %k1 = add i64 %k, 1
  br label %loop
yes:
  ret ptr %there
no:
  %pf = getelementptr i8, ptr %blk, i64 FAULT
  store i64 %dw, ptr %pf
  %pw = getelementptr i8, ptr %launch, i64 WATCH
  %w = load ptr, ptr %pw
  %quiet = icmp eq ptr %w, null
  br i1 %quiet, label %halt, label %note
note:
  %skip = mul i64 %number, SITE
  %off = add i64 %skip, RECORDS
  %rec = getelementptr i8, ptr %w, i64 %off
  %seen = atomicrmw add ptr %rec, i32 1 monotonic
  %again = icmp ne i32 %seen, 0
  br i1 %again, label %out, label %tell
tell:
  %f1 = getelementptr i8, ptr %rec, i64 8
  store i64 %dw, ptr %f1
  %xy = load i64, ptr %blk
  %f2 = getelementptr i8, ptr %rec, i64 16
  store i64 %xy, ptr %f2
  %pz = getelementptr i8, ptr %blk, i64 8
  %z = load i32, ptr %pz
  %f3 = getelementptr i8, ptr %rec, i64 24
  store i32 %z, ptr %f3
  %pl = getelementptr i8, ptr %frame, i64 LINEAR
  %t = load i32, ptr %pl
  %f4 = getelementptr i8, ptr %rec, i64 28
  store i32 %t, ptr %f4
  br label %out
out:
  %dump = getelementptr i8, ptr %w, i64 %side
  ret ptr %dump
halt:
  ret ptr null
}"""
for _word, _value in {"ARENA": 8 * LAUNCH["arena"], "HEAD": BLOCK["arena"], "GROUP": 8 * LAUNCH["group_stride"], "STRIDE": 8 * LAUNCH["block_stride"],
                      "REGIONS": 8 * LAUNCH["regions"], "COUNT": 8 * LAUNCH["region_count"], "FAULT": BLOCK["fault"], "WATCH": 8 * LAUNCH["watch"],
                      "SITE": WATCH["site"], "RECORDS": WATCH["head"], "LINEAR": FRAME["linear"]}.items():  # fmt: skip
    BOUNDS = BOUNDS.replace(_word, str(_value))
