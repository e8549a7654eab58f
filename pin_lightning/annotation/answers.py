"""Bodies of requests and responses, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat

from pin_lightning.annotation.name_changes import Kind
from pin_lightning.annotation.progress import Progress
from pin_lightning.annotation.states import DoubtKind, State

Vector = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Row = tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]
Name = Annotated[str, Field(max_length=200)]
MOST_LANDMARKS = 1000


class Problem(BaseModel):
    """Why a request is refused, in one line."""

    detail: str


class Training(BaseModel):
    """State of the present or last training."""

    state: Literal["idle", "running", "failed", "finished", "cancelled"]
    step: int
    steps: int
    seconds: float
    message: str
    result: dict[str, Any] | None


class Run(BaseModel):
    """What predicts, how many volumes wait for it, and why it does not go on."""

    name: str
    waiting: int
    problem: str


class SessionAnswer(BaseModel):
    """What a page needs to know first; `key` tells folders of annotations apart.

    `fewest_to_train` is the number of volumes from which on there can be a training.
    """

    title: str
    key: str
    landmarks: list[str]
    run: Run | None
    frames: list[str]
    progress: Progress
    training: Training
    fewest_to_train: int
    advice: str | None
    planes: list[dict[str, Any]]


class Names(BaseModel):
    """Landmark names."""

    names: list[Name] = Field(min_length=1, max_length=MOST_LANDMARKS)


class ChangedName(BaseModel):
    """A landmark that is added, renamed to `new_name`, or removed."""

    kind: Kind
    name: Name
    new_name: Name = ""


class Doubt(BaseModel):
    """Why to look at a volume; `landmarks` are those that the text names, in its order."""

    kind: DoubtKind
    text: str
    landmarks: list[str]


class Summary(BaseModel):
    """A volume in the list.

    `prediction` is another number after it was predicted anew; `coming` says that its landmarks
    are being predicted or proposed, `readable` that it can be opened, as far as is known.
    """

    id: str
    name: str
    state: State
    version: int
    prediction: int
    doubt: float
    doubts: list[Doubt]
    looking: list[str]
    coming: bool
    readable: bool
    largest_radius_mm: float | None
    moved: int
    seconds: float


class Volumes(BaseModel):
    """All volumes, the most doubtful first, those that are done last."""

    volumes: list[Summary]
    progress: Progress


class Frame(BaseModel):
    """A view frame: view mm to world RAS+ mm, and the box of the scan in it."""

    to_world: tuple[Row, Row, Row, Row]
    low_mm: Vector
    extent_mm: Vector


class Landmark(BaseModel):
    """A landmark of a volume; positions in world RAS+ mm."""

    name: str
    position: Vector | None
    predicted: Vector | None
    radius_mm: float | None
    missing: bool
    reason: str


class Volume(BaseModel):
    """A volume; without size, frames and window where it cannot be read, for `reason`.

    Size and spacing are along the axes of the frame ``scanner``.
    """

    id: str
    name: str
    state: State
    version: int
    prediction: int
    reason: str
    size: tuple[int, int, int] | None
    spacing_mm: Vector | None
    frames: dict[str, Frame]
    window: tuple[FiniteFloat, FiniteFloat] | None
    landmarks: list[Landmark]
    doubts: list[Doubt]
    looking: list[str]
    done: bool
    seconds: float


class GivenLandmark(BaseModel):
    """A landmark that is saved; neither placed nor missing: not placed yet."""

    name: Name
    position: Vector | None = None
    missing: bool = False


class Given(BaseModel):
    """What is saved of a volume; landmarks that it does not name stay as they are.

    `seconds` is the time spent since the last save.
    """

    landmarks: list[GivenLandmark] = Field(max_length=MOST_LANDMARKS)
    done: bool = False
    seconds: float = Field(0.0, ge=0, le=86400, allow_inf_nan=False)


class Saved(BaseModel):
    """What became of a save."""

    version: int
    state: State


class Conflict(Volume):
    """Somebody else has saved in the meantime: the volume as it is now."""

    detail: str


class Tab(BaseModel):
    """A tab that has a volume open, or has closed it."""

    tab: str = Field(min_length=1, max_length=64)
    closed: bool = False


class LookedAt(BaseModel):
    """Tabs that have a volume open."""

    looking: list[str]


class Asked(BaseModel):
    """Volumes that are to be predicted."""

    waiting: int


class Next(BaseModel):
    """The volume to do next; None if all are done."""

    id: str | None


class Contradictions(BaseModel):
    """Annotated landmarks that out-of-fold predictions contradict."""

    contradictions: list[dict[str, Any]]
