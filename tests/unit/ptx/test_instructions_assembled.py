"""Every form that the instruction tests run is PTX that NVIDIA's ptxas takes."""
from __future__ import annotations

import importlib
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.unit.ptx import harness as h  # noqa: E402

BYTES = re.compile(r"cvt\.\w+\.(bf16\.[us]8|[us]8\.bf16) ")  # needs 8-bit registers in ptxas, which PTX has no arithmetic for


def test_forms_assemble(ptxas):
    from ptxjit.targets.ptx.tools import assemble

    texts = []
    for name in ("integer", "float", "convert"):
        for forms in importlib.import_module(f"tests.unit.ptx.test_instructions_{name}").GROUPS.values():
            forms = [f for f in forms if not BYTES.match(f.text)]
            texts += [h.HEAD + "".join(h.kernel_text(forms[at : at + 40], f"k{at}", {}) for at in range(0, len(forms), 40))]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda t: assemble(t, "sm_100a"), texts))
