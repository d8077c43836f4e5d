"""Providers' own addresses, over real TLS: read and kept, visited, told; never without it, and never for long."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nodewise.adapters.documents import KEPT, LARGEST, Documents
from nodewise.domain.errors import RetryLater
from tests.product import wait_for


class Site:
    """An https server on loopback with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.answers: dict[str, tuple[int, bytes]] = {"/keys": (200, b"the keys")}
        self.authority = folder / "cert.pem"
        key = certify(folder)
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                site.asked.append((self.command, self.path, body))
                status, content = site.answers.get(self.path, (404, b"no"))
                self.send_response(status)
                self.send_header("Location", "/keys")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


def certify(folder: Path) -> Path:
    """A certificate for 127.0.0.1; the file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "site")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    kind = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, plain))
    return folder / "key.pem"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_document_is_read_once_an_hour(site: Site):
    now = [0.0]
    documents = Documents(lambda: now[0], verify=str(site.authority))
    for _ in range(3):
        assert documents.read([f"{site.url}/keys"]) == {f"{site.url}/keys": b"the keys"}
    assert len(site.asked) == 1
    now[0] = KEPT
    documents.read([f"{site.url}/keys"])
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    "answer", [(500, b"no"), (302, b"elsewhere"), (200, b""), (200, b"x" * (LARGEST + 1))], ids=lambda a: str(a[0])
)
def test_what_is_no_document_is_not_kept_and_redirects_are_not_followed(site: Site, answer):
    site.answers["/keys"] = answer
    documents = Documents(verify=str(site.authority))
    for _ in range(2):
        with pytest.raises(RetryLater, match=r"127\.0\.0\.1"):
            documents.read([f"{site.url}/keys"])
    assert [path for _, path, _ in site.asked] == ["/keys", "/keys"]


def test_nobody_is_trusted_without_a_certificate_and_nobody_asked_without_tls(site: Site):
    with pytest.raises(RetryLater, match="SSLError"):
        Documents().read([f"{site.url}/keys"])
    with pytest.raises(RetryLater, match="without https"):
        Documents().visit("http://127.0.0.1/keys")
    assert site.asked == []


def test_a_visit_is_made_each_time(site: Site):
    documents = Documents(verify=str(site.authority))
    for _ in range(2):
        documents.visit(f"{site.url}/keys")
    assert len(site.asked) == 2


def test_a_callback_is_told_aside_and_one_that_fails_is_nobodys_matter(site: Site):
    documents = Documents(verify=str(site.authority))
    documents.tell("https://127.0.0.1:1/u/x", {"state": "success"})
    documents.tell(f"{site.url}/u/team/shop/hook", {"state": "success"})
    wait_for("the callback", lambda: site.asked)
    assert site.asked == [("POST", "/u/team/shop/hook", b'{"state": "success"}')]
