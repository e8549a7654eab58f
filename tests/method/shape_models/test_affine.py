import numpy as np
import pytest
import torch

from pin_lightning.common.alignment import fit_pose
from pin_lightning.method.shape_models import AffineShapeModel, PCAShapeModel
from pin_lightning.method.shape_models.affine import AFFINE_LANDMARKS, map_modes

EXTENT = (60.0, 40.0, 80.0)


def generator():
    return torch.Generator().manual_seed(1)


def shape_of(landmarks, seed=0):
    draws = torch.Generator().manual_seed(seed)
    return 10 * torch.randn(landmarks, 3, generator=draws) + 5


@pytest.fixture
def one():
    return AffineShapeModel().fit(shape_of(12)[None], EXTENT)


def projected(model, landmarks_mm):
    return model.decode(model.encode(landmarks_mm))


def affine_fit(shape, target):
    """The affine map of a shape that is nearest to a target, by NumPy's least squares."""
    given = np.column_stack([shape, np.ones(len(shape))])
    return given @ np.linalg.lstsq(given, target, rcond=None)[0]


def test_corners_of_a_cube_by_hand():
    """A corner moved by 8 along x: shifts take 1 of it, a stretch and two shears 1 each."""
    corners = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 1.0])])
    model = AffineShapeModel().fit(corners[None], EXTENT)
    assert model.num_parameters == 12
    assert torch.equal(model.mean_mm_, corners)
    moved = corners.clone()
    moved[-1, 0] += 8  # the corner (1, 1, 1)
    expected = corners.clone()
    expected[:, 0] += 1 + corners.sum(dim=1)
    torch.testing.assert_close(projected(model, moved), expected)


def test_projection_is_the_least_squares_fit_of_numpy(one):
    for seed in range(3):
        target = shape_of(12, seed + 10)
        expected = affine_fit(one.mean_mm_.double().numpy(), target.double().numpy())
        np.testing.assert_allclose(projected(one, target), expected, atol=1e-4)


def test_any_affine_map_of_the_mean_is_kept_and_projecting_again_changes_nothing(one):
    matrix, shift = torch.randn(3, 3, generator=generator()), torch.tensor([3.0, -40, 7])
    mapped = one.mean_mm_ @ matrix.T + shift
    torch.testing.assert_close(projected(one, mapped), mapped, atol=1e-4, rtol=0)
    once = projected(one, shape_of(12, 5))
    torch.testing.assert_close(projected(one, once), once, atol=1e-4, rtol=0)


def test_modes_are_orthonormal_and_decoding_is_linear(one):
    torch.testing.assert_close(one.modes_ @ one.modes_.T, torch.eye(12), atol=1e-6, rtol=0)
    first, second = torch.randn(2, 4, 12, generator=generator())
    moved = one.decode(2 * first - second) - one.mean_mm_
    expected = 2 * (one.decode(first) - one.mean_mm_) - (one.decode(second) - one.mean_mm_)
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.encode(one.decode(first)), first, atol=1e-4, rtol=0)
    # By the same graph as that of a PCA when exported.
    assert AffineShapeModel.encode is PCAShapeModel.encode
    assert AffineShapeModel.decode is PCAShapeModel.decode


def test_landmarks_in_a_plane_have_no_mode_for_what_moves_none_of_them():
    plane = shape_of(12)
    plane[:, 2] = 4
    model = AffineShapeModel().fit(plane[None], EXTENT)
    assert model.num_parameters == 9  # no stretch along the normal, no shear by it
    tilted = plane @ torch.tensor([[1.0, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]).T
    torch.testing.assert_close(projected(model, tilted), tilted, atol=1e-4, rtol=0)
    noisy = tilted + torch.randn(12, 3, generator=generator())
    kept = projected(model, noisy)
    np.testing.assert_allclose(kept, affine_fit(plane.numpy(), noisy.numpy()), atol=1e-3)
    assert (kept - tilted).norm() < (noisy - tilted).norm()


@pytest.mark.parametrize(("landmarks", "parameters"), [(1, 3), (2, 6), (3, 7), (7, 7), (8, 12)])
def test_few_landmarks_move_by_similarities(landmarks, parameters):
    shape = shape_of(landmarks)
    model = AffineShapeModel().fit(shape[None], EXTENT)
    assert model.num_parameters == parameters
    assert torch.isfinite(model.modes_).all()
    assert (model.sd_ > 0).all()
    if parameters == 7:
        # By less than a degree, the nearest similarity is what is found.
        turned = shape + 0.05 * torch.randn(shape.shape, generator=generator())
        nearest = fit_pose(shape.numpy(), turned.numpy(), with_scale=True).place(shape.numpy())
        np.testing.assert_allclose(projected(model, turned), nearest, atol=2e-3)
    assert (landmarks >= AFFINE_LANDMARKS) == (parameters == 12)


def test_what_maps_do_not_explain_gets_modes_of_a_pca():
    """Two landmarks come closer, besides maps of the whole."""
    mean, own = shape_of(12), torch.zeros(12, 3)
    own[0, 0], own[1, 0] = 1.0, -1.0
    weights = torch.randn(6, generator=generator())
    maps = torch.eye(3) + 0.1 * torch.randn(6, 3, 3, generator=generator())
    shapes = torch.stack([mean @ one.T + 3 * w * own for one, w in zip(maps, weights, strict=True)])
    model = AffineShapeModel(0.98).fit(shapes, EXTENT)
    assert model.num_parameters == 13
    torch.testing.assert_close(model.modes_ @ model.modes_.T, torch.eye(13), atol=1e-5, rtol=0)
    torch.testing.assert_close(projected(model, shapes), shapes, atol=0.1, rtol=0)
    assert AffineShapeModel(0).fit(shapes, EXTENT).num_parameters == 12
    # A PCA of two shapes knows one direction, and none that another shape needs.
    new = mean @ (torch.eye(3) + 0.1 * torch.randn(3, 3, generator=generator())).T + 2
    error, of_pca = (
        (projected(kind.fit(shapes[:2], EXTENT), new) - new).norm()
        for kind in (AffineShapeModel(), PCAShapeModel(1))
    )
    assert error < 0.2 * of_pca


def test_equal_shapes_add_no_mode_and_the_scatter_is_a_usual_one():
    model = AffineShapeModel().fit(shape_of(12).expand(3, -1, -1), EXTENT)
    assert model.num_parameters == 12
    alone = AffineShapeModel().fit(shape_of(12)[None], EXTENT)
    torch.testing.assert_close(model.sd_, alone.sd_ * 0.5**0.5)  # half way from one shape to five
    scatter_mm = 0.03 * (shape_of(12).amax(dim=0) - shape_of(12).amin(dim=0)).max()
    torch.testing.assert_close(alone.sd_.square().sum(), 36 * scatter_mm.square())


def test_more_components_than_the_shapes_give_are_refused():
    with pytest.raises(ValueError, match=r"components=5: give a share of variance below 1"):
        AffineShapeModel(5).fit(torch.stack([shape_of(12), shape_of(12, 1)]), EXTENT)


def test_modes_of_maps_are_in_double_precision_where_the_shape_is():
    assert map_modes(shape_of(9).double()).dtype == torch.float64
