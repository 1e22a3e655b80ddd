"""The certificates of a server: read, chosen by server name, and read again when their files have changed. Knows no connection.

A pair that cannot be used never takes the place of one that can: what was there goes on serving, and the log says why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..base.errors import ConfigError
from ..transport.x509 import Certificate, read_certificate

if TYPE_CHECKING:
    from .config import Config

__all__ = ["Certificates"]

logger = logging.getLogger("picocorn.error")

#: Between two looks at the files. Connections ask, so that a server which has none to serve does not look.
LOOK_SECONDS = 2.0

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def _new_context(config: Config, certfile: str, keyfile: str | None) -> ssl.SSLContext:
    """A context for one pair of files, with everything else that the options say. Raises ConfigError."""
    password = config.ssl_keyfile_password
    files = certfile if keyfile is None else f"{certfile} and {keyfile}"
    with _failing_as("Invalid value for '--ssl-version'"):
        context = ssl.SSLContext(config.ssl_version)
    with _failing_as(f"Cannot serve with the certificate {files}"):
        # Without a password, OpenSSL would ask for one on the terminal: a server has none, as a rule.
        context.load_cert_chain(certfile, keyfile, (lambda: password) if password else _no_password)
    context.verify_mode = ssl.VerifyMode(config.ssl_cert_reqs)
    if config.ssl_ca_certs:
        with _failing_as(f"Cannot verify clients with {os.fspath(config.ssl_ca_certs)}"):
            context.load_verify_locations(config.ssl_ca_certs)
    if config.ssl_ciphers:
        with _failing_as("Invalid value for '--ssl-ciphers'"):
            context.set_ciphers(config.ssl_ciphers)
    # The client's choice, over and over again, at our expense.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, and there is no --ssl-keyfile-password")


@contextlib.contextmanager
def _failing_as(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"{what}: {_reason(error)}.") from None


class _Generation:
    """The contexts of one reading of all files."""

    def __init__(self, default: ssl.SSLContext) -> None:
        self.default = default
        #: DNS name -> context; a wildcard stands under what is behind its "*"
        self.by_name: dict[str, ssl.SSLContext] = {}
        self.addresses: set[bytes] = set()

    def add(self, context: ssl.SSLContext, certificate: Certificate) -> None:
        """Serve `certificate`, for names that no earlier one has."""
        self.addresses.update(certificate.addresses)
        for name in certificate.dns_names:
            self.by_name.setdefault(name.removeprefix("*"), context)

    def find(self, name: str) -> ssl.SSLContext | None:
        """The context for a host name (RFC 6125 6.4.3: a wildcard is one label, the first)."""
        name = name.lower().rstrip(".")
        return self.by_name.get(name) or self.by_name.get(name[name.find(".") :] if "." in name else "")

    def choose(self, tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        """The `sni_callback` of the default context."""
        found = self.find(name) if name else None
        if found is not None and found is not self.default:
            tls.context = found


class Certificates:
    """What `context()` gives is what the next connection is to be served with.

    Raises ConfigError if the files that `config` names cannot be used, and whatever the `ssl_context_factory` raises.
    """

    def __init__(self, config: Config, alpn: Sequence[str] = ("http/1.1",)) -> None:
        self._config = config
        self._alpn = list(alpn)
        self._pairs = config.ssl_pairs
        self._files = [name for pair in self._pairs for name in pair if name]
        self._files += [os.fspath(config.ssl_ca_certs)] if config.ssl_ca_certs else []
        #: context -> its certificate, PEM: also of earlier readings, as long as there are connections
        self._texts: weakref.WeakKeyDictionary[ssl.SSLContext, str] = weakref.WeakKeyDictionary()
        self._looked_at = time.monotonic()
        self._seen = self._look()
        self._current = self._read()

    def context(self) -> ssl.SSLContext:
        """The context for a new connection. Looks at the files now and then."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at = now
            seen = self._look()
            if seen != self._seen:
                self.reload()
        return self._current.default

    def reload(self) -> bool:
        """Read everything again. Returns whether that is used from now on; connections that are open stay as they are."""
        self._seen = self._look()
        try:
            current = self._read()
        except ConfigError as error:
            logger.error("%s Serving with the certificates from before.", error)
            return False
        except Exception:
            # The factory's own.
            logger.exception("Error in ssl_context_factory. Serving with the certificates from before.")
            return False
        self._current = current
        logger.info("Read the certificates again.")
        return True

    def certificate_of(self, context: ssl.SSLContext) -> str | None:
        """The certificate (PEM) that is shown with `context`; None for one that the application's factory has made by itself."""
        return self._texts.get(context)

    def has_name(self, host: str) -> bool:
        """Whether the certificates are for the host name `host`. True if there are none to look into."""
        return not self._pairs or self._current.find(host) is not None

    def has_address(self, packed: bytes) -> bool:
        """As `has_name`, for an IP address."""
        return not self._pairs or packed in self._current.addresses

    # -- reading

    def _look(self) -> list[Any]:
        """What tells whether a file is another one than before."""
        seen: list[Any] = []
        for name in self._files:
            try:
                found = os.stat(name)
            except OSError as error:
                seen.append(error.errno)
            else:
                seen.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return seen

    def _read(self) -> _Generation:
        factory = self._config.ssl_context_factory
        if factory is not None:
            return self._from_factory(factory)
        contexts = [self._context(certfile, keyfile) for certfile, keyfile in self._pairs]
        generation = _Generation(contexts[0])
        for context, (certfile, _keyfile) in zip(contexts, self._pairs, strict=True):
            self._add(generation, context, certfile)
        if len(contexts) > 1:
            contexts[0].sni_callback = generation.choose
        return generation

    def _from_factory(self, factory: Callable[[Any, Callable[[], ssl.SSLContext]], Any]) -> _Generation:
        def default() -> ssl.SSLContext:
            if not self._pairs:
                raise ConfigError("The default SSL context needs '--ssl-certfile'.")
            return self._context(*self._pairs[0])

        context = factory(self._config, default)
        if not isinstance(context, ssl.SSLContext):
            raise ConfigError(f"ssl_context_factory has to return an ssl.SSLContext, not {type(context).__name__}.")
        context.set_alpn_protocols(self._alpn)
        generation = _Generation(context)
        if self._pairs:
            self._add(generation, context, self._pairs[0][0])
        return generation

    def _add(self, generation: _Generation, context: ssl.SSLContext, certfile: str) -> None:
        self._texts[context], certificate = _first_certificate(certfile)
        generation.add(context, certificate)

    def _context(self, certfile: str, keyfile: str | None) -> ssl.SSLContext:
        context = _new_context(self._config, certfile, keyfile)
        context.set_alpn_protocols(self._alpn)
        return context


def _reason(error: Exception) -> str:
    # Not every SSLError has one.
    reason = getattr(error, "reason", None)
    if isinstance(error, ssl.SSLError) and reason:
        return str(reason).replace("_", " ").lower()
    if isinstance(error, ssl.SSLError) and "PEM lib" in str(error):
        # OpenSSL's name for it is that of the part that has looked.
        return "there is no certificate or no key in it, or not as PEM"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".")


def _first_certificate(path: str) -> tuple[str, Certificate]:
    """The server's own certificate in a file with a chain: PEM, and what is in it. Raises ConfigError."""
    try:
        with open(path, encoding="latin-1") as file:
            text = file.read()
        start = text.index(_BEGIN)
        text = text[start : text.index(_END, start) + len(_END)] + "\n"
        return text, read_certificate(ssl.PEM_cert_to_DER_cert(text))
    except (OSError, ValueError) as error:
        raise ConfigError(f"Cannot read the certificate {path}: {error}.") from None
