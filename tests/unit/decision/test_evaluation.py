"""Every label is asked in every building, and every figure can be worked out by hand."""

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from photosieve.decision import metrics
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.leaderboard import ComparisonRow, best_first
from photosieve.errors import Skipped

GROUPS = ("a", "a", "a", "b", "b")
LABELS = ("sofa", "pool", "lift")
SCORES = np.array(
    [  # sofa, pool, lift
        [0.9, 0.6, 0.1],
        [0.7, 0.2, 0.2],
        [0.3, 0.1, 0.1],
        [0.4, 0.1, 0.3],
        [0.8, 0.2, 0.6],
    ]
)
RELEVANT = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]], bool)
# Above .5 are: sofa a0 a1 b1, pool a0, lift b1.


def example(**changes: Any) -> Evaluation:
    settings: dict[str, Any] = {
        "scores": SCORES,
        "relevant": RELEVANT,
        "cut": Cut.threshold(0.5),
        "photos": [Path(f"{group}/{row}.jpg") for row, group in enumerate(GROUPS)],
        "groups": GROUPS,
        "labels": LABELS,
        "trained": {"sofa": 7, "pool": 3},
    }
    return evaluate(**(settings | changes))


def random_example(seed: int = 0, buildings: int = 12) -> Evaluation:
    rng = np.random.default_rng(seed)
    relevant = rng.random((6 * buildings, 4)) < 0.25
    return example(
        scores=rng.normal(0.3, 0.15, relevant.shape) + 0.3 * relevant,
        relevant=relevant,
        photos=[Path(f"{row}.jpg") for row in range(len(relevant))],
        groups=[f"house {row // 6}" for row in range(len(relevant))],
        labels=("sofa", "pool", "lift", "bed"),
    )


def test_counts_by_hand() -> None:
    result = example()
    assert result.buildings == ("a", "b")
    #                        sofa pool lift
    assert_array_equal(result.counts.tp, [[1, 1, 0], [1, 0, 0]])
    assert_array_equal(result.counts.fp, [[1, 0, 0], [0, 0, 1]])
    assert_array_equal(result.counts.fn, [[1, 1, 0], [0, 0, 0]])
    assert_array_equal(result.counts.tn, [[0, 1, 3], [1, 2, 1]])
    assert_array_equal(result.per_label.tp, [2, 1, 0])
    assert_array_equal(result.per_building.tp, [2, 1])
    assert_array_equal(result.per_building.tn, [4, 4])


def test_figures_by_hand() -> None:
    result = example()
    assert_allclose(result.macro["precision"], (2 / 3 + 1 + 0) / 3)
    assert_allclose(result.macro["recall"], (2 / 3 + 1 / 2) / 2)  # no photo shows a lift
    assert_allclose(result.macro["f1"], (2 / 3 + 2 / 3 + 0) / 3)
    assert_allclose(list(result.micro.values()), [3 / 5, 3 / 5, 3 / 5])
    assert_allclose(result.accuracy, 11 / 15)
    sofa = (1 + 2 / 2 + 3 / 5) / 3  # right photos stand at places 1, 2 and 5 of .9 .8 .7 .4 .3
    pool = (1 + 2 / 3) / 2  # of .6 .2 .2 the last two come together
    assert_allclose(result.average_precision, [sofa, pool, math.nan])
    assert_allclose(result.mean_average_precision, (sofa + pool) / 2)


def test_none_is_counted_when_it_is_right_and_when_it_is_wrong() -> None:
    empty = example().empty
    # Nothing answers: lift in a ("none", right), pool in b ("none", right), lift in b (b1, wrong).
    assert (empty.asked, empty.right) == (3, 2)
    assert (empty.answerable, empty.wrong) == (3, 0)
    silent = example(cut=Cut.threshold(2.0)).empty
    assert (silent.asked, silent.right, silent.answerable, silent.wrong) == (3, 3, 3, 3)


def test_each_building_is_cut_as_a_list_of_its_own() -> None:
    result = example(cut=Cut(gate=0.5, floor=0.25, drop=0.5))
    assert_array_equal(result.kept[:, 0], [1, 1, 0, 1, 1])  # .3 of a follows .7; .4 of b follows .8


@pytest.mark.parametrize("seed", range(3))
def test_draws_of_each_building_once_are_the_totals(seed: int) -> None:
    for result in (example(), random_example(seed)):
        drawn = result.drawn_totals(np.ones((1, len(result.buildings))))
        assert result.draws.keys() == drawn.keys() == result.totals.keys()
        for name, draw in drawn.items():
            assert_allclose(draw, [result.totals[name]], err_msg=name)


def test_a_draw_of_one_building_alone_is_that_building() -> None:
    b = slice(3, 5)
    paths = [Path("3.jpg"), Path("4.jpg")]
    alone = example(scores=SCORES[b], relevant=RELEVANT[b], photos=paths, groups=["b", "b"])
    for name, draw in example().drawn_totals(np.array([[0.0, 2.0]])).items():
        assert_allclose(draw, [alone.totals[name]], err_msg=name)


def test_intervals_hold_their_value() -> None:
    result = random_example()
    for name, interval in result.intervals.items():
        assert interval.value == result.totals[name]
        assert 0 <= interval.low < interval.value < interval.high <= 1, name


def test_more_buildings_make_narrower_intervals() -> None:
    few, many = (random_example(buildings=n).intervals["macro_f1"] for n in (5, 80))
    assert many.high - many.low < (few.high - few.low) / 2


def test_none_that_was_never_asked_for_is_undefined() -> None:
    """Every label is in every building: there is no question that "none" answers."""
    result = example(relevant=np.ones_like(RELEVANT))
    assert result.empty.asked == 0
    assert math.isnan(result.totals["empty_right"])
    assert result.to_dict()["intervals"]["empty_right"] == [None, None]


def test_draws_without_a_question_for_none_do_not_count() -> None:
    """Only buildings b and c lack a label, and there "none" is always right."""
    relevant = np.ones_like(RELEVANT)
    relevant[3:, 2] = False
    scores, groups = np.where(relevant, 0.9, 0.1), ["a", "a", "a", "b", "c"]
    interval = example(relevant=relevant, scores=scores, groups=groups).intervals["empty_right"]
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_one_building_gives_no_interval() -> None:
    result = example(groups=["a"] * 5)
    for name, interval in result.intervals.items():
        assert interval.value == result.totals[name]
        assert np.isnan([interval.low, interval.high]).all(), name
    saved = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(saved["intervals"].values()) == [[None, None]] * 7
    assert f"macro F1          {result.macro['f1']:.3f} [n/a]" in result.summary()
    row = ComparisonRow.over_seeds("balanced", "", "", [result, result])
    assert str(row.macro_f1) == f"{result.macro['f1']:.3f} [n/a]"
    assert row.to_dict()["macro_f1"]["low"] is None


def test_a_figure_of_one_building_alone_has_no_interval() -> None:
    """Only building a has matches, and only b questions that nothing answers."""
    relevant = np.zeros_like(RELEVANT)
    relevant[:3] = True
    shown = example(relevant=relevant).intervals
    for name in ("macro_recall", "empty_right"):
        assert math.isnan(shown[name].low), name
    for name in ("macro_precision", "macro_f1", "accuracy"):
        assert shown[name].low < shown[name].high, name


def test_what_is_undefined_is_not_called_nan() -> None:
    result = example(relevant=np.zeros_like(RELEVANT), known=np.zeros_like(RELEVANT))
    assert "nan" not in result.summary()
    assert "calibration error n/a" in result.summary()


@pytest.mark.long
def test_intervals_of_ten_thousand_photos_take_little_memory() -> None:
    many = random_example(buildings=1667)
    tracemalloc.start()
    assert len(many.intervals) == 7
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_draws_in_blocks_are_those_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = random_example().draws
    monkeypatch.setattr(metrics, "_BLOCK", 777 * 72)
    for name, draws in random_example().draws.items():
        assert_array_equal(draws, expected[name])


def test_json_has_every_figure_and_null_where_undefined() -> None:
    skip = Skipped(Path("a/broken.jpg"), "the file is empty", "copy it again")
    saved = json.loads(json.dumps(example(skipped=[skip]).to_dict(), allow_nan=False))
    assert saved["photos"] == 5
    assert saved["labels"]["lift"]["recall"] is None
    assert saved["labels"]["lift"]["average_precision"] is None
    assert saved["labels"]["lift"]["train"] == 0
    assert saved["labels"]["sofa"]["train"] == 7
    assert saved["labels"]["sofa"]["test"] == 3
    assert saved["labels"]["sofa"]["returned"] == 3
    assert {name: saved["labels"]["sofa"][name] for name in ("tp", "fp", "fn", "tn")} == {
        "tp": 2, "fp": 1, "fn": 1, "tn": 1,
    }  # fmt: skip
    assert list(saved["buildings"]) == ["a", "b"]
    assert list(saved["buildings"]["b"]["labels"]) == list(LABELS)
    assert saved["buildings"]["b"]["photos"] == 2
    assert saved["buildings"]["a"]["labels"]["sofa"]["recall"] == 0.5
    assert saved["cut"] == {"gate": 0.5, "floor": 0.5, "drop": None}
    assert saved["empty"] == {"asked": 3, "right": 2, "answerable": 3, "wrong": 0}
    assert saved["skipped"] == [
        {
            "path": "a/broken.jpg",
            "kind": "photo",
            "reason": "the file is empty",
            "remedy": "copy it again",
        }
    ]


def test_photos_without_any_label_are_no_reason_to_fail() -> None:
    result = example(relevant=np.zeros_like(RELEVANT), cut=Cut.threshold(2.0))
    saved = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert saved["macro"] == {"precision": None, "recall": None, "f1": None}
    assert saved["accuracy"] == 1.0
    row = ComparisonRow.over_seeds("silent", "", "", [result, result])
    json.dumps(row.to_dict(), allow_nan=False)


def test_summary_says_how_none_was_used() -> None:
    text = example(skipped=[Skipped(Path("x.jpg"), "it is damaged", "copy it again")]).summary()
    assert "5 photos of 2 buildings, 3 labels asked in each" in text
    assert '"none" was right  2 of 3 times' in text
    assert '"none" was wrong  0 of 3 times' in text
    assert "1 photos that cannot be read" in text


def test_a_notebook_shows_one_line() -> None:
    assert repr(example()) == "<Evaluation of 5 photos: macro F1 0.444>"


def test_a_comparison_row_averages_over_seeds() -> None:
    runs = [random_example(seed) for seed in range(3)]
    row = ComparisonRow.over_seeds("balanced", "a note", "a caveat", runs)
    values = [run.macro["f1"] for run in runs]
    assert_allclose(row.macro_f1.value, np.mean(values))
    assert_allclose(row.seed_deviation, np.std(values))
    assert_allclose(row.accuracy.value, np.mean([run.accuracy for run in runs]))
    asked = [run.empty.right / run.empty.asked for run in runs]
    assert_allclose(row.empty_right.value, np.mean(asked))
    assert row.macro_f1.low < row.macro_f1.value < row.macro_f1.high
    draws = np.mean([run.draws["macro_f1"] for run in runs], 0)  # the same buildings in each run
    ends = np.quantile(draws, [0.025, 0.975])
    assert_allclose([row.macro_f1.low, row.macro_f1.high], ends)
    saved = json.loads(json.dumps(row.to_dict(), allow_nan=False))
    assert (saved["name"], saved["note"], saved["caveat"]) == ("balanced", "a note", "a caveat")
    assert_allclose(list(saved["label_f1"].values()), np.mean([r.per_label.f1 for r in runs], 0))
    assert saved["macro_f1"]["low"] == row.macro_f1.low
    assert saved["seed_deviation"] == row.seed_deviation


def test_a_comparison_row_of_one_seed_is_that_evaluation() -> None:
    run = random_example()
    row = ComparisonRow.over_seeds("balanced", "", "", [run])
    assert row.macro_f1 == run.intervals["macro_f1"]
    assert row.mean_average_precision == run.intervals["mean_average_precision"]
    assert row.seed_deviation == 0


def test_the_best_comes_first_and_the_undefined_last() -> None:
    silent = example(relevant=np.zeros((5, 3), bool), scores=np.zeros((5, 3)))
    rows = [
        ComparisonRow.over_seeds(name, "", "", [run])
        for name, run in (("silent", silent), ("bad", example(scores=-SCORES)), ("a", example()))
    ]
    assert np.isnan(rows[0].macro_f1.value)
    assert [row.name for row in best_first([*rows, rows[2]])] == ["a", "a", "bad", "silent"]
