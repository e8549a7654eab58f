"""Export of networks and whole localizers as ONNX graphs."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import torch
from torch import nn

from pin_lightning.common.types import Float, Int, Tensor, UInt8
from pin_lightning.deployment.graph_loop import iterate_in_graph
from pin_lightning.method.ensemble import Ensemble
from pin_lightning.method.localizer import Localizer
from pin_lightning.method.networks import patches_to_input

_ANY_SIZE = 2**30
OPSETS = (18, 19, 20, 21, 22, 23)  # versions of ONNX operators that the exporter can write
NETWORK_INPUTS, NETWORK_OUTPUTS = ("patches",), ("displacement", "logits")
LOCALIZER_INPUTS = ("volume",)
LOCALIZER_OUTPUTS = ("landmarks_mm", "spread_mm", "starts_mm", "iterations")


class NetworkGraph(nn.Module):
    """The network of a localizer on 8-bit patches."""

    def __init__(self, localizer: Localizer) -> None:
        super().__init__()
        self.network = localizer.network

    def forward(
        self, patches: UInt8[Tensor, "N C P P"]
    ) -> tuple[Float[Tensor, "N K"], Float[Tensor, "N K2"]]:
        """Displacement in its training unit, and direction logits."""
        return self.network(patches_to_input(patches))


class LocalizerGraph(nn.Module):
    """A whole localizer, from working volumes to landmarks, in float32; its starts are fixed."""

    def __init__(self, localizer: Localizer | Ensemble) -> None:
        super().__init__()
        self.localizer = localizer
        for one in _localizers(localizer):
            one.keep_starts()

    def forward(
        self, volume: UInt8[Tensor, "V X Y Z"]
    ) -> tuple[
        Float[Tensor, "V L 3"], Float[Tensor, "V L"], Float[Tensor, "V S L 3"], Int[Tensor, "V S"]
    ]:
        """Landmarks, their spread, final landmarks of each start, and its iterations."""
        found = self.localizer(volume)
        return found.prediction_mm, found.spread_mm, found.landmarks_mm[:, -1], found.iterations


def network_model(localizer: Localizer, opset: int) -> Any:
    """Export the network of a localizer on the CPU as an ONNX model (`onnx.ModelProto`).

    Raises:
        ValueError: A part cannot be expressed in ONNX.
    """
    channels = 3 * localizer.shape_model.num_landmarks * len(localizer.patch_spacings)
    side = localizer.patch_side
    patches = torch.zeros(2, channels, side, side, dtype=torch.uint8)
    graph = NetworkGraph(localizer).eval()
    return model_of(graph, (patches,), NETWORK_INPUTS, NETWORK_OUTPUTS, _many("N"), opset)


def localizer_model(graph: LocalizerGraph, size: Sequence[int], opset: int) -> Any:
    """Export a whole localizer on the CPU as an ONNX model (`onnx.ModelProto`).

    Raises:
        ValueError: A part cannot be expressed in ONNX.
    """
    volumes = torch.zeros(2, *size, dtype=torch.uint8)
    localizers = _localizers(graph)
    for one in localizers:
        one.set_loop(iterate_in_graph)
    try:
        names = (LOCALIZER_INPUTS, LOCALIZER_OUTPUTS)
        return model_of(graph.eval(), (volumes,), *names, _many("V"), opset)
    finally:
        for one in localizers:
            one.set_loop(None)


def _localizers(module: nn.Module) -> list[Localizer]:
    """All localizers within a module, first stages and members of ensembles included."""
    return [one for one in module.modules() if isinstance(one, Localizer)]


def _many(name: str) -> tuple[dict[int, Any]]:
    """Sizes of one input whose batch dimension, of this name, may vary."""
    return ({0: torch.export.Dim(name)},)


def model_of(
    graph: nn.Module,
    example: Sequence[Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
    sizes: Sequence[Any],
    opset: int,
) -> Any:
    """Export a module on the CPU as an ONNX model (`onnx.ModelProto`).

    Args:
        graph: The module.
        example: Its arguments.
        inputs: Names of the tensors in them.
        outputs: Names of what it returns.
        sizes: For each argument the dimensions that may vary, as `torch.export` takes them.
        opset: Version of the ONNX operators.

    Raises:
        ValueError: A part cannot be expressed in ONNX.
    """
    from onnx_ir.passes import common as passes
    from onnxscript import optimizer

    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                graph,
                tuple(example),
                dynamo=True,
                verbose=False,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=tuple(sizes),
                opset_version=opset,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ValueError(
            f"{_parts(graph)}: cannot be expressed in ONNX ({_reason(error)})"
        ) from error
    assert program is not None
    with _quiet():
        # Fold constants of any size: the weights of the pyramid.
        optimizer.optimize(program.model, input_size_limit=_ANY_SIZE, output_size_limit=_ANY_SIZE)
        passes.ClearMetadataAndDocStringPass()(program.model)  # file names of this machine
        passes.RemoveUnusedNodesPass()(program.model)
    _constants_into_loops(program.model.graph)
    model = program.model_proto
    for name, given in zip(inputs, model.graph.input, strict=True):
        if not given.type.tensor_type.shape.dim[0].dim_param:
            raise ValueError(f"{_parts(graph)}: the number of {name} cannot vary in ONNX")
    return model


def _constants_into_loops(graph: Any) -> None:
    """Move constants (of an `onnx_ir.Graph`) into the loop that alone uses them.

    ONNX Runtime lays weights out for its fastest convolutions only in the graph that has them: a
    localizer then takes two thirds of the time.
    """
    for constant in list(graph.initializers.values()):
        users = {use.node.graph for use in constant.uses()}
        if len(users) == 1 and graph not in users:
            graph.initializers.pop(constant.name)
            users.pop().register_initializer(constant)


def _parts(graph: nn.Module) -> str:
    if isinstance(graph, NetworkGraph):
        return f"network {type(graph.network).__name__}"
    if not _localizers(graph):
        return type(graph).__name__
    parts = ("network", "shape_model", "prior", "update_rule")
    names = [type(getattr(one, part)).__name__ for one in _localizers(graph) for part in parts]
    return "localizer of " + ", ".join(name for name in dict.fromkeys(names) if name != "NoneType")


def _reason(error: Exception) -> str:
    """First line of the cause of an exporter's error, without its advice on bug reports."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [" ".join(line.split()) for line in str(cause).splitlines() if line.strip()]
    lines = lines or [type(cause).__name__]
    return lines[1] if lines[0].endswith(":") and len(lines) > 1 else lines[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's logs, warnings and output; its errors are raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def with_metadata(model: Any, metadata: Mapping[str, str]) -> bytes:
    """Bytes of the file of an ONNX model with these entries in its metadata."""
    import onnx

    onnx.helper.set_model_props(model, dict(metadata))
    return model.SerializeToString()
