"""Names of volumes as their annotations have them, whatever files have come since.

Files of the same name in several folders are told apart by these: without a note of earlier names,
a second ``scan.nii.gz`` would take the first one's annotations from it.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pin_lightning.annotation.on_disk import PRIVATE
from pin_lightning.common.files import write_json
from pin_lightning.inference.inputs import Input

FILE = f"{PRIVATE}/volumes.json"


def names_before(folder: Path) -> dict[str, str]:
    """Names of volumes by the keys of their inputs, as an earlier server kept them in a folder."""
    try:
        names = json.loads((folder / FILE).read_text("utf-8"))["names"]
        return {str(key): str(name) for key, name in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def keep_names(folder: Path, inputs: Mapping[str, Input]) -> None:
    """Keep names of volumes, and those of earlier ones, unless another volume has such a name now.

    Args:
        folder: Folder of the annotations.
        inputs: Volumes by their names.
    """
    earlier = {key: name for key, name in names_before(folder).items() if name not in inputs}
    now = {one.key: name for name, one in inputs.items()}
    write_json(folder / FILE, {"names": {**earlier, **now}})
