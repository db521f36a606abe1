"""Scenes on the AOI's grid: blocks of observations, checks, lazy cubes."""

from enggang.cube.checks import check_scene
from enggang.cube.lazy import open_cube
from enggang.cube.observe import observe_block

__all__ = ["check_scene", "observe_block", "open_cube"]
