"""The certificate of the rows over TLS: made once for each run, signed by itself, with a key of the kind that most sites have."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from failure import BenchFailure


@dataclass(frozen=True)
class Pair:
    """Where the certificate and its key are, PEM both; the key as PKCS #8, which every server reads."""

    certificate: Path
    key: Path


def pair(folder: Path) -> Pair:
    """The pair in `folder`, made when it is not there yet; raise BenchFailure when openssl does not make it."""
    made = Pair(folder / "certificate.pem", folder / "key.pem")
    if made.certificate.exists():
        return made
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(made.key), "-out", str(made.certificate)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BenchFailure("openssl is not installed") from None
    if done.returncode:
        raise BenchFailure(f"openssl makes no certificate: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return made
