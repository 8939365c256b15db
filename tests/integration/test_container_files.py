"""The Dockerfile, the compose file and the Kubernetes manifest, as far as they can be checked without running them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from oppcloud_worker.__main__ import parser

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yaml"
MANIFEST = ROOT / "deploy" / "kubernetes.yaml"
GUIDES = sorted((ROOT / "docs" / "how-to").glob("*.md"))


def _tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of the checkers that stand beside this Python."""
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _resources() -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def _pods() -> dict[str, dict[str, Any]]:
    return {
        name: resource["spec"]["template"]["spec"]
        for (kind, name), resource in _resources().items()
        if kind in {"Deployment", "StatefulSet"}
    }


def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return services


# -- Dockerfile -------------------------------------------------------------------------------------------------------


def test_hadolint_has_nothing_to_say() -> None:
    done = _tool("hadolint", "Dockerfile")

    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_say_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install foo\n", encoding="utf-8")

    assert _tool("hadolint", "--config", ROOT / ".hadolint.yaml", bad).returncode != 0


def test_only_what_the_image_is_made_of_travels_to_the_builder() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    sources = {word for line in copied for word in line.split()}
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }

    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


# -- compose ----------------------------------------------------------------------------------------------------------


def test_compose_file_fits_the_specification() -> None:
    done = _tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_file_is_safe_in_the_eyes_of_its_linter() -> None:
    done = _tool("compose-lint", "--fail-on", "high", COMPOSE)

    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_published_to_other_machines() -> None:
    for name, service in _services().items():
        for port in service.get("ports", []):
            assert re.match(r"\$\{\w+:-127\.0\.0\.1:\d+\}:\d+$", port), f"{name}: {port}"


@pytest.mark.parametrize("secret", ["REDIS_PASSWORD", "OPPCLOUD_KEY"])
def test_secrets_have_no_default_and_stand_in_no_command_line(secret: str) -> None:
    uses = re.findall(rf"\$\{{{secret}(.*?)\}}", COMPOSE.read_text(encoding="utf-8"))

    assert uses
    assert all(use.startswith(":?is not set") for use in uses)
    for service in _services().values():
        assert secret not in str(service.get("command"))


@pytest.mark.parametrize("name", ["redis", "worker", "dashboard"])
def test_services_are_confined(name: str) -> None:
    service = _services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_health_check_is_that_of_the_image() -> None:
    check = _services()["worker"]["healthcheck"]["test"]
    probe = _pods()["oppcloud-worker"]["containers"][0]["readinessProbe"]["exec"]["command"]

    assert f"CMD {json.dumps(check[1:])}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert probe == check[1:]


# -- Kubernetes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.29", "1.33", kubernetes_validate.latest_version()])
def test_manifest_fits_the_schemas_of_kubernetes(version: str) -> None:
    resources = _resources()

    assert len(resources) == 5
    for resource in resources.values():
        kubernetes_validate.validate(resource, version, strict=True)


def test_pods_are_confined() -> None:
    for name, pod in _pods().items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert {"requests", "limits"} == container["resources"].keys(), name


def test_selectors_meet_their_pods() -> None:
    labels = {
        name: resource["spec"]["template"]["metadata"]["labels"]
        for (kind, name), resource in _resources().items()
        if kind in {"Deployment", "StatefulSet"}
    }
    for (kind, name), resource in _resources().items():
        spec = resource["spec"]
        selector = {
            "Service": lambda spec=spec: spec["selector"],
            "NetworkPolicy": lambda spec=spec: spec["podSelector"]["matchLabels"],
        }.get(kind, lambda spec=spec: spec["selector"]["matchLabels"])()
        assert selector.items() <= labels[name].items(), f"{kind} {name}"


def test_secrets_come_from_the_secret_alone() -> None:
    for pod in _pods().values():
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if variable["name"] == "OPPCLOUD_DANGER_LET_THE_NETWORK_RUN_PROGRAMS":
                    assert variable["value"] == "yes"
                elif variable["name"] == "OPPCLOUD_IMAGE":
                    assert variable["value"] == container["image"]
                else:
                    assert variable["valueFrom"]["secretKeyRef"]["name"] == "oppcloud"
    assert not any(kind == "Secret" for kind, _ in _resources()), "a secret in a file is none"


def test_redis_lets_only_workers_in() -> None:
    policy = _resources()["NetworkPolicy", "oppcloud-redis"]["spec"]
    workers = _resources()["Deployment", "oppcloud-worker"]["spec"]["template"]["metadata"]["labels"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"][0]["from"] == [{"podSelector": {"matchLabels": workers}}]
    assert _resources()["Service", "oppcloud-redis"]["spec"]["type"] == "ClusterIP"


# -- what the worker is told ------------------------------------------------------------------------------------------


def test_arguments_of_the_worker_are_known_to_it() -> None:
    compose = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in _services()["worker"]["command"]]
    kubernetes = _pods()["oppcloud-worker"]["containers"][0]["args"]

    for arguments in (compose, kubernetes):
        assert parser().parse_args(arguments).slots == 1


def _worker_lines() -> list[tuple[str, str]]:
    return [
        (guide.name, line)
        for guide in GUIDES
        for line in re.sub(r"\\\n\s*", "", guide.read_text(encoding="utf-8")).splitlines()
        if "oppcloud_worker " in line and line.startswith("    ")
    ]


def test_guides_show_how_workers_are_started() -> None:
    assert {"docker.md", "kubernetes.md", "slurm.md"} <= {guide.name for guide in GUIDES}
    assert any("sbatch" in line for _, line in _worker_lines())


@pytest.mark.parametrize(("guide", "line"), _worker_lines())
def test_commands_in_the_guides_are_understood(guide: str, line: str) -> None:
    words = re.sub(r"\"?\$\{?\w+\}?\"?", "4", line.partition("oppcloud_worker ")[2]).rstrip("'").split()

    assert parser().parse_args(words).slots >= 1, guide
