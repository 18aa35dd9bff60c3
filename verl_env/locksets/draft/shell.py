"""The commands of a RUN line, as a shell reads them: words with their quotes taken off, and what redirections ate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>\w+)(?::?(?P<sign>[-+])(?P<other>(?:\$\{\w+\}|[^}]){0,500}))?\}|(?P<plain>[A-Za-z_]\w*))"
)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
#: Words of the shell around commands, which are read whatever they decide.
_AROUND = frozenset({"then", "do", "else", "if", "elif", "while", "!", "{", "(", "fi", "done"})


@dataclass
class ShellCommand:
    """One simple command: its words, and the words that an unquoted ``>`` or ``<`` cut short, as they were written.

    ``only_if`` is the condition that it hangs on, where the file does not say whether it is met. ``ruled_out`` is one
    that the values in the file do not meet.
    """

    words: list[str] = field(default_factory=list)
    cut: dict[int, str] = field(default_factory=dict)
    text: str = ""
    only_if: str = ""
    ruled_out: str = ""


@dataclass
class _If:
    """An ``if``: whether the branch that is read is taken, and whether an earlier one was; None is not known."""

    taken: bool | None = True
    before: bool | None = False
    asking: bool = True
    asked: bool | None = None
    text: str = ""
    unsure: set[str] = field(default_factory=set)

    def turn(self, word: str) -> None:
        """The next part begins: ``then``, ``elif`` or ``else``."""
        if word == "then":
            self.asking, self.taken = False, _both(self.asked, _not(self.before))
            return
        self.before = _not(_both(_not(self.before), _not(self.asked)))
        self.asking, self.taken, self.asked = word == "elif", _not(self.before), None
        self.text = "" if word == "elif" else f"not {self.text}"


def expand(text: str, variables: Mapping[str, str]) -> str:
    """A text with the variables that are known put in; the others stay as they are written."""

    def value(match: re.Match[str]) -> str:
        known = variables.get(match["braced"] or match["plain"])
        if match["sign"] == "+":
            return expand(match["other"], variables) if known else ""
        if known or match["sign"] is None:
            return match[0] if known is None else known
        return expand(match["other"], variables)

    return _VARIABLE.sub(value, text)


def assignments(words: Iterable[str]) -> dict[str, str]:
    """The variables that words such as ``NAME=value`` set."""
    parts = (word.partition("=") for word in words)
    return {name: value for name, sign, value in parts if sign and name.isidentifier()}


def without_heredocs(text: str) -> str:
    """The script with the bodies of its here-documents taken out."""
    lines = iter(text.split("\n"))
    kept = []
    for line in lines:
        kept.append(line)
        for _, end in _HEREDOC.findall(line):
            for body in lines:
                if body.strip() == end:
                    break
    return "\n".join(kept)


def commands(script: str, variables: Mapping[str, str]) -> Iterator[ShellCommand]:
    """The simple commands of a script in order, whatever joins them.

    Substitutions are not run, but for the architecture, which is x86_64. A branch that the values in the file rule out
    is marked as such; where they do not decide, both are read, and a variable that one of them sets is not known after.
    """
    known = dict(variables)
    ifs: list[_If] = []
    for text, joined in _split(without_heredocs(script).replace("$(uname -m)", "x86_64")):
        found = _command(text, known)
        refused = _around(found, ifs, known)
        if ifs and ifs[-1].asking and found.words:
            said = _not(_test(found.words)) if refused else _test(found.words)
            ifs[-1].asked = _joined(ifs[-1].asked, joined, said) if ifs[-1].text else said
            ifs[-1].text = ifs[-1].text or found.text
        if not found.words:
            continue
        found.ruled_out = next((each.text for each in ifs if each.taken is False and not each.asking), "")
        unsure = next((each for each in ifs if each.taken is None and not each.asking), None)
        found.only_if = unsure.text if unsure else "what goes before it fails" if joined == "||" else ""
        settings = found.words[1:] if found.words[:1] == ["export"] else found.words
        if settings and not found.ruled_out and all(re.match(r"\w+=", word) for word in settings):
            values = {name: value for name, value in assignments(settings).items() if "$(" not in value}
            known.update(values)
            if unsure:
                unsure.unsure.update(values)
        yield found


def _around(found: ShellCommand, ifs: list[_If], known: dict[str, str]) -> bool:
    """Words of the shell before a command are taken off and heeded; whether one of them is ``!``."""
    refused = False
    while found.words and found.words[0] in _AROUND:
        word = found.words.pop(0)
        found.cut = {place - 1: each for place, each in found.cut.items()}
        found.text = found.text.removeprefix(word).lstrip()
        refused = refused or word == "!"
        if word == "if":
            ifs.append(_If())
        elif ifs and word in {"then", "elif", "else"}:
            ifs[-1].turn(word)
        elif ifs and word == "fi":
            known.update((name, f"${{{name}}}") for name in ifs.pop().unsure)
    return refused


def _test(words: Sequence[str]) -> bool | None:
    """What ``[`` or ``test`` says of texts that are known; None for anything else."""
    inner = list(words[1:-1] if words[0] in {"[", "[["} and words[-1] in {"]", "]]"} else words[1:])
    if words[0] not in {"[", "[[", "test"} or any("$" in word or "`" in word for word in inner):
        return None
    said: bool | None = None
    match inner:
        case ["!", *rest]:
            said = _not(_test(["test", *rest]))
        case [left, "=" | "==" | "!=" as sign, right] if "*" not in right:
            said = (left == right) is (sign != "!=")
        case ["-n" | "-z" as sign, text]:
            said = (text != "") is (sign == "-n")
        case [] | [_]:
            said = inner not in ([], [""])
    return said


def _joined(before: bool | None, sign: str, said: bool | None) -> bool | None:
    """The condition of an ``if`` with one more command to it."""
    if sign == "&&":
        return _both(before, said)
    return _not(_both(_not(before), _not(said))) if sign == "||" else said


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _both(one: bool | None, other: bool | None) -> bool | None:
    return False if one is False or other is False else None if one is None or other is None else True


def _split(script: str) -> Iterator[tuple[str, str]]:
    """The script cut at ``&&``, ``||``, ``;``, ``|``, ``&`` and line ends outside quotes, each with what is before."""
    piece, quote, depth, place, before = "", "", 0, 0, ""
    while place < len(script):
        char = script[place]
        two = script[place : place + 2]
        if char == "\\" and quote != "'":
            piece, place = piece + two, place + 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
        elif two == "$(":
            depth += 1
        elif char == ")" and depth:
            depth -= 1
        elif char == "#" and (not piece or piece[-1].isspace()) and not depth:
            place = script.find("\n", place) if "\n" in script[place:] else len(script)
            continue
        elif not depth and char in ";|&\n" and not (char == "&" and piece[-1:] == ">"):
            yield piece, before
            if piece.strip() or char != "\n":
                before = two if two in {"&&", "||", ";;"} else char
            piece, place = "", place + (2 if two in {"&&", "||", ";;"} else 1)
            continue
        piece, place = piece + char, place + 1
    yield piece, before


def _command(text: str, variables: Mapping[str, str]) -> ShellCommand:
    """The words of one command without its redirections; a word that one of them cut is noted as it was written."""
    found, target = ShellCommand(text=" ".join(text.split())), False
    for letters in _words(text):
        if target:
            target = False
            continue
        sign = next((place for place, (char, quoted) in enumerate(letters) if char in "<>" and not quoted), None)
        word = "".join(char for char, _ in letters[:sign])
        if sign is not None:
            target = all(char in "<>&" for char, _ in letters[sign:])
            if not word or word.isdigit() or word == "&":
                continue
            found.cut[len(found.words)] = "".join(char for char, _ in letters)
        whole = expand(word, variables)
        bare = word != whole and sign is None and not any(quoted for _, quoted in letters)
        found.words += whole.split() if bare and not re.match(r"\w+=", word) else [whole]
    return found


def _words(text: str) -> Iterator[list[tuple[str, bool]]]:
    """The words of a command as their letters, each with whether a quote held it."""
    letters: list[tuple[str, bool]] = []
    quote, depth, place, open_ = "", 0, 0, False
    while place < len(text):
        char = text[place]
        if char == "\\" and quote != "'":
            letters += [(letter, True) for letter in text[place + 1 : place + 2] if letter != "\n"]
            place += 2
            continue
        depth += text[place : place + 2] == "$(" and quote != "'"
        if quote and char == quote:
            quote = ""
        elif not quote and not depth and char in "\"'":
            quote, open_ = char, True
        elif char.isspace() and not quote and not depth:
            if letters or open_:
                yield letters
            letters, open_ = [], False
        else:
            letters.append((char, bool(quote) or depth > 0))
            depth -= char == ")" and depth > 0
        place += 1
    if letters or open_:
        yield letters
