"""What the data decide of a training, and what a plan of it can do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from omegaconf import DictConfig
from pytorch_lightning.loggers import Logger

from pin_lightning.common.types import Float, Tensor
from pin_lightning.data.inspection import AnnotatedCase
from pin_lightning.method.shape_models import ShapeModel
from pin_lightning.method.trajectory import LandmarkLocalizer
from pin_lightning.runs.folder import RunRecord
from pin_lightning.training.combinations import AnyParts


@dataclass(frozen=True, eq=False)
class FittedModels:
    """What PIN learns from training shapes.

    Attributes:
        shape_model: Fitted shape model.
        prior: Fitted prior, if any.
    """

    shape_model: ShapeModel
    prior: ShapeModel | None

    @property
    def num_parameters(self) -> int:
        """Shape parameters K."""
        return self.shape_model.num_parameters

    @property
    def described(self) -> str:
        """What shapes are made of, for the log."""
        return f"{self.num_parameters} shape parameters"

    @property
    def needs_whole_shapes(self) -> bool:
        """True if landmarks move together, so that a shape must have all of them."""
        return self.shape_model.num_groups == 1


@dataclass(frozen=True, eq=False)
class WholeShapes:
    """Training shapes that a system beside PIN learns from as it likes.

    Attributes:
        shapes_mm: Landmarks of the training cases; missing ones are filled in.
    """

    shapes_mm: Float[Tensor, "M L 3"]
    described: ClassVar[str] = "no shape parameters"
    needs_whole_shapes: ClassVar[bool] = False

    @property
    def num_parameters(self) -> int:
        """All coordinates, 3 L."""
        return 3 * self.shapes_mm.shape[1]


Fitted: TypeAlias = FittedModels | WholeShapes


@dataclass(frozen=True, eq=False)
class Prepared:
    """Parts of a training that the data decide.

    Attributes:
        record: Record for the run folder.
        cases: Cases of the parts ``train``, ``val`` and ``test``.
        shapes_mm: Landmarks of the training cases. Missing ones are NaN if landmarks move by
            themselves, and filled in if they move together: a shape has all its landmarks.
        fitted: What was learnt from these shapes.
        first_stage: Run folder of the first stage, if any.
        parts: Parts of the config.
    """

    record: RunRecord
    cases: Mapping[str, Sequence[AnnotatedCase]]
    shapes_mm: Float[Tensor, "M L 3"]
    fitted: Fitted
    first_stage: Path | None
    parts: AnyParts


@runtime_checkable
class Plan(Protocol):
    """A prepared training with its localizer, which has fresh weights."""

    @property
    def prepared(self) -> Prepared:
        """What the data decided."""
        ...

    @property
    def localizer(self) -> LandmarkLocalizer:
        """What is trained, in place."""
        ...

    def fit(
        self,
        config: DictConfig,
        run_dir: Path,
        volumes: Mapping[str, Path],
        loggers: Sequence[Logger],
    ) -> None:
        """Train, and leave checkpoints in the run folder.

        Args:
            config: Resolved settings.
            run_dir: The run folder.
            volumes: Working volume files by case name.
            loggers: Loggers of the training.
        """
        ...
