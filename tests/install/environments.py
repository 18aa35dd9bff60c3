"""Environments made of files alone: no interpreter, no installer, only what the modules under test read."""

from tests.install.plans import PYTHON
from verl_env.environment.installed import site_packages
from verl_env.environment.record import record_hash
from verl_env.environment.target import Target

#: What a store holds beside generations.
STORE = {".gitignore", "README.txt", "history.json", "lock"}


def is_tidy(path):
    """Whether the store of an environment holds the generation in force, the one before, and nothing else."""
    target = Target(path)
    names = {entry.name for entry in target.store.iterdir()}
    return names == STORE | {target.generation} | {name for name in (target.previous(),) if name is not None}


class Environment:
    """A directory in the form of a virtual environment."""

    def __init__(self, path):
        self.path = path
        self.site = site_packages(path, PYTHON)
        self.site.mkdir(parents=True)
        (path / "bin").mkdir()
        (path / "pyvenv.cfg").write_text("home = /usr/bin\n")

    def add(self, name, version="1.0", files=None, *, scripts=None, record=True):
        """Installs a distribution; returns its .dist-info folder."""
        folder = self.site / f"{name}-{version}.dist-info"
        folder.mkdir()
        rows = []
        contents = {f"{name}/__init__.py": f"# {name} {version}\n"} if files is None else files
        for path, text in contents.items():
            self._write(self.site / path, text)
            rows.append((path, text))
        for script, text in (scripts or {}).items():
            self._write(self.path / "bin" / script, text)
            (self.path / "bin" / script).chmod(0o755)
            rows.append((f"../../../bin/{script}", text))
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        if record:
            lines = [f"{path},{record_hash(text.encode())},{len(text.encode())}\n" for path, text in rows]
            lines += [f"{folder.name}/METADATA,,\n", f"{folder.name}/RECORD,,\n"]
            (folder / "RECORD").write_text("".join(lines))
        return folder

    def files(self):
        """Every file with its text."""
        found = (path for path in self.path.rglob("*") if path.is_file())
        return {str(path.relative_to(self.path)): path.read_text() for path in found}

    @staticmethod
    def _write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
