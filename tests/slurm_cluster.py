"""A real Slurm on this host, in a temporary folder: one node with all of its processors, each once.

Needs root and Debian's ``slurm-wlm`` and ``munge``.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
SECONDS = 30.0

CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={port_of_node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no cluster can be started here; empty if one can."""
    lacking = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if lacking:
        return f"no {lacking[0]}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "only root can start munged and slurmctld"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Cluster:
    """A Slurm to be started and stopped; ``environment`` is what a command needs to find it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}

    def start(self) -> None:
        """Starts munged, the controller and the node; RuntimeError with a log's end if one does not come up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("state", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        port = _free_port()
        cpus = len(os.sched_getaffinity(0))
        host = socket.gethostname().split(".")[0]
        text = CONFIG.format(host=host, folder=self.folder, port=port, port_of_node=_free_port(), cpus=cpus)
        (self.folder / "slurm.conf").write_text(text)
        self._start_munge()
        self.run(["slurmctld"])
        self.run(["slurmd"])
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            states = self.run(["sinfo", "--noheader", "--format", "%T"], check=False).stdout.split()
            if states and states[0] in ("idle", "mixed", "allocated"):
                return
            time.sleep(0.3)
        logs = [path.read_text()[-500:] for path in self.folder.glob("*.log")]
        raise RuntimeError(f"the node is not ready: {' '.join(logs)}")

    def _start_munge(self) -> None:
        """munged insists on an owner of its own for its key and on folders that it can get to."""
        user = pwd.getpwnam("munge")
        home = Path(tempfile.mkdtemp(prefix="munge-"))
        (self.folder / "munge").symlink_to(home)
        key = home / "key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        for path in (home, key):
            os.chown(path, user.pw_uid, user.pw_gid)
        words = ["--force", f"--key-file={key}", f"--socket={home}/socket", f"--pid-file={home}/pid"]
        words += [f"--log-file={home}/log", f"--seed-file={home}/seed"]
        self.run(["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "munged", *words])

    def stop(self) -> None:
        """Cancels all jobs and ends all daemons."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.run(["scancel", "--user", "root"], check=False)
        for pid in (self.folder / "slurmd.pid", self.folder / "slurmctld.pid", self.folder / "munge" / "pid"):
            if pid.exists():
                subprocess.run(["kill", pid.read_text().strip()], check=False, capture_output=True)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and (self.folder / "slurmctld.pid").exists():
            time.sleep(0.1)
        shutil.rmtree((self.folder / "munge").resolve(), ignore_errors=True)
        (self.folder / "munge").unlink(missing_ok=True)

    def run(self, command: list[str], check: bool = True) -> subprocess.CompletedProcess:
        """Runs one of Slurm's programs; RuntimeError with what it says if it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300)
        if check and done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
        return done


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
