"""Amazon's registry: repository, credentials, and what `oppcloud image push` makes of them.

The service is moto, in a process of its own as far as boto3 can tell. No registry of Amazon's can be had offline, so
the program that would push is one that writes down what it was told; real pushes are in tests/image.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from pytest_oppcloud.cli.image import image_command
from pytest_oppcloud.errors import MachineryError, SettingsError
from pytest_oppcloud.images import Reference, ecr

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "eu-central-1"
ACCOUNT = "123456789012"
NAME = Reference.parse(f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/team/worker:1")
#: Writes down its arguments and, for a login, what came on standard input.
_SCRIBE = """\
#!/bin/sh
echo "$@" >> "$SCRIBE_FILE"
case "$1" in login) cat >> "$SCRIBE_FILE"; echo >> "$SCRIBE_FILE";; esac
"""


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Give the address of a fresh service, with credentials in the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield address
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/reset", method="POST")).close()  # noqa: S310  # a server of ours
    server.stop()


@pytest.fixture
def scribe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the file in which a program in podman's place writes what it was told."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "podman").write_text(_SCRIBE, encoding="utf-8")
    (programs / "podman").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("SCRIBE_FILE", str(tmp_path / "told"))
    return tmp_path / "told"


def _repository() -> dict[str, Any]:
    client = boto3.client("ecr", region_name=REGION)
    found: dict[str, Any] = client.describe_repositories(repositoryNames=["team/worker"])["repositories"][0]
    return found


@pytest.mark.usefixtures("amazon")
def test_a_missing_repository_is_created_once() -> None:
    created = [ecr.ensure_repository(NAME), ecr.ensure_repository(NAME)]

    assert created == [True, False]
    repository = _repository()
    assert repository["registryId"] == ACCOUNT
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfiguration"]["encryptionType"] == "AES256"


@pytest.mark.usefixtures("amazon")
def test_what_no_tag_names_is_forgotten() -> None:
    ecr.ensure_repository(NAME)

    client = boto3.client("ecr", region_name=REGION)
    policy = json.loads(client.get_lifecycle_policy(repositoryName="team/worker")["lifecyclePolicyText"])
    tags = client.list_tags_for_resource(resourceArn=_repository()["repositoryArn"])["tags"]

    assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged"]
    assert tags == list(ecr.TAGS)


@pytest.mark.usefixtures("amazon")
def test_credentials_are_not_shown() -> None:
    found = ecr.credentials(NAME)

    assert found.user == "AWS"
    assert found.password
    assert found.password not in repr(found)


@pytest.mark.usefixtures("amazon")
def test_the_registry_is_that_of_the_account() -> None:
    assert ecr.own_registry(REGION) == NAME.registry
    assert ecr.own_registry("cn-north-1").endswith(".amazonaws.com.cn")
    with pytest.raises(SettingsError, match="no region"):
        ecr.own_registry()


@pytest.mark.usefixtures("amazon")
def test_push_creates_logs_in_and_pushes(scribe: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = image_command(["push", "--ecr", "team/worker:1", "--region", REGION, "--tool", "podman"])

    told = [line for line in scribe.read_text(encoding="utf-8").splitlines() if line != "--version"]
    shown = capfd.readouterr().out
    password = ecr.credentials(NAME).password
    assert code == 0
    assert told[0] == f"login --username AWS --password-stdin {NAME.registry}"
    assert told[1] == password
    assert told[2] == f"tag localhost/oppcloud-worker:latest {NAME}"
    assert told[3].startswith("push --format v2s2 --digestfile ")
    assert told[3].endswith(str(NAME))
    assert f"created the repository team/worker in {NAME.registry}" in shown
    assert password not in shown


def test_without_credentials_it_says_what_to_do(amazon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert amazon
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(SettingsError) as raised:
        ecr.ensure_repository(NAME)

    assert "needs credentials" in raised.value.message
    assert "AWS_PROFILE" in raised.value.advice


def _check_rights_after(amazon: str, actions: str) -> None:
    """Let moto check what the credentials may do, after so many actions; "inf" for never."""
    address, kind = f"{amazon}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    request = urllib.request.Request(address, data=actions.encode(), headers=kind, method="POST")  # noqa: S310  # a server of ours
    urllib.request.urlopen(request).close()  # noqa: S310  # a server of ours


def test_without_rights_it_says_amazon_s_words(amazon: str) -> None:
    _check_rights_after(amazon, "0")
    try:
        with pytest.raises(MachineryError, match="The security token included in the request is invalid"):
            ecr.ensure_repository(NAME)
    finally:
        _check_rights_after(amazon, "inf")


def test_unreachable_service_is_an_error_of_the_machinery(amazon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert amazon
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(MachineryError, match="Could not connect"):
        ecr.credentials(NAME)


def test_two_registries_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert image_command(["push", "--ecr", "ghcr.io/team/worker"]) == 1
    assert "Leave out one of them" in capsys.readouterr().err


def test_a_region_needs_amazon(capsys: pytest.CaptureFixture[str]) -> None:
    assert image_command(["push", "ghcr.io/team/worker", "--region", REGION]) == 1
    assert "--region goes with --ecr" in capsys.readouterr().err
