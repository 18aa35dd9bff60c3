"""Branches and tags keep their names when they move: which commit one is at, so that results are kept by that.

A repository is asked each time that it can be. Where it cannot (no network, no git, no answer), the last result that
was built from it serves, and whoever builds says so: better than none, and no longer taken for the newest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from verl_env.builds.sources import git_variables, origin_of
from verl_env.machine.child import Completed, run
from verl_env.settings.config import load_config

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds that a repository gets to answer.
SECONDS = 15.0


def moves(source: str) -> bool:
    """Whether the source of a recipe may be another one tomorrow."""
    return not origin_of(source).fixed


def newest_commit(source: str, environ: Mapping[str, str]) -> str | None:
    """The commit that the branch or tag of a source is at now; None where nobody answers, or there is none of it.

    Args:
        source: As a recipe has it.
        environ: The variables of the user.
    """
    ref = origin_of(source).ref
    listing = _listing(source, environ, *((ref, f"{ref}^{{}}") if ref else ("HEAD",)))
    return None if listing is None else commit_in(listing, ref)


def answers(source: str, environ: Mapping[str, str]) -> bool:
    """Whether the repository of a source answers, and has its branch or tag; of a commit only a fetch can say."""
    return _listing(source, environ, "HEAD") is not None if not moves(source) else bool(newest_commit(source, environ))


def _listing(source: str, environ: Mapping[str, str], *wanted: str) -> str | None:
    """What a repository lists; None where it does not answer."""
    env = {**environ, **git_variables(load_config().mirrors)}
    argv = ("git", "ls-remote", origin_of(source).url, *wanted)
    outcome = run(argv, deadline=time.monotonic() + SECONDS, env=env)
    if not isinstance(outcome, Completed) or outcome.returncode != 0:
        return None
    return outcome.stdout.decode("utf-8", "replace")


def commit_in(listing: str, ref: str) -> str | None:
    """The commit of a branch or tag in what ``git ls-remote`` prints; a tag goes before a branch, as for ``git fetch``.

    Args:
        listing: Lines of a commit, a tabulator and the whole name of a reference.
        ref: The branch or tag; empty for the default branch.
    """
    found = {name: commit for commit, _, name in (line.partition("\t") for line in listing.splitlines())}
    names = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}") if ref else ("HEAD",)
    return next((found[name] for name in names if name in found), None)
