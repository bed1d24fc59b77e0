# The bridge in a container: one process without root, all its data in /data.
#
#     docker build --build-arg REVISION=$(git rev-parse HEAD) --tag dokploy-bridge .
#     docker run --publish 8080:8080 --volume bridge:/data dokploy-bridge
#
# The base is a tag, so that every build has the latest fixes of Debian and Python. To build the same
# image again, pass the base's digest: --build-arg PYTHON=python:3.13-slim-trixie@sha256:…
ARG PYTHON=python:3.13-slim-trixie


FROM ${PYTHON} AS build
WORKDIR /opt/dokploy-bridge
RUN python3 -m venv venv

# Wheels only, each with its hash: nothing is compiled, and nothing else can be installed.
COPY requirements.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    venv/bin/python -m pip install --no-compile --only-binary :all: --require-hashes \
        --requirement requirements.txt \
    && venv/bin/python -m pip uninstall --quiet --yes pip \
    && venv/bin/python -m compileall -q --invalidation-mode unchecked-hash venv/lib

# The bridge is a package of plain Python: copied, it needs no build tool that no hash would cover.
COPY bridge app/bridge
COPY deploy/container/healthy.py LICENSE app/
RUN venv/bin/python -m compileall -q --invalidation-mode unchecked-hash app \
    && printf '%s\n' '#!/opt/dokploy-bridge/venv/bin/python' \
        'from bridge.__main__ import main' 'main()' > app/dokploy-bridge \
    && chmod 0755 app/dokploy-bridge


FROM ${PYTHON}

# Git, Git LFS (13 MB) and SSH are for the embedded backend. tini passes signals on from the first moment, and reaps
# what Git leaves behind. The base has no bytecode, which a user without root could not add.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git git-lfs openssh-client tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* \
    && python3 -c "import compileall, sysconfig as s; compileall.compile_dir(s.get_path('stdlib'), quiet=2)" \
    && groupadd --gid 10001 bridge \
    && useradd --uid 10001 --gid bridge --home-dir /data --no-create-home \
        --shell /usr/sbin/nologin bridge \
    && install --directory --owner bridge --group bridge --mode 0700 /data

COPY --from=build /opt/dokploy-bridge/venv /opt/dokploy-bridge/venv
COPY --from=build /opt/dokploy-bridge/app /opt/dokploy-bridge/app

ENV PATH=/opt/dokploy-bridge/app:$PATH \
    PYTHONPATH=/opt/dokploy-bridge/app \
    HOME=/data \
    BRIDGE_DATA=/data \
    BRIDGE_HOST=0.0.0.0

# A bridge.yaml mounted here is read.
WORKDIR /etc/dokploy-bridge
VOLUME /data
EXPOSE 8080
USER 10001:10001

HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/opt/dokploy-bridge/venv/bin/python", "-E", "/opt/dokploy-bridge/app/healthy.py"]

ENTRYPOINT ["tini", "--", "dokploy-bridge"]
CMD ["serve"]

# Last, since they change with every build.
ARG VERSION=0
ARG REVISION=unknown
ARG SOURCE=https://github.com/dokploy-bridge/dokploy-bridge
LABEL org.opencontainers.image.title="dokploy-bridge" \
      org.opencontainers.image.description="A push deploys, and everybody sees what happened: the bridge between Git hosts, Dokploy and your team's chat." \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.documentation="${SOURCE}#readme" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
