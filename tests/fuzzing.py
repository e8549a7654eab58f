"""Fuzzing of all that reads a file: ``python tests/fuzzing.py [TARGET...] seconds=600 [run=RUN]``.

Valid files are damaged in many ways and read, in a process of their own. Each must be read, or
refused by a ValueError that names it, within `MOST_SECONDS` and `MOST_BYTES`. What does otherwise
is kept in ``outputs/fuzzing`` and listed in the end. Targets of the files of a run need ``run=``.
"""

import gzip
import logging
import multiprocessing
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

MOST_SECONDS, MOST_BYTES, MOST_FOUND = 10, 2 * 2**30, 20
KEPT = Path("outputs/fuzzing")
NUMBERS = ("0", "-1", "1", "nan", "inf", "1e308", "-1e-308", "65536", "2147483648", "9" * 30, "x")
WORDS = ("", " ", "\0", "\ufeff", "é", "{", "[", "}", '"', ",", "\n", "null", "true", "NaN", "../a")
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
HEADER = 500  # bytes at the beginning that are damaged most


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        make: Write a valid file, with what belongs to it, into a folder; its path.
        read: Read it.
        text: Whether it is text.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    text: bool


@dataclass(frozen=True)
class Outcome:
    """What became of the damaged files of a target."""

    read: int
    refused: int
    found: tuple[str, ...]


def damaged(content: bytes, text: bool, draw: random.Random) -> bytes:
    """Content with one to four changes."""
    if content[:2] == b"\x1f\x8b" and draw.random() < 0.8:  # within what is compressed
        return gzip.compress(damaged(gzip.decompress(content), text, draw), 1)
    for _ in range(draw.randint(1, 4)):
        content = draw.choice(TEXT_CHANGES if text else BINARY_CHANGES)(content, draw)
    return content


def _place(content: bytes, draw: random.Random) -> int:
    return draw.randrange(max(1, min(len(content), draw.choice((HEADER, len(content) or 1)))))


def _byte(content: bytes, draw: random.Random) -> bytes:
    at = _place(content, draw)
    return (
        content[:at]
        + bytes([draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))])
        + content[at + 1 :]
    )


def _value(content: bytes, draw: random.Random) -> bytes:
    at = _place(content, draw) // 2 * 2
    kind = draw.choice(("<i2", "<i4", "<f4", "<f8", ">i2", ">i4", ">f4"))
    with np.errstate(all="ignore"):
        value = draw.choice(
            (0, -1, 1, 1e6, 2**15 - 1, 2**31 - 1, -(2**31), 1e-30, 1e30, np.inf, np.nan)
        )
        if "i" in kind and not np.isfinite(value):
            value = 2**15
        new = np.array([value]).astype(kind).tobytes()
    return content[:at] + new + content[at + len(new) :]


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: _place(content, draw)]


def _without(content: bytes, draw: random.Random) -> bytes:
    at = _place(content, draw)
    return content[:at] + content[at + draw.choice((1, 2, 8, 100)) :]


def _again(content: bytes, draw: random.Random) -> bytes:
    at, size = _place(content, draw), draw.choice((1, 8, 64, 1000))
    return content[:at] + content[at : at + size] * draw.choice((2, 3, 50)) + content[at + size :]


def _number(content: bytes, draw: random.Random) -> bytes:
    known = list(NUMBER.finditer(content))
    if not known:
        return content
    one = draw.choice(known)
    return content[: one.start()] + draw.choice(NUMBERS).encode() + content[one.end() :]


def _word(content: bytes, draw: random.Random) -> bytes:
    at = _place(content, draw)
    return content[:at] + draw.choice(WORDS).encode() * draw.choice((1, 1, 5000)) + content[at:]


def _lines(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    how = draw.randrange(3)
    if how == 0:
        lines[one], lines[other] = lines[other], lines[one]
    elif how == 1:
        del lines[one]
    else:
        lines.insert(one, lines[other])
    return b"\n".join(lines)


BINARY_CHANGES = (_byte, _byte, _value, _value, _value, _cut, _without, _again)
TEXT_CHANGES = (_number, _number, _word, _lines, _byte, _cut, _without, _again)


def targets(run: Path | None) -> dict[str, Target]:
    """All kinds of files, those of a run if there is one."""
    import frames_of_dicom as frames
    from data.images.test_reading import FORMATS, write

    from pin_lightning.common.landmark_set import LandmarkSet
    from pin_lightning.data.images.reading import read_header, read_voxels
    from pin_lightning.data.landmarks.files import read_landmarks, read_table, write_landmarks
    from pin_lightning.data.landmarks.voxel_text import read_voxel_rows

    landmarks = LandmarkSet.of(["nose", "Höhle (1)", "c"], np.arange(9.0).reshape(3, 3))

    def image(path: Path) -> None:
        read_header(path)
        read_voxels(path)

    def made(suffix: str, folder: Path) -> Path:
        return write(folder / f"a{suffix}")

    def marked(suffix: str, folder: Path) -> Path:
        write_landmarks(folder / f"a{suffix}", landmarks)
        return folder / f"a{suffix}"

    def table(folder: Path) -> Path:
        rows = "".join(f"case{c},l{n},RAS,{n},{c},2.5\n" for c in range(3) for n in range(3))
        (folder / "a.csv").write_text(f"case,landmark,frame,x,y,z\n{rows}")
        return folder / "a.csv"

    def voxels(folder: Path) -> Path:
        (folder / "a_ps.txt").write_text("10.5 20 30\n11 21 31\n12 22 32\n")
        return folder / "a_ps.txt"

    text = {".nrrd", ".nhdr", ".mha", ".mhd"}  # their headers
    found = {one: Target(partial(made, one), image, one in text) for one in FORMATS}
    found[".dcm"] = Target(
        lambda folder: frames.save(frames.enhanced(), folder / "a.dcm"), image, False
    )
    for suffix in (".mrk.json", ".fcsv"):
        found[suffix] = Target(partial(marked, suffix), read_landmarks, True)
    found["table"] = Target(table, read_table, True)
    found["voxel_text"] = Target(voxels, lambda path: read_voxel_rows(path, None, ()), True)
    return found | (of_run(run) if run is not None else {})


def of_run(run: Path) -> dict[str, Target]:
    """The files of a run, each damaged in a copy of it that is then loaded."""
    from pin_lightning.deployment.packed_files import write_files
    from pin_lightning.runs.folder import best_checkpoint, read_config
    from pin_lightning.runs.packed import write_packed
    from pin_lightning.runs.predictor import Predictor

    def copied(name: str, folder: Path) -> Path:
        shutil.copytree(run, folder / "run", ignore=shutil.ignore_patterns("figures", "*.html"))
        return next((folder / "run").glob(name))

    def load(path: Path) -> None:
        folder = path
        while folder.name != "run":
            folder = folder.parent
        Predictor.load(folder, device="cpu")
        read_config(folder)

    text = {f"run/{one}": one for one in ("run.json", "config.yaml", "pose/pose.json")}
    found = {
        name: Target(partial(copied, one), load, True)
        for name, one in text.items()
        if (run / one).is_file()
    }

    def packed(folder: Path) -> Path:
        write_files(run, folder / "staged", "heads")
        write_packed(folder / "heads.zip", folder / "staged", "heads", "0")
        return folder / "heads.zip"

    def load_packed(path: Path) -> None:
        Predictor.load(path, device="cpu")

    checkpoint = str(best_checkpoint(run).relative_to(run))
    found["run/checkpoint"] = Target(partial(copied, checkpoint), load, False)
    return found | {"run.zip": Target(packed, load_packed, False)}


def _try(name: str, run: Path | None, seed: int, count: int, seconds: float, pipe: object) -> None:
    """Damage and read, in a process of its own, which says before each what it reads."""
    target, draw, ends = targets(run)[name], random.Random(seed), time.monotonic() + seconds
    signal.signal(signal.SIGALRM, _too_long)
    logging.disable()
    warnings.simplefilter("ignore")
    tried = 0
    with tempfile.TemporaryDirectory() as place:
        path = target.make(Path(place))
        valid = path.read_bytes()
        target.read(path)
        while tried < count and time.monotonic() < ends:
            content = damaged(valid, target.text, draw)
            path.write_bytes(content)
            pipe.send_bytes(content)
            pipe.send(_outcome(target, path))
            tried += 1
    pipe.send_bytes(b"done")
    pipe.send(None)


def _outcome(target: Target, path: Path) -> str:
    """``read``, ``refused``, or what went wrong."""
    signal.alarm(MOST_SECONDS)
    try:
        target.read(path)
        said = "read"
    except ValueError as error:
        line = str(error)
        inside = str(path) in line or any(str(one) in line for one in list(path.parents)[:3])
        said = "refused" if inside and "\n" not in line else f"does not name the file: {line!r}"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return said if most < MOST_BYTES else f"{most / 2**30:.1f} GB of memory"


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {MOST_SECONDS} s")


def fuzz(
    name: str, run: Path | None = None, seed: int = 0, count: int = 10**9, seconds: float = 600
) -> Outcome:
    """Damage and read files of a target; each finding's file is kept in `KEPT`."""
    context, counts, found = multiprocessing.get_context("fork"), {"read": 0, "refused": 0}, []
    ends, content = time.monotonic() + seconds, b""
    while (left := ends - time.monotonic()) > 0 and sum(counts.values()) < count:
        mine, other = context.Pipe()
        rest = count - sum(counts.values())
        process = context.Process(target=_try, args=(name, run, seed, rest, left, other))
        process.start()
        other.close()
        said: str | None = "read"
        try:
            while said in counts:
                content = mine.recv_bytes()
                if (said := mine.recv()) in counts:
                    counts[said] += 1
        except EOFError:
            process.join()
            said = f"the process ended with {process.exitcode}"
        if said is None:
            break
        process.kill()
        found.append(said)
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / f"{name.replace('/', '_')}-{seed}-{len(found)}").write_bytes(content)
        seed += 1  # the same would be found again
        if len(found) == MOST_FOUND:
            break
    return Outcome(counts["read"], counts["refused"], tuple(found))


def main() -> None:
    """Fuzz all targets, or those that are named."""
    given = dict(one.split("=", 1) for one in sys.argv[1:] if "=" in one)
    run = Path(given["run"]) if "run" in given else None
    names = [one for one in sys.argv[1:] if "=" not in one] or list(targets(run))
    for name in names:
        done = fuzz(name, run, int(given.get("seed", 0)), seconds=float(given.get("seconds", 600)))
        print(
            f"{name}: {done.read} read, {done.refused} refused, {len(done.found)} found", flush=True
        )
        for one in done.found:
            print(f"  {one[:300]}", flush=True)


if __name__ == "__main__":
    main()
