"""A configuration that is kept elsewhere: `{"source": "https://…"}` in service.json, as ipfs-cluster has it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import requests

from ipfs_cluster.settings.key import SettingsError

LIMIT = 1 << 20
"""Bytes of a configuration."""
TIMEOUT = 30.0


def check_source(url: object) -> str:
    """The URL, if something can be fetched there. Raises SettingsError."""
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise SettingsError(f"source: {json.dumps(url, default=str)}: must be an http or https URL")
    return url


def fetch(url: object, timeout: float = TIMEOUT) -> object:
    """The document behind the URL. Blocks. Raises SettingsError, which shows neither its credentials nor its query."""
    address = check_source(url)
    parts = urlsplit(address)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    content = b""
    try:
        with requests.get(address, timeout=timeout, stream=True) as answer:
            if answer.status_code != 200:
                raise SettingsError(f"source: {shown} answers {answer.status_code} {answer.reason}")
            for piece in answer.iter_content(65536):
                content += piece
                if len(content) > LIMIT:
                    raise SettingsError(f"source: {shown} is larger than {LIMIT} bytes")
    except requests.RequestException as error:
        raise SettingsError(f"source: {shown} cannot be fetched: {_reason(error)}") from None
    try:
        return json.loads(content)
    except ValueError as error:
        raise SettingsError(f"source: {shown} is no JSON: {error}") from None


def _reason(error: requests.RequestException) -> str:
    """The innermost one, which names no URL."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    return cause.strerror or type(cause).__name__ if isinstance(cause, OSError) else type(cause).__name__
