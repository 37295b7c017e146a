"""llama.cpp in a process of its own: `python serving.py FILE THREADS ROOM`.

It ends the process it runs in where an assertion of it fails, so it isn't run in ours. Prints the
server's address on a line, and ends when its standard input does.
"""

from __future__ import annotations

import os
import sys

SLOTS = 8  # prompts at once; each slot keeps what it has run, so the instruction is run once in it


def serve(path: str, threads: int, room: int) -> None:
    """Serve a GGUF file to this machine until standard input ends.

    `room` is how many tokens a prompt and what follows it may have.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what llama.cpp prints is no answer
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = SLOTS * room
    params.n_parallel = SLOTS
    params.n_batch = params.n_ubatch = 2048
    params.cache_ram_mib = 0
    params.warmup = False
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_gpu_layers = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, file=answers, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
