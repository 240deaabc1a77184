"""ptxjit: a JIT compiler for tensor kernels.  See `python -m ptxjit tour`."""
