import numpy as np
import torch

from pin_lightning.baselines.boxes import action_steps, bordered, cut_boxes


def test_steps_by_hand():
    expected = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]
    assert action_steps().tolist() == expected


def test_boxes_are_those_of_numpy_with_zeros_outside():
    volumes = torch.randint(1, 256, (3, 6, 5, 7), dtype=torch.uint8)
    positions = torch.tensor([[[0, 4, 6], [1, 1, 1]], [[3, 2, 3]] * 2, [[5, 0, 0], [5, 4, 6]]])
    found = cut_boxes(bordered(volumes, 5), positions, 5)
    for number, (box, position) in enumerate(zip(found, positions.flatten(0, 1), strict=True)):
        volume = volumes[number // 2].numpy()
        wide = np.pad(volume, 2)
        x, y, z = (slice(one, one + 5) for one in position.tolist())
        np.testing.assert_array_equal(box, wide[x, y, z])
        assert box[2, 2, 2] == volume[tuple(position.tolist())]
