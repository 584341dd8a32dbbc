"""Each loss equals its slow, explicit version, and does what it is there for."""

import functools
import math
from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from photosieve.training.losses import (
    SILENCE,
    anchor_term,
    balanced_sigmoid,
    balanced_weights,
    diagonal_softmax,
    margin,
    multi_positive_softmax,
)


def example(seed: int, n: int = 8, labels: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets; the last label is on no photo, the first on all."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    targets = (torch.rand(n, labels, generator=generator) < 0.4).double()
    targets[:, 0], targets[:, -1] = 1, 0
    targets[0, 1:-1] = 1
    return logits, targets


def gradient(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of the balanced sigmoid loss of one batch that is the whole training set."""
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(whole(logits, targets), logits)[0]


def whole(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The balanced sigmoid loss of one batch that is the whole training set, all of it known."""
    return balanced_sigmoid(logits, targets, weights_of(targets))


def weights_of(
    targets: torch.Tensor, known: torch.Tensor | None = None, silent: torch.Tensor | None = None
) -> torch.Tensor:
    """By default all is known."""
    known = torch.ones_like(targets) if known is None else known
    return balanced_weights(targets, known, torch.zeros_like(targets) if silent is None else silent)


@pytest.mark.parametrize("seed", range(5))
def test_balanced_sigmoid_pair_by_pair(seed: int) -> None:
    logits, targets = example(seed)
    positives = targets.sum(0)
    total, taught = 0.0, [j for j in range(4) if positives[j] > 0]
    for j in taught:
        for i in range(8):
            right = 1 / (1 + math.exp(-float(logits[i, j])))
            if targets[i, j]:
                total -= math.log(right) * 8 / (2 * float(positives[j]))
            else:
                total -= math.log(1 - right) * 8 / (2 * (8 - float(positives[j])))
    expected = torch.tensor(total / (8 * len(taught)), dtype=torch.float64)
    assert_close(whole(logits, targets), expected)


def test_batches_of_one_size_average_to_the_whole() -> None:
    logits, targets = example(0)
    weights = weights_of(targets)
    parts = [
        balanced_sigmoid(logits[rows], targets[rows], weights[rows])
        for rows in ([0, 5], [1, 7], [2, 3], [4, 6])
    ]
    assert_close(torch.stack(parts).mean(), whole(logits, targets))


def test_positives_and_negatives_pull_equally_however_many_they_are() -> None:
    for negatives in (1, 5, 100):
        targets = torch.zeros(2 + negatives, 1)
        targets[:2] = 1
        pull = gradient(torch.zeros_like(targets), targets)
        assert_close(pull[:2].sum(), torch.tensor(-0.25))
        assert_close(pull[2:].sum(), torch.tensor(0.25))


def test_a_label_on_no_photo_teaches_nothing() -> None:
    logits, targets = example(1)
    pull = gradient(logits, targets)
    assert (pull[:, -1] == 0).all()
    assert (pull[:, :-1] != 0).all()
    # Nor does it dilute the others.
    assert_close(pull[:, :-1], gradient(logits[:, :-1], targets[:, :-1]))


def test_no_label_at_all_is_a_loss_of_zero() -> None:
    assert whole(torch.ones(3, 2), torch.zeros(3, 2)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_an_unknown_pair_is_as_if_it_were_not_there(seed: int) -> None:
    """Label by label: the loss is that of the photos where the label is known."""
    logits, targets = example(seed)
    generator = torch.Generator().manual_seed(seed)
    known = (torch.rand(targets.shape, generator=generator) < 0.7).double()
    known[0] = 1
    targets = targets * known
    loss = balanced_sigmoid(logits, targets, weights_of(targets, known))
    alone = [
        whole(logits[rows, j, None], targets[rows, j, None])
        for j in range(4)
        for rows in [known[:, j].bool()]
        if targets[:, j].any()
    ]
    assert_close(loss, torch.stack(alone).mean())
    pull = torch.autograd.grad(
        balanced_sigmoid(logits.requires_grad_(), targets, weights_of(targets, known)),
        logits,
    )[0]
    assert (pull[known == 0] == 0).all()


def test_silence_is_a_weak_no() -> None:
    """Two known to have the label, one known to lack it, five that a list says nothing of."""
    targets = torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0])[:, None]
    known = torch.tensor([1.0, 1, 1, 0, 0, 0, 0, 0])[:, None]
    weights = weights_of(targets, known, 1 - known)[:, 0] / 8
    assert_close(weights[:2], torch.tensor([0.25, 0.25]))
    assert_close(weights[3:], SILENCE * weights[2].expand(5))
    assert_close(weights.sum(), torch.tensor(1.0))
    # Where nobody says no, silence is all there is.
    assert_close(weights_of(targets, targets, 1 - targets), weights_of(targets))


def test_a_repeated_label_is_a_mistake_only_for_the_softmax() -> None:
    """Two photos of a sofa: the sigmoid wants both scores up, the softmax is never content."""
    both = torch.ones(2, 1)
    assert (gradient(torch.tensor([[0.3], [0.9]]), both) < 0).all()
    assert whole(torch.tensor([[30.0], [30.0]]), both) < 1e-9
    for score in (0.0, 30.0):
        sofas = torch.full((2, 2), score)  # each photo against the text of both pairs
        assert_close(diagonal_softmax(sofas), torch.tensor(math.log(2)))


@pytest.mark.parametrize("seed", range(5))
def test_diagonal_softmax_pair_by_pair(seed: int) -> None:
    logits = example(seed, n=5, labels=5)[0]
    exp = logits.exp().tolist()
    total = 0.0
    for i in range(5):
        total -= math.log(exp[i][i] / sum(exp[i]))
        total -= math.log(exp[i][i] / sum(row[i] for row in exp))
    assert_close(diagonal_softmax(logits), torch.tensor(total / 10, dtype=torch.float64))


def test_diagonal_softmax_of_one_pair_teaches_nothing() -> None:
    logits = torch.tensor([[-7.0]], requires_grad=True)
    loss = diagonal_softmax(logits)
    assert loss == 0
    assert torch.autograd.grad(loss, logits)[0] == 0


def test_diagonal_softmax_works_where_its_logits_are() -> None:
    assert diagonal_softmax(torch.zeros(3, 3, device="meta")).device.type == "meta"


def test_diagonal_softmax_of_plain_cosines_is_never_content() -> None:
    """Each photo right on its text and opposite to all others, which no vectors can be."""
    best = 2 * torch.eye(16) - 1
    assert diagonal_softmax(best) > 1.1
    assert diagonal_softmax(10 * best) < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_multi_positive_softmax_cell_by_cell(seed: int) -> None:
    logits, targets = example(seed)
    targets[3] = 0  # a photo without a label
    exp, n, labels = logits.exp().tolist(), 8, 4
    by_photo = [
        -sum(math.log(exp[i][j] / sum(exp[i])) for j in right) / len(right)
        for i in range(n)
        if (right := [j for j in range(labels) if targets[i, j]])
    ]
    by_label = [
        -sum(math.log(exp[i][j] / sum(row[j] for row in exp)) for i in right) / len(right)
        for j in range(labels)
        if (right := [i for i in range(n) if targets[i, j]])
    ]
    assert (len(by_photo), len(by_label)) == (7, 3)
    expected = (sum(by_photo) / 7 + sum(by_label) / 3) / 2
    for these in (targets, targets.bool()):
        found = multi_positive_softmax(logits, these)
        assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_multi_positive_softmax_with_one_positive_each_is_the_diagonal_one() -> None:
    logits = example(3, n=5, labels=5)[0]
    expected = diagonal_softmax(logits)
    assert_close(multi_positive_softmax(logits, torch.eye(5, dtype=torch.float64)), expected)


def test_multi_positive_softmax_is_content_with_a_shared_label() -> None:
    """Two photos of a sofa, one of a lamp: the even spread is the best there is, log 2 for two."""
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    logits = (60 * targets - 30).requires_grad_()
    loss = multi_positive_softmax(logits, targets)
    assert_close(loss, torch.tensor(math.log(2) / 4))  # one of two labels, half of the loss
    assert_close(torch.autograd.grad(loss, logits)[0], torch.zeros(3, 2))


def test_multi_positive_softmax_pulls_an_outstanding_positive_down() -> None:
    logits = torch.tensor([[5.0, 0.0, -9.0]], requires_grad=True)
    loss = multi_positive_softmax(logits, torch.tensor([[1.0, 1.0, 0.0]]))
    pull = torch.autograd.grad(loss, logits)[0][0]
    assert pull[0] > 0 > pull[1]


def test_multi_positive_softmax_fixes_no_level() -> None:
    logits, targets = example(4)
    expected = multi_positive_softmax(logits, targets)
    assert_close(multi_positive_softmax(logits + 7, targets), expected)


@pytest.mark.parametrize("shape", [(3, 2), (0, 2)])
def test_multi_positive_softmax_without_positives_is_zero(shape: tuple[int, int]) -> None:
    logits = torch.ones(shape, requires_grad=True)
    loss = multi_positive_softmax(logits, torch.zeros(shape))
    assert loss == 0
    assert (torch.autograd.grad(loss, logits)[0] == 0).all()


def test_margin_pair_by_pair() -> None:
    cosines = [-1.0, 0.1, 0.3, 0.9, 1.0]
    expected = sum(max(0.0, 0.3 - cosine) for cosine in cosines) / 5
    assert_close(margin(torch.tensor(cosines), 0.3), torch.tensor(expected))


def test_margin_is_content_with_everything_in_one_point() -> None:
    """Nothing pushes apart; a softmax sees that photos can no longer be told from each other."""
    assert margin(torch.ones(4), 1.0) == 0
    assert_close(diagonal_softmax(10 * torch.ones(4, 4)), torch.tensor(math.log(4)))


def test_margin_brings_labels_together_that_no_photo_shares() -> None:
    """Sofa and lamp on one photo, lamp and stove on the next, ...: all end in one point."""
    targets = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])
    photo, label = targets.nonzero(as_tuple=True)

    def first_to_last_label(loss: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Their cosine after descent on free vectors; `loss` is of all cosines, (3, 4)."""
        generator = torch.Generator().manual_seed(0)
        photos = torch.randn(3, 8, generator=generator, requires_grad=True)
        texts = torch.randn(4, 8, generator=generator, requires_grad=True)
        optimizer = torch.optim.Adam([photos, texts], lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            loss(normalize(photos) @ normalize(texts).T).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return float(torch.cosine_similarity(texts[0], texts[3], dim=0).detach())

    assert first_to_last_label(lambda cosines: margin(cosines[photo, label], 1.0)) > 0.99
    assert first_to_last_label(lambda cosines: multi_positive_softmax(10 * cosines, targets)) < 0.3


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_logits(size: float) -> None:
    logits = size * example(5, n=4, labels=4)[0].float().sign()
    targets = torch.eye(4)
    for loss in (
        diagonal_softmax,
        functools.partial(multi_positive_softmax, targets=targets),
        functools.partial(whole, targets=targets),
    ):
        given = logits.clone().requires_grad_()
        found = loss(given)
        assert torch.isfinite(found)
        assert torch.isfinite(torch.autograd.grad(found, given)[0]).all()


def test_anchor_term_word_by_word() -> None:
    scores, pretrained = example(0)[0], example(1)[0]
    differences = [
        (float(scores[i, j]) - float(pretrained[i, j])) ** 2 for i in range(8) for j in range(4)
    ]
    expected = torch.tensor(sum(differences) / 32, dtype=torch.float64)
    assert_close(anchor_term(scores, pretrained), expected)
    assert anchor_term(scores, scores) == 0


def test_gradients() -> None:
    logits, targets = example(2)
    logits.requires_grad_()
    check = torch.autograd.gradcheck
    assert check(lambda x: whole(x, targets), (logits,))
    assert check(lambda x: diagonal_softmax(x[:4]), (logits,))
    assert check(lambda x: multi_positive_softmax(x, targets), (logits,))
    assert check(lambda x: margin(x[0], 0.3), (logits,))
    assert check(lambda x: anchor_term(x, targets), (logits,))
