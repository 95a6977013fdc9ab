"""The rules of the house that an import linter cannot say. The lists of exceptions are empty."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver

from lianyun.kernel.manifest import function_at, manifests, permissions

SOURCE = Path(__file__).resolve().parents[2] / "src" / "lianyun"
CAPABILITIES = SOURCE / "capabilities"
KERNEL_LINES = 3000
NOUN_COLUMNS = 20

# Every exception needs a reason in an ADR; an entry that is no longer needed fails a test.
EXCEPTIONS: dict[str, frozenset[str]] = {
    # The test bench makes its own officers; sessions are Django's rows (ADR 0038).
    "writes": frozenset({"project/testing.py", "project/sessions.py"}),
    "urls": frozenset(),
    "queries": frozenset(),
    "models": frozenset(),
    "names": frozenset(),
}

FORBIDDEN_NAMES = {"utils", "helpers", "helper", "common", "services", "signals", "misc", "tools"}
WRITES = {
    "save", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create",
    "delete", "acreate", "asave", "adelete",
}  # fmt: skip
RAW_WRITES = ("INSERT ", "UPDATE ", "DELETE ", "TRUNCATE ", "MERGE INTO")


def capabilities() -> list[Path]:
    return sorted(folder for folder in CAPABILITIES.iterdir() if (folder / "__init__.py").exists())


def modules(folder: Path, *, tests: bool = False) -> Iterator[Path]:
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).parts
        if "migrations" in parts or (not tests and "tests" in parts):
            continue
        yield file


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


def place(file: Path) -> str:
    return str(file.relative_to(SOURCE))


def room(file: Path, capability: Path) -> str:
    return file.relative_to(capability).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """Absolute dotted names of everything a module imports (also inside functions)."""
    package = ["lianyun", *file.relative_to(SOURCE).parent.parts]
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def siblings_of(file: Path, own: str) -> Iterator[tuple[str, str]]:
    """(capability, room) of each sibling that a module imports."""
    for name in imported(file):
        parts = name.split(".")
        if parts[:2] == ["lianyun", "capabilities"] and len(parts) > 2 and parts[2] != own:
            yield parts[2], parts[3] if len(parts) > 3 else ""


def decorator_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    found = set()
    for decorator in function.decorator_list:
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def check(faults: list[str], kind: str) -> None:
    """Fail with every fault that is not excepted, and with every exception that is not needed."""
    places = {fault.split(" ", 1)[0] for fault in faults}
    left = [fault for fault in faults if fault.split(" ", 1)[0] not in EXCEPTIONS[kind]]
    assert not left, "\n".join(left)
    assert places >= EXCEPTIONS[kind], f"not needed: {EXCEPTIONS[kind] - places}"


# ---- siblings ------------------------------------------------------------------------------


@pytest.mark.parametrize("capability", capabilities(), ids=lambda path: path.name)
def test_needs_are_the_real_imports(capability: Path) -> None:
    wrong, used = [], set()
    for file in modules(capability):
        for sibling, entered in siblings_of(file, capability.name):
            used.add(sibling)
            if entered != "api":
                wrong.append(f"{place(file)} enters {sibling}.{entered}, only api is open")
    declared = {m.name: set(m.needs) for m in manifests()}.get(capability.name, set())
    assert not wrong, "\n".join(wrong)
    assert used == declared, f"manifest needs {sorted(declared)}, imports {sorted(used)}"


def test_every_capability_has_a_manifest() -> None:
    missing = [path.name for path in capabilities() if not (path / "manifest.yaml").exists()]
    assert not missing


def test_an_api_says_what_it_offers() -> None:
    for capability in capabilities():
        file = capability / "api.py"
        if file.exists():
            assigned = {
                target.id
                for node in tree(file).body
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            assert "__all__" in assigned, f"{place(file)} has no __all__"


def test_what_manifests_name_exists() -> None:
    known = permissions()
    for manifest in manifests():
        for needed in manifest.needs:
            assert (CAPABILITIES / needed).is_dir(), f"{manifest.name} needs {needed}"
        for entry in manifest.menu:
            assert entry.permission in known, f"{manifest.name}: menu {entry.permission}"
        for job in manifest.jobs:
            assert callable(function_at(job.run))
        for paths in manifest.listens.values():
            for path in paths:
                assert callable(function_at(path))


# ---- writes --------------------------------------------------------------------------------


def _writes(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, owner = node.func.attr, node.func.value
            if (name in WRITES and not _plain(owner)) or (name == "update" and _is_queryset(owner)):
                yield node.lineno, name
            elif name in {"execute", "executemany"} and node.args:
                text = _text(node.args[0])
                if text.lstrip().upper().startswith(RAW_WRITES):
                    yield node.lineno, f"{name} {text[:20]!r}"


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr) and node.values:
        return _text(node.values[0])
    if isinstance(node, ast.BinOp):
        return _text(node.left)
    return ""


def _names(node: ast.expr) -> set[str]:
    return {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def _is_queryset(node: ast.expr) -> bool:
    return bool(_names(node) & {"objects", "filter", "exclude", "all"})


def _plain(node: ast.expr) -> bool:
    """Writes that are no rows of ours: workbooks, HTTP clients, Django's own sessions."""
    names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    names |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return bool(names & {"book", "workbook", "client", "http", "session", "mark", "EnvBuilder"})


def test_rows_are_written_in_actions_only() -> None:
    faults = []
    for folder in (CAPABILITIES, SOURCE / "ui", SOURCE / "project"):
        for file in modules(folder):
            parts = file.relative_to(folder).parts
            if folder == CAPABILITIES and len(parts) > 1 and _is_room(parts[1], "actions"):
                continue
            faults += [f"{place(file)} line {n}: {what}" for n, what in _writes(file)]
    check(faults, "writes")


def _is_room(part: str, name: str) -> bool:
    return part in {name, f"{name}.py"}


def test_every_action_is_marked() -> None:
    """A function in actions that writes carries @action, or is a private part of one that does."""
    faults = []
    for capability in capabilities():
        for file in modules(capability):
            if room(file, capability) != "actions":
                continue
            for node in tree(file).body:
                if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                    continue
                arguments = {a.arg for a in [*node.args.args, *node.args.kwonlyargs]}
                if "action" in decorator_names(node) and "by" not in arguments:
                    faults.append(f"{place(file)}:{node.name} takes no `by`")
    assert not faults, "\n".join(faults)


# ---- doors ---------------------------------------------------------------------------------


def _patterns(
    resolver: URLResolver | None = None, prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from _patterns(entry, prefix + str(entry.pattern))
        else:
            yield prefix + str(entry.pattern), entry


PUBLIC = {"healthz"}


def test_every_url_names_its_permission_or_is_public() -> None:
    known = permissions()
    faults = []
    for path, pattern in _patterns():
        view = pattern.callback
        permission = getattr(view, "permission", None)
        if pattern.name in PUBLIC or getattr(view, "public", False):
            continue
        if permission is None:
            faults.append(f"{path} ({view.__module__}.{view.__name__}) names no permission")
        elif permission != "signed-in" and permission not in known:
            faults.append(f"{path} names {permission}, which no manifest declares")
    check(faults, "urls")


def _reads_rows(function: ast.AST) -> bool:
    """Whether a function reads rows itself (a function over rows that were read is no query)."""
    return bool(
        {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)}
        & {"objects", "lake", "cursor", "select_related", "refresh_from_db"}
    )


def _reached(capability: Path, doors: set[str]) -> set[str]:
    """Names of queries that a page or a sibling can reach: used by the views or the api."""
    names: set[str] = set()
    for file in modules(capability):
        if room(file, capability) not in doors:
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names |= {node.attr} if node.value.id == "queries" else set()
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("queries"):
                names |= {alias.name for alias in node.names}
    return names


def test_every_query_takes_its_viewer() -> None:
    """What a page or a sibling reads is read for somebody; what an action reads, for its actor."""
    faults = []
    for capability in capabilities():
        reached = _reached(capability, {"views", "api", "fast"})
        for file in modules(capability):
            if room(file, capability) != "queries":
                continue
            for node in tree(file).body:
                if not isinstance(node, ast.FunctionDef) or node.name not in reached:
                    continue
                arguments = {a.arg for a in [*node.args.args, *node.args.kwonlyargs]}
                if "viewer" not in arguments and _reads_rows(node):
                    faults.append(f"{place(file)}:{node.name} takes no `viewer`")
    check(faults, "queries")


# ---- tables --------------------------------------------------------------------------------


def _own_models() -> Iterator[type[models.Model]]:
    for model in apps.get_models():
        if model.__module__.startswith("lianyun."):
            yield model


def test_a_state_belongs_to_a_case() -> None:
    faults = [
        f"{model._meta.label} has a field `status`"
        for model in _own_models()
        if not model.__module__.startswith("lianyun.kernel.")
        and any(field.name == "status" for field in model._meta.get_fields())
    ]
    check(faults, "models")


def test_no_foreign_key_to_a_siblings_table() -> None:
    faults = []
    for model in _own_models():
        for field in model._meta.get_fields(include_hidden=False):
            if not isinstance(field, models.ForeignKey | models.ManyToManyField):
                continue
            target = field.related_model
            if not isinstance(target, type):
                continue
            app = target._meta.app_label
            if app not in {
                model._meta.app_label,
                "kernel",
                "contenttypes",
                "auth",
                "procrastinate",
            }:
                faults.append(f"{model._meta.label}.{field.name} points to {target._meta.label}")
    assert not faults, "\n".join(faults)


def test_a_kernel_table_stays_narrow() -> None:
    wide = [
        f"{model._meta.label}: {len(model._meta.concrete_fields)} columns"
        for model in _own_models()
        if model._meta.app_label == "kernel" and len(model._meta.concrete_fields) > NOUN_COLUMNS
    ]
    assert not wide, "\n".join(wide)


# ---- names and sizes -----------------------------------------------------------------------


def test_no_attics() -> None:
    faults = []
    for file in modules(SOURCE, tests=True):
        inside = file.relative_to(SOURCE)
        if inside.stem in FORBIDDEN_NAMES:
            faults.append(f"{inside} is a module without a subject")
        for part in inside.parts[:-1]:
            # The capability 数据服务 is called services; no other folder may be.
            if part in FORBIDDEN_NAMES and inside.parts[:2] != ("capabilities", "services"):
                faults.append(f"{inside} stands in a folder without a subject")
    check(faults, "names")


def test_models_are_imported_not_looked_up() -> None:
    faults = [
        f"{place(file)} line {node.lineno}: apps.get_model"
        for file in modules(SOURCE)
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get_model"
    ]
    assert not faults, "\n".join(faults)


def test_the_kernel_stays_small() -> None:
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in modules(SOURCE / "kernel"))
    assert lines <= KERNEL_LINES, f"{lines} lines"


def test_every_module_says_what_it_is() -> None:
    missing = [
        place(file)
        for file in modules(SOURCE, tests=True)
        if file.stat().st_size and not ast.get_docstring(tree(file))
    ]
    assert not missing, "\n".join(missing)


def test_nobody_imports_the_sample_city() -> None:
    faults = [
        place(file)
        for file in modules(SOURCE)
        if any(name == "demo" or name.startswith("demo.") for name in imported(file))
    ]
    assert not faults, "\n".join(faults)


def test_packs_hold_no_code() -> None:
    assert not list((SOURCE.parents[1] / "packs").rglob("*.py"))
