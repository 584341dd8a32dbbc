"""Plots draw each value once, leave out undefined ones, and keep hostile text as text."""

import numpy as np
import pytest

from photosieve.report import plots
from tests.unit.report.conftest import SCRIPT

RELEVANT = np.array([True, False, True, False])
SCORES = np.array([0.9, 0.6, 0.4, 0.1])


def test_a_curve_has_a_ring_where_the_cut_works() -> None:
    assert plots.curve(SCORES, RELEVANT, (0.5, 1.0), "sofa").count("<circle") == 1
    assert plots.curve(SCORES, RELEVANT, (0.5, np.nan), "sofa").count("<circle") == 0


@pytest.mark.parametrize(("cut", "lines"), [(0.5, 1), (-1.0, 0), (2.0, 0)])
def test_a_strip_has_a_dot_for_each_photo_and_lines_inside_it(cut: float, lines: int) -> None:
    strip = plots.strip(SCORES, RELEVANT, [("floor", cut)], "sofa")
    assert strip.count('class="yes"') == strip.count('class="no"') == 2
    assert strip.count('class="floor"') == lines


def test_a_training_without_held_out_photos_has_one_panel() -> None:
    assert "held-out" not in plots.training([0.9, 0.5], [], 2)
    assert "held-out" in plots.training([0.9, 0.5], [0.3, 0.4], 2)
    assert plots.training([], [], 1).startswith("<svg ")


def test_labels_stay_text() -> None:
    assert "<script" not in plots.curve(SCORES, RELEVANT, (0.5, 1.0), SCRIPT)
    assert "<script" not in plots.strip(SCORES, RELEVANT, [], SCRIPT)
