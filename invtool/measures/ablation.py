"""Which units are active, and from what activity on (Jang et al. 2020, arXiv:2007.00112; sections 2.2 and 3.2).

    unit k is active in image x  <=>  f_k(x) > tau,    f_k(x) = response of k to x / max over images of it

    tau* = the highest tau for which    intact - kept(tau) <= cost

kept is the accuracy where, in each image, all units but the active ones are set to zero, and intact
that of the whole network, both over untransformed and transformed images alike (the paper's
"overall"). The paper tries 0, 0.05, ..., 1 with cost = 0.01, one percentage point, and finds 0.1 on
faces and 0.05 on ImageNet. A unit that never responds above 0 is never active.
"""

from invtool.measures.arrays import Array, computable, namespace

ROUNDING = 1e-9  # by which a difference of two shares may be off


def activity_floor(peak: Array, tau: float) -> Array:
    """The response above which each unit is active, (unit...), from its highest response, (unit...).

    `tau` is a share of the highest response, 0 <= tau <= 1. No floor is below 0.

    >>> import numpy as np
    >>> floor = activity_floor(np.array([4.0, 0.0]), 0.5)
    >>> np.array([[4.0, 0.0], [2.0, 0.0], [2.5, 0.0]]) > floor
    array([[ True, False],
           [False, False],
           [ True, False]])
    """
    xp = namespace(peak)
    highest = computable(peak, xp)
    smallest = float(xp.finfo(highest.dtype).smallest_normal)  # stands for "above 0"
    return xp.maximum(highest * tau, xp.full_like(highest, smallest))


def chosen_tau(tau: Array, kept: Array, intact: Array, cost: float) -> float:
    """The highest of `tau` that costs at most `cost` of the overall accuracy; NaN where none does.

    `tau` is (tau,), in any order; `kept` is the accuracy with the active units alone, (condition,
    tau), and `intact` that of the whole network, (condition,): untransformed and transformed images.

    >>> import numpy as np
    >>> tau = np.array([0.0, 0.05, 0.1, 0.15])
    >>> kept = np.array([[0.90, 0.90, 0.89, 0.80], [0.80, 0.80, 0.79, 0.70]])
    >>> chosen_tau(tau, kept, np.array([0.9, 0.8]), cost=0.01)
    0.1
    >>> chosen_tau(tau, kept, np.array([0.99, 0.99]), cost=0.01)
    nan
    """
    xp = namespace(tau, kept, intact)
    lost = xp.mean(intact) - xp.mean(kept, axis=0)
    good = tau[lost <= cost + ROUNDING]
    return float(xp.max(good)) if good.shape[0] else float("nan")
