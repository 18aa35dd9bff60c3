"""The flags that several commands share: which machine, and which lockset."""

from __future__ import annotations

import os

from verl_env.choose.model import Request
from verl_env.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from verl_env.choose.model import SiteRule
    from verl_env.machine.model import Machine

#: A recorded machine, or ``none`` for this host without its GPUs.
MACHINE_VARIABLE = "VERL_ENV_MACHINE"
#: What stands in the root of an environment that verl-env made, and of one that it packed.
_OURS = ("verl-env.json", "verl-env-pack.json")


def add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that describe a machine other than this one."""
    group = parser.add_argument_group("machine", "which machine it is for; without these flags, this one")
    group.add_argument("--machine", metavar="FILE", help="a machine recorded with: verl-env probe -o FILE")
    group.add_argument("--gpu", metavar="NAME[:COUNT]", help="h100:8, mi300x, sm_90, gfx942, none; several with commas")
    group.add_argument("--driver", metavar="V", help="the NVIDIA driver, such as 550.54.15")
    group.add_argument("--rocm", metavar="V", help="the ROCm release, such as 6.3.0")
    group.add_argument("--glibc", metavar="V", help="the C library, such as 2.28")
    group.add_argument("--arch", choices=("x86_64", "aarch64"), help="the processor architecture")


def add_choice_arguments(parser: argparse.ArgumentParser, *, several: bool = False) -> argparse._ArgumentGroup:
    """Adds the stack and the flags that narrow the choice; with ``several``, stacks and locksets are lists."""
    group = parser.add_argument_group("choice")
    stacks = "vllm, sglang, vllm+sglang, vllm+megatron, ... (with --lockset: all of it)"
    lockset = "this lockset and no other (see: verl-env stacks)"
    if several:
        each = "; repeatable: they share files"
        group.add_argument("--stack", metavar="S", action="append", help=stacks + each)
        group.add_argument("--lockset", metavar="ID", action="append", help=lockset + each)
    else:
        group.add_argument("--stack", metavar="S", help=stacks)
        group.add_argument("--lockset", metavar="ID", help=lockset)
    group.add_argument("--verl", metavar="V", help="a release of verl or its prefix: 0.4 is every 0.4.x")
    group.add_argument("--python", metavar="V", help="the Python of the environment, such as 3.10")
    group.add_argument(
        "--with",
        dest="wishes",
        metavar="REQ",
        action="append",
        default=[],
        help="what the environment must have besides, such as flash-attn or 'deepspeed>=0.16' (repeatable)",
    )
    group.add_argument("--preview", action="store_true", help="consider preview locksets too")
    return group


def request_from(args: argparse.Namespace) -> Request:
    """What the choice flags ask for.

    Raises:
        UsageError: the stack is empty, or the Python is no version.
    """
    return Request(
        _stack(args),
        verl=args.verl,
        lockset=args.lockset,
        python=python_from(args.python),
        preview=args.preview,
        native=getattr(args, "native", None),
        wishes=tuple(args.wishes),
        described=described_words(args),
        rules=site_rules(),
    )


def site_rules() -> tuple[SiteRule, ...]:
    """What the configuration says of locksets.

    Raises:
        ConfigError: a configuration file cannot be used.
    """
    from verl_env.choose.model import SiteRule
    from verl_env.settings.config import load_config

    return tuple(SiteRule(str(path), only, forbid) for path, only, forbid in load_config().locksets)


def stack_from(text: str) -> tuple[str, ...]:
    """The components of a stack as it is written on the command line.

    Raises:
        UsageError: there is none.
    """
    stack = tuple(dict.fromkeys(part.strip().lower() for part in text.replace(",", "+").split("+")))
    if not all(stack):
        raise UsageError(f"--stack {text!r} names no stack", command="verl-env stacks")
    return stack


def described_words(args: argparse.Namespace) -> tuple[str, ...]:
    """The machine flags that were given, each with its value."""
    given = ((f"--{name}", getattr(args, name, None)) for name in ("machine", "gpu", "driver", "rocm", "glibc", "arch"))
    return tuple(word for flag, value in given if value is not None for word in (flag, value))


def _stack(args: argparse.Namespace) -> tuple[str, ...]:
    """The parts of ``--stack``; without it, everything that the lockset asked for provides.

    Raises:
        UsageError: neither is given, or the stack is empty.
        VerlEnvError: the lockset is none, or several.
    """
    if args.stack is None:
        return _of_lockset(args)
    return stack_from(args.stack)


def _of_lockset(args: argparse.Namespace) -> tuple[str, ...]:
    if args.lockset is None:
        raise UsageError("say what it is for: --stack vllm, or --lockset ID", command="verl-env stacks")
    from verl_env.choose.choose import full_id
    from verl_env.choose.errors import ChoiceError
    from verl_env.locksets.catalogue import load_catalogue

    provides = {lockset.id: lockset.provides for lockset in load_catalogue()}
    try:
        return provides[full_id(provides, args.lockset)]
    except ChoiceError as error:
        asked = Request(
            (),
            verl=args.verl,
            lockset=args.lockset,
            python=python_from(args.python),
            native=getattr(args, "native", None),
            wishes=tuple(args.wishes),
            described=described_words(args),
        )
        error.take_ways(asked, lambda _: True)
        raise


def machine_from(args: argparse.Namespace, *, builds_here: bool = False) -> Machine:
    """The machine that the flags, ``VERL_ENV_MACHINE`` or the probe describe, in this order of strength.

    Flags beside ``--machine`` replace what the file says. Of the compilers of a machine that flags describe nothing is
    known, unless this host builds for it (``builds_here``).

    Raises:
        MachineFileError: a recorded machine cannot be used.
        VerlEnvError: a flag has an impossible value; the error names it.
    """
    flags = [name for name in ("gpu", "driver", "rocm", "glibc", "arch") if getattr(args, name) is not None]
    if flags:
        return _described(args, builds_here=builds_here)
    return default_machine(with_gpus=True) if args.machine is None else _read(args.machine)


def python_from(text: str | None, *, command: str = "verl-env plan --help") -> str | None:
    """``3.10`` for ``3.10``, ``3.10.13`` and ``python3.10``; a lockset is for a minor release.

    Raises:
        UsageError: it is no version; ``command`` is the one that tells more.
    """
    if text is None:
        return None
    parts = text.removeprefix("python").removeprefix("cp").split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts):  # noqa: PLR2004  major and minor
        raise UsageError(f"--python {text!r} is no version such as 3.10", command=command)
    return ".".join(parts[:2])


def _described(args: argparse.Namespace, *, builds_here: bool) -> Machine:
    from verl_env.machine.describe import describe, with_tools_of

    gpus = [] if args.gpu is None else [name.strip() for name in args.gpu.split(",")]
    if not all(gpus):
        raise UsageError(f"--gpu {args.gpu!r} names no GPU", command="verl-env plan --help")
    base = default_machine(with_gpus=args.gpu is None) if args.machine is None else _read(args.machine)
    machine = describe(base, gpus=gpus, driver=args.driver, rocm=args.rocm, glibc=args.glibc, arch=args.arch)
    return with_tools_of(machine, base) if builds_here or args.machine is not None else machine


def default_machine(*, with_gpus: bool) -> Machine:
    """The machine that ``VERL_ENV_MACHINE`` or the probe describes; without its GPUs where they do not matter.

    Raises:
        MachineFileError: a recorded machine cannot be used.
    """
    recorded = os.environ.get(MACHINE_VARIABLE)
    if recorded and recorded != "none":
        return _read(recorded)
    from verl_env.machine.probe import probe, probe_without_gpus

    return probe() if with_gpus and not recorded else probe_without_gpus()


def _read(name: str) -> Machine:
    from verl_env.machine.record import read_machine

    return read_machine(name)


def own_environment(into: Path | None) -> Path:
    """The environment to change or to run in: the one named, the active one where verl-env made it, or ``.venv``.

    The active one may be that of verl-env itself: it counts only where there is no ``.venv`` either.
    """
    if into is not None:
        return into
    from pathlib import Path

    here = Path(".venv")
    active = os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX")
    if active and (any((Path(active) / name).is_file() for name in _OURS) or not os.path.lexists(here)):
        return Path(active)
    return here
