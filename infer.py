"""Predict landmarks: ``python infer.py run=RUN input='volumes/*.nii.gz' output=predictions``."""

from pin_lightning.inference.__main__ import main

if __name__ == "__main__":
    main()
