"""Servers of object stores, each a process of its own on loopback, with one empty bucket.

S3 is moto (in the extra `test`), started with its check of signatures and permissions. Azure is azurite (npm), found on PATH or
by JOBSUPERVISOR_AZURITE; where it is not installed its tests are skipped and say so. For Google's, see LikeGoogle.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import datetime as dt
import hashlib
import hmac
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import boto3
import httpx
import pytest

from tests.service.support import PATIENCE
from tests.web.support import free_port

BUCKET = "renders"
_AZURE_ACCOUNT = "devstoreaccount1"
_AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # gitleaks:allow
)


class ObjectServer:
    """A server that can be ended and started again, empty, at the same address. `options` are a service's settings."""

    scheme = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.options: dict[str, str] = {}
        self.part = "b"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the URL of the artifacts."""
        return f"{self.scheme}://{BUCKET}/a.prefix/{self.part}"

    @property
    def pid(self) -> int:
        """The number of its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def apart(self) -> Self:
        """Return the same server with a prefix below which nothing is yet."""
        found = copy.copy(self)
        found.part = uuid.uuid4().hex
        return found

    @property
    def settings(self) -> dict[str, str]:
        """Return the settings of a service that stores here."""
        return {"RENDER_ARTIFACTS_URL": self.url, **self.options}

    def command(self) -> list[str]:
        """Return the server's command line."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Return what the server's environment has beyond the least."""
        return {}

    def fill(self) -> None:
        """Make the bucket."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.directory / "object-server").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env={"PATH": os.environ["PATH"], "HOME": str(self.directory), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        descriptor = os.pidfd_open(self._process.pid)
        try:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                # A request would count as the first of a server's actions.
                with (
                    contextlib.suppress(ConnectionRefusedError),
                    socket.create_connection(("127.0.0.1", self.port), PATIENCE),
                ):
                    break
                ended = select.select([descriptor], [], [], 0.05)[0]
                assert not ended, (self.directory / "object-server").read_text()
        finally:
            os.close(descriptor)
        self.fill()

    def end(self) -> None:
        """End it, with all that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def silent(self) -> Iterator[Callable[[], None]]:
        """Take its place and say nothing; yields what waits for the next connection."""
        self.end()
        with socket.create_server(("127.0.0.1", self.port)) as door, contextlib.ExitStack() as stack:
            door.settimeout(PATIENCE)

            def asked() -> None:
                stack.enter_context(door.accept()[0])

            yield asked


class Moto(ObjectServer):
    """S3."""

    scheme = "s3"

    def command(self) -> list[str]:
        """Return the server's command line."""
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        """Have the first actions, those of `fill`, need no permission, and all others one."""
        return {"INITIAL_NO_AUTH_ACTION_COUNT": "4"}

    def fill(self) -> None:
        """Make a user who may do everything, and the bucket."""
        common = {"region_name": "eu-west-1", "endpoint_url": self.address}
        nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
        iam = boto3.client("iam", **common, **nobody)
        iam.create_user(UserName="jobsupervisor")
        policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
        iam.put_user_policy(UserName="jobsupervisor", PolicyName="all", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName="jobsupervisor")["AccessKey"]
        place = {"LocationConstraint": "eu-west-1"}
        s3 = boto3.client("s3", **common, **nobody)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        for client in (iam, s3):
            client.close()
        self.options = {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }


class OpenMoto(Moto):
    """S3 that checks no signature: a client of before goes on with the one that was started anew."""

    def environment(self) -> Mapping[str, str]:
        """Have nothing need a permission."""
        return {}

    def fill(self) -> None:
        """Make the bucket; the key is anybody's."""
        super().fill()
        self.options |= {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything"}


class Azurite(ObjectServer):
    """Azure."""

    scheme = "az"

    def command(self) -> list[str]:
        """Return the server's command line."""
        binary = os.environ.get("JOBSUPERVISOR_AZURITE") or shutil.which("azurite-blob")
        if not binary:
            pytest.skip("azurite-blob is not installed (npm install azurite)")
        more = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
        return [binary, "--blobHost", "127.0.0.1", "--blobPort", str(self.port), *more]

    def fill(self) -> None:
        """Make the container, by a request that is signed as Azure wants it."""
        self.options = {
            "AZURE_STORAGE_ACCOUNT_NAME": _AZURE_ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _AZURE_KEY,
            "AZURE_STORAGE_ENDPOINT": f"{self.address}/{_AZURE_ACCOUNT}",
            "AZURE_ALLOW_HTTP": "true",
        }
        path = f"/{_AZURE_ACCOUNT}/{BUCKET}"
        date = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"x-ms-date": date, "x-ms-version": "2021-12-02"}
        signed = "PUT" + "\n" * 12 + "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        signed += f"/{_AZURE_ACCOUNT}{path}\nrestype:container"
        mac = hmac.digest(base64.b64decode(_AZURE_KEY), signed.encode(), hashlib.sha256)
        headers["authorization"] = f"SharedKey {_AZURE_ACCOUNT}:{base64.b64encode(mac).decode()}"
        made = httpx.put(f"{self.address}{path}?restype=container", headers=headers, trust_env=False)
        assert made.status_code == 201, made.text


class LikeGoogle(OpenMoto):
    """Google, as far as its XML interface is S3's: the requests and answers are, conditional writes and log-in are not.

    The free servers for Google's stores (fake-gcs-server among them) speak its JSON interface, which the library does not
    use to upload.
    """

    scheme = "gs"

    def fill(self) -> None:
        """Make the bucket."""
        super().fill()
        # The server looks for its own kind of log-in, and wants to find a region there.
        login = "anybody/20260101/eu-west-1/s3/aws4_request"
        self.options = {
            "GOOGLE_BASE_URL": self.address,
            "GOOGLE_BEARER_TOKEN": login,
            "GOOGLE_ALLOW_HTTP": "true",
        }


SERVERS: dict[str, Callable[[Path], ObjectServer]] = {"s3": Moto, "az": Azurite, "gs": LikeGoogle}


@contextlib.contextmanager
def object_server(make: Callable[[Path], ObjectServer], directory: Path) -> Iterator[ObjectServer]:
    """Run a server of one of the three kinds."""
    server = make(directory)
    try:
        server.start()
        yield server
    finally:
        server.end()
