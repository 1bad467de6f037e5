"""By which law the convolutions of a network start, read without torch.

The scale does not matter here: normalized total variation does not change with it.
"""

NORMAL, TRUNCATED, UNIFORM = "normal", "truncated-normal", "uniform"
BUILT_IN = {
    "blocks": TRUNCATED,  # at two standard deviations
    "alexnet": NORMAL,
    "resnet18": NORMAL,
    "resnet20-cifar": NORMAL,
}
# Beginnings of torchvision's names. Where it truncates, it does so too far out to be seen.
TORCHVISION = {
    **dict.fromkeys(("resnet", "resnext", "wide_resnet", "vgg", "densenet", "mobilenet"), NORMAL),
    **dict.fromkeys(("efficientnet", "regnet", "mnasnet", "convnext"), NORMAL),
    **dict.fromkeys(("alexnet", "shufflenet"), UNIFORM),  # what torch does unless told otherwise
}


def law_of(architecture: str) -> str | None:
    """Law of the initial weights; None where it is not known.

    >>> law_of("blocks:filters=16"), law_of("torchvision:alexnet"), law_of("py:mine:make")
    ('truncated-normal', 'uniform', None)
    """
    kind, _, name = architecture.partition(":")
    if kind != "torchvision":
        return BUILT_IN.get(kind)
    return next((law for begin, law in TORCHVISION.items() if name.startswith(begin)), None)
