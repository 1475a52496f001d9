"""A CUDA kernel of sigmoid attention that torch compiles, and the same without its barrier."""

import torch

SOURCE = r"""
extern "C" __global__ void attend(
    const float* q, const float* k, const float* v, float* out, int lq, int lk, int d, int dv, double scale)
{
    extern __shared__ float weights[];
    const float* query = q + (blockIdx.y * lq + blockIdx.x) * d;
    for (int j = threadIdx.x; j < lk; j += blockDim.x) {
        float score = 0.0f;
        for (int i = 0; i < d; ++i) score += query[i] * k[(blockIdx.y * lk + j) * d + i];
        weights[j] = 1.0f / (1.0f + expf(-score * (float)scale));
    }
    __syncthreads();
    for (int i = threadIdx.x; i < dv; i += blockDim.x) {
        float sum = 0.0f;
        for (int j = 0; j < lk; ++j) sum += weights[j] * v[(blockIdx.y * lk + j) * dv + i];
        out[(blockIdx.y * lq + blockIdx.x) * dv + i] = sum;
    }
}
"""
KERNEL = torch.cuda._compile_kernel(SOURCE, "attend")
WRONG = torch.cuda._compile_kernel(SOURCE.replace("__syncthreads();", ""), "attend")


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The forward pass for float32 tensors of shape (B, H, L, D)."""
    return launch(KERNEL, q, k, v)


def attention_without_barrier(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """The same with a race: the second loop reads weights that another warp may not have stored yet."""
    return launch(WRONG, q, k, v)


def launch(kernel, q, k, v):
    """One block of 96 threads for each query of each head."""
    (batch, heads, lq, d), lk, dv = q.shape, k.shape[2], v.shape[3]
    out = torch.zeros(batch, heads, lq, dv, device=q.device)
    if lk and out.numel():
        arguments = [q.contiguous(), k.contiguous(), v.contiguous(), out, lq, lk, d, dv, d**-0.5]
        kernel(grid=(lq, batch * heads, 1), block=(96, 1, 1), args=arguments, shared_mem=4 * lk)
    return out
