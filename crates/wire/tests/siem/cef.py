"""Judges CEF messages, one a line on standard input, each as JSON text.

`cefevent`, which refuses unknown keys and values that are too long or of the wrong type, writes the same event anew from
what stands in the message; what it writes must be what we wrote. Prints what was read as JSON: `{"header": […], "extension": {…}}`,
or `{"fault": …}`.
"""

import json
import re
import sys

from cefevent import CEFEvent

PARTS = ["version", "deviceVendor", "deviceProduct", "deviceVersion", "signatureId", "name", "severity"]


def plain(text):
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), text, flags=re.S)


def read(message):
    cef = message[message.index("CEF:") + 4 :]
    parts = re.split(r"(?<!\\)((?:\\\\)*)\|", cef, maxsplit=7)
    header = ["".join(pair) for pair in zip(parts[0:14:2], parts[1:15:2])]
    assert len(header) == 7, header
    extension = parts[14]
    pairs = re.findall(r"(\w+)=((?:\\.|[^\\=])*?)(?=\s\w+=|$)", extension, flags=re.S)
    assert " ".join(f"{key}={value}" for key, value in pairs) == extension, (pairs, extension)
    return cef, header, pairs


def judge(message):
    cef, header, pairs = read(message)
    event = CEFEvent(strict=True)
    for name, part in zip(PARTS[1:], header[1:]):
        event.set_prefix(name, plain(part))
    for key, value in pairs:
        event.set_field(key, float(value) if key == "cfp1" else plain(value))
    theirs, ours = event.build_cef()[4:], cef
    # cefevent leaves carriage returns as they are, and writes a number as Python does.
    ours = ours.replace("\\r", "\r")
    ours = re.sub(r"\bcfp1=(\S+)", lambda found: f"cfp1={float(found[1])}", ours)
    if theirs != ours:
        return {"fault": f"cefevent writes {theirs!r}, not {ours!r}"}
    return {"header": [plain(part) for part in header], "extension": {key: plain(value) for key, value in pairs}}


for line in sys.stdin:
    try:
        said = judge(json.loads(line))
    except (AssertionError, ValueError) as error:
        said = {"fault": str(error)}
    print(json.dumps(said))
