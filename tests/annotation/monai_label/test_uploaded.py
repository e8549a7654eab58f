"""Images that clients send: what is taken, and how long it is kept."""

import io
import time

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_series

from pin_lightning.annotation.monai_label.uploaded import MOST_IMAGES, Sent, TooMuch, Uploaded
from pin_lightning.data.images.reading import read_header


class Clock:
    """A time that a test sets."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def uploaded(tmp_path, clock):
    (tmp_path / "uploads" / "of an earlier server").mkdir(parents=True)
    return Uploaded(tmp_path / "uploads", most_bytes=100_000, clock=clock)


def nifti(side=4):
    image = nib.Nifti1Image(np.zeros((side, 3, 2), np.uint8), np.diag([2.0, 3, 4, 1]))
    return image.to_bytes()


def sent(content, name="a.nii"):
    return [Sent(name, io.BytesIO(content))]


def kept(uploaded):
    return sorted(path.name for path in uploaded.folder.iterdir())


def test_an_image_is_kept_under_a_name_of_our_own(uploaded):
    image = uploaded.add(sent(nifti(), "../../etc/ANNA.nii"))
    assert kept(uploaded) == [image.id]
    assert image.path == uploaded.folder / image.id / "00000.nii"
    assert (image.name, image.size) == ("ANNA.nii", len(nifti()))
    assert read_header(uploaded.get(image.id).path)[0] == (4, 3, 2)
    assert uploaded.remove(image.id) is image
    assert (kept(uploaded), uploaded.get(image.id), uploaded.remove(image.id)) == ([], None, None)


def test_slices_of_a_series_are_one_image(uploaded, tmp_path):
    volume = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(4, 3, 2))
    write_series(volume, tmp_path / "series")
    files = sorted((tmp_path / "series").iterdir())
    image = uploaded.add([Sent("IM", io.BytesIO(file.read_bytes())) for file in files])
    assert image.path.is_dir()
    assert read_header(image.path)[0] == (2, 3, 4)


def test_images_go_though_nobody_asks(uploaded, clock, monkeypatch):
    monkeypatch.setattr("pin_lightning.annotation.monai_label.uploaded.SECONDS_BETWEEN_LOOKS", 0.05)
    uploaded.add(sent(nifti()), 60)
    clock.now += 61
    until(lambda: not kept(uploaded))


def until(fulfilled):
    ends = time.monotonic() + 60
    while not fulfilled():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_images_that_nobody_uses_go(uploaded, clock):
    short, long = uploaded.add(sent(nifti()), 60), uploaded.add(sent(nifti()), 1e9)
    clock.now += 50
    assert uploaded.get(short.id) is short
    clock.now += 50
    assert uploaded.get(short.id) is short  # its time began anew
    clock.now += 61
    with uploaded.using(long):
        assert uploaded.get(short.id) is None
        clock.now += 1e6
        assert uploaded.get(long.id) is long
    clock.now += 3601
    assert uploaded.get(long.id) is None
    assert kept(uploaded) == []


def test_the_least_recently_used_makes_room(uploaded, clock):
    images = []
    for _ in range(MOST_IMAGES + 1):
        images.append(uploaded.add(sent(nifti())))
        clock.now += 1
    assert kept(uploaded) == sorted(image.id for image in images[1:])
    with uploaded.using(images[1]), pytest.raises(TooMuch, match="no room for another"):
        uploaded.add(sent(nifti(side=100_000 // 6 - 100)))
    assert kept(uploaded) == [images[1].id]
    large = uploaded.add(sent(nifti(side=100_000 // 6 - 100)))
    assert kept(uploaded) == [large.id]


VOXELS_ELSEWHERE = b"""NRRD0004
type: uint8
dimension: 3
space: right-anterior-superior
sizes: 2 2 2
space directions: (1,0,0) (0,1,0) (0,0,1)
space origin: (0,0,0)
encoding: raw
"""
META_ELSEWHERE = b"""ObjectType = Image
NDims = 3
BinaryData = True
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 0 0
ElementSpacing = 1 1 1
DimSize = 2 2 2
ElementType = MET_UCHAR
ElementDataFile = """


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"text", "are no images"),
        ("a.nii.gz.exe", b"text", "are no images"),
        ("a.nhdr", VOXELS_ELSEWHERE, "are no images"),
        ("a", b"text", "files"),
        ("a.nii", b"text", "files"),
        ("a.nii", b"", "files"),
        ("a.nrrd", VOXELS_ELSEWHERE + b"data file: {secret}\n\n", "outside of its folder"),
        ("a.nrrd", VOXELS_ELSEWHERE + b"data file: ../../secret\n\n", "outside of its folder"),
        ("a.mha", META_ELSEWHERE + b"{secret}\n", "outside of its folder"),
    ],
)
def test_what_is_no_image_is_refused(uploaded, tmp_path, name, content, said):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(8))
    content = content.replace(b"{secret}", str(secret).encode())
    with pytest.raises(ValueError, match=said) as raised:
        uploaded.add(sent(content, name))
    assert str(uploaded.folder) not in str(raised.value)
    assert kept(uploaded) == []


def test_more_than_there_is_room_for_is_refused(uploaded):
    with pytest.raises(TooMuch, match="more than 100000 bytes"):
        uploaded.add(sent(bytes(100_001)))
    with pytest.raises(TooMuch, match="files: 0 of them"):
        uploaded.add([])
    with pytest.raises(ValueError, match="only the slices of a DICOM series"):
        uploaded.add([*sent(nifti()), *sent(nifti())])
    assert kept(uploaded) == []
