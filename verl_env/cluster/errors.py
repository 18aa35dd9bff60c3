"""What keeps a command for many nodes from asking them at all. What it hears of them is a verdict, not an error."""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, VerlEnvError


class NoNodesNamedError(VerlEnvError):
    """There is no allocation to ask, and none was asked for."""

    id = "no-nodes-named"
    exit_code = EXIT_MISUSE
    action: str = "doctor"
    says = "this is not inside a Slurm job, and neither nodes nor a Ray cluster are named"

    @property
    def hint(self) -> str:
        if self.action != "doctor":
            return (
                f"run it inside of your job, or name the nodes: verl-env cluster {self.action} ... --nodelist n[01-04]"
            )
        return "verl-env cluster doctor --slurm --nodes 4, or verl-env cluster doctor --ray auto"


class ProgramMissingError(VerlEnvError):
    """A program of Slurm is not on PATH."""

    id = "slurm-missing"
    exit_code = EXIT_MISUSE
    program: str
    says = "{program} of Slurm is not on PATH"
    helps = "run it on a login node of the cluster (module load slurm), or ask a Ray cluster: --ray auto"


class SlurmFailedError(VerlEnvError):
    """A program of Slurm gave no answer that can be used; ``said`` are its last words."""

    id = "slurm-failed"
    command: str
    said: str
    says = "{command} failed: {said:-it said nothing}"
    helps = "see whether the controller answers: sinfo"


class AllocationRefusedError(VerlEnvError):
    """Slurm does not give these nodes, now or ever; ``reason`` is its own word for it, ``waited`` in seconds."""

    id = "allocation-refused"
    asked: str
    reason: str
    waited: float = 0.0

    @property
    def message(self) -> str:
        waited = f" within {self.waited:.0f} s" if self.waited else ""
        return f"Slurm gives no allocation of {self.asked}{waited}: {self.reason}"

    @property
    def hint(self) -> str:
        if self.waited:
            return "see which nodes are free: sinfo -N -l; wait longer with --wait 600, or run it inside of your job"
        return "see which nodes and partitions there are: sinfo -N -l"


class JobTooSmallError(VerlEnvError):
    """The job that this runs in has fewer nodes than were asked for."""

    id = "job-too-small"
    asked: int
    have: int
    action: str = "doctor"
    says = "{asked} nodes were asked for, and there are {have}"
    helps = "verl-env cluster {action} --nodes {have}, or ask for a larger job: salloc --nodes={asked}"


class RayMissingError(VerlEnvError):
    """The environment has no Ray to reach a cluster with."""

    id = "ray-missing"
    exit_code = EXIT_MISUSE
    environment: str
    says = "the environment {environment} has no Ray; a cluster is reached with that of its own environment"
    helps = "name the environment that the cluster was started from: --into DIR"


class RayUnreachableError(VerlEnvError):
    """No Ray cluster answers at the address; ``said`` are the last words of its client."""

    id = "ray-unreachable"
    address: str
    said: str
    says = "no Ray cluster answers at {address}: {said:-its client said nothing}"
    helps = "see whether it runs, on its head node: ray status"


class RayTooSmallError(VerlEnvError):
    """The Ray cluster has fewer living nodes than were asked for; ``alive`` are their names."""

    id = "ray-too-small"
    asked: int
    alive: tuple[str, ...]
    says = "{asked} nodes were asked for, and Ray has {alive:#}: {alive:, }"
    helps = "see the end of the log of Ray on a node that is missing: /tmp/ray/session_latest/logs/raylet.out"
