"""Validates the specification's test documents, and what becomes of them when a part is dropped or replaced, with the
specification's JSON schemas.

Takes the folder of the specification; writes one JSON object a line: {"id", "text", "valid"}. The texts are JSON, which
is YAML too.
"""

import copy
import json
import pathlib
import sys

import yaml
from jsonschema import Draft202012Validator

SCHEMAS = {"rules": "detection-rule", "correlation": "correlation-rules", "filter": "filters"}
REPLACEMENTS = {"number": 5, "text": "x", "empty list": [], "empty map": {}}


def mutations(document):
    yield "as it is", document
    for path in [(key,) for key in document] + [
        (key, inner) for key in ("logsource", "detection", "filter", "correlation") for inner in document.get(key, {})
    ]:
        def changed(change):
            copied = copy.deepcopy(document)
            parent = copied[path[0]] if len(path) > 1 else copied
            change(parent, path[-1])
            return copied

        name = ".".join(path)
        yield f"without {name}", changed(lambda parent, key: parent.pop(key))
        for what, value in REPLACEMENTS.items():
            yield f"{name} as {what}", changed(lambda parent, key: parent.__setitem__(key, value))


def main():
    root = pathlib.Path(sys.argv[1])
    for kind, name in SCHEMAS.items():
        schema = json.loads((root / f"json-schema/sigma-{name}-schema.json").read_text())
        schema.pop("$schema", None)
        validator = Draft202012Validator(schema)
        for file in sorted((root / "tests/schema" / kind).glob("*.yml")):
            # Dates are texts to the schemas.
            document = json.loads(json.dumps(yaml.safe_load(file.read_text()), default=str))
            for what, mutated in mutations(document):
                verdict = validator.is_valid(mutated)
                print(json.dumps({"id": f"{kind}/{file.stem}: {what}", "text": json.dumps(mutated), "valid": verdict}))


main()
