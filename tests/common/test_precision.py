import pytest
import torch

from pin_lightning.common.precision import choose_precision, has_fast_bf16, network_dtype

CPU = torch.device("cpu")


def pretend(monkeypatch, bf16, amx=False, cuda=False):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)


@pytest.mark.parametrize(("bf16", "amx"), [(True, False), (False, True), (False, False)])
def test_the_processor_decides(monkeypatch, bf16, amx):
    pretend(monkeypatch, bf16, amx)
    fast = bf16 or amx
    assert has_fast_bf16(CPU) == fast
    assert network_dtype(CPU) == (torch.bfloat16 if fast else torch.float32)
    assert choose_precision("auto", "auto") == ("bf16-mixed" if fast else "32-true")


def test_a_setting_wins_over_the_hardware(monkeypatch):
    pretend(monkeypatch, bf16=True)
    assert choose_precision("32-true", "auto") == "32-true"
    pretend(monkeypatch, bf16=False)
    assert choose_precision("bf16-mixed", "cpu") == "bf16-mixed"


@pytest.mark.parametrize("bf16", [True, False])
def test_a_run_predicts_in_its_own_precision_on_whatever_device(monkeypatch, bf16):
    pretend(monkeypatch, bf16=bf16)
    assert network_dtype(CPU, "32-true") == torch.float32
    assert network_dtype(CPU, "bf16-mixed") == torch.bfloat16
    assert network_dtype(CPU, "auto") == network_dtype(CPU)


def test_the_graphics_card_counts_where_it_trains(monkeypatch):
    pretend(monkeypatch, bf16=False, cuda=True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert choose_precision("auto", "gpu") == "bf16-mixed"
    assert choose_precision("auto", "cpu") == "32-true"

    assert not has_fast_bf16(torch.device("mps"))


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"trainer\.precision=16: give one of auto"):
        choose_precision("16", "auto")
    with pytest.raises(ValueError, match=r"trainer\.precision=16"):
        network_dtype(CPU, "16")
