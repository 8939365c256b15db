"""The texts for people name what there is: every module has its place on the map, every page can be found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from pytest_oppcloud import hookspecs

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md"), *ROOT.glob("example_sims/*.md")]
)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def map_of_the_code() -> list[str]:
    """Return the files and folders that CONTRIBUTING.md sends people to."""
    text = (
        (ROOT / "CONTRIBUTING.md")
        .read_text(encoding="utf-8")
        .partition("## Where do I change what")[2]
        .partition("\n## ")[0]
    )
    places = [row.rstrip("| ").rpartition(" | ")[2] for row in text.splitlines() if row.startswith("| ")]
    return re.findall(r"`([^`]+)`", "\n".join(places))


def test_what_the_map_names_is_there() -> None:
    assert len(map_of_the_code()) > 40
    assert [name for name in map_of_the_code() if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("package", ["pytest_oppcloud", "worker/oppcloud_worker"])
def test_every_module_is_on_the_map(package: str) -> None:
    """A module counts as named by itself; a package also by one of its modules."""
    named = map_of_the_code()
    rooms = [
        shown(path)
        for path in (ROOT / package).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
        if path.name != "__init__.py"
    ]
    assert len(rooms) > 10
    missing = [room for room in rooms if not any(name == room or name.startswith(f"{room}/") for name in named)]
    assert missing == [], 'say in CONTRIBUTING.md, "Where do I change what", what one changes there'


def test_the_layers_name_every_module() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| layer |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`([^`]+)`", table))
    rooms = {path.stem for path in (ROOT / "pytest_oppcloud").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - named - {"__init__", "__pycache__", "cloud", "plugin"} == set()


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target).resolve() for target in _LINK.findall(index.read_text(encoding="utf-8"))}
    pages = {page.resolve() for page in ROOT.glob("docs/**/*.md")} - {index.resolve()}
    assert sorted(map(shown, pages - listed)) == []


def test_every_hook_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
    hooks = [name for name in vars(hookspecs) if name.startswith("pytest_oppcloud_")]
    assert hooks
    assert [name for name in hooks if f"`{name}(" not in page] == []


def test_the_commands_that_people_are_told_are_there() -> None:
    targets = dict(re.findall(r"^([a-z-]+):.*?(##.*)?$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^    |`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"demo", "test"} <= told
    assert [target for target in sorted(told) if not targets.get(target)] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    assert [target for target in phony[1].split() if not targets.get(target)] == []
    assert ".DEFAULT_GOAL := help" in makefile
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_tests_that_the_check_list_names_are_there() -> None:
    page = (ROOT / "docs" / "reference" / "aws-checklist.md").read_text(encoding="utf-8")
    tests = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py")}
    named = set(re.findall(r"`(test_\w+\.py)", page))
    assert len(named) > 4
    assert named - tests.keys() == set()
    told = "\n".join(tests[name] for name in named)
    assert [name for name in re.findall(r"\b(test_\w+)\b(?!\.py)", page) if f"def {name}(" not in told] == []


def test_the_recipe_for_github_keeps_no_keys_and_gives_strangers_no_role() -> None:
    text = (ROOT / "docs/how-to/github-actions.md").read_text(encoding="utf-8")
    # YAML takes `on` for a boolean.
    campaign, fork, reap = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    assert "aws-access-key-id" not in text
    assert "secrets." not in text
    for workflow in (campaign, reap):
        assert workflow["permissions"]["id-token"] == "write"
        assert "pull_request" not in workflow[True]
        (job,) = workflow["jobs"].values()
        # The role is for the environment, see its trust.
        assert job["environment"]
        assert any("role-to-assume" in step.get("with", {}) for step in job["steps"])
    assert "id-token" not in fork["permissions"]
    assert "role-to-assume" not in str(fork)
    assert reap[True]["schedule"][0]["cron"]
    assert {"run": "oppcloud reap --yes"} in reap["jobs"]["reap"]["steps"]
    trust = json.loads(text.partition("<<'JSON'\n")[2].partition("    JSON\n")[0])
    (subject,) = (value for key, value in trust["Statement"][0]["Condition"]["StringEquals"].items() if "sub" in key)
    assert subject.endswith(":environment:cloud")
    assert "*" not in subject
