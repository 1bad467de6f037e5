"""A network that several ranks train as one process would, each on its rows of every batch.

Gradients are summed over the ranks (DistributedDataParallel). Two layers look beyond their own rows:
batch normalization takes mean and variance over the rows of all ranks, and dropout the mask that it
would draw for them. Both are seen as functions, so that they count in networks of any make; what a
network draws in other ways it draws for each rank alone.

    mean = sum of n_r mean_r / n,    var = sum of n_r (var_r + (mean_r - mean)^2) / n    over ranks r

is batch normalization's, with n_r values a channel on rank r and n on all; its gradient, with
y = (x - mean) / sqrt(var + eps) and g what comes back to y, is (g - mean of g - y mean of g y) / sqrt(var + eps).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from invtool import ranks

DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d}


def parallel(module: nn.Module, batch: int) -> nn.Module:
    """The module for batches of so many images over all ranks; alone, itself."""
    if ranks.size == 1:
        return module
    return DistributedDataParallel(_OneBatch(module, batch), static_graph=True)


def weight(rows: int, batch: int) -> float:
    """By which the mean loss of a rank's rows counts, so that the mean over ranks is that of the batch."""
    return ranks.size * rows / batch


class _OneBatch(nn.Module):
    """A network whose rows are part of a batch."""

    def __init__(self, module: nn.Module, batch: int):
        super().__init__()
        self.module, self.batch = module, batch

    def forward(self, x: Tensor) -> Any:
        if not self.module.training:
            return self.module(x)
        with _Whole(len(x), self.batch):
            return self.module(x)


class _Whole(TorchFunctionMode):
    """Sees batch normalization and dropout, and lets them work on the batch of all ranks."""

    def __init__(self, rows: int, batch: int):
        super().__init__()
        self.rows, self.batch = rows, batch

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func is F.batch_norm:
            return _batch_norm(*args, **named)
        if func in DROPOUTS and len(args[0]) == self.rows:
            return self._dropout(func, *args, **named)
        return func(*args, **named)

    def _dropout(
        self,
        func: Callable[..., Tensor],
        x: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        if not training:
            return x
        last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
        form = torch.channels_last if last else torch.contiguous_format
        ones = torch.ones((self.batch, *x.shape[1:]), dtype=x.dtype, device=x.device)
        mask = func(ones.contiguous(memory_format=form), p, True)[ranks.share(self.batch)]
        return x.mul_(mask) if inplace else x * mask


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    mean, var, count = _moments(x.detach())
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            unbiased = var * (count / (count - 1).clamp_min(1))
            running_var.lerp_(unbiased.to(running_var.dtype), momentum)
    if weight is None:
        weight, bias = mean.new_ones(len(mean)), mean.new_zeros(len(mean))
    normalized: Tensor = _BatchNorm.apply(
        x, weight.float(), bias if bias is None else bias.float(), mean, var, count, eps
    )
    return normalized


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (channel,) of the rows of all ranks, and the number of values of each."""
    count = x.numel() // x.shape[1]
    var, mean = torch.var_mean(x.float(), [0, *range(2, x.ndim)], correction=0)
    own = torch.stack([mean, var, torch.full_like(mean, count)]).double()
    means, variances, counts = ranks.stacked(own).unbind(1)  # (rank, channel) each
    n = counts.sum(0)
    mean = (counts * means).sum(0) / n
    var = (counts * (variances + (means - mean) ** 2)).sum(0) / n
    return mean.float(), var.float(), n[0]


class _BatchNorm(torch.autograd.Function):
    """weight y + bias, with the gradient of moments that hang on the rows of all ranks."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        slope = slopes[0].contiguous(memory_format=_form(x))
        # As if the moments were constant; the last two are sums of g y and g.
        grad, times, plain = torch.ops.aten.native_batch_norm_backward(
            slope, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        own = torch.stack([times, plain]).double()
        of_times, of_plain = (ranks.total(own.clone()) / count).float()
        invstd = torch.rsqrt(var + ctx.eps)
        around = (1, -1, *[1] * (x.ndim - 2))
        factor, shift = weight * invstd, mean.view(around)
        fix = (x - shift) * (factor * invstd * of_times).view(around) + (factor * of_plain).view(
            around
        )
        return (grad - fix).to(x.dtype), times, plain, None, None, None, None


def _form(x: Tensor) -> torch.memory_format:
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
