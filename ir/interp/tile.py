"""Tile programs on NumPy tiles: every program of the grid, one after the other."""
from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import BugError, DeviceError
from ..fragments import UNITS
from ..instr import Instr, Region
from ..layout import depths
from ..op import op
from ..ops.matrix import numbers, product
from ..tile import TileProgram
from ..types import Scalar
from .orders import scan_chunk
from .values import eval_lane

Array = Any


class _View:
    __slots__ = ("memory", "offset", "extents", "strides")

    def __init__(self, memory: Array, offset: int, extents: list[int], strides: list[int]) -> None:
        self.memory, self.offset, self.extents, self.strides = memory, offset, extents, strides


def run_tile(program: TileProgram, grid: Sequence[int], args: Sequence[Any]) -> None:
    """Runs a program over a grid.  Pointer arguments are flat arrays (of the signless dtype), read and written in place."""
    for z, y, x in itertools.product(*(range(n) for n in reversed(tuple(grid)))):
        _Run(program, (x, y, z), tuple(grid), args).region(program.body)


class _Run:
    def __init__(self, program: TileProgram, pid: tuple[int, ...], grid: tuple[int, ...], args: Sequence[Any]) -> None:
        self.pid, self.grid = pid, grid
        self.env: dict[int, Any] = {}
        for p, a in zip(program.params, args):
            self.env[p.value.id] = a if p.role == "pointer" else np.array(a, p.value.type.elem.np)

    def region(self, r: Region) -> list[Any]:
        for i in r.instrs:
            self.instr(i)
        return [self.env[y.id] for y in r.yields]

    def instr(self, i: Instr) -> None:
        args = [self.env[a.id] for a in i.args]
        if i.op.kind in ("lane", "math"):
            ty = i.result.type
            self.env[i.result.id] = np.asarray(eval_lane(i.op, ty.elem, args, i.attrs)).reshape(ty.shape)
            return
        rule = getattr(self, "_" + i.op.name, None)
        if rule is None:
            raise BugError(f"the tile interpreter does not know {i.op}", place=i.loc)
        made = rule(i, args)
        if i.op.name in ("for", "if"):
            for r, v in zip(i.results, made):
                self.env[r.id] = v
        elif i.results:
            self.env[i.result.id] = made

    def _constant(self, i: Instr, args: list[Any]) -> Array:
        ty = i.attr("type")
        with np.errstate(over="ignore"):
            return np.full(ty.shape, np.array(i.attr("value")).astype(ty.elem.np), ty.elem.np)

    def _program_id(self, i: Instr, args: list[Any]) -> Array:
        return np.array(self.pid[i.attr("axis")], np.int32)

    def _num_programs(self, i: Instr, args: list[Any]) -> Array:
        return np.array(self.grid[i.attr("axis")], np.int32)

    def _splat(self, i: Instr, args: list[Any]) -> Array:
        return np.full(i.attr("shape"), args[0], args[0].dtype)

    def _expand(self, i: Instr, args: list[Any]) -> Array:
        return np.broadcast_to(args[0], i.attr("shape"))

    def _arange(self, i: Instr, args: list[Any]) -> Array:
        shape, axis = i.attr("shape"), i.attr("axis")
        line = np.arange(shape[axis]).astype(i.attr("to").np)
        return np.broadcast_to(line.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape)

    def _tile_reshape(self, i: Instr, args: list[Any]) -> Array:
        return args[0].reshape(i.attr("shape"))

    def _tile_permute(self, i: Instr, args: list[Any]) -> Array:
        return np.transpose(args[0], i.attr("axes"))

    def _tile_reduce(self, i: Instr, args: list[Any]) -> Array:
        fn, elem, axis = op(i.attr("fn")), i.result.type.elem, i.attr("axis")
        x = np.moveaxis(args[0], axis, -1)
        size = 1 << (x.shape[-1] - 1).bit_length()
        assert fn.identity is not None
        fill = np.broadcast_to(np.array(fn.identity(elem)).astype(elem.np), (*x.shape[:-1], size - x.shape[-1]))
        x = np.concatenate([x, fill], axis=-1)
        while x.shape[-1] > 1:
            half = x.shape[-1] // 2
            x = eval_lane(fn, elem, (np.ascontiguousarray(x[..., :half]), np.ascontiguousarray(x[..., half:])))
        return x.reshape(i.result.type.shape)

    def _tile_scan(self, i: Instr, args: list[Any]) -> Array:
        return scan_chunk(op(i.attr("fn")), i.result.type.elem, args[0])

    def _dot(self, i: Instr, args: list[Any]) -> Array:
        attrs = dict(i.attrs)
        u = UNITS[attrs["unit"]]
        (x, y), total = (numbers(v if letters in ("mk", "kn") else v.T, attrs[w]) for v, letters, w in zip(args, (attrs["left"], attrs["right"]), "ab")), args[2]
        for ks in depths(u.name, x.shape[1] // u.shape[2], bool(attrs.get("packed"))):
            total = product(x[:, ks], y[ks, :], total.astype(np.int64) if u.acc == "s32" else total, attrs).astype(args[2].dtype)
        return total

    # ---- memory

    def _view(self, i: Instr, args: list[Any]) -> Any:
        rank = (len(args) - 1) // 2
        return _View(args[0], i.attr("offset", 0), [int(a) for a in args[1 : 1 + rank]], [int(a) for a in args[1 + rank :]])

    def place(self, i: Instr, view: _View, offsets: list[Any], shape: tuple[int, ...]) -> tuple[Array, Array]:
        """(flat element number, whether it is accessed) of each tile element."""
        grids = np.indices(shape) if shape else np.zeros((0,), np.int64)
        flat = np.full(shape, view.offset, np.int64)
        inside = np.ones(shape, bool)
        for d, (o, row, extent, stride) in enumerate(zip(offsets, i.attr("index"), view.extents, view.strides)):
            c = np.full(shape, int(o), np.int64)
            for axis, k in enumerate(row):
                c = c + k * grids[axis]
            flat = flat + c * stride
            if d in i.attr("check", ()):
                inside &= (c >= 0) & (c < extent)
            elif ((c < 0) | (c >= extent)).any():
                raise DeviceError(f"{i.op}: a coordinate that was promised to be inside is not (dimension {d})", place=i.loc)
        if ((flat[inside] < 0) | (flat[inside] >= view.memory.size)).any():
            raise DeviceError(f"{i.op} is out of bounds", place=i.loc)
        return flat, inside

    def _load(self, i: Instr, args: list[Any]) -> Array:
        view = args[0]
        flat, inside = self.place(i, view, args[1:-1], i.attr("shape"))
        got = view.memory[np.where(inside, flat, 0)] if view.memory.size else np.zeros(flat.shape, args[-1].dtype)
        return np.asarray(np.where(inside, got, args[-1]), dtype=args[-1].dtype)

    def _store(self, i: Instr, args: list[Any]) -> None:
        view, value = args[0], np.asarray(args[-1])
        flat, inside = self.place(i, view, args[1:-1], value.shape)
        view.memory[flat[inside]] = value[inside]

    def _gather(self, i: Instr, args: list[Any]) -> Array:
        memory, index, mask, fill = args
        bad = mask & ((index < 0) | (index >= memory.size))
        if bad.any():
            raise DeviceError("gather is out of bounds", place=i.loc)
        return np.where(mask, memory[np.where(mask, index, 0)], fill) if memory.size else np.broadcast_to(fill, index.shape)

    def _scatter_to(self, i: Instr, args: list[Any]) -> None:
        memory, index, mask, value = args
        memory[index[mask]] = value[mask]

    def _atomic(self, i: Instr, args: list[Any]) -> None:
        memory, index, mask, value = args
        fn, elem = op(i.attr("fn")), i.args[3].type.elem
        for k, v in zip(index[mask], value[mask]):
            memory[k] = eval_lane(fn, elem, (memory[k : k + 1], np.array([v])))[0]

    def _alloc(self, i: Instr, args: list[Any]) -> Array:
        elem: Scalar = i.attr("to")
        return np.zeros(i.attr("size"), elem.np)

    def _barrier(self, i: Instr, args: list[Any]) -> None:
        return None

    # ---- control

    def _for(self, i: Instr, args: list[Any]) -> list[Any]:
        lo, hi, step, *state = args
        region = i.regions[0]
        for iv in range(int(lo), int(hi), int(step)):
            self.env[region.params[0].id] = np.array(iv, np.int64)
            for p, v in zip(region.params[1:], state):
                self.env[p.id] = v
            state = self.region(region)
        return state

    def _if(self, i: Instr, args: list[Any]) -> list[Any]:
        return self.region(i.regions[0] if args[0] else i.regions[1])
