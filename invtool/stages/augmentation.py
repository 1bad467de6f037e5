"""A majority vote over random crops of each image, and how often it changes by a pixel's move."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from invtool import ranks
from invtool.config import Evaluate
from invtool.files import messages
from invtool.measures import majority
from invtool.stages import _devices
from invtool.stages._answers import ROUNDING, settled
from invtool.stages._forward import check_finite, read_ahead
from invtool.stages._subject import Subject
from invtool.stages.vote_result import Votes
from invtool.transforms.cropping import crop, moved
from invtool.transforms.embedding import shrunk


def votes(config: Evaluate, subject: Subject) -> Votes:
    """The votes of so many random crops of each untransformed image as `config.tta` says.

    A crop has the size of the network's input. A larger number of crops holds those of a smaller
    one, so that each crop passes the network once.
    """
    subject = subject.share
    network, precision, images = subject.network, subject.precision, len(subject.index)
    size = min(_devices.batch_size(config.batch_size, network.layers, subject.device), images) or 1
    found = np.empty((2, len(config.tta), images), np.int64)
    crops = messages.progress(
        _crops(config, subject, size),
        total=2 * max(config.tta) * images,
        label="cropping",
        unit="crops",
        size=size,
    )
    with torch.inference_mode(), _devices.arithmetic(subject.device, precision):
        for first, state, number, batch in crops:
            logits = settled(network, batch, (1,), precision)
            check_finite(logits, network)
            if number == 0:
                count, total = (torch.zeros_like(logits) for _ in range(2))
            count += torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1])
            total += logits.softmax(1)
            passed = number + 1
            if passed in config.tta:
                vote = majority(count, total, rounding=ROUNDING[precision] * passed)
                last = first + len(vote)
                found[state, config.tta.index(passed), first:last] = vote.cpu().numpy()
    return Votes(config.tta, *ranks.whole(found, axis=2))


def _crops(config: Evaluate, subject: Subject, size: int) -> Iterator[tuple[int, int, int, Tensor]]:
    """Batches of crops: (first image, 0 or 1 for moved, number of the crop, their pixels).

    No crop is drawn for both an image and the same image moved: whoever photographs a thing twice
    draws new ones.
    """
    images, index = subject.images, subject.index
    window = subject.network.input[1:]
    for first, pixels, numbers in read_ahead(images, index, size, subject.device):
        whole = pixels.float()
        if whole.shape[2] < window[0] or whole.shape[3] < window[1]:
            whole = shrunk(whole, *window)  # as the network would
        for state, shown in enumerate((whole, moved(whole))):
            for number in range(max(config.tta)):
                drawn = 2 * number + state
                yield (
                    first,
                    state,
                    number,
                    crop(shown, window, number=drawn, seed=config.seed, index=numbers),
                )
