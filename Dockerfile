# A place to try litestream-tui in: the program, the sqlite3 shell, and an empty /usr/src (docs/tutorial.md).
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends sqlite3 \
    && rm -rf /var/lib/apt/lists/*

COPY . /opt/litestream-tui
RUN pip install --no-cache-dir -c /opt/litestream-tui/constraints.txt /opt/litestream-tui

WORKDIR /usr/src
CMD ["sleep", "infinity"]
