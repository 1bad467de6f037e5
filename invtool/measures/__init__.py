"""Measures as pure array functions: numpy, torch or any Array API array in, the same kind out.

One equation of one paper a module. Nothing here opens a file, prints, picks a device or seeds.
"""

from invtool.measures.ablation import activity_floor, chosen_tau
from invtool.measures.accuracy import group_accuracy
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
from invtool.measures.grid_uniformity import grid_uniformity
from invtool.measures.groups import GROUPS, group_indicator
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
from invtool.measures.placement import placement
from invtool.measures.projection_loss import controlled_loss, projection_loss
from invtool.measures.rise import Law, Rise, rise
from invtool.measures.shift_consistency import shift_consistency
from invtool.measures.spatial_parts import (
    displacement,
    part_displacements,
    spatial_matrix,
    spatial_parts,
)
from invtool.measures.tau_grid import TauGrid
from invtool.measures.top1 import TopImages, top1_score, top_images
from invtool.measures.uniformity import Uniformity, either_log10_p, uniformity

__all__ = [
    "GROUPS",
    "CategorySums",
    "Correlation",
    "InvarianceAccumulator",
    "InvarianceResult",
    "Law",
    "MedianSpread",
    "NotFiniteError",
    "Rise",
    "TauGrid",
    "TopImages",
    "Uniformity",
    "absolute_change",
    "accuracy_interval",
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
    "defined_median",
    "displacement",
    "either_log10_p",
    "grid_uniformity",
    "group_accuracy",
    "group_indicator",
    "image_interval",
    "invariance",
    "jaggedness",
    "kolmogorov_log10_p",
    "majority",
    "median_spread",
    "nonshiftability",
    "part_changes",
    "part_displacements",
    "peak",
    "percentile_interval",
    "placement",
    "projection_loss",
    "rise",
    "shift_consistency",
    "spatial_matrix",
    "spatial_parts",
    "spread_units",
    "steps",
    "top1_score",
    "top_images",
    "uniformity",
    "wilson_interval",
]
