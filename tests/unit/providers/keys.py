"""Keys of the tests' own, in place of those that Amazon and Google publish, and what is signed with them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.algorithms import RSAAlgorithm

from tests.unit.providers.parts import NOW

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

# -- Amazon SNS -------------------------------------------------------------------------------------------

TOPIC = "arn:aws:sns:eu-central-1:111122223333:pushed-images"
CERTIFICATE = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
SIGNED = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")


def certificate(key=KEY, days: int = 30, at: float = NOW) -> bytes:
    """One that is in force for *days* more."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    until = datetime.fromtimestamp(at, UTC) + timedelta(days=days)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(until - timedelta(days=365)).not_valid_after(until)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def sns_signed(told: dict, key=KEY) -> dict:
    """As Amazon signs: version 1 with SHA-1, version 2 with SHA-256."""
    lines = "".join(f"{name}\n{told[name]}\n" for name in SIGNED if name in told)
    algorithm = hashes.SHA1() if told["SignatureVersion"] == "1" else hashes.SHA256()
    content = lines.encode("utf-8", "surrogatepass")
    return told | {"Signature": base64.b64encode(key.sign(content, PKCS1v15(), algorithm)).decode()}


# -- Google -----------------------------------------------------------------------------------------------

KEYS = "https://www.googleapis.com/oauth2/v3/certs"
URL = "https://deploy.example/hooks/google-artifact-registry"
ACCOUNT = "pusher@example-project.iam.gserviceaccount.com"


def published(key=KEY, kid: str = "k1") -> dict:
    return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig", "alg": "RS256"}


JWKS = json.dumps({"keys": [published(OTHER_KEY, "k0"), published()]}).encode()


def token(key=KEY, kid: str | None = "k1", algorithm: str = "RS256", at: float = NOW, **more) -> str:
    """As Google makes them for Pub/Sub; None leaves a claim out."""
    claims = {
        "iss": "https://accounts.google.com",
        "aud": URL,
        "azp": "1",
        "sub": "1",
        "email": ACCOUNT,
        "email_verified": True,
        "iat": int(at) - 60,
        "exp": int(at) + 3540,
        **more,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else None)


class Papers:
    """What the receiver reads, visits and tells at providers', without a network. ``visited`` and ``told`` in order."""

    def __init__(self, at: float) -> None:
        self._certificate = certificate(at=at)
        self.visited: list[str] = []
        self.told: list[tuple[str, Mapping[str, str]]] = []

    def read(self, urls: Iterable[str]) -> Mapping[str, bytes]:
        return {url: JWKS if url == KEYS else self._certificate for url in urls}

    def visit(self, url: str) -> None:
        self.visited.append(url)

    def tell(self, url: str, content: Mapping[str, str]) -> None:
        self.told.append((url, content))
