"""What fetching from the Hugging Face Hub fails with: its client passes on what others raise."""

from __future__ import annotations


def hub_failures() -> tuple[type[Exception], ...]:
    """Of a name that can be none, of its HTTP client (a proxy, a broken connection), of hf_xet,
    which fetches large files and knows RuntimeError alone, and of the disk: OSError when full."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # the root of the HTTP client's errors: httpx's, or its successor's
    of_client: type[Exception] = HfHubHTTPError.__bases__[0]
    return HFValidationError, of_client, RuntimeError, OSError
