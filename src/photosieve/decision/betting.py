"""Test whether a mean loss is below a bound, by betting. Pure numpy.

The test is a game of betting (Waudby-Smith and Ramdas, 2023, arXiv:2010.09686) whose stakes aim at
the capital that is needed after the last building (Voracek and Orabona, 2025, arXiv:2505.22422). In
simulations it passed much more often than the Hoeffding-Bentkus test, which takes every loss to be
all or nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.metrics import Float64Array


def mean_is_below(most: float, losses: Float64Array, confidence: float) -> NDArray[np.bool_]:
    """Test for each column whether the mean loss is below `most`.

    Start with a capital of 1 and bet on every building that its loss is below `most`. If the mean
    is not below `most`, the capital does not grow on average, for any bets that depend only on
    earlier buildings; so the probability that it ever reaches 1 / (1 - confidence) is at most
    1 - confidence (Ville's inequality). Better bets make true statements pass more often.

    Parameters
    ----------
    most : float
        Between 0 and 1.
    losses : array (buildings, thresholds)
        Between 0 and 1, in an order that is independent of them.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    array of bool (thresholds,)
    """
    needed = np.full(
        losses.shape[1], -math.log(1 - confidence)
    )  # growth of the log capital that is still needed
    # The bets start as if some all-or-nothing losses had been seen; otherwise a run of zeros at the
    # start would make them so large that the first total loss takes nearly all the capital.
    imagined = 3
    squares = np.full(losses.shape[1], imagined * most * (1 - most))
    for past, loss in enumerate(losses):
        each = needed / (len(losses) - past)  # growth needed from each building to come
        bet = np.sqrt(2 * each / (squares / (imagined + past)))  # best if gains are small
        bet /= 1 + bet / 3  # but they are not: as in Bernstein's inequality
        with np.errstate(over="ignore"):
            enough = np.expm1(each) / most  # the smallest bet that suffices if no loss follows
        bet = np.minimum(np.maximum(bet, enough), 1 / (1 - most))  # no debts
        growth = np.log(np.maximum(1 + bet * (most - loss), 1e-300))
        needed = np.maximum(needed - growth, 0)
        needed[needed < 1e-9] = 0  # reached, but for rounding: from here on the bet is 0
        squares += (most - loss) ** 2
    return np.asarray(needed == 0)
