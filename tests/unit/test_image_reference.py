from __future__ import annotations

import pytest

from pytest_oppcloud.errors import SettingsError
from pytest_oppcloud.images import Reference

ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("worker", "docker.io/worker:latest"),
        ("worker:1.2", "docker.io/worker:1.2"),
        ("user/worker", "docker.io/user/worker:latest"),
        ("localhost/worker", "localhost/worker:latest"),
        ("localhost:5000/worker:A_b-c.9", "localhost:5000/worker:A_b-c.9"),
        ("registry.example.org/a/b-c/d__e:1", "registry.example.org/a/b-c/d__e:1"),
        ("[::1]:5000/worker", "[::1]:5000/worker:latest"),
        (f"{ECR}/worker:1", f"{ECR}/worker:1"),
    ],
)
def test_names_are_understood_as_docker_does(text: str, full: str) -> None:
    assert str(Reference.parse(text)) == full


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Worker",
        "worker:",
        "worker:a b",
        "worker:" + "x" * 129,
        "/worker",
        "a//b",
        "-worker",
        "worker@sha256:00",
        "a.b/",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not the name of an image"):
        Reference.parse(text)


@pytest.mark.parametrize(
    ("registry", "region"),
    [
        (ECR, "eu-central-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("123456789012.dkr-ecr.us-east-1.on.aws", "us-east-1"),
        ("ghcr.io", None),
        (f"{ECR}.evil.example", None),
        ("public.ecr.aws", None),
    ],
)
def test_amazon_s_registries_are_recognised(registry: str, region: str | None) -> None:
    name = Reference.parse(f"{registry}/worker")

    assert name.ecr_region == region
    assert name.ecr_account == (None if region is None else "123456789012")


@pytest.mark.parametrize(
    ("registry", "here"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("127.0.0.1.example.org", False),
        ("ghcr.io", False),
    ],
)
def test_registries_of_this_machine_are_recognised(registry: str, here: bool) -> None:
    assert Reference.parse(f"{registry}/worker").on_this_machine is here
