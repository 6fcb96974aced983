"""Standard Webhooks by the reference library and by svix's.

send URL SECRET    posts one message each, again, and forged: one line of JSON with the answers
verify SECRET      reads {"headers": …, "body": …} from stdin and has both verify it
"""

import datetime
import json
import sys
import urllib.error
import urllib.request

import standardwebhooks
import svix.webhooks

LIBRARIES = {"standardwebhooks": standardwebhooks.Webhook, "svix": svix.webhooks.Webhook}


def post(url, headers, body):
    request = urllib.request.Request(url, data=body.encode(), headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return [answer.status, json.loads(answer.read())]
    except urllib.error.HTTPError as error:
        return [error.code, json.loads(error.read())]


def send(url, secret):
    seen = {}
    for name, library in LIBRARIES.items():
        now = datetime.datetime.now(tz=datetime.timezone.utc)
        identity = "msg_python_" + name
        body = json.dumps({"type": "acme.sent", "data": {"by": name, "text": "Schwäche \U0001f600"}}, ensure_ascii=False)
        headers = {
            "content-type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": library(secret).sign(identity, now, body),
        }
        forged = dict(headers, **{"webhook-id": identity + "x"})
        seen[name] = [post(url, headers, body), post(url, headers, body), post(url, forged, body)]
    print(json.dumps(seen))


def verify(secret):
    received = json.load(sys.stdin)
    seen = {}
    for name, library in LIBRARIES.items():
        seen[name] = library(secret).verify(received["body"], received["headers"])["type"]
    print(json.dumps(seen))


if __name__ == "__main__":
    {"send": send, "verify": verify}[sys.argv[1]](*sys.argv[2:])
