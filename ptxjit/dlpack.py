"""DLPack both ways: memory of any device as a capsule, and anybody's capsule as memory (DLPack 1.1, `dlpack.h`).

The two structures are laid out with ctypes.  An exported tensor keeps its owner alive until the consumer calls the deleter, or until the
capsule dies unused; an imported one calls the producer's deleter when our memory dies.
"""
from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .ir.errors import DTypeError, UserError
from .ir.types import scalar_of

CPU, CUDA, CUDA_HOST, OPENCL, ROCM, ROCM_HOST, CUDA_MANAGED = 1, 2, 3, 4, 10, 11, 13
HOST = frozenset((CPU, CUDA_HOST, ROCM_HOST, CUDA_MANAGED))
FAMILY = {CUDA: "cuda", OPENCL: "opencl", ROCM: "rocm"}
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_BY_NAME = {"bfloat16": (4, 16), "float8_e4m3fn": (10, 8), "float8_e5m2": (12, 8)}


class _Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]  # fmt: skip


_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _DELETER)]


class _Versioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p), ("deleter", _DELETER),
                ("flags", ctypes.c_uint64), ("tensor", _Tensor)]  # fmt: skip


READ_ONLY = 1
_api = ctypes.pythonapi
_new = _api.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_is_valid = _api.PyCapsule_IsValid
_is_valid.restype, _is_valid.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
_pointer = _api.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
_rename = _api.PyCapsule_SetName
_rename.restype, _rename.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
PLAIN, VERSIONED = b"dltensor", b"dltensor_versioned"
USED = {PLAIN: b"used_dltensor", VERSIONED: b"used_dltensor_versioned"}  # the capsule holds the pointer to these bytes
_alive: dict[int, Any] = {}


def _forget(address: int) -> None:
    if address in _alive:  # no call in here: a consumer may delete while an exception of its own is on the way
        del _alive[address]


def _dropped(capsule: int) -> None:
    for name in (PLAIN, VERSIONED):
        if _is_valid(capsule, name):
            _forget(_pointer(capsule, name))


_release, _unused = _DELETER(_forget), _DELETER(_dropped)  # callbacks that live as long as the module


def _dtype_code(dtype: Any) -> tuple[int, int]:
    d = np.dtype(dtype)
    if d.name in _BY_NAME:
        return _BY_NAME[d.name]
    return _CODES[d.kind], 8 * d.itemsize


def _dtype_of(code: int, bits: int, lanes: int) -> Any:
    if lanes == 1:
        for name, pair in _BY_NAME.items():
            if pair == (code, bits):
                import ml_dtypes

                return np.dtype(getattr(ml_dtypes, name))
        kind = {v: k for k, v in _CODES.items()}.get(code)
        if kind is not None and bits % 8 == 0:
            d = np.dtype("?" if kind == "b" else f"{kind}{bits // 8}")
            if scalar_of(d) is not None:
                return d
    raise DTypeError(f"a tensor of DLPack type (code {code}, {bits} bits, {lanes} lanes) is not supported")


def export(address: int, device: tuple[int, int], shape: tuple[int, ...], dtype: Any, owner: Any, versioned: bool = False, read_only: bool = False) -> Any:
    """A capsule over C-contiguous memory; `owner` lives as long as somebody uses it."""
    made: Any = _Versioned() if versioned else _Managed()
    t = made.tensor
    dims = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    steps, step = (ctypes.c_int64 * max(len(shape), 1))(), 1
    for k in reversed(range(len(shape))):
        steps[k], step = step, step * shape[k]
    t.data, t.device_type, t.device_id, t.ndim = address, device[0], device[1], len(shape)
    t.code, t.bits = _dtype_code(dtype)
    t.lanes, t.shape, t.strides = 1, dims, steps
    made.deleter = _release
    if versioned:
        made.major, made.minor, made.flags = 1, 1, READ_ONLY if read_only else 0
    where = ctypes.addressof(made)
    _alive[where] = (made, dims, steps, owner)
    return _new(where, VERSIONED if versioned else PLAIN, ctypes.cast(_unused, ctypes.c_void_p))


class Imported:
    """Somebody's tensor: `address`, `device` (type, number), `shape`, `strides` (elements), `dtype`.  Lives as long as this object."""

    def __init__(self, capsule: Any) -> None:
        self._managed: Any = None
        c = id(capsule)
        name = next((n for n in (PLAIN, VERSIONED) if _is_valid(c, n)), None)
        if name is None:
            raise UserError("__dlpack__ gave a capsule that holds no unused tensor")
        kind = _Versioned if name == VERSIONED else _Managed
        made: Any = kind.from_address(_pointer(c, name))
        t = made.tensor
        self.shape = tuple(t.shape[k] for k in range(t.ndim))
        self.strides = tuple(t.strides[k] for k in range(t.ndim)) if t.strides else None
        self.dtype = _dtype_of(t.code, t.bits, t.lanes)
        self.device = (t.device_type, t.device_id)
        self.address = (t.data or 0) + t.byte_offset
        self.read_only = bool(name == VERSIONED and made.flags & READ_ONLY)
        _rename(c, USED[name])
        self._managed = made

    @property
    def contiguous(self) -> bool:
        want, step = [], 1
        for n in reversed(self.shape):
            want.append(step)
            step *= n
        return self.strides is None or step == 0 or all(s == w or n == 1 for s, w, n in zip(self.strides, reversed(want), self.shape))

    def __del__(self) -> None:
        if self._managed is not None and self._managed.deleter:
            self._managed.deleter(ctypes.addressof(self._managed))
