# The aggregator with the workshop, because retraining runs as its subprocess.
#
#   docker build -f deploy/docker/aggregator.Dockerfile -t anomaflow-aggregator .
#   docker run --rm -it -v anomaflow:/var/lib/anomaflow anomaflow-aggregator init
#   docker run --network host --cap-drop ALL -v anomaflow:/var/lib/anomaflow anomaflow-aggregator run

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY protos protos
COPY agent agent
COPY aggregator aggregator
COPY trainer trainer
RUN python -m venv /opt/anomaflow && /opt/anomaflow/bin/pip install --no-cache-dir '.[aggregator,trainer]'

FROM python:3.11-slim
COPY --from=build /opt/anomaflow /opt/anomaflow
RUN useradd --system --home-dir /var/lib/anomaflow --create-home anomaflow
USER anomaflow
VOLUME /var/lib/anomaflow
ENTRYPOINT ["/opt/anomaflow/bin/anomaflow-aggregator"]
CMD ["run"]
