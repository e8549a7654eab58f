"""Voxels of compressed DICOM files, decoded by GDCM in a process of its own.

GDCM is native code, which a damaged file can end by a signal.
"""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pin_lightning.data.images.readable import unreadable

DECODER = Path(__file__).with_name("gdcm_decoder.py")
MOST_SECONDS = 600


def decoded(paths: Sequence[Path], of_one_scale: bool = True) -> np.ndarray:
    """Read the rescaled voxels of compressed files.

    Args:
        paths: A file of any number of frames, or files of one slice each, in order.
        of_one_scale: Whether all are rescaled alike, and hence of one type.

    Returns:
        Voxels [X, Y, Z] along the image's own axes.

    Raises:
        ValueError: A file cannot be decoded.
    """
    path = paths[0] if len(paths) == 1 else paths[0].parent
    asked = {"paths": [str(one.absolute()) for one in paths], "of_one_scale": of_one_scale}
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(DECODER)],
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise unreadable(path, f"not decoded after {MOST_SECONDS} s") from None
    if done.returncode < 0:
        raise unreadable(path, f"its decoder ended by {signal.Signals(-done.returncode).name}")
    if done.returncode > 0:
        raise unreadable(path, "it cannot be decoded")
    voxels: np.ndarray = np.load(io.BytesIO(done.stdout))
    return voxels
