"""Verdicts on the host: its architecture, its C library, and platforms with rules of their own."""

from __future__ import annotations

from verl_env.choose.compare import reaches
from verl_env.choose.model import Verdict
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.locksets.model import GlibcNeed, Lockset
    from verl_env.machine.model import Host


def judge_host(lockset: Lockset, host: Host) -> Iterator[Verdict]:
    """The verdicts on everything of the host but its accelerators and interpreters."""
    if lockset.requires.arch:
        yield _arch(lockset.requires.arch, host)
    if isinstance(host.musl, str) or host.glibc is None:
        yield _musl(lockset.requires.glibc, host)
    elif lockset.requires.glibc is not None:
        yield _glibc(lockset.requires.glibc, host)
    if isinstance(host.jetson, str):
        yield _jetson(lockset, host.jetson)
    if host.wsl is True:
        yield _wsl(lockset)


def _arch(need: tuple[str, ...], host: Host) -> Verdict:
    wanted = listed(need, "or")
    if not isinstance(host.arch, str):
        return Verdict("arch", "unknown", wanted, None, f"the architecture is not stated; needs {wanted}")
    if host.arch in need:
        return Verdict("arch", "met", wanted, host.arch, f"the architecture is {host.arch}")
    message = f"it is made of {wanted} wheels; this machine is {host.arch}"
    return Verdict("arch", "failed", wanted, host.arch, message, brief=f"architecture {host.arch}")


def _glibc(need: GlibcNeed, host: Host) -> Verdict:
    wanted = f">= {need.minimum}"
    fits = reaches(host.glibc, need.minimum) if isinstance(host.glibc, str) else None
    if not isinstance(host.glibc, str) or fits is None:
        have = host.glibc if isinstance(host.glibc, str) else None
        said = f"the glibc {have!r} is no version" if have else "the glibc is not stated"
        return Verdict("glibc", "unknown", wanted, have, f"{said}; needs {need.minimum} or newer", subject=need.source)
    if fits:
        message = f"glibc {host.glibc} is at least {need.minimum}"
        return Verdict("glibc", "met", wanted, host.glibc, message, subject=need.source)
    message = f"glibc {host.glibc} is older than {need.minimum}, the least that its wheels load with ({need.source})"
    brief = f"glibc < {need.minimum}"
    return Verdict("glibc", "failed", wanted, host.glibc, message, brief, subject=need.source)


def _musl(need: GlibcNeed | None, host: Host) -> Verdict:
    have = f"musl {host.musl}".strip() if isinstance(host.musl, str) else None
    name = "the C library is musl" if have else "there is no glibc"
    wanted = f">= {need.minimum}" if need else "glibc"
    message = f"{name}; the wheels are built for glibc and do not load without it"
    return Verdict("glibc", "failed", wanted, have, message, brief="musl" if have else "no glibc")


def _jetson(lockset: Lockset, model: str) -> Verdict:
    message = f"{model or 'this machine'} is a Jetson: it takes wheels of its own, and these do not run there"
    return Verdict("platform", "failed", f"no Jetson ({lockset.accelerator})", model, message, brief="Jetson")


def _wsl(lockset: Lockset) -> Verdict:
    if lockset.accelerator == "rocm":
        message = "WSL 2 has no amdgpu kernel driver: ROCm reaches the GPU through Windows, which nobody tested here"
    else:
        message = "WSL 2 takes the driver from Windows: update it there, and keep /usr/lib/wsl/lib on the loader path"
    return Verdict("platform", "warned", "Linux", "WSL 2", message)
