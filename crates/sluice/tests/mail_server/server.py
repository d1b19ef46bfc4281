"""A mail server that others wrote, aiosmtpd, for the tests: server.py FOLDER [--plain]

FOLDER has server.pem and server.key, and in `password` that of the account
`sluice`, read at each sign-in. The server takes nothing before STARTTLS and AUTH;
with --plain it knows no STARTTLS, and takes passwords and mails in clear. It prints
its port. What is done there becomes lines of JSON in FOLDER/events.jsonl, a mail as
Python's own library reads it."""
import asyncio
import email
import email.policy
import json
import ssl
import sys
from datetime import datetime, timezone
from pathlib import Path

from aiosmtpd.smtp import MISSING, SMTP, AuthResult

FOLDER = Path(sys.argv[1])
IS_PLAIN = "--plain" in sys.argv[2:]


def note(did, session, **more):
    event = {"did": did, "is_encrypted": session.ssl is not None, **more}
    with open(FOLDER / "events.jsonl", "a") as events:
        events.write(json.dumps(event) + "\n")


def as_read(content):
    """What a mail program makes of it."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    parts = list(message.walk())
    defects = [repr(defect) for part in parts for defect in part.defects]
    for part in parts:
        defects += [f"{name}: {defect!r}" for name, value in part.items() for defect in value.defects]
    sender = message["From"].addresses[0]
    age = datetime.now(timezone.utc) - message["Date"].datetime
    return {
        "headers": sorted(message.keys()),
        "from": [sender.display_name, sender.addr_spec],
        "to": [address.addr_spec for address in message["To"].addresses],
        "subject": message["Subject"],
        "message_id": message["Message-ID"],
        "age_seconds": age.total_seconds(),
        "types": [part.get_content_type() for part in parts],
        "texts": [part.get_content() for part in parts if part.get_content_maintype() == "text"],
        "defects": defects,
    }


class Handler:
    """Hooks of aiosmtpd, by their names."""

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        note("EHLO", session)
        return responses

    def handle_STARTTLS(self, server, session, envelope):
        note("STARTTLS", session)
        return True

    async def handle_MAIL(self, server, session, envelope, address, options):
        envelope.mail_from = address
        note("MAIL", session, address=address)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        envelope.rcpt_tos.append(address)
        note("RCPT", session, address=address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        note("DATA", session, mail=as_read(envelope.original_content))
        return "250 taken"

    async def handle_QUIT(self, server, session, envelope):
        note("QUIT", session)
        return MISSING


def signed_in(server, session, envelope, mechanism, login):
    is_right = login.login == b"sluice" and login.password == (FOLDER / "password").read_bytes()
    note("AUTH", session, mechanism=mechanism, is_right=is_right)
    # aiosmtpd answers with a refusal where it is not handled.
    return AuthResult(success=is_right, handled=False)


async def serve():
    options = {"authenticator": signed_in, "hostname": "mail.shop.example"}
    if IS_PLAIN:
        options["auth_require_tls"] = False
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(FOLDER / "server.pem", FOLDER / "server.key")
        options.update(tls_context=context, require_starttls=True, auth_required=True)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), loop=loop, **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
