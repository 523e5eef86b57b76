"""The Gram matrix with its own way back: one product of matrices instead of two."""

import torch
from torch.autograd.function import once_differentiable


def gram(F: torch.Tensor) -> torch.Tensor:
    """Return F Fᵀ in at least float32, (B, N, H, W) → (B, N, N); see ``helpers.losses.gram_matrix``."""
    with torch.autocast(F.device.type, enabled=False):
        return _Gram.apply(F)


def gram_gradient(F: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Return the gradient at F, (B, N, H, W), from that at its Gram matrix, (B, N, N).

    It is computed in the data type of F. In bfloat16 a sum of N products has the relative error of one
    rounding; the Gram matrix itself, a sum over all positions that is then compared, needs float32.
    """
    both = (gradient + gradient.mT).to(F.dtype)
    # As (M, N) and not (N, M), since the features lie in memory in that order.
    return (F.flatten(2).mT @ both).mT.view_as(F)  # (B, M, N) @ (B, N, N)


class _Gram(torch.autograd.Function):
    """F Fᵀ. By itself autograd would multiply twice on the way back, once for each F."""

    @staticmethod
    def forward(ctx, F):
        ctx.save_for_backward(F)
        F = F.flatten(2)  # (B, N, H, W) -> (B, N, M)
        if F.dtype in (torch.float16, torch.bfloat16):
            F = F.float()
        return F @ F.mT  # (B, N, M) @ (B, M, N) -> (B, N, N)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        return gram_gradient(*ctx.saved_tensors, gradient)
