"""Whether a command starts a trainer of verl, and what of an incomplete environment would stop it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from verl_env.install.completeness import of_state
from verl_env.places import from_here
from verl_env.records import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verl_env.additions.environment import Opened
    from verl_env.install.completeness import Completeness

#: Set for commands in an environment of which it was said what stops; its value is the environment.
TOLD = "VERL_ENV_TOLD_INCOMPLETE"
#: Modules of verl that train, and programs that start a trainer on every GPU.
_MODULE = re.compile(r"\b(?:verl\.trainer|recipe\.\w+)\.\w+|\bmain_ppo\b")
_STARTERS = frozenset({"torchrun", "accelerate", "deepspeed"})
_TORCHRUN = ("torch.distributed.run", "torch.distributed.launch")
#: A script of a shell is read so far for a trainer, in bytes.
_READ = 1 << 16


def starts_trainer(words: Sequence[str]) -> bool:
    """Whether a command starts a trainer of verl: itself, by a launcher, or in the shell script that it runs."""
    if os.path.basename(words[0]) in _STARTERS or any(word in _TORCHRUN for word in words):  # noqa: PTH119
        return True
    return any(_MODULE.search(word) for word in words) or any(map(_script_trains, words[:2]))


def unhelped(opened: Opened, words: Sequence[str]) -> Completeness | None:
    """What stops the trainer that a command starts; None where it starts none, or gives the options that help.

    An environment is complete again once what was left out is installed in it, by whatever means.
    """
    if not opened.state.left_out or not starts_trainer(words):
        return None
    from verl_env.environment.installed import installed, site_packages  # noqa: PLC0415  few environments are incomplete
    from verl_env.locksets.catalogue import load_catalogue  # noqa: PLC0415

    lockset = next((each for each in load_catalogue() if each.id == opened.state.lockset), None)
    if lockset is None:
        return None
    there = installed(site_packages(opened.generation, opened.state.python))
    into = from_here(opened.target.path)
    found = of_state(opened.state, lockset, into, there)
    given = {word.lstrip("+") for word in words}
    left = tuple(
        each
        for each in found.lacking
        if not each.options or not all(option.lstrip("+") in given for option in each.options)
    )
    return replace(found, lacking=left) if left else None


def _script_trains(word: str) -> bool:
    """Whether a word is a shell script in which a trainer is started."""
    if not word.endswith((".sh", ".bash")):
        return False
    try:
        with Path(word).open("rb") as file:
            text = file.read(_READ).decode("utf-8", "replace")
    except OSError:
        return False
    return _MODULE.search(text) is not None or any(starter in text for starter in _STARTERS)
