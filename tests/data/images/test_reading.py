import re
import shutil
import struct

import frames_of_dicom as frames
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refused
from scipy.spatial.transform import Rotation

from pin_lightning.common.geometry import Grid
from pin_lightning.data.images.parts import parts
from pin_lightning.data.images.reading import IMAGE_SUFFIXES, read_header, read_voxels, stem
from pin_lightning.data.preprocessing import preprocess
from pin_lightning.data.volume_facts import voxel_digest

SHAPE = (9, 8, 7)
VOXELS = np.random.default_rng(0).integers(-1000, 3000, SHAPE).astype(np.int16)
FORMATS = [".nii", ".nii.gz", ".hdr", ".mgh", ".mgz", ".nrrd", ".nhdr", ".mha", ".mhd"]
DETACHED = {".hdr": ".img", ".nhdr": ".raw", ".mhd": ".raw"}
LPS = np.diag([-1.0, -1, 1, 1])


def affine_of(axes, turn, sides=(0.7, 0.9, 1.3)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ axes * sides
    affine[:3, 3] = [12.5, -30.25, 100.125]
    return affine


AFFINES = {
    "straight": affine_of(np.eye(3), (0, 0, 0)),
    "flipped": affine_of(np.diag([-1, -1, 1]), (0, 0, 0)),
    "left-handed": affine_of(np.diag([1, -1, 1]), (0, 0, 0)),
    "reordered": affine_of(np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), (0, 0, 0)),
    "oblique": affine_of(np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), (20, -15, 30)),
}
AFFINE = AFFINES["oblique"]


def itk_image(voxels, affine):
    """ITK's idea of an image, written from the definition: columns of LPS @ RAS."""
    image = sitk.GetImageFromArray(voxels.T)
    lps = LPS @ affine
    sides = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(sides.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / sides).ravel().tolist())
    return image


def write(path, voxels=VOXELS, affine=AFFINE):
    """An image in the format of its suffix: FreeSurfer by nibabel, NIfTI by both, others by ITK."""
    if path.suffix in (".mgh", ".mgz"):
        nib.save(nib.MGHImage(voxels, affine), path)
    elif path.suffix == ".hdr":
        nib.save(nib.Nifti1Pair(voxels, affine), path.with_suffix(".img"))
    else:
        sitk.WriteImage(itk_image(voxels, affine), str(path), path.suffix == ".gz")
    return path


def poke(path, offset, fmt, *values):
    content = bytearray(path.read_bytes())
    struct.pack_into(fmt, content, offset, *values)
    path.write_bytes(content)


def edit(path, pattern, replacement):
    """Change one line of a text header whose voxels may follow."""
    content, count = re.subn(pattern, replacement, path.read_bytes(), count=1)
    assert count == 1
    path.write_bytes(content)


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("suffix", FORMATS)
def test_one_anatomy_is_the_same_in_every_format(tmp_path, suffix, affine):
    folder = tmp_path / "größe 東京"
    folder.mkdir()
    path = write(folder / f"Zoë ß 1{suffix}", affine=affine)
    assert stem(path) == "Zoë ß 1"
    shape, found = read_header(path)
    voxels = read_voxels(path)
    assert shape == SHAPE
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, affine, atol=1e-3)
    np.testing.assert_array_equal(voxels, VOXELS)
    assert voxel_digest(voxels, found) == voxel_digest(VOXELS, affine)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mgz", ".nrrd", ".mha"])
def test_working_volume_does_not_depend_on_the_format(tmp_path, suffix):
    grid = Grid((8, 9, 10), 0.8)
    expected = preprocess(write(tmp_path / "a.nii"), grid)
    volume = preprocess(write(tmp_path / f"b{suffix}"), grid)
    apart = (volume.intensity.int() - expected.intensity.int()).abs()
    # At the faces, rounding of the affine decides whether a voxel is inside.
    assert apart[1:-1, 1:-1, 1:-1].max() <= 1
    assert volume.facts == expected.facts


@pytest.mark.parametrize("suffix", [".nii", ".mgh", ".nrrd", ".mha"])
def test_header_is_read_without_the_voxels(tmp_path, suffix):
    whole, cut = write(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}"
    cut.write_bytes(whole.read_bytes()[: -VOXELS.nbytes // 2])
    assert read_header(cut)[0] == SHAPE
    with pytest.raises(ValueError, match=re.escape(f"{cut}: cannot be read")):
        read_voxels(cut)


@pytest.mark.parametrize(("slope", "intercept"), [(2.0, -1000.0), (0.5, 3.25)])
def test_nifti_scaling_is_applied(tmp_path, slope, intercept):
    path = write(tmp_path / "a.nii")
    poke(path, 112, "<ff", slope, intercept)
    np.testing.assert_allclose(read_voxels(path), VOXELS * slope + intercept)


def test_nrrd_in_ras_is_turned_as_its_header_says(tmp_path):
    path = write(tmp_path / "a.nrrd")
    lps = read_header(path)[1]
    edit(path, rb"left-posterior-superior", b"right-anterior-superior")
    np.testing.assert_allclose(read_header(path)[1], LPS @ lps, atol=1e-6)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_of_either_version_and_byte_order(tmp_path, kind, order):
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    image = kind(VOXELS, AFFINE, header)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read_header(tmp_path / "a.nii")[1], AFFINE, atol=1e-3)
    np.testing.assert_array_equal(read_voxels(tmp_path / "a.nii"), VOXELS)
    offset = {nib.Nifti1Image: 80, nib.Nifti2Image: 112}[kind]  # of pixdim[1]
    poke(tmp_path / "a.nii", offset, f"{order}{'f' if offset == 80 else 'd'}", -1.0)
    with pytest.raises(ValueError, match=r"voxel spacing \[-1\.0, .* is not positive"):
        read_header(tmp_path / "a.nii")


def nibabel(voxels, kind=nib.Nifti1Image):
    return lambda path: nib.save(kind(voxels, AFFINE), path)


def joined(frames):
    image = sitk.JoinSeries([itk_image(VOXELS, AFFINE)] * frames)
    return lambda path: sitk.WriteImage(image, str(path))


SINGLE_FRAMES = {
    "4d-nifti": ("a.nii", nibabel(VOXELS[..., None])),
    "5d-nifti-gz": ("a.nii.gz", nibabel(VOXELS[..., None, None])),
    "4d-nrrd": ("a.nrrd", joined(1)),
    "4d-mha": ("a.mha", joined(1)),
}
FRAMES = {
    "4d-nifti": ("a.nii", nibabel(np.stack([VOXELS] * 2, -1))),
    "5d-nifti": ("a.nii", nibabel(VOXELS[..., None, None].repeat(2, 4))),
    "4d-mgz": ("a.mgz", nibabel(np.stack([VOXELS] * 2, -1), nib.MGHImage)),
    "4d-nrrd": ("a.nrrd", joined(2)),
    "4d-mha": ("a.mha", joined(2)),
    "one-slice": ("a.nii", nibabel(VOXELS[..., :1])),
    "one-slice-mha": ("a.mha", lambda path: write(path, VOXELS[:, :, :1])),
    "plane-nrrd": ("a.nrrd", lambda path: sitk.WriteImage(sitk.Image([4, 5], 1), str(path))),
}


@pytest.mark.parametrize(("name", "save"), SINGLE_FRAMES.values(), ids=SINGLE_FRAMES)
def test_one_frame_as_a_fourth_axis_is_a_volume(tmp_path, name, save):
    path = tmp_path / name
    save(path)
    shape, affine = read_header(path)
    assert shape == SHAPE
    np.testing.assert_allclose(affine, AFFINE, atol=1e-3)
    np.testing.assert_array_equal(read_voxels(path), VOXELS)


@pytest.mark.parametrize(("name", "save"), FRAMES.values(), ids=FRAMES)
def test_what_is_no_volume_is_refused_with_its_shape(tmp_path, name, save):
    path = tmp_path / name
    save(path)
    for read in (read_header, read_voxels):
        with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: has shape \(.*; give a"):
            read(path)


SPACING = "voxel spacing .* is not positive; correct the header"


def bad_text(number):
    """A MetaImage spacing, and an NRRD axis, with this number in them."""

    def meta(path):
        edit(path, rb"ElementSpacing = \S+", f"ElementSpacing = {number}".encode())

    def nrrd(path):
        edit(path, rb"directions: \S+", f"directions: ({number},0,{number})".encode())

    return {
        f"mhd-spacing-{number}": ("a.mhd", meta, SPACING),
        f"mha-spacing-{number}": ("a.mha", meta, SPACING),
        f"nrrd-axis-{number}": ("a.nrrd", nrrd, "voxel spacing|cannot be read"),
    }


def bad_binary(value):
    """The first voxel side of a NIfTI and of a FreeSurfer header."""
    return {
        f"nifti-pixdim-{value}": ("a.nii", lambda path: poke(path, 80, "<f", value), SPACING),
        f"pair-pixdim-{value}": ("a.hdr", lambda path: poke(path, 80, "<f", value), SPACING),
        f"mgh-delta-{value}": ("a.mgh", lambda path: poke(path, 30, ">f", value), SPACING),
    }


def flatten_an_axis(path):
    poke(path, 252, "<h", 0)  # no qform
    poke(path, 280, "<4f", 0, 0, 0, 0)


def flip_in_the_middle(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = bytes(255 - byte for byte in content[middle : middle + 20])
    path.write_bytes(content)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def as_analyze(path):
    nib.save(nib.AnalyzeImage(VOXELS, np.eye(4)), path.with_suffix(".img"))


def as_spm(path):
    nib.save(nib.Spm2AnalyzeImage(VOXELS, np.eye(4)), path.with_suffix(".img"))


def compressed(path):
    sitk.WriteImage(itk_image(VOXELS, AFFINE), str(path), True)


def compressed_then(damage):
    def write_damaged(path):
        compressed(path)
        damage(path)

    return write_damaged


def written_by_itk(convert):
    return lambda path: sitk.WriteImage(convert(itk_image(VOXELS, AFFINE)), str(path))


def red_green_blue(image):
    return sitk.Compose(*[sitk.Cast(image, sitk.sitkUInt8)] * 3)


def complex_valued(image):
    return sitk.Cast(image, sitk.sitkComplexFloat32)


# Name, what is done to a good image of that name, and what is said of it.
BAD = {
    **bad_text("0"),
    **bad_text("nan"),
    **bad_binary(0.0),
    **bad_binary(-1.0),
    **bad_binary(np.nan),
    **bad_binary(np.inf),
    "mhd-spacing-negative": bad_text("-0.7")["mhd-spacing--0.7"],
    "mhd-parallel-axes": (
        "a.mhd",
        lambda path: edit(path, rb"TransformMatrix = .*", b"TransformMatrix = 1 0 0 1 0 0 0 0 1"),
        "singular",
    ),
    "nan-sform": ("a.nii", lambda path: poke(path, 280, "<f", np.nan), "sform and qform"),
    "no-forms": ("a.nii", lambda path: poke(path, 252, "<hh", 0, 0), "neither sform nor qform"),
    "two-forms": ("a.nii", lambda path: poke(path, 292, "<f", 28.5), "sform and qform are 16 mm"),
    "singular": ("a.nii", flatten_an_axis, "is singular"),
    "no-quaternion": ("a.nii", lambda path: poke(path, 256, "<f", 3.0), "cannot be read"),
    "micrometres": ("a.nii", lambda path: poke(path, 123, "<b", 3), "millimetres"),
    "no-goodras": ("a.mgh", lambda path: poke(path, 28, ">h", 0), "has no position in space"),
    "unknown-type": ("a.nii", lambda path: poke(path, 70, "<h", 9999), "cannot be read"),
    "negative-side": ("a.nii", lambda path: poke(path, 42, "<h", -5), "has shape"),
    "sides-past-the-end": ("a.nii", lambda path: poke(path, 42, "<hh", 3000, 3000), "cannot be"),
    "analyze": ("a.hdr", as_analyze, "ANALYZE"),
    "analyze-spm": ("a.hdr", as_spm, "ANALYZE"),
    "analyze-with-nifti-mark": ("a.hdr", lambda path: poke(path, 344, "4s", b"ni1X"), "cannot be"),
    "no-img": ("a.hdr", lambda path: path.with_suffix(".img").unlink(), "cannot be read"),
    "no-raw": ("a.mhd", lambda path: path.with_suffix(".raw").unlink(), "cannot be read"),
    "short-raw": ("a.nhdr", lambda path: cut_in_half(path.with_suffix(".raw")), "cannot be read"),
    "short-mgh": ("a.mgh", lambda path: path.write_bytes(path.read_bytes()[:300]), "cannot be"),
    "rgb-nifti": ("a.nii", written_by_itk(red_green_blue), "one channel"),
    "rgb-nrrd": ("a.nrrd", written_by_itk(red_green_blue), "has 3 channels"),
    "rgb-mha": ("a.mha", written_by_itk(red_green_blue), "has 3 channels"),
    "complex-nifti": ("a.nii", written_by_itk(complex_valued), "one channel"),
    "complex-nrrd": ("a.nrrd", written_by_itk(complex_valued), "one channel"),
    "flipped-nii.gz": ("a.nii.gz", flip_in_the_middle, "cannot be read"),
    "flipped-mgz": ("a.mgz", flip_in_the_middle, "cannot be read"),
    "flipped-nrrd": ("a.nrrd", compressed_then(flip_in_the_middle), "damaged compression"),
    "flipped-mha": ("a.mha", compressed_then(flip_in_the_middle), "damaged compression"),
    "cut-nii.gz": ("a.nii.gz", cut_in_half, "cannot be read"),
    "cut-mgz": ("a.mgz", cut_in_half, "cannot be read"),
    "cut-nrrd": ("a.nrrd", compressed_then(cut_in_half), "cannot be read"),
    "cut-mha": ("a.mha", compressed_then(cut_in_half), "cannot be read"),
    **{
        f"empty{suffix}": (f"a{suffix}", lambda path: path.write_bytes(b""), "the file is empty")
        for suffix in FORMATS
    },
    **{
        f"text{suffix}": (f"a{suffix}", lambda path: path.write_text("no " * 400), "cannot be read")
        for suffix in FORMATS
    },
    **{
        f"absent{suffix}": (f"a{suffix}", lambda path: path.unlink(), "no such file")
        for suffix in FORMATS
    },
}


def read(path):
    return read_header(path), read_voxels(path)


@pytest.mark.parametrize(("name", "spoil", "message"), BAD.values(), ids=BAD)
def test_bad_images_are_refused_in_one_line(tmp_path, name, spoil, message):
    path = write(tmp_path / name)
    spoil(path)
    with refused(path, f"^{re.escape(str(path))}: .*({message})"):
        read(path)


@pytest.mark.parametrize("name", BAD)
def test_libraries_print_nothing_of_bad_images(tmp_path, name, capfd, recwarn):
    file, spoil, _ = BAD[name]
    path = write(tmp_path / file)
    spoil(path)
    capfd.readouterr()
    recwarn.clear()
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read(path)
    assert capfd.readouterr() == ("", "")
    shown = [one for one in recwarn.list if one.category is not ResourceWarning]  # hidden anyway
    assert [str(one.message) for one in shown] == []


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    suffix=st.sampled_from([*FORMATS, ".dcm"]),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    length=st.one_of(st.none(), st.integers(0, 400)),
)
def test_damaged_bytes_give_an_image_or_one_line(good, tmp_path_factory, suffix, changes, length):
    content = bytearray(good[suffix].read_bytes())
    for offset, value in changes:
        content[(offset if suffix != ".dcm" else 5 * offset) % len(content)] = value
    path = tmp_path_factory.mktemp("damaged") / f"a{suffix}"
    for part in parts(good[suffix]):
        shutil.copy(part, path.parent)
    path.write_bytes(content[:length])
    try:
        shape, affine = read_header(path)
        voxels = read_voxels(path)
    except ValueError as error:
        assert re.fullmatch(f"{re.escape(str(path))}: .*", str(error))  # noqa: PT017 (either way)
    else:
        assert voxels.shape == shape
        assert np.isfinite(affine).all()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    written = {suffix: write(folder / f"a{suffix}") for suffix in FORMATS}
    return written | {".dcm": frames.save(frames.enhanced(), folder / "a.dcm")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ANNA.nii.gz", "ANNA"),
        ("a.b.NII", "a.b"),
        ("x.Mgz", "x"),
        ("seg.nrrd", "seg"),
        ("ANNA.v2.nhdr", "ANNA.v2"),
        ("a.png", None),
        ("nii.gz", None),
    ],
)
def test_stem_by_hand(name, expected, tmp_path):
    assert stem(tmp_path / name) == expected

    (tmp_path / "scan 1.5T").mkdir(exist_ok=True)
    assert stem(tmp_path / "scan 1.5T") == "scan 1.5T"
    assert stem(tmp_path / "scan 1.5T", (".csv",)) is None


@pytest.mark.parametrize(
    ("name", "message"), [("a.img", "give the .hdr file"), ("a.png", "use .*[.]nrrd.*DICOM")]
)
def test_other_suffixes_are_refused_with_what_can_be_read(tmp_path, name, message):
    for read in (read_header, read_voxels):
        with pytest.raises(ValueError, match=message):
            read(tmp_path / name)
    assert all(suffix == suffix.lower() for suffix in IMAGE_SUFFIXES)


@pytest.mark.parametrize(("suffix", "voxels"), DETACHED.items())
def test_parts_are_the_header_and_its_voxels(tmp_path, suffix, voxels):
    path = write(tmp_path / f"a b{suffix}")
    (tmp_path / "a b.txt").write_text("other")
    shutil.copy(tmp_path / f"a b{voxels}", tmp_path / f"other{voxels}")
    assert parts(path) == sorted([path, tmp_path / f"a b{voxels}"])


def test_parts_are_those_that_the_header_names(tmp_path):
    path = write(tmp_path / "a.mhd")
    (tmp_path / "a.raw").rename(tmp_path / "far away.raw")
    edit(path, rb"ElementDataFile = a.raw", b"ElementDataFile = far away.raw")
    assert parts(path) == [path, tmp_path / "far away.raw"]
    np.testing.assert_array_equal(read_voxels(path), VOXELS)
    assert parts(tmp_path / "a.nii.gz") == [tmp_path / "a.nii.gz"]


@pytest.mark.parametrize("change", [lambda v: v * 1e300, lambda v: v + 2_000_000_000])
def test_the_digest_tells_images_apart_whatever_their_size(change):
    one, other = VOXELS.astype(np.float64), VOXELS.astype(np.float64)[::-1].copy()
    other[0, 0, 0] += 1
    digests = {voxel_digest(change(voxels), np.eye(4)) for voxels in (one, one.copy(), other)}
    assert len(digests) == 2
