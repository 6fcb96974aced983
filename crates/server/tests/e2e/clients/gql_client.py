"""gql against /graphql: Aegis's documented mutation, queries, errors. Prints what it saw as one line of JSON."""

import json
import sys

from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport

address, key, org = sys.argv[1:]
transport = RequestsHTTPTransport(
    url=f"http://{address}/graphql?org={org}", headers={"Authorization": f"Bearer {key}"}, use_json=True
)
# The schema is fetched, and every document checked against it before it is sent.
client = Client(transport=transport, fetch_schema_from_transport=True)

create = gql(
    """
    mutation CreateWebhook($input: WebhookInput!) {
      createWebhook(input: $input) { id url events secret active }
    }
    """
)
given = {
    "url": "https://your-app.com/webhooks/aegis",
    "events": ["VULNERABILITY_DETECTED", "POAM_OVERDUE", "EVIDENCE_COMPLETED"],
    "secret": "your-webhook-secret",
}
with client as session:
    create.variable_values = {"input": given}
    made = session.execute(create)["createWebhook"]
    inline = gql(
        'mutation { createWebhook(input: {url: "https://a.example.com/h", events: [VULNERABILITY_DETECTED]}) { id secret } }'
    )
    second = session.execute(inline)["createWebhook"]
    listed = session.execute(gql("{ webhooks { id url events active } }"))["webhooks"]
    page = gql("query P($after: String) { org { endpoints(first: 1, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } } }")
    seen, after = [], None
    while True:
        page.variable_values = {"after": after}
        endpoints = session.execute(page)["org"]["endpoints"]
        seen += [node["id"] for node in endpoints["nodes"]]
        after = endpoints["pageInfo"]["endCursor"]
        if not endpoints["pageInfo"]["hasNextPage"]:
            break
    create.variable_values = {"input": {**given, "url": "https://10.0.0.1/"}}
    try:
        session.execute(create)
        refused = None
    except TransportQueryError as error:
        refused = error.errors[0]["extensions"]["code"]
    delete = gql("mutation D($id: ID!) { deleteWebhook(id: $id) }")
    delete.variable_values = {"id": second["id"]}
    deleted = session.execute(delete)["deleteWebhook"]

print(json.dumps({"made": made, "second": second, "listed": listed, "seen": seen, "refused": refused, "deleted": deleted}))
