"""Figures: a drawing (`panels`) in, a matplotlib Figure, lines of text or rows out. No files but the one saved.

`violins`, `lines`, `matrix`, `scatter`, `spread`, `maps` and `film` draw with matplotlib, in the `style` of
print or slides; `terminal` draws the same in text, without it; `rows` gives the numbers back.
"""
