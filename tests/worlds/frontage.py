"""What stands before a bridge: a proxy with TLS on loopback, rightly or wrongly set up."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.serving import served

PASSES, REDIRECTS, SAYS_YES, IS_SMALL = "passes", "redirects", "says yes", "is small"
IS_ANOTHER_BRIDGE, IS_SILENT = "is another bridge", "is silent"


@dataclass
class Frontage:
    """A proxy; `mode`: what it does with requests.

    Attributes:
        authority: a PEM file with the authority of its certificate.
        target: the bridge; "" means that it can't be reached.
    """

    url: str
    authority: Path
    mode: str = PASSES
    target: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        match self.mode:
            case "redirects":
                raise web.HTTPMovedPermanently(f"https://elsewhere.example{request.path}")
            case "says yes":
                return web.Response(text="<html>welcome</html>", content_type="text/html")
            case "is another bridge":
                return web.json_response({"proof": "0" * 64})
            case "is silent":
                await asyncio.Event().wait()
        try:
            async with (
                ClientSession() as session,
                session.request(request.method, f"{self.target}{request.path_qs}") as answer,
            ):
                return web.Response(status=answer.status, body=await answer.read())
        except (ClientError, ValueError):
            return web.Response(status=502, text="<html>Bad Gateway</html>")

    async def expect(self, request: web.Request) -> web.StreamResponse | None:
        """Answer `Expect: 100-continue`, as a proxy with a limit does."""
        if self.mode == IS_SMALL and (request.content_length or 0) > 2**20:
            return web.Response(status=413, text="<html>Request Entity Too Large</html>")
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return None


@asynccontextmanager
async def frontage(folder: Path, *, days: float = 90.0) -> AsyncIterator[Frontage]:
    """Run one, whose certificate is valid for so many days."""
    authority, certificate = _certificates(folder, days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made = Frontage("", authority)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle, expect_handler=made.expect)
    async with served(app, cancels=True, context=context) as made.url:
        yield made


def _certificates(folder: Path, days: float) -> tuple[Path, Path]:
    """Make an authority, and a certificate of it for localhost."""
    now = dt.datetime.now(dt.UTC)
    folder.mkdir(parents=True, exist_ok=True)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("tests", "localhost")
    ]
    made = []
    for at, (key, name) in enumerate(zip(keys, names, strict=True)):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(names[0])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=2))
            .not_valid_after(now + dt.timedelta(days=days if at else 3650))
            .add_extension(x509.BasicConstraints(ca=at == 0, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(
                    [
                        x509.DNSName("localhost"),
                        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                    ]
                ),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
                critical=False,
            )
        )
        if at == 0:
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        made.append(builder.sign(keys[0], hashes.SHA256()))
    pem = serialization.Encoding.PEM
    authority, certificate = folder / "authority.pem", folder / "certificate.pem"
    authority.write_bytes(made[0].public_bytes(pem))
    private = keys[1].private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate.write_bytes(made[1].public_bytes(pem) + private)
    return authority, certificate
