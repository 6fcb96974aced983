"""Splunk's collector and Elastic's bulk API as their documents have them, strict, on loopback.

Prints its port, then a line of JSON for each event or document that was taken, and for each acknowledgement given.
"""

import json
import re
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "B5A79AAD-D822-46CC-80D1-819F80D7BFB0"
API_KEY = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="
BYTES_MAX = 1_000_000
HEC_MEMBERS = {"time", "host", "source", "sourcetype", "index", "event", "fields"}
INDEX = re.compile(r"logs-[a-z0-9_.]+-[a-z0-9_.]+")

acks, asked, stored = {}, {}, set()

TELLING = threading.Lock()


def say(**said):
    # Threads tell at the same time: a line is written whole.
    with TELLING:
        print(json.dumps(said), flush=True)


def objects(text):
    """One JSON object after another, whatever white space is between them."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        if len(body) > BYTES_MAX:
            return self.answer(413, {"text": "too large", "code": 27})
        if url.path == "/services/collector/event":
            return self.collect(body)
        if url.path == "/services/collector/ack":
            return self.acknowledge(parse_qs(url.query), body)
        if url.path == "/_bulk":
            return self.bulk(body)
        self.answer(404, {"text": "no such path", "code": 404})

    def is_splunk(self):
        given = self.headers.get("Authorization")
        if given is None:
            self.answer(401, {"text": "Token is required", "code": 2})
        elif not given.startswith("Splunk "):
            self.answer(401, {"text": "Invalid authorization", "code": 3})
        elif given != f"Splunk {TOKEN}":
            self.answer(403, {"text": "Invalid token", "code": 4})
        else:
            return True
        return False

    def collect(self, body):
        if not self.is_splunk():
            return None
        channel = self.headers.get("X-Splunk-Request-Channel")
        if channel is None:
            return self.answer(400, {"text": "Data channel is missing", "code": 10})
        try:
            uuid.UUID(channel)
        except ValueError:
            return self.answer(400, {"text": "Invalid data channel", "code": 11})
        try:
            events = objects(body.decode())
        except ValueError:
            return self.answer(400, {"text": "Invalid data format", "code": 6, "invalid-event-number": 0})
        if not events:
            return self.answer(400, {"text": "No data", "code": 5})
        for number, event in enumerate(events):
            if "event" not in event:
                return self.answer(400, {"text": "Event field is required", "code": 12, "invalid-event-number": number})
            if event["event"] in ("", None):
                return self.answer(400, {"text": "Event field cannot be blank", "code": 13, "invalid-event-number": number})
            flat = all(isinstance(value, (str, int, float, list)) for value in event.get("fields", {}).values())
            if not flat or not set(event) <= HEC_MEMBERS or not isinstance(event.get("time", 0.0), (int, float)):
                return self.answer(400, {"text": "Error in handling indexed fields", "code": 15, "invalid-event-number": number})
            if event.get("index", "sec") != "sec":
                return self.answer(400, {"text": "Incorrect index", "code": 7, "invalid-event-number": number})
        number = len(acks)
        acks[number] = channel
        for event in events:
            say(kind="hec", of=len(events), event=event)
        self.answer(200, {"text": "Success", "code": 0, "ackId": number})

    def acknowledge(self, query, body):
        if not self.is_splunk():
            return None
        numbers = json.loads(body)["acks"]
        channel = query.get("channel", [None])[0]
        if channel is None or any(acks.get(number) != channel for number in numbers):
            return self.answer(400, {"text": "Invalid data channel", "code": 11})
        done = {}
        for number in numbers:
            asked[number] = asked.get(number, 0) + 1
            # Indexed by the second time somebody asks.
            done[str(number)] = asked[number] > 1
            if done[str(number)]:
                say(kind="ack", number=number)
        self.answer(200, {"acks": done})

    def bulk(self, body):
        if self.headers.get("Authorization") != f"ApiKey {API_KEY}":
            return self.answer(401, {"error": {"type": "security_exception", "reason": "missing authentication credentials"}, "status": 401})
        if self.headers.get("Content-Type") != "application/x-ndjson":
            return self.answer(406, {"error": "Content-Type header is not supported", "status": 406})
        text = body.decode()
        if not text.endswith("\n"):
            reason = "The bulk request must be terminated by a newline [\\n]"
            return self.answer(400, {"error": {"type": "illegal_argument_exception", "reason": reason}, "status": 400})
        lines = text.split("\n")[:-1]
        items = []
        for action, document in zip(lines[::2], lines[1::2]):
            (verb, place), document = next(iter(json.loads(action).items())), json.loads(document)
            item = {"_index": place["_index"], "_id": place["_id"]}
            key = (place["_index"], place["_id"])
            if verb != "create" or not INDEX.fullmatch(place["_index"]) or "@timestamp" not in document:
                item |= {"status": 400, "error": {"type": "document_parsing_exception", "reason": "no data stream takes that"}}
            elif key in stored:
                item |= {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "document already exists"}}
            else:
                stored.add(key)
                item |= {"status": 201, "result": "created"}
                say(kind="elastic", of=len(lines) // 2, index=place["_index"], document=document)
            items.append({verb: item})
        self.answer(200, {"took": 1, "errors": any("error" in next(iter(item.values())) for item in items), "items": items})


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
