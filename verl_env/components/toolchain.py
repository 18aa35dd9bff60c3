"""What the toolchain tables say of one machine and one lock."""

from __future__ import annotations

from verl_env.versions import at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.components.model import Catalogue


def gcc_below(catalogue: Catalogue, nvcc: str) -> str | None:
    """The first gcc that nvcc of a release (``"12.4"`` or ``"12.4.131"``) refuses (``"14"``); None where not known."""
    release = _minor(nvcc)
    return next((limit.gcc_below for limit in catalogue.compilers if limit.cuda == release), None)


def nvcc_targets(catalogue: Catalogue, nvcc: str, gpus: Sequence[str]) -> tuple[str, ...]:
    """Those of some compute capabilities that nvcc of a release can make code for, in their order.

    A capability of which no range is known stays: nobody knows that it fails.
    """
    release = _minor(nvcc)
    ranges = {row.capability: row for row in catalogue.capabilities}
    targets = []
    for gpu in gpus:
        row = ranges.get(gpu)
        early = row is not None and row.minimum is not None and not at_least(release, row.minimum)
        late = row is not None and row.maximum is not None and not at_least(row.maximum, release)
        if not early and not late:
            targets.append(gpu)
    return tuple(targets)


def torch_abi(catalogue: Catalogue, torch: str, cuda: str | None) -> bool | None:
    """Whether a torch wheel is of the new C++ ABI (``_GLIBCXX_USE_CXX11_ABI=1``); None where that is not known.

    Args:
        catalogue: Whose rules are asked.
        torch: Version of torch, ``"2.6.0"`` or ``"2.6.0+cu124"``.
        cuda: Its CUDA release, ``"12.4"``; None where it has none or where that is not known.
    """
    numbers = torch.partition("+")[0].split(".")[:2]
    if not all(part.isascii() and part.isdigit() for part in numbers):
        return None
    release = ".".join(numbers)
    from_then = [rule.torch for rule in catalogue.abi if at_least(release, rule.torch)]
    newest = next((one for one in from_then if all(at_least(one, other) for other in from_then)), None)
    rules = [rule for rule in catalogue.abi if rule.torch == newest]
    fitting = [rule for rule in rules if rule.cuda is None or (cuda and rule.cuda == _minor(cuda))]
    return fitting[0].cxx11abi if fitting else None


def _minor(release: str) -> str:
    """``"12.4"`` of ``"12.4.131"``."""
    return ".".join(release.split(".")[:2])
