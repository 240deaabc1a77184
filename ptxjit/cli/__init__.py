"""The command line.  Exit status: 0 good, 1 the user's program is wrong, 2 usage, 3 our fault."""
from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status; installed as the `ptxjit` script."""
    from .app import run

    status = run(list(sys.argv[1:] if argv is None else argv))
    if argv is None:
        sys.exit(status)
    return status
