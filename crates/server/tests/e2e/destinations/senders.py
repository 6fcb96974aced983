"""Sends with others' clients what Watchbell would send: apprise, opsgenie-sdk and pagerduty, to the services at a URL."""

import json
import sys

import apprise
import opsgenie_sdk
import pagerduty
from apprise.plugins import opsgenie as apprise_opsgenie
from apprise.plugins import pagerduty as apprise_pagerduty
from apprise.plugins.slack import NotifySlack

url, routing_key, genie_key, key = sys.argv[1:]
seen = {}

# The vendor's own client opens an incident with the key that Watchbell will close.
client = pagerduty.EventsApiV2Client(routing_key)
# It takes https alone, and the service of the test speaks plainly.
client._url = url
seen["pagerduty"] = client.trigger("opened by another", "tests", dedup_key=key, severity="error")

configuration = opsgenie_sdk.Configuration()
configuration.host = url
configuration.api_key["Authorization"] = genie_key
alerts = opsgenie_sdk.AlertApi(opsgenie_sdk.ApiClient(configuration))
made = alerts.create_alert(opsgenie_sdk.CreateAlertPayload(message="opened by another", alias=key, priority="P2"))
seen["opsgenie"] = made.result
alerts.create_alert(opsgenie_sdk.CreateAlertPayload(message="closed by another", alias="other/key:1"))
closed = alerts.close_alert("other/key:1", identifier_type="alias", close_alert_payload=opsgenie_sdk.CloseAlertPayload())
seen["closed"] = closed.result

# Addresses are constants there; everything else is as it is.
NotifySlack.webhook_url = f"{url}/services"
for table in (apprise_opsgenie.OPSGENIE_API_LOOKUP, apprise_pagerduty.PAGERDUTY_API_LOOKUP):
    for region in table:
        table[region] = f"{url}/v2/enqueue" if table is apprise_pagerduty.PAGERDUTY_API_LOOKUP else f"{url}/v2/alerts"
host = url.removeprefix("http://")
for name, to in {
    "apprise slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general?blocks=yes",
    "apprise opsgenie": f"opsgenie://{genie_key}/",
    "apprise pagerduty": f"pagerduty://{routing_key}@{routing_key}/source/component",
}.items():
    sender = apprise.Apprise()
    assert sender.add(to), name
    seen[name] = bool(sender.notify(title="A title", body="A <b>body</b> & more", notify_type="failure"))
print(json.dumps(seen))
