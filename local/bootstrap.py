"""
Make this machine ready for `make run` or `make test`, with whatever Python 3.9 or later it has.

    python3 local/bootstrap.py run|test

Everything goes below the repository (.venv, .local, node_modules of tests/node and examples/spa);
only Java, Chromium and spin come from the system, by apt-get when we are root
on Debian. A step whose stamp still fits is skipped, so the second time is instant.
Plain standard library: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
TOOLS = ROOT / ".local" / "tools"
LOG = ROOT / ".local" / "bootstrap.log"
REQUIREMENTS = ROOT / "requirements-dev.txt"
NODE = ROOT / "tests" / "node"
EXAMPLE = ROOT / "examples" / "spa"
# Behind a proxy that signs for itself, only the system's own certificates know it; uv has others by default.
CERTIFICATES = {"UV_SYSTEM_CERTS": "1"} if Path("/etc/ssl/certs/ca-certificates.crt").exists() else {}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class Missing(Exception):
    """Something we cannot install ourselves; the message is one sentence that says what to do."""


def main(purpose: str) -> int:
    """Do what `purpose` needs: `run` or `test`. Returns 0, or 1 after one clear sentence."""
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    try:
        environment(find_uv())
        command()
        if purpose == "test":
            for step in (java, chromium, spin, node_packages, example_packages):
                optional(step)
    except Missing as problem:
        print(f"  ✗ {problem}", file=sys.stderr)
        return 1
    return 0


def environment(uv: str) -> None:
    """.venv with Python 3.13 and exactly the pinned, hashed packages."""
    interpreter = VENV / "bin" / "python"
    stamp = VENV / ".requirements.sha256"
    wanted = digest(REQUIREMENTS)
    right_version = succeeds(interpreter, "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 13))")
    if right_version and stamp.exists() and stamp.read_text() == wanted:
        return
    if not right_version:
        with Step("Python 3.13"):
            make_venv(uv)
    with Step("Packages of requirements-dev.txt, pinned and hashed"):
        install = [uv, "pip", "sync", "--quiet", "--python", str(interpreter), "--require-hashes", str(REQUIREMENTS)]
        if not runs(install):
            raise Missing(f"The packages could not be installed; {LOG} says why.")
    stamp.write_text(wanted)


def command() -> None:
    """`.venv/bin/grantkeeper`: the operator's command, of this checkout, from any folder."""
    script = VENV / "bin" / "grantkeeper"
    script.write_text(
        f"#!{VENV / 'bin' / 'python'}\n"
        "import sys\n\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from cli.main import main\n\n"
        "main()\n"
    )
    script.chmod(0o755)


def make_venv(uv: str) -> None:
    """Let uv find Python 3.13 or fetch it; where it can do neither, pyenv may have it or build it."""
    venv = [uv, "venv", "--quiet", "--clear", "--python"]
    if runs([*venv, "3.13", str(VENV)]):
        return
    pyenv = shutil.which("pyenv") or shutil.which("pyenv", path=str(Path.home() / ".pyenv" / "bin"))
    for prepare in (["prefix", "3.13"], ["install", "--skip-existing", "3.13"]) if pyenv else ():
        if runs([str(pyenv), *prepare]):
            found = subprocess.run([str(pyenv), "prefix", "3.13"], capture_output=True, text=True, check=False)
            if runs([*venv, f"{found.stdout.strip()}/bin/python", str(VENV)]):
                return
    raise Missing(f"Python 3.13 is missing and could not be fetched: install it and try again ({LOG} says more).")


def find_uv() -> str:
    """A uv that works: the one on the PATH, ours, or a new one in a private environment of its own."""
    ours = TOOLS / "bin" / "uv"
    for candidate in (shutil.which("uv"), str(ours)):
        # Version managers leave shims that run in some folders only; builds happen in others.
        if candidate and succeeds(candidate, "--version", cwd=Path("/")):
            return keep(Path(candidate), ours)
    with Step("uv"):
        # A private environment, for the system's pip may be managed by the system (PEP 668) or not be there.
        if runs([sys.executable, "-m", "venv", str(TOOLS)]) and runs(
            [str(TOOLS / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"]
        ):
            return str(ours)
        shutil.rmtree(TOOLS, ignore_errors=True)
        if runs([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(TOOLS), "uv"]):
            return str(ours)
    raise Missing(f"uv could not be installed with {sys.executable}: install pip or uv and try again ({LOG} says why).")


def keep(found: Path, ours: Path) -> str:
    """Link a found uv where builds look for it: whoever starts them later may have another PATH than we have."""
    if found != ours:
        ours.parent.mkdir(parents=True, exist_ok=True)
        ours.unlink(missing_ok=True)
        ours.symlink_to(found.resolve())
    return str(ours)


def node_packages() -> None:
    """DynamoDB Local, an OpenID provider and a relying party, from the lock file, without running their scripts."""
    npm_ci(NODE, sentence="Node.js with npm is missing: the tests on DynamoDB Local and OpenID peers need it.")


def example_packages() -> None:
    """What the pages of the example are made of."""
    npm_ci(EXAMPLE, sentence="Node.js with npm is missing: the tests of the example application need it.")


def npm_ci(folder: Path, *, sentence: str) -> None:
    """Install what a folder's lock file pins, without running its scripts."""
    stamp = folder / "node_modules" / ".lock.sha256"
    wanted = digest(folder / "package-lock.json")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not (shutil.which("node") and shutil.which("npm")):
        apt("nodejs", "npm", sentence=sentence)
    with Step(f"Node packages of {folder.relative_to(ROOT)}"):
        if not runs(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder):
            raise Missing(f"npm could not install {folder.relative_to(ROOT)}; {LOG} says why.")
    stamp.write_text(wanted)


def java() -> None:
    """Java 17 or later, for DynamoDB Local."""
    if not succeeds("java", "-version"):
        apt("openjdk-17-jre-headless", sentence="Java 17 is missing: the tests on DynamoDB Local need it.")


def chromium() -> None:
    """A Chromium that runs headless, for the tests in a browser."""
    if not any(shutil.which(name) for name in CHROMIUM):
        apt("chromium", sentence="Chromium is missing: the tests in a browser need it.")


def spin() -> None:
    """The model checker, and a C compiler for the verifiers that it writes."""
    if shutil.which("spin") is None or not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        apt(
            "spin",
            "gcc",
            "libc6-dev",
            sentence="spin or a C compiler is missing: the model of the refresh protocol needs both.",
        )


def apt(*packages: str, sentence: str) -> None:
    """Install system packages where we may; otherwise say what is missing."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(sentence)
    with Step(f"apt-get install {' '.join(packages)}"):
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        if not runs(install, env=quiet) and not (runs(["apt-get", "update"], env=quiet) and runs(install, env=quiet)):
            raise Missing(f"{sentence} apt-get could not install it; {LOG} says why.")


def optional(step: Callable[[], None]) -> None:
    """A missing tool skips its tests on a developer's machine; in CI nothing may be skipped."""
    try:
        step()
    except Missing as problem:
        if os.environ.get("CI") == "true":
            raise
        print(f"  - {problem} Those tests will be skipped.")


class Step:
    """Show what is going on and how long it took."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = time.monotonic()

    def __enter__(self) -> None:
        """Say that it begins."""
        print(f"  … {self._title}", end="\r" if sys.stdout.isatty() else "\n", flush=True)

    def __exit__(self, kind: object, *_: object) -> None:
        """Say that it is done, unless it is not."""
        if kind is None:
            print(f"  ✓ {self._title} ({time.monotonic() - self._begun:.1f} s)")


def runs(command: list[str], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> bool:
    """Run a command, its output to the log; True when it succeeded."""
    with LOG.open("ab") as log:
        log.write(f"$ {' '.join(command)}\n".encode())
        log.flush()
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env={**CERTIFICATES, **os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            return False
    return done.returncode == 0


def succeeds(*command: str | Path, cwd: Path = ROOT) -> bool:
    """True when a quick command runs and succeeds; says nothing anywhere."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "run"))
