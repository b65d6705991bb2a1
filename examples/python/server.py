"""A log-in, a basket and a log-out behind Springhouse, with Python's standard library.

The process keeps no state: start as many as you like. Python verifies no Ed25519 signature by itself, so proxy and backend share a secret
(HS256). With the package `cryptography` or `PyJWT` the published keys work too, and no secret has to be shared.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

SECRET = os.environ["SESSION_SECRET"].encode()
# The name of this origin in Springhouse's configuration: `default` if it was started with --origin.
AUDIENCE = os.environ.get("SESSION_AUDIENCE", "default")
SKEW = 60  # Clocks may differ by so many seconds.

# A real program compares the hash of a password: hashlib.scrypt.
PASSWORDS = {"zoe": "open sesame", "ann": "swordfish"}


class Forged(Exception):
    """The field is not from the proxy."""


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def session_of(field: str | None) -> dict:
    """Return the claims of a session, or {} without one. Raise Forged if the field is not from the proxy."""
    if field is None:
        return {}
    try:
        header, payload, signature = field.split(".")
        expected = hmac.digest(SECRET, f"{header}.{payload}".encode(), hashlib.sha256)
        if not hmac.compare_digest(expected, decoded(signature)):
            raise Forged
        kind, claims = json.loads(decoded(header)), json.loads(decoded(payload))
    except ValueError as error:
        raise Forged from error
    now = time.time()
    # The algorithm is this program's choice, never the sender's.
    if kind["alg"] != "HS256" or kind["typ"] != "springhouse-session+jwt":
        raise Forged
    if claims["iss"] != "springhouse" or claims["aud"] != AUDIENCE:
        raise Forged
    if claims["exp"] < now - SKEW or claims["iat"] > now + SKEW:
        raise Forged
    return claims


def change(instruction: dict) -> dict:
    """The field with an instruction to the proxy; in base64, because fields of http.server are Latin-1."""
    text = base64.b64encode(json.dumps(instruction).encode()).decode()
    return {"Springhouse-Session-Set": f":{text}:"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.handle_request()

    def do_POST(self) -> None:
        self.handle_request()

    def handle_request(self) -> None:
        form = self.read_form()
        try:
            session = session_of(self.headers.get("Springhouse-Session"))
        except Forged:
            self.send(401, {"error": "this session is not from the proxy"})
            return
        match self.command, self.path.split("?", 1)[0]:
            case "GET", "/basket":
                self.send(200, {"user": session.get("sub"), "basket": session.get("data", {}).get("basket", {})})
            case "POST", "/basket":
                self.put(form)
            case "POST", "/login":
                user = form.get("user", "")
                if user in PASSWORDS and hmac.compare_digest(PASSWORDS[user].encode(), form.get("password", "").encode()):
                    self.send(204, fields=change({"login": user}))
                else:
                    self.send(403, {"error": "wrong user or password"})
            case "POST", "/logout":
                self.send(204, fields=change({"logout": True}))
            case _:
                self.send(404, {"error": "not found"})

    def put(self, form: dict[str, str]) -> None:
        item, count = form.get("item", ""), form.get("count", "")
        if not re.fullmatch(r"[\w -]{1,40}", item) or not re.fullmatch(r"[0-9]{1,2}", count):
            self.send(400, {"error": "an item, and a count to 99"})
            return
        # A merge patch: it changes one member of the basket, whatever other requests change at the same time. None removes a member.
        self.send(204, fields=change({"data": {"basket": {item: int(count) or None}}}))

    def read_form(self) -> dict[str, str]:
        text = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 10_000)).decode("utf-8", "replace")
        return {name: values[-1] for name, values in parse_qs(text).items()}

    def send(self, status: int, value: dict | None = None, fields: dict[str, str] | None = None) -> None:
        body = b"" if value is None else json.dumps(value).encode() + b"\n"
        self.send_response(status)
        self.send_header("Cache-Control", "no-store")
        for name, text in (fields or {}).items():
            self.send_header(name, text)
        if value is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Handler).serve_forever()
