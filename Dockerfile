# The operator's image. `docker build .` is all it takes. Where no registry can be reached, hack/cluster gives another BASE
# and puts the wheels beside this file (wheels/), and nothing is fetched.
ARG BASE=python:3.13-slim

FROM ${BASE} AS dependencies
WORKDIR /build
RUN python3 -m venv /venv && python3 -m venv /tools
COPY requirements.txt requirements-build.txt wheel[s] wheels/
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN offline=$(ls wheels/*.whl > /dev/null 2>&1 && echo "--no-index --find-links=wheels" || true) \
    && /venv/bin/pip install $offline --no-deps --require-hashes -r wheels/requirements.txt \
    && /tools/bin/pip install $offline --no-deps --require-hashes -r wheels/requirements-build.txt

FROM dependencies AS build
COPY pyproject.toml README.m[d] ./
COPY operator operator
RUN /tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /venv/bin/pip install --no-deps --no-index dist/*.whl \
    && /venv/bin/pip uninstall --yes --quiet pip setuptools

FROM ${BASE}
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["weft"]
CMD ["operator"]
