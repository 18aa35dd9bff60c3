"""``install --require-recorded``: everything that would be fetched has a hash, or nothing is fetched."""

import pytest

from tests.install.plans import options, wheel
from verl_env.choose.model import Build
from verl_env.components.model import Recipe
from verl_env.install.recorded import refuse_unrecorded
from verl_env.locksets.model import Package
from verl_env.wheels.errors import HashRequiredError

PLAN = type("PlanLike", (), {})
URL = "https://host/fast-1.0-py3-none-any.whl"


def plan(*natives, packages=()):
    made = PLAN()
    made.natives, made.packages = natives, packages
    return made


def built(source, sha256=None):
    return Build("fast", "1.0", "build", "r", recipe=Recipe(source, sha256=sha256))


def fetched(sha256=None):
    return Build("fast", "1.0", "prebuilt", "r", wheel=wheel(URL, sha256=sha256))


REFUSED = {
    "a wheel": fetched(),
    "a branch": built("git+https://host/fast@main"),
    "a repository": built("git+https://host/fast"),
    "an archive": built("https://host/fast.tar.gz"),
    "a source distribution": built("sdist"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_without_a_hash_it_is_refused(case, tmp_path):
    with pytest.raises(HashRequiredError, match="fast"):
        refuse_unrecorded(plan(REFUSED[case]), options(tmp_path), ())
    refuse_unrecorded(plan(REFUSED[case]), options(tmp_path), {"fast"})


@pytest.mark.parametrize(
    "choice",
    [
        fetched("0" * 64),
        built("git+https://host/fast@0123456789abcdef0123456789abcdef01234567"),
        built("https://host/fast.tar.gz", "0" * 64),
        Build("fast", "1.0", "skip", "r", wheel=wheel(URL)),
    ],
)
def test_with_one_it_is_taken(choice, tmp_path):
    refuse_unrecorded(plan(choice), options(tmp_path), ())


def test_what_somebody_gave_is_not_fetched(tmp_path):
    (tmp_path / "house").mkdir()
    (tmp_path / "house" / URL.rpartition("/")[2]).write_text("")
    refuse_unrecorded(plan(fetched()), options(tmp_path, wheelhouse=tmp_path / "house"), ())


def test_packages_of_the_lock_count(tmp_path):
    package = Package("thing", "1.0", url="https://host/thing-1.0-py3-none-any.whl", hashes=())
    with pytest.raises(HashRequiredError, match="thing"):
        refuse_unrecorded(plan(packages=[package]), options(tmp_path), ())
