"""What can be wrong with a lockset, its files, or the making of one."""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, DataInvalidError, VerlEnvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class LocksetInvalidError(DataInvalidError):
    """A lockset or recipe file that does not say what it must."""

    id = "lockset-invalid"
    helps = "lockset.toml is generated: verl-env lock, or reinstall verl-env if you did not change it"


class CatalogueMissingError(VerlEnvError):
    """A directory that should hold locksets holds none."""

    id = "catalogue-missing"
    exit_code = EXIT_MISUSE
    directory: str | Path
    says = "no locksets under {directory}"
    helps = "unset VERL_ENV_CONSTRAINTS, or point it at a directory with <family>/<variant>/lockset.toml"


class LockFileChangedError(VerlEnvError):
    """A constraints file that is not the one its lockset was written with."""

    id = "lock-file-changed"
    file: str | Path
    expected: str
    actual: str
    says = "{file} has sha256 {actual}, but its lockset.toml says {expected}"
    helps = "do not edit locks by hand: verl-env lock writes both files; reinstall verl-env to get them back"


class LockFileInvalidError(VerlEnvError):
    """A constraints file that cannot be read as one; ``line`` counts from 1, 0 where it does not apply."""

    id = "lock-file-invalid"
    file: str | Path
    line: int
    reason: str
    says = "{file}{line:+:{line}}: {reason}"
    helps = "verl-env lock writes it anew; reinstall verl-env to get the shipped one back"


class UnknownLocksetError(VerlEnvError):
    """A lockset id that no recipe has."""

    id = "lockset-unknown"
    exit_code = EXIT_MISUSE
    name: str
    known: Sequence[str]
    says = "there is no recipe for {name!r}"

    @property
    def hint(self) -> str | None:
        """The ids that exist."""
        return f"recipes: {', '.join(self.known) or 'none'}"


class UvMissingError(VerlEnvError):
    """Locking needs uv."""

    id = "uv-missing"
    says = "locking replays an image with uv, and uv is not on PATH"
    helps = "pip install 'verl-env[uv]'"


class ReplayError(VerlEnvError):
    """A step of a recipe that uv could not resolve; ``output`` is what uv said."""

    id = "replay-failed"
    step: str
    output: str

    @property
    def message(self) -> str:
        """The step and the resolver's own explanation."""
        return f"{self.step}: {self.output.strip() or 'uv failed without a word'}"


class IndexUnreachableError(VerlEnvError):
    """A page or file of the package index that could not be read; ``passing`` says that it is worth another try."""

    id = "index-unreachable"
    address: str
    reason: str
    passing: bool = False
    says = "cannot read {address}: {reason}"
    helps = "the index is the one uv and pip are configured for: UV_DEFAULT_INDEX, UV_INDEX_URL or PIP_INDEX_URL"


class FileMissingError(VerlEnvError):
    """A pinned release of which the index has no file for the target."""

    id = "index-lacks-file"
    name: str
    version: str
    target: str
    says = "the index has no file of {name} {version} for {target}"


class HashUnknownError(VerlEnvError):
    """A pinned release of which the index gives no SHA-256."""

    id = "hash-unrecorded"
    name: str
    version: str
    says = "the index gives no SHA-256 of {name} {version}, so no lock can hold it"
    helps = "state it under [[natives]] of the recipe, and as a virtual component of its step"


class MetadataUnknownError(VerlEnvError):
    """A source distribution whose requirements the recipe does not state; its code is never run to learn them."""

    id = "sdist-metadata-unknown"
    name: str
    version: str
    says = "{name} {version} is a source distribution and the recipe does not state its requirements"
    helps = 'add [[sdists]] name = "{name}", version = "{version}", requires = [...] to recipe.toml'


class RecipeMismatchError(VerlEnvError):
    """A statement of a recipe that the replay proves wrong or incomplete."""

    id = "recipe-mismatch"
    recipe: str
    problems: Sequence[str]
    says = "{recipe}: {problems:; }"
    helps = "correct recipe.toml: the replay is what the steps give"


class DockerfileUnreadError(VerlEnvError):
    """A file from which no recipe can be drafted."""

    id = "dockerfile-unread"
    exit_code = EXIT_MISUSE
    file: str | Path
    reason: str
    says = "no recipe can be drafted from {file}: {reason}"
    helps = "name a Dockerfile, such as docker/Dockerfile.stable.vllm of verl: verl-env lock --new FILE"
