"""A CycloneDX bill of materials of a bundle, where its library is installed (``verl-env[bom]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

    from verl_env.bundle.model import File, Manifest

_DISTRIBUTIONS = ("package", "native", "source", "build", "tool")


def bill_of_materials(manifest: Manifest) -> bytes | None:
    """The bill of a bundle as CycloneDX JSON; None where the library is not there.

    It names no time, and its serial number follows from the contents, so that equal bundles have equal bills.
    """
    try:
        from cyclonedx.model.bom import Bom  # noqa: PLC0415 (an extra)
        from cyclonedx.output import make_outputter  # noqa: PLC0415
        from cyclonedx.schema import OutputFormat, SchemaVersion  # noqa: PLC0415
    except ImportError:
        return None
    import json  # noqa: PLC0415
    from uuid import NAMESPACE_URL, uuid5  # noqa: PLC0415

    files = sorted(manifest.files, key=lambda file: file.path)
    bom = Bom(components=[_component(file) for file in files if file.role in _DISTRIBUTIONS])
    document = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    document["metadata"] = {"tools": [{"name": "verl-env", "version": manifest.tool}]}
    identity = "\n".join(f"{file.sha256} {file.path}" for file in files)
    document["serialNumber"] = f"urn:uuid:{uuid5(NAMESPACE_URL, identity)}"
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def _component(file: File) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property  # noqa: PLC0415
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    name = file.path.rpartition("/")[2]
    return Component(
        type=ComponentType.LIBRARY,
        name=file.name,
        version=file.version,
        bom_ref=file.path,
        purl=PackageURL("pypi", None, file.name, file.version, {"file_name": name}),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        properties=[Property(name="verl-env:role", value=file.role), Property(name="verl-env:path", value=file.path)],
    )
