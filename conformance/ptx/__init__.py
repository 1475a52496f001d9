"""Execute PTX, the assembly text of NVIDIA kernels, on a CPU: see docs/ptx.md."""
