"""The variables an installer runs with: the user's index, proxy, certificates and cache, and nothing that redirects it.

An installer is told everything else on its command line. It runs in the root directory, so that no project of the
user (``pyproject.toml``, ``uv.toml``) and no module in the current directory has a say.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What of uv's and pip's own variables is respected; the rest could change what is installed or where.
_KEPT = frozenset(
    """
    UV_DEFAULT_INDEX UV_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_INDEX_STRATEGY UV_KEYRING_PROVIDER
    UV_CACHE_DIR UV_NO_CACHE UV_LINK_MODE UV_NATIVE_TLS UV_SYSTEM_CERTS UV_INSECURE_HOST UV_HTTP_TIMEOUT
    UV_REQUEST_TIMEOUT UV_HTTP_CONNECT_TIMEOUT UV_HTTP_RETRIES UV_HTTP_PROXY UV_HTTPS_PROXY UV_ALL_PROXY UV_NO_PROXY
    UV_CONCURRENT_DOWNLOADS UV_CONCURRENT_BUILDS UV_CONCURRENT_INSTALLS UV_CONFIG_FILE UV_NO_CONFIG
    UV_CREDENTIALS_DIR UV_PYTHON_INSTALL_DIR UV_NO_PROGRESS UV_LOCK_TIMEOUT
    PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_CERT PIP_CLIENT_CERT PIP_PROXY PIP_TIMEOUT
    PIP_DEFAULT_TIMEOUT PIP_RETRIES PIP_RESUME_RETRIES PIP_CACHE_DIR PIP_NO_CACHE_DIR PIP_KEYRING_PROVIDER
    PIP_CONFIG_FILE PIP_PROGRESS_BAR PIP_NO_COLOR PIP_USE_FEATURE
    """.split()  # noqa: SIM905 (a table reads better than a list of quotes)
)
#: Credentials of a named index, ``UV_INDEX_<NAME>_USERNAME``.
_KEPT_PREFIX = "UV_INDEX_"
_DROPPED_PREFIXES = ("UV_", "PIP_", "PYTHON", "CONDA_", "_CE_")
_DROPPED = frozenset({"VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "__PYVENV_LAUNCHER__", "SETUPTOOLS_USE_DISTUTILS"})
#: Variables that hold a path, which is relative to the directory of the user, not to that of the installer.
_PATHS = ("UV_CACHE_DIR", "UV_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_CONFIG_FILE", "PIP_CERT", "PIP_CLIENT_CERT")
_FIXED = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_USER": "0",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "UV_NO_MODIFY_PATH": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}

#: The directory that installers run in.
WORKING_DIRECTORY = Path("/")


def installer_environment(user: Mapping[str, str], **more: str) -> dict[str, str]:
    """The environment of an installer.

    Args:
        user: The environment of this process.
        more: Variables that are set where the user has not set them.
    """
    env = {name: value for name, value in user.items() if _is_kept(name)}
    for name in _PATHS:
        if env.get(name) and env[name] != os.devnull:
            env[name] = os.path.abspath(Path(env[name]).expanduser())  # noqa: PTH100
    return {**more, **env, **_FIXED}


def check_environment(user: Mapping[str, str], variables: Mapping[str, str], environment: Path) -> dict[str, str]:
    """The environment of a check: as a user of the activated environment has it, with the lockset's variables."""
    env = {name: value for name, value in user.items() if _is_kept(name) and not name.startswith(("UV_", "PIP_"))}
    path = f"{environment / 'bin'}{os.pathsep}{user.get('PATH', os.defpath)}"
    return {**env, **variables, "PATH": path, "VIRTUAL_ENV": str(environment), "PYTHONNOUSERSITE": "1"}


@contextlib.contextmanager
def changed(values: Mapping[str, str], without: Sequence[str] = ()) -> Iterator[None]:
    """Sets and removes variables of this process, which its children inherit, for a while."""
    before = {name: os.environ.get(name) for name in (*values, *without)}
    for name in without:
        os.environ.pop(name, None)
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _is_kept(name: str) -> bool:
    if name in _KEPT or name.startswith(_KEPT_PREFIX):
        return True
    return name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES)
