"""The beginning of a prediction in a folder, whatever lies there already."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from pin_lightning.common.files import output_folder, remove_leftovers, write_json
from pin_lightning.common.ownership import owned_folder, refuse_parts
from pin_lightning.inference.header import HEADER, PredictionHeader, read_header, refuse_elsewhere
from pin_lightning.inference.part import AnyPart, part_named
from pin_lightning.inference.records import RECORDS, Failed, Records

TABLES = ("landmarks.csv", "review.html", "failed.csv")
PARTS = f"{RECORDS}/parts"  # a file for each part, with the names of its volumes
MOST_NAMED = 20  # volumes that failed, in the last line of a program


@dataclass(frozen=True)
class PartList:
    """The volumes that a part set out to predict.

    Attributes:
        part: The part.
        volumes: Keys of its inputs by the names of their outputs.
        since: When it set out, in ns.
    """

    part: AnyPart
    volumes: Mapping[str, str]
    since: int


def part_lists(folder: Path) -> Iterator[PartList]:
    """Read the lists of all parts that have begun.

    Raises:
        ValueError: One is damaged.
    """
    for path in sorted((folder / PARTS).glob("*.json")):
        try:
            content = json.loads(path.read_text("utf-8"))
            volumes = {str(name): str(key) for name, key in content["volumes"].items()}
            for name in volumes:
                refuse_elsewhere(f"{name}.json")
            yield PartList(part_named(str(content["part"])), volumes, path.stat().st_mtime_ns)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{path}: is damaged ({' '.join(str(error).split())}); remove it and start again"
            ) from error


@contextmanager
def at_work(
    folder: Path,
    header: PredictionHeader,
    part: AnyPart,
    volumes: Mapping[str, str],
    overwrite: bool,
) -> Iterator[None]:
    """Own a folder, or a part of it, within the block, and begin as `begin` does.

    Parts begin one after the other, and own nothing while they wait.

    Raises:
        ValueError: As of `owned_folder` and `begin`.
    """
    with ExitStack() as held:
        if part.is_whole:
            held.enter_context(owned_folder("output", folder))
            remove_unfinished(folder)
        else:
            output_folder("output", folder)
        with beginning(folder):
            if not part.is_whole:
                held.enter_context(owned_folder("output", folder, part.file_name))
            begin(folder, header, part, volumes, overwrite)
        yield


@contextmanager
def beginning(folder: Path) -> Iterator[None]:
    """Keep others from beginning in a folder within the block; waits for its turn."""
    (folder / PARTS).mkdir(parents=True, exist_ok=True)
    with FileLock(folder / RECORDS / ".lock"):
        yield


def begin(
    folder: Path,
    header: PredictionHeader,
    part: AnyPart,
    volumes: Mapping[str, str],
    overwrite: bool,
) -> None:
    """Let a part predict into a folder: note what predicts, and the names of its volumes.

    What an earlier prediction left stays, unless it is asked to go: then all of it goes where the
    run or settings are others or the part is the whole, else that of the part.

    Args:
        folder: The output folder.
        header: What predicts.
        part: The part.
        volumes: As of `PartList`.
        overwrite: Let results of before go.

    Raises:
        ValueError: The folder holds results of another run or other settings, or files that no
            prediction recorded and that would be overwritten.
    """
    before = read_header(folder)
    known = dict(_recorded(folder, before))
    _refuse_same_files(folder, header, volumes)
    _refuse_foreign(folder, header, volumes, known)
    other = before is not None and _difference(before, header)
    if other and not overwrite:
        raise ValueError(
            f"output={folder}: holds results of {other}; give another folder, or "
            f"overwrite=true to remove them"
        )
    if other:
        refuse_parts("output", folder, part.file_name)
    if overwrite:
        going = known if other or part.is_whole else known.keys() & volumes.keys()
        _remove(folder, {name: known[name] for name in going})
    header.write(folder)
    listed = folder / PARTS / f"{part.file_name}.json"
    # The whole stands for all parts, whatever they set out to do.
    ended = [*(folder / PARTS).glob("*.json")] if other or part.is_whole else [listed]
    _forget_unfinished(folder, ended, volumes, known)
    if part.is_whole:
        _forget_failed(folder, volumes)
    write_json(listed, {"part": str(part), "volumes": dict(volumes)})
    for path in ended:
        if path != listed:
            path.unlink()


def remove_tables(folder: Path) -> None:
    """Remove the tables of all volumes, which are made again when all are done."""
    for name in TABLES:
        (folder / name).unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files that killed processes left in a folder that nobody works in."""
    for one in (folder, folder / RECORDS, folder / PARTS):
        remove_leftovers(one)


def _difference(before: object, header: PredictionHeader) -> str | None:
    if isinstance(before, PredictionHeader):
        return header.difference(before)
    return "an earlier version of this program"


def _recorded(
    folder: Path, before: PredictionHeader | Mapping[str, Sequence[str]] | None
) -> Iterator[tuple[str, Sequence[str]]]:
    """Names of all volumes that predictions have recorded, each with its files."""
    if before is None:
        return
    if not isinstance(before, PredictionHeader):
        yield from before.items()
        return
    for listed in part_lists(folder):
        yield from ((name, before.files(name)) for name in listed.volumes)
    yield from ((name, before.files(name)) for name in Records(folder).names())


def _refuse_same_files(folder: Path, header: PredictionHeader, names: Iterable[str]) -> None:
    """Refuse names such as ``a`` and ``a_b`` where slices ``b_TV`` and ``TV`` would be one file."""
    often = Counter(one for name in names for one in header.files(name))
    if both := [one for one, count in often.items() if count > 1]:
        raise ValueError(
            f"output={folder}: two volumes would both write {some(both)}; predict them into two "
            f"folders, or give planes=false"
        )


def _refuse_foreign(
    folder: Path, header: PredictionHeader, names: Iterable[str], known: Mapping[str, Sequence[str]]
) -> None:
    own = {one for files in known.values() for one in files}
    written = [one for name in names for one in header.files(name)]
    if not (folder / HEADER).is_file():
        written += TABLES
    # A name may be too long for the system: `os.path` says that there is no such file.
    if foreign := [one for one in written if one not in own and os.path.lexists(folder / one)]:
        raise ValueError(
            f"output={folder}: holds {some(foreign)}, which no prediction here recorded and this "
            f"one would overwrite; give another folder, or move them away"
        )


def _remove(folder: Path, files: Mapping[str, Sequence[str]]) -> None:
    if files:
        remove_tables(folder)
    records = Records(folder)
    for name, own in files.items():
        records.remove(name)
        for one in own:
            if os.path.lexists(folder / one):
                (folder / one).unlink()


def _forget_unfinished(
    folder: Path,
    ended: Sequence[Path],
    volumes: Mapping[str, str],
    known: Mapping[str, Sequence[str]],
) -> None:
    """Remove what parts left of volumes that they began, did not finish and no longer have."""
    records, names = Records(folder), {path.name for path in ended}
    for one in part_lists(folder):
        if f"{one.part.file_name}.json" in names:
            dropped = [name for name in one.volumes if name not in volumes]
            gone = [name for name in dropped if not records.read(name)]
            _remove(folder, {name: known.get(name, ()) for name in gone})


def _forget_failed(folder: Path, volumes: Mapping[str, str]) -> None:
    """Remove the records of volumes that failed and are asked for no more."""
    records = Records(folder)
    for name in [one for one in records.names() if one not in volumes]:
        record = records.read(name)
        if record is not None and isinstance(record.one, Failed):
            records.remove(name)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, and how many more there are.

    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
