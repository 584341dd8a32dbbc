"""How often chance alone breaks a statistical guarantee in a simulation."""

import math

CONFIDENCE = 0.9


def most_by_chance(draws: int) -> float:
    """Fraction of broken guarantees that chance allows: 3 deviations above the true one."""
    allowed = 1 - CONFIDENCE
    return allowed + 3 * math.sqrt(allowed * CONFIDENCE / draws)
