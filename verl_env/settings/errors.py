"""What can be wrong with a configuration file."""

from __future__ import annotations

from verl_env.errors import EXIT_MISUSE, VerlEnvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


class ConfigError(VerlEnvError):
    """A configuration file that cannot be used; nothing was done with the rest of it."""

    exit_code = EXIT_MISUSE
    path: Path


class ConfigUnreadableError(ConfigError):
    """A configuration file that cannot be read, or ``VERL_ENV_CONFIG`` names one that is not there."""

    id = "config-unreadable"
    reason: str
    says = "the configuration {path} cannot be read: {reason}"
    helps = "make it readable, or name another one: VERL_ENV_CONFIG=FILE (VERL_ENV_CONFIG=/dev/null for none)"


class ConfigSyntaxError(ConfigError):
    """A configuration file that is no TOML."""

    id = "config-syntax"
    reason: str
    says = "the configuration {path} is no TOML: {reason}"
    helps = "correct it: {path}; a table of mirrors begins with [mirrors], and texts stand in double quotes"


class ConfigKeyUnknownError(ConfigError):
    """A configuration file has a key that means nothing to verl-env; it may be misspelt."""

    id = "config-key-unknown"
    key: str
    known: tuple[str, ...]
    says = "the configuration {path} has the key {key!r}, which means nothing"

    @property
    def hint(self) -> str:
        import difflib  # noqa: PLC0415 (a misspelt key is rare)

        near = difflib.get_close_matches(self.key, self.known, n=1)
        return f"did you mean {near[0]!r}?" if near else f"the keys are: {', '.join(self.known)}"


class ConfigValueInvalidError(ConfigError):
    """A configuration file gives a key a value that it cannot have."""

    id = "config-value-invalid"
    key: str
    reason: str
    says = "the configuration {path}: {key} {reason}"

    @property
    def hint(self) -> str:
        if self.key.startswith("mirrors"):
            return 'write it as: "https://github.com/" = "https://mirror.example/github/"'
        if self.key == "locksets":
            return 'write it as: locksets = { only = ["verl0.9*"], forbid = ["*/app.sglang*"] }'
        if self.key == "trusted":
            return 'write it as: trusted = ["root", "@ml-team"]'
        if self.key.startswith("provided"):
            return (
                'write it as: provided = { mpi4py = "/apps/mpi4py/lib/python{python}/site-packages" }; false for none'
            )
        return f'write it as: {self.key} = "/shared/verl-env" (variables such as $SCRATCH and ~ are replaced)'


class ConfigFilePresentError(ConfigError):
    """``verl-env config init`` finds a configuration file, which it does not replace."""

    id = "config-file-present"
    says = "the configuration {path} is there already"
    helps = "see what it says: verl-env config show; or move it away: mv {path!q} {path!q}.old"
