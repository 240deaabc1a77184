"""`FILE.py:FUNC` → the function.  The file is imported under a name of its own, never as `__main__`."""
from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from ..ir.errors import UserError


class UsageError(Exception):
    """One sentence for exit status 2."""


def load_function(where: str) -> Any:
    """The jitted function named by `FILE.py:FUNC` (a plain function is jitted)."""
    from ..jitted import Jit, jit

    path, _, name = where.rpartition(":")
    if not path or not name:
        raise UsageError(f"{where!r} does not name a function: write FILE.py:FUNC")
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(f"_ptxjit_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(file.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        raise UserError(f"importing {path} failed: {type(e).__name__}: {e}") from e
    finally:
        sys.path.pop(0)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise UsageError(f"{path} has no function {name}")
    if not callable(found):
        raise UsageError(f"{name} in {path} is not a function")
    return found if isinstance(found, Jit) else jit(found)
