# One service of the distribution in a small image: --build-arg SERVICE=chatbot | backend | redis-service | keeper.
#   docker build --build-arg SERVICE=backend -t chatify-backend .
#   docker run -e PORT=8000 -p 127.0.0.1:8000:8000 chatify-backend
# docs/deploy.md has the variables that each one wants.
ARG PYTHON=3.11-slim

FROM python:${PYTHON} AS built
ARG SERVICE=chatbot
WORKDIR /source
COPY pyproject.toml constraints.txt README.md render.yaml ./
COPY src ./src
RUN case "${SERVICE}" in chatbot|backend|redis-service|keeper) ;; *) echo "no service ${SERVICE}"; exit 2 ;; esac \
 && python -m venv /everwake \
 && /everwake/bin/pip install --no-cache-dir --disable-pip-version-check ".[${SERVICE}]" -c constraints.txt

FROM python:${PYTHON}
ARG SERVICE=chatbot
# libcurl's certificates are the system's.
RUN useradd --system --uid 10001 --home-dir /data --create-home everwake && install -d -o everwake /data/kept
COPY --from=built /everwake /everwake
COPY deploy/everwake.toml /data/everwake.toml
ENV PATH=/everwake/bin:$PATH PYTHONUNBUFFERED=1 PYTHONUTF8=1 SERVICE=${SERVICE} HOST=0.0.0.0 PORT=8000
USER everwake
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
# `exec`: SIGTERM reaches the service itself, which stops in order.
CMD ["sh", "-c", "if [ \"$SERVICE\" = keeper ]; then exec everwake watch --fleet everwake.toml --data kept --port \"$PORT\"; else exec chatify \"$SERVICE\"; fi"]
