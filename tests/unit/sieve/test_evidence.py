"""Labels on few photos need more evidence, and are named."""

from dataclasses import replace

import numpy as np
import pytest

from photosieve.decision.calibration import MODESTY, Calibration
from photosieve.sieve.evidence import Evidence

LABELS = ("common", "rare", "local")


def evidence(usual: Calibration | None = None, buildings: int = 8) -> Evidence:
    """Four photos in each building; "rare" is on one photo, "local" on three of one building."""
    count = 4 * buildings
    relevant = np.zeros((count, 3), bool)
    relevant[::2, 0] = relevant[0, 1] = relevant[:3, 2] = True
    noise = np.random.default_rng(0).normal(size=relevant.shape)
    groups = tuple(f"house-{row // 4}" for row in range(count))
    names = tuple(f"{group}/{row}.jpg" for row, group in enumerate(groups))
    known = np.ones_like(relevant)
    return Evidence(3.0 * relevant + noise, relevant, known, groups, names, usual, None)


def test_labels_on_few_photos_are_lowered() -> None:
    shifts = evidence().tune(LABELS, "f1").calibration.shifts
    assert shifts["rare"] == pytest.approx(-MODESTY)
    assert shifts["local"] == pytest.approx(-MODESTY / 3)
    assert "common" not in shifts


def test_the_usual_curve_is_not_lowered() -> None:
    """It comes from training sets in which all labels are on few photos."""
    few = evidence(Calibration(1.5, -0.4))
    rows = np.array([0, 5])  # no label is in both buildings
    names, groups = (tuple(values[row] for row in rows) for values in (few.names, few.groups))
    few = replace(
        few, scores=few.scores[rows], relevant=few.relevant[rows], known=few.known[rows],
        names=names, groups=groups,
    )  # fmt: skip
    calibration = few.tune(LABELS, "f1").calibration
    assert calibration.slope == 1.5
    assert not calibration.shifts


def test_labels_that_cannot_be_trusted_are_named() -> None:
    found = evidence().doubtful(LABELS)
    assert list(found) == ["rare", "local"]
    assert found["rare"].startswith('"rare" is on 1 photo of 1 building, too few')
    assert "in 2 or more buildings" in found["local"]
    assert list(evidence(buildings=1).doubtful(LABELS)) == ["common", "rare"]  # of one building
