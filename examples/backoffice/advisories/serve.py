"""Answers as OSV's and npm's services do, from the files beside this one, so that the scanners need no network.

Prints its port, then serves until it is ended.
"""

import http.server
import json
import pathlib

HERE = pathlib.Path(__file__).parent
PYPI = json.loads((HERE / "pypi.json").read_text())
NPM = json.loads((HERE / "npm.json").read_text())
VERSIONS = {
    "lodash": {"4.17.15": {}, "4.17.21": {}},
    "minimist": {"0.0.8": {}, "1.2.0": {}, "1.2.8": {}},
    "mkdirp": {"0.5.1": {"minimist": "0.0.8"}, "0.5.6": {"minimist": "^1.2.6"}},
}


def package(name):
    """What npm wants to know of a package."""
    versions = {
        version: {"name": name, "version": version, "dependencies": needs, "dist": {"tarball": f"http://localhost/{name}"}}
        for version, needs in VERSIONS[name].items()
    }
    return {"name": name, "dist-tags": {"latest": list(versions)[-1]}, "versions": versions}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.strip("/")
        self.answer(package(name) if name in VERSIONS else None)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        asked = json.loads(body)
        if self.path == "/v1/query":
            name, version = asked["package"]["name"], asked["version"]
            hit = [it for it in PYPI for of in it["affected"] if of["package"]["name"] == name and version in of["versions"]]
            self.answer({"vulns": hit} if hit else {})
        elif self.path == "/-/npm/v1/security/advisories/bulk":
            self.answer({name: NPM[name] for name in asked if name in NPM})
        else:
            self.answer(None)

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(404 if value is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
