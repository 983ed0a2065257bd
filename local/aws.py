"""The emulated AWS: MiniStack, `sam build`, `sam deploy`, and what is deployed where."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import platform
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.config
import botocore.session

from local.bootstrap import CERTIFICATES
from local.children import Children, require_free

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".local" / "tools" / "bin"  # where local/bootstrap puts uv when there is none
REGION = "us-east-1"
STACK = "grantkeeper-local"  # as samconfig.toml says
BUILD = ROOT / ".aws-sam" / "build"
BUILD_INPUTS = ("template.yaml", "samconfig.toml", "functions", "layers")


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stack as deployed: logical id → physical id, outputs, and the environment of the functions, merged."""

    resources: Mapping[str, tuple[str, str]]  # logical id → (type, physical id)
    outputs: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def of_type(self, resource_type: str) -> dict[str, str]:
        """Logical id → physical id of every resource of a CloudFormation type."""
        return {name: physical for name, (kind, physical) in self.resources.items() if kind == resource_type}


def search_path() -> str:
    """The environment's own tools first (python3.13, sam), then uv where local/bootstrap.py put it, then the rest."""
    return os.pathsep.join((str(Path(sys.executable).parent), str(TOOLS), os.environ.get("PATH", os.defpath)))


def environment(endpoint_url: str) -> dict[str, str]:
    """
    An environment that can reach nothing but the emulator: no profile, no instance role, invented keys.

    Functions inherit the emulator's environment, so nothing else of ours is in it.
    """
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    return kept | {
        "PATH": search_path(),
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "PYTHONUNBUFFERED": "1",
    }


def _build_environment(endpoint_url: str) -> dict[str, str]:
    """The same with the caller's own settings (proxies, package indexes, caches), for building needs packages."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return CERTIFICATES | ours | environment(endpoint_url) | {"LAYER_PLATFORM": "native"}


def client(service: str, endpoint_url: str, *, read_timeout: int = 60) -> Any:
    """A client of the emulator; calls are not repeated, so a failure is seen."""
    return botocore.session.get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=botocore.config.Config(
            retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=read_timeout, max_pool_connections=64
        ),
    )


def start(children: Children, *, port: int, scratch: Path) -> str:
    """
    Start MiniStack on 127.0.0.1:port; returns its URL.

    Args:
        scratch: A directory for what it unpacks: 74 MB for each execution environment, which it leaves there.
    """
    require_free(port, "the AWS emulator", "--ministack-port")
    url = f"http://127.0.0.1:{port}"
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(scratch),
    }
    children.start("ministack", [sys.executable, "-m", "ministack"], env=environment(url) | settings)
    children.wait("ministack", lambda: _healthy(port), seconds=60)
    return url


def build(children: Children, *, url: str) -> None:
    """`sam build`, unless nothing it reads has changed since the last one."""
    stamp = BUILD / "inputs.sha256"
    inputs = _digest_of_inputs()
    with _build_lock():
        if stamp.exists() and stamp.read_text() == inputs:
            return
        children.run(
            "sam build",
            ["sam", "build", "--config-env", "local"],
            env=_build_environment(url),
            cwd=ROOT,
            seconds=600,
        )
        stamp.write_text(inputs)


def deploy(children: Children, *, url: str, public_url: str) -> Deployed:
    """`sam deploy` as samconfig.toml says, with our URL and this machine's processor; what stands afterwards."""
    overrides = _parameter_overrides() | {
        "PublicUrl": public_url,
        "Architecture": "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
    }
    with _build_lock():
        children.run(
            "sam deploy",
            ["sam", "deploy", "--config-env", "local", "--no-progressbar", "--parameter-overrides"]
            + [f"{name}={value}" for name, value in overrides.items()],
            env=environment(url) | {"SAM_CLI_POLL_DELAY": "0.5"},
            cwd=ROOT,
            seconds=300,
        )
    return deployed(url)


def deployed(url: str) -> Deployed:
    """Read the stack back from the emulator."""
    cloudformation = client("cloudformation", url)
    found = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    resources = {r["LogicalResourceId"]: (r["ResourceType"], r["PhysicalResourceId"]) for r in found}
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())}

    functions = client("lambda", url)
    merged: dict[str, str] = {}
    for name in Deployed(resources, outputs).of_type("AWS::Lambda::Function").values():
        merged |= functions.get_function_configuration(FunctionName=name).get("Environment", {}).get("Variables", {})
    return Deployed(resources, outputs, merged)


def _parameter_overrides() -> dict[str, str]:
    """The local environment's parameters in samconfig.toml; the command line's would replace them all."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    pairs = config["local"]["deploy"]["parameters"]["parameter_overrides"]
    return dict(pair.split("=", 1) for pair in pairs)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextmanager
def _build_lock() -> Iterator[None]:
    """One build or upload at a time: a second local run shares the build directory."""
    directory = ROOT / ".aws-sam"
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _digest_of_inputs() -> str:
    digest = hashlib.sha256(sys.version.encode())
    for name in BUILD_INPUTS:
        path = ROOT / name
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
