"""What each kind of HDF5 file holds: read by the reader, by `verify` and by invtool-formats(5).

A path may hold one `*` for a layer's name; dimensions end in `...` where a unit has either one
axis `unit` or the three `channel, height, width`.
"""

from dataclasses import dataclass
from math import inf

FORMAT = 1
UNITS = "..."
UNIT_AXES = {1: ("unit",), 3: ("channel", "height", "width")}


@dataclass(frozen=True)
class Values:
    """What an array's elements may be."""

    text: str
    dtypes: str  # numpy's letters: b booleans, i and u integers, f floats, O and S text
    low: float = -inf
    high: float = inf
    nan: bool = False


ATTRIBUTES = {
    "invtool_kind": "The kind, one of those below.",
    "invtool_format": f"Number of the format: {FORMAT}.",
    "history": "CF text: time and command of each step, the newest first.",
    "provenance": "JSON list of the steps that led here, the oldest first; see PROVENANCE.",
    "invtool_order": "JSON list of the layers' names, from input to output.",
    "categories": "JSON list of the categories' names, by number (images, activations).",
    "data": "Spec of the data set that the images come from.",
    "model": "The network, as it was named (activations, invariance, ablation).",
    "pool": "Filter before the network's pooling layers subsample, as `avg6`; absent: none.",
    "antialias": "Filter before its strided layers subsample, as `blur3`; absent: none.",
    "trained_with": "Transform that the network was trained with; empty: none.",
    "seen_categories": "Number of categories that it saw transformed.",
    "categories_total": "Number of categories of the data set.",
    "image_height": "Height of its images in pixels (evaluation).",
    "model_seed": "Seed that the network was trained with.",
    "penultimate": "Name of the last layer before the classifier.",
    "layers": "JSON list of the layers whose units were set to zero (ablation).",
    "tau": "Activity above which a unit is active, as a share of its maximum (invariance).",
    "rectified": "1 where responses below 0 were taken as 0 (invariance).",
    "family": "The transform whose strength was raised, its other parameters with it (calibration).",
    "parameter": "The parameter that was raised (calibration).",
    "limit": "Accuracy that was to be fallen under (calibration).",
    "protocol": "embed, scale, crop or frames (jaggedness, shiftability).",
    "protocol_text": "The whole protocol, in words (jaggedness, shiftability).",
    "share": "Of its mean, by which a sum had to change (shiftability); of the accuracy, to be kept (itn).",
    "own_accuracy": "Top-1 accuracy on the images that measure, untransformed (itn).",
    "training_accuracy": "The same on the images that controllers were trained on (itn).",
    "training_images": "How many those are (itn).",
    "keep_scale": "1 where spatial matrices were kept from changing areas (itn).",
    "color_weight": "c_theta (itn).",
    "gate": "Whose accuracy a batch was held to: set or batch (itn).",
    "slack": "Accuracy that a batch might lack (itn).",
    "threshold": "Of the layer's highest response, that a map had to pass (shiftability).",
    "distance": "cosine or euclidean (deformation).",
    "grid": "Control points along each side (deformation).",
    "pixels": "Bound of their displacement in each direction, in pixels (deformation).",
    "border": "What lies beyond the image: zeros, edge or reflect (deformation).",
    "paired": "Images, spread evenly, whose pairs gave the median; all where it is not told (deformation).",
    "restarts": "Ascents to each worst deformation (deformation).",
    "steps": "Steps of each ascent (deformation).",
    "preset": "The preset that it started from (jaggedness).",
    "top": "k of the top k (jaggedness).",
    "target": "Which class was followed: label, first or each (jaggedness).",
    "keep": "Share of a network's own accuracy, under which it has fallen (sweep).",
    "test": "Test of uniformity: kolmogorov-smirnov or chi-square (bias).",
    "below": "p under which a category counts as biased (bias).",
    "correction": "How p is corrected for the number of categories: holm, bonferroni, fdr or none (bias).",
    "left_out": "An object: boxes of crowds, faulty ones skipped, and faulty ones that were clipped (bias).",
    "transform": "The transform that was found, or that the images went through (calibration, images).",
}
PROVENANCE = {
    "id": "Name of the step.",
    "previous": "Names of the steps that made its inputs.",
    "version": "Version of invtool.",
    "command": "The command line, quoted for a shell.",
    "reads": "Files that it read, `-` for standard input.",
    "writes": "Files that it wrote, `-` for standard output.",
    "config": "Every setting, given or default.",
    "time": "UTC; SOURCE_DATE_EPOCH where that is set.",
    "python": "Version of Python.",
    "torch": "Version of PyTorch; null where it was not loaded.",
    "device": "Where it ran; null where that is always the CPU.",
}
MODEL = {  # metadata, each value JSON text
    "architecture": "An object: name, and arguments that it is built with.",
    "input": "An object: channels, height, width, in pixels.",
    "normalization": "An object: kind `per-image`, or kind `channel` with mean and std on a scale of 0 to 1.",
    "categories": "List of the categories' names, by number.",
    "data": "Spec of the data set that it was trained on.",
    "transform": "Spec of the transform of the seen categories; empty: none.",
    "seen": "List of the numbers of the categories that were also shown transformed.",
    "training": "An object: how it was trained.",
}
MODEL_OPTIONAL = {
    "pool": "Filter before the pooling layers of the architecture subsample, as `avg6` or `blur3`.",
    "antialias": "Filter before its strided convolutions and slices subsample, as `blur3`.",
    "init_smooth": "Standard deviation in pixels of the Gaussian that smoothed its filters at initialization.",
    "accuracy": "An object: top-1 accuracy of all, seen and unseen categories, by condition.",
    "run": "An object: every setting of train.",
    "random_labels": "An object: training images had labels drawn at random by this seed; test images have their own.",
    "training_accuracy": "As accuracy, of the training images with their random labels.",
    "step": "Steps of training that the network has had, where the file is a checkpoint on the way.",
    "search": "An object: how learning rate and weight decay were found on held-out training images: rule, number of "
    "images held_out and of all training images, seen categories and seed of the network; trials, the best first, "
    "with learning_rate, weight_decay, epochs run, accuracy and loss on held-out images (null: diverged), and status "
    "best, finished, stopped or diverged.",
}

CONTROLLERS = "controllers"  # kind of file
CONTROLLERS_TOLD = {  # metadata of what itn wrote, likewise
    "starts": "How many starts it holds; the tensors of each are named by its number, from 0.",
    "seeds": "List of their seeds.",
    "keep_scale": "Whether spatial matrices are divided so that no area grows or shrinks.",
    "input": "An object: channels, height, width of the images that it was trained on.",
    "model": "The network that it was trained on.",
    "data": "Spec of the images.",
    "accuracy": "An object: the network's own, and the lowest of each start by space and by color.",
    "run": "An object: every setting of itn.",
}

WORDS = Values("text", "OS")
CATEGORY = Values("integers from 0", "iu", 0)
FLAG = Values("0 or 1", "iub", 0, 1)
PIXEL = Values("finite numbers", "uf")
NUMBER = Values("finite floats", "f")
COUNT = Values("whole numbers from 0", "iu", 0)
TAU = Values("shares in 0..1", "f", 0, 1)
SHARE = Values("floats in 0..1 or NaN", "f", 0, 1, nan=True)
POSITIVE = Values("floats from 0 or NaN", "f", 0, nan=True)
DIFFERENCE = Values("floats in -1..1 or NaN", "f", -1, 1, nan=True)
WHOLE = Values("whole numbers", "iu")
LOG10_P = Values("floats up to 0 or NaN", "f", high=0, nan=True)


@dataclass(frozen=True)
class Array:
    """What a kind holds under `path`.

    networks: whether a file of several networks has one more axis, `network`, before the others.
    transforms: whether a file of several transforms has it under `transforms/<name>/`, for each.

    The dimension `magnitude_2` is there where two transforms were swept together.
    """

    path: str
    dims: tuple[str, ...]
    text: str
    values: Values
    required: bool = True
    networks: bool = False
    transforms: bool = False


SECOND = "magnitude_2"
_TESTS = tuple(  # of bias
    array
    for test, of, dims in (
        ("position", "centers", ("category", "axis")),
        ("placement", "where boxes stand among the places where they fit", ("category", "axis")),
        ("size", "heights", ("category",)),
    )
    for array in (
        Array(
            f"{test}_statistic",
            dims,
            f"Largest distance D of {of} from uniform, by the test of Kolmogorov and Smirnov; NaN for "
            "fewer than two boxes.",
            SHARE,
            required=False,
        ),
        Array(
            f"{test}_chi_square",
            ("category",),
            f"Chi-square of {of} on a grid, by that test; NaN for too few boxes.",
            POSITIVE,
            required=False,
        ),
        Array(f"{test}_p", ("category",), "p of so large a statistic; 0 under 1e-308.", SHARE),
        Array(f"{test}_log10_p", ("category",), "Its logarithm to base 10.", LOG10_P),
        Array(
            f"{test}_corrected_log10_p",
            ("category",),
            "The same, corrected for the number of categories.",
            LOG10_P,
        ),
    )
)

_SWEPT = tuple(  # of each transform of a sweep
    Array(path, dims, text, values, required, networks, transforms=True)
    for path, dims, text, values, required, networks in (
        ("magnitude", ("magnitude",), "Strength of the transform, ascending.", NUMBER, True, False),
        ("identity", (), "Strength at which nothing changes.", NUMBER, True, False),
        (SECOND, (SECOND,), "Strength of the second transform.", NUMBER, False, False),
        ("identity_2", (), "Strength at which that changes nothing.", NUMBER, False, False),
        (
            "softmax",
            ("category", "magnitude", SECOND, "answer"),
            "Mean softmax of each answer over the images of a category.",
            SHARE,
            True,
            True,
        ),
        (
            "accuracy",
            ("category", "magnitude", SECOND),
            "Top-1 accuracy on the images of a category, 0 to 1.",
            SHARE,
            True,
            True,
        ),
        (
            "threshold",
            ("category", SECOND),
            (
                "Smallest change, on either side, at which the mean prediction leaves the category; NaN "
                "where it never does."
            ),
            POSITIVE,
            True,
            True,
        ),
        (
            "side_threshold",
            ("category", "side", SECOND),
            "The same on each side.",
            POSITIVE,
            True,
            True,
        ),
        (
            "threshold_interval",
            ("category", SECOND, "bound"),
            "Its bootstrap interval, 95 %, over images; NaN: beyond the range, or of one image.",
            POSITIVE,
            True,
            True,
        ),
        (
            "side_threshold_interval",
            ("category", "side", SECOND, "bound"),
            "The same on each side.",
            POSITIVE,
            True,
            True,
        ),
        (
            "overall_softmax",
            ("magnitude", SECOND, "answer"),
            "Mean softmax of each answer over all images.",
            SHARE,
            True,
            True,
        ),
        (
            "overall_accuracy",
            ("magnitude", SECOND),
            "Top-1 accuracy on all images, 0 to 1.",
            SHARE,
            True,
            True,
        ),
        (
            "overall_accuracy_interval",
            ("magnitude", SECOND, "bound"),
            "Its interval, Wilson's, 95 %, over images.",
            SHARE,
            True,
            True,
        ),
        (
            "overall_threshold",
            (SECOND,),
            (
                "Smallest change at which accuracy is under the share `keep` of its own; NaN where it "
                "never is."
            ),
            POSITIVE,
            True,
            True,
        ),
        (
            "overall_side_threshold",
            ("side", SECOND),
            "The same on each side.",
            POSITIVE,
            True,
            True,
        ),
        (
            "overall_threshold_interval",
            (SECOND, "bound"),
            "Its bootstrap interval, 95 %, over images; NaN: beyond the range.",
            POSITIVE,
            True,
            True,
        ),
        (
            "overall_side_threshold_interval",
            ("side", SECOND, "bound"),
            "The same on each side.",
            POSITIVE,
            True,
            True,
        ),
        (
            "prediction",
            ("image", "magnitude", SECOND),
            "Category that the network answers.",
            CATEGORY,
            True,
            True,
        ),
    )
)

KINDS: dict[str, tuple[Array, ...]] = {
    "images": (
        Array(
            "image",
            ("image", "channel", "height", "width"),
            "Pixels, uint8 or float32, in 0..255; float32 values of signed or unbounded transforms are not clipped.",
            PIXEL,
        ),
        Array("label", ("image",), "Category number, from 0.", CATEGORY),
        Array(
            "split", ("image",), "0 training, 1 test; all test where absent.", FLAG, required=False
        ),
    ),
    "activations": (
        Array("label", ("image",), "Category number of each image.", CATEGORY),
        Array(
            "seen",
            ("image",),
            "1 where the image's category was seen transformed in training, else 0.",
            FLAG,
            required=False,
        ),
        Array("index", ("image",), "Number of the image in its data set.", COUNT, required=False),
        Array(
            "condition", ("condition",), "Transform of each condition; the first is `none`.", WORDS
        ),
        Array(
            "prediction",
            ("condition", "image"),
            "Category that the network answers.",
            CATEGORY,
            required=False,
        ),
        Array(
            "layers/*/activation",
            ("condition", "image", UNITS),
            "Output of the layer as the next layer reads it, float32 or float16.",
            NUMBER,
        ),
    ),
    "invariance": (
        Array("transform", ("transform",), "Transform that the untransformed images face.", WORDS),
        Array("group", ("group",), "Images of all, of seen and of unseen categories.", WORDS),
        Array("label", ("image",), "Category number of each image.", CATEGORY, required=False),
        Array(
            "seen", ("image",), "1 where the category was seen transformed.", FLAG, required=False
        ),
        Array("condition", ("condition",), "Conditions of /accuracy.", WORDS, required=False),
        Array(
            "accuracy",
            ("condition", "group"),
            "Top-1 accuracy among all categories, 0 to 1; NaN for an empty group.",
            SHARE,
            required=False,
        ),
        Array(
            "layers/*/invariance",
            ("transform", "group", UNITS),
            "Invariance coefficient I_k, 0 to 1; NaN where undefined.",
            SHARE,
        ),
        Array(
            "layers/*/active_images",
            ("transform", "group", UNITS),
            "Number of images that activate the unit, the size of A_k.",
            COUNT,
        ),
        Array(
            "layers/*/active_units",
            ("transform", "image"),
            "Number of units that are active for the image.",
            COUNT,
        ),
        Array(
            "layers/*/top1_score",
            ("transform", UNITS),
            "Share of a unit's top 1 % of images that stay in it when transformed; NaN where silent, or measured from a network.",
            SHARE,
        ),
        Array("tau_grid", ("tau",), "Values of tau of /layers/*/*_by_tau.", TAU, required=False),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS, required=False),
        Array(
            "accuracy_interval",
            ("condition", "group", "bound"),
            "Bootstrap interval of the accuracy, 95 %, over categories; NaN for fewer than two.",
            SHARE,
            required=False,
        ),
        Array(
            "layers/*/median",
            ("transform", "group"),
            "Median of I_k over the units where it is defined.",
            SHARE,
            required=False,
        ),
        Array(
            "layers/*/median_interval",
            ("transform", "group", "bound"),
            "Bootstrap interval of the median, 95 %, over categories.",
            SHARE,
            required=False,
        ),
        Array(
            "layers/*/difference",
            ("transform",),
            "Median of I_k on seen minus that on unseen categories.",
            DIFFERENCE,
            required=False,
        ),
        Array(
            "layers/*/difference_interval",
            ("transform", "bound"),
            "Its bootstrap interval, 95 %, over categories.",
            DIFFERENCE,
            required=False,
        ),
        Array(
            "layers/*/coincide",
            ("transform",),
            "Chance of so large a difference if being seen changed nothing: a permutation test.",
            SHARE,
            required=False,
        ),
        Array(
            "layers/*/median_by_tau",
            ("transform", "group", "tau"),
            "Median of I_k at each tau of /tau_grid.",
            SHARE,
            required=False,
        ),
        Array(
            "layers/*/invariance_by_tau",
            ("tau", "transform", "group", UNITS),
            "I_k at each tau of /tau_grid; only where asked for.",
            SHARE,
            required=False,
        ),
    ),
    "ablation": (
        Array("tau", ("tau",), "Activity above which a unit is active, as a share.", TAU),
        Array("mode", ("mode",), "Units that stay: `keep-active`, `ablate-active`.", WORDS),
        Array(
            "condition", ("condition",), "Transform of each condition; the first is `none`.", WORDS
        ),
        Array("group", ("group",), "Images of all, of seen and of unseen categories.", WORDS),
        Array(
            "accuracy", ("mode", "condition", "tau"), "Top-1 accuracy on all images, 0 to 1.", SHARE
        ),
        Array(
            "group_accuracy",
            ("mode", "condition", "tau", "group"),
            "Top-1 accuracy on each group; NaN for an empty one.",
            SHARE,
        ),
        Array(
            "intact_accuracy",
            ("condition", "group"),
            "Top-1 accuracy with no unit set to zero; NaN for an empty group.",
            SHARE,
        ),
        Array(
            "active_share",
            ("condition", "tau"),
            "Share of the layers' units that are active, a mean over the images.",
            SHARE,
        ),
        Array(
            "chosen_tau",
            (),
            "Highest tau at which keeping the active units alone costs little; NaN where none does.",
            SHARE,
        ),
        Array("label", ("image",), "Category number of each image.", CATEGORY, required=False),
        Array(
            "seen", ("image",), "1 where the category was seen transformed.", FLAG, required=False
        ),
        Array("index", ("image",), "Number of the image in its data set.", COUNT, required=False),
    ),
    "evaluation": (
        Array(
            "condition", ("condition",), "Transform of each condition; the first is `none`.", WORDS
        ),
        Array("group", ("group",), "Images of all, of seen and of unseen categories.", WORDS),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS),
        Array("network", ("network",), "Networks, where there are several.", WORDS, required=False),
        Array(
            "accuracy",
            ("condition", "group"),
            "Top-1 accuracy among all categories, 0 to 1; NaN for an empty group.",
            SHARE,
            networks=True,
        ),
        Array(
            "wilson",
            ("condition", "group", "bound"),
            "Wilson's interval of the accuracy, 95 %, over images.",
            SHARE,
            networks=True,
        ),
        Array(
            "bootstrap",
            ("condition", "group", "bound"),
            "Bootstrap interval of the accuracy, 95 %, over categories; NaN for fewer than two.",
            SHARE,
            networks=True,
        ),
        Array(
            "confusion",
            ("condition", "true_group", "predicted_group", "correct"),
            "Shares of the images of the true group (seen, unseen) answered with a category of the "
            "predicted one, 0 wrong, 1 right; NaN for an empty group.",
            SHARE,
            networks=True,
        ),
        Array("label", ("image",), "Category number of each image.", CATEGORY),
        Array("index", ("image",), "Number of the image in its data set.", COUNT, required=False),
        Array(
            "seen",
            ("image",),
            "1 where the category was seen transformed.",
            FLAG,
            required=False,
            networks=True,
        ),
        Array(
            "prediction",
            ("condition", "image"),
            "Category that the network answers.",
            CATEGORY,
            networks=True,
        ),
        Array(
            "network_seen_categories",
            ("network",),
            "Categories that each network saw transformed; -1 where it does not say.",
            WHOLE,
            required=False,
        ),
        Array(
            "network_trained_with",
            ("network",),
            "Transform that each network was trained with.",
            WORDS,
            required=False,
        ),
        Array(
            "network_seed", ("network",), "Seed that each was trained with.", WHOLE, required=False
        ),
        Array("crops", ("crops",), "Random crops that vote.", COUNT, required=False),
        Array(
            "tta_prediction",
            ("crops", "image"),
            "Category that most crops of the image are given.",
            CATEGORY,
            required=False,
            networks=True,
        ),
        Array(
            "tta_accuracy",
            ("crops",),
            "Top-1 accuracy of the vote, 0 to 1.",
            SHARE,
            required=False,
            networks=True,
        ),
        Array(
            "tta_interval",
            ("crops", "bound"),
            "Its interval, Wilson's, 95 %, over images.",
            SHARE,
            required=False,
            networks=True,
        ),
        Array(
            "tta_changes",
            ("crops",),
            "Share of the images whose vote changes as they move by a pixel and other crops are drawn.",
            SHARE,
            required=False,
            networks=True,
        ),
        Array(
            "tta_changes_interval",
            ("crops", "bound"),
            "Its interval, Wilson's, 95 %, over images.",
            SHARE,
            required=False,
            networks=True,
        ),
        Array(
            "network_pool",
            ("network",),
            "Filter before the pooling layers of each subsample; empty: none.",
            WORDS,
            required=False,
        ),
        Array(
            "network_antialias",
            ("network",),
            "Filter before its strided layers subsample; empty: none.",
            WORDS,
            required=False,
        ),
    ),
    "jaggedness": (
        Array(
            "position", ("position",), "Pixels from the middle, pixels of size, or frames.", WHOLE
        ),
        Array("label", ("image",), "Category number of each image; -1: not known.", WHOLE),
        Array("name", ("image",), "File, or number in the data set.", WORDS),
        Array("measure", ("measure",), "What is measured, of /value and /interval.", WORDS),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS),
        Array(
            "network",
            ("network",),
            "Networks, or sizes of the object, where there are several.",
            WORDS,
            required=False,
        ),
        Array("object_size", ("network",), "Size of the object, in pixels.", COUNT, required=False),
        Array("protocol_text", ("network",), "Protocol of each, in words.", WORDS, required=False),
        Array(
            "probability",
            ("image", "position"),
            "Probability of the class that is followed; NaN at a position that the image lacks.",
            SHARE,
            networks=True,
        ),
        Array(
            "top1",
            ("image", "position"),
            "Category answered; -1 at a position that the image lacks.",
            WHOLE,
            networks=True,
        ),
        Array(
            "in_topk",
            ("image", "position"),
            "1 where the followed class is among the top k.",
            FLAG,
            networks=True,
        ),
        Array(
            "jaggedness",
            ("image",),
            "Entries to and exits from the top k.",
            COUNT,
            networks=True,
        ),
        Array(
            "followed", ("image",), "Category whose probability is followed.", WHOLE, networks=True
        ),
        Array(
            "change",
            ("image",),
            "Mean absolute change of a probability in a step; NaN without any.",
            SHARE,
            networks=True,
        ),
        Array(
            "value",
            ("measure",),
            "Each measure over all images; NaN where no image tells.",
            POSITIVE,
            networks=True,
        ),
        Array(
            "interval",
            ("measure", "bound"),
            "Its bootstrap interval, 95 %, over images.",
            POSITIVE,
            networks=True,
        ),
        Array(
            "example",
            ("example",),
            "Number of each image whose frames are kept, from 0.",
            COUNT,
            required=False,
        ),
        Array(
            "example_frame",
            ("example", "position", "channel", "height", "width"),
            "Frames of the most jagged images, of at most 112 pixels a side.",
            PIXEL,
            required=False,
        ),
    ),
    "shiftability": (
        Array("position", ("position",), "Pixels from the middle, or pixels of size.", WHOLE),
        Array("name", ("image",), "File, or number in the data set.", WORDS),
        Array("layer", ("layer",), "Names of the layers, input to output.", WORDS),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS),
        Array(
            "nonshiftability",
            ("layer",),
            "Steps at which the global sum of a map changes, mean of maps and images; NaN without any.",
            POSITIVE,
        ),
        Array(
            "interval", ("layer", "bound"), "Its bootstrap interval, 95 %, over images.", POSITIVE
        ),
        Array(
            "subsampling",
            ("layer",),
            "Pixels of the input from a position of the layer to the next.",
            NUMBER,
        ),
        Array(
            "layers/*/global_sum",
            ("image", "position", "channel"),
            "Sum of a feature map over its positions.",
            NUMBER,
        ),
        Array(
            "layers/*/highest",
            ("image", "channel"),
            "Highest response of a map, at any place and position.",
            NUMBER,
        ),
        Array(
            "layers/*/changes",
            ("image", "channel"),
            "Steps at which the sum changes; NaN for a map that responds too weakly.",
            POSITIVE,
        ),
    ),
    "deformation": (
        Array("network", ("seed",), "Networks: files, or names of architectures.", WORDS),
        Array(
            "label",
            ("seed",),
            "What each network is, in words that the seeds of one recipe share.",
            WORDS,
        ),
        Array("step", ("seed",), "Training step of a checkpoint; -1 of a whole model.", WHOLE),
        Array("trained", ("seed",), "0 where the weights are those of initialization.", FLAG),
        Array("layer", ("layer",), "Names of the layers, the first `input`.", WORDS),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS),
        Array("axis", ("axis",), "Axes of a displacement: vertical, horizontal.", WORDS),
        Array("index", ("image",), "Number of the image in its data set.", COUNT, required=False),
        Array(
            "sensitivity",
            ("seed", "layer"),
            "Mean distance of a deformed image from itself over the median distance of two images; NaN "
            "where that is 0, or the network has no such layer.",
            POSITIVE,
        ),
        Array(
            "interval",
            ("seed", "layer", "bound"),
            "Its bootstrap interval, 95 %, over images; the median is taken as given.",
            POSITIVE,
        ),
        Array(
            "median",
            ("seed", "layer"),
            "Median distance of all pairs of images, or of those that `paired` counts.",
            POSITIVE,
        ),
        Array(
            "distance",
            ("seed", "draw", "image", "layer"),
            "Distance of each deformed image from itself; NaN where the layer does not respond.",
            POSITIVE,
        ),
        Array(
            "displacement",
            ("draw", "image", "point", "axis"),
            "Displacement of each control point, in pixels, row by row of the grid.",
            NUMBER,
        ),
        Array(
            "relative",
            ("seed", "layer"),
            "Mean distance by deformation over that by noise of the same norm; NaN where that is 0.",
            POSITIVE,
            required=False,
        ),
        Array(
            "relative_interval",
            ("seed", "layer", "bound"),
            "Its bootstrap interval, 95 %, over images.",
            POSITIVE,
            required=False,
        ),
        Array(
            "noise_distance",
            ("seed", "draw", "image", "layer"),
            "Distance of each image from itself with such noise.",
            POSITIVE,
            required=False,
        ),
        Array(
            "worst",
            ("seed", "layer"),
            "As /sensitivity, of the worst deformations found; NaN where none were looked for.",
            POSITIVE,
            required=False,
        ),
        Array(
            "worst_interval",
            ("seed", "layer", "bound"),
            "Its bootstrap interval, 95 %, over images.",
            POSITIVE,
            required=False,
        ),
        Array(
            "worst_distance",
            ("seed", "image", "layer"),
            "Distance of each image from itself under its worst deformation for the layer.",
            POSITIVE,
            required=False,
        ),
        Array(
            "worst_displacement",
            ("seed", "image", "layer", "point", "axis"),
            "Displacement of each control point in it, in pixels; NaN where none was looked for.",
            Values("floats or NaN", "f", nan=True),
            required=False,
        ),
        Array(
            "transfer",
            ("seed", "seed_of", "layer"),
            "Sensitivity of a network (seed) to the deformations that are worst for another (seed_of).",
            POSITIVE,
            required=False,
        ),
    ),
    "sweep": (
        Array("transform", ("transform",), "Transforms that were swept.", WORDS),
        Array("category", ("category",), "Names of the categories that have images.", WORDS),
        Array("category_number", ("category",), "Their numbers.", COUNT),
        Array("answer", ("answer",), "Names of the categories that the network answers.", WORDS),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS),
        Array("side", ("side",), "Of where nothing changes: below, above.", WORDS),
        Array("network", ("network",), "Networks, where there are several.", WORDS, required=False),
        Array("label", ("image",), "Category number of each image.", CATEGORY),
        Array("index", ("image",), "Number of the image in its data set.", COUNT, required=False),
        *_SWEPT,
        Array(
            "example",
            ("example",),
            "Category number of each image that is kept.",
            CATEGORY,
            required=False,
        ),
        Array(
            "sample",
            ("sample",),
            "Magnitudes at which images are kept.",
            NUMBER,
            required=False,
            transforms=True,
        ),
        Array(
            "sample_frame",
            ("example", "sample", "channel", "height", "width"),
            "Those images, of at most 64 pixels a side.",
            PIXEL,
            required=False,
            transforms=True,
        ),
    ),
    "itn": (
        Array("seed", ("seed",), "Seed of each start.", COUNT),
        Array("label", ("image",), "Category number of each image that measures.", CATEGORY),
        Array("index", ("image",), "Number of the image in its data set.", COUNT),
        Array("classification_loss", ("seed", "step"), "Cross-entropy of the batch.", POSITIVE),
        Array("magnitude_loss", ("seed", "step"), "c_theta L_k2(color) + L_k1(space).", NUMBER),
        Array("batch_accuracy", ("seed", "step"), "Share of it that is answered right.", TAU),
        Array(
            "kept",
            ("seed", "step"),
            "1 where that was enough to take the magnitude loss, else the classification loss.",
            FLAG,
        ),
        Array("k", ("k",), "Values of each number of k1 and k2, from 0 to 1.", TAU),
        Array("corner", ("corner",), "Corners of k1 and k2.", WORDS),
        *(
            Array(f"{part}_{name}", ("seed", "k", "k_second", *more), text, values)
            for part, other, unit in (("space", "k2", "px"), ("color", "k1", "gray levels"))
            for name, more, text, values in (
                ("matrix", (f"{part}_row", f"{part}_column"), f"A of {part}.", NUMBER),
                ("size", (), f"What it amounts to, in {unit}, a mean.", POSITIVE),
                ("accuracy", (), f"Top-1 accuracy on held-out images, {other} at 0.", TAU),
                ("probability", (), "Softmax of the true category, a mean over images.", TAU),
                ("prediction", ("image",), "Category answered.", CATEGORY),
                ("softmax", ("example", "category"), "Softmax of every category.", TAU),
            )
        ),
        Array(
            "space_parts",
            ("seed", "k", "k_second", "space_part"),
            "Shift right and down (px), rotation anticlockwise (degrees), scale x and y, shear; NaN: undefined.",
            Values("floats or NaN", "f", nan=True),
        ),
        Array(
            "color_parts",
            ("seed", "k", "k_second", "color_part", "channel"),
            "Gain, mixing from other channels, brightness (gray levels).",
            NUMBER,
        ),
        *(
            Array(
                f"{part}_k_kept",
                ("seed", "number"),
                "Largest value of either number of k, the other 0, with accuracy kept; NaN: none.",
                SHARE,
            )
            for part in ("space", "color")
        ),
        Array("both_accuracy", ("seed", "corner"), "Top-1 accuracy, k1 and k2 alike.", TAU),
        Array("example", ("example",), "Place of each example among the images.", COUNT),
        Array("example_image", ("example", "channel", "height", "width"), "As it was.", PIXEL),
        *(
            Array(
                f"{part}_picture",
                ("seed", "corner", "example", "channel", "height", "width"),
                f"Examples at the corners of {k}, clipped to 0..255.",
                PIXEL,
            )
            for part, k in (("space", "k1"), ("color", "k2"))
        ),
        Array("path", ("path",), "Transformations, single and learned ones.", WORDS),
        Array("path_part", ("path",), "space (px) or color (gray levels).", WORDS),
        Array("path_seed", ("path",), "Seed of a learned one; -1 of a single one.", WHOLE),
        Array("path_magnitude", ("path", "magnitude"), "What they amount to.", POSITIVE),
        Array(
            "path_accuracy",
            ("path", "magnitude"),
            "Top-1 accuracy; NaN beyond where it surely fell.",
            SHARE,
        ),
        Array("boundary", ("path",), "Largest magnitude with accuracy kept.", POSITIVE),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS),
        Array(
            "boundary_interval",
            ("path", "bound"),
            "Its bootstrap interval, 95 %, over images.",
            POSITIVE,
        ),
        Array(
            "boundary_found",
            ("path",),
            "0 where accuracy is kept as far as was tried, which the boundary then is.",
            FLAG,
        ),
    ),
    "calibration": (
        Array("strength", ("step",), "Strength of the transform, from none upwards.", NUMBER),
        Array("accuracy", ("step",), "Top-1 accuracy on all images, 0 to 1.", SHARE),
        Array("bound", ("bound",), "Ends of an interval: lower, upper.", WORDS),
        Array("wilson", ("step", "bound"), "Wilson's interval, 95 %, over images.", SHARE),
    ),
    "smoothness": (
        Array("network", ("network",), "Files of the networks.", WORDS),
        Array(
            "label",
            ("network",),
            "What each is, in words that the seeds of one recipe share.",
            WORDS,
        ),
        Array("step", ("network",), "Training step of each; -1 where it is no checkpoint.", WHOLE),
        Array("layer", ("layer",), "Names of the layers of any network.", WORDS),
        Array("axis", ("axis",), "Axes of a kernel: height, width.", WORDS),
        Array(
            "kernel",
            ("network", "layer", "axis"),
            "Size of the layer's kernels in pixels; 0 where a network has no such layer.",
            COUNT,
        ),
        Array("filters", ("network", "layer"), "Its number of filters, outputs x inputs.", COUNT),
        Array(
            "total_variation",
            ("network", "layer"),
            "Normalized total variation TV(W) / ||W||_1; NaN where a network has no such layer, or one "
            "of zeros.",
            POSITIVE,
        ),
        Array(
            "initial",
            ("network", "layer"),
            "The same, expected at initialization; NaN where its law is not known.",
            POSITIVE,
        ),
        Array(
            "initial_deviation",
            ("network", "layer"),
            "Its standard deviation over initializations.",
            POSITIVE,
        ),
    ),
    "bias": (
        Array("category", ("category",), "Names of the categories.", WORDS),
        Array("axis", ("axis",), "Axes of the image: horizontal, vertical.", WORDS),
        Array("count", ("category",), "Number of boxes.", COUNT),
        Array(
            "center_mean",
            ("category", "axis"),
            "Mean center of the boxes, from the left and from the top, in units of the image.",
            TAU,
        ),
        Array("center_sd", ("category", "axis"), "Its standard deviation.", SHARE),
        Array(
            "height_mean", ("category",), "Mean height of the boxes, in units of the image.", TAU
        ),
        Array("height_sd", ("category",), "Its standard deviation.", SHARE),
        *_TESTS,
        Array("center", ("box", "axis"), "Center of each box, in units of the image.", TAU),
        Array("height", ("box",), "Height of each box, in units of the image.", TAU),
        Array("box_category", ("box",), "Number of its category.", CATEGORY),
    ),
}


def contract(kind: str) -> dict[str, Array]:
    """The arrays of a kind by their `pattern`."""
    found = {array.path: array for array in KINDS[kind]}
    each = {f"transforms/*/{path}": array for path, array in found.items() if array.transforms}
    return found | each


def pattern(name: str) -> str:
    """The path, with a star for a layer or a transform, that an array's name belongs to.

    >>> pattern("layers/conv1/activation")
    'layers/*/activation'
    """
    before, _, leaf = name.rpartition("/")
    top = before.partition("/")[0]
    return f"{top}/*/{leaf}" if top in ("layers", "transforms") and before != top else name
