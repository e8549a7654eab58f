"""The console command ``pin-lightning PROGRAM ...``, also ``python -m pin_lightning PROGRAM``."""

import runpy
import sys

HELP, VERSION = ("-h", "--help"), "--version"
# Module of each program, and its purpose.
PROGRAMS = {
    "train": ("pin_lightning.training", "train a landmark detector and evaluate it"),
    "infer": ("pin_lightning.inference", "predict the landmarks of any volumes"),
    "merge": ("pin_lightning.merge", "make the tables of a prediction of several parts"),
    "bids": ("pin_lightning.bids", "predict a BIDS data set, as a BIDS App"),
    "serve": ("pin_lightning.serve", "look at predictions in the browser and correct them"),
    "check": ("pin_lightning.check", "check a data set before training"),
    "cross-validate": ("pin_lightning.cross_validate", "train all folds, calibrate error bars"),
    "evaluate": ("pin_lightning.evaluate", "evaluate a run on new annotated cases"),
    "compare": ("pin_lightning.compare", "compare two runs case by case"),
    "report": ("pin_lightning.report", "make the page of a run again"),
    "gather": ("pin_lightning.gather", "make the table of a sweep again"),
    "export": ("pin_lightning.export", "write a run as ONNX files"),
    "pack": ("pin_lightning.pack", "pack a run into one file, with a model card"),
}


def main() -> None:
    """Run the program that the first argument names, as ``python -m MODULE`` would.

    Lightning starts its processes for further devices by that module, without the program's name.
    """
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in (*HELP, ""):
        print(usage())
        raise SystemExit(0 if name else 2)
    if name == VERSION:
        from importlib.metadata import version

        print(version("pin-lightning"))
        return
    if name not in PROGRAMS:
        known = ", ".join(PROGRAMS)
        print(f"error: {name}: there is no such program; give one of {known}", file=sys.stderr)
        raise SystemExit(2)
    del sys.argv[1]
    runpy.run_module(PROGRAMS[name][0], run_name="__main__", alter_sys=True)


def usage() -> str:
    """List the programs, one per line."""
    lines = [f"  {name:<15} {purpose}" for name, (_, purpose) in PROGRAMS.items()]
    first = "pin-lightning PROGRAM [GROUP=OPTION] [KEY=VALUE] ..."
    return "\n".join([first, "", *lines, "", "pin-lightning PROGRAM --help lists its settings."])


if __name__ == "__main__":
    main()
