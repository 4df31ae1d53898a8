"""Answers line by line: a model and bodies, each held against it by another validator of draft 4."""
import json
import sys

from jsonschema import Draft4Validator

for line in sys.stdin:
    case = json.loads(line)
    try:
        validator = Draft4Validator(case["schema"])
        outcome = [validator.is_valid(body) for body in case["bodies"]]
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"[:200]
    print(json.dumps(outcome), flush=True)
