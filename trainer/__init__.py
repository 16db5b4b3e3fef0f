"""The workshop. Heavy, offline, replaceable: benign flows and verdicts in, one ONNX file out."""
