"""Export of a run as ONNX files, written only if ONNX Runtime computes what PyTorch does."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import torch
from omegaconf import DictConfig
from torch import nn

from pin_lightning.baselines.base import System
from pin_lightning.common.files import whole_file
from pin_lightning.common.ownership import owned_folder
from pin_lightning.common.settings import check_count, check_flag, refuse_missing
from pin_lightning.data.preprocessing import OriginalImage, read_image
from pin_lightning.data.scan_levels import scan_levels
from pin_lightning.deployment.graphs import (
    OPSETS,
    LocalizerGraph,
    localizer_model,
    network_model,
    with_metadata,
)
from pin_lightning.deployment.metadata import metadata
from pin_lightning.deployment.parity import (
    FEW_ITERATIONS,
    Tolerance,
    check_few_iterations,
    check_localizer,
    check_network,
    mostly,
    seconds_per_volume,
)
from pin_lightning.deployment.pose_graph import PoseStep, pose_model
from pin_lightning.deployment.pose_metadata import pose_metadata
from pin_lightning.deployment.pose_parity import check_pose
from pin_lightning.deployment.pose_scans import Levels, asked, made_scans
from pin_lightning.deployment.volumes import Volumes, volumes_of_run
from pin_lightning.inference.inputs import find_inputs
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.trajectory import LandmarkLocalizer
from pin_lightning.runs.folder import EXPORTED
from pin_lightning.runs.found import found_run
from pin_lightning.runs.predictor import Predictor

log = logging.getLogger(__name__)
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def export(config: DictConfig) -> list[Path]:
    """Write the ONNX files of a run, or of the folds of a cross-validation.

    Args:
        config: Composed from `conf/export.yaml`.

    Returns:
        The files.

    Raises:
        ValueError: A package is missing, a setting or the run is wrong, a part cannot be expressed
            in ONNX, or the files do not compute what PyTorch does. Then no file is changed.
    """
    refuse_missing(config)
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise ValueError(f"export: needs {', '.join(absent)}; pip install 'pin-lightning[export]'")
    tolerance, opset = Tolerance.of(config.tolerance), config.opset
    if opset not in OPSETS or not isinstance(opset, int):
        raise ValueError(f"opset={opset}: give a number from {OPSETS[0]} to {OPSETS[-1]}")
    check_flag("localizer", config.localizer)
    if config.num_starts is not None:
        check_count("num_starts", config.num_starts)
    run, folder = found_run(config.run), _output(config)
    predictor = Predictor.load(run, "cpu", config.trust_run)
    _refuse_systems(config.run, predictor.localizer)
    predictor.localizer.set_dtype(torch.float32)  # as other programs compute
    if config.num_starts is not None:
        predictor.localizer.set_starts(config.num_starts)
    images = _images(config, predictor.window)
    volumes = _volumes(run, predictor, images)
    with owned_folder("output", folder) as output:
        files = dict(_poses(predictor, _scans(predictor, volumes, images), tolerance, opset))
        files |= _networks(predictor, volumes, tolerance, opset)
        if config.localizer:
            files["localizer.onnx"] = _whole(predictor, volumes, tolerance, opset)
        return _write(output, files)


def _output(config: DictConfig) -> Path:
    """Folder of the files: by default in the run folder."""
    if config.output is not None:
        return Path(config.output)
    if not Path(config.run).is_dir():
        raise ValueError(
            f"output: is not set, and run={config.run} is no folder; give output=FOLDER"
        )
    return Path(config.run) / EXPORTED


def _refuse_systems(run: str, localizer: LandmarkLocalizer) -> None:
    """Raise a ValueError for a run of a system beside PIN, or one that begins with it."""
    assert isinstance(localizer, nn.Module)
    for one in localizer.modules():
        if isinstance(one, System):
            raise ValueError(
                f"run={run}: is of model={one.name}, of which there is no ONNX file; give a run of "
                f"PIN"
            )


def networks(localizer: LandmarkLocalizer, prefix: str = "") -> Iterator[tuple[str, Localizer]]:
    """Yield all localizers of a run with the names of their networks' files.

    Args:
        localizer: One, or the folds of a cross-validation; first stages follow the second.
        prefix: Start of all names.
    """
    if isinstance(localizer, Ensemble):
        for fold, one in enumerate(localizer.members):
            yield from networks(one, f"{prefix}fold{fold}_")
        return
    assert isinstance(localizer, Localizer)
    yield f"{prefix}network", localizer
    if localizer.first_stage is not None:
        yield from networks(localizer.first_stage, f"{prefix}first_stage_")


def pose_files(predictor: Predictor) -> list[str]:
    """Names of the files of a run's pose stages; none without any."""
    count = 0 if predictor.locator is None else len(predictor.locator.ensemble.members)
    return ["pose.onnx"] if count == 1 else [f"fold{fold}_pose.onnx" for fold in range(count)]


def _images(config: DictConfig, window: str) -> list[OriginalImage]:
    """Images of the user for the parity check."""
    if config.input is None:
        return []
    images = []
    for one in find_inputs(config.input).values():
        with one.file.local() as path:
            images.append(read_image(path, window))
    return images


def _volumes(run: Path, predictor: Predictor, images: Sequence[OriginalImage]) -> Volumes:
    """Working volumes for the parity check: those of the user's images, or of the run."""
    if not images:
        return volumes_of_run(run, predictor.localizer.grid)
    return torch.stack([predictor.place(image)[0].intensity for image in images])


def _scans(predictor: Predictor, volumes: Volumes, images: Sequence[OriginalImage]) -> list[Levels]:
    """Whole scans for the parity check of pose stages: the user's images, or made of volumes."""
    if predictor.locator is None:
        return []
    spacings_mm = predictor.locator.ensemble.members[0].spacings_mm
    if not images:
        return made_scans(volumes, predictor.localizer.grid.spacing_mm, spacings_mm)
    return [scan_levels(one.seen, one.affine, one.window, spacings_mm).levels for one in images]


def _poses(
    predictor: Predictor, scans: Sequence[Levels], tolerance: Tolerance, opset: int
) -> Iterator[tuple[str, bytes]]:
    if predictor.locator is None:
        return
    locator = predictor.locator
    names = pose_files(predictor)
    for name, finder in zip(names, locator.ensemble.members, strict=True):
        finder.network_dtype = torch.float32
        step = PoseStep(finder)
        entries = pose_metadata(finder, locator.limits, predictor.window)
        model = with_metadata(pose_model(step, opset), entries)
        compared = [asked(finder, levels) for levels in scans]
        worst_mm, elsewhere = check_pose(step, model, compared, tolerance.voxels)
        total = sum(len(one.poses.linear) for one in compared)
        log.info(
            "%s: steps at most %.1e mm from those of PyTorch, from %d poses", name, worst_mm, total
        )
        if elsewhere:
            log.info(
                "%s: %d of %d poses moved elsewhere, as by rounding in PyTorch",
                *(name, elsewhere, total),
            )
        yield name, model


def _networks(
    predictor: Predictor, volumes: Volumes, tolerance: Tolerance, opset: int
) -> Iterator[tuple[str, bytes]]:
    ways = (None, predictor.window, pose_files(predictor))
    for name, one in networks(predictor.localizer):
        entries = metadata(predictor.names, [one], *ways)
        model = with_metadata(network_model(one, opset), entries)
        worst = check_network(one, model, volumes, tolerance)
        log.info("%s.onnx: %.1e of the largest output from PyTorch", name, worst)
        yield f"{name}.onnx", model


def _whole(predictor: Predictor, volumes: Volumes, tolerance: Tolerance, opset: int) -> bytes:
    localizer = predictor.localizer
    assert isinstance(localizer, Localizer | Ensemble)
    members = localizer.members if isinstance(localizer, Ensemble) else [localizer]
    ways = (predictor.window, pose_files(predictor), predictor.apart_mm)
    entries = metadata(predictor.names, _pins(members), predictor.calibration, *ways)
    graph = LocalizerGraph(localizer)
    model = with_metadata(localizer_model(graph, localizer.grid.size, opset), entries)
    limit_mm = tolerance.voxels * localizer.grid.spacing_mm
    worst_mm, diverged = check_localizer(graph, model, volumes, limit_mm)
    log.info(
        "localizer.onnx: landmarks at most %.1e mm from those of PyTorch, in %d volumes",
        *(worst_mm, len(volumes)),
    )
    if diverged.any():
        log.info(
            "localizer.onnx: %d of %d starts ended elsewhere, as by rounding in PyTorch",
            *(diverged.sum(), diverged.numel()),
        )
    if mostly(diverged):
        check_few_iterations(localizer, volumes, limit_mm, opset)
        log.info("localizer.onnx: compared after %d iterations instead", FEW_ITERATIONS)
    torch_seconds, onnx_seconds = seconds_per_volume(graph, model, volumes[0])
    log.info(
        "seconds per volume, %d threads: PyTorch %.2f, ONNX Runtime %.2f, %.1f times as long",
        *(torch.get_num_threads(), torch_seconds, onnx_seconds, onnx_seconds / torch_seconds),
    )
    return model


def _pins(localizers: Sequence[LandmarkLocalizer]) -> list[Localizer]:
    return [one for one in localizers if isinstance(one, Localizer)]


def _write(output: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write all files; none appears or is replaced before all are complete."""
    paths = [output / name for name in files]
    with ExitStack() as stack:
        temporaries = [stack.enter_context(whole_file(path)) for path in paths]
        for temporary, content in zip(temporaries, files.values(), strict=True):
            temporary.write_bytes(content)
    for path in paths:
        log.info("%s: %.1f MB", path, path.stat().st_size / 1e6)
    return paths
