"""All folds of a preset, or some of them: poses, errors, times."""

from collections.abc import Sequence
from pathlib import Path

from pin_lightning.runs.folds import fold_folder, is_finished
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.training.run import train
from pose.given import composed, own_settings
from pose.measures import Measured, measured_tests, summary
from pose.tables import show


def main(given: Sequence[str]) -> None:
    """Train what is not trained yet, measure every case by the fold that did not see it."""
    own, settings = own_settings("folds", given, {"far_mm": 2.0, "only": None})
    output, only = own["output"], own["only"]
    if own["small"]:
        settings.insert(0, "data.split.folds=2")
    if only is None:
        cross_validate(composed("cross_validate", settings, output), output)
        found = {"value": measured_tests(output)}
    else:
        found = {f"fold {fold}": _one_fold(fold, settings, output) for fold in only}
        found["together"] = [one for fold in found.values() for one in fold]
    summaries = {column: summary(measured, own["far_mm"]) for column, measured in found.items()}
    first, *_ = summaries.values()
    rows = [(name, *(numbers[name] for numbers in summaries.values())) for name in first]
    show(output / "poses.md", " ".join(settings) or "folds", ("", *summaries), rows)


def _one_fold(fold: int, settings: Sequence[str], output: Path) -> list[Measured]:
    run_dir = fold_folder(output, fold)
    if not is_finished(run_dir):
        own = ["data.split.folds=5", *settings, f"data.split.fold={fold}"]
        train(composed("train", own, run_dir), run_dir)
    return measured_tests(run_dir)
