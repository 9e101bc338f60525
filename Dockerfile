# syntax=docker/dockerfile:1
FROM python:3.12-slim

WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /app fleetgraph

# The dependencies in a layer of their own: it stays when only code changes.
COPY pyproject.toml ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *p['optional-dependencies']['langchain'], sep='\n')" > requirements.txt \
    && pip install -r requirements.txt

COPY README.md LICENSE ./
COPY shared ./shared
COPY coordinator ./coordinator
COPY worker ./worker
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps .

# Put your own graphs here, as these are, or build an image FROM this one.
COPY examples ./examples

ENV PYTHONUNBUFFERED=1
USER 10001
ENTRYPOINT ["fleetgraph"]
