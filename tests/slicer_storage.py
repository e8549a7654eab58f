"""Point lists read and written by the storage code of 3D Slicer itself.

It is the package `slicer-core` (Python 3.11), in the virtual environment that `PIN_SLICER` names.
This file is also the program that runs there: orders as JSON on standard input, answers on standard
output.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

SLICER = Path(os.environ.get("PIN_SLICER", ".cache/slicer")).absolute() / "bin" / "python"
ADVICE = "python3.11 -m venv ENV && ENV/bin/pip install slicer-core requests && "
ADVICE += "ENV/bin/pip install --no-deps monailabel==0.8.5, and set PIN_SLICER=ENV"
MODULE = Path(__file__).resolve().parents[1] / "slicer" / "PINLandmarks"
SCENE = MODULE / "PINLandmarksLib" / "scene.py"
STATUSES = ("undefined", "preview", "defined", "missing")  # their numbers in Slicer


def read_by_slicer(*paths):
    """Points of each file: label, description, status, and world position (RAS mm)."""
    return _ordered([{"read": str(path)} for path in paths])


def write_by_slicer(points, *paths):
    """Let Slicer make a point list and write it to files; gives what it would show."""
    return _ordered([{"points": points, "write": list(map(str, paths))}])[0]


def resaved_by_slicer(path, *paths):
    """Let Slicer open a file and save it to others, one after the other."""
    return _ordered([{"read": str(path), "write": list(map(str, paths))}])[0]


def images_in_slicer(*paths):
    """World position (RAS mm) of the brightest voxel of each image, as Slicer shows it."""
    return _ordered([{"image": str(path)} for path in paths])


def in_scene(volume, changes):
    """Let the module put a scan's points into a scene: landmarks before and after changes there."""
    return _ordered([{"volume": volume, **changes}])[0]


def correct_by_module(address, token, folder, move):
    """Let the module fetch the next scan from a server, move landmarks, and save it twice."""
    order = {"address": address, "token": token, "folder": str(folder), "move": move}
    return _ordered([order])[0]


def answered(program, order, timeout=120):
    """What a program answers to an order, in the virtual environment of 3D Slicer's packages."""
    import pytest

    if not SLICER.is_file():
        pytest.skip(f"{SLICER} is not there: {ADVICE}")
    done = subprocess.run(
        [SLICER, program],
        input=json.dumps(order),
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": ""},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def _ordered(orders):
    return answered(__file__, orders)


def _storage(scene, path):
    import slicer

    is_json = path.endswith(".json")
    kind = "vtkMRMLMarkupsJsonStorageNode" if is_json else "vtkMRMLMarkupsFiducialStorageNode"
    storage = getattr(slicer, kind)()
    scene.AddNode(storage)
    storage.SetFileName(path)
    return storage


def _place(node, point):
    index = node.AddControlPointWorld(point["position"], point["label"])
    node.SetNthControlPointDescription(index, point.get("description", ""))
    if point.get("status") == "missing":
        node.SetNthControlPointPositionMissing(index)
    elif point.get("status") == "undefined":
        node.UnsetNthControlPointPosition(index)


def _shown(node):
    for index in range(node.GetNumberOfControlPoints()):
        position = [0.0] * 3
        node.GetNthControlPointPositionWorld(index, position)
        yield {
            "label": node.GetNthControlPointLabel(index),
            "description": node.GetNthControlPointDescription(index),
            "status": STATUSES[node.GetNthControlPointPositionStatus(index)],
            "position": position,
        }


def _changed_in_scene(order):
    import slicer

    sys.path.insert(0, str(MODULE))
    from PINLandmarksLib import scene as own

    scene, names = slicer.vtkMRMLScene(), order["names"]
    node = own.add_points(scene, order["volume"])
    before = own.points_of(scene, node, names)
    for index, position in order["move"].items():
        node.SetNthControlPointPositionWorld(int(index), position)
    for index in order["miss"]:
        own.mark_missing(node, index)
    for index in order["take"]:
        own.take_up(node, index)
    assert node.GetName() == order["volume"]["name"]
    assert node.GetControlPointPlacementStartIndex() == order["take"][-1]
    after = own.points_of(scene, node, names)
    own.remove(scene, node)
    own.remove(scene, node)  # no more there
    return [before, after]


def _corrected(order):
    import slicer

    sys.path.insert(0, str(MODULE))
    from PINLandmarksLib import scene as own
    from PINLandmarksLib.client import Conflict, Server

    server, scene = Server(order["address"], order["token"]), slicer.vtkMRMLScene()
    names, scan = server.session()["landmarks"], server.next_scan("doubt")
    volume, file = server.volume(scan), server.download(scan, Path(order["folder"]))
    server.look(scan, "a tab")
    node = own.add_points(scene, volume)
    for name, position in order["move"].items():
        node.SetNthControlPointPositionWorld(names.index(name), position)
    points = own.points_of(scene, node, names)
    saved = server.save(scan, volume["version"], points, done=True, seconds=2.5)
    try:
        server.save(scan, volume["version"], points, done=False)
    except Conflict as conflict:
        now = conflict.volume
    states = {one["id"]: one["state"] for one in server.volumes()}
    return {
        **{"volume": volume, "file": str(file), "points": points, "saved": saved},
        **{"now": now, "state": states[scan]},
    }


def _brightest(path):
    import vtk
    from vtkmodules.util.numpy_support import vtk_to_numpy

    import slicer

    scene, node = slicer.vtkMRMLScene(), slicer.vtkMRMLScalarVolumeNode()
    scene.AddNode(node)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(path)
    storage.SetSingleFile(True)
    assert storage.ReadData(node), path
    to_ras, voxels = vtk.vtkMatrix4x4(), node.GetImageData()
    node.GetIJKToRASMatrix(to_ras)
    index = int(vtk_to_numpy(voxels.GetPointData().GetScalars()).argmax())
    columns, rows, _ = voxels.GetDimensions()
    ijk = (index % columns, index // columns % rows, index // (columns * rows))
    return list(to_ras.MultiplyPoint([*map(float, ijk), 1.0]))[:3]


def _obey(order):
    import slicer

    if "image" in order:
        return _brightest(order["image"])

    if "address" in order:
        return _corrected(order)
    if "volume" in order:
        return _changed_in_scene(order)

    scene, node = slicer.vtkMRMLScene(), slicer.vtkMRMLMarkupsFiducialNode()
    scene.AddNode(node)
    if "read" in order:
        assert _storage(scene, order["read"]).ReadData(node), order["read"]
    for point in order.get("points", []):
        _place(node, point)
    for path in order.get("write", []):
        assert _storage(scene, path).WriteData(node), path
    return list(_shown(node))


if __name__ == "__main__":
    answers = [_obey(order) for order in json.load(sys.stdin)]
    print("\n" + json.dumps(answers))
