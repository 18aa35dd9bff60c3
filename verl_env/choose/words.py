"""The small pieces of text that verdicts, reasons and changes are made of."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from verl_env.choose.model import Missing
    from verl_env.locksets.model import Lockset


def sm(capability: str) -> str:
    """A compute capability as compilers write it: ``"9.0"`` is ``"sm_90"``."""
    return f"sm_{capability.replace('.', '')}"


def missing_words(missing: Missing) -> str:
    """Why a component cannot be had, in one sentence without its name."""
    return "; ".join(f"{way.what}: {way.reason}" if way.reason else way.what for way in missing.rejected)


def missing_named(missing: Missing) -> str:
    """Which component, in which version where one is known, and why it cannot be had."""
    return f"{' '.join(filter(None, (missing.name, missing.version)))}: {missing_words(missing)}"


def component_name(lockset: Lockset, component: str) -> str:
    """A component with its version, where the lockset states one: ``"flash-attn"`` is ``"flash-attn 2.7.4.post1"``."""
    if " " in component:
        return component
    version = _version(lockset, component)
    return f"{component} {version}" if version else component


def _version(lockset: Lockset, component: str) -> str | None:
    if component == "torch":
        return lockset.torch
    if component in lockset.engines:
        return lockset.engines[component]
    return next((native.version for native in lockset.natives if native.name == component), None)
