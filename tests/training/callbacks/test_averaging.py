import pytest
import pytorch_lightning as pl
import torch

from pin_lightning.training.callbacks.averaging import AveragedWeights


def test_a_weight_that_stays_the_same_is_its_own_average():
    average, weight = torch.tensor([0.1]), torch.tensor([0.1])
    for step in range(50):
        AveragedWeights(0.999)._average([average], [weight], step)
    assert torch.equal(average, weight)


class Line(pl.LightningModule):
    """One weight, which grows by one in each step, and a count of the steps."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.0]))
        self.register_buffer("count", torch.tensor(0))
        self.validated = []

    def training_step(self, batch, index):
        self.count += 1
        return -self.weight.sum()

    def validation_step(self, batch, index):
        self.validated.append(self.weight.item())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)


def trained(tmp_path, steps, **settings):
    line, callback = Line(), AveragedWeights(0.2)
    trainer = pl.Trainer(
        max_steps=steps, callbacks=[callback], logger=False, accelerator="cpu",
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        enable_checkpointing=False, num_sanity_val_steps=0, check_val_every_n_epoch=1,
    )  # fmt: skip
    ones = torch.utils.data.DataLoader(torch.zeros(3, 1))
    trainer.fit(line, ones, ones, weights_only=True, **settings)
    trainer.save_checkpoint(tmp_path / f"{steps}.ckpt")
    return line, torch.load(tmp_path / f"{steps}.ckpt", weights_only=True)


@pytest.mark.filterwarnings("ignore")
def test_averages_validate_and_are_saved_beside_the_weights(tmp_path):
    line, checkpoint = trained(tmp_path, 3)
    # After the first step the average is the weight. Then 2/11 and 3/12 of it are kept, while
    # that is less than the decay of 0.2: 0.2 in the third step.
    second = 2 / 11 * 1 + 9 / 11 * 2
    expected = pytest.approx(0.2 * second + 0.8 * 3)
    assert line.validated == 3 * [expected]
    assert checkpoint["state_dict"]["weight"].item() == expected
    assert checkpoint["state_dict"]["count"].item() == 3  # whole numbers are copied
    assert checkpoint["current_model_state"]["weight"].item() == 3.0
    assert line.weight.item() == 3.0
    resumed, _ = trained(tmp_path, 6, ckpt_path=tmp_path / "3.ckpt")
    assert resumed.weight.item() == 6.0  # goes on from the weights, not from their average


@pytest.mark.parametrize("decay", [0.0, 1.0, -1.0])
def test_refuses(decay):
    with pytest.raises(ValueError, match=r"model\.ema_decay="):
        AveragedWeights(decay)
