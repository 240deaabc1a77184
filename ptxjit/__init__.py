"""ptxjit: a JIT compiler for tensor kernels.

    import numpy as np, ptxjit as pj

    @pj.jit
    def softmax(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

Reading order: trace → functions/* → jitted, environment, pytree → lowered → cache → hardware; then `ptxjit.ir` and `ptxjit.targets`.
Names are imported when they are first used: `import ptxjit` alone loads nothing but NumPy's needs.
"""
from __future__ import annotations

from importlib import import_module
from pathlib import Path as _Path
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "jit": "jitted", "fori_loop": "control", "while_loop": "control", "scan": "control", "debug_print": "control",
    "asarray": "array", "from_dlpack": "array", "Array": "array", "stream": "array", "synchronize": "array",
    "load_ptx": "ptx", "translate": "translation", "check": "sanitize",
    "devices": "hardware", "device": "hardware", "default_device": "hardware", "use": "hardware", "set_num_threads": "hardware",
}  # fmt: skip
_MODULES = ("errors", "cache", "random", "testing", "ir", "targets")

for _name in ("ir", "targets"):
    _link = _Path(__file__).parent / _name
    if not _link.is_dir():
        raise ImportError(f"{_link} should be a link to ../{_name} but is a plain file: this checkout was made without symbolic links. "
                          f"Repair it with: git config core.symlinks true && git checkout -- ptxjit/{_name}")  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    elif name in _MODULES:
        value = import_module(f".{name}", __name__)
    elif name == "cdiv":
        value = _cdiv
    elif name.startswith("_"):
        raise AttributeError(f"module 'ptxjit' has no attribute {name!r}")
    else:
        value = _function(name)
    globals()[name] = value
    return value


def _cdiv(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


def _function(name: str) -> Any:
    from .functions import registry

    registry.load()
    if name in registry.FUNCTIONS:
        return registry.public(name)
    import numpy as np

    if name in ("pi", "e", "inf", "nan", "newaxis") or name in _DTYPES:
        return getattr(np, name if name != "bool" else "bool_")
    raise AttributeError(f"module 'ptxjit' has no attribute {name!r}")


_DTYPES = frozenset("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split())


def __dir__() -> list[str]:
    from .functions import registry

    registry.load()
    return sorted({*globals(), *_HOME, *_MODULES, *registry.FUNCTIONS, "cdiv"})
