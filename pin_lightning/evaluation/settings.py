"""What the report of a run is made with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pin_lightning.common.settings import check_flag, is_number
from pin_lightning.evaluation.bootstrap import BootstrapSettings
from pin_lightning.evaluation.evaluation import RADII_MM
from pin_lightning.evaluation.planes.groups import PlaneGroup, plane_groups

OWN, MEAN_SHAPE = "this run", "mean shape"  # methods of every table


@dataclass(frozen=True)
class ReportSettings:
    """What is shown, and how; `of` makes it from a config.

    Attributes:
        radii_mm: Radii of the success rates, ascending.
        failure_mm: Error from which a landmark counts as failed; none is the mean error of the
            mean shape, the guess that uses no image.
        others: Files with predictions of other methods, by the name of the method.
        bootstrap: How intervals are made.
        planes: Standard planes, shown where a run has all their landmarks.
        pictures: Whether figures, films and the page are made; numbers always are.

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
        """Refuse settings out of range."""
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
            raise ValueError(f"report.others.{taken[0]}: is in the table anyway; give another name")
        check_flag("report.pictures", self.pictures)

    @classmethod
    def of(cls, config: Any, planes: Any = None) -> "ReportSettings":
        """Settings of the node ``report`` of a config, and of its ``data.planes``.

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
    """Node ``report`` of what is made again: what is given, else what it was made with.

    Args:
        before: Node ``report`` of the run's config; what it lacks is the default.
        given: The same of `conf/report.yaml`, where null is what the run was made with; a method
            of ``others`` that is null is left out.

    Raises:
        ValueError: ``others`` or ``bootstrap`` does not hold settings by name.
    """
    others = {**_by_name(before, "others"), **_by_name(given, "others")}
    bootstrap = {**_by_name(before, "bootstrap"), **_set(_by_name(given, "bootstrap"))}
    return {**before, **_set(given), "others": _set(others), "bootstrap": bootstrap}


def _by_name(report: Any, name: str) -> Mapping[str, Any]:
    """A node of ``report``, empty where there is none."""
    node = report.get(name) or {}
    if not isinstance(node, Mapping):
        raise ValueError(f"report.{name}={node}: give settings by name, as in train.yaml")
    return node


def _set(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if value is not None}


def _positive(value: object) -> bool:
    return is_number(value) and value > 0
