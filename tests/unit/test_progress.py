"""How far a command is: one percentage and one time left for all of its stages."""

import pytest

from photosieve.progress import Status, Tracker, duration


class Clock:
    """Seconds that pass when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


STAGES = [("loading", 0.0), ("reading", 50.0), ("training", 100.0), ("reading", 10.0)]


def read(tracker: Tracker, clock: Clock, photos: range, total: int = 50) -> None:
    """Report photos, two a second."""
    for photo in photos:
        clock.now += 0.5
        tracker("reading", photo, total)


def test_nothing_is_known_before_a_rate_was_measured(clock: Clock) -> None:
    tracker = Tracker(STAGES, clock)
    assert tracker.status() == Status("loading")
    clock.now += 60
    read(tracker, clock, range(1, 3))
    assert str(tracker.status()) == "reading"


def test_the_stages_to_come_count_by_their_shares(clock: Clock) -> None:
    tracker = Tracker(STAGES, clock)
    read(tracker, clock, range(1, 11))  # 5 s; then 150 units are left, of half a second each
    status = tracker.status()
    assert status.seconds_left == pytest.approx(75)
    assert status.percent == 6
    assert str(status) == "reading, 6 %, about 1 min left"


def test_a_stage_that_runs_is_measured_itself(clock: Clock) -> None:
    tracker = Tracker(STAGES, clock)
    read(tracker, clock, range(1, 51))
    tracker("training: loss 3", 0, 10)
    clock.now += 20
    tracker("training: loss 2", 1, 10)  # slower than its share said
    left = tracker.status().seconds_left
    assert left is not None
    assert left > 9 * 20


def test_time_passes_between_reports(clock: Clock) -> None:
    tracker = Tracker(STAGES, clock)
    read(tracker, clock, range(1, 51))
    tracker("training", 0, 1)
    before = tracker.status()
    clock.now += 10
    after = tracker.status()
    assert before.seconds_left is not None
    assert after.seconds_left == pytest.approx(before.seconds_left - 10)
    assert after.percent > before.percent


def test_the_percentage_never_falls(clock: Clock) -> None:
    tracker = Tracker(STAGES, clock)
    read(tracker, clock, range(1, 51))
    before = tracker.status().percent
    tracker("training", 0, 10)
    clock.now += 200
    tracker("training", 1, 10)
    assert tracker.status().percent >= before


def test_a_second_stage_of_the_same_name_follows_the_first(clock: Clock) -> None:
    tracker = Tracker(STAGES, clock)
    read(tracker, clock, range(1, 51))
    read(tracker, clock, range(1, 6), total=10)  # the training between was left out
    left = tracker.status().seconds_left
    assert left is not None
    assert left < 10


def test_reports_of_other_stages_and_backward_steps_change_nothing(clock: Clock) -> None:
    tracker = Tracker(STAGES, clock)
    read(tracker, clock, range(1, 21))
    before = tracker.status()
    tracker("something inside", 1, 2)
    tracker("reading", 3, 50)
    assert tracker.status() == before


def test_a_resumed_stage_is_not_taken_for_a_fast_one(clock: Clock) -> None:
    tracker = Tracker([("reading", 1.0)], clock)
    read(tracker, clock, range(41, 51), total=100)  # 40 were there already
    assert tracker.status().seconds_left == pytest.approx(25)


def test_the_end_is_not_announced_before_it_comes(clock: Clock) -> None:
    tracker = Tracker([("reading", 1.0)], clock)
    read(tracker, clock, range(1, 51))
    clock.now += 1000
    assert tracker.status() == Status("reading", 99, 0.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 5 s"),
        (38, "about 40 s"),
        (58, "about 1 min"),
        (170, "about 3 min"),
        (3540, "about 59 min"),
        (3595, "about 1 h"),
        (4700, "about 1 h 20 min"),
        (7190, "about 2 h"),
    ],
)
def test_durations_are_told_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
