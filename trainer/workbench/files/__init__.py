"""Files of a run: the model with its preprocessing as one ONNX graph, and what it was made from."""
