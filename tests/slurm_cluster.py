"""A SLURM cluster of this machine alone, for the time of a test."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
StateSaveLocation={folder}
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""  # a machine larger than this one, without MUNGE and cgroups; a job put back waits 5 s, not 120


def free_ports():
    """Two ports that nobody listens at."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


@contextmanager
def cluster():
    """Start one; gives the variables of its clients."""
    names = {"host": socket.gethostname().split(".")[0], "ports": free_ports()}
    names["user"] = subprocess.check_output(["id", "-un"], encoding="utf-8").strip()
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:  # its sockets need short names
        file, log = Path(folder, "slurm.conf"), Path(folder, "log")
        file.write_text(CONFIGURATION.format(folder=folder, **names))
        own, running = {**os.environ, "SLURM_CONF": str(file)}, []
        try:
            with log.open("w") as said:
                for name in ("slurmctld", "slurmd"):
                    command = [shutil.which(name, path=PLACES), "-D"]
                    running.append(subprocess.Popen(command, env=own, stdout=said, stderr=said))
            _wait_until_idle(own, log)
            yield {"SLURM_CONF": str(file)}
        finally:
            for one in reversed(running):
                one.terminate()
                one.wait()


def _wait_until_idle(variables, log, seconds=30):
    command, end = ["sinfo", "--noheader", "--format=%T"], time.monotonic() + seconds
    while True:
        asked = subprocess.run(command, env=variables, capture_output=True, check=False)
        if b"idle" in asked.stdout:
            return
        if time.monotonic() > end:
            raise RuntimeError(f"SLURM does not start: {log.read_text()[-1000:]}")
        time.sleep(0.2)
