"""The environment of simulations."""

from __future__ import annotations

import pytest
from oppcloud_worker.confinement import without_secrets


@pytest.mark.parametrize(
    "name",
    [
        "OPPCLOUD_REDIS_URL",
        "OPPCLOUD_KEY",
        "OPPCLOUD_KEY_FILE",
        "OPPCLOUD_STORE",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "ECS_CONTAINER_METADATA_URI_V4",
        "MY_REDIS",
        "REDISCLI_AUTH",
        "GITHUB_TOKEN",
        "db_password",
        "OPENAI_API_KEY",
        "SSH_AUTH_SOCK",
    ],
)
def test_secrets_stay_with_the_worker(name: str) -> None:
    assert without_secrets({name: "x"}) == {}


def test_a_password_in_a_url_is_a_secret_whatever_it_is_called() -> None:
    assert without_secrets({"BROKER": "amqp://user:secret@host/", "INDEX": "https://host/a:b@c"}) == {
        "INDEX": "https://host/a:b@c"
    }


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "OMNETPP_ROOT", "INET_ROOT", "NEDPATH", "OPPCLOUD_TEST_MARK"]
)
def test_what_simulations_need_stays(name: str) -> None:
    assert without_secrets({name: "x"}) == {name: "x"}
