"""How accurate, and how late: the figures that the product is measured by."""

from enggang.evaluate.detector import detector

__all__ = ["detector"]
