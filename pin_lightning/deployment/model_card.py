"""The model card of a packed run, in Markdown: numbers of the run, and texts of its maker."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pin_lightning.deployment.card_numbers import CardNumbers
from pin_lightning.deployment.card_texts import CardTexts
from pin_lightning.runs.found import ENDING
from pin_lightning.runs.predictor import Predictor

UNKNOWN = "Not known."
_ERRORS = {"mean": "mean", "median": "median", "p95": "95th percentile"}
_HOLDS_SCANS = (
    "**This model holds training scans**: it registers them to new ones. Whoever has the file can "
    "look at them."
)


def model_card(
    name: str,
    texts: CardTexts,
    predictor: Predictor,
    numbers: CardNumbers,
    holds_scans: bool = False,
) -> str:
    """Write a model card.

    Args:
        name: Name of the model.
        texts: What its maker says.
        predictor: The model.
        numbers: Its numbers.
        holds_scans: Whether training scans can be taken from its weights.
    """
    landmarks = f"{len(predictor.names)} landmark{'s' * (len(predictor.names) > 1)}"
    parts = [
        f"# {texts.title or name}",
        f"A model of PIN-Lightning that finds {landmarks} in 3D volumes, packed by version "
        f"{version('pin-lightning')}. Research software, not a medical device.",
        f"```bash\npin-lightning infer run={name}{ENDING} input=SCANS output=predictions\n```",
        "\n".join(_facts(predictor, numbers)),
        *([_HOLDS_SCANS] if holds_scans else []),
        *_said("Training data", texts.data),
        *_said("Licence of the weights", texts.licence),
        *_said("Intended use", texts.intended_use),
        *_said("Not among the training cases", texts.not_in_training),
        *_said("Limits", texts.limits),
        *_errors(predictor, numbers),
        *_error_bars(predictor, numbers.metrics.get("error_bars")),
        *_poses(predictor, numbers.metrics.get("poses")),
        "## Landmarks",
        "\n".join(_landmarks(predictor.names, numbers.metrics)),
    ]
    return "\n\n".join(parts) + "\n"


def _said(heading: str, text: str | None) -> tuple[str, str]:
    return f"## {heading}", text or UNKNOWN


def _facts(predictor: Predictor, numbers: CardNumbers) -> Iterator[str]:
    grid = predictor.localizer.grid
    size = " \u00d7 ".join(map(str, grid.size))
    pose = "any: the pose is found first" if predictor.locator else "about that of the training"
    yield from ("| | |", "|---|---|")
    yield f"| Cases | {numbers.cases} |"
    yield f"| Working volume | {size} voxels of {grid.spacing_mm:g} mm |"
    yield f"| Orientation of scans | {pose} |"


def _errors(predictor: Predictor, numbers: CardNumbers) -> Iterator[str]:
    yield "## Errors"
    if numbers.measured is None:
        yield f"{UNKNOWN} No case was held out."
        return
    yield f"Distances from the true landmarks. {numbers.measured}."
    metrics = numbers.metrics
    intervals = metrics.get("intervals", {})
    level = f"{100 * intervals['level']:g} % interval over cases" if intervals else "interval"
    rows = [f"| error | mm | {level} |", "|---|---:|---:|"]
    known = intervals.get("radial_error_mm", {})
    for key, label in _ERRORS.items():
        rows.append(_row(label, metrics["radial_error_mm"][key], known.get(key)))
    mean_shape = "mean_shape_radial_error_mm"
    guess = intervals.get(mean_shape, {}).get("mean")
    where = "put where the pose is" if predictor.locator else "without the image"
    rows.append(_row(f"mean shape, {where}", metrics[mean_shape]["mean"], guess))
    yield "\n".join(rows)


def _row(label: str, value: float | None, interval: Sequence[float] | None) -> str:
    ends = " to ".join(_number(one) for one in interval or ())
    return f"| {label} | {_number(value)} | {ends} |"


def _error_bars(predictor: Predictor, bars: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## Error bars"
    if predictor.calibration is None:
        yield "None: predictions have no radii."
        return
    asked = f"{100 * predictor.calibration.settings.coverage:g} %"
    if bars is None or bars["coverage"] is None:
        yield f"Radii are to hold {asked} of the true landmarks. How many they hold is not known."
        return
    ends = " to ".join(f"{100 * one:.1f}" for one in bars["coverage_interval"] or ())
    yield (
        f"Radii are to hold {asked} of the true landmarks; they held {100 * bars['coverage']:.1f} %"
        f"{f' ({ends} %)' if ends else ''} of those above. Half of the radii are below "
        f"{_number(bars['median_radius_mm'])} mm."
    )


def _poses(predictor: Predictor, poses: Mapping[str, Any] | None) -> Iterator[str]:
    if predictor.locator is None:
        return
    yield "## Poses"
    if poses is None:
        yield "How many are found is not known."
        return
    yield (
        f"{poses['right']} of {poses['known']} were right; {poses['uncertain']} of {poses['n']} "
        f"were said to be uncertain; {poses['wrong_and_sure']} were wrong and said to be sure."
    )


def _landmarks(names: Sequence[str], metrics: Mapping[str, Any]) -> Iterator[str]:
    rows = metrics.get("per_landmark", {})
    yield from ("| landmark | mean error, mm | measured in cases |", "|---|---:|---:|")
    for name in names:
        row = rows.get(name, {"mean": None, "n": 0})
        shown = name.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
        yield f"| {shown} | {_number(row['mean'])} | {row['n']} |"


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3g}"
