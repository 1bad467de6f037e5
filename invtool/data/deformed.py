"""Synthetic tasks: each class is one image of a source, its examples are random deformations of that image.

    x(c, e) = image c at p + f_ce(p),  every control point of f_ce displaced by at most `strength` pixels

See `transforms.deformation` for f. The stronger the deformations, the more a network has to ignore them.

The examples are a fixed set, and not new ones at every step: so train, evaluate and every other command
see the same images, in whatever order and on whatever device, and a data set can be written and looked
at. They cost a fraction of a second for each 10,000, and `train=` makes more where a network learns them
by heart. Example e of class c depends on the seed, c and e alone: another number of classes or of examples
changes none, and test examples are never those of the training.

Source: deformation, section 4.3 and figure 5.
"""

import numpy as np
from numpy.typing import NDArray

from invtool.data.sets import TEST, TRAIN, ImageSet
from invtool.data.specs import DataSpec, Deformation
from invtool.errors import InvtoolError, UsageError
from invtool.files import messages

KEY = 0xDEF0  # other draws of the same seed are not these
PART = 1000  # images at once
CLASS_STRIDE, TEST_OFFSET = 1 << 32, 1 << 31  # of the numbers that key an example


def draw(spec: DataSpec, made: Deformation, source: ImageSet) -> ImageSet:
    """Each class's training examples, then its test examples.

    Raises UsageError where the source has fewer training images than there shall be classes, and
    InvtoolError where its images cannot be deformed.
    """
    options = spec.options
    original = class_images(source, options["classes"], options["seed"])
    train, test = options["train"], options["test"]
    label = np.repeat(np.arange(options["classes"]), train + test)
    example = np.tile(np.r_[:train, TEST_OFFSET : TEST_OFFSET + test], options["classes"])
    with messages.working(f"deforming {len(original)} images {train + test} times each"):
        image = _deformed(
            np.asarray(source.image[original]),
            label,
            example,
            strength=made.strength,
            grid=options["grid"],
            border=made.border,
            seed=options["seed"],
        )
    split = np.where(example < TEST_OFFSET, TRAIN, TEST).astype(np.uint8)
    names = [f"{source.categories[source.label[i]]} (image {i})" for i in original]
    return ImageSet(image, label, split, names, str(spec), source.steps)


def class_images(source: ImageSet, classes: int, seed: int) -> NDArray[np.int64]:
    """Which training image each class is: of each category one, by the seed, then of each another, (class,).

    Raises UsageError where there are fewer.
    """
    found = source.indices(TRAIN)
    if classes > len(found):
        raise UsageError(f"classes={classes}: {source.spec} has {len(found)} training images")
    shuffled = np.random.default_rng([seed, KEY]).permutation(found)
    by_category = shuffled[np.argsort(source.label[shuffled], kind="stable")]
    _, start, size = np.unique(source.label[by_category], return_index=True, return_counts=True)
    turn = np.arange(len(found)) - np.repeat(start, size)
    return by_category[np.argsort(turn, kind="stable")[:classes]]


def _deformed(
    original: NDArray[np.uint8] | NDArray[np.float32],
    label: NDArray[np.int64],
    example: NDArray[np.int64],
    *,
    strength: float,
    grid: int,
    border: str,
    seed: int,
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Examples of the class images, of the same type, (image, channel, height, width)."""
    import torch

    from invtool.transforms.deformation import deform

    pixels = torch.from_numpy(original.astype(np.float32))
    number = torch.from_numpy(label * CLASS_STRIDE + example)
    result = np.empty((len(label), *original.shape[1:]), original.dtype)
    for first in range(0, len(label), PART):
        part = slice(first, first + PART)
        chosen = pixels[torch.from_numpy(label[part])]
        try:
            moved = deform(
                chosen, grid=grid, pixels=strength, border=border, seed=seed, index=number[part]
            )
        except ValueError as error:
            raise InvtoolError(
                f"images of {original.shape[2]}x{original.shape[3]} px: {error}"
            ) from None
        exact = moved.round() if original.dtype == np.uint8 else moved
        result[part] = exact.numpy()
    return result
