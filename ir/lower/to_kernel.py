"""Tile program → kernel: what one lane does.

A tile becomes an array of registers, one kernel value per register of its layout (`ir/layout.py`); a scalar stays one value.
Addresses are split into a uniform base (i64), an index that only depends on lane and warp (i32), and a constant displacement, so
that a vector target sees contiguous accesses and a GPU folds the constant into the instruction.

In a program with a matrix unit tiles lie as the operand of the product that they become (`lower/roles.py`); what serves several is computed for each.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import DeviceFacts
from ..errors import BugError, UnsupportedError
from ..fragments import UNITS
from ..instr import Instr, Region, Value
from ..kernel import Kernel, KernelBuilder
from ..layout import Fragments, Spread
from ..op import freeze_attrs, op
from ..tile import TileProgram
from ..types import I32, I64, Pointer, Scalar, Tile
from .roles import Part, packed, roles, unpacked

Regs = Any  # np.ndarray of object: kernel values, one axis per tile dimension


class _View:
    """A tile-level view, resolved: pointer value, element offset, extents and strides (kernel values and known constants)."""

    __slots__ = ("pointer", "offset", "extents", "strides", "elem", "space")

    def __init__(self, pointer: Value, offset: int, extents: list[Value], strides: list[Value], elem: Scalar, space: str) -> None:
        self.pointer, self.offset, self.extents, self.strides, self.elem, self.space = pointer, offset, extents, strides, elem, space


class _Lower:
    def __init__(self, program: TileProgram, facts: DeviceFacts) -> None:
        meta = dict(program.meta)
        self.facts = facts
        self.spread = Spread(program.lanes, program.warps, meta.get("warp_axis", "last"), meta.get("vec", 1))
        self.fragments = Fragments(*meta["fragments"]) if "fragments" in meta else None
        self.roles = roles(program) if self.fragments is not None else {}
        self.role = "c"  # in which layout tiles are written now: operand A or B of the product, or as everything else
        self.b = KernelBuilder(program.name, warps=program.warps, lanes=program.lanes)
        self.program = program
        self.env: dict[Any, Any] = {}  # value id, with the role where it is not 'c' → registers
        self.known: dict[int, Any] = {}  # kernel value id → its constant
        self.shared: dict[int, int] = {}

    def run(self) -> Kernel:
        for p in self.program.params:
            ty = p.value.type
            facts = {"role": p.role, "elem": p.elem, "access": p.access, "align": p.align, "noalias": p.noalias}
            self.env[p.value.id] = self.b.param(p.value.name, I64 if isinstance(ty, Pointer) else ty, **facts)
        self.body(self.program.body)
        self.b.ret()
        return self.b.finish(self.program.meta)

    def body(self, region: Region) -> None:
        for i in region.instrs:
            self.b.loc = i.loc
            for role in self.roles_of(i):
                self.role = role
                self.instr(i)
                if role != "c":
                    self.env[i.result.id, role] = self.env.pop(i.result.id)
            self.role = "c"

    def roles_of(self, i: Instr) -> str:
        """In which layouts an instruction is wanted; a tile that nobody reads in none."""
        if not self.roles or i.regions or len(i.results) != 1 or not isinstance(i.result.type, Tile):
            return "c"
        return self.roles.get(i.result.id, "" if i.op.effect is None or not i.op.effect.writes else "c")

    def instr(self, i: Instr) -> None:
        rule = getattr(self, "_" + i.op.name.rstrip("_"), None)
        if rule is not None:
            rule(i)
        elif i.op.kind in ("lane", "math"):
            self.lane(i)
        else:
            raise UnsupportedError(f"tile op {i.op} cannot be lowered to a kernel yet", place=i.loc)

    # ---- helpers

    def const(self, ty: Scalar, value: Any) -> Value:
        v = self.b.const(ty, value)
        self.known[v.id] = value
        return v

    def mul(self, v: Value, k: int) -> Value:
        """v · k with the constants folded away."""
        if v.id in self.known:
            return self.const(v.type, self.known[v.id] * k)  # type: ignore[arg-type]
        return v if k == 1 else self.b.imul(v, self.const(v.type, k))  # type: ignore[arg-type]

    def add(self, a: Value, b: Value) -> Value:
        if a.id in self.known and b.id in self.known:
            return self.const(a.type, self.known[a.id] + self.known[b.id])  # type: ignore[arg-type]
        for x, y in ((a, b), (b, a)):
            if self.known.get(y.id) == 0:
                return x
        return self.b.iadd(a, b)  # type: ignore[no-any-return]

    def regs(self, v: Value) -> Regs:
        if self.role == "c" or not isinstance(v.type, Tile):
            return self.env[v.id]
        found = self.env[v.id, self.role]
        if not any(isinstance(r, Part) for r in found.flat):
            return found
        out = np.empty(found.shape, dtype=object)  # each use takes its elements out where it stands; what is the same is merged later
        for at in np.ndindex(*found.shape):
            out[at] = unpacked(self.b, found[at]) if isinstance(found[at], Part) else found[at]
        return out

    def factors(self, shape: tuple[int, ...]) -> list[Any]:
        if self.fragments is not None:
            return [self.fragments.factors(self.role, shape, a) for a in range(len(shape))]
        return [self.spread.factors(shape, a) for a in range(len(shape))]

    def place(self, coefficients: Sequence[int], shape: tuple[int, ...]) -> tuple[Value | None, Regs]:
        """Of the element index Σ coefficient · coordinate: the part of lane and warp (i32, or None), and the constants per register."""
        fs = self.factors(shape)
        strides: dict[tuple[str, int, int], int] = {}
        for c, f in zip(coefficients, fs):
            for name, drop, size, stride in f.terms:
                strides[name, drop, size] = strides.get((name, drop, size), 0) + c * stride
        constants = np.zeros([f.regs for f in fs], dtype=np.int64)
        for a, (c, f) in enumerate(zip(coefficients, fs)):
            constants += np.array([c * f.constant(r) for r in range(f.regs)]).reshape([-1 if i == a else 1 for i in range(len(fs))])
        most = sum(abs(stride) * (size or (self.spread.lanes if name == "laneid" else self.spread.warps)) for (name, _, size), stride in strides.items())
        ty = I32 if most < 1 << 31 else I64
        part: Value | None = None
        for (name, drop, size), stride in sorted(strides.items(), key=lambda e: e[0][0]):  # lanes, then warps
            if stride:
                v = self.digit(name, drop, size)
                v = self.mul(v if ty is I32 else self.b.sext(v, to=I64), stride)
                part = v if part is None else self.b.iadd(part, v)
        return part, constants

    def digit(self, name: str, drop: int, size: int) -> Value:
        """A special register without its lowest bits, of which `size` values are left (0: all)."""
        v: Value = self.b.sreg(name=name)
        if drop:
            v = self.b.shr_u(v, self.const(I32, drop))
        whole = self.spread.lanes if name == "laneid" else self.spread.warps
        return getattr(self.b, "and")(v, self.const(I32, size - 1)) if size and size << drop < whole else v

    # ---- scalars, constants, shape

    def lane(self, i: Instr) -> None:
        out = i.result
        args = [self.regs(a) for a in i.args]
        if not isinstance(out.type, Tile):
            self.env[out.id] = self.b.emit(i.op, args, i.attrs, name=out.name)
            return
        first = args[0]
        regs = np.empty(first.shape, dtype=object)
        for at in np.ndindex(*first.shape):
            regs[at] = self.b.emit(i.op, [a[at] for a in args], i.attrs, name=out.name)
        self.env[out.id] = regs

    def _constant(self, i: Instr) -> None:
        ty = i.attr("type")
        v = self.const(ty.elem, i.attr("value"))
        self.env[i.result.id] = self.filled(v, ty.shape) if isinstance(ty, Tile) else v

    def filled(self, v: Value, shape: tuple[int, ...]) -> Regs:
        regs = np.empty([f.regs for f in self.factors(shape)], dtype=object)
        regs.fill(v)
        return regs

    def _splat(self, i: Instr) -> None:
        self.env[i.result.id] = self.filled(self.regs(i.args[0]), i.attr("shape"))

    def _expand(self, i: Instr) -> None:
        source = self.regs(i.args[0])
        self.env[i.result.id] = np.broadcast_to(source, [f.regs for f in self.factors(i.attr("shape"))])

    def _arange(self, i: Instr) -> None:
        shape, axis, ty = i.attr("shape"), i.attr("axis"), i.attr("to")
        part, constants = self.place([int(a == axis) for a in range(len(shape))], shape)
        regs = np.empty(constants.shape, dtype=object)
        wide = I64 if ty is I64 else I32
        base = None if part is None else part if part.type is wide else self.b.sext(part, to=wide)
        for at in np.ndindex(*constants.shape):
            v = self.const(wide, int(constants[at]))
            v = v if base is None else self.add(base, v)
            regs[at] = v if ty is wide else self.b.itrunc(v, to=ty)
        self.env[i.result.id] = regs

    def _program_id(self, i: Instr) -> None:
        self.env[i.result.id] = self.b.emit(op("sreg"), (), (("name", "ctaid." + "xyz"[i.attr("axis")]),), name=i.result.name)

    def _num_programs(self, i: Instr) -> None:
        self.env[i.result.id] = self.b.sreg(name="nctaid." + "xyz"[i.attr("axis")])

    # ---- memory

    def _alloc(self, i: Instr) -> None:
        size = i.attr("size") * i.attr("to").bytes
        self.env[i.result.id] = self.const(I32, self.b.shared)
        self.b.shared += -(-size // 64) * 64

    def _view(self, i: Instr) -> None:
        ty = i.result.type
        rank = ty.rank  # type: ignore[attr-defined]
        args = [self.regs(a) for a in i.args]
        self.env[i.result.id] = _View(args[0], i.attr("offset", 0), args[1 : 1 + rank], args[1 + rank :], ty.elem, ty.space)  # type: ignore[attr-defined]

    def access(self, i: Instr, shape: tuple[int, ...]) -> tuple[_View, Value, Value | None, Regs, Regs | None]:
        """view, base address, lane index, displacement in bytes per register, guard per register (or None)."""
        view: _View = self.regs(i.args[0])
        offsets = [self.regs(a) for a in i.args[1 : 1 + len(view.extents)]]
        matrix, size = i.attr("index"), view.elem.bytes
        word = I64 if view.space == "global" else I32
        linear = self.const(I64, view.offset)
        for o, s in zip(offsets, view.strides):
            if s.id in self.known:
                linear = self.add(linear, self.mul(o, self.known[s.id]))
            else:
                linear = self.add(linear, self.b.imul(o, s))
        in_bytes = self.mul(linear, size)
        if in_bytes.id in self.known:
            base = self.add(view.pointer, self.const(word, self.known[in_bytes.id]))
        else:
            base = self.add(view.pointer, in_bytes if word is I64 else self.b.itrunc(in_bytes, to=I32))
        coefficients = [0] * len(shape)
        for row, s in zip(matrix, view.strides):
            if any(row):
                if s.id not in self.known:
                    raise BugError("a stride along a tile dimension must be known", place=i.loc)
                for a, c in enumerate(row):
                    coefficients[a] += c * self.known[s.id]
        part, constants = self.place(coefficients, shape)
        guard = self.guards(i, view, offsets, matrix, shape)
        return view, base, part, constants * size, guard

    def guards(self, i: Instr, view: _View, offsets: list[Value], matrix: Any, shape: tuple[int, ...]) -> Regs | None:
        check, low = i.attr("check", ()), i.attr("low", ())
        total: Regs | None = None
        far = 1 << 30
        for d in check:
            part, constants = self.place(matrix[d], shape)
            ends = [("slt", self.clamped(self.b.isub(view.extents[d], offsets[d]), far))]
            if d in low:
                ends.append(("sge", self.clamped(self.b.isub(self.const(I64, 0), offsets[d]), far)))
            for pred, end in ends:
                here = np.empty(constants.shape, dtype=object)
                for at in np.ndindex(*constants.shape):
                    # lane part + constant < end  ⇔  lane part < end − constant: the right side is uniform
                    limit = self.add(end, self.const(I32, -int(constants[at])))
                    if part is None:
                        here[at] = self.b.icmp(self.const(I32, 0), limit, pred=pred)
                    else:
                        here[at] = self.b.icmp(part, limit, pred=pred)
                    if total is not None:
                        here[at] = getattr(self.b, "and")(total[at], here[at])
                total = here
        return total

    def clamped(self, v: Value, far: int) -> Value:
        """An i64 as i32, clamped to ±far."""
        low = self.b.imax_s(v, self.const(I64, -far))
        return self.b.itrunc(self.b.imin_s(low, self.const(I64, far)), to=I32)  # type: ignore[no-any-return]

    def groups(self, part: Value | None, disp: Regs, size: int, shape: tuple[int, ...]) -> list[list[tuple[int, ...]]]:
        """Registers that one wide access can serve: runs of neighbours along the last axis with neighbouring addresses."""
        vec = self.factors(shape)[-1].vec if shape else 1
        wide = vec > 1 and disp.ndim > 0 and disp.shape[-1] % vec == 0 and part is not None
        out: list[list[tuple[int, ...]]] = []
        for at in np.ndindex(*disp.shape[:-1], *([disp.shape[-1] // vec] if wide else disp.shape[-1:])):
            run = [(*at[:-1], at[-1] * vec + k) for k in range(vec)] if wide else [at]
            if wide and any(disp[r] != disp[run[0]] + k * size for k, r in enumerate(run)):
                out.extend([r] for r in run)
            else:
                out.append(run)
        return out

    def memory(self, name: str, view: _View, base: Value, part: Value | None, disp: int, count: int, data: Sequence[Value],
               guard: Value | None, passthrough: tuple[Value, ...], hint: str, nt: bool, elem: Scalar | None = None) -> Any:  # fmt: skip
        size = view.elem.bytes
        attrs: dict[str, Any] = {"space": view.space, "to": elem or view.elem}
        if count > 1:
            attrs["count"] = count
        if disp:
            attrs["disp"] = disp
        if nt:
            attrs["nt"] = True
        if part is not None:
            attrs["scale"] = size
        args = (base, *(() if part is None else (part,)), *data)
        return self.b.emit(op(name), args, tuple(sorted(attrs.items())), guard=guard, passthrough=passthrough, name=hint)

    def _load(self, i: Instr) -> None:
        shape = i.attr("shape")
        view, base, part, disp, guard = self.access(i, shape)
        fill = self.regs(i.args[-1])
        regs = np.empty(disp.shape, dtype=object)
        made: dict[Any, Value] = {}
        for run in self.groups(part, disp, view.elem.bytes, shape):
            g = None if guard is None else guard[run[0]]
            words, rest = divmod(len(run) * view.elem.bytes, 4)
            if self.role != "c" and view.elem.bytes < 4 and not rest and self.known.get(fill.id) == 0:
                zero = (self.const(I32, 0),) * words
                got = self.memory("ld", view, base, part, int(disp[run[0]]), words, (), g, () if g is None else zero, i.result.name, False, I32)
                per = 4 // view.elem.bytes
                for n, r in enumerate(run):
                    regs[r] = Part((got if words > 1 else (got,))[n // per], n % per, view.elem)
                continue
            key = (int(disp[run[0]]), len(run), None if g is None else g.id)
            if len(run) == 1 and key in made:  # a tile dimension that the address does not depend on
                regs[run[0]] = made[key]
                continue
            got = self.memory("ld", view, base, part, int(disp[run[0]]), len(run), (), g, () if g is None else (fill,) * len(run), i.result.name, False)
            for r, v in zip(run, got if len(run) > 1 else (got,)):
                regs[r] = v
                made[key] = v
        self.env[i.result.id] = regs if shape else regs[()]

    def _store(self, i: Instr) -> None:
        value = i.args[-1]
        view, base, part, disp, guard = self.access(i, value.type.shape)
        regs = self.regs(value) if isinstance(value.type, Tile) else np.array(self.regs(value), dtype=object).reshape(())
        for run in self.groups(part, disp, view.elem.bytes, value.type.shape):
            g = None if guard is None else guard[run[0]]
            self.memory("st", view, base, part, int(disp[run[0]]), len(run), [regs[r] for r in run], g, (), "", bool(i.attr("nt")))

    def scattered(self, i: Instr, act: Callable[[Value, Value, Value, Any], Any]) -> Regs:
        pointer, index, mask = (self.regs(a) for a in i.args[:3])
        data = self.regs(i.args[3])
        if not isinstance(i.args[1].type, Tile):
            return act(pointer, index, mask, data)
        regs = np.empty(index.shape, dtype=object)
        for at in np.ndindex(*index.shape):
            regs[at] = act(pointer, index[at], mask[at], data[at] if isinstance(data, np.ndarray) else data)
        return regs

    def _gather(self, i: Instr) -> None:
        elem = i.result.type.elem
        attrs = (("scale", elem.bytes), ("space", i.args[0].type.space), ("to", elem))  # type: ignore[attr-defined]

        def one(p: Value, x: Value, m: Value, fill: Value) -> Any:
            if self.known.get(m.id) is True:
                return self.b.emit(op("ld"), (p, x), attrs)
            return self.b.emit(op("ld"), (p, x), attrs, guard=m, passthrough=(fill,))

        self.env[i.result.id] = self.scattered(i, one)

    def _scatter_to(self, i: Instr) -> None:
        elem = i.args[3].type.elem
        attrs = (("scale", elem.bytes), ("space", i.args[0].type.space), ("to", elem))  # type: ignore[attr-defined]
        self.scattered(i, lambda p, x, m, v: self.b.emit(op("st"), (p, x, v), attrs, guard=m))

    def _atomic(self, i: Instr) -> None:
        elem = i.args[3].type.elem
        attrs = (("fn", i.attr("fn")), ("order", "relaxed"), ("scale", elem.bytes), ("scope", "gpu"), ("space", i.args[0].type.space), ("to", elem))  # type: ignore[attr-defined]
        self.scattered(i, lambda p, x, m, v: self.b.emit(op("red"), (p, x, v), attrs, guard=m))

    def _barrier(self, i: Instr) -> None:
        self.b.bar(id=0)

    # ---- across lanes

    def identity(self, fn: str, elem: Scalar) -> Value:
        identity = op(fn).identity
        assert identity is not None
        return self.const(elem, identity(elem))

    def _tile_reduce(self, i: Instr) -> None:
        source, ty = self.regs(i.args[0]), i.args[0].type
        axis, fn = i.attr("axis"), op(i.attr("fn"))
        if self.fragments is not None:
            raise UnsupportedError("a reduction of what a matrix unit made", place=i.loc)
        f = self.spread.factors(ty.shape, axis)
        if f.warp_stride:
            raise UnsupportedError("a reduction across warps needs shared memory", place=i.loc)
        regs = np.moveaxis(source, axis, 0)
        n = 1 << (f.regs - 1).bit_length()
        if n != f.regs:
            pad = np.empty((n - f.regs, *regs.shape[1:]), dtype=object)
            pad.fill(self.identity(fn.name, ty.elem))
            regs = np.concatenate([regs, pad])
        if f.vec > 1:  # element bits from the top: high registers, lanes, then the neighbours
            regs = regs.reshape(n // f.vec, f.vec, *regs.shape[1:])
        else:
            regs = regs.reshape(n, 1, *regs.shape[1:])
        while len(regs) > 1:
            half = len(regs) // 2
            regs = self.combine(fn, regs[:half], regs[half:])
        if f.lane_stride:
            step = self.spread.lanes // 2
            while step:
                other = self.shuffled(regs, "bfly", step)
                regs = self.combine(fn, regs, other)
                step //= 2
        while regs.shape[1] > 1:
            half = regs.shape[1] // 2
            regs = self.combine(fn, regs[:, :half], regs[:, half:])
        regs = regs[0, 0]
        if f.lane_stride and self.facts.kind == "cpu":
            regs = self.shuffled(np.asarray(regs, dtype=object), "idx", 0)  # makes it visibly uniform: a scalar there
        if isinstance(i.result.type, Tile):
            self.env[i.result.id] = np.expand_dims(np.asarray(regs, dtype=object), axis)
        else:
            self.env[i.result.id] = regs[()] if isinstance(regs, np.ndarray) else regs

    def combine(self, fn: Any, a: Regs, b: Regs) -> Regs:
        out = np.empty(a.shape, dtype=object)
        for at in np.ndindex(*a.shape):
            out[at] = self.b.emit(fn, (a[at], b[at]))
        return out

    def shuffled(self, regs: Regs, mode: str, lane: int) -> Regs:
        out = np.empty(regs.shape, dtype=object)
        k = self.const(I32, lane)
        for at in np.ndindex(*regs.shape):
            out[at] = self.b.shfl(regs[at], k, mode=mode)
        return out

    def _tile_scan(self, i: Instr) -> None:
        """The canonical scan of a chunk: Kogge–Stone in groups of 16 lanes, then over the totals of the groups."""
        ty, fn = i.args[0].type, op(i.attr("fn"))
        lanes = self.spread.lanes
        if len(ty.shape) != 1 or lanes % 16 or self.spread.warps != 1 or self.spread.vec != 1:
            raise UnsupportedError(f"scan of {ty} with {lanes} lanes", place=i.loc)
        lane = self.b.sreg(name="laneid")
        within = getattr(self.b, "and")(lane, self.const(I32, 15))
        regs = list(self.regs(i.args[0]))
        for d in (1, 2, 4, 8):
            takes = self.b.icmp(within, self.const(I32, d), pred="sge")
            regs = [self.b.select(takes, self.b.emit(fn, (self.b.shfl(r, self.const(I32, d), mode="up"), r)), r) for r in regs]
        totals = [self.b.shfl(r, self.const(I32, 16 * h + 15), mode="idx") for r in regs for h in range(lanes // 16)]
        for d in (1, 2, 4, 8):
            totals = [self.b.emit(fn, (totals[g - d], t)) if g % 16 >= d else t for g, t in enumerate(totals)]
        out = np.empty(len(regs), dtype=object)
        half = lanes // 16
        for r, v in enumerate(regs):
            before = [totals[g - 1] if g else None for g in range(r * half, (r + 1) * half)]
            summed = [v if p is None else self.b.emit(fn, (p, v)) for p in before]
            out[r] = summed[0]
            for h in range(1, half):
                beyond = self.b.icmp(lane, self.const(I32, 16 * h), pred="sge")
                out[r] = self.b.select(beyond, summed[h], out[r])
        self.env[i.result.id] = out

    def _dot(self, i: Instr) -> None:
        """The unit's instruction for each pair of fragments and each step along k, in ascending k."""
        attrs = dict(i.attrs)
        u = UNITS[attrs["unit"]]
        if self.fragments is None or self.fragments[0] != u.name or (self.fragments.a, self.fragments.b) != (attrs["left"], attrs["right"]):
            raise BugError(f"dot by {u.name} in a program whose tiles are not made of its fragments", place=i.loc)
        lines: dict[tuple[str, str], Any] = {}
        for role, letters, v in zip("abc", (attrs["left"], attrs["right"], "mn"), i.args):
            for n, x in enumerate(letters):
                lines[role, x] = self.fragments.factors(role, v.type.shape, n)
        regs = {role: self.env[v.id if role == "c" else (v.id, role)] for role, v in zip("abc", i.args)}

        def fragment(role: str, **number: int) -> list[tuple[int, ...]]:
            """Places in the operand's registers of the elements of one fragment, in the unit's order."""
            f, letters = {"a": (u.a, attrs["left"]), "b": (u.b, attrs["right"]), "c": (u.c, "mn")}[role]
            own = [[n for n, _, _ in f.along(x)[1]] for x in letters]
            return [tuple(lines[role, x].places[(number[x], *(d[n] for n in mine))] for x, mine in zip(letters, own))
                    for d in itertools.product(*(range(size) for size, _, _ in f.regs))]  # fmt: skip

        words: dict[Any, list[Value]] = {}

        def operand(role: str, **number: int) -> list[Value]:
            key = (role, *number.values())
            if key not in words:
                words[key] = packed(self.b, [regs[role][at] for at in fragment(role, **number)], attrs[role])
            return words[key]

        out = regs["c"].copy()
        mask = self.const(I32, -1)
        foreign = u.family == "mma"
        said = {"shape": u.text, "a": attrs["a"], "b": attrs["b"], "c": u.acc, "d": u.acc, **({} if foreign else {"unit": u.name})}
        for s in range(self.fragments.depth):
            for fm in range(self.fragments.frags[0]):
                for fn in range(self.fragments.frags[1]):
                    at = fragment("c", m=fm, n=fn)
                    made = self.b.emit(op("mma"), (mask, *operand("a", m=fm, k=s), *operand("b", n=fn, k=s), *(out[p] for p in at)), freeze_attrs(said))
                    for p, v in zip(at, made):
                        out[p] = v
        self.env[i.result.id] = out

    # ---- control

    def flat(self, values: Sequence[Value]) -> list[Value]:
        out: list[Value] = []
        for v in values:
            r = self.regs(v)
            out.extend(r.ravel() if isinstance(r, np.ndarray) else [r])
        return out

    def unflat(self, values: Sequence[Value], flat: Sequence[Value]) -> None:
        at = 0
        for v in values:
            if isinstance(v.type, Tile):
                shape = [f.regs for f in self.factors(v.type.shape)]
                n = int(np.prod(shape))
                regs = np.empty(n, dtype=object)
                regs[:] = flat[at : at + n]
                self.env[v.id] = regs.reshape(shape)
                at += n
            else:
                self.env[v.id] = flat[at]
                at += 1

    def _for(self, i: Instr) -> None:
        lo, hi, step = (self.regs(a) for a in i.args[:3])
        start = self.flat(i.args[3:])
        region, b = i.regions[0], self.b
        body = b.block("loop", [lo.type, *(v.type for v in start)], [region.params[0].name])
        done = b.block("done", [v.type for v in start])
        if lo.id in self.known and hi.id in self.known and self.known[lo.id] < self.known[hi.id]:
            b.jump(body, lo, *start)
        else:
            b.branch(b.icmp(lo, hi, pred="slt"), body, done, (lo, *start), tuple(start))
        iv, *carried = b.start(body)
        self.env[region.params[0].id] = iv
        self.unflat(region.params[1:], carried)
        self.body(region)
        following = self.flat(region.yields)
        after = b.iadd(iv, step)
        b.branch(b.icmp(after, hi, pred="slt"), body, done, (after, *following), tuple(following), likely=True)
        self.unflat(i.results, b.start(done))

    def _if(self, i: Instr) -> None:
        b = self.b
        cond = self.regs(i.args[0])
        then, other = b.block("then"), b.block("else")
        b.branch(cond, then, other)
        b.start(then)
        self.body(i.regions[0])
        yields = self.flat(i.regions[0].yields)
        join = b.block("join", [v.type for v in yields])
        b.jump(join, *yields)
        b.start(other)
        self.body(i.regions[1])
        b.jump(join, *self.flat(i.regions[1].yields))
        self.unflat(i.results, b.start(join))


def to_kernel(program: TileProgram, facts: DeviceFacts) -> Kernel:
    """One lane's view of a tile program."""
    return _Lower(program, facts).run()
