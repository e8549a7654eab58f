# PIN-Lightning as a command:
#
#   docker build -t pin-lightning .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" pin-lightning train data=folder data.root=skulls
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" --network none pin-lightning infer run=RUN input='new/*.nii.gz' output=predictions
#
# PyPI's wheels of PyTorch bring gigabytes of CUDA libraries; --build-arg TORCH_INDEX=URL takes those of PyTorch's own index for
# the CPU instead. With a graphics card run it with --gpus all.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
ARG TORCH_INDEX
COPY constraints.txt /constraints.txt
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --no-deps --constraint /constraints.txt ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch \
    && python -m pip install --no-cache-dir --constraint /constraints.txt /wheels/*.whl

RUN useradd --create-home --uid 1000 pin && mkdir /work && chown pin /work
# Also for the user of --user, who has no home.
ENV USER=pin MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
USER 1000
WORKDIR /work
ENTRYPOINT ["pin-lightning"]
CMD ["--help"]
