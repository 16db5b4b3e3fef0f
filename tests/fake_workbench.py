"""A stand-in for the trainer's workbench that really runs as a process: every verb, with results of the right shape.

`write(folder)` puts it down and gives its command; `plan(folder, ...)` says what it will do: `hang` (a verb), `child`,
`fail`, `crash`, `eat` (MiB), `models` (names), `same` (False: a run cannot be repeated), `stubborn` (ignores SIGTERM). What it was asked lies in `asked.jsonl`.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

TRAINER = """
    import json, os, pathlib, signal, subprocess, sys, time
    here = pathlib.Path(__file__).parent
    plan = json.loads((here / "plan.json").read_text())
    verb, words = sys.argv[2], sys.argv[3:]
    with (here / "asked.jsonl").open("a") as file:
        told = {"verb": verb, "words": words, "pid": os.getpid(), "env": {k: v for k, v in os.environ.items() if k.startswith("FSSPEC")}}
        file.write(json.dumps(told) + "\\n")

    def option(name, default=None):
        for place, word in enumerate(words):
            if word == "--" + name:
                return words[place + 1]
            if word.startswith("--" + name + "="):
                return word.partition("=")[2]
        return default

    def save(path, told):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".part")
        beside.write_text(json.dumps(told))
        beside.replace(path)

    events = None
    def say(**event):
        line = json.dumps({"at_ms": 1, **event}) + "\\n"
        print(line, end="", flush=True)
        if events is not None:
            with events.open("a") as file:
                file.write(line)

    def end(state, code=0, message=""):
        say(event="end", state=state, message=message)
        sys.exit(code)

    if plan.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif verb == "run":
        signal.signal(signal.SIGTERM, lambda *_: end("cancelled", 130))
    if verb == "run":
        events = pathlib.Path(words[0]) / "events.jsonl"
    say(event="stage", stage="begin", fraction=0.1, message="beginning")
    if plan.get("child"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (here / "child.pid").write_text(str(child.pid))
    if plan.get("eat"):
        hog = bytearray(plan["eat"] << 20)
    if plan.get("hang") == verb and not (plan.get("once") and (here / "hanging").exists()):
        (here / "hanging").write_text(str(os.getpid()))
        stop = pathlib.Path(words[0]) / "stop"
        while not (verb == "run" and stop.exists()):
            time.sleep(0.02)
    if plan.get("fail"):
        print("anomaflow-trainer: the table has ragged rows", file=sys.stderr)
        sys.exit(10)
    if plan.get("crash") == verb:
        os.kill(os.getpid(), signal.SIGKILL)

    import pyarrow as pa, pyarrow.csv, pyarrow.parquet as pq
    if verb == "import":
        out = pathlib.Path(option("out"))
        source = pathlib.Path(words[0])
        if words[0] == "sql:":
            (here / "url.txt").write_text(pathlib.Path(option("url-file")).read_text())
        if "://" not in words[0] and source.suffix == ".csv":
            table = pa.csv.read_csv(source)
        elif source.is_dir():
            table = pa.table({"files": [str(p) for p in sorted(source.rglob("*.parquet"))]})
        else:
            table = pa.table({"a": [1, 2, 3], "label": ["x", "y", "x"]})
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, out / "table.parquet")
        kinds = {"int64": "integer", "double": "number", "string": "categorical", "bool": "boolean"}
        columns = [{"name": f.name, "type": kinds.get(str(f.type), "text"), "missing": 0, "was": None} for f in table.schema]
        save(out / "about.json", {"format": "anomaflow-dataset-1", "name": option("name"), "rows": table.num_rows,
             "source": {"kind": "file", "what": option("file-name"), "format": "csv"}, "columns": columns,
             "bytes": 1, "digest": "d" * 64, "warnings": ["one column is constant"]})
    elif verb == "profile":
        folder = pathlib.Path(words[0])
        table = pq.read_table(folder / "table.parquet")
        last = table.schema.names[-1]
        counts = sorted(((str(v["values"]), v["counts"]) for v in table[last].value_counts().to_pylist()), key=lambda v: -v[1])
        labels = [{"name": last, "reason": "few values", "values": [{"value": v, "rows": n} for v, n in counts]}]
        save(folder / "profile.json", {"format": "anomaflow-profile-1", "rows": table.num_rows,
             "columns": table.num_columns, "labels": labels, "warnings": [], "properties": []})
    elif verb == "plot":
        out = pathlib.Path(option("out"))
        if out.suffix == ".json":
            save(out, {"format": "anomaflow-plot-1", "kind": option("kind"), "title": "A plot", "note": "", "option": {"x": option("x")}})
        else:
            out.write_bytes(b"<svg/>")
    elif verb == "run":
        folder = pathlib.Path(words[0])
        settings = json.loads((folder / "settings.json").read_text())
        board = []
        for place, name in enumerate(plan.get("models", ["decision-tree", "random-forest"])):
            done = folder / "models" / name / "result.json"
            if not done.exists():
                save(done, {"format": "anomaflow-candidate-1", "name": name, "title": name.title(), "history": []})
                (done.parent / "model.onnx").write_bytes(b"onnx " + name.encode())
                save(done.parent / "model.json", {"format": "anomaflow-file-1", "columns": [{"name": "a", "type": "integer", "kind": "number"}]})
                say(event="epoch", name=name, epoch=1, loss=0.5, val_loss=0.6, acc=0.9, val_acc=0.8)
                say(event="model", name=name, title=name.title(), state="done", metric=0.9)
            figures = {"f1": 0.9 + place / 100, "accuracy": 0.8}
            board.append({"name": name, "title": name.title(), "state": "done", "select": figures, "test": figures, "train": figures, "fit_s": 1.0 - place / 10})
        board.reverse()
        state = "stopped" if (folder / "stop").exists() else "done"
        save(folder / "result.json", {"format": "anomaflow-run-1", "state": state, "task": "binary", "label": settings["label"],
             "metric": "f1", "best": board[0]["name"], "leaderboard": board, "data": {"digest": "d" * 64}})
        end(state)
    elif verb == "predict":
        out = pathlib.Path(option("out"))
        data = option("data")
        if data == "-":
            row = json.load(sys.stdin)
            table = pa.table({k: [v] for k, v in row.items()})
        elif data.endswith(".parquet"):
            table = pq.read_table(data)
        else:
            table = pa.csv.read_csv(data)
        n = table.num_rows
        table = table.append_column("prediction", pa.array(["odd" if i % 2 else "normal" for i in range(n)]))
        table = table.append_column("score", pa.array([float(i) for i in range(n)]))
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, out / "rows.parquet")
        save(out / "summary.json", {"format": "anomaflow-prediction-1", "rows": n, "anomalies": n // 2, "counts": {},
             "schema": {"missing": []}, "preview": table.slice(0, 5).to_pylist()})
    elif verb == "explain":
        save(option("out"), {"format": "anomaflow-explanation-1", "method": option("method"), "title": "Why", "note": "", "items": []})
    elif verb == "verify":
        same = plan.get("same", True)
        check = {"name": "data", "passed": same, "was": "d", "now": "e", "detail": "the table " + ("is the same" if same else "has changed")}
        versions = {"name": "versions", "passed": None, "was": "", "now": "", "detail": "versions differ: numpy 1 there, 2 here"}
        save(option("out"), {"format": "anomaflow-verification-1", "reproducible": same, "note": "A note.", "checks": [check, versions]})
        if not same:
            sys.exit(10)
    elif verb == "script":
        pathlib.Path(option("out")).write_text("print('again')")
    elif verb == "promote":
        import shutil
        out = pathlib.Path(option("out"))
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(plan["model"], out)
        save(pathlib.Path(option("report")) / "report.json", {"model_digest": plan["digest"], "gate": plan.get("gate")})
    say(event="stage", stage="done", fraction=1.0, message="")
"""


def write(folder: Path) -> tuple[str, ...]:
    """Put the stand-in into `folder`; its command."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trainer.py").write_text(textwrap.dedent(TRAINER))
    plan(folder)
    return (sys.executable, str(folder / "trainer.py"))


def plan(folder: Path, **what: Any) -> None:
    """What it will do from now on."""
    (folder / "plan.json").write_text(json.dumps(what))


def asked(folder: Path, verb: str | None = None) -> list[dict[str, Any]]:
    """What it was asked, in order."""
    try:
        lines = (folder / "asked.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [told for told in map(json.loads, lines) if verb in {None, told["verb"]}]
