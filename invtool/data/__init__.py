"""Image sets: what a data spec names, as arrays; and which categories are seen transformed."""
