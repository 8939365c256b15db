"""Random numbers: the generator, and what is drawn from it."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
from engine.errors import SimulationError
from engine.rng import MersenneTwister
from mm1.mm1 import MM1

if typing.TYPE_CHECKING:
    from .conftest import Simulate

MM1_INI = Path(__file__).parents[3] / "example_sims" / "mm1" / "omnetpp.ini"

#: Service time, how the result file prints it, number and sum of the service times that were drawn. Recorded with
#: OMNeT++ 6.1 (gcc 12, x86-64 Linux) and the C++ model of example_sims/mm1, as OPTIONS say.
DRAWN = [
    ("uniform(1s, 3s)", "uniform(1s, 3s)", 39, "82.716487104538828"),
    ("exponential(2s)", "exponential(2s)", 38, "80.934251460026815"),
    ("normal(5s, 1s)", "normal(5s, 1s)", 19, "96.851761940416338"),
    ("truncnormal(1s, 2s)", "truncnormal(1s, 2s)", 39, "81.193945178932779"),
    ("gamma_d(0.4, 2s)", "gamma_d(0.4, 2s)", 74, "44.60531232415655"),
    ("gamma_d(2.5, 2s)", "gamma_d(2.5, 2s)", 18, "91.436866615830994"),
    ("gamma_d(1, 2s)", "gamma_d(1, 2s)", 38, "80.934251460026815"),
    ("1s * beta(0.7, 2.5)", "1s*beta(0.7, 2.5)", 100, "22.565707626614568"),
    ("erlang_k(3, 2s)", "erlang_k(3, 2s)", 39, "81.037183065052602"),
    ("1s * chi_square(4)", "1s*chi_square(4)", 21, "98.070526491373968"),
    ("1s * chi_square(3)", "1s*chi_square(3)", 31, "88.60684477259268"),
    ("1s * fabs(student_t(4))", "1s*fabs(student_t(4))", 63, "66.790871034758027"),
    ("min(fabs(cauchy(1s, 2s)), 20s)", "min(fabs(cauchy(1s, 2s)), 20s)", 20, "106.41889216610092"),
    ("triang(1s, 2s, 5s)", "triang(1s, 2s, 5s)", 30, "84.96151294905286"),
    ("1s * lognormal(0.1, 0.5)", "1s*lognormal(0.1, 0.5)", 61, "76.390399657305366"),
    ("weibull(2s, 1.5s / 1s * 1s)", "weibull(2s, 1.5s)", 40, "80.105934246307172"),
    ("pareto_shifted(3, 2s, 1s)", "pareto_shifted(3, 2s, 1s)", 40, "80.886997404193977"),
    ("1s * intuniform(0, 9)", "1s*intuniform(0, 9)", 19, "99"),
    ("1s * intuniformexcl(2, 9)", "1s*intuniformexcl(2, 9)", 21, "101"),
    ("1s * bernoulli(0.3) + 1s", "1s*bernoulli(0.3)+1s", 83, "100"),
    ("1s * binomial(9, 0.3)", "1s*binomial(9, 0.3)", 39, "98"),
    ("1s * geometric(0.3)", "1s*geometric(0.3)", 37, "97"),
    ("1s * negbinomial(3, 0.4)", "1s*negbinomial(3, 0.4)", 19, "100"),
    ("1s * poisson(4)", "1s*poisson(4)", 22, "100"),
    ("1s * poisson(45)", "1s*poisson(45)", 3, "141"),
    ("max(uniform(0s, 2s), 1000ms)", "max(uniform(0s, 2s), 1000ms)", 63, "81.270898949820548"),
    (
        "uniform(0, 1) < 0.8 ? uniform(0s, 10ms) : 400ms",
        "uniform(0, 1) < 0.8 ? uniform(0s, 10ms) : 400ms",
        100,
        "8.8388372362335268",
    ),
    ("1s * int(uniform(1, 3)) + 1s * double(2)", "1s*int(uniform(1, 3))+1s*double(2)", 28, "102"),
]
OPTIONS = (
    "sim-time-limit=100s",
    "output-scalar-precision=17",
    "**.source.interArrivalTime=1s",
    "**.queue.capacity=0",
)


def test_the_generator_passes_the_self_test_of_omnetpp() -> None:
    # cMersenneTwister::selfTest of src/sim/cmersennetwister.cc: seed 1, the number after 10,000 others.
    rng = MersenneTwister(1)
    for _ in range(10_000):
        rng.integer(2**32)
    assert rng.integer(2**32) == 2915232614
    assert rng.numbers_drawn == 10_001


def test_an_integer_counts_as_one_number_even_if_some_were_thrown_away() -> None:
    rng = MersenneTwister(0)
    assert all(0 <= rng.integer(5) < 5 for _ in range(100))
    assert rng.integer(1) == 0
    assert rng.numbers_drawn == 101


def test_seeds_are_32_bits_wide() -> None:
    assert MersenneTwister(2**32 + 7).double() == MersenneTwister(7).double()


@pytest.mark.parametrize(("expression", "printed", "count", "total"), DRAWN, ids=[row[0] for row in DRAWN])
def test_distributions_draw_as_omnetpp_does(
    simulate: Simulate, expression: str, printed: str, count: int, total: str
) -> None:
    finished = simulate(MM1, *OPTIONS, f"**.queue.serviceTime={expression}", ini=MM1_INI)
    start = finished.lines.index("statistic MM1.queue serviceTimes")
    fields = dict(line.split()[1:] for line in finished.lines[start + 1 : start + 8])
    assert (fields["count"], fields["sum"]) == (str(count), total)
    shown = f'"{printed}"' if " " in printed else printed
    assert f"MM1.queue serviceTime {shown}" in finished.values("par")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("uniform(3s, 1s)", "uniform(): uniform(): Wrong parameters a=3 and b=1: a <= b required"),
        ("exponential(1)", "Cannot convert unit none to 's' (second)"),
        ("1s + 2", "operator '+': Cannot convert unit none to 's' (second)"),
        ('-"a"', "operator '-': Numeric argument expected, got string"),
        ("foo(3)", "No 'foo' function accepting 1 argument(s) was found"),
        ("bar", "(Queue)MM1.queue has no parameter named 'bar'"),
        ("exponential(1s, 5)", "exponential(): RNG index 5 is out of range (num-rngs=1, check the configuration)"),
        ("truncnormal(1s, 2b)", "truncnormal(): Cannot convert unit 'b' (bit) to 's' (second)"),
    ],
)
def test_a_bad_value_is_an_error_in_omnetpps_words(simulate: Simulate, expression: str, message: str) -> None:
    # Recorded with OMNeT++ 6.1, which adds where the value was set.
    with pytest.raises(SimulationError) as caught:
        simulate(MM1, "sim-time-limit=3s", f"**.queue.serviceTime={expression}", ini=MM1_INI)
    where = "in module (Queue) MM1.queue (id=3), at t=1.591749009132s, event #2"
    assert str(caught.value) == f"Cannot assign parameter 'serviceTime': {message} -- {where}"
