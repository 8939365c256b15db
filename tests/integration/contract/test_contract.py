"""The contract: the same project gives the same in every mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Contract, Mode

#: What becomes of the items: the reports that tell more than that a phase went well.
EXPECTED = {
    "omnetpp.ini::General::#0": ["call passed"],
    "omnetpp.ini::Good::value=1-#0": ["call passed"],
    "omnetpp.ini::Good::value=2-#0": ["call passed"],
    "omnetpp.ini::Bad::#0": ["call failed"],
    "omnetpp.ini::Broken::#0": ["call failed"],
    "omnetpp.ini::Crash::#0": ["call failed"],
    "omnetpp.ini::Asks::#0": ["call skipped"],
    "omnetpp.ini::Known::#0": ["call xskipped"],
    "omnetpp.ini::Surprise::#0": ["call xpassed"],
    "omnetpp.ini::Later::#0": ["setup skipped"],
    "omnetpp.ini::Missing::#0": ["setup failed"],
    # An error of the machinery, which no xfail mark hides.
    "omnetpp.ini::Hidden::#0": ["setup failed"],
    "omnetpp.ini::Recovers::#0": ["call failed"],
    "test_ordinary.py::test_good": ["call passed"],
    "test_ordinary.py::test_bad": ["call failed"],
    "test_ordinary.py::test_many[1]": ["call passed"],
    "test_ordinary.py::test_many[2]": ["call passed"],
    "test_ordinary.py::test_skipped": ["setup skipped"],
    "test_ordinary.py::test_known": ["call xskipped"],
    "test_ordinary.py::test_surprise": ["call xpassed"],
    "test_ordinary.py::test_strict": ["call failed"],
    "test_ordinary.py::test_without_fixture": ["setup failed"],
    "test_ordinary.py::test_untidy": ["call passed", "teardown failed"],
    "test_ordinary.py::TestClass::test_one": ["call passed"],
    "test_ordinary.py::TestClass::test_two": ["call passed"],
}


def test_a_whole_session_and_its_failures_again(contract: Contract, plain: Mode, modes: list[Mode]) -> None:
    again = ("--lf", "-k", "Bad or Missing or test_bad or Good")
    whole, failed = contract.run(plain), contract.run(plain, *again)

    assert whole.verdicts == EXPECTED
    assert whole.exit_code == pytest.ExitCode.TESTS_FAILED
    assert set(failed.verdicts) == {"omnetpp.ini::Bad::#0", "omnetpp.ini::Missing::#0", "test_ordinary.py::test_bad"}
    assert len(whole.simulated) == 10
    for mode in modes:
        contract.fresh()
        seen = contract.run(mode)
        seen.agrees_with(whole)
        # Fixtures are set up once and torn down at once, however simulations come in between.
        assert mode.distributes or seen.fixtures == whole.fixtures
        contract.run(mode, *again).agrees_with(failed)


def test_what_is_chosen_by_a_mark_and_what_is_strict(contract: Contract, plain: Mode, modes: list[Mode]) -> None:
    contract.write("pytest.ini", "[pytest]\nxfail_strict = true\n")
    options = ("-m", "slow or (xfail and not filterwarnings)", "-k", "not Hidden")
    contract.write(
        "oppcloud.toml",
        (contract.folder / "oppcloud.toml").read_text().replace('"one day"', '"one day"\nmarkers = ["slow"]'),
    )
    expected = contract.run(plain, *options)

    assert expected.verdicts == {
        "omnetpp.ini::Good::value=1-#0": ["call passed"],
        "omnetpp.ini::Good::value=2-#0": ["call passed"],
        "omnetpp.ini::Known::#0": ["call xskipped"],
        "omnetpp.ini::Surprise::#0": ["call failed"],
        "test_ordinary.py::test_many[1]": ["call passed"],
        "test_ordinary.py::test_many[2]": ["call passed"],
    }
    for mode in modes:
        contract.run(mode, *options).agrees_with(expected)


def test_stopping_early(contract: Contract, plain: Mode, modes: list[Mode]) -> None:
    chosen = ("-k", "Good or Bad or Broken or test_good or test_bad")
    whole = contract.run(plain, *chosen)
    for option, most in (("-x", 1), ("--maxfail=2", 2)):
        stopped = contract.run(plain, option, *chosen)
        assert stopped.exit_code == pytest.ExitCode.TESTS_FAILED
        for mode in modes:
            if mode.attaches and option != "-x":
                continue
            seen = contract.run(mode, option, *chosen)
            # Which items ran depends on when simulations end, what became of them does not.
            assert set(seen.verdicts) <= set(whole.verdicts)
            assert all(reports == whole.verdicts[name] for name, reports in seen.verdicts.items()), seen.output
            assert set(seen.junit) <= set(whole.junit), seen.output
            failures = sum(reports == ["call failed"] for reports in seen.verdicts.values())
            if mode.distributes:
                # xdist ends with "interrupted", and more may have failed by then.
                assert seen.exit_code == pytest.ExitCode.INTERRUPTED, seen.output
                assert failures >= most, seen.output
            else:
                assert seen.exit_code == stopped.exit_code, seen.output
                assert failures == most, seen.output


def test_one_step_after_the_other(contract: Contract, plain: Mode, modes: list[Mode]) -> None:
    """The next session goes on at the item that failed: none before it may be left out, whenever it ended."""
    chosen = ("--sw", "-k", "Good or Bad or Later or Missing")
    ini = (contract.folder / "omnetpp.ini").read_text()
    mended = ini.replace("value = 5", "value = 4")
    expected = [contract.run(plain, *chosen)]
    contract.write("omnetpp.ini", mended)
    expected.append(contract.run(plain, *chosen))
    bad, missing = "omnetpp.ini::Bad::#0", "omnetpp.ini::Missing::#0"
    assert [missing in seen.verdicts for seen in expected] == [False, True]
    assert [seen.verdicts[bad] for seen in expected] == [["call failed"], ["call passed"]]
    for mode in (mode for mode in modes if not mode.distributes):
        contract.fresh()
        contract.write("omnetpp.ini", ini)
        contract.run(mode, *chosen).agrees_with(expected[0])
        contract.write("omnetpp.ini", mended)
        contract.run(mode, *chosen).agrees_with(expected[1])


def test_one_step_after_the_other_with_xdist(contract: Contract, modes: list[Mode]) -> None:
    """What runs beside the item that fails is chance; that the next session goes on there is not."""
    chosen = ("--sw", "-k", "(Good or Bad or Later or test_good) and not test_bad")
    ini = (contract.folder / "omnetpp.ini").read_text()
    bad = "omnetpp.ini::Bad::#0"
    for mode in (mode for mode in modes if mode.distributes):
        contract.fresh()
        contract.write("omnetpp.ini", ini)
        first = contract.run(mode, *chosen)
        assert first.exit_code == pytest.ExitCode.INTERRUPTED, first.output
        assert first.verdicts == {name: EXPECTED[name] for name in first.verdicts}
        assert bad in first.verdicts, first.output
        contract.write("omnetpp.ini", ini.replace("value = 5", "value = 4"))
        then = contract.run(mode, *chosen)
        assert then.exit_code == pytest.ExitCode.OK, then.output
        assert then.verdicts == {
            bad: ["call passed"],
            "omnetpp.ini::Later::#0": ["setup skipped"],
            "test_ordinary.py::test_good": ["call passed"],
        }


def test_among_the_plugins_that_many_have(contract: Contract, plain: Mode, modes: list[Mode]) -> None:
    options = ("--reruns=1", "--timeout=100", "--html=report.html", "-k", "Recovers or Bad or Missing or test_bad")
    plugins = ("html", "metadata", "randomly", "rerunfailures", "timeout")
    expected = contract.run(plain, *options, plugins=plugins)

    assert expected.verdicts == {
        "omnetpp.ini::Bad::#0": ["call failed", "call rerun"],
        "omnetpp.ini::Missing::#0": ["setup failed", "setup rerun"],
        "omnetpp.ini::Recovers::#0": ["call passed", "call rerun"],
        "test_ordinary.py::test_bad": ["call failed", "call rerun"],
    }
    assert expected.simulated == {"Bad #0": 2, "Recovers #0": 2}
    for mode in modes:
        contract.fresh()
        contract.run(mode, *options, plugins=plugins).agrees_with(expected)
        report = (contract.folder / "report.html").read_text()
        assert all(name in report for name in expected.verdicts)
        (contract.folder / "report.html").unlink()


def test_a_limit_of_pytest_timeout_is_one_of_the_simulation(contract: Contract, plain: Mode, modes: list[Mode]) -> None:
    contract.write("omnetpp.ini", (contract.folder / "omnetpp.ini").read_text().replace('"crash"', '"wait"'))
    # No other run: it might take as long on a busy machine, in this mode or in that.
    options = ("-k", "Crash", "--timeout=2")
    expected = contract.run(plain, *options, plugins=("timeout",))

    assert expected.verdicts["omnetpp.ini::Crash::#0"] == ["call failed"]
    assert "timeout: " in expected.output
    assert "\nagain, alone: pytest -p no:oppcloud 'omnetpp.ini::Crash::#0' --timeout=2\n" in expected.output
    for mode in (mode for mode in modes if not (mode.distributes or mode.attaches)):
        contract.run(mode, *options, plugins=("timeout",)).agrees_with(expected)


def test_the_loop_of_another_plugin(contract: Contract, plain: Mode, modes: list[Mode]) -> None:
    options = ("-k", "Good or Bad or test_good")
    expected = contract.run(plain, *options)
    (cloud,) = (mode for mode in modes if mode.name == "cloud")
    seen = contract.run(cloud, *options, plugins=("asyncio-cooperative",))

    seen.agrees_with(expected)
    assert "\noppcloud: asyncio-cooperative owns the run loop; simulations are judged in its order\n" in seen.output
