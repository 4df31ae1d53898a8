"""Answers line by line: a template and its variables, or a path and a document, each as the other engine has it."""
import json
import sys

kind = sys.argv[1]
if kind == "airspeed":
    import airspeed

    def answer(case):
        return airspeed.Template(case["what"]).merge(case["with"])
else:
    import jsonpath

    def answer(case):
        return jsonpath.findall(case["what"], case["with"])

for line in sys.stdin:
    try:
        outcome = {"ok": answer(json.loads(line))}
    except Exception as error:
        outcome = {"error": f"{type(error).__name__}: {error}"[:200]}
    print(json.dumps(outcome), flush=True)
