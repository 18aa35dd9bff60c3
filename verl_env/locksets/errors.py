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

    @property
    def hint(self) -> str | None:
        """Locksets are generated from their recipes."""
        return "lockset.toml is generated: verl-env lock, or reinstall verl-env if you did not change it"


class CatalogueMissingError(VerlEnvError):
    """A directory that should hold locksets holds none."""

    id = "catalogue-missing"
    exit_code = EXIT_MISUSE

    def __init__(self, directory: str | Path) -> None:
        super().__init__(directory)
        self.directory = directory

    @property
    def message(self) -> str:
        """Where locksets were looked for."""
        return f"no locksets under {self.directory}"

    @property
    def hint(self) -> str | None:
        """The variable that may point elsewhere."""
        return "unset VERL_ENV_CONSTRAINTS, or point it at a directory with <family>/<variant>/lockset.toml"


class LockFileChangedError(VerlEnvError):
    """A constraints file that is not the one its lockset was written with."""

    id = "lock-file-changed"

    def __init__(self, file: str | Path, expected: str, actual: str) -> None:
        super().__init__(file, expected, actual)
        self.file = file
        self.expected = expected
        self.actual = actual

    @property
    def message(self) -> str:
        """File and both digests."""
        return f"{self.file} has sha256 {self.actual}, but its lockset.toml says {self.expected}"

    @property
    def hint(self) -> str | None:
        """Locks are generated from their recipes."""
        return "do not edit locks by hand: verl-env lock writes both files; reinstall verl-env to get them back"


class LockFileInvalidError(VerlEnvError):
    """A constraints file that cannot be read as one; ``line`` counts from 1, 0 where it does not apply."""

    id = "lock-file-invalid"

    def __init__(self, file: str | Path, line: int, reason: str) -> None:
        super().__init__(file, line, reason)
        self.file = file
        self.line = line
        self.reason = reason

    @property
    def message(self) -> str:
        """File, line and reason."""
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{where}: {self.reason}"

    @property
    def hint(self) -> str | None:
        """Locks are generated from their recipes."""
        return "verl-env lock writes it anew; reinstall verl-env to get the shipped one back"


class UnknownLocksetError(VerlEnvError):
    """A lockset id that no recipe has."""

    id = "lockset-unknown"
    exit_code = EXIT_MISUSE

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = tuple(known)

    @property
    def message(self) -> str:
        """The id as it was given."""
        return f"there is no recipe for {self.name!r}"

    @property
    def hint(self) -> str | None:
        """The ids that exist."""
        return f"recipes: {', '.join(self.known) or 'none'}"


class UvMissingError(VerlEnvError):
    """Locking needs uv."""

    id = "uv-missing"

    @property
    def message(self) -> str:
        """What is missing."""
        return "locking replays an image with uv, and uv is not on PATH"

    @property
    def hint(self) -> str | None:
        """How to get it."""
        return "pip install 'verl-env[uv]'"


class ReplayError(VerlEnvError):
    """A step of a recipe that uv could not resolve; ``output`` is what uv said."""

    id = "replay-failed"

    def __init__(self, step: str, output: str) -> None:
        super().__init__(step, output)
        self.step = step
        self.output = output

    @property
    def message(self) -> str:
        """The step and the resolver's own explanation."""
        return f"{self.step}: {self.output.strip() or 'uv failed without a word'}"


class IndexUnreachableError(VerlEnvError):
    """A page or file of the package index that could not be read; ``passing`` says that it is worth another try."""

    id = "index-unreachable"

    def __init__(self, address: str, reason: str, *, passing: bool = False) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason
        self.passing = passing

    @property
    def message(self) -> str:
        """What was asked for and what came back."""
        return f"cannot read {self.address}: {self.reason}"

    @property
    def hint(self) -> str | None:
        """Which settings choose the index."""
        return "the index is the one uv and pip are configured for: UV_DEFAULT_INDEX, UV_INDEX_URL or PIP_INDEX_URL"


class FileMissingError(VerlEnvError):
    """A pinned release of which the index has no file for the target."""

    id = "index-lacks-file"

    def __init__(self, name: str, version: str, target: str) -> None:
        super().__init__(name, version, target)
        self.name = name
        self.version = version
        self.target = target

    @property
    def message(self) -> str:
        """The release and what it was wanted for."""
        return f"the index has no file of {self.name} {self.version} for {self.target}"


class HashUnknownError(VerlEnvError):
    """A pinned release of which the index gives no SHA-256."""

    id = "hash-unrecorded"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, version)
        self.name = name
        self.version = version

    @property
    def message(self) -> str:
        """The release without a hash."""
        return f"the index gives no SHA-256 of {self.name} {self.version}, so no lock can hold it"

    @property
    def hint(self) -> str | None:
        """Where such a component belongs."""
        return "state it under [[natives]] of the recipe, and as a virtual component of its step"


class MetadataUnknownError(VerlEnvError):
    """A source distribution whose requirements the recipe does not state; its code is never run to learn them."""

    id = "sdist-metadata-unknown"

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, version)
        self.name = name
        self.version = version

    @property
    def message(self) -> str:
        """The release in question."""
        return f"{self.name} {self.version} is a source distribution and the recipe does not state its requirements"

    @property
    def hint(self) -> str | None:
        """What to write, and where."""
        return f'add [[sdists]] name = "{self.name}", version = "{self.version}", requires = [...] to recipe.toml'


class RecipeMismatchError(VerlEnvError):
    """A statement of a recipe that the replay proves wrong or incomplete."""

    id = "recipe-mismatch"

    def __init__(self, recipe: str, problems: Sequence[str]) -> None:
        super().__init__(recipe, problems)
        self.recipe = recipe
        self.problems = tuple(problems)

    @property
    def message(self) -> str:
        """Every disagreement between the recipe and its replay."""
        return f"{self.recipe}: " + "; ".join(self.problems)

    @property
    def hint(self) -> str | None:
        """Who is right."""
        return "correct recipe.toml: the replay is what the steps give"


class DockerfileUnreadError(VerlEnvError):
    """A file from which no recipe can be drafted."""

    id = "dockerfile-unread"
    exit_code = EXIT_MISUSE

    def __init__(self, file: str | Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file = file
        self.reason = reason

    @property
    def message(self) -> str:
        """File and reason."""
        return f"no recipe can be drafted from {self.file}: {self.reason}"

    @property
    def hint(self) -> str:
        """A file that can be read."""
        return "name a Dockerfile, such as docker/Dockerfile.stable.vllm of verl: verl-env lock --new FILE"
