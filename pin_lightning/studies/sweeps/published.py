"""Published numbers to compare a sweep with; imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALL = "All landmarks"


@dataclass(frozen=True)
class Published:
    """Numbers of a paper for a method.

    Attributes:
        errors: Mean and SD in mm by landmark, or `ALL`.
        seconds: Time to localise in one volume.
    """

    errors: Mapping[str, tuple[float, float]]
    seconds: float | None = None


def published_of(config: Mapping[str, Any]) -> dict[str, Published]:
    """Read published numbers from the node ``summary.published`` of a config.

    Raises:
        ValueError: A method's numbers are not of that form.
    """
    try:
        return {
            str(method): Published(
                {str(key): (float(mean), float(sd)) for key, (mean, sd) in own["errors"].items()},
                None if own.get("seconds") is None else float(own["seconds"]),
            )
            for method, own in config.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"summary.published={config}: give METHOD: "
            f"{{errors: {{LANDMARK: [mean, SD]}}, seconds: of a volume}}"
        ) from error
