"""Point lists in Slicer's scene, through its own storage code."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import slicer
from PINLandmarksLib.points import landmarks_of, markups_of


def add_points(scene: Any, volume: dict[str, Any]) -> Any:
    """Add the landmarks of a scan to a scene as a point list, and give its node."""
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", volume["name"])
    node.CreateDefaultDisplayNodes()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points.mrk.json"
        file.write_text(json.dumps(markups_of(volume)), "utf-8")
        _storage(scene, file, "ReadData", node)
    node.SetName(volume["name"])
    return node


def points_of(scene: Any, node: Any, names: list[str]) -> list[dict[str, Any]]:
    """Landmarks of a point list as the server takes them.

    Raises:
        ValueError: The points are not landmarks, or lie under a transform.
    """
    if node.GetParentTransformNode() is not None:
        raise ValueError(f"{node.GetName()}: lies under a transform; harden it or take it away")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "points.mrk.json"
        _storage(scene, file, "WriteData", node)
        return landmarks_of(json.loads(file.read_text("utf-8")), names)


def mark_missing(node: Any, index: int) -> None:
    """Mark a point as not there to be seen."""
    node.SetNthControlPointPositionMissing(index)


def take_up(node: Any, index: int) -> None:
    """Take up a point, so that it is the one that is placed next."""
    node.UnsetNthControlPointPosition(index)
    node.SetControlPointPlacementStartIndex(index)


def remove(scene: Any, node: Any) -> None:
    """Remove a node, if there is one and the scene was not closed since."""
    if node is not None and scene.IsNodePresent(node):
        scene.RemoveNode(node)


def _storage(scene: Any, file: Path, verb: str, node: Any) -> None:
    storage = slicer.vtkMRMLMarkupsJsonStorageNode()  # type: ignore[attr-defined]
    scene.AddNode(storage)
    try:
        storage.SetFileName(str(file))
        if not getattr(storage, verb)(node):
            raise ValueError(f"{node.GetName()}: Slicer could not read or write its points")
    finally:
        scene.RemoveNode(storage)
