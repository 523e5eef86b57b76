"""The Gram matrix with its own way back: one product of matrices instead of two."""

import torch
from torch.autograd.function import once_differentiable


def gram(F: torch.Tensor) -> torch.Tensor:
    """Return F Fᵀ in at least float32, (B, N, H, W) → (B, N, N); see ``helpers.losses.gram_matrix``."""
    with torch.autocast(F.device.type, enabled=False):
        return _Gram.apply(F.flatten(2))  # (B, N, M) -> (B, N, N)


class _Gram(torch.autograd.Function):
    """F Fᵀ. By itself autograd would multiply twice on the way back, once for each F."""

    @staticmethod
    def forward(ctx, F):
        ctx.save_for_backward(F)
        F = _at_least_float32(F)
        return F @ F.mT  # (B, N, M) @ (B, M, N) -> (B, N, N)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        (F,) = ctx.saved_tensors
        # As (M, N) and not (N, M), since the features lie in memory in that order.
        product = _at_least_float32(F).mT @ (gradient + gradient.mT)  # (B, M, N) @ (B, N, N)
        return product.mT.to(F.dtype)


def _at_least_float32(F):
    return F.float() if F.dtype in (torch.float16, torch.bfloat16) else F
