"""Real exports take many seconds each; what can be seen without one is fast."""

import jaxtyping
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from small_localizers import GRID, KINDS, build
from torch import nn

from pin_lightning.deployment import graphs, parity
from pin_lightning.deployment.graphs import LocalizerGraph, NetworkGraph, with_metadata
from pin_lightning.deployment.volumes import synthetic_volumes
from pin_lightning.method.localizer import Localizer


@pytest.fixture
def unchecked():
    """Without checks of shapes, which torch.export cannot look through."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_computes_what_the_localizer_does(kind):
    localizer, volumes = build(kind), synthetic_volumes(GRID, 2, seed=0)
    expected = localizer(volumes)
    found = LocalizerGraph(localizer)(volumes)
    ends_mm = expected.landmarks_mm[:, -1]
    parts = (expected.prediction_mm, expected.spread_mm, ends_mm, expected.iterations)
    assert all(torch.equal(*pair) for pair in zip(found, parts, strict=True))


def test_starts_are_drawn_once_and_can_be_chosen_again():
    localizer = build("pca")
    starts = localizer.starts()
    LocalizerGraph(localizer)
    assert localizer.starts() is localizer.starts()
    assert torch.equal(localizer.starts(), starts)
    localizer.set_starts(2)
    assert torch.equal(localizer.starts(), starts[:2])
    assert all("starts" not in name for name in localizer.state_dict())


def test_a_network_sees_patches_as_they_are_cut():
    localizer = build("pca")
    patches = torch.randint(0, 256, (2, 9, 5, 5), dtype=torch.uint8)
    found = NetworkGraph(localizer)(patches)
    for one, expected in zip(found, localizer.network(patches.float() / 255), strict=True):
        torch.testing.assert_close(one, expected)


class Undecided(nn.Module):
    """Data-dependent control flow, which no graph can express."""

    def forward(self, patches):
        if patches.sum() > 0:
            patches = patches + 1
        zeros = patches.flatten(1)[:, :3] * 0
        return zeros, torch.cat([zeros, zeros], dim=1)


@pytest.mark.slow
def test_what_onnx_cannot_say_is_named(unchecked, capfd):
    localizer = build("pca")
    localizer.network = Undecided()
    with pytest.raises(ValueError, match=r"^network Undecided: .* ONNX \(Could not guard .+\)$"):
        graphs.network_model(localizer, 18)
    parts = "Undecided, PCAShapeModel, RuleB"
    with pytest.raises(ValueError, match=rf"^localizer of {parts}: .* ONNX \(Data-dependent .+\)$"):
        graphs.localizer_model(LocalizerGraph(localizer), GRID.size, 18)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["autoencoder", "identity", "points", "folds"])  # of the others
def test_onnx_runtime_finds_what_pytorch_finds(kind, unchecked):
    graph = LocalizerGraph(build(kind))
    model = with_metadata(graphs.localizer_model(graph, GRID.size, 18), {"landmarks": "[]"})
    volumes = synthetic_volumes(GRID, 3, seed=1)
    with torch.no_grad():
        expected = graph(volumes)
    running = parity.session(model)
    for batch in (volumes, volumes[1:2]):  # any number
        found = running.run(None, {"volume": batch.numpy()})
        ends = expected[2] if len(batch) == 3 else expected[2][1:2]
        np.testing.assert_allclose(found[2], ends, atol=1e-3)
    np.testing.assert_array_equal(found[3], expected[3][1:2])
    assert not parity.check_localizer(graph, model, volumes, 1e-3)[1].any()
    assert running.get_modelmeta().custom_metadata_map == {"landmarks": "[]"}
    content = str(onnx.load_from_string(model))
    assert ".py" not in content  # no file names of this machine
    nothing = torch.zeros_like(volumes)
    diverged = parity.check_localizer(graph, model, nothing, 1e-3)[1]
    assert diverged.shape == (3, expected[2].shape[1])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "opset"), [("pca", 23), ("points", 18)])
def test_a_network_alone(kind, opset, unchecked):
    localizer = build(kind)
    assert isinstance(localizer, Localizer)
    model = graphs.network_model(localizer, opset)
    assert model.opset_import[0].version == opset
    checked = (synthetic_volumes(GRID, 2, seed=1), parity.Tolerance())
    assert parity.check_network(localizer, with_metadata(model, {}), *checked) < 1e-5
    weights = next(one for one in model.graph.initializer if len(one.dims) > 1)
    weights.CopyFrom(numpy_helper.from_array(1.01 * numpy_helper.to_array(weights), weights.name))
    with pytest.raises(ValueError, match=r"differ by .* \(tolerance\.network=0\.0001\)"):
        parity.check_network(localizer, with_metadata(model, {}), *checked)
