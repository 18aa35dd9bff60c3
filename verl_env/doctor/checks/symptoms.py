"""Messages that come late: consequences of another failure, shown under it, or alone where nothing else is known."""

from __future__ import annotations

from verl_env.doctor.model import Check, Remedy

_EARLIER = Remedy("Read the first ImportError above it in the log, and run: verl-env doctor --into DIR")

#: Packages that people clone, and in whose checkouts they then start Python.
_CLONED = "vllm|sglang|verl|transformers|flash_attn|megatron|ray|torch|triton|numpy"

#: vLLM's sources outside of site-packages, without what compiling them makes.
_CHECKOUT = (
    r'File "(?!\S*(?:site|dist)-packages)[^"\n]*/vllm/vllm/[^"\n]*"[\s\S]{0,3000}?'
    r"No module named 'vllm\.(?:_C|_version)'"
)

CHECKS = (
    Check(
        id="module-shadowed",
        theme="other",
        severity="error",
        title="A file or a folder of the user has the name of a package",
        cause=(
            "Python looks into the directory of the script and into the working directory first: a file vllm.py, or "
            "a checkout without its compiled parts, is imported instead of the installed package."
        ),
        remedy=Remedy("Rename the file, or start Python outside of the checkout.", ("cd /tmp",)),
        covers=("K1",),
        sources=("vllm#475", "vllm#15592", "Python documentation, sys.path"),
        log=(
            rf"cannot import name '\w+' from '(?P<module>{_CLONED})' \((?:unknown location|[^)\n]*/(?P=module)\.py)\)",
            rf"module '(?P<module>{_CLONED})' has no attribute '\w+'[^\n]*(?:consider renaming|unknown location)",
            r"cannot import name '(?:LLM|SamplingParams|LLMEngine)' from 'vllm'(?! \(\S*__init__\.py\))",
            _CHECKOUT,
        ),
        explains=("vllm-op-missing", "vllm-names", "model-inspection-failed"),
    ),
    Check(
        id="vllm-op-missing",
        theme="abi",
        severity="error",
        title="vLLM's compiled operators are not there",
        cause=(
            "vLLM's library failed to import, which is only a warning; the missing operator is the error that follows."
        ),
        remedy=_EARLIER,
        covers=("A6",),
        sources=("vllm#7940", "verl#1084"),
        log=(
            r"_OpNamespace' '(?:_C|_moe_C|_C_cache_ops|_vllm_fa\w*)' object has no attribute",
            r"Failed to import from vllm\._C with",
        ),
        explains=("model-inspection-failed",),
    ),
    Check(
        id="model-inspection-failed",
        theme="abi",
        severity="warning",
        title="vLLM could not inspect the model's class",
        cause="The child process that imports the model failed; its own traceback above this message names the reason.",
        remedy=_EARLIER,
        covers=(),
        sources=("vllm#41848",),
        log=(r"Model architectures \[.*\] failed to be inspected",),
    ),
    Check(
        id="transformers-lazy-import",
        theme="abi",
        severity="warning",
        title="transformers could not import one of its modules",
        cause="A lazy import of transformers failed because of something that it imports; the inner error names it.",
        remedy=_EARLIER,
        covers=(),
        sources=("transformers (import_utils)",),
        log=(r"Failed to import transformers\.\S+ because of the following error",),
    ),
    Check(
        id="sgl-kernel-critical",
        theme="abi",
        severity="error",
        title="sgl_kernel could not load its operators",
        cause=(
            "The message lists what was tried for the GPU, but any load error ends here: another torch, a missing "
            "library."
        ),
        remedy=_EARLIER,
        covers=("A7",),
        sources=("sglang#18203", "sglang PR#30562"),
        log=(r"\[sgl_kernel\] CRITICAL: Could not load any common_ops library",),
    ),
)
