"""A mail server (aiosmtpd) on loopback: STARTTLS or nothing, a user and a password or nothing.

Called with certificate and key; prints its port, then a line of JSON for each mail, as Python's own parser reads it.
Recipients at `refused.example` are refused for good, those at `later.example` for now.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.endswith("@refused.example"):
            return "550 5.1.1 no such mailbox"
        if address.endswith("@later.example"):
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        said = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "user": session.auth_data,
            "headers": {name: str(value) for name, value in message.items()},
            "text": message.get_body(("plain",)).get_content(),
            "html": message.get_body(("html",)).get_content(),
            "defects": [str(part.defects) for part in message.walk() if part.defects],
            "longest": max(len(line) for line in envelope.content.split(b"\r\n")),
        }
        print(json.dumps(said), flush=True)
        return "250 2.0.0 taken as 42"


def authenticate(server, session, envelope, mechanism, data):
    is_known = data.login == b"watchbell" and data.password == "pä55 word".encode()
    return AuthResult(success=is_known, auth_data="watchbell" if is_known else None, handled=True)


async def main(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    smtp = lambda: SMTP(
        Handler(), tls_context=context, require_starttls=True, auth_required=True, authenticator=authenticate, hostname="mail.test"
    )
    server = await asyncio.get_running_loop().create_server(smtp, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
