"""AMDGPU: facts · dialect (kernels to LLVM IR) · codeobject (linking, reading back; msgpack) · target · runtime (HIP through ctypes) · foreign (PTX of others on a card)."""
