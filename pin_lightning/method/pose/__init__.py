"""The pose stage: where the anatomy lies in a scan, and in which orientation.

The iteration of the paper in another shape space: the pose of the mean shape. Reading order:
`rigid`, `scans`, `network`, `samples`, `finder`.
"""

from pin_lightning.method.pose.finder import FoundPose, PoseFinder

__all__ = ["FoundPose", "PoseFinder"]
