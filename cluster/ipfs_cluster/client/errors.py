"""What can go wrong for the clients of the REST API, one root; the same for both."""

from __future__ import annotations

import json


class ClientError(Exception):
    """Root of what the clients raise on purpose."""


class ApiError(ClientError):
    """The API answered with an error. code: HTTP status, as the answer's own object tells it; str(error): its text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BadRequest(ApiError):
    """400: a CID, an option or a filter is wrong."""


class Unauthorized(ApiError):
    """401: no credentials, or wrong ones."""


class Forbidden(ApiError):
    """403: the credentials do not allow this."""


class NotFound(ApiError):
    """404: not pinned, no such peer, no such route."""


class StreamFailed(ApiError):
    """The answer began well and ended with an error, told in its trailer: what came before it is not everything."""


class BrokenStream(ClientError):
    """The connection was lost before the answer's end: what came is not everything."""


class BadAnswer(ClientError):
    """What answered does not speak this API: no JSON, or other fields than there must be."""


class Unreachable(ClientError, ConnectionError):
    """None of the hosts could be reached, or the connection was lost before the answer; then a change may have
    happened. sent: whether the request may have arrived.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class Untrusted(Unreachable):
    """TLS failed: the certificate is not believed, or TLS is not spoken there."""


class TimedOut(ClientError, TimeoutError):
    """No connection, no answer or no more of it within the time that was given. sent: as in Unreachable."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class SourceError(ClientError):
    """Something cannot be added. doing: what was tried, such as "reading photos", which the text begins with, or ""."""

    def __init__(self, doing: str, message: str) -> None:
        super().__init__(f"{doing}: {message}" if doing else message)
        self.doing = doing


class WaitFailed(ClientError):
    """`wait_for`: a peer failed; the message names it with its error."""


_KINDS = {400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound}


def api_error(status: int, body: bytes, reason: str = "") -> ApiError:
    """The error that an answer is. status: HTTP; the code in an error object counts more, unless it is 0."""
    text = body.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
        code, message = int(value["code"]) or status, str(value["message"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        code, message = status, text or reason
    return _KINDS.get(code, ApiError)(code, message)
