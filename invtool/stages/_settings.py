"""What a training was told; without torch, so that it can be refused early."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from invtool.config import Train
from invtool.files import models
from invtool.training.recipes import Recipe, recipe
from invtool.training.search import Point, around, grid


def recipe_of(config: Train) -> Recipe:
    """The recipe, with what was set beside it."""
    told: dict[str, Any] = {
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
    }
    return replace(recipe(config.recipe), **{k: v for k, v in told.items() if v is not None})


def combinations(config: Train) -> list[Point]:
    """What a search tries: the values that were named, or those around the ones it would train with."""
    middle = recipe_of(config)
    return grid(
        config.search_rates or around(middle.learning_rate),
        config.search_decays or around(middle.weight_decay),
    )


def told(path: Path) -> Train | None:
    """The settings behind a model, checkpoint or search; None for one that this version did not write."""
    search = path.suffix == ".json"
    with suppress(KeyError, TypeError, ValueError):
        run = (json.loads(path.read_text()) if search else models.read_metadata(path))["run"]
        lists = {name: tuple(value) for name, value in run.items() if isinstance(value, list)}
        return Train(**{**run, **lists})
    return None
