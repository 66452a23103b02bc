# jessy and the small base of its quickstart, for a processor. The project is mounted at /project:
#   docker build --tag jessy .
#   docker run --rm --volume "$PWD:/project" jessy plan recipes/quickstart.jessy
FROM python:3.12-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
COPY --from=wheel /wheels /wheels
COPY constraints.txt /wheels/constraints.txt
# the BLAS and MLX's processor backend need OpenMP's runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1=12.2.* \
    && rm -rf /var/lib/apt/lists/*
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt "$(echo /wheels/jessy-*.whl)[quickstart,parquet]"
RUN useradd --create-home --uid 1000 jessy
USER 1000
WORKDIR /project
ENTRYPOINT ["jessy"]
CMD ["--help"]
