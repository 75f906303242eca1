"""Requests of ipfs-cluster-ctl to the REST API: hosts to fail over to, credentials, streams, errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from ipfs_cluster.addresses import parse_address
from ipfs_cluster.ctl.errors import ApiError
from ipfs_cluster.ctl.transport import Adapter, Upload


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API. hosts: multiaddrs; timeout: seconds for connecting and for each read, None for no limit."""

    hosts: tuple[str, ...]
    timeout: float | None = None
    tls: bool = False
    verify: bool = True
    credentials: tuple[str, str] | None = None
    debug: bool = False


class Api:
    """Requests to the first host that can be reached."""

    def __init__(self, access: Access) -> None:
        """Raises AddressError."""
        self._access = access
        self._hosts = [_host(host, access.tls) for host in access.hosts]
        if not access.verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def get(self, path: str, **params: str) -> Iterator[Any]:
        """The JSON values of an answer, one after the other. Raises ApiError, requests.RequestException."""
        return self.ask("GET", path, params)

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        json: object = None,
        upload: Upload | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Any]:
        """The same for any method; parameters without a value are left out. A host that cannot be reached is followed
        by the next, unless some of the upload was sent.
        """
        query = {key: value for key, value in (params or {}).items() if value}
        for position, (url, adapter) in enumerate(self._hosts):
            session = self._session(url, adapter)
            try:
                response = session.request(
                    method,
                    url + path,
                    params=query,
                    json=json,
                    data=upload,
                    headers=headers,
                    stream=True,
                    timeout=self._access.timeout,
                    allow_redirects=method == "GET",
                )
            except requests.ConnectionError:
                _raise_local(upload)
                if position + 1 == len(self._hosts) or (upload is not None and upload.started):
                    raise
                continue
            self._note(f"{method} {response.url}: {response.status_code}")
            yield from _values(response, adapter, upload)
            return

    def one(self, method: str, path: str, params: Mapping[str, str] | None = None, *, json: object = None) -> Any:
        """The first value of an answer; None without one."""
        return next(self.ask(method, path, params, json=json), None)

    def _session(self, url: str, adapter: Adapter) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # neither proxies nor .netrc of the environment: the address is what was given
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
        session.verify = self._access.verify and bundle
        session.auth = self._access.credentials
        session.headers["TE"] = "trailers"  # which `adapter.late` is filled from
        session.mount(url, adapter)
        return session

    def _note(self, text: str) -> None:
        if self._access.debug:
            sys.stderr.write(f"debug: {text}\n")


def hosts(text: str) -> tuple[str, ...]:
    """The comma-separated multiaddrs of --host."""
    return tuple(host.strip() for host in text.split(",") if host.strip())


def _host(text: str, tls: bool) -> tuple[str, Adapter]:
    address = parse_address(text)
    if address.unix:
        return "http://localhost", Adapter(address.unix)
    name = f"[{address.host}]" if ":" in address.host else address.host
    return f"{'https' if tls or address.tls else 'http'}://{name}:{address.port}", Adapter()


def _values(response: requests.Response, adapter: Adapter, upload: Upload | None) -> Iterator[Any]:
    with response:
        if response.status_code >= 400:
            raise _api_error(response)
        try:
            for line in response.iter_lines():
                if line:
                    yield json.loads(line)
        except requests.RequestException:
            _raise_local(upload)
            raise
        if adapter.late:
            raise ApiError(500, "; ".join(adapter.late))
        _raise_local(upload)


def _raise_local(upload: Upload | None) -> None:
    """Why the upload broke off here, rather than how that looked in the answer."""
    if upload is not None and upload.error is not None and not isinstance(upload.error, ConnectionError):
        raise upload.error


def _api_error(response: requests.Response) -> ApiError:
    text = response.text.strip()
    try:
        body = json.loads(text)
        return ApiError(int(body["code"]) or response.status_code, str(body["message"]))
    except (ValueError, KeyError, TypeError):
        return ApiError(response.status_code, text or response.reason)


def dumps(value: object) -> str:
    """The JSON form of a value, as ipfs-cluster-ctl prints it."""
    return json.dumps(value, indent=4, ensure_ascii=False)
