"""What a network is trained on, and how, but for its recipe: for a run, and for each of a search."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool.config import Train
from invtool.data.random_labels import random_labels
from invtool.data.seen import seen_categories
from invtool.data.sets import TRAIN, ImageSet
from invtool.errors import InvtoolError
from invtool.models import antialiasing, filters
from invtool.models.architectures import build
from invtool.models.networks import Network
from invtool.models.normalization import PER_IMAGE
from invtool.stages._forward import check_transforms
from invtool.training.draws import Draws
from invtool.training.loop import StreamedImages, Trainer, TrainingImages
from invtool.training.recipes import Recipe
from invtool.transforms import Spec, parse


@dataclass(frozen=True)
class Paradigm:
    """A network by name, its images, and the categories that it sees transformed."""

    network: str
    smoothing: dict[str, str]  # filters before it subsamples
    init_smooth: float  # pixels
    images: ImageSet
    shown: NDArray[np.int64]  # numbers of the images to train on
    transform: Spec
    seen: NDArray[np.int64]  # numbers of the categories
    seed: int
    device: torch.device
    precision: torch.dtype

    @classmethod
    def of(
        cls,
        config: Train,
        images: ImageSet,
        seen: int,
        seed: int,
        device: torch.device,
        precision: torch.dtype,
    ) -> "Paradigm":
        """That of one network of a run, with `seen` categories and `seed`."""
        transform = parse(config.transform or "none")
        categories = seen_categories(len(images.categories), seen, seed)
        return cls(
            config.network,
            filters.chosen(pool=config.pool, antialias=config.antialias),
            config.init_smooth,
            _relabeled(images, seed) if config.random_labels else images,
            images.indices(TRAIN, config.limit),
            transform,
            categories,
            seed,
            device,
            precision,
        )

    def fresh(self) -> Network:
        """The network before its first step."""
        channels, height, width = self.images.image.shape[1:]
        arguments = {
            "categories": len(self.images.categories),
            "channels": channels,
            "height": height,
            "width": width,
        }
        module = build(self.network, arguments, seed=self.seed, init_smooth=self.init_smooth)
        antialiasing.install(module, **self.smoothing)
        module = module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Network(
            module=module,
            name=self.network,
            input=(channels, height, width),
            normalization=PER_IMAGE,
            smoothing=self.smoothing,
            metadata={
                "architecture": {"name": self.network, "arguments": arguments},
                **self.smoothing,
                **({"init_smooth": self.init_smooth} if self.init_smooth else {}),
            },
        )

    def check(self, network: Network) -> None:
        """Raise InvtoolError now, and not after an epoch, for what cannot work on such images."""
        check_transforms(self.images, [self.transform])
        wanted = len(self.images.categories)
        pixels = torch.from_numpy(np.array(self.images.image[:2])).to(self.device)
        network.module.eval()
        try:
            with torch.inference_mode():
                logits = network(pixels)
        except RuntimeError as error:
            why = str(error).partition("\n")[0]
            raise InvtoolError(
                f"{self.network} does not run on {self.images.spec}: {why}"
            ) from error
        antialiasing.check(network.module, self.network)
        if logits.shape[1] != wanted:
            raise InvtoolError(
                f"{self.network} gives {logits.shape[1]} logits; "
                f"{self.images.spec} has {wanted} categories"
            )

    def labeled(
        self, pixels: Tensor | None, index: NDArray[np.int64]
    ) -> TrainingImages | StreamedImages:
        """The images `index`, of which `pixels` lie on the device or will be read, with their labels."""
        label = torch.from_numpy(self.images.label[index]).to(self.device)
        number = torch.from_numpy(index).to(self.device)
        if pixels is None:
            return StreamedImages(self.images, label, number)
        return TrainingImages(pixels, label, number)

    def trainer(
        self, network: Network, shown: TrainingImages | StreamedImages, recipe: Recipe
    ) -> Trainer:
        mask = np.zeros(len(self.images.categories), bool)
        mask[self.seen] = True
        return Trainer(
            network.module,
            network.prepared,
            shown,
            Draws(shown.label.cpu().numpy(), mask, self.seed),
            self.transform,
            recipe,
            self.precision,
        )


def _relabeled(images: ImageSet, seed: int) -> ImageSet:
    """With random labels of the training images; test images keep theirs."""
    drawn = random_labels(len(images.label), len(images.categories), seed)
    return replace(images, label=np.where(images.split == TRAIN, drawn, images.label))
