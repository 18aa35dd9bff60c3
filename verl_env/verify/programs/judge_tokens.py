"""How far what an engine generated is from what transformers computes with the same weights."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

PROMPTS = ("What is 3 plus 4?", "What is 10 plus 20?", "What is 59 plus 1?", "What is 7 plus 7?")
NEW_TOKENS = 16


def reference_model(path: str) -> Any:
    """The model in transformers, in bfloat16, with torch's own attention."""
    keyword = "dtype" if hasattr(PretrainedConfig(), "dtype") else "torch_dtype"  # its name until transformers 4.55
    more = {keyword: torch.bfloat16, "attn_implementation": "sdpa"}
    return AutoModelForCausalLM.from_pretrained(path, **more).cuda().eval()


def moved(before: list[Any], after: list[Any]) -> int:
    """How many answers have other tokens than before."""
    return sum(a != b for (a, _), (b, _) in zip(before, after))  # noqa: B905 (Python 3.9)


def compare_answers(reference: list[Any], answers: list[Any]) -> dict[str, Any]:
    """The agreement of greedy answers with those of a reference; differences are of tokens that both chose."""
    pairs = [
        (mine, theirs)
        for (ids, logprobs), (chosen, expected) in zip(answers, reference)  # noqa: B905 (Python 3.9)
        for mine, theirs in zip(zip(ids, logprobs), zip(chosen, expected))  # noqa: B905
    ]
    same = [abs(mine[1] - theirs[1]) for mine, theirs in pairs if mine[0] == theirs[0]]
    return {
        "tokens": len(pairs),
        "agreeing": len(same),
        "disagreeing": len(pairs) - len(same),
        "logprob_difference": sum(same) / len(same) if same else float("nan"),
    }


def compare(path: str, prompts: list[list[int]], answers: list[tuple[list[int], list[float]]]) -> dict[str, Any]:
    """The agreement of greedy answers with the reference.

    Args:
        path: The model's directory.
        prompts: Token ids of each prompt.
        answers: For each prompt the generated token ids and the log-probability that the engine gave each.

    Returns:
        ``tokens``; ``agreeing``, those that are also the reference's choice; ``worst_gap``, how much likelier its own
        choice was than the engine's at most; ``logprob_difference``, the mean of |engine - reference|.
    """
    model = reference_model(path)
    gaps: list[float] = []
    differences: list[float] = []
    for prompt, (ids, logprobs) in zip(prompts, answers):  # noqa: B905 (Python 3.9)
        whole = torch.tensor([[*prompt, *ids]], device="cuda")
        with torch.no_grad():
            scores = torch.log_softmax(model(whole).logits[0, len(prompt) - 1 : -1].float(), -1)
        mine = scores.gather(1, torch.tensor(ids, device="cuda")[:, None])[:, 0]
        gaps += (scores.max(-1).values - mine).tolist()
        differences += (mine - torch.tensor(logprobs, device="cuda")).abs().tolist()
    return {
        "tokens": len(gaps),
        "agreeing": sum(gap == 0 for gap in gaps),
        "worst_gap": max(gaps),
        "logprob_difference": sum(differences) / len(differences),
    }
