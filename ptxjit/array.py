"""Arrays that live on a device: `pj.asarray`, `pj.Array`, and how they enter and leave jitted functions.

An `Array` is C-contiguous memory of one device with a shape and a dtype.  Whatever NumPy's functions or operators do with it is traced, compiled
for its device and enqueued there; nothing waits until somebody asks for a value.  Results have the kind of the inputs: NumPy in, NumPy
out; `Array` in, `Array` out; PyTorch, JAX or CuPy in, the same out, without a copy where the device's memory can be shared.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import dlpack, targets
from .arguments import Spec, argument, static_key
from .hardware import Device, default_device, device
from .ir.errors import DeviceError, DTypeError, UserError
from .pytree import LEAF, flatten, unflatten
from .trace import DeviceArray, Tracer, lift, recording, scalar, user_loc

_SCALARS = (bool, int, float, np.generic)


class MixedDevicesError(DeviceError, ValueError):
    """Operands on different devices."""


def driver_of(d: Device) -> Any:
    """The driver of a device with memory of its own; None for the host's."""
    return targets.target(d.target).driver()


class Array(DeviceArray):
    """An n-dimensional array on a device.  `device`, `dtype`, `shape`, operators, NumPy's functions, `to_device`, `numpy()`, DLPack.

    Made by `pj.asarray`, `pj.from_dlpack` and by jitted functions.  Work on it is enqueued; `synchronize()` waits, and so does whatever needs a value.
    """

    __slots__ = ("device", "dtype", "shape", "_data", "__weakref__")
    __array_priority__ = 900

    def __init__(self, where: Device, dtype: Any, shape: tuple[int, ...], data: Any) -> None:
        self.device, self.dtype, self.shape, self._data = where, np.dtype(dtype), shape, data

    # ---- what it is

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def itemsize(self) -> int:
        return int(self.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def on_host(self) -> bool:
        """Whether its memory is the host's: a NumPy array shares it."""
        return isinstance(self._data, np.ndarray)

    @property
    def memory(self) -> Any:
        """Its `Memory`; of the host, a NumPy array."""
        return self._data

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        if not self.size:
            return f"Array([], shape={self.shape}, dtype={self.dtype}, device={self.device.name})"
        text = np.array2string(self.numpy(), separator=", ", prefix="Array(", threshold=100, edgeitems=3)
        return f"Array({text}, dtype={self.dtype}, device={self.device.name})"

    def __str__(self) -> str:
        return str(self.numpy())

    # ---- out

    def numpy(self) -> Any:
        """Its content as a NumPy array: shared on the host, else a copy.  Waits."""
        if self.on_host:
            return self._data
        return self._data.driver.to_host(self._data, self.shape, self.dtype)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        a = self.numpy()
        if copy is False and (not self.on_host or dtype is not None and np.dtype(dtype) != self.dtype):
            raise ValueError(f"an array on {self.device.name} cannot become NumPy's without a copy")
        a = a if dtype is None else a.astype(dtype, copy=False)
        return a.copy() if copy and a is self._data else a

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self.numpy())

    @property
    def __array_interface__(self) -> Any:
        if not self.on_host or self.dtype.type.__module__ != "numpy":  # which NumPy could not name; it asks __array__ next
            raise AttributeError(f"an array of {self.dtype} on {self.device.name} has no __array_interface__")
        return self._data.__array_interface__

    @property
    def __cuda_array_interface__(self) -> Any:
        if self.device.kind != "cuda":
            raise AttributeError(f"an array on {self.device.name} has no __cuda_array_interface__")
        self._data.driver.lend(self._data)
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (int(self._data.raw), False), "version": 3, "strides": None,
                "stream": int(self._data.driver.current_handle() or 1)}  # fmt: skip

    def __dlpack_device__(self) -> tuple[int, int]:
        if self.on_host:
            return dlpack.CPU, 0
        d = self._data.driver
        return d.dlpack, d.number

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
        here = self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != here:
            if dl_device[0] != dlpack.CPU or copy is False:
                raise BufferError(f"an array on {self.device.name} cannot be exported to DLPack device {tuple(dl_device)}")
            return asarray(self.numpy(), device="cpu").__dlpack__(max_version=max_version)
        source = self.copy() if copy else self
        versioned = max_version is not None and max_version[0] >= 1
        if source.on_host:
            a = source._data
            return dlpack.export(a.__array_interface__["data"][0], here, self.shape, self.dtype, a, versioned, not a.flags.writeable)
        m = source._data
        m.driver.hand_over(stream)
        m.driver.lend(m)
        return dlpack.export(m.driver.address(m.raw), here, self.shape, self.dtype, m, versioned)

    def to_device(self, where: Any, /, *, stream: Any = None) -> Array:
        """The same values on another device; itself if it is there."""
        there = where if isinstance(where, Device) else device(where)
        return self if there.name == self.device.name else _place(self.numpy(), there, copy=self.on_host)

    def copy(self) -> Array:
        if self.on_host:
            return Array(self.device, self.dtype, self.shape, self._data.copy())
        m = self._data
        new = m.driver.memory(m.size)
        if m.size:
            with m.driver.guarded():
                m.driver.copy(new.raw, m.raw, m.size)
        return Array(self.device, self.dtype, self.shape, new)

    def synchronize(self) -> Array:
        """Waits until its value is there."""
        if not self.on_host:
            self._data.driver.synchronize()
        return self

    def item(self, *index: int) -> Any:
        return self.numpy().item(*index)

    def tolist(self) -> Any:
        return self.numpy().tolist()

    def __bool__(self) -> bool:
        return bool(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __float__(self) -> float:
        return float(self.numpy())

    def __complex__(self) -> complex:
        return complex(self.numpy())

    def __index__(self) -> int:
        return int(self.numpy().__index__())

    def __format__(self, spec: str) -> str:
        return format(self.item() if self.ndim == 0 and spec else str(self), spec)

    def __iter__(self) -> Any:
        if not self.shape:
            raise TypeError("iteration over an array without dimensions")
        return (self[k] for k in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> Any:
        return _unpickled, (np.array(self.numpy()), self.device.name)

    def __copy__(self) -> Array:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Array:
        return self.copy()

    # ---- computing

    def __array_ufunc__(self, ufunc: Any, how: str, *inputs: Any, out: Any = None, **kw: Any) -> Any:
        if out is not None:
            raise UserError(f"np.{ufunc.__name__}(…, out=…) cannot write into an array on {self.device.name}", place=user_loc(), hint="use its result")
        if recording():
            from .functions import registry

            return registry.ufunc(ufunc, how, inputs, kw)
        f = ufunc if how == "__call__" else getattr(ufunc, how)
        return _eager((ufunc.__name__, how), f, inputs, kw, how in ("__call__", "outer"))

    def __array_function__(self, f: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if recording():
            from .functions import registry

            return registry.numpy_function(f, args, kwargs)
        return _eager((f.__module__, f.__name__), f, args, kwargs, False)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        return sys.modules[__package__]

    def __getattr__(self, name: str) -> Any:
        from .functions import registry

        if name.startswith("__"):
            raise AttributeError(name)
        registry.load()
        if name not in registry.METHODS:
            raise AttributeError(f"an array has no attribute {name!r}")
        if name in _PROPERTIES:
            return _eager(("property", name), lambda x: getattr(x, name), (self,), {}, False)
        return lambda *args, **kw: _eager(("method", name), lambda x, *a, **k: getattr(x, name)(*a, **k), (self, *args), kw, False)

    def __getitem__(self, index: Any) -> Array:
        if self.on_host and not recording():
            where = np.asarray(index) if isinstance(index, Array) else index
            return Array(self.device, self.dtype, (found := np.ascontiguousarray(self._data[where])).shape, found) if np.ndim(
                self._data[where]) else Array(self.device, self.dtype, (), np.array(self._data[where]))  # fmt: skip
        return _eager(("getitem",), lambda x, i: x[i], (self, self._index(index)), {}, False)  # type: ignore[no-any-return]

    def _index(self, index: Any) -> Any:
        """An index in which whole numbers are data, so that x[0] and x[1] are one compiled program."""
        items = index if isinstance(index, tuple) else (index,)
        if any(isinstance(i, (np.ndarray, list)) for i in items):
            items = tuple(_place(np.asarray(i), self.device, False) if isinstance(i, (np.ndarray, list)) else i for i in items)
            index = items if isinstance(index, tuple) else items[0]
        plain = all(isinstance(i, (int, np.integer, slice)) and not isinstance(i, bool) for i in items) and len(items) <= self.ndim
        if not plain or not self.size:
            return index
        out: list[Any] = []
        for axis, i in enumerate(items):
            if isinstance(i, slice):
                out.append(i)
                continue
            if not -self.shape[axis] <= i < self.shape[axis]:
                raise IndexError(f"index {int(i)} is out of bounds for axis {axis} with size {self.shape[axis]}")
            out.append(np.array(int(i) % self.shape[axis], np.int64))
        return tuple(out)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Assignment as NumPy does it; on a device by way of the host."""
        a = self.numpy()
        if isinstance(index, tuple):
            index = tuple(np.asarray(i) if isinstance(i, Array) else i for i in index)
        a[np.asarray(index) if isinstance(index, Array) else index] = np.asarray(value) if isinstance(value, Array) else value
        if not self.on_host and a.nbytes:
            with self._data.driver.guarded():
                self._data.driver.upload(self._data.raw, a)


_PROPERTIES = frozenset(("T", "mT", "real", "imag"))
_OPERATORS = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder", "pow": "power",
              "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
              "divmod": "divmod"}  # fmt: skip
_COMPARISONS = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}


def _operator(name: str, reflected: bool = False) -> Callable[[Array, Any], Any]:
    ufunc = getattr(np, name)

    def operate(self: Array, other: Any) -> Any:
        if not isinstance(other, (Array, np.ndarray, *_SCALARS)) or isinstance(other, Tracer):
            return NotImplemented
        return _eager((name,), ufunc, (other, self) if reflected else (self, other), {}, True)

    return operate


for _python, _name in _OPERATORS.items():
    setattr(Array, f"__{_python}__", _operator(_name))
    setattr(Array, f"__r{_python}__", _operator(_name, True))
for _python, _name in _COMPARISONS.items():
    setattr(Array, f"__{_python}__", _operator(_name))
for _python, _name in {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}.items():
    setattr(Array, f"__{_python}__", lambda self, n=_name: _eager((n,), getattr(np, n), (self,), {}, True))


_compiled: dict[Any, Any] = {}


class _Fixed:
    """A leaf that belongs to the function, not to its data."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _eager(key: tuple[Any, ...], f: Callable[..., Any], args: Sequence[Any], kw: dict[str, Any], numbers: bool) -> Any:
    """Runs one function on arrays of a device: compiled once per function, form and types.  Are Python numbers data or part of the call?"""
    from .jitted import jit

    leaves, tree = flatten((tuple(args), kw))
    if recording():
        a, k = unflatten(tree, [lift(v) if isinstance(v, Array) else v for v in leaves])
        return f(*a, **k)
    data = [isinstance(v, (Array, np.ndarray)) or numbers and isinstance(v, _SCALARS) for v in leaves]
    try:
        fixed = tuple([static_key(v) if not isinstance(v, slice) else ("slice", v.start, v.stop, v.step) for v, d in zip(leaves, data) if not d])
        where = (key, tree, tuple(data), fixed)
        known = _compiled.get(where)
    except TypeError:
        raise DTypeError(f"{key[-1]}: an argument is neither an array nor a value that can be hashed", place=user_loc()) from None
    if known is None:
        still = [_Fixed(v) if not d else None for v, d in zip(leaves, data)]

        def call(*given: Any) -> Any:
            it = iter(given)
            a, k = unflatten(tree, [next(it) if s is None else s.value for s in still])
            return f(*a, **k)

        known = _compiled[where] = jit(call, name=str(key[-1]).strip("_"))
        known.warns = False  # one function of the user's never sees that many types; NumPy's do
    return known(*[v for v, d in zip(leaves, data) if d])


# ---- making -----------------------------------------------------------------------------------------------------------


def _unpickled(a: Any, where: str) -> Array:
    return _place(a, device(where), copy=False)


def _place(a: Any, where: Device, copy: bool) -> Array:
    """A NumPy array on a device."""
    scalar(a.dtype)
    d = driver_of(where)
    if d is None:
        whole = np.ascontiguousarray(a, dtype=a.dtype.newbyteorder("=")).reshape(a.shape)
        return Array(where, whole.dtype, a.shape, whole.copy() if copy and (whole is a or np.shares_memory(whole, a)) else whole)
    whole, spec = argument(a)
    return Array(where, spec.dtype, spec.shape, d.from_host(whole))


def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """An `Array` on a device (default: the best one, or where `x` is).

    x       an array of any library, a number, or nested lists           dtype   converted to that
    device  a name ('cuda:0', 'opencl:0', 'cpu') or a `Device`             copy    True: always; False: an error where it would be needed; None: if needed
    Memory of the host is shared with NumPy on `cpu`; a tensor of the same device is shared through DLPack.  Inside a jitted function the
    traced array is returned.
    """
    from .functions import registry

    if recording():
        return registry.call("asarray", x, dtype=dtype, copy=copy)
    there = _device(device)
    if not isinstance(x, Array):
        tensor = _tensor(x)
        if tensor is not None:
            x = tensor
    if isinstance(x, Array):
        if dtype is not None and np.dtype(dtype) != x.dtype:
            x, copy = x.astype(dtype), None
        if there is None or there.name == x.device.name:
            return x.copy() if copy else x
        if copy is False:
            raise ValueError(f"an array on {x.device.name} cannot be on {there.name} without a copy")
        return x.to_device(there)
    a = np.asarray(x) if dtype is None else np.asarray(x, dtype)
    there = there or default_device()
    made = _place(a, there, bool(copy))
    if copy is False and not (made.on_host and isinstance(x, np.ndarray) and np.shares_memory(made._data, x)) and a.size:
        raise ValueError(f"this needs a copy to be on {there.name}")
    return made


def _device(where: Any) -> Device | None:
    return where if where is None or isinstance(where, Device) else device(where)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An `Array` over a tensor of another library (anything with `__dlpack__`), without a copy where its device is one of ours."""
    if not hasattr(x, "__dlpack__"):
        raise DTypeError(f"a {type(x).__name__} has no __dlpack__", place=user_loc(), hint="use pj.asarray")
    return asarray(_import(x), device=device, copy=copy)  # type: ignore[no-any-return]


def _import(x: Any) -> Array:
    kind, number = x.__dlpack_device__()
    if kind in dlpack.HOST:
        made = dlpack.Imported(_capsule(x, None))
        bytes_ = int(np.prod(made.shape, dtype=np.int64)) * made.dtype.itemsize
        raw = np.asarray(_View(made, bytes_)) if bytes_ else np.zeros(0, np.uint8)
        if made.contiguous:
            return Array(device("cpu"), made.dtype, made.shape, raw.view(made.dtype).reshape(made.shape))
        return asarray(np.asarray(x), device="cpu")  # type: ignore[no-any-return]
    family = dlpack.FAMILY.get(kind)
    if family is None:
        raise DeviceError(f"a tensor on DLPack device ({kind}, {number}) is not on a device that ptxjit knows", place=user_loc())
    where = device(f"{family}:{number}")
    d = driver_of(where)
    made = dlpack.Imported(_capsule(x, d.current_handle()))
    if not made.contiguous:
        if hasattr(x, "contiguous"):
            return _import(x.contiguous())
        raise UserError(f"a tensor on {where.name} that is not contiguous cannot be taken", place=user_loc(), hint="make it contiguous first")
    return Array(where, made.dtype, made.shape, d.adopt(made.address, int(np.prod(made.shape, dtype=np.int64)) * made.dtype.itemsize, made))


def shared(x: Any) -> Any:
    """A tensor of another library: as a NumPy array over its memory if that is the host's, else as it is."""
    if x.__dlpack_device__()[0] not in dlpack.HOST:
        return x
    made = _import(x)
    return made._data if isinstance(made._data.base, np.ndarray) else np.asarray(x)


def _capsule(x: Any, stream: Any) -> Any:
    try:
        try:
            return x.__dlpack__(stream=stream, max_version=(1, 1))
        except TypeError:
            return x.__dlpack__() if stream is None else x.__dlpack__(stream=stream)
    except (BufferError, RuntimeError) as e:
        raise UserError(f"a {type(x).__name__} cannot be shared: {e}", place=user_loc()) from e


class _View:
    """Imported memory of the host, for NumPy."""

    def __init__(self, owner: dlpack.Imported, size: int) -> None:
        self.owner = owner
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (owner.address, owner.read_only), "version": 3}


# ---- calls of jitted functions ------------------------------------------------------------------------------------------

_LIBRARIES = {"torch": ("torch", "from_dlpack"), "jax": ("jax.dlpack", "from_dlpack"), "jaxlib": ("jax.dlpack", "from_dlpack"), "cupy": ("cupy", "from_dlpack")}


def _library(x: Any) -> str | None:
    """The library of a tensor whose results we give in its own kind."""
    word = type(x).__module__.partition(".")[0]
    return word if word in _LIBRARIES and hasattr(x, "__dlpack__") else None


def _tensor(x: Any) -> Array | None:
    """A tensor of a library that we know, or on a device other than the host's, as an Array; None for everything else."""
    if isinstance(x, (np.ndarray, *_SCALARS)):
        return None
    if hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__"):
        return None if x.__dlpack_device__()[0] in dlpack.HOST and _library(x) is None else _import(x)
    if hasattr(x, "__cuda_array_interface__"):
        return _from_cuda(x)
    return None


def _from_cuda(x: Any) -> Array:
    """By the CUDA array interface, version 3."""
    face = x.__cuda_array_interface__
    dtype, shape = np.dtype(face["typestr"]), tuple(face["shape"])
    if face.get("strides") is not None and np.lib.stride_tricks.as_strided(np.empty(0, dtype), shape, face["strides"], writeable=False).flags.c_contiguous is False:
        raise UserError("a CUDA array that is not contiguous cannot be taken", place=user_loc(), hint="make it contiguous first")
    where = device("cuda:0")
    d = driver_of(where)
    if face.get("stream"):
        d.follow(face["stream"])
    return Array(where, dtype, shape, d.adopt(face["data"][0], int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, x))


def dispatch(function: Any, structure: Any, static: Any, leaves: list[Any]) -> Any:
    """A call with arguments that are not all NumPy arrays and numbers: NotImplemented where NumPy can take them."""
    names = function._binding.names(structure, len(leaves))
    library = next((w for w in map(_library, leaves) if w is not None), None)
    given = [x if isinstance(x, Array) else t if (t := _tensor(x)) is not None else x for x in leaves]
    own = any(isinstance(x, Array) for x in leaves)
    homes = {x.device.name: n for x, y, n in zip(given, leaves, names) if isinstance(x, Array) and (x is y or not x.on_host)}
    if not homes and library is None:
        return NotImplemented
    if len(homes) > 1:
        (a, n), (b, m) = list(homes.items())[:2]
        raise MixedDevicesError(f"{function.name}: {n} is on {a}, {m} is on {b}", place=user_loc(), hint=f"move one of them: {m}.to_device('{a}')")
    home = next(iter(homes), None)
    asked = function.device and device(function.device).name
    if home is not None and asked not in (None, home):
        raise MixedDevicesError(f"{function.name} was made for {asked}, {homes[home]} is on {home}", place=user_loc(),
                                hint=f"move the argument: {homes[home]}.to_device('{asked}'); or leave device= out")  # fmt: skip
    where = device(home or asked or function._device())
    d = driver_of(where) if home is not None else None
    if d is not None:
        for x, n in zip(given, names):
            if isinstance(x, np.ndarray) and x.ndim or isinstance(x, Array) and x.on_host:
                raise MixedDevicesError(f"{function.name}: {n} is on the host, {homes[where.name]} is on {where.name}", place=user_loc(),
                                        hint=f"move it: pj.asarray({n}, device='{where.name}')")  # fmt: skip
    host: list[Any] = []
    specs = []
    for x, n in zip(given, names):
        if isinstance(x, Array) and d is not None:
            host.append(None)
            specs.append(Spec(x.dtype, x.shape))
            continue
        a, spec = argument(x._data if isinstance(x, Array) else x, n)
        host.append(a)
        specs.append(spec)
    entry = function._entry(structure, static, specs, where.name)
    if d is None:
        results = entry.results(host)
        made = [Array(where, r.dtype, r.shape, r) for r in map(np.asarray, results)]
    else:
        memories = [x._data if a is None else d.from_host(a) for x, a in zip(given, host)]
        made = [Array(where, t, s, m) for (s, t), m in zip(*entry.on_device(memories, host, [s.shape for s in specs], d))]
    if library is not None and not own:
        from importlib import import_module

        module, word = _LIBRARIES[library]
        take = getattr(import_module(module), word)
        made = [take(x) for x in made]
    return made[0] if entry.tree is LEAF else unflatten(entry.tree, made)


# ---- streams ------------------------------------------------------------------------------------------------------------


def stream(where: Any = None) -> Any:
    """A new stream of a device: `with pj.stream("cuda:0") as s: …` runs what is inside beside other streams.

    `s.synchronize()` waits for it, `s.record()` gives an event, `s.wait(event)` orders it after one.
    """
    found = _device(where) or default_device()
    d = driver_of(found)
    if d is None:
        raise DeviceError(f"{found.name} has no streams: work on it is done when the call returns")
    return d.stream()


def synchronize(where: Any = None) -> None:
    """Waits for all that this thread has enqueued on a device."""
    d = driver_of(_device(where) or default_device())
    if d is not None:
        d.synchronize()
