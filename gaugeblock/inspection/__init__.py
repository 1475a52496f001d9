"""Read the machine code of Triton and CUDA kernels, without a GPU."""
