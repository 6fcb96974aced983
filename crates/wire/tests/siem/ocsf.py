"""Judges OCSF records, one a line on standard input: `VERSION TAB RECORD`.

The framework's own schema of that version (ocsf-json-schema carries it), and py-ocsf-models for the classes that it has.
Prints one line a record: `ok`, or what is wrong.
"""

import json
import sys

import jsonschema
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from py_ocsf_models.events.findings.compliance_finding import ComplianceFinding
from py_ocsf_models.events.findings.detection_finding import DetectionFinding
from py_ocsf_models.objects.finding_info import FindingInformation
from py_ocsf_models.objects.metadata import Metadata
from py_ocsf_models.objects.vulnerability_details import VulnerabilityDetails

CLASSES = {2002: "vulnerability_finding", 2003: "compliance_finding", 2004: "detection_finding"}
VALIDATORS = {}


def validator(version, uid):
    if (version, uid) not in VALIDATORS:
        schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version))
        # 1.8.0 of the package counts members of profiles among the required ones; without profiles none is.
        document = schema.get_class_schema(class_name=CLASSES[uid], profiles=[])
        VALIDATORS[version, uid] = jsonschema.Draft202012Validator(document)
    return VALIDATORS[version, uid]


def faults(version, record):
    found = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator(version, record["class_uid"]).iter_errors(record)]
    assert record["metadata"]["version"] == version
    models = {2003: ComplianceFinding, 2004: DetectionFinding}
    try:
        Metadata(**record["metadata"])
        FindingInformation(**record["finding_info"])
        for vulnerability in record.get("vulnerabilities", []):
            VulnerabilityDetails(**vulnerability)
        if record["class_uid"] in models:
            models[record["class_uid"]](**record)
    except ValueError as error:
        found.append(str(error))
    return found


for line in sys.stdin:
    version, record = line.rstrip("\n").split("\t", 1)
    print("; ".join(faults(version, json.loads(record))).replace("\n", " ") or "ok")
