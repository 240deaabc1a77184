"""The CPU: vector code through LLVM, linked and loaded by ourselves, run on numba's threading layer.  Always there."""
