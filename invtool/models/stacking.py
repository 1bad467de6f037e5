"""Networks of one architecture as one network, whose layers are those of all side by side.

    maps          (image, network x channel, height, width)
    convolution   one of N times the groups
    batch norm    one over all channels
    linear layer  one batched product, (image, network x feature) -> (image, network x feature)

Every network reads its own channels and nothing of its neighbors. What has no weights and treats channels alike (ReLU, pools)
stays as it is. A step of N networks is then so many calls as one of a single network, which is what small networks wait for
on a GPU. vmap over stacked weights calls the same grouped convolutions, and copies maps before and after each.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from invtool.errors import InvtoolError
from invtool.models.architectures.blocks import Subsample
from invtool.models.watching import logits_of

ALIKE = (
    nn.ReLU,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Identity,
    Subsample,
)
"""Layers without weights that treat every channel alike."""
TRIED = 8  # images
CLOSE = 0.01  # of the logits' standard deviation; what mixes channels is off by more than 1


class Unstackable(InvtoolError):
    """A network that cannot be run beside others."""


def stack(modules: Sequence[nn.Module]) -> nn.Module:
    """Make one network (image, network x channel, height, width) -> (image, network x category) of several.

    Their parameters and buffers become views of its own: what is done to it is done to them, and the other way round.

    Raises:
        Unstackable: a layer of another kind.

    Examples:
        >>> networks = [nn.Sequential(nn.Flatten(), nn.Linear(4, 3)) for _ in range(2)]
        >>> image = torch.rand(5, 2, 2, 2)  # a channel for each network
        >>> logits = stack(networks)(image)
        >>> bool(torch.allclose(logits[:, 3:], networks[1](image[:, 1:])))
        True
    """
    whole = copy.deepcopy(modules[0])
    for name, part in [*whole.named_modules()]:
        if next(part.children(), None) is not None:
            if part._parameters or part._buffers:
                raise Unstackable(f"{type(part).__name__} has weights of its own")
        elif not name:
            raise Unstackable(f"it is a single {type(part).__name__}")
        else:
            whole.set_submodule(name, _stacked([module.get_submodule(name) for module in modules]))
    return whole


def check(modules: Sequence[nn.Module], image: tuple[int, int, int]) -> None:
    """Run fresh networks of one architecture on noise, alone and stacked.

    They are not to be used afterwards. `image` is (channel, height, width).

    Raises:
        Unstackable: their answers, as in training, differ.
    """
    device = next(modules[0].parameters()).device
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(len(modules), TRIED, *image, generator=random).to(device)
    with torch.no_grad():
        alone = [logits_of(m.train()(x)) for m, x in zip(modules, noise, strict=True)]
        whole = stack(modules).train()
        try:
            logits = split(logits_of(whole(side_by_side(noise))), len(modules))
        except RuntimeError as error:
            raise Unstackable(str(error).partition("\n")[0]) from error
    wanted = torch.stack(alone)
    if logits.shape != wanted.shape or not _close(logits, wanted):
        raise Unstackable("it answers otherwise beside others")


def side_by_side(images: Tensor) -> Tensor:
    """(network, image, channel, height, width) -> (image, network x channel, height, width), channels last in memory."""
    return images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def split(logits: Tensor, networks: int) -> Tensor:
    """(image, network x category) -> (network, image, category)."""
    return logits.view(len(logits), networks, -1).transpose(0, 1)


def _close(logits: Tensor, wanted: Tensor) -> bool:
    return bool((logits - wanted).abs().max() <= CLOSE * wanted.std())


def _stacked(parts: Sequence[nn.Module]) -> nn.Module:
    """The layer that holds those of all networks."""
    first = parts[0]
    if type(first) in ALIKE:
        return copy.deepcopy(first)
    layer: nn.Module
    if type(first) is nn.Conv2d:
        layer = convolution = copy.deepcopy(first)
        convolution.groups *= len(parts)
        convolution.in_channels *= len(parts)
        convolution.out_channels *= len(parts)
    elif type(first) is nn.BatchNorm2d:
        layer = norm = copy.deepcopy(first)
        norm.num_features *= len(parts)
    elif type(first) is nn.Linear:
        layer = _Linear(len(parts))
    else:
        raise Unstackable(f"it has {type(first).__name__}")
    _share(layer, parts)
    return layer


def _share(layer: nn.Module, parts: Sequence[nn.Module]) -> None:
    """Give the layer the tensors of all parts, one after the other, and the parts views of them."""
    for name, parameter in parts[0].named_parameters():
        whole = _joined([part.get_parameter(name) for part in parts])
        layer.register_parameter(name, nn.Parameter(whole, parameter.requires_grad))
    for name, buffer in parts[0].named_buffers():
        if buffer.ndim:
            layer.register_buffer(name, _joined([part.get_buffer(name) for part in parts]))
        else:  # a count of steps, which are those of all
            layer.register_buffer(name, buffer)
            for part in parts:
                part.register_buffer(name, buffer)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one after the other along their first axis; each becomes a view of the result."""
    whole = torch.cat([tensor.detach() for tensor in tensors])
    for tensor, view in zip(tensors, whole.chunk(len(tensors)), strict=True):
        tensor.data = view
    return whole


class _Linear(nn.Module):
    """Linear layers side by side, (image, network x feature) -> (image, network x feature)."""

    weight: nn.Parameter  # (network x feature, feature)
    bias: nn.Parameter | None

    def __init__(self, networks: int) -> None:
        super().__init__()
        self.networks = networks
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)

    def forward(self, features: Tensor) -> Tensor:
        count = self.networks
        each = features.view(len(features), count, -1).transpose(0, 1)
        weight = self.weight.view(count, -1, self.weight.shape[1]).transpose(1, 2)
        if self.bias is None:
            out = torch.bmm(each, weight)
        else:
            out = torch.baddbmm(self.bias.view(count, 1, -1), each, weight)
        return out.transpose(0, 1).flatten(1)
