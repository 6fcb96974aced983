"""A Symbiotic receiver as the vendor's document describes it, with Python's standard library alone.

The payload is parsed and written again by json.dumps with sorted keys and the separators "," and ":"; its HMAC-SHA256
under the hex-decoded key is compared with the header. Prints the port first, then a line for each webhook.
"""

import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        payload = json.loads(body)
        with open(sys.argv[1]) as file:
            key = bytes.fromhex(file.read())
        message = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
        expected = hmac.new(key, message, hashlib.sha256).hexdigest()
        verified = hmac.compare_digest(expected, self.headers.get("symbioticsec_signature", ""))
        self.send_response(200 if verified else 401)
        self.end_headers()
        print("verified" if verified else "refused", payload["event"], flush=True)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
