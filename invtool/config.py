"""What each command needs to know. A default is written here and nowhere else: the command line
shows it, the stage uses it, and the output file records it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Data:
    data: str = "faces"
    seed: int = 0  # of the embedded data sets and of random splits
    limit: int | None = None  # images of each split
    download: bool = False


@dataclass(frozen=True)
class Train:
    data: str = "faces"
    network: str = "blocks"
    transform: str = ""  # spec; empty: none
    seen: tuple[int, ...] = (0,)  # categories that are also shown transformed, a network each
    seeds: int = 1  # networks for each count of seen categories
    seed: int = 0  # of the first network
    recipe: str = "fast"
    epochs: int | None = None  # passes over as many images as the training set holds
    batch_size: int | None = None  # images a step
    learning_rate: float | None = None
    weight_decay: float | None = None
    pool: str = ""  # filter before the subsampling of pooling layers; empty: none
    antialias: str = ""  # the same of strided layers
    search: bool = False  # for the learning rate and the weight decay
    search_rates: tuple[float, ...] | None = None  # None: around the learning rate
    search_decays: tuple[float, ...] | None = None  # None: around the weight decay
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None  # None: all cores
    checkpoint_every: float = 60.0  # seconds
    checkpoint_at: str = ""  # steps after which a model file is kept, as 0,10,100, or log
    random_labels: bool = False  # of the training images, in place of their own
    limit: int | None = None  # training images, spread over the categories
    init_smooth: float = 0.0  # pixels: sigma of a Gaussian over each filter at initialization
    at_once: int = 1  # networks that train at the same time


@dataclass(frozen=True)
class Transform:
    transforms: tuple[str, ...] = ()  # specs; more than one only for a contact sheet
    sources: tuple[str, ...] = ("-",)  # image files, folders of them, or one images file
    data: str = ""  # spec, instead of sources
    form: str = "h5"  # h5, folder or sheet; pdf, png or svg of the vector field
    size: int | None = None  # pixels; None: as they are
    limit: int | None = None  # images, spread evenly; None: all, 8 of a sheet or of vector fields
    seed: int = 0  # of random transforms


@dataclass(frozen=True)
class Subject:
    """A network to measure, and the images to show it: what such commands have in common."""

    model: str = "-"
    data: str = ""  # spec; empty: what the model was trained on
    transforms: tuple[str, ...] = ()  # specs; empty: what the model was trained with
    batch_size: int | None = None  # images a forward pass; None: found by size
    limit: int | None = None  # images, spread evenly over the test set
    seed: int = 0  # of random transforms
    device: str = "auto"
    precision: str = "fp32"
    threads: int | None = None  # None: all cores
    weights: str | None = None
    untrained: bool = False
    size: int | None = None  # pixels
    mean: tuple[float, ...] | None = None  # of each channel, on a scale of 0 to 1
    std: tuple[float, ...] | None = None
    pool: str = ""  # filter before the subsampling of pooling layers; empty: as the network has it
    antialias: str = ""  # the same of strided layers


@dataclass(frozen=True)
class Activations(Subject):
    layers: tuple[str, ...] = ("all",)
    dtype: str = "float32"


@dataclass(frozen=True)
class Evaluate(Subject):
    models: tuple[str, ...] = ("-",)
    group: str = "all"  # that the table of several models shows
    tta: tuple[int, ...] = ()  # random crops whose answers a majority decides, ascending


@dataclass(frozen=True)
class Invariance(Subject):
    layers: tuple[str, ...] = ("all",)
    tau: float = 0.1  # share of a unit's highest response, as the paper has it for AlexNet on faces
    auto_tau: bool = False  # the one that ablation of the penultimate layer allows, instead
    tau_grid: bool = False  # I_k of every unit at every tau, and not only of the penultimate layer
    rectify: bool = False  # take responses below 0 as 0
    resamples: int = 1000  # of the categories, for intervals and the permutation test; 0: none


@dataclass(frozen=True)
class Ablate(Subject):
    layers: tuple[str, ...] = ("penultimate",)
    tau: tuple[float, ...] = tuple(step / 20 for step in range(21))  # shares of a highest response
    cost: float = 0.01  # of the overall accuracy, that keeping the active units alone may take


@dataclass(frozen=True)
class Calibrate(Subject):
    below: float = 0.1  # accuracy to fall under; the paper's for faces
    step: float | None = None  # in the strength's unit; None: the transform's own
    most: int = 40  # strengths to try


@dataclass(frozen=True)
class Sweep(Subject):
    models: tuple[str, ...] = ("-",)
    beside: str = ""  # range of a second transform, applied after each of the others: a grid
    keep: float = 0.9  # share of a network's own accuracy, under which it has fallen
    examples: int = 10  # categories whose first image is kept as it is changed
    resamples: int = 1000  # of the images, for intervals; 0: none


@dataclass(frozen=True)
class Itn(Subject):
    color_weight: float = 1.0  # c_theta
    hidden: int = 32  # units of each controller
    learning_rate: float = 0.001
    steps: int = 1000
    train_batch: int = 32  # images a step
    vectors: int = 256  # unit vectors a step
    seeds: int = 1  # starts
    slack: float = 0.0  # of accuracy, that a batch may fall below the network's own
    gate: str = "set"  # or batch: whose own accuracy that is
    keep_scale: bool = False
    held_out: float = 0.5  # share of the images that only measure
    share: float = 0.9  # of the network's own accuracy, that is to be kept
    grid: int = 5  # values of each of k, 0 to 1
    reach: int = 16  # magnitudes at which a transformation is tried
    examples: int = 4  # images that are kept transformed
    resamples: int = 1000  # of the images, for intervals; 0: none


@dataclass(frozen=True)
class Moved(Subject):
    """How an image moves before a network: what such commands have in common."""

    protocol: str = "embed"  # or scale, crop, frames
    direction: str = "vertical"  # or horizontal, diagonal
    fill: str = "inpaint"  # or black, edge, mean, zero
    object: tuple[int, ...] = ()  # pixels; empty: 100 of 224, or as large a share of the input
    range: tuple[int, int] | None = None  # pixels from the middle; None: -12 to 12, or what fits
    step: int = 1  # pixels
    aspect: str = "auto"  # of the object; square, whole or random; auto: whole to crop, else square
    area: float = 1.0  # share of a photograph that a random crop keeps


@dataclass(frozen=True)
class Jagged(Moved):
    models: tuple[str, ...] = ("-",)
    preset: str = "paper"
    top: int | None = None  # k of the top-k classes; None: 5, or 1 of fewer than 20 categories
    target: str = "label"  # class whose probability is followed; or first, each
    boxes: str | None = None
    examples: int = 6  # most jagged images, whose frames are kept
    resamples: int = 1000  # of the images, for intervals; 0: none


@dataclass(frozen=True)
class Shiftable(Moved):
    layers: tuple[str, ...] = ("all",)
    limit: int | None = 10  # images, as many as the paper's
    share: float = 0.2  # of its mean, by which a sum has to change
    threshold: float = 0.1  # of the layer's highest response, that a map has to pass
    resamples: int = 1000  # of the images, for intervals; 0: none


@dataclass(frozen=True)
class Deform(Subject):
    models: tuple[str, ...] = ("-",)
    layers: tuple[str, ...] = ("all",)
    limit: int | None = 128  # images, as many as the paper's
    paired: int | None = None  # images whose pairs give the median distance; None: all
    draws: int = 1  # deformations of each image
    grid: int | None = None  # control points a side; None: 3, of 128 px and more 5
    pixels: float | None = None  # bound of a point's displacement; None: 2, of 128 px and more 10
    border: str = "edge"  # what lies beyond the image; or reflect, zeros
    distance: str = "cosine"  # or euclidean
    noise: bool = False  # also noise of the same norm
    worst: bool = False  # also the worst deformation within the bound
    worst_layers: tuple[str, ...] = ()  # whose distance it makes large; empty: the last one
    restarts: int = 3  # ascents to it
    steps: int = 20  # of each ascent
    resamples: int = 1000  # of the images, for intervals; 0: none


# What the names of --preset stand for, where that is not the default.
PRESETS: dict[str, dict[str, object]] = {
    "paper": {},
    "authors-script": {
        "protocol": "crop",
        "direction": "diagonal",
        "fill": "zero",
        "object": (234,),
        "range": (-5, 3),
        "top": 1,
        "target": "each",
        "aspect": "random",
        "area": 0.7,
    },
}


@dataclass(frozen=True)
class Bias:
    sources: tuple[str, ...] = ("-",)  # files of boxes, or folders of them
    test: str = "kolmogorov-smirnov"  # or chi-square
    below: float = 1e-10  # p to fall under, the paper's
    correction: str = "holm"  # for the number of categories: holm, bonferroni, fdr or none
    corners: str = "auto"  # edges, from-0 or from-1; auto goes by the format
    faulty: str = "refuse"  # or skip, clip: boxes outside their image or of no size


@dataclass(frozen=True)
class Smoothness:
    models: tuple[str, ...] = ("-",)  # files, or folders of checkpoints
    layers: tuple[str, ...] = ("all",)
    law: str = "auto"  # of the initial weights; auto: what the network's metadata say


@dataclass(frozen=True)
class Demo:
    categories: int = 50  # faces
    seen: tuple[int, ...] = (0, 10, 40)  # of them, a network each
    network: str = "blocks:filters=16"  # a third of the default's seconds, and the same story
    epochs: int = 10
    transform: str = "blur"
    seed: int = 0


@dataclass(frozen=True)
class Reproduce:
    study: str = "categories"  # or shifts, deformation, sensitivity
    data: str = ""  # spec; empty: what the scale has
    scale: str = "small"  # or paper
    options: tuple[str, ...] = ()  # of Snakemake, as they are


@dataclass(frozen=True)
class Findings:
    study: str = "categories"  # or shifts, deformation, sensitivity
    sources: tuple[str, ...] = ()  # results, and figures of a page


@dataclass(frozen=True)
class Plot:
    kind: str = "auto"
    layers: tuple[str, ...] = ()  # globs; empty: all, or the last one where layers are not compared
    group: str = "auto"
    format: str = "png"  # text, pdf, svg, png, gif, mp4, csv or json
    style: str = "print"  # or slides
    title: str = ""
    width: float | None = None  # inches; None: as wide as what is drawn
    height: float | None = None  # inches
    dpi: int = 200  # dots an inch, of a PNG
    categories: tuple[str, ...] = ()  # globs, of bias; empty: all together, most and least biased
    example: int | None = None  # which image of moving and sums, from 1; None: the first
