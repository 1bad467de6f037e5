"""Optimizer settings that belong together, by name."""

from dataclasses import dataclass

from invtool.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum.

    warmup: share of the steps over which the rate rises linearly; from there it falls linearly
    to zero. None keeps the rate constant.
    """

    epochs: int  # passes over as many images as the training set holds
    batch_size: int  # images a step
    learning_rate: float
    weight_decay: float
    momentum: float = 0.9
    nesterov: bool = False
    warmup: float | None = None
    label_smoothing: float = 0.0

    def steps_per_epoch(self, images: int) -> int:
        """With so many images to train on, which are drawn with replacement: a batch may be larger."""
        return max(1, images // self.batch_size)

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` of `steps`.

        >>> recipe = Recipe(1, 1, 0.4, 0.0, warmup=0.5)
        >>> [round(recipe.rate(step, 8), 2) for step in range(8)]
        [0.1, 0.2, 0.3, 0.4, 0.4, 0.3, 0.2, 0.1]
        """
        if self.warmup is None:
            return self.learning_rate
        rising = self.warmup * steps
        return self.learning_rate * min(
            (step + 1) / max(rising, 1), (steps - step) / (steps - rising)
        )


RECIPES = {
    # Paper "categories", appendix A: modified AlexNet on FaceScrub.
    "paper": Recipe(epochs=45, batch_size=32, learning_rate=1e-4, weight_decay=5e-4),
    "fast": Recipe(
        epochs=14,
        batch_size=64,
        learning_rate=0.1,
        weight_decay=5e-4,
        nesterov=True,
        warmup=0.2,
        label_smoothing=0.1,
    ),
}


def recipe(name: str) -> Recipe:
    """Raise UsageError for an unknown name."""
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; known: {', '.join(RECIPES)}")
    return RECIPES[name]
