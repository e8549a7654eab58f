"""One volume that cannot be predicted never ends the others, whatever the reason."""

import csv
import errno
import os

import nibabel as nib
import pytest
import torch

from conftest import composed
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.inference import outputs
from pin_lightning.inference.run import infer
from pin_lightning.method.localizer import Localizer
from pin_lightning.runs import predictor

LONG = "x" * 251  # with .nii as long as a name may be; with .mrk.json longer
BYTES = os.fsdecode(b"M\xfcller")  # Latin-1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same head under names that are valid, not UTF-8, and too long for an output."""
    folder = tmp_path_factory.mktemp("volumes")
    head = make_phantom(5, (54, 35, 47), (3.0, 3.0, 3.0))
    image = nib.Nifti1Image(head.volume, head.affine)
    for name in ("a", "b", BYTES, LONG):
        nib.save(image, folder / "temporary.nii")
        (folder / "temporary.nii").rename(folder / f"{name}.nii")
    return folder


def predicted(short_run, folder, output, *settings):
    """Names in the table, and the number of volumes that failed."""
    given = [f"run={short_run}", f"input={folder}", f"output={output}", "device=cpu", *settings]
    failed = infer(composed(*given, config_name="infer"))
    with (output / "landmarks.csv").open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["volume"] for row in csv.DictReader(file))), failed


def test_names_of_any_bytes_and_lengths(short_run, folder, tmp_path, caplog):
    """What no output can be named after has failed; bytes that are not text are written as such."""
    output = tmp_path / "out"
    assert predicted(short_run, folder, output) == (["M%FCller", "a", "b"], 1)
    assert f"{LONG}.mrk.json: File name too long; give it a shorter name" in caplog.text
    assert (output / "M%FCller.mrk.json").is_file()
    page = (output / "review.html").read_text("utf-8")
    assert LONG in page
    assert "M%FCller" in page
    # Predicted again, the files of before are replaced.
    assert predicted(short_run, folder, output)[1] == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "a.nii: too little memory; close other programs"),
        (RuntimeError("a library\nended"), "a.nii: RuntimeError: a library ended"),
        (AssertionError(), "a.nii: AssertionError"),
    ],
)
def test_an_error_of_any_kind_while_reading(short_run, folder, tmp_path, mocker_of, error, words):
    mocker_of(predictor, "read_image", lambda path, *_: path.stem == "a", error)
    names, failed = predicted(short_run, folder / "[ab].nii", tmp_path / "out")
    assert (names, failed) == (["b"], 1)
    assert words in (tmp_path / "out" / "review.html").read_text("utf-8")


def test_an_error_while_localising_is_that_of_one_volume(
    short_run, folder, tmp_path, monkeypatch, caplog
):
    """A batch that fails is localised one by one."""
    forward, sizes = Localizer.forward, []

    def fails_for_batches_and_once_alone(self, volumes):
        sizes.append(len(volumes))
        if sizes in ([3], [3, 1]):
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, volumes)

    monkeypatch.setattr(Localizer, "forward", fails_for_batches_and_once_alone)
    pattern = folder / "[!x]*.nii"
    names, failed = predicted(short_run, pattern, tmp_path / "out", "batch_size=3")
    assert (names, failed) == (["a", "b"], 1)
    assert "M%FCller.nii: OutOfMemoryError: out of memory" in caplog.text
    assert sizes == [3, 1, 1, 1]


def test_a_failure_while_writing_leaves_no_file_of_the_volume(
    short_run, folder, tmp_path, mocker_of
):
    mocker_of(outputs, "write_slices", lambda _, name, __: name == "a", RuntimeError("no slice"))
    names, failed = predicted(short_run, folder / "[ab].nii", tmp_path / "out")
    assert (names, failed) == (["b"], 1)
    assert not list((tmp_path / "out").glob("a*"))


def test_a_full_disk_ends_the_program(short_run, folder, tmp_path, mocker_of):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.mrk.json")
    mocker_of(outputs, "write_landmarks", lambda *_: True, full)
    with pytest.raises(OSError, match="No space left on device"):
        predicted(short_run, folder / "[ab].nii", tmp_path / "out")
    assert not list((tmp_path / "out").glob("[ab]*"))


@pytest.fixture
def mocker_of(monkeypatch):
    """Let a function of a module raise an error where its arguments are such."""

    def mock(module, name, applies, error):
        own = getattr(module, name)

        def fails(*args, **kwargs):
            if applies(*args):
                raise error
            return own(*args, **kwargs)

        monkeypatch.setattr(module, name, fails)

    return mock
