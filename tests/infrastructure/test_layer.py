"""The layer: compiled for the runtime, complete by itself, and no more of botocore than the product calls."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import botocore
import botocore.session
import pytest
from botocore import xform_name
from botocore.loaders import Loader

from tests.infrastructure.template import ROOT

LAYER = ROOT / "layers" / "common"
UNCHECKED_HASH = 0b01  # PEP 552: the flags of a hash-based .pyc that is not checked against its source
NOT_AWS = {  # the same words, said to `cryptography` and to our own signer
    ("encrypt", "layers/common/grantkeeper/sealing.py"),
    ("decrypt", "layers/common/grantkeeper/sealing.py"),
    ("verify", "layers/common/grantkeeper/jws.py"),
    ("sign", "layers/common/grantkeeper/jws.py"),
    ("sign", "layers/common/grantkeeper/services/issue_tokens.py"),
}
BUILT_ONCE = pytest.mark.xdist_group("layer")  # by one process for all
SHIPPED = (ROOT / "layers" / "common" / "grantkeeper", ROOT / "functions")


def load_prune():
    spec = importlib.util.spec_from_file_location("prune", LAYER / "prune.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prune = load_prune()


@cache
def operations(loader_path: str, service: str) -> dict[str, str]:
    """Method name → operation name, of a service's model."""
    loader = Loader(extra_search_paths=[loader_path], include_default_search_paths=False)
    return {xform_name(name): name for name in loader.load_service_model(service, "service-2")["operations"]}


@pytest.fixture(scope="session")
def pruned_site(tmp_path_factory) -> Path:
    """Botocore's data as installed, ours and a stranger's, after pruning."""
    site = tmp_path_factory.mktemp("site")
    installed = Path(botocore.__file__).parent / "data"
    data = site / "botocore" / "data"
    data.mkdir(parents=True)
    (site / "boto3" / "data" / "s3").mkdir(parents=True)
    for entry in installed.iterdir():
        if entry.is_file():
            shutil.copy(entry, data)
    for service in (*prune.OPERATIONS, "s3", "xray"):
        shutil.copytree(installed / service, data / service)
    shutil.copytree(installed.parent / "docs", site / "botocore" / "docs")
    prune.main(site)
    return site


def shipped_sources() -> Iterator[tuple[Path, ast.Module]]:
    for root in SHIPPED:
        for path in sorted(root.rglob("*.py")):
            yield path, ast.parse(path.read_text())


def calls(service: str) -> set[tuple[str, str]]:
    """(method, file) of every name in the shipped source that is an operation of a service, said to AWS."""
    known = operations(str(Path(botocore.__file__).parent / "data"), service)
    named = {
        (node.attr, path.relative_to(ROOT).as_posix())
        for path, tree in shipped_sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in known
    }
    return named - NOT_AWS


@pytest.mark.parametrize("service", sorted(prune.OPERATIONS))
def test_every_aws_call_of_the_product_is_in_the_pruned_models(pruned_site, service):
    """A call that pruning forgot would fail in Lambda alone; one that nobody makes has no place in the table."""
    kept = set(operations(str(pruned_site / "botocore" / "data"), service))

    assert {method for method, _ in calls(service)} == kept


def test_every_client_of_the_product_is_of_a_service_that_stays():
    """A sixth service would be an UnknownServiceError at run time."""
    made = {
        node.args[0].value
        for _, tree in shipped_sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in {"_client", "client", "create_client", "resource"} and node.args
        if isinstance(node.args[0], ast.Constant)
    }

    assert made
    assert made <= set(prune.OPERATIONS)


@pytest.mark.parametrize("service", sorted(prune.OPERATIONS))
def test_pruned_models_hold_what_they_name_and_nothing_else(pruned_site, service):
    """Exactly the operations of the table, every shape they refer to, and clients in each partition."""
    data = str(pruned_site / "botocore" / "data")
    loader = Loader(extra_search_paths=[data], include_default_search_paths=False)
    session = botocore.session.Session()
    session.register_component("data_loader", loader)

    assert set(operations(data, service).values()) == set(prune.OPERATIONS[service])
    for region in ("us-east-1", "cn-north-1", "us-gov-west-1"):
        client = session.create_client(
            service, region_name=region, aws_access_key_id="none", aws_secret_access_key="none"
        )
        for operation in prune.OPERATIONS[service]:
            model = client.meta.service_model.operation_model(operation)
            for shape in (model.input_shape, model.output_shape, *model.error_shapes):
                _walk(shape)


def _walk(shape, seen=None) -> None:
    seen = set() if seen is None else seen
    if shape is None or shape.name in seen:
        return
    seen.add(shape.name)
    for member in getattr(shape, "members", {}).values():
        _walk(member, seen)
    for part in ("member", "key", "value"):
        if hasattr(shape, part):
            _walk(getattr(shape, part), seen)


def test_pruning_refuses_a_model_without_an_operation_of_the_table():
    """When botocore renames a call, the build fails instead of the function."""
    with pytest.raises(LookupError):
        prune.pruned_model({"operations": {}, "shapes": {}}, ["GetItem"])


def test_pruning_keeps_a_member_that_is_called_documentation():
    """Prose goes; a field of a structure that merely has that name stays."""
    shape = {"type": "structure", "documentation": "prose", "members": {"documentation": {"shape": "Text"}}}

    assert prune.without_documentation(shape) == {
        "type": "structure",
        "members": {"documentation": {"shape": "Text"}},
    }


# --- the layer as built --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def layer(tmp_path_factory) -> Path:
    """The layer for this machine, built by the Makefile that SAM runs; needs uv and its cache or a package index."""
    artifacts = tmp_path_factory.mktemp("layer")
    build(artifacts, sources=LAYER)
    return artifacts / "python"


def build(artifacts: Path, *, sources: Path) -> None:
    uv = os.environ.get("UV") or _uv()
    if uv is None:
        reason = "uv is not installed: `make run` puts it into .local/tools/bin"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    settings = {"ARTIFACTS_DIR": str(artifacts), "LAYER_PLATFORM": "native", "UV": uv, "PYTHON": sys.executable}
    subprocess.run(
        ["make", "build-CommonLayer"], cwd=sources, env=os.environ | settings, check=True, capture_output=True
    )


def _uv() -> str | None:
    tools = ROOT / ".local" / "tools" / "bin"
    found = shutil.which("uv", path=os.pathsep.join((str(tools), str(Path(sys.executable).parent), os.environ["PATH"])))
    if found is None or subprocess.run([found, "--version"], check=False, capture_output=True, cwd="/").returncode:
        return None  # a shim that leads nowhere is no uv
    return found


@pytest.mark.slow
@BUILT_ONCE
def test_every_module_of_the_layer_is_compiled_for_good(layer):
    """SAM's zip dates every file 1980: only unchecked-hash .pyc survive, and each one missing costs every start."""
    sources = sorted(layer.rglob("*.py"))
    tag = sys.implementation.cache_tag

    assert len(sources) > 500
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert compiled.exists(), source
        header = compiled.read_bytes()[:8]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(header[4:], "little") == UNCHECKED_HASH, source
    assert len(list(layer.rglob("*.pyc"))) == len(sources)


@pytest.mark.slow
@BUILT_ONCE
def test_the_layer_needs_nothing_but_itself(layer):
    """Every module of ours imports with the standard library and the layer alone on the path."""
    program = """
import importlib, pkgutil, sys
layer, functions = sys.argv[1], sys.argv[2:]
sys.path.insert(0, layer)
import grantkeeper
for module in pkgutil.walk_packages(grantkeeper.__path__, "grantkeeper."):
    importlib.import_module(module.name)
for name in functions:
    importlib.import_module(name)
strangers = [n for n, m in sys.modules.items() if (f := getattr(m, "__file__", None)) and
             not f.startswith((layer, sys.base_prefix))]
sys.exit(f"not from the layer: {strangers}" if strangers else 0)
"""
    third_party = sorted(
        {
            name
            for path, tree in shipped_sources()
            if path.name == "app.py"
            for node in ast.walk(tree)
            for name in _imported(node)
            if name.partition(".")[0] not in sys.stdlib_module_names
        }
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(layer), *third_party],
        check=False,
        capture_output=True,
        text=True,
        cwd=layer,
    )

    assert (ran.returncode, ran.stderr) == (0, "")


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


@pytest.mark.slow
@BUILT_ONCE
def test_the_layer_is_small_and_holds_no_tool(layer):
    """No scripts, no bytecode of ours from elsewhere, no tests of ours; far from Lambda's 250 MB."""
    assert not (layer / "bin").exists()
    assert sum(file.stat().st_size for file in layer.rglob("*") if file.is_file()) < 70 * 2**20
    assert {entry.name for entry in (layer / "botocore" / "data").iterdir()} == {*prune.OPERATIONS, *prune.SHARED_FILES}


@pytest.mark.slow
@BUILT_ONCE
def test_i17_the_layer_is_the_same_however_often_it_is_built(layer, tmp_path):
    """Byte for byte, wherever it is: without changes there is no new layer version, and anyone can check a release."""
    build(tmp_path / "again", sources=shutil.copytree(LAYER, tmp_path / "sources"))
    first, second = (
        {file.relative_to(built): file.read_bytes() for file in built.rglob("*") if file.is_file()}
        for built in (layer, tmp_path / "again" / "python")
    )

    assert len(first) > 1000
    assert set(first) == set(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_of_the_docstring_generator_only_what_clients_import_stays(pruned_site):
    """The classes are the empty strings they are before anybody asks for help()."""
    docs = pruned_site / "botocore" / "docs"
    assert {entry.name for entry in docs.iterdir()} == {"__init__.py", "docstring.py", "utils.py"}
    stub: dict = {}
    exec((docs / "docstring.py").read_text(), stub)
    for name in ("ClientMethodDocstring", "WaiterDocstring", "PaginatorDocstring"):
        assert stub[name](operation_model=None, include_signature=False) == ""
    imported = [
        line
        for module in ("client.py", "handlers.py", "waiter.py")
        for line in (Path(botocore.__file__).parent / module).read_text().splitlines()
        if line.startswith("from botocore.docs")
    ]
    assert {line.split()[1] for line in imported} == {"botocore.docs.docstring", "botocore.docs.utils"}
