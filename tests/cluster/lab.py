"""A real Slurm of many nodes on one host, for tests.

No service of the host is used, and nothing outside of a folder is written.
Debian's slurmctld, slurmd, slurm-client and munge must be installed, and the tests must run as root: munge and slurmd
want that. Each node is a slurmd with a name and a port of its own on the loopback.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "srun", "scontrol")
_CONF = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={at}/run/munge.socket
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation={at}/state
SlurmctldPidFile={at}/run/slurmctld.pid
SlurmctldLogFile={at}/log/slurmctld
SlurmdPidFile={at}/run/%n.pid
SlurmdLogFile={at}/log/%n
SlurmdSpoolDir={at}/spool/%n
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=5,batch_sched_delay=0,sched_min_interval=0
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
PropagateResourceLimits=NONE
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
KillWait=2
MinJobAge=300
GresTypes=gpu
NodeName={nodes} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports} CPUs=8 RealMemory=16000 Gres=gpu:{gpus}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES:4
"""


def available():
    """Whether this host can hold the lab."""
    return os.geteuid() == 0 and all(map(shutil.which, PROGRAMS))


class Lab:
    """A Slurm with nodes ``n01`` and so on, in a short folder whose parents belong to root.

    With ``disks``, options of tmpfs by the name of a node and "" for the others, each node has a disk of its own at
    ``local`` in the folder, which the others and this process do not see.
    """

    def __init__(self, at, nodes, *, port=17817, gpus=4, disks=None):
        self.disks, self.local = disks, Path(at) / "local"
        self.at, self.port, self.gpus = Path(at), port, gpus
        self.names = [f"n{number:02d}" for number in range(1, nodes + 1)]
        self.env = {**os.environ, "SLURM_CONF": f"{at}/etc/slurm.conf"}
        for name in [name for name in self.env if name.startswith("SLURM_") and name != "SLURM_CONF"]:
            del self.env[name]

    def __enter__(self):
        try:
            self._up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _up(self):
        for name in ("etc", "run", "log", "state", "spool", "munge", "local"):
            (self.at / name).mkdir(parents=True, exist_ok=True)
        self.at.chmod(0o755)
        (self.at / "munge").chmod(0o700)
        key = self.at / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self._configure()
        munge = self.at / "munge"
        subprocess.run(
            ["munged", f"--socket={self.at}/run/munge.socket", f"--key-file={key}", f"--pid-file={munge}/pid",
             f"--log-file={munge}/log", f"--seed-file={munge}/seed"],
            check=True,
        )  # fmt: skip
        self.call("slurmctld", "-c")
        for name in self.names:
            self.start(name)
        self._await(lambda: self.call("sinfo", "-h", "-N", "-t", "idle", "-o", "%N").split() == self.names)

    def __exit__(self, *_):
        with contextlib.suppress(subprocess.SubprocessError):
            self.call("scancel", "--user=root", timeout=10)
        pids = [*(self.at / "run").glob("*.pid")]
        for path in pids:
            self._signal(path, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            self._await(lambda: not any(map(_comm, pids)), 10)
        for path in pids:
            self._signal(path, signal.SIGKILL)
        self._signal(self.at / "munge/pid", signal.SIGTERM)
        shutil.rmtree(self.at, ignore_errors=True)

    def call(self, *argv, timeout=60):
        """The output of a program of Slurm, as root."""
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, check=True, timeout=timeout).stdout

    def start(self, name):
        """Starts the daemon of a node."""
        argv = ["slurmd", "-N", name]
        if self.disks is not None:
            script = 'mount -t tmpfs -o "$1" disk "$2" && shift 2 && exec "$@"'
            options = self.disks.get(name, self.disks[""])
            argv = ["unshare", "--mount", "sh", "-c", script, "sh", options, str(self.local), *argv]
        self.call(*argv)

    def revive(self, name):
        """Starts the daemon of a node that was killed, and waits until Slurm gives it jobs again."""
        self.start(name)
        # ``idle*`` has not answered yet, and the job in which it died may still be ending.
        states = ("sinfo", "-h", "-N", "-o", "%T")
        self._await(lambda: set(self.call(*states).split()) == {"idle"} and not self.call("squeue", "-h"), 120)

    def kill(self, name):
        """Ends a node as if its power went: its daemon, its step daemons, and all that these started."""
        sockets = subprocess.run(["ss", "-xlpH"], capture_output=True, text=True, check=True).stdout
        steps = [line for line in sockets.splitlines() if f" {self.at}/spool/{name}/" in line]
        pids = [
            int(part.split("=")[1].split(",")[0]) for line in steps for part in line.split('"')[2:] if "pid=" in part
        ]
        doomed = [pid for step in pids for pid in _tree(step)]
        self._signal(self.at / f"run/{name}.pid", signal.SIGKILL)
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        (self.at / f"run/{name}.pid").unlink(missing_ok=True)

    def _configure(self):
        count = len(self.names)
        nodes = f"n[01-{count:02d}]" if count > 1 else "n01"
        ports = f"[{self.port + 1}-{self.port + count}]" if count > 1 else f"{self.port + 1}"
        host = socket.gethostname().partition(".")[0]
        text = _CONF.format(host=host, port=self.port, at=self.at, nodes=nodes, ports=ports, gpus=self.gpus)
        (self.at / "etc/slurm.conf").write_text(text)
        gres = f"AutoDetect=off\nNodeName={nodes} Name=gpu File=/dev/tty[0-{self.gpus - 1}]\n"
        (self.at / "etc/gres.conf").write_text(gres)

    def _await(self, ready, seconds=60):
        until = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.2)

    def _signal(self, path, number):
        if _comm(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.read_text()), number)


def kill_when(lab, name, path, seconds=90):
    """Kills a node a second after a file is there."""
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    lab.kill(name)


def _comm(path):
    """Whether the process of a pid file is a daemon of ours that runs; process 1 may not reap, so zombies count not."""
    try:
        stat = Path(f"/proc/{int(path.read_text())}/stat").read_text()
    except (OSError, ValueError):
        return False
    return stat.partition("(")[2].startswith(("slurm", "munged")) and stat.rpartition(") ")[2][0] != "Z"


def _tree(pid):
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(each for child in children for each in _tree(int(child)))]
