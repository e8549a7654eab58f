"""Tensor aliases, and the axis names of all shape annotations.

======  ==========================================================================
Axis    Meaning
======  ==========================================================================
B       samples of a training batch
V       volumes
S       starts (initial positions of the iteration)
N       points in shape space at once (B in training, V times S in inference)
L       landmarks
K       shape parameters
C       patch channels, three planes per landmark: 3 L
P       side of a square patch in voxels, odd
T       iterations
X Y Z   voxels of the working volume
======  ==========================================================================

Frames: ``_world`` is RAS+ millimetres of the scanner, ``_mm`` is millimetres from the centre of the
working volume along its axes, ``_ijk`` is a voxel index of the working volume, centres at integers.
"""

from jaxtyping import Bool, Float, Int, Integer, Num, Shaped, UInt8
from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Integer", "Num", "Shaped", "Tensor", "UInt8"]
