"""9.7.12 Control Flow Instructions."""
from __future__ import annotations

from .table import section

section("9.7.12.3", "bra", """
    bra{.uni}  tgt;   where tgt DONE    // tgt is a label
""")
section("9.7.12.4", "brx.idx", """
    brx.idx{.uni} index, tlist;   where index u32, tlist TABLE
    needs sm_30 6.0
""")
# results, the name or address, arguments and a prototype or list of targets: the reader takes them apart
section("9.7.12.5", "call", """
    call{.uni} (ret-param), func, (param-list);
    call{.uni} func, (param-list);
    call{.uni} func;
    call{.uni} (ret-param), fptr, (param-list), fproto;
""")
section("9.7.12.6", "ret", """
    ret{.uni};
""")
section("9.7.12.7", "exit", """
    exit;
""")
