"""The records that compiled kernels and their launcher share: the launch, a block, a frame (of a lane or of a warp).  `targets/cpu/launch.py` fills them."""
from __future__ import annotations

# launch: i64 words
LAUNCH = {"nx": 0, "ny": 1, "nz": 2, "tx": 3, "ty": 4, "tz": 5, "threads": 6, "arena": 7, "scratch": 8, "block_stride": 9, "group_stride": 10,
          "free": 11, "group": 12, "gx": 13, "gy": 14, "gz": 15, "cx": 16, "cy": 17, "cz": 18, "stop": 19, "where": 20, "printf": 21, "dynamic": 22,
          "gridid": 23, "const": 24, "const_size": 25, "regions": 26, "region_count": 27, "watch": 28, "claims": 29, "groups": 30, "ticket": 31,
          "slots": 32, "slot_count": 33}  # fmt: skip
# a record of what was out of bounds: two dumps of 64 bytes, then for each access 64 bytes: how often, and where and who the first was
WATCH = {"head": 128, "site": 64, "count": 0, "address": 8, "x": 16, "y": 20, "z": 24, "linear": 28}
# block header: bytes
BLOCK = {"x": 0, "y": 4, "z": 8, "live": 12, "rank": 16, "arrived": 20, "phase": 24, "status": 28, "moved": 32, "fault": 40, "next": 48, "barriers": 64, "arena": 1024}
BARRIERS, BARRIER = 16, 16  # arrived, expected, accumulated
# frame header: bytes; then operands and results of the pending op, saved values, local memory
FRAME = {"state": 0, "pc": 4, "x": 8, "y": 12, "z": 16, "linear": 20, "heap": 24, "phase": 28, "depth": 32, "ops": 64}
RUN, EXIT, WARP, CONVERGED, BARRIER_, YIELD, CLUSTER = range(7)
HEAP = 16 << 10  # bytes for alloca, in kernels that use it
FUEL = 64
ROUNDS = 256  # of a block that waits for others, before the next one has its turn
DEPTH = 2000  # calls
PRINTF_RECORD, PRINTF_RECORDS = 520, 8192  # bytes of a record, records of a launch
