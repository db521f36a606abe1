"""The demo archive: a miniature of East Kalimantan as real scenes in a real catalogue, with known truth."""

from enggang.simulate.archive import write_demo_archive
from enggang.simulate.area import demo_aoi, demo_feature
from enggang.simulate.spec import DemoSpec
from enggang.simulate.truth import Truth, read_truth

__all__ = ["DemoSpec", "Truth", "demo_aoi", "demo_feature", "read_truth", "write_demo_archive"]
