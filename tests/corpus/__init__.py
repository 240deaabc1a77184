"""The corpus of PTX: kernels by nvcc, Triton, numba-cuda and by hand, each with a launch and the result to expect."""
from .corpus import CASES, Case, Entry, case, check, files, text

__all__ = ["CASES", "Case", "Entry", "case", "check", "files", "text"]
