"""What the Hub's client raises, whichever HTTP library it is built on."""

from __future__ import annotations

import sys

from huggingface_hub.errors import HfHubHTTPError

_library = sys.modules[HfHubHTTPError.__bases__[0].__module__.partition(".")[0]]
FAILURES: list[Exception] = [
    _library.ProxyError("403 Forbidden.\nAsk the proxy's keeper."),
    _library.RemoteProtocolError("peer closed connection"),
    _library.ReadTimeout("timed out"),
    OSError(28, "No space left on device"),
    OSError("Consistency check failed: file should be of size 10 but has size 4."),
    RuntimeError("Data processing error: CAS service error"),
]
