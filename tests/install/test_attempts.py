"""One way after another: which are tried, what ends it, what is said."""

from pathlib import Path

import pytest

from tests.install.plans import wheel
from verl_env.builds.errors import BuildImpossibleError, NativeBuildFailedError, SourceUnavailableError
from verl_env.builds.model import BuildProblem
from verl_env.choose.model import Build
from verl_env.components.model import Recipe
from verl_env.environment.errors import DiskFullError
from verl_env.install.attempts import build_first_that_works
from verl_env.installers.failures import DownloadInterruptedError, HashMismatchError
from verl_env.wheels.check import Fault
from verl_env.wheels.errors import NativeMismatchError, NativeUnobtainableError

WHEELS = [Build("fast", "1", "prebuilt", "r", wheel=wheel(f"https://h/fast-{place}.whl")) for place in "abc"]
SOURCE = Build("fast", "1", "build", "r", recipe=Recipe("sdist"))
GONE = NativeUnobtainableError(WHEELS[0], "https://h/fast-a.whl answers 404")
MISFIT = NativeMismatchError(
    "fast", "1", "fast-a.whl", [Fault("wrong-arch", "fast.so", "x", "fast.so is of another kind")]
)
FAILED = NativeBuildFailedError("fast 1", "pip wheel", 1, Path("/logs/fast.log"), ["the end"])
IMPOSSIBLE = BuildImpossibleError([BuildProblem("nvcc-missing", "fast", "there is no nvcc", "get one")])
PASSING = [
    GONE,
    MISFIT,
    HashMismatchError("fast", "sha256:1", "sha256:2", "h"),
    DownloadInterruptedError("fast"),
    SourceUnavailableError("fast", "sdist", "there is none"),
    IMPOSSIBLE,
]


def choice(*others, first=WHEELS[0], required=False):
    return Build(
        first.name, "1", first.how, "r", wheel=first.wheel, recipe=first.recipe, others=others, required=required
    )


class Attempts:
    """Fails as told, way by way, and then works."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.tried = []
        self.said = []

    def __call__(self, way):
        self.tried.append(way.way)
        if self.errors:
            raise self.errors.pop(0)
        return "installed"

    def take(self, build):
        return build_first_that_works(build, self, self.said.append)


def test_the_first_that_works_ends_it():
    attempts = Attempts()
    taken = attempts.take(choice(WHEELS[1], SOURCE))
    assert (taken.way.wheel, taken.detail) == (WHEELS[0].wheel, "installed")
    assert (len(attempts.tried), attempts.said) == (1, [])


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.id)
def test_what_rules_out_one_way_leads_to_the_next(error):
    attempts = Attempts(error)
    taken = attempts.take(choice(WHEELS[1], SOURCE))
    assert taken.way is WHEELS[1]
    (line,) = attempts.said
    assert line.startswith("fast 1: ")
    assert line.endswith("; taken instead: fast-b.whl")


def test_in_their_order_down_to_the_build():
    attempts = Attempts(GONE, MISFIT)
    assert attempts.take(choice(WHEELS[1], SOURCE)).way is SOURCE
    assert attempts.tried == ["1 from https://h/fast-a.whl", "1 from https://h/fast-b.whl", "1 built from sdist"]
    assert attempts.said[1].endswith("taken instead: a build of fast 1 from sdist")


def test_without_any_it_is_left_out_with_every_reason():
    taken = Attempts(GONE, MISFIT, IMPOSSIBLE).take(choice(WHEELS[1], SOURCE))
    assert taken.way is None
    assert taken.detail == (
        "fast-a.whl: https://h/fast-a.whl answers 404; fast-b.whl: fast.so is of another kind; "
        "a build of fast 1 from sdist: there is no nvcc"
    )


def test_of_one_way_its_reason_alone():
    assert Attempts(GONE).take(choice()).detail == "https://h/fast-a.whl answers 404"


def test_what_is_required_is_an_error_with_every_reason():
    with pytest.raises(NativeUnobtainableError) as caught:
        Attempts(GONE, MISFIT).take(choice(WHEELS[1], required=True))
    assert "answers 404" in caught.value.message
    assert "of another kind" in caught.value.message


@pytest.mark.parametrize("error", PASSING, ids=lambda error: error.id)
def test_the_only_way_of_what_is_required_says_what_happened(error):
    with pytest.raises(type(error)) as caught:
        Attempts(error).take(choice(required=True))
    assert caught.value is error


def test_after_a_build_that_failed_no_other_is_begun():
    attempts = Attempts(GONE, FAILED)
    taken = attempts.take(choice(SOURCE, Build("fast", "1", "build", "r", recipe=Recipe("git+https://h/fast"))))
    assert (taken.way, len(attempts.tried)) == (None, 2)
    assert "fast 1 did not build: pip wheel ended with exit code 1 (the whole output: /logs/fast.log)" in taken.detail


@pytest.mark.parametrize("build", [choice(first=SOURCE), choice(SOURCE, required=True)], ids=["planned", "required"])
def test_a_build_that_was_counted_on_and_failed_is_an_error(build):
    with pytest.raises(NativeBuildFailedError):
        Attempts(*([GONE] if build.others else []), FAILED).take(build)


def test_what_says_nothing_of_a_way_ends_it_all():
    attempts = Attempts(DiskFullError(None))
    with pytest.raises(DiskFullError):
        attempts.take(choice(WHEELS[1]))
    assert len(attempts.tried) == 1
