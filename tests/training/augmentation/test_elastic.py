import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from pin_lightning.training.augmentation.elastic import (
    LONGEST_SD,
    MOST_CONTRACTION,
    SPLINE_SD,
    STEEPEST,
    Elastic,
    draw_elastic,
    largest_sd,
)

EXTENT_MM = (40.0, 30.0, 20.0)
EXTENT = torch.tensor(EXTENT_MM)


def drawn(count=3, sd=0.01, spacing=0.25, seed=0):
    return draw_elastic(count, sd, spacing, EXTENT_MM, torch.Generator().manual_seed(seed))


def points(count, samples=3, seed=0, reach=0.5):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.rand(samples, count, 3, generator=generator) - 1) * reach * EXTENT


def test_against_the_splines_of_scipy():
    """Inside the volume, on its faces and outside of it, where control points are missing."""
    elastic, where = drawn(), points(500, reach=1.2)
    side = elastic.control_mm.shape[1]
    lattice = where / (EXTENT * elastic.spacing) + (side - 1) / 2
    for sample, axis in itertools.product(range(3), range(3)):
        expected = ndimage.map_coordinates(
            elastic.control_mm[sample, ..., axis].double().numpy(),
            lattice[sample].double().numpy().T,
            order=3,
            prefilter=False,
            mode="grid-constant",
        )
        found = elastic.at(where)[sample, :, axis].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_control_points_at_a_constant_move_the_whole_volume_by_it():
    spacing = 0.25
    constant = torch.tensor([1.0, -2.0, 3.0])
    elastic = Elastic(constant.expand(1, 7, 7, 7, 3), EXTENT, spacing)
    corners = torch.cartesian_prod(
        *[torch.tensor([-side / 2, 0.0, side / 2]) for side in EXTENT_MM]
    )
    torch.testing.assert_close(elastic.at(corners[None])[0], constant.expand(27, 3))
    assert not elastic.at(3 * EXTENT.expand(1, 1, 3)).any()


@pytest.mark.parametrize("spacing", [0.1, 0.25, 1.0])
def test_the_inverse_at_the_largest_amplitude(spacing):
    elastic = drawn(sd=largest_sd(spacing), spacing=spacing)
    where = points(200, reach=0.7)
    found = elastic.inverse(where + elastic.at(where))
    assert ((found - where).abs() / EXTENT).max() < 1e-5  # 0.003 of 300 voxels


def test_no_control_points_however_bad_fold_the_volume():
    """All as long as they may be, and as each entry of the derivative likes them least."""
    spacing = 0.25
    length = LONGEST_SD / SPLINE_SD * largest_sd(spacing)
    grid = torch.arange(7.0) - 3
    where = points(400, samples=1)[0].double().requires_grad_()
    for axis, phase in itertools.product(range(3), (0.0, 0.5)):
        sign = torch.where(grid + phase > 0, -1.0, 1.0)
        control = torch.zeros(1, 7, 7, 7, 3, dtype=torch.float64)
        shape = [1, 1, 1]
        shape[axis] = 7
        control[0, ..., axis] = length * EXTENT[axis] * sign.view(shape)
        elastic = Elastic(control, EXTENT.double(), spacing)
        moved = (where + elastic.at(where[None])[0]).sum(dim=0)
        jacobian = [torch.autograd.grad(one, where, retain_graph=True)[0] for one in moved]
        assert torch.linalg.det(torch.stack(jacobian, dim=1)).min() > 1 - MOST_CONTRACTION - 1e-9


@pytest.mark.slow
def test_the_steepest_sum_of_derivatives():
    """Over positions between control points and directions, by brute force."""
    steps = torch.linspace(0, 0.5, 6, dtype=torch.float64)
    positions = torch.cartesian_prod(steps, steps, steps).requires_grad_()
    each = Elastic(torch.zeros(1, 9, 9, 9, 3), torch.ones(3).double(), 1.0)
    x, y, z = each.weights(positions[..., None])[..., 0, :].unbind(1)
    weights = torch.einsum("pi,pj,pk->pijk", x, y, z).flatten(1)
    sums = weights.sum(dim=0)
    gradients = [torch.autograd.grad(one, positions, retain_graph=True)[0] for one in sums]
    axes = torch.cartesian_prod(*3 * [torch.tensor([-1.0, 0, 1])]).double()[1:]
    spread = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).double()
    directions = torch.cat([axes[axes.norm(dim=1) > 0], spread])
    directions = directions / directions.norm(dim=1, keepdim=True)
    steepness = (torch.stack(gradients) @ directions.T).abs().sum(dim=0)
    assert steepness.max().item() == pytest.approx(STEEPEST, abs=1e-6)


def test_displacements_have_the_spread_asked_for():
    moved = drawn(count=200, sd=0.012).at(points(50, samples=200)) / EXTENT
    assert moved.std(dim=(0, 1)).numpy() == pytest.approx(3 * [0.012], rel=0.07)
    assert moved.mean().abs() < 1e-3
