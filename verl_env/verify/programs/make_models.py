"""Makes what the other programs work on: tiny random models, a tokenizer trained on the spot, and sums to train on.

usage: make_models.py DIRECTORY [moe]
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

#: As small as every engine's kernels take: heads of 64, and more positions than an engine's longest warm-up.
SHAPE: dict[str, Any] = {
    "vocab_size": 1024,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 2,
}
EXPERTS: dict[str, Any] = {
    "moe_intermediate_size": 512,
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "shared_expert_intermediate_size": 512,
}
#: Families of models, newest first: an old transformers lacks the newer ones.
DENSE, MOE = ("Qwen3", "Qwen2"), ("Qwen3Moe", "Qwen2Moe")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer() -> Any:
    """A byte-level BPE tokenizer trained on sums."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    lines = [f"What is {a} plus {b}? {a} + {b} = {a + b}. #### {a + b}" for a in range(60) for b in range(60)]
    tokenizer.train_from_iterator(lines, trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = TEMPLATE
    return fast


def make_model(families: tuple[str, ...], seed: int, **more: Any) -> Any:
    """A random model of the first family that this transformers has."""
    family = next(name for name in families if hasattr(transformers, f"{name}ForCausalLM"))
    torch.manual_seed(seed)
    shape = {**SHAPE, **more} | ({"head_dim": 64} if family.startswith("Qwen3") else {})
    config = getattr(transformers, f"{family}Config")(**shape)
    return getattr(transformers, f"{family}ForCausalLM")(config).to(torch.bfloat16)


def make_sums(place: Path, count: int) -> None:
    """Questions in the form of verl's data sets."""
    rows = [
        {
            "data_source": "sums",
            "prompt": [{"role": "user", "content": f"What is {a} plus {b}?"}],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": str(a + b)},
            "extra_info": {"split": "train", "index": index},
        }
        for index, (a, b) in enumerate((random.randrange(60), random.randrange(60)) for _ in range(count))
    ]
    pd.DataFrame(rows).to_parquet(place)


def main(directory: Path) -> None:
    """Two models of each kind: the second holds the weights that a refit brings."""
    random.seed(0)
    tokenizer = make_tokenizer()
    for name, families, seed, more in (
        ("dense", DENSE, 0, {}),
        ("dense-next", DENSE, 1, {}),
        ("moe", MOE, 0, EXPERTS),
        ("moe-next", MOE, 1, EXPERTS),
    ):
        make_model(families, seed, **more).save_pretrained(directory / name)
        tokenizer.save_pretrained(directory / name)
    make_sums(directory / "train.parquet", 64)
    make_sums(directory / "test.parquet", 16)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
