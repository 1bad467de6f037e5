"""Streams, HDF5 and safetensors files, provenance, tables. Nothing here knows what a measure is."""
