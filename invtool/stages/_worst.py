"""The deformation within the bound that moves a layer's response farthest, found by ascent.

    d <- clip(d + step_t sign(gradient of dist(r(x), r(x warped by d))), -pixels, pixels)

d are the displacements of the control points, r a layer's response to image x. The steps shrink
from half of the bound to nothing. Of each image the farthest of all ascents and steps counts, the
start among them; the first ascent starts at the farthest of its random draws. So the worst is never
less than they are, and it is a lower bound of what there may be.
"""

import torch
from torch import Tensor

from invtool.measures import distance, squares
from invtool.models.capture import Layer
from invtool.models.networks import Network
from invtool.stages._deformations import Deformations
from invtool.stages._responses import show

STARTS = 1 << 20  # number of the first draw that an ascent starts at, beyond those of --draws


def ascend(
    deformations: Deformations,
    network: Network,
    layer: Layer,
    part: slice,
    starts: Tensor,
    *,
    steps: int,
    kind: str,
) -> tuple[Tensor, Tensor]:
    """Farthest distance of each image, (image,), and the displacement, (image, point, axis).

    starts: (restart, image, point, axis)
    """
    pixels = deformations.clean(part)
    clean = _response(network, layer, pixels)
    best, where = torch.full((len(pixels),), -1.0, device=pixels.device), starts[0].clone()
    for start in starts:
        at = start.clone()
        for step in range(steps + 1):
            at.requires_grad_(step < steps)
            with torch.set_grad_enabled(step < steps):
                response = _response(network, layer, deformations.warped(pixels, at))
                far = distance(kind, *squares(clean, response))
            if step < steps:
                (slope,) = torch.autograd.grad(far.nan_to_num().sum(), at)
            with torch.no_grad():
                better = far.detach() > best
                best = torch.where(better, far.detach().to(best.dtype), best)
                where = torch.where(better[:, None, None], at.detach(), where)
                if step < steps:
                    length = deformations.pixels / 2 * (1 - step / steps)
                    moved = at.detach() + length * slope.nan_to_num().sign()
                    at = moved.clamp(-deformations.pixels, deformations.pixels)
    return torch.where(best < 0, torch.nan, best), where


def _response(network: Network, layer: Layer, pixels: Tensor) -> Tensor:
    """Of one layer, (image, unit); what overwrites it in place later does not change it."""
    found: list[Tensor] = []
    show(network, [layer], pixels, lambda name, value: found.append(value.clone()))
    return found[0]
