"""What the parts of the machine share: lanes, their values, where they stand.

Lanes are numbered by resident block, warp and lane; blocks are padded to whole warps, and lanes that do not exist are dead from the start.  A
*group* is a set of lanes that stand at one place.  A place is (depth of calls, function, block, instruction).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DeviceError, UnsupportedError
from ..instr import Instr, Value
from ..kernel import Kernel
from ..passes.cleanup import reverse_post_order
from .memory import Memory, Region

Array = Any
Place = tuple[int, int, int, int]
RUN, DEAD, WARP, CONVERGED, BARRIER, YIELD, CLUSTER = range(7)
STATES = {WARP: "waits for the other lanes of its mask", CONVERGED: "waits for its warp", BARRIER: "waits at a barrier", YIELD: "spins",
          RUN: "spins", CLUSTER: "waits at the barrier of the cluster"}  # fmt: skip
RESIDENT = 16384  # lanes of one wave of blocks
STACK = 32 << 10  # bytes of a lane for calls and alloca


class Group:
    """Lanes in ascending order; `ix` indexes arrays over all lanes (a slice where they are consecutive)."""

    __slots__ = ("ids", "ix", "size")

    def __init__(self, ids: Array) -> None:
        self.ids, self.size = ids, ids.size
        first = int(ids[0]) if self.size else 0
        self.ix: Any = slice(first, first + self.size) if self.size and int(ids[-1]) - first + 1 == self.size else ids

    def sub(self, mask: Array) -> Group:
        return self if mask.all() else Group(self.ids[mask])


class Function:
    """A kernel or a function of it, with its blocks decoded when they are reached."""

    def __init__(self, kernel: Kernel, number: int) -> None:
        self.k, self.number = kernel, number
        self.rank = {b: r for r, b in enumerate(reverse_post_order(kernel))}
        self.steps: dict[int, list[Any]] = {}


class Shape:
    """A launch: grid, block and cluster."""

    def __init__(self, grid: tuple[int, int, int], block: tuple[int, int, int], cluster: tuple[int, int, int] = (1, 1, 1), shared: int = 0,
                 cooperative: bool = False, lanes: int = 32, resident: int = RESIDENT) -> None:  # fmt: skip
        self.grid, self.block, self.cluster, self.dynamic, self.lanes = grid, block, cluster, shared, lanes
        self.blocks, self.threads = grid[0] * grid[1] * grid[2], block[0] * block[1] * block[2]
        self.warps = -(-self.threads // lanes)
        self.padded = self.warps * lanes
        self.group = grid if cooperative else cluster
        self.count = self.group[0] * self.group[1] * self.group[2]
        fit = max(resident // max(self.padded, 1) // max(self.count, 1), 1) * self.count
        self.slots = min(fit, self.blocks)

    def place(self, number: int) -> tuple[int, int, int]:
        """Coordinates of the block that is started as number …"""
        g, k = divmod(number, self.count)
        per = [-(-n // m) for n, m in zip(self.grid, self.group)]
        outer = (g % per[0], g // per[0] % per[1], g // per[0] // per[1])
        inner = (k % self.group[0], k // self.group[0] % self.group[1], k // self.group[0] // self.group[1])
        x, y, z = (o * m + i for o, m, i in zip(outer, self.group, inner))
        return x, y, z


class State:
    """The lanes of a wave of blocks."""

    def __init__(self, kernel: Kernel, shape: Shape, values: Sequence[Any], regions: Sequence[Region], *, const: tuple[int, int] = (0, 0),
                 watch: Any = None, max_steps: int = 1_000_000) -> None:  # fmt: skip
        self.kernel, self.shape, self.watch, self.max_steps = kernel, shape, watch, max_steps
        self.functions = [Function(kernel, 0), *(Function(f, n + 1) for n, f in enumerate(kernel.functions))]
        self.by_number = {dict(f.k.meta)["number"]: f for f in self.functions[1:]}
        self.by_name = {f.k.name: f for f in self.functions[1:]}
        self.sample: Sequence[int] | None = None  # numbers of the blocks that are run (all)
        self.left = shape.blocks  # blocks that are run: some may be cancelled, the last ones first
        self.n = shape.slots * shape.padded
        self.lanes = shape.lanes
        self.deep = bool(kernel.functions) or any(i.op.name == "alloca" for i in kernel.instrs())
        room = STACK if not self.deep else max(STACK, min(512 << 10, (256 << 20) // max(self.n, 1)))
        local = kernel.local + (room if self.deep else 0)
        self.memory = Memory(regions, kernel.shared + shape.dynamic, shape.slots, local, self.n, const)
        self.arena = kernel.shared + shape.dynamic
        self.values = values
        self.slot = np.repeat(np.arange(shape.slots), shape.padded)
        self.thread = np.tile(np.arange(shape.padded), shape.slots)
        self.envs: dict[tuple[int, int], dict[int, Array]] = {}
        self.ready: dict[Place, list[Array]] = {}
        self.later: dict[Place, list[Array]] = {}
        self.state = np.zeros(self.n, np.int8)
        self.clock = 0
        self.turn = 0
        self.progress = 0  # turn of the last change that others can see
        self.polls = 0
        self.env: dict[int, Array] = {}
        self.here: Place = (0, 0, 0, 0)
        self.printed: list[tuple[Any, ...]] = []
        self.sites: list[Instr] = []
        self._site: dict[int, int] = {}
        self.stops: list[Place] = []
        self._stop: dict[Place, int] = {}

    def start(self, first: int) -> None:
        """Places the blocks from number `first` on into the slots."""
        s = self.shape
        self.block0 = first
        numbers = range(s.blocks) if self.sample is None else self.sample
        count = min(s.slots, min(self.left, len(numbers)) - first)
        self.blocks = [s.place(numbers[first + k]) for k in range(count)]
        coords = np.zeros((3, s.slots), np.int32)
        coords[:, :count] = np.array(self.blocks, np.int32).T.reshape(3, count)
        self.ctaid = coords
        self.state[:] = DEAD
        alive = (self.thread < s.threads) & (self.slot < count)
        self.state[alive] = RUN
        self.live = np.bincount(self.slot[alive], minlength=s.slots)
        self.stamp = np.zeros(self.n, np.int64)  # turn of the arrival at a wait
        self.acted = np.zeros(self.n, np.int64)  # turn of the last effect
        self.acted_at = np.zeros(self.n, np.int64)  # … and its block
        self.polled_at = np.full(self.n, -1, np.int64)  # site of the last poll
        self.waits = np.zeros(self.n, np.int32)  # how often it waited
        self.standing = np.full(self.n, -1, np.int32)  # where a waiting lane stands: a number in `stops`
        self.base = np.zeros(self.n, np.int64)
        self.top = np.full(self.n, self.kernel.local, np.int64)
        self.back: dict[int, list[tuple[Array, Place, Array, Array]]] = {}
        self.ready, self.later = {}, {}
        self.envs = {}
        main = self.envs[(0, 0)] = {}
        for p, v in zip(self.kernel.params, self.values):
            main[p.value.id] = np.broadcast_to(np.asarray(v, p.value.type.elem.np), (self.n,))
        self.put((0, 0, 0, 0), np.flatnonzero(alive))

    # ---- values

    def get(self, v: Value, g: Group) -> Array:
        return self.env[v.id][g.ix]

    def set(self, v: Value, g: Group, data: Array) -> None:
        have = self.env.get(v.id)
        if have is None:
            have = self.env[v.id] = np.zeros(self.n, v.type.elem.np)
        have[g.ix] = data

    # ---- places

    def put(self, place: Place, ids: Array) -> None:
        if ids.size:
            self.ready.setdefault(place, []).append(ids)

    def next(self) -> Place:
        depth, fn, block, n = self.here
        return depth, fn, block, n + 1

    def instr_at(self, place: Place) -> Instr:
        return self.functions[place[1]].k.blocks[place[2]].instrs[place[3]]

    def wait(self, g: Group, state: int) -> None:
        """These lanes wait here; `resume` sends them on."""
        self.state[g.ix] = state
        self.stamp[g.ix] = self.turn
        self.waits[g.ix] += 1
        n = self._stop.get(self.here)
        if n is None:
            n = self._stop[self.here] = len(self.stops)
            self.stops.append(self.here)
        self.standing[g.ix] = n

    def resume(self, ids: Array) -> None:
        """Lanes go on behind the instruction where they wait."""
        self.state[ids] = RUN
        self.progress = self.turn
        for (depth, fn, block, n), lanes in self.by_stop(ids):
            self.put((depth, fn, block, n + 1), lanes)

    def by_stop(self, ids: Array) -> list[tuple[Place, Array]]:
        """These waiting lanes by where they stand, in the order in which such a place is first met."""
        numbers = self.standing[ids]
        if ids.size and (numbers == numbers[0]).all():
            return [(self.stops[numbers[0]], ids)]
        found, first = np.unique(numbers, return_index=True)
        return [(self.stops[n], ids[numbers == n]) for n in found[np.argsort(first)].tolist()]

    def stop_of(self, lane: int) -> Place:
        """Where a waiting lane stands."""
        return self.stops[int(self.standing[lane])]

    def act(self, g: Group) -> None:
        """These lanes do something that others can see."""
        self.acted[g.ix] = self.turn
        self.acted_at[g.ix] = self.here[2]

    def poll(self, i: Instr, g: Group) -> None:
        """These lanes look at what others may change."""
        self.polls += 1
        self.polled_at[g.ix] = self.site(i)

    def site(self, i: Instr) -> int:
        """The number of an instruction."""
        n = self._site.get(id(i))
        if n is None:
            n = self._site[id(i)] = len(self.sites)
            self.sites.append(i)
        return n

    def error(self, message: str, i: Instr) -> DeviceError:
        return DeviceError(message, place=i.loc)

    def unknown(self, i: Instr) -> UnsupportedError:
        return UnsupportedError(f"the kernel interpreter does not know {i.op}", place=i.loc)

    def who(self, lane: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(block, thread) of a lane."""
        t, (bx, by, _) = int(self.thread[lane]), self.shape.block
        return self.blocks[int(self.slot[lane])], (t % bx, t // bx % by, t // bx // by)


Step = Callable[[Group], Any]
