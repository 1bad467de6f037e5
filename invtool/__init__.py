"""Measure what a convolutional network is invariant to, where in the network, and why.

The command line is `invtool`; the library is `invtool.measures` (one equation a module, numpy or
torch arrays) and `invtool.transforms` (image batch in, image batch out).
"""

__version__ = "0.1.0"
__date__ = "2026-11-21"
