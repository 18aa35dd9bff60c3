"""Small wheels and source distributions, made on the fly, and a directory of them that serves as an index."""

import base64
import hashlib
import io
import tarfile
import zipfile

from verl_env.locksets.model import Package


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def wheel_bytes(
    name, version, files, *, scripts=None, entry_points=None, inner_version=None, requires=(), record_says=None
):
    """A wheel: ``files`` maps paths to text or bytes, ``scripts`` names to text, ``entry_points`` to functions.

    ``record_says`` maps paths to the sizes that RECORD states of them, where it states wrong ones.
    """
    project = name.replace("-", "_")
    info = f"{project}-{inner_version or version}.dist-info"
    contents = {path: text if isinstance(text, bytes) else text.encode() for path, text in files.items()}
    for script, text in (scripts or {}).items():
        contents[f"{project}-{version}.data/scripts/{script}"] = text.encode()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {inner_version or version}\n"
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    contents[f"{info}/METADATA"] = metadata.encode()
    contents[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    if entry_points:
        lines = "".join(f"{script} = {function}\n" for script, function in entry_points.items())
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    sizes = {path: len(content) for path, content in contents.items()} | (record_says or {})
    record = "".join(f"{path},sha256={_digest(content)},{sizes[path]}\n" for path, content in contents.items())
    contents[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, content in contents.items():
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if "/scripts/" in path or "/bin/" in path else 0o100644) << 16
            archive.writestr(entry, content)
    return stream.getvalue()


def wheel_name(name, version, tags="py3-none-any"):
    return f"{name.replace('-', '_')}-{version}-{tags}.whl"


def sdist_bytes(name, version, setup):
    """A source distribution of the old form, with a setup.py."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, text in {
            "setup.py": setup,
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        }.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


class House:
    """A directory of distributions; ``add`` makes one and returns its entry of a lock."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)

    def add(self, name, version, files=None, **more):
        module = name.replace("-", "_")
        files = {f"{module}/__init__.py": f"version = {version!r}\n"} if files is None else files
        content = wheel_bytes(name, version, files, **more)
        return self.put(wheel_name(name, version), content, name, version)

    def put(self, file, content, name, version, source="index"):
        (self.path / file).write_bytes(content)
        hashes = (f"sha256:{sha256(content)}",)
        return Package(name, version, hashes, source, download_bytes=len(content), disk_bytes=2 * len(content))


def _digest(content):
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
