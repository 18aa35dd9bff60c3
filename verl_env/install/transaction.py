"""One new generation: made beside the old one, checked, and put in force by one rename."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from verl_env import __version__
from verl_env.additions.keep import Additions, component_extras, needless, plan_additions
from verl_env.additions.wanted import undone, wanted_extras
from verl_env.environment.binding import bind_at_start
from verl_env.environment.damage import spoiled
from verl_env.environment.installed import installed, site_packages
from verl_env.environment.overlap import guarded_files, refuse_contested, refuse_guarded
from verl_env.environment.state import State
from verl_env.install.checks import SECONDS, gpu_here, pick_checks, run_checks
from verl_env.install.parts import Parts
from verl_env.install.provided import link_provided
from verl_env.installers.failures import EnvironmentMismatchError
from verl_env.machine.record import deciding_facts
from verl_env.plans.compare import brings_wheel, compare, wanted
from verl_env.plans.plan import pins_of
from verl_env.plans.reuse import keepable, reuse, unowned
from verl_env.records import replace as with_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from verl_env.builds.tools import Tools
    from verl_env.choose.model import Build
    from verl_env.environment.change import NewGeneration
    from verl_env.environment.overlap import Identity
    from verl_env.environment.state import Extra
    from verl_env.installers.options import Options
    from verl_env.plans.inspection import Inspection
    from verl_env.plans.model import Plan, Step, StepKind
    from verl_env.plans.reporter import Reporter


@dataclass(slots=True)
class Made:
    """What a transaction came to.

    Natives that could not be had, the ways of the others, what was built of them from what, checks that passed, checks
    that could not run.
    """

    left_out: dict[str, str]
    taken: dict[str, Build]
    facts: dict[str, dict[str, Any]]
    checks: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


class Transaction:
    """The making of one generation by a plan.

    Args:
        plan: What to make.
        new: Where.
        options: How.
        reporter: Who is told.
        seen: What is there now.
        tools: What it is made with.
    """

    def __init__(
        self, plan: Plan, new: NewGeneration, options: Options, reporter: Reporter, seen: Inspection, tools: Tools
    ) -> None:
        self._plan = plan
        self._generation = new
        self._target = new.target
        self._options = options
        self._reporter = reporter
        self._seen = seen
        self._tools = tools
        self._old = seen.environment
        self._new, self._stage = new.path, new.stage
        self._site = site_packages(self._new, plan.python)
        theirs = {each.name for each in plan.provided}
        self._kept = tuple(each for each in keepable(self._old, plan.python, seen.want) if each.name not in theirs)
        self._names = {distribution.name for distribution in self._kept}
        places = (self._new, self._stage)
        self._parts = Parts(plan, options, reporter, tools, places, kept=self._kept, seen=seen)
        self._parts.read = new.read
        self._made = Made(self._parts.left_out, self._parts.taken, self._parts.facts)
        self._additions = Additions((), {})
        self._guarded: dict[str, Identity] = {}
        self._extras: tuple[Extra, ...] = ()

    def run(self) -> Made:
        """Makes the generation and puts it in force.

        Raises:
            VerlEnvError: a step failed; the old generation is in force.
        """
        natives = iter(self._plan.natives)
        steps: dict[StepKind, Callable[[], str]] = {
            "environment": self._environment,
            "packages": lambda: self._parts.packages(self._names),
            "wheels": lambda: self._parts.addressed(self._names),
            "native": lambda: self._parts.native(next(natives)),
            "runtime": self._install_runtime,
            "verl": self._parts.verl,
            "check": self._check,
            "switch": self._switch,
        }
        for step in self._plan.steps:
            with self._told(step) as detail:
                detail.append(steps[step.kind]())
        return self._made

    @contextmanager
    def _told(self, step: Step) -> Iterator[list[str]]:
        self._reporter.begin(step)
        started = time.monotonic()
        detail: list[str] = []
        yield detail
        self._reporter.end(step, time.monotonic() - started, "".join(detail))

    def _environment(self) -> str:
        made = self._parts.environment(self._target.path.name)
        bind_at_start(self._new)
        self._guarded = guarded_files(self._new)
        return made

    def _install_runtime(self) -> str:
        version = self._parts.runtime()
        self._add()
        if self._old is not None:
            # After the installer and before an editable build, which may need what is carried over.
            reuse(self._kept, self._old, self._new)
            left = unowned(self._old, self._plan.python)
            if left:
                self._reporter.warn(f"not carried over, as no package owns it: {', '.join(left)}")
        link_provided(self._plan.provided, self._site)
        return version

    def _add(self) -> None:
        """Installs what users added beside the lock, and forgets what of it is kept no longer."""
        plan, state = self._plan, self._seen.state
        places = (self._new, self._stage)
        self._additions = plan_additions(
            plan,
            self._options,
            self._seen,
            self._tools.installer,
            places,
            kept=self._names,
            left_out=self._made.left_out,
        )
        self._parts.additions(self._additions.found)
        dropped = needless(self._additions, plan, self._seen, self._new, self._names)
        self._kept = tuple(each for each in self._kept if each.name not in dropped)
        if state is not None:
            for line in undone(state, plan):
                self._reporter.warn(line)

    def _check(self) -> str:
        refuse_guarded(self._new, self._guarded)
        have = installed(self._site)
        lock = wanted(self._as_made, without=self._made.left_out)
        self._extras = self._additions.extras(have, lock, self._plan.python)
        wrong = compare(have, wanted_extras(self._extras) | lock)
        if wrong:
            raise EnvironmentMismatchError(wrong)
        refuse_contested(self._new, {extra.name for extra in self._extras})
        done = ["packages"]
        if self._options.checks:
            checks, self._made.skipped = pick_checks(self._plan.checks, gpu=gpu_here)
            places = (self._target.logs, self._stage)
            self._reporter.note(f"each check may take minutes where files are cold, {SECONDS / 60:.0f} at most")
            run_checks(
                checks,
                self._new,
                self._plan.env,
                places,
                lambda id_, took: self._reporter.note(f"{id_}: {took:.1f} s"),
                running=lambda what, seconds: self._reporter.building(f"check {what}", None, None, seconds),
                apart=lambda id_: self._reporter.note(f"{id_} did not end well beside the others: each alone"),
            )
            self._made.checks = tuple(check.id for check in checks)
            done += self._made.checks
        return ", ".join(done)

    def _switch(self) -> str:
        pins = pins_of(self._as_made, without=self._made.left_out)
        self._generation.commit(self._state(self._generation.started), pins)
        return str(self._target.path)

    @property
    def _as_made(self) -> Plan:
        """The plan with the ways that were taken."""
        natives = tuple(self._made.taken.get(choice.name, choice) for choice in self._plan.natives)
        return with_values(self._plan, natives=natives)

    def _state(self, made: str) -> State:
        plan = self._as_made
        return State(
            path=str(self._target.path),
            lockset=plan.lockset.id,
            stack=plan.stack,
            python=plan.python,
            digest=self._seen.digest,
            verl_source=plan.verl_source,
            left_out=self._left_out(),
            checks=self._made.checks,
            env=dict(plan.env),
            built={each.name: each.version for each in plan.natives if each.how == "build" and brings_wheel(each)},
            ways={name: way.way for name, way in self._made.taken.items()},
            facts=self._made.facts,
            deviations={each.name: each.deviation.locked for each in plan.natives if each.deviation is not None},
            asked=plan.asked,
            barred=plan.barred,
            unlike=self._unlike(),
            digests=self._parts.digests,
            provided={each.name: each.directory for each in plan.provided},
            machine={} if self._options.machine is None else deciding_facts(self._options.machine),
            installer=self._tools.installer.name,
            tool=__version__,
            made=made,
            extras=(*self._extras, *component_extras(plan, installed(self._site))),
        )

    def _unlike(self) -> dict[str, Mapping[str, int | None]]:
        """What came from its source otherwise than its own RECORD says: the next look must not call it damaged."""
        have, parts, state = installed(self._site), self._parts, self._seen.state
        before = {} if state is None else {name: state.unlike[name] for name in state.unlike if name in self._names}
        others = have.keys() - parts.looked - self._names
        found = spoiled(self._site, have, read=self._generation.read, only=others)
        return before | parts.unlike | {name: each.files for name, each in found.items() if each.files}

    def _left_out(self) -> dict[str, str]:
        skipped = {choice.name: choice.reason for choice in self._plan.natives if choice.how == "skip"}
        return skipped | self._made.left_out
