"""Pages, docstrings, comments, messages and help are plain American English.

A list of words cannot tell good prose from bad. It finds the kinds of sentence that readers
stumbled over: clauses that stand for a noun ("what was skipped is listed below"), words that nobody
says, and British spelling.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READ = (
    *("cache.py", "checksums.py", "cli", "data", "decision", "encoders", "errors.py", "index"),
    *("progress.py", "report", "server", "sieve", "storage.py", "training"),
)
"""Packages and modules that were read through; others join when they are."""

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "samples" / "README.md"])
SOURCES = [ROOT / "src" / "photosieve" / name for name in READ]
MODULES = [module for source in SOURCES for module in sorted(source.rglob("*.py")) or [source]]

BRITISH = {
    r"\w*(?:col|behavi|fav|hon|neighb)our\w*": "-or-",
    r"(?:un)?labell(?:ed|ing)|modell(?:ed|ing)|travell\w+|cancell(?:ed|ing)": "one l",
    r"(?:\w+al|organ|recogn|optim|summar|anonym|minim|maxim|visual)is(?:e|es|ed|ing|ation)": "-iz-",
    r"cent(?:re|red|ring)|met(?:re|res)|licence|catalogue|artefacts?|judgement": "American",
    r"grey|whilst|analys(?:e|ed|es|ing)|learnt|spelt|fulfil|programmes?": "American",
}
RIDDLES = {
    r"whatever|whoever|whichever|whence|whereof|wherein|thereof|therein": "name the thing",
    r"(?:of|by|with|than|from|beside|behind|without|among|all|as) what": "name the thing",
    r"(?:for|to|tell|tells|by|with) who": "people who, or a name",
    r"lest|naught|ought|whereupon|henceforth|hitherto|albeit": "a word of today",
    r"come(?:s)? of (?:it|this|that)|goes by|stands? to": "a plain verb",
    r"promises?|promised|vows?|wish(?:es)?|goals?": "guarantee; objective",
}
FUSED = re.compile(r"(?:^|[-.:;|] )(?:What|Who) (?!to )[^.?|;:]*[.|;:]")
"""A clause in place of a subject: a sentence that begins with What or Who and is no question."""


def prose_of_page(text: str) -> Iterator[tuple[int, str]]:
    """Lines of a page outside of code and addresses. Headings may begin with What."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("#"):
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", "_", line)


def prose_of_module(text: str) -> Iterator[tuple[int, str]]:
    """Comments, and texts with a space in them: docstrings, messages and help."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        said = token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE"
        if token.type == tokenize.COMMENT or (said and " " in token.string):
            for number, line in enumerate(token.string.splitlines(), token.start[0]):
                yield number, re.sub(r"`[^`]*`|https?://\S+", "_", line.strip(" \"'#"))


def findings(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for number, line in lines:
        for rules in (BRITISH, RIDDLES):
            for pattern, advice in rules.items():
                for found in re.finditer(rf"\b(?:{pattern})\b", line, re.IGNORECASE):
                    yield f"{number}: {found[0]!r}: {advice}"
        for found in FUSED.finditer(line):
            yield f"{number}: {found[0]!r}: begin with the subject"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_pages(path: Path) -> None:
    assert list(findings(prose_of_page(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_modules(path: Path) -> None:
    assert list(findings(prose_of_module(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The behaviour of labelled photos.",
        "It is normalised.",
        "Whatever is in the folder is read.",
        "It tells who asks.",
        "The rest is beside what was found.",
        "What was skipped is listed below.",
        "- What is saved is yes or no.",
    ],
)
def test_each_kind_is_found(sentence: str) -> None:
    assert list(findings(prose_of_page(sentence)))


@pytest.mark.parametrize(
    "sentence",
    [
        "What are you looking for?",
        "`behaviour` is a name.",
        "People who label photos.",
        "## What it does",
    ],
)
def test_good_sentences_are_not(sentence: str) -> None:
    assert not list(findings(prose_of_page(sentence)))
