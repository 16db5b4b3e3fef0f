# The agent alone: engine, onnxruntime, gRPC. No TensorFlow.
#
#   docker build -f deploy/docker/agent.Dockerfile -t anomaflow-agent .
#   docker run --network host --cap-drop ALL --cap-add NET_RAW -v anomaflow-agent:/var/lib/anomaflow-agent \
#     anomaflow-agent --iface eth0
#
# --network host: the interface to meter is the host's, and the aggregator listens on its loopback.

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY protos protos
COPY agent agent
COPY aggregator aggregator
COPY trainer trainer
RUN python -m venv /opt/anomaflow && /opt/anomaflow/bin/pip install --no-cache-dir '.[agent]'

FROM python:3.11-slim
COPY --from=build /opt/anomaflow /opt/anomaflow
# A packet socket needs the capability in the file as well, because the process is not root.
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin && rm -rf /var/lib/apt/lists/* \
 && setcap cap_net_raw+ep "$(readlink -f /usr/local/bin/python3)" \
 && useradd --system --home-dir /var/lib/anomaflow-agent --create-home anomaflow
USER anomaflow
VOLUME /var/lib/anomaflow-agent
ENTRYPOINT ["/opt/anomaflow/bin/anomaflow-agent", "run"]
