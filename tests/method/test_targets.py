import pytest
import torch

from pin_lightning.method import targets


def test_displacements_point_from_the_sample_to_the_truth_in_voxels_or_sd():
    true, sampled = torch.tensor([[1.0, 5.0, -2.0]]), torch.tensor([[4.0, 3.0, -2.0]])
    assert targets.displacement_target(true, sampled).tolist() == [[-3.0, 2.0, 0.0]]
    sd = torch.tensor([4.0, 2.0])
    assert targets.displacement_unit("voxel", sd, 0.5).tolist() == [0.5, 0.5]
    assert targets.displacement_unit("sd", sd, 0.5).tolist() == [4.0, 2.0]
    with pytest.raises(ValueError, match="furlong"):
        targets.displacement_unit("furlong", sd, 0.5)


def test_direction_labels_of_eq_1_by_hand():
    rows = [[3.0, 1, -2], [-3, 1, 2], [0.5, 1, -2], [0, 7, -2], [0, 0, 0]]
    # A displacement of 0 is not positive.
    assert targets.direction_target(torch.tensor(rows)).tolist() == [0, 1, 5, 2, 1]


def test_direction_label_agrees_with_the_arrangement_of_the_logits():
    displacement = torch.randn(200, 7, generator=torch.Generator().manual_seed(0))
    one_hot = torch.nn.functional.one_hot(targets.direction_target(displacement), 14).float()
    signs = targets.direction_signs(one_hot)
    component = displacement.abs().argmax(dim=1)
    assert torch.equal(signs.sum(dim=2).argmax(dim=1), component)
    positive = displacement[torch.arange(200), component] > 0
    assert torch.equal(signs[torch.arange(200), component, 0] == 1, positive)
