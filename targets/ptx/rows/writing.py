"""What the writer takes from the rows: `ROWS[op][type]` is the pattern that it fills.  Ops of 8 and 16 bits, and those without an instruction of
their own, are sequences in `targets/ptx/expand.py`."""
from __future__ import annotations

from . import load
from .say import patterns

load()
ROWS = patterns()
APPROX = patterns(approx=True)  # the hardware's approximations, which only `fast_math` asks for

FCMP = {"oeq": "eq", "one": "ne", "olt": "lt", "ole": "le", "ogt": "gt", "oge": "ge", "ord": "num", "ueq": "equ", "une": "neu", "ult": "ltu",
        "ule": "leu", "ugt": "gtu", "uge": "geu", "uno": "nan"}  # fmt: skip
ICMP = {"eq": "eq", "ne": "ne", "slt": "lt", "sle": "le", "sgt": "gt", "sge": "ge", "ult": "lt", "ule": "le", "ugt": "gt", "uge": "ge"}

# What no PTX target can do, and why.
UNSUPPORTED = {"frem": "decomposed before PTX is written", "fscale": "decomposed before PTX is written", "switch": "no schedule makes it"}
for _op in ("named_barrier cluster_barrier cancel read_clock to_generic from_generic is_space alloca call call_indirect printf pause mbarrier copy async_wait "
            "shfl_sync vote_sync ballot_sync match_any_sync match_all_sync redux_sync warp_sync elect_sync activemask").split():  # fmt: skip
    UNSUPPORTED[_op] = "read from foreign PTX, never written: no schedule makes it"
