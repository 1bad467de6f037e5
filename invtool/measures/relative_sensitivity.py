r"""Sensitivity to deformation beside that to noise that changes the image as much.

    R = mean over x of d(r(x), r(tau x)) / mean over x of d(r(x), r(x + eta)),   |eta| = |tau x - x|

eta is white noise, scaled to the length of the change that the deformation tau makes to the image.
Under 1 a layer feels deformations less than noise: it has learned that they do not matter. Where
sensitivity alone tells little of a network's test error, R goes along with it.

Source: Petrini, Favero, Geiger and Wyart 2021, *Relative stability toward diffeomorphisms indicates
performance in deep nets*, equation 4. Their d is the squared Euclidean distance.
"""

from typing import Any

from invtool.measures.sensitivity import Floats, above_zero, mean_defined


def relative_sensitivity(deformed: Any, noised: Any) -> Floats:
    """R of each layer, (...,) from 0; NaN where an average is undefined, or that of noise is 0.

    Both are distances, (..., image), of which NaN is left out.

    >>> relative_sensitivity([[0.1, 0.3]], [[0.4, 0.4]])
    array([0.5])
    """
    return mean_defined(deformed) / above_zero(mean_defined(noised))
