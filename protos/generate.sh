#!/bin/sh
# Writes the Python stubs beside their .proto files. Run through `make proto`.
#
# grpcio-tools lives in an environment of its own: 1.76.0 stamps its stubs for protobuf 6.31.1, which every newer
# runtime accepts, while a newer generator would force the newest protobuf on TensorFlow and onnx.
set -eu
cd "$(dirname "$0")/.."
env=${PROTO_ENV:-.venv-proto}
out=${1:-.}
if [ ! -x "$env/bin/python" ]; then
  python3 -m venv "$env"
  "$env/bin/python" -m pip install --quiet grpcio-tools==1.76.0 mypy-protobuf==3.7.0
fi
PATH="$PWD/$env/bin:$PATH" "$env/bin/python" -m grpc_tools.protoc -I . \
  --python_out="$out" --mypy_out="quiet:$out" --grpc_python_out="$out" --mypy_grpc_out="quiet:$out" protos/v1/*.proto
# Only the fleet has a service: the empty modules of the others say nothing.
for name in features flow batch models; do rm -f "$out/protos/v1/${name}_pb2_grpc.py" "$out/protos/v1/${name}_pb2_grpc.pyi"; done
