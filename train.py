"""Train and evaluate a landmark detector: ``python train.py data=folder data.root=DIR``."""

from pin_lightning.training.__main__ import main

if __name__ == "__main__":
    main()
