"""Measures as pure array functions: numpy, torch or any Array API array in, the same kind out.

One equation of one paper a module. Nothing here opens a file, prints, picks a device or seeds.
"""

from invtool.measures.ablation import activity_floor, chosen_tau
from invtool.measures.accuracy import group_accuracy
from invtool.measures.accuracy_threshold import accuracy_threshold_interval, falls
from invtool.measures.bootstrap import (
    accuracy_interval,
    category_weights,
    image_interval,
    percentile_interval,
)
from invtool.measures.boundary import boundary, boundary_interval
from invtool.measures.category_sums import CategorySums, spread_units
from invtool.measures.color_parts import color_change, color_parts, part_changes
from invtool.measures.confusion import confusion
from invtool.measures.corrections import corrected_log10_p
from invtool.measures.correlation import Correlation, correlation
from invtool.measures.cosine_distance import cosine_distance, square, squares
from invtool.measures.grid_uniformity import grid_uniformity
from invtool.measures.groups import GROUPS, group_indicator
from invtool.measures.highest import highest
from invtool.measures.initial_variation import LAWS, initial_variation
from invtool.measures.intervals import wilson_interval
from invtool.measures.invariance import (
    InvarianceAccumulator,
    InvarianceResult,
    NotFiniteError,
    invariance,
    peak,
)
from invtool.measures.jaggedness import absolute_change, changes, jaggedness, steps
from invtool.measures.kolmogorov import kolmogorov_log10_p
from invtool.measures.majority import majority
from invtool.measures.medians import MedianSpread, defined_median, median_spread
from invtool.measures.nonshiftability import nonshiftability
from invtool.measures.pair_distances import PairDistances
from invtool.measures.placement import placement
from invtool.measures.projection_loss import controlled_loss, projection_loss
from invtool.measures.relative_sensitivity import relative_sensitivity
from invtool.measures.rise import Law, Rise, rise
from invtool.measures.sensitivity import distance, median_of_pairs, sensitivity
from invtool.measures.shift_consistency import shift_consistency
from invtool.measures.spatial_parts import (
    displacement,
    part_displacements,
    spatial_matrix,
    spatial_parts,
)
from invtool.measures.tau_grid import TauGrid
from invtool.measures.threshold import SIDES, leaves, threshold, threshold_interval
from invtool.measures.top1 import TopImages, top1_score, top_images
from invtool.measures.total_variation import total_variation
from invtool.measures.uniformity import Uniformity, either_log10_p, uniformity

__all__ = [
    "GROUPS",
    "LAWS",
    "SIDES",
    "CategorySums",
    "Correlation",
    "InvarianceAccumulator",
    "InvarianceResult",
    "Law",
    "MedianSpread",
    "NotFiniteError",
    "PairDistances",
    "Rise",
    "TauGrid",
    "TopImages",
    "Uniformity",
    "absolute_change",
    "accuracy_interval",
    "accuracy_threshold_interval",
    "activity_floor",
    "boundary",
    "boundary_interval",
    "category_weights",
    "changes",
    "chosen_tau",
    "color_change",
    "color_parts",
    "confusion",
    "controlled_loss",
    "corrected_log10_p",
    "correlation",
    "cosine_distance",
    "defined_median",
    "displacement",
    "distance",
    "either_log10_p",
    "falls",
    "grid_uniformity",
    "group_accuracy",
    "group_indicator",
    "highest",
    "image_interval",
    "initial_variation",
    "invariance",
    "jaggedness",
    "kolmogorov_log10_p",
    "leaves",
    "majority",
    "median_of_pairs",
    "median_spread",
    "nonshiftability",
    "part_changes",
    "part_displacements",
    "peak",
    "percentile_interval",
    "placement",
    "projection_loss",
    "relative_sensitivity",
    "rise",
    "sensitivity",
    "shift_consistency",
    "spatial_matrix",
    "spatial_parts",
    "spread_units",
    "square",
    "squares",
    "steps",
    "threshold",
    "threshold_interval",
    "top1_score",
    "top_images",
    "total_variation",
    "uniformity",
    "wilson_interval",
]
