"""What a run keeps secret: a certificate for the gateways, and an issuer whose JWTs Gatekey takes.

By openssl, as Python's own library has neither.
"""

import base64
import json
import ssl
import subprocess
import time

HOST = "api.example.com"
ISSUER = "https://login.example.com"
AUDIENCE = "gatekey"
GATEWAY = "system:serviceaccount:speech:gateway"
KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]


def openssl(folder, *arguments, **options):
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30, **options).stdout


class Certificate:
    """`tls.crt` and `tls.key` in the folder, and who signed it."""

    def __init__(self, folder):
        self.folder = folder
        openssl(folder, "req", "-x509", *KEY, "-subj", "/CN=Throw-away authority", "-keyout", "ca.key", "-out", "ca.crt")
        self._sign(folder, f"DNS:{HOST}")
        self.authority = (folder / "ca.crt").read_bytes()
        self.client = ssl.create_default_context(cafile=folder / "ca.crt")

    def another(self, name, subject):
        """A folder with another's: `tls.crt`, `tls.key`, and `ca.crt` of who signed it."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            (folder / "ca.crt").write_bytes(self.authority)
            self._sign(folder, subject)
        return folder

    def _sign(self, folder, subject):
        openssl(
            folder,
            *("req", "-x509", *KEY, "-subj", "/CN=Throw-away", "-addext", f"subjectAltName={subject}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-CA", self.folder / "ca.crt", "-CAkey", self.folder / "ca.key"),
            *("-keyout", "tls.key", "-out", "tls.crt"),
        )


class Issuer:
    """Signs JWTs with Ed25519; its keys are in the file `jwks`."""

    def __init__(self, folder):
        self.folder = folder
        openssl(folder, "genpkey", "-algorithm", "ed25519", "-out", "issuer.pem")
        public = openssl(folder, "pkey", "-in", "issuer.pem", "-pubout", "-outform", "DER")[-32:]
        self.jwks = folder / "jwks.json"
        key = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1", "x": encoded(public)}
        self.jwks.write_text(json.dumps({"keys": [key]}))
        self.arguments = ["--issuer", ISSUER, "--audience", AUDIENCE, "--jwks", self.jwks, "--verifier-subject", GATEWAY]

    def jwt(self, subject, **claims):
        now = int(time.time())
        body = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600, **claims}
        parts = [{"alg": "EdDSA", "typ": "JWT", "kid": "1"}, body]
        text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
        # Ed25519 is signed in one go, which openssl does of files only.
        (self.folder / "to-be-signed").write_text(text)
        signed = openssl(self.folder, "pkeyutl", "-sign", "-rawin", "-inkey", "issuer.pem", "-in", "to-be-signed")
        return f"{text}.{encoded(signed)}"


def encoded(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
