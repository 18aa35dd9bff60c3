"""What checks hit on, the ways out, and the diagnosis that comes of them."""

from __future__ import annotations

from typing import Literal

from verl_env.records import record

Severity = Literal["error", "warning", "info"]
Theme = Literal[
    "abi", "cuda", "loader", "dependencies", "coupling", "toolchain", "filesystems", "ray-slurm", "gpu", "rocm", "other"
]

#: What a finding rests on: facts of the environment, an error text of the log, or both.
Basis = Literal["facts", "log", "both"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


@record
class Fix:
    """Changes of packages that mend a finding; what ``--fix`` runs: first ``uninstall``, then ``install``.

    ``install`` holds requirements. ``reinstall`` replaces files even where the version is there already; ``deps``
    lets the installer change other packages too, which no safe fix does. ``restore`` are packages that come back as
    the environment's lockset has them, native components among them; ``runtime`` installs verl-env-runtime anew.
    """

    uninstall: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    reinstall: bool = False
    deps: bool = False
    build: bool = False
    restore: tuple[str, ...] = ()
    runtime: bool = False


@record
class Remedy:
    """The way out: one sentence, the commands to copy, and where it is safe and reversible the fix behind them."""

    text: str
    commands: tuple[str, ...] = ()
    fix: Fix | None = None


@record
class Hit:
    """What a check found: evidence with file and value, and what differs from the text of the check itself.

    ``covers`` narrows the failure modes of the check to those that apply here.
    """

    evidence: tuple[str, ...]
    title: str | None = None
    cause: str | None = None
    remedy: Remedy | None = None
    severity: Severity | None = None
    covers: tuple[str, ...] | None = None


@record
class Finding:
    """One result: data first, text second. ``explains`` are ids of findings of the same diagnosis."""

    id: str
    theme: Theme
    severity: Severity
    title: str
    evidence: tuple[str, ...]
    cause: str
    remedy: Remedy
    references: tuple[str, ...]
    basis: Basis = "facts"
    explains: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    read: str = ""


@record
class Skipped:
    """A check that could not be made, and why."""

    id: str
    reason: str


@record
class Unrecognised:
    """A failure that a report shows and that no check explains.

    Attributes:
        line: The line that says so.
        package: Whose file it comes from; None where nothing tells.
        file: That file.
        known: What is known of the versions of that package.
        nearest: Ids of the checks whose texts are nearest to it.
    """

    line: str
    package: str | None
    file: str | None
    known: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()


@record
class Diagnosis:
    """All findings, most severe first, what was skipped, and how long it took.

    ``unrecognised`` are failures that a report shows and no finding explains; ``read`` says in words what a report
    stated, and is None for an environment that was looked at itself.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...] = ()
    seconds: float = 0.0
    checked: int = 0
    notes: tuple[str, ...] = ()
    unrecognised: tuple[Unrecognised, ...] = ()
    read: tuple[str, ...] | None = None

    @property
    def ok(self) -> bool | None:
        """False with a finding of severity error; None where a failure is unexplained, or not all was looked at."""
        if any(finding.severity == "error" for finding in self.findings):
            return False
        return None if self.unrecognised or self.read == () or self.skipped else True

    def healthy(self, *, strict: bool = False) -> bool:
        """Whether nothing is wrong; with ``strict`` a warning is wrong too."""
        return self.ok is True and not (strict and any(finding.severity == "warning" for finding in self.findings))

    @property
    def roots(self) -> tuple[Finding, ...]:
        """The findings that no other finding explains."""
        explained = {consequence for finding in self.findings for consequence in finding.explains}
        return tuple(finding for finding in self.findings if finding.id not in explained)
