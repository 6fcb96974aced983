"""Reads messages, one JSON object a line, and has the vendors' own models judge them; prints how many of each passed."""

import collections
import json
import sys

import opsgenie_sdk
from slack_sdk.models.blocks import Block


def slack(body):
    blocks = Block.parse_all(body["blocks"])
    assert len(blocks) == len(body["blocks"])
    for block, said in zip(blocks, body["blocks"]):
        block.validate_json()
        assert type(block) is not Block, said
        assert block.to_dict() == said, (block.to_dict(), said)


class Received:
    """What the generated client reads a model from."""

    def __init__(self, body):
        self.data = json.dumps(body)


def opsgenie(body):
    client = opsgenie_sdk.ApiClient()
    # Every limit of the vendor's is checked by the setters of its models.
    payload = client.deserialize(Received(body), "CreateAlertPayload")
    assert client.sanitize_for_serialization(payload) == body, body


checks = {"slack": slack, "opsgenie": opsgenie}
passed = collections.Counter()
for line in open(sys.argv[1], encoding="utf-8"):
    message = json.loads(line)
    if message["kind"] in checks:
        checks[message["kind"]](message["body"])
        passed[message["kind"]] += 1
print(json.dumps(passed))
