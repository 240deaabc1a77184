"""`np.random` while a function is traced: an error that says what to use instead.

What `np.random` gives while a function is traced would become a constant of the compiled program.  So while any thread traces,
`numpy.random` is a stand-in that refuses in that thread and passes everything on in the others.  Generators that were made outside are
watched: one that was drawn from while tracing is an error too.
"""
from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np

HINT = "use pj.random: key = pj.random.key(0); key, k = pj.random.split(key); pj.random.normal(k, shape)"
_real: Any = None


class _StandIn(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        from .ir.errors import TraceError
        from .trace import current, user_error

        real = _module()
        value = getattr(real, name)
        if current() is not None and not name.startswith("__") and not isinstance(value, (type, types.ModuleType)):
            raise user_error(TraceError, f"np.random.{name} in a traced function would be drawn once, while tracing, and then be a constant", HINT)
        return value


_stand_in = _StandIn("numpy.random", "stands for numpy.random while a function is traced")


def _module() -> Any:
    import importlib

    return _real if _real is not None else importlib.import_module("numpy.random")


def guard_random() -> None:
    """Puts the stand-in in place; called when the first trace begins."""
    global _real
    _real = sys.modules.get("numpy.random")
    np.random = _stand_in


def unguard_random() -> None:
    """Takes it away; called when the last trace has ended."""
    if np.__dict__.get("random") is not _stand_in:
        return
    real = _real if _real is not None else sys.modules.get("numpy.random")
    if real is not None:
        np.random = real
    else:
        del np.random


def position(value: Any) -> Any:
    """Where a source of NumPy's random numbers stands, or None if the value is none: a generator, or a method of one."""
    if "numpy.random" not in sys.modules:
        return None
    real = _module()
    owner = value if isinstance(value, (real.Generator, real.RandomState)) else getattr(value, "__self__", None)
    if isinstance(owner, real.Generator):
        return repr(owner.bit_generator.state)
    if isinstance(owner, real.RandomState):
        return repr(owner.get_state(legacy=False))
    return None
