"""What the toolchain tables say of one machine and one lock."""

from __future__ import annotations

from verl_env.versions import at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.components.model import Catalogue, Recipe, ToolkitWheels


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


def toolkit_for(catalogue: Catalogue, cuda: str | None, arch: str | None) -> ToolkitWheels | None:
    """The compiler that the index has for a release of torch's CUDA; None where it has none.

    Args:
        catalogue: Whose table is asked.
        cuda: ``"13.0"``; None where torch is for no CUDA.
        arch: As ``uname -m`` has it; None where that is not known: any.
    """
    rows = catalogue.toolkits if cuda else ()
    return next((row for row in rows if row.cuda == _minor(cuda or "") and arch in (None, row.arch)), None)


def nvcc_fits(nvcc: str, cuda: str, recipes: Sequence[Recipe]) -> bool:
    """Whether nvcc of a host can build recipes for torch of a CUDA release: of its major, or of its minor where asked.

    torch's extension builder refuses another major, and some sources another minor.
    """
    exact = any(tool.exact for recipe in recipes for tool in recipe.tools if tool.name == "nvcc")
    places = 2 if exact else 1
    return nvcc.split(".")[:places] == cuda.split(".")[:places]


def compiler_words(cuda: str | None) -> str:
    """How to get nvcc of a release of CUDA 12, of which the index has none; empty for others.

    Its wheels (``nvidia-cuda-nvcc-cu12``) hold ptxas, libnvvm and headers, and neither nvcc nor cudafe++.
    """
    if cuda is None or cuda.partition(".")[0] != "12":
        return ""
    release = _minor(cuda)
    return (
        f"nvcc {release}, which no wheel of the index has: module load cuda/{release}; or conda install -c conda-forge "
        f"cuda-nvcc={release}, with CUDA_HOME=$CONDA_PREFIX"
    )


def needs_nvcc(recipe: Recipe) -> bool:
    """Whether a build starts nvcc."""
    return any(tool.name == "nvcc" for tool in recipe.tools)


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
