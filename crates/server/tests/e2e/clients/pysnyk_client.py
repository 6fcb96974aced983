"""pysnyk against /v1/org/…/webhooks. It has no words for webhooks of its own: its client's four verbs serve."""

import json
import sys

import snyk
from snyk.errors import SnykHTTPError

address, key, org = sys.argv[1:]
client = snyk.SnykClient(key, url=f"http://{address}/v1", tries=1)
hooks = f"org/{org}/webhooks"
made = client.post(hooks, {"url": "https://my.app.com/webhook-handler/snyk123", "secret": "a8be22bb7bed43a3ac24de3580093560"}).json()
listed = client.get(hooks).json()
shown = client.get(f"{hooks}/{made['id']}").json()
pinged = client.post(f"{hooks}/{made['id']}/ping", {}).status_code
deleted = client.delete(f"{hooks}/{made['id']}").status_code
try:
    client.get(f"{hooks}/{made['id']}")
    gone = None
except SnykHTTPError as error:
    gone = error.code
try:
    client.post(hooks, {"url": "http://my.app.com/", "secret": "a8be22bb7bed43a3ac24de3580093560"})
    refused = None
except SnykHTTPError as error:
    refused = error.code
print(json.dumps({"made": made, "listed": listed, "shown": shown, "pinged": pinged, "deleted": deleted, "gone": gone, "refused": refused}))
