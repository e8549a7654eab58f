"""The autoencoder shape model: PCA with a non-linear decoder (the paper's future work)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pin_lightning.common.settings import check_count, check_flag
from pin_lightning.common.types import Float, Int, Tensor
from pin_lightning.method.shape_models.base import ShapeModel, check_shapes
from pin_lightning.method.shape_models.pca import PCAShapeModel
from pin_lightning.method.shape_models.recombination import recombine
from pin_lightning.method.shape_models.residual import Residual, train

FEWEST_SHAPES, FEWEST_LANDMARKS = 4, 3
POOL = 4000  # approximate number of augmented shapes
FOLDS = 5  # of the cross-validation that chooses the number of steps
CHECK_EVERY = 50  # steps

log = logging.getLogger(__name__)


class AutoencoderShapeModel(ShapeModel):
    """``X = mean + W b + r(b)`` with a small network r; ``b = V (X - mean)`` gives b back exactly.

    The network has one hidden layer of tanh units. It adds only what is orthogonal to W, and
    nothing at first, so that training begins at a PCA. W and the network are learnt from the
    training shapes in the poses of one another, with noise (`recombination`, `residual`).
    Cross-validation over the shapes chooses the number of training steps (0 unless more are better
    by a standard error) and whether to recombine poses (yes unless that is as clearly worse).

    As in PCA, parameters are uncorrelated over the shapes learnt from, largest SD first, and one
    unit of b is one mm of landmark motion (root mean square over the training shapes). An SD is
    that of the training shapes or of the recombined ones, whichever is larger.

    Args:
        components: Number of parameters, or below 1 the share of variance, as for PCA.
        hidden: Hidden units of the network.
        max_steps: Largest number of training steps; 0 leaves the linear part.
        recombine_poses: Let each training shape train in the poses of the others, too, unless there
            are more than half of `POOL` shapes.
        seed: Seed of the weights, the samples and the folds.

    Attributes:
        projection_: Rows of the encoder, V [K, 3 L].
        modes_: Linear part of the decoder, the columns of W [K, 3 L].
        inner_: Weights of the hidden units [K, H], 1/mm.
        bias_: Their biases [H].
        outer_: Weights of the output [H, 3 L], mm.
        offset_: Its biases [3 L], mm.
    """

    projection_: Tensor
    modes_: Tensor
    inner_: Tensor
    bias_: Tensor
    outer_: Tensor
    offset_: Tensor

    def __init__(
        self,
        components: float = 0.995,
        hidden: int = 16,
        max_steps: int = 400,
        recombine_poses: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.components = components
        self.hidden = hidden
        self.max_steps = max_steps
        self.recombine_poses = recombine_poses
        self.seed = seed
        for name in ("projection_", "modes_", "inner_", "outer_"):
            self.register_buffer(name, torch.zeros(0, 0))
        for name in ("bias_", "offset_"):
            self.register_buffer(name, torch.zeros(0))

    def fit(self, shapes_mm: Float[Tensor, "M L 3"], extent_mm: Sequence[float]) -> ShapeModel:
        """Learn modes and network, on the CPU, in seconds.

        Raises:
            ValueError: Too few shapes or landmarks, more components than the shapes can give, or a
                setting out of range.
        """
        self._check(check_shapes(shapes_mm))
        count = PCAShapeModel(self.components).fit(shapes_mm, extent_mm).num_parameters
        flat = shapes_mm.flatten(1).double().cpu()
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(flat), generator=generator)
        parts = [*order.tensor_split(min(FOLDS, len(flat))), order[:0]]  # the last leaves out none
        recombine_poses = self.recombine_poses and 2 * len(flat) <= POOL
        pools = (True, False) if recombine_poses else (False,)
        found = [self._learn(flat, parts, count, one, generator) for one in pools]
        best = _best(torch.stack([one.errors_mm for one in found]))
        log.info(
            "shape=autoencoder: %d parameters, network trained for %d steps, %s; shapes left out "
            "are reconstructed to %.3g mm, by PCA to %.3g mm",
            *(count, found[best].steps),
            "poses recombined" if pools[best] else "each shape in its pose",
            *(found[best].errors_mm.mean(), found[-1].linear_mm),
        )
        self._keep(flat, found[best])
        return self

    def encode(self, landmarks_mm: Float[Tensor, "*batch L 3"]) -> Float[Tensor, "*batch K"]:
        """``b = V (X - mean)``."""
        return (landmarks_mm - self.mean_mm_).flatten(-2) @ self.projection_.T

    def decode(self, parameters: Float[Tensor, "*batch K"]) -> Float[Tensor, "*batch L 3"]:
        """``X = mean + W b + tanh(b inner + bias) outer + offset``."""
        hidden = torch.tanh(parameters @ self.inner_ + self.bias_)
        moved = parameters @ self.modes_ + hidden @ self.outer_ + self.offset_
        return self.mean_mm_ + moved.unflatten(-1, (-1, 3))

    def _learn(
        self,
        flat: Float[Tensor, "M D"],
        parts: Sequence[Int[Tensor, " _"]],
        count: int,
        recombined: bool,
        generator: torch.Generator,
    ) -> "_Learnt":
        """Modes and network of all shapes; cross-validation chooses the number of steps."""
        spaces = [_space(flat, left_out, count, recombined) for left_out in parts]
        modes = torch.stack([one.modes for one in spaces])
        pools = [one.pool_mm for one in spaces]
        states = list(train(pools, modes, self.hidden, self.max_steps, CHECK_EVERY, generator))
        errors_mm = torch.stack([_errors_mm(spaces, state) for state in states])
        best = _best(errors_mm)
        steps = min(best * CHECK_EVERY, self.max_steps)
        # A few shapes may vary less along a mode than the recombined ones, or more.
        all_shapes = (flat - flat.mean(dim=0)).float()
        sd_mm = torch.maximum(*((one @ modes[-1].T).std(dim=0) for one in (all_shapes, pools[-1])))
        linear_mm = float(errors_mm[0].mean())
        return _Learnt(modes[-1], sd_mm, states[best][-1], steps, errors_mm[best], linear_mm)

    def _keep(self, flat: Float[Tensor, "M D"], learnt: "_Learnt") -> None:
        """Order and scale the parameters, and set the buffers."""
        modes, residual = learnt.modes, learnt.residual
        mean = flat.mean(dim=0)
        bent = residual.slopes((flat - mean).float() @ modes.T)
        unit = (1 + bent.square().sum(dim=2).mean(dim=0)).sqrt()  # bent is orthogonal to the modes
        sd, order = (unit * learnt.sd_mm).sort(descending=True)
        modes, inner, unit = modes[order], residual.inner[order], unit[order, None]
        buffers = {
            "mean_mm_": mean.unflatten(0, (-1, 3)),
            "sd_": sd,
            "projection_": unit * modes,
            "modes_": modes / unit,
            "inner_": inner / unit,
            "bias_": residual.bias[0],
            "outer_": residual.outer,
            "offset_": residual.offset[0],
        }
        for name, value in buffers.items():
            setattr(self, name, value.float().contiguous())

    def _check(self, shapes_mm: Float[Tensor, "M L 3"]) -> None:
        for least, there, what in (
            (FEWEST_SHAPES, shapes_mm.shape[0], "training cases"),
            (FEWEST_LANDMARKS, shapes_mm.shape[1], "landmarks"),
        ):
            if there < least:
                raise ValueError(
                    f"shape=autoencoder: needs at least {least} {what}, not {there}; use "
                    f"shape=pca, or model=shared (the presets), for which one case is enough"
                )
        for name, least in (("hidden", 1), ("max_steps", 0), ("seed", 0)):
            check_count(f"shape.{name}", getattr(self, name), least)
        check_flag("shape.recombine_poses", self.recombine_poses)


@dataclass(frozen=True)
class _Space:
    """A linear shape space, in coordinates minus their mean."""

    modes: Float[Tensor, "K D"]  # orthonormal, largest variance first
    pool_mm: Float[Tensor, "N D"]  # augmented shapes that the modes are of
    left_out_mm: Float[Tensor, "T D"]


@dataclass(frozen=True)
class _Learnt:
    """Modes and network, with their errors in cross-validation."""

    modes: Float[Tensor, "K D"]
    sd_mm: Float[Tensor, " K"]
    residual: Residual
    steps: int
    errors_mm: Float[Tensor, " M"]  # of each shape when left out, mean over its landmarks
    linear_mm: float  # mean error of the modes alone


def _space(
    flat: Float[Tensor, "M D"], left_out: Int[Tensor, " T"], count: int, recombined: bool
) -> _Space:
    """Modes of the shapes that are not left out."""
    kept = torch.ones(len(flat), dtype=torch.bool).index_fill(0, left_out, False)
    seen = flat[kept]
    mean = seen.mean(dim=0)
    if recombined:
        many = recombine(seen.unflatten(1, (-1, 3)).numpy(), POOL)
        seen = torch.from_numpy(many).flatten(1)
    modes = torch.linalg.eigh(seen.T.cov())[1].T.flip(0)[:count]
    # Single precision is enough for the network and takes half the time.
    return _Space(*(one.float() for one in (modes, seen - mean, flat[left_out] - mean)))


def _errors_mm(spaces: Sequence[_Space], state: Residual) -> Float[Tensor, " M"]:
    """Mean landmark error of each shape, decoded in the space that left it out."""
    errors_mm = []
    for index, space in enumerate(spaces):
        parameters = space.left_out_mm @ space.modes.T
        decoded_mm = parameters @ space.modes + state[index](parameters)
        missed_mm = (space.left_out_mm - decoded_mm).unflatten(1, (-1, 3))
        errors_mm.append(missed_mm.norm(dim=2).mean(dim=1))
    return torch.cat(errors_mm)


def _best(errors_mm: Float[Tensor, "C M"]) -> int:
    """State of smallest mean error if it beats the first by a standard error, else the first."""
    best = int(errors_mm.mean(dim=1).argmin())
    gained_mm = errors_mm[0] - errors_mm[best]
    return best if gained_mm.mean() > gained_mm.std() / len(gained_mm) ** 0.5 else 0
