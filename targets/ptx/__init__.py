"""PTX: our own writer, no CUDA toolkit.  rows (the instruction table) · write · tools (ptxas, nvdisasm) · occupancy · target."""
