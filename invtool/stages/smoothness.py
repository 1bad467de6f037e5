"""Normalized total variation of every convolution of model files, beside that at initialization."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from invtool.config import Smoothness
from invtool.errors import InvtoolError
from invtool.files import messages, models, provenance, streams, trajectories
from invtool.files.layers import choose
from invtool.measures import initial_variation, total_variation
from invtool.models.laws import law_of
from invtool.stages import smoothness_result
from invtool.stages.smoothness_result import Layer, Network, by_number
from invtool.training.checkpoints import MOMENTUM

AXES = 4  # of a convolution's weights: output, input, height, width
UNKNOWN = (np.nan, np.nan)


def run(config: Smoothness, sources: Sequence[Path], target: Path, form: str) -> None:
    """Measure the model files `sources`; `target` becomes table, json, csv or h5."""
    total = len(sources)
    whole = len({path.name for path in sources}) < total  # names that alone do not tell them apart
    shown = messages.progress(sources, total=total, label="measuring", unit="networks")
    networks = [_measured(path, config, whole) for path in shown]
    steps = provenance.step(config=asdict(config), inputs=[n.steps for n in networks])
    smoothness_result.write(target, networks, form, steps)


def _measured(path: Path, config: Smoothness, whole: bool) -> Network:
    label = streams.label(path)
    metadata = models.read_metadata(path)
    if any(name.startswith(MOMENTUM) for name in models.read_header(path)):
        raise InvtoolError(
            f"{label} is the state of an unfinished training; let train finish it, or measure the "
            "model files of --checkpoint-at"
        )
    weights = {n.removesuffix(".weight"): w for n, w in models.read_floats(path, AXES)}
    if not weights:
        raise InvtoolError(
            f"{label} has no weights of {AXES} axes (output, input, height, width); "
            "a network with convolutions is wanted"
        )
    order = sorted(weights, key=by_number)
    chosen = choose(order, config.layers, penultimate=order[-1], label=label)
    law, sigma = _initial(metadata, config.law)
    layers = {}
    for name in chosen:
        if not np.isfinite(weights[name]).all():
            raise InvtoolError(
                f"{label}: layer {name} holds NaN or infinity; are its weights whole?"
            )
        outputs, inputs, height, width = weights[name].shape
        known = (
            initial_variation((outputs, inputs, height, width), law, sigma=sigma)
            if law
            else UNKNOWN
        )
        value = float(total_variation(weights[name]))
        layers[name] = Layer((height, width), outputs * inputs, value, *known)
    name = path.name if label == str(path) and not whole else label
    return Network(
        name,
        trajectories.label_of(metadata, name),
        trajectories.step_of(metadata),
        layers,
        models.steps_of(metadata),
    )


def _initial(metadata: Mapping[str, Any], asked: str) -> tuple[str | None, float]:
    """Law of the initial weights, and sigma of the Gaussian that smoothed them."""
    architecture, sigma = metadata.get("architecture"), metadata.get("init_smooth")
    name = architecture.get("name") if isinstance(architecture, dict) else None
    law = law_of(str(name or "")) if asked == "auto" else asked
    return law, float(sigma) if isinstance(sigma, int | float) else 0.0
