import torch

from pin_lightning.method.shape_models.residual import train


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parabolas(count, curvature, seed=0):
    """Points of D = 4 coordinates: one mode along the first, and its square along the third."""
    along = 10 * torch.randn(count, generator=generator(seed))
    zeros = torch.zeros(count)
    return torch.stack([along, zeros, curvature * (along**2 - 100), zeros], dim=1)


MODES = torch.eye(4)[None, :1]


def test_training_begins_at_nothing_and_learns_a_parabola():
    states = list(train([parabolas(500, 0.02)], MODES, 8, 200, 50, generator()))
    unseen = parabolas(200, 0.02, seed=1)
    truth = unseen - unseen @ MODES[0].T @ MODES[0]
    missed = []
    for state in states:
        added = state[0](unseen[:, :1])
        assert added[:, :2].abs().max() < 1e-5  # nothing along the mode
        missed.append(float((added - truth).norm() / truth.norm()))
    assert missed[0] == 1
    assert missed[-1] < 0.6
    assert missed == sorted(missed, reverse=True)


@torch.no_grad()  # training turns them on
def test_decoders_side_by_side_learn_their_own_shapes():
    up, down = parabolas(300, 0.02), parabolas(250, -0.02)
    both = list(train([up, down], MODES.repeat(2, 1, 1), 8, 100, 100, generator()))[-1]
    far = torch.tensor([[20.0]])
    assert both[0](far)[0, 2] > 2 > -2 > both[1](far)[0, 2]


def test_states_are_kept_and_the_last_one_is_given():
    settings = ([parabolas(100, 0.02)], MODES, 4)
    states = list(train(*settings, 25, 10, generator()))
    assert len(states) == 4  # 0, 10, 20, 25
    again = list(train(*settings, 10, 10, generator()))
    for name, value in vars(states[1]).items():
        assert torch.equal(value, getattr(again[1], name))
        assert not value.requires_grad
    assert not states[0].outer.any()
    assert next(train(*settings, 0, 10, generator())).outer.shape == (1, 4, 4)


def test_shapes_that_are_all_the_same_leave_nothing_to_learn():
    state = list(train([torch.zeros(10, 4)], MODES, 4, 20, 20, generator()))[-1]
    assert all(torch.isfinite(one).all() for one in vars(state).values())
    assert state[0](torch.zeros(1, 1)).abs().max() < 1e-3
