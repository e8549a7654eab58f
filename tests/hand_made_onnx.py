"""ONNX models written node by node, and what they compute in PyTorch."""

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pin_lightning.common.geometry import Grid

GRID = Grid((4, 3, 2), 10.0)
STARTS, LANDMARKS = 2, 1


class Stepwise(nn.Module):
    """Starts that end at whole centimetres: ``10 floor(weight * intensity / 10)`` on each axis."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, STARTS, 1, 1))

    def forward(self, volumes):
        intensity = volumes[:, :1, 0, 0].float().view(-1, 1, 1, 1)
        ends = 10 * torch.floor(self.weight * intensity / 10).expand(-1, -1, LANDMARKS, 3)
        mean = ends.mean(dim=1)
        return mean, torch.zeros(mean.shape[:2]), ends, torch.ones(ends.shape[:2]).long()


def stepwise(weight=(1.0, 1.0), shift=0.0, metadata=None):
    """The bytes of `Stepwise` with these weights, its means shifted by so many mm."""
    constants = {
        "weight": torch.tensor(weight).view(1, STARTS, 1, 1),
        "ten": torch.tensor(10.0),
        "shift": torch.tensor(shift),
        "zero": torch.zeros(1),
        "shape": torch.tensor([-1, 1, 1, 1]),
        "ends_shape": torch.tensor([1, STARTS, LANDMARKS, 3]),
        "first": torch.tensor([0, 0, 0]),
        "one": torch.tensor([1, 1, 1]),
        "axes": torch.tensor([1, 2, 3]),
    }
    lines = [
        ("Slice", ["volume", "first", "one", "axes"], "voxel", {}),
        ("Cast", ["voxel"], "real", {"to": TensorProto.FLOAT}),
        ("Reshape", ["real", "shape"], "intensity", {}),
        ("Mul", ["weight", "intensity"], "weighted", {}),
        ("Div", ["weighted", "ten"], "tenth", {}),
        ("Floor", ["tenth"], "whole", {}),
        ("Mul", ["whole", "ten"], "steps", {}),
        ("Expand", ["steps", "ends_shape"], "starts_mm", {}),
        ("ReduceMean", ["starts_mm"], "mean", {"axes": [1], "keepdims": 0}),
        ("Add", ["mean", "shift"], "landmarks_mm", {}),
        ("ReduceMean", ["mean"], "across", {"axes": [2], "keepdims": 0}),
        ("Mul", ["across", "zero"], "spread_mm", {}),
        ("ReduceMean", ["starts_mm"], "by_start", {"axes": [2, 3], "keepdims": 0}),
        ("Cast", ["by_start"], "iterations", {"to": TensorProto.INT64}),
    ]
    nodes = [helper.make_node(op, given, [out], **more) for op, given, out, more in lines]
    volume = helper.make_tensor_value_info("volume", TensorProto.UINT8, ["V", *GRID.size])
    outputs = [
        helper.make_tensor_value_info(name, kind, ["V", *rest])
        for name, kind, rest in (
            ("landmarks_mm", TensorProto.FLOAT, [LANDMARKS, 3]),
            ("spread_mm", TensorProto.FLOAT, [LANDMARKS]),
            ("starts_mm", TensorProto.FLOAT, [STARTS, LANDMARKS, 3]),
            ("iterations", TensorProto.INT64, [STARTS]),
        )
    ]
    tensors = [numpy_helper.from_array(value.numpy(), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "stepwise", [volume], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    helper.set_model_props(model, metadata or {})
    return model.SerializeToString()
