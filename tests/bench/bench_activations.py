"""Recording every layer: `invtool activations` to a file, peers into memory.

A peer stands beside the bare forward passes of its own process, and shows how far memory grows
beyond them. invtool writes as it computes: it stands beside the forward passes and the time in
which the same bytes go to the same disk. `true` says whether what is recorded just before an
in-place ReLU is what the network computed there, or what the ReLU made of it.
"""

import copy
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import Spread, Table, in_own_process, in_turns, main, memory, peak_memory
from small_cnn import SIDE, images, layer_names, small_cnn
from torch import Tensor, nn

from invtool.config import Activations
from invtool.files import hdf5
from invtool.models import networks, references
from invtool.stages import activations

BATCH = 100  # images
TARGET = 1.3
TRANSFORM = "rot90"  # next to no work; half of the passes are of turned images
SMALL, BLOCKS = "py:small_cnn:small_cnn", "blocks"
PEERS = ("torchvision", "torchlens", "nnsight", "captum", "tmeasures")
Values = dict[str, Any]  # layer -> (image, ...)


def measured(quick: bool) -> list[Table]:
    count, turns = (20, 1) if quick else (1000, 3)
    apart = together if quick else in_own_process
    return [*to_file(count, turns, apart), in_memory(count, turns, apart)]


def together(function: Callable[..., Any], *arguments: Any) -> Any:
    """In this process: quick, but memory and peers are then not kept apart."""
    return function(*arguments)


def to_file(count: int, turns: int, apart: Callable[..., Any]) -> list[Table]:
    times = Table(f"activations to a file, {count:,} passes, seconds")
    room = Table("memory of it, beyond a forward pass, MB")
    for name in (SMALL, BLOCKS):
        run: Recorded = apart(recorded, name, count, turns)
        ratio = run.seconds["invtool"] / (run.seconds["forward"] + run.seconds["disk"])
        times.rows.append(
            {
                "network": name,
                "file, MB": run.size / 1e6,
                **run.seconds,
                "invtool / (forward + disk)": ratio,
                "target": TARGET,
                "met": "yes" if ratio.median <= TARGET else "no",
            }
        )
        grown = {f"{passes:,} passes": size / 1e6 for passes, size in run.memory.items()}
        room.rows.append({"network": name, **grown})
    return [times, room]


def in_memory(count: int, turns: int, apart: Callable[..., Any]) -> Table:
    table = Table(f"peers, {count:,} images, everything kept in memory")
    for name in KEEPERS:
        try:
            run: Kept = apart(kept, name, count, turns)
        except Exception as error:  # a peer that is missing or broken costs its own row only
            table.rows.append(f"{name}: {str(error).splitlines()[0][:150]}")
            continue
        table.rows.append(
            {
                "peer": name,
                "images/s": run.seconds.map(lambda seconds: count / seconds),
                "x bare forward": run.seconds / run.forward,
                "memory, MB": run.memory / 1e6,
                "true": "yes" if run.true else "no",
            }
        )
    return table


class Recording:
    """`invtool activations` of `passes` images, half of them turned, in a folder that vanishes."""

    def __init__(self, name: str, passes: int, folder: str):
        self.name, self.folder = name, Path(folder)
        self.pixels = images(passes // 2)
        source = self.folder / f"{passes}.images.h5"
        self.target = self.folder / "activations.h5"
        write_images(source, self.pixels)
        small = name == SMALL
        self.config = Activations(
            model=name,
            data=str(source),
            transforms=(TRANSFORM,),
            layers=tuple(layer_names(small_cnn())) if small else ("all",),
            untrained=True,
            size=SIDE,
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
        )

    def record(self) -> int:
        """Bytes of the file."""
        activations.run(self.config, Path("-"), self.target)
        size = self.target.stat().st_size
        self.target.unlink()
        return size

    def network(self) -> networks.Network:
        told = references.parse(self.name)
        return networks.load(told, untrained=True, size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3)

    def batches(self) -> Sequence[Tensor]:
        prepared = self.network().prepared(self.pixels.repeat(2, 1, 1, 1))
        return torch.split(prepared, BATCH)


class Recorded(NamedTuple):
    """Runs of `invtool activations` beside what they cannot do without."""

    seconds: dict[str, Spread]
    size: int  # bytes of the file
    memory: dict[int, int]  # passes -> bytes


def recorded(name: str, count: int, turns: int) -> Recorded:
    with tempfile.TemporaryDirectory() as folder:
        recording = Recording(name, count, folder)
        module, batches = recording.network().module, recording.batches()
        forward(module, batches[:1])
        before = memory()
        grown = {
            passes: peak_memory(Recording(name, passes, folder).record) - before
            for passes in (count, 5 * count)
        }
        size = recording.record()
        seconds = in_turns(
            {
                "forward": lambda: forward(module, batches),
                "disk": lambda: write(recording.target, size),
                "invtool": lambda: timed(recording.record),
            },
            turns,
            warm_up=0,
        )
    return Recorded(seconds, size, grown)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def write(path: Path, size: int) -> None:
    """So many bytes to the disk, in pieces as large as a layer's values of a batch."""
    piece = np.ones(8 << 20, np.uint8).data
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, len(piece)):
            file.write(piece[: size - start])
    path.unlink()


def write_images(path: Path, pixels: Tensor) -> None:
    dims = ("image", "channel", "height", "width")
    with hdf5.create(path, "images", []) as out:
        out.array("image", pixels.round().to(torch.uint8).numpy(), dims)
        out.array("label", np.arange(len(pixels)) % 10, ("image",))


def forward(network: nn.Module, batches: Sequence[Tensor]) -> None:
    with torch.inference_mode():
        for batch in batches:
            network(batch)


class Kept(NamedTuple):
    """A peer's run beside the forward passes of the same process."""

    forward: Spread  # seconds
    seconds: Spread
    memory: int  # bytes
    true: bool


def kept(name: str, count: int, turns: int) -> Kept:
    warnings.simplefilter("ignore")
    keep, network = KEEPERS[name], small_cnn()
    batches = (images(count) / 255).split(BATCH)
    true = is_true(keep)
    forward(network, batches[:1])
    before = memory()
    grown = peak_memory(lambda: keep(network, batches)) - before
    taken = in_turns(
        {
            "forward": lambda: forward(network, batches),
            name: lambda: timed(lambda: keep(network, batches)),
        },
        turns,
        warm_up=0,
    )
    return Kept(taken["forward"], taken[name], grown, true)


def is_true(keep: Callable[[nn.Module, Sequence[Tensor]], Values]) -> bool:
    """Against copies taken where nothing is overwritten."""
    batch = images(8) / 255
    found, wanted = keep(small_cnn(inplace=True), [batch]), hooks(small_cnn(), [batch])
    return all(
        np.allclose(np.asarray(found[layer]), np.asarray(wanted[layer]), atol=1e-4)
        for layer in wanted
    )


def hooks(network: nn.Module, batches: Sequence[Tensor]) -> Values:
    """A copy of every module's output, by hand."""
    copies: dict[str, list[Tensor]] = {name: [] for name in layer_names(network)}
    handles = [
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, values=values: values.append(output.clone())
        )
        for name, values in copies.items()
    ]
    with torch.no_grad():
        for batch in batches:
            network(batch)
    for handle in handles:
        handle.remove()
    return joined(copies)


def torchvision(network: nn.Module, batches: Sequence[Tensor]) -> Values:
    from torchvision.models.feature_extraction import create_feature_extractor

    nodes = {name: name for name in layer_names(network)}
    extractor = create_feature_extractor(network, return_nodes=nodes)
    with torch.no_grad():
        return joined_rows(network, [list(extractor(batch).values()) for batch in batches])


def torchlens(network: nn.Module, batches: Sequence[Tensor]) -> Values:
    import torchlens

    names = layer_names(network)[:-1]
    rows = []
    with torch.no_grad():
        for batch in batches:
            trace = torchlens.trace(network, batch)
            # It does not know the last layer by the module's name.
            rows.append([*(trace[name].out for name in names), trace["linear_2"].out])
    return joined_rows(network, rows)


def nnsight(network: nn.Module, batches: Sequence[Tensor]) -> Values:
    import nnsight

    watched = nnsight.NNsight(network)
    names = layer_names(network)
    rows = []
    for batch in batches:
        with torch.no_grad(), watched.trace(batch):
            found = {}
            for name in names:
                found[name] = watched[int(name)].output.save()
            found = nnsight.save(found)
        rows.append(list(found.values()))
    return joined_rows(network, rows)


def captum(network: nn.Module, batches: Sequence[Tensor]) -> Values:
    from captum.attr import LayerActivation

    layers = [network.get_submodule(name) for name in layer_names(network)]
    attribution = LayerActivation(network, layers)
    with torch.no_grad():
        return joined_rows(network, [attribution.attribute(batch) for batch in batches])


def tmeasures(network: nn.Module, batches: Sequence[Tensor]) -> Values:
    from tmeasures.pytorch import AutoActivationsModule

    module = AutoActivationsModule(
        copy.deepcopy(network), filter=lambda part: not isinstance(part, nn.Flatten)
    )
    with torch.no_grad():
        return joined_rows(network, [module.forward_activations(batch) for batch in batches])


def joined_rows(network: nn.Module, rows: Sequence[Sequence[Tensor]]) -> Values:
    columns = map(list, zip(*rows, strict=True))
    return joined(dict(zip(layer_names(network), columns, strict=True)))


def joined(parts: dict[str, list[Tensor]]) -> Values:
    return {name: torch.cat(values).detach().numpy() for name, values in parts.items()}


KEEPERS: dict[str, Callable[[nn.Module, Sequence[Tensor]], Values]] = {
    "hooks by hand": hooks,
    "torchvision create_feature_extractor": torchvision,
    "torchlens trace": torchlens,
    "nnsight trace": nnsight,
    "captum LayerActivation": captum,
    "tmeasures AutoActivationsModule": tmeasures,
}


if __name__ == "__main__":
    main(measured, PEERS, text=__doc__)
