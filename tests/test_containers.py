"""The files of docs/containers agree with the code, and with each other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pydantic import AliasChoices

from supervisor.settings import Settings, load
from supervisor.stopping import AFTER_DRAIN_SECONDS, ALARM_SECONDS
from tests.queue.support import Queue

CHECKOUT = Path(__file__).parents[1]
HERE = CHECKOUT / "docs/containers"
DOCKERFILE = (HERE / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSE = yaml.safe_load((HERE / "compose.yaml").read_text())
MANIFESTS = {document["kind"]: document for document in yaml.safe_load_all((HERE / "kubernetes.yaml").read_text())}
POD = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
(SUPERVISOR,) = POD["containers"]
(MIGRATE,) = POD["initContainers"]
TRIGGER = MANIFESTS["ScaledObject"]["spec"]["triggers"][0]
USER, STATE, PORT = 10001, "/var/lib/jobsupervisor", 3000
SECRETS = {
    "DATABASE_URL": "postgresql://render@db/app",
    "HTTP_TOKEN": "sixteen-characters",
}


def documented() -> set[str]:
    """Return every name under which a setting is read."""
    names: set[str] = set()
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        names |= {str(name) for name in alias.choices} if isinstance(alias, AliasChoices) else {str(alias)}
    return names


def of_dockerfile() -> dict[str, str]:
    """Return what the image sets."""
    return dict(re.findall(r"(RENDER_\w+)=(\S+)", DOCKERFILE))


def of_compose() -> dict[str, str]:
    """Return what the compose file sets for the supervisor."""
    return dict(COMPOSE["services"]["supervisor"]["environment"])


def of_kubernetes() -> dict[str, str]:
    """Return what the Deployment sets for the supervisor."""
    return {entry["name"]: entry.get("value", "") for entry in SUPERVISOR["env"]}


@pytest.mark.parametrize(
    "environment", [of_dockerfile(), of_compose(), of_kubernetes()], ids=["image", "compose", "pod"]
)
def test_settings_are_settings(environment: dict[str, str]) -> None:
    """Each name is read by the program, and each value is one that it takes."""
    assert environment
    assert set(environment) <= documented()
    load(environment | {name: value for name, value in SECRETS.items() if name in environment})


def test_one_user_one_port_one_directory() -> None:
    """Image, compose file and manifests speak of the same user, port and directory."""
    assert f"USER {USER}:{USER}" in DOCKERFILE
    assert f"--uid {USER}" in DOCKERFILE
    assert {POD["securityContext"][name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {USER}
    assert Settings.model_fields["http_port"].default == PORT
    assert f"EXPOSE {PORT}" in DOCKERFILE
    assert f"http://127.0.0.1:{PORT}/api/health/live" in DOCKERFILE
    assert COMPOSE["services"]["supervisor"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert [port["containerPort"] for port in SUPERVISOR["ports"]] == [PORT]
    assert of_kubernetes()["HTTP_PORT"] == str(PORT)
    assert MANIFESTS["Service"]["spec"]["ports"][0]["port"] == PORT
    assert f"VOLUME {STATE}" in DOCKERFILE
    assert load(of_dockerfile()).artifacts_directory == Path(STATE) / "artifacts"
    assert COMPOSE["services"]["supervisor"]["volumes"] == [f"artifacts:{STATE}"]
    assert SUPERVISOR["volumeMounts"][0]["mountPath"] == STATE


def test_who_stops_it_waits_for_the_drain() -> None:
    """The engine kills no sooner than a drain and the deadline of a stop beyond it."""
    drain = load(of_compose() | SECRETS).shutdown
    assert (
        int(COMPOSE["services"]["supervisor"]["stop_grace_period"].removesuffix("s"))
        > drain + AFTER_DRAIN_SECONDS + ALARM_SECONDS
    )
    drain = load(of_kubernetes() | SECRETS).shutdown
    assert POD["terminationGracePeriodSeconds"] > drain + AFTER_DRAIN_SECONDS + ALARM_SECONDS
    assert "STOPSIGNAL SIGTERM" in DOCKERFILE
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)[0])
    assert entry == ["env", "--block-signal=TERM", "jobsupervisor"]


def test_what_the_build_copies_is_there() -> None:
    """Each file that the Dockerfile copies is in the checkout, and .dockerignore lets it in."""
    copied = [
        word for words in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in words.split()
    ]
    assert {"pyproject.toml", "supervisor", "renderer", "sql", "systemd"} <= set(copied)
    let_in = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == set(copied)
    assert all((CHECKOUT / name).exists() for name in copied)
    build = COMPOSE["services"]["supervisor"]["build"]
    assert (HERE / build["context"]).resolve() == CHECKOUT.resolve()
    assert (CHECKOUT / build["dockerfile"]) == HERE / "Dockerfile"


def test_the_libraries_are_those_of_the_checkout() -> None:
    """The image installs the packages that .ci/system-libraries asks for, and no other."""
    asked = re.findall(r'\("lib\S+", "(\S+)"\)', (CHECKOUT / ".ci/system-libraries").read_text())
    installed = re.findall(r"--no-install-recommends (.*?) +&&", DOCKERFILE)[0].split()
    assert sorted(installed) == sorted(asked)


def test_the_manifests_refer_to_each_other() -> None:
    """Labels, names of ports, probes and the secret's keys fit."""
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    for probe, path in {"startupProbe": "live", "livenessProbe": "live", "readinessProbe": "ready"}.items():
        assert SUPERVISOR[probe]["httpGet"] == {"path": f"/api/health/{path}", "port": "http"}
    assert MANIFESTS["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == MANIFESTS["Deployment"]["metadata"]["name"]
    assert TRIGGER["authenticationRef"]["name"] == MANIFESTS["TriggerAuthentication"]["metadata"]["name"]
    keys = set(re.findall(r"--from-literal=(\S+?)=", (HERE / "README.md").read_text()))
    assert keys == set(re.findall(r"\bkey: ([\w-]+)", (HERE / "kubernetes.yaml").read_text()))
    assert MIGRATE["securityContext"] == SUPERVISOR["securityContext"]


def counted(connection: psycopg.Connection[Any]) -> int:
    """Return what KEDA reads."""
    row = connection.execute(TRIGGER["metadata"]["query"].encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.each_server
def test_the_scaler_counts_what_can_run(database: str) -> None:
    """Queued and running jobs count; delayed and finished ones do not; the enqueuer's role may ask."""
    with Queue(database) as queue:
        queue.enqueue()
        queue.enqueue()
        queue.enqueue(run_at="2999-01-01")
        queue.value("select cancel_render(%s)", queue.enqueue())
        queue.supervisor().claim_one()
        queue.client.execute("set role jobsupervisor_enqueuer")
        assert counted(queue.client) == 2
        queue.client.execute("reset role")


@pytest.mark.each_server
def test_the_scaler_reads_no_finished_job(database: str) -> None:
    """Of the finished work the plan has at most the partition that is empty when the weeks are made in time."""
    with Queue(database) as queue:
        plan = queue.value("explain (format json) " + TRIGGER["metadata"]["query"])
        read = set(re.findall(r"'Relation Name': '(\w+)'", str(plan)))
        assert read <= {"job", "default_limits", "finished_job_default", "dead_letter"}
        assert "job" in read


def test_the_additions_are_what_the_sandbox_calls() -> None:
    """Each of the calls stands in the code that makes the children's namespaces and file system, and none is missing there."""
    (rule,) = json.loads((HERE / "seccomp-additions.json").read_text())["syscalls"]
    code = "".join((CHECKOUT / name).read_text() for name in ("renderer/syscalls.py", "renderer/sandbox/mounts.py"))
    makes = set(re.findall(r"libc\.(clone|mount|umount2|pivot_root|setns|unshare)\b", code))
    makes |= {name.lower() for name in re.findall(r"_SYS_(\w+) =", code)}
    assert set(rule["names"]) == makes
    assert rule["action"] == "SCMP_ACT_ALLOW"
