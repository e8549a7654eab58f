"""The recipes of `examples/engines`, by the engines themselves where these are installed.

Engines that are Python packages are looked for in the virtual environment `PIN_ENGINES`.
"""

import csv
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import pytest
import yaml
from slurm_cluster import PLACES, cluster

from conftest import REPOSITORY
from pin_lightning.data.sources.phantom import make_phantom
from pin_lightning.inference.part import Part

RECIPES = REPOSITORY / "examples" / "engines"
SHOWN = {"slurm.sh": "sh", "kubernetes.yaml": "yaml", "Snakefile": "python", "main.nf": "groovy"}
PAGE = (REPOSITORY / "docs" / "scale.md").read_text("utf-8")
ENGINES = Path(os.environ.get("PIN_ENGINES", ".engines")).absolute()
PACKAGES = "python -m venv ENV && ENV/bin/pip install snakemake 'dask[distributed]' "
PACKAGES += "kubernetes-validate, and set PIN_ENGINES=ENV"
HEADS = [f"{number:02}" for number in range(12)]
ALL = [*HEADS, "bad"]  # which is of the first of two parts


def installed(program, advice):
    """Path of a program; the test is skipped where there is none."""
    path = shutil.which(program, path=f"{ENGINES / 'bin'}{os.pathsep}{PLACES}")
    if path is None:
        pytest.skip(f"{program} is not installed: {advice}")
    return path


def write_program(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(stat.S_IRWXU)


@pytest.fixture
def spoken(tmp_path):
    """Stand-ins write their arguments to a file; gives how to run a script and what it called."""

    def run(script, *arguments, code=0, **variables):
        for name, ends_with in (("srun", code), ("scontrol", 0), ("pin-lightning", code)):
            text = f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/said"\nexit {ends_with}\n'
            write_program(tmp_path / "bin" / name, text)
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        command, own = [*script, *arguments], {**os.environ, "PATH": path, **variables}
        done = subprocess.run(command, env=own, check=False, cwd=tmp_path)
        return done.returncode, (tmp_path / "said").read_text("utf-8").splitlines()

    return run


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_shows_the_files_themselves(name):
    assert f"```{SHOWN[name]}\n{(RECIPES / name).read_text('utf-8')}```\n" in PAGE


def test_shellcheck_has_nothing_to_say():
    shellcheck = installed("shellcheck", "apt-get install shellcheck")
    subprocess.run([shellcheck, RECIPES / "slurm.sh"], check=True)


def test_what_slurm_is_asked_for():
    script = (RECIPES / "slurm.sh").read_text("utf-8")
    lines = re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE)
    given = dict(re.findall(r"--([a-z-]+)(?:=(\S+))?", " ".join(lines)))
    needed = {"array": "1-40", "requeue": "", "signal": "TERM@120", "open-mode": "append"}
    assert {key: given.get(key) for key in needed} == needed


@pytest.mark.parametrize(("code", "again"), [(0, False), (2, False), (137, False), (143, True)])
def test_only_a_job_that_was_asked_to_end_is_put_back(spoken, code, again):
    task = {"SLURM_ARRAY_JOB_ID": "17", "SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "4"}
    task |= {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "40"}
    script = ["bash", str(RECIPES / "slurm.sh")]
    ended, said = spoken(script, "run=R", "input=a b", code=code, **task)
    assert ended == code
    requeued = ["scontrol requeue 17_3"] if again else []
    assert said == ["srun pin-lightning infer run=R input=a b part=3/40", *requeued]


@pytest.fixture(scope="module")
def jobs():
    return list(yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text("utf-8")))


def test_what_kubernetes_is_asked_for(jobs):
    predict, merge = (one["spec"] for one in jobs)
    assert predict["completionMode"] == "Indexed"
    ignored, fails = predict["podFailurePolicy"]["rules"]
    assert (ignored["action"], fails["action"]) == ("Ignore", "FailIndex")
    (container,) = predict["template"]["spec"]["containers"]
    codes = {"containerName": container["name"], "operator": "In", "values": [2]}
    assert fails["onExitCodes"] == codes
    assert predict["backoffLimitPerIndex"] > 0  # without it an index cannot fail alone
    assert merge["suspend"]
    for one in (predict, merge):
        pod = one["template"]["spec"]
        assert pod["restartPolicy"] == "Never"  # podFailurePolicy allows no other
        named = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == named


@pytest.mark.parametrize("code", [0, 2])
def test_a_pod_predicts_the_part_of_its_index(spoken, jobs, code):
    spec = jobs[0]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    command = [*container["command"], *container["args"]]
    ended, (said,) = spoken(command, code=code, JOB_COMPLETION_INDEX="39")
    assert (ended, said.split()[-1]) == (code, f"part={spec['completions']}/40")


def test_kubernetes_takes_the_jobs():
    validate = installed("kubernetes-validate", PACKAGES)
    file = RECIPES / "kubernetes.yaml"
    for version in ("1.29", "1.33"):
        subprocess.run([validate, "--strict", "-k", version, file], check=True)


def test_the_command_of_nextflow(spoken):
    """It is not run by Nextflow, so at least by a shell."""
    scripts = re.findall(r'"""\n(.*?)"""', (RECIPES / "main.nf").read_text("utf-8"), re.DOTALL)
    values = {"params.run": "R", "params.input": "I", "params.output": "O", "params.parts": "40"}
    for script in scripts:
        for name, value in {**values, "number": "3", "task.cpus": "4"}.items():
            script = script.replace(f"${{{name}}}", value)
        _, said = spoken(["bash", "-eu", "-c", script.replace("\\\\\n", "\\\n")])
    expected = "pin-lightning infer run=R input=I output=O part=3/40"
    assert said == [expected, "pin-lightning merge output=O"]


# From here on engines run: twelve heads, and one file that is none.


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Volumes that take a moment to read."""
    folder = tmp_path_factory.mktemp("scans")
    head = make_phantom(0, (135, 90, 120), (1.2, 1.2, 1.2))
    nib.save(nib.Nifti1Image(head.volume, head.affine), folder / "head.nii.gz")
    (folder / "in").mkdir()
    for name in HEADS:
        (folder / "in" / f"{name}.nii.gz").symlink_to(folder / "head.nii.gz")
    (folder / "in" / "bad.nii.gz").write_bytes(b"no image")
    return folder / "in"


@pytest.fixture
def work(tmp_path, short_run, scans):
    """A folder as the page names things, in which `pin-lightning` is that of this repository."""
    (tmp_path / "RUN").symlink_to(short_run)
    (tmp_path / "SCANS").symlink_to(scans)
    (tmp_path / "pids").mkdir()
    python = f'exec "{sys.executable}" -m pin_lightning "$@"'
    text = f"""#!/bin/sh
        for one do case $one in part=*) part=${{one#part=}} ;; esac; done
        [ "$1" = infer ] || {python}
        echo $$ > "{tmp_path}/pids/${{part%/*}}"
        {python} device=cpu batch_size=1 readers=1
    """
    write_program(tmp_path / "bin" / "pin-lightning", text)
    return tmp_path


def variables(work, **more):
    path = f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own, **more}


def wait_for(what, every=0.005):
    """Wait for something true, and return it."""
    end = time.monotonic() + 120
    while not (result := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(every)
    return result


def records(work):
    """Names of the volumes that are done, with the times of their records."""
    return {
        path.stem: path.stat().st_mtime_ns for path in (work / "predictions/records").glob("*.json")
    }


def of_part(number, names):
    """Those volumes that are of one of two parts."""
    return {name for name in names if Part(number, 2).holds(f"{name}.nii.gz")}


def is_complete(work):
    """Whether the tables have all heads, and the file that is none."""
    tables = []
    for name in ("landmarks.csv", "failed.csv"):
        with (work / "predictions" / name).open(encoding="utf-8", newline="") as file:
            tables.append({row["volume"] for row in csv.DictReader(file)})
    return tables == [set(HEADS), {"bad"}]


def commands_of(start):
    """The block of the page that begins so."""
    (block,) = re.findall(rf"^```bash\n({start}.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return block.replace("examples/engines", str(RECIPES)).replace("40", "2")


def shell(work, commands, **more):
    """Start commands as they stand on the page."""
    own = variables(work, **more)
    kinds = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    return subprocess.Popen(["bash", "-c", commands], cwd=work, env=own, **kinds)


@pytest.mark.slow
def test_snakemake_goes_on_after_a_kill(work):
    installed("snakemake", PACKAGES)
    commands = commands_of("snakemake")
    path = os.pathsep.join([str(work / "bin"), str(ENGINES / "bin"), os.environ["PATH"]])
    first = shell(work, commands, PATH=path)
    wait_for(lambda: of_part(2, records(work)))
    os.kill(int((work / "pids" / "2").read_text()), signal.SIGKILL)
    said = first.communicate()[0]
    assert first.returncode == 1, said
    assert "missing: " in said  # the merge has been at work
    before = records(work)
    assert of_part(1, before) == of_part(1, ALL)
    assert of_part(2, before) < of_part(2, ALL)
    second = shell(work, commands, PATH=path)
    said = second.communicate()[0]
    assert second.returncode == 1, said  # one is bad, and stays so
    after = records(work)
    assert {name: after[name] for name in before} == before
    assert is_complete(work)
    flags = [path.name for path in (work / "predictions.parts").iterdir()]
    assert flags == ["2-of-2"]  # that of the part with the bad one is tried again


@pytest.mark.slow
def test_gnu_parallel(work):
    installed("parallel", "apt-get install parallel")
    done = shell(work, commands_of("seq"))
    said = done.communicate()[0]
    assert done.returncode == 2, said
    assert is_complete(work)


@pytest.mark.slow
def test_slurm_puts_a_part_back_and_merges_at_the_end(work):
    installed("slurmctld", "apt-get install slurm-wlm")
    with cluster() as configuration:
        own = variables(work, **configuration)

        def ask(*command):
            done = subprocess.run(
                command, env=own, check=True, capture_output=True, encoding="utf-8"
            )
            return done.stdout

        submit = commands_of("parts=").replace("--parsable", "--parsable --array=1-2")
        submitted = shell(work, f"{submit}echo $parts\n", **configuration)
        array = submitted.communicate()[0].split()[-1]
        wait_for(lambda: of_part(2, records(work)))
        ask("scancel", "--signal=TERM", f"{array}_2")  # as --signal does

        def state():
            return ask("squeue", "--noheader", "--format=%i %r")

        wait_for(lambda: f"{array}_2 BeginTime" in state(), 0.1)
        before = records(work)
        wait_for(lambda: not state().strip(), 0.2)
        jobs = ask("scontrol", "--oneliner", "show", "job")
    shown = r"ArrayTaskId=(\d+).*JobState=(\w+).*Restarts=(\d+).*ExitCode=(\S+)"
    bad, put_back = ("1", "FAILED", "0", "2:0"), ("2", "COMPLETED", "1", "0:0")
    assert sorted(re.findall(shown, jobs)) == [bad, put_back]
    after = records(work)
    assert of_part(2, before) < of_part(2, after)
    assert {name: after[name] for name in before} == before
    assert is_complete(work)


@pytest.mark.slow
def test_dask_predicts_a_stream(work):
    places = [REPOSITORY, *ENGINES.glob("lib/python3.*/site-packages")]
    own = variables(work, PYTHONPATH=os.pathsep.join(map(str, places)))
    has_dask = [sys.executable, "-c", "import dask.distributed"]
    if subprocess.run(has_dask, env=own, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip(f"Dask is not installed: {PACKAGES}")
    script = [sys.executable, str(RECIPES / "dask_predict.py"), "RUN", "predictions"]

    def predict(workers):
        done = subprocess.run(
            [*script, "SCANS/*.nii.gz", "--workers", workers],
            cwd=work,
            env=own,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "failed SCANS/bad.nii.gz: SCANS/bad.nii.gz: cannot be read" in done.stderr
        return sorted(re.findall(r"^predicted SCANS/(\w+)", done.stdout, re.MULTILINE))

    assert predict("2") == HEADS
    written = {path.name: path.read_bytes() for path in (work / "predictions").iterdir()}
    assert set(written) == {f"{name}.mrk.json" for name in HEADS}
    assert json.loads(written["00.mrk.json"])["markups"][0]["controlPoints"]
    (work / "predictions" / "03.mrk.json").unlink()
    assert predict("1") == ["03"]
    assert (work / "predictions" / "03.mrk.json").read_bytes() == written["03.mrk.json"]
