"""Metadata of the ONNX file of a pose stage: all that the search needs besides the graph."""

from dataclasses import asdict
from typing import Any

from pin_lightning.data.intensity_windows import DEFAULT_WINDOW
from pin_lightning.deployment.metadata import about_program, as_json, numbers, preprocessing
from pin_lightning.method.pose import ensemble, finder, starts
from pin_lightning.method.pose.finder import PoseFinder
from pin_lightning.method.pose.limits import PoseLimits
from pin_lightning.method.pose.rigid import half_turns
from pin_lightning.method.pose.rounds import search_rounds

LEVEL_STEPS = (
    "clip((voxel - low) * 255 / (high - low), 0, 255) in float32",
    "scan0 about the centre of the scan: along each axis a mean weighted by a triangle, "
    "max(0, 1 - distance / max(spacing_mm, voxel side)); the others from scan0 in the same way",
)


def pose_metadata(
    stage: PoseFinder, limits: PoseLimits, window: str = DEFAULT_WINDOW
) -> dict[str, str]:
    """Entries of the metadata, each JSON.

    Args:
        stage: The pose stage.
        limits: When a pose is uncertain, by the scores of all stages of the run.
        window: Rule of the intensity window.
    """
    search: dict[str, Any] = {
        "shape_mm": numbers(stage.shape_mm),
        "extent_mm": stage.extent_mm,
        "breadth_mm": stage.breadth_mm,
        "spacings_mm": list(stage.spacings_mm),
        "rotations": numbers(starts.start_rotations(stage.rotations, stage.num_rotations)),
        "with_scale": stage.largest_scale > 1,
        "place_step": starts.STEP,
        "most_places": starts.MOST_PLACES,
        "faint": starts.FAINT,
        "rounds": [one._asdict() for one in search_rounds(stage.rotations)],
        "half_turns": numbers(half_turns(stage.mean_mm_)),
        "turned_about_mm": numbers(stage.mean_mm_.mean(dim=0)),
        "same": {"degrees": finder.SAME_DEGREES, "mm": finder.SAME_SHARE * stage.extent_mm},
        "refined": {"poses": ensemble.SEARCHED, "steps": ensemble.STEPS},
        "limits": asdict(limits),
    }
    return as_json(
        {
            **about_program(posed=True),
            "preprocessing": preprocessing(window, LEVEL_STEPS),
            "search": search,
        }
    )
