"""From a choice to a plan: every step and every package, decided before anything is done."""

from __future__ import annotations

from verl_env.choose.command import words_of
from verl_env.locksets.model import SmokeTest
from verl_env.plans.model import Plan, Provided, Step
from verl_env.plans.sizes import cost
from verl_env.sizes import human

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from verl_env.choose.model import Build, Choice, Request
    from verl_env.locksets.model import Lockset, Package
    from verl_env.machine.model import Machine

#: The name of verl in a lock.
VERL = "verl"

_VERBS = {"skip": "leave out", "prebuilt": "install", "build": "build"}


def make_plan(
    choice: Choice,
    packages: Sequence[Package],
    request: Request,
    machine: Machine,
    *,
    verl_source: str | None = None,
    with_verl: bool = True,
    provided: Sequence[Provided] = (),
) -> Plan:
    """The plan for a choice; nothing is read or done.

    Args:
        choice: The lockset, the Python and the ways of native components that were chosen.
        packages: The packages of that lockset's lock for that Python.
        request: What was asked for.
        machine: What it is planned for.
        verl_source: The absolute path of a checkout of verl that is installed in place of the release.
        with_verl: False leaves verl out.
        provided: What the site provides, which is not installed.
    """
    lockset, python = choice.lockset, choice.python
    arch = machine.host.arch
    arch = arch if isinstance(arch, str) else next(iter(lockset.requires.arch), "x86_64")
    release = with_verl and verl_source is None
    theirs = {each.name for each in provided}
    chosen = tuple(each for each in packages if each.name not in theirs and (release or each.name != VERL))
    natives = tuple(each for each in choice.builds if each.name not in theirs)
    download, disk = _sizes(lockset, python, chosen)
    imports = (SmokeTest(f"provided-{each.name}", f"import {each.module}", None) for each in provided if each.module)
    checks = (*_checks(lockset, verl_source, with_verl=with_verl), *imports)
    return Plan(
        stack=request.name,
        lockset=lockset,
        python=python,
        interpreter=choice.interpreter,
        arch=arch,
        steps=_steps(
            python,
            chosen,
            natives,
            checks,
            sizes=_words(download, disk, chosen, provided),
            verl_source=verl_source,
            lockset=lockset.id,
        ),
        packages=chosen,
        natives=natives,
        checks=checks,
        download_bytes=download,
        disk_bytes=disk,
        env=lockset.env,
        warnings=(*choice.warnings, *(warning for build in natives for warning in build.warnings)),
        verl_source=verl_source,
        extras=choice.extras,
        wishes=request.wishes,
        asked=words_of(request),
        provided=tuple(provided),
    )


def _sizes(lockset: Lockset, python: str, packages: Sequence[Package]) -> tuple[int, int]:
    """Download and disk in bytes: of the packages where each is known, else of the whole lock."""
    known = cost(packages)
    lock = lockset.python(python)
    if known.exact or lock is None:
        return known.download_bytes, known.disk_bytes
    return lock.download_bytes, lock.disk_bytes


def _checks(lockset: Lockset, verl_source: str | None, *, with_verl: bool) -> tuple[SmokeTest, ...]:
    """The lockset's checks that make sense: a checkout of verl has a version and modules of its own."""
    if with_verl and verl_source is None:
        return lockset.checks
    others = tuple(check for check in lockset.checks if not _about_verl(check.code))
    if not with_verl:
        return others
    code = f"import os, verl; assert os.path.realpath(verl.__file__).startswith({verl_source!r}), verl.__file__"
    return (*others, SmokeTest("verl-source", code, None))


def _about_verl(code: str) -> bool:
    """Whether a check imports verl itself."""
    words = code.replace(";", " ").replace(",", " ").split()
    return any(word == VERL or word.startswith(f"{VERL}.") for word in words)


def _steps(
    python: str,
    packages: Sequence[Package],
    natives: Sequence[Build],
    checks: Sequence[SmokeTest],
    *,
    sizes: str,
    verl_source: str | None,
    lockset: str,
) -> tuple[Step, ...]:
    addressed = [package for package in packages if package.url is not None]
    steps = [
        Step("environment", f"make a virtual environment with Python {python}"),
        Step(
            "packages",
            f"install {len(packages) - len(addressed)} packages of the lock, each checked by its hash",
            sizes,
        ),
        *([_addressed_step(addressed)] if addressed else []),
        *(_native_step(choice) for choice in natives),
        Step("runtime", "install verl-env-runtime", f"marks the environment as {lockset}"),
    ]
    if verl_source is not None:
        steps.append(Step("verl", "install verl from its checkout, editable", verl_source))
    steps += [
        Step("check", "check the environment", ", ".join(["packages", *(check.id for check in checks)])),
        Step("switch", "put the environment in force", "one rename; until then the old one stays"),
    ]
    return tuple(steps)


def _words(download: int, disk: int, packages: Sequence[Package], provided: Sequence[Provided]) -> str:
    """What the packages cost, what of them is built, and what the site has of them."""
    files = cost(packages).files
    words = f"{human(download)} to download, {human(disk)} on disk in about {files:,} files"
    built = ", ".join(each.name for each in packages if each.source == "sdist" and each.url is None)
    if built:
        words += f"; build from source distributions, which runs their code: {built}"
    if provided:
        words += f"; provided by the site: {', '.join(f'{each.name} {each.version}' for each in provided)}"
    return words


def _addressed_step(packages: Sequence[Package]) -> Step:
    """The wheels of the lock that the package index does not have, and which of them no digest is recorded of."""
    detail = ", ".join(f"{package.name} {package.version}" for package in packages)
    unrecorded = [package.name for package in packages if not package.hashes]
    if unrecorded:
        which = "each" if len(unrecorded) == len(packages) else ", ".join(unrecorded)
        detail += f"; hash-unrecorded: {which}"
    return Step("wheels", f"install {len(packages)} wheels of the lock from their own addresses", detail)


def _native_step(choice: Build) -> Step:
    name = f"{choice.name} {choice.version}"
    detail = choice.reason.removeprefix("built ")
    if choice.how == "skip" and choice.warnings:
        detail = "it cannot be had: see the warning"
    return Step("native", f"{_VERBS[choice.how]} {name}", detail)


def plan_digest(plan: Plan, runtime: str) -> str:
    """A digest of everything in a plan that decides what is in the environment.

    Args:
        plan: The plan.
        runtime: The fingerprint of the runtime distribution (``runtime_wheel.fingerprint``).
    """
    import json  # noqa: PLC0415 (installing alone needs these)
    from hashlib import sha256  # noqa: PLC0415

    site = {"provided": [(each.name, each.version, each.directory) for each in plan.provided]} if plan.provided else {}
    text = json.dumps(
        {
            **site,
            "lockset": plan.lockset.id,
            "python": plan.python,
            "arch": plan.arch,
            "packages": [(package.name, package.version) for package in plan.packages],
            "natives": [(choice.name, choice.version, choice.how) for choice in plan.natives],
            "verl_source": plan.verl_source,
            "env": dict(plan.env),
            "runtime": runtime,
        },
        sort_keys=True,
    )
    return sha256(text.encode()).hexdigest()


def pins_of(plan: Plan, *, without: Container[str] = ()) -> dict[str, str]:
    """The version of everything that a plan puts into an environment, by name.

    ``without`` are native components that are not in it. A checkout of verl states its own version, which its owner
    changes: it is no pin.
    """
    pins = {package.name: package.version for package in plan.packages}
    pins |= {each.name: each.version for each in plan.provided}
    pins |= {build.name: build.version for build in plan.natives if build.how != "skip" and build.name not in without}
    if plan.verl_source is not None:
        pins.pop(VERL, None)
    return dict(sorted(pins.items()))
