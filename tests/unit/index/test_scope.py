"""A search can be restricted to groups and by conditions."""

import unicodedata
from pathlib import Path

import pytest

from photosieve.errors import UsageError
from photosieve.index.index import Index
from photosieve.sieve.sieve import Sieve
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
    with pytest.raises(UsageError, match=r'no building "a/d" in the index; near are: .*a/b'):
        found.search("red", within=["a/d"])


def test_an_empty_scope(index: Index) -> None:
    found = index.search("red", where="width > 1000")
    assert (len(found), found.left_out, found.best_hidden) == (0, 0, None)


def test_folders_of_one_name_are_lists_of_their_own(tmp_path: Path, sieve: Path) -> None:
    """A root and a folder in it, and folders of two roots, may have the same name."""
    for number, name in enumerate(("a/house", "a/house/house", "a/house/attic", "b/attic")):
        for shot in range(3):
            photo(tmp_path / name / f"{shot}.png", 12 * number + 4 * shot)
    found = Index(tmp_path / "index")
    found.update(sieve, tmp_path / "a" / "house", tmp_path / "b")
    groups = {group.name: group.stop - group.start for group in found.snapshot.groups}
    assert groups == {"a/house": 3, "house/attic": 3, "house/house": 3, "b/attic": 3}
    for name, place in (("a/house", "a/house"), ("house/house", "a/house/house")):
        hits = found.search("red", within=[name], top=9)
        assert {hit.path.parent for hit in hits} == {tmp_path / place}
    reasons = {hit.path: hit.reason for hit in found.search("red", top=12)}
    alone = Sieve.load(sieve).search("red", tmp_path / "a", tmp_path / "b", top=12)
    assert reasons == {hit.path: hit.reason for hit in alone}  # there each folder is a list
    assert len(found.search("red", within=["attic"], top=9)) == 6  # as before, both


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
    with pytest.raises(UsageError, match='no building "TWIN"'):  # two could be meant
        groups("TWIN")
