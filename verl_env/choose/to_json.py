"""Verdicts, refusals and locksets as the JSON of ``plan`` and ``stacks``."""

from __future__ import annotations

from verl_env.choose.coverage import kind_of, kind_of_refusal, origin
from verl_env.choose.fits import supported_gpus
from verl_env.choose.words import missing_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from verl_env.choose.model import Evaluation, PassedOver, Refusal, Rejected, Request, Verdict
    from verl_env.locksets.model import Proof


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """One verdict, as it stands in ``failed``."""
    return {
        "requirement": verdict.requirement,
        "need": verdict.need,
        "have": verdict.have,
        "message": verdict.message,
        **({"component": verdict.subject} if verdict.subject else {}),
        **({"devices": list(verdict.devices)} if verdict.devices else {}),
    }


def failed_json(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every requirement that refuses a lockset, whether it is met anywhere else, and where that is known from."""
    return [
        {**verdict_json(verdict), "kind": kind_of(verdict), "source": origin(verdict, evaluation.lockset)}
        for verdict in evaluation.failed
    ]


def refused_json(evaluations: Iterable[Evaluation]) -> list[dict[str, Any]]:
    """The locksets that do not fit, each with every failed requirement: ``refused`` of ``plan``."""
    return [
        {"lockset": evaluation.lockset.id, "failed": failed_json(evaluation)}
        for evaluation in evaluations
        if not evaluation.fits
    ]


def rejected_json(ways: Iterable[Rejected]) -> list[dict[str, str]]:
    """Ways to get a component that were not taken, each with its reason."""
    return [{"what": way.what, "reason": way.reason} for way in ways]


def passed_json(passed: PassedOver) -> dict[str, Any]:
    """A lockset on a Python that was given up, with what cannot be had there: ``passed`` of ``plan``."""
    return {
        "lockset": passed.lockset.id,
        "python": passed.python,
        "missing": [
            {"name": each.name, "version": each.version, "rejected": rejected_json(each.rejected)}
            for each in passed.missing
        ],
    }


def nearest_json(refusal: Refusal) -> dict[str, Any] | None:
    """The nearest lockset with what would have to change: ``nearest`` of ``plan``."""
    if refusal.nearest is None:
        return None
    return {
        "lockset": refusal.nearest.lockset.id,
        "failed": failed_json(refusal.nearest),
        "changes": list(refusal.changes),
        "command": refusal.command,
    }


def incomplete_json(
    passed: Sequence[PassedOver], evaluations: Iterable[Evaluation], request: Request
) -> dict[str, Any]:
    """What ``plan`` says of locksets where components that must not be left out cannot be had.

    ``passed`` fit but for that, the preferred first; ``evaluations`` are all, of which the others do not fit.
    """
    first = next((each for each in passed if len(each.missing) == min(len(one.missing) for one in passed)), None)
    lacking = {each.lockset.id: each for each in reversed(passed)}
    return {
        "stack": request.name,
        "lockset": None,
        "refused": [
            *({"lockset": id_, "failed": _lacking_json(each)} for id_, each in reversed(lacking.items())),
            *refused_json(evaluations),
        ],
        "nearest": first
        and {
            "lockset": first.lockset.id,
            "failed": _lacking_json(first),
            "changes": [f"a way to get {missing_named(each)}" for each in first.missing],
        },
    }


def _lacking_json(passed: PassedOver) -> list[dict[str, Any]]:
    """Components that cannot be had, as failed requirements."""
    return [
        {
            "requirement": "native",
            "need": " ".join(filter(None, (each.name, each.version))),
            "have": None,
            "message": f"on Python {passed.python}, {missing_named(each)}",
            "component": each.name,
        }
        for each in passed.missing
    ]


def reasons_json(evaluations: Iterable[Evaluation]) -> list[dict[str, Any]]:
    """The refusals grouped: what each group shares, how many it holds, and which."""
    from verl_env.choose.explain import reasons  # noqa: PLC0415  only a refusal needs it

    return [
        {
            "reason": reason.brief,
            "requirement": reason.verdict.requirement,
            "count": len(reason.evaluations),
            "locksets": [evaluation.lockset.id for evaluation in reason.evaluations],
        }
        for reason in reasons(evaluations)
    ]


def refusal_json(refusal: Refusal, request: Request) -> dict[str, Any]:
    """What ``plan`` says where nothing fits."""
    return {
        "stack": request.name,
        "lockset": None,
        "refused": refused_json(refusal.evaluations),
        "reasons": reasons_json(refusal.evaluations),
        "nearest": nearest_json(refusal),
        "hints": list(refusal.hints),
        "kind": kind_of_refusal(refusal.nearest, refusal.uncovered),
        "uncovered": list(refusal.uncovered),
    }


def lockset_json(evaluation: Evaluation, *, verdicts: bool = False) -> dict[str, Any]:
    """One lockset with its verdict, as ``stacks`` lists it; with ``verdicts`` also what is met or in doubt."""
    lockset = evaluation.lockset
    driver, glibc = lockset.requires.driver, lockset.requires.glibc
    return {
        "id": lockset.id,
        "variant": lockset.variant.path,
        "family": lockset.family,
        "verl": lockset.verl,
        "provides": list(lockset.provides),
        "engines": dict(lockset.engines),
        "torch": lockset.torch,
        "accelerator": lockset.accelerator,
        lockset.accelerator: lockset.cuda if lockset.accelerator == "cuda" else lockset.rocm,
        "pythons": [lock.python for lock in lockset.pythons],
        "arch": list(lockset.requires.arch),
        "gpus": list(supported_gpus(lockset)),
        "driver": {"minimum": driver.minimum, "toolkit": driver.toolkit} if driver else None,
        "glibc": glibc.minimum if glibc else None,
        "preview": lockset.preview,
        "tier": lockset.tier,
        "natives": lockset.tried_with(),
        "proofs": [_proof_json(each) for each in lockset.proofs],
        "fits": evaluation.fits,
        "failed": failed_json(evaluation),
        "warnings": [each.message for each in evaluation.verdicts if each.outcome in ("warned", "unknown")],
        **({"verdicts": [_with_outcome(each) for each in evaluation.verdicts]} if verdicts else {}),
    }


def _proof_json(proof: Proof) -> dict[str, Any]:
    shown = {"gpu": proof.gpu, "driver": proof.driver, "python": proof.python, "date": proof.date}
    return {**shown, "parts": dict(proof.parts)}


def _with_outcome(verdict: Verdict) -> dict[str, Any]:
    return {**verdict_json(verdict), "outcome": verdict.outcome}
