"""Smooth initialization: each filter convolved with a Gaussian, its norm kept.

    W'[o, c] = s_o (g * W[o, c]),   g(d) = exp(-d^2 / (2 sigma^2)),   s_o = ||W[o]|| / ||g * W[o]||

W[o, c] is what filter o of a convolution does to input channel c, of some height and width; the
convolution is over both, with zeros outside the filter, and gives the same height and width. Sigma is in
pixels of the filter. The norm is that of the whole filter (all c), so that a unit's input keeps its size.
Small sigma leaves W; at large sigma every W'[o, c] is constant. A 1x1 filter stays as it is.

Source: deformation, section 4.2 and figure 4. That the norm is kept is not in the paper.
"""

import torch
from torch import nn


def smooth(module: nn.Module, sigma: float) -> None:
    """Smooth the filters of every two-dimensional convolution in `module`; a sigma of 0 changes nothing.

    >>> layer = nn.Conv2d(1, 1, 3)
    >>> layer.weight.data = torch.arange(9.0).view(1, 1, 3, 3)
    >>> norm = layer.weight.norm()
    >>> smooth(layer, 100)
    >>> bool(layer.weight.std() < 1e-3 * layer.weight.abs().mean())
    True
    >>> bool(torch.isclose(layer.weight.norm(), norm))
    True
    """
    if not sigma:
        return
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            own = layer.weight.detach()
            weight = own.double()  # what is left of a filter whose sum is near 0 is grown again
            height, width = (_gaussian(side, sigma).to(weight) for side in weight.shape[2:])
            smoothed = height @ weight @ width
            scale = _norm(weight) / _norm(smoothed).clamp_min(torch.finfo(weight.dtype).tiny)
            own.copy_(smoothed * scale)


def _gaussian(side: int, sigma: float) -> torch.Tensor:
    """g(i - j) for every pair of places along a side, (place, place)."""
    place = torch.arange(side, dtype=torch.float64)
    return torch.exp(-(((place[:, None] - place) / sigma) ** 2) / 2)


def _norm(weight: torch.Tensor) -> torch.Tensor:
    """Of each filter, in the shape that scales it."""
    norm: torch.Tensor = torch.linalg.vector_norm(weight, dim=(1, 2, 3), keepdim=True)
    return norm
