"""Standard output and error of a command that was started without them."""

from __future__ import annotations

import os
import sys


def ensure() -> None:
    """Put the null device where a stream was closed by whoever started this (`>&-`): Python has None there, on which
    every print would fail, and the next file that is opened would get the stream's number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            stream = os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
