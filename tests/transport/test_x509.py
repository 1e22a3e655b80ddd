"""What is read of certificates, against a library that knows all of X.509."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from picocorn.transport.x509 import read_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
YESTERDAY = datetime.datetime(2020, 1, 1)


def certificate(subject: x509.Name, names: list[x509.GeneralName] | None = None) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([]))
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(YESTERDAY)
        .not_valid_after(YESTERDAY + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256())


def der(made: x509.Certificate) -> bytes:
    return made.public_bytes(serialization.Encoding.DER)


KNOWN = [
    NameOID.COMMON_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.USER_ID,
]
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
ATTRIBUTES = st.builds(lambda oid, text: x509.NameAttribute(oid, text), st.sampled_from(KNOWN), TEXT)


@given(st.lists(ATTRIBUTES, max_size=5))
def test_a_subject_reads_as_the_library_has_it(attributes: list[x509.NameAttribute[str]]) -> None:
    name = x509.Name(attributes)
    assert read_certificate(der(certificate(name))).subject == name.rfc4514_string()


def test_subjects_of_several_parts_and_of_types_without_a_name() -> None:
    country = x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")
    both = x509.RelativeDistinguishedName(
        [x509.NameAttribute(NameOID.COMMON_NAME, "a,b"), x509.NameAttribute(NameOID.USER_ID, "x+y")]
    )
    assert read_certificate(der(certificate(x509.Name([x509.RelativeDistinguishedName([country]), both])))).subject in (
        "CN=a\\,b+UID=x\\+y,C=DE",
        "UID=x\\+y+CN=a\\,b,C=DE",
    )
    # RFC 4514 2.4: the value as it is encoded (0c is UTF8String, 16 IA5String), for the library shows its text.
    odd = x509.Name([x509.NameAttribute(ObjectIdentifier("1.3.6.1.4.1.99999.1"), "odd")])
    assert read_certificate(der(certificate(odd))).subject == "1.3.6.1.4.1.99999.1=#0c036f6464"
    mail = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.example")])
    assert read_certificate(der(certificate(mail))).subject == "1.2.840.113549.1.9.1=#160b" + b"a@b.example".hex()


def test_alternative_names() -> None:
    names = [
        x509.DNSName("A.example"),
        x509.RFC822Name("a@b.example"),
        x509.DNSName("*.b.example"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.UniformResourceIdentifier("https://c.example/"),
    ]
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Not.used.example")])
    read = read_certificate(der(certificate(common, names)))
    assert read.dns_names == ("a.example", "*.b.example")
    assert read.addresses == (bytes([192, 0, 2, 1]), bytes(15) + b"\1")
    # Only who has no other names goes by that of the subject.
    assert read_certificate(der(certificate(common))).dns_names == ("not.used.example",)
    assert read_certificate(der(certificate(x509.Name([])))).dns_names == ()


WHOLE = der(certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")]), [x509.DNSName("b")]))


@given(st.data())
def test_damage_is_a_value_error_or_harmless(data: st.DataObject) -> None:
    whole = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, 150))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        read_certificate(bytes(whole[:cut]))
    except ValueError:
        return


@pytest.mark.parametrize("data", [b"", b"0", b"\x30\x00", b"\x30\x80", b"\x30\x02\x30\x00", b"\xff" * 40])
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        read_certificate(data)
