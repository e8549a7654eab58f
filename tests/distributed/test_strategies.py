import pytest
from omegaconf import OmegaConf
from pytorch_lightning.strategies import FSDPStrategy

from conftest import REPOSITORY, composed
from pin_lightning.distributed.strategies import Several, check_strategy
from pin_lightning.studies.cross_validation import cross_validate
from pin_lightning.training.run import train

DATA = ["model=multi", "data=folder", "data.root=no/such/folder", "run_name=a", "run_dir=unused"]


@pytest.fixture(scope="module")
def config():
    return composed(*DATA, "trainer.accelerator=cpu", config_name="cross_validate")


def changed(config, *settings):
    return OmegaConf.merge(config, OmegaConf.from_dotlist([*settings]))


@pytest.mark.parametrize(
    "settings", [[], ["trainer.strategy=ddp", "trainer.devices=2"], ["trainer.strategy=ddp_spawn"]]
)
def test_what_can_be_started_passes(config, settings):
    check_strategy(changed(config, *settings))


SAID = "trainer.strategy={} trainer.accelerator=cpu trainer.devices={} trainer.num_nodes={}: "


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("trainer.devices=0", SAID.format("auto", 0, 1) + "`Trainer(devices=0)` value is not"),
        ("trainer.num_nodes=2", SAID.format("auto", 1, 2) + "this process knows of no other"),
        ("trainer.strategy=dp", SAID.format("dp", 1, 1) + "You selected an invalid strategy name"),
    ],
)
def test_what_cannot_be_started_is_refused_before_the_data_are_looked_at(
    config, tmp_path, setting, words
):
    with pytest.raises(ValueError, match=r"^trainer") as refused:
        train(changed(config, setting), tmp_path / "run")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_sharded_weights_need_a_gpu(config):
    sharded = OmegaConf.load(REPOSITORY / "conf" / "strategy" / "fsdp.yaml")
    with pytest.raises(ValueError, match="requires a GPU") as refused:
        check_strategy(OmegaConf.merge(config, {"trainer": sharded}))
    assert str(refused.value).startswith(SAID.format("fsdp", 1, 1))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.ema_decay=0.9", "model.ema_decay=0.9: strategy=fsdp cannot average"),
        ("model.trajectory_share=0.5", "model.trajectory_share=0.5: strategy=fsdp cannot follow"),
    ],
)
def test_sharded_weights_are_neither_averaged_nor_followed(config, monkeypatch, setting, words):
    # As where there is a GPU.
    monkeypatch.setattr(
        "pin_lightning.distributed.strategies._strategy", lambda trainer: FSDPStrategy()
    )
    with pytest.raises(ValueError, match=words):
        check_strategy(changed(config, setting))


@pytest.mark.parametrize("strategy", ["auto", "ddp_spawn"])
def test_one_of_several_is_refused_where_one_was_to_be_started(config, monkeypatch, strategy):
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(ValueError, match="several were started; give strategy=ddp"):
        check_strategy(changed(config, f"trainer.strategy={strategy}"))


def test_several_trainings_in_one_process_start_no_command_again(config, monkeypatch, tmp_path):
    for strategy in ("auto", "ddp_spawn"):
        check_strategy(changed(config, f"trainer.strategy={strategy}"), Several("a sweep"))
    ddp = changed(config, "trainer.strategy=ddp")
    with pytest.raises(ValueError, match="which a sweep cannot; give strategy=ddp_spawn"):
        check_strategy(ddp, Several("a sweep"))
    monkeypatch.setenv("LOCAL_RANK", "0")  # torchrun or SLURM has started all processes
    check_strategy(ddp, Several("a sweep"))
    with pytest.raises(ValueError, match="which a cross-validation cannot"):
        cross_validate(ddp, tmp_path)
