"""A line of JSON for each volume on the standard output, for programs that watch others."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from pin_lightning.inference.records import Failed
from pin_lightning.runs.doubts import Reviewed


def say_nothing_else() -> None:
    """Let messages for people go to the standard error."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stderr)


def say(**content: Any) -> None:
    """Print a line, with the time; what is not finite is null, as JSON has no other numbers."""
    finite = {key: _finite(value) for key, value in content.items()}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"time": now, **finite}, ensure_ascii=True), flush=True)


def volume_line(one: Reviewed | Failed) -> Mapping[str, Any]:
    """What is said of a volume."""
    about = {"volume": one.name, "file": one.file}
    if isinstance(one, Failed):
        return {**about, "state": "failed", "reason": one.reason}
    radius_mm = None if one.radius_mm is None else float(one.radius_mm.max())
    pose = one.pose
    return {
        **about,
        "state": "predicted",
        "seconds": round(one.seconds, 3),
        "pose": None if pose is None else "uncertain" if pose.uncertain else "sure",
        "pose_score": None if pose is None else pose.score,
        "pose_lead": None if pose is None else pose.lead,
        "largest_radius_mm": radius_mm,
        "largest_spread_mm": float(one.spread_mm.max()),
        "outside": int(one.outside.sum()),
        "remarks": list(one.remarks),
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value
