"""The protocol of MONAI Label, so that clients that are made for it work.

Landmarks are what a ``detection`` model finds; labels are point lists of 3D Slicer (.mrk.json).
"""

from pin_lightning.annotation.monai_label.routes import LIMITS, router

__all__ = ["LIMITS", "router"]
