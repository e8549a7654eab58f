"""landmarker's SpatialConfiguration-Net, trained and asked: ``python FILE.py JOB.npz OUT.npz``.

Runs in an environment of its own, with landmarker and what that needs, but not this package. What
is not said here is as landmarker's documentation has it ("Getting started", and the tutorial on
adaptive heatmaps): its `OriginalSpatialConfigurationNet`, Gaussians of a learnt SD of 3 voxels at
first, SGD with Nesterov momentum 0.99 and weight decay 0.001, `GaussianHeatmapL2Loss(alpha=5)`,
batches of one, and the tutorial's augmentation.

The job holds the volumes [N, X, Y, Z] of 0 to 255 and landmarks [N, L, 3] in voxels (NaN where
missing) of the training cases, the volumes of the test cases, and the settings. The answer holds
positions [M, L, 3] in voxels, seconds of each test case, and what the training took.
"""

import sys
from time import perf_counter

import numpy as np
import torch
from landmarker.data import LandmarkDataset
from landmarker.heatmap.decoder import heatmap_to_coord
from landmarker.heatmap.generator import GaussianHeatmapGenerator
from landmarker.losses import GaussianHeatmapL2Loss
from landmarker.models import OriginalSpatialConfigurationNet3d
from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandGaussianNoised,
    RandScaleIntensityd,
    RandStdShiftIntensityd,
)
from torch.utils.data import DataLoader

KEY = ("image",)
SIGMA = 3.0
TURN = np.pi / 12
SHIFT = 10 / 512  # of a side, as 10 pixels are of the tutorial's pictures


def augmentation(size):
    """The tutorial's, in three dimensions."""
    affine = RandAffined(
        KEY,
        prob=1,
        rotate_range=[(-TURN, TURN)] * 3,
        translate_range=[(-SHIFT * side, SHIFT * side) for side in size],
        scale_range=[(-0.1, 0.1)] * 3,
        shear_range=[(-0.1, 0.1)] * 6,
    )
    return Compose(
        [
            affine,
            RandGaussianNoised(KEY, prob=0.1, mean=0, std=0.005),
            RandStdShiftIntensityd(KEY, prob=0.1, factors=0.1),
            RandScaleIntensityd(KEY, prob=0.1, factors=0.25),
            RandAdjustContrastd(KEY, prob=0.1, gamma=(0.5, 2)),
        ]
    )


def padded(volumes):
    """Volumes [N, 1, X, Y, Z] of 0 to 1, with zeros after each axis up to a multiple of 8."""
    after = [(0, -side % 8) for side in volumes.shape[1:]]
    return np.pad(volumes.astype(np.float32) / 255, [(0, 0), *after])[:, None]


def main(job_path, answer_path):
    """Train until the time is over, or all epochs are done; then find the test cases."""
    job = np.load(job_path)
    torch.manual_seed(int(job["seed"]))
    images, landmarks = padded(job["train_volumes"]), job["train_landmarks"]
    count, size = landmarks.shape[1], images.shape[2:]
    data = LandmarkDataset(
        images, landmarks.astype(np.float32), spatial_dims=3, transform=augmentation(size)
    )
    data.transform.set_random_state(int(job["seed"]))
    # As high as the tutorial's Gaussians in two dimensions, for which gamma is 100.
    gamma = 100 * np.sqrt(2 * np.pi) * SIGMA
    heatmaps = GaussianHeatmapGenerator(
        count, sigmas=SIGMA, gamma=gamma, heatmap_size=size, learnable=True, na_zero=True
    )
    model = OriginalSpatialConfigurationNet3d(in_channels=1, out_channels=count)
    optimizer = torch.optim.SGD(
        [
            {"params": model.parameters(), "weight_decay": 1e-3},
            {"params": heatmaps.sigmas},
            {"params": heatmaps.rotation},
        ],
        lr=float(job["learning_rate"]),
        momentum=0.99,
        nesterov=True,
    )
    criterion = GaussianHeatmapL2Loss(alpha=5, spatial_dims=3)
    began, steps = perf_counter(), 0
    model.train()
    while steps < int(job["max_steps"]) and perf_counter() - began < float(job["seconds"]):
        for batch in DataLoader(data, batch_size=1, shuffle=True):
            optimizer.zero_grad()
            target = heatmaps(batch["landmark"])
            loss = criterion(model(batch["image"].as_tensor()), heatmaps.sigmas, target)
            loss.backward()
            optimizer.step()
            steps += 1
            print(f"step {steps}: loss {loss.item():.2f}", flush=True)
            if not torch.isfinite(loss):
                sys.exit(
                    f"learning_rate: the loss is {loss.item()} at step {steps}; give a smaller one"
                )
            if perf_counter() - began >= float(job["seconds"]):
                break
    trained = perf_counter() - began
    found, seconds = [], []
    model.eval()
    with torch.no_grad():
        for image in torch.from_numpy(padded(job["test_volumes"])):
            asked = perf_counter()
            peaks = heatmap_to_coord(model(image[None]), method="local_soft_argmax", spatial_dims=3)
            seconds.append(perf_counter() - asked)
            found.append(peaks[0].numpy())
    weights = sum(one.numel() for one in model.parameters())
    np.savez(
        answer_path,
        positions=np.stack(found),
        seconds=seconds,
        training_seconds=trained,
        steps=steps,
        weights=weights,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
