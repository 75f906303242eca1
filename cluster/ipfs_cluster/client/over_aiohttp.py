"""The calls over aiohttp: one session a host, failing over, errors as the clients' own.

aiohttp drops trailers, and those of this API tell that a stream failed, so the bytes of each connection are followed
beside it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler

from ipfs_cluster.client.access import Access, Attempts, Endpoint
from ipfs_cluster.client.calls import Call, Lines
from ipfs_cluster.client.errors import (
    ApiError,
    BadAnswer,
    BrokenStream,
    ClientError,
    StreamFailed,
    TimedOut,
    Unreachable,
    Untrusted,
)
from ipfs_cluster.client.multipart import Multipart
from ipfs_cluster.client.over_requests import TOO_SOON, check
from ipfs_cluster.client.trailers import Tap

log = logging.getLogger("ipfs_cluster.client")

T = TypeVar("T")


class _Protocol(ResponseHandler):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.tap = Tap()

    def data_received(self, data: bytes) -> None:
        self.tap.take(data)
        super().data_received(data)


class _Response(aiohttp.ClientResponse):
    late: list[str]

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        protocol = connection.protocol
        found = await super().start(connection)
        self.late = protocol.tap.late
        return found


class AsyncUpload:
    """A body that is sent while the answer is read. error, finished: as of Upload."""

    def __init__(self, body: Multipart) -> None:
        self._body = body
        self.started = False
        self.finished = False
        self.error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.started = True
        try:
            async for piece in self._body:
                yield piece
            self.finished = True
        except Exception as error:
            self.error = error
            raise


class AiohttpTransport:
    """Sends calls. Every method raises ClientError, and what reading a source of an upload raises."""

    def __init__(self, access: Access) -> None:
        """Raises AddressError."""
        self._access = access
        self._hosts = access.endpoints
        self._first = 0
        self._sessions: dict[Endpoint, aiohttp.ClientSession] = {}
        self._sleep = asyncio.sleep

    async def close(self) -> None:
        """Close all connections; a later call opens new ones."""
        while self._sessions:
            _, session = self._sessions.popitem()
            await session.close()
            await asyncio.sleep(0)  # a transport's end takes one more turn

    async def one(self, call: Call[T]) -> T:
        """The result of an answer with one value, or none."""
        values = [value async for value in self.values(call)]
        return call.result(values[0] if values else None)

    async def each(self, call: Call[T], body: Multipart | None = None) -> AsyncIterator[T]:
        """The results as they come."""
        async with aclosing(self.values(call, body)) as values:
            async for value in values:
                yield call.result(value)

    async def values(self, call: Call[Any], body: Multipart | None = None) -> Any:
        """The JSON values of the answer as they come."""
        upload = None if body is None else AsyncUpload(body)
        response = await self._send(call, upload, body)
        lines = Lines()
        try:
            with _mapped(begun=True):
                if response.status >= 300:
                    check(response.status, await response.read(), response.reason or "", response.headers)
                async for piece in response.content.iter_any():
                    for value in lines.take(piece):
                        yield value
            if response.late:
                raise StreamFailed(500, "; ".join(response.late))
            for value in lines.end():
                yield value
        except ClientError as error:
            if not isinstance(error, ApiError):
                _raise_local(upload)
            raise
        finally:
            response.close()
        _raise_local(upload)
        if upload is not None and not upload.finished:
            raise BrokenStream(TOO_SOON)

    async def _send(self, call: Call[Any], upload: AsyncUpload | None, body: Multipart | None) -> _Response:
        attempts = Attempts(len(self._hosts), self._first, repeatable=call.repeatable, retries=self._access.retries)
        for pause, at in attempts:
            if pause:
                await self._sleep(pause)
            try:
                found = await self._ask(self._hosts[at], call, upload, body)
            except (Unreachable, TimedOut) as error:
                _raise_local(upload)
                error.sent = error.sent and (upload is None or upload.started)
                log.debug("%s %s at %s: %s", call.method, call.path, self._hosts[at].url, error)
                attempts.failed(error)
                continue
            self._first = at
            return found
        raise AssertionError("the last attempt raises")

    async def _ask(
        self, host: Endpoint, call: Call[Any], upload: AsyncUpload | None, body: Multipart | None
    ) -> _Response:
        with _mapped():
            response = await self._session(host).request(
                call.method,
                host.url + call.path,
                params=call.params,
                json=call.json,
                data=aiter(upload) if upload is not None else None,
                headers={"Content-Type": body.content_type, "Connection": "close"} if body else None,
                allow_redirects=call.method == "GET",
            )
        log.debug("%s %s: %s", call.method, response.url, response.status)
        assert isinstance(response, _Response)
        return response

    def _session(self, host: Endpoint) -> aiohttp.ClientSession:
        if host not in self._sessions:
            access = self._access
            connector = aiohttp.UnixConnector(host.unix) if host.unix else aiohttp.TCPConnector(ssl=self._tls())
            session = aiohttp.ClientSession(
                connector=connector,
                headers=access.headers,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=access.connect_timeout, sock_read=access.timeout
                ),
                response_class=_Response,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            # Neither has a public name; tests tell when they are gone. Trailers are only in the bytes of connections,
            # and a DELETE that may have arrived must not be sent again.
            connector._factory = cast(Any, functools.partial(_Protocol, asyncio.get_running_loop()))
            session._retry_connection = False
            self._sessions[host] = session
        return self._sessions[host]

    def _tls(self) -> ssl.SSLContext | bool:
        if not self._access.verify:
            return False
        return ssl.create_default_context(cafile=self._access.ca) if self._access.ca else True


def _raise_local(upload: AsyncUpload | None) -> None:
    """Why the upload broke off here, rather than how that looked in the answer."""
    if upload is not None and upload.error is not None:
        raise upload.error


@contextmanager
def _mapped(*, begun: bool = False) -> Iterator[None]:
    """Errors of aiohttp as ours. begun: the answer has begun."""
    try:
        yield
    except aiohttp.ClientSSLError as error:
        raise Untrusted(f"TLS: {error}") from error
    except aiohttp.ConnectionTimeoutError as error:
        raise TimedOut("no connection in time", sent=False) from error
    except TimeoutError as error:
        raise TimedOut("no answer in time" if not begun else "the answer did not go on in time") from error
    except aiohttp.ClientConnectorError as error:
        raise Unreachable(error.strerror or str(error)) from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        if begun:
            raise BrokenStream("the connection was closed before its end") from error
        raise Unreachable(str(error), sent=True) from error
    except aiohttp.ClientError as error:
        raise BadAnswer(str(error)) from error
