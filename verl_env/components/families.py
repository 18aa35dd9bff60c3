"""Many wheels of one publisher in a few lines: their addresses differ by release, CUDA, torch and Python alone.

A row is ``TAG DATE CUDA TORCH PYTHON,PYTHON``: ``"v0.9.21 2026-02-18 12.8 2.8 3.10,3.11"``, with ``-`` for a date that
is not known. Only those rows become wheels that somebody asks for: a collection has hundreds.
"""

from __future__ import annotations

from verl_env.components.model import Wheel
from verl_env.shapes import FieldError, moment, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from verl_env.components.model import Family, Release

_COLUMNS = 5
_NOT_KNOWN = "-"


def wheels_of(release: Release, torch: str | None = None, python: str | None = None) -> tuple[Wheel, ...]:
    """The wheels of a release, those of families among them.

    Args:
        release: Whose.
        torch: The torch (``"2.8.0"``) that wheels of families must be for; None for any.
        python: The Python that they must be for; None for any.
    """
    if not release.families:
        return release.wheels
    asked = None if torch is None else ".".join(torch.partition("+")[0].split(".")[:2])
    return (*release.wheels, *(each for family in release.families for each in _wheels(family, asked, python)))


def check_rows(family: Family) -> None:
    """A look at every row.

    Raises:
        FieldError: one does not say what it must.
    """
    for place, row in enumerate(family.rows):
        columns = row.split(" ")
        if len(columns) != _COLUMNS:
            raise FieldError(f"must be 'TAG DATE CUDA TORCH PYTHONS', not {row!r}", f"rows[{place}]")
        _, date, cuda, torch, pythons = columns
        try:
            for each in (cuda, torch, *pythons.split(",")):
                number(each)
            if date != _NOT_KNOWN:
                moment(date)
        except FieldError as error:
            raise error.within(f"rows[{place}]") from None


def _wheels(family: Family, torch: str | None, python: str | None) -> Iterator[Wheel]:
    for row in family.rows:
        tag, date, cuda, its_torch, pythons = row.split(" ")
        if torch not in (None, its_torch):
            continue
        for each in pythons.split(","):
            if python in (None, each):
                yield _wheel(family, (tag, date, cuda, its_torch, each))


def _wheel(family: Family, columns: tuple[str, str, str, str, str]) -> Wheel:
    tag, date, cuda, torch, python = columns
    marks = {"tag": tag, "cu": cuda.replace(".", ""), "torch": torch, "cp": f"cp{python.replace('.', '')}"}
    url = family.url
    for name, value in marks.items():
        url = url.replace(f"{{{name}}}", value)
    return Wheel(
        url=url,
        pythons=(python,),
        arch=family.arch,
        torch=torch,
        cuda=family.cuda,
        rocm=None,
        cxx11abi=family.cxx11abi,
        gpus=family.gpus,
        glibc=family.glibc,
        sha256=family.sha256.get(f"{cuda} {torch} {python}"),
        source=family.source,
        built_on_glibc=None if family.glibc else family.built_on_glibc,
        date=None if date == _NOT_KNOWN else date,
        toolkit=cuda,
        publisher=family.publisher,
    )
