"""Logits that do not depend on the batch where it matters: which classes are the first."""

from collections.abc import Sequence

import torch
from torch import Tensor

from invtool.models.networks import Network

ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
"""Share of the largest logit by which a batch may change one: a hundred times what was seen."""


def settled(
    network: Network, images: Tensor, ranks: Sequence[int], precision: torch.dtype
) -> Tensor:
    """Logits (image, category), those of an image computed alone where rounding could reorder it.

    The sums of a convolution are ordered by the batch's size, and logits differ in their last bits.
    Where the classes at one of `ranks` and the next are closer than that, the image passes once
    more, alone, and so gets the same answer in whatever batch it came.
    """
    logits = network(images).float()
    ordered = logits.topk(min(max(ranks) + 1, logits.shape[1])).values
    close = torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    for rank in ranks:
        if rank < logits.shape[1]:
            gap = ordered[:, rank - 1] - ordered[:, rank]
            close |= gap <= ROUNDING[precision] * logits.abs().amax(1)
    if len(images) > 1:
        for image in close.nonzero().flatten().tolist():
            logits[image] = network(images[image : image + 1]).float()[0]
    return logits
