"""The part of verl-env that lives in an environment: it says which lockset the environment was made from."""

from __future__ import annotations

__version__ = "0.1.0"


def lockset() -> str:
    """The id of the lockset, such as ``verl0.4-cu124-torch2.6-fa2.7.4/app.vllm.mcore0.12``.

    Raises:
        OSError: the installation is damaged: its data file cannot be read.
        ValueError: the data file is not JSON.
    """
    import json  # noqa: PLC0415 (every process of the environment may import this module)
    from pathlib import Path  # noqa: PLC0415

    data = json.loads(Path(__file__).with_name("lockset.json").read_bytes())
    return str(data["lockset"])
