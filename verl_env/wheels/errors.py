"""What keeps a wheel from being had, or from being put into an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl_env.choose.errors import NativeMissingError
from verl_env.errors import EXIT_NO, VerlEnvError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.choose.model import Build
    from verl_env.wheels.check import Fault


class NativeUnobtainableError(NativeMissingError):
    """A native component that was asked for (``--with``, ``--native prebuilt``) cannot be had by any way that fits.

    Its wheels cannot be fetched or are not what they say, and it cannot be built.
    """

    build: Build
    reason: str
    says = "{build.name} {build.version} cannot be had: {reason}"
    helps = "leave it out: --native skip; or put the wheel into a directory and add: --wheelhouse DIR"


class HashRequiredError(VerlEnvError):
    """``--require-recorded``, and of something that would be fetched nobody recorded a hash (or a commit).

    Nothing was downloaded. A file that you trust may lie in a wheelhouse instead.
    """

    id = "hash-required"
    exit_code = EXIT_NO
    names: tuple[str, ...]
    says = "no hash is recorded of {names:, } (hash-unrecorded), and --require-recorded wants one of each"
    helps = "put the files that you trust into a directory: --wheelhouse DIR; or leave components out: --native skip"


class NativeMismatchError(VerlEnvError):
    """A wheel of a native component is not what it should be, or does not fit the environment, by what is in it.

    A wheel's name says what somebody meant it to be; its metadata, symbols and versions say what it is. Each fault has
    a kind: ``wheel-unreadable``, ``wrong-distribution``, ``wrong-version``, ``not-compiled``, ``object-damaged``,
    ``wrong-arch``, ``wrong-python``, ``wrong-torch-abi``, ``wrong-cuda-major``, ``glibc-too-old``,
    ``glibcxx-too-old``, ``no-gpu-code``, ``missing-library``. Nothing of the wheel was installed; a download that is
    no wheel of the component is not kept either.
    """

    id = "native-mismatch"
    name: str
    version: str
    wheel: str
    faults: Sequence[Fault]
    address: str = ""
    says = "{wheel}{address:+ from {address}} of {name} {version} does not fit: {reason}"

    @property
    def reason(self) -> str:
        """What is at fault, the first of each kind: for a component that is left out."""
        kinds = {fault.id: fault for fault in reversed(self.faults)}
        return "; ".join(fault.message for fault in self.faults if kinds[fault.id] is fault)

    @property
    def hint(self) -> str:
        if self.address:
            return (
                "see what that gives (a login, a proxy?); put the right file into a directory and add: "
                "--wheelhouse DIR; or name a mirror in the [mirrors] table of the configuration (docs/hpc.md)"
            )
        return "build it for what is here: --native build; or leave it out: --native skip"
