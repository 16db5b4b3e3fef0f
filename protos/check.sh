#!/bin/sh
# Fails when the checked-in stubs are not what the .proto files give.
set -eu
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
sh protos/generate.sh "$fresh"
status=0
for made in "$fresh"/protos/v1/*; do
  cmp -s "$made" "protos/v1/$(basename "$made")" || { echo "stale stub: protos/v1/$(basename "$made"); run 'make proto'" >&2; status=1; }
done
for kept in protos/v1/*_pb2*.py*; do
  [ -e "$fresh/$kept" ] || { echo "stub without a .proto: $kept" >&2; status=1; }
done
exit $status
