# One image, several commands: web, worker, clock, watcher. See docker-compose.yml.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/nodewise
COPY requirements.lock ./
RUN /opt/nodewise/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY nodewise nodewise
COPY webhooks webhooks
COPY tasks tasks
COPY workers workers
RUN /opt/nodewise/bin/pip install --no-cache-dir --disable-pip-version-check "setuptools>=80" \
    && /opt/nodewise/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM ${BASE}
# git checks out what is built, over ssh too and with files in LFS; a base image that has it is taken as it is.
RUN command -v git >/dev/null \
    || { apt-get update && apt-get install -y --no-install-recommends git git-lfs openssh-client && rm -rf /var/lib/apt/lists/*; }
# Builds with BuildKit (secrets in a Dockerfile, a cache in a registry) want a docker client. Debian has it only in the
# package docker.io, with the whole engine, about 250 MB: left out unless --build-arg DOCKER_CLIENT=docker.io asks for it.
ARG DOCKER_CLIENT=
RUN [ -z "$DOCKER_CLIENT" ] \
    || { apt-get update && apt-get install -y --no-install-recommends $DOCKER_CLIENT && rm -rf /var/lib/apt/lists/*; }
COPY --from=build /opt/nodewise /opt/nodewise
ENV PATH=/opt/nodewise/bin:$PATH \
    NODEWISE_DATA_DIR=/var/lib/nodewise \
    NODEWISE_LISTEN=0.0.0.0:8420 \
    NODEWISE_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
VOLUME /var/lib/nodewise
EXPOSE 8420
ENTRYPOINT ["nodewise"]
CMD ["up"]
