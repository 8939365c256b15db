"""`oppcloud.toml`: what it may say, and how mistakes in it are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_oppcloud.errors import SettingsError
from pytest_oppcloud.project import UNLIMITED, Project, find_project_file, read_project
from pytest_oppcloud.project.keys import KEYS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "oppcloud-toml.md"


def project(folder: Path, text: str) -> Project:
    file = folder / "oppcloud.toml"
    file.write_text(text)
    return read_project(file)


def test_every_key_is_read(tmp_path: Path) -> None:
    text = """
program = "./aloha -m"
arguments = ["-x", "a.b"]
ned_path = [".", "../common"]
mode = "debug"
build = ["make", "-j2"]
build_timeout = "10min"
extra_options = ["rng-grouping"]
omnetpp = "6.2"
environment = { A = "1" }

[files]
include = ["*.ned"]
exclude = ["*.tmp"]
extra = [".."]

[limits]
timeout = "1.5min"
sim_time_limit = "2h 30min"
cpu_time = 0.4
memory = "2GiB"
file_size = 1000
output = "1kB"

[needs]
memory = "1.5GiB"
image = "registry.example/inet:4.5"

[check]
fingerprints = ["tplx", "sz"]
include = ["** *:mean"]
exclude = ["**.queue"]
parameters = "values"
attributes = "off"
vectors = true

[[check.tolerances]]
module = "**.queue"
relative = 1e-9
"""
    found = project(tmp_path, text)
    settings = found.settings("Any")
    assert settings.program is not None
    assert [(item.name, item.words) for item in settings.program] == [("aloha", ("./aloha", "-m"))]
    assert settings.arguments == ("-x", "a.b")
    assert settings.ned_path == (".", "../common")
    assert (settings.mode, found.build, settings.environment) == ("debug", ("make", "-j2"), {"A": "1"})
    assert (found.build_timeout, found.omnetpp) == (600.0, "6.2")
    assert (found.files_include, found.files_exclude, found.files_extra) == (("*.ned",), ("*.tmp",), ("..",))
    assert (settings.limits_timeout, settings.limits_sim_time_limit) == (90.0, "2h 30min")
    assert (settings.limits_cpu_time, settings.limits_memory) == (1, 2 * 2**30)
    assert (settings.limits_file_size, settings.limits_output) == (1000, 1000)
    assert (settings.needs_memory, settings.needs_image) == (3 * 2**29, "registry.example/inet:4.5")
    assert settings.check_fingerprints == ("tplx", "sz")
    assert (settings.check_include, settings.check_exclude) == (("** *:mean",), ("**.queue",))
    assert (settings.check_parameters, settings.check_attributes, settings.check_vectors) == ("values", "off", True)
    (rule,) = settings.check_tolerances
    assert (rule.module, rule.name, rule.absolute, rule.relative) == ("**.queue", "**", 0.0, 1e-9)
    known = set(found.general)
    assert known == {name for name, key in KEYS.items() if not key.only_per_config}


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ('["./a", "{python} b.py -v"]', ["a", "b.py"], [("./a",), ("{python}", "b.py", "-v")]),
        ('[["./a b", "-x"]]', ["a b"], [("./a b", "-x")]),
        ('{ cpp = "./a", engine = ["{python}", "b.py"] }', ["cpp", "engine"], [("./a",), ("{python}", "b.py")]),
    ],
)
def test_alternatives_of_a_program(tmp_path: Path, text: str, names: list[str], words: list[tuple[str, ...]]) -> None:
    alternatives = project(tmp_path, f"program = {text}\n").settings("Any").program
    assert alternatives is not None
    assert [item.name for item in alternatives] == names
    assert [item.words for item in alternatives] == words


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("\nprogramm = 'x'\n", 2, "unknown key 'programm'"),
        ("[limits]\n# a comment\ntimeouts = 3\n", 3, "unknown key 'limits.timeouts'"),
        ("[files]\nextra = ['.', 'gone']\n", 2, "files.extra: there is no 'gone'"),
        ("mode = 'release'\n[nonsense]\nx = 1\n", 2, "unknown key 'nonsense'"),
        ("mode = 'fast'\n", 1, "one of 'release', 'debug' was expected, found 'fast'"),
        ("limits.timeout = true\n", 1, 'a number was expected, or a string as "1.5min", found True'),
        ("program = {}\n", 1, "program: at least one program was expected, found {}"),
        ("limits.timeout = inf\n", 1, "at most 1e+09 was expected, found inf"),
        ("limits.memory = '99999999999GiB'\n", 1, "at most 4.61169e+18 was expected, found '99999999999GiB'"),
        ("\n\narguments = 'one'\n", 3, 'a list of strings was expected, as in ["a", "b"], found \'one\''),
        ("arguments = ['-x', 'a', '--num-rngs', '3']\n", 1, "KEY=VALUE was expected"),
        ("arguments = ['--result-dir=x']\n", 1, "result-dir is given to each run and cannot be overridden"),
        ("arguments = ['-fmore.ini']\n", 1, "expected to be left out"),
        ("program = []\n", 1, "at least one program was expected"),
        ('program = "./a \'b"\n', 1, "a command was expected"),
        ("[limits]\nsim_time_limit = '100'\n", 2, "a time with a unit was expected"),
        ("[check]\nfingerprints = ['tplx/sz']\n", 2, "'tplx/sz' are none"),
        ("[[check.tolerances]]\nname = 'x'\n", 1, "absolute, relative or both"),
        ("[[check.tolerances]]\nabsolut = 1\n", 1, "unknown key 'absolut' in a tolerance"),
        ("[[check.tolerances]]\nabsolute = -1\n", 1, "not negative"),
        (
            "[[check.tolerances]]\nmodule = 'a{b'\nabsolute = 1\n",
            1,
            "a pattern was expected, and 'a{b' is none (Unmatched",
        ),
        ("[check]\nexclude = ['**.queue', '** x{']\n", 2, "a pattern was expected, and '** x{' is none"),
        ("skip = 'because'\n", 1, "'skip' belongs in a table as [config.\"Pure*\"]"),
        ("[config.A]\n\nskip = 3\n", 3, "skip: a string was expected, found 3"),
        ("[config.'A*'.check]\n\n\nvectors = 1\n", 4, "check.vectors: true or false was expected, found 1"),
        ("[config.A]\nbuild = ['make']\n", 2, "'build' holds for all configs"),
        ("config = 3\n", 1, "config holds tables"),
        ("[limits\n", 1, "is not TOML"),
    ],
)
def test_a_mistake_names_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        project(tmp_path, text)
    assert message in caught.value.message
    assert caught.value.line == line
    assert caught.value.file == str(tmp_path / "oppcloud.toml")


def test_a_set_in_a_pattern_may_hold_a_blank(tmp_path: Path) -> None:
    (rule,) = project(tmp_path, "[[check.tolerances]]\nname = 'a{ b}c'\nabsolute = 1\n").settings("A").check_tolerances
    assert rule.name == "a{ b}c"


def test_an_unknown_key_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        project(tmp_path, "[check]\nvectorz = true\n")
    assert "check.vectors" in caught.value.advice
    assert "limits.timeout" not in caught.value.advice


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "oppcloud.toml").write_bytes(b"mode = '\xff'\n")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_project(tmp_path / "oppcloud.toml")


def test_tables_of_configs_are_merged(tmp_path: Path) -> None:
    found = project(
        tmp_path,
        """
limits.timeout = 10
environment = { A = "1", B = "1" }
[[check.tolerances]]
absolute = 1
[config."Pure*"]
limits.timeout = 20
environment = { B = "2" }
markers = ["slow"]
[[config."Pure*".check.tolerances]]
absolute = 2
[config."PureBig"]
limits.timeout = 30
markers = ["big"]
skip = "too big"
""",
    )
    assert found.settings("Slotted").limits_timeout == 10
    pure, big = found.settings("PureSmall"), found.settings("PureBig")
    assert (pure.limits_timeout, pure.environment, pure.markers) == (20, {"A": "1", "B": "2"}, ("slow",))
    assert [rule.absolute for rule in pure.check_tolerances] == [2, 1]
    assert (big.limits_timeout, set(big.markers), big.skip) == (30, {"big", "slow"}, "too big")
    assert found.source("PureBig", "limits.timeout") == "oppcloud.toml:13"
    assert found.source("PureBig", "mode") == ""


def test_the_nearest_file_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_project_file(inner, top=tmp_path) is None
    (tmp_path / "oppcloud.toml").touch()
    assert find_project_file(inner, top=tmp_path) == tmp_path / "oppcloud.toml"
    assert find_project_file(inner, top=tmp_path / "a") is None
    (inner / "oppcloud.toml").touch()
    assert find_project_file(inner, top=tmp_path) == inner / "oppcloud.toml"


def test_unlimited_is_a_limit_of_its_own(tmp_path: Path) -> None:
    assert project(tmp_path, 'limits.sim_time_limit = "unlimited"').settings("A").limits_sim_time_limit == UNLIMITED


def test_every_key_stands_on_the_reference_page() -> None:
    page = REFERENCE.read_text()
    assert [name for name in KEYS if f"| `{name}` |" not in page] == []
