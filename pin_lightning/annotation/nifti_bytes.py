"""Images as NIfTI-1 of at most 16 bits a voxel, for a browser."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np
from jaxtyping import Num

from pin_lightning.annotation.frames import ViewGrid

BITS_8, BITS_16 = 255, 65535
SPARE = 1.0  # widths of the window that are kept on either side of it


@dataclass(frozen=True, eq=False)
class Encoding:
    """How intensities are stored: as whole numbers times `slope` plus `low`.

    Attributes:
        low: Intensity that is stored as 0.
        slope: Difference of intensities between two stored numbers.
        most: Largest stored number.
    """

    low: float
    slope: float
    most: int

    @classmethod
    def of(cls, voxels: Num[np.ndarray, "X Y Z"], window: tuple[float, float]) -> "Encoding":
        """Choose an encoding: whole numbers of a small range as they are.

        Of others what lies far outside the window is clipped.

        Args:
            voxels: Intensities of a whole image.
            window: Intensities that become black and white.
        """
        least, largest = float(voxels.min()), float(voxels.max())
        if voxels.dtype.kind in "iub" and largest - least <= BITS_16:
            return cls(least, 1.0, BITS_8 if largest - least <= BITS_8 else BITS_16)
        low, high = window
        least = max(least, low - SPARE * (high - low))
        largest = min(largest, high + SPARE * (high - low))
        return cls(least, (largest - least) / BITS_16 or 1.0, BITS_16)

    def stored(self, voxels: Num[np.ndarray, "X Y Z"]) -> Num[np.ndarray, "X Y Z"]:
        """Stored numbers of intensities, slab by slab."""
        result = np.empty(voxels.shape, np.uint8 if self.most == BITS_8 else np.uint16, order="F")
        for index in range(voxels.shape[2]):
            plane = (voxels[:, :, index].astype(np.float64) - self.low) / self.slope
            result[:, :, index] = np.clip(np.rint(plane), 0, self.most)
        return result


def nifti_bytes(
    stored: Num[np.ndarray, "X Y Z"],
    grid: ViewGrid,
    encoding: Encoding,
    window: tuple[float, float],
) -> bytes:
    """A NIfTI-1 file, whose affine is that of the grid: voxel index to view mm."""
    header = nib.Nifti1Header()
    header.set_data_shape(stored.shape)
    header.set_data_dtype(stored.dtype)
    header.set_slope_inter(encoding.slope, encoding.low)
    header.set_xyzt_units("mm")
    header.set_sform(grid.affine, "scanner")
    header.set_qform(grid.affine, "scanner")
    header["cal_min"], header["cal_max"] = window
    header["magic"], header["vox_offset"] = b"n+1", header.single_vox_offset
    return bytes(header.binaryblock) + bytes(4) + stored.tobytes(order="F")
