"""The calls over `requests`: one connection pool a host, failing over, errors as the clients' own."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import requests
import urllib3
from urllib3.exceptions import InsecureRequestWarning, NewConnectionError, ProtocolError

from ipfs_cluster.client.access import Access, Attempts, Endpoint
from ipfs_cluster.client.calls import Call, Lines
from ipfs_cluster.client.duplex import Adapter, Upload, late_errors
from ipfs_cluster.client.errors import (
    ApiError,
    BadAnswer,
    BrokenStream,
    ClientError,
    StreamFailed,
    TimedOut,
    Unreachable,
    Untrusted,
    api_error,
)
from ipfs_cluster.client.multipart import Multipart

log = logging.getLogger("ipfs_cluster.client")

T = TypeVar("T")
PIECE = 64 * 1024
TOO_SOON = "the answer ended before everything was sent"


class RequestsTransport:
    """Sends calls. Every method raises ClientError, and what reading a source of an upload raises."""

    def __init__(self, access: Access) -> None:
        """Raises AddressError."""
        self._access = access
        self._hosts = access.endpoints
        self._first = 0
        self._sessions: dict[Endpoint, requests.Session] = {}
        self._sleep = time.sleep
        if not access.verify:
            urllib3.disable_warnings(InsecureRequestWarning)

    def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    def one(self, call: Call[T]) -> T:
        """The result of an answer with one value, or none."""
        values = list(self.values(call))
        return call.result(values[0] if values else None)

    def each(self, call: Call[T], upload: Upload | None = None, body: Multipart | None = None) -> Iterator[T]:
        """The results as they come. The request is sent now, whether or not anybody looks at them."""
        return map(call.result, self.values(call, upload, body))

    def values(self, call: Call[Any], upload: Upload | None = None, body: Multipart | None = None) -> Iterator[Any]:
        """The JSON values of the answer as they come; the request is sent now. upload: of `body`, if there is one."""
        session, response = self._send(call, upload, body)
        if response.status_code >= 300:
            with _mapped(begun=True), _closing(session, response):
                check(response.status_code, response.content, response.reason, response.headers)
        return self._values(session, response, upload)

    def _send(
        self, call: Call[Any], upload: Upload | None, body: Multipart | None
    ) -> tuple[requests.Session | None, requests.Response]:
        """The session is one that has to be closed after the answer, or None."""
        attempts = Attempts(len(self._hosts), self._first, repeatable=call.repeatable, retries=self._access.retries)
        for pause, at in attempts:
            if pause:
                self._sleep(pause)
            try:
                found = self._ask(self._hosts[at], call, upload, body)
            except (Unreachable, TimedOut) as error:
                raise_local(upload)
                error.sent = error.sent and (upload is None or upload.started)
                log.debug("%s %s at %s: %s", call.method, call.path, self._hosts[at].url, error)
                attempts.failed(error)
                continue
            self._first = at
            return found
        raise AssertionError("the last attempt raises")

    def _ask(
        self, host: Endpoint, call: Call[Any], upload: Upload | None, body: Multipart | None
    ) -> tuple[requests.Session | None, requests.Response]:
        # An upload's connection is not used again: its answer may end while the body is still being sent.
        own = None if upload is None else self._session(host)
        session = own or self._sessions.setdefault(host, self._session(host))
        with _mapped():
            response = session.request(
                call.method,
                host.url + call.path,
                params=call.params,
                json=call.json,
                data=upload,
                headers={"Content-Type": body.content_type} if body else None,
                stream=True,
                timeout=(self._access.connect_timeout, self._access.timeout),
                allow_redirects=call.method == "GET",
            )
        log.debug("%s %s: %s", call.method, response.url, response.status_code)
        return own, response

    def _session(self, host: Endpoint) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # neither proxies nor .netrc of the environment: the address is what was given
        session.verify = self._access.verify and (self._access.ca or True)
        session.headers.update(self._access.headers)
        session.mount(host.url, Adapter(host.unix))
        return session

    def _values(
        self, session: requests.Session | None, response: requests.Response, upload: Upload | None
    ) -> Iterator[Any]:
        late, lines = late_errors(response.raw), Lines()
        try:
            with _mapped(begun=True), _closing(session, response):
                for piece in response.raw.stream(PIECE, decode_content=True):
                    yield from lines.take(piece)
        except ClientError:
            raise_local(upload)
            raise
        if late:
            raise StreamFailed(500, "; ".join(late))
        yield from lines.end()
        raise_local(upload)
        if upload is not None and not upload.finished:
            raise BrokenStream(TOO_SOON)


def check(status: int, body: bytes, reason: str, headers: Mapping[str, str]) -> None:
    """Raise the ApiError that an answer above 299 is."""
    if status < 400:
        raise ApiError(status, f"the request was redirected to {headers.get('Location', 'nowhere')}: ask there")
    raise api_error(status, body, reason)


@contextmanager
def _closing(session: requests.Session | None, response: requests.Response) -> Iterator[None]:
    with response:
        try:
            yield
        finally:
            if session is not None:
                session.close()


def raise_local(upload: Upload | None) -> None:
    """Why the upload broke off here, rather than how that looked in the answer."""
    if upload is not None and upload.error is not None and not isinstance(upload.error, ConnectionError):
        raise upload.error


@contextmanager
def _mapped(*, begun: bool = False) -> Iterator[None]:
    """Errors of requests and urllib3 as ours. begun: the answer has begun."""
    try:
        yield
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
        raise Untrusted(f"TLS: {_reason(error)}") from error
    except requests.ConnectTimeout as error:
        raise TimedOut("no connection in time", sent=False) from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise TimedOut("no answer in time" if not begun else "the answer did not go on in time") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if begun:
            raise BrokenStream("the connection was closed before its end") from error
        if not isinstance(error, requests.ConnectionError):
            raise BadAnswer(str(error)) from error
        raise Unreachable(_reason(error), sent=not isinstance(_inner(error), NewConnectionError)) from error


def _inner(error: BaseException) -> object:
    """The innermost reason of nested errors."""
    inner = error.args[0] if error.args else error
    return getattr(inner, "reason", inner)


def _reason(error: BaseException) -> str:
    """The innermost, without what the libraries say of their own objects."""
    inner = _inner(error)
    if isinstance(inner, NewConnectionError) and isinstance(inner.__cause__, OSError):
        inner = inner.__cause__.strerror or inner.__cause__
    elif isinstance(inner, ProtocolError) and isinstance(inner.args[-1], Exception):
        inner = inner.args[-1]
    lines = str(inner).splitlines()
    return _OPENSSL.sub("", lines[0]) if lines else "refused"


_OPENSSL = re.compile(r"^\[(?:SSL|X509)[^\]]*\] | \(_ssl\.c:[0-9]+\)$")
