# What the examples' nodes run in: Python, and the weather data set at /data/seattle-weather.csv.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
RUN python3 -m venv /venv
COPY examples.txt wheel[s] wheels/
# Only the data are wanted: the package's code would want pandas.
RUN offline=$(ls wheels/*.whl > /dev/null 2>&1 && echo "--no-index --find-links=wheels" || true) \
    && /venv/bin/pip install --disable-pip-version-check $offline --no-deps --require-hashes -r wheels/examples.txt \
    && mkdir /data && cp "$(find /venv -name seattle-weather.csv)" /data/

FROM ${BASE}
COPY --from=build /data /data
ENV PYTHONUNBUFFERED=1
USER 65532:65532
CMD ["python3"]
