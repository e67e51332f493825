# litestream-tui in a container: `docker build -t litestream-tui .`
#
#   docker run -v app_data:/srv/app -v ./litestream.yml:/etc/litestream.yml:ro litestream-tui
#
# It runs as the user app, 1000. Where the application has another user, give that one: --user 1234:1234.
# The stage "walkthrough" also has the sqlite3 shell, for docs/tutorial.md; compose.yml builds that one.

FROM python:3.12-slim AS build
COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY replication /source/replication
COPY tui /source/tui
RUN python -m venv /opt/litestream-tui \
    && /opt/litestream-tui/bin/pip install --no-cache-dir -c /source/constraints.txt /source \
    && /opt/litestream-tui/bin/pip uninstall --yes pip

FROM python:3.12-slim AS program
# tini is process 1: it passes signals on and reaps orphans, whatever the command.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home app \
    && install --directory --owner app --group app /srv/app
COPY --from=build /opt/litestream-tui /opt/litestream-tui
ENV PATH=/opt/litestream-tui/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER app
WORKDIR /srv/app
# It asks no store, so that an outage of the store alone does not make the container unhealthy before commits wait.
HEALTHCHECK --interval=1m --timeout=15s --start-period=1m CMD ["litestream-tui", "status", "-check"]
ENTRYPOINT ["tini", "--", "litestream-tui"]
CMD ["replicate"]

FROM program AS walkthrough
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends sqlite3 \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner app --group app /usr/src
USER app
WORKDIR /usr/src

FROM program
