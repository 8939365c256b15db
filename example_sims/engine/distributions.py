"""Random variates, drawn from an RNG exactly as OMNeT++ draws them.

Standard library only. Rules: OMNeT++ 6.1, src/sim/distrib.cc; which numbers are drawn, and in which order, is part of
them. The last digit is that of the C library's `log`, `cos` and the like, which Python calls, too.
"""

from __future__ import annotations

import math
import sys
from math import cos, exp, floor, log, sqrt, tan
from typing import TYPE_CHECKING

from .errors import SimulationError

if TYPE_CHECKING:
    from .rng import MersenneTwister


def uniform(rng: MersenneTwister, a: float, b: float) -> float:
    """Draw from the uniform distribution on [a, b)."""
    if a > b:
        raise SimulationError(f"uniform(): Wrong parameters a={a:g} and b={b:g}: a <= b required")
    return a + rng.double() * (b - a)


def exponential(rng: MersenneTwister, mean: float) -> float:
    """Draw from the exponential distribution."""
    return -mean * log(1.0 - rng.double())


def normal(rng: MersenneTwister, mean: float, stddev: float) -> float:
    """Draw from the normal distribution."""
    u = 1.0 - rng.double()
    v = 1.0 - rng.double()
    return mean + stddev * sqrt(-2.0 * log(u)) * cos(math.pi * 2 * v)


def truncnormal(rng: MersenneTwister, mean: float, stddev: float) -> float:
    """Draw from the normal distribution until the number is not negative."""
    while True:
        result = normal(rng, mean, stddev)
        if result >= 0:
            return result


def gamma_d(rng: MersenneTwister, alpha: float, theta: float) -> float:
    """Draw from the gamma distribution."""
    if alpha <= 0 or theta <= 0:
        raise SimulationError(
            f"gamma(): Wrong parameters alpha={alpha:g}, theta={theta:g}: Both must be positive",
        )
    if abs(alpha - 1.0) <= sys.float_info.epsilon:
        return exponential(rng, theta)
    if alpha < 1.0:
        large = _gamma_above_one(rng, 1 + alpha)
        return theta * (large * math.pow(rng.double(), 1 / alpha))
    return theta * _gamma_above_one(rng, alpha)


def _gamma_above_one(rng: MersenneTwister, alpha: float) -> float:
    """Draw from the gamma distribution for alpha > 1 by the method of Marsaglia and Tsang (ACM TOMS 26:3, 2000)."""
    d = alpha - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    while True:
        while True:
            u = 1.0 - rng.double()
            v = 1.0 - rng.double()
            x = sqrt(-2.0 * log(u)) * cos(math.pi * 2 * v)
            v = 1.0 + c * x
            if v > 0:
                break
        v = v * v * v
        u = rng.double()
        if u < 1.0 - 0.0331 * (x * x) * (x * x) or log(u) < 0.5 * x * x + d * (1.0 - v + log(v)):
            return d * v


def beta(rng: MersenneTwister, alpha1: float, alpha2: float) -> float:
    """Draw from the beta distribution."""
    if alpha1 <= 0 or alpha2 <= 0:
        raise SimulationError(
            f"beta(): Wrong parameters alpha1={alpha1:g}, alpha2={alpha2:g}: Both must be positive",
        )
    y1 = gamma_d(rng, alpha1, 1.0)
    y2 = gamma_d(rng, alpha2, 1.0)
    return y1 / (y1 + y2)


def erlang_k(rng: MersenneTwister, k: int, mean: float) -> float:
    """Draw from the Erlang distribution with `k` phases."""
    product = 1.0
    for _ in range(k):
        product *= 1.0 - rng.double()
    return -(mean / float(k)) * log(product)


def chi_square(rng: MersenneTwister, k: int) -> float:
    """Draw from the chi-square distribution with `k` degrees of freedom."""
    return erlang_k(rng, k >> 1, k) if k % 2 == 0 else gamma_d(rng, float(k) / 2.0, 2.0)


def student_t(rng: MersenneTwister, i: int) -> float:
    """Draw from Student's t distribution with `i` degrees of freedom."""
    z = normal(rng, 0, 1)
    w = sqrt(chi_square(rng, i) / float(i))
    return z / w


def cauchy(rng: MersenneTwister, a: float, b: float) -> float:
    """Draw from the Cauchy distribution."""
    if b <= 0:
        raise SimulationError(f"cauchy(): Wrong parameters a={a:g}, b={b:g}: b>0 expected")
    return a + b * tan(math.pi * rng.double())


def triang(rng: MersenneTwister, a: float, b: float, c: float) -> float:
    """Draw from the triangular distribution from `a` to `c` with its peak at `b`."""
    if b < a or c < b or a == c:
        raise SimulationError(f"triang(): Wrong parameters a={a:g}, b={b:g}, c={c:g}: a<=b<=c, a<c expected")
    u = rng.double()
    peak = (b - a) / (c - a)
    t = sqrt(peak * u) if u < peak else 1.0 - sqrt((1.0 - peak) * (1.0 - u))
    return a + (c - a) * t


def lognormal(rng: MersenneTwister, m: float, w: float) -> float:
    """Draw from the lognormal distribution; `m` and `w` are those of the normal one beneath."""
    return exp(normal(rng, m, w))


def weibull(rng: MersenneTwister, a: float, b: float) -> float:
    """Draw from the Weibull distribution."""
    if a <= 0 or b <= 0:
        raise SimulationError(f"weibull(): Wrong parameters a={a:g}, b={b:g}: Both must be positive")
    return a * math.pow(-log(1.0 - rng.double()), 1.0 / b)


def pareto_shifted(rng: MersenneTwister, a: float, b: float, c: float) -> float:
    """Draw from the shifted generalized Pareto distribution."""
    if a == 0:
        raise SimulationError("pareto_shifted(): Wrong parameter a=0: Cannot be zero")
    return b / math.pow(1.0 - rng.double(), 1.0 / a) - c


def intuniform(rng: MersenneTwister, a: int, b: int) -> int:
    """Draw an integer from `a` to `b`, both included."""
    if a > b:
        raise SimulationError(f"intuniform(): Wrong parameters a={a} and b={b}: a <= b required")
    return a + rng.integer(b - a + 1)


def intuniformexcl(rng: MersenneTwister, a: int, b: int) -> int:
    """Draw an integer from `a` to `b` - 1."""
    if a >= b:
        raise SimulationError(f"intuniformexcl(): Wrong parameters a={a} and b={b}: a < b required")
    return a + rng.integer(b - a)


def bernoulli(rng: MersenneTwister, p: float) -> int:
    """Draw 1 with probability `p`, else 0."""
    return 1 if p > rng.double() else 0


def binomial(rng: MersenneTwister, n: int, p: float) -> int:
    """Draw from the binomial distribution: `n` trials, one number each."""
    return sum(bernoulli(rng, p) for _ in range(n))


def geometric(rng: MersenneTwister, p: float) -> int:
    """Draw from the geometric distribution."""
    if p < 0 or p >= 1:
        raise SimulationError(f"geometric(): Wrong parameter p={p:g}: Out of range [0,1)")
    a = 1.0 / log(1.0 - p)
    return floor(a * log(1.0 - rng.double()))


def negbinomial(rng: MersenneTwister, n: int, p: float) -> int:
    """Draw from the negative binomial distribution."""
    return sum(geometric(rng, p) for _ in range(n))


def poisson(rng: MersenneTwister, mean: float) -> int:
    """Draw from the Poisson distribution, above 30 by rejection."""
    if mean <= 30.0:
        limit = exp(-mean)
        product = 1.0
        count = -1
        while product > limit:
            product *= rng.double()
            count += 1
        return count
    a = math.pi * sqrt(mean / 3.0)
    b = a / mean
    c = 0.767 - 3.36 / mean
    d = log(c) - log(b) - mean
    while True:
        while True:
            u = rng.double()
            y = (a - log((1.0 - u) / u)) / b
            if y > -0.5:
                break
        count = floor(y + 0.5)
        v = rng.double()
        if a - b * y + log(v / 1.0 + math.pow(exp(a - b * y), 2.0)) <= d + count * log(mean) - log(float(count)):
            return count
