"""Labels renamed, merged, split and deleted: nothing is said that nobody said."""

from photosieve.data.label_files import Verdicts
from photosieve.data.vocabulary import deleted, mentions, merged, split


def test_a_merged_label_is_yes_if_one_was_and_no_if_one_was_and_none_yes() -> None:
    labels = ["couch", "settee"]
    assert merged(Verdicts(("Couch", "tv", "settee")), labels, "sofa") == Verdicts(("sofa", "tv"))
    assert merged(Verdicts(("couch",), ("settee", "tv")), labels, "sofa") == Verdicts(
        ("sofa",), ("tv",)
    )
    assert merged(Verdicts((), ("tv", "settee")), labels, "sofa") == Verdicts((), ("tv", "sofa"))
    assert merged(Verdicts(("couch",), ("sofa",)), labels, "sofa") == Verdicts(("sofa",), ())
    unknown = Verdicts(("tv",), ("lamp",))
    assert merged(unknown, labels, "sofa") == unknown


def test_a_deleted_label_is_unknown_in_an_exact_entry() -> None:
    assert deleted(Verdicts(("sofa", "tv")), "SOFA") == Verdicts(("tv",))
    assert deleted(Verdicts(("tv",), ("sofa", "lamp")), "sofa") == Verdicts(("tv",), ("lamp",))


def test_after_a_split_the_two_labels_exclude_one_another() -> None:
    def both(own: Verdicts) -> tuple[Verdicts, Verdicts]:
        return split(own, "room", "hall", chosen=True), split(own, "room", "hall", chosen=False)

    plain = Verdicts(("tv", "room"))
    assert both(plain) == (Verdicts(("tv", "hall")), plain)
    chosen, other = both(Verdicts(("room",), ("tv",)))
    assert chosen == Verdicts(("hall",), ("tv", "room"))
    assert other == Verdicts(("room",), ("tv", "hall"))
    without = Verdicts(("tv",), ("room", "hall"))
    assert both(Verdicts(("tv",), ("room",))) == (without, without)
    unknown = Verdicts(("tv",), ("lamp",))
    assert both(unknown) == (unknown, unknown)


def test_lists_say_no_to_a_label_that_only_exact_entries_got_by_a_split() -> None:
    named = ("room", "tv", "bed")

    def other(own: Verdicts) -> Verdicts:
        return split(own, "room", "hall", chosen=False, written_out=named)

    assert other(Verdicts(("Room", "tv"))) == Verdicts(("Room", "tv"), ("bed", "hall"))
    assert other(Verdicts(())) == Verdicts((), ("room", "tv", "bed", "hall"))
    assert other(Verdicts(("tv",), ("room",))) == Verdicts(("tv",), ("room", "hall"))


def test_mentions_goes_by_any_spelling() -> None:
    assert mentions(Verdicts(("T\u2011shirt",)), ["t-SHIRT"])
    assert mentions(Verdicts((), ("sofa",)), ["lamp", "Sofa"])
    assert not mentions(Verdicts(("sofa bed",), ()), ["sofa"])
