import nibabel as nib
import numpy as np
import pytest
import torch

from pin_lightning.common.geometry import Grid
from pin_lightning.data.volume_facts import VolumeFacts, write_facts
from pin_lightning.runs import mean_volume
from pin_lightning.runs.mean_volume import read_mean_volume, write_mean_volume

GRID = Grid((4, 3, 2), 0.5)


def write(folder, *volumes):
    """Working volumes as the cache keeps them."""
    paths = []
    for number, voxels in enumerate(volumes):
        image = nib.Nifti1Image(np.asarray(voxels, np.uint8), np.diag([0.5, 0.5, 0.5, 1]))
        write_facts(image.header, VolumeFacts(low=0, high=255, digest=f"{number:016x}"))
        paths.append(folder / f"{number}.nii")
        nib.save(image, paths[-1])
    return paths


def drawn(count):
    return np.random.default_rng(0).integers(0, 256, (count, *GRID.size))


def test_the_mean_by_numpy_in_grid_mm(tmp_path):
    volumes = drawn(3)
    write_mean_volume(tmp_path, write(tmp_path, *volumes))
    found = read_mean_volume(tmp_path, GRID)
    np.testing.assert_array_equal(found, np.floor(volumes.mean(axis=0) + 0.5))
    affine = nib.load(tmp_path / "mean_volume.nii.gz").affine
    corner = np.array([3.0, 0.0, 1.0])
    np.testing.assert_allclose((affine @ [*corner, 1])[:3], GRID.ijk_to_mm(corner))


def test_the_same_file_each_time_and_no_random_number(tmp_path):
    paths = write(tmp_path, *drawn(2))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    files = []
    for name in ("a", "b"):
        write_mean_volume(tmp_path / name, paths)
        files.append((tmp_path / name / "mean_volume.nii.gz").read_bytes())
    assert files[0] == files[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_one_volume_is_its_own_mean_and_many_are_sampled(tmp_path, monkeypatch):
    volumes = drawn(5)
    paths = write(tmp_path, *volumes)
    write_mean_volume(tmp_path, paths[:1])
    np.testing.assert_array_equal(read_mean_volume(tmp_path, GRID), volumes[0])
    monkeypatch.setattr(mean_volume, "MOST_CASES", 2)
    write_mean_volume(tmp_path, paths)  # the first and the third
    expected = (volumes[0] + volumes[2] + 1) // 2
    np.testing.assert_array_equal(read_mean_volume(tmp_path, GRID), expected)


def test_a_run_of_before_has_none_and_a_wrong_file_is_named(tmp_path):
    assert read_mean_volume(tmp_path, GRID) is None
    write_mean_volume(tmp_path, write(tmp_path, *drawn(1)))
    path = tmp_path / "mean_volume.nii.gz"
    with pytest.raises(ValueError, match=r"mean_volume\.nii\.gz: is damaged .*remove it"):
        read_mean_volume(tmp_path, Grid((4, 3, 3), 0.5))
    nib.save(nib.Nifti1Image(np.zeros(GRID.size, np.float32), np.eye(4)), path)
    with pytest.raises(ValueError, match="float32"):
        read_mean_volume(tmp_path, GRID)
    for content in (b"", b"no image", path.read_bytes()[:-40]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"mean_volume\.nii\.gz: is damaged"):
            read_mean_volume(tmp_path, GRID)
