"""``verl-env lock --new``: the draft of a recipe from a Dockerfile.

The draft has the base image, each step of pip in order, what the image sets, and, by number and in full, what the file
does besides: patches, builds without pip, packages of the distribution. What only a person knows is left as ``TODO``,
so that ``verl-env lock`` refuses the draft until it was read.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from verl_env.locksets.draft.dockerfile import read_dockerfile
from verl_env.locksets.draft.pip import PipStep, pip_step, project_of
from verl_env.locksets.draft.shell import assignments, commands
from verl_env.locksets.errors import DockerfileUnreadError
from verl_env.records import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TypeAlias

    from verl_env.locksets.draft.dockerfile import Image
    from verl_env.locksets.draft.shell import ShellCommand

    #: The address and the branch, tag or commit of each clone, by its folder.
    Clones: TypeAlias = dict[PurePosixPath, tuple[str, str | None]]

#: Commands that leave no trace in an environment, or only say where the next one runs.
_IDLE = frozenset(
    {
        *("cd", "mkdir", "echo", "rm", "export", "set", "true", ":", "ls", "pwd", "which", "env", "printf", "exit"),
        *("test", "[", "[[", "chmod", "nvcc", "wget", "curl", "ulimit", "}", ")"),
    }
)
#: Run-time variables of an image, not those of its build.
_BUILD_VARIABLES = re.compile(r"(?:PIP_|UV_|DEBIAN_FRONTEND|MAX_JOBS|PATH$|LD_LIBRARY_PATH|.*_VERSION$|TZ$|LC_|LANG)")


@record
class Done:
    """A command of the file: the number of its RUN, the step of pip that it is, or its text where it is none."""

    run: int
    step: PipStep | None
    text: str
    only_if: str = ""


@record
class Draft:
    """What was read of a Dockerfile."""

    image: Image
    done: tuple[Done, ...]

    @property
    def steps(self) -> tuple[PipStep, ...]:
        """The installations, in order."""
        return tuple(each.step for each in self.done if each.step is not None)

    @property
    def unread(self) -> tuple[Done, ...]:
        """What a person has to read: no installation, and not idle."""
        return tuple(each for each in self.done if each.step is None)


def draft(file: Path) -> Draft:
    """The draft from a Dockerfile.

    Raises:
        DockerfileUnreadError: it cannot be read, or has no FROM.
    """
    try:
        image = read_dockerfile(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise DockerfileUnreadError(file, reason or str(error)) from error
    if image.base is None:
        raise DockerfileUnreadError(file, "it has no FROM line: is it a Dockerfile?")
    return Draft(image, tuple(_done(image)))


def _done(image: Image) -> Iterator[Done]:
    fetched: dict[str, str] = {}
    clones: Clones = {}
    for number, (script, variables, begins) in enumerate(image.runs, 1):
        exported: dict[str, str] = {}
        folder = begins
        for command in commands(script, variables):
            words = command.words
            if command.ruled_out:
                if pip_step(command, fetched) is not None:
                    yield Done(
                        number, None, f"{command.text}    (not with the values of this file: {command.ruled_out})"
                    )
                continue
            if words[0] == "export":
                exported.update(assignments(words))
            elif words[0] == "cd" and len(words) > 1:
                folder = _within(folder, words[1])
            if not command.only_if:
                _note(command, fetched, clones, folder)
            step = pip_step(command, fetched)
            if step is not None:
                step.env = {**exported, **step.env}
                _of_clone(step, clones, folder)
                yield Done(number, step, command.text, command.only_if)
            elif not _idle(command):
                yield Done(number, None, command.text, command.only_if)


def _within(folder: PurePosixPath, word: str) -> PurePosixPath:
    """Where a path of a command leads from the folder that it runs in."""
    return PurePosixPath(posixpath.normpath(folder / word))


def _note(
    command: ShellCommand,
    fetched: dict[str, str],
    clones: Clones,
    folder: PurePosixPath,
) -> None:
    """Files that a command fetches and repositories that it clones, or the commit that it checks out."""
    words = command.words
    address = next((word for word in words if word.startswith(("https://", "http://"))), None)
    if words[0] in {"wget", "curl", "aria2c"} and address:
        name = next((words[place + 1] for place, word in enumerate(words[:-1]) if word in {"-O", "-o", "--output"}), "")
        fetched[(name or address).rsplit("/", 1)[-1]] = address
    elif words[:2] == ["git", "clone"] and address:
        ref = next((words[place + 1] for place, word in enumerate(words[:-1]) if word in {"-b", "--branch"}), None)
        after = words[words.index(address) + 1 :]
        given = next((word for word in after if not word.startswith("-") and word != ref), project_of(address))
        clones[_within(folder, given)] = (address, ref)
    elif words[:2] == ["git", "checkout"] and clones and len(words) > 2:  # noqa: PLR2004
        last = _clone_at(folder, clones) or next(reversed(clones))
        clones[last] = (clones[last][0], words[-1])


def _clone_at(path: PurePosixPath, clones: Clones) -> PurePosixPath | None:
    """The clone that a path lies in; by the name of its folder where the path begins with what nobody knows."""
    for each in (path, *path.parents):
        if each in clones:
            return each
    named = (each for each in reversed([*clones]) if "$" in str(path) and each.name in path.parts)
    return next(named, None)


def _of_clone(step: PipStep, clones: Clones, folder: PurePosixPath) -> None:
    """An installation from the folder of a repository that was cloned is a build of that repository."""
    for word in tuple(step.unread):
        found = re.fullmatch(r"(?:(?:-e|--editable) )?([^\s\[]+?)/?(?:\[.*\])?", word)
        if found is None or word.startswith(("-r", "-c")) or word.endswith((".txt", ".whl")):
            continue
        path = _within(folder, found[1])
        clone = _clone_at(path, clones)
        if clone is None:
            continue
        address, ref = clones[clone]
        inside = str(path.relative_to(clone)) if clone in (path, *path.parents) else "."
        whole = (f"git+{address}@{ref}" if ref else f"git+{address}") + (
            f"#subdirectory={inside}" if inside != "." else ""
        )
        step.built.append((project_of(address), ref, whole))
        step.unread.remove(word)


def _idle(command: ShellCommand) -> bool:
    words = command.words
    return words[0] in _IDLE or all(re.match(r"\w+=", word) for word in words) or words[:2] == ["git", "clone"]


def recipe_text(read: Draft, file: Path, id_: str) -> str:
    """The draft as a recipe.toml, with TODO where a person has to decide."""
    lines = [
        f"# Draft of a recipe, read from {file.name}. `verl-env lock {id_}` makes lockset.toml and py*.txt of it once",
        "# no TODO is left. What each key means: verl_env/locksets/model.py and verl_env/locksets/recipe.py.",
        "schema = 1",
        f"id = {_text(id_)}",
        *(f'{key} = "TODO"' for key in ("family", "verl", "accelerator", "cuda", "torch", "date", "glibc")),
        "order = 1",
        "preview = true",
        "provides = []    # TODO",
        'pythons = ["TODO"]',
        "checks = []    # TODO",
        f"notes = [{_text(f'The base image is {read.image.base}.')}]    # TODO: what it holds",
        "",
        "[variant]",
        f"path = {_text(file.name)}",
        *(f'{key} = "TODO"' for key in ("commit", "date", "facts_id")),
        "",
        "[engines]    # TODO",
        "",
        "[requires]",
        'arch = ["x86_64"]    # TODO',
        "",
        "[env]",
        *(f"{_key(name)} = {_text(value)}" for name, value in _run_time(read.image).items()),
        "",
    ]
    for number, each in enumerate((done for done in read.done if done.step), 1):
        lines += _step_lines(number, each)
    natives = dict.fromkeys((name or "TODO", ref, place) for step in read.steps for name, ref, place in step.built)
    for name, ref, place in natives:
        lines += ["[[natives]]", f"name = {_text(name.lower())}", f"version = {_text(ref or 'TODO')}"]
        lines += ['reason = "TODO"', f"# its source: {place}", ""]
    lines += ["# Not understood; read it by hand, and state what the lockset leaves out as a deviation:"]
    lines += [f"#   RUN {each.run}: {each.text}" for each in read.unread]
    lines += [f"#   {other}" for other in read.image.others]
    return "\n".join([*lines, ""])


def _run_time(image: Image) -> dict[str, str]:
    return {name: value for name, value in image.environment.items() if not _BUILD_VARIABLES.match(name)}


def _step_lines(number: int, done: Done) -> list[str]:
    step = done.step or PipStep()
    lines = ["[[steps]]", f"title = {_text(f'{number}: RUN {done.run}: {done.text[:90]}')}"]
    listed = ((key, getattr(step, key)) for key in ("install", "unquoted", "uninstall", "find_links"))
    lines += [f"{key} = [{', '.join(map(_text, values))}]" for key, values in listed if values]
    if step.built:
        shown = (
            f"{{ name = {_text((name or 'TODO').lower())}, version = {_text(ref or 'TODO')}, requires = [] }}"
            for name, ref, _ in step.built
        )
        lines.append(f"virtual = [{', '.join(shown)}]    # TODO: what each requires")
    lines += [f"{key} = true" for key in ("upgrade", "no_deps") if getattr(step, key)]
    lines += [f"index_url = {_text(step.index_url)}"] if step.index_url else []
    lines += [f"# only if, which this file does not say: {done.only_if}"] if done.only_if else []
    lines += [f"# with {name}={value}" for name, value in step.env.items()]
    lines += ["# no build isolation"] if not step.isolated else []
    lines += [f"# not understood: {word}" for word in step.unread]
    return [*lines, ""]


def _text(value: str) -> str:
    """A text as TOML writes it: the escapes of JSON are among those of TOML."""
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else _text(name)
