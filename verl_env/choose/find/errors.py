"""What can be wrong with a search."""

from __future__ import annotations

from verl_env.choose.words import listed
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

    @property
    def message(self) -> str:
        """The name, and all that are known."""
        return f"the catalogue has no component {self.name!r}; it has {listed(self.known)}"

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

    @property
    def message(self) -> str:
        """The range, and the versions that there are."""
        return f"no version of {self.name} that the catalogue knows is {self.specifier}; it knows {listed(self.known)}"

    helps = "look among all of them: verl-env find {name}"
