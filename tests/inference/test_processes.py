import pytest
import torch

from conftest import composed
from pin_lightning.distributed.ranks import WHOLE, Shard
from pin_lightning.inference.processes import Alone, Together, prediction_processes
from pin_lightning.inference.run import infer


def test_one_process_waits_for_no_other():
    alone = prediction_processes("auto", 1, 1)
    assert isinstance(alone, Alone)
    assert alone.shard == WHOLE
    alone.start(), alone.wait()
    assert alone.of_first("list") == "list"
    assert alone.device("cuda:1") == "cuda:1"
    assert alone.launcher is None


def test_several_know_their_part_and_their_graphics_card(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("NODE_RANK", "1")
    third = prediction_processes("ddp", 3, 2)
    assert isinstance(third, Together)
    assert third.shard == Shard(5, 6)
    assert third.device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    devices = [third.device(one) for one in ("auto", "cuda", "cuda:1")]
    assert devices == ["cuda:0", "cuda:0", "cuda:1"]


@pytest.mark.parametrize("inputs", ["-", "[scan.nii.gz,-]"])
def test_standard_input_is_for_one_process(inputs, tmp_path):
    given = ["run=gone", f"input={inputs}", f"output={tmp_path}", "strategy=ddp", "devices=2"]
    with pytest.raises(ValueError, match="input=-: is read by one process alone; with"):
        infer(composed(*given, config_name="infer"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("fsdp", 1, 1), "strategy=fsdp: give auto or ddp"),
        (("ddp_spawn", 2, 1), "strategy=ddp_spawn: give"),
        (("auto", 2, 1), "strategy=auto devices=2 num_nodes=1: is one process; give strategy=ddp"),
        (("ddp", 0, 1), "devices=0: give a whole number"),
        (("ddp", "all", 1), "devices=all: give a whole number"),
        (("ddp", 1, 2.0), "num_nodes=2.0: give a whole number"),
        (("ddp", 2, 2), "num_nodes=2: this process knows of no other node"),
    ],
)
def test_what_cannot_be_started_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        prediction_processes(*settings)


def test_one_process_of_several_is_refused(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "1")
    with pytest.raises(ValueError, match="is one process"):
        prediction_processes("auto", 1, 1)
