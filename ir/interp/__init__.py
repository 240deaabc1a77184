"""The interpreter at every level: slow, obviously right, the definition and the oracle.

    values   one lane or math op on NumPy arrays          orders    the canonical orders, literally
    graph    whole arrays, node by node                   program   buffers and steps
    tile     each program of the grid on NumPy tiles      machine   real lanes, grouped by where they stand

The machine runs kernels of the DSL and foreign ones: state, memory, accesses, warps, launch.  `check` watches it: findings, clocks (what happened
before what), records (accesses, races), copies (what is asynchronous), checker (barriers, masks, deadlocks).
"""
