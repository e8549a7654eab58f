"""All folds of a preset: poses, errors, times."""

from collections.abc import Sequence

from pin_lightning.studies.cross_validation import cross_validate
from pose.given import composed, own_settings
from pose.measures import measured_tests, summary
from pose.tables import show


def main(given: Sequence[str]) -> None:
    """Train what is not trained yet, measure every case by the fold that did not see it."""
    own, settings = own_settings("folds", given, {"far_mm": 2.0})
    output = own["output"]
    if own["small"]:
        settings.insert(0, "data.split.folds=2")
    cross_validate(composed("cross_validate", settings, output), output)
    numbers = summary(measured_tests(output), own["far_mm"])
    title = " ".join(settings) or "folds"
    show(output / "poses.md", title, ("", "value"), list(numbers.items()))
