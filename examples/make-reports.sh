#!/bin/sh
# Writes webshop/reports anew with the tools named in README.md. The tools go into a virtual environment of their own,
# outside the tree: TOOLS, by default a temporary directory.
#
# audit.cdx.json is not made here: it is written by hand (see README.md).
set -eu

cd "$(dirname "$0")/webshop"
TOOLS=${TOOLS:-$(mktemp -d)}

if [ ! -x "$TOOLS/bandit/bin/bandit" ]; then
    python3 -m venv "$TOOLS/bandit"
    "$TOOLS/bandit/bin/pip" install --quiet 'bandit[sarif]==1.9.4' 'cyclonedx-bom==7.5.0'
fi
if [ ! -x "$TOOLS/checkov/bin/checkov" ]; then
    python3 -m venv "$TOOLS/checkov"
    "$TOOLS/checkov/bin/pip" install --quiet 'checkov==3.3.30'
fi

for state in before after; do
    reports="../reports/$state"
    mkdir -p "reports/$state"
    (
        # Relative paths, so that the reports say nothing of the machine they were made on.
        cd "$state"
        # Both scanners exit 1 when they find something, which is what they are here for.
        "$TOOLS/bandit/bin/bandit" --quiet --recursive . --format sarif --output "$reports/bandit.sarif" || [ $? -eq 1 ]
        "$TOOLS/checkov/bin/checkov" --directory . --framework terraform --skip-download --quiet --compact \
            --output sarif --output-file-path "$reports" >/dev/null || [ $? -eq 1 ]
        mv "$reports/results_sarif.sarif" "$reports/checkov.sarif"
        "$TOOLS/bandit/bin/cyclonedx-py" requirements --of JSON --sv 1.6 --output-reproducible \
            -o "$reports/sbom.cdx.json" requirements.txt
    )
done
