"""What was stated, as the facts that wheels are judged by."""

from __future__ import annotations

from verl_env.choose.compare import minor_release
from verl_env.choose.find.model import World
from verl_env.choose.resolver.needs import abi_value
from verl_env.components.toolchain import torch_abi
from verl_env.errors import UsageError
from verl_env.machine.model import UNKNOWN
from verl_env.versions import is_dotted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.choose.resolver.model import Value
    from verl_env.components.model import Catalogue
    from verl_env.locksets.model import Accelerator

HELP = "verl-env find --help"


def world_of(
    catalogue: Catalogue,
    *,
    torch: str | None = None,
    cuda: str | None = None,
    rocm: str | None = None,
    python: str | None = None,
    abi: str | None = None,
) -> World:
    """The world that flags describe; the CUDA of ``2.8.0+cu128`` and the C++ ABI of a torch are known without a flag.

    Args:
        catalogue: Whose tables say which C++ ABI a torch is of.
        torch: Its version, with or without its local part.
        cuda: The CUDA that torch was built for: ``12.8``, ``cu128`` or ``12``.
        rocm: The ROCm that it was built for.
        python: ``3.12``.
        abi: ``old`` or ``new``.

    Raises:
        UsageError: a value is none, or two of them contradict each other.
    """
    public, _, local = (torch or "").partition("+")
    stated_cuda, stated_rocm = _local(local)
    cuda = _cuda(cuda) if cuda is not None else None
    if cuda and stated_cuda and not _agree(cuda, stated_cuda):
        raise UsageError(f"--torch {torch} is of CUDA {stated_cuda}, and --cuda says {cuda}", command=HELP)
    cuda, rocm = cuda or stated_cuda, rocm or stated_rocm
    if cuda and rocm:
        raise UsageError("a torch is for CUDA or for ROCm, not for both", command=HELP)
    if torch is not None and not is_dotted(public):
        raise UsageError(f"--torch {torch!r} is no version such as 2.8.0 or 2.8.0+cu128", command=HELP)
    accelerator: Accelerator = "rocm" if rocm else "cuda"
    value, assumed = _abi(catalogue, public or None, cuda, abi, accelerator)
    return World(
        accelerator,
        torch=public or UNKNOWN,
        cuda=cuda or UNKNOWN,
        rocm=rocm or UNKNOWN,
        python=minor_release(python) if python else UNKNOWN,
        abi=value,
        assumed=tuple(assumed),
    )


def _abi(
    catalogue: Catalogue, torch: str | None, cuda: str | None, abi: str | None, accelerator: Accelerator
) -> tuple[Value, Iterator[str]]:
    if abi is not None:
        return abi_value(cxx11abi=abi == "new"), iter(())
    known = torch_abi(catalogue, torch, cuda) if torch and accelerator == "cuda" else None
    if known is None:
        return UNKNOWN, iter(())
    words = f"torch {torch}'s own wheels are of the {'new' if known else 'old'} C++ ABI; another build: --abi"
    return abi_value(cxx11abi=known), iter((words,))


def _local(text: str) -> tuple[str | None, str | None]:
    """CUDA and ROCm of ``cu128`` and ``rocm6.3``."""
    if text.startswith("rocm"):
        return None, text.removeprefix("rocm") or None
    return (_cuda(text), None) if text.startswith("cu") and text[2:].isdigit() else (None, None)


def _cuda(text: str) -> str:
    digits = text.lower().removeprefix("cu")
    if text.lower().startswith("cu") and digits.isdigit() and len(digits) > 2:  # noqa: PLR2004  cu128 is 12.8
        digits = f"{digits[:-1]}.{digits[-1]}"
    if not is_dotted(digits):
        raise UsageError(f"--cuda {text!r} is no release such as 12.8 or cu128", command=HELP)
    return digits


def _agree(one: str, other: str) -> bool:
    shorter = min(one.count("."), other.count(".")) + 1
    return one.split(".")[:shorter] == other.split(".")[:shorter]
