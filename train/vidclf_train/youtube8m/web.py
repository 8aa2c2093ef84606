"""HTTP with patience: bounded retries, pauses that the server asks for, redirects only to http and https."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeVar

import httpx

from vidclf_cli.errors import UsageError

MOST_REDIRECTS = 5
LONGEST_WAIT_SECONDS = 300.0
"""A server that asks for a longer pause is taken at its word: the file is given up for now."""

_LONGEST_BACKOFF_SECONDS = 60.0
_RETRIED = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_Given = TypeVar("_Given")


class FetchError(Exception):
    """Something cannot be fetched; the text says why.

    Args:
        text: Without the URL.
        status: The HTTP status, where the server gave one.
    """

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class PassingError(FetchError):
    """Trouble that may be gone at the next try; the server may have said when.

    Args:
        text: Without the URL.
        wait_seconds: What the server asked for.
    """

    def __init__(self, text: str, wait_seconds: float | None = None, status: int | None = None) -> None:
        super().__init__(text, status)
        self.wait_seconds = wait_seconds


class StoppedError(Exception):
    """The user stopped the run while a thread was waiting or reading."""


def check_base_url(text: str) -> str:
    """Return a base URL without its last slash.

    Raises:
        UsageError: It is no http or https URL, or carries a user, a password, a query or a fragment. The
            message repeats nothing of it: a part could be secret.
    """
    advice = "Give us, eu, asia, or a URL like https://example.org/youtube8m."
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError("The mirror's URL cannot be understood.", advice) from error
    if url.userinfo:
        raise UsageError("The mirror's URL carries a user or a password.", advice)
    if url.scheme not in {"http", "https"} or not url.host:
        raise UsageError("The mirror is no http or https URL.", advice)
    if url.query or url.fragment:
        raise UsageError("The mirror's URL has a query or a fragment.", advice)
    return text.rstrip("/")


class Web:
    """A client that several threads share.

    Args:
        attempts: How often one thing is tried.
        backoff_seconds: The first pause between tries; it doubles, with a random part against crowds.
        timeout_seconds: Of connecting, and of waiting for the next bytes.
    """

    def __init__(
        self, *, attempts: int = 6, backoff_seconds: float = 1.0, timeout_seconds: float = 15.0
    ) -> None:
        self._attempts = attempts
        self._backoff_seconds = backoff_seconds
        self._stopped = threading.Event()
        self._reading: set[httpx.Response] = set()
        # Bytes as they are stored: checksums and ranges are of them.
        headers = {"Accept-Encoding": "identity", "User-Agent": "vidclf-train"}
        self._client = httpx.Client(headers=headers, timeout=timeout_seconds, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def stop(self) -> None:
        """Make every thread that waits or reads give up."""
        self._stopped.set()
        for response in tuple(self._reading):
            stream = response.extensions.get("network_stream")
            connection = stream.get_extra_info("socket") if stream is not None else None
            if connection is not None:
                with suppress(OSError):
                    # Closing it would not wake a thread that waits for bytes; nor may TLS wait for an answer.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def check_running(self) -> None:
        """Raise StoppedError after `stop`."""
        if self._stopped.is_set():
            raise StoppedError

    def patiently(self, attempt: Callable[[], _Given]) -> _Given:
        """Try something until it works, with growing pauses.

        Raises:
            FetchError: It does not work, or not in as many tries as there are.
            StoppedError: The user stopped the run.
        """
        for number in range(1, self._attempts + 1):
            self.check_running()
            try:
                return attempt()
            except PassingError as error:
                if number == self._attempts:
                    raise FetchError(f"{error}, {number} times", error.status) from error
                self._pause(error, number)
        raise AssertionError("at least one attempt")

    def _pause(self, error: PassingError, number: int) -> None:
        if error.wait_seconds is None:
            longest = min(_LONGEST_BACKOFF_SECONDS, self._backoff_seconds * 2 ** (number - 1))
            seconds = longest * random.uniform(0.5, 1.0)
        elif error.wait_seconds > LONGEST_WAIT_SECONDS:
            raise FetchError(f"{error}, and asks to wait {error.wait_seconds:.0f} s", error.status)
        else:
            seconds = error.wait_seconds
        if self._stopped.wait(seconds):
            raise StoppedError

    @contextmanager
    def get(
        self, url: str, headers: Mapping[str, str] | None = None, accepted: frozenset[int] = frozenset({200})
    ) -> Iterator[httpx.Response]:
        """Open a response for streaming; trouble while its body is read counts as trouble of the request.

        Raises:
            PassingError: Connection trouble, or a status that asks to come again.
            FetchError: Another status, or a redirect that is not followed.
        """
        try:
            response = self._send(self._client.build_request("GET", url, headers=headers))
            try:
                if response.status_code not in accepted:
                    raise _refusal(response)
                self._reading.add(response)
                yield response
            finally:
                self._reading.discard(response)
                response.close()
        except httpx.TransportError as error:
            raise PassingError(_brief(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(_brief(error)) from error

    def _send(self, request: httpx.Request) -> httpx.Response:
        for _ in range(MOST_REDIRECTS + 1):
            response = self._client.send(request, stream=True)
            if not response.has_redirect_location:
                return response
            following = response.next_request
            response.close()
            if following is None or following.url.scheme not in {"http", "https"}:
                raise FetchError("the server redirects to something else than http and https")
            if request.url.scheme == "https" and following.url.scheme != "https":
                raise FetchError("the server redirects from https to http")
            request = following
        raise FetchError(f"the server redirects more than {MOST_REDIRECTS} times")


def _refusal(response: httpx.Response) -> FetchError:
    status = response.status_code
    text = f"the server answers {status} {response.reason_phrase}".strip()
    if status in _RETRIED:
        return PassingError(text, _wait_seconds(response.headers.get("Retry-After")), status)
    return FetchError(text, status)


def _wait_seconds(header: str | None) -> float | None:
    """Read `Retry-After`: a number of seconds, or a date (RFC 9110, 10.2.3); None where it is neither."""
    if not header:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _brief(error: Exception) -> str:
    return f"the connection fails ({' '.join(str(error).split())[:120] or type(error).__name__})"
