"""Enggang: forest alerts for a province, from Sentinel scenes to map layers."""

__version__ = "0.1.0"
