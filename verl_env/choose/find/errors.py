"""What can be wrong with a search."""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, VerlEnvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class ComponentUnknownError(VerlEnvError):
    """A component of which the catalogue knows nothing: no wheels by torch or CUDA, no build."""

    id = "component-unknown"
    exit_code = EXIT_MISUSE
    name: str
    known: Sequence[str]
    says = "the catalogue has no component {name!r}; it has {known:and}"

    @property
    def hint(self) -> str:
        """The one that was probably meant."""
        from difflib import get_close_matches  # noqa: PLC0415  2 ms, for a mistake

        from packaging.utils import canonicalize_name  # noqa: PLC0415

        near = get_close_matches(canonicalize_name(self.name), self.known, n=1)
        if near:
            return f"did you mean: verl-env find {near[0]}"
        return "what depends on no torch and no CUDA is on the index: verl-env pip install NAME"


class VersionNotKnownError(VerlEnvError):
    """A component of which no version that the catalogue knows is in the range that was asked for."""

    id = "component-version-unknown"
    exit_code = EXIT_MISUSE
    name: str
    specifier: str
    known: Sequence[str]
    says = "no version of {name} that the catalogue knows is {specifier}; it knows {known:and}"
    helps = "look among all of them: verl-env find {name}"
