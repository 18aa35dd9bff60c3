"""A lockset against what the user asked for: the stack, a release of verl, one lockset, previews."""

from __future__ import annotations

from verl_env.choose.compare import minor_release, release_matches
from verl_env.choose.model import Verdict
from verl_env.texts import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verl_env.choose.model import Request
    from verl_env.locksets.model import Lockset

#: Requirements that come from the request and not from the machine.
ASKED = frozenset({"stack", "site", "tier", "lockset", "verl", "preview"})


def judge_request(lockset: Lockset, request: Request) -> Iterator[Verdict]:
    """The verdicts on the request; nothing where the lockset is what was asked for."""
    missing = [component for component in request.stack if component not in lockset.provides]
    if missing:
        provides = listed(lockset.provides)
        message = f"it provides {provides}, not {listed(missing, 'or')}"
        yield Verdict("stack", "failed", request.name, provides, message, brief=f"stack without {listed(missing)}")
    if request.lockset is not None and not names(lockset.id, request.lockset):
        message = f"it is not the lockset asked for, {request.lockset}"
        yield Verdict("lockset", "failed", request.lockset, lockset.id, message, brief="another lockset")
    yield from _by_rules(lockset, request)
    if request.verl is not None and not release_matches(lockset.verl, request.verl):
        message = f"it is for verl {lockset.verl}, not {request.verl}"
        yield Verdict("verl", "failed", request.verl, lockset.verl, message, brief=f"not verl {request.verl}")
    if lockset.tier == "recorded":
        yield _recorded(lockset)
    if lockset.preview:
        yield _preview(lockset, allowed=request.preview or request.lockset is not None)


def names(lockset_id: str, text: str) -> bool:
    """Whether a text is the id of a lockset, its last part, or its Dockerfile: ``Dockerfile.app.vllm``."""
    return lockset_id == text or lockset_id.endswith((f"/{text}", f"/{text.removeprefix('Dockerfile.')}"))


def _by_rules(lockset: Lockset, request: Request) -> Iterator[Verdict]:
    """What the configuration of the user or the site does not allow."""
    for rule in request.rules:
        forbidden = _first(lockset.id, rule.forbid)
        if forbidden is not None:
            message = f"the configuration forbids it ({rule.file}: {forbidden})"
            yield Verdict("site", "failed", f"not {forbidden}", lockset.id, message, "the configuration", rule.file)
        elif rule.only and _first(lockset.id, rule.only) is None:
            wanted = listed(rule.only, "or")
            message = f"the configuration allows only {wanted} ({rule.file})"
            yield Verdict("site", "failed", wanted, lockset.id, message, "the configuration", rule.file)


def _first(lockset_id: str, patterns: Sequence[str]) -> str | None:
    """The first pattern (``*`` and ``?``) that names a lockset."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 (few sites have rules)

    return next((each for each in patterns if names(lockset_id, each) or fnmatchcase(lockset_id, each)), None)


def extra_components(lockset: Lockset, request: Request) -> int:
    """How many components a lockset brings that nobody asked for."""
    return len(set(lockset.provides) - set(request.stack))


def was_installed(lockset: Lockset, request: Request) -> bool:
    """Whether a lockset was installed and checked for the Python asked for, or for any where none was."""
    return _among(lockset.installed, request)


def was_proven(lockset: Lockset, request: Request) -> bool:
    """Whether a lockset was proven with the engines asked for, and for the Python asked for or any where none was."""
    return _among(lockset.proven_with(request.stack), request)


def _among(pythons: Sequence[str], request: Request) -> bool:
    return minor_release(request.python) in pythons if request.python else bool(pythons)


def _recorded(lockset: Lockset) -> Verdict:
    why = f": {lockset.notes[0]}" if lockset.notes else ""
    message = f"it is recorded only and cannot be locked from an index{why}"
    return Verdict("tier", "failed", "locked", "recorded", message, brief="recorded only")


def _preview(lockset: Lockset, *, allowed: bool) -> Verdict:
    if allowed:
        return Verdict("preview", "warned", "a preview", "a preview", f"{lockset.id} mirrors a preview of verl")
    message = "it is a preview, chosen only with --preview or --lockset"
    return Verdict("preview", "failed", "--preview", None, message, brief="preview")
