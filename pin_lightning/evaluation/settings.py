"""Settings of the report of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pin_lightning.common.settings import check_flag, is_number
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.evaluation import RADII_MM
from pin_lightning.evaluation.planes.groups import PlaneGroup, plane_groups

OWN, MEAN_SHAPE = "this run", "mean shape"  # methods in every table


@dataclass(frozen=True)
class ReportSettings:
    """Settings of a report; `of` reads them from a config.

    Attributes:
        radii_mm: Radii of the success rates, ascending.
        failure_mm: Error from which a landmark counts as failed; by default the mean error of the
            mean shape, the guess before localisation.
        others: Files with predictions of other methods, by the name of the method.
        bootstrap: Settings of the intervals.
        planes: Standard planes, shown where a run has all their landmarks.
        pictures: Make figures, films and the page, not the numbers alone.

    Raises:
        ValueError: A setting is out of range.
    """

    radii_mm: tuple[float, ...] = RADII_MM
    failure_mm: float | None = None
    others: tuple[tuple[str, str], ...] = ()
    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)
    planes: tuple[PlaneGroup, ...] = ()
    pictures: bool = True

    def __post_init__(self) -> None:
        radii = self.radii_mm
        if not radii or not all(_positive(one) for one in radii) or sorted(set(radii)) != [*radii]:
            raise ValueError(
                f"report.radii_mm={list(radii)}: give one or more numbers of mm above 0, "
                f"ascending, as [1,2,4]"
            )
        if self.failure_mm is not None and not _positive(self.failure_mm):
            raise ValueError(
                f"report.failure_mm={self.failure_mm}: give a number of mm above 0, or null"
            )
        taken = [name for name, _ in self.others if name in (OWN, MEAN_SHAPE)]
        if taken:
            raise ValueError(
                f"report.others.{taken[0]}: is a method of every table; give another name"
            )
        check_flag("report.pictures", self.pictures)

    @classmethod
    def of(cls, config: Any, planes: Any = None) -> "ReportSettings":
        """Read the settings from the node ``report`` of a config, and from its ``data.planes``.

        Raises:
            ValueError: A setting is out of range, or of another form.
        """
        radii = config.get("radii_mm", RADII_MM)
        if isinstance(radii, str) or not isinstance(radii, Sequence):
            raise ValueError(f"report.radii_mm={radii}: give a list of mm, as [1,2,4]")
        others, bootstrap = _by_name(config, "others"), _by_name(config, "bootstrap")
        return cls(
            radii_mm=tuple(radii),
            failure_mm=config.get("failure_mm"),
            others=tuple((str(name), str(path)) for name, path in others.items()),
            bootstrap=BootstrapSettings(**bootstrap),
            planes=plane_groups(planes),
            pictures=config.get("pictures", True),
        )


def report_again(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the node ``report`` of a run with the settings given for a new report.

    Args:
        before: Node ``report`` of the run's config; missing settings have their defaults.
        given: The same of `conf/report.yaml`, where null keeps the run's setting; a method of
            ``others`` that is null is left out.

    Raises:
        ValueError: ``others`` or ``bootstrap`` does not hold settings by name.
    """
    others = {**_by_name(before, "others"), **_by_name(given, "others")}
    bootstrap = {**_by_name(before, "bootstrap"), **_set(_by_name(given, "bootstrap"))}
    return {**before, **_set(given), "others": _set(others), "bootstrap": bootstrap}


def _by_name(report: Any, name: str) -> Mapping[str, Any]:
    node = report.get(name) or {}
    if not isinstance(node, Mapping):
        raise ValueError(f"report.{name}={node}: give settings by name, as in train.yaml")
    return node


def _set(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if value is not None}


def _positive(value: object) -> bool:
    return is_number(value) and value > 0
