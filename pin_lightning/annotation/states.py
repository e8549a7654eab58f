"""Words for what is known of a volume."""

from typing import Literal, TypeAlias

# Nothing is known; predicted; a person has saved landmarks; done, with none changed against the
# prediction; done, with some changed; it cannot be predicted.
State: TypeAlias = Literal["new", "predicted", "in_work", "accepted", "corrected", "failed"]
DoubtKind: TypeAlias = Literal["pose", "radius", "flag", "failed"]
