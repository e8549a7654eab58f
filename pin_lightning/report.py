"""Make the page of a run again: ``python -m pin_lightning.report run=RUN``."""

from typing import TYPE_CHECKING

from pin_lightning.cli.program import program

if TYPE_CHECKING:
    from omegaconf import DictConfig


@program("report")
def main(config: "DictConfig") -> None:
    """Write the page from the files of the run; neither its data nor its weights are needed."""
    from pin_lightning.reports.pages import run_page  # heavy, after the config has composed

    run_page.write_again(config)


if __name__ == "__main__":
    main()
