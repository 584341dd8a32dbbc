"""What labels say of a term, for all listed photos at once."""

from pathlib import Path

from photosieve.data.label_files import Verdicts
from photosieve.server.listing import Listing
from photosieve.sieve.query import Term

PHOTOS = {
    Path("a.jpg"): Verdicts(("sofa",)),
    Path("b.jpg"): Verdicts(("Window",), ("sofa", "red door")),
    Path("c.jpg"): Verdicts(()),
}


def test_lists_say_no_to_labels_of_lists_and_exact_entries_to_theirs() -> None:
    listing = Listing(PHOTOS, {Path("b.jpg"): 7})
    assert listing.rows.tolist() == [-1, 7, -1]
    said = {
        "sofa": [1, -1, -1],
        "SOFA": [1, -1, -1],
        "window": [0, 1, 0],  # only an exact entry names it
        "red door": [0, -1, 0],
        "kitchen": [0, 0, 0],
    }
    for text, expected in said.items():
        assert listing.says(Term((text,))).tolist() == expected
        assert listing.says(Term((text,), negative=True)).tolist() == [-one for one in expected]
    assert listing.says(Term(("sofa", "window"))).tolist() == [1, 1, 0]
    assert listing.says(Term(("sofa", "red door"))).tolist() == [1, -1, 0]
    assert listing.has(Term(("sofa", "window"))).tolist() == [True, True, False]
