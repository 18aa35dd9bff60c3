"""What can be wrong with the catalogue of native components."""

from __future__ import annotations

from verl_env.errors import DataInvalidError


class ComponentInvalidError(DataInvalidError):
    """A file of the catalogue of native components that does not say what it must."""

    id = "component-invalid"
    helps = "docs/components.md has the form of these files; reinstall verl-env if you did not change it"
