import pytest
import torch
from small_localizers import GRID, build

from pin_lightning.deployment.graph_loop import iterate_in_graph
from pin_lightning.deployment.volumes import synthetic_volumes
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.pyramid import build_pyramid


@pytest.mark.parametrize("kind", ["pca", "identity", "points", "cascade"])
def test_ends_where_the_iteration_that_leaves_the_batch_ends(kind, monkeypatch):
    made = []

    def plain_loop(goes_on, body, state):
        """Semantics of torch's while_loop."""
        while goes_on(*state):
            state = body(*state)
            made.append(1)
        return state

    monkeypatch.setattr("torch._higher_order_ops.while_loop", plain_loop)
    for localizer in build(kind).modules():
        if not isinstance(localizer, Localizer):
            continue
        localizer.first_stage = None
        volumes = synthetic_volumes(GRID, 2, seed=0)
        pyramid = build_pyramid(volumes, GRID, localizer.patch_spacings)
        index = torch.arange(2).repeat_interleave(localizer.num_starts)
        for tolerance_mm in (localizer.tolerance_mm, 1e9):  # all stop once the prior lets go
            localizer.tolerance_mm = tolerance_mm
            expected = localizer(volumes)
            made.clear()
            starts = localizer.starts().repeat(2, 1)
            ends, iterations = iterate_in_graph(localizer, pyramid, index, starts)
            assert torch.equal(iterations, expected.iterations.flatten())
            assert len(made) == iterations.max()
            ends_mm = localizer.shape_model.decode(ends).view_as(expected.landmarks_mm[:, -1])
            torch.testing.assert_close(ends_mm, expected.landmarks_mm[:, -1], atol=1e-4, rtol=0)
            if (kind, tolerance_mm) == ("pca", 3.0):
                assert len(iterations.unique()) > 1  # so that stopping is looked at
