"""Labels that the sieve does not know yet are suggested as soon as one photo has them."""

import numpy as np

from photosieve.server.library import Library
from photosieve.server.service import Service


def test_new_labels_are_suggested_beside_those_of_the_sieve(library: Library) -> None:
    view = library.view()
    service = Service(library)
    group = next(group for group in view.snapshot.groups if group.name == "house-3")
    photos = {view.photo(row).path.name: view.photo(row) for row in range(group.start, group.stop)}
    names = list(photos)

    def suggested() -> dict[str, list[str]]:
        rows = view.rows_of(photos[name].path for name in names)
        found = service.suggested(view, view.snapshot.photos.rows(np.array(rows, np.intp)))
        return dict(zip(names, found, strict=True))

    before = suggested()
    assert before["green.png"] == ["garden"]
    view.book.change({photos["green.png"].path: ["garden", "hedge"]})
    after = suggested()
    assert after["green.png"] == ["garden", "hedge"]
    assert "hedge" not in after["red.png"]
    assert all([x for x in after[name] if x != "hedge"] == before[name] for name in names)


def test_labels_of_test_photos_are_not_learned_for_guesses(library: Library) -> None:
    view = library.view()
    test = next(path for path in view.book.listed(test=True))
    view.book.change({test: ["hedge"]})
    found = Service(library).suggested(view, view.snapshot.photos)
    assert not any("hedge" in labels for labels in found)
