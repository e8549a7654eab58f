"""Serve annotations: settings, the session, and the server around it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pin_lightning.annotation.names import (
    LandmarkNames,
    checked_names,
    names_in_file,
    names_in_files,
)
from pin_lightning.annotation.predicting_run import PredictingRun, names_of_run
from pin_lightning.annotation.session import Session
from pin_lightning.annotation.volume_names import keep_names, names_before
from pin_lightning.annotation.volumes import Scans
from pin_lightning.common.ownership import owned_folder
from pin_lightning.common.settings import check_count, check_flag, refuse_missing
from pin_lightning.inference.plane_slices import groups_of_run
from pin_lightning.runs.found import found_run

log = logging.getLogger(__name__)


def serve(config: DictConfig) -> None:
    """Serve until this process is asked to end.

    Args:
        config: Composed from `conf/serve.yaml`.

    Raises:
        ValueError: A setting, the run or a folder is wrong, the port is taken, or what it takes is
            not installed.
    """
    refuse_missing(config)
    _check_settings(config)
    try:
        from pin_lightning.annotation.address import Address, listening
        from pin_lightning.annotation.app import create_app
        from pin_lightning.annotation.running import run_server
    except ImportError as error:
        raise ValueError(
            f"serve: {error.name} is not installed; pip install 'pin-lightning[serve]'"
        ) from error
    from pin_lightning.annotation.learning.connect import connect
    from pin_lightning.annotation.learning.settings import checked_settings
    from pin_lightning.annotation.places import refuse_places

    given, train = _run_of(config), checked_settings(config.train)
    scans = Scans.find(str(config.input), config.links, names_before(Path(config.output)))
    refuse_places(config, scans)
    address = Address.of(config.host, config.port, config.token)
    with listening(address) as socket, owned_folder("output", config.output):
        session = session_of(config, scans)
        app = create_app(session, address.token, not address.is_loopback)
        try:
            session.start(connect(session, _predicting(config), train, given))
            run_server(app, socket, address, session)
        finally:
            session.close()


def session_of(config: DictConfig, scans: Scans) -> Session:
    """Make the session of a config.

    Raises:
        ValueError: The run or the landmarks are wrong.
    """
    output = Path(config.output)
    keep_names(output, {one.name: one.input for one in scans.values()})
    names, planes = LandmarkNames(output), list[dict[str, Any]]()
    if config.run is not None:
        names.set_by_run(names_of_run(found_run(config.run)))
        groups = groups_of_run(found_run(config.run), names.names)
        planes = [{"name": one.name, "landmarks": list(one.landmarks)} for one in groups]
    elif config.landmarks is not None:
        names.set_by_person(_given_names(config.landmarks))
    elif not names.names:
        found = names_in_files(output, [one.name for one in scans.values()])
        if found:
            names.set_by_person(found)
    return Session(scans, output, names, Path(str(config.input)).name, planes)


def _run_of(config: DictConfig) -> PredictingRun | None:
    if config.run is None:
        return None
    return PredictingRun.of(config.run, _predicting(config))


def _predicting(config: DictConfig) -> dict[str, Any]:
    """Settings of predictions."""
    return {key: config[key] for key in ("device", "num_starts", "trust_run")}


def _given_names(given: Any) -> tuple[str, ...]:
    if isinstance(given, str) and given.startswith("[") and not Path(given).exists():
        raise ValueError(
            f"""landmarks={given}: is no list; quote each name, 'landmarks=["nose","chin"]'"""
        )
    if isinstance(given, str):
        return names_in_file(Path(given))
    names: Sequence[Any] = OmegaConf.to_container(given)  # type: ignore[assignment]
    return checked_names(names)


def _check_settings(config: DictConfig) -> None:
    check_count("port", config.port, least=0)
    if config.port > 65535:
        raise ValueError(f"port={config.port}: give a number up to 65535")
    for setting in ("links", "trust_run"):
        check_flag(setting, config[setting])
    if config.num_starts is not None:
        check_count("num_starts", config.num_starts)
    if config.run is not None and config.landmarks is not None:
        raise ValueError(f"landmarks={config.landmarks}: run={config.run} has its own; give one")
