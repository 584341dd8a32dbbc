"""A search can be restricted to groups and by conditions."""

import unicodedata
from pathlib import Path

import pytest

from photosieve.errors import UsageError
from photosieve.index.index import Index
from tests.library import photo


def test_a_group_and_those_below_it(tmp_path: Path, sieve: Path) -> None:
    for number, name in enumerate(("", "a/", "a/b/", "a/b/c/", "ab/")):
        photo(tmp_path / "listings" / f"{name}p{number}.png", 4 * number)
    found = Index(tmp_path / "index")
    found.update(sieve, tmp_path / "listings")

    def names(*within: str) -> set[str]:
        result = found.search("red", within=within, top=9)
        return {hit.path.name for hit in result}

    assert names() == {"p0.png", "p1.png", "p2.png", "p3.png", "p4.png"}
    assert names("a") == {"p1.png", "p2.png", "p3.png"}
    assert names("a/b/") == {"p2.png", "p3.png"}
    assert names("listings", "ab") == {"p0.png", "p4.png"}
    with pytest.raises(UsageError, match=r'no group "a/d" in the index; near are: .*a/b'):
        found.search("red", within=["a/d"])


def test_an_empty_scope(index: Index) -> None:
    found = index.search("red", where="width > 1000")
    assert (len(found), found.left_out, found.best_hidden) == (0, 0, None)


def test_groups_in_another_spelling(tmp_path: Path, sieve: Path) -> None:
    folder = unicodedata.normalize("NFD", "Café")
    for name in (f"{folder}/a", "House", "Twin", "twin"):
        photo(tmp_path / "listings" / name / "p.png", 4)
    found = Index(tmp_path / "index")
    found.update(sieve, tmp_path / "listings")

    def groups(name: str) -> tuple[str, ...]:
        return found.search("red", within=[name]).within

    assert groups("Café") == (folder,)
    assert groups("café/A/") == (f"{folder}/a",)
    assert groups("HOUSE") == ("House",)
    assert groups("twin") == ("twin",)
    with pytest.raises(UsageError, match='no group "TWIN"'):  # two could be meant
        groups("TWIN")
