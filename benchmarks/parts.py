"""The parts of training and inference that run on any device, without torchio or SimpleITK."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import pytorch_lightning as pl
import torch
from machine import median_seconds, wait
from references import localise_plainly, plain_network, slice_patches
from results import Fact, Row
from setups import BATCH, Setup
from torch.utils.flop_counter import FlopCounterMode

from pin_lightning.common.precision import choose_precision, network_dtype
from pin_lightning.common.types import Float, Int, Num, Tensor
from pin_lightning.method.losses import pin_loss
from pin_lightning.method.networks import TwoHeadCNN, patches_to_input
from pin_lightning.method.patches import cut_patches

STARTS, ITERATIONS = 6, 10


class Parts:
    """Times the parts of one configuration.

    Args:
        setup: The configuration.
        flops: Operations per second of a matrix product in the network's precision.
        copied: Bytes read and written per second by a copy.
        repetitions: Of which the median is taken.
    """

    def __init__(self, setup: Setup, flops: float, copied: float, repetitions: int) -> None:
        self.setup = setup
        self.flops = flops
        self.copied = copied
        self.repetitions = repetitions
        self.device = setup.device
        sampler = setup.sampler(self.device)
        zero = torch.zeros(BATCH, setup.components, device=self.device)
        centres_mm = sampler.shape_model.decode(sampler.draw(zero).parameters)
        self.centres_ijk: Float[Tensor, "B L 3"] = setup.grid.mm_to_ijk(centres_mm)
        self.index: Int[Tensor, " B"] = torch.arange(BATCH, device=self.device) % setup.volumes
        self.patches: Num[Tensor, "B C P P"] = self.cut()

    def cut(self) -> Num[Tensor, "B C P P"]:
        """A batch of patches."""
        side = self.setup.patch_side
        return cut_patches(self.setup.bordered, self.index, self.centres_ijk, side)

    def cutting(self, at_most: float | None = None) -> Row:
        """Cutting a batch."""
        centres, side = self.centres_ijk.cpu().numpy(), self.setup.patch_side
        volume = self.setup.intensities[0].numpy()
        return Row(
            f"{self.setup.name}: cut {BATCH} samples",
            self._median(self.cut),
            2 * self.patches.numel() / self.copied,
            "copy",
            "NumPy slices",
            self._median(lambda: slice_patches(volume, centres, side)),
            at_most,
        )

    def step(self, at_most: float | None = None) -> Row:
        """A training step, with and without its cutting."""
        network = self.setup.localizer().network.train()
        plain = plain_network(self.setup.build()).to(self.device).train()
        fused = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
        simple = torch.optim.Adam(plain.parameters(), lr=1e-4, fused=False, foreach=False)

        def train() -> None:
            train_step(network, fused, self.cut(), network_dtype(self.device))

        def train_plainly() -> None:
            train_step(plain, simple, self.patches, torch.float32, plain=True)

        with FlopCounterMode(display=False) as counter:
            train_step(network, fused, self.patches, network_dtype(self.device))
        return Row(
            f"{self.setup.name}: training step with cutting",
            self._median(train),
            counter.get_total_flops() / self.flops,
            "matrix product",
            "float32, default layout, no cutting",
            self._median(train_plainly),
            at_most,
        )

    def epoch(self, loader: Callable[..., object], name: str) -> tuple[Row, Fact]:
        """Steps through Lightning: the time of one, and how busy it keeps the network.

        Args:
            loader: Makes the loader from the sampler.
            name: Of the loader.
        """
        network = self.setup.localizer().network.train()
        fused = torch.optim.Adam(network.parameters(), lr=1e-4, fused=True)
        dtype = network_dtype(self.device)
        alone = self._median(lambda: train_step(network, fused, self.patches, dtype))
        seconds = lightning_step(self.setup, loader)
        row = Row(f"{self.setup.name}: step by loader={name}", seconds, alone, "network alone")
        busy = Fact(f"{self.setup.name}: network busy", 100 * alone / seconds, "%", ">= 85 %")
        return row, busy

    def network(self, volumes: int, at_most: float | None = None) -> Row:
        """The forward passes of one volume among several: ten iterations of six starts."""
        network = self.setup.localizer().network.eval()
        plain = plain_network(self.setup.build()).to(self.device).eval()
        patches = self.patches[:1].repeat(STARTS * volumes, 1, 1, 1)
        single = patches[:1]
        dtype = network_dtype(self.device)
        passes = STARTS * ITERATIONS
        return Row(
            f"{self.setup.name}: network per volume, {volumes} at once",
            self._median(lambda: forward(network, patches, dtype, ITERATIONS)) / volumes,
            self._passes_floor(),
            "matrix product",
            "float32, default layout, one start at a time",
            self._median(lambda: forward(plain, single, torch.float32, passes, plain=True)),
            at_most,
        )

    def localising(self, volumes: int, at_most: float | None = None) -> Row:
        """From working volumes on the device to landmarks, per volume."""
        localizer = self.setup.localizer().eval()
        given = self.setup.intensities[torch.arange(volumes) % self.setup.volumes].to(self.device)
        reference = None
        if self.device.type == "cpu":
            plain = plain_network(localizer.network).eval()
            voxels = given[0].numpy()
            reference = self._median(lambda: localise_plainly(localizer, plain, voxels))
        return Row(
            f"{self.setup.name}: localise, {volumes} volumes at once",
            self._median(lambda: localizer(given)) / volumes,
            self._passes_floor(),
            "matrix product",
            "" if reference is None else "NumPy slices, one start at a time",
            reference,
            at_most,
        )

    def _passes_floor(self) -> float:
        """Seconds that the forward passes of one volume would take at the speed of the ceiling."""
        network = self.setup.localizer().network.eval()
        with FlopCounterMode(display=False) as counter:
            forward(network, self.patches[:1], network_dtype(self.device), 1)
        return counter.get_total_flops() * STARTS * ITERATIONS / self.flops

    def _median(self, call: Callable[[], object]) -> float:
        return median_seconds(call, self.repetitions, self.device)


@torch.no_grad()
def forward(
    network: TwoHeadCNN,
    patches: Num[Tensor, "B C P P"],
    dtype: torch.dtype,
    times: int,
    plain: bool = False,
) -> None:
    """Both outputs of a network several times over, as in the iterations of a localisation."""
    with torch.autocast(patches.device.type, enabled=False):  # keeps weights that were converted
        for _ in range(times):
            _outputs(network, patches, dtype, plain)


def train_step(
    network: TwoHeadCNN,
    optimizer: torch.optim.Optimizer,
    patches: Num[Tensor, "B C P P"],
    dtype: torch.dtype,
    plain: bool = False,
) -> None:
    """One step on given patches."""
    displacement, logits = _outputs(network, patches, dtype, plain)
    direction = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    loss = pin_loss(displacement, logits, torch.zeros_like(displacement), direction, 0.5)
    optimizer.zero_grad()
    loss.total.backward()
    optimizer.step()


def _outputs(
    network: TwoHeadCNN, patches: Num[Tensor, "B C P P"], dtype: torch.dtype, plain: bool
) -> tuple[Tensor, Tensor]:
    if plain:
        return network(patches.float() / 255)
    with torch.autocast(patches.device.type, dtype, enabled=dtype != torch.float32):
        return network(patches_to_input(patches))


class _Clock(pl.Callback):
    """Seconds per step between two steps."""

    def __init__(self, first: int, last: int, device: torch.device) -> None:
        self.first, self.last, self.device = first, last, device
        self.began = self.seconds = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object, **kwargs: object) -> None:
        if trainer.global_step == self.first:
            wait(self.device)
            self.began = perf_counter()
        if trainer.global_step == self.last:
            wait(self.device)
            self.seconds = (perf_counter() - self.began) / (self.last - self.first)


def lightning_step(setup: Setup, loader: Callable[..., object]) -> float:
    """Seconds per step of a training through Lightning.

    Args:
        setup: The configuration.
        loader: Makes the training loader from the sampler.
    """
    first, last = (200, 2200) if setup.device.type == "cuda" else (5, 45)
    clock = _Clock(first, last, setup.device)
    accelerator = "gpu" if setup.device.type == "cuda" else "cpu"
    trainer = pl.Trainer(
        max_steps=last,
        accelerator=accelerator,
        devices=1,
        precision=choose_precision("auto", accelerator),
        log_every_n_steps=20,
        logger=False,
        callbacks=[clock],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=Path("outputs"),
    )
    # Samples are cut where the training runs, or on the CPU if the loader chooses so.
    trainer.fit(setup.module(), loader(setup.sampler(torch.device("cpu"))))
    return clock.seconds
