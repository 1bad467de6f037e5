"""Figures: arrays in, a matplotlib Figure (or lines of text) out. No files but the one saved, no state.

`violins` draws distributions, `curves` draws numbers against the number of seen categories,
`terminal` draws both in text without matplotlib; `density` is what they share, `style` how they look.
"""
