"""AMDGPU: facts · dialect (kernels to LLVM IR) · codeobject (linking, and reading back) · target · runtime (HIP through ctypes)."""
