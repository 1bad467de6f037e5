"""The training loop of the across-category paradigm, its recipes and its checkpoints."""
