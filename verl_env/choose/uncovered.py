"""What the machine would run and no lockset holds: the same engine, or a newer one, published in another build."""

from __future__ import annotations

from verl_env.choose.compare import reaches
from verl_env.choose.extra_requirements import parse_wishes
from verl_env.choose.specifiers import allows
from verl_env.machine.tables import minor_version_drivers, source_of
from verl_env.machine.wheel_tables import engine_builds, minima
from verl_env.versions import dotted, is_dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.choose.facts import MachineFacts
    from verl_env.choose.model import Evaluation, Request
    from verl_env.machine.wheel_tables import EngineBuild


def uncovered(evaluations: Sequence[Evaluation], facts: MachineFacts, request: Request) -> tuple[str, ...]:
    """Releases of the engines asked for that are published in a build for this driver and that no lockset holds."""
    driver = facts.nvidia.driver if facts.nvidia else None
    if not isinstance(driver, str):
        return ()
    held = {(name, _release(version)) for each in evaluations for name, version in each.lockset.engines.items()}
    newest: dict[str, EngineBuild] = {}
    for build in _wanted(request):
        major = minor_version_drivers().get(int(build.cuda.split(".")[0]))
        runs = major is not None and reaches(driver, major.driver) is not False and _on_gpus(build, facts)
        if runs and (build.package, build.version) not in held and _newer(build, evaluations):
            best = newest.get(build.package)
            if best is None or dotted(best.version) < dotted(build.version):
                newest[build.package] = build
    return tuple(
        f"not covered, but not impossible: {build.package} {build.version} is published for CUDA {build.cuda} too, "
        f"which driver {driver} runs by minor-version compatibility; no lockset holds it "
        f"({'; '.join(source_of('components', key) for key in build.src)})"
        for build in newest.values()
    )


def _wanted(request: Request) -> Iterator[EngineBuild]:
    """The builds of the engines of the stack, within what ``--with`` asks of them."""
    wishes = {wish.name: wish.specifier for wish in parse_wishes(request.wishes)}
    for build in engine_builds():
        if build.package in request.stack and allows(wishes.get(build.package, ""), build.version):
            yield build


def _on_gpus(build: EngineBuild, facts: MachineFacts) -> bool:
    """Whether no GPU is known to be below what the engine asks for in that build."""
    least = [
        str(row.minimum)
        for row in minima()
        if row.component == build.package and row.minimum
        if allows(row.versions or "", build.version) and allows(row.cuda or "", build.cuda)
    ]
    return all(reaches(gpus.target, lowest) is not False for gpus in facts.cuda.gpus for lowest in least)


def _newer(build: EngineBuild, evaluations: Sequence[Evaluation]) -> bool:
    """Whether it is newer than every release that a lockset which fits holds."""
    fitting = (_release(each.lockset.engines.get(build.package, "")) for each in evaluations if each.fits)
    return all(dotted(build.version) > dotted(version) for version in fitting if is_dotted(version))


def _release(version: str) -> str:
    """A version without its local part, which names a build (``0.24.0+cu129``)."""
    return version.partition("+")[0]
