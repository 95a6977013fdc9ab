"""Bootstrap: from Python 3.11 and nothing else to a working checkout; standard library only.

Run by `make` with the system's Python: makes ``.venv``, installs the hash-locked requirements,
compiles bytecode, fetches the front-end libraries. Every step is skipped when its input has not
changed. The user's pip configuration (index, mirror, certificates) is respected: uv does not read
it, so it is handed over, and where uv fails pip does the same work.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = Path(os.environ.get("LIANYUN_VENV") or ROOT / ".venv")
SYSTEM = {
    # what the browser, database and seal tests need: program → Debian package
    "chromium-headless-shell": "chromium-headless-shell",
    "mariadbd": "mariadb-server",
    "java": "openjdk-17-jre-headless",
    # who judges our seals: a PDF reader of others, a hardware store in software
    "pdfsig": "poppler-utils",
    "softhsm2-util": "softhsm2",
    # who ends TLS in front of us
    "nginx": "nginx-light",
}
FONT = ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "fonts-noto-cjk")


def say(text: str) -> None:
    """One line to the terminal, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def python() -> Path:
    """The environment's interpreter."""
    return VENV / "bin" / "python"


def _works() -> bool:
    if not python().exists():
        return False
    done = subprocess.run(
        [str(python()), "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True
    )
    # A copied or moved environment still points to its old place.
    return done.returncode == 0 and Path(done.stdout.strip()).resolve() == VENV.resolve()


def make_environment() -> None:
    """Make ``.venv`` unless a working one stands there."""
    if _works():
        return
    if VENV.exists():
        shutil.rmtree(VENV)
    say("· 建立 Python 环境 .venv ……")
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)
    except (subprocess.CalledProcessError, OSError) as error:
        raise SystemExit(
            f"无法建立虚拟环境（{error}）。Debian/Ubuntu 请先安装 python3-venv。"
        ) from error


def _pip_settings() -> dict[str, str]:
    """The user's pip settings as pip itself resolves them from files and variables."""
    done = subprocess.run(
        [str(python()), "-m", "pip", "config", "list"], capture_output=True, text=True
    )
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            try:
                found[key.rpartition(".")[2]] = str(ast.literal_eval(value))
            except (SyntaxError, ValueError):
                continue
    return found


def _uv_environment() -> dict[str, str]:
    """The environment for uv: the user's own UV_* first, else what pip is configured with."""
    environment = dict(os.environ)
    environment.setdefault("UV_SYSTEM_CERTS", "1")
    environment.setdefault("UV_HTTP_TIMEOUT", "180")
    environment.setdefault("UV_HTTP_RETRIES", "6")
    environment["VIRTUAL_ENV"] = str(VENV)
    chosen = {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE"} & set(environment)
    settings = _pip_settings()
    if not chosen:
        pairs = {
            "index-url": "UV_DEFAULT_INDEX",
            "extra-index-url": "UV_INDEX",
            "trusted-host": "UV_INSECURE_HOST",
        }
        for key, variable in pairs.items():
            if key in settings:
                environment.setdefault(variable, " ".join(settings[key].split()))
        if "find-links" in settings:
            environment.setdefault("UV_FIND_LINKS", ",".join(settings["find-links"].split()))
        if settings.get("no-index", "").lower() in {"true", "1", "yes"}:
            environment.setdefault("UV_NO_INDEX", "1")
        # pip looks at all indexes alike; the hashes of the lock decide what is taken.
        environment.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    if "cert" in settings:
        environment.setdefault("SSL_CERT_FILE", settings["cert"])
    if "proxy" in settings:
        environment.setdefault("HTTPS_PROXY", settings["proxy"])
    return environment


def _digest(*files: Path) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def install_requirements(dev: bool) -> None:
    """Install the locked requirements (with the developers' if asked) unless they stand there."""
    # The developers' lock holds everything of the product's lock, so its stamp serves for both.
    dev = dev or (VENV / "stamp-dev").exists()
    lock = ROOT / ("requirements-dev.lock" if dev else "requirements.lock")
    stamp = VENV / ("stamp-dev" if dev else "stamp")
    wanted = _digest(lock, ROOT / "requirements-bootstrap.lock")
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"· 安装依赖（{lock.name}，校验哈希）……")
    pip = [str(python()), "-m", "pip", "--disable-pip-version-check"]
    locked = ["--require-hashes", "-r", str(lock)]
    uv = VENV / "bin" / "uv"
    bootstrap = ["--require-hashes", "-r", str(ROOT / "requirements-bootstrap.lock")]
    with_uv = (
        subprocess.run([*pip, "install", "-q", *bootstrap]).returncode == 0
        and subprocess.run(
            [str(uv), "pip", "install", "-q", "--compile-bytecode", *locked], env=_uv_environment()
        ).returncode
        == 0
    )
    if not with_uv:
        say("· uv 未能完成，改用 pip ……")
        subprocess.run([*pip, "install", "-q", *locked], check=True)
    stamp.write_text(wanted)


def install_spark(needed: bool) -> None:
    """Install the driver of a Spark cluster and Sail (600 MB) unless they stand there.

    Where they are only wanted for tests (not `needed`), a failure is said loudly and no more.
    """
    lock, stamp = ROOT / "requirements-spark.lock", VENV / "stamp-spark"
    wanted = _digest(lock)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"· 安装 Spark 驱动与 Sail（{lock.name}，校验哈希）……")
    locked = ["install", "-q", "--require-hashes", "-r", str(lock)]
    uv, pip = [str(VENV / "bin" / "uv"), "pip"], [str(python()), "-m", "pip"]
    if (
        subprocess.run([*uv, *locked], env=_uv_environment()).returncode == 0
        or subprocess.run([*pip, *locked]).returncode == 0
    ):
        stamp.write_text(wanted)
        return
    if needed:
        raise SystemExit("Spark 驱动没有安装成功。")
    say("!" * 78)
    say("! Spark 驱动（pyspark）与 Sail 没有安装成功：集群上的检查、基础库、关联与比对没有测试。")
    say("! 安装后再运行：make setup-spark")
    say("!" * 78)


def link_product() -> None:
    """Make `lianyun` importable and callable from this checkout (no build, no download)."""
    done = subprocess.run(
        [str(python()), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    path = Path(done.stdout.strip()) / "lianyun-checkout.pth"
    wanted = f"{ROOT / 'src'}\n"
    if not path.exists() or path.read_text() != wanted:
        path.write_text(wanted)
    script = VENV / "bin" / "lianyun"
    text = f"#!{python()}\nimport sys\n\nfrom lianyun.project.cli import main\n\nsys.exit(main())\n"
    if not script.exists() or script.read_text() != text:
        script.write_text(text)
        script.chmod(0o755)
    subprocess.run([str(python()), "-m", "compileall", "-q", str(ROOT / "src")], check=False)


def install_frontend() -> None:
    """Fetch the front-end libraries unless they stand there."""
    subprocess.run([str(python()), "-m", "lianyun.project.frontend"], check=True)


def _missing_system_packages() -> list[str]:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin"
    missing = [
        package for program, package in SYSTEM.items() if shutil.which(program, path=path) is None
    ]
    if not Path(FONT[0]).exists():
        missing.append(FONT[1])
    return missing


def install_system_packages() -> None:
    """Install what browser and database tests need by apt where that is allowed; else say
    loudly which tests will be left out."""
    missing = _missing_system_packages()
    if not missing:
        return
    apt = shutil.which("apt-get")
    prefix: list[str] | None = [] if os.geteuid() == 0 else None
    if prefix is None and shutil.which("sudo"):
        allowed = subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
        prefix = ["sudo", "-n"] if allowed else None
    if apt and prefix is not None:
        say(f"· 安装测试所需系统软件：{' '.join(missing)} ……")
        # RUNLEVEL: what is installed for tests does not begin to serve.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        install = [*prefix, apt, "install", "-y", "-qq", "--no-install-recommends", *missing]
        for attempt in range(3):
            subprocess.run([*prefix, apt, "update", "-qq"], env=environment, check=False)
            done = subprocess.run(
                install, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
            )
            if done.returncode == 0:
                break
            say(done.stderr[-600:])
            time.sleep(5 * (attempt + 1))
        missing = _missing_system_packages()
    if missing:
        say("!" * 78)
        say(f"! 缺少系统软件 {'、'.join(missing)}：浏览器测试（chromium、字体）、")
        say(
            "! MariaDB 来源测试、Spark 集群测试（java）中用到它们的将被跳过。安装后再运行：apt-get install "
            + " ".join(missing)
        )
        say("!" * 78)


def main() -> None:
    """Do what is missing."""
    parser = argparse.ArgumentParser(description="准备运行环境")
    parser.add_argument("--dev", action="store_true", help="连同开发与测试依赖")
    parser.add_argument("--spark", action="store_true", help="连同 Spark 驱动与 Sail")
    parser.add_argument("--system", action="store_true", help="连同测试所需系统软件")
    arguments = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - any Python may be asked to run this file
        raise SystemExit(f"需要 Python 3.11 或更高版本，当前为 {sys.version.split()[0]}。")
    try:
        make_environment()
        install_requirements(arguments.dev)
        if arguments.spark:
            install_spark(needed=not arguments.system)
        link_product()
        install_frontend()
        if arguments.system:
            install_system_packages()
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"准备环境失败：{' '.join(map(str, error.cmd))}") from error


if __name__ == "__main__":
    main()
