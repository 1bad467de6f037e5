"""Colors, for drawings with and without matplotlib.

Those of Okabe and Ito (2008) stay apart for every common color vision; `seen` is also darker than
`unseen`, so that they stay apart in gray. What is many (transforms) differs in its marker too, and what
has an order (numbers of seen categories) goes from dark to light.
"""

COLORS = {"all": "#009E73", "seen": "#0072B2", "unseen": "#E69F00"}
DARK = {"all": "#00694C", "seen": "#005A8E", "unseen": "#8A5F00"}  # for text on white
NAMES = {"all": "all categories", "seen": "seen categories", "unseen": "unseen categories"}
INK = "#222222"
FAINT = "#6B6B6B"

MANY = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5C00", "#332288")
MARKERS = "osD^vP*Xph<>"
ORDERED = ("#440154", "#3E4A89", "#26828E", "#35B779", "#B5C32A")  # viridis, short of its yellow


def of_many(number: int) -> tuple[str, str]:
    """Color and marker of the n-th of many; 24 differ in one of the two.

    >>> of_many(0) == of_many(24), of_many(0)[0] == of_many(8)[0], of_many(0)[1] == of_many(8)[1]
    (True, True, False)
    """
    return MANY[number % len(MANY)], MARKERS[number % len(MARKERS)]


def of_ordered(share: float) -> str:
    """The color at a share, 0 to 1, of the way from dark to light.

    >>> of_ordered(0), of_ordered(0.125), of_ordered(1)
    ('#440154', '#41256E', '#B5C32A')
    """
    at = share * (len(ORDERED) - 1)
    first = min(int(at), len(ORDERED) - 2)
    pair = [[int(ORDERED[i][c : c + 2], 16) for c in (1, 3, 5)] for i in (first, first + 1)]
    mixed = [a + (b - a) * (at - first) for a, b in zip(*pair, strict=True)]
    return "#" + "".join(f"{int(value):02X}" for value in mixed)
