"""OpenCL: opencl_c (the writer) · runtime (devices, and programs on them through pyopencl) · target.  Nothing loads pyopencl before a device is asked for."""
