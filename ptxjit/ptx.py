"""PTX in: `load_ptx`, modules, launches.

    mod = load_ptx(Path("kernels.ptx"));  mod["saxpy"][grid, block](a, x, y, n)

Any PTX of any origin is read; a kernel is lifted and compiled when it is first launched, or by `.compile()`.
"""
from __future__ import annotations

import mmap
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from . import targets
from .ir.errors import DeviceError, DTypeError, PtxjitError, UnsupportedError, UserError
from .trace import DeviceArray, user_loc

MAPS_LOW = sys.platform == "linux" and platform.machine() == "x86_64"
DECLARED = re.compile(r"[;{}]\s*\.(?:global|const)\s")  # a declaration, not a modifier
LIMITS = ("maxntid", "reqntid", "reqnctapercluster")


def load_ptx(source: str | bytes | os.PathLike[str], device: str = "cpu", bounds: bool = False) -> Module:
    """Reads PTX.

    source  text, or a path (a `Path`, or a str without a newline)
    device  'cpu' (compiled), 'cuda:0' (the bytes go to NVIDIA's driver as they are), 'opencl:0' (devices in main memory; what they cannot honour
            is refused when the kernel is compiled) or 'interp' (the oracle)
    bounds  test every access against the arrays of the launch and the module's variables: slower, and never a crash

    Raises `ReadError` with file, line and column where the text outside of function bodies cannot be read; what is wrong inside one kernel is
    raised when that kernel is compiled.
    """
    text, name = text_of(source)
    from .hardware import device as find

    d = find(device) if isinstance(device, str) else device
    tree = targets.target("ptx").read(text, name)
    target = targets.target(d.target)
    native = target.native(tree, text if isinstance(text, bytes) else text.encode(), bounds)
    if native is None and not target.runs_kernels and d.name != "interp":
        raise DeviceError(f"PTX cannot run on {d.name} yet", hint="device='cpu' or device='interp'")
    return Module(tree, d.name, bounds, native, target)


def text_of(source: str | bytes | os.PathLike[str]) -> tuple[str | bytes, str]:
    """(PTX text, its name for messages)."""
    if isinstance(source, bytes):
        return source, "<ptx>"
    if isinstance(source, str) and ("\n" in source or not source.strip()):
        return source, "<ptx>"
    path = Path(source)
    try:
        return path.read_bytes(), str(path)
    except OSError as e:
        raise UserError(f"{path} cannot be read: {e.strerror}", hint="PTX text has at least one newline; other strings are paths") from None


def three(value: Any, what: str) -> tuple[int, int, int]:
    """A grid, block or cluster: an int or up to three of them."""
    items = (value,) if isinstance(value, (int, np.integer)) else tuple(value)
    if not 1 <= len(items) <= 3 or any(isinstance(i, bool) or int(i) != i or i < 0 for i in items):
        raise UserError(f"{what} is an int or a tuple of one to three, not {value!r}")
    return tuple(int(i) for i in (*items, 1, 1)[:3])  # type: ignore[return-value]


class Parameter:
    """One parameter of an entry: `name`, PTX `type`, `size` in bytes, `by_address` where it is an array or structure."""

    __slots__ = ("name", "type", "size", "pointer")

    def __init__(self, name: str, type: str, size: int, pointer: bool) -> None:
        self.name, self.type, self.size, self.pointer = name, type, size, pointer

    def __repr__(self) -> str:
        natural = {"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "s16": 2, "f16": 2, "b32": 4, "u32": 4, "s32": 4, "f32": 4}.get(self.type, 8)
        return f"{self.name}: .{self.type}" + (f"[{self.size}]" if self.size != natural else "")


class Signature:
    """What an entry takes; prints as a declaration."""

    __slots__ = ("name", "params")

    def __init__(self, name: str, params: tuple[Parameter, ...]) -> None:
        self.name, self.params = name, params

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.params))})"


class Module:
    """A PTX module: `kernels`, `symbols`, `mod["name"]`.  `str(mod)` is the text."""

    def __init__(self, tree: Any, device: str, bounds: bool, native: Any = None, target: Any = None) -> None:
        self.tree, self.device, self.bounds = tree, device, bounds
        self.target = target if target is not None else targets.target("cpu:host")
        self.native = native  # the module in its device's own driver, where that takes PTX
        self.text: str = tree.text
        self.mode = "auto"  # 'dispatch' forbids widening: for tests and comparisons
        self._kernels: dict[str, Kernel] = {}
        self._memory: Memory | None = None

    @property
    def kernels(self) -> Mapping[str, Signature]:
        """Entry name → signature, of all entries."""
        return {n: Signature(n, tuple(Parameter(p.name, p.type, *_size(p)) for p in f.params)) for n, f in self.tree.entries.items()}

    @property
    def memory(self) -> Any:
        """Where the variables are."""
        if self.native is not None:
            return self.native
        if self._memory is None:
            self._memory = Memory(self.tree)
        return self._memory

    @property
    def symbols(self) -> Mapping[str, Any]:
        """Module variables by name, as arrays over their memory: `mod.symbols["table"][:] = …`."""
        return Symbols(self.memory)

    def __getitem__(self, name: str) -> Kernel:
        """The kernel of that name; nothing is compiled yet."""
        found = self._kernels.get(name)
        if found is None:
            if name not in self.tree.entries:
                raise UserError(f"there is no entry {name!r} in {self.tree.name}", hint=_entries(self.tree))
            found = self._kernels[name] = Kernel(self, name)
        return found

    def __str__(self) -> str:
        return str(self.tree)

    def __repr__(self) -> str:
        return f"<PTX module {self.tree.name}: {', '.join(self.tree.entries) or 'no entries'}>"


def _entries(tree: Any) -> str:
    return "entries: " + (", ".join(tree.entries) or "none")


def _size(p: Any) -> tuple[int, bool]:
    from .ir.errors import BugError

    width = int("".join(c for c in p.type if c.isdigit()) or 64) // 8
    if p.type in ("texref", "samplerref", "surfref"):
        width = 8
    n = width * p.vector
    for s in p.shape:
        if s is None:
            raise BugError("a parameter without a size")
        n *= s
    return n, p.type in ("u64", "b64", "s64", "u32", "b32", "s32") and not p.shape


class Memory:
    """The module's .global and .const variables in host memory, initialised."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self.arrays: dict[str, Any] = {}
        self.keep: list[Any] = []
        numbers = {f.name: n + 1 for n, f in enumerate(f for f in tree.functions.values() if not f.is_entry)}
        self.numbers = numbers
        variables = tree.variables | scoped(tree)
        self.const = self._bank([(n, d) for n, d in variables.items() if d.space == "const"])
        self._bank([(n, d) for n, d in variables.items() if d.space == "global"])
        for name, d in variables.items():
            if d.init is not None and name in self.arrays:
                self._fill(d, self.arrays[name])

    def _bank(self, variables: list[tuple[str, Any]]) -> tuple[int, int]:
        """Places variables one after the other; (address, bytes) of the whole.  Where addresses have 32 bits, below 4 GiB."""
        at, places = 0, []
        for name, d in variables:
            size, _ = _size_of_variable(d)
            align = max(d.align, 16)
            at = -(-at // align) * align
            places.append((name, at, size))
            at += size
        raw = low_memory(at + 512) if at and self.tree.address_size == 32 else np.zeros(at + 512, np.uint8)
        self.keep.append(raw)
        start = raw.__array_interface__["data"][0]
        first = -start % 256
        for name, offset, size in places:
            self.arrays[name] = raw[first + offset : first + offset + size]
        return start + first, at

    def address(self, name: str) -> int:
        if name not in self.arrays:
            raise UserError(f"the variable {name} is declared in {self.tree.name}, but has no memory there")
        return int(self.arrays[name].__array_interface__["data"][0])

    def _fill(self, d: Any, memory: Any) -> None:
        width = _size_of_variable(d)[1]
        at = 0
        shape = [s for s in d.shape]

        def put(e: Any, level: int, offset: int) -> int:
            if isinstance(e, tuple) and not (e and isinstance(e[0], str)) and not _is_offset(e):
                step = width * d.vector
                for s in shape[level + 1 :]:
                    step *= s or 1
                for k, item in enumerate(e):
                    put(item, level + 1, offset + k * (step if level < len(shape) else width))
                return 0
            value = self._value(e, d.type)
            memory[offset : offset + width] = np.frombuffer((value & (2 ** (8 * width) - 1)).to_bytes(width, "little"), np.uint8)
            return 0

        _ = at
        put(d.init, 0, 0)

    def _value(self, e: Any, t: str) -> int:
        kind = type(e).__name__
        if kind == "Imm":
            if e.kind == "int":
                if t in ("f32", "f64"):
                    return int.from_bytes(np.array(e.value, np.float32 if t == "f32" else np.float64).tobytes(), "little")
                return int(e.value)
            if e.kind == "f64" and t == "f32":
                return int.from_bytes(np.array(e.value, np.uint64).view(np.float64).astype(np.float32).tobytes(), "little")
            return int(e.value)
        if kind == "Sym":
            name = self.tree.aliases.get(e.name, e.name)
            return int(self.numbers[name]) if name in self.numbers else self.address(name)
        if isinstance(e, tuple) and e and e[0] == "mask":
            shift = (e[1] & -e[1]).bit_length() - 1
            return int((self._value(e[2], "u64") & e[1]) >> shift)
        if isinstance(e, tuple) and len(e) == 2:
            return self._value(e[0], "u64") + int(e[1] if isinstance(e[1], int) else e[1].value)
        raise UnsupportedError(f"an initialiser of this form ({kind}) is not supported")


def scoped(tree: Any) -> dict[str, Any]:
    """Variables in global and constant memory that functions declare for themselves: name@place → declaration."""
    out: dict[str, Any] = {}
    for f in tree.functions.values():
        if f.defined and DECLARED.search(tree.text, f.start, f.end):
            stack = list(f.body.items)
            while stack:
                item = stack.pop()
                stack.extend(getattr(item, "items", ()))
                if getattr(item, "space", "") in ("global", "const"):
                    out[f"{item.name}@{item.start}"] = item
    return dict(sorted(out.items(), key=lambda kv: kv[1].start))


def low_memory(size: int) -> Any:
    """Memory whose addresses have 32 bits."""
    flag = 0x40  # MAP_32BIT
    memory = np.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flag), np.uint8) if MAPS_LOW else None
    if memory is None or memory.__array_interface__["data"][0] + size > 1 << 32:
        raise UnsupportedError("this module has addresses of 32 bits, and there is no such memory for its variables here",
                               hint="x86-64 Linux has it; else compile the kernel for 64-bit addresses")  # fmt: skip
    return memory


def _is_offset(e: tuple[Any, ...]) -> bool:
    return len(e) == 2 and type(e[0]).__name__ == "Sym" and (isinstance(e[1], int))


def _size_of_variable(d: Any) -> tuple[int, int]:
    """(bytes, bytes of one element)."""
    width = 8 if d.type.endswith("ref") else max(int("".join(c for c in d.type if c.isdigit()) or 8) // 8, 1)
    if d.type in ("f16x2", "bf16x2"):
        width = 4
    n = width * d.vector
    shape = list(d.shape)
    if shape and shape[0] is None:
        shape[0] = len(d.init) if isinstance(d.init, tuple) else 0
    for s in shape:
        n *= s
    return n, width


DTYPES = {"u8": np.uint8, "b8": np.uint8, "s8": np.int8, "u16": np.uint16, "b16": np.uint16, "s16": np.int16, "f16": np.float16, "u32": np.uint32,
          "b32": np.uint32, "s32": np.int32, "f32": np.float32, "u64": np.uint64, "b64": np.uint64, "s64": np.int64, "f64": np.float64}  # fmt: skip


class Symbols(Mapping[str, Any]):
    """Variables of a module; each is an array that shares the variable's memory."""

    def __init__(self, memory: Any) -> None:
        self._memory = memory

    def __getitem__(self, name: str) -> Any:
        if name not in self._memory.arrays:
            raise UserError(f"there is no variable {name!r}", hint="variables: " + (", ".join(self._memory.arrays) or "none"))
        d = self._memory.tree.variables.get(name) or scoped(self._memory.tree)[name]
        data = self._memory.arrays[name].view(DTYPES.get(d.type, np.uint8))
        shape = tuple(s if s is not None else -1 for s in d.shape) + ((d.vector,) if d.vector > 1 else ())
        return data.reshape(shape or (-1,))

    def __iter__(self) -> Iterator[str]:
        return iter(self._memory.arrays)

    def __len__(self) -> int:
        return len(self._memory.arrays)

    def __repr__(self) -> str:
        return f"<symbols: {', '.join(self) or 'none'}>"


class Kernel:
    """One entry.  `kernel[grid, block](*args)` launches it; `.launch` takes the rest."""

    def __init__(self, module: Module, name: str) -> None:
        self.module, self.name = module, name
        self._entry: Any = None
        self._code: Any = None
        self._shapes: dict[Any, tuple[Any, Any, Any]] = {}
        self._facts: dict[str, Any] | None = None

    @property
    def signature(self) -> Signature:
        return self.module.kernels[self.name]

    @property
    def entry(self) -> Any:
        """The lifted kernel (`.kernel` is its IR)."""
        if self._entry is None:
            self._entry = targets.target("ptx").lift(self.module.tree, self.name)
        return self._entry

    @property
    def facts(self) -> dict[str, Any]:
        """What a launch must know: parameters, symbols, parameters that are written through, limits of the block."""
        if self._facts is None and self.module.native is not None:
            f = self.module.tree.entries[self.name]
            self._facts = {"params": [[p.name, p.type, _size(p)[0], False] for p in f.params], "symbols": [],
                           "limits": {k: list(v) for k, v in f.directives if k in LIMITS}}  # fmt: skip
        elif self._facts is None:
            from .ir.analysis import written_params

            e = self.entry
            self._facts = {"params": [list(p) for p in e.params], "symbols": list(e.symbols), "written": sorted(written_params(e.kernel)),
                           "limits": {k: list(v) for k, v in e.facts.items() if k in LIMITS}}  # fmt: skip
        return self._facts

    def _writes(self, n: int) -> bool:
        """Whether the kernel is known to write through parameter n."""
        if "written" not in self.facts:
            from .ir.analysis import written_params

            try:
                self.facts["written"] = sorted(written_params(self.entry.kernel))
            except PtxjitError:  # PTX that only the driver knows: read-only arrays are not copied back
                self.facts["written"] = []
        return n in self.facts["written"]

    def compile(self) -> Kernel:
        """Compiles now rather than at the first launch; what is wrong with this kernel is raised here."""
        if self.module.native is not None:
            self.module.native.function(self.name)
        elif self.module.device == "interp":
            _ = self.facts
        elif self._code is None:
            self._code = self._compiled(self.module.mode)
            if hasattr(self._code, "again"):  # code that is made for some launches, and made again for others
                self._code.again = self._compiled
            self._facts = self._code.facts
        return self

    def _compiled(self, mode: str) -> Any:
        from . import cache

        t, bounds = self.module.target, self.module.bounds
        return cache.stored(lambda: cache.text_key("ptx", self.module.text, self.name, str(t.facts), str(bounds), mode), t.load_kernel,
                            lambda: t.compile_kernel(self.entry.kernel, self.facts, bounds, mode))  # fmt: skip

    def stats(self) -> dict[str, Any]:
        """How it was compiled: `mode` ('widened', or 'dispatch' with the reason), `share` of its instructions that are computed once for a warp
        ('scalar'), on vectors, and lane by lane, `blocks` for which this code is (another form is compiled when it is launched), LLVM's `level`, the lanes
        of `loops` that run a part of a warp at a time,
        bytes of a frame and of static shared memory."""
        self.compile()
        if self.module.native is not None:
            return {"kernel": self.name, **self.module.native.stats(self.name)}
        code = self._code
        if code is None:
            return {"kernel": self.name, "mode": "interpreted"}
        out = {"kernel": self.name, "mode": code.mode, "lanes": code.per, "frame bytes": code.frame, "shared bytes": code.shared, "points": len(code.points)}
        if hasattr(code, "share"):
            total = max(1, sum(code.share.values()))
            out |= {"instructions": total, "share": {k: round(n / total, 3) for k, n in code.share.items()}, "blocks": code.form or "any", "level": code.level, "loops": code.loops}
        return out

    def __getitem__(self, config: Any) -> Any:
        """`[grid, block]` or `[grid, block, shared_bytes]`."""
        if not isinstance(config, tuple) or not 2 <= len(config) <= 3:
            raise UserError(f"{self.name}[grid, block] or {self.name}[grid, block, shared_bytes], not {config!r}")
        grid, block, shared = (*config, 0)[:3]
        return lambda *args: self.launch(*args, grid=grid, block=block, shared=shared)

    def launch(self, *args: Any, grid: Any, block: Any, shared: int = 0, cooperative: bool = False, cluster: Any = None, stream: Any = None) -> None:
        """Runs the kernel and returns when it is done; with arrays that are on the device, or a stream of it, the launch is enqueued.

        args         one per parameter: arrays (any dtype, layout; read and written in place) or addresses for pointers, numbers for scalars,
                     bytes or NumPy records for structures
        grid, block  int or a tuple of up to three: blocks, and threads per block       shared   bytes of dynamic shared memory
        cooperative  all blocks are resident together (grid-wide barriers)               cluster  blocks per cluster
        """
        args = tuple([a if type(a) in _PLAIN else _memory(a, self.module) for a in args])
        if self.module.native is not None:
            self._launch_native(args, *self.shape(grid, block, cluster), int(shared), cooperative, stream)
            return
        if stream is not None:
            raise UserError("streams belong to GPU devices; on the CPU a launch is done when it returns")
        shared = int(shared)
        self.compile()
        facts, memory = self.facts, self.module.memory
        grid, block, size = self.shape(grid, block, cluster)
        values, keep = self._values(args)
        values += [memory.address(s) for s in facts["symbols"]]
        if self.module.device == "interp":
            from .ir.interp.launch import run

            run(self.entry.kernel, values, self._host(args, keep), grid, block, shared, size, cooperative, memory.const)
            return
        self.module.target.launch_kernel(self._code, values, grid, block, shared, cooperative, size, memory.const, self._regions(args, keep))

    def _launch_native(self, args: tuple[Any, ...], grid: Any, block: Any, cluster: Any, shared: int, cooperative: bool, stream: Any) -> None:
        """The driver of the device takes the PTX: it gets the parameters' bytes, and addresses of its own memory for the host's arrays."""
        native, params = self.module.native, self.facts["params"]
        self._check_count(args)
        arrays = [a for a in args if _is_array(a)]
        wait = stream is None and not any(isinstance(a, DeviceArray) or hasattr(a, "__cuda_array_interface__") for a in args)
        with stream or nullcontext(), native.placed(arrays, wait) as place:
            words = [self._one(n, name, t, size, a, [], place) for n, ((name, t, size, _), a) in enumerate(zip(params, args))]
            data = [w if isinstance(w, bytes) else (w & (2 ** (8 * size) - 1)).to_bytes(size, "little") for w, (_, _, size, _) in zip(words, params)]
            native.launch(self.name, data, grid, block, shared, cooperative, None if cluster == (1, 1, 1) else cluster)

    def shape(self, grid: Any, block: Any, cluster: Any) -> tuple[Any, Any, Any]:
        """Grid, block and cluster as threes that fit what the kernel declares."""
        key = (grid, block)
        if cluster is not None or type(grid) not in (int, tuple) or type(block) not in (int, tuple):
            return self._shape(grid, block, cluster)
        found = self._shapes.get(key)
        if found is None:
            found = self._shape(grid, block, None)
            if len(self._shapes) < 64:
                self._shapes[key] = found
        return found

    def _shape(self, grid: Any, block: Any, cluster: Any) -> tuple[Any, Any, Any]:
        grid, block = three(grid, "grid"), three(block, "block")
        limits = self.facts["limits"]
        self._check_block(limits, block)
        return grid, block, three(cluster if cluster is not None else limits.get("reqnctapercluster") or 1, "cluster")

    def _host(self, args: Sequence[Any], keep: list[Any]) -> list[Any]:
        """The memory that the kernel may touch: arrays of the launch, parameters passed by address, variables of the module."""
        from .ir.interp.memory import Region, host_bytes

        def region(name: str, a: Any) -> Region:
            return Region(name, _low(a), host_bytes(_low(a), _extent(a)))

        names = [p[0] for p in self.facts["params"]]
        named = [(n, a) for n, a in zip(names, args) if isinstance(a, np.ndarray) and not (a.ndim == 0 and a.dtype.kind == "V")]
        named += [("a parameter", a) for a in keep] + list(self.module.memory.arrays.items())
        return [region(n, a) for n, a in named if a.size]

    def _regions(self, args: tuple[Any, ...], keep: list[Any]) -> list[tuple[int, Any]]:
        """(address, bytes) of all that the kernel may touch, for `bounds=True` and for devices with memory of their own; of an array that is there
        already, the number that stands for its memory, and the memory."""
        if not self.module.bounds and not self.module.target.own_memory:
            return []
        arrays = [a for a in args if isinstance(a, np.ndarray)] + keep + list(self.module.memory.arrays.values())
        there = [(a.memory.driver.address(a.memory.raw), a.memory) for a in args if isinstance(a, DeviceArray)]
        return [*((_low(a), _extent(a)) for a in arrays if a.size), *there]

    def _check_block(self, facts: dict[str, Any], block: tuple[int, int, int]) -> None:
        limit = tuple(facts.get("maxntid", ()))
        need = tuple(facts.get("reqntid", ()))
        total = block[0] * block[1] * block[2]
        if need and (*need, 1, 1)[:3] != block:
            raise UserError(f"{self.name} must be launched with blocks of {(*need, 1, 1)[:3]} threads, not {block}")
        if limit and total > int(np.prod(limit)):
            raise UserError(f"{self.name} takes blocks of at most {int(np.prod(limit))} threads, not {total}")

    def _check_count(self, args: tuple[Any, ...]) -> None:
        params = self.facts["params"]
        if len(args) != len(params):
            raise UserError(f"{self.name} takes {len(params)} arguments, got {len(args)}", hint=repr(self.signature))

    def _values(self, args: tuple[Any, ...]) -> tuple[list[int], list[Any]]:
        """The parameters as 64-bit words, and what must stay alive."""
        params = self.facts["params"]
        self._check_count(args)
        values: list[int] = []
        keep: list[Any] = []
        for n, ((name, t, size, by_address), a) in enumerate(zip(params, args)):
            word = self._one(n, name, t, size, a, keep)
            if by_address:
                raw = np.zeros(max(size, 8) + 16, np.uint8)
                offset = -raw.__array_interface__["data"][0] % 16
                data = word if isinstance(word, bytes) else (word & (2 ** (8 * size) - 1)).to_bytes(size, "little")
                raw[offset : offset + size] = np.frombuffer(data, np.uint8)
                keep.append(raw)
                values.append(int(raw.__array_interface__["data"][0]) + offset)
            else:
                assert isinstance(word, int)
                values.append(word)
        return values, keep

    def _one(self, n: int, name: str, t: str, size: int, a: Any, keep: list[Any], place: Any = None) -> int | bytes:
        """A parameter's word or bytes; `place` gives the address of an array's memory on the device (None: the host's own)."""
        if type(a) is np.ndarray and size == 8 and place is None and t[0] != "f" and a.ndim and (a.flags.writeable or not self._writes(n)):
            return int(a.__array_interface__["data"][0])
        where = f"argument {n} of {self.name} ({name}: .{t})"
        if place is not None and not isinstance(a, (np.ndarray, DeviceArray)) and hasattr(a, "__cuda_array_interface__"):
            about = a.__cuda_array_interface__
            if size != 8 or t[0] == "f":
                raise UserError(f"{where} is not a pointer; an array was given", hint="pass a number, bytes or a NumPy record")
            if about["data"][1] and self._writes(n):
                raise UserError(f"{where} is written by the kernel, but the array is read-only")
            self.module.native.driver.follow(about.get("stream"))
            return int(about["data"][0])
        if isinstance(a, DeviceArray):
            if size != 8 or t[0] == "f":
                raise UserError(f"{where} is not a pointer; an array was given", hint="pass a number, bytes or a NumPy record")
            return int(a.memory.driver.address(a.memory.raw))
        if _is_array(a):
            if size not in (4, 8) or t[0] == "f":
                raise UserError(f"{where} is not a pointer; an array was given", hint="pass a number, bytes or a NumPy record")
            if not a.flags.writeable and self._writes(n):
                raise UserError(f"{where} is written by the kernel, but the array is read-only")
            address = int(a.__array_interface__["data"][0]) if place is None else place(a)
            if size == 4 and address >= 1 << 32:
                raise UserError(f"the address {address:#x} does not fit {where}, which has 32 bits", hint="this kernel was compiled for 32-bit addresses")
            return address
        if isinstance(a, (bytes, bytearray, memoryview)) or isinstance(a, (np.void, np.ndarray)):
            data = a.tobytes() if isinstance(a, (np.void, np.ndarray)) else bytes(a)
            if len(data) != size:
                raise UserError(f"{where} has {size} bytes, got {len(data)}")
            return data if size > 8 else int.from_bytes(data, "little")
        if isinstance(a, (bool, np.bool_, int, np.integer, float, np.floating)) or hasattr(a, "dtype") and np.ndim(a) == 0:
            return _scalar(where, t, size, a)
        raise DTypeError(f"{where} cannot take a {type(a).__name__}", hint="arrays, numbers, bytes and NumPy records are passed")

    def __repr__(self) -> str:
        return f"<PTX kernel {self.signature!r}>"


def _scalar(where: str, t: str, size: int, a: Any) -> int:
    """A number as the parameter's bits, if nothing is lost."""
    if size > 8:
        raise UserError(f"{where} has {size} bytes; pass bytes or a NumPy record")
    if t in ("f32", "f64", "f16", "bf16"):
        dtype = DTYPES.get(t)
        if dtype is None:
            import ml_dtypes

            dtype = ml_dtypes.bfloat16
        with np.errstate(over="ignore"):
            v = np.asarray(a).astype(dtype)
        exact = float(v) == float(a) or float(a) != float(a)
        if not exact and not isinstance(a, (float, np.floating)):
            raise UserError(f"{where}: {a!r} is not exact as .{t}")
        if not exact and isinstance(a, np.floating) and np.dtype(type(a)).itemsize > size:
            pass  # a Python float or a wider one is rounded, as NumPy does for scalars
        return int.from_bytes(v.tobytes(), "little")
    if isinstance(a, (float, np.floating)) or getattr(getattr(a, "dtype", None), "kind", "") in "fV":
        raw = np.asarray(a)
        if raw.dtype.itemsize == size and not isinstance(a, float) and t[0] == "b":
            return int.from_bytes(raw.tobytes(), "little")  # its bits
        if t == "b32" and isinstance(a, float):
            return int.from_bytes(np.float32(a).tobytes(), "little")
        if float(a) != int(a):
            raise DTypeError(f"{where}: {a!r} is not an integer")
    v2 = int(a)
    bits = 8 * size
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if t[0] == "s" else (-(1 << (bits - 1)), (1 << bits) - 1)
    if not low <= v2 <= high:
        raise UserError(f"{where}: {v2} does not fit")
    return v2 & ((1 << bits) - 1)


_PLAIN = frozenset((np.ndarray, int, float, np.float32, np.int32, np.uint32, np.int64, np.uint64, np.float64))


def _memory(a: Any, module: Module) -> Any:
    """An array of the host, of whatever library, as NumPy's over the same memory; everything else as it is."""
    if isinstance(a, (np.ndarray, np.generic, int, float, bytes, bytearray, memoryview)):
        return a
    if isinstance(a, DeviceArray):
        if a.on_host:
            return a.numpy()
        if a.device.name != module.device:
            raise DeviceError(f"an argument is on {a.device.name}, the module was loaded for {module.device}", place=user_loc(),
                              hint=f"move it: .to_device('{module.device}'); or load_ptx(…, device='{a.device.name}')")  # fmt: skip
        return a
    if hasattr(a, "__dlpack__") and hasattr(a, "__dlpack_device__"):
        from .array import shared

        return shared(a)
    return a


def _is_array(a: Any) -> bool:
    """An array whose memory is passed; a record is a value."""
    return isinstance(a, np.ndarray) and not (a.ndim == 0 and a.dtype.kind == "V")


def _low(a: Any) -> int:
    return int(a.__array_interface__["data"][0]) + int(sum((n - 1) * s for n, s in zip(a.shape, a.strides) if s < 0))


def _extent(a: Any) -> int:
    return int(sum((n - 1) * abs(s) for n, s in zip(a.shape, a.strides)) + a.itemsize)

