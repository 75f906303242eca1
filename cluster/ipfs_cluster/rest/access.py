"""`http_log_file`: a line for each request in Apache's combined format, without anything that may be a secret."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from ipfs_cluster.rest.keys import USER

log = logging.getLogger(__name__)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _LogFile(WatchedFileHandler):
    """Opened anew by itself when it was renamed or removed. A disk that is full costs lines, never answers."""

    complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        if not self.complained:
            self.complained = True
            log.exception("http_log_file cannot be written; lines are lost")

    def close(self) -> None:
        with suppress(OSError):  # what could not be written stays lost
            super().close()


def access_log(name: str = "ipfs_cluster.rest.requests") -> logging.Logger:
    """A logger of lines as they are, which go nowhere until `write_to`."""
    logger = logging.Logger(name, logging.INFO)
    logger.propagate = False
    return logger


def write_to(logger: logging.Logger, path: Path | None) -> None:
    """Let the lines go to a file, which is opened anew if it is that file already; None: to none. Raises OSError; then
    they go where they went before.
    """
    new = None if path is None else _LogFile(path, encoding="utf-8")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    if new is not None:
        new.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(new)


class CombinedLog(AbstractAccessLogger):
    """What aiohttp calls at the end of each request. The query is left out: it may hold what is nobody's business."""

    @property
    def enabled(self) -> bool:
        return bool(self.logger.handlers)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        if not self.enabled:
            return
        version = f"HTTP/{request.version.major}.{request.version.minor}"
        self.logger.info(
            '%s - %s [%s] "%s %s %s" %d %s "%s" "%s"',
            request.remote or "-",
            quoted(request.get(USER) or "-"),
            stamp(),
            quoted(request.method),
            quoted(request.rel_url.raw_path),
            version,
            response.status,
            response.body_length if response.content_length is None else response.content_length,
            quoted(request.headers.get("Referer", "-").split("?")[0]),
            quoted(request.headers.get("User-Agent", "-")),
        )


def quoted(text: str) -> str:
    """Text that stands between quotation marks and cannot end its line, as Apache writes it."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    if letter.isascii() and letter.isprintable():
        return letter
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def stamp(now: float | None = None) -> str:
    """26/Nov/2026:07:40:00 +0000"""
    at = time.localtime(now)
    return time.strftime(f"%d/{_MONTHS[at.tm_mon - 1]}/%Y:%H:%M:%S %z", at)  # %b would go by the locale
