"""The NVIDIA side of a machine: the witnesses asked in turn."""

from __future__ import annotations

from verl_env.machine.nvidia.kernel import read_kernel
from verl_env.machine.nvidia.nvml import MODULE, VISIBLE, adopt_nvml, start_nvml
from verl_env.machine.nvidia.pci import read_pci

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from verl_env.machine.child import Children
    from verl_env.machine.fork import Forked
    from verl_env.machine.nvidia.join import NvidiaReport
    from verl_env.machine.nvidia.nvml_answer import NvmlAnswer
    from verl_env.machine.nvidia.smi import SmiAnswer
    from verl_env.machine.roots import Roots


class NvidiaProbe:
    """A probe that is under way: NVML is being asked in a child from here on, while the caller reads other things.

    Making one loads little, so that the child starts early; ``report`` loads the rest while the child works.

    Args:
        children: The group of children, whose deadline ends everything that runs vendor code.
        roots: The host to probe.
        environ: Its environment.
        module: The program of the child that asks NVML.
        forked: That child where it runs already; it then has the environment of this process.
    """

    def __init__(
        self,
        children: Children,
        roots: Roots,
        environ: Mapping[str, str],
        *,
        module: str | Path = MODULE,
        forked: Forked | None = None,
    ) -> None:
        self._children, self._roots, self._environ, self._module = children, roots, environ, module
        self._env = {name: value for name, value in environ.items() if name != VISIBLE}
        self._nvml = (
            adopt_nvml(children, forked) if forked is not None else start_nvml(children, self._env, module=module)
        )

    def report(self) -> NvidiaReport:
        """Wait for NVML, ask nvidia-smi when that left something open, and put everything together."""
        from verl_env.machine.nvidia.diagnose import Evidence  # noqa: PLC0415  (loaded while the child works)
        from verl_env.machine.nvidia.join import join  # noqa: PLC0415
        from verl_env.machine.nvidia.nvml_answer import read_nvml  # noqa: PLC0415

        kernel, pci = read_kernel(self._roots), read_pci(self._roots)
        nvml = read_nvml(self._children.wait(self._nvml))
        if pci.switches and _silent_on_fabric(nvml):
            # NVML says nothing of the fabric of A100 boards; starting CUDA is slow, and the only way to know.
            again = start_nvml(self._children, self._env, cuda_init=True, module=self._module)
            nvml = read_nvml(self._children.wait(again))
        # Where NVML hangs, nvidia-smi would hang too and leave one more process in the kernel.
        ask = not nvml.complete and nvml.hung is None
        smi = self._ask_smi() if ask else None
        return join(Evidence(nvml, smi, kernel, pci), self._environ)

    def _ask_smi(self) -> SmiAnswer | None:
        from verl_env.machine.nvidia.smi import ask_smi  # noqa: PLC0415  (a healthy machine does not need it)

        return ask_smi(self._children, self._roots, self._env)


def _silent_on_fabric(nvml: NvmlAnswer) -> bool:
    """Whether NVML works and leaves open, for some GPU, whether its fabric is up."""
    gpus = [gpu for gpu in nvml.reading.devices or () if gpu.lost is None and gpu.slice_of is None]
    return nvml.code == 0 and nvml.whole and not all(isinstance(gpu.fabric, str) for gpu in gpus)
