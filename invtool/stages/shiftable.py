"""How often the global sum of a layer's feature maps changes as the image moves by one pixel.

A frame passes the network once, for all layers; of each map only its sum and its highest response
are kept.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invtool import ranks
from invtool.config import Shiftable
from invtool.data.photographs import Photographs, open_photographs
from invtool.data.specs import parse
from invtool.errors import InvtoolError, UsageError
from invtool.files import hdf5, messages, provenance, tables
from invtool.files.provenance import Steps
from invtool.measures import image_interval, nonshiftability
from invtool.models.capture import Layer, capturing, select
from invtool.models.networks import Network
from invtool.models.subsampling import subsampling
from invtool.stages import _devices
from invtool.stages._moves import Moves, moves, square_side, usual_object
from invtool.stages._subject import open_network, shown_to

Array = NDArray[Any]


@dataclass(frozen=True)
class Sums:
    """What one layer's maps add up to.

    total: (image, position, channel)
    highest: (image, channel) over all positions
    """

    layer: Layer
    factor: float
    total: Array
    highest: Array

    def measured(self, config: Shiftable) -> tuple[Array, float, Array]:
        """Steps at which each map's sum changes, (image, channel); their mean; its interval."""
        count = nonshiftability(
            self.total, self.highest, share=config.share, threshold=config.threshold
        )
        strong = ~np.isnan(count)
        sums, maps = np.nansum(count, axis=1), strong.sum(axis=1)
        mean = float(sums.sum() / maps.sum()) if maps.any() else float("nan")
        interval = image_interval(
            sums[None], maps[None], resamples=config.resamples, seed=config.seed
        )
        return count, mean, interval[0]


def run(config: Shiftable, model: Path, target: Path, form: str) -> None:
    """Measure the network in `model` (or that `config.model` names)."""
    device = _devices.choose(config.device, config.threads)
    network = open_network(config, model, device)
    layers = _layers(network, config.layers)
    photographs = open_photographs(shown_to(config, network, parse), config.limit)
    side = square_side(network)
    size = config.object[0] if config.object else usual_object(side)
    plan = moves(config, size, photographs, side, color=network.zero_color, boxes={}, device=device)
    found = measure(config, network, layers, photographs, plan, device)
    if ranks.rank:
        return
    inputs = [network.steps, photographs.steps]
    steps = provenance.step(config=asdict(config), inputs=inputs, device=str(device))
    facts = {
        "model": network.name,
        "data": photographs.spec,
        "protocol": plan.protocol,
        "protocol_text": plan.text,
        "share": config.share,
        "threshold": config.threshold,
        **network.smoothing,
    }
    if form != "h5":
        _tabulate(target, config, found, plan, photographs, facts, form, steps)
        return
    with hdf5.create(target, "shiftability", steps) as out:
        _write(out, config, found, plan, photographs, facts)


def _layers(network: Network, patterns: tuple[str, ...]) -> list[Layer]:
    """The chosen layers that have feature maps, pooled ones among them."""
    chosen = select(network.layers, patterns)
    maps = [layer for layer in chosen if len(layer.shape) == 3 or layer.kind == "pool"]
    if not maps:
        raise UsageError(
            f"layer {chosen[0].name} of {network.name} has no positions to sum over; name one before"
        )
    return maps


def measure(
    config: Shiftable,
    network: Network,
    layers: list[Layer],
    photographs: Photographs,
    plan: Moves,
    device: torch.device,
) -> list[Sums]:
    """Sums and highest responses of every map of the layers at every position."""
    numbers = range(len(photographs))[ranks.share(len(photographs))]
    images, positions = len(numbers), len(plan.position)
    total = {
        layer.name: np.empty((images, positions, layer.shape[0]), np.float32) for layer in layers
    }
    highest = {layer.name: np.full((images, layer.shape[0]), -np.inf) for layer in layers}
    at = [0, 0]  # image, first position of the batch

    def take(name: str, value: Tensor) -> None:
        # Places before channels, as channels-last memory holds them: no copy there.
        places = value.permute(0, 2, 3, 1).flatten(1, 2) if value.ndim == 4 else value[:, None]
        image, first = at
        total[name][image, first : first + len(places)] = places.float().sum(1).cpu().numpy()
        peak = places.float().amax(1).amax(0).cpu().numpy()
        highest[name][image] = np.maximum(highest[name][image], peak)

    precision = _devices.precision(config.precision, device)
    size = _devices.batch_size(config.batch_size, network.layers, device)
    example = torch.zeros(1, *network.input)
    factors = subsampling(network.module, layers, network.prepared(example))
    with torch.inference_mode(), _devices.arithmetic(device, precision):
        shown = messages.progress(numbers, total=images, label="moving", unit="images")
        with capturing(network.module, layers, take):
            for image, number in enumerate(shown):
                ((frames, _),) = plan.frames([number])
                for first in range(0, positions, size):
                    at[:] = image, first
                    network(frames[first : first + size])
    axis = {"vertical": 0, "horizontal": 1}.get(config.direction)
    found = []
    for layer in layers:
        if not np.isfinite(total[layer.name]).all():
            raise InvtoolError(
                f"layer {layer.name} of {network.name} gives NaN or infinity; are its weights whole?"
            )
        pair = factors[layer.name]
        factor = max(pair) if axis is None else pair[axis]
        held = ranks.gathered(total[layer.name]), ranks.gathered(highest[layer.name])
        found.append(Sums(layer, factor, *held))
    return found


def _write(
    out: hdf5.Writer,
    config: Shiftable,
    found: list[Sums],
    plan: Moves,
    photographs: Photographs,
    facts: dict[str, Any],
) -> None:
    """Fill a file of kind `shiftability`."""
    for name, value in facts.items():
        out.attribute(name, value)
    moved = "size" if plan.protocol == "scale" else "shift"
    out.array("position", plan.position, ("position",), units="px", long_name=moved)
    out.array("name", photographs.name, ("image",), long_name="file, or number in the data set")
    out.array("layer", [sums.layer.name for sums in found], ("layer",), long_name="layers")
    out.array("bound", ["lower", "upper"], ("bound",), long_name="ends of an interval")
    measured = [sums.measured(config) for sums in found]
    out.array(
        "nonshiftability",
        [mean for _, mean, _ in measured],
        ("layer",),
        long_name="steps at which the sum of a map changes",
    )
    out.array(
        "interval",
        [interval for _, _, interval in measured],
        ("layer", "bound"),
        long_name="95 % bootstrap interval over images",
    )
    out.array(
        "subsampling",
        [sums.factor for sums in found],
        ("layer",),
        units="px",
        long_name="pixels of the input from a position to the next",
    )
    for sums, (count, _, _) in zip(found, measured, strict=True):
        top = f"layers/{sums.layer.name}"
        dims = ("image", "position", "channel")
        out.array(f"{top}/global_sum", sums.total, dims, long_name="sum of a map")
        long_name = "highest response of a map"
        out.array(f"{top}/highest", sums.highest, ("image", "channel"), long_name=long_name)
        long_name = "steps at which the sum changes"
        out.array(f"{top}/changes", count, ("image", "channel"), long_name=long_name)


def _tabulate(
    target: Path,
    config: Shiftable,
    found: list[Sums],
    plan: Moves,
    photographs: Photographs,
    facts: dict[str, Any],
    form: str,
    steps: Steps,
) -> None:
    """Write a row a layer."""
    rows = list(_rows(config, found, len(plan.position) - 1))
    if form != "table":
        tables.write(target, rows, form, steps, title="shiftability", facts=facts)
        return
    for row in rows:
        low, high = row.pop("low"), row.pop("high")
        row["95 %"] = f"{low:.2f}-{high:.2f}"
    count = len(photographs)
    tables.write(
        target,
        rows,
        form,
        steps,
        title=f"Nonshiftability of {facts['model']}, {count:,} images, {facts['data']}",
        footer=(
            f"Times, of {len(plan.position) - 1} steps, that the global sum of a map changes by more"
            f" than {100 * config.share:g} % of its mean; 0 where the sampling theorem holds.\n"
            f"Of maps whose highest response is above {config.threshold:g} of their layer's."
            f" subsampling: pixels of the input a position.\nProtocol: {plan.text}"
        ),
    )


def _rows(config: Shiftable, found: list[Sums], steps: int) -> Iterator[dict[str, Any]]:
    for sums in found:
        count, mean, (low, high) = sums.measured(config)
        yield {
            "layer": sums.layer.name,
            "subsampling": f"{sums.factor:g}",
            "channels": count.shape[1],
            "maps used": int((~np.isnan(count)).sum()),
            "changes": mean,
            "low": float(low),
            "high": float(high),
            "chance a step": mean / steps,
        }
