"""The form of the catalogue's files: what may stand in them, and the objects that come of it.

A table of a wheel may stand for one wheel per Python: with ``{cp}`` in its address, which becomes ``cp310``, each of
its Pythons has a wheel of its own, and ``sha256`` is a table from Python to digest. ``like`` names a table under
``templates`` whose keys a wheel, family or recipe takes over where it does not have them itself.
"""

from __future__ import annotations

from verl_env.components import model
from verl_env.records import NOTHING
from verl_env.shapes import FieldError, count, flag, many, mapping, moment, number, one_of, sha256, shape, text, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from verl_env.components.model import Component, Wheel
    from verl_env.shapes import Decoder

#: Version of the form of these files.
SCHEMA = 1

CP = "{cp}"


def _digests(value: object) -> str | dict[str, str]:
    """One digest, or one for each Python."""
    if isinstance(value, dict):
        return {number(python): sha256(digest) for python, digest in value.items()}
    return sha256(value)


_wheels: Decoder[dict[str, Any]] = shape(
    dict,
    {"url": text, "pythons": many(number), "source": text},
    {
        "arch": (text, None),
        "torch": (number, None),
        "torch_also": (many(number), ()),
        "cuda": (number, None),
        "rocm": (number, None),
        "cxx11abi": (flag, None),
        "gpus": (texts, ()),
        "glibc": (number, None),
        "built_on_glibc": (number, None),
        "address_confirmed": (flag, True),
        "date": (moment, None),
        "after": (texts, ()),
        "toolkit": (number, None),
        "publisher": (text, None),
        "sha256": (_digests, None),
    },
)
_family = shape(
    model.Family,
    {"url": text, "rows": texts, "arch": text, "cuda": number, "cxx11abi": flag, "source": text},
    {
        "publisher": (text, None),
        "gpus": (texts, ()),
        "glibc": (number, None),
        "built_on_glibc": (number, None),
        "sha256": (mapping, NOTHING),
    },
)
_index = shape(model.WheelIndex, {"url": text, "version": text, "pairs": texts, "publisher": text, "source": text})
_tool = shape(
    model.Tool,
    {"name": text, "reason": text},
    {
        "minimum": (number, None),
        "below": (number, None),
        "same_major_as": (one_of("cuda", "rocm"), None),
        "exact": (flag, False),
    },
)
_file = shape(
    model.NeededFile,
    {"name": text, "kind": one_of("header", "library"), "package": text},
    {"variable": (text, None), "wheel": (text, None)},
)
_recipe = shape(
    model.Recipe,
    {"source": text, "sources": texts},
    {
        "sha256": (sha256, None),
        "product": (one_of("wheel", "prefix", "source"), "wheel"),
        "requires": (texts, ()),
        "cuda": (number, None),
        "torch": (flag, True),
        "tools": (many(_tool), ()),
        "files": (many(_file), ()),
        "after": (texts, ()),
        "env": (mapping, NOTHING),
        "links": (mapping, NOTHING),
        "arch_variable": (text, None),
        "arch_style": (one_of("dotted", "plain", "gfx"), "dotted"),
        "settings": (texts, ()),
        "commands": (many(texts), ()),
        "folder": (text, ""),
        "patches": (texts, ()),
        "job_bytes": (count, None),
        "disk_bytes": (count, None),
        "minutes": (count, None),
        "compiled": (flag, True),
        "notes": (texts, ()),
    },
)
_release: Decoder[dict[str, Any]] = shape(
    dict,
    {"version": text},
    {
        "wheels": (many(_wheels), ()),
        "recipes": (many(_recipe), ()),
        "minimum_gpu": (text, None),
        "near": (texts, ()),
        "families": (many(_family), ()),
    },
)
_range = shape(
    model.Range,
    {"user": text, "since": text, "source": text},
    {**dict.fromkeys(("before", "least", "most", "below"), (text, None)), "same": (flag, False)},
)
_component: Decoder[dict[str, Any]] = shape(
    dict,
    {"name": text, "releases": many(_release)},
    {"imports": (text, None), "ranges": (many(_range), ()), "indexes": (many(_index), ())},
)
_rows: Decoder[dict[str, Any]] = shape(dict, {"cuda": many(number), "source": text}, {"gcc_below": (number, None)})
_capability = shape(
    model.CapabilityRange,
    {"capability": number, "source": text},
    {"minimum": (number, None), "maximum": (number, None)},
)
_abi = shape(model.AbiRule, {"torch": number, "cxx11abi": flag, "source": text}, {"cuda": (number, None)})


def _files(value: object) -> dict[str, str]:
    """Files with their digests."""
    return {name: sha256(digest) for name, digest in mapping(value).items()}


_toolkit = shape(
    model.ToolkitWheels, {"cuda": number, "nvcc": number, "arch": text, "files": _files, "source": text}, {}
)
_toolchain: Decoder[dict[str, Any]] = shape(
    dict,
    {"compilers": many(_rows), "capabilities": many(_capability), "abi": many(_abi)},
    {"toolkits": (many(_toolkit), ())},
)


def component(value: object) -> Component:
    """The component that a table describes.

    Raises:
        FieldError: a key is missing, unknown or of the wrong form.
    """
    table = _without_schema(value)
    templates = table.pop("templates", {})
    if isinstance(table.get("releases"), list) and isinstance(templates, dict):
        table["releases"] = [_joined(release, templates) for release in table["releases"]]
    fields = _component(table)
    releases = tuple(
        model.Release(**{**release, "wheels": tuple(_each(release["wheels"]))}) for release in fields["releases"]
    )
    return model.Component(fields["name"], fields["imports"], releases, fields["ranges"], fields["indexes"])


def toolchain(
    value: object,
) -> tuple[
    tuple[model.CompilerLimit, ...],
    tuple[model.CapabilityRange, ...],
    tuple[model.AbiRule, ...],
    tuple[model.ToolkitWheels, ...],
]:
    """The four tables of ``toolchain.toml``.

    Raises:
        FieldError: as ``component``.
    """
    fields = _toolchain(_without_schema(value))
    compilers = tuple(
        model.CompilerLimit(cuda, row["gcc_below"], row["source"])
        for row in fields["compilers"]
        for cuda in row["cuda"]
    )
    return compilers, fields["capabilities"], fields["abi"], fields["toolkits"]


def _without_schema(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise FieldError(f"must be {SCHEMA}", "schema")
    return {key: item for key, item in value.items() if key != "schema"}


def _joined(release: Any, templates: dict[str, Any]) -> Any:
    """A release whose wheels and recipes have what their templates say."""
    if not isinstance(release, dict):
        return release
    lists = {key: release[key] for key in ("wheels", "recipes", "families") if isinstance(release.get(key), list)}
    return {**release, **{key: [_like(each, templates) for each in items] for key, items in lists.items()}}


def _like(own: Any, templates: dict[str, Any]) -> Any:
    """A table with what the template that it names says; anything else as it is."""
    name = own.get("like") if isinstance(own, dict) else None
    if name is None:
        return own
    if not isinstance(name, str) or not isinstance(templates.get(name), dict):
        raise FieldError(f"is no table under templates: {name!r}", "like")
    rest = {key: item for key, item in own.items() if key != "like"}
    base = _like(templates[name], {other: table for other, table in templates.items() if other != name})
    both = [key for key, item in rest.items() if isinstance(item, dict) and isinstance(base.get(key), dict)]
    return {**base, **rest, **{key: {**base[key], **rest[key]} for key in both}}


def _each(groups: tuple[dict[str, Any], ...]) -> Iterator[Wheel]:
    """The wheels of all groups."""
    for group in groups:
        digests = group["sha256"]
        if digests is not None and isinstance(digests, dict) is not (CP in group["url"]):
            raise FieldError(
                f"must be a table by Python where the address has {CP}, and one digest elsewhere", "sha256"
            )
        if group["url"].startswith(model.INDEX) and digests is None:
            raise FieldError("must be stated of a wheel of the index", "sha256")
        if CP not in group["url"]:
            yield model.Wheel(**group)
            continue
        for python in group["pythons"]:
            url = group["url"].replace(CP, f"cp{python.replace('.', '')}")
            yield model.Wheel(**{**group, "url": url, "pythons": (python,), "sha256": (digests or {}).get(python)})
